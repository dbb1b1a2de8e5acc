//! From SARIF's words to Stance's: severity, layer and categories, as tables.

use std::collections::HashMap;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use serde_json::Value;
use stance_shared::{Layer, Severity};

use super::model::Properties;
use crate::category::Categories;

/// `level` of a result or rule.
pub(super) fn level_severity(level: &str) -> Option<Severity> {
    match level {
        "error" => Some(Severity::High),
        "warning" => Some(Severity::Medium),
        "note" => Some(Severity::Low),
        "none" => Some(Severity::Info),
        _ => None,
    }
}

/// Severities as tools write them into `properties`, some in Chinese.
const SEVERITY_WORDS: &[(&str, Severity)] = &[
    ("critical", Severity::Critical),
    ("严重", Severity::Critical),
    ("high", Severity::High),
    ("高危", Severity::High),
    ("medium", Severity::Medium),
    ("moderate", Severity::Medium),
    ("中危", Severity::Medium),
    ("low", Severity::Low),
    ("低危", Severity::Low),
    ("info", Severity::Info),
    ("informational", Severity::Info),
    ("none", Severity::Info),
    ("提示", Severity::Info),
];

/// The severity that a tool says in words beside SARIF's levels, which know only three.
pub(super) fn property_severity(properties: &Properties) -> Option<Severity> {
    let word = ["severity", "issue_severity"].iter().find_map(|key| properties.get(*key)?.as_str())?;
    let word = word.trim().to_lowercase();
    SEVERITY_WORDS.iter().find(|(known, _)| *known == word).map(|(_, severity)| *severity)
}

/// `security-severity`, a CVSS-like number from 0 to 10 that is written as text.
pub(super) fn security_severity(properties: &Properties) -> Option<f64> {
    let score = match properties.get("security-severity")? {
        Value::String(text) => text.trim().parse().ok()?,
        number => number.as_f64()?,
    };
    (0.0..=10.0).contains(&score).then_some(score)
}

/// The bands of `security-severity`: critical from 9, high from 7, medium from 4, low above 0.
pub(super) fn score_severity(score: f64) -> Severity {
    match score {
        s if s >= 9.0 => Severity::Critical,
        s if s >= 7.0 => Severity::High,
        s if s >= 4.0 => Severity::Medium,
        s if s > 0.0 => Severity::Low,
        _ => Severity::Info,
    }
}

/// Tools whose subject is a model's files.
pub(super) const MODEL_SCANNERS: &[&str] = &["modelaudit", "modelscan", "picklescan", "fickling"];

pub(super) fn is_model_scanner(tool: &str) -> bool {
    MODEL_SCANNERS.iter().any(|scanner| tool.eq_ignore_ascii_case(scanner))
}

/// A tool, its rule, and what that means. A tool that ends in `*` is a prefix.
type RuleMeaning = (&'static str, &'static str, &'static [&'static str]);

