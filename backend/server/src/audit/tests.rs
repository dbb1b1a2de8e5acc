use super::*;
use crate::kernel::{Ctx, Db, Kind, Permission, Role, page::Page, testing};
use serde_json::json;
use sqlx::PgPool;

async fn append(db: &Db, ctx: &Ctx, action: &str) {
    let mut tx = db.begin(ctx, Permission::AssetWrite).await.unwrap();
    let entry = Entry { action, target_kind: "asset", target_id: "a-1".into(), detail: json!({"name": "Ä\u{0}"}) };
    record(&mut tx, entry).await.unwrap();
    tx.commit().await.unwrap();
}

async fn chain_of(pool: &PgPool, entries: usize) -> (Db, Ctx) {
    let (db, clock) = (testing::db(pool), testing::clock());
    let ctx = testing::organization(pool, &clock, "acme").await;
    for _ in 0..entries {
        clock.advance(chrono::Duration::seconds(1));
        append(&db, &ctx, "asset.updated").await;
    }
    (db, ctx)
}

async fn tamper(pool: &PgPool, sql: &'static str) {
    sqlx::raw_sql("alter table audit_entry disable trigger all").execute(pool).await.unwrap();
    sqlx::raw_sql(sql).execute(pool).await.unwrap();
    sqlx::raw_sql("alter table audit_entry enable trigger all").execute(pool).await.unwrap();
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn an_untouched_chain_fits(pool: PgPool) {
    let (db, ctx) = chain_of(&pool, 0).await;
    assert!(verify(&db, &ctx, NEWEST).await.unwrap().valid());
    for _ in 0..3 {
        append(&db, &ctx, "asset.updated").await;
    }
    let found = verify(&db, &ctx, NEWEST).await.unwrap();
    assert_eq!((found.entries(), found.valid()), (3, true));
    let mut reported = Vec::new();
    verify_all(&db, |tenant, name, found| reported.push((tenant, name.to_owned(), found.clone()))).await.unwrap();
    assert_eq!(reported, [(ctx.tenant, "acme".to_owned(), found)]);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn entries_of_a_rolled_back_change_leave_no_gap(pool: PgPool) {
    let (db, ctx) = chain_of(&pool, 1).await;
    let mut tx = db.begin(&ctx, Permission::AssetWrite).await.unwrap();
    record(&mut tx, Entry { action: "a.b", target_kind: "asset", target_id: String::new(), detail: json!({}) })
        .await
        .unwrap();
    drop(tx);
    append(&db, &ctx, "asset.updated").await;
    let found = verify(&db, &ctx, NEWEST).await.unwrap();
    assert_eq!((found.entries(), found.valid()), (2, true));
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn appends_at_the_same_time_make_one_chain(pool: PgPool) {
    let (db, ctx) = chain_of(&pool, 0).await;
    futures::future::join_all((0..8).map(|_| append(&db, &ctx, "asset.updated"))).await;
    let found = verify(&db, &ctx, NEWEST).await.unwrap();
    assert_eq!((found.entries(), found.valid()), (8, true));
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn a_change_of_any_column_is_found(pool: PgPool) {
    let (db, ctx) = chain_of(&pool, 4).await;
    testing::organization(&pool, &ctx.clock, "other").await;
    let changes = [
        (
            "tenant_id",
            "update audit_entry set tenant_id = (select tenant_id from organization where slug = 'other') where sequence = 2",
        ),
        ("sequence", "update audit_entry set sequence = 99 where sequence = 2"),
        ("at", "update audit_entry set at = at + interval '1 microsecond' where sequence = 2"),
        ("actor_kind", "update audit_entry set actor_kind = 'SYSTEM' where sequence = 2"),
        ("actor_id", "update audit_entry set actor_id = null where sequence = 2"),
        ("actor", "update audit_entry set actor = 'x' where sequence = 2"),
        ("action", "update audit_entry set action = 'x' where sequence = 2"),
        ("target_kind", "update audit_entry set target_kind = 'asseta', target_id = '-1' where sequence = 2"),
        ("target_id", "update audit_entry set target_id = 'x' where sequence = 2"),
        ("request_id", "update audit_entry set request_id = 'x' where sequence = 2"),
        ("detail", "update audit_entry set detail = detail || ' ' where sequence = 2"),
        ("previous", "update audit_entry set previous = hash where sequence = 2"),
        ("hash", "update audit_entry set hash = previous where sequence = 2"),
    ];
    let columns: Vec<String> = sqlx::query_scalar(
        "select attname::text from pg_attribute where attrelid = 'audit_entry'::regclass and attnum > 0 order by attnum",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(columns, changes.map(|(column, _)| column), "every column has its change");
    sqlx::raw_sql("create table kept as select * from audit_entry").execute(&pool).await.unwrap();
    for (column, change) in changes {
        tamper(&pool, change).await;
        let found = verify(&db, &ctx, NEWEST).await.unwrap();
        assert_eq!(found.broken.map(|(sequence, _)| sequence), Some(2), "{column}: {}", found.message());
        tamper(&pool, "delete from audit_entry; insert into audit_entry select * from kept").await;
        assert!(verify(&db, &ctx, NEWEST).await.unwrap().valid());
    }
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn removed_added_and_swapped_entries_are_found(pool: PgPool) {
    let (db, ctx) = chain_of(&pool, 4).await;
    sqlx::raw_sql("create table kept as select * from audit_entry").execute(&pool).await.unwrap();
    for (change, sequence) in [
        ("delete from audit_entry where sequence = 1", 1),
        ("delete from audit_entry where sequence = 3", 3),
        ("delete from audit_entry where sequence = 4", 4),
        ("delete from audit_entry", 1),
        (
            "update audit_entry set sequence = sequence + 100 where sequence in (2, 3);
             update audit_entry set sequence = 105 - sequence where sequence > 100",
            2,
        ),
        (
            "insert into audit_entry select (jsonb_populate_record(e, '{\"sequence\": 5}')).* from audit_entry e where sequence = 4",
            5,
        ),
    ] {
        tamper(&pool, change).await;
        let found = verify(&db, &ctx, NEWEST).await.unwrap();
        assert_eq!(found.broken.map(|(sequence, _)| sequence), Some(sequence), "{change}: {}", found.message());
        tamper(&pool, "delete from audit_entry; insert into audit_entry select * from kept").await;
    }
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn a_well_made_entry_past_the_head_is_found(pool: PgPool) {
    let (db, ctx) = chain_of(&pool, 3).await;
    sqlx::raw_sql("update audit_head set sequence = 2, hash = (select hash from audit_entry where sequence = 2)")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(verify(&db, &ctx, NEWEST).await.unwrap().broken.map(|(sequence, _)| sequence), Some(3));
    sqlx::raw_sql("delete from audit_head").execute(&pool).await.unwrap();
    assert_eq!(verify(&db, &ctx, NEWEST).await.unwrap().broken.map(|(sequence, _)| sequence), Some(1));
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn the_newest_entries_are_checked_alone_and_nothing_is_said_of_the_others(pool: PgPool) {
    let (db, ctx) = chain_of(&pool, 6).await;
    let newest = async || verify(&db, &ctx, 3).await.unwrap();
    let found = newest().await;
    assert_eq!((found.first, found.last, found.entries(), found.valid()), (4, 6, 3, true));
    assert!(found.message().starts_with("The newest 3 of 6 entries fit; `stance audit verify` checks all."));
    assert_eq!(verify(&db, &ctx, 6).await.unwrap().first, 1);
    sqlx::raw_sql("create table kept as select * from audit_entry").execute(&pool).await.unwrap();
    for (change, broken) in [
        ("update audit_entry set actor = 'x' where sequence = 4", Some(4)),
        ("update audit_entry set previous = hash where sequence = 4", Some(4)),
        ("update audit_entry set actor = 'x' where sequence = 6", Some(6)),
        ("delete from audit_entry where sequence = 4", Some(4)),
        ("delete from audit_entry where sequence = 6", Some(6)),
        ("delete from audit_entry where sequence > 3", Some(4)),
        ("update audit_entry set actor = 'x' where sequence = 3", None),
    ] {
        tamper(&pool, change).await;
        assert_eq!(newest().await.broken.map(|(sequence, _)| sequence), broken, "{change}");
        let mut all = Vec::new();
        verify_all(&db, |_, _, found| all.push(found.valid())).await.unwrap();
        assert_eq!(all, [false], "{change}: whoever checks all sees it");
        tamper(&pool, "delete from audit_entry; insert into audit_entry select * from kept").await;
    }
    sqlx::raw_sql("update audit_head set sequence = 60").execute(&pool).await.unwrap();
    assert!(!newest().await.valid(), "a head that counts too many");
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn nobody_of_stance_can_change_or_remove(pool: PgPool) {
    let (db, ctx) = chain_of(&pool, 1).await;
    for sql in [
        "update audit_entry set actor = 'x'",
        "delete from audit_entry",
        "truncate audit_entry",
        "delete from audit_head",
    ] {
        let mut tx = db.begin(&ctx, Permission::AssetWrite).await.unwrap();
        let error = sqlx::query(sql).execute(tx.conn()).await.unwrap_err();
        assert_eq!(error.as_database_error().and_then(|e| e.code()).as_deref(), Some("42501"), "{sql}");
    }
    // Not even the table's owner, while the trigger stands.
    assert!(sqlx::query("update audit_entry set actor = 'x'").execute(&pool).await.is_err());
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn the_list_pages_filters_and_keeps_to_its_tenant(pool: PgPool) {
    let (db, ctx) = chain_of(&pool, 5).await;
    let other = testing::organization(&pool, &ctx.clock, "other").await;
    append(&db, &other, "asset.updated").await;
    append(&db, &ctx, "asset.retired").await;
    let page = |after| Page { first: 4, after };
    let first = list(&db, &ctx, &Filter::default(), &page(None)).await.unwrap();
    assert_eq!(first.items.iter().map(|e| e.sequence).collect::<Vec<_>>(), [6, 5, 4, 3]);
    assert!(first.has_next);
    let second = list(&db, &ctx, &Filter::default(), &page(Some(3))).await.unwrap();
    assert_eq!(second.items.iter().map(|e| e.sequence).collect::<Vec<_>>(), [2, 1]);
    assert!(!second.has_next);
    let filter = Filter { action: Some("asset.retired".into()), actor: Some("owner@acme.example".into()) };
    assert_eq!(list(&db, &ctx, &filter, &page(None)).await.unwrap().items.len(), 1);
    assert_eq!(count(&db, &ctx, &filter).await.unwrap(), 1);
    assert_eq!(count(&db, &ctx, &Filter::default()).await.unwrap(), 6);
    let denied =
        list(&db, &testing::acting_as(&ctx, Role::Analyst), &Filter::default(), &page(None)).await.unwrap_err();
    assert_eq!(denied.kind, Kind::Forbidden);
}
