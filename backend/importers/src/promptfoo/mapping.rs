//! promptfoo's plugins, strategies and providers in Stance's words, as tables.

use stance_shared::Severity;

/// A plugin, or a family of plugins (`pii` is also `pii:direct`): what its attacks try, and what it means when they work.
pub(super) struct Plugin {
    pub name: &'static str,
    /// What the attack achieves, for a title.
    pub title: &'static str,
    pub categories: &'static [&'static str],
    pub remediation: &'static str,
}

const INJECTION: &[&str] = &["owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0051.000"];
const INDIRECT: &[&str] = &["owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0051.001"];
const JAILBREAK: &[&str] = &["owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0054"];
const HIJACK: &[&str] = &["owasp-llm@2025:LLM01", "owasp-agentic@2026:ASI01", "atlas@5.6.0:AML.T0051.000"];
const LEAK: &[&str] = &["owasp-llm@2025:LLM02", "atlas@5.6.0:AML.T0057"];
const PRIVILEGE: &[&str] = &["owasp-agentic@2026:ASI03", "owasp-llm@2025:LLM06"];
const AGENCY: &[&str] = &["owasp-llm@2025:LLM06", "owasp-agentic@2026:ASI02", "atlas@5.6.0:AML.T0053"];
const FACTS: &[&str] = &["owasp-llm@2025:LLM09"];
const CONSUMPTION: &[&str] = &["owasp-llm@2025:LLM10", "atlas@5.6.0:AML.T0029"];

const FIX_INJECTION: &str = "Treat all input as data: separate it from instructions, check it with a guardrail before the model, and limit what a subverted answer can do.";
const FIX_LEAK: &str =
    "Give the model only what the person who asks may see, and filter answers for secrets and personal data.";
const FIX_OUTPUT: &str = "Treat the model's output as untrusted: never build queries, commands or addresses from it without checking them by code.";
const FIX_PRIVILEGE: &str = "Check permissions outside of the model, on every call, with the rights of the person who asks and not of the application.";
const FIX_AGENCY: &str = "Limit the tools and their arguments by policy, and ask a person before consequential calls.";
const FIX_FACTS: &str = "Ground answers in sources, and check claims before they are used.";
const FIX_LIMITS: &str =
    "Limit the length of answers and reasoning, the calls of tools and the cost of each person's requests.";
const FIX_SAFETY: &str = "Filter outputs by content, and choose or tune the model for the audience.";

const fn plugin(
    name: &'static str,
    title: &'static str,
    categories: &'static [&'static str],
    remediation: &'static str,
) -> Plugin {
    Plugin { name, title, categories, remediation }
}

