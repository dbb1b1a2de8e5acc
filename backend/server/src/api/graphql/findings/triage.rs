//! What people do with findings.

use super::Finding;
use crate::{
    api::graphql::{GraphqlContext as _, node},
    findings::{self, Action, Triage},
    kernel::{self, Error},
};
use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use stance_shared::BatchId;

/// What triageFindings does to each finding.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum TriageAction {
    /// Work on it.
    Start,
    /// Live with it until a date.
    AcceptRisk,
    FalsePositive,
    /// Take the decision back.
    Reopen,
    Assign,
    Comment,
}

#[derive(InputObject)]
pub struct TriageInput {
    /// 1 to 500.
    ids: Vec<ID>,
    action: TriageAction,
    /// Required for ACCEPT_RISK and FALSE_POSITIVE; the text for COMMENT.
    reason: Option<String>,
    /// Required for ACCEPT_RISK: in the future, at most a year ahead.
    expires_at: Option<DateTime<Utc>>,
    /// Required for ACCEPT_RISK: a member who holds finding:approve-risk; may be oneself.
    approver: Option<ID>,
    /// For ASSIGN; null removes the assignee.
    assignee: Option<ID>,
}

impl TriageInput {
    fn read(self) -> kernel::Result<Triage> {
        let required = |field: &str| Error::field(field, "is required for this action");
        let reason = self.reason.unwrap_or_default();
        let action = match self.action {
            TriageAction::Start => Action::Start,
            TriageAction::AcceptRisk => Action::AcceptRisk {
                reason,
                expires_at: self.expires_at.ok_or_else(|| required("expiresAt"))?,
                approver: node::parse("approver", &self.approver.ok_or_else(|| required("approver"))?)?,
            },
            TriageAction::FalsePositive => Action::FalsePositive { reason },
            TriageAction::Reopen => Action::Reopen { reason },
            TriageAction::Assign => {
                Action::Assign { assignee: self.assignee.map(|id| node::parse("assignee", &id)).transpose()? }
            }
            TriageAction::Comment => Action::Comment { text: reason },
        };
        Ok(Triage { ids: node::parse_all("ids", &self.ids, findings::MAX_TRIAGE)?, action })
    }
}

#[derive(SimpleObject)]
pub struct TriagePayload {
    /// All findings that were named, as they are now.
    findings: Vec<Finding>,
    changed: usize,
    /// Pass to undoTriage; null when nothing changed.
    batch: Option<ID>,
}

impl From<findings::Triaged> for TriagePayload {
    fn from(triaged: findings::Triaged) -> Self {
        Self {
            findings: triaged.findings.into_iter().map(Finding).collect(),
            changed: triaged.changed,
            batch: triaged.batch.map(node::id),
        }
    }
}

#[derive(Default)]
pub struct FindingsMutation;

#[Object]
impl FindingsMutation {
    /// Does one thing with up to 500 findings: all or none.
    async fn triage_findings(&self, ctx: &Context<'_>, input: TriageInput) -> Result<TriagePayload> {
        Ok(findings::triage(ctx.db()?, ctx.asker()?, input.read()?).await?.into())
    }

    /// Takes an act of triage back, where nothing newer was decided since; `changed` says on how many findings.
    async fn undo_triage(&self, ctx: &Context<'_>, batch: ID) -> Result<TriagePayload> {
        let batch: BatchId = node::parse("batch", &batch)?;
        Ok(findings::undo(ctx.db()?, ctx.asker()?, batch).await?.into())
    }
}
