use super::*;
use crate::{
    jobs::Outcome,
    kernel::{Clock, Ctx, Db, Permission, testing},
};
use sqlx::PgPool;
use stance_engine::risk::{risk_of_weight, weight};
use stance_shared::{AssetId, Criticality, Layer};
use uuid::Uuid;

struct Bench {
    pool: PgPool,
    db: Db,
    ctx: Ctx,
}

impl Bench {
    async fn new(pool: PgPool) -> Self {
        let ctx = testing::organization(&pool, &testing::clock(), "acme").await;
        Self { db: testing::db(&pool), pool, ctx }
    }

    async fn asset(&self, kind: &str, key: &str, criticality: &str) -> AssetId {
        let id = Clock::System.new_id();
        sqlx::query(
            "insert into asset (tenant_id, id, kind, external_key, name, criticality, first_seen, last_seen, risk_factor)
             values ($1, $2, $3, $4, $4, $5, $6, $6, $7)",
        )
        .bind(self.ctx.tenant.0)
        .bind(id)
        .bind(kind)
        .bind(key)
        .bind(criticality)
        .bind(self.ctx.now())
        .bind(stance_engine::risk::constants::criticality(criticality.parse::<Criticality>().unwrap()))
        .execute(&self.pool)
        .await
        .unwrap();
        AssetId(id)
    }

    async fn finding(&self, asset: AssetId, layer: &str, base: f64) -> Uuid {
        let id = Clock::System.new_id();
        sqlx::query(
            "insert into finding (tenant_id, id, fingerprint, asset_id, layer, severity, rule, title, description, remediation,
                 categories, base_risk, risk, first_seen)
             values ($1, $2, $2, $3, $4, 0, 'r', 't', '', '', '', $5, $5, $6)",
        )
        .bind(self.ctx.tenant.0)
        .bind(id)
        .bind(asset.0)
        .bind(layer)
        .bind(base)
        .bind(self.ctx.now())
        .execute(&self.pool)
        .await
        .unwrap();
        id
    }

    async fn relate(&self, from: AssetId, kind: &str, to: AssetId) {
        sqlx::query("insert into asset_relation values ($1, gen_random_uuid(), $2, $3, $4, 'test', now(), now())")
            .bind(self.ctx.tenant.0)
            .bind(from.0)
            .bind(kind)
            .bind(to.0)
            .execute(&self.pool)
            .await
            .unwrap();
    }

    async fn recompute(&self, assets: &[AssetId]) {
        let mut tx = self.db.begin(&self.ctx, Permission::AssetWrite).await.unwrap();
        mark_dirty(&mut tx, assets).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(jobs::recompute(&self.db, &self.ctx).await.unwrap(), Outcome::Done);
        let left: i64 = sqlx::query_scalar("select count(*) from score_dirty").fetch_one(&self.pool).await.unwrap();
        assert_eq!(left, 0);
    }

    async fn risk(&self, asset: AssetId) -> AssetRisk {
        asset_risks(&self.db, &self.ctx, &[asset]).await.unwrap().remove(&asset).unwrap()
    }
}

fn close(a: Option<f64>, b: f64) -> bool {
    a.is_some_and(|a| (a - b).abs() < 1e-9)
}

#[sqlx::test(migrations = false)]
async fn one_finding_gives_its_own_risk_and_what_was_never_looked_at_is_unassessed(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let model = bench.asset("MODEL", "m", "MEDIUM").await;
    let idle = bench.asset("MODEL", "idle", "MEDIUM").await;
    bench.finding(model, "MODEL", 0.7).await;
    bench.recompute(&[model, idle]).await;
    let risk = bench.risk(model).await;
    assert!(close(risk.all.residual, 0.7), "{risk:?}");
    assert_eq!((risk.layers[&Layer::Data].residual, risk.all.open_findings), (None, 1));
    assert_eq!(bench.risk(idle).await.all.residual, None);
    let posture = posture(&bench.db, &bench.ctx).await.unwrap();
    assert!(close(posture.all.residual, 0.7), "{posture:?}");
    assert_eq!((posture.assets, posture.assessed), (2, 1));
    assert!(posture.all.checks_total > posture.all.checks_fresh);
    let stored: Option<f64> =
        sqlx::query_scalar("select risk from asset where id = $1").bind(model.0).fetch_one(&bench.pool).await.unwrap();
    assert!(close(stored, 0.7));
}

#[sqlx::test(migrations = false)]
async fn accepted_risk_is_inherent_only_and_resolved_is_neither(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let model = bench.asset("MODEL", "m", "MEDIUM").await;
    let accepted = bench.finding(model, "MODEL", 0.7).await;
    let gone = bench.finding(model, "MODEL", 0.9).await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "with d as (insert into decision values ('{t}', gen_random_uuid(), '{accepted}', 'RISK_ACCEPTED', 'r', now() + interval '1 day',
             gen_random_uuid(), null, 'x', now(), null) returning id)
         update finding set decision_id = d.id, decision_kind = 'RISK_ACCEPTED' from d where finding.id = '{accepted}';
         update finding set active = false, resolved_at = now() where id = '{gone}'",
        t = bench.ctx.tenant.0
    )))
    .execute(&bench.pool)
    .await
    .unwrap();
    bench.recompute(&[model]).await;
    let risk = bench.risk(model).await;
    assert!(close(risk.all.residual, 0.0) && close(risk.all.inherent, 0.7), "{risk:?}");
}

