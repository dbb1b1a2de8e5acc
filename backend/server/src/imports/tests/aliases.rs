//! Two assets become one, and two again, between reports that name them by either key.

use super::*;
use crate::{
    findings::aliases::{merge_assets, split_asset},
    inventory,
    kernel::{Role, page::Page},
};
use stance_importers::AssetRef;
use stance_shared::{AssetId, AssetKind};
use std::time::Duration;

impl Bench {
    async fn agent(&self, key: &str) -> AssetId {
        let asset = AssetRef { kind: AssetKind::Agent, key: key.to_owned() };
        let found = inventory::service::ids_by_keys(&self.db, &self.ctx, std::slice::from_ref(&asset)).await.unwrap();
        found[&asset]
    }

    /// Rule, status, how many scans report it, and on which asset each finding is, in the order of rules and keys.
    async fn table(&self) -> Vec<String> {
        let miscounted: i64 = sqlx::query_scalar(
            "select count(*) from (
                 select asset_id, status, severity, sum(count) as n from asset_finding_count group by 1, 2, 3 having sum(count) <> 0
                 except select asset_id, status, severity, count(*) from finding group by 1, 2, 3) wrong",
        )
        .fetch_one(&self.pool)
        .await
        .unwrap();
        assert_eq!(miscounted, 0, "what is counted of an asset goes with its findings");
        sqlx::query_scalar(
            "select concat_ws(' ', f.rule, f.status, (select count(*) from occurrence o where o.finding_id = f.id and o.absent_since is null),
                 a.external_key)
             from finding f join asset a on a.id = f.asset_id order by 1",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    async fn names(&self) -> Vec<String> {
        let page = Page { first: 50, after: None };
        let sort = inventory::Sort::Name;
        let all =
            inventory::service::list(&self.db, &self.ctx, &inventory::Filter::default(), sort, false, &page).await;
        all.unwrap().items.into_iter().map(|asset| asset.name).collect()
    }
}

#[sqlx::test(migrations = false)]
async fn reports_of_either_key_change_nothing_after_a_merge_nor_after_a_split(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let first = || findings("t", &[("a", "both"), ("a", "mine")]);
    let second = || findings("t", &[("b", "both"), ("b", "yours")]);
    bench.import("", first()).await;
    bench.import("", second()).await;
    let (a, b) = (bench.agent("a").await, bench.agent("b").await);
    let apart = ["both OPEN 1 a", "both OPEN 1 b", "mine OPEN 1 a", "yours OPEN 1 b"];
    assert_eq!(bench.table().await, apart);

    merge_assets(&bench.db, &bench.ctx, a, &[b]).await.unwrap();
    let together = ["both OPEN 2 a", "mine OPEN 1 a", "yours OPEN 1 a"];
    assert_eq!(bench.table().await, together);
    assert_eq!((bench.names().await, bench.agent("B/").await), (vec!["a".to_owned()], a));
    let before = bench.state().await;
    for report in [first, second] {
        assert_eq!(bench.counts("", report()).await, [0, 0, 0, 0, 2]);
        assert_eq!(bench.counts("", report()).await, [0, 0, 0, 0, 2]);
    }
    assert_eq!(bench.state().await, before);
    let report = bench.import("AGENT:b", second()).await;
    assert_eq!(assets(&bench.db, &bench.ctx, &[report.id]).await.unwrap()[&report.id], [a]);

    // A report speaks for what came in under its own key.
    assert_eq!(bench.counts("", findings("t", &[("a", "mine")])).await, [0, 0, 0, 0, 1]);
    assert_eq!(bench.table().await, ["both OPEN 1 a", "mine OPEN 1 a", "yours OPEN 1 a"]);
    assert_eq!(bench.counts("", findings("t", &[("b", "yours"), ("b", "new")])).await, [1, 0, 0, 1, 1]);
    assert_eq!(bench.table().await, ["both RESOLVED 0 a", "mine OPEN 1 a", "new OPEN 1 a", "yours OPEN 1 a"]);
    assert_eq!(bench.counts("", first()).await, [0, 0, 1, 0, 1]);
    assert_eq!(bench.counts("", second()).await, [0, 1, 0, 1, 1]);

    let (kept, split) = split_asset(&bench.db, &bench.ctx, a, b).await.unwrap();
    assert_eq!((kept.id, split.id, bench.names().await), (a, b, vec!["a".to_owned(), "b".to_owned()]));
    let again = ["both OPEN 1 a", "both OPEN 1 b", "mine OPEN 1 a", "new RESOLVED 0 b", "yours OPEN 1 b"];
    assert_eq!(bench.table().await, again);
    for report in [first, second] {
        assert_eq!(bench.counts("", report()).await, [0, 0, 0, 0, 2]);
    }
    assert_eq!(bench.table().await, again);
    assert!(split_asset(&bench.db, &bench.ctx, a, b).await.is_err(), "once is enough");
}

