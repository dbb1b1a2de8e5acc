//! LLM Guard: answers of its API and its log, lines of JSON with plain text between. What is taken over, field by field: `README.md`.

mod mapping;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Map;
use stance_engine::fingerprint::Fingerprint;
use stance_shared::{AssetKind, Layer};

use crate::category;
use crate::json::{malformed, parse_line, read_lines};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{FindingRecord, Hints, ImportError, Importer, RunInfo, Sink, Source};

/// The importer of `format=llm_guard`.
pub struct LlmGuard;

/// Scanners of one log, input and output apart; LLM Guard has about 40.
const MAX_SCANNERS: usize = 1000;

/// How many lines of a log are looked at to know it.
const SNIFF_LINES: usize = 100;

/// Events of the log that give a whole scan's scores, and which side was scanned.
const SCANNED: &[(&str, &str)] = &[("Scanned prompt", "prompt"), ("Scanned output", "output")];

/// Events that say how one scanner ended, which the library writes before those above.
const COMPLETED: &[(&str, &str)] =
    &[("Scanner completed", ""), ("Input scanner completed", "prompt"), ("Output scanner completed", "output")];

impl Importer for LlmGuard {
    fn format(&self) -> &'static str {
        "llm_guard"
    }

    fn title(&self) -> &'static str {
        "LLM Guard API answers and log (JSON lines)"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| line.starts_with(b"{"));
        lines.take(SNIFF_LINES).map(Outline::of).any(|line| {
            let event = line.text("event").unwrap_or_default();
            let logged = SCANNED.iter().chain(COMPLETED).any(|(known, _)| *known == event);
            logged || (line.has("is_valid") && line.has("scanners"))
        })
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let mut log = Log::default();
        read_lines(source, |number, line| {
            // The log of a whole process: other programs' lines, and texts, stand between.
            if line.starts_with(b"{") { log.line(parse_line(number, line)?) } else { Ok(()) }
        })?;
        if log.scans == 0 && log.completed.is_empty() {
            return Err(malformed(
                "no answer of LLM Guard's API (with “is_valid” and “scanners”) and no scan in a log",
            ));
        }
        log.report(Report::new("llm-guard", hints, sink))
    }
}

/// A line of JSON, as far as it is one of LLM Guard's.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Line {
    endpoint: Option<String>,
    is_valid: Option<bool>,
    scanners: Option<Scores>,
    valid: Option<BTreeMap<String, bool>>,
    sanitized_output: Option<serde::de::IgnoredAny>,
    output: Option<serde::de::IgnoredAny>,
    event: Option<String>,
    timestamp: Option<String>,
    scores: Option<Scores>,
    scanner: Option<String>,
}

/// Scores by scanner; other events of a log have something else under the same name.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Scores {
    Scores(BTreeMap<String, f64>),
    Other(serde::de::IgnoredAny),
}

impl Scores {
    const fn get(&self) -> Option<&BTreeMap<String, f64>> {
        match self {
            Self::Scores(scores) => Some(scores),
            Self::Other(_) => None,
        }
    }
}

/// What a line says of scanners.
pub(crate) struct Verdicts {
    /// `prompt`, `output`, or empty where the line does not say.
    pub(crate) side: &'static str,
    /// Whether it is a whole scan; the library writes an event for each of its scanners before.
    pub(crate) is_scan: bool,
    /// As it is logged; may be empty.
    pub(crate) time: String,
    /// Name, whether it stopped the text, and its score (-1 to 1) where there is one.
    pub(crate) scanners: Vec<(String, bool, Option<f64>)>,
}

