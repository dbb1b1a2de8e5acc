use super::{
    acts::{self, Change, Serious},
    clocks, correlate,
    domain::*,
    reading::{self, Filter, Line},
};
use crate::kernel::{Ctx, Db, Kind, Role, page::Page, testing};
use chrono::{DateTime, Duration, Utc};
use sqlx::PgPool;
use stance_shared::{AssetId, ClockKind, ClockState, IncidentId, IncidentStatus, SeriousKind, Severity};

use IncidentStatus::{Closed, Contained, Eradicated, Recovered, Triaged};

async fn begin(pool: &PgPool) -> (Db, Ctx) {
    (testing::db(pool), testing::organization(pool, &testing::clock(), "ours").await)
}

fn opening(title: &str) -> Opening<'_> {
    Opening {
        title,
        summary: "",
        severity: Severity::Critical,
        opened_by: Origin::Person,
        dedup_key: None,
        items: Vec::new(),
    }
}

async fn get(db: &Db, ctx: &Ctx, id: IncidentId) -> Incident {
    reading::by_ids(db, ctx, &[id]).await.unwrap().remove(&id).unwrap()
}

async fn all(db: &Db, ctx: &Ctx) -> Vec<Incident> {
    reading::list(db, ctx, &Filter::default(), &Page { first: 100, after: None }).await.unwrap().items
}

async fn lines(db: &Db, ctx: &Ctx, id: IncidentId) -> Vec<Line> {
    reading::timeline(db, ctx, id, &Page { first: 100, after: None }).await.unwrap().items
}

async fn to(db: &Db, ctx: &Ctx, id: IncidentId, status: IncidentStatus) -> crate::kernel::Result<()> {
    let closing = status == Closed;
    let with = Transition {
        reason: "because",
        root_cause: closing.then_some("a hole"),
        lessons: closing.then_some("mend it"),
    };
    acts::transition(db, ctx, id, status, with).await
}

async fn clock(db: &Db, ctx: &Ctx, id: IncidentId, kind: ClockKind) -> IncidentClock {
    let clocks = reading::clocks(db, ctx, &[id]).await.unwrap().remove(&id).unwrap();
    clocks.into_iter().find(|clock| clock.kind == kind).unwrap()
}

async fn agent(pool: &PgPool, ctx: &Ctx, name: &str) -> AssetId {
    let id = ctx.new_id();
    sqlx::query(
        "insert into asset (tenant_id, id, kind, external_key, name, first_seen, last_seen, risk_factor)
         values ($1, $2, 'AGENT', $3, $3, $4, $4, 1)",
    )
    .bind(ctx.tenant.0)
    .bind(id)
    .bind(name)
    .bind(ctx.now())
    .execute(pool)
    .await
    .unwrap();
    AssetId(id)
}

