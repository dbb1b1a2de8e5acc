//! agent-scan's issue codes and risk indexes as Stance's words.

use stance_shared::Severity;

/// What a code or an index means.
pub(super) struct Meaning {
    pub(super) title: &'static str,
    pub(super) severity: Severity,
    pub(super) categories: &'static [&'static str],
    pub(super) remediation: &'static str,
}

const POISONED: &[&str] = &[
    "owasp-agentic@2026:ASI01",
    "owasp-agentic@2026:ASI04",
    "owasp-llm@2025:LLM01",
    "owasp-mcp@0.1:MCP03",
    "atlas@5.6.0:AML.T0110",
    "atlas@5.6.0:AML.T0051.001",
];
const SHADOWED: &[&str] =
    &["owasp-agentic@2026:ASI02", "owasp-agentic@2026:ASI04", "owasp-mcp@0.1:MCP03", "atlas@5.6.0:AML.T0110"];
const UNTRUSTED: &[&str] = &["owasp-llm@2025:LLM01", "owasp-agentic@2026:ASI01", "atlas@5.6.0:AML.T0051.001"];
const PRIVATE: &[&str] = &["owasp-llm@2025:LLM02", "owasp-mcp@0.1:MCP10", "atlas@5.6.0:AML.T0085.001"];
const DESTRUCTIVE: &[&str] = &["owasp-llm@2025:LLM06", "owasp-agentic@2026:ASI02", "atlas@5.6.0:AML.T0101"];
const FLOW: &[&str] = &["owasp-agentic@2026:ASI02", "owasp-llm@2025:LLM06", "atlas@5.6.0:AML.T0086"];
const SKILL: &[&str] =
    &["owasp-agentic@2026:ASI04", "owasp-llm@2025:LLM03", "atlas@5.6.0:AML.T0104", "atlas@5.6.0:AML.T0011.002"];
const SKILL_INJECTION: &[&str] = &[
    "owasp-agentic@2026:ASI01",
    "owasp-agentic@2026:ASI04",
    "owasp-llm@2025:LLM01",
    "atlas@5.6.0:AML.T0104",
    "atlas@5.6.0:AML.T0051.001",
];
const SECRETS: &[&str] = &["owasp-llm@2025:LLM02", "owasp-mcp@0.1:MCP01", "atlas@5.6.0:AML.T0083", "cwe@4:CWE-798"];
const HIDDEN: &[&str] = &["owasp-llm@2025:LLM01", "owasp-agentic@2026:ASI01", "atlas@5.6.0:AML.T0068"];
const PRIVILEGE: &[&str] = &["owasp-agentic@2026:ASI03", "owasp-llm@2025:LLM06"];

const REMOVE: &str = "Take the server out of use and have its owner look at the text of the tool.";
const REMOVE_SKILL: &str = "Take the skill out of use and look at its text and its scripts.";
const APPROVE: &str =
    "Require a person's approval for these tools, or do not give them to an agent that reads untrusted content.";
const VAULT: &str = "Keep credentials out of the skill's text; let the tool take them from a vault.";

/// Issue codes of mcp-scan up to 0.4, severities as its reference of issue codes has them.
const CODES: &[(&str, Meaning)] = &[
    ("E001", meaning("Prompt injection in the description of a tool", Severity::Critical, POISONED, REMOVE)),
    ("E002", meaning("A tool's description refers to another server's tool", Severity::High, SHADOWED, REMOVE)),
    ("E003", meaning("A tool's description hijacks the agent's behavior", Severity::High, POISONED, REMOVE)),
    ("E004", meaning("Prompt injection in a skill", Severity::Critical, SKILL_INJECTION, REMOVE_SKILL)),
    ("E005", meaning("A skill names a suspicious download", Severity::Critical, SKILL, REMOVE_SKILL)),
    ("E006", meaning("Malicious code in a skill", Severity::Critical, SKILL, REMOVE_SKILL)),
    ("TF001", meaning("Data can flow from private sources to the outside", Severity::High, FLOW, APPROVE)),
    ("TF002", meaning("Untrusted content can reach destructive tools", Severity::High, FLOW, APPROVE)),
    ("W001", meaning("Words of prompt injections in the description of a tool", Severity::Low, POISONED, REMOVE)),
    ("W007", meaning("A skill has the agent repeat credentials", Severity::High, SECRETS, VAULT)),
    ("W008", meaning("Credentials in the text of a skill", Severity::High, SECRETS, VAULT)),
    ("W009", meaning("A skill can move money", Severity::Medium, DESTRUCTIVE, APPROVE)),
    ("W011", meaning("A skill brings untrusted content to the agent", Severity::Medium, UNTRUSTED, APPROVE)),
    ("W012", meaning("A skill loads instructions or code while it runs", Severity::High, SKILL, REMOVE_SKILL)),
    ("W013", meaning("A skill changes the system's services", Severity::Medium, PRIVILEGE, REMOVE_SKILL)),
    ("W014", meaning("A skill without SKILL.md", Severity::Low, &[], "")),
    ("W015", meaning("Untrusted content reaches the agent", Severity::Medium, UNTRUSTED, APPROVE)),
    ("W016", meaning("Untrusted content may reach the agent", Severity::Low, UNTRUSTED, APPROVE)),
    ("W017", meaning("Sensitive data reaches the agent", Severity::Medium, PRIVATE, APPROVE)),
    ("W018", meaning("Data of the workspace reach the agent", Severity::Low, PRIVATE, APPROVE)),
    ("W019", meaning("Destructive tools", Severity::Medium, DESTRUCTIVE, APPROVE)),
    ("W020", meaning("Tools that change local files and settings", Severity::Low, DESTRUCTIVE, APPROVE)),
    ("W021", meaning("Hidden characters", Severity::Medium, HIDDEN, REMOVE)),
];