/// Longer names stand before the families that they belong to.
const PLUGINS: &[Plugin] = &[
    plugin(
        "prompt-extraction",
        "System prompt extraction",
        &["owasp-llm@2025:LLM07", "atlas@5.6.0:AML.T0056"],
        "Keep secrets and rules that must hold out of the system prompt; enforce them outside of the model.",
    ),
    plugin("indirect-prompt-injection", "Indirect prompt injection", INDIRECT, FIX_INJECTION),
    plugin("system-prompt-override", "System prompt override", HIJACK, FIX_INJECTION),
    plugin("special-token-injection", "Prompt injection by special tokens", INJECTION, FIX_INJECTION),
    plugin("prompt-injection", "Prompt injection", INJECTION, FIX_INJECTION),
    plugin(
        "ascii-smuggling",
        "Prompt injection in invisible characters",
        &["owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0051.000", "atlas@5.6.0:AML.T0068"],
        FIX_INJECTION,
    ),
    plugin("hijacking", "Hijacking of the application's purpose", HIJACK, FIX_INJECTION),
    plugin(
        "goal-misalignment",
        "Goal misalignment",
        &["owasp-agentic@2026:ASI01", "owasp-agentic@2026:ASI10"],
        FIX_AGENCY,
    ),
    plugin("cca", "Context compliance attack", JAILBREAK, FIX_INJECTION),
    plugin("pliny", "Jailbreak prompts of Pliny", JAILBREAK, FIX_INJECTION),
    plugin("cyberseceval", "Prompt injection (CyberSecEval)", INJECTION, FIX_INJECTION),
    plugin("rag-document-exfiltration", "Exfiltration of documents", LEAK, FIX_LEAK),
    plugin(
        "rag-poisoning",
        "Poisoned knowledge base",
        &["owasp-llm@2025:LLM04", "owasp-llm@2025:LLM08", "atlas@5.6.0:AML.T0070"],
        "Let only trusted sources into the knowledge base, and treat what is retrieved as data.",
    ),
    plugin("rag-source-attribution", "Invented sources", FACTS, FIX_FACTS),
    plugin("cross-session-leak", "Leak between sessions", LEAK, FIX_LEAK),
    plugin(
        "data-exfil",
        "Data exfiltration",
        &["owasp-llm@2025:LLM02", "owasp-agentic@2026:ASI02", "atlas@5.6.0:AML.T0086"],
        FIX_LEAK,
    ),
    plugin("harmful:privacy", "Privacy violation", LEAK, FIX_LEAK),
    plugin("pii", "Disclosure of personal data", LEAK, FIX_LEAK),
    plugin("coppa", "Violation of children's privacy", LEAK, FIX_LEAK),
    plugin("ferpa", "Violation of students' privacy", LEAK, FIX_LEAK),
    plugin(
        "sql-injection",
        "SQL injection through the model",
        &["owasp-llm@2025:LLM05", "owasp-agentic@2026:ASI02", "cwe@4:CWE-89"],
        FIX_OUTPUT,
    ),
    plugin(
        "shell-injection",
        "Command injection through the model",
        &["owasp-llm@2025:LLM05", "owasp-agentic@2026:ASI05", "cwe@4:CWE-78"],
        FIX_OUTPUT,
    ),
    plugin(
        "ssrf",
        "Requests to internal addresses through the model",
        &["owasp-llm@2025:LLM05", "owasp-agentic@2026:ASI02", "cwe@4:CWE-918"],
        FIX_OUTPUT,
    ),
    plugin("debug-access", "Access to debugging functions", PRIVILEGE, FIX_PRIVILEGE),
    plugin("bola", "Access to others' objects", PRIVILEGE, FIX_PRIVILEGE),
    plugin("bfla", "Access to others' functions", PRIVILEGE, FIX_PRIVILEGE),
    plugin("rbac", "Access beyond the role", PRIVILEGE, FIX_PRIVILEGE),
    plugin("excessive-agency", "Excessive agency", AGENCY, FIX_AGENCY),
    plugin("tool-discovery", "Disclosure of tools", &["owasp-llm@2025:LLM07", "owasp-agentic@2026:ASI02"], FIX_AGENCY),
    plugin("mcp", "Misuse of MCP tools", AGENCY, FIX_AGENCY),
    plugin(
        "coding-agent",
        "Misuse of a coding agent",
        &["owasp-agentic@2026:ASI05", "owasp-agentic@2026:ASI02"],
        FIX_AGENCY,
    ),
    plugin(
        "agentic:memory-poisoning",
        "Poisoned memory",
        &["owasp-agentic@2026:ASI06", "atlas@5.6.0:AML.T0080"],
        FIX_INJECTION,
    ),
    plugin(
        "memory-poisoning",
        "Poisoned memory",
        &["owasp-agentic@2026:ASI06", "atlas@5.6.0:AML.T0080"],
        FIX_INJECTION,
    ),
    plugin("agentic", "Misuse of an agent", &["owasp-agentic@2026:ASI01"], FIX_AGENCY),
    plugin("hallucination", "Hallucination", FACTS, FIX_FACTS),
    plugin("unverifiable-claims", "Claims that can not be verified", FACTS, FIX_FACTS),
    plugin("overreliance", "Acceptance of false premises", FACTS, FIX_FACTS),
    plugin("harmful:misinformation-disinformation", "Disinformation", FACTS, FIX_FACTS),
    plugin("reasoning-dos", "Excessive reasoning", CONSUMPTION, FIX_LIMITS),
    plugin(
        "divergent-repetition",
        "Divergence by repetition",
        &["owasp-llm@2025:LLM10", "owasp-llm@2025:LLM02", "atlas@5.6.0:AML.T0057"],
        FIX_LIMITS,
    ),
    plugin("harmful:cybercrime", "Help with cybercrime", &["atlas@5.6.0:AML.T0102"], FIX_SAFETY),
    plugin("harmful", "Harmful content", &[], FIX_SAFETY),
    plugin("bias", "Biased content", &[], FIX_SAFETY),
    plugin("toxic-chat", "Toxic content", &[], FIX_SAFETY),
    plugin("competitors", "Endorsement of competitors", &[], FIX_SAFETY),
    plugin("contracts", "Commitments in the company's name", &[], FIX_SAFETY),
    plugin("imitation", "Imitation of a person or brand", &[], FIX_SAFETY),
    plugin("off-topic", "Off-topic answers", &[], FIX_SAFETY),
    plugin("politics", "Political opinions", &[], FIX_SAFETY),
    plugin("religion", "Religious opinions", &[], FIX_SAFETY),
    plugin("policy", "Violation of the application's policy", &[], FIX_SAFETY),
    plugin("intent", "Malicious intent fulfilled", JAILBREAK, FIX_SAFETY),
];

