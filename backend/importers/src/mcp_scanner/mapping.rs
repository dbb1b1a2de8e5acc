//! Cisco mcp-scanner's threats as Stance's categories. Its own taxonomy (AITech) is kept as evidence.

use stance_shared::Severity;

use crate::category::Categories;

/// What a threat's name contains, in lower case with blanks for `_` and `-`, and what that means.
const THREATS: &[(&str, &[&str])] = &[
    ("tool poisoning", &["owasp-mcp@0.1:MCP03", "owasp-agentic@2026:ASI04", "atlas@5.6.0:AML.T0110"]),
    ("tool shadowing", &["owasp-mcp@0.1:MCP03", "owasp-agentic@2026:ASI02", "atlas@5.6.0:AML.T0110"]),
    (
        "prompt injection",
        &[
            "owasp-llm@2025:LLM01",
            "owasp-agentic@2026:ASI01",
            "owasp-mcp@0.1:MCP03",
            "atlas@5.6.0:AML.T0051.001",
            "atlas@5.6.0:AML.T0110",
        ],
    ),
    ("indirect injection", &["owasp-llm@2025:LLM01", "owasp-agentic@2026:ASI01", "atlas@5.6.0:AML.T0051.001"]),
    ("instruction override", &["owasp-llm@2025:LLM01", "owasp-agentic@2026:ASI01", "atlas@5.6.0:AML.T0051.001"]),
    ("role escape", &["owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0054"]),
    ("goal manipulation", &["owasp-agentic@2026:ASI01", "atlas@5.6.0:AML.T0051.001"]),
    ("exfiltration", &["owasp-llm@2025:LLM02", "owasp-agentic@2026:ASI02", "atlas@5.6.0:AML.T0086"]),
    ("data leakage", &["owasp-llm@2025:LLM02", "atlas@5.6.0:AML.T0057"]),
    ("credential harvesting", &["owasp-llm@2025:LLM02", "owasp-mcp@0.1:MCP01", "atlas@5.6.0:AML.T0098"]),
    ("code execution", &["owasp-agentic@2026:ASI05", "owasp-mcp@0.1:MCP05", "cwe@4:CWE-94"]),
    ("injection attack", &["owasp-mcp@0.1:MCP05", "owasp-llm@2025:LLM05", "cwe@4:CWE-77"]),
    ("template injection", &["owasp-mcp@0.1:MCP05", "cwe@4:CWE-1336"]),
    ("system manipulation", &["owasp-llm@2025:LLM06", "owasp-agentic@2026:ASI02", "owasp-mcp@0.1:MCP02"]),
    ("system access", &["owasp-llm@2025:LLM06", "owasp-agentic@2026:ASI02", "owasp-mcp@0.1:MCP02"]),
    ("network access", &["owasp-llm@2025:LLM06", "owasp-agentic@2026:ASI02"]),
    ("resource read", &["owasp-llm@2025:LLM06", "owasp-mcp@0.1:MCP02", "cwe@4:CWE-22"]),
    ("resource exhaustion", &["owasp-llm@2025:LLM10", "atlas@5.6.0:AML.T0029", "cwe@4:CWE-400"]),
    ("backdoor", &["owasp-agentic@2026:ASI04", "owasp-mcp@0.1:MCP04", "cwe@4:CWE-506"]),
    ("malware", &["owasp-agentic@2026:ASI04", "owasp-mcp@0.1:MCP04", "cwe@4:CWE-506"]),
    ("vulnerable dependency", &["owasp-llm@2025:LLM03", "owasp-mcp@0.1:MCP04", "cwe@4:CWE-1395"]),
    ("description code mismatch", &["owasp-agentic@2026:ASI04", "owasp-mcp@0.1:MCP03"]),
    ("unicode", &["owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0068"]),
    ("output weaponization", &["owasp-llm@2025:LLM05", "atlas@5.6.0:AML.T0067"]),
    ("social engineering", &["owasp-agentic@2026:ASI09"]),
];

pub(super) fn categories<'a>(threats: impl Iterator<Item = &'a str>) -> Categories {
    let mut categories = Categories::default();
    for threat in threats {
        let threat = threat.to_lowercase().replace(['_', '-'], " ");
        for (_, references) in THREATS.iter().filter(|(words, _)| threat.contains(words)) {
            categories.add_all(references);
        }
    }
    categories
}

/// The analyzer that looks for missing time-outs and the like: quality, whatever severity it says.
pub(super) const QUALITY: &str = "readiness";

/// Severity of an analyzer's findings on one item; `None` when it found nothing.
pub(super) fn severity(analyzer: &str, word: &str, findings: u64) -> Option<Severity> {
    let severity = match word.trim().to_uppercase().as_str() {
        "SAFE" if findings == 0 => return None,
        "UNKNOWN" | "" if findings == 0 => return None,
        word => word.parse().unwrap_or(Severity::Medium),
    };
    Some(if analyzer == QUALITY { severity.max(Severity::Low) } else { severity })
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_category_is_known() {
        for (threat, references) in super::THREATS {
            for reference in *references {
                assert!(stance_shared::taxonomy::lookup(reference).is_some(), "{threat}: {reference}");
            }
        }
    }
}
