//! Reports of AI-security tools, as normalized records.
//!
//! Pure: bytes in, records out. No database, no network, no clock. One folder per tool, one line in [`registry`].

mod agent_scan;
mod agentic_radar;
mod ai_infra_guard;
mod bandit;
mod category;
mod code;
pub mod container;
mod cyclonedx;
mod defectdojo;
pub mod events;
mod fickling;
mod garak;
#[cfg(any(test, feature = "generate"))]
pub mod generate;
mod giskard;
mod grype;
mod huggingface;
mod json;
mod llm_guard;
mod mcp;
mod mcp_config;
mod mcp_manifest;
mod mcp_scanner;
mod modelaudit;
mod modelscan;
mod ocsf;
mod openreports;
mod openvex;
mod package;
mod picklescan;
mod pip_audit;
mod promptfoo;
mod pyrit;
mod record;
mod report;
mod sarif;
mod semgrep;
mod skill_scanner;
mod sniff;
mod spdx;
pub mod stance;
#[cfg(test)]
mod tests;
mod text;
mod trivy;
mod unsafe_import;
mod xml;

pub use record::*;

use std::io::Read;

use stance_shared::AssetKind;

/// A report's bytes, which an importer may read more than once (SARIF may put its rules after its results).
pub trait Source {
    /// Opens the report at its first byte, decompressed.
    ///
    /// # Errors
    /// When the bytes can not be read.
    fn open(&self) -> std::io::Result<Box<dyn Read + '_>>;
}

impl Source for &[u8] {
    fn open(&self) -> std::io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(*self))
    }
}

/// What was said with the upload.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// The asset that the uploader named (`asset=KEY`); it wins over what the report says.
    pub asset: Option<AssetRef>,
    /// The name of the uploaded file: some files are told apart by it, and it may say what neither hint nor report does
    /// ([`Hints::key_from_filename`]).
    pub filename: Option<String>,
}

/// Words of file names that name no asset, whatever else they say.
const GENERIC: &[&str] = &[
    "agent",
    "ai",
    "all",
    "analysis",
    "audit",
    "bom",
    "check",
    "checks",
    "ci",
    "config",
    "data",
    "debug",
    "document",
    "download",
    "eval",
    "evals",
    "export",
    "file",
    "final",
    "finding",
    "findings",
    "full",
    "hitlog",
    "issue",
    "issues",
    "json",
    "latest",
    "log",
    "logs",
    "main",
    "mcp",
    "model",
    "new",
    "old",
    "out",
    "output",
    "prod",
    "report",
    "reports",
    "result",
    "results",
    "run",
    "sample",
    "sarif",
    "sbom",
    "scan",
    "scanner",
    "scans",
    "security",
    "settings",
    "stdin",
    "summary",
    "temp",
    "test",
    "tests",
    "tmp",
    "tool",
    "tools",
    "upload",
    "vex",
    "vuln",
    "vulns",
    "vulnerabilities",
];

impl Hints {
    /// An asset's key for a report that names none: the uploaded file's name without folders and without the extensions of
    /// reports (`scans/portal.sarif.gz` is `portal`). None when that says nothing: `report.json`, `garak-2026-11-23.jsonl`.
    #[must_use]
    pub fn key_from_filename(&self) -> Option<String> {
        let mut stem = self.filename.as_deref()?.rsplit(['/', '\\']).next()?;
        while let Some((rest, extension)) = stem.rsplit_once('.') {
            let known = [
                "gz", "zip", "json", "jsonl", "ndjson", "sarif", "xml", "csv", "txt", "md", "yaml", "report", "hitlog",
            ];
            if !known.contains(&extension.to_ascii_lowercase().as_str()) {
                break;
            }
            stem = rest;
        }
        let stem = text::one_line(stem, 200);
        let says_something = stem.to_lowercase().split(|c: char| !c.is_alphanumeric()).any(|word| {
            let is_tool = REGISTRY.iter().any(|importer| importer.format().split('-').any(|part| part == word));
            // Dates, counters, run ids.
            let is_number = word.chars().filter(char::is_ascii_digit).count() * 3 >= word.len();
            !is_number && !is_tool && !GENERIC.contains(&word)
        });
        says_something.then_some(stem)
    }
}

/// Takes the records one by one; returning an error stops the importer.
pub trait Sink {
    /// # Errors
    /// When the receiver does not want more; the importer returns it as [`ImportError::Stopped`].
    fn record(&mut self, record: Record) -> Result<(), Stopped>;
}

impl Sink for Vec<Record> {
    fn record(&mut self, record: Record) -> Result<(), Stopped> {
        self.push(record);
        Ok(())
    }
}

/// The receiver of records went away or refused one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Stopped(pub String);

/// Where a report is broken.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// 1-based; `None` where the format has no lines.
    pub line: Option<u64>,
    /// 1-based.
    pub column: Option<u64>,
    /// The path inside the document, for example `runs[0].results[17].message`; empty when unknown.
    pub path: String,
}