impl Line {
    /// What the line says; `None` for one that says nothing of a scanner's verdict.
    pub(crate) fn verdicts(self) -> Option<Verdicts> {
        let event = self.event.as_deref().unwrap_or_default();
        let side =
            |events: &[(&str, &'static str)]| events.iter().find(|(known, _)| *known == event).map(|(_, side)| *side);
        let (side, is_scan, scanners) =
            if let (Some(_), Some(scores)) = (self.is_valid, self.scanners.as_ref().and_then(Scores::get)) {
                let endpoint = self.endpoint.as_deref().unwrap_or_default();
                let output = endpoint.contains("output") || self.sanitized_output.is_some() || self.output.is_some();
                (if output { "output" } else { "prompt" }, true, scanned(scores, self.valid.as_ref()))
            } else if let (Some(side), Some(scores)) = (side(SCANNED), self.scores.as_ref().and_then(Scores::get)) {
                (side, true, scanned(scores, None))
            } else if let (Some(side), Some(scanner), Some(valid)) = (side(COMPLETED), self.scanner, self.is_valid) {
                (side, false, vec![(scanner, !valid, None)])
            } else {
                return None;
            };
        Some(Verdicts { side, is_scan, time: text::one_line(&self.timestamp.unwrap_or_default(), 40), scanners })
    }
}

fn scanned(scores: &BTreeMap<String, f64>, valid: Option<&BTreeMap<String, bool>>) -> Vec<(String, bool, Option<f64>)> {
    let scanner = |(scanner, score): (&String, &f64)| {
        // The scanner's own verdict; its score is above 0 from the threshold on.
        let hit = valid.and_then(|valid| valid.get(scanner)).map_or(*score > 0.0, |valid| !valid);
        (scanner.clone(), hit, Some(*score))
    };
    scores.iter().map(scanner).collect()
}

/// What a scanner stopped on one side.
#[derive(Default)]
struct Hits {
    count: u64,
    highest: Option<f64>,
    first: String,
    last: String,
}

/// Hits by side and scanner.
type Tally = BTreeMap<(&'static str, String), Hits>;

#[derive(Default)]
struct Log {
    scans: u64,
    scanned: Tally,
    /// From the events of single scanners, for a log that has no others.
    completed: Tally,
}

impl Log {
    fn line(&mut self, line: Line) -> Result<(), ImportError> {
        let Some(Verdicts { side, is_scan, time, scanners }) = line.verdicts() else { return Ok(()) };
        self.scans += u64::from(is_scan);
        let tally = if is_scan { &mut self.scanned } else { &mut self.completed };
        scanners
            .into_iter()
            .try_for_each(|(scanner, hit, score)| add(tally, side, &scanner, hit.then_some(score), &time))
    }

    fn report(self, mut report: Report<'_>) -> Result<RunInfo, ImportError> {
        let asset = report.asset(AssetKind::Application, "", "LLM Guard does not say which application it guards")?;
        report.assess(&asset, Layer::Runtime, "guardrail-attached", Map::new())?;
        // A log is a window: what it does not show may happen again tomorrow.
        report.info.complete = false;
        let tally = if self.scans > 0 { self.scanned } else { self.completed };
        for ((side, scanner), hits) in tally.into_iter().filter(|(_, hits)| hits.count > 0) {
            let (severity, categories) = mapping::of_scanner(&scanner);
            let on = if side.is_empty() { "prompts and outputs" } else { side };
            let mut evidence = Evidence::default();
            evidence.add("scanner", scanner.clone());
            evidence.add("side", side);
            evidence.add("highestScore", hits.highest);
            evidence.add("scans", Some(self.scans).filter(|scans| *scans > 0));
            evidence.add("first", hits.first);
            evidence.add("last", hits.last);
            let fingerprint = Fingerprint::of((asset.kind.as_str(), &asset.key), &["llm-guard", side, &scanner]);
            let times = if hits.count == 1 { "once".to_owned() } else { format!("{} times", hits.count) };
            report.finding(FindingRecord {
                severity,
                title: text::one_line(&format!("{scanner} stopped {on}"), 300),
                description: format!("LLM Guard's scanner {scanner} found something {times} in {on}."),
                remediation: "Look at who sends this and what lies behind it; the guardrail treats only the sign."
                    .to_owned(),
                categories: category::of_table(categories),
                evidence: evidence.finish(),
                count: hits.count,
                ..FindingRecord::blank(&asset, fingerprint, &scanner, Layer::Runtime)
            })?;
        }
        report.finish("a valid log in which LLM Guard stopped nothing")
    }
}

/// Counts a hit, with its score where there is one; without a hit the scanner is noted as having run.
fn add(
    tally: &mut Tally,
    side: &'static str,
    scanner: &str,
    hit: Option<Option<f64>>,
    time: &str,
) -> Result<(), ImportError> {
    let name = text::one_line(scanner, 100);
    let key = (side, if name.is_empty() { "unnamed".to_owned() } else { name });
    if tally.len() == MAX_SCANNERS && !tally.contains_key(&key) {
        return Err(ImportError::TooLarge(format!("more than {MAX_SCANNERS} scanners in one log")));
    }
    let hits = tally.entry(key).or_default();
    let Some(score) = hit else { return Ok(()) };
    hits.count += 1;
    hits.highest = hits.highest.into_iter().chain(score).reduce(f64::max);
    // Times are of one form within a log, so they sort as texts.
    if !time.is_empty() {
        if hits.first.is_empty() || time < hits.first.as_str() {
            hits.first = time.to_owned();
        }
        if time > hits.last.as_str() {
            hits.last = time.to_owned();
        }
    }
    Ok(())
}