#[sqlx::test(migrations = false)]
async fn one_report_may_name_an_asset_by_several_of_its_keys(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.import("", findings("old", &[("a", "x"), ("b", "x"), ("c", "x")])).await;
    let (a, b, c) = (bench.agent("a").await, bench.agent("b").await, bench.agent("c").await);
    merge_assets(&bench.db, &bench.ctx, b, &[c]).await.unwrap();
    merge_assets(&bench.db, &bench.ctx, a, &[b]).await.unwrap();
    assert_eq!(bench.table().await, ["x OPEN 3 a"]);
    // New to all three keys: one finding that three scans report.
    let report = || findings("new", &[("c", "y"), ("a", "y"), ("B", "y"), ("b", "z")]);
    assert_eq!(bench.counts("", report()).await, [2, 2, 0, 0, 0]);
    let both = ["x OPEN 3 a", "y OPEN 3 a", "z OPEN 1 a"];
    assert_eq!(bench.table().await, both);
    assert_eq!(bench.counts("", report()).await, [0, 0, 0, 0, 4]);
    assert_eq!(bench.table().await, both);
    // An alias of an alias is one of what that became part of, and is split from there.
    let aliases = inventory::aliases::of(&bench.db, &bench.ctx, &[a]).await.unwrap().remove(&a).unwrap();
    assert_eq!(aliases.iter().map(|alias| alias.external_key.as_str()).collect::<Vec<_>>(), ["c", "b"]);
    split_asset(&bench.db, &bench.ctx, a, c).await.unwrap();
    assert_eq!(bench.table().await, ["x OPEN 1 c", "x OPEN 2 a", "y OPEN 1 c", "y OPEN 2 a", "z OPEN 1 a"]);
    assert_eq!(bench.counts("", report()).await, [0, 0, 0, 0, 4]);
}