#[sqlx::test(migrations = false)]
async fn an_agent_carries_its_models_risk_and_changes_with_it(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let agent = bench.asset("AGENT", "a", "MEDIUM").await;
    let model = bench.asset("MODEL", "m", "MEDIUM").await;
    bench.relate(agent, "USES_MODEL", model).await;
    bench.finding(model, "MODEL", 0.7).await;
    bench.recompute(&[agent, model]).await;
    let risk = bench.risk(agent).await;
    assert!(close(risk.all.residual, 0.7 * 0.8), "{risk:?}");
    assert_eq!((risk.inherited[0].from, risk.inherited[0].path.len()), (model.0, 2));
    bench.finding(model, "MODEL", 0.9).await;
    bench.recompute(&[model]).await;
    let more = bench.risk(agent).await;
    assert!(more.all.residual > risk.all.residual, "only the model was marked");
    assert_ne!(more.input_hash, risk.input_hash);
}

#[sqlx::test(migrations = false)]
async fn shares_add_up_and_what_if_agrees_with_closing(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let model = bench.asset("MODEL", "m", "HIGH").await;
    let mut worst = Uuid::nil();
    for base in [0.15, 0.4, 0.4, 0.7] {
        worst = bench.finding(model, "MODEL", base).await;
    }
    bench.recompute(&[model]).await;
    let risk = bench.risk(model).await;
    let total = risk.all.residual.unwrap();
    let shares = shares(&bench.db, &bench.ctx, &[model], 2).await.unwrap().remove(&model).unwrap();
    assert_eq!((shares.items.len(), shares.other_count), (2, 2));
    assert_eq!(shares.items[0].finding.unwrap().0, worst);
    // Criticality HIGH was applied to the findings by the job.
    assert!((shares.items[0].risk - 0.7 * 1.15).abs() < 1e-9);
    let sum: f64 = shares.items.iter().map(|share| share.points).sum::<f64>() + shares.other_points;
    assert!((sum - 100.0 * total).abs() < 1e-9);

    let top = top_findings(&bench.db, &bench.ctx, 1).await.unwrap();
    assert_eq!(top.findings[0].0, worst);
    sqlx::query("update finding set active = false, resolved_at = now() where id = $1")
        .bind(worst)
        .execute(&bench.pool)
        .await
        .unwrap();
    bench.recompute(&[model]).await;
    let after = bench.risk(model).await.all.residual.unwrap();
    assert!((after - risk_of_weight(weight(total) - weight(0.7 * 1.15))).abs() < 1e-9);
    assert!(close(top.risk_after, after), "{top:?}");
}

#[sqlx::test(migrations = false)]
async fn each_day_has_one_point_and_checks_grow_stale_by_time_alone(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let model = bench.asset("MODEL", "m", "MEDIUM").await;
    sqlx::query("insert into assessment values ($1, $2, 'red-teamed', $3, 'garak')")
        .bind(bench.ctx.tenant.0)
        .bind(model.0)
        .bind(bench.ctx.now())
        .execute(&bench.pool)
        .await
        .unwrap();
    bench.recompute(&[model]).await;
    bench.recompute(&[model]).await;
    assert!(close(bench.risk(model).await.all.residual, 0.0), "assessed, and nothing found");
    let fresh = posture(&bench.db, &bench.ctx).await.unwrap().all.checks_fresh;
    bench.ctx.clock.advance(chrono::Duration::days(31));
    jobs::daily_snapshot(&bench.db, &bench.ctx).await.unwrap();
    assert_eq!(posture(&bench.db, &bench.ctx).await.unwrap().all.checks_fresh, fresh - 1);
    let history = posture_history(&bench.db, &bench.ctx, Scope::All, 60).await.unwrap();
    assert_eq!(history.len(), 2);
    assert_eq!(asset_history(&bench.db, &bench.ctx, &[model], 60).await.unwrap()[&model].len(), 2);
    let gaps = gaps(&bench.db, &bench.ctx, 10).await.unwrap();
    assert!(gaps.iter().any(|gap| gap.check == "red-teamed" && gap.assets == 1), "{gaps:?}");
}

#[sqlx::test(migrations = false)]
async fn a_mark_made_while_computing_is_kept(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let model = bench.asset("MODEL", "m", "MEDIUM").await;
    let mark = async || {
        let mut tx = bench.db.begin(&bench.ctx, Permission::AssetWrite).await.unwrap();
        mark_dirty(&mut tx, &[model]).await.unwrap();
        tx.commit().await.unwrap();
    };
    mark().await;
    let mut tx = bench.db.begin(&bench.ctx, Permission::AssetWrite).await.unwrap();
    let (ids, versions) = super::repo::marked(&mut tx).await.unwrap();
    mark().await;
    super::repo::unmark(&mut tx, &ids, &versions).await.unwrap();
    tx.commit().await.unwrap();
    let left: i64 = sqlx::query_scalar("select count(*) from score_dirty").fetch_one(&bench.pool).await.unwrap();
    assert_eq!(left, 1);
}

#[sqlx::test(migrations = false)]
async fn nothing_at_all_is_unassessed_and_still_has_its_day(pool: PgPool) {
    let bench = Bench::new(pool).await;
    jobs::daily_snapshot(&bench.db, &bench.ctx).await.unwrap();
    let posture = posture(&bench.db, &bench.ctx).await.unwrap();
    assert_eq!((posture.all.residual, posture.assets, posture.all.completeness()), (None, 0, 1.0));
    assert_eq!(day_changes(&bench.db, &bench.ctx, 7).await.unwrap().len(), 7);
    assert_eq!(top_findings(&bench.db, &bench.ctx, 5).await.unwrap(), TopFindings::default());
}
