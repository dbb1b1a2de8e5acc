//! AI-Infra-Guard's report on an agent (`agent-security-report@1`). What is taken over, field by field: `README.md`. Its SARIF goes
//! through the importer `sarif`.

use std::cell::RefCell;

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use stance_engine::fingerprint::Fingerprint;
use stance_shared::{AssetKind, Layer, RelationKind, Severity};

use crate::category::Categories;
use crate::json::{Members, Value, malformed, or_default, read_object};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Hints, ImportError, Importer, RunInfo, Sink, Source};

/// The importer of `format=ai_infra_guard`.
pub struct AiInfraGuard;

/// `level` in its languages.
const LEVELS: &[(&str, Severity)] = &[
    ("critical", Severity::Critical),
    ("严重", Severity::Critical),
    ("high", Severity::High),
    ("高危", Severity::High),
    ("高", Severity::High),
    ("medium", Severity::Medium),
    ("中危", Severity::Medium),
    ("中", Severity::Medium),
    ("low", Severity::Low),
    ("低危", Severity::Low),
    ("低", Severity::Low),
    ("info", Severity::Info),
    ("提示", Severity::Info),
];

/// What a type means, by words in it, beside what the report's own categories say. The report files a type that it does not know
/// under ASI10, which then means nothing.
const TYPES: &[(&str, &[&str])] = &[
    ("goal hijack", &["owasp-agentic@2026:ASI01", "owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0051"]),
    ("tool misuse", &["owasp-agentic@2026:ASI02", "owasp-llm@2025:LLM06", "atlas@5.6.0:AML.T0053"]),
    ("privilege abuse", &["owasp-agentic@2026:ASI03"]),
    ("supply chain", &["owasp-agentic@2026:ASI04", "owasp-llm@2025:LLM03"]),
    ("code execution", &["owasp-agentic@2026:ASI05", "cwe@4:CWE-94"]),
    ("context poisoning", &["owasp-agentic@2026:ASI06", "atlas@5.6.0:AML.T0080"]),
    ("inter agent", &["owasp-agentic@2026:ASI07"]),
    ("cascading failures", &["owasp-agentic@2026:ASI08"]),
    ("trust exploitation", &["owasp-agentic@2026:ASI09"]),
    ("rogue agents", &["owasp-agentic@2026:ASI10"]),
    ("information disclosure", &["owasp-llm@2025:LLM02", "atlas@5.6.0:AML.T0057", "cwe@4:CWE-200"]),
    ("data leakage", &["owasp-llm@2025:LLM02", "atlas@5.6.0:AML.T0057"]),
    ("prompt injection", &["owasp-llm@2025:LLM01", "owasp-agentic@2026:ASI01", "atlas@5.6.0:AML.T0051"]),
    ("system prompt", &["owasp-llm@2025:LLM07", "atlas@5.6.0:AML.T0056"]),
    ("jailbreak", &["owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0054"]),
    ("ssrf", &["cwe@4:CWE-918"]),
];

impl Importer for AiInfraGuard {
    fn format(&self) -> &'static str {
        "ai_infra_guard"
    }

    fn title(&self) -> &'static str {
        "AI-Infra-Guard agent report"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn asset_kind(&self) -> AssetKind {
        AssetKind::Agent
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        outline.text("schema_version").is_some_and(|version| version.starts_with("agent-security-report"))
            || outline.has("owasp_agentic_2026_top10")
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        const WHAT: &str = "an AI-Infra-Guard agent report, an object with “schema_version” and “results”";
        let import =
            RefCell::new(Import { report: Report::new("ai-infra-guard", hints, sink), agent: None, results: 0 });
        let mut about = About::default();
        read_object(source, WHAT, &mut about)?;
        if !about.has_results {
            return Err(malformed("not an AI-Infra-Guard agent report: it needs “results”"));
        }
        import.borrow_mut().begin(&about)?;
        read_object(source, WHAT, &mut Results(&import))?;
        let Import { mut report, results, .. } = import.into_inner();
        if about.vulnerable.is_some_and(|vulnerable| vulnerable > results) {
            report.info.complete = false;
            report.gap("incomplete-run", "", "the report counts more vulnerable tests than it lists results")?;
        }
        report.finish("a valid report in which AI-Infra-Guard found nothing")
    }
}

/// What stands beside the results, before or behind them.
#[derive(Default)]
struct About {
    agent: String,
    kind: String,
    model: String,
    score: Option<f64>,
    total: Option<u64>,
    vulnerable: Option<u64>,
    has_results: bool,
}