#[sqlx::test(migrations = false)]
async fn the_stricter_decision_is_in_force_and_both_are_kept(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let cases = [
        ("open-fp", None, Some("FALSE_POSITIVE"), "OPEN"),
        ("fp-open", Some("FALSE_POSITIVE"), None, "OPEN"),
        ("fp-fp", Some("FALSE_POSITIVE"), Some("FALSE_POSITIVE"), "FALSE_POSITIVE"),
        ("fp-accepted", Some("FALSE_POSITIVE"), Some("RISK_ACCEPTED"), "RISK_ACCEPTED"),
        ("started-accepted", Some("IN_PROGRESS"), Some("RISK_ACCEPTED"), "IN_PROGRESS"),
        ("started-open", Some("IN_PROGRESS"), None, "OPEN"),
        // Only one of them is still reported: the other one's silence is no decision.
        ("gone-fp", None, Some("FALSE_POSITIVE"), "FALSE_POSITIVE"),
    ];
    let on = |key: &'static str| cases.iter().map(|case| (key, case.0)).collect::<Vec<_>>();
    bench.import("", findings("t", &on("a"))).await;
    bench.import("", findings("t", &on("b"))).await;
    bench.import("", findings("t", &on("a")[..6])).await;
    for (rule, first, second, _) in cases {
        for (key, kind) in [("a", first), ("b", second)] {
            let Some(kind) = kind else { continue };
            let sql = "with made as (
                    insert into decision (tenant_id, id, finding_id, kind, reason, expires_at, approver_id, decided_by, decided_at)
                    select f.tenant_id, gen_random_uuid(), f.id, $2, 'because', case when $2 = 'RISK_ACCEPTED' then now() + interval '9 days' end,
                        case when $2 = 'RISK_ACCEPTED' then gen_random_uuid() end, 'somebody', now()
                    from finding f join asset a on a.id = f.asset_id where f.rule = $1 and a.external_key = $3 returning id, finding_id)
                update finding f set decision_id = made.id, decision_kind = $2 from made where f.id = made.finding_id";
            sqlx::query(sql).bind(rule).bind(kind).bind(key).execute(&bench.pool).await.unwrap();
        }
    }
    let decisions = "select count(*) from decision";
    let made: i64 = sqlx::query_scalar(decisions).fetch_one(&bench.pool).await.unwrap();
    let (a, b) = (bench.agent("a").await, bench.agent("b").await);
    merge_assets(&bench.db, &bench.ctx, a, &[b]).await.unwrap();
    let statuses: std::collections::BTreeMap<String, String> = bench.statuses().await.into_iter().collect();
    for (rule, _, _, expected) in cases {
        assert_eq!(statuses[rule], expected, "{rule}");
    }
    assert_eq!(sqlx::query_scalar::<_, i64>(decisions).fetch_one(&bench.pool).await.unwrap(), made);
    // Each side then has the history of both.
    split_asset(&bench.db, &bench.ctx, a, b).await.unwrap();
    assert_eq!(sqlx::query_scalar::<_, i64>(decisions).fetch_one(&bench.pool).await.unwrap(), 2 * made);
    let differing: Vec<String> = sqlx::query_scalar(
        "select rule from finding group by rule having count(distinct coalesce(decision_kind, '')) > 1 order by 1",
    )
    .fetch_all(&bench.pool)
    .await
    .unwrap();
    assert_eq!(differing, [""; 0]);
    let wrong: i64 = sqlx::query_scalar(
        "select count(*) from finding f join decision d on d.id = f.decision_id where d.finding_id <> f.id",
    )
    .fetch_one(&bench.pool)
    .await
    .unwrap();
    assert_eq!(wrong, 0);
}

