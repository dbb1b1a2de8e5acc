//! What people do with findings: decide, assign, comment, and take it back.

use super::{Finding, repo, triage_repo as rows};
use crate::{
    audit,
    kernel::{Ctx, Db, Error, Permission, Result, TenantTx, text},
    live, scoring,
};
use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use stance_shared::{AssetId, BatchId, DecisionKind, FindingId, UserId};
use std::collections::BTreeSet;
use uuid::Uuid;

/// How many findings one act changes at most.
pub const MAX_TRIAGE: usize = 500;
/// How long a risk is accepted at most.
const MAX_ACCEPTANCE: Duration = Duration::days(366);
const MAX_TEXT: usize = 4000;

/// What to do with each finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Start,
    /// Until the expiry; approved by a member who holds `finding:approve-risk`, which may be oneself.
    AcceptRisk {
        reason: String,
        expires_at: DateTime<Utc>,
        approver: UserId,
    },
    FalsePositive {
        reason: String,
    },
    /// Takes a decision back; the finding is open again.
    Reopen {
        reason: String,
    },
    /// `None` removes the assignee.
    Assign {
        assignee: Option<UserId>,
    },
    Comment {
        text: String,
    },
}

/// One act of triage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Triage {
    /// 1 to [`MAX_TRIAGE`].
    pub ids: Vec<FindingId>,
    pub action: Action,
}

/// What an act or its undo did.
#[derive(Clone, Debug, PartialEq)]
pub struct Triaged {
    /// All findings that were named, as they are now.
    pub findings: Vec<Finding>,
    pub changed: usize,
    /// What [`undo`] takes; `None` when nothing changed.
    pub batch: Option<BatchId>,
}

impl Action {
    fn check(&mut self, now: DateTime<Utc>) -> Result<()> {
        match self {
            Self::Start | Self::Assign { .. } => {}
            Self::AcceptRisk { reason, expires_at, .. } => {
                *reason = required("reason", reason)?;
                if *expires_at <= now || *expires_at > now + MAX_ACCEPTANCE {
                    return Err(Error::field("expiresAt", "must be in the future, at most one year ahead"));
                }
            }
            Self::FalsePositive { reason } => *reason = required("reason", reason)?,
            Self::Comment { text } => *text = required("reason", text)?,
            Self::Reopen { reason } => *reason = text::lines("reason", reason, MAX_TEXT)?,
        }
        Ok(())
    }

    const fn decision(&self) -> Option<DecisionKind> {
        match self {
            Self::Start => Some(DecisionKind::InProgress),
            Self::AcceptRisk { .. } => Some(DecisionKind::RiskAccepted),
            Self::FalsePositive { .. } => Some(DecisionKind::FalsePositive),
            Self::Reopen { .. } => Some(DecisionKind::Reopened),
            Self::Assign { .. } | Self::Comment { .. } => None,
        }
    }

    /// Whether it would change anything on a finding.
    fn changes(&self, finding: &rows::Current) -> bool {
        match self {
            Self::Start => finding.decision_kind != Some(DecisionKind::InProgress),
            Self::Reopen { .. } => finding.decision_id.is_some(),
            Self::Assign { assignee } => finding.assignee_id != assignee.map(|user| user.0),
            Self::AcceptRisk { .. } | Self::FalsePositive { .. } | Self::Comment { .. } => true,
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::AcceptRisk { reason, .. } | Self::FalsePositive { reason } | Self::Reopen { reason } => reason,
            Self::Comment { text } => text,
            Self::Start | Self::Assign { .. } => "",
        }
    }

    const fn audited_as(&self) -> &'static str {
        match self {
            Self::Start => "finding.started",
            Self::AcceptRisk { .. } => "finding.risk_accepted",
            Self::FalsePositive { .. } => "finding.false_positive",
            Self::Reopen { .. } => "finding.reopened",
            Self::Assign { .. } => "finding.assigned",
            Self::Comment { .. } => "finding.commented",
        }
    }
}

fn required(field: &str, value: &str) -> Result<String> {
    let value = text::lines(field, value, MAX_TEXT)?;
    if value.is_empty() {
        return Err(Error::field(field, "is required for this action"));
    }
    Ok(value)
}