impl Members for About {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        let text = |value: Value<'_, '_>| -> Result<String, ImportError> {
            Ok(text::one_line(&value.record::<Option<String>>()?.unwrap_or_default(), 300))
        };
        match key {
            "schema_version" => {
                let version = text(value)?;
                if version != "agent-security-report@1" {
                    return Err(malformed(format!(
                        "“schema_version” must be “agent-security-report@1”, and is “{version}”"
                    )));
                }
            }
            "agent_name" => self.agent = text(value)?,
            "agent_type" => self.kind = text(value)?,
            "model_name" => self.model = text(value)?,
            "score" => self.score = value.record()?,
            "total_tests" => self.total = value.record()?,
            "vulnerable_tests" => self.vulnerable = value.record()?,
            "results" => {
                self.has_results = true;
                value.skip()?;
            }
            _ => value.skip()?,
        }
        Ok(())
    }
}

struct Import<'a> {
    report: Report<'a>,
    agent: Option<AssetRef>,
    results: u64,
}

struct Results<'i, 'a>(&'i RefCell<Import<'a>>);

impl Members for Results<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        if key != "results" {
            return value.skip();
        }
        let import = &mut *self.0.borrow_mut();
        value.array("an array of results", |_, found: Found| import.result(found))?;
        Ok(())
    }
}

#[derive(Debug, Deserialize)]
struct Found {
    #[serde(default, rename = "type", deserialize_with = "or_default")]
    kind: String,
    #[serde(default, deserialize_with = "or_default")]
    title: String,
    #[serde(default, deserialize_with = "or_default")]
    description: String,
    level: String,
    #[serde(default, deserialize_with = "or_default")]
    owasp: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    suggestion: String,
    #[serde(default, deserialize_with = "or_default")]
    conversation: Vec<Json>,
}

impl Import<'_> {
    fn begin(&mut self, about: &About) -> Result<(), ImportError> {
        let report = &mut self.report;
        let agent =
            report.asset(AssetKind::Agent, &about.agent, "the report does not name the agent that was tested")?;
        let mut attributes = Evidence::default();
        attributes.add("type", about.kind.clone());
        attributes.add("score", about.score);
        report.assess(&agent, Layer::Application, "red-teamed", attributes.finish().into_map())?;
        if !about.model.is_empty() {
            let model = AssetRef { kind: AssetKind::Model, key: about.model.clone() };
            report.describe(&model, &model.key, Map::new())?;
            report.relate(&agent, RelationKind::UsesModel, &model)?;
        }
        if about.total == Some(0) {
            report.info.complete = false;
        }
        self.agent = Some(agent);
        Ok(())
    }

    fn result(&mut self, found: Found) -> Result<(), ImportError> {
        let Some(agent) = &self.agent else { return Ok(()) };
        self.results += 1;
        let level = found.level.trim().to_lowercase();
        let Some((_, severity)) = LEVELS.iter().find(|(word, _)| *word == level) else {
            let known = LEVELS.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
            return Err(malformed(format!("level: must be one of {known}")));
        };
        // `asi01:_agent_goal_hijack`, with & as &amp;.
        let words = found.kind.replace("&amp;", "&").to_lowercase().replace(['_', '-'], " ");
        let named = words.split_once(':').map_or(words.as_str(), |(_, name)| name).trim().to_owned();
        let mut categories = Categories::default();
        for (_, references) in TYPES.iter().filter(|(known, _)| named.contains(known)) {
            categories.add_all(references);
        }
        // Its own numbers are those of 2026; ASI10 only where the type says the same.
        for id in found.owasp.iter().filter(|id| id.as_str() != "ASI10").take(10) {
            categories.add_named_in(id);
        }
        let rule = text::one_line(&if named.is_empty() { "unnamed".to_owned() } else { named.replace(' ', "-") }, 200);
        let title = text::one_line(&text::redact(&found.title), 300);
        let turns = found.conversation.len();
        let mut evidence = Evidence::default();
        evidence.add("type", found.kind);
        evidence.add("owasp", found.owasp);
        evidence.add("turns", turns);
        evidence.add("conversation", found.conversation.into_iter().take(10).collect::<Vec<_>>());
        let parts = ["ai-infra-guard", &rule, &title];
        self.report.finding(FindingRecord {
            severity: *severity,
            title: if title.is_empty() { rule.clone() } else { title.clone() },
            description: text::evidence_text(&found.description, 8000),
            remediation: text::evidence_text(&found.suggestion, 8000),
            categories: categories.into_vec(),
            evidence: evidence.finish(),
            ..FindingRecord::blank(
                agent,
                Fingerprint::of((agent.kind.as_str(), &agent.key), &parts),
                &rule,
                Layer::Application,
            )
        })
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_category_is_known() {
        for (word, references) in super::TYPES {
            for reference in *references {
                assert!(stance_shared::taxonomy::lookup(reference).is_some(), "{word}: {reference}");
            }
        }
    }
}
