//! From a source's own words to taxonomy references.

use std::borrow::Cow;

use stance_shared::taxonomy;

/// OWASP's lists for AI by how their ids begin: the list, and as which editions its ids are meant. Only the agentic list has
/// had one edition so far, so its ids are clear without; the MCP list's drafts count as 2025.
const OWASP: &[(&str, &str, &[&str])] = &[
    ("LLM", "owasp-llm@2025", &["2025"]),
    ("ASI", "owasp-agentic@2026", &["2026", ""]),
    ("MCP", "owasp-mcp@0.1", &["2025"]),
];

/// The editions of the other lists.
const CWE: &str = "cwe@4";
const ATLAS: &str = "atlas@5.6.0";

/// A table's references, which tests check against the taxonomy data.
pub(crate) fn of_table(references: &[&'static str]) -> Vec<Cow<'static, str>> {
    references.iter().map(|reference| Cow::Borrowed(*reference)).collect()
}

fn is_number(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// References of one finding: each once, each known to the taxonomy data, at most [`Categories::MAX`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Categories(Vec<Cow<'static, str>>);

impl Categories {
    const MAX: usize = 20;

    /// Adds `framework@version:id`; unknown ones are passed over.
    pub(crate) fn add(&mut self, reference: &str) {
        if let Some(known) = taxonomy::known(reference) {
            self.put(known);
        }
    }

    /// Adds those of a table, which tests check against the taxonomy data.
    pub(crate) fn add_all(&mut self, references: &[&'static str]) {
        references.iter().for_each(|reference| self.put(Cow::Borrowed(reference)));
    }

    fn put(&mut self, reference: Cow<'static, str>) {
        if self.0.len() < Self::MAX && !self.contains(&reference) {
            self.0.push(reference);
        }
    }

    /// Adds what a text names: CWE numbers, ATLAS techniques, OWASP entries. An OWASP number means something only with its
    /// edition: `LLM01:2025` is taken by number, an edition that we do not have by the name that stands beside it.
    pub(crate) fn add_named_in(&mut self, text: &str) {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_');
        for token in text.split(|c| !word(c)).filter(|token| token.len() >= 4) {
            let token = token.trim_matches(['.', ':', '-']);
            // Most words name nothing, which their beginning says: that of each branch of `add_token`.
            let begins = |known: &str| token.get(..known.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(known));
            if ["CWE", "AML.T", "OWASP"].into_iter().chain(OWASP.iter().map(|scheme| scheme.0)).any(begins) {
                self.add_token(&token.to_ascii_uppercase(), text);
            }
        }
    }

    fn add_token(&mut self, token: &str, text: &str) {
        let separators = ['-', ':', '_'];
        if let Some(number) =
            token.strip_prefix("CWE").map(|n| n.trim_start_matches(separators).trim_start_matches('0'))
        {
            self.add(&[CWE, ":CWE-", number].concat());
        } else if token.starts_with("AML.T") {
            self.add(&[ATLAS, ":", token].concat());
        } else {
            // `OWASP-LLM05:2025` as well as `LLM05:2025`.
            let entry = token.strip_prefix("OWASP").map_or(token, |rest| rest.trim_start_matches(separators));
            let (id, edition) = entry.split_once(separators).map_or((entry, ""), |(id, edition)| (id, edition));
            let scheme = OWASP.iter().find(|scheme| id.strip_prefix(scheme.0).is_some_and(is_number));
            match scheme {
                Some((_, framework, editions)) if editions.contains(&edition) => {
                    self.add(&[*framework, ":", id].concat())
                }
                Some((_, framework, _)) => self.add_by_name(framework, text),
                None => {}
            }
        }
    }

    fn add_by_name(&mut self, framework: &str, text: &str) {
        let text = text.to_lowercase();
        for known in taxonomy::frameworks() {
            let key = format!("{}@{}", known.framework, known.version);
            for entry in
                known.entries.iter().filter(|entry| key == framework && text.contains(&entry.name.to_lowercase()))
            {
                self.add(&format!("{key}:{}", entry.id));
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn contains(&self, reference: &str) -> bool {
        self.0.iter().any(|known| known == reference)
    }

    pub(crate) fn into_vec(self) -> Vec<Cow<'static, str>> {
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
            ("OWASP-LLM05:2025 Improper Output Handling", vec!["owasp-llm@2025:LLM05"]),
            ("OWASP-LLM05:2025", vec!["owasp-llm@2025:LLM05"]),
            ("OWASP-ASI02:2026, owasp_asi04", vec!["owasp-agentic@2026:ASI02", "owasp-agentic@2026:ASI04"]),
            // Editions that we do not have say nothing by their numbers.
            ("OWASP-LLM05:2023, ASI02:2031, MCP03:2031", vec![]),
            ("OWASP-A05:2021 - Security Misconfiguration", vec![]),
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