/// Does one thing with up to [`MAX_TRIAGE`] findings: all or none. Findings on which nothing would change are left alone.
///
/// # Errors
/// `BAD_INPUT` naming the field; `NOT_FOUND` when one of the findings does not exist; `FORBIDDEN`; or when the database
/// fails.
pub async fn triage(db: &Db, ctx: &Ctx, triage: Triage) -> Result<Triaged> {
    let Triage { ids, mut action } = triage;
    action.check(ctx.now())?;
    if ids.is_empty() || ids.len() > MAX_TRIAGE {
        return Err(Error::field("ids", format!("must be 1 to {MAX_TRIAGE} ids")));
    }
    let mut tx = db.begin(ctx, Permission::FindingTriage).await?;
    if let Action::AcceptRisk { approver, .. } = &action {
        tx.also_require(Permission::FindingAcceptRisk)?;
        let role = rows::role_of(&mut tx, *approver).await?;
        if !role.is_some_and(|role| role.allows(Permission::FindingApproveRisk)) {
            return Err(Error::field("approver", "must be a member who may approve risks (owner or admin)"));
        }
    }
    let assignee = match &action {
        Action::Assign { assignee: Some(user) } => match rows::email_of(&mut tx, *user).await? {
            Some(email) => Some(email),
            None => return Err(Error::field("assignee", "must be a member of the organization")),
        },
        _ => None,
    };
    let unique: BTreeSet<FindingId> = ids.iter().copied().collect();
    let current = rows::lock(&mut tx, &unique).await?;
    if current.len() != unique.len() {
        return Err(Error::not_found("finding"));
    }
    let batch = BatchId(ctx.new_id());
    let (mut changes, mut decisions) = (Vec::new(), Vec::new());
    for before in current.iter().filter(|finding| action.changes(finding)) {
        let mut after = before.clone();
        if let Some(kind) = action.decision() {
            let decision = rows::NewDecision { id: ctx.new_id(), finding_id: before.id, kind };
            // A decision to reopen is kept, but it leaves none in force.
            let in_force = (kind != DecisionKind::Reopened).then_some(kind);
            (after.decision_id, after.decision_kind) = (in_force.map(|_| decision.id), in_force);
            decisions.push(decision);
        }
        if let Action::Assign { assignee } = &action {
            after.assignee_id = assignee.map(|user| user.0);
        }
        changes.push((before.clone(), after));
    }
    let changed = changes.len();
    if changed > 0 {
        let (expires_at, approver) = match &action {
            Action::AcceptRisk { expires_at, approver, .. } => (Some(*expires_at), Some(*approver)),
            _ => (None, None),
        };
        rows::insert_decisions(&mut tx, &decisions, action.reason(), expires_at, approver).await?;
        let (kind, summary) = described(&action, assignee.as_deref());
        apply(&mut tx, kind, &summary, Some(action.reason()), batch, &changes).await?;
        let detail = json!({
            "batch": batch, "findings": changes.iter().map(|(before, _)| before.id).collect::<Vec<_>>(),
            "reason": action.reason(), "expiresAt": expires_at, "approver": approver, "assignee": assignee,
        });
        record(&mut tx, action.audited_as(), batch, &changes, detail).await?;
    }
    let findings = in_order(&mut tx, &ids).await?;
    tx.commit().await?;
    Ok(Triaged { findings, changed, batch: (changed > 0).then_some(batch) })
}

/// Takes an act back: each finding gets what it had before, unless something newer was decided on it since.
///
/// # Errors
/// `NOT_FOUND` when there is no such act; `FORBIDDEN`; or when the database fails.
pub async fn undo(db: &Db, ctx: &Ctx, batch: BatchId) -> Result<Triaged> {
    let mut tx = db.begin(ctx, Permission::FindingTriage).await?;
    let touched = rows::of_batch(&mut tx, batch).await?;
    if touched.is_empty() {
        return Err(Error::not_found("triage batch"));
    }
    let ids: Vec<FindingId> = touched.iter().map(|id| (*id).into()).collect();
    // Lock first, then look: what is newest must not change between.
    let current = rows::lock(&mut tx, &ids.iter().copied().collect()).await?;
    let restorable = rows::restorable(&mut tx, batch, ctx.now()).await?;
    let changes: Vec<_> = restorable
        .into_iter()
        .filter_map(|restored| {
            let now = current.iter().find(|finding| finding.id == restored.id)?;
            (*now != restored).then(|| (now.clone(), restored))
        })
        .collect();
    let undone = BatchId(ctx.new_id());
    if !changes.is_empty() {
        let taken_back: Vec<Uuid> = changes
            .iter()
            .filter(|(before, after)| before.decision_id != after.decision_id)
            .map(|(before, _)| before.id)
            .collect();
        rows::mark_undone(&mut tx, batch, &taken_back).await?;
        apply(&mut tx, "UNDONE", "Took the last act back", None, undone, &changes).await?;
        let findings: Vec<_> = changes.iter().map(|(before, _)| before.id).collect();
        let detail = json!({"batch": undone, "undoes": batch, "findings": findings});
        record(&mut tx, "finding.undone", undone, &changes, detail).await?;
    }
    let findings = in_order(&mut tx, &ids).await?;
    tx.commit().await?;
    Ok(Triaged { findings, changed: changes.len(), batch: None })
}