const OTHER: Plugin =
    plugin("", "Attack worked", &[], "Look at the example, and check inputs and outputs with a guardrail.");

/// A failed check of a test that is no attack.
pub(super) const ASSERTION: Plugin =
    plugin("", "Check failed", &[], "Look at the example: either the answer or the test's expectation is wrong.");

pub(super) fn plugin_of(id: &str) -> &'static Plugin {
    let is = |name: &str| id.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
    PLUGINS.iter().find(|plugin| is(plugin.name)).unwrap_or(&OTHER)
}

/// Strategies that make a jailbreak of any attack.
const JAILBREAKS: &[&str] = &[
    "jailbreak",
    "jailbreak-templates",
    "crescendo",
    "goat",
    "mischievous-user",
    "best-of-n",
    "likert",
    "gcg",
    "hydra",
    "citation",
    "authoritative-markup-injection",
    "math-prompt",
];

/// What a strategy adds to its plugin's categories.
pub(super) fn strategy_categories(strategy: &str) -> &'static [&'static str] {
    if strategy == "prompt-injection" {
        INJECTION
    } else if JAILBREAKS.iter().any(|name| strategy.split(':').any(|part| part == *name)) {
        JAILBREAK
    } else {
        &[]
    }
}

/// promptfoo's words; an attack whose plugin says nothing counts as MEDIUM.
pub(super) fn severity(word: &str) -> Severity {
    match word.trim().to_lowercase().as_str() {
        "critical" => Severity::Critical,
        "high" => Severity::High,
        "low" => Severity::Low,
        "informational" | "info" => Severity::Info,
        _ => Severity::Medium,
    }
}

/// Providers that are a model by name, not an application: what stands before the first colon of the provider's id.
const MODEL_PROVIDERS: &[&str] = &[
    "ai21",
    "aimlapi",
    "anthropic",
    "azure",
    "azureopenai",
    "bedrock",
    "cerebras",
    "cloudflare-ai",
    "cohere",
    "databricks",
    "deepseek",
    "fal",
    "fireworks",
    "github",
    "google",
    "groq",
    "huggingface",
    "hyperbolic",
    "ibm",
    "litellm",
    "llama",
    "localai",
    "mistral",
    "nscale",
    "ollama",
    "openai",
    "openrouter",
    "palm",
    "perplexity",
    "replicate",
    "sagemaker",
    "snowflake",
    "togetherai",
    "vertex",
    "vllm",
    "voyage",
    "watsonx",
    "xai",
];

pub(super) fn is_model(provider: &str) -> bool {
    provider.split_once(':').is_some_and(|(kind, _)| MODEL_PROVIDERS.contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_in_the_tables_is_known_and_no_plugin_is_hidden() {
        for (i, plugin) in PLUGINS.iter().enumerate() {
            for reference in plugin.categories {
                assert!(stance_shared::taxonomy::lookup(reference).is_some(), "{reference}");
            }
            let before = PLUGINS[..i].iter().find(|other| std::ptr::eq(plugin_of(plugin.name), *other));
            assert!(before.is_none(), "{}", plugin.name);
        }
    }

    #[test]
    fn families_and_strategies_are_known() {
        assert_eq!(plugin_of("pii:api-db").title, "Disclosure of personal data");
        assert_eq!(plugin_of("harmful:privacy").categories, LEAK);
        assert_eq!(plugin_of("mcpx").title, "Attack worked");
        assert_eq!(strategy_categories("jailbreak:composite"), JAILBREAK);
        assert!(strategy_categories("base64").is_empty());
        assert!(is_model("openai:gpt-4o") && !is_model("https://x") && !is_model("echo"));
    }
}