/// Why a report could not be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// No importer knows the format. Names what was expected.
    #[error("the format was not recognized: {0}")]
    Unknown(String),
    /// The report is not what its format says. `expected` is a sentence that a person can act on.
    #[error("{expected}")]
    Malformed { expected: String, position: Position },
    /// The report ends in the middle.
    #[error("the report ends too early: {expected}")]
    Truncated { expected: String, position: Position },
    /// The report does not say which asset it is about, and none was named with the upload. Says what the report does say.
    /// The caller may know better ([`Hints::key_from_filename`]) and read it again with a hint.
    #[error("{0}. Name the asset with the upload, as asset=KIND:KEY, for example asset=MODEL:support-ft")]
    NeedsAsset(String),
    /// A limit was passed, named with its value.
    #[error("{0}")]
    TooLarge(String),
    #[error("{0}")]
    Stopped(#[from] Stopped),
    #[error("the report could not be read: {0}")]
    Io(std::io::Error),
}

impl From<std::io::Error> for ImportError {
    fn from(error: std::io::Error) -> Self {
        match error.downcast::<container::LimitPassed>() {
            Ok(limit) => Self::TooLarge(limit.0),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                let expected = "what was sent is compressed, and the rest of it is missing".to_owned();
                Self::Truncated { expected, position: Position::default() }
            }
            Err(error) => Self::Io(error),
        }
    }
}

/// One format of reports.
pub trait Importer: Sync {
    /// The format's id, as used in `format=`: lower case, for example `sarif`.
    fn format(&self) -> &'static str;

    /// What a person calls it, for example `SARIF 2.1.0`.
    fn title(&self) -> &'static str;

    /// Markdown for the uploader: how to make the report, what is taken over.
    fn help(&self) -> &'static str;

    /// The kind of an asset that was named by its key alone.
    fn asset_kind(&self) -> AssetKind {
        AssetKind::Application
    }

    /// Whether these first bytes (at most [`SNIFF_BYTES`], decompressed) are of this format.
    /// Exactly one importer says yes to a well-formed report.
    fn sniff(&self, head: &[u8]) -> bool;

    /// Reads the report, giving each record to `sink` as soon as it is known. Memory stays bounded on any input.
    ///
    /// # Errors
    /// [`ImportError`], with the position where the report is broken. Never panics, whatever the bytes.
    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError>;
}

/// How many bytes [`Importer::sniff`] may look at.
pub const SNIFF_BYTES: usize = 64 * 1024;

/// Every importer, one line each.
static REGISTRY: &[&dyn Importer] = &[
    &sarif::Sarif,
    &garak::Garak,
    &agent_scan::AgentScan,
    &mcp_scanner::McpScanner,
    &skill_scanner::SkillScanner,
    &mcp_manifest::McpManifest,
    &mcp_config::McpConfig,
    &agentic_radar::AgenticRadar,
    &ai_infra_guard::AiInfraGuard,
    &llm_guard::LlmGuard,
    &ocsf::Ocsf,
    &modelscan::ModelScan,
    &modelaudit::ModelAudit,
    &bandit::Bandit,
    &semgrep::Semgrep,
    &trivy::Trivy,
    &grype::Grype,
    &pip_audit::PipAudit,
    &picklescan::Picklescan,
    &fickling::Fickling,
    &promptfoo::Promptfoo,
    &pyrit::PyRit,
    &giskard::Giskard,
    &openreports::OpenReports,
    &cyclonedx::CycloneDx,
    &spdx::Spdx,
    &huggingface::HuggingFace,
    &openvex::OpenVex,
    &defectdojo::DefectDojo,
    &stance::Stance,
];

/// Every importer.
#[must_use]
pub fn registry() -> &'static [&'static dyn Importer] {
    REGISTRY
}

/// The importer of a format id.
#[must_use]
pub fn by_format(format: &str) -> Option<&'static dyn Importer> {
    REGISTRY.iter().copied().find(|importer| importer.format() == format)
}

/// The importer for a report that begins with `head` (decompressed, ideally [`SNIFF_BYTES`] long). A `format` other than
/// `auto` decides by itself.
///
/// # Errors
/// [`ImportError::Unknown`], naming the known formats and what the file looks like.
pub fn detect(head: &[u8], format: Option<&str>) -> Result<&'static dyn Importer, ImportError> {
    let formats = || REGISTRY.iter().map(|i| format!("{} ({})", i.format(), i.title())).collect::<Vec<_>>().join(", ");
    if let Some(format) = format.filter(|format| *format != "auto") {
        return by_format(format).ok_or_else(|| {
            ImportError::Unknown(format!(
                "“{}” is not a format; use auto or one of {}",
                text::one_line(format, 40),
                formats()
            ))
        });
    }
    let head = &head[..head.len().min(SNIFF_BYTES)];
    let found = REGISTRY.iter().copied().find(|importer| importer.sniff(head));
    found.ok_or_else(|| {
        ImportError::Unknown(format!("the file looks like {}; known are {}", sniff::describe(head), formats()))
    })
}
