//! Policies: versions that are never changed, one of which is in force, or none.

use super::policies_repo as repo;
use crate::{
    audit, inventory,
    kernel::{Ctx, Db, Error, Permission, Result, TenantTx, error::FieldError, text},
    live::{self, Topic},
};
use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use stance_engine::policy::{Compiled, Preset, Problem};
use stance_shared::{AssetId, Channel, EventId, PolicyId, Verdict};

/// Agents that one policy can name.
const MAX_AGENTS: usize = 500;
/// Policies of an organization that are not archived.
const MAX_POLICIES: i64 = 200;
/// Events that a dry run judges again, the newest.
pub const MAX_DRY_RUN: i64 = 100_000;
const MAX_EXAMPLES: usize = 50;

/// A policy: a name with versions.
#[derive(Clone, Debug)]
pub struct Policy {
    pub id: PolicyId,
    pub name: String,
    /// To which agents it applies; none: to all that no other policy names.
    pub agents: Vec<AssetId>,
    /// The version in force.
    pub active: Option<i32>,
    pub created_at: DateTime<Utc>,
}

/// A version of a policy.
#[derive(Clone, Debug)]
pub struct Version {
    pub policy: PolicyId,
    /// 1 and up.
    pub version: i32,
    pub document: Value,
    /// SHA-256 of the canonical document, 64 hexadecimal digits.
    pub hash: String,
    pub note: String,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
}

/// Reads a document.
///
/// # Errors
/// `BAD_INPUT` naming each field that is wrong.
pub fn compile(document: &Value) -> Result<Compiled> {
    Compiled::read(document).map_err(|problems| refused(&problems))
}

fn refused(problems: &[Problem]) -> Error {
    let fields: Vec<FieldError> = problems
        .iter()
        .map(|problem| FieldError {
            field: match problem.field.as_str() {
                "" => "document".to_owned(),
                field => format!("document.{field}"),
            },
            message: problem.message.clone(),
        })
        .collect();
    let public = fields.iter().map(|f| format!("{}: {}", f.field, f.message)).collect::<Vec<_>>().join("; ");
    Error::fields(public, fields)
}

/// All policies that are not archived, by name.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn list(db: &Db, ctx: &Ctx) -> Result<Vec<Policy>> {
    repo::list(&mut db.begin(ctx, Permission::PolicyRead).await?).await
}

/// Policies by id, archived ones too.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn by_ids(db: &Db, ctx: &Ctx, ids: &[PolicyId]) -> Result<Vec<Policy>> {
    repo::by_ids(&mut db.begin(ctx, Permission::PolicyRead).await?, ids).await
}

/// The versions of policies, newest first.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn versions(db: &Db, ctx: &Ctx, ids: &[PolicyId]) -> Result<Vec<Version>> {
    repo::versions(&mut db.begin(ctx, Permission::PolicyRead).await?, ids).await
}

/// What [`save`] is given.
#[derive(Clone, Debug)]
pub struct Draft {
    /// `None`: a new policy.
    pub id: Option<PolicyId>,
    pub name: String,
    pub agents: Vec<AssetId>,
    pub document: Value,
    pub note: String,
}

/// Saves a document as the newest version, which is not in force yet; name and agents count at once. The same document as the newest
/// version's makes no new one.
///
/// # Errors
/// `FORBIDDEN` without `policy:write`; `BAD_INPUT` naming each field; `NOT_FOUND`; `CONFLICT` for a name that is taken.
pub async fn save(db: &Db, ctx: &Ctx, draft: Draft) -> Result<Policy> {
    ctx.require(Permission::PolicyWrite)?;
    let (name, note) = (text::line("name", &draft.name, 100)?, text::lines("note", &draft.note, 1000)?);
    if draft.agents.len() > MAX_AGENTS {
        return Err(Error::field("agents", format!("must be at most {MAX_AGENTS}")));
    }
    let compiled = compile(&draft.document)?;
    if !draft.agents.is_empty() && inventory::service::by_ids(db, ctx, &draft.agents).await?.len() < draft.agents.len()
    {
        return Err(Error::field("agents", "must be agents of this organization"));
    }
    let mut tx = db.begin(ctx, Permission::PolicyWrite).await?;
    let id = match draft.id {
        Some(id) => id,
        None if repo::count(&mut tx).await? >= MAX_POLICIES => {
            return Err(Error::conflict(format!("An organization has at most {MAX_POLICIES} policies; archive one.")));
        }
        None => PolicyId(ctx.new_id()),
    };
    repo::upsert(&mut tx, id, &name, &draft.agents, draft.id.is_none()).await?;
    // In its canonical form, so that versions differ where policies do.
    let document = serde_json::to_value(&compiled.policy).map_err(Error::internal)?;
    let version = repo::add_version(&mut tx, id, &document, &compiled.hash, &note).await?;
    let detail = json!({ "name": name, "version": version, "hash": compiled.hash, "agents": draft.agents.len() });
    changed(&mut tx, "policy.saved", id, detail).await?;
    let policy = repo::by_ids(&mut tx, &[id]).await?.pop().ok_or_else(|| Error::not_found("policy"))?;
    tx.commit().await?;
    Ok(policy)
}

