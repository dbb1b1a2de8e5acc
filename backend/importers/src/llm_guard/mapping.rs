//! What LLM Guard's scanners look for.

use stance_shared::Severity;

/// (scanner, severity, categories). A guardrail's hit is a sign of an attack or of a leak that it has dealt with.
const SCANNERS: &[(&str, Severity, &[&str])] = &[
    ("PromptInjection", Severity::Medium, &["owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0051"]),
    ("BanSubstrings", Severity::Medium, &["owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0051"]),
    ("InvisibleText", Severity::Medium, &["owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0068"]),
    ("Secrets", Severity::High, &["owasp-llm@2025:LLM02", "atlas@5.6.0:AML.T0057", "cwe@4:CWE-200"]),
    ("Anonymize", Severity::Medium, &["owasp-llm@2025:LLM02", "cwe@4:CWE-359"]),
    ("Sensitive", Severity::High, &["owasp-llm@2025:LLM02", "atlas@5.6.0:AML.T0057", "cwe@4:CWE-359"]),
    ("Regex", Severity::Medium, &["owasp-llm@2025:LLM02"]),
    ("MaliciousURLs", Severity::High, &["owasp-llm@2025:LLM05", "atlas@5.6.0:AML.T0077"]),
    ("URLReachability", Severity::Low, &["owasp-llm@2025:LLM09"]),
    ("Code", Severity::Medium, &["owasp-llm@2025:LLM05"]),
    ("BanCode", Severity::Medium, &["owasp-llm@2025:LLM05"]),
    ("FactualConsistency", Severity::Low, &["owasp-llm@2025:LLM09"]),
    ("Relevance", Severity::Low, &["owasp-llm@2025:LLM09"]),
    ("TokenLimit", Severity::Low, &["owasp-llm@2025:LLM10", "atlas@5.6.0:AML.T0034"]),
    ("BanTopics", Severity::Low, &[]),
    ("BanCompetitors", Severity::Low, &[]),
    ("Toxicity", Severity::Low, &[]),
    ("Bias", Severity::Low, &[]),
    ("Gibberish", Severity::Low, &[]),
    ("Language", Severity::Info, &[]),
    ("LanguageSame", Severity::Info, &[]),
    ("NoRefusal", Severity::Info, &[]),
    ("JSON", Severity::Info, &[]),
    ("ReadingTime", Severity::Info, &[]),
    ("Sentiment", Severity::Info, &[]),
    ("EmotionDetection", Severity::Info, &[]),
];

pub(super) fn of_scanner(scanner: &str) -> (Severity, &'static [&'static str]) {
    let known = SCANNERS.iter().find(|(known, ..)| *known == scanner);
    known.map_or((Severity::Medium, &[]), |(_, severity, categories)| (*severity, categories))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_category_is_known() {
        for (scanner, _, references) in super::SCANNERS {
            for reference in *references {
                assert!(stance_shared::taxonomy::lookup(reference).is_some(), "{scanner}: {reference}");
            }
        }
    }
}
