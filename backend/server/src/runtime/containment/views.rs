//! Containments as people see them, and what one would stop.

use super::{Grade, service};
use crate::kernel::{
    Ctx, Db, Error, Permission, Result, TenantTx,
    page::{Page, Slice},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use stance_shared::{
    AssetId, ContainmentId, ContainmentStatus, EnforcementPhase, EnforcementPointId, EnforcementPointKind,
    EnforcementStatus, IncidentId, SensorId,
};
use uuid::Uuid;

/// A containment.
#[derive(Clone, Debug)]
pub struct Containment {
    pub id: ContainmentId,
    pub agent: AssetId,
    pub grade: Grade,
    pub reason: String,
    pub status: ContainmentStatus,
    pub policy_hash: String,
    pub incident: Option<Uuid>,
    pub requested_at: DateTime<Utc>,
    pub requested_by: String,
    pub expires_at: Option<DateTime<Utc>>,
    pub proven_at: Option<DateTime<Utc>>,
    pub failed_at: Option<DateTime<Utc>>,
    /// When somebody released it, or it expired.
    pub ending_at: Option<DateTime<Utc>>,
    pub ending_by: Option<String>,
    pub ending_reason: Option<String>,
    /// When every point had proven that the agent may act again.
    pub released_at: Option<DateTime<Utc>>,
    /// The agents that it holds, under the ids that they have now.
    pub agents: Vec<AssetId>,
}

/// An enforcement point.
#[derive(Clone, Debug)]
pub struct Point {
    pub id: EnforcementPointId,
    pub kind: EnforcementPointKind,
    pub name: String,
    pub url: Option<String>,
    pub sensor: Option<SensorId>,
    pub deadline_s: i32,
    pub created_at: DateTime<Utc>,
    pub retired_at: Option<DateTime<Utc>>,
    /// Whether it counts.
    pub alive: bool,
}

/// How far a point has come with a containment, or with its end.
#[derive(Clone, Debug)]
pub struct Enforcement {
    pub containment: ContainmentId,
    pub point: EnforcementPointId,
    pub phase: EnforcementPhase,
    pub status: EnforcementStatus,
    pub attempts: i32,
    pub requested_at: DateTime<Utc>,
    pub dispatched_at: Option<DateTime<Utc>>,
    pub acknowledged_at: Option<DateTime<Utc>>,
    pub acknowledged_hash: Option<String>,
    pub canary_at: Option<DateTime<Utc>>,
    pub proven_at: Option<DateTime<Utc>>,
    pub failed_at: Option<DateTime<Utc>>,
    pub failure: Option<String>,
}

/// Narrows the list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub agent: Option<AssetId>,
    pub incident: Option<Uuid>,
    /// Those that are not over.
    pub open: bool,
}

/// The sort key: newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key(pub ContainmentId);

/// Containments, newest first.
///
/// # Errors
/// `FORBIDDEN` without `incident:read`.
pub async fn list(db: &Db, ctx: &Ctx, filter: &Filter, page: &Page<Key>) -> Result<Slice<Containment>> {
    let mut tx = db.begin(ctx, Permission::IncidentRead).await?;
    let ids: Vec<Uuid> = sqlx::query_scalar!(
        "select c.id from containment c
         where ($1::uuid is null or c.id < $1)
           and ($2::uuid is null or exists (select from containment_agent a join asset part on part.id = a.agent_id
               where a.containment_id = c.id and part.root_id = $2))
           and ($3::uuid is null or c.incident_id = $3) and (not $4 or c.released_at is null)
         order by c.id desc limit $5",
        page.after.map(|Key(id)| id.0),
        filter.agent.map(|id| id.0),
        filter.incident,
        filter.open,
        page.limit()
    )
    .fetch_all(tx.conn())
    .await?;
    let mut found = load(&mut tx, &ids).await?;
    found.sort_by_key(|containment| std::cmp::Reverse(containment.id));
    Ok(page.slice(found))
}

