//! Running jobs: apalis fetches, this decides what a failure means.

use super::{DEAD_AFTER, Envelope, Job, Outcome, dead_letters, queue};
use crate::kernel::{Clock, Ctx, Db, Error, Permission, Result, TenantTx};
use apalis::prelude::{Attempt, Data, WorkerBuilder, WorkerError};
use apalis_postgres::{Config, PostgresStorage};
use async_trait::async_trait;
use futures::FutureExt as _;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use tower::limit::ConcurrencyLimitLayer;

/// Sign of life, and the longest that a delayed job waits beyond its time.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long running jobs may go on when shutdown begins; then they are cut off, rolled back and run again elsewhere.
const GRACE: Duration = Duration::from_secs(5);
/// How many workers a job may outlive before it is taken for their murderer.
const MAX_DEATHS: usize = 5;

/// Does the jobs. Must be idempotent: a job may run twice, also at the same time.
#[async_trait]
pub trait Handle: Send + Sync + 'static {
    /// Does one job. Dropping the future must leave nothing half done.
    async fn run(&self, db: &Db, ctx: &Ctx, job: &Job) -> Result<Outcome>;

    /// Tells the job's subject, in the transaction that stores the dead letter, that nobody will try again.
    async fn gave_up(&self, tx: &mut TenantTx, job: &Job, error: &str) -> Result<()>;
}

/// Runs jobs until it is told to stop.
#[derive(Clone)]
pub struct Runner {
    pub db: Db,
    pub clock: Clock,
    pub handler: Arc<dyn Handle>,
    pub stopping: CancellationToken,
}

impl Runner {
    /// Works on one of the queues ([`Job::queue`]) with `concurrency` jobs at once. Returns when stopping began and the
    /// running jobs ended or were handed back. Survives a database that goes away for a while.
    pub async fn run(self, queue: &'static str, concurrency: usize) {
        while !self.stopping.is_cancelled() {
            if let Err(error) = self.work(queue, concurrency).await {
                tracing::warn!(queue, error = %error, "job worker lost the database; starting anew");
                let _ = tokio::time::timeout(HEARTBEAT, self.stopping.cancelled()).await;
            }
        }
    }

    async fn work(&self, queue: &'static str, concurrency: usize) -> Result<(), WorkerError> {
        // A new name for each start: what a dead worker held is then plainly not ours.
        let name = format!("{queue}-{}", self.clock.new_id());
        let heartbeats = usize::try_from(DEAD_AFTER.as_secs() / HEARTBEAT.as_secs()).unwrap_or(1);
        let config = Config::default()
            .queue(queue)
            // What is fetched is ours alone until we die, so never more than is run at once.
            .batch_size(1)
            .heartbeat_interval(HEARTBEAT)
            .missed_heartbeats(heartbeats);
        let backend = PostgresStorage::<Envelope>::new(self.db.pool()).with_config(config).with_pubsub();
        let worker = WorkerBuilder::new(name)
            .backend(backend)
            .layer(ConcurrencyLimitLayer::new(concurrency))
            .data(self.clone())
            .build(handle);
        let stopping = self.stopping.clone();
        let stopped = async move {
            stopping.cancelled().await;
            Ok::<(), WorkerError>(())
        };
        worker.run_until(stopped).await
    }

    /// Runs one attempt and decides what comes after. Infallible towards apalis.
    async fn attempt(&self, envelope: Envelope, deaths: usize) {
        let ctx = envelope.ctx(self.clock.clone());
        let job = envelope.job.name();
        let started = std::time::Instant::now();
        let run = async {
            if deaths >= MAX_DEATHS {
                return Err(Error::internal(format!("{deaths} workers died over it")));
            }
            AssertUnwindSafe(self.handler.run(&self.db, &ctx, &envelope.job))
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(Error::internal("the job panicked")))
        };
        let cut_off = async {
            self.stopping.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        let result = tokio::select! {
            result = run => result,
            () = cut_off => Ok(Outcome::Later(Duration::ZERO)),
        };
        tracing::info!(
            job, tenant = %envelope.tenant, request = envelope.request_id, attempt = envelope.attempt,
            ms = started.elapsed().as_millis(), outcome = ?result.as_ref().map_err(|e| e.kind), "job"
        );
        let outcome = match &result {
            Ok(Outcome::Done) => "done",
            Ok(Outcome::Later(_)) => "later",
            Err(_) => "failed",
        };
        metrics::counter!("stance_job_attempts_total", "job" => job, "outcome" => outcome).increment(1);
        metrics::histogram!("stance_job_duration_seconds", "job" => job).record(started.elapsed().as_secs_f64());
        if let Err(error) = &result {
            tracing::warn!(
                job,
                request = envelope.request_id,
                cause = error.internal_text(),
                "job failed: {}",
                error.public
            );
        }
        // A database that is down for a moment must not lose the successor; one that is down for long is the sweep's.
        for wait in [0, 1, 2, 4] {
            tokio::time::sleep(Duration::from_secs(wait)).await;
            match self.settle(&ctx, &envelope, deaths, &result).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(job, cause = error.internal_text(), "job could not be settled"),
            }
        }
    }

    async fn settle(&self, ctx: &Ctx, envelope: &Envelope, deaths: usize, result: &Result<Outcome>) -> Result<()> {
        let (next, delay) = match result {
            Ok(Outcome::Done) => return Ok(()),
            Ok(Outcome::Later(delay)) => (envelope.clone(), Some(*delay)),
            Err(_) => {
                let next = Envelope { attempt: envelope.attempt + 1, ..envelope.clone() };
                let delay = envelope.job.schedule().get(envelope.attempt as usize).copied();
                (next, delay.filter(|_| deaths < MAX_DEATHS))
            }
        };
        let mut tx = self.db.begin(ctx, Permission::JobRedrive).await?;
        match (delay, result) {
            (Some(delay), _) => queue::push(tx.conn(), &next, delay).await?,
            (None, Err(error)) => {
                let text = format!("{} Request {}.", error.public, envelope.request_id);
                dead_letters::insert(&mut tx, &next, &text).await?;
                self.handler.gave_up(&mut tx, &envelope.job, &text).await?;
            }
            (None, Ok(_)) => {}
        }
        tx.commit().await
    }
}

async fn handle(envelope: Envelope, attempt: Attempt, runner: Data<Runner>) {
    // apalis counts this run already; the rest are workers that died over it.
    runner.attempt(envelope, attempt.current().saturating_sub(1)).await;
}
