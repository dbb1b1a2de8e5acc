//! Containment against a database, with this process as the server whose inspect API enforces.

use super::{enforce::Enforcer, points, views, *};
use crate::{
    kernel::{Ctx, Db, Error, Kind, Permission, outbound::Outbound, tasks::Tasks, testing},
    live::Hub,
    runtime::{Guard, Recorder, guard},
};
use chrono::Duration as Span;
use sqlx::PgPool;
use stance_shared::{AssetId, Channel, ContainmentId, ContainmentStatus, EnforcementStatus, TenantId, Verdict};
use std::time::{Duration, Instant};
use uuid::Uuid;

struct Bench {
    pool: PgPool,
    db: Db,
    ctx: Ctx,
    enforcer: Enforcer,
    /// What tells this server that something changed.
    hub: Tasks,
}

impl Bench {
    async fn new(pool: PgPool) -> Self {
        let ctx = testing::organization(&pool, &testing::clock(), "ours").await;
        let (db, hub) = (testing::db(&pool), Tasks::default());
        let live = Hub::start(&db, &hub);
        let recorder = Recorder::start(&db, &ctx.clock, &Tasks::default());
        let guard = Guard::new(db.clone(), ctx.clock.clone(), live.clone(), recorder).unwrap();
        let outbound = Outbound::for_tests(&ctx.clock, true);
        let process = ctx.new_id();
        let enforcer = Enforcer { db: db.clone(), clock: ctx.clock.clone(), live, guard, outbound, process };
        let bench = Self { pool, db, ctx, enforcer, hub };
        bench.beat().await;
        bench
    }

    /// A sign of life of this server.
    async fn beat(&self) {
        sqlx::query(
            "insert into server_process values ($1, 'test', $2, $2) on conflict (id) do update set last_seen_at = $2",
        )
        .bind(self.enforcer.process)
        .bind(self.ctx.now())
        .execute(&self.pool)
        .await
        .unwrap();
    }

    async fn agent(&self, key: &str) -> AssetId {
        let id = self.ctx.new_id();
        sqlx::query(
            "insert into asset (tenant_id, id, kind, external_key, name, first_seen, last_seen, risk_factor)
             values ($1, $2, 'AGENT', $3, $3, now(), now(), 1)",
        )
        .bind(self.ctx.tenant.0)
        .bind(id)
        .bind(key)
        .execute(&self.pool)
        .await
        .unwrap();
        AssetId(id)
    }

