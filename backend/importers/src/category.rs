//! From a source's own words to taxonomy references.

use stance_shared::taxonomy;

/// References of one finding: each once, each known to the taxonomy data, at most [`Categories::MAX`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Categories(Vec<String>);

impl Categories {
    const MAX: usize = 20;

    /// Adds `framework@version:id`; unknown ones are passed over.
    pub(crate) fn add(&mut self, reference: &str) {
        if self.0.len() < Self::MAX
            && !self.0.iter().any(|known| known == reference)
            && taxonomy::lookup(reference).is_some()
        {
            self.0.push(reference.to_owned());
        }
    }

    pub(crate) fn add_all(&mut self, references: &[&str]) {
        references.iter().for_each(|reference| self.add(reference));
    }

    /// Adds what a text names: CWE numbers, ATLAS techniques, OWASP entries. An OWASP LLM number means something only with its
    /// edition: `LLM01:2025` is taken by number, any other edition by the name that stands beside it.
    pub(crate) fn add_named_in(&mut self, text: &str) {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_');
        for token in text.split(|c| !word(c)).filter(|token| token.len() >= 4) {
            self.add_token(token.trim_matches(['.', ':', '-']), text);
        }
    }

    fn add_token(&mut self, token: &str, text: &str) {
        let upper = token.to_ascii_uppercase();
        if let Some(number) = upper.strip_prefix("CWE").map(|n| n.trim_start_matches(['-', ':', '_', '0'])) {
            self.add(&format!("cwe@4:CWE-{number}"));
        } else if upper.starts_with("AML.T") {
            self.add(&format!("atlas@5.6.0:{upper}"));
        } else if let Some(entry) = upper.strip_prefix("ASI") {
            self.add(&format!("owasp-agentic@2026:ASI{}", entry.get(..2).unwrap_or_default()));
        } else if upper.starts_with("MCP") && upper.ends_with(":2025") {
            self.add(&format!("owasp-mcp@0.1:{}", upper.trim_end_matches(":2025")));
        } else if upper.starts_with("LLM") && upper.as_bytes().get(3).is_some_and(u8::is_ascii_digit) {
            match upper.strip_suffix(":2025") {
                Some(id) => self.add(&format!("owasp-llm@2025:{id}")),
                None => self.add_by_name("owasp-llm", text),
            }
        }
    }

    fn add_by_name(&mut self, framework: &str, text: &str) {
        let text = text.to_lowercase();
        for framework in taxonomy::frameworks().iter().filter(|f| f.framework == framework) {
            for entry in framework.entries.iter().filter(|entry| text.contains(&entry.name.to_lowercase())) {
                self.add(&format!("{}@{}:{}", framework.framework, framework.version, entry.id));
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn contains(&self, reference: &str) -> bool {
        self.0.iter().any(|known| known == reference)
    }

    pub(crate) fn into_vec(self) -> Vec<String> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_in_the_sources_words() {
        for (text, expected) in [
            ("external/cwe/cwe-079", vec!["cwe@4:CWE-79"]),
            ("CWE-327: Use of a Broken or Risky Cryptographic Algorithm", vec!["cwe@4:CWE-327"]),
            // Another year's number, known by its name.
            ("OWASP: LLM03:2026: Excessive Agency", vec!["owasp-llm@2025:LLM06"]),
            ("LLM01 - Prompt Injection", vec!["owasp-llm@2025:LLM01"]),
            ("LLM04:2025", vec!["owasp-llm@2025:LLM04"]),
            ("owasp:llm01", vec![]),
            ("OWASP: ASI03: Identity & Privilege Abuse", vec!["owasp-agentic@2026:ASI03"]),
            ("MITRE ATLAS: AML.T0053: LLM Plugin Compromise", vec!["atlas@5.6.0:AML.T0053"]),
            ("AML.T0051.000, AML.T9999", vec!["atlas@5.6.0:AML.T0051.000"]),
            ("MCP03:2025 Tool Poisoning", vec!["owasp-mcp@0.1:MCP03"]),
            ("CWE-, LLM, ASI, MCP, A9: Using Components with Known Vulnerabilities", vec![]),
        ] {
            let mut categories = Categories::default();
            categories.add_named_in(text);
            assert_eq!(categories.into_vec(), expected, "{text}");
        }
    }
}
