//! Which slice does which job.

use super::{Job, Outcome, runner::Handle};
use crate::{
    findings, imports, incidents,
    kernel::{Ctx, Db, Result, TenantTx, outbound::Outbound},
    notify, playbooks, runtime, scoring,
};
use async_trait::async_trait;

/// The product's handlers, and what they need beside the database.
#[derive(Clone)]
pub struct Dispatch {
    pub outbound: Outbound,
    /// Where browsers reach the server, for links in messages; empty when a worker was not told.
    pub origin: String,
}

#[async_trait]
impl Handle for Dispatch {
    async fn run(&self, db: &Db, ctx: &Ctx, job: &Job) -> Result<Outcome> {
        match job {
            Job::ImportReport { report } => imports::jobs::import(db, ctx, *report).await,
            Job::RecomputeRisk => scoring::jobs::recompute(db, ctx).await,
            Job::DailySnapshot => scoring::jobs::daily_snapshot(db, ctx).await,
            Job::ReportRuntime => runtime::jobs::report(db, ctx).await,
            Job::AnalyzeRuns => runtime::jobs::analyze(db, ctx).await,
            Job::Correlate => incidents::jobs::correlate(db, ctx).await,
            Job::WatchClocks => incidents::jobs::watch_clocks(db, ctx).await,
            Job::Notify => notify::jobs::run(db, ctx, &self.outbound, &self.origin).await,
            Job::KeepContainments => {
                runtime::containment::keep(db, ctx, &self.outbound).await?;
                Ok(Outcome::Done)
            }
            Job::IncidentChanged { incident } => playbooks::jobs::triggered(db, ctx, *incident).await,
            Job::RunPlaybook { run } => playbooks::jobs::run(db, ctx, &self.outbound, *run).await,
            Job::ExpireDecisions => {
                // A batch at a time, each a transaction of its own.
                while findings::expire_due(db, ctx).await? > 0 {}
                Ok(Outcome::Done)
            }
        }
    }

    async fn gave_up(&self, tx: &mut TenantTx, job: &Job, error: &str) -> Result<()> {
        match job {
            Job::ImportReport { report } => imports::jobs::gave_up(tx, *report, error).await,
            Job::RunPlaybook { run } => playbooks::jobs::gave_up(tx, *run, error).await,
            _ => Ok(()),
        }
    }
}
