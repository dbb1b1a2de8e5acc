//! One answer from rules, model and formats.

use super::{
    abuse,
    lexicon::Lexicon,
    model::{Model, features},
    needs::Glance,
    rules::Rules,
    sensitive::{Formats, Found, Sort, Taken},
};
use serde::{Deserialize, Serialize};
use stance_shared::{Channel, Verdict};
use std::ops::Range;

/// Scores from which a text is flagged and blocked, on every channel where the model is asked. The model's scores are calibrated on
/// sources that it never saw: one harmless text in a hundred reaches the first, one in a thousand the second.
pub const FLAG: f32 = 0.5;
pub const BLOCK: f32 = 0.8;

/// Formats that are taken out of a text by default; the rest of personal data is only listed.
const REDACTED: [&str; 4] = ["SECRET", "CARD", "IBAN", "NATIONAL_ID"];

const SENSITIVE: &str = "owasp-llm@2025:LLM02";
const INJECTION: &str = "owasp-llm@2025:LLM01";
const CONSUMPTION: &str = "owasp-llm@2025:LLM10";

/// Something found in a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// The rule, the format, or `model`.
    pub rule: String,
    /// The version of the data that found it.
    pub version: String,
    /// `framework@version:id`.
    pub category: String,
    /// Categories of other frameworks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// How sure this alone is, 0 to 1.
    pub score: f32,
    /// Bytes of the text that was given, from and to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<(usize, usize)>,
    /// One line for a person; holds nothing of the text.
    pub reason: String,
    /// What stands in its place in the redacted text, for what is taken out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redaction: Option<String>,
}

impl Detection {
    /// One without a place.
    #[must_use]
    pub fn of(rule: &str, version: &str, category: &str, score: f32, reason: &str) -> Self {
        let (rule, version, category) = (rule.to_owned(), version.to_owned(), category.to_owned());
        let reason = reason.to_owned();
        Self { rule, version, category, also: Vec::new(), score, span: None, reason, redaction: None }
    }

    /// With its place: bytes of the text that was given.
    #[must_use]
    pub fn at(self, span: Range<usize>) -> Self {
        Self { span: Some((span.start, span.end)), ..self }
    }
}

/// Whether a rule's hit on the channel counts for the score by itself. Others are evidence that the model weighs; secrets and personal data
/// are no attack.
#[must_use]
pub fn counts(rule: &str, channel: Channel) -> bool {
    // What an argument does is certain, whoever wrote it; and a model's own answers are not what the model learned from.
    let family = rule.split('.').next().unwrap_or_default();
    match family {
        "secret" | "personal" | "policy" | "containment" => false,
        "model" | "argument" | "abuse" => true,
        _ => channel == Channel::ModelOutput,
    }
}

/// The answer for a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub verdict: Verdict,
    /// How likely an attack is, 0 to 1; secrets and personal data do not count.
    pub score: f32,
    /// The surest first.
    pub detections: Vec<Detection>,
    /// The disguises that were taken off.
    pub decodings: Vec<super::text::Decoding>,
}

/// Rules, formats and weights, ready for use. Making one takes some tens of milliseconds; using it needs no lock.
#[derive(Debug)]
pub struct Detector {
    pub lexicon: Lexicon,
    pub rules: Rules,
    pub secrets: Formats,
    pub personal: Formats,
    pub model: Model,
}

impl Detector {
    /// A detector of our own data and weights.
    ///
    /// # Errors
    /// Only when a data file is wrong, which the tests rule out.
    pub fn new() -> Result<Self, String> {
        Self::with(Model::parse(include_bytes!("data/weights.bin"))?)
    }

