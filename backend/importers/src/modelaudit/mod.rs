//! ModelAudit's JSON; its SARIF is read as any other, with the same fingerprints. What is taken over, field by field: `README.md`.

mod mapping;

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use stance_shared::{AssetKind, Layer};

pub(crate) use self::mapping::fingerprint;
use crate::category::Categories;
use crate::json::{Members, Value, malformed, or_default, read_object};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Hints, ImportError, Importer, Location, Position, RunInfo, Sink, Source};

/// The importer of `format=modelaudit`.
pub struct ModelAudit;

impl Importer for ModelAudit {
    fn format(&self) -> &'static str {
        "modelaudit"
    }

    fn title(&self) -> &'static str {
        "ModelAudit JSON"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn asset_kind(&self) -> AssetKind {
        AssetKind::Model
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        let known = ["bytes_scanned", "files_scanned", "scanner_names", "has_errors", "file_metadata"];
        let reports = outline.has("issues") || outline.has("checks");
        outline.has("issues[].rule_code") || reports && known.iter().any(|member| outline.has(member))
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let report = Report::new("ModelAudit", hints, sink);
        let asset =
            report.asset(AssetKind::Model, "", "ModelAudit names files, but not the model that they belong to")?;
        let mut import = Import { report, asset, has_issues: false, files: None };
        read_object(source, "a ModelAudit report, an object with “issues”", &mut import)?;
        import.finish()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Issue {
    #[serde(deserialize_with = "or_default")]
    message: String,
    #[serde(deserialize_with = "or_default")]
    severity: String,
    #[serde(deserialize_with = "or_default")]
    location: String,
    #[serde(deserialize_with = "or_default")]
    details: Map<String, Json>,
    why: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    rule_code: Option<String>,
}

struct Import<'a> {
    report: Report<'a>,
    asset: AssetRef,
    has_issues: bool,
    files: Option<u64>,
}

impl Members for Import<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "issues" => {
                self.has_issues = true;
                value.array("an array of issues", |_, issue: Issue| self.issue(issue)).map(drop)
            }
            "files_scanned" => {
                self.files = value.record()?;
                Ok(())
            }
            "has_errors" => match value.record::<Option<bool>>()? {
                Some(true) => self.report.error("", "ModelAudit says that it met errors: some files were not analyzed"),
                _ => Ok(()),
            },
            _ => value.skip(),
        }
    }
}

impl Import<'_> {
    fn issue(&mut self, issue: Issue) -> Result<(), ImportError> {
        let word = issue.severity.trim().to_lowercase();
        let Some((_, severity)) = mapping::SEVERITIES.iter().find(|(known, _)| *known == word) else {
            let known = mapping::SEVERITIES.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
            let position = Position { path: "severity".to_owned(), ..Position::default() };
            return Err(ImportError::Malformed { expected: format!("severity: must be one of {known}"), position });
        };
        let Some(severity) = *severity else { return Ok(()) };
        let place = text::normalize_uri(mapping::place(&issue.location), None);
        if issue.details.get("analysis_incomplete") == Some(&Json::Bool(true)) {
            return self.report.error(&place, &issue.message);
        }
        let known =
            |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let code = known(&issue.rule_code).or_else(|| known(&issue.kind)).unwrap_or_else(|| "(no rule)".to_owned());
        let code = text::one_line(&code, 100);
        let family = mapping::family_of(&code);
        let mut categories = Categories::default();
        categories.add_all(family.categories);
        let import = mapping::import(&issue.details);
        let fingerprint = fingerprint(&self.asset, &code, &issue.location, &issue.details, &issue.message);
        let mut description = issue.message.trim().to_owned();
        if let Some(why) = known(&issue.why) {
            description.push_str(&format!("\n\n{why}"));
        }
        let mut evidence = Evidence::default();
        evidence.add("rule", code.clone());
        evidence.add("check", issue.kind);
        evidence.add("details", stable(issue.details));
        let title = if issue.message.trim().is_empty() { &code } else { &issue.message };
        self.report.finding(FindingRecord {
            severity,
            title: text::one_line(&text::redact(title), 300),
            description: text::evidence_text(&description, 8000),
            remediation: family.remediation.to_owned(),
            categories: categories.into_vec(),
            locations: if place.is_empty() {
                Vec::new()
            } else {
                vec![Location { uri: place, line: None, snippet: None }]
            },
            evidence: evidence.finish(),
            ..FindingRecord::blank(&self.asset, fingerprint, &import.unwrap_or(code), Layer::Model)
        })
    }

    fn finish(mut self) -> Result<RunInfo, ImportError> {
        if !self.has_issues {
            return Err(malformed("not a ModelAudit report: there is no member “issues”"));
        }
        if self.files == Some(0) && !self.report.has_findings() {
            self.report.info.complete = false;
            return self.report.finish("a valid report, but ModelAudit found no file to scan: nothing was assessed");
        }
        self.report.assess(&self.asset, Layer::Model, "artifact-scanned", Map::new())?;
        self.report.finish("a valid report in which ModelAudit found nothing")
    }
}

/// The details without what is new in every run or moves within the file: paths, positions, times.
fn stable(details: Map<String, Json>) -> Json {
    let moves = |key: &str| {
        ["position", "path", "source", "context", "timestamp", "offset"].iter().any(|word| key.contains(word))
    };
    Json::Object(details.into_iter().filter(|(key, _)| !moves(key)).collect())
}
