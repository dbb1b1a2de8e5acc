//! Background jobs: apalis on PostgreSQL, wrapped once.
//!
//! apalis-postgres stores and hands out; everything about failure is ours, because its store (measured on 1.0.0) retries
//! without back-off, ignores delays, leaves a panicked job running and never forgets an idempotency key:
//!
//! * [`Queue::enqueue`] pushes in the caller's transaction: no job without its cause, no cause without its job.
//! * The runner catches panics and never returns an error to apalis. A failed job is tried again as a *successor* after
//!   the delay of the job's own [`Job::schedule`]; after the last one it becomes a dead letter that a person can drive again.
//! * Handlers are idempotent. A worker that was killed is noticed after [`DEAD_AFTER`], and its jobs run again.
//! * A periodic sweep finds work by looking at the data, so that a lost job costs only latency.
//!
//! Slices call [`Queue`] only; [`runner`] and [`sweep`] are started by `app`.

mod backlog;
mod dead_letters;
mod dispatch;
mod queue;
pub mod runner;
mod setup;
pub mod sweep;
#[cfg(test)]
mod tests;

pub use backlog::{Backlog, QUEUES, backlog};
pub use dead_letters::{DeadLetter, list as dead_letters, redrive};
pub use dispatch::Dispatch;
pub use queue::{Queue, begun};
pub use setup::migrate;

use crate::kernel::{Actor, Clock, Ctx, Db, Role, tasks::Tasks};
use serde::{Deserialize, Serialize};
use stance_shared::{IncidentId, PlaybookRunId, ReportId, TenantId};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// A worker that gave no sign of life for this long is taken for dead.
pub const DEAD_AFTER: Duration = Duration::from_secs(10);

/// Starts this process's workers and its sweep; they end when `tasks` is told to stop.
pub fn start(db: &Db, clock: &Clock, dispatch: Dispatch, tasks: &Tasks) {
    let runner = runner::Runner {
        db: db.clone(),
        clock: clock.clone(),
        handler: Arc::new(dispatch),
        stopping: tasks.stopping(),
    };
    // Imports are bound by the processor and the database; more at once would only take each other's turn.
    tasks.spawn(runner.clone().run("imports", 2));
    // What waits for other machines must not hold up what does not.
    tasks.spawn(runner.clone().run("outbound", 4));
    tasks.spawn(runner.run("short", 4));
    tasks.spawn(sweep::run(db.clone(), clock.clone(), tasks.stopping()));
}

/// Something to do later, in one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// Parses an uploaded report and merges it.
    ImportReport { report: ReportId },
    /// Computes the risk of the assets in `score_dirty`, and the organization's.
    RecomputeRisk,
    /// Computes the risk of all assets: checks grow stale by time alone, and each day has its point in the history.
    DailySnapshot,
    /// Ends accepted risks whose date has passed.
    ExpireDecisions,
    /// Makes findings of what agents' events show.
    ReportRuntime,
    /// Looks at agents' runs as a whole.
    AnalyzeRuns,
    /// Finds what belongs to one incident.
    Correlate,
    /// Notices clocks of incidents that ran out.
    WatchClocks,
    /// An incident was opened or changed.
    IncidentChanged { incident: IncidentId },
    /// Decides who hears of new notices, and sends what is due.
    Notify,
    /// Tells enforcement points what they have not proven yet, ends what has expired.
    KeepContainments,
    /// Drives a playbook's run as far as it goes.
    RunPlaybook { run: PlaybookRunId },
}

impl Job {
    /// The name in dead letters, logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ImportReport { .. } => "import_report",
            Self::RecomputeRisk => "recompute_risk",
            Self::DailySnapshot => "daily_snapshot",
            Self::ExpireDecisions => "expire_decisions",
            Self::ReportRuntime => "report_runtime",
            Self::AnalyzeRuns => "analyze_runs",
            Self::Correlate => "correlate",
            Self::WatchClocks => "watch_clocks",
            Self::IncidentChanged { .. } => "incident_changed",
            Self::Notify => "notify",
            Self::KeepContainments => "keep_containments",
            Self::RunPlaybook { .. } => "run_playbook",
        }
    }

    /// The one thing that the job is about, where there is one.
    #[must_use]
    pub const fn subject(&self) -> Option<Uuid> {
        match self {
            Self::ImportReport { report } => Some(report.0),
            Self::IncidentChanged { incident } => Some(incident.0),
            Self::RunPlaybook { run } => Some(run.0),
            _ => None,
        }
    }

    /// Delays before the second, third … attempt. When they are used up, the job becomes a dead letter.
    #[must_use]
    pub const fn schedule(&self) -> &'static [Duration] {
        const IMPORT: &[Duration] = &[Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(60)];
        const SHORT: &[Duration] =
            &[Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(300)];
        match self {
            Self::ImportReport { .. } => IMPORT,
            _ => SHORT,
        }
    }

    /// Imports are long, and other machines may be slow; they have their own queues, so that they never hold up the short jobs.
    #[must_use]
    pub const fn queue(&self) -> &'static str {
        match self {
            Self::ImportReport { .. } => "imports",
            Self::Notify => "outbound",
            _ => "short",
        }
    }
}

/// What is stored: the job, for whom, on whose behalf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    pub tenant: TenantId,
    /// Who caused it; history and audit name them.
    pub actor: Actor,
    /// The request that caused it; log lines and audit carry it.
    pub request_id: String,
    /// Attempts that failed before this one.
    pub attempt: u32,
    #[serde(flatten)]
    pub job: Job,
}

impl Envelope {
    /// The context to work in: on behalf of the actor, with every permission, since what they asked for was already allowed.
    #[must_use]
    pub fn ctx(&self, clock: Clock) -> Ctx {
        Ctx {
            tenant: self.tenant,
            actor: self.actor.clone(),
            role: Role::Owner,
            scopes: None,
            session: None,
            request_id: self.request_id.clone(),
            clock,
        }
    }
}

/// How a handler ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Not now, and not a failure: run again after the delay.
    Later(Duration),
}
