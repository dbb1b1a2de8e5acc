//! Runs against a database: what is done is done once, whoever drives, and what was done can be taken back.

use super::{domain::RUNS_PER_HOUR, *};
use crate::{
    audit,
    incidents::{self, Item, Opening, Origin},
    inventory::{self, NewAsset, NewRelation, Patch},
    jobs::Outcome,
    kernel::{Ctx, Db, Kind, Permission, Role, crypto::Secret, outbound::Outbound, page::Page, testing},
    runtime::policies,
};
use axum::{Router, extract, http::HeaderMap, routing::post};
use chrono::Duration;
use serde_json::json;
use sqlx::PgPool;
use stance_importers::AssetRef;
use stance_shared::{
    AssetId, AssetKind, IncidentId, PlaybookId, PlaybookRunStatus as Status, PlaybookStepState as State, RelationKind,
    Severity,
};
use std::sync::{Arc, Mutex};

struct Bench {
    pool: PgPool,
    db: Db,
    ctx: Ctx,
    outbound: Outbound,
    agent: AssetId,
}

impl Bench {
    async fn new(pool: &PgPool) -> Self {
        let clock = testing::clock();
        let ctx = testing::organization(pool, &clock, "ours").await;
        let db = testing::db(pool);
        let key = |kind, key: &str| AssetRef { kind, key: key.to_owned() };
        let (agent, tool) = (key(AssetKind::Agent, "refund-bot"), key(AssetKind::Tool, "crm/pay"));
        let named = |asset: &AssetRef| NewAsset {
            patch: Patch { name: Some(asset.key.clone()), ..Patch::default() },
            asset: asset.clone(),
        };
        let grant = NewRelation { from: agent.clone(), kind: RelationKind::MayCall, to: tool.clone() };
        let assets = vec![named(&agent), named(&tool)];
        let (made, _) = inventory::service::upsert(&db, &ctx, assets, &[grant]).await.unwrap();
        let agent = made.ids[&agent].asset;
        let draft = policies::Draft {
            id: None,
            name: "All".into(),
            agents: Vec::new(),
            document: json!({ "preset": "balanced" }),
            note: String::new(),
        };
        let policy = policies::save(&db, &ctx, draft).await.unwrap();
        policies::activate(&db, &ctx, policy.id, Some(1)).await.unwrap();
        Self { pool: pool.clone(), db, outbound: Outbound::for_tests(&clock, true), ctx, agent }
    }

    async fn incident(&self, severity: Severity) -> IncidentId {
        let mut tx = self.db.begin(&self.ctx, Permission::IncidentWrite).await.unwrap();
        let opening = Opening {
            title: "Odd refunds",
            summary: "",
            severity,
            opened_by: Origin::Person,
            dedup_key: None,
            items: vec![Item::Asset(self.agent)],
        };
        let opened = incidents::open(&mut tx, opening).await.unwrap();
        tx.commit().await.unwrap();
        opened.id
    }

    async fn playbook(&self, head: &str, steps: &str) -> PlaybookId {
        let source = format!("id: mine\ntitle: Mine\nsummary: S\nversion: 1\n{head}\nsteps:\n{steps}");
        save(&self.db, &self.ctx, None, &source, "").await.unwrap().id
    }