    async fn delegates(&self, from: AssetId, to: AssetId) {
        sqlx::query(
            "insert into asset_relation (tenant_id, id, from_id, kind, to_id, source, first_seen, last_seen)
             values ($1, $2, $3, 'DELEGATES_TO', $4, 'test', now(), now())",
        )
        .bind(self.ctx.tenant.0)
        .bind(self.ctx.new_id())
        .bind(from.0)
        .bind(to.0)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    async fn quarantine(&self, order: &Order) -> Result<ContainmentId, Error> {
        let mut tx = self.db.begin(&self.ctx, Permission::AgentQuarantine).await?;
        let id = quarantine(&mut tx, order).await?;
        tx.commit().await?;
        Ok(id)
    }

    async fn release(&self, id: ContainmentId, key: Option<&str>) -> Result<(), Error> {
        let mut tx = self.db.begin(&self.ctx, Permission::AgentRelease).await?;
        release(&mut tx, id, "cleaned", key).await?;
        tx.commit().await
    }

    /// What a server does when it hears of a change.
    async fn tend(&self) {
        self.enforcer.prove(&self.ctx).await.unwrap();
        keep(&self.db, &self.ctx, &self.enforcer.outbound).await.unwrap();
        self.enforcer.prove(&self.ctx).await.unwrap();
    }

    async fn status(&self, id: ContainmentId) -> ContainmentStatus {
        views::by_ids(&self.db, &self.ctx, &[id]).await.unwrap().pop().unwrap().status
    }

    async fn asked(&self, agent: &str) -> Verdict {
        let asked = guard::Asked {
            agent: Some(agent.into()),
            channel: Some(Channel::UserInput),
            text: Some("good morning".into()),
            ..guard::Asked::default()
        };
        self.enforcer.guard.inspect(&self.ctx, asked).await.unwrap().decision.verdict
    }

    /// Executes SQL as the organization, as a program with a mistake would.
    async fn try_sql(&self, sql: &'static str, id: ContainmentId) -> Result<(), Error> {
        let mut tx = self.db.begin(&self.ctx, Permission::AgentQuarantine).await?;
        sqlx::query(sql).bind(id.0).execute(tx.conn()).await?;
        tx.commit().await
    }
}

fn order(agent: AssetId) -> Order {
    Order { agent, grade: Grade::BlockAll, reason: "taken over".into(), expires_at: None, incident: None, key: None }
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn it_holds_the_agent_and_its_children_and_is_proven_by_this_server(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let (a, b, c) = (bench.agent("a").await, bench.agent("b").await, bench.agent("c").await);
    for (from, to) in [(a, b), (b, c), (c, a)] {
        bench.delegates(from, to).await;
    }
    bench.agent("other").await;
    let id = bench.quarantine(&order(a)).await.unwrap();
    assert_eq!(bench.status(id).await, ContainmentStatus::Requested);
    bench.tend().await;
    assert_eq!(bench.status(id).await, ContainmentStatus::Proven);
    let seen = views::by_ids(&bench.db, &bench.ctx, &[id]).await.unwrap().pop().unwrap();
    assert_eq!(seen.agents.len(), 3, "the circle ends");
    let steps = views::enforcements(&bench.db, &bench.ctx, &[id]).await.unwrap();
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0].acknowledged_hash.as_deref(), Some(seen.policy_hash.as_str()));
    testing::until("the notice arrived", async || (bench.asked("a").await == Verdict::Block).then_some(())).await;
    assert_eq!((bench.asked("c").await, bench.asked("other").await), (Verdict::Block, Verdict::Allow));

    // A child that is found later is held too, and that is proven anew.
    let d = bench.agent("d").await;
    bench.delegates(c, d).await;
    keep(&bench.db, &bench.ctx, &bench.enforcer.outbound).await.unwrap();
    assert_eq!(bench.status(id).await, ContainmentStatus::Requested, "not proven before it is");
    bench.tend().await;
    assert_eq!(bench.status(id).await, ContainmentStatus::Proven);
    assert_eq!(bench.asked("d").await, Verdict::Block);