#[sqlx::test(migrations = false)]
async fn relations_history_checks_and_risk_come_together_and_go_apart(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let new = |key: &str, kind| inventory::NewAsset {
        asset: AssetRef { kind, key: key.to_owned() },
        patch: inventory::Patch::default(),
    };
    let to = |from: &str, kind, to: (AssetKind, &str)| inventory::NewRelation {
        from: AssetRef { kind: AssetKind::Agent, key: from.to_owned() },
        kind,
        to: AssetRef { kind: to.0, key: to.1.to_owned() },
    };
    use stance_shared::RelationKind::{DelegatesTo, UsesModel};
    let all = vec![new("a", AssetKind::Agent), new("b", AssetKind::Agent), new("m", AssetKind::Model)];
    let relations = [
        to("a", UsesModel, (AssetKind::Model, "m")),
        to("b", UsesModel, (AssetKind::Model, "m")),
        to("a", DelegatesTo, (AssetKind::Agent, "b")),
    ];
    inventory::service::upsert(&bench.db, &bench.ctx, all, &relations).await.unwrap();
    bench.import("AGENT:b", sarif("lint", "", &[hit("x", 1, "x")])).await;
    let (a, b) = (bench.agent("a").await, bench.agent("b").await);
    let seen = async |id: AssetId| {
        let related = inventory::service::relations(&bench.db, &bench.ctx, &[id]).await.unwrap().remove(&id);
        let lines = inventory::service::history(&bench.db, &bench.ctx, &[id], 50).await.unwrap().remove(&id);
        (related.unwrap_or_default().len(), lines.unwrap_or_default().len())
    };
    let compute = async || crate::scoring::jobs::recompute(&bench.db, &bench.ctx).await.unwrap();
    compute().await;
    assert_eq!((seen(a).await, seen(b).await), ((2, 1), (2, 1)));
    merge_assets(&bench.db, &bench.ctx, a, &[b]).await.unwrap();
    assert_eq!(seen(a).await, (1, 3), "the model once, itself not at all; the history of both");
    compute().await;
    let posture = crate::scoring::posture(&bench.db, &bench.ctx).await.unwrap();
    assert_eq!((posture.assets, posture.all.open_findings), (2, 1));
    let checks = crate::scoring::checks(&bench.db, &bench.ctx, &[a]).await.unwrap().remove(&a).unwrap();
    assert!(!checks.0.assessments.is_empty(), "what was checked under the other key is checked");
    let risks: Vec<(String, bool)> =
        sqlx::query_as("select external_key, risk is not null from asset where kind = 'AGENT' order by 1")
            .fetch_all(&bench.pool)
            .await
            .unwrap();
    assert_eq!(risks, [("a".to_owned(), true), ("b".to_owned(), false)]);
    split_asset(&bench.db, &bench.ctx, a, b).await.unwrap();
    compute().await;
    assert_eq!((seen(a).await, seen(b).await), ((2, 3), (2, 2)));
    let posture = crate::scoring::posture(&bench.db, &bench.ctx).await.unwrap();
    assert_eq!((posture.assets, posture.all.open_findings), (3, 1));
    let actions: Vec<String> =
        sqlx::query_scalar("select action from audit_entry where target_kind = 'asset' order by sequence")
            .fetch_all(&bench.pool)
            .await
            .unwrap();
    assert_eq!(actions, ["asset.upserted", "asset.merged", "asset.split"]);
}

#[sqlx::test(migrations = false)]
async fn an_import_and_a_merge_at_once_end_as_one_after_the_other(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.import("", findings("t", &[("a", "x"), ("b", "x")])).await;
    let (a, b) = (bench.agent("a").await, bench.agent("b").await);
    for round in 0..6 {
        let rule = format!("r{round}");
        let id = bench.start("", findings("t", &[("b", "x"), ("b", &rule)])).await;
        let change = async {
            if round % 2 == 0 {
                merge_assets(&bench.db, &bench.ctx, a, &[b]).await.map(drop)
            } else {
                split_asset(&bench.db, &bench.ctx, a, b).await.map(drop)
            }
        };
        let (imported, changed) = tokio::join!(jobs::import(&bench.db, &bench.ctx, id), change);
        imported.unwrap();
        changed.unwrap();
        assert_eq!(get(&bench.db, &bench.ctx, id).await.unwrap().status, ReportStatus::Done);
        let astray: Vec<String> = sqlx::query_scalar(
            "select f.rule from finding f join occurrence o on o.finding_id = f.id join scan s on s.id = o.scan_id
             join asset said on said.id = s.asset_id where f.asset_id <> coalesce(said.merged_into, said.id)",
        )
        .fetch_all(&bench.pool)
        .await
        .unwrap();
        assert_eq!(astray, [""; 0], "round {round}");
    }
    // Nobody merges while an import has written the inventory and not ended.
    let mut writing = bench.db.begin(&bench.ctx, Permission::AssetWrite).await.unwrap();
    let named = inventory::NewAsset {
        asset: AssetRef { kind: AssetKind::Agent, key: "b".into() },
        patch: inventory::Patch::default(),
    };
    inventory::service::upsert_in_tx(&mut writing, &[named], &inventory::Manner::Declared).await.unwrap();
    let others = [b];
    let mut merge = Box::pin(merge_assets(&bench.db, &bench.ctx, a, &others));
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut merge).await.is_err(), "it waits");
    writing.commit().await.unwrap();
    merge.await.unwrap();
    assert_eq!(bench.names().await, ["a"]);
}

