//! Reports and what is said of them.

use crate::kernel::{Error, Kind, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use stance_importers::{ImportError, Position};
use stance_shared::{ReportId, ReportStatus};

/// Limits of uploads.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one body as it is sent.
    pub body: u64,
    /// Reports of one organization that are not finished yet.
    pub unfinished: i64,
}

impl Limits {
    /// Whether a body may have so many bytes.
    ///
    /// # Errors
    /// `TOO_LARGE`.
    pub fn admit(self, bytes: u64) -> Result<()> {
        if bytes <= self.body {
            return Ok(());
        }
        Err(Error::new(Kind::TooLarge, format!("A report may have at most {} bytes.", self.body)))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 2 << 30, unfinished: 200 }
    }
}

/// Bytes of one stored piece.
pub const PIECE: usize = 1 << 20;
/// Gaps that are kept with a report; the rest is counted.
pub const MAX_GAPS: usize = 200;

/// What is said with an upload.
#[derive(Clone, Debug, Default)]
pub struct Upload {
    /// A format's id, or `auto`.
    pub format: String,
    /// `KIND:key`, or a key alone.
    pub asset: Option<String>,
    pub filename: Option<String>,
    /// The same key again gives the same report again.
    pub idempotency_key: Option<String>,
}

/// An uploaded report.
#[derive(Clone, Debug)]
pub struct Report {
    pub id: ReportId,
    pub status: ReportStatus,
    /// Known once the report was recognized.
    pub format: Option<String>,
    pub tool: Option<String>,
    pub tool_version: Option<String>,
    pub filename: Option<String>,
    /// Bytes as they were sent.
    pub bytes: i64,
    /// Of the bytes as they were sent.
    pub sha256: Vec<u8>,
    pub counts: Counts,
    /// 0 to 1.
    pub progress: f64,
    /// The first [`MAX_GAPS`].
    pub gaps: Vec<stance_importers::GapRecord>,
    pub gap_count: i32,
    pub error: Option<ReportError>,
    pub uploaded_by: String,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
}

/// What an import did. `new + updated + reopened + unchanged = findings`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Counts {
    /// Never seen before.
    pub new: i32,
    /// Known, and the report says something else of it than before.
    pub updated: i32,
    /// Had been resolved.
    pub reopened: i32,
    /// Not in the report any more, and no other scan reports it.
    pub resolved: i32,
    pub unchanged: i32,
    #[serde(skip)]
    pub findings: i32,
    #[serde(skip)]
    pub assets: i32,
    #[serde(skip)]
    pub relations: i32,
}

/// Why a report failed, and where it is broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReportError {
    /// `UNKNOWN_FORMAT`, `MALFORMED`, `TRUNCATED`, `NEEDS_ASSET`, `TOO_LARGE`, `UNREADABLE` or `INTERNAL`.
    pub code: String,
    /// A sentence that a person can act on.
    pub message: String,
    /// 1-based.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// 1-based.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// The path inside the document, for example `runs[0].results[17].message`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl ReportError {
    pub(super) fn new(code: &str, message: impl Into<String>, position: Option<&Position>) -> Self {
        Self {
            code: code.to_owned(),
            message: super::stage::clean(&message.into()).chars().take(2000).collect(),
            line: position.and_then(|p| p.line),
            column: position.and_then(|p| p.column),
            path: position.map(|p| super::stage::clean(&p.path).into_owned()).filter(|path| !path.is_empty()),
        }
    }
}

impl From<&ImportError> for ReportError {
    fn from(error: &ImportError) -> Self {
        match error {
            ImportError::Unknown(_) => Self::new("UNKNOWN_FORMAT", error.to_string(), None),
            ImportError::Malformed { position, .. } => Self::new("MALFORMED", error.to_string(), Some(position)),
            ImportError::Truncated { position, .. } => Self::new("TRUNCATED", error.to_string(), Some(position)),
            ImportError::NeedsAsset(_) => Self::new("NEEDS_ASSET", error.to_string(), None),
            ImportError::TooLarge(_) => Self::new("TOO_LARGE", error.to_string(), None),
            ImportError::Stopped(_) => Self::new("TOO_LARGE", error.to_string(), None),
            ImportError::Io(_) => Self::new("UNREADABLE", error.to_string(), None),
        }
    }
}
