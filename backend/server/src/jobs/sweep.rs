//! Finding missed work by looking at the data, and tidying up. Runs in every worker; one at a time does it.

use super::{Envelope, Job, queue};
use crate::{
    kernel::{Actor, Clock, Db, Result, SystemTx, db::SystemReason},
    notify::repo as notices,
    playbooks,
    runtime::{jobs_repo, partitions},
};
use chrono::Duration as Span;
use stance_shared::{ReportId, TenantId};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const EVERY: Duration = Duration::from_secs(10);
/// Any number of our own.
const SWEEP_LOCK: i64 = 0x0073_7765_6570;
/// The bytes of a report whose import failed for good are kept this long, so that its job can be driven again.
pub const BODY_DAYS: i64 = 30;

/// Sweeps until stopping begins.
pub async fn run(db: Db, clock: Clock, stopping: CancellationToken) {
    while !stopping.is_cancelled() {
        let swept = async {
            once(&db, &clock).await?;
            drop_days(&db, &clock).await
        };
        if let Err(error) = swept.await {
            tracing::warn!(cause = error.internal_text(), "sweep failed: {}", error.public);
        }
        let _ = tokio::time::timeout(EVERY, stopping.cancelled()).await;
    }
}

/// One sweep. Returns how many jobs it enqueued; 0 also when another process sweeps just now.
///
/// # Errors
/// When the database fails; then nothing happened.
pub async fn once(db: &Db, clock: &Clock) -> Result<usize> {
    let mut tx = db.begin_system(SystemReason::Jobs).await?;
    let mine: bool =
        sqlx::query_scalar("select pg_try_advisory_xact_lock($1)").bind(SWEEP_LOCK).fetch_one(tx.conn()).await?;
    if !mine {
        return Ok(0);
    }
    rescue_orphans(&mut tx).await?;
    let mut found = Vec::new();
    found.extend(unfinished_reports(&mut tx).await?);
    found.extend(dirty_scores(&mut tx, clock).await?);
    found.extend(missing_snapshots(&mut tx, clock).await?);
    found.extend(due_decisions(&mut tx, clock).await?);
    found.extend(runtime_work(&mut tx, clock).await?);
    found.extend(notices::with_work(&mut tx, clock).await?.into_iter().map(|tenant| (tenant, Job::Notify)));
    found.extend(playbooks::jobs::due(&mut tx, clock).await?);
    found.extend(open_containments(&mut tx).await?);
    for (tenant, job) in &found {
        let envelope = Envelope {
            tenant: *tenant,
            actor: Actor::System { label: "sweep".to_owned() },
            request_id: clock.new_id().to_string(),
            attempt: 0,
            job: job.clone(),
        };
        queue::push(tx.conn(), &envelope, Duration::ZERO).await?;
    }
    tidy(&mut tx, clock).await?;
    jobs_repo::forget(&mut tx, clock).await?;
    notices::forget(&mut tx, clock).await?;
    tx.commit().await?;
    Ok(found.len())
}

/// Drops whole days of events that no organization keeps.
async fn drop_days(db: &Db, clock: &Clock) -> Result<()> {
    let mut tx = db.begin_system(SystemReason::Jobs).await?;
    let first = jobs_repo::first_day_kept(&mut tx, clock).await?;
    drop(tx);
    let dropped = partitions::drop_before(db, first).await?;
    if dropped > 0 {
        tracing::info!(dropped, "days of events that nobody keeps were dropped");
    }
    Ok(())
}

/// Which work has a job already. The queue's tables are laid down by apalis, so these statements are checked at run time.
macro_rules! without_job {
    ($job:literal, $tenant:literal) => {
        concat!(
            " and not exists (select from apalis.jobs j where j.status in ('Pending', 'Queued', 'Running') and j.metadata->'job' = '",
            $job,
            "' and j.metadata->'tenant' = ",
            $tenant,
            "::text)"
        )
    };
}

/// Jobs of workers that no longer exist; apalis finds only those of workers that it still has a row of.
async fn rescue_orphans(tx: &mut SystemTx) -> Result<()> {
    sqlx::query(
        "update apalis.jobs j set status = 'Pending', lock_by = null, lock_at = null, attempts = attempts + 1
         where status in ('Queued', 'Running')
           and not exists (select from apalis.workers w where w.id = j.lock_by and w.last_seen > now() - interval '60 seconds')",
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The oldest unfinished report of each tenant (they are merged in order) that no import job is about.
async fn unfinished_reports(tx: &mut SystemTx) -> Result<Vec<(TenantId, Job)>> {
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(concat!(
        "select distinct on (r.tenant_id) r.tenant_id, r.id from report r
         where r.status in ('ACCEPTED', 'STAGING', 'MERGING') and length(r.sha256) > 0",
        without_job!("import_report", "r.tenant_id"),
        " order by r.tenant_id, r.id"
    ))
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|(tenant, id)| (TenantId(tenant), Job::ImportReport { report: ReportId(id) })).collect())
}