/// Categories by tool and rule, for tools that name none in their reports.
const RULE_CATEGORIES: &[RuleMeaning] = &[
    ("bandit", "B102", &["cwe@4:CWE-78"]),
    ("bandit", "B104", &["cwe@4:CWE-605"]),
    ("bandit", "B105", &["cwe@4:CWE-259"]),
    ("bandit", "B106", &["cwe@4:CWE-259"]),
    ("bandit", "B107", &["cwe@4:CWE-259"]),
    ("bandit", "B108", &["cwe@4:CWE-377"]),
    ("bandit", "B113", &["cwe@4:CWE-400"]),
    ("bandit", "B201", &["cwe@4:CWE-94"]),
    ("bandit", "B301", &["cwe@4:CWE-502"]),
    ("bandit", "B302", &["cwe@4:CWE-502"]),
    ("bandit", "B303", &["cwe@4:CWE-327"]),
    ("bandit", "B307", &["cwe@4:CWE-78"]),
    ("bandit", "B311", &["cwe@4:CWE-330"]),
    ("bandit", "B324", &["cwe@4:CWE-327"]),
    ("bandit", "B403", &["cwe@4:CWE-502"]),
    ("bandit", "B404", &["cwe@4:CWE-78"]),
    ("bandit", "B501", &["cwe@4:CWE-295"]),
    ("bandit", "B506", &["cwe@4:CWE-20"]),
    ("bandit", "B602", &["cwe@4:CWE-78"]),
    ("bandit", "B603", &["cwe@4:CWE-78"]),
    ("bandit", "B604", &["cwe@4:CWE-78"]),
    ("bandit", "B605", &["cwe@4:CWE-78"]),
    ("bandit", "B606", &["cwe@4:CWE-78"]),
    ("bandit", "B607", &["cwe@4:CWE-78"]),
    ("bandit", "B608", &["cwe@4:CWE-89"]),
    ("bandit", "B614", &["cwe@4:CWE-502"]),
    ("bandit", "B615", &["cwe@4:CWE-494"]),
    ("bandit", "B701", &["cwe@4:CWE-94"]),
    ("aig-skill-scan", "T01", &["owasp-agentic@2026:ASI01", "owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0051.001"]),
    ("aig-skill-scan", "T02", &["owasp-agentic@2026:ASI06", "atlas@5.6.0:AML.T0080.000"]),
    ("aig-skill-scan", "T03", &["owasp-agentic@2026:ASI04", "owasp-agentic@2026:ASI05", "cwe@4:CWE-494"]),
    ("aig-skill-scan", "T04", &["owasp-agentic@2026:ASI04", "atlas@5.6.0:AML.T0011.002", "cwe@4:CWE-506"]),
    ("aig-skill-scan", "T05", &["owasp-agentic@2026:ASI03", "cwe@4:CWE-269"]),
    ("aig-skill-scan", "T06", &["owasp-agentic@2026:ASI10"]),
    ("aig-skill-scan", "T07", &["owasp-agentic@2026:ASI02", "atlas@5.6.0:AML.T0110"]),
    ("aig-skill-scan", "T08", &["owasp-agentic@2026:ASI04", "owasp-llm@2025:LLM03"]),
    ("aig-*", "MCP01", &["owasp-mcp@0.1:MCP01"]),
    ("aig-*", "MCP02", &["owasp-mcp@0.1:MCP02"]),
    ("aig-*", "MCP03", &["owasp-mcp@0.1:MCP03", "atlas@5.6.0:AML.T0110"]),
    ("aig-*", "MCP04", &["owasp-mcp@0.1:MCP04"]),
    ("aig-*", "MCP05", &["owasp-mcp@0.1:MCP05"]),
    ("aig-*", "MCP06", &["owasp-mcp@0.1:MCP06"]),
    ("aig-*", "MCP07", &["owasp-mcp@0.1:MCP07"]),
    ("aig-*", "MCP08", &["owasp-mcp@0.1:MCP08"]),
    ("aig-*", "MCP09", &["owasp-mcp@0.1:MCP09"]),
    ("aig-*", "MCP10", &["owasp-mcp@0.1:MCP10"]),
];

/// The rows of [`RULE_CATEGORIES`] by their rule.
static ROWS: LazyLock<HashMap<&str, Vec<&RuleMeaning>>> = LazyLock::new(|| {
    let mut rows: HashMap<_, Vec<_>> = HashMap::new();
    RULE_CATEGORIES.iter().for_each(|row| rows.entry(row.1).or_default().push(row));
    rows
});

/// Categories by words in a rule's id, for tools with free rule names.
const WORD_CATEGORIES: &[(&str, &[&str])] = &[
    ("trust-remote-code", &["owasp-llm@2025:LLM03", "atlas@5.6.0:AML.T0010.001"]),
    ("torch-load", &["cwe@4:CWE-502"]),
    ("pickle", &["cwe@4:CWE-502"]),
    ("deserializ", &["cwe@4:CWE-502"]),
    ("prompt-injection", &["owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0051"]),
    ("llm-output", &["owasp-llm@2025:LLM05", "cwe@4:CWE-1426"]),
    ("hardcoded", &["cwe@4:CWE-798"]),
    ("hard-coded", &["cwe@4:CWE-798"]),
    ("agent-code-exec", &["owasp-llm@2025:LLM06", "owasp-agentic@2026:ASI05"]),
];

/// Finds the words of [`WORD_CATEGORIES`]. Nothing when that can not be built, which a test excludes.
static WORDS: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::new(WORD_CATEGORIES.iter().map(|(word, _)| *word)).ok());