    async fn channel(&self, name: &str, url: &str) {
        let sealed = json!({ "url": url, "secret": "whsec" }).to_string();
        let sealed = self.outbound.vault.seal(self.ctx.tenant, &Secret::new(sealed)).unwrap();
        sqlx::query(
            "insert into notification_channel (tenant_id, id, kind, name, target, sealed, created_at, created_by)
             values ($1, gen_random_uuid(), 'WEBHOOK', $2, 'test', $3, now(), 'test')",
        )
        .bind(self.ctx.tenant.0)
        .bind(name)
        .bind(sealed)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    async fn drive(&self, run: &Run) -> Outcome {
        jobs::run(&self.db, &self.ctx, &self.outbound, run.id).await.unwrap()
    }

    async fn look(&self, run: &Run) -> (Run, Vec<StepRecord>) {
        let found = runs_by_ids(&self.db, &self.ctx, &[run.id]).await.unwrap().remove(0);
        let (_, _, steps) = steps_of(&self.db, &self.ctx, &[run.id]).await.unwrap().remove(0);
        (found, steps)
    }

    async fn state(&self, run: &Run, step: &str) -> Option<State> {
        self.look(run).await.1.into_iter().find(|record| record.step == step).map(|record| record.state)
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    async fn audited(&self, action: &str) -> usize {
        let filter = audit::Filter { action: Some(action.to_owned()), actor: None };
        let page = Page::parse(Some(100), None).unwrap();
        audit::list(&self.db, &self.ctx, &filter, &page).await.unwrap().items.len()
    }
}

const EFFECTS: &str = "
  - { id: evidence, title: Evidence, action: collect-evidence }
  - id: gate
    title: Gate
    approval: { role: RESPONDER, question: May it? }
  - id: stop
    title: Stop
    action: quarantine
    with: { grade: tools-only, reason: R, expires-after: 1d }
  - id: grants
    title: Grants
    action: revoke-tool-grants
    with: { tools: [\"crm/*\"] }
  - { id: raise, title: Raise, action: raise-policy, with: { to: strict } }
  - id: tell
    title: Tell
    action: notify
    with: { title: Told, text: T }
  - id: judge
    title: Judge
    task: { role: ANALYST, instructions: Look., choices: [fine, bad] }
  - id: fork
    title: Fork
    branch:
      arms: [{ if: answer.judge == \"bad\", go-to: move }]
      otherwise: move
  - id: move
    title: Move
    action: transition
    with: { to: RECOVERED, reason: R }
  - { id: free, title: Free, action: release, with: { reason: R } }
";

#[sqlx::test(migrations = false)]
async fn a_run_does_each_step_once_asks_people_and_can_be_taken_back(pool: PgPool) {
    let bench = Bench::new(&pool).await;
    let incident = bench.incident(Severity::High).await;
    let id = bench.playbook("trigger: { on: manual }", EFFECTS).await;

    let dry = start(&bench.db, &bench.ctx, id, Some(incident), true).await.unwrap();
    let (dry, planned) = bench.look(&dry).await;
    assert_eq!((dry.status, planned.len()), (Status::Done, 10));
    assert_eq!(bench.count("select count(*) from containment").await, 0, "a dry run does nothing");
    assert_eq!(bench.count("select count(*) from asset_relation").await, 1);
    assert_eq!(bench.count("select count(*) from notice where topic = 'PLAYBOOK_MESSAGE'").await, 0);

    let run = start(&bench.db, &bench.ctx, id, Some(incident), false).await.unwrap();
    assert_eq!(bench.drive(&run).await, Outcome::Done);
    assert_eq!(bench.state(&run, "gate").await, Some(State::Started));
    assert_eq!(bench.state(&run, "stop").await, None);
    // Who is not of the gate's role is refused, and what waits for nobody too.
    let analyst = testing::acting_as(&bench.ctx, Role::Analyst);
    let refused = approve(&bench.db, &analyst, run.id, "gate", true, "").await.unwrap_err();
    assert_eq!(refused.kind, Kind::Forbidden);
    let early = complete(&bench.db, &bench.ctx, run.id, "judge", Some("bad"), "").await.unwrap_err();
    assert_eq!(early.kind, Kind::Conflict);
    approve(&bench.db, &bench.ctx, run.id, "gate", true, "go").await.unwrap();
    // Two at once: one has the lock, the other finds it done.
    let (one, two) = tokio::join!(bench.drive(&run), bench.drive(&run));
    assert_eq!((one, two), (Outcome::Done, Outcome::Done));
    assert_eq!(bench.state(&run, "judge").await, Some(State::Started));
    assert_eq!(bench.count("select count(*) from containment").await, 1);
    assert_eq!(bench.count("select count(*) from asset_relation").await, 0);
    assert_eq!(bench.count("select active::bigint from policy").await, 2);
    assert_eq!(bench.count("select count(*) from notice where topic = 'PLAYBOOK_MESSAGE'").await, 1);
    let wrong = complete(&bench.db, &bench.ctx, run.id, "judge", Some("maybe"), "").await.unwrap_err();
    assert_eq!(wrong.public, "answer: must be one of fine, bad");

    // Taken back while the run goes on; what was undone counts as done.
    undo(&bench.db, &bench.ctx, run.id, "grants").await.unwrap();
    undo(&bench.db, &bench.ctx, run.id, "raise").await.unwrap();
    assert_eq!(bench.count("select count(*) from asset_relation").await, 1);
    assert_eq!(bench.count("select active::bigint from policy").await, 1);
    assert_eq!(undo(&bench.db, &bench.ctx, run.id, "grants").await.unwrap_err().kind, Kind::Conflict);

    complete(&bench.db, &bench.ctx, run.id, "judge", Some("bad"), "").await.unwrap();
    bench.drive(&run).await;
    let (done, steps) = bench.look(&run).await;
    assert_eq!(done.status, Status::Done, "{:?}", done.reason);
    assert_eq!(bench.count("select count(*) from incident where status = 'RECOVERED'").await, 1);
    assert_eq!(bench.count("select count(*) from containment where ending is null").await, 0, "released");
    // What the dry run said is what was done.
    for planned in planned.iter().filter(|planned| !planned.plan.is_empty()) {
        let real = steps.iter().find(|step| step.step == planned.step).unwrap();
        assert_eq!(real.plan, planned.plan);
    }
    // Driven again, also by a job that came late, nothing happens.
    let before = bench.count("select count(*) from audit_entry").await;
    bench.drive(&run).await;
    assert_eq!(bench.count("select count(*) from audit_entry").await, before);
    assert_eq!(bench.audited("agent.quarantined").await, 1);
    // Ten steps, of which gate and task are begun and answered; two undone.
    assert_eq!(bench.audited("playbook.step").await, 10 + 2 + 2);
}

#[sqlx::test(migrations = false)]
async fn a_trigger_starts_a_version_once_for_an_incident_and_refuses_a_flood_for_all_to_see(pool: PgPool) {
    let bench = Bench::new(&pool).await;
    let head = "trigger: { on: incident, when: severity >= HIGH }";
    let id = bench.playbook(head, "  - { id: a, title: A, task: { role: ANALYST, instructions: I } }\n").await;
    let (low, high) = (bench.incident(Severity::Low).await, bench.incident(Severity::Critical).await);
    let runs = async || bench.count("select count(*) from playbook_run where triggered").await;
    jobs::triggered(&bench.db, &bench.ctx, high).await.unwrap();
    assert_eq!(runs().await, 0, "it is not enabled");
    set_enabled(&bench.db, &bench.ctx, id, true).await.unwrap();
    jobs::triggered(&bench.db, &bench.ctx, low).await.unwrap();
    assert_eq!(runs().await, 0, "its condition does not hold");
    let again = || jobs::triggered(&bench.db, &bench.ctx, high);
    let (a, b, c) = tokio::join!(again(), again(), again());
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(runs().await, 1);
    assert_eq!(bench.audited("playbook.started").await, 1);

    for _ in 1..RUNS_PER_HOUR {
        start(&bench.db, &bench.ctx, id, None, false).await.unwrap();
    }
    assert_eq!(start(&bench.db, &bench.ctx, id, None, false).await.unwrap_err().kind, Kind::RateLimited);
    start(&bench.db, &bench.ctx, id, None, true).await.unwrap();
    let other = bench.incident(Severity::High).await;
    for _ in 0..2 {
        jobs::triggered(&bench.db, &bench.ctx, other).await.unwrap();
    }
    assert_eq!(bench.count("select count(*) from playbook_run where status = 'REFUSED'").await, 1);
    assert_eq!(bench.audited("playbook.refused").await, 1);
}

/// A webhook that fails as often as it is told to, and notes what came.
#[derive(Clone, Default)]
struct Hook {
    fail: Arc<Mutex<u32>>,
    keys: Arc<Mutex<Vec<String>>>,
}

async fn hook() -> (Hook, String) {
    let hook = Hook::default();
    let answer = async |extract::State(hook): extract::State<Hook>, headers: HeaderMap| {
        hook.keys.lock().unwrap().push(headers["idempotency-key"].to_str().unwrap().to_owned());
        let mut fail = hook.fail.lock().unwrap();
        let status = if *fail > 0 { 503 } else { 200 };
        *fail = fail.saturating_sub(1);
        (axum::http::StatusCode::from_u16(status).unwrap(), r#"{"url": "https://tickets.example/7"}"#)
    };
    let app = Router::new().route("/", post(answer)).with_state(hook.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    #[expect(clippy::disallowed_methods, reason = "a receiver that ends with its test")]
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (hook, url)
}

#[sqlx::test(migrations = false)]
async fn what_goes_outside_is_tried_again_with_the_same_key_and_a_failed_step_can_be_taken_up(pool: PgPool) {
    let bench = Bench::new(&pool).await;
    let (hook, url) = hook().await;
    bench.channel("tickets", &url).await;
    let incident = bench.incident(Severity::High).await;
    let steps = "
  - id: ticket
    title: Ticket
    action: create-ticket
    with: { channel: tickets, title: T, text: X }
    retry: { times: 1, after: 60s }
  - { id: post, title: Post, action: webhook, with: { channel: nowhere }, on-failure: continue }
  - { id: rest, title: Rest, wait: 2h }
";
    let id = bench.playbook("trigger: { on: manual }", steps).await;
    let run = start(&bench.db, &bench.ctx, id, Some(incident), false).await.unwrap();
    *hook.fail.lock().unwrap() = 2;
    assert_eq!(bench.drive(&run).await, Outcome::Done, "the next attempt is a minute away");
    bench.ctx.clock.advance(Duration::seconds(61));
    bench.drive(&run).await;
    let (failed, _) = bench.look(&run).await;
    assert_eq!(failed.status, Status::Failed);
    assert!(failed.reason.contains("503"), "{}", failed.reason);
    assert_eq!(bench.count("select count(*) from notice where topic = 'PLAYBOOK_FAILED'").await, 1);
    // A person has it tried again: the same key, and the run goes on.
    retry(&bench.db, &bench.ctx, run.id, "ticket").await.unwrap();
    bench.drive(&run).await;
    let keys = hook.keys.lock().unwrap().clone();
    assert_eq!(keys, vec![format!("playbook:{}:ticket", run.id); 3]);
    let (open, steps) = bench.look(&run).await;
    assert_eq!(
        steps.iter().find(|s| s.step == "ticket").unwrap().detail.url.as_deref(),
        Some("https://tickets.example/7")
    );
    assert_eq!(bench.state(&run, "post").await, Some(State::Failed), "there is no such channel, and the run goes on");
    assert_eq!((open.status, bench.state(&run, "rest").await), (Status::Running, Some(State::Started)));

    // Paused, time passes without it; cancelled, nothing is left open.
    pause(&bench.db, &bench.ctx, run.id).await.unwrap();
    bench.ctx.clock.advance(Duration::hours(3));
    bench.drive(&run).await;
    assert_eq!(bench.state(&run, "rest").await, Some(State::Started));
    resume(&bench.db, &bench.ctx, run.id).await.unwrap();
    bench.drive(&run).await;
    assert_eq!(bench.look(&run).await.0.status, Status::Done);
    let second = start(&bench.db, &bench.ctx, id, Some(incident), false).await.unwrap();
    bench.drive(&second).await;
    cancel(&bench.db, &bench.ctx, second.id).await.unwrap();
    assert_eq!(bench.state(&second, "rest").await, Some(State::Cancelled));
    assert_eq!(resume(&bench.db, &bench.ctx, second.id).await.unwrap_err().kind, Kind::Conflict);
}

#[sqlx::test(migrations = false)]
async fn the_library_is_there_is_kept_by_version_and_can_be_copied(pool: PgPool) {
    let bench = Bench::new(&pool).await;
    let all = list(&bench.db, &bench.ctx).await.unwrap();
    assert_eq!(all.len(), 12);
    let rogue = all.iter().find(|playbook| playbook.slug == "rogue-agent").unwrap();
    let error = save(&bench.db, &bench.ctx, Some(rogue.id), &rogue.source, "").await.unwrap_err();
    assert_eq!(error.kind, Kind::Conflict);
    let error = save(&bench.db, &bench.ctx, None, &rogue.source, "").await.unwrap_err();
    assert!(error.public.starts_with("source: line 1, column 1: id: is the id of a playbook"), "{}", error.public);
    let copy = rogue.source.replacen("id: rogue-agent", "id: our-rogue-agent", 1);
    let mine = save(&bench.db, &bench.ctx, None, &copy, "copied").await.unwrap();
    // The same again makes no version; another text needs another number.
    assert_eq!(save(&bench.db, &bench.ctx, Some(mine.id), &copy.replace('\n', "\r\n"), "").await.unwrap().version, 1);
    let other = copy.replacen("title: Rogue agent", "title: Our rogue agent", 1);
    let error = save(&bench.db, &bench.ctx, Some(mine.id), &other, "").await.unwrap_err();
    assert!(error.public.contains("version: must be greater than 1"), "{}", error.public);
    let next = other.replacen("version: 1", "version: 2", 1);
    assert_eq!(save(&bench.db, &bench.ctx, Some(mine.id), &next, "").await.unwrap().version, 2);
    assert_eq!(versions(&bench.db, &bench.ctx, &[mine.id, rogue.id]).await.unwrap().len(), 3);
    assert_eq!(save(&bench.db, &bench.ctx, None, &next, "").await.unwrap_err().kind, Kind::BadInput);
    // A run keeps the text that it was started with.
    start(&bench.db, &bench.ctx, rogue.id, None, true).await.unwrap();
    assert_eq!(
        bench
            .count("select count(*) from playbook_version v join playbook p on p.id = v.playbook_id where p.built_in")
            .await,
        1
    );
    assert!(archive(&bench.db, &bench.ctx, mine.id).await.unwrap());
    assert_eq!(archive(&bench.db, &bench.ctx, rogue.id).await.unwrap_err().kind, Kind::Conflict);
    assert_eq!(list(&bench.db, &bench.ctx).await.unwrap().len(), 12);
    let analyst = testing::acting_as(&bench.ctx, Role::Analyst);
    assert_eq!(save(&bench.db, &analyst, None, &next, "").await.unwrap_err().kind, Kind::Forbidden);
}

#[sqlx::test(migrations = false)]
async fn a_run_that_lost_its_job_is_found(pool: PgPool) {
    let bench = Bench::new(&pool).await;
    let id = bench.playbook("trigger: { on: manual }", "  - { id: w, title: W, wait: 1h }\n").await;
    let run = start(&bench.db, &bench.ctx, id, None, false).await.unwrap();
    sqlx::query("delete from apalis.jobs").execute(&pool).await.unwrap();
    let due = async || {
        let mut tx = bench.db.begin_system(crate::kernel::db::SystemReason::Jobs).await.unwrap();
        jobs::due(&mut tx, &bench.ctx.clock).await.unwrap().len()
    };
    bench.ctx.clock.advance(Duration::seconds(2));
    assert_eq!(due().await, 1);
    bench.drive(&run).await;
    assert_eq!(due().await, 0, "it waits for its time");
    bench.ctx.clock.advance(Duration::hours(1) + Duration::seconds(2));
    assert_eq!(due().await, 1);
    bench.drive(&run).await;
    assert_eq!((due().await, bench.look(&run).await.0.status), (0, Status::Done));
}
