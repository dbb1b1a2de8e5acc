//! What PostgreSQL's own catalogue says of the schema: no table, index or foreign key escapes the tenant's protection.

use super::testing;
use sqlx::{AssertSqlSafe, PgPool};

/// Tables that are not of one tenant, and why.
const NOT_OF_A_TENANT: &[(&str, &str)] = &[
    (
        "app_user",
        "people exist beside organizations; a policy of its own shows members, and grants leave out the password",
    ),
    ("session", "a session may switch organization; only stance_system may touch it"),
    ("sign_in_throttle", "counts before anybody is known; only stance_system may touch it"),
    ("server_process", "servers enforce for all organizations; an organization only sees which are alive"),
    ("_sqlx_migrations", "which migrations ran; no role of ours may touch it"),
];

/// Indexes of tenant tables that do not begin with `tenant_id`, and why.
const NOT_BY_TENANT: &[(&str, &str)] = &[
    ("organization_slug_key", "a slug names one organization of all"),
    ("membership_by_user", "sign-in asks for a person's organizations"),
    ("invitation_token", "looked up before the tenant is known"),
    ("api_token_hash", "looked up before the tenant is known"),
];

const POLICY: &str =
    "(tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS \"nullif\"))";

fn excused(list: &[(&str, &str)], name: &str) -> bool {
    list.iter().any(|(excused, _)| *excused == name)
}

