//! What keeps containments going: this server's own proof, orders to points over HTTP, deadlines and expiry.
//!
//! The notice of a commit starts it at once, in every server. A job, enqueued in the same transaction, and a look around every
//! [`BEAT`] make it certain. All of it may run many times and in many processes at the same time.

use super::{
    domain::{Canary, Outcome, Step, proof, same_hash},
    points_repo::{self as repo, AGAIN, Due, Failure, Push},
    service, tending,
};
use crate::{
    kernel::{
        Clock, Ctx, Db, Permission, Result, TenantTx,
        db::SystemReason,
        outbound::{Delivery, Outbound},
        tasks::Tasks,
    },
    live::Hub,
    runtime::{Guard, guard::Asked},
};
use chrono::{DateTime, Duration as Span, Utc};
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use stance_importers::events::ToolUse;
use stance_shared::{EnforcementPointId, TenantId, Verdict};
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// A server's sign of life, and how often it looks for what it missed.
const BEAT: Duration = Duration::from_secs(2);
/// Points that are talked to at the same time.
const PUSHES: usize = 32;
/// Who took an order to a point has so long; then somebody else may.
const CLAIM: Span = Span::seconds(30);

/// What a server enforces with, and proves it.
#[derive(Clone)]
pub struct Enforcer {
    pub db: Db,
    pub clock: Clock,
    pub live: Hub,
    pub guard: Guard,
    pub outbound: Outbound,
    /// Of this run of the server.
    pub process: Uuid,
}

impl Enforcer {
    /// Enforces until shutdown begins.
    pub async fn run(self, tasks: Tasks) {
        let stop = tasks.stopping();
        let mut changes = Box::pin(self.live.policy_changes());
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let tenants = tokio::select! {
                () = stop.cancelled() => break,
                _ = beat.tick() => self.look_around().await,
                Some(tenant) = changes.next() => match tenant {
                    Some(tenant) => Ok(vec![tenant]),
                    None => self.look_around().await,
                },
            };
            match tenants {
                Ok(tenants) => {
                    for tenant in tenants {
                        let (enforcer, stop) = (self.clone(), stop.clone());
                        tasks.spawn(async move {
                            tokio::select! { () = stop.cancelled() => {}, () = enforcer.tend(tenant) => {} }
                        });
                    }
                }
                Err(error) => tracing::warn!(cause = error.internal_text(), "containment: {}", error.public),
            }
        }
        let farewell = async {
            let mut tx = self.db.begin_system(SystemReason::Jobs).await?;
            repo::farewell(&mut tx, self.process, self.clock.now() - Span::days(1)).await?;
            tx.commit().await
        };
        if let Err(error) = farewell.await {
            tracing::warn!(cause = error.internal_text(), "containment: {}", error.public);
        }
    }

    /// Gives a sign of life; names the organizations in which there is something to do.
    async fn look_around(&self) -> Result<Vec<TenantId>> {
        let mut tx = self.db.begin_system(SystemReason::Jobs).await?;
        let name = format!("{} · process {}", machine(), std::process::id());
        repo::beat(&mut tx, self.process, &name, self.clock.now()).await?;
        let tenants = repo::with_work(&mut tx, Some(self.process), self.clock.now()).await?;
        tx.commit().await?;
        Ok(tenants)
    }

    async fn tend(&self, tenant: TenantId) {
        let ctx = Ctx::system(tenant, "containment", self.clock.clone());
        // What this server enforces does not wait for what others do.
        let (own, keep) = tokio::join!(self.prove(&ctx), keep(&self.db, &ctx, &self.outbound));
        for error in [own, keep].into_iter().filter_map(Result::err) {
            tracing::warn!(%tenant, cause = error.internal_text(), "containment: {}", error.public);
        }
    }

    /// Proves what this server's inspect API enforces.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prove(&self, ctx: &Ctx) -> Result<()> {
        let told = ctx.now();
        let mut tx = self.db.begin(ctx, Permission::AgentQuarantine).await?;
        let due = repo::of_server(&mut tx, self.process).await?;
        drop(tx);
        let Some(newest) = due.iter().map(|due| due.revision).max() else { return Ok(()) };
        let (revision, hash) = self.guard.enforced(ctx.tenant, newest).await?;
        let acknowledged = ctx.now();
        let mut tx = self.db.begin(ctx, Permission::AgentQuarantine).await?;
        let expected = repo::hash_of(&mut tx, revision).await?.unwrap_or_default();
        drop(tx);
        let mut steps = Vec::with_capacity(due.len());
        for due in due {
            let mut step = Step { dispatched_at: Some(told), ..Step::default() };
            match same_hash(&expected, Some(&hash)) {
                Err(failure) => step.failure = Some(failure),
                Ok(()) if revision < due.revision => step.failure = Some("It could not load the policy.".to_owned()),
                Ok(()) => {
                    step.acknowledged = Some((acknowledged, hash.clone()));
                    let canaries = Canary::all(due.nonce, due.grade, &due.agents);
                    let mut outcomes = Vec::with_capacity(canaries.len());
                    for canary in &canaries {
                        outcomes.push(self.try_canary(ctx.tenant, canary).await?);
                    }
                    conclude(&mut step, proof(due.phase, due.containment, &canaries, &outcomes), ctx.now());
                }
            }
            steps.push((due, step));
        }
        record(&self.db, ctx, &steps).await
    }

    /// Makes a canary call by the way that real ones take.
    async fn try_canary(&self, tenant: TenantId, canary: &Canary) -> Result<Outcome> {
        let asked = Asked {
            agent: Some(canary.agent.clone()),
            session: None,
            channel: canary.channel.and_then(|word| word.parse().ok()),
            text: canary.text.clone(),
            tool: canary.tool.clone().and_then(|tool| serde_json::from_value::<ToolUse>(tool).ok()),
        };
        let (answer, by) = self.guard.canary(tenant, asked).await?;
        let denied = answer.decision.verdict == Verdict::Block && !by.is_empty();
        Ok(Outcome { nonce: canary.nonce.clone(), denied, containment: by.first().copied() })
    }
}