/// Puts a version in force, or none.
///
/// # Errors
/// `FORBIDDEN` without `policy:write`; `NOT_FOUND`; `CONFLICT` when another policy for all agents is in force.
pub async fn activate(db: &Db, ctx: &Ctx, id: PolicyId, version: Option<i32>) -> Result<Policy> {
    let mut tx = db.begin(ctx, Permission::PolicyWrite).await?;
    let before = repo::by_ids(&mut tx, &[id]).await?.pop().ok_or_else(|| Error::not_found("policy"))?;
    if version.is_some()
        && let Some(other) = repo::rival(&mut tx, &before).await?
    {
        let whom = if before.agents.is_empty() { "all agents" } else { "one of these agents" };
        return Err(Error::conflict(format!("The policy “{other}” is in force for {whom} already.")));
    }
    if !repo::activate(&mut tx, id, version).await? {
        return Err(Error::field("version", "must be a version of this policy"));
    }
    let detail = json!({ "name": before.name, "from": before.active, "to": version });
    changed(&mut tx, "policy.activated", id, detail).await?;
    tx.commit().await?;
    Ok(Policy { active: version, ..before })
}

/// Takes a policy out of force and out of the list; its versions stay for what they judged. False: it was archived before.
///
/// # Errors
/// `FORBIDDEN` without `policy:write`; `NOT_FOUND`.
pub async fn archive(db: &Db, ctx: &Ctx, id: PolicyId) -> Result<bool> {
    let mut tx = db.begin(ctx, Permission::PolicyWrite).await?;
    let before = repo::by_ids(&mut tx, &[id]).await?.pop().ok_or_else(|| Error::not_found("policy"))?;
    let archived = repo::archive(&mut tx, id).await?;
    if archived {
        changed(&mut tx, "policy.archived", id, json!({ "name": before.name, "active": before.active })).await?;
        tx.commit().await?;
    }
    Ok(archived)
}

/// A policy of which another version was put in force.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Raised {
    pub policy: PolicyId,
    pub name: String,
    /// The version that was in force.
    pub from: i32,
    pub to: i32,
}

/// A policy in force whose preset is weaker than wanted.
#[derive(Clone, Debug)]
pub struct Weaker {
    pub policy: PolicyId,
    pub name: String,
    pub version: i32,
    pub document: stance_engine::policy::Policy,
    /// How many agents it names; 0: it applies to all that no other policy names.
    pub agents: usize,
}

/// The policies in force for the agents whose preset is weaker than `preset`, by name.
///
/// # Errors
/// When the database fails.
pub async fn weaker(tx: &mut TenantTx, agents: &[AssetId], preset: Preset) -> Result<Vec<Weaker>> {
    let mut weaker = Vec::new();
    for (policy, name, version, document, agents) in repo::in_force_for(tx, agents).await? {
        let document = compile(&document)?.policy;
        if document.preset < preset {
            weaker.push(Weaker { policy, name, version, document, agents });
        }
    }
    Ok(weaker)
}

/// Puts a version with another preset in force, otherwise like the one that is.
///
/// # Errors
/// `FORBIDDEN` without `policy:write`; or when the database fails.
pub async fn raise(tx: &mut TenantTx, weaker: &Weaker, preset: Preset, note: &str) -> Result<Raised> {
    tx.also_require(Permission::PolicyWrite)?;
    let raised = stance_engine::policy::Policy { preset, ..weaker.document.clone() };
    let document = serde_json::to_value(&raised).map_err(Error::internal)?;
    let compiled = compile(&document)?;
    repo::lock(tx, weaker.policy).await?;
    let to = repo::add_version(tx, weaker.policy, &document, &compiled.hash, note).await?;
    repo::activate(tx, weaker.policy, Some(to)).await?;
    let detail = json!({ "name": weaker.name, "from": weaker.version, "to": to, "preset": preset });
    changed(tx, "policy.activated", weaker.policy, detail).await?;
    Ok(Raised { policy: weaker.policy, name: weaker.name.clone(), from: weaker.version, to })
}

