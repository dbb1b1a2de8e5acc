use super::{runner::Handle, runner::Runner, *};
use crate::kernel::{Db, Error, Permission, Result, TenantTx, db::SystemReason, testing};
use async_trait::async_trait;
use sqlx::PgPool;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What a report's job does in these tests.
#[derive(Clone, Copy, PartialEq)]
enum Act {
    Succeed,
    Fail,
    Panic,
    Later,
    /// Says that it started, then waits until it is told to go on.
    Wait,
}

#[derive(Default)]
struct Script {
    acts: Mutex<HashMap<Uuid, Act>>,
    runs: Mutex<HashMap<Uuid, u32>>,
    gave_up: Mutex<Vec<String>>,
    started: Notify,
    go_on: Notify,
}

#[async_trait]
impl Handle for Script {
    async fn run(&self, _: &Db, _: &Ctx, job: &Job) -> Result<Outcome> {
        let id = job.subject().unwrap();
        *self.runs.lock().unwrap().entry(id).or_default() += 1;
        let act = self.acts.lock().unwrap().get(&id).copied().unwrap_or(Act::Succeed);
        match act {
            Act::Succeed => Ok(Outcome::Done),
            Act::Fail => Err(Error::internal("secret cause")),
            Act::Panic => panic!("on purpose"),
            Act::Later => Ok(Outcome::Later(Duration::from_secs(40))),
            Act::Wait => {
                self.started.notify_one();
                self.go_on.notified().await;
                Ok(Outcome::Done)
            }
        }
    }

    async fn gave_up(&self, _: &mut TenantTx, _: &Job, error: &str) -> Result<()> {
        self.gave_up.lock().unwrap().push(error.to_owned());
        Ok(())
    }
}

struct Bench {
    pool: PgPool,
    ctx: Ctx,
    script: Arc<Script>,
    runner: Runner,
}

impl Bench {
    async fn new(pool: PgPool) -> Self {
        let ctx = testing::organization(&pool, &Clock::System, "jobs").await;
        let script = Arc::new(Script::default());
        let runner = Runner {
            db: testing::db(&pool),
            clock: Clock::System,
            handler: script.clone(),
            stopping: CancellationToken::new(),
        };
        Self { pool, ctx, script, runner }
    }

    /// A job about a new report that acts as told.
    fn job(&self, act: Act) -> Job {
        let id = Clock::System.new_id();
        self.script.acts.lock().unwrap().insert(id, act);
        Job::ImportReport { report: ReportId(id) }
    }