/// Ends what has expired, asks points that are new, notes what is late, and tells points over HTTP.
///
/// # Errors
/// When the database fails.
pub async fn keep(db: &Db, ctx: &Ctx, outbound: &Outbound) -> Result<()> {
    deliver(db, ctx, outbound).await?;
    let mut tx = db.begin(ctx, Permission::AgentQuarantine).await?;
    tending::tend(&mut tx).await?;
    let failures = repo::overdue(&mut tx, service::alive_since(ctx.now())).await?;
    tending::settle(&mut tx, None, &failures).await?;
    tx.commit().await?;
    // What is new by then.
    deliver(db, ctx, outbound).await
}

pub(super) fn conclude(step: &mut Step, proof: Result<(), String>, at: DateTime<Utc>) {
    step.canary_at = Some(at);
    match proof {
        Ok(()) => step.proven_at = Some(at),
        Err(failure) => step.failure = Some(failure),
    }
}

/// Writes how far points have come, and where their containments stand by it.
pub(super) async fn record(db: &Db, ctx: &Ctx, steps: &[(Due, Step)]) -> Result<()> {
    let mut tx = db.begin(ctx, Permission::AgentQuarantine).await?;
    record_in(&mut tx, steps).await?;
    tx.commit().await
}

/// [`record`] in the caller's transaction.
pub(super) async fn record_in(tx: &mut TenantTx, steps: &[(Due, Step)]) -> Result<()> {
    let mut ids: Vec<Uuid> = steps.iter().map(|(due, _)| due.containment.0).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(());
    }
    repo::lock(tx, Some(&ids)).await?;
    let failures: Vec<Failure> = repo::record(tx, steps).await?;
    tending::settle(tx, Some(&ids), &failures).await
}

