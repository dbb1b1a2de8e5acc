//! The slice's jobs.

use super::{drive, repo, service};
use crate::{
    jobs::{Job, Outcome},
    kernel::{Clock, Ctx, Db, Result, SystemTx, TenantTx, outbound::Outbound},
};
use stance_shared::{IncidentId, PlaybookRunId, TenantId};

/// Starts what an incident that opened or changed triggers.
///
/// # Errors
/// When the database fails.
pub async fn triggered(db: &Db, ctx: &Ctx, incident: IncidentId) -> Result<Outcome> {
    // In nobody's name: the incident may have changed by anybody.
    let ctx = Ctx { request_id: ctx.request_id.clone(), ..Ctx::system(ctx.tenant, "trigger", ctx.clock.clone()) };
    service::triggered(db, &ctx, incident).await?;
    Ok(Outcome::Done)
}

/// Drives a run.
///
/// # Errors
/// When the database fails.
pub async fn run(db: &Db, ctx: &Ctx, outbound: &Outbound, run: PlaybookRunId) -> Result<Outcome> {
    drive::drive(db, ctx, outbound, run).await
}

/// Nobody will try again: the run has failed, and a person can have its step tried again.
///
/// # Errors
/// When the database fails.
pub async fn gave_up(tx: &mut TenantTx, run: PlaybookRunId, error: &str) -> Result<()> {
    drive::fail_in(tx, run, error).await
}

/// Runs that should go on and that nobody drives.
///
/// # Errors
/// When the database fails.
pub async fn due(tx: &mut SystemTx, clock: &Clock) -> Result<Vec<(TenantId, Job)>> {
    let runs = repo::due(tx, clock).await?;
    Ok(runs.into_iter().map(|(tenant, run)| (tenant, Job::RunPlaybook { run })).collect())
}
