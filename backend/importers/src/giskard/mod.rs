//! giskard's scan report as JSON. What is taken over, field by field: `README.md`.

use serde_json::Map;
use stance_engine::fingerprint::Fingerprint;
use stance_shared::{AssetKind, Layer, Severity};

use crate::category;
use crate::json::{Members, Value, malformed, read_object};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Hints, ImportError, Importer, RunInfo, Sink, Source};

/// The importer of `format=giskard`.
pub struct Giskard;

/// giskard's words.
const LEVELS: &[(&str, Severity)] =
    &[("major", Severity::High), ("medium", Severity::Medium), ("minor", Severity::Low)];

/// A detector, by how its name begins: what its issues are, and what they mean.
struct Detector {
    name: &'static str,
    title: &'static str,
    layer: Layer,
    categories: &'static [&'static str],
}

const fn detector(
    name: &'static str,
    title: &'static str,
    layer: Layer,
    categories: &'static [&'static str],
) -> Detector {
    Detector { name, title, layer, categories }
}

const DETECTORS: &[Detector] = &[
    detector("PerformanceBias", "Performance bias", Layer::Model, &[]),
    detector("EthicalBias", "Ethical bias", Layer::Model, &[]),
    detector("Overconfidence", "Overconfidence", Layer::Model, &["owasp-llm@2025:LLM09"]),
    detector("Underconfidence", "Underconfidence", Layer::Model, &[]),
    detector("Stochasticity", "Answers that differ from run to run", Layer::Model, &[]),
    detector(
        "TextPerturbation",
        "Lack of robustness to small changes of text",
        Layer::Model,
        &["atlas@5.6.0:AML.T0043"],
    ),
    detector(
        "NumericalPerturbation",
        "Lack of robustness to small changes of numbers",
        Layer::Model,
        &["atlas@5.6.0:AML.T0043"],
    ),
    detector("SpuriousCorrelation", "Spurious correlation", Layer::Data, &[]),
    detector("DataLeakage", "Data leakage", Layer::Data, &[]),
    detector(
        "LLMPromptInjection",
        "Prompt injection",
        Layer::Application,
        &["owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0051.000"],
    ),
    detector(
        "LLMCharsInjection",
        "Injection of control characters",
        Layer::Application,
        &["owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0051.000"],
    ),
    detector(
        "LLMInformationDisclosure",
        "Disclosure of sensitive information",
        Layer::Application,
        &["owasp-llm@2025:LLM02", "atlas@5.6.0:AML.T0057"],
    ),
    detector("LLMHarmfulContent", "Harmful content", Layer::Application, &[]),
    detector("LLMStereotypes", "Stereotypes and discrimination", Layer::Application, &[]),
    detector("LLMBasicSycophancy", "Sycophancy", Layer::Application, &["owasp-llm@2025:LLM09"]),
    detector("LLMImplausibleOutput", "Implausible answers", Layer::Application, &["owasp-llm@2025:LLM09"]),
    detector(
        "LLMFaithfulness",
        "Answers that the sources do not support",
        Layer::Application,
        &["owasp-llm@2025:LLM09"],
    ),
    detector("LLMOutputFormatting", "Wrong format of answers", Layer::Application, &["owasp-llm@2025:LLM05"]),
];

const OTHER: Detector = detector("", "Weakness of the model", Layer::Model, &[]);

impl Importer for Giskard {
    fn format(&self) -> &'static str {
        "giskard"
    }

    fn title(&self) -> &'static str {
        "giskard scan (JSON)"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        let members = outline.members();
        !members.is_empty() && members.iter().all(|name| name.len() > 8 && name.ends_with("Detector"))
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let mut report = Report::new("giskard", hints, sink);
        let asset = report.asset(AssetKind::Model, "", "giskard names detectors, but not the model that it scanned")?;
        report.assess(&asset, Layer::Model, "", Map::new())?;
        let mut scan = Scan { report, asset, detectors: 0 };
        read_object(source, "a giskard report, an object with a member for each detector", &mut scan)?;
        if scan.detectors == 0 {
            return Err(malformed("not a giskard report: there is no detector"));
        }
        if !scan.report.has_findings() {
            // A detector that could not run leaves the same empty object as one that found nothing.
            scan.report.info.complete = false;
        }
        scan.report
            .finish("a valid report in which no detector reports anything; detectors that could not run look the same")
    }
}

struct Scan<'a> {
    report: Report<'a>,
    asset: AssetRef,
    detectors: u64,
}

impl Members for Scan<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        self.detectors += 1;
        value.object(
            "an object with a member for each level",
            &mut Levels { name: text::one_line(key, 140), scan: self },
        )
    }
}

/// The issues of one detector.
struct Levels<'a, 'b> {
    name: String,
    scan: &'b mut Scan<'a>,
}

impl Members for Levels<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        let Some((_, severity)) = LEVELS.iter().find(|(level, _)| *level == key) else {
            return Err(malformed("a level must be one of major, medium, minor"));
        };
        value.array("an array of sentences", |_, sentence: String| self.issue(*severity, &sentence)).map(drop)
    }
}

impl Levels<'_, '_> {
    fn issue(&mut self, severity: Severity, sentence: &str) -> Result<(), ImportError> {
        let known = DETECTORS.iter().find(|detector| self.name.starts_with(detector.name)).unwrap_or(&OTHER);
        // Numbers are new in every run, and with them their signs and units.
        let mark = text::without_digits(sentence, b".%");
        let asset = &self.scan.asset;
        let fingerprint = Fingerprint::of((asset.kind.as_str(), &asset.key), &["giskard", &self.name, mark.trim()]);
        let rule = self.name.strip_suffix("Detector").filter(|rule| !rule.is_empty()).unwrap_or(&self.name);
        let mut evidence = Evidence::default();
        evidence.add("detector", self.name.clone());
        let finding = FindingRecord {
            severity,
            title: text::one_line(&text::redact(&[known.title, ": ", sentence].concat()), 300),
            description: text::evidence_text(sentence.trim(), 8000),
            remediation: "Look at the named slice of the data: add or mend examples there, or say where the model must not be used.".to_owned(),
            categories: category::of_table(known.categories),
            evidence: evidence.finish(),
            ..FindingRecord::blank(asset, fingerprint, rule, known.layer)
        };
        self.scan.report.finding(finding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_in_the_table_is_known() {
        for reference in DETECTORS.iter().flat_map(|detector| detector.categories) {
            assert!(stance_shared::taxonomy::lookup(reference).is_some(), "{reference}");
        }
    }
}
