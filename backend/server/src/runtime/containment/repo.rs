//! SQL of containments.

use super::{
    Grade,
    domain::{Contained, MAX_AGENTS, Order},
};
use crate::kernel::{Error, Result, TenantTx};
use chrono::{DateTime, Utc};
use stance_shared::{AssetId, AssetKind, ContainmentId, EnforcementPhase};
use std::collections::HashMap;
use uuid::Uuid;

/// Changes of what is enforced come one after the other in an organization, until the transaction ends.
pub(super) async fn lock(tx: &mut TenantTx) -> Result<()> {
    let tenant = tx.ctx().tenant.0;
    sqlx::query!(
        r#"select pg_advisory_xact_lock(hashtextextended('containment ' || $1::text, 0)) as "locked!: ()""#,
        tenant.to_string()
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(())
}

/// A containment as far as changing it needs.
pub(super) struct Locked {
    pub id: ContainmentId,
    pub agent: AssetId,
    pub grade: Grade,
    /// The key that its end was asked for with.
    pub ending_key: Option<String>,
    pub ended: bool,
}

/// A containment, locked.
pub(super) async fn by_id(tx: &mut TenantTx, id: ContainmentId) -> Result<Option<Locked>> {
    Ok(sqlx::query_as!(
        Locked,
        r#"select id as "id: ContainmentId", agent_id as "agent: AssetId", grade as "grade: Grade",
               ending_key, ending is not null as "ended!" from containment where id = $1 for update"#,
        id.0
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// The containment that was asked for with a key.
pub(super) async fn by_key(tx: &mut TenantTx, key: &str) -> Result<Option<ContainmentId>> {
    Ok(sqlx::query_scalar!(r#"select id as "id: ContainmentId" from containment where key = $1"#, key)
        .fetch_optional(tx.conn())
        .await?)
}

/// The containment in force that was ordered for the agent with this grade.
pub(super) async fn of_agent(tx: &mut TenantTx, agent: AssetId, grade: Grade) -> Result<Option<ContainmentId>> {
    Ok(sqlx::query_scalar!(
        r#"select c.id as "id: ContainmentId" from containment c
           where c.agent_id in (select a.id from asset a where a.root_id = $1) and c.grade = $2 and c.ending is null limit 1"#,
        agent.0,
        grade.as_str()
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Containments that are not over.
pub(super) async fn count_open(tx: &mut TenantTx) -> Result<i64> {
    Ok(sqlx::query_scalar!(r#"select count(*) as "count!" from containment where released_at is null"#)
        .fetch_one(tx.conn())
        .await?)
}

/// What an asset is, under whichever of its names: its id, kind and name.
pub(super) async fn asset(tx: &mut TenantTx, id: AssetId) -> Result<Option<(AssetId, AssetKind, String)>> {
    let row = sqlx::query!(
        r#"select root.id as "id: AssetId", root.kind as "kind: AssetKind", root.name
           from asset named join asset root on root.id = named.root_id where named.id = $1"#,
        id.0
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| (row.id, row.kind, row.name)))
}

/// An agent and all that it delegates to, by all their keys, at most [`MAX_AGENTS`] keys and one more.
pub(super) async fn closure(tx: &mut TenantTx, agent: AssetId) -> Result<Vec<(AssetId, String)>> {
    let limit = i64::try_from(MAX_AGENTS).unwrap_or(i64::MAX) + 1;
    // `union` forgets what was seen, so circles end.
    let rows = sqlx::query!(
        r#"with recursive held(id) as (
               select $1::uuid
               union
               select edge.to_id from held join asset_edge() edge on edge.from_id = held.id and edge.kind = 'DELEGATES_TO'
           )
           select held.id as "id!: AssetId", part.external_key as key from held
           join asset part on part.root_id = held.id and part.kind = 'AGENT'
           order by held.id <> $1, part.external_key limit $2"#,
        agent.0,
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.key)).collect())
}

/// What is in force, and under which revision: one statement, so that both are of one moment.
pub(super) async fn in_force(tx: &mut TenantTx) -> Result<(i64, Vec<Held>)> {
    let row = sqlx::query!(
        r#"select (select coalesce(max(revision), 0) from containment_policy) as "revision!",
               (select coalesce(jsonb_agg(jsonb_build_object('containment', c.id, 'grade', c.grade, 'reason', c.reason, 'agent', a.agent_id, 'key', a.key)), '[]')
                from containment c join containment_agent a on a.containment_id = c.id where c.ending is null) as "held!""#
    )
    .fetch_one(tx.conn())
    .await?;
    Ok((row.revision, serde_json::from_value(row.held).map_err(Error::internal)?))
}

/// An agent's key that a containment in force holds.
#[derive(Clone, Debug, serde::Deserialize)]
pub(super) struct Held {
    pub containment: ContainmentId,
    pub grade: Grade,
    pub reason: String,
    pub agent: AssetId,
    pub key: String,
}

/// What is held, by containment.
pub(super) fn contained(held: &[Held]) -> Vec<Contained> {
    let mut by_containment = std::collections::BTreeMap::new();
    for Held { containment, grade, key, .. } in held {
        let one = by_containment.entry(*containment).or_insert_with(|| Contained {
            containment: *containment,
            grade: *grade,
            agents: Vec::new(),
        });
        one.agents.push(key.clone());
    }
    by_containment.into_values().collect()
}

pub(super) async fn insert_policy(tx: &mut TenantTx, revision: i64, document: &str, hash: &str) -> Result<()> {
    let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
    sqlx::query!(
        "insert into containment_policy (tenant_id, revision, document, hash, created_at) values ($1, $2, $3, $4, $5)",
        tenant,
        revision,
        document,
        hash,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A containment to be.
pub(super) struct New<'a> {
    pub id: ContainmentId,
    /// With the agent's own id, and reason and key as they are kept.
    pub order: &'a Order,
    pub revision: i64,
    pub hash: &'a str,
}

pub(super) async fn insert(tx: &mut TenantTx, new: New<'_>, agents: &[(AssetId, String)]) -> Result<()> {
    let New { id, order, revision, hash } = new;
    let (tenant, now, by) = (tx.ctx().tenant.0, tx.ctx().now(), tx.ctx().actor.label().to_owned());
    sqlx::query!(
        "insert into containment (tenant_id, id, agent_id, grade, reason, revision, policy_hash, incident_id, key, requested_at, requested_by, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        tenant,
        id.0,
        order.agent.0,
        order.grade.as_str(),
        order.reason,
        revision,
        hash,
        order.incident,
        order.key,
        now,
        by,
        order.expires_at
    )
    .execute(tx.conn())
    .await?;
    hold(tx, id, agents).await?;
    Ok(())
}

/// Adds agents to a containment that are not there yet; returns how many keys are new.
pub(super) async fn hold(tx: &mut TenantTx, id: ContainmentId, agents: &[(AssetId, String)]) -> Result<u64> {
    let tenant = tx.ctx().tenant.0;
    let (ids, keys): (Vec<Uuid>, Vec<String>) = agents.iter().map(|(id, key)| (id.0, key.clone())).unzip();
    let done = sqlx::query!(
        "insert into containment_agent (tenant_id, containment_id, agent_id, key)
         select $1, $2, id, key from unnest($3::uuid[], $4::text[]) a(id, key) on conflict do nothing",
        tenant,
        id.0,
        &ids,
        &keys
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// How a containment ends.
pub(super) struct Ending<'a> {
    /// `RELEASE` or `EXPIRY`.
    pub ending: &'a str,
    pub reason: &'a str,
    pub key: Option<&'a str>,
    pub revision: i64,
}

pub(super) async fn end(tx: &mut TenantTx, id: ContainmentId, how: Ending<'_>) -> Result<()> {
    let (now, by) = (tx.ctx().now(), tx.ctx().actor.label().to_owned());
    sqlx::query!(
        "update containment set status = 'RELEASING', ending = $2, ending_at = $3, ending_by = $4, ending_reason = $5, ending_key = $6,
             ending_revision = $7 where id = $1",
        id.0,
        how.ending,
        now,
        by,
        how.reason,
        how.key,
        how.revision
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Makes every server that is alive an enforcement point of the organization.
pub(super) async fn know_servers(tx: &mut TenantTx, alive_since: DateTime<Utc>, deadline_s: i32) -> Result<()> {
    let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
    sqlx::query!(
        "insert into enforcement_point (tenant_id, id, kind, name, process_id, deadline_s, created_at, created_by)
         select $1, gen_random_uuid(), 'INSPECT_API', s.name, s.id, $4, $2, 'stance' from server_process s where s.last_seen_at > $3
         on conflict do nothing",
        tenant,
        now,
        alive_since,
        deadline_s
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Asks every point that is alive for a containment, or for its end; also those that were gone. Returns how many are asked anew.
pub(super) async fn ask_points(
    tx: &mut TenantTx,
    id: ContainmentId,
    phase: EnforcementPhase,
    revision: i64,
    alive_since: DateTime<Utc>,
) -> Result<u64> {
    let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
    let done = sqlx::query!(
        "insert into enforcement (tenant_id, containment_id, point_id, phase, revision, nonce, requested_at)
         select $1, $2, p.id, $3, $4, gen_random_uuid(), $5 from live_enforcement_point($6) p
         on conflict (tenant_id, containment_id, point_id, phase) do update
         set status = 'REQUESTED', requested_at = $5, nonce = gen_random_uuid() where enforcement.status = 'GONE'",
        tenant,
        id.0,
        phase.as_str(),
        revision,
        now,
        alive_since
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Tokens that act as an agent that is held.
pub(super) async fn tokens(tx: &mut TenantTx) -> Result<Vec<(Uuid, AssetId)>> {
    let rows = sqlx::query!(
        r#"select distinct t.id, a.agent_id as "agent: AssetId" from containment c join containment_agent a on a.containment_id = c.id
           join asset part on part.root_id = (select held.root_id from asset held where held.id = a.agent_id)
           join api_token t on t.agent_id = part.id where c.ending is null and t.revoked_at is null"#
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.agent)).collect())
}

/// Until when calls were let pass.
pub(super) async fn approvals(tx: &mut TenantTx) -> Result<HashMap<(ContainmentId, String), DateTime<Utc>>> {
    let now = tx.ctx().now();
    let rows = sqlx::query!(
        r#"select p.containment_id as "containment: ContainmentId", p.call, p.expires_at
           from containment_approval p join containment c on c.id = p.containment_id where c.ending is null and p.expires_at > $1"#,
        now
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| ((row.containment, row.call), row.expires_at)).collect())
}

/// A containment that is not over.
pub(super) struct Open {
    pub id: ContainmentId,
    pub agent: AssetId,
    pub ended: bool,
    pub revision: i64,
    pub ending_revision: Option<i64>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// All that are not over; at most a few hundred.
pub(super) async fn open(tx: &mut TenantTx) -> Result<Vec<Open>> {
    Ok(sqlx::query_as!(
        Open,
        r#"select c.id as "id: ContainmentId", a.root_id as "agent: AssetId", c.ending is not null as "ended!", c.revision, c.ending_revision, c.expires_at
           from containment c join asset a on a.id = c.agent_id where c.released_at is null order by c.id"#
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Lets a tool call pass until then.
pub(super) async fn approve(
    tx: &mut TenantTx,
    id: ContainmentId,
    call: &str,
    reason: &str,
    until: DateTime<Utc>,
) -> Result<()> {
    let (tenant, now, by) = (tx.ctx().tenant.0, tx.ctx().now(), tx.ctx().actor.label().to_owned());
    sqlx::query!(
        "insert into containment_approval (tenant_id, containment_id, call, reason, approved_at, approved_by, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (tenant_id, containment_id, call) do update
         set reason = $4, approved_at = $5, approved_by = $6, expires_at = $7",
        tenant,
        id.0,
        call,
        reason,
        now,
        by,
        until
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
