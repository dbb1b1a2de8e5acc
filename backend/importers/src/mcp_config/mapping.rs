//! What is wrong with how a server is set up.

use stance_shared::Severity;

pub(super) struct Rule {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) severity: Severity,
    pub(super) categories: &'static [&'static str],
    pub(super) remediation: &'static str,
}

pub(super) const SECRET: Rule = Rule {
    id: "literal-secret",
    title: "secret in the configuration",
    severity: Severity::High,
    categories: &[
        "owasp-mcp@0.1:MCP01",
        "owasp-llm@2025:LLM02",
        "atlas@5.6.0:AML.T0083",
        "atlas@5.6.0:AML.T0055",
        "cwe@4:CWE-798",
    ],
    remediation: "Replace it at its issuer, and refer to it from the configuration (`${input:…}`, `${env:…}`, a vault).",
};

pub(super) const TRANSPORT: Rule = Rule {
    id: "insecure-transport",
    title: "reached without encryption",
    severity: Severity::Medium,
    categories: &["owasp-mcp@0.1:MCP07", "owasp-agentic@2026:ASI07", "cwe@4:CWE-319"],
    remediation: "Use https.",
};

pub(super) const UNPINNED: Rule = Rule {
    id: "unpinned-package",
    title: "another version of its package may run tomorrow",
    severity: Severity::Medium,
    categories: &[
        "owasp-mcp@0.1:MCP04",
        "owasp-agentic@2026:ASI04",
        "owasp-llm@2025:LLM03",
        "atlas@5.6.0:AML.T0010.005",
        "atlas@5.6.0:AML.T0109",
        "cwe@4:CWE-494",
    ],
    remediation: "Name the exact version, for an image its digest.",
};

pub(super) const DOWNLOAD: Rule = Rule {
    id: "download-and-run",
    title: "what was downloaded is run at once",
    severity: Severity::Critical,
    categories: &["owasp-mcp@0.1:MCP05", "owasp-agentic@2026:ASI05", "owasp-agentic@2026:ASI04", "cwe@4:CWE-494"],
    remediation: "Take the server out of use. Install a reviewed, pinned package in its place.",
};

pub(super) const SHELL: Rule = Rule {
    id: "shell-command",
    title: "started by a shell",
    severity: Severity::Low,
    categories: &["owasp-mcp@0.1:MCP05", "cwe@4:CWE-78"],
    remediation: "Start the program itself, with its arguments as a list.",
};

pub(super) const ROOT: Rule = Rule {
    id: "whole-disk",
    title: "may use the whole disk",
    severity: Severity::High,
    categories: &["owasp-mcp@0.1:MCP02", "owasp-llm@2025:LLM06", "owasp-agentic@2026:ASI03", "cwe@4:CWE-732"],
    remediation: "Name the one folder that the work needs.",
};

pub(super) const APPROVAL: Rule = Rule {
    id: "auto-approve",
    title: "every tool runs without asking",
    severity: Severity::High,
    categories: &["owasp-llm@2025:LLM06", "owasp-agentic@2026:ASI02", "owasp-mcp@0.1:MCP02", "atlas@5.6.0:AML.T0053"],
    remediation: "Approve tools one by one, and none that change or send something.",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_is_known() {
        for rule in [SECRET, TRANSPORT, UNPINNED, DOWNLOAD, SHELL, ROOT, APPROVAL] {
            for reference in rule.categories {
                assert!(stance_shared::taxonomy::lookup(reference).is_some(), "{}: {reference}", rule.id);
            }
        }
    }
}