/// Puts the former version in force again; false when somebody has put another one in force since, which stays.
///
/// # Errors
/// `FORBIDDEN` without `policy:write`; or when the database fails.
pub async fn lower(tx: &mut TenantTx, raised: &Raised) -> Result<bool> {
    tx.also_require(Permission::PolicyWrite)?;
    repo::lock(tx, raised.policy).await?;
    let now = repo::by_ids(tx, &[raised.policy]).await?.pop().and_then(|policy| policy.active);
    if now != Some(raised.to) {
        return Ok(false);
    }
    repo::activate(tx, raised.policy, Some(raised.from)).await?;
    let detail = json!({ "name": raised.name, "from": raised.to, "to": raised.from });
    changed(tx, "policy.activated", raised.policy, detail).await?;
    Ok(true)
}

async fn changed(tx: &mut TenantTx, action: &'static str, id: PolicyId, detail: Value) -> Result<()> {
    let entry = audit::Entry { action, target_kind: "policy", target_id: id.to_string(), detail };
    audit::record(tx, entry).await?;
    live::notify(tx, Topic::Policy, id.0).await
}

/// How many events got which verdict, by the verdict's order: ALLOW, FLAG, REDACT, BLOCK.
pub type Verdicts = [i64; 4];

/// What a policy would have said of stored events.
#[derive(Clone, Debug, Default)]
pub struct DryRun {
    pub events: i64,
    pub changed: i64,
    pub before: Verdicts,
    pub after: Verdicts,
    /// Events that it would have judged otherwise, newest first, with verdict before and after and a reason.
    pub examples: Vec<(EventId, Verdict, Verdict, String)>,
}

/// Judges stored events again: at most [`MAX_DRY_RUN`], of the last `hours` (1 to 720).
///
/// # Errors
/// `FORBIDDEN` without `event:read`; `BAD_INPUT`.
pub async fn dry_run(db: &Db, ctx: &Ctx, policy: &Compiled, agents: &[AssetId], hours: i32) -> Result<DryRun> {
    if !(1..=720).contains(&hours) {
        return Err(Error::field("hours", "must be 1 to 720"));
    }
    ctx.require(Permission::PolicyRead)?;
    let mut tx = db.begin(ctx, Permission::EventRead).await?;
    let since = ctx.now() - Duration::hours(i64::from(hours));
    let mut run = DryRun::default();
    // A page at a time, so that memory does not depend on how many there are.
    let mut after: Option<(DateTime<Utc>, EventId)> = None;
    while run.events < MAX_DRY_RUN {
        let page = repo::judged(&mut tx, since, agents, after, 5_000).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.at, last.id));
        for event in page {
            let channel = event.channel.unwrap_or(Channel::UserInput);
            let decision = policy.again(channel, event.verdict, event.score, event.detections);
            run.events += 1;
            run.before[event.verdict as usize] += 1;
            run.after[decision.verdict as usize] += 1;
            if decision.verdict != event.verdict {
                run.changed += 1;
                if run.examples.len() < MAX_EXAMPLES {
                    let reason = decision.detections.first().map_or_else(
                        || format!("score {:.2}", decision.score),
                        |detection| format!("{}: {}", detection.rule, detection.reason),
                    );
                    run.examples.push((event.id, event.verdict, decision.verdict, reason));
                }
            }
        }
    }
    Ok(run)
}

/// The hash that agents' enforcement points should have: of the policy in force for the asset.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn expected_hashes(db: &Db, ctx: &Ctx, assets: &[AssetId]) -> Result<Vec<(AssetId, Option<String>)>> {
    repo::expected_hashes(&mut db.begin(ctx, Permission::PolicyRead).await?, assets).await
}

/// An event as far as a policy judges it.
pub(super) struct Judged {
    pub id: EventId,
    pub at: DateTime<Utc>,
    pub channel: Option<Channel>,
    pub verdict: Verdict,
    pub score: f32,
    pub detections: Vec<stance_engine::guardrail::Detection>,
}