    async fn enqueue(&self, jobs: &[Job]) {
        let mut tx = self.runner.db.begin(&self.ctx, Permission::ReportImport).await.unwrap();
        for job in jobs {
            Queue::enqueue(&mut tx, job.clone()).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    fn start(&self) -> tokio::task::JoinHandle<()> {
        #[expect(clippy::disallowed_methods, reason = "the test waits for it itself")]
        tokio::spawn(self.runner.clone().run("imports", 2))
    }

    /// (status, payload's attempt, seconds until it may run), in the order of their ids.
    async fn rows(&self) -> Vec<(String, i32, f64)> {
        sqlx::query_as(
            "select status, (convert_from(job, 'UTF8')::jsonb->>'attempt')::int,
                    extract(epoch from run_at - now())::float8 from apalis.jobs order by id",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    async fn until(&self, what: &str, done: impl AsyncFn() -> bool) {
        testing::until(what, async || done().await.then_some(())).await;
    }

    async fn all_done(&self) -> bool {
        self.rows().await.iter().all(|(status, _, seconds)| status == "Done" || *seconds > 0.5)
    }
}

#[sqlx::test(migrations = false)]
async fn migrating_twice_at_once_is_safe(pool: PgPool) {
    let (a, b) = tokio::join!(migrate(&pool), migrate(&pool));
    a.unwrap();
    b.unwrap();
    migrate(&pool).await.unwrap();
}

#[sqlx::test(migrations = false)]
async fn a_job_exists_only_when_its_transaction_commits(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = bench.job(Act::Succeed);
    let mut tx = bench.runner.db.begin(&bench.ctx, Permission::ReportImport).await.unwrap();
    Queue::enqueue(&mut tx, job.clone()).await.unwrap();
    drop(tx);
    assert_eq!(bench.rows().await.len(), 0);
    // The same job twice, now and later: no key of it is kept that could refuse it.
    bench.enqueue(&[job.clone(), job]).await;
    assert_eq!(bench.rows().await.len(), 2);
}

#[sqlx::test(migrations = false)]
async fn a_tenant_can_not_look_into_the_queue(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.enqueue(&[bench.job(Act::Succeed)]).await;
    let mut tx = bench.runner.db.begin(&bench.ctx, Permission::ReportImport).await.unwrap();
    let error = sqlx::query("select from apalis.jobs").execute(tx.conn()).await.unwrap_err();
    assert!(error.to_string().contains("permission denied"), "{error}");
}

#[sqlx::test(migrations = false)]
async fn an_error_is_tried_again_only_after_the_schedules_delay(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = bench.job(Act::Fail);
    bench.enqueue(std::slice::from_ref(&job)).await;
    bench.start();
    bench.until("a successor waits", async || bench.rows().await.len() == 2).await;
    bench.until("the first is done", async || bench.rows().await[0].0 == "Done").await;
    let rows = bench.rows().await;
    assert_eq!((rows[1].0.as_str(), rows[1].1), ("Pending", 1));
    assert_eq!(bench.script.runs.lock().unwrap()[&job.subject().unwrap()], 1, "not again at once");
    bench.until("the second attempt ran and made the third", async || bench.rows().await.len() == 3).await;
    assert_eq!(bench.rows().await[2].1, 2);
    bench.runner.stopping.cancel();
}

#[sqlx::test(migrations = false)]
async fn a_panic_ends_the_attempt_and_not_the_worker(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.enqueue(&[bench.job(Act::Panic)]).await;
    bench.start();
    bench.until("the panicked job is done", async || bench.rows().await[0].0 == "Done").await;
    assert_eq!(bench.rows().await[1].1, 1, "and has a successor");
    bench.enqueue(&[bench.job(Act::Succeed)]).await;
    bench.until("the next job ran", async || bench.rows().await[2].0 == "Done").await;
    bench.runner.stopping.cancel();
}

#[sqlx::test(migrations = false)]
async fn later_is_a_delay_and_not_an_attempt(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.enqueue(&[bench.job(Act::Later)]).await;
    bench.start();
    bench.until("a successor waits", async || bench.rows().await.len() == 2).await;
    let (status, attempt, seconds) = bench.rows().await[1].clone();
    assert_eq!((status.as_str(), attempt), ("Pending", 0));
    assert!((38.0..=42.0).contains(&seconds), "{seconds}");
    bench.runner.stopping.cancel();
}

#[sqlx::test(migrations = false)]
async fn an_exhausted_job_becomes_a_dead_letter_that_can_be_driven_again(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = bench.job(Act::Fail);
    let last = u32::try_from(job.schedule().len()).unwrap();
    let envelope = Envelope {
        tenant: bench.ctx.tenant,
        actor: bench.ctx.actor.clone(),
        request_id: "r-1".into(),
        attempt: last,
        job,
    };
    queue::push(&mut bench.pool.acquire().await.unwrap(), &envelope, Duration::ZERO).await.unwrap();
    bench.start();
    let letters = async || dead_letters(&bench.runner.db, &bench.ctx).await.unwrap();
    bench.until("there is a dead letter", async || !letters().await.is_empty()).await;
    let letter = letters().await.remove(0);
    assert_eq!((letter.job.as_str(), letter.attempts), ("import_report", 4));
    assert!(letter.error.contains("r-1") && !letter.error.contains("secret"), "{}", letter.error);
    assert_eq!(bench.script.gave_up.lock().unwrap().len(), 1);
    bench.runner.stopping.cancel();

    assert!(redrive(&bench.runner.db, &bench.ctx, letter.id).await.unwrap());
    assert!(!redrive(&bench.runner.db, &bench.ctx, letter.id).await.unwrap(), "only once");
    let rows = bench.rows().await;
    assert_eq!((rows.last().unwrap().0.as_str(), rows.last().unwrap().1), ("Pending", 0));

    let stranger = testing::organization(&bench.pool, &Clock::System, "stranger").await;
    let foreign = redrive(&bench.runner.db, &stranger, letter.id).await.unwrap_err();
    let missing = redrive(&bench.runner.db, &stranger, stance_shared::DeadLetterId(Uuid::nil())).await.unwrap_err();
    assert_eq!((foreign.kind, foreign.public), (missing.kind, missing.public));
}

#[sqlx::test(migrations = false)]
async fn jobs_of_a_killed_worker_run_again(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.enqueue(&[bench.job(Act::Succeed), bench.job(Act::Succeed)]).await;
    // One worker left a row and stopped beating, the other left nothing at all.
    sqlx::raw_sql(
        "insert into apalis.workers (id, worker_type, storage_name, layers, last_seen)
             values ('dead', 'imports', 'x', '', now() - interval '1 minute');
         update apalis.jobs set status = 'Running', lock_at = now(),
             lock_by = case when id = (select min(id) from apalis.jobs) then 'dead' else null end",
    )
    .execute(&bench.pool)
    .await
    .unwrap();
    assert_eq!(
        sweep::once(&bench.runner.db, &Clock::System).await.unwrap(),
        2,
        "only the missing daily snapshot and a first look for incidents"
    );
    bench.start();
    let ran = async || bench.script.runs.lock().unwrap().values().sum::<u32>();
    bench.until("both ran", async || ran().await == 2).await;
    bench.runner.stopping.cancel();
}

#[sqlx::test(migrations = false)]
async fn a_job_that_kills_its_workers_becomes_a_dead_letter(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.enqueue(&[bench.job(Act::Succeed)]).await;
    sqlx::query("update apalis.jobs set attempts = 5").execute(&bench.pool).await.unwrap();
    bench.start();
    let letters = async || dead_letters(&bench.runner.db, &bench.ctx).await.unwrap();
    bench.until("there is a dead letter", async || letters().await.len() == 1).await;
    assert!(bench.script.runs.lock().unwrap().is_empty(), "it was not run once more");
    bench.runner.stopping.cancel();
}

#[sqlx::test(migrations = false)]
async fn several_workers_share_the_queue_and_run_each_job_once(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let jobs: Vec<Job> = (0..60).map(|_| bench.job(Act::Succeed)).collect();
    bench.enqueue(&jobs).await;
    let workers = [bench.start(), bench.start()];
    bench.until("all are done", async || bench.all_done().await).await;
    bench.runner.stopping.cancel();
    for worker in workers {
        worker.await.unwrap();
    }
    let runs = bench.script.runs.lock().unwrap().clone();
    assert_eq!((runs.len(), runs.values().sum::<u32>()), (60, 60));
}

#[sqlx::test(migrations = false)]
async fn shutdown_waits_for_the_running_job_and_takes_no_other(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.enqueue(&[bench.job(Act::Wait)]).await;
    let worker = bench.start();
    bench.script.started.notified().await;
    bench.runner.stopping.cancel();
    bench.enqueue(&[bench.job(Act::Succeed)]).await;
    bench.script.go_on.notify_one();
    worker.await.unwrap();
    let rows = bench.rows().await;
    assert_eq!((rows[0].0.as_str(), rows[1].0.as_str()), ("Done", "Pending"));
}

#[sqlx::test(migrations = false)]
async fn shutdown_hands_a_long_job_back(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.enqueue(&[bench.job(Act::Wait)]).await;
    let worker = bench.start();
    bench.script.started.notified().await;
    bench.runner.stopping.cancel();
    worker.await.unwrap();
    let rows = bench.rows().await;
    assert_eq!((rows[0].0.as_str(), rows[1].0.as_str(), rows[1].1), ("Done", "Pending", 0));
}

#[sqlx::test(migrations = false)]
async fn the_sweep_finds_missed_work_once_and_forgets_what_is_finished(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let report = |status: &'static str, sha: &'static str| {
        sqlx::query(
            "insert into report (tenant_id, id, status, requested_format, bytes, sha256, uploaded_by, created_at, finished_at)
             values ($1, gen_random_uuid(), $2, 'auto', 1, $3, 'x', now(), case when $2 = 'DONE' then now() end)",
        )
        .bind(bench.ctx.tenant.0)
        .bind(status)
        .bind(sha.as_bytes())
    };
    report("STAGING", "digest").execute(&bench.pool).await.unwrap();
    report("ACCEPTED", "digest").execute(&bench.pool).await.unwrap();
    report("ACCEPTED", "").execute(&bench.pool).await.unwrap();
    report("DONE", "digest").execute(&bench.pool).await.unwrap();
    // The oldest unfinished report, the day's snapshot, a first look for incidents; an upload that still runs and a finished report are no work.
    assert_eq!(sweep::once(&bench.runner.db, &Clock::System).await.unwrap(), 3);
    assert_eq!(sweep::once(&bench.runner.db, &Clock::System).await.unwrap(), 0, "they have their jobs now");

    sqlx::query("update apalis.jobs set status = 'Done'").execute(&bench.pool).await.unwrap();
    sweep::once(&bench.runner.db, &Clock::System).await.unwrap();
    let done: i64 = sqlx::query_scalar("select count(*) from apalis.jobs where status = 'Done'")
        .fetch_one(&bench.pool)
        .await
        .unwrap();
    assert_eq!(done, 0, "the table does not grow");
}

#[sqlx::test(migrations = false)]
async fn the_sweep_finds_figures_to_compute_and_risks_whose_acceptance_is_over(pool: PgPool) {
    use crate::findings::{self, Action, Triage};
    use stance_shared::FindingStatus;
    let clock = testing::clock();
    let ctx = testing::organization(&pool, &clock, "acme").await;
    let db = testing::db(&pool);
    let ids = findings::tests::seed(&pool, &ctx, 1).await;
    let accept = Action::AcceptRisk {
        reason: "known".into(),
        expires_at: ctx.now() + chrono::Duration::days(1),
        approver: ctx.user().unwrap(),
    };
    findings::triage(&db, &ctx, Triage { ids: ids.clone(), action: accept }).await.unwrap();
    // Its job for the figures is lost, and nobody thought of its end.
    let waiting = async || -> Vec<String> {
        sqlx::query_scalar("select metadata->'job' from apalis.jobs order by 1").fetch_all(&pool).await.unwrap()
    };
    sqlx::query("delete from apalis.jobs").execute(&pool).await.unwrap();
    sweep::once(&db, &clock).await.unwrap();
    assert_eq!(waiting().await, ["correlate", "daily_snapshot"], "what was marked a moment ago is on its way");
    clock.advance(chrono::Duration::days(1));
    sweep::once(&db, &clock).await.unwrap();
    assert_eq!(waiting().await, ["correlate", "daily_snapshot", "expire_decisions", "recompute_risk"]);
    sweep::once(&db, &clock).await.unwrap();
    assert_eq!(waiting().await.len(), 4, "they have their jobs now");

    let dispatch =
        Dispatch { outbound: crate::kernel::outbound::Outbound::for_tests(&clock, false), origin: String::new() };
    for job in [Job::ExpireDecisions, Job::RecomputeRisk, Job::DailySnapshot, Job::Correlate] {
        assert_eq!(dispatch.run(&db, &ctx, &job).await.unwrap(), Outcome::Done);
    }
    let finding = findings::service::by_ids(&db, &ctx, &ids).await.unwrap().remove(&ids[0]).unwrap();
    assert_eq!(finding.status, FindingStatus::Open);
    sqlx::query("delete from apalis.jobs").execute(&pool).await.unwrap();
    assert_eq!(sweep::once(&db, &clock).await.unwrap(), 0, "all is done");
}

#[sqlx::test(migrations = false)]
async fn bodies_of_failed_imports_are_kept_for_a_month_and_abandoned_uploads_for_two_hours(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let clock = testing::clock();
    let report = async |sha: &'static str, status: &'static str, age: &'static str| {
        sqlx::query(
            "with r as (insert into report (tenant_id, id, status, requested_format, bytes, sha256, uploaded_by, created_at, finished_at, error)
                 values ($1, gen_random_uuid(), $2, 'auto', 1, $3, $5, $4::timestamptz - $5::interval,
                     case when $2 = 'FAILED' then $4::timestamptz - $5::interval end, case when $2 = 'FAILED' then '{}'::jsonb end) returning tenant_id, id)
             insert into report_body select tenant_id, id, 0, 'x' from r",
        )
        .bind(bench.ctx.tenant.0)
        .bind(status)
        .bind(sha.as_bytes())
        .bind(clock.now())
        .bind(age)
        .execute(&bench.pool)
        .await
        .unwrap();
    };
    report("digest", "FAILED", "29 days").await;
    report("digest", "FAILED", "31 days").await;
    report("digest", "ACCEPTED", "90 days").await;
    report("", "ACCEPTED", "1 hour").await;
    report("", "ACCEPTED", "3 hours").await;
    sweep::once(&bench.runner.db, &clock).await.unwrap();
    let ages =
        async |sql: &'static str| -> Vec<String> { sqlx::query_scalar(sql).fetch_all(&bench.pool).await.unwrap() };
    assert_eq!(
        ages("select uploaded_by from report r join report_body b on b.report_id = r.id order by 1").await,
        ["1 hour", "29 days", "90 days"]
    );
    assert_eq!(ages("select uploaded_by from report order by 1").await, ["1 hour", "29 days", "31 days", "90 days"]);
}

#[sqlx::test(migrations = false)]
async fn a_sweep_leaves_the_work_to_the_one_that_sweeps_already(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let mut other = bench.runner.db.begin_system(SystemReason::Jobs).await.unwrap();
    sqlx::query("select pg_advisory_xact_lock($1)").bind(0x0073_7765_6570_i64).execute(other.conn()).await.unwrap();
    assert_eq!(sweep::once(&bench.runner.db, &Clock::System).await.unwrap(), 0);
}
