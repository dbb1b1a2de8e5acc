//! SQL of policies.

use super::policies::{Judged, Policy, Version};
use crate::kernel::{Error, Result, TenantTx, error::OnConstraint as _};
use chrono::{DateTime, Utc};
use serde_json::Value;
use stance_shared::{AssetId, Channel, EventId, PolicyId, Verdict};
use uuid::Uuid;

pub(super) async fn list(tx: &mut TenantTx) -> Result<Vec<Policy>> {
    Ok(sqlx::query_as!(
        Policy,
        r#"select id as "id: PolicyId", name, agents as "agents: Vec<AssetId>", active, created_at from policy
           where archived_at is null order by name, id"#
    )
    .fetch_all(tx.conn())
    .await?)
}

pub(super) async fn by_ids(tx: &mut TenantTx, ids: &[PolicyId]) -> Result<Vec<Policy>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    Ok(sqlx::query_as!(
        Policy,
        r#"select id as "id: PolicyId", name, agents as "agents: Vec<AssetId>", active, created_at from policy where id = any($1)"#,
        &ids
    )
    .fetch_all(tx.conn())
    .await?)
}

pub(super) async fn versions(tx: &mut TenantTx, ids: &[PolicyId]) -> Result<Vec<Version>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    Ok(sqlx::query_as!(
        Version,
        r#"select policy_id as "policy: PolicyId", version, document, hash, note, created_at, created_by from policy_version
           where policy_id = any($1) order by policy_id, version desc"#,
        &ids
    )
    .fetch_all(tx.conn())
    .await?)
}

pub(super) async fn count(tx: &mut TenantTx) -> Result<i64> {
    Ok(sqlx::query_scalar!(r#"select count(*) as "count!" from policy where archived_at is null"#)
        .fetch_one(tx.conn())
        .await?)
}

/// Makes a policy, or changes name and agents of one that is there.
pub(super) async fn upsert(tx: &mut TenantTx, id: PolicyId, name: &str, agents: &[AssetId], new: bool) -> Result<()> {
    let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
    let agents: Vec<Uuid> = agents.iter().map(|id| id.0).collect();
    let taken = || Error::conflict("There is a policy of this name.");
    let done = if new {
        sqlx::query!(
            "insert into policy (tenant_id, id, name, agents, created_at) values ($1, $2, $3, $4, $5)",
            tenant,
            id.0,
            name,
            &agents,
            now
        )
        .execute(tx.conn())
        .await
    } else {
        sqlx::query!(
            "update policy set name = $2, agents = $3 where id = $1 and archived_at is null",
            id.0,
            name,
            &agents
        )
        .execute(tx.conn())
        .await
    };
    if done.on_constraint("policy_name", taken)?.rows_affected() == 0 {
        return Err(Error::not_found("policy"));
    }
    Ok(())
}

/// Adds a version, unless the newest one is the same. Returns the newest version's number.
pub(super) async fn add_version(
    tx: &mut TenantTx,
    id: PolicyId,
    document: &Value,
    hash: &str,
    note: &str,
) -> Result<i32> {
    let (tenant, now, by) = (tx.ctx().tenant.0, tx.ctx().now(), tx.ctx().actor.label().to_owned());
    // The row of the policy is locked by now, so versions are numbered one after the other.
    Ok(sqlx::query_scalar!(
        r#"with newest as (
               select version, hash from policy_version where policy_id = $2 order by version desc limit 1
           ), added as (
               insert into policy_version (tenant_id, policy_id, version, document, hash, note, created_at, created_by)
               select $1, $2, coalesce((select version from newest), 0) + 1, $3, $4, $5, $6, $7
               where not exists (select from newest where hash = $4)
               returning version
           )
           select coalesce((select version from added), (select version from newest)) as "version!""#,
        tenant,
        id.0,
        document,
        hash,
        note,
        now,
        by
    )
    .fetch_one(tx.conn())
    .await?)
}

