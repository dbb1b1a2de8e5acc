//! Cisco skill-scanner's categories as Stance's; what its own mappings name is added by name, never by number alone.

/// (threat category, categories)
const THREATS: &[(&str, &[&str])] = &[
    ("prompt_injection", &["owasp-llm@2025:LLM01", "owasp-agentic@2026:ASI01", "atlas@5.6.0:AML.T0051.001"]),
    ("command_injection", &["owasp-agentic@2026:ASI05", "owasp-llm@2025:LLM05", "cwe@4:CWE-77"]),
    ("data_exfiltration", &["owasp-llm@2025:LLM02", "owasp-agentic@2026:ASI02", "atlas@5.6.0:AML.T0086"]),
    ("unauthorized_tool_use", &["owasp-llm@2025:LLM06", "owasp-agentic@2026:ASI02", "atlas@5.6.0:AML.T0053"]),
    ("obfuscation", &["owasp-agentic@2026:ASI04", "atlas@5.6.0:AML.T0068"]),
    ("hardcoded_secrets", &["owasp-llm@2025:LLM02", "atlas@5.6.0:AML.T0055", "cwe@4:CWE-798"]),
    ("social_engineering", &["owasp-agentic@2026:ASI09"]),
    ("resource_abuse", &["owasp-llm@2025:LLM10", "atlas@5.6.0:AML.T0034.002", "cwe@4:CWE-400"]),
    ("policy_violation", &[]),
    ("malware", &["owasp-agentic@2026:ASI04", "atlas@5.6.0:AML.T0011.002", "cwe@4:CWE-506"]),
    ("harmful_content", &[]),
    ("skill_discovery_abuse", &["owasp-agentic@2026:ASI04", "atlas@5.6.0:AML.T0104"]),
    ("transitive_trust_abuse", &["owasp-agentic@2026:ASI04", "owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0051.001"]),
    ("autonomy_abuse", &["owasp-llm@2025:LLM06", "owasp-agentic@2026:ASI10"]),
    ("tool_chaining_abuse", &["owasp-agentic@2026:ASI02", "atlas@5.6.0:AML.T0086"]),
    ("unicode_steganography", &["owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0068"]),
    ("supply_chain_attack", &["owasp-llm@2025:LLM03", "owasp-agentic@2026:ASI04", "atlas@5.6.0:AML.T0104"]),
];

pub(super) fn of_category(category: &str) -> &'static [&'static str] {
    THREATS.iter().find(|(known, _)| *known == category).map_or(&[], |(_, references)| references)
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
