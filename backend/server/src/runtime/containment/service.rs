//! Containing an agent, and letting it act again.

use super::{
    Grade, Order,
    domain::{self, Contained, Document, MAX_AGENTS, MAX_OPEN},
    points_repo,
    repo::{self, Ending, New},
};
use crate::{
    audit,
    jobs::{Job, Queue},
    kernel::{Error, Permission, Result, TenantTx},
    live::{self, Topic},
};
use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use stance_shared::{AssetKind, ContainmentId, ContainmentStatus, EnforcementPhase};

/// A server that gave no sign of life for so long counts no more.
pub(super) const ALIVE: Duration = Duration::seconds(10);
/// Within so long points acknowledge, unless they were registered otherwise: what Stance tells, and what asks by itself.
pub(super) const DEADLINE_S: i32 = 10;

/// Contains an agent and all that it delegates to, in the caller's transaction: the containment, the policy that has it, the points that
/// are asked, the audit entry. It is enforced from the commit on.
///
/// With the key of an earlier order, or with a key when the agent is contained with this grade already, it is that containment.
///
/// # Errors
/// `FORBIDDEN` without `agent:quarantine`; `BAD_INPUT` naming the field; `NOT_FOUND`; `CONFLICT` when the agent is contained with this
/// grade already, or too many are.
pub async fn quarantine(tx: &mut TenantTx, order: &Order) -> Result<ContainmentId> {
    tx.also_require(Permission::AgentQuarantine)?;
    let (reason, key) = order.check(tx.ctx().now())?;
    repo::lock(tx).await?;
    if let Some(key) = &key
        && let Some(id) = repo::by_key(tx, key).await?
    {
        return Ok(id);
    }
    let (agent, kind, name) = repo::asset(tx, order.agent).await?.ok_or_else(|| Error::not_found("agent"))?;
    if kind != AssetKind::Agent {
        return Err(Error::field("agent", "must be an agent"));
    }
    if let Some(id) = repo::of_agent(tx, agent, order.grade).await? {
        return match key {
            Some(_) => Ok(id),
            None => Err(Error::conflict(format!("{name} is contained with the grade {} already.", order.grade))),
        };
    }
    if repo::count_open(tx).await? >= MAX_OPEN {
        return Err(Error::conflict(format!("An organization has at most {MAX_OPEN} containments that are not over.")));
    }
    let agents = repo::closure(tx, agent).await?;
    if agents.len() > MAX_AGENTS {
        return Err(Error::conflict(format!("A containment holds at most {MAX_AGENTS} keys of agents.")));
    }
    let id = ContainmentId(tx.ctx().new_id());
    let (before, held) = repo::in_force(tx).await?;
    let mut contained = repo::contained(&held);
    let keys = agents.iter().map(|(_, key)| key.clone()).collect();
    contained.push(Contained { containment: id, grade: order.grade, agents: keys });
    let (revision, hash) = advance(tx, before, contained).await?;
    let order = Order { agent, reason, key, ..order.clone() };
    repo::insert(tx, New { id, order: &order, revision, hash: &hash }, &agents).await?;
    ask(tx, id, EnforcementPhase::Contain, revision).await?;
    let detail = json!({ "agent": agent, "name": name, "grade": order.grade, "reason": order.reason, "agents": agents.len(),
        "expiresAt": order.expires_at, "policyHash": hash, "revision": revision });
    changed(tx, "agent.quarantined", id, detail).await?;
    Ok(id)
}

/// Ends a containment, in the caller's transaction. Points then have to prove that the agent may act again.
///
/// With the key of an earlier release of it, nothing happens again.
///
/// # Errors
/// `FORBIDDEN` without `agent:release`; `BAD_INPUT`; `NOT_FOUND`; `CONFLICT` when it ended already.
pub async fn release(tx: &mut TenantTx, id: ContainmentId, reason: &str, key: Option<&str>) -> Result<()> {
    tx.also_require(Permission::AgentRelease)?;
    let (reason, key) = (domain::reason(reason)?, domain::key(key)?);
    repo::lock(tx).await?;
    let locked = repo::by_id(tx, id).await?.ok_or_else(|| Error::not_found("containment"))?;
    if locked.ended {
        return match key.is_some() && locked.ending_key == key {
            true => Ok(()),
            false => Err(Error::conflict("This containment was ended before.")),
        };
    }
    end(tx, &locked, "RELEASE", &reason, key.as_deref()).await
}