async fn dirty_scores(tx: &mut SystemTx, clock: &Clock) -> Result<Vec<(TenantId, Job)>> {
    let rows: Vec<Uuid> = sqlx::query_scalar(concat!(
        "select distinct d.tenant_id from score_dirty d where d.since < $1",
        without_job!("recompute_risk", "d.tenant_id")
    ))
    .bind(clock.now() - Span::seconds(5))
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|tenant| (TenantId(tenant), Job::RecomputeRisk)).collect())
}

async fn missing_snapshots(tx: &mut SystemTx, clock: &Clock) -> Result<Vec<(TenantId, Job)>> {
    let rows: Vec<Uuid> = sqlx::query_scalar(concat!(
        "select o.tenant_id from organization o
         where not exists (select from posture_day p where p.tenant_id = o.tenant_id and p.layer = 'ALL' and p.day = $1)",
        without_job!("daily_snapshot", "o.tenant_id")
    ))
    .bind(clock.now().date_naive())
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|tenant| (TenantId(tenant), Job::DailySnapshot)).collect())
}

async fn due_decisions(tx: &mut SystemTx, clock: &Clock) -> Result<Vec<(TenantId, Job)>> {
    let rows: Vec<Uuid> = sqlx::query_scalar(concat!(
        "select distinct d.tenant_id from decision d
         join finding f on f.tenant_id = d.tenant_id and f.id = d.finding_id and f.decision_id = d.id
         where d.expires_at <= $1 and d.undone_at is null",
        without_job!("expire_decisions", "d.tenant_id")
    ))
    .bind(clock.now())
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|tenant| (TenantId(tenant), Job::ExpireDecisions)).collect())
}

/// Agents whose events show something new, and runs with new steps.
async fn runtime_work(tx: &mut SystemTx, clock: &Clock) -> Result<Vec<(TenantId, Job)>> {
    jobs_repo::mark_due(tx, clock).await?;
    let (marked, runs) = jobs_repo::with_work(tx, clock).await?;
    let busy: Vec<(String, String)> = sqlx::query_as(
        "select metadata->'tenant', metadata->'job' from apalis.jobs
         where status in ('Pending', 'Queued', 'Running') and metadata->'job' in ('report_runtime', 'analyze_runs')",
    )
    .fetch_all(tx.conn())
    .await?;
    let idle =
        |tenant: &TenantId, job: &Job| !busy.iter().any(|(of, name)| *of == tenant.to_string() && name == job.name());
    let work = (marked.into_iter().map(|tenant| (tenant, Job::ReportRuntime)))
        .chain(runs.into_iter().map(|tenant| (tenant, Job::AnalyzeRuns)));
    Ok(work.filter(|(tenant, job)| idle(tenant, job)).collect())
}

/// Organizations with a containment that is not over: an agent may be delegated to, a point come alive.
async fn open_containments(tx: &mut SystemTx) -> Result<Vec<(TenantId, Job)>> {
    let rows: Vec<Uuid> = sqlx::query_scalar(concat!(
        "select distinct c.tenant_id from containment c where c.released_at is null",
        without_job!("keep_containments", "c.tenant_id")
    ))
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|tenant| (TenantId(tenant), Job::KeepContainments)).collect())
}

/// Deletes what nobody needs any more: finished jobs, workers long gone, old and abandoned uploads.
async fn tidy(tx: &mut SystemTx, clock: &Clock) -> Result<()> {
    let now = clock.now();
    sqlx::query(
        "delete from apalis.jobs where status in ('Done', 'Killed') or (status = 'Failed' and attempts >= max_attempts)",
    )
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "delete from apalis.workers w where last_seen < now() - interval '1 hour'
         and not exists (select from apalis.jobs j where j.lock_by = w.id)",
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "delete from report_body b using report r where r.tenant_id = b.tenant_id and r.id = b.report_id and r.finished_at < $1",
        now - Span::days(BODY_DAYS)
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!("delete from report where length(sha256) = 0 and created_at < $1", now - Span::hours(2))
        .execute(tx.conn())
        .await?;
    Ok(())
}
