//! Bandit's JSON. What is taken over, field by field: `README.md`.

use serde::Deserialize;
use serde_json::Map;
use stance_shared::{AssetKind, Layer, Severity};

use crate::category::Categories;
use crate::code::{self, Mark, Weakness};
use crate::json::{Members, Record, Text, Value, malformed, or_default, read_object};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, Hints, ImportError, Importer, Position, RunInfo, Sink, Source};

/// The importer of `format=bandit`.
pub struct Bandit;

/// Bandit's words.
const SEVERITIES: &[(&str, Severity)] =
    &[("HIGH", Severity::High), ("MEDIUM", Severity::Medium), ("LOW", Severity::Low), ("UNDEFINED", Severity::Medium)];

impl Importer for Bandit {
    fn format(&self) -> &'static str {
        "bandit"
    }

    fn title(&self) -> &'static str {
        "Bandit JSON"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        outline.has("generated_at") && outline.has("metrics")
            || outline.has("results[].test_id") && outline.has("results[].issue_severity")
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let report = Report::new("Bandit", hints, sink);
        let asset = report.asset(
            AssetKind::Application,
            "",
            "Bandit names files, but not the application that they belong to",
        )?;
        let mut import = Import { report, asset, has_results: false, lines: None };
        read_object(source, "a Bandit report, an object with “results”", &mut import)?;
        import.finish()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Issue<'a> {
    /// Some lines around the place, each behind its number.
    code: Option<Text<'a>>,
    #[serde(deserialize_with = "or_default")]
    filename: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    issue_severity: Text<'a>,
    issue_confidence: Option<Text<'a>>,
    issue_cwe: Option<Cwe>,
    #[serde(deserialize_with = "or_default")]
    issue_text: Text<'a>,
    line_number: Option<u32>,
    #[serde(deserialize_with = "or_default")]
    more_info: Text<'a>,
    test_id: Text<'a>,
    test_name: Option<Text<'a>>,
}

impl Record for Issue<'static> {
    type Of<'a> = Issue<'a>;
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cwe {
    id: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Skipped {
    #[serde(deserialize_with = "or_default")]
    filename: String,
    #[serde(deserialize_with = "or_default")]
    reason: String,
}

struct Import<'a> {
    report: Report<'a>,
    asset: AssetRef,
    has_results: bool,
    /// Lines of code that were scanned.
    lines: Option<u64>,
}

impl Members for Import<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "results" => {
                self.has_results = true;
                value.array_of::<Issue<'static>>("an array of results", |_, issue| self.issue(issue)).map(drop)
            }
            "errors" => value
                .array("an array of errors", |_, skipped: Skipped| {
                    self.report.error(&text::normalize_uri(&skipped.filename, None), &skipped.reason)
                })
                .map(drop),
            "metrics" => value.object("an object", &mut Metrics(&mut self.lines)),
            _ => value.skip(),
        }
    }
}

/// The lines of code in `metrics._totals`.
struct Metrics<'a>(&'a mut Option<u64>);

impl Members for Metrics<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Totals {
            loc: Option<u64>,
        }
        if key != "_totals" {
            return value.skip();
        }
        *self.0 = value.record::<Totals>()?.loc;
        Ok(())
    }
}

impl Import<'_> {
    fn issue(&mut self, issue: Issue<'_>) -> Result<(), ImportError> {
        let word = issue.issue_severity.trim().to_uppercase();
        let Some((_, severity)) = SEVERITIES.iter().find(|(known, _)| *known == word) else {
            let known = SEVERITIES.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
            let position = Position { path: "issue_severity".to_owned(), ..Position::default() };
            return Err(ImportError::Malformed {
                expected: format!("issue_severity: must be one of {known}"),
                position,
            });
        };
        let info = &mut self.report.info;
        if info.tool_version.is_empty() {
            info.tool_version = text::one_line(version(&issue.more_info).unwrap_or_default(), 40);
        }
        let mut categories = Categories::default();
        if let Some(number) = issue.issue_cwe.and_then(|cwe| cwe.id) {
            categories.add_named_in(&format!("CWE-{number}"));
        }
        let mut evidence = Evidence::default();
        evidence.add("confidence", issue.issue_confidence);
        evidence.add("test", issue.test_name);
        let snippet = issue.line_number.and_then(|number| line(issue.code.as_deref()?, number));
        let weakness = Weakness {
            tool: "Bandit",
            rule: &issue.test_id,
            severity: *severity,
            message: &issue.issue_text,
            path: &issue.filename,
            line: issue.line_number,
            mark: Mark { snippet, message: &issue.issue_text, ..Mark::default() },
            remediation: if issue.more_info.starts_with("http") { &issue.more_info } else { "" },
            categories,
        };
        self.report.finding(code::finding(&self.asset, weakness, evidence))
    }

    fn finish(mut self) -> Result<RunInfo, ImportError> {
        if !self.has_results {
            return Err(malformed("not a Bandit report: there is no member “results”"));
        }
        if self.lines == Some(0) && !self.report.has_findings() {
            self.report.info.complete = false;
            return self.report.finish("a valid report, but Bandit found no code to scan: nothing was assessed");
        }
        self.report.assess(&self.asset, Layer::Application, "code-scanned", Map::new())?;
        self.report.finish("a valid report in which Bandit found nothing")
    }
}

/// The line of this number in lines that each begin with theirs.
fn line(code: &str, number: u32) -> Option<&str> {
    code.lines().find_map(|line| {
        let (own, text) = line.split_once(' ')?;
        (own.parse() == Ok(number)).then_some(text)
    })
}

/// Bandit's version, which only the links to its documentation say: `https://bandit.readthedocs.io/en/1.9.4/…`.
fn version(link: &str) -> Option<&str> {
    link.split("/en/").nth(1)?.split('/').next().filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))
}
