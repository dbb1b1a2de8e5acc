//! Semgrep's JSON. What is taken over, field by field: `README.md`.

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use stance_shared::{AssetKind, Layer, Severity};

use crate::code::{self, Mark, Weakness};
use crate::json::{Members, Record, Text, Value, malformed, or_default, read_object};
use crate::report::Report;
use crate::sarif::mapping;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Hints, ImportError, Importer, Position, RunInfo, Sink, Source, Suppression};

/// The importer of `format=semgrep`.
pub struct Semgrep;

/// Semgrep's words, of old rules and new ones.
const SEVERITIES: &[(&str, Severity)] = &[
    ("CRITICAL", Severity::Critical),
    ("ERROR", Severity::High),
    ("HIGH", Severity::High),
    ("WARNING", Severity::Medium),
    ("MEDIUM", Severity::Medium),
    ("INFO", Severity::Low),
    ("LOW", Severity::Low),
    ("INVENTORY", Severity::Info),
    ("EXPERIMENT", Severity::Info),
];

/// What stands in a text that only who is logged in gets.
const LOGIN: &str = "requires login";

impl Importer for Semgrep {
    fn format(&self) -> &'static str {
        "semgrep"
    }

    fn title(&self) -> &'static str {
        "Semgrep JSON"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        outline.has("results[].check_id") || outline.has("results") && outline.has("paths") && outline.has("errors")
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let report = Report::new("Semgrep OSS", hints, sink);
        let asset = report.asset(
            AssetKind::Application,
            "",
            "Semgrep names files, but not the application that they belong to",
        )?;
        let mut import = Import { report, asset, has_results: false, scanned: None };
        read_object(source, "a Semgrep report, an object with “results”", &mut import)?;
        import.finish()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Match<'a> {
    check_id: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    path: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    start: Place,
    #[serde(deserialize_with = "or_default")]
    end: Place,
    #[serde(deserialize_with = "or_default")]
    extra: Extra<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Place {
    line: i64,
    col: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Extra<'a> {
    #[serde(deserialize_with = "or_default")]
    message: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    severity: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    metadata: Map<String, Json>,
    fingerprint: Option<Text<'a>>,
    lines: Option<Text<'a>>,
    fix: Option<Text<'a>>,
    is_ignored: Option<bool>,
    validation_state: Option<Text<'a>>,
}

impl Record for Match<'static> {
    type Of<'a> = Match<'a>;
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Trouble {
    #[serde(deserialize_with = "or_default")]
    level: String,
    #[serde(deserialize_with = "or_default")]
    message: String,
    path: Option<String>,
}

struct Import<'a> {
    report: Report<'a>,
    asset: AssetRef,
    has_results: bool,
    /// Files that were scanned.
    scanned: Option<usize>,
}

impl Members for Import<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "results" => {
                self.has_results = true;
                value.array_of::<Match<'static>>("an array of results", |_, found| self.found(found)).map(drop)
            }
            "errors" => value.array("an array of errors", |_, trouble: Trouble| self.trouble(&trouble)).map(drop),
            "paths" => value.object("an object", &mut Paths(&mut self.scanned)),
            "version" => {
                self.report.info.tool_version =
                    text::one_line(&value.record::<Option<String>>()?.unwrap_or_default(), 40);
                Ok(())
            }
            "engine_requested" => {
                if value.record::<Option<String>>()?.is_some_and(|engine| engine.starts_with("PRO")) {
                    self.report.info.tool = "Semgrep PRO".to_owned();
                }
                Ok(())
            }
            _ => value.skip(),
        }
    }
}

struct Paths<'a>(&'a mut Option<usize>);

impl Members for Paths<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "scanned" => *self.0 = Some(value.count()?),
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl Import<'_> {
    fn found<'a>(&mut self, found: Match<'a>) -> Result<(), ImportError> {
        if found.check_id.trim().is_empty() {
            return Err(malformed("a result needs “check_id”"));
        }
        let extra = found.extra;
        let word = extra.severity.trim().to_uppercase();
        let Some((_, severity)) = SEVERITIES.iter().find(|(known, _)| *known == word) else {
            let known = SEVERITIES.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
            let position = Position { path: "extra.severity".to_owned(), ..Position::default() };
            return Err(ImportError::Malformed { expected: format!("severity: must be one of {known}"), position });
        };
        let known = |text: Option<Text<'a>>| text.filter(|text| !text.trim().is_empty() && **text != *LOGIN);
        let lines = known(extra.lines);
        let link = ["source", "shortlink"].iter().find_map(|key| extra.metadata.get(*key)?.as_str());
        let link = link.filter(|link| link.starts_with("http")).unwrap_or_default().to_owned();
        let fix = known(extra.fix).map(|fix| format!("Replace it with `{}`.\n\n{link}", text::one_line(&fix, 1000)));
        let mut evidence = Evidence::default();
        evidence.add("severity", extra.severity);
        evidence.add("validation", extra.validation_state);
        let categories = mapping::rule_categories(&found.check_id, &extra.metadata);
        evidence.add("metadata", Json::Object(extra.metadata));
        let weakness = Weakness {
            tool: "semgrep",
            rule: found.check_id.trim(),
            severity: *severity,
            message: &extra.message,
            path: &found.path,
            line: u32::try_from(found.start.line).ok().filter(|line| *line > 0),
            mark: Mark {
                own: extra.fingerprint.as_deref().and_then(code::usable_fingerprint),
                snippet: lines.as_deref(),
                span: (found.start.col, found.end.line.saturating_sub(found.start.line).max(0), found.end.col),
                message: &extra.message,
            },
            remediation: fix.as_deref().map_or(link.as_str(), str::trim),
            categories,
        };
        let suppression = (extra.is_ignored == Some(true)).then(|| Suppression {
            origin: "Semgrep is_ignored".to_owned(),
            justification: "ignored by a comment (nosemgrep) in the code".to_owned(),
        });
        let finding = code::finding(&self.asset, weakness, evidence);
        self.report.finding(FindingRecord { suppression, ..finding })
    }

    fn trouble(&mut self, trouble: &Trouble) -> Result<(), ImportError> {
        let path = text::normalize_uri(trouble.path.as_deref().unwrap_or_default(), None);
        if trouble.level.eq_ignore_ascii_case("error") {
            return self.report.error(&path, &trouble.message);
        }
        self.report.gap("partly-scanned", &path, &trouble.message)
    }

    fn finish(mut self) -> Result<RunInfo, ImportError> {
        if !self.has_results {
            return Err(malformed("not a Semgrep report: there is no member “results”"));
        }
        if self.scanned == Some(0) && !self.report.has_findings() {
            self.report.info.complete = false;
            return self.report.finish("a valid report, but Semgrep scanned no file: nothing was assessed");
        }
        self.report.assess(&self.asset, Layer::Application, "code-scanned", Map::new())?;
        self.report.finish("a valid report in which Semgrep found nothing")
    }
}
