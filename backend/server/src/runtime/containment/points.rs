//! Enforcement points: what is registered, and sensors that ask what to enforce.

use super::{
    domain::{Canary, Document, Outcome, Step, proof, same_hash},
    enforce, points_repo as repo, views,
};
use crate::{
    audit,
    kernel::{
        Ctx, Db, Error, Permission, Result,
        crypto::{Secret, random_secret},
        error::OnConstraint as _,
        outbound::Outbound,
        text,
    },
    live::{self, Topic},
};
use serde_json::json;
use stance_shared::{EnforcementPointId, SensorId};

/// What secrets of enforcement points begin with.
const SECRET_PREFIX: &str = "stance_ep_";
/// Points of an organization that are not retired, without servers.
const MAX_POINTS: i64 = 500;
/// Within so long a sensor acknowledges, unless it was registered otherwise: it asks only now and then.
const SENSOR_DEADLINE_S: i32 = 30;

/// How a point is reached.
#[derive(Clone, Debug)]
pub enum Reach {
    /// Orders are posted to the address.
    Http(String),
    /// It asks for them.
    Sensor(SensorId),
}

/// Registers a point. Gives its id and, for one over HTTP, the secret that its orders are signed with, which is shown only now.
///
/// # Errors
/// `FORBIDDEN` without `sensor:write`; `BAD_INPUT` naming the field; `CONFLICT` for a name or sensor that is taken.
pub async fn register(
    db: &Db,
    ctx: &Ctx,
    outbound: &Outbound,
    name: &str,
    reach: Reach,
    deadline_s: Option<i32>,
) -> Result<(EnforcementPointId, Option<Secret>)> {
    ctx.require(Permission::SensorWrite)?;
    let name = text::line("name", name, 100)?;
    let usual = if matches!(reach, Reach::Http(_)) { super::service::DEADLINE_S } else { SENSOR_DEADLINE_S };
    let deadline_s = deadline_s.unwrap_or(usual);
    if !(1..=3600).contains(&deadline_s) {
        return Err(Error::field("deadlineSeconds", "must be 1 to 3600"));
    }
    let (url, sensor, secret) = match &reach {
        Reach::Http(url) => {
            outbound.check(url)?;
            (Some(url.as_str()), None, Some(Secret::new(random_secret(SECRET_PREFIX))))
        }
        Reach::Sensor(sensor) => (None, Some(*sensor), None),
    };
    let sealed = secret.as_ref().map(|secret| outbound.vault.seal(ctx.tenant, secret)).transpose()?;
    let mut tx = db.begin(ctx, Permission::SensorWrite).await?;
    if repo::count(&mut tx).await? >= MAX_POINTS {
        return Err(Error::conflict(format!(
            "An organization has at most {MAX_POINTS} enforcement points; retire one."
        )));
    }
    if let Some(sensor) = sensor
        && !repo::is_sensor(&mut tx, sensor).await?
    {
        return Err(Error::field("sensor", "must be a sensor of this organization that is not retired"));
    }
    let id = EnforcementPointId(ctx.new_id());
    let new = repo::NewPoint { id, name: &name, url, secret: sealed, sensor, deadline_s };
    let taken = || Error::conflict("There is an enforcement point of this name.");
    let twice = || Error::conflict("This sensor is an enforcement point already.");
    let done = repo::insert(&mut tx, new).await;
    match done {
        Err(error) if repo::violates(&error, "enforcement_point_sensor") => return Err(twice()),
        done => done.on_constraint("enforcement_point_name", taken)?,
    }
    let detail = json!({ "name": name, "url": url, "sensor": sensor, "deadlineSeconds": deadline_s });
    changed(&mut tx, "enforcement_point.registered", id, detail).await?;
    tx.commit().await?;
    Ok((id, secret))
}

/// Ends a point: it counts no more, and is told nothing. False: it was retired before.
///
/// # Errors
/// `FORBIDDEN` without `sensor:write`; `NOT_FOUND`; `CONFLICT` for a server, which ends by itself.
pub async fn retire(db: &Db, ctx: &Ctx, id: EnforcementPointId) -> Result<bool> {
    ctx.require(Permission::SensorWrite)?;
    let mut tx = db.begin(ctx, Permission::SensorWrite).await?;
    let Some(point) = views::points_in(&mut tx, Some(&[id])).await?.pop() else {
        return Err(Error::not_found("enforcement point"));
    };
    if point.kind == stance_shared::EnforcementPointKind::InspectApi {
        return Err(Error::conflict("A server counts for as long as it runs; it can not be retired."));
    }
    if !repo::retire(&mut tx, id).await? {
        return Ok(false);
    }
    changed(&mut tx, "enforcement_point.retired", id, json!({ "name": point.name })).await?;
    tx.commit().await?;
    Ok(true)
}