/// The name of a policy in force that applies to the same agents.
pub(super) async fn rival(tx: &mut TenantTx, policy: &Policy) -> Result<Option<String>> {
    let agents: Vec<Uuid> = policy.agents.iter().map(|id| id.0).collect();
    Ok(sqlx::query_scalar!(
        "select name from policy where active is not null and id <> $1
         and (agents && $2 or (cardinality(agents) = 0 and cardinality($2::uuid[]) = 0)) limit 1",
        policy.id.0,
        &agents
    )
    .fetch_optional(tx.conn())
    .await?)
}

pub(super) async fn activate(tx: &mut TenantTx, id: PolicyId, version: Option<i32>) -> Result<bool> {
    let done = sqlx::query!(
        "update policy p set active = $2 where id = $1 and archived_at is null
         and ($2::int is null or exists (select from policy_version v where v.policy_id = p.id and v.version = $2))",
        id.0,
        version
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn archive(tx: &mut TenantTx, id: PolicyId) -> Result<bool> {
    let now = tx.ctx().now();
    let done = sqlx::query!(
        "update policy set active = null, archived_at = $2 where id = $1 and archived_at is null",
        id.0,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Locks a policy, so that its versions are numbered one after the other.
pub(super) async fn lock(tx: &mut TenantTx, id: PolicyId) -> Result<()> {
    sqlx::query!("select 1 as one from policy where id = $1 for update", id.0).fetch_optional(tx.conn()).await?;
    Ok(())
}

/// The policies in force for the agents: name, version in force, its document, and how many agents it names.
pub(super) async fn in_force_for(
    tx: &mut TenantTx,
    agents: &[AssetId],
) -> Result<Vec<(PolicyId, String, i32, Value, usize)>> {
    let ids: Vec<Uuid> = agents.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select p.id, p.name, v.version, v.document, cardinality(p.agents) as "agents!"
           from policy p join policy_version v on v.policy_id = p.id and v.version = p.active
           where p.id in (
               select (select q.id from policy q where q.active is not null and (n.id = any(q.agents) or cardinality(q.agents) = 0)
                       order by cardinality(q.agents) = 0 limit 1)
               from unnest($1::uuid[]) n(id))
           order by p.name, p.id"#,
        &ids
    )
    .fetch_all(tx.conn())
    .await?;
    let count = |agents: i32| usize::try_from(agents).unwrap_or(0);
    Ok(rows.into_iter().map(|r| (PolicyId(r.id), r.name, r.version, r.document, count(r.agents))).collect())
}

/// A page of events since a time, newest first.
pub(super) async fn judged(
    tx: &mut TenantTx,
    since: DateTime<Utc>,
    agents: &[AssetId],
    after: Option<(DateTime<Utc>, EventId)>,
    limit: i64,
) -> Result<Vec<Judged>> {
    let agents: Vec<Uuid> = agents.iter().map(|id| id.0).collect();
    let (at, id) = after.map_or((None, None), |(at, id)| (Some(at), Some(id.0)));
    let rows = sqlx::query!(
        r#"select id as "id: EventId", at, channel as "channel: Channel", verdict as "verdict: Verdict", score, detections from event
           where at >= $1 and ($2::timestamptz is null or (at, id) < ($2, $3::uuid))
             and (cardinality($4::uuid[]) = 0 or agent_id = any(array(select a.id from asset a where a.root_id = any($4))))
           order by at desc, id desc limit $5"#,
        since,
        at,
        id,
        &agents,
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            let detections = serde_json::from_value(row.detections).map_err(Error::internal)?;
            let (id, at, channel, verdict, score) = (row.id, row.at, row.channel, row.verdict, row.score);
            Ok(Judged { id, at, channel, verdict, score, detections })
        })
        .collect()
}

/// The hash of the policy in force for each asset.
pub(super) async fn expected_hashes(tx: &mut TenantTx, assets: &[AssetId]) -> Result<Vec<(AssetId, Option<String>)>> {
    let ids: Vec<Uuid> = assets.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select n.id as "id!: AssetId", (
               select v.hash from policy p join policy_version v on v.policy_id = p.id and v.version = p.active
               where n.id = any(p.agents) or cardinality(p.agents) = 0
               order by cardinality(p.agents) = 0 limit 1) as hash
           from unnest($1::uuid[]) n(id)"#,
        &ids
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.hash)).collect())
}
