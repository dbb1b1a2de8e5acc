//! SQL of playbooks.

use super::domain::{Detail, Playbook, Run, StepRecord, Version};
use crate::kernel::{Clock, Error, Result, SystemTx, TenantTx, error::OnConstraint as _, page::Page};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{Postgres, QueryBuilder, Row as _, postgres::PgRow};
use stance_shared::{IncidentId, PlaybookId, PlaybookRunId, PlaybookRunStatus, PlaybookStepState, TenantId};
use uuid::Uuid;

/// The playbooks that are stored, each with its newest version; archived ones only when they are named.
pub(super) async fn playbooks(tx: &mut TenantTx, ids: Option<&[PlaybookId]>) -> Result<Vec<Playbook>> {
    let ids: Option<Vec<Uuid>> = ids.map(|ids| ids.iter().map(|id| id.0).collect());
    Ok(sqlx::query_as!(
        Playbook,
        r#"select p.id as "id: PlaybookId", p.slug, p.built_in, p.enabled, v.version, v.source
           from playbook p cross join lateral (
               select version, source from playbook_version v where v.playbook_id = p.id order by version desc limit 1) v
           where case when $1::uuid[] is null then p.archived_at is null else p.id = any($1) end
           order by p.slug"#,
        ids.as_deref() as Option<&[Uuid]>
    )
    .fetch_all(tx.conn())
    .await?)
}

pub(super) async fn versions(tx: &mut TenantTx, ids: &[PlaybookId]) -> Result<Vec<Version>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    Ok(sqlx::query_as!(
        Version,
        r#"select playbook_id as "playbook: PlaybookId", version, source, note, created_at, created_by from playbook_version
           where playbook_id = any($1) order by playbook_id, version desc"#,
        &ids
    )
    .fetch_all(tx.conn())
    .await?)
}

pub(super) async fn source(tx: &mut TenantTx, id: PlaybookId, version: i32) -> Result<String> {
    sqlx::query_scalar!("select source from playbook_version where playbook_id = $1 and version = $2", id.0, version)
        .fetch_optional(tx.conn())
        .await?
        .ok_or_else(|| Error::not_found("playbook"))
}

/// Of each run: its playbook, version and the text of it.
pub(super) async fn sources_of(
    tx: &mut TenantTx,
    runs: &[PlaybookRunId],
) -> Result<Vec<(PlaybookRunId, PlaybookId, i32, String)>> {
    let ids: Vec<Uuid> = runs.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        "select r.id, r.playbook_id, r.version, v.source from playbook_run r
         join playbook_version v on v.playbook_id = r.playbook_id and v.version = r.version where r.id = any($1)",
        &ids
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|r| (PlaybookRunId(r.id), PlaybookId(r.playbook_id), r.version, r.source)).collect())
}

