//! picklescan's console text, its only report. What is taken over, line by line: `README.md`.

use std::collections::BTreeMap;

use stance_shared::{AssetKind, Layer, Severity};

use crate::json::read_lines;
use crate::report::Report;
use crate::text::Evidence;
use crate::{AssetRef, Hints, ImportError, Importer, Position, RunInfo, Sink, Source, unsafe_import};

/// The importer of `format=picklescan`.
pub struct Picklescan;

const SUMMARY: &str = "----------- SCAN SUMMARY";
const IMPORT: &str = " import '";
const FOUND: &str = "' FOUND";

/// Suspicious imports that are kept until the end; a model has some dozens.
const MAX_SUSPICIOUS: usize = 5000;

impl Importer for Picklescan {
    fn format(&self) -> &'static str {
        "picklescan"
    }

    fn title(&self) -> &'static str {
        "picklescan console text"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn asset_kind(&self) -> AssetKind {
        AssetKind::Model
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let head = String::from_utf8_lossy(head);
        let is_text = !head.trim_start_matches('\u{FEFF}').trim_start().starts_with(['{', '[', '<']);
        is_text
            && head.lines().any(|line| {
                line.starts_with(SUMMARY)
                    || line.starts_with("ERROR: parsing pickle in ")
                    || line.contains(": dangerous import '") && line.contains(FOUND)
            })
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let report = Report::new("picklescan", hints, sink);
        let says = "picklescan names files, but not the model that they belong to";
        let asset = report.asset(AssetKind::Model, "", says)?;
        let mut import =
            Import { report, asset, found: 0, dangerous: None, scanned: None, suspicious: BTreeMap::new(), lines: 0 };
        read_lines(source, |number, line| import.line(number, &String::from_utf8_lossy(line)))?;
        import.finish()
    }
}

struct Import<'a> {
    report: Report<'a>,
    asset: AssetRef,
    found: u64,
    /// What the summary counts.
    dangerous: Option<u64>,
    scanned: Option<u64>,
    /// Imports that picklescan lists (`--globals`) but does not say the file of, with how often.
    suspicious: BTreeMap<String, u64>,
    lines: u64,
}

impl Import<'_> {
    fn line(&mut self, number: u64, line: &str) -> Result<(), ImportError> {
        self.lines = number;
        if let Some((before, _)) = line.split_once(FOUND) {
            return self.import(number, before);
        }
        let count =
            |text: &str| text.trim().parse().map_err(|_| malformed(number, "a summary counts in whole numbers"));
        if let Some(text) = line.strip_prefix("Scanned files:") {
            self.scanned = Some(count(text)?);
        } else if let Some(text) = line.strip_prefix("Dangerous globals:") {
            self.dangerous = Some(count(text)?);
        } else if let Some(error) = line.strip_prefix("ERROR: ") {
            let file =
                error.split_once(" in ").and_then(|(_, rest)| rest.split_once(": ")).map_or("", |(file, _)| file);
            self.report.error(file, error)?;
        } else if line.starts_with("Invalid file ") {
            self.report.error("", line)?;
        } else if let Some(file) = line.strip_prefix("WARNING: could not parse ") {
            let file = file.split(" as pickle").next().unwrap_or_default();
            self.report.gap("skipped", file, "it could not be read as a pickle")?;
        } else if let Some((import, "suspicious")) = line.strip_prefix("* ").and_then(|line| line.rsplit_once(" - ")) {
            let (module, name) = import.rsplit_once('.').unwrap_or((import, ""));
            let rule = unsafe_import::rule(module, name);
            if self.suspicious.len() < MAX_SUSPICIOUS || self.suspicious.contains_key(&rule) {
                *self.suspicious.entry(rule).or_default() += 1;
            }
        }
        Ok(())
    }

    /// `FILE: dangerous import 'MODULE NAME`
    fn import(&mut self, number: u64, line: &str) -> Result<(), ImportError> {
        let expected = || malformed(number, "a finding reads “FILE: dangerous import 'MODULE NAME' FOUND”");
        let (file, import) = line.rsplit_once(IMPORT).ok_or_else(expected)?;
        let (file, safety) = file.rsplit_once(": ").ok_or_else(expected)?;
        let (module, name) = import.split_once(' ').ok_or_else(expected)?;
        let severity = match safety {
            "dangerous" => unsafe_import::severity(module),
            "suspicious" => Severity::Medium,
            _ => return Err(expected()),
        };
        let rule = unsafe_import::rule(module, name);
        let mut evidence = Evidence::default();
        evidence.add("module", module);
        evidence.add("name", name);
        evidence.add("safety", safety);
        self.found += 1;
        let title = format!("A {safety} import: {rule}");
        self.report.finding(unsafe_import::finding(&self.asset, &rule, file, severity, &title, evidence))
    }

    fn finish(mut self) -> Result<RunInfo, ImportError> {
        let Some(dangerous) = self.dangerous else {
            let position = Position { line: Some(self.lines + 1), column: Some(1), path: String::new() };
            let expected = "expected picklescan's summary, up to “Dangerous globals: N”".to_owned();
            return Err(ImportError::Truncated { expected, position });
        };
        if dangerous > self.found {
            self.report.info.complete = false;
            let reason = format!("the summary counts {dangerous} dangerous imports, but {} are listed", self.found);
            self.report.gap("incomplete-run", "", &reason)?;
        }
        for (rule, count) in std::mem::take(&mut self.suspicious) {
            let mut evidence = Evidence::default();
            evidence.add("safety", "suspicious");
            let title = format!("A suspicious import: {rule}");
            let finding = unsafe_import::finding(&self.asset, &rule, "", Severity::Medium, &title, evidence);
            self.report.finding(crate::FindingRecord { count, ..finding })?;
        }
        if self.scanned == Some(0) && !self.report.has_findings() {
            self.report.info.complete = false;
            return self.report.finish("a valid report, but picklescan found no file to scan: nothing was assessed");
        }
        self.report.assess(&self.asset, Layer::Model, "artifact-scanned", serde_json::Map::new())?;
        self.report.finish("a valid report in which picklescan found nothing")
    }
}

fn malformed(line: u64, expected: &str) -> ImportError {
    let position = Position { line: Some(line), column: Some(1), path: String::new() };
    ImportError::Malformed { expected: format!("line {line} is not what picklescan writes: {expected}"), position }
}