#[sqlx::test(migrations = false)]
async fn what_can_not_be_one_is_refused_and_stays_as_it_is(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let stranger = testing::organization(&bench.pool, &Clock::System, "stranger").await;
    bench.import("", findings("t", &[("a", "x"), ("b", "x")])).await;
    bench.import("MODEL:m", sarif("lint", "", &[hit("a", 1, "x")])).await;
    let (a, b) = (bench.agent("a").await, bench.agent("b").await);
    let model = AssetRef { kind: AssetKind::Model, key: "m".into() };
    let model =
        inventory::service::ids_by_keys(&bench.db, &bench.ctx, &[model]).await.unwrap().into_values().next().unwrap();
    let merge =
        async |ctx: &Ctx, keep, others: &[AssetId]| merge_assets(&bench.db, ctx, keep, others).await.unwrap_err();
    let field = |error: crate::kernel::Error| error.fields[0].field.clone();
    assert_eq!(field(merge(&bench.ctx, a, &[]).await), "others");
    assert_eq!(field(merge(&bench.ctx, a, &[b; inventory::aliases::MAX_MERGE + 1]).await), "others");
    assert_eq!(field(merge(&bench.ctx, a, &[b, a]).await), "others[1]");
    assert_eq!(field(merge(&bench.ctx, a, &[b, model]).await), "others[1]");
    assert_eq!(merge(&stranger, a, &[b]).await.kind, Kind::NotFound);
    assert_eq!(merge(&bench.ctx, a, &[bench.ctx.new_id().into()]).await.kind, Kind::NotFound);
    assert_eq!(split_asset(&bench.db, &bench.ctx, a, b).await.unwrap_err().kind, Kind::NotFound);
    for role in [Role::Viewer, Role::Responder, Role::Auditor, Role::Sensor] {
        let asker = testing::acting_as(&bench.ctx, role);
        assert_eq!(merge(&asker, a, &[b]).await.kind, Kind::Forbidden);
        assert_eq!(split_asset(&bench.db, &asker, a, b).await.unwrap_err().kind, Kind::Forbidden);
    }
    assert_eq!(bench.names().await.len(), 3);
    merge_assets(&bench.db, &bench.ctx, a, &[b]).await.unwrap();
    merge_assets(&bench.db, &bench.ctx, a, &[b]).await.unwrap();
    let merges: i64 = sqlx::query_scalar("select count(*) from audit_entry where action = 'asset.merged'")
        .fetch_one(&bench.pool)
        .await
        .unwrap();
    assert_eq!(merges, 1, "what is part of it already stays so");
    assert_eq!(split_asset(&bench.db, &stranger, a, b).await.unwrap_err().kind, Kind::NotFound);
    assert!(inventory::aliases::of(&bench.db, &stranger, &[a]).await.unwrap().is_empty());
}

/// A table that refers to findings must be moved when two become one, and one that refers to assets must be read through the alias.
#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn every_table_that_refers_to_what_is_merged_is_thought_of(pool: PgPool) {
    let referring = async |to: &str| -> Vec<String> {
        sqlx::query_scalar(
            "select conrelid::regclass::text from pg_constraint where contype = 'f' and confrelid = $1::regclass group by conrelid order by conrelid::regclass::text collate \"C\"",
        )
        .bind(to)
        .fetch_all(&pool)
        .await
        .unwrap()
    };
    let (findings, assets) = (referring("finding").await, referring("asset").await);
    assert_eq!(findings, ["decision", "finding_event", "occurrence"], "see findings/aliases_repo.rs");
    let known = [
        "api_token",
        "assessment",
        "asset",
        "asset_change",
        "asset_relation",
        "asset_risk",
        "asset_statement",
        "containment",
        "containment_agent",
        "finding",
        "scan",
        "score_dirty",
        "sensor",
    ];
    assert_eq!(assets, known, "see inventory/aliases.rs");
}