/// Ends accepted risks whose time is over; the findings are open again. Returns how many; at most 500 at a time.
///
/// # Errors
/// When the database fails.
pub async fn expire_due(db: &Db, ctx: &Ctx) -> Result<usize> {
    let mut tx = db.begin(ctx, Permission::FindingTriage).await?;
    let due = rows::due(&mut tx, ctx.now()).await?;
    let current = rows::lock(&mut tx, &due.into_iter().map(FindingId).collect()).await?;
    let still = rows::still_due(&mut tx, &current, ctx.now()).await?;
    let changes: Vec<_> = current
        .into_iter()
        .filter(|finding| still.contains(&finding.id))
        .map(|before| (before.clone(), rows::Current { decision_id: None, decision_kind: None, ..before }))
        .collect();
    if !changes.is_empty() {
        let batch = BatchId(ctx.new_id());
        apply(&mut tx, "EXPIRED", "The acceptance of the risk expired", None, batch, &changes).await?;
        let findings: Vec<_> = changes.iter().map(|(before, _)| before.id).collect();
        let detail = json!({"batch": batch, "findings": findings});
        record(&mut tx, "finding.acceptance_expired", batch, &changes, detail).await?;
    }
    tx.commit().await?;
    Ok(changes.len())
}

fn described(action: &Action, assignee: Option<&str>) -> (&'static str, String) {
    match action {
        Action::Start => ("DECIDED", "Started to work on it".to_owned()),
        Action::AcceptRisk { expires_at, .. } => {
            ("DECIDED", format!("Accepted the risk until {}", expires_at.format("%Y-%m-%d")))
        }
        Action::FalsePositive { .. } => ("DECIDED", "Marked as false positive".to_owned()),
        Action::Reopen { .. } => ("DECIDED", "Reopened".to_owned()),
        Action::Assign { .. } => {
            ("ASSIGNED", assignee.map_or("Removed the assignee".to_owned(), |email| format!("Assigned to {email}")))
        }
        Action::Comment { .. } => ("COMMENTED", "Commented".to_owned()),
    }
}

/// Writes findings as they are after an act, the act's history, and what follows from it.
async fn apply(
    tx: &mut TenantTx,
    kind: &str,
    summary: &str,
    comment: Option<&str>,
    batch: BatchId,
    changes: &[(rows::Current, rows::Current)],
) -> Result<()> {
    let decided = |(before, after): &&(rows::Current, rows::Current)| before.decision_id != after.decision_id;
    let dirty: BTreeSet<AssetId> = changes.iter().filter(decided).map(|(before, _)| AssetId(before.asset_id)).collect();
    if changes.iter().any(|(before, after)| before != after) {
        let after: Vec<_> = changes.iter().map(|(_, after)| after).collect();
        rows::update(tx, &after).await?;
    }
    rows::insert_events(tx, kind, summary, comment.filter(|text| !text.is_empty()), batch, changes).await?;
    scoring::mark_dirty(tx, &dirty.into_iter().collect::<Vec<_>>()).await?;
    let ids: Vec<Uuid> = changes.iter().map(|(before, _)| before.id).collect();
    live::notify_all(tx, live::Topic::Finding, &ids).await
}

/// One entry per act, on the finding when it was one.
async fn record(
    tx: &mut TenantTx,
    action: &str,
    batch: BatchId,
    changes: &[(rows::Current, rows::Current)],
    detail: serde_json::Value,
) -> Result<()> {
    let (target_kind, target_id) = match changes {
        [(one, _)] => ("finding", one.id.to_string()),
        _ => ("finding_batch", batch.to_string()),
    };
    audit::record(tx, audit::Entry { action, target_kind, target_id, detail }).await
}

async fn in_order(tx: &mut TenantTx, ids: &[FindingId]) -> Result<Vec<Finding>> {
    let mut findings = repo::by_ids(tx, ids).await?;
    findings.sort_by_key(|finding| ids.iter().position(|id| *id == finding.id));
    Ok(findings)
}