/// How many there are.
///
/// # Errors
/// `FORBIDDEN` without `incident:read`.
pub async fn count(db: &Db, ctx: &Ctx, filter: &Filter) -> Result<i64> {
    let mut tx = db.begin(ctx, Permission::IncidentRead).await?;
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "count!" from containment c
           where ($1::uuid is null or exists (select from containment_agent a join asset part on part.id = a.agent_id
               where a.containment_id = c.id and part.root_id = $1))
             and ($2::uuid is null or c.incident_id = $2) and (not $3 or c.released_at is null)"#,
        filter.agent.map(|id| id.0),
        filter.incident,
        filter.open
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Containments by id.
///
/// # Errors
/// `FORBIDDEN` without `incident:read`.
pub async fn by_ids(db: &Db, ctx: &Ctx, ids: &[ContainmentId]) -> Result<Vec<Containment>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    load(&mut db.begin(ctx, Permission::IncidentRead).await?, &ids).await
}

/// Containments that were ordered for these incidents, newest first, at most 20 of each.
///
/// # Errors
/// `FORBIDDEN` without `incident:read`.
pub async fn of_incidents(db: &Db, ctx: &Ctx, incidents: &[IncidentId]) -> Result<Vec<Containment>> {
    let mut tx = db.begin(ctx, Permission::IncidentRead).await?;
    let incidents: Vec<Uuid> = incidents.iter().map(|id| id.0).collect();
    let ids: Vec<Uuid> = sqlx::query_scalar!(
        "select c.id from unnest($1::uuid[]) of(id)
         cross join lateral (select id from containment where incident_id = of.id order by id desc limit 20) c",
        &incidents
    )
    .fetch_all(tx.conn())
    .await?;
    let mut found = load(&mut tx, &ids).await?;
    found.sort_by_key(|containment| std::cmp::Reverse(containment.id));
    Ok(found)
}

async fn load(tx: &mut TenantTx, ids: &[Uuid]) -> Result<Vec<Containment>> {
    Ok(sqlx::query_as!(
        Containment,
        r#"select c.id as "id: ContainmentId", root.root_id as "agent: AssetId", c.grade as "grade: Grade", c.reason,
               c.status as "status: ContainmentStatus", c.policy_hash, c.incident_id as incident, c.requested_at, c.requested_by, c.expires_at,
               c.proven_at, c.failed_at, c.ending_at, c.ending_by, c.ending_reason, c.released_at,
               array(select distinct part.root_id from containment_agent a join asset part on part.id = a.agent_id
                   where a.containment_id = c.id) as "agents!: Vec<AssetId>"
           from containment c join asset root on root.id = c.agent_id where c.id = any($1)"#,
        ids
    )
    .fetch_all(tx.conn())
    .await?)
}

/// How far the points are with containments: for each the steps of its release, once it ends, and those of the containment.
///
/// # Errors
/// `FORBIDDEN` without `incident:read`.
pub async fn enforcements(db: &Db, ctx: &Ctx, ids: &[ContainmentId]) -> Result<Vec<Enforcement>> {
    let mut tx = db.begin(ctx, Permission::IncidentRead).await?;
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    Ok(sqlx::query_as!(
        Enforcement,
        r#"select e.containment_id as "containment: ContainmentId", e.point_id as "point: EnforcementPointId", e.phase as "phase: EnforcementPhase",
               e.status as "status: EnforcementStatus", e.attempts, e.requested_at, e.dispatched_at, e.acknowledged_at, e.acknowledged_hash,
               e.canary_at, e.proven_at, e.failed_at, e.failure
           from enforcement e join enforcement_point p on p.id = e.point_id where e.containment_id = any($1)
           order by e.containment_id, e.phase, p.kind <> 'INSPECT_API', p.name, p.id"#,
        &ids
    )
    .fetch_all(tx.conn())
    .await?)
}

/// All points that count or are registered, servers first; by id retired and ended ones too.
///
/// # Errors
/// `FORBIDDEN` without `sensor:read`.
pub async fn points(db: &Db, ctx: &Ctx, ids: Option<&[EnforcementPointId]>) -> Result<Vec<Point>> {
    points_in(&mut db.begin(ctx, Permission::SensorRead).await?, ids).await
}