/// What a weakness means for an AI system.
const AI_MEANING: &[(&str, &[&str])] = &[
    ("cwe@4:CWE-502", &["owasp-llm@2025:LLM03", "atlas@5.6.0:AML.T0011.000"]),
    ("cwe@4:CWE-1427", &["owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0051"]),
    ("cwe@4:CWE-1426", &["owasp-llm@2025:LLM05"]),
    ("cwe@4:CWE-798", &["owasp-llm@2025:LLM02", "atlas@5.6.0:AML.T0055"]),
    ("cwe@4:CWE-259", &["owasp-llm@2025:LLM02", "atlas@5.6.0:AML.T0055"]),
    ("cwe@4:CWE-494", &["owasp-llm@2025:LLM03"]),
];

/// Members of `properties` that hold references to taxonomies; the first that is there counts of the mappings.
const REFERENCE_KEYS: &[&str] = &["tags", "cwe", "CWE", "owasp", "owasp_llm", "mitre_atlas"];
const MAPPING_KEYS: &[&str] = &["framework_mappings", "aitech_mappings"];

/// What a rule's (or result's) properties and the words in its id say.
pub(crate) fn rule_categories(id: &str, properties: &Properties) -> Categories {
    let mut categories = Categories::default();
    add_properties(properties, &mut categories);
    let id = id.to_lowercase().replace('_', "-");
    let mut found: Vec<_> = WORDS.iter().flat_map(|words| words.find_overlapping_iter(&id)).collect();
    found.sort_unstable_by_key(|word| word.pattern());
    found.iter().for_each(|word| categories.add_all(WORD_CATEGORIES[word.pattern().as_usize()].1));
    categories
}

pub(crate) fn add_properties(properties: &Properties, categories: &mut Categories) {
    let references = REFERENCE_KEYS.iter().filter_map(|key| properties.get(*key));
    for value in references.chain(MAPPING_KEYS.iter().find_map(|key| properties.get(*key))) {
        match value {
            Value::String(text) => categories.add_named_in(text),
            Value::Array(items) => {
                items.iter().take(100).filter_map(Value::as_str).for_each(|text| categories.add_named_in(text))
            }
            _ => {}
        }
    }
}

/// Adds what the tables say of the tool's rule, and then what all of it means for an AI system.
pub(crate) fn complete_categories(tool: &str, rule: &str, categories: &mut Categories) {
    let is_of = |pattern: &str| {
        let tool = tool.to_lowercase();
        pattern.strip_suffix('*').map_or_else(|| tool == pattern, |prefix| tool.starts_with(prefix))
    };
    for (_, _, references) in ROWS.get(rule).into_iter().flatten().filter(|row| is_of(row.0)) {
        categories.add_all(references);
    }
    for (weakness, references) in AI_MEANING {
        if categories.contains(weakness) {
            categories.add_all(references);
        }
    }
}

/// The layer of a problem: the model's where loading or running a model's files is the problem, else the application's.
pub(crate) fn layer(tool: &str, categories: &Categories) -> Layer {
    if is_model_scanner(tool) || categories.contains("cwe@4:CWE-502") { Layer::Model } else { Layer::Application }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_in_the_tables_is_known() {
        assert!(WORDS.is_some());
        let of_rules = RULE_CATEGORIES.iter().flat_map(|row| row.2.iter());
        let of_words = WORD_CATEGORIES.iter().chain(AI_MEANING).flat_map(|row| row.1.iter());
        for reference in of_rules.chain(of_words).chain(AI_MEANING.iter().map(|row| &row.0)) {
            assert!(stance_shared::taxonomy::lookup(reference).is_some(), "{reference}");
        }
    }

    #[test]
    fn severities_come_in_many_words() {
        let of = |json: serde_json::Value| property_severity(json.as_object().unwrap());
        assert_eq!(of(serde_json::json!({"severity": "严重"})), Some(Severity::Critical));
        assert_eq!(of(serde_json::json!({"issue_severity": " LOW "})), Some(Severity::Low));
        assert_eq!(of(serde_json::json!({"severity": 3})), None);
        assert_eq!([9.0, 7.0, 4.0, 0.1, 0.0].map(score_severity), *Severity::ALL);
    }
}