/// Ends what is in force under the lock.
async fn end(tx: &mut TenantTx, locked: &repo::Locked, how: &str, reason: &str, key: Option<&str>) -> Result<()> {
    let (before, held) = repo::in_force(tx).await?;
    let mut contained = repo::contained(&held);
    contained.retain(|one| one.containment != locked.id);
    let (revision, hash) = advance(tx, before, contained).await?;
    repo::end(tx, locked.id, Ending { ending: how, reason, key, revision }).await?;
    ask(tx, locked.id, EnforcementPhase::Release, revision).await?;
    let action = if how == "EXPIRY" { "containment.expired" } else { "agent.released" };
    let detail = json!({ "agent": locked.agent, "grade": locked.grade, "reason": reason, "policyHash": hash, "revision": revision });
    changed(tx, action, locked.id, detail).await
}

/// Makes the next policy; returns its revision and hash.
pub(super) async fn advance(tx: &mut TenantTx, before: i64, contained: Vec<Contained>) -> Result<(i64, String)> {
    let document = Document::new(tx.ctx().tenant, before + 1, contained);
    let (text, hash) = document.seal()?;
    repo::insert_policy(tx, document.revision, &text, &hash).await?;
    Ok((document.revision, hash))
}

/// Since when a server must have given a sign of life.
pub(super) fn alive_since(now: DateTime<Utc>) -> DateTime<Utc> {
    now - ALIVE
}

async fn ask(tx: &mut TenantTx, id: ContainmentId, phase: EnforcementPhase, revision: i64) -> Result<()> {
    let since = alive_since(tx.ctx().now());
    repo::know_servers(tx, since, DEADLINE_S).await?;
    repo::ask_points(tx, id, phase, revision, since).await?;
    // Whoever hears of the commit begins at once; the job makes sure of it.
    Queue::enqueue(tx, Job::KeepContainments).await
}

/// Asks points that came alive since for all that is not over.
pub(super) async fn ask_all(tx: &mut TenantTx) -> Result<()> {
    let since = alive_since(tx.ctx().now());
    repo::know_servers(tx, since, DEADLINE_S).await?;
    for open in repo::open(tx).await? {
        let (phase, revision) = match open.ending_revision {
            Some(revision) => (EnforcementPhase::Release, revision),
            None => (EnforcementPhase::Contain, open.revision),
        };
        // No longer proven, before the new point says so.
        repo::by_id(tx, open.id).await?;
        if repo::ask_points(tx, open.id, phase, revision, since).await? > 0 && !open.ended {
            points_repo::advance(tx, open.id, ContainmentStatus::Requested).await?;
        }
    }
    Ok(())
}

/// Ends a containment whose time has come, under the lock.
pub(super) async fn expire(tx: &mut TenantTx, id: ContainmentId) -> Result<()> {
    match repo::by_id(tx, id).await? {
        Some(locked) if !locked.ended => end(tx, &locked, "EXPIRY", "Its time was over.", None).await,
        _ => Ok(()),
    }
}

/// Lets a tool call of an agent contained with HUMAN_APPROVAL pass, again and again until `minutes` are over.
///
/// # Errors
/// `FORBIDDEN` without `agent:release`; `BAD_INPUT` naming the field; `NOT_FOUND`; `CONFLICT` when it is not in force or of another grade.
pub async fn approve(tx: &mut TenantTx, id: ContainmentId, call: &str, reason: &str, minutes: i32) -> Result<()> {
    tx.also_require(Permission::AgentRelease)?;
    let reason = domain::reason(reason)?;
    if call.len() != 64 || !call.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Err(Error::field("call", "must be the 64 hexadecimal digits that the refusal gave"));
    }
    if !(1..=1440).contains(&minutes) {
        return Err(Error::field("minutes", "must be 1 to 1440"));
    }
    let locked = repo::by_id(tx, id).await?.ok_or_else(|| Error::not_found("containment"))?;
    if locked.ended || locked.grade != Grade::HumanApproval {
        return Err(Error::conflict("Only a containment in force with the grade HUMAN_APPROVAL takes approvals."));
    }
    let until = tx.ctx().now() + Duration::minutes(i64::from(minutes));
    repo::approve(tx, id, call, &reason, until).await?;
    changed(tx, "containment.approved", id, json!({ "call": call, "reason": reason, "until": until })).await
}

/// Audits, and tells who shows containments and who enforces them.
pub(super) async fn changed(
    tx: &mut TenantTx,
    action: &str,
    id: ContainmentId,
    detail: serde_json::Value,
) -> Result<()> {
    let entry = audit::Entry { action, target_kind: "containment", target_id: id.to_string(), detail };
    audit::record(tx, entry).await?;
    live::notify(tx, Topic::Containment, id.0).await?;
    live::notify(tx, Topic::Policy, id.0).await
}