    /// A detector with other weights.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with(model: Model) -> Result<Self, String> {
        let lexicon = Lexicon::parse(include_str!("data/lexicon.toml"))?;
        let rules = Rules::parse(include_str!("data/rules.toml"), &lexicon)?;
        let secrets = Formats::parse(include_str!("data/secrets.toml"), Sort::Secret)?;
        let personal = Formats::parse(include_str!("data/personal.toml"), Sort::Personal)?;
        Ok(Self { lexicon, rules, secrets, personal, model })
    }

    /// What is wrong with a text. Takes time in proportion to its length.
    #[must_use]
    pub fn inspect(&self, text: &str, channel: Channel) -> Report {
        let reading = self.lexicon.read(text, &self.model.known);
        let canonical = Glance::at(&reading.canonical.text);
        let given = (text != canonical.text).then(|| Glance::at(text));
        let mut detections = Vec::new();
        let mut score = 0.0_f32;
        // An organization's own prompt is trusted, but a secret does not belong there either.
        if channel != Channel::SystemPrompt {
            let hits = self.rules.find_in(&reading, &canonical);
            for hit in &hits {
                let rule = &self.rules.rules[hit.rule];
                if !rule.counts(channel) {
                    continue;
                }
                let found = Detection::of(&rule.id, &self.rules.version, &rule.category, rule.score, &rule.reason);
                detections.push(Detection { also: rule.also.clone(), ..found.at(hit.span.clone()) });
                if counts(&rule.id, channel) {
                    score = score.max(rule.score);
                }
            }
            if channel != Channel::ModelOutput {
                let fired: Vec<&str> = hits.iter().map(|hit| self.rules.rules[hit.rule].id.as_str()).collect();
                let answer = self.model.answer(&features::features(&reading), &fired);
                score = score.max(answer.score);
                if answer.score >= FLAG {
                    let reason = "reads like an attack on a model";
                    let found = Detection::of("model", &self.model.version, INJECTION, answer.score, reason);
                    detections.push(match reading.original_of(answer.words) {
                        Some(span) => found.at(span),
                        None => found,
                    });
                }
            }
            for shape in abuse::shapes(text, &reading.lower, &reading.words) {
                score = score.max(shape.score);
                let found = Detection::of(shape.rule, &self.rules.version, CONSUMPTION, shape.score, shape.reason);
                detections.push(found.at(shape.span));
            }
        }
        let mut taken = Taken::default();
        for formats in [&self.secrets, &self.personal] {
            let mut add = |found: &Found<'_>, span: Range<usize>| {
                if !span.is_empty() && taken.take(span.clone()) {
                    detections.push(sensitive(formats, found, span));
                }
            };
            for found in formats.find_in(given.as_ref().unwrap_or(&canonical)) {
                add(&found, found.start..found.end);
            }
            if reading.canonical.differs() {
                for found in formats.find_in(&canonical) {
                    add(&found, reading.canonical.original(found.start..found.end));
                }
            }
        }
        detections.sort_by(|a, b| b.score.total_cmp(&a.score));
        let redacts = detections.iter().any(|d| d.redaction.is_some());
        let verdict = match score {
            score if score >= BLOCK => Verdict::Block,
            _ if redacts => Verdict::Redact,
            score if score >= FLAG => Verdict::Flag,
            _ => Verdict::Allow,
        };
        Report { verdict, score, detections, decodings: reading.canonical.decodings }
    }
}

fn sensitive(formats: &Formats, found: &Found<'_>, span: Range<usize>) -> Detection {
    let format = found.format;
    let (prefix, score) = match formats.sort {
        Sort::Secret => ("secret", 0.95),
        Sort::Personal => ("personal", 0.9),
    };
    let redaction = REDACTED.contains(&format.label.as_str()).then(|| match formats.sort {
        Sort::Secret => format!("[SECRET {}]", format.id),
        Sort::Personal => format!("[{}]", format.label),
    });
    let rule = format!("{prefix}.{}", format.id);
    Detection { redaction, ..Detection::of(&rule, &formats.version, SENSITIVE, score, &format.name).at(span) }
}

/// The text without what the detections take out.
#[must_use]
pub fn redact(text: &str, detections: &[Detection]) -> String {
    let mut cuts: Vec<(usize, usize, &str)> =
        detections.iter().filter_map(|d| Some((d.span?.0, d.span?.1, d.redaction.as_deref()?))).collect();
    cuts.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (start, end, label) in cuts {
        // Spans that overlap are taken out together.
        if start >= at {
            out.push_str(text.get(at..start).unwrap_or_default());
            out.push_str(label);
        }
        at = at.max(end);
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}