    bench.release(id, Some("k")).await.unwrap();
    bench.release(id, Some("k")).await.unwrap();
    assert_eq!(bench.release(id, None).await.unwrap_err().kind, Kind::Conflict);
    assert_eq!(bench.status(id).await, ContainmentStatus::Releasing);
    bench.tend().await;
    assert_eq!(bench.status(id).await, ContainmentStatus::Released);
    assert_eq!((bench.asked("a").await, bench.asked("d").await), (Verdict::Allow, Verdict::Allow));
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn the_database_refuses_what_was_not_reached(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let agent = bench.agent("a").await;
    let id = bench.quarantine(&order(agent)).await.unwrap();
    for wrong in [
        "update containment set status = 'PROVEN', proven_at = now() where id = $1",
        "update containment set status = 'RELEASED' where id = $1",
        "update containment set status = 'RELEASING' where id = $1",
        "update containment set reason = '' where id = $1",
        "update containment set policy_hash = repeat('a', 64) where id = $1",
        "update enforcement set status = 'PROVEN' where containment_id = $1",
        "update enforcement set status = 'ACKNOWLEDGED', dispatched_at = requested_at where containment_id = $1",
        "update enforcement set status = 'FAILED' where containment_id = $1",
        "delete from containment where id = $1",
        "update containment_policy set hash = repeat('a', 64) where $1 is not null",
    ] {
        assert!(bench.try_sql(wrong, id).await.is_err(), "{wrong}");
    }
    bench.tend().await;
    assert_eq!(bench.status(id).await, ContainmentStatus::Proven);
    for wrong in [
        "update enforcement set status = 'REQUESTED', proven_at = null where containment_id = $1",
        "update enforcement set status = 'FAILED', proven_at = null, failed_at = now(), failure = 'x' where containment_id = $1",
        "update containment set proven_at = now() where id = $1",
    ] {
        assert!(bench.try_sql(wrong, id).await.is_err(), "{wrong}");
    }
    let another = "insert into enforcement (tenant_id, containment_id, point_id, phase, revision, nonce, requested_at)
        select c.tenant_id, c.id, p.id, 'CONTAIN', c.revision, p.id, now() from containment c, enforcement_point p
        where c.id = $1 and p.kind = 'HTTP'";
    let reach = points::Reach::Http("https://gateway.example".into());
    points::register(&bench.db, &bench.ctx, &bench.enforcer.outbound, "gateway", reach, None).await.unwrap();
    assert!(bench.try_sql(another, id).await.is_err(), "PROVEN, and a point that is not");
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn an_order_is_carried_out_once_by_its_key(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let agent = bench.agent("a").await;
    let keyed = |key: &str| Order { key: Some(key.into()), ..order(agent) };
    let id = bench.quarantine(&keyed("run-1")).await.unwrap();
    assert_eq!(bench.quarantine(&keyed("run-1")).await.unwrap(), id);
    assert_eq!(bench.quarantine(&keyed("run-2")).await.unwrap(), id, "contained already");
    assert_eq!(bench.quarantine(&order(agent)).await.unwrap_err().kind, Kind::Conflict);
    let milder = Order { grade: Grade::ToolsOnly, ..order(agent) };
    assert_ne!(bench.quarantine(&milder).await.unwrap(), id);
    let missing = order(AssetId(Uuid::from_u128(1)));
    assert_eq!(bench.quarantine(&missing).await.unwrap_err().kind, Kind::NotFound);
    let viewer = testing::acting_as(&bench.ctx, crate::kernel::Role::Viewer);
    assert!(bench.db.begin(&viewer, Permission::AgentQuarantine).await.is_err());
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn what_ends_or_is_late_is_noticed_as_time_passes(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let agent = bench.agent("a").await;
    let until = Some(bench.ctx.now() + Span::minutes(5));
    let id = bench.quarantine(&Order { expires_at: until, ..order(agent) }).await.unwrap();
    // Nobody answers in time, while the server is alive.
    bench.ctx.clock.advance(Span::seconds(20));
    bench.beat().await;
    keep(&bench.db, &bench.ctx, &bench.enforcer.outbound).await.unwrap();
    assert_eq!(bench.status(id).await, ContainmentStatus::Failed);
    let told: i64 = sqlx::query_scalar("select count(*) from notice where topic = 'CONTAINMENT_FAILED'")
        .fetch_one(&bench.pool)
        .await
        .unwrap();
    assert_eq!(told, 1);
    bench.tend().await;
    assert_eq!(bench.status(id).await, ContainmentStatus::Proven, "late");
    let steps = views::enforcements(&bench.db, &bench.ctx, &[id]).await.unwrap();
    assert_eq!(steps[0].failure.as_deref(), Some("It did not acknowledge within 10 s."), "it stays in the record");
    // The server ends, another one begins: the new one has to prove it.
    let before = bench.enforcer.process;
    let next = Enforcer { process: bench.ctx.new_id(), ..bench.enforcer.clone() };
    bench.ctx.clock.advance(Span::seconds(20));
    let bench = Bench { enforcer: next, ..bench };
    bench.beat().await;
    keep(&bench.db, &bench.ctx, &bench.enforcer.outbound).await.unwrap();
    assert_eq!(bench.status(id).await, ContainmentStatus::Requested, "the new server has not proven it");
    bench.tend().await;
    assert_eq!(bench.status(id).await, ContainmentStatus::Proven);
    assert_ne!(before, bench.enforcer.process);

    bench.ctx.clock.advance(Span::minutes(5));
    bench.beat().await;
    keep(&bench.db, &bench.ctx, &bench.enforcer.outbound).await.unwrap();
    assert_eq!(bench.status(id).await, ContainmentStatus::Releasing);
    bench.tend().await;
    assert_eq!(bench.status(id).await, ContainmentStatus::Expired);
    let audited: Vec<String> =
        sqlx::query_scalar("select action from audit_entry where target_id = $1 order by sequence")
            .bind(id.to_string())
            .fetch_all(&bench.pool)
            .await
            .unwrap();
    assert_eq!(
        audited,
        [
            "agent.quarantined",
            "containment.failed",
            "containment.proven",
            "containment.proven",
            "containment.expired",
            "containment.released"
        ]
    );
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn a_server_that_ends_before_it_proved_counts_no_more_and_nothing_is_proven_by_nobody(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let agent = bench.agent("a").await;
    let id = bench.quarantine(&order(agent)).await.unwrap();
    bench.ctx.clock.advance(Span::seconds(30));
    keep(&bench.db, &bench.ctx, &bench.enforcer.outbound).await.unwrap();
    let steps = views::enforcements(&bench.db, &bench.ctx, &[id]).await.unwrap();
    assert_eq!(steps[0].status, EnforcementStatus::Gone);
    assert_eq!(bench.status(id).await, ContainmentStatus::Failed, "nothing enforces it");
    bench.beat().await;
    bench.tend().await;
    assert_eq!(bench.status(id).await, ContainmentStatus::Proven, "it was only away");
}

/// What the guard knows is at most [`guard::REFRESH`] old, also when no notice arrives.
#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn without_a_notice_containment_and_policies_count_within_the_refresh(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let agent = bench.agent("a").await;
    assert_eq!((bench.asked("a").await, bench.asked("b").await), (Verdict::Allow, Verdict::Allow));
    // Nobody listens any more.
    assert!(bench.hub.shutdown(Duration::from_secs(20)).await);
    let begin = Instant::now();
    bench.quarantine(&order(agent)).await.unwrap();
    let draft = crate::runtime::policies::Draft {
        id: None,
        name: "all".into(),
        agents: Vec::new(),
        document: serde_json::json!({ "preset": "balanced", "budgets": { "requestsPerMinute": 1 } }),
        note: String::new(),
    };
    let policy = crate::runtime::policies::save(&bench.db, &bench.ctx, draft).await.unwrap();
    crate::runtime::policies::activate(&bench.db, &bench.ctx, policy.id, Some(1)).await.unwrap();
    let ask = async |agent: &str| {
        let asked = guard::Asked {
            agent: Some(agent.into()),
            channel: Some(Channel::UserInput),
            text: Some("good morning".into()),
            ..guard::Asked::default()
        };
        bench.enforcer.guard.try_out(&bench.ctx, asked, None).await.unwrap()
    };
    let hash = ask("b").await.policy_hash;
    testing::until("the containment counts", async || {
        (ask("a").await.decision.verdict == Verdict::Block).then_some(())
    })
    .await;
    testing::until("the policy counts", async || (ask("b").await.policy_hash != hash).then_some(())).await;
    let took = begin.elapsed();
    assert!(took < guard::REFRESH + Duration::from_secs(3), "{took:?}");
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn organizations_do_not_see_each_others_containments(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let agent = bench.agent("a").await;
    let id = bench.quarantine(&order(agent)).await.unwrap();
    let theirs = testing::organization(&bench.pool, &bench.ctx.clock, "theirs").await;
    assert_ne!(theirs.tenant, TenantId(bench.ctx.tenant.0));
    assert!(views::by_ids(&bench.db, &theirs, &[id]).await.unwrap().is_empty());
    assert!(views::points(&bench.db, &theirs, None).await.unwrap().is_empty(), "no server was made known to them yet");
    let mut tx = bench.db.begin(&theirs, Permission::AgentRelease).await.unwrap();
    assert_eq!(release(&mut tx, id, "x", None).await.unwrap_err().kind, Kind::NotFound);
    drop(tx);
    let mut tx = bench.db.begin(&theirs, Permission::AgentQuarantine).await.unwrap();
    assert_eq!(quarantine(&mut tx, &order(agent)).await.unwrap_err().kind, Kind::NotFound);
}
