//! SQL of enforcement points, and of how far they have come.

use super::{
    Grade,
    domain::{Standing, Step},
};
use crate::kernel::{Result, SystemTx, TenantTx, crypto::Sealed};
use chrono::{DateTime, Duration, Utc};
use stance_shared::{ContainmentId, ContainmentStatus, EnforcementPhase, EnforcementPointId, SensorId, TenantId};
use uuid::Uuid;

/// Canary calls of one containment: in the name of the agent and of some that it delegates to.
const MAX_CANARIES: i64 = 10;
/// Enforcements that one statement hands out.
const MAX_CLAIMED: i64 = 2_000;

/// What a point has not proven yet.
#[derive(Clone, Debug)]
pub(super) struct Due {
    pub containment: ContainmentId,
    pub point: EnforcementPointId,
    pub phase: EnforcementPhase,
    /// The first policy that will do.
    pub revision: i64,
    pub nonce: Uuid,
    pub grade: Grade,
    /// In whose name canary calls are made; the contained agent first.
    pub agents: Vec<String>,
}

/// A sign of life of this server; the first one makes it known.
pub(super) async fn beat(tx: &mut SystemTx, process: Uuid, name: &str, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "insert into server_process (id, name, started_at, last_seen_at) values ($1, $2, $3, $3)
         on conflict (id) do update set last_seen_at = $3",
        process,
        name,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Forgets a server that ends, so that it counts no more at once. Points that name it stay.
pub(super) async fn farewell(tx: &mut SystemTx, process: Uuid, long_ago: DateTime<Utc>) -> Result<()> {
    sqlx::query!("delete from server_process where id = $1 or last_seen_at < $2", process, long_ago)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Organizations in which something is to be proven, has expired, or does not know of a server yet.
pub(super) async fn with_work(tx: &mut SystemTx, process: Option<Uuid>, now: DateTime<Utc>) -> Result<Vec<TenantId>> {
    Ok(sqlx::query_scalar!(
        r#"select distinct c.tenant_id as "tenant: TenantId" from containment c where c.released_at is null and (
               c.ending is null and c.expires_at <= $2 or c.status not in ('PROVEN', 'RELEASED', 'EXPIRED')
               or exists (select from enforcement e where e.tenant_id = c.tenant_id and e.containment_id = c.id
                   and e.phase = case when c.ending is null then 'CONTAIN' else 'RELEASE' end and e.status not in ('PROVEN', 'GONE'))
               or $1::uuid is not null and not exists (select from enforcement e join enforcement_point p
                   on p.tenant_id = e.tenant_id and p.id = e.point_id
                   where e.tenant_id = c.tenant_id and e.containment_id = c.id and p.process_id = $1 and e.status <> 'GONE'
                   and e.phase = case when c.ending is null then 'CONTAIN' else 'RELEASE' end))"#,
        process,
        now
    )
    .fetch_all(tx.conn())
    .await?)
}

/// What this server has not proven yet.
pub(super) async fn of_server(tx: &mut TenantTx, process: Uuid) -> Result<Vec<Due>> {
    Ok(sqlx::query_as!(
        Due,
        r#"select e.containment_id as "containment: ContainmentId", e.point_id as "point: EnforcementPointId", e.phase as "phase: EnforcementPhase",
               e.revision, e.nonce, c.grade as "grade: Grade",
               array(select a.key from containment_agent a where a.containment_id = c.id order by a.agent_id <> c.agent_id, a.key limit $2) as "agents!"
           from enforcement_point p join enforcement e on e.point_id = p.id join containment c on c.id = e.containment_id
           where p.process_id = $1 and e.status not in ('PROVEN', 'GONE') and c.released_at is null
             and e.phase = case when c.ending is null then 'CONTAIN' else 'RELEASE' end"#,
        process,
        MAX_CANARIES
    )
    .fetch_all(tx.conn())
    .await?)
}

/// A point that takes orders over HTTP, with what it has to be told.
#[derive(Clone)]
pub(super) struct Push {
    pub url: String,
    pub secret: Sealed,
    pub due: Due,
}

/// Takes what is to be told over HTTP; nobody else takes it before `until`. What failed is taken again after `again_before`.
pub(super) async fn claim(tx: &mut TenantTx, until: DateTime<Utc>, again_before: DateTime<Utc>) -> Result<Vec<Push>> {
    let now = tx.ctx().now();
    let rows = sqlx::query!(
        r#"with due as (
               select e.containment_id, e.point_id, e.phase from enforcement_point p join enforcement e on e.point_id = p.id
               join containment c on c.id = e.containment_id
               where p.kind = 'HTTP' and p.retired_at is null and c.released_at is null
                 and e.status not in ('PROVEN', 'GONE') and (e.claimed_until is null or e.claimed_until < $1)
                 and (e.status <> 'FAILED' or e.failed_at < $3)
                 and e.phase = case when c.ending is null then 'CONTAIN' else 'RELEASE' end
               limit $4 for update of e skip locked
           )
           update enforcement e set status = 'DISPATCHED', dispatched_at = greatest($1, e.requested_at), acknowledged_at = null,
               acknowledged_hash = null, canary_at = null, claimed_until = $2, attempts = e.attempts + 1, nonce = gen_random_uuid()
           from due, containment c, enforcement_point p
           where e.containment_id = due.containment_id and e.point_id = due.point_id and e.phase = due.phase
             and c.id = e.containment_id and p.id = e.point_id
           returning e.containment_id as "containment: ContainmentId", e.point_id as "point: EnforcementPointId",
               e.phase as "phase: EnforcementPhase", e.revision, e.nonce, c.grade as "grade: Grade", p.url as "url!", p.secret as "secret!: Sealed",
               array(select a.key from containment_agent a where a.containment_id = c.id order by a.agent_id <> c.agent_id, a.key limit $5) as "agents!""#,
        now,
        until,
        again_before,
        MAX_CLAIMED,
        MAX_CANARIES
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Push {
            url: row.url,
            secret: row.secret,
            due: Due {
                containment: row.containment,
                point: row.point,
                phase: row.phase,
                revision: row.revision,
                nonce: row.nonce,
                grade: row.grade,
                agents: row.agents,
            },
        })
        .collect())
}