/// Tells the points over HTTP what they have not proven yet, many at the same time.
async fn deliver(db: &Db, ctx: &Ctx, outbound: &Outbound) -> Result<()> {
    let mut tx = db.begin(ctx, Permission::AgentQuarantine).await?;
    let claimed = repo::claim(&mut tx, ctx.now() + CLAIM, ctx.now() - AGAIN).await?;
    if claimed.is_empty() {
        return Ok(());
    }
    let policy = repo::policy(&mut tx).await?;
    tx.commit().await?;
    let Some(policy) = policy else { return Ok(()) };
    let mut points: BTreeMap<EnforcementPointId, Vec<Push>> = BTreeMap::new();
    for push in claimed {
        points.entry(push.due.point).or_default().push(push);
    }
    let policy = &policy;
    let mut told = futures::stream::iter(points.into_values())
        .map(|pushes| async move { tell(ctx, outbound, policy, pushes).await })
        .buffer_unordered(PUSHES)
        .ready_chunks(PUSHES);
    while let Some(steps) = told.next().await {
        record(db, ctx, &steps.concat()).await?;
    }
    Ok(())
}

/// What a point answers an order with.
#[derive(Deserialize)]
struct Acknowledged {
    hash: String,
}

/// What a point answers canary calls with.
#[derive(Deserialize)]
struct Tried {
    outcomes: Vec<Outcome>,
}

/// Tells one point the policy, and makes canary calls when it named its hash.
async fn tell(
    ctx: &Ctx,
    outbound: &Outbound,
    (revision, document, hash): &(i64, String, String),
    pushes: Vec<Push>,
) -> Vec<(Due, Step)> {
    let Some(Push { url, secret, due: first }) = pushes.first().cloned() else { return Vec::new() };
    let (url, secret) = (&url, &secret);
    let key = format!("{}-{}", first.point, first.nonce);
    let post = async |what: &'static str, body: Value| -> Result<String, String> {
        let secret = outbound.vault.open(ctx.tenant, secret).map_err(|error| error.public)?;
        let delivery = Delivery { url, secret: Some(&secret), key: &format!("{key}-{what}"), body: &body };
        match outbound.post(delivery).await {
            Ok(answer) if answer.is_success() => Ok(answer.body),
            Ok(answer) => Err(format!("It answered the {what} with the status {}.", answer.status)),
            Err(error) => Err(error.public),
        }
    };
    let order = json!({ "type": "containment.policy", "point": first.point, "revision": revision, "hash": hash, "document": document });
    let acknowledged = match post("policy", order).await {
        Ok(body) => {
            let answered: Option<Acknowledged> = serde_json::from_str(&body).ok();
            same_hash(hash, answered.as_ref().map(|answered| answered.hash.as_str()))
        }
        Err(failure) => Err(failure),
    };
    let at = ctx.now();
    let mut steps: Vec<(Due, Step)> = pushes.into_iter().map(|push| (push.due, Step::default())).collect();
    if let Err(failure) = acknowledged {
        for (_, step) in &mut steps {
            step.failure = Some(failure.clone());
        }
        return steps;
    }
    let canaries: Vec<Vec<Canary>> =
        steps.iter().map(|(due, _)| Canary::all(due.nonce, due.grade, &due.agents)).collect();
    let call = json!({ "type": "containment.canary", "point": first.point, "canaries": canaries.concat() });
    let tried = post("canary", call).await.and_then(|body| {
        let tried: Result<Tried, _> = serde_json::from_str(&body);
        tried.map_err(|_| "It did not say what became of the canary calls.".to_owned())
    });
    for ((due, step), canaries) in steps.iter_mut().zip(&canaries) {
        step.acknowledged = Some((at, hash.clone()));
        let proof = match &tried {
            Ok(Tried { outcomes }) => proof(due.phase, due.containment, canaries, outcomes),
            Err(failure) => Err(failure.clone()),
        };
        conclude(step, proof, ctx.now());
    }
    steps
}

/// What this machine is called.
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(|c| !c.is_control()).take(100).collect();
    if name.is_empty() { "server".to_owned() } else { name }
}