/// Partitions are reached through their table only: nobody but their owner has a right to them.
async fn tenant_tables(pool: &PgPool) -> Vec<String> {
    let names: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition order by relname",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    for (name, _) in NOT_OF_A_TENANT {
        assert!(names.iter().any(|there| there == name), "{name} is on the list but not in the schema");
    }
    names.into_iter().filter(|name| !excused(NOT_OF_A_TENANT, name)).collect()
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn every_table_is_protected_or_excused(pool: PgPool) {
    for table in tenant_tables(&pool).await {
        let (enabled, forced): (bool, bool) = sqlx::query_as(
            "select relrowsecurity, relforcerowsecurity from pg_class
             where relname = $1 and relnamespace = 'public'::regnamespace",
        )
        .bind(&table)
        .fetch_one(&pool)
        .await
        .unwrap();
        assert!(enabled && forced, "{table}: call protect_tenant_table('{table}') in its migration");
        type Policy = (String, Vec<String>, bool, Option<String>, Option<String>);
        let policies: Vec<Policy> = sqlx::query_as(
            "select policyname::text, roles::text[], permissive = 'PERMISSIVE' and cmd = 'ALL', qual, with_check
             from pg_policies where schemaname = 'public' and tablename = $1 order by policyname",
        )
        .bind(&table)
        .fetch_all(&pool)
        .await
        .unwrap();
        let policy = |name: &str, role: &str, rule: &str| {
            (name.to_owned(), vec![role.to_owned()], true, Some(rule.to_owned()), Some(rule.to_owned()))
        };
        assert_eq!(
            policies,
            [policy("system", "stance_system", "true"), policy("tenant", "stance_app", POLICY)],
            "{table}: has other policies than protect_tenant_table makes"
        );
    }
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn tenants_can_not_touch_what_is_not_theirs(pool: PgPool) {
    for table in ["session", "sign_in_throttle", "_sqlx_migrations"] {
        for privilege in ["select", "insert", "update", "delete", "truncate"] {
            let granted: bool = sqlx::query_scalar("select has_table_privilege('stance_app', $1, $2)")
                .bind(table)
                .bind(privilege)
                .fetch_one(&pool)
                .await
                .unwrap();
            assert!(!granted, "stance_app may {privilege} {table}");
        }
    }
    let readable: Vec<String> = sqlx::query_scalar(
        "select attname::text from pg_attribute where attrelid = 'app_user'::regclass and attnum > 0
         and has_column_privilege('stance_app', attrelid, attnum, 'select') order by attnum",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(readable, ["id", "email", "name", "created_at", "last_sign_in_at"]);
    let owned: i64 = sqlx::query_scalar(
        "select count(*) from pg_class where relowner in ('stance_app'::regrole, 'stance_system'::regrole)",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(owned, 0, "an owner could lift the protection");
    let bypass: bool = sqlx::query_scalar(
        "select bool_or(rolbypassrls or rolsuper or rolcanlogin) from pg_roles where rolname like 'stance\\_%'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert!(!bypass, "a role of ours passes row level security or can sign in");
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn keys_and_indexes_begin_with_the_tenant(pool: PgPool) {
    for table in tenant_tables(&pool).await {
        let indexes: Vec<(String, bool, Option<String>)> = sqlx::query_as(
            "select i.indexrelid::regclass::text, i.indisprimary,
                    (select attname::text from pg_attribute where attrelid = i.indrelid and attnum = i.indkey[0])
             from pg_index i where i.indrelid = $1::regclass",
        )
        .bind(&table)
        .fetch_all(&pool)
        .await
        .unwrap();
        assert!(indexes.iter().any(|(_, primary, _)| *primary), "{table} has no primary key");
        for (index, _, first) in indexes {
            assert!(
                first.as_deref() == Some("tenant_id") || excused(NOT_BY_TENANT, &index),
                "index {index} of {table} begins with {first:?} instead of tenant_id"
            );
        }
    }
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn foreign_keys_between_tenant_tables_carry_the_tenant(pool: PgPool) {
    let tables = tenant_tables(&pool).await;
    let keys: Vec<(String, String, String, bool)> = sqlx::query_as(
        "select c.conname::text, c.conrelid::regclass::text, c.confrelid::regclass::text,
                exists(select from generate_subscripts(c.conkey, 1) n
                       join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[n]
                       join pg_attribute b on b.attrelid = c.confrelid and b.attnum = c.confkey[n]
                       where a.attname = 'tenant_id' and b.attname = 'tenant_id')
         from pg_constraint c where c.contype = 'f' and c.connamespace = 'public'::regnamespace",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert!(keys.len() > 20, "the query finds them");
    for (key, from, to, by_tenant) in keys {
        if tables.contains(&from) && tables.contains(&to) {
            assert!(
                by_tenant,
                "{key}: {from} refers to {to} without tenant_id, so it could refer to another tenant's row"
            );
        }
    }
}

/// What runs with its owner's rights sees all tenants: views (PostgreSQL 14 has no others) and functions that say so.
#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn nothing_runs_with_its_owners_rights(pool: PgPool) {
    let found: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind in ('v', 'm')
         union all select proname::text from pg_proc where pronamespace = 'public'::regnamespace and prosecdef",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(found, [""; 0], "make it a function without security definer");
}

/// Opens a transaction as stance_app, with a tenant or without.
async fn as_app(pool: &PgPool, tenant: Option<uuid::Uuid>) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut tx = pool.begin_with("begin").await.unwrap();
    sqlx::query("set local role stance_app").execute(&mut *tx).await.unwrap();
    if let Some(tenant) = tenant {
        sqlx::query("select set_config('app.tenant_id', $1, true)")
            .bind(tenant.to_string())
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    tx
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn nothing_is_visible_without_a_tenant_and_nothing_of_another(pool: PgPool) {
    let clock = testing::clock();
    let (ours, theirs) =
        (testing::organization(&pool, &clock, "ours").await, testing::organization(&pool, &clock, "theirs").await);
    for ctx in [&ours, &theirs] {
        sqlx::query(
            "with a as (insert into asset (tenant_id, id, kind, external_key, name, first_seen, last_seen, risk_factor)
                        values ($1, $1, 'AGENT', 'a', 'a', now(), now(), 1) returning tenant_id, id)
             insert into asset_change (tenant_id, asset_id, id, at, actor, summary, changes)
             values ($1, $1, $1, now(), 'x', 'x', '{}')",
        )
        .bind(ctx.tenant.0)
        .execute(&pool)
        .await
        .unwrap();
    }
    let mut seen_own = 0;
    for table in tenant_tables(&pool).await {
        let count = AssertSqlSafe(format!("select count(*) from {table}"));
        let mut tx = as_app(&pool, None).await;
        let seen: i64 = sqlx::query_scalar(count).fetch_one(&mut *tx).await.unwrap();
        assert_eq!(seen, 0, "{table} shows rows without a tenant");
        drop(tx);
        let mut tx = as_app(&pool, Some(ours.tenant.0)).await;
        let split = AssertSqlSafe(format!(
            "select count(*) filter (where tenant_id = $1), count(*) filter (where tenant_id <> $1) from {table}"
        ));
        let (own, foreign): (i64, i64) = sqlx::query_as(split).bind(ours.tenant.0).fetch_one(&mut *tx).await.unwrap();
        assert_eq!(foreign, 0, "{table} shows rows of another tenant");
        seen_own += own;
    }
    assert_eq!(seen_own, 4, "organization, membership, asset and its change");

    let mut tx = as_app(&pool, Some(ours.tenant.0)).await;
    let people: Vec<String> = sqlx::query_scalar("select email from app_user").fetch_all(&mut *tx).await.unwrap();
    assert_eq!(people, ["owner@ours.example"]);
    let changed = sqlx::query("update asset set name = 'x'").execute(&mut *tx).await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
    let moved = sqlx::query("update asset set tenant_id = $1").bind(theirs.tenant.0).execute(&mut *tx).await;
    assert!(moved.unwrap_err().to_string().contains("row-level security"));
    drop(tx);

    let mut tx = as_app(&pool, Some(ours.tenant.0)).await;
    let written =
        sqlx::query("insert into membership (tenant_id, user_id, role, joined_at) values ($1, $2, 'OWNER', now())")
            .bind(theirs.tenant.0)
            .bind(ours.user().unwrap().0)
            .execute(&mut *tx)
            .await;
    assert!(written.unwrap_err().to_string().contains("row-level security"));
}

/// Beside a policy PostgreSQL uses an index only for operators that can not leak what they compare: those of enums,
/// `LIKE`, full text and `jsonb` can.
#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn indexes_of_tenant_tables_work_beside_their_policy(pool: PgPool) {
    let tables = tenant_tables(&pool).await;
    let operators: Vec<(String, String, String, bool)> = sqlx::query_as(
        "select distinct i.indrelid::regclass::text, i.indexrelid::regclass::text, o.oid::regoperator::text, p.proleakproof
         from pg_index i join pg_class t on t.oid = i.indrelid cross join unnest(i.indclass) used(class)
         join pg_opclass c on c.oid = used.class
         join pg_amop a on a.amopfamily = c.opcfamily and a.amoplefttype = c.opcintype and a.amoprighttype = c.opcintype
         join pg_operator o on o.oid = a.amopopr join pg_proc p on p.oid = o.oprcode
         where t.relnamespace = 'public'::regnamespace",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert!(operators.len() > 100, "the query finds them");
    for (table, index, operator, leakproof) in operators {
        assert!(leakproof || !tables.contains(&table), "{index} of {table}: {operator} is not leakproof");
    }
    let enums: Vec<String> = sqlx::query_scalar(
        "select typname::text from pg_type where typtype = 'e' and typnamespace = 'public'::regnamespace",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert!(enums.is_empty(), "text with a CHECK instead of {enums:?}");
}
