//! Agentic Radar's weaknesses of tools as Stance's severities and categories.

use stance_shared::Severity;

use crate::category::Categories;

/// Its weaknesses have no severity. They say what a kind of tool is prone to, not that it was shown.
const SEVERITIES: &[(&str, Severity)] = &[
    ("Arbitrary Code Execution (ACE)", Severity::High),
    ("Unrestricted External Access leading to SSRF", Severity::High),
    ("Data Exfiltration", Severity::High),
    ("Prompt Injection", Severity::Medium),
    ("Indirect Prompt Injection", Severity::Medium),
    ("Sensitive Information Disclosure", Severity::Medium),
    ("RAG Poisoning", Severity::Medium),
    ("Misinformation", Severity::Low),
];

pub(super) fn severity(name: &str) -> Severity {
    SEVERITIES.iter().find(|(known, _)| *known == name).map_or(Severity::Medium, |(_, severity)| *severity)
}

/// Names of OWASP's Agentic AI Threats (T1 to T15, 2025), an older list than the Top 10 of 2026, and what they are there.
const THREATS: &[(&str, &[&str])] = &[
    ("memory poisoning", &["owasp-agentic@2026:ASI06", "atlas@5.6.0:AML.T0080"]),
    ("tool misuse", &["owasp-agentic@2026:ASI02", "atlas@5.6.0:AML.T0053"]),
    ("privilege compromise", &["owasp-agentic@2026:ASI03"]),
    ("resource overload", &["owasp-llm@2025:LLM10", "atlas@5.6.0:AML.T0029"]),
    ("cascading hallucination", &["owasp-agentic@2026:ASI08", "owasp-llm@2025:LLM09"]),
    ("intent breaking", &["owasp-agentic@2026:ASI01"]),
    ("misaligned", &["owasp-agentic@2026:ASI10"]),
    ("repudiation", &["owasp-mcp@0.1:MCP08"]),
    ("identity spoofing", &["owasp-agentic@2026:ASI03", "atlas@5.6.0:AML.T0073"]),
    ("overwhelming human", &["owasp-agentic@2026:ASI09"]),
    ("unexpected rce", &["owasp-agentic@2026:ASI05", "cwe@4:CWE-94"]),
    ("agent communication poisoning", &["owasp-agentic@2026:ASI07"]),
    ("rogue agents", &["owasp-agentic@2026:ASI10"]),
    ("human attacks on multi-agent", &["owasp-agentic@2026:ASI07"]),
    ("human manipulation", &["owasp-agentic@2026:ASI09"]),
];

/// Categories by what ATLAS calls the weakness.
const TECHNIQUES: &[(&str, &[&str])] = &[
    ("Prompt Injection", &["atlas@5.6.0:AML.T0051"]),
    ("Indirect Prompt Injection", &["atlas@5.6.0:AML.T0051.001"]),
    ("RAG Poisoning", &["atlas@5.6.0:AML.T0070"]),
    ("Data Exfiltration", &["atlas@5.6.0:AML.T0086"]),
    ("Arbitrary Code Execution (ACE)", &["atlas@5.6.0:AML.T0050"]),
    ("Unrestricted External Access leading to SSRF", &["cwe@4:CWE-918"]),
];

/// What the tool's own mapping names, by name and never by number alone: its numbers carry no year.
pub(super) fn categories<'a>(name: &str, mappings: impl Iterator<Item = &'a str>) -> Categories {
    let mut categories = Categories::default();
    for line in mappings.flat_map(str::lines).take(100) {
        categories.add_named_in(line);
        let lower = line.to_lowercase();
        for (_, references) in THREATS.iter().filter(|(threat, _)| lower.contains(threat)) {
            categories.add_all(references);
        }
    }
    for (_, references) in TECHNIQUES.iter().filter(|(known, _)| *known == name) {
        categories.add_all(references);
    }
    categories
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_is_known() {
        for (name, references) in THREATS.iter().chain(TECHNIQUES) {
            for reference in *references {
                assert!(stance_shared::taxonomy::lookup(reference).is_some(), "{name}: {reference}");
            }
        }
    }

    #[test]
    fn threats_are_mapped_by_their_names() {
        let lines =
            ["LLM05 - Improper Output Handling\nLLM06 - Excessive Agency", "T11 - Unexpected RCE and Code Attacks"];
        assert_eq!(
            categories("Arbitrary Code Execution (ACE)", lines.into_iter()).into_vec(),
            [
                "owasp-llm@2025:LLM05",
                "owasp-llm@2025:LLM06",
                "owasp-agentic@2026:ASI05",
                "cwe@4:CWE-94",
                "atlas@5.6.0:AML.T0050"
            ]
        );
        // T6 of that list is not ASI06.
        let lines = ["T6 - Intent Breaking & Goal Manipulation"];
        assert_eq!(categories("x", lines.into_iter()).into_vec(), ["owasp-agentic@2026:ASI01"]);
    }
}