/// Risk indexes of agent-scan from 0.6; the severity comes from the score, at most the one here: that a server holds private
/// data is a capability and no weakness.
const INDEXES: &[(&str, Meaning)] = &[
    (
        "prompt_injection_tool_desc",
        meaning("Prompt injection in the description of a tool", Severity::Critical, POISONED, REMOVE),
    ),
    (
        "prompt_injection_skill",
        meaning("Prompt injection in a skill", Severity::Critical, SKILL_INJECTION, REMOVE_SKILL),
    ),
    ("malicious_code", meaning("Malicious code in a skill", Severity::Critical, SKILL, REMOVE_SKILL)),
    ("malicious_urls", meaning("A skill names a suspicious download", Severity::Critical, SKILL, REMOVE_SKILL)),
    (
        "suspicious_download_url",
        meaning("A skill names a suspicious download", Severity::Critical, SKILL, REMOVE_SKILL),
    ),
    ("hardcoded_secrets", meaning("Credentials in the text of a skill", Severity::High, SECRETS, VAULT)),
    (
        "insecure_credential_handling",
        meaning("A skill has the agent repeat credentials", Severity::High, SECRETS, VAULT),
    ),
    ("untrusted_content", meaning("Untrusted content reaches the agent", Severity::Low, UNTRUSTED, APPROVE)),
    ("private_data", meaning("Private data reach the agent", Severity::Low, PRIVATE, APPROVE)),
    ("destructive_capabilities", meaning("Destructive tools", Severity::Medium, DESTRUCTIVE, APPROVE)),
    ("hidden_unicode", meaning("Hidden characters", Severity::High, HIDDEN, REMOVE)),
];

const fn meaning(
    title: &'static str,
    severity: Severity,
    categories: &'static [&'static str],
    remediation: &'static str,
) -> Meaning {
    Meaning { title, severity, categories, remediation }
}

const UNKNOWN_ERROR: Meaning = meaning("", Severity::High, &[], "");
const UNKNOWN_WARNING: Meaning = meaning("", Severity::Medium, &[], "");
const UNKNOWN_INDEX: Meaning = meaning("", Severity::Critical, &[], "");

/// What an issue's code is: a finding, trouble of the scanner, or nothing for a security team.
pub(super) enum Code {
    Finding(&'static Meaning),
    Trouble,
    Ignored,
}

pub(super) fn of_code(code: &str) -> Code {
    if let Some((_, meaning)) = CODES.iter().find(|(known, _)| *known == code) {
        return Code::Finding(meaning);
    }
    match code {
        // Changed or white-listed entities, against the scanner's own memory on one machine; and “could not be analyzed, but no matter”.
        "W003" | "W004" | "W005" | "W006" | "X002" => Code::Ignored,
        _ if code.starts_with('X') => Code::Trouble,
        _ if code.starts_with('W') => Code::Finding(&UNKNOWN_WARNING),
        _ => Code::Finding(&UNKNOWN_ERROR),
    }
}

pub(super) fn of_index(name: &str) -> &'static Meaning {
    INDEXES.iter().find(|(known, _)| *known == name).map_or(&UNKNOWN_INDEX, |(_, meaning)| meaning)
}

/// A score of 0 to 1000: critical from 900, high from 700, medium from 400, else low.
pub(super) fn score_severity(score: f64) -> Severity {
    match score {
        s if s >= 900.0 => Severity::Critical,
        s if s >= 700.0 => Severity::High,
        s if s >= 400.0 => Severity::Medium,
        _ => Severity::Low,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_category_is_known() {
        for (code, meaning) in super::CODES.iter().chain(super::INDEXES) {
            for reference in meaning.categories {
                assert!(stance_shared::taxonomy::lookup(reference).is_some(), "{code}: {reference}");
            }
        }
    }
}
