//! LLM Guard: answers of its API and its log, lines of JSON with plain text between. What is taken over, field by field: `README.md`.

mod mapping;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Map;
use stance_engine::fingerprint::Fingerprint;
use stance_shared::{AssetKind, Layer};

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

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
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
        let time = text::one_line(line.timestamp.as_deref().unwrap_or_default(), 40);
        let event = line.event.as_deref().unwrap_or_default();
        let side =
            |events: &[(&str, &'static str)]| events.iter().find(|(known, _)| *known == event).map(|(_, side)| *side);
        if let (Some(_), Some(scores)) = (line.is_valid, line.scanners.as_ref().and_then(Scores::get)) {
            let endpoint = line.endpoint.as_deref().unwrap_or_default();
            let output = endpoint.contains("output") || line.sanitized_output.is_some() || line.output.is_some();
            self.scan(if output { "output" } else { "prompt" }, scores, line.valid.as_ref(), &time)?;
        } else if let (Some(side), Some(scores)) = (side(SCANNED), line.scores.as_ref().and_then(Scores::get)) {
            self.scan(side, scores, None, &time)?;
        } else if let (Some(side), Some(scanner), Some(valid)) = (side(COMPLETED), &line.scanner, line.is_valid) {
            add(&mut self.completed, side, scanner, (!valid).then_some(None), &time)?;
        }
        Ok(())
    }

    fn scan(
        &mut self,
        side: &'static str,
        scores: &BTreeMap<String, f64>,
        valid: Option<&BTreeMap<String, bool>>,
        time: &str,
    ) -> Result<(), ImportError> {
        self.scans += 1;
        for (scanner, score) in scores {
            // The scanner's own verdict; its score is above 0 from the threshold on.
            let hit = valid.and_then(|valid| valid.get(scanner)).map_or(*score > 0.0, |valid| !valid);
            add(&mut self.scanned, side, scanner, hit.then_some(Some(*score)), time)?;
        }
        Ok(())
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
                categories: categories.iter().map(|category| (*category).to_owned()).collect(),
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
