//! What happens to containments as time passes and points answer.

use super::{
    points_repo::{self, Failure},
    repo, service,
};
use crate::{
    audit,
    kernel::{Permission, Result, TenantTx},
    live::{self, Topic},
    notify::{self, Notice},
};
use chrono::Duration;
use serde_json::json;
use stance_shared::{AssetId, ContainmentId, ContainmentStatus, EnforcementPhase, NotificationTopic, Severity};
use uuid::Uuid;

/// Ends what has expired, holds agents that were delegated to since, and asks points that came alive.
pub(super) async fn tend(tx: &mut TenantTx) -> Result<()> {
    let open = repo::open(tx).await?;
    if open.is_empty() {
        return Ok(());
    }
    // The change of what is enforced first, then containments: all that locks both does so in this order.
    repo::lock(tx).await?;
    points_repo::lock(tx, None).await?;
    let now = tx.ctx().now();
    for due in open.iter().filter(|open| !open.ended && open.expires_at.is_some_and(|at| at <= now)) {
        service::expire(tx, due.id).await?;
    }
    grow(tx).await?;
    service::ask_all(tx).await
}

/// Holds agents that contained ones delegate to by now, and keys that contained agents are called by.
async fn grow(tx: &mut TenantTx) -> Result<()> {
    let mut grown = Vec::new();
    for open in repo::open(tx).await?.into_iter().filter(|open| !open.ended) {
        let agents: Vec<(AssetId, String)> = repo::closure(tx, open.agent).await?;
        if repo::hold(tx, open.id, &agents).await? > 0 {
            grown.push(open.id.0);
        }
    }
    if grown.is_empty() {
        return Ok(());
    }
    let (before, held) = repo::in_force(tx).await?;
    let (revision, hash) = service::advance(tx, before, repo::contained(&held)).await?;
    // They are no longer proven, before their points say so.
    for id in &grown {
        points_repo::advance(tx, ContainmentId(*id), ContainmentStatus::Requested).await?;
    }
    points_repo::ask_again(tx, &grown, revision).await?;
    for id in grown {
        let detail = json!({ "policyHash": hash, "revision": revision });
        service::changed(tx, "containment.extended", ContainmentId(id), detail).await?;
    }
    Ok(())
}

/// Moves containments to where their points stand, all that are not over when no ids are given, and tells of it.
pub(super) async fn settle(tx: &mut TenantTx, ids: Option<&[Uuid]>, failures: &[Failure]) -> Result<()> {
    let now = tx.ctx().now();
    let deadline = Duration::seconds(i64::from(service::DEADLINE_S));
    let mut moved = Vec::new();
    for (id, standing) in points_repo::standings(tx, ids).await? {
        let status = standing.now(now, deadline);
        if status != standing.status {
            points_repo::advance(tx, id, status).await?;
            let nobody =
                standing.requested + standing.dispatched + standing.acknowledged + standing.proven + standing.failed
                    == 0;
            moved.push((id, status, nobody));
        }
    }
    for Failure { containment, phase, point, failure } in failures {
        let what = match phase {
            EnforcementPhase::Contain => "does not contain the agent",
            EnforcementPhase::Release => "does not release the agent",
        };
        let title = format!("{point} {what}");
        tell(tx, *containment, NotificationTopic::ContainmentFailed, Severity::Critical, &title, failure).await?;
        let detail = json!({ "point": point, "phase": phase, "failure": failure });
        record(tx, "containment.failed", *containment, detail).await?;
    }
    for (id, status, nobody) in &moved {
        match status {
            ContainmentStatus::Proven => {
                let text = "Every enforcement point denied a canary call.";
                let title = "A containment is proven";
                tell(tx, *id, NotificationTopic::ContainmentProven, Severity::Info, title, text).await?;
                record(tx, "containment.proven", *id, json!({})).await?;
            }
            ContainmentStatus::Released | ContainmentStatus::Expired => {
                record(tx, "containment.released", *id, json!({ "status": status })).await?;
            }
            ContainmentStatus::Failed if *nobody => {
                let text = "No enforcement point is alive, so nothing keeps the agent from acting.";
                let title = "A containment is enforced nowhere";
                tell(tx, *id, NotificationTopic::ContainmentFailed, Severity::Critical, title, text).await?;
                record(tx, "containment.failed", *id, json!({ "failure": text })).await?;
            }
            _ => {}
        }
    }
    let mut told: Vec<Uuid> = ids.map(<[Uuid]>::to_vec).unwrap_or_default();
    told.extend(moved.iter().map(|(id, ..)| id.0).chain(failures.iter().map(|failure| failure.containment.0)));
    told.sort_unstable();
    told.dedup();
    live::notify_all(tx, Topic::Containment, &told).await
}

async fn tell(
    tx: &mut TenantTx,
    id: ContainmentId,
    topic: NotificationTopic,
    severity: Severity,
    title: &str,
    text: &str,
) -> Result<()> {
    let (link, key) = ("/runtime/containment", format!("containment {id} {title}"));
    let permission = Permission::IncidentRead;
    notify::emit(tx, Notice { topic, severity, title, text, link, permission, subject: id.0, key: &key }).await
}

async fn record(tx: &mut TenantTx, action: &str, id: ContainmentId, detail: serde_json::Value) -> Result<()> {
    let entry = audit::Entry { action, target_kind: "containment", target_id: id.to_string(), detail };
    audit::record(tx, entry).await
}