pub(super) async fn points_in(tx: &mut TenantTx, ids: Option<&[EnforcementPointId]>) -> Result<Vec<Point>> {
    let since = service::alive_since(tx.ctx().now());
    let ids: Option<Vec<Uuid>> = ids.map(|ids| ids.iter().map(|id| id.0).collect());
    Ok(sqlx::query_as!(
        Point,
        r#"with live as materialized (select id from live_enforcement_point($2))
           select p.id as "id: EnforcementPointId", p.kind as "kind: EnforcementPointKind", p.name, p.url, p.sensor_id as "sensor: SensorId",
               p.deadline_s, p.created_at, p.retired_at, exists(select from live where live.id = p.id) as "alive!"
           from enforcement_point p
           where p.id = any($1) or ($1::uuid[] is null and p.retired_at is null
               and (p.kind <> 'INSPECT_API' or exists (select from live where live.id = p.id)))
           order by p.kind <> 'INSPECT_API', p.name, p.id limit 1000"#,
        ids.as_deref(),
        since
    )
    .fetch_all(tx.conn())
    .await?)
}

/// What depends on an agent, and would stop or go on without it.
#[derive(Clone, Debug)]
pub struct BlastRadius {
    /// The agent, and all that it delegates to: what would be contained.
    pub agents: Vec<AssetId>,
    /// What depends on one of them: applications, and agents that delegate to them.
    pub dependents: Vec<AssetId>,
    pub tools: Vec<AssetId>,
    pub models: Vec<AssetId>,
    /// Runs with a step in the last quarter of an hour.
    pub open_sessions: i64,
    /// Tokens that act as one of them.
    pub tokens: i64,
    /// Points that would have to enforce it.
    pub points: i64,
}

/// Rows of each kind that a preview names.
const MAX_NAMED: i64 = 50;

/// What containing an agent would hold and stop.
///
/// # Errors
/// `FORBIDDEN` without `agent:quarantine`; `NOT_FOUND`; `BAD_INPUT` for what is no agent.
pub async fn preview(db: &Db, ctx: &Ctx, agent: AssetId) -> Result<BlastRadius> {
    let mut tx = db.begin(ctx, Permission::AgentQuarantine).await?;
    let (agent, kind, _) = super::repo::asset(&mut tx, agent).await?.ok_or_else(|| Error::not_found("agent"))?;
    if kind != stance_shared::AssetKind::Agent {
        return Err(Error::field("agent", "must be an agent"));
    }
    let mut agents: Vec<AssetId> = super::repo::closure(&mut tx, agent).await?.into_iter().map(|(id, _)| id).collect();
    agents.dedup();
    let held: Vec<Uuid> = agents.iter().map(|id| id.0).collect();
    let (since, alive) = (ctx.now() - chrono::Duration::minutes(15), service::alive_since(ctx.now()));
    let row = sqlx::query!(
        r#"select
             array(select distinct e.from_id from asset_edge() e where e.to_id = any($1) and e.from_id <> all($1)
                 and e.kind in ('DEPENDS_ON', 'DELEGATES_TO', 'EXPOSES', 'MAY_CALL') limit $4) as "dependents!: Vec<AssetId>",
             array(select distinct e.to_id from asset_edge() e where e.from_id = any($1) and e.kind = 'MAY_CALL' limit $4) as "tools!: Vec<AssetId>",
             array(select distinct e.to_id from asset_edge() e where e.from_id = any($1) and e.kind = 'USES_MODEL' limit $4) as "models!: Vec<AssetId>",
             (select count(*) from agent_session s join asset part on part.id = s.agent_id where part.root_id = any($1) and s.last_at > $2) as "sessions!",
             (select count(*) from api_token t join asset part on part.id = t.agent_id where part.root_id = any($1) and t.revoked_at is null) as "tokens!",
             (select count(*) from server_process where last_seen_at > $3)
                 + (select count(*) from live_enforcement_point($3) p where p.kind <> 'INSPECT_API') as "points!""#,
        &held,
        since,
        alive,
        MAX_NAMED
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(BlastRadius {
        agents,
        dependents: row.dependents,
        tools: row.tools,
        models: row.models,
        open_sessions: row.sessions,
        tokens: row.tokens,
        points: row.points,
    })
}