/// The point of a sensor, by its token.
pub(super) async fn of_token(tx: &mut TenantTx, token: Uuid) -> Result<Option<EnforcementPointId>> {
    Ok(sqlx::query_scalar!(
        r#"select p.id as "id: EnforcementPointId" from sensor s join enforcement_point p on p.sensor_id = s.id
           where s.token_id = $1 and s.retired_at is null and p.retired_at is null"#,
        token
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// What a sensor has not proven yet; it was told now.
pub(super) async fn told(tx: &mut TenantTx, point: EnforcementPointId) -> Result<Vec<Due>> {
    let now = tx.ctx().now();
    Ok(sqlx::query_as!(
        Due,
        r#"update enforcement e set status = case when e.status in ('REQUESTED', 'FAILED') then 'DISPATCHED' else e.status end,
               dispatched_at = case when e.status in ('REQUESTED', 'FAILED') then greatest($2, e.requested_at) else e.dispatched_at end,
               attempts = e.attempts + case when e.status in ('REQUESTED', 'FAILED') then 1 else 0 end
           from containment c
           where c.id = e.containment_id and e.point_id = $1 and e.status not in ('PROVEN', 'GONE') and c.released_at is null
             and e.phase = case when c.ending is null then 'CONTAIN' else 'RELEASE' end
           returning e.containment_id as "containment: ContainmentId", e.point_id as "point: EnforcementPointId",
               e.phase as "phase: EnforcementPhase", e.revision, e.nonce, c.grade as "grade: Grade",
               array(select a.key from containment_agent a where a.containment_id = c.id order by a.agent_id <> c.agent_id, a.key limit $3) as "agents!""#,
        point.0,
        now,
        MAX_CANARIES
    )
    .fetch_all(tx.conn())
    .await?)
}

/// What a sensor was told and has not proven yet.
pub(super) async fn awaited(tx: &mut TenantTx, point: EnforcementPointId) -> Result<Vec<Due>> {
    Ok(sqlx::query_as!(
        Due,
        r#"select e.containment_id as "containment: ContainmentId", e.point_id as "point: EnforcementPointId", e.phase as "phase: EnforcementPhase",
               e.revision, e.nonce, c.grade as "grade: Grade",
               array(select a.key from containment_agent a where a.containment_id = c.id order by a.agent_id <> c.agent_id, a.key limit $2) as "agents!"
           from enforcement e join containment c on c.id = e.containment_id
           where e.point_id = $1 and e.status not in ('PROVEN', 'GONE') and e.dispatched_at is not null and c.released_at is null
             and e.phase = case when c.ending is null then 'CONTAIN' else 'RELEASE' end"#,
        point.0,
        MAX_CANARIES
    )
    .fetch_all(tx.conn())
    .await?)
}

/// The newest policy: revision, text, hash.
pub(super) async fn policy(tx: &mut TenantTx) -> Result<Option<(i64, String, String)>> {
    let row = sqlx::query!("select revision, document, hash from containment_policy order by revision desc limit 1")
        .fetch_optional(tx.conn())
        .await?;
    Ok(row.map(|row| (row.revision, row.document, row.hash)))
}

/// The revision that a hash is of.
pub(super) async fn revision_of(tx: &mut TenantTx, hash: &str) -> Result<Option<i64>> {
    Ok(sqlx::query_scalar!("select revision from containment_policy where hash = $1", hash)
        .fetch_optional(tx.conn())
        .await?)
}

/// Whether a hash is of this revision, or there is none of it yet and nothing is contained.
pub(super) async fn hash_of(tx: &mut TenantTx, revision: i64) -> Result<Option<String>> {
    Ok(sqlx::query_scalar!("select hash from containment_policy where revision = $1", revision)
        .fetch_optional(tx.conn())
        .await?)
}

/// A point's first failure with a containment.
pub(super) struct Failure {
    pub containment: ContainmentId,
    pub phase: EnforcementPhase,
    pub point: String,
    pub failure: String,
}

/// Writes how far points have come. What was asked for anew meanwhile, with a later policy, is left as it is. Gives what failed for the
/// first time.
pub(super) async fn record(tx: &mut TenantTx, steps: &[(Due, Step)]) -> Result<Vec<Failure>> {
    let now = tx.ctx().now();
    macro_rules! column {
        (|$due:ident, $step:ident| $value:expr) => {
            &steps.iter().map(|($due, $step)| $value).collect::<Vec<_>>()
        };
    }
    Ok(sqlx::query_as!(
        Failure,
        r#"with given as (
               select * from unnest($2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::timestamptz[], $7::timestamptz[], $8::text[],
                   $9::timestamptz[], $10::timestamptz[], $11::text[])
                   g(containment_id, point_id, phase, revision, dispatched_at, acknowledged_at, hash, canary_at, proven_at, failure)
           ), before as (
               select e.containment_id, e.point_id, e.phase, e.failed_at is null as first from enforcement e join given g
                   on g.containment_id = e.containment_id and g.point_id = e.point_id and g.phase = e.phase
               where e.status not in ('PROVEN', 'GONE') and e.revision = g.revision
               order by e.containment_id, e.point_id for update of e
           ), written as (
               update enforcement e set
                   status = case when g.failure is not null then 'FAILED' when g.proven_at is not null then 'PROVEN'
                       when g.acknowledged_at is not null then 'ACKNOWLEDGED' else 'DISPATCHED' end,
                   dispatched_at = greatest(coalesce(g.dispatched_at, e.dispatched_at), e.requested_at),
                   acknowledged_at = case when g.acknowledged_at is null then null
                       else greatest(g.acknowledged_at, coalesce(g.dispatched_at, e.dispatched_at), e.requested_at) end,
                   acknowledged_hash = g.hash,
                   canary_at = case when g.canary_at is null then null else greatest(g.canary_at, g.acknowledged_at, e.requested_at) end,
                   proven_at = case when g.failure is null and g.proven_at is not null then greatest(g.proven_at, g.canary_at, g.acknowledged_at, e.requested_at) end,
                   failed_at = case when g.failure is null then e.failed_at else $1 end,
                   failure = coalesce(g.failure, e.failure), claimed_until = null
               from given g, before b
               where g.containment_id = e.containment_id and g.point_id = e.point_id and g.phase = e.phase
                 and b.containment_id = e.containment_id and b.point_id = e.point_id and b.phase = e.phase
               returning e.containment_id, e.point_id, e.phase, g.failure, b.first
           )
           select w.containment_id as "containment: ContainmentId", w.phase as "phase: EnforcementPhase", p.name as "point!", w.failure as "failure!"
           from written w join enforcement_point p on p.id = w.point_id where w.failure is not null and w.first"#,
        now,
        column!(|due, _step| due.containment.0),
        column!(|due, _step| due.point.0),
        column!(|due, _step| due.phase.as_str()) as &[&str],
        column!(|due, _step| due.revision),
        column!(|_due, step| step.dispatched_at) as &[Option<DateTime<Utc>>],
        column!(|_due, step| step.acknowledged.as_ref().map(|(at, _)| *at)) as &[Option<DateTime<Utc>>],
        column!(|_due, step| step.acknowledged.as_ref().map(|(_, hash)| hash.clone())) as &[Option<String>],
        column!(|_due, step| step.canary_at) as &[Option<DateTime<Utc>>],
        column!(|_due, step| step.proven_at) as &[Option<DateTime<Utc>>],
        column!(|_due, step| step.failure.clone()) as &[Option<String>],
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Points that are no more count no more; what is late has failed. Gives what failed.
pub(super) async fn overdue(tx: &mut TenantTx, alive_since: DateTime<Utc>) -> Result<Vec<Failure>> {
    let now = tx.ctx().now();
    sqlx::query!(
        "update enforcement e set status = 'GONE', claimed_until = null from containment c
         where c.id = e.containment_id and c.released_at is null and e.status not in ('PROVEN', 'GONE')
           and not exists (select from live_enforcement_point($1) p where p.id = e.point_id)",
        alive_since
    )
    .execute(tx.conn())
    .await?;
    Ok(sqlx::query_as!(
        Failure,
        r#"update enforcement e set status = 'FAILED', failed_at = $1, failure = case e.status
               when 'ACKNOWLEDGED' then format('It did not say within %s s what became of the canary calls.', p.deadline_s)
               else format('It did not acknowledge within %s s.', p.deadline_s) end
           from containment c, enforcement_point p
           where c.id = e.containment_id and p.id = e.point_id and c.released_at is null and e.status in ('REQUESTED', 'DISPATCHED', 'ACKNOWLEDGED')
             and e.failed_at is null and e.requested_at + make_interval(secs => p.deadline_s) < $1
             and e.phase = case when c.ending is null then 'CONTAIN' else 'RELEASE' end
           returning e.containment_id as "containment: ContainmentId", e.phase as "phase: EnforcementPhase", p.name as "point!", e.failure as "failure!""#,
        now
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Locks containments that are not over, before their enforcements: whoever comes last sees all that was written.
pub(super) async fn lock(tx: &mut TenantTx, ids: Option<&[Uuid]>) -> Result<()> {
    sqlx::query!(
        "select id from containment where released_at is null and ($1::uuid[] is null or id = any($1)) order by id for update",
        ids
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(())
}

/// Containments that are not over, with how their points stand; to be locked before.
pub(super) async fn standings(tx: &mut TenantTx, ids: Option<&[Uuid]>) -> Result<Vec<(ContainmentId, Standing)>> {
    let rows = sqlx::query!(
        r#"select c.id as "id: ContainmentId", c.status as "status: ContainmentStatus", c.ending,
               coalesce(c.ending_at, c.requested_at) as "since!",
               count(e.*) filter (where e.status = 'REQUESTED') as "requested!", count(e.*) filter (where e.status = 'DISPATCHED') as "dispatched!",
               count(e.*) filter (where e.status = 'ACKNOWLEDGED') as "acknowledged!", count(e.*) filter (where e.status = 'PROVEN') as "proven!",
               count(e.*) filter (where e.failed_at >= e.requested_at and e.status not in ('PROVEN', 'GONE')) as "failed!"
           from containment c left join enforcement e on e.containment_id = c.id and e.phase = case when c.ending is null then 'CONTAIN' else 'RELEASE' end
           where c.released_at is null and ($1::uuid[] is null or c.id = any($1)) group by c.tenant_id, c.id order by c.id"#,
        ids
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let standing = Standing {
                status: row.status,
                ending: row.ending,
                since: row.since,
                requested: row.requested,
                dispatched: row.dispatched,
                acknowledged: row.acknowledged,
                proven: row.proven,
                failed: row.failed,
            };
            (row.id, standing)
        })
        .collect())
}

/// Moves a containment.
pub(super) async fn advance(tx: &mut TenantTx, id: ContainmentId, status: ContainmentStatus) -> Result<()> {
    let now = tx.ctx().now();
    sqlx::query!(
        "update containment set status = $2, proven_at = case when $2 = 'PROVEN' then coalesce(proven_at, $3) else proven_at end,
             failed_at = case when $2 = 'FAILED' then coalesce(failed_at, $3) else failed_at end,
             released_at = case when $2 in ('RELEASED', 'EXPIRED') then $3 end
         where id = $1",
        id.0,
        status.as_str(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Asks the points anew for a containment that holds more than before.
pub(super) async fn ask_again(tx: &mut TenantTx, ids: &[Uuid], revision: i64) -> Result<()> {
    let now = tx.ctx().now();
    sqlx::query!(
        "update enforcement set status = 'REQUESTED', revision = $2, requested_at = $3, dispatched_at = null, acknowledged_at = null,
             acknowledged_hash = null, canary_at = null, proven_at = null, claimed_until = null, nonce = gen_random_uuid()
         where containment_id = any($1) and phase = 'CONTAIN' and status <> 'GONE'",
        ids,
        revision,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// How long ago something may have been to be tried again.
pub(super) const AGAIN: Duration = Duration::seconds(10);

/// Points that are not retired, without servers.
pub(super) async fn count(tx: &mut TenantTx) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "count!" from enforcement_point where retired_at is null and kind <> 'INSPECT_API'"#
    )
    .fetch_one(tx.conn())
    .await?)
}

pub(super) async fn is_sensor(tx: &mut TenantTx, id: SensorId) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select exists(select from sensor where id = $1 and retired_at is null) as "there!""#,
        id.0
    )
    .fetch_one(tx.conn())
    .await?)
}

/// A point to be; of HTTP with url and secret, of a sensor with that.
pub(super) struct NewPoint<'a> {
    pub id: EnforcementPointId,
    pub name: &'a str,
    pub url: Option<&'a str>,
    pub secret: Option<Sealed>,
    pub sensor: Option<SensorId>,
    pub deadline_s: i32,
}

pub(super) async fn insert(tx: &mut TenantTx, new: NewPoint<'_>) -> Result<(), sqlx::Error> {
    let (tenant, now, by) = (tx.ctx().tenant.0, tx.ctx().now(), tx.ctx().actor.label().to_owned());
    let kind = if new.sensor.is_some() { "SENSOR" } else { "HTTP" };
    sqlx::query!(
        "insert into enforcement_point (tenant_id, id, kind, name, url, secret, sensor_id, deadline_s, created_at, created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        tenant,
        new.id.0,
        kind,
        new.name,
        new.url,
        new.secret.map(|sealed| sealed.0),
        new.sensor.map(|id| id.0),
        new.deadline_s,
        now,
        by
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) fn violates(error: &sqlx::Error, constraint: &str) -> bool {
    error.as_database_error().and_then(|error| error.constraint()) == Some(constraint)
}

pub(super) async fn retire(tx: &mut TenantTx, id: EnforcementPointId) -> Result<bool> {
    let now = tx.ctx().now();
    let done =
        sqlx::query!("update enforcement_point set retired_at = $2 where id = $1 and retired_at is null", id.0, now)
            .execute(tx.conn())
            .await?;
    Ok(done.rows_affected() > 0)
}
