//! What scans and people said of a finding: occurrences, places, categories, decisions, history, counts.

use crate::{
    api::graphql::{
        GraphqlContext as _,
        identity::{User, load_user},
        imports::{self, Report},
        node,
    },
    findings::{self, Event, service},
};
use async_graphql::{ComplexObject, Context, ID, Json, Result, SimpleObject};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use stance_shared::{DecisionKind, ReportId, Severity, UserId, taxonomy};

pub(super) fn present(said: Vec<findings::Occurrence>) -> Vec<findings::Occurrence> {
    // Of a resolved finding nothing is present; then its last words count.
    let any = said.iter().any(|occurrence| occurrence.absent_since.is_none());
    said.into_iter().filter(|occurrence| !any || occurrence.absent_since.is_none()).collect()
}

/// A category of a taxonomy.
#[derive(SimpleObject)]
pub struct Category {
    /// `framework@version:id`
    key: String,
    framework: String,
    version: String,
    id: String,
    name: Option<String>,
    /// Where to read about it.
    url: String,
}

impl Category {
    pub fn of(key: &str) -> Self {
        if let Some(known) = taxonomy::lookup(key) {
            return Self {
                key: key.to_owned(),
                framework: known.framework.to_owned(),
                version: known.version.to_owned(),
                id: known.id.into_owned(),
                name: known.name.map(str::to_owned),
                url: known.url,
            };
        }
        let (framework, version, id) = taxonomy::parse(key).unwrap_or(("", "", key));
        Self {
            key: key.to_owned(),
            framework: framework.to_owned(),
            version: version.to_owned(),
            id: id.to_owned(),
            name: None,
            url: String::new(),
        }
    }
}

/// A place in a file, an artifact or a conversation.
#[derive(SimpleObject, Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Location {
    uri: String,
    /// 1-based.
    line: Option<u32>,
    snippet: Option<String>,
}

pub(super) fn read_locations(stored: Value) -> Vec<Location> {
    serde_json::from_value(stored).unwrap_or_default()
}

/// What one scan (tool, asset, identity) says of a finding.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct Occurrence {
    tool: String,
    tool_version: String,
    scan_identity: String,
    severity: Severity,
    count: i64,
    attack_success_rate: Option<f64>,
    evidence: Json<Value>,
    locations: Vec<Location>,
    first_seen: DateTime<Utc>,
    last_seen: DateTime<Utc>,
    /// Since when the scan no longer reports it.
    absent_since: Option<DateTime<Utc>>,
    #[graphql(skip)]
    report_id: ReportId,
}

#[ComplexObject]
impl Occurrence {
    /// The report that said this content first.
    async fn report(&self, ctx: &Context<'_>) -> Result<Option<Report>> {
        imports::load(ctx, self.report_id).await
    }
}

impl From<findings::Occurrence> for Occurrence {
    fn from(occurrence: findings::Occurrence) -> Self {
        Self {
            tool: occurrence.tool,
            tool_version: occurrence.tool_version,
            scan_identity: occurrence.scan_identity,
            severity: occurrence.severity,
            count: occurrence.count,
            attack_success_rate: occurrence.attack_success_rate,
            evidence: Json(occurrence.evidence),
            locations: read_locations(occurrence.locations),
            first_seen: occurrence.first_seen,
            last_seen: occurrence.last_seen,
            absent_since: occurrence.absent_since,
            report_id: occurrence.report_id,
        }
    }
}

/// What a person said of a finding.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct Decision {
    #[graphql(owned)]
    pub id: ID,
    kind: DecisionKind,
    reason: String,
    decided_by: String,
    decided_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    /// Where an imported suppression came from.
    origin: Option<String>,
    #[graphql(skip)]
    approver_id: Option<UserId>,
}

#[ComplexObject]
impl Decision {
    async fn approver(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        load_user(ctx, self.approver_id).await
    }
}

impl From<findings::Decision> for Decision {
    fn from(decision: findings::Decision) -> Self {
        Self {
            id: node::id(decision.id),
            kind: decision.kind,
            reason: decision.reason,
            decided_by: decision.decided_by,
            decided_at: decision.decided_at,
            expires_at: decision.expires_at,
            origin: decision.origin,
            approver_id: decision.approver_id,
        }
    }
}

/// A line of a finding's history.
/// kind: CREATED, REPORTED, UPDATED, RESOLVED, REOPENED, DECIDED, UNDONE, EXPIRED, ASSIGNED, COMMENTED
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct FindingEvent {
    at: DateTime<Utc>,
    kind: String,
    actor: String,
    summary: String,
    comment: Option<String>,
    #[graphql(skip)]
    report_id: Option<ReportId>,
}

#[ComplexObject]
impl FindingEvent {
    async fn report(&self, ctx: &Context<'_>) -> Result<Option<Report>> {
        match self.report_id {
            Some(id) => imports::load(ctx, id).await,
            None => Ok(None),
        }
    }
}

impl From<Event> for FindingEvent {
    fn from(event: Event) -> Self {
        Self {
            at: event.at,
            kind: event.kind,
            actor: event.actor,
            summary: event.summary,
            comment: event.comment,
            report_id: event.report_id,
        }
    }
}

/// Open findings by severity.
#[derive(SimpleObject)]
pub struct SeverityCounts {
    critical: i64,
    high: i64,
    medium: i64,
    low: i64,
    info: i64,
    total: i64,
}

impl From<findings::SeverityCounts> for SeverityCounts {
    fn from(counts: findings::SeverityCounts) -> Self {
        let [critical, high, medium, low, info] = counts.0;
        Self { critical, high, medium, low, info, total: counts.0.iter().sum() }
    }
}

#[derive(SimpleObject)]
pub struct CategoryCount {
    category: Category,
    count: i64,
}

/// Counts under the filter; `status` of the filter is ignored.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct FindingSummary {
    open: i64,
    in_progress: i64,
    resolved: i64,
    false_positive: i64,
    risk_accepted: i64,
    /// Open and in progress, assigned to the viewer.
    mine: i64,
    /// Open and in progress.
    by_severity: SeverityCounts,
    /// The 50 most frequent.
    categories: Vec<CategoryCount>,
}

impl From<findings::Summary> for FindingSummary {
    fn from(summary: findings::Summary) -> Self {
        let [open, in_progress, resolved, false_positive, risk_accepted] = summary.by_status;
        let category = |(key, count): (String, i64)| CategoryCount { category: Category::of(&key), count };
        Self {
            open,
            in_progress,
            resolved,
            false_positive,
            risk_accepted,
            mine: summary.mine,
            by_severity: summary.by_severity.into(),
            categories: summary.categories.into_iter().map(category).collect(),
        }
    }
}

#[ComplexObject]
impl FindingSummary {
    /// Names of all tools that ever scanned something.
    async fn tools(&self, ctx: &Context<'_>) -> Result<Vec<String>> {
        Ok(service::tools(ctx.db()?, ctx.asker()?).await?)
    }
}
