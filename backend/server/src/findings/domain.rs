//! Findings and what lists of them can be narrowed and sorted by.

use chrono::{DateTime, Utc};
use serde_json::Value;
use stance_shared::{
    AssetId, AssetKind, DecisionId, DecisionKind, FindingId, FindingStatus, Layer, ReportId, Severity, UserId,
};
use std::sync::Arc;
use uuid::Uuid;

/// One problem of one asset.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Finding {
    pub id: FindingId,
    /// Identity across reports.
    pub fingerprint: Uuid,
    pub asset_id: AssetId,
    pub layer: Layer,
    #[sqlx(try_from = "i16")]
    pub severity: Rank,
    /// 0 to 10 where the source gives one.
    pub score: Option<f64>,
    /// 0 to 1.
    pub attack_success_rate: Option<f64>,
    pub rule: String,
    pub title: String,
    pub description: String,
    pub remediation: String,
    /// `framework@version:id`.
    pub categories: Vec<String>,
    /// 0 to 0.99, `stance-risk/1`.
    pub risk: f64,
    pub status: FindingStatus,
    pub first_seen: DateTime<Utc>,
    pub resolved_at: Option<DateTime<Utc>>,
    pub decision_id: Option<DecisionId>,
    pub assignee_id: Option<UserId>,
}

/// A severity as the database keeps it: a number, because lists are sorted by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank(pub Severity);

impl TryFrom<i16> for Rank {
    type Error = &'static str;

    fn try_from(rank: i16) -> Result<Self, Self::Error> {
        Severity::from_rank(rank).map(Self).ok_or("a severity outside 0 to 4")
    }
}

/// Who still reports a finding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Names of the tools, sorted.
    pub tools: Vec<String>,
    /// When a scan last reported it.
    pub last: Option<DateTime<Utc>>,
    /// How often the scans saw it, in sum.
    pub count: i64,
}

/// What one scan (tool, asset, scan identity) says of a finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Occurrence {
    pub tool: String,
    pub tool_version: String,
    pub scan_identity: String,
    /// The report that said this content first.
    pub report_id: ReportId,
    pub severity: Severity,
    pub count: i64,
    pub attack_success_rate: Option<f64>,
    /// `[{"uri", "line"?, "snippet"?}]`.
    pub locations: Value,
    pub evidence: Value,
    pub first_seen: DateTime<Utc>,
    /// When the scan last ran; if the scan no longer reports it, since when.
    pub last_seen: DateTime<Utc>,
    pub absent_since: Option<DateTime<Utc>>,
}

/// What a person said of a finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub id: DecisionId,
    pub kind: DecisionKind,
    pub reason: String,
    pub expires_at: Option<DateTime<Utc>>,
    pub approver_id: Option<UserId>,
    /// Where an imported suppression came from.
    pub origin: Option<String>,
    pub decided_by: String,
    pub decided_at: DateTime<Utc>,
}

/// A line of a finding's history.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub at: DateTime<Utc>,
    /// `CREATED`, or a kind of `finding_event`.
    pub kind: String,
    pub actor: String,
    pub summary: String,
    pub comment: Option<String>,
    pub report_id: Option<ReportId>,
}

/// Which findings. Empty lists do not filter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub status: Vec<FindingStatus>,
    pub severity: Vec<Severity>,
    pub layer: Vec<Layer>,
    pub asset: Option<AssetId>,
    pub asset_kind: Vec<AssetKind>,
    /// A tool that still reports it.
    pub tool: Option<String>,
    /// `framework@version:id`.
    pub category: Option<String>,
    /// Still reported by a scan that this report fed.
    pub report: Option<ReportId>,
    pub assignee: Option<UserId>,
    pub unassigned: bool,
    pub search: Option<Search>,
    /// Reported by a scan that ran then or later.
    pub seen_since: Option<DateTime<Utc>>,
}

/// What was searched for, anywhere in title or rule, whatever its case.
#[derive(Clone, Debug)]
pub enum Search {
    /// A pattern for `LIKE`, from [`crate::kernel::text::search`].
    Pattern(String),
    /// The findings that have it, where they are few.
    Found(Arc<[FindingId]>),
}

impl Filter {
    /// Whether it asks who reports a finding.
    pub const fn by_scan(&self) -> bool {
        self.tool.is_some() || self.report.is_some() || self.seen_since.is_some()
    }
}

/// What findings are sorted by; the id, and so the time of creation, decides between equals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Risk,
    Severity,
    FirstSeen,
}

/// A place in a sorted list.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Key {
    /// The bits of the number, because a number does not always survive JSON.
    Risk(u64, FindingId),
    Severity(i16, FindingId),
    FirstSeen(FindingId),
}

impl Key {
    /// The order of the list that it is a place in.
    #[must_use]
    pub const fn sort(&self) -> Sort {
        match self {
            Self::Risk(..) => Sort::Risk,
            Self::Severity(..) => Sort::Severity,
            Self::FirstSeen(..) => Sort::FirstSeen,
        }
    }
}

impl Sort {
    #[must_use]
    pub fn key(self, finding: &Finding) -> Key {
        match self {
            Self::Risk => Key::Risk(finding.risk.to_bits(), finding.id),
            Self::Severity => Key::Severity(finding.severity.0.rank(), finding.id),
            Self::FirstSeen => Key::FirstSeen(finding.id),
        }
    }
}

/// Counts by severity, worst first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeverityCounts(pub [i64; 5]);

/// Counts of the findings that a filter lets through, whatever their status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// In the order of `FindingStatus::ALL`.
    pub by_status: [i64; 5],
    /// Open and in progress.
    pub by_severity: SeverityCounts,
    /// Open and in progress, assigned to who asks.
    pub mine: i64,
    /// The 50 most frequent, with their counts, the most frequent first.
    pub categories: Vec<(String, i64)>,
}

/// Something that a text search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    pub id: FindingId,
    pub title: String,
    pub severity: Severity,
    pub asset_id: AssetId,
}