/// Audits, and lets servers look what there is to do: a new point is asked for what is in force.
async fn changed(
    tx: &mut crate::kernel::TenantTx,
    action: &str,
    id: EnforcementPointId,
    detail: serde_json::Value,
) -> Result<()> {
    let entry = audit::Entry { action, target_kind: "enforcement_point", target_id: id.to_string(), detail };
    audit::record(tx, entry).await?;
    live::notify(tx, Topic::Containment, id.0).await?;
    live::notify(tx, Topic::Policy, id.0).await
}

/// What a sensor is told.
#[derive(Clone, Debug)]
pub struct Told {
    /// `None`: the token is of no sensor that is an enforcement point, so nothing is asked of it.
    pub point: Option<EnforcementPointId>,
    pub revision: i64,
    /// The text whose SHA-256 is `hash`.
    pub document: String,
    pub hash: String,
    pub canaries: Vec<Canary>,
}

/// What a sensor has to enforce, by its own token; it is noted that it was told.
///
/// # Errors
/// `FORBIDDEN` without `event:ingest` and `policy:read`.
pub async fn fetch(db: &Db, ctx: &Ctx) -> Result<Told> {
    ctx.require(Permission::PolicyRead)?;
    let mut tx = db.begin(ctx, Permission::EventIngest).await?;
    let point = repo::of_token(&mut tx, ctx.actor.id().unwrap_or_default()).await?;
    let due = match point {
        Some(point) => repo::told(&mut tx, point).await?,
        None => Vec::new(),
    };
    // After what is due, so that it is not older.
    let policy = repo::policy(&mut tx).await?;
    tx.commit().await?;
    let (revision, document, hash) = match policy {
        Some(policy) => policy,
        None => {
            let (text, hash) = Document::new(ctx.tenant, 0, Vec::new()).seal()?;
            (0, text, hash)
        }
    };
    let canaries = due.iter().flat_map(|due| Canary::all(due.nonce, due.grade, &due.agents)).collect();
    Ok(Told { point, revision, document, hash, canaries })
}

/// How far a sensor has come by what it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// `None`: the token is of no sensor that is an enforcement point.
    pub point: Option<EnforcementPointId>,
    pub acknowledged: usize,
    pub proven: usize,
    pub failed: usize,
}

/// Takes which policy a sensor enforces, and what became of canary calls.
///
/// # Errors
/// `FORBIDDEN` without `event:ingest`.
pub async fn acknowledge(db: &Db, ctx: &Ctx, hash: &str, outcomes: &[Outcome]) -> Result<Heard> {
    let mut tx = db.begin(ctx, Permission::EventIngest).await?;
    let point = repo::of_token(&mut tx, ctx.actor.id().unwrap_or_default()).await?;
    let Some(point) = point else { return Ok(Heard::default()) };
    let due = repo::awaited(&mut tx, point).await?;
    let revision = repo::revision_of(&mut tx, hash).await?;
    let expected = repo::policy(&mut tx).await?.map(|(_, _, hash)| hash).unwrap_or_default();
    let (now, mut steps) = (ctx.now(), Vec::new());
    let mut heard = Heard { point: Some(point), ..Heard::default() };
    for due in due {
        let mut step = Step::default();
        match revision {
            None if due.revision > 0 => step.failure = same_hash(&expected, Some(hash)).err(),
            // An older policy: the deadline decides.
            Some(revision) if revision < due.revision => continue,
            _ => {
                step.acknowledged = Some((now, hash.to_owned()));
                let canaries = Canary::all(due.nonce, due.grade, &due.agents);
                if canaries.iter().any(|canary| outcomes.iter().any(|outcome| outcome.nonce == canary.nonce)) {
                    enforce::conclude(&mut step, proof(due.phase, due.containment, &canaries, outcomes), now);
                }
            }
        }
        match (&step.failure, step.proven_at) {
            (Some(_), _) => heard.failed += 1,
            (None, Some(_)) => heard.proven += 1,
            (None, None) => heard.acknowledged += 1,
        }
        steps.push((due, step));
    }
    enforce::record_in(&mut tx, &steps).await?;
    tx.commit().await?;
    Ok(heard)
}