/// Blocked prompts of an agent, one every millisecond.
async fn blocked(connection: &mut sqlx::PgConnection, ctx: &Ctx, agent: AssetId, count: i32) {
    sqlx::query(
        "insert into event (tenant_id, received_at, id, at, agent_id, kind, channel, verdict, score, detections, session)
         select $1, $2, (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || substr(md5(random()::text), 1, 20))::uuid,
             at, $3, 'PROMPT', 'USER_INPUT', 'BLOCK', 0.9, '[{\"rule\": \"injection.override\", \"reason\": \"takes over\"}]', 's'
         from (select $2::timestamptz - interval '1 minute' + n * interval '1 millisecond' as at from generate_series(1, $4) n) e",
    )
    .bind(ctx.tenant.0)
    .bind(ctx.now())
    .bind(agent.0)
    .bind(count)
    .execute(connection)
    .await
    .unwrap();
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn the_database_knows_the_same_path(pool: PgPool) {
    let (db, ctx) = begin(&pool).await;
    for from in IncidentStatus::ALL {
        for to in IncidentStatus::ALL {
            let allowed: bool = sqlx::query_scalar("select incident_may_become($1, $2)")
                .bind(from.as_str())
                .bind(to.as_str())
                .fetch_one(&pool)
                .await
                .unwrap();
            assert_eq!(allowed, step(*from, *to).is_some(), "{from} to {to}");
        }
    }
    // Whoever writes past the program is refused as well, and nothing can be written over.
    let id = acts::open(&db, &ctx, opening("A")).await.unwrap().id;
    for (statement, constraint) in [
        ("update incident set status = 'RECOVERED'", "incident_transition"),
        ("update incident set number = 7", "incident_origin"),
        ("update incident set status = 'CLOSED', closed_at = now()", "incident_check1"),
        ("update incident_clock set started_at = started_at - interval '1 hour'", "incident_clock_started"),
    ] {
        let error = sqlx::query(statement).execute(&pool).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().constraint(), Some(constraint), "{statement}");
    }
    for statement in ["update incident_entry set text = 'x'", "delete from incident_entry"] {
        assert!(sqlx::query(statement).execute(&pool).await.is_err(), "{statement}");
    }
    assert_eq!(lines(&db, &ctx, id).await.len(), 1);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn an_incident_goes_its_path_and_a_step_can_be_taken_back(pool: PgPool) {
    let (db, ctx) = begin(&pool).await;
    let id = acts::open(&db, &ctx, opening("A")).await.unwrap().id;
    assert_eq!(get(&db, &ctx, id).await.number, 1);
    assert_eq!(acts::open(&db, &ctx, opening("B")).await.unwrap().id, all(&db, &ctx).await[0].id);
    let error = to(&db, &ctx, id, Recovered).await.unwrap_err();
    assert!(error.kind == Kind::Conflict && error.public.contains("TRIAGED, CONTAINED, CLOSED"), "{error:?}");
    assert_eq!(acts::undo(&db, &ctx, id).await.unwrap_err().kind, Kind::Conflict, "nothing was done yet");

    let started = clock(&db, &ctx, id, ClockKind::Triage).await;
    assert_eq!(started.due_at - started.started_at, Duration::minutes(15));
    ctx.clock.advance(Duration::minutes(5));
    to(&db, &ctx, id, Triaged).await.unwrap();
    to(&db, &ctx, id, Triaged).await.unwrap();
    assert_eq!(clock(&db, &ctx, id, ClockKind::Triage).await.state(ctx.now()), ClockState::Met);
    ctx.clock.advance(Duration::minutes(15));
    acts::undo(&db, &ctx, id).await.unwrap();
    let again = clock(&db, &ctx, id, ClockKind::Triage).await;
    assert_eq!((again.started_at, again.due_at), (started.started_at, started.due_at), "it was never restarted");
    assert_eq!(again.state(ctx.now()), ClockState::Breached);

    for status in [Contained, Eradicated, Recovered] {
        to(&db, &ctx, id, status).await.unwrap();
    }
    let bare = Transition::default();
    let error = acts::transition(&db, &ctx, id, Closed, bare).await.unwrap_err();
    assert_eq!(error.fields[0].field, "rootCause");
    to(&db, &ctx, id, Closed).await.unwrap();
    let closed = get(&db, &ctx, id).await;
    assert_eq!((closed.status, closed.root_cause.as_str(), closed.undo), (Closed, "a hole", None));
    assert_eq!(acts::transition(&db, &ctx, id, Triaged, Transition::default()).await.unwrap_err().kind, Kind::BadInput);
    to(&db, &ctx, id, Triaged).await.unwrap();
    assert_eq!(get(&db, &ctx, id).await.closed_at, None);
    let told: Vec<String> = lines(&db, &ctx, id).await.into_iter().map(|line| line.text).collect();
    assert!(told[0].starts_with("Reopened by owner@ours.example: because"), "{told:?}");
    assert_eq!(told.len(), 8, "{told:?}");
    let viewer = testing::acting_as(&ctx, Role::Viewer);
    assert_eq!(to(&db, &viewer, id, Contained).await.unwrap_err().kind, Kind::Forbidden);
    let theirs = testing::organization(&pool, &ctx.clock, "theirs").await;
    assert_eq!(to(&db, &theirs, id, Contained).await.unwrap_err().kind, Kind::NotFound);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn a_key_holds_one_incident_until_it_is_closed(pool: PgPool) {
    let (db, ctx) = begin(&pool).await;
    let keyed = || Opening { dedup_key: Some("k"), ..opening("A") };
    let opened = futures::future::join_all((0..8).map(|_| acts::open(&db, &ctx, keyed()))).await;
    let opened: Vec<Opened> = opened.into_iter().map(Result::unwrap).collect();
    assert_eq!(opened.iter().filter(|opened| opened.new).count(), 1);
    assert!(opened.iter().all(|other| other.id == opened[0].id));
    to(&db, &ctx, opened[0].id, Closed).await.unwrap();
    let next = acts::open(&db, &ctx, keyed()).await.unwrap();
    assert!(next.new && next.id != opened[0].id);
    // Reopened, it has lost its key to the one that came after.
    to(&db, &ctx, opened[0].id, Triaged).await.unwrap();
    assert_eq!(acts::open(&db, &ctx, keyed()).await.unwrap().id, next.id);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn clocks_pause_and_tell_once_that_they_ran_out(pool: PgPool) {
    let (db, ctx) = begin(&pool).await;
    let id = acts::open(&db, &ctx, opening("A")).await.unwrap().id;
    ctx.clock.advance(Duration::minutes(10));
    assert_eq!(clocks::pause(&db, &ctx, id, ClockKind::Triage, " ").await.unwrap_err().fields[0].field, "reason");
    clocks::pause(&db, &ctx, id, ClockKind::Triage, "waits for the vendor").await.unwrap();
    assert_eq!(clocks::pause(&db, &ctx, id, ClockKind::Triage, "again").await.unwrap_err().kind, Kind::Conflict);
    ctx.clock.advance(Duration::minutes(30));
    assert_eq!(clocks::watch(&db, &ctx).await.unwrap(), 0, "it is paused");
    clocks::resume(&db, &ctx, id, ClockKind::Triage).await.unwrap();
    let resumed = clock(&db, &ctx, id, ClockKind::Triage).await;
    assert_eq!(resumed.due_at - resumed.started_at, Duration::minutes(45));
    ctx.clock.advance(Duration::minutes(5));
    assert_eq!(clocks::watch(&db, &ctx).await.unwrap(), 1);
    assert_eq!(clocks::watch(&db, &ctx).await.unwrap(), 0);
    let told = lines(&db, &ctx, id).await;
    assert_eq!(told.iter().filter(|line| line.text.starts_with("The time to triage ran out")).count(), 1);
    let notices: i64 =
        sqlx::query_scalar("select count(*) from notice where topic = 'SLA_BREACHED'").fetch_one(&pool).await.unwrap();
    assert_eq!(notices, 1);
    // Another severity has other targets, from when it was opened.
    acts::update(&db, &ctx, id, Change { severity: Some(Severity::High), ..Change::default() }).await.unwrap();
    let retargeted = clock(&db, &ctx, id, ClockKind::Triage).await;
    assert_eq!(retargeted.due_at - retargeted.started_at, Duration::minutes(90));
    assert_eq!(retargeted.state(ctx.now()), ClockState::Running);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn ten_thousand_events_make_one_incident_whoever_counts_them(pool: PgPool) {
    let (db, ctx) = begin(&pool).await;
    let ours = agent(&pool, &ctx, "support").await;
    crate::runtime::partitions::Known::default().ensure(&db, [ctx.now()].into_iter()).await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    blocked(&mut connection, &ctx, ours, 9).await;
    correlate::run(&db, &ctx).await.unwrap();
    assert!(all(&db, &ctx).await.is_empty(), "nine are not enough");
    // One writer is slower than a look: its events come to light later than others that were received after them.
    let mut slow = pool.begin_with("begin").await.unwrap();
    blocked(&mut slow, &ctx, ours, 500).await;
    blocked(&mut connection, &ctx, ours, 9_491).await;
    let workers = futures::future::join_all((0..4).map(|_| correlate::run(&db, &ctx))).await;
    assert_eq!(workers.into_iter().map(Result::unwrap).sum::<usize>(), 1);
    slow.commit().await.unwrap();
    for _ in 0..3 {
        assert_eq!(correlate::run(&db, &ctx).await.unwrap(), 0);
    }
    let found = all(&db, &ctx).await;
    assert_eq!(found.len(), 1);
    let incident = &found[0];
    assert_eq!((incident.events, incident.rule.as_deref()), (10_000, Some("blocked-prompt-burst")));
    assert_eq!(incident.title, "Attack on support: one blocked prompt after another");
    assert_eq!(incident.opened_by, "correlation");
    let of = |kind| {
        let (db, ctx, id) = (&db, &ctx, incident.id);
        async move { reading::items(db, ctx, &[id], kind, 1000).await.unwrap().remove(&id).unwrap_or_default() }
    };
    assert_eq!(of("ASSET").await, [ours.0]);
    let sample = of("EVENT").await.len();
    assert!((1..=100).contains(&sample), "a sample of {sample}");
    let pending: i64 = sqlx::query_scalar("select count(*) from correlation_count where rule = 'blocked-prompt-burst'")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(pending, 0, "what an incident took is counted there only");

    // Closed: the same facts open nothing; new ones do.
    to(&db, &ctx, incident.id, Closed).await.unwrap();
    assert_eq!(correlate::run(&db, &ctx).await.unwrap(), 0);
    blocked(&mut connection, &ctx, ours, 10).await;
    assert_eq!(correlate::run(&db, &ctx).await.unwrap(), 1);
    assert_eq!(all(&db, &ctx).await.len(), 2);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn events_far_apart_are_no_burst_and_a_rule_can_be_turned_off(pool: PgPool) {
    let (db, ctx) = begin(&pool).await;
    let ours = agent(&pool, &ctx, "support").await;
    let mut connection = pool.acquire().await.unwrap();
    for _ in 0..4 {
        crate::runtime::partitions::Known::default().ensure(&db, [ctx.now()].into_iter()).await.unwrap();
        blocked(&mut connection, &ctx, ours, 5).await;
        assert_eq!(correlate::run(&db, &ctx).await.unwrap(), 0);
        ctx.clock.advance(Duration::minutes(20));
    }
    correlate::set_rule(&db, &ctx, "blocked-prompt-burst", false, None).await.unwrap();
    blocked(&mut connection, &ctx, ours, 50).await;
    assert_eq!(correlate::run(&db, &ctx).await.unwrap(), 0);
    correlate::set_rule(&db, &ctx, "blocked-prompt-burst", true, Some(3)).await.unwrap();
    blocked(&mut connection, &ctx, ours, 3).await;
    assert_eq!(correlate::run(&db, &ctx).await.unwrap(), 1);
    assert_eq!(correlate::set_rule(&db, &ctx, "no-such", true, None).await.unwrap_err().kind, Kind::NotFound);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn incidents_are_merged_and_split(pool: PgPool) {
    let (db, ctx) = begin(&pool).await;
    let (one, two) = (agent(&pool, &ctx, "one").await, agent(&pool, &ctx, "two").await);
    let keyed = |title, key, asset| Opening { dedup_key: Some(key), items: vec![Item::Asset(asset)], ..opening(title) };
    let a = acts::open(&db, &ctx, keyed("A", "a", one)).await.unwrap().id;
    ctx.clock.advance(Duration::minutes(30));
    let b = acts::open(&db, &ctx, keyed("B", "b", two)).await.unwrap().id;
    assert_eq!(acts::merge(&db, &ctx, b, &[b]).await.unwrap_err().kind, Kind::BadInput);
    acts::merge(&db, &ctx, b, &[a]).await.unwrap();
    let merged = get(&db, &ctx, a).await;
    assert_eq!((merged.status, merged.merged_into), (Closed, Some(b)));
    assert_eq!(
        acts::open(&db, &ctx, keyed("A again", "a", one)).await.unwrap().id,
        b,
        "the key leads to the one it became part of"
    );
    let mut assets = reading::items(&db, &ctx, &[b], "ASSET", 10).await.unwrap().remove(&b).unwrap();
    assets.sort();
    assert_eq!(assets, [one.0, two.0]);
    assert!(
        lines(&db, &ctx, b).await.iter().any(|line| line.text == "Opened by owner@ours.example" && line.at < ctx.now())
    );
    assert_eq!(to(&db, &ctx, a, Triaged).await.unwrap_err().kind, Kind::Conflict);
    assert_eq!(acts::merge(&db, &ctx, b, &[a]).await.unwrap_err().kind, Kind::Conflict);

    let c = acts::split(&db, &ctx, b, &[Item::Asset(one)], "Only one").await.unwrap();
    assert_eq!(reading::items(&db, &ctx, &[c], "ASSET", 10).await.unwrap()[&c], [one.0]);
    assert_eq!(reading::items(&db, &ctx, &[b], "ASSET", 10).await.unwrap()[&b], [two.0]);
    let none = acts::split(&db, &ctx, b, &[Item::Asset(one)], "Nothing").await.unwrap_err();
    assert_eq!(none.fields[0].field, "items");
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn a_serious_incident_is_due_and_says_what_is_missing(pool: PgPool) {
    let (db, ctx) = begin(&pool).await;
    let id = acts::open(&db, &ctx, opening("A")).await.unwrap().id;
    let aware: DateTime<Utc> = ctx.now() - Duration::days(1);
    let mark = Serious { kind: Some(SeriousKind::Death), aware_at: Some(aware), ..Serious::default() };
    acts::serious(&db, &ctx, id, mark.clone()).await.unwrap();
    assert_eq!(clock(&db, &ctx, id, ClockKind::Article73).await.due_at, aware + Duration::days(10));
    assert_eq!(acts::missing(&get(&db, &ctx, id).await).len(), 8);
    let error = acts::serious(&db, &ctx, id, Serious { reported: true, ..mark.clone() }).await.unwrap_err();
    assert!(error.kind == Kind::Conflict && error.public.contains("who provides the AI system"), "{error:?}");
    let report = acts::REPORT_PARTS.iter().map(|(part, _)| ((*part).to_owned(), "known".to_owned())).collect();
    let change = Change { summary: Some("It fell".into()), root_cause: Some("A crack".into()), ..Change::default() };
    acts::update(&db, &ctx, id, change).await.unwrap();
    acts::serious(&db, &ctx, id, Serious { report, reported: true, ..mark }).await.unwrap();
    assert_eq!(clock(&db, &ctx, id, ClockKind::Article73).await.state(ctx.now()), ClockState::Met);
    let text = super::report::markdown(&db, &ctx, &get(&db, &ctx, id).await).await.unwrap();
    assert!(
        text.contains("# INC-1: A") && text.contains("A crack") && text.contains("| Article 73 report |"),
        "{text}"
    );
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn figures_are_unknown_until_something_was_reached(pool: PgPool) {
    let (db, ctx) = begin(&pool).await;
    let none = reading::metrics(&db, &ctx, 30).await.unwrap();
    assert_eq!((none.open, none.ever, none.triage), (0, 0, None));
    let id = acts::open(&db, &ctx, opening("A")).await.unwrap().id;
    ctx.clock.advance(Duration::minutes(3));
    to(&db, &ctx, id, Triaged).await.unwrap();
    let some = reading::metrics(&db, &ctx, 30).await.unwrap();
    assert_eq!((some.open, some.triage, some.contain), (1, Some(180.0), None));
}

#[test]
fn temporary_schema() {
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql"), crate::api::graphql::sdl()).unwrap();
}