pub(super) async fn count(tx: &mut TenantTx) -> Result<i64> {
    Ok(sqlx::query_scalar!(r#"select count(*) as "count!" from playbook where archived_at is null and not built_in"#)
        .fetch_one(tx.conn())
        .await?)
}

/// Stores a playbook, if it is not there.
pub(super) async fn keep(tx: &mut TenantTx, id: PlaybookId, slug: &str, built_in: bool) -> Result<()> {
    let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
    sqlx::query!(
        "insert into playbook (tenant_id, id, slug, built_in, created_at) values ($1, $2, $3, $4, $5)
         on conflict (tenant_id, id) do nothing",
        tenant,
        id.0,
        slug,
        built_in,
        now
    )
    .execute(tx.conn())
    .await
    .on_constraint("playbook_slug", || Error::field("source", "id: another playbook has this id already"))?;
    Ok(())
}

/// Stores a version, if it is not there.
pub(super) async fn keep_version(tx: &mut TenantTx, version: &Version, title: &str) -> Result<()> {
    let tenant = tx.ctx().tenant.0;
    sqlx::query!(
        "insert into playbook_version (tenant_id, playbook_id, version, title, source, note, created_at, created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing",
        tenant,
        version.playbook.0,
        version.version,
        title,
        version.source,
        version.note,
        version.created_at,
        version.created_by
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Locks a playbook, so that versions come one after the other; false when there is none that is not archived.
pub(super) async fn lock(tx: &mut TenantTx, id: PlaybookId) -> Result<bool> {
    let found =
        sqlx::query_scalar!("select 1 as one from playbook where id = $1 and archived_at is null for update", id.0)
            .fetch_optional(tx.conn())
            .await?;
    Ok(found.is_some())
}

pub(super) async fn set_enabled(tx: &mut TenantTx, id: PlaybookId, enabled: bool) -> Result<bool> {
    let done = sqlx::query!("update playbook set enabled = $2 where id = $1 and archived_at is null", id.0, enabled)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn archive(tx: &mut TenantTx, id: PlaybookId) -> Result<bool> {
    let now = tx.ctx().now();
    let done = sqlx::query!(
        "update playbook set archived_at = $2, enabled = false where id = $1 and archived_at is null and not built_in",
        id.0,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

// ------------------------------------------------------------------------------------------------------------ runs

/// Stores a run; false when the trigger has started this version for the incident before.
pub(super) async fn insert_run(tx: &mut TenantTx, run: &Run) -> Result<bool> {
    let tenant = tx.ctx().tenant.0;
    let done = sqlx::query!(
        "insert into playbook_run (tenant_id, id, playbook_id, version, incident_id, dry_run, triggered, status, reason, started_by,
                                   started_at, ended_at, wake_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         on conflict (tenant_id, incident_id, playbook_id, version) where triggered do nothing",
        tenant,
        run.id.0,
        run.playbook.0,
        run.version,
        run.incident.map(|id| id.0),
        run.dry_run,
        run.triggered,
        run.status.as_str(),
        run.reason,
        run.started_by,
        run.started_at,
        run.ended_at,
        run.wake_at
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// How many runs of the playbook, and of all, were started since. Waits for whoever counts just now.
pub(super) async fn started_since(tx: &mut TenantTx, id: PlaybookId, since: DateTime<Utc>) -> Result<(i64, i64)> {
    let tenant = tx.ctx().tenant.0;
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('playbook_run:' || $1::uuid::text, 0))")
        .bind(tenant)
        .execute(tx.conn())
        .await?;
    let row = sqlx::query!(
        r#"select count(*) filter (where playbook_id = $1) as "of_it!", count(*) as "of_all!" from playbook_run
           where started_at > $2 and not dry_run and status <> 'REFUSED'"#,
        id.0,
        since
    )
    .fetch_one(tx.conn())
    .await?;
    Ok((row.of_it, row.of_all))
}

/// Whether the trigger has started this version for the incident.
pub(super) async fn was_triggered(
    tx: &mut TenantTx,
    id: PlaybookId,
    version: i32,
    incident: IncidentId,
) -> Result<bool> {
    let found = sqlx::query_scalar!(
        "select 1 as one from playbook_run where incident_id = $1 and playbook_id = $2 and version = $3 and triggered",
        incident.0,
        id.0,
        version
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found.is_some())
}

fn read_run(row: &PgRow) -> Result<Run, sqlx::Error> {
    let word: String = row.try_get("status")?;
    Ok(Run {
        id: PlaybookRunId(row.try_get("id")?),
        playbook: PlaybookId(row.try_get("playbook_id")?),
        version: row.try_get("version")?,
        title: row.try_get("title")?,
        incident: row.try_get::<Option<Uuid>, _>("incident_id")?.map(IncidentId),
        dry_run: row.try_get("dry_run")?,
        triggered: row.try_get("triggered")?,
        status: word.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        reason: row.try_get("reason")?,
        started_by: row.try_get("started_by")?,
        started_at: row.try_get("started_at")?,
        ended_at: row.try_get("ended_at")?,
        wake_at: row.try_get("wake_at")?,
    })
}

const RUNS: &str = "select r.*, v.title from playbook_run r
    join playbook_version v on v.playbook_id = r.playbook_id and v.version = r.version where true";

/// Narrows a list of runs.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    pub playbook: Option<PlaybookId>,
    pub incident: Option<IncidentId>,
    pub status: Option<PlaybookRunStatus>,
    pub dry_run: Option<bool>,
}

fn narrowed(query: &mut QueryBuilder<Postgres>, filter: &RunFilter) {
    if let Some(id) = filter.playbook {
        query.push(" and r.playbook_id = ").push_bind(id.0);
    }
    if let Some(id) = filter.incident {
        query.push(" and r.incident_id = ").push_bind(id.0);
    }
    if let Some(status) = filter.status {
        query.push(" and r.status = ").push_bind(status.as_str());
    }
    if let Some(dry) = filter.dry_run {
        query.push(" and r.dry_run = ").push_bind(dry);
    }
}

pub(super) async fn runs(
    tx: &mut TenantTx,
    filter: &RunFilter,
    page: &Page<(DateTime<Utc>, Uuid)>,
) -> Result<Vec<Run>> {
    let mut query = QueryBuilder::new(RUNS);
    narrowed(&mut query, filter);
    if let Some((at, id)) = page.after {
        query.push(" and (r.started_at, r.id) < (").push_bind(at).push(", ").push_bind(id).push(")");
    }
    query.push(" order by r.started_at desc, r.id desc limit ").push_bind(page.limit());
    let rows = query.build().fetch_all(tx.conn()).await?;
    Ok(rows.iter().map(read_run).collect::<Result<_, _>>()?)
}

pub(super) async fn run_count(tx: &mut TenantTx, filter: &RunFilter) -> Result<i64> {
    let mut query = QueryBuilder::new("select count(*) from playbook_run r where true");
    narrowed(&mut query, filter);
    Ok(query.build_query_scalar().fetch_one(tx.conn()).await?)
}

/// Runs by id.
pub(super) async fn runs_by_ids(tx: &mut TenantTx, ids: &[PlaybookRunId]) -> Result<Vec<Run>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut query = QueryBuilder::new(RUNS);
    query.push(" and r.id = any(").push_bind(ids).push(")");
    let rows = query.build().fetch_all(tx.conn()).await?;
    Ok(rows.iter().map(read_run).collect::<Result<_, _>>()?)
}

/// The newest runs of incidents, at most 20 of each, or of playbooks, at most 5 of each.
pub(super) async fn newest(tx: &mut TenantTx, incidents: &[IncidentId], playbooks: &[PlaybookId]) -> Result<Vec<Run>> {
    let incidents: Vec<Uuid> = incidents.iter().map(|id| id.0).collect();
    let playbooks: Vec<Uuid> = playbooks.iter().map(|id| id.0).collect();
    let rows = sqlx::query(
        "select r.*, v.title from (
             select n.* from unnest($1::uuid[]) of(id) cross join lateral (
                 select * from playbook_run r where r.incident_id = of.id order by r.started_at desc limit 20) n
             union all
             select n.* from unnest($2::uuid[]) of(id) cross join lateral (
                 select * from playbook_run r where r.playbook_id = of.id order by r.started_at desc limit 5) n) r
         join playbook_version v on v.playbook_id = r.playbook_id and v.version = r.version
         order by r.started_at desc, r.id desc",
    )
    .bind(incidents)
    .bind(playbooks)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.iter().map(read_run).collect::<Result<_, _>>()?)
}

/// What the run is about from now on.
pub(super) async fn set_incident(tx: &mut TenantTx, id: PlaybookRunId, incident: IncidentId) -> Result<()> {
    sqlx::query("update playbook_run set incident_id = $2 where id = $1")
        .bind(id.0)
        .bind(incident.0)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// The run, locked until the transaction ends.
pub(super) async fn lock_run(tx: &mut TenantTx, id: PlaybookRunId) -> Result<Option<Run>> {
    let locked = sqlx::query_scalar!("select 1 as one from playbook_run where id = $1 for update", id.0)
        .fetch_optional(tx.conn())
        .await?;
    if locked.is_none() {
        return Ok(None);
    }
    Ok(runs_by_ids(tx, &[id]).await?.pop())
}

/// How the run stands now; ended when the status says so.
pub(super) async fn set_run(
    tx: &mut TenantTx,
    id: PlaybookRunId,
    status: PlaybookRunStatus,
    reason: &str,
    wake_at: Option<DateTime<Utc>>,
) -> Result<()> {
    let open = matches!(status, PlaybookRunStatus::Running | PlaybookRunStatus::Paused);
    let ended = (!open).then(|| tx.ctx().now());
    let reason: String = reason.chars().take(1000).collect();
    sqlx::query!(
        "update playbook_run set status = $2, reason = $3, wake_at = $4, ended_at = $5 where id = $1",
        id.0,
        status.as_str(),
        reason,
        wake_at.filter(|_| status == PlaybookRunStatus::Running),
        ended
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn steps(tx: &mut TenantTx, runs: &[PlaybookRunId]) -> Result<Vec<StepRecord>> {
    let ids: Vec<Uuid> = runs.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select run_id, step, state as "state: PlaybookStepState", final, attempt, started_at, at, by, plan, outcome, answer, detail
           from playbook_step where run_id = any($1) order by run_id, started_at, step"#,
        &ids
    )
    .fetch_all(tx.conn())
    .await?;
    let record = |detail: Value| serde_json::from_value::<Detail>(detail).map_err(Error::internal);
    rows.into_iter()
        .map(|row| {
            Ok(StepRecord {
                run: PlaybookRunId(row.run_id),
                step: row.step,
                state: row.state,
                is_final: row.r#final,
                attempt: row.attempt,
                started_at: row.started_at,
                at: row.at,
                by: row.by,
                plan: row.plan,
                outcome: row.outcome,
                answer: row.answer,
                detail: record(row.detail)?,
            })
        })
        .collect()
}

/// Stores what is known of a step.
pub(super) async fn put_step(tx: &mut TenantTx, step: &StepRecord) -> Result<()> {
    let tenant = tx.ctx().tenant.0;
    let cut = |text: &str| text.chars().take(4000).collect::<String>();
    sqlx::query!(
        "insert into playbook_step (tenant_id, run_id, step, state, final, attempt, started_at, at, by, plan, outcome, answer, detail)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         on conflict (tenant_id, run_id, step) do update set state = excluded.state, final = excluded.final, attempt = excluded.attempt,
             at = excluded.at, by = excluded.by, plan = excluded.plan, outcome = excluded.outcome, answer = excluded.answer,
             detail = excluded.detail",
        tenant,
        step.run.0,
        step.step,
        step.state.as_str(),
        step.is_final,
        step.attempt,
        step.started_at,
        step.at,
        step.by,
        cut(&step.plan),
        cut(&step.outcome),
        step.answer,
        serde_json::to_value(&step.detail).map_err(Error::internal)?
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Steps under way end with their run.
pub(super) async fn cancel_open(tx: &mut TenantTx, run: PlaybookRunId, steps: Option<&[String]>) -> Result<()> {
    let (now, by) = (tx.ctx().now(), tx.ctx().actor.label().to_owned());
    sqlx::query!(
        "update playbook_step set state = 'CANCELLED', at = $2, by = $3 where run_id = $1 and state = 'STARTED'
         and ($4::text[] is null or step = any($4))",
        run.0,
        now,
        by,
        steps as Option<&[String]>
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A step that is to be done anew is as if it had not begun.
pub(super) async fn forget_step(tx: &mut TenantTx, run: PlaybookRunId, step: &str) -> Result<()> {
    sqlx::query!("delete from playbook_step where run_id = $1 and step = $2", run.0, step).execute(tx.conn()).await?;
    Ok(())
}

/// Runs that are to go on and that no living worker has a job of.
pub(crate) async fn due(tx: &mut SystemTx, clock: &Clock) -> Result<Vec<(TenantId, PlaybookRunId)>> {
    // The queue's tables are laid down by apalis, so this is checked at run time.
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "select r.tenant_id, r.id from playbook_run r where r.wake_at <= $1
           and not exists (select from apalis.jobs j where j.metadata->'job' = 'run_playbook' and j.metadata->'subject' = r.id::text
               and (j.status = 'Pending' or (j.status in ('Queued', 'Running') and exists (
                   select from apalis.workers w where w.id = j.lock_by and w.last_seen > now() - interval '5 seconds'))))
         order by r.wake_at limit 1000",
    )
    .bind(clock.now() - chrono::Duration::seconds(1))
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|(tenant, run)| (TenantId(tenant), PlaybookRunId(run))).collect())
}
