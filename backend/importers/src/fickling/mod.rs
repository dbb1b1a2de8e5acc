//! fickling's JSON: a document for each pickle that is stacked in the file. What is taken over, field by field: `README.md`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use stance_shared::{AssetKind, Layer, Severity};

use crate::json::{malformed, or_default, read_documents};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Hints, ImportError, Importer, RunInfo, Sink, Source, unsafe_import};

/// The importer of `format=fickling`.
pub struct Fickling;

/// Different problems of one file beyond this are refused; a malicious pickle has a handful.
const MAX_PROBLEMS: usize = 5000;

/// fickling's words, and what of them is a problem.
const SEVERITIES: &[(&str, Option<Severity>)] = &[
    ("LIKELY_SAFE", None),
    ("POSSIBLY_UNSAFE", Some(Severity::Low)),
    ("SUSPICIOUS", Some(Severity::Low)),
    ("LIKELY_UNSAFE", Some(Severity::High)),
    ("LIKELY_OVERTLY_MALICIOUS", Some(Severity::High)),
    ("OVERTLY_MALICIOUS", Some(Severity::Critical)),
];

impl Importer for Fickling {
    fn format(&self) -> &'static str {
        "fickling"
    }

    fn title(&self) -> &'static str {
        "fickling JSON"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn asset_kind(&self) -> AssetKind {
        AssetKind::Model
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        ["severity", "analysis", "detailed_results"].iter().all(|member| outline.has(member))
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let mut report = Report::new("fickling", hints, sink);
        let asset = report.asset(AssetKind::Model, "", "fickling does not say which file or model it analyzed")?;
        let file = file(report.filename(), &asset);
        let mut problems = BTreeMap::new();
        read_documents(source, "a fickling report, an object with “severity” and “analysis”", |document| {
            let analysis = document.record::<Analysis>()?;
            if analysis.text.lines().any(|line| UNREADABLE.iter().any(|words| line.contains(words))) {
                report.error(&file, "a part of the file is no valid pickle and could not be analyzed")?;
            }
            analysis.problems(&mut problems)
        })?;
        for (rule, problem) in problems {
            report.finding(problem.finding(&asset, &rule, &file))?;
        }
        report.assess(&asset, Layer::Model, "artifact-scanned", Map::new())?;
        report.finish("a valid report in which fickling found nothing")
    }
}

/// What fickling says of files that it can not read to their end.
const UNREADABLE: &[&str] = &["The file has invalid opcode(s)", "malformed opcode sequences"];

/// One pickle of the file.
#[derive(Debug, Deserialize)]
struct Analysis {
    severity: String,
    #[serde(rename = "analysis")]
    text: String,
    #[serde(default, deserialize_with = "or_default")]
    detailed_results: BTreeMap<String, Map<String, Value>>,
}

/// An import, or what else fickling objects to.
struct Problem {
    severity: Severity,
    is_import: bool,
    /// fickling's lines on it.
    lines: Vec<String>,
    count: u64,
}

impl Analysis {
    /// Adds the problems of this pickle to those of the file: one for each import, or, without any, one for the pickle.
    fn problems(&self, all: &mut BTreeMap<String, Problem>) -> Result<(), ImportError> {
        let Some((_, severity)) = SEVERITIES.iter().find(|(word, _)| *word == self.severity) else {
            let known = SEVERITIES.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
            return Err(malformed(format!("severity: must be one of {known}")));
        };
        let Some(severity) = *severity else { return Ok(()) };
        let mut imports = false;
        let mut seen = BTreeMap::new();
        for line in self.text.lines() {
            let Some((rule, name)) = import(line) else { continue };
            imports = true;
            let called = |line: &str| {
                line.strip_prefix("Call to `")
                    .and_then(|call| call.strip_prefix(name))
                    .is_some_and(|rest| rest.starts_with('('))
            };
            let worst = if self.text.lines().any(|line| called(line) && line.contains("almost certainly"))
                || line.contains("security scanning library")
            {
                Severity::Critical
            } else {
                Severity::High
            };
            let problem = seen.entry(rule).or_insert_with(|| Problem {
                severity: worst,
                is_import: true,
                lines: Vec::new(),
                count: 1,
            });
            problem.lines.push(text::one_line(line, 300));
        }
        if !imports {
            let classes: Vec<&str> = self.detailed_results.values().flat_map(Map::keys).map(String::as_str).collect();
            let rule = if classes.is_empty() {
                "SuspiciousPickle".to_owned()
            } else {
                text::one_line(&classes.join("+"), 300)
            };
            let lines = self.text.lines().take(20).map(|line| text::one_line(line, 300)).collect();
            seen.insert(rule, Problem { severity, is_import: false, lines, count: 1 });
        }
        for (rule, problem) in seen {
            if let Some(known) = all.get_mut(&rule) {
                known.join(problem);
            } else if all.len() < MAX_PROBLEMS {
                all.insert(rule, problem);
            } else {
                return Err(ImportError::TooLarge(format!("more than {MAX_PROBLEMS} different problems in one file")));
            }
        }
        Ok(())
    }
}

impl Problem {
    fn join(&mut self, other: Self) {
        // The worst comes first in the order of severities.
        self.severity = self.severity.min(other.severity);
        self.count += other.count;
        self.lines.extend(other.lines);
        self.lines.sort_unstable();
        self.lines.dedup();
        self.lines.truncate(20);
    }

    fn finding(self, asset: &AssetRef, rule: &str, file: &str) -> FindingRecord {
        let mut evidence = Evidence::default();
        evidence.add("analysis", self.lines.clone());
        let title =
            if self.is_import { format!("Unsafe import: {rule}") } else { format!("Suspicious pickle ({rule})") };
        let mut finding = unsafe_import::finding(asset, rule, file, self.severity, &title, evidence);
        if !self.is_import {
            finding.description = text::truncate(self.lines.join("\n"), 8000);
        }
        FindingRecord { count: self.count, ..finding }
    }
}

/// The rule and the imported name of a line like “`from posix import system` is suspicious …”.
fn import(line: &str) -> Option<(String, &str)> {
    let code = line.strip_prefix('`')?.split('`').next()?;
    if let Some((module, name)) = code.strip_prefix("from ").and_then(|rest| rest.split_once(" import ")) {
        return Some((unsafe_import::rule(module, name), name));
    }
    let module = code.strip_prefix("import ")?;
    Some((text::one_line(module, 300), module))
}

/// The pickle's name, as far as one can know: `x.pkl` of an upload named `x.pkl.json`, else the asset's own when that names a file.
fn file(filename: Option<&str>, asset: &AssetRef) -> String {
    let last = |path: &str| path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    let mut stem = filename.map(last).unwrap_or_default();
    for extension in [".gz", ".txt", ".json"] {
        stem = stem.strip_suffix(extension).map(str::to_owned).unwrap_or(stem);
    }
    let own = last(&asset.key);
    [stem, own].into_iter().find(|name| unsafe_import::is_model_file(name)).unwrap_or_default()
}
