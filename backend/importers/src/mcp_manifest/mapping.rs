//! What in the texts of tools, prompts and resources speaks to the agent instead of describing them.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use stance_shared::Severity;

use crate::text;

/// A sign of poisoning, found by phrases in lower case with single blanks.
pub(super) struct Sign {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) severity: Severity,
    pub(super) categories: &'static [&'static str],
    phrases: &'static [&'static str],
    /// Looked for in names and addresses only: a tool that looks for malware may say so in its description.
    names_only: bool,
}

const POISONED: &[&str] = &[
    "owasp-mcp@0.1:MCP03",
    "owasp-agentic@2026:ASI01",
    "owasp-agentic@2026:ASI04",
    "owasp-llm@2025:LLM01",
    "atlas@5.6.0:AML.T0110",
    "atlas@5.6.0:AML.T0051.001",
];

pub(super) const INSTRUCTIONS: &str = "hidden-instructions";
pub(super) const CHARACTERS: &str = "hidden-characters";

pub(super) const SIGNS: &[Sign] = &[
    Sign {
        id: INSTRUCTIONS,
        title: "instructions to the agent",
        severity: Severity::High,
        categories: POISONED,
        phrases: &[
            "<important>",
            "</important>",
            "<system>",
            "[system]",
            "<instructions>",
            "ignore previous",
            "ignore all previous",
            "ignore the above",
            "ignore any previous",
            "ignore your instructions",
            "disregard previous",
            "disregard all",
            "disregard your",
            "override your instructions",
            "forget your instructions",
            "forget all previous",
            "before using this tool",
            "before you use this tool",
            "otherwise the tool will not work",
            "otherwise this tool will not work",
            "required before any other tool",
            "always consult this tool",
            "before asking clarifying questions",
            "even without calling this tool",
            "must include the prefix",
            "when the user asks, reply",
            "reveal system prompt",
            "reveal your system prompt",
        ],
        names_only: false,
    },
    Sign {
        id: "secrecy",
        title: "is to be kept from the user",
        severity: Severity::High,
        categories: POISONED,
        phrases: &[
            "do not mention",
            "don't mention",
            "no need to mention",
            "do not tell the user",
            "don't tell the user",
            "do not inform the user",
            "do not reveal this to",
            "without telling the user",
            "without the user knowing",
            "without the user's knowledge",
            "this is a secret operation",
            "hide activities",
        ],
        names_only: false,
    },
    Sign {
        id: "sensitive-files",
        title: "names files with secrets",
        severity: Severity::High,
        categories: &["owasp-llm@2025:LLM02", "owasp-mcp@0.1:MCP10", "atlas@5.6.0:AML.T0098"],
        phrases: &[
            "~/.ssh",
            "id_rsa",
            "id_ed25519",
            "/etc/passwd",
            "/etc/shadow",
            ".cursor/mcp.json",
            "claude_desktop_config.json",
            "~/.aws",
            ".aws/credentials",
            "~/.kube",
            "~/.netrc",
            "access sensitive files",
            "read sensitive system files",
        ],
        names_only: false,
    },
    Sign {
        id: "exfiltration",
        title: "sends data away",
        severity: Severity::High,
        categories: &["owasp-llm@2025:LLM02", "owasp-agentic@2026:ASI02", "atlas@5.6.0:AML.T0086"],
        phrases: &[
            "exfiltrat",
            "stolen data",
            "data theft",
            "steal credentials",
            "steal data",
            "harvest credentials",
            "extract sensitive information",
            "send the conversation to",
            "forward all messages",
        ],
        names_only: false,
    },
    Sign {
        id: "hidden-recipient",
        title: "adds a recipient",
        severity: Severity::Medium,
        categories: &["owasp-agentic@2026:ASI02", "owasp-mcp@0.1:MCP03", "atlas@5.6.0:AML.T0086"],
        phrases: &["always bcc", "always cc", "always copy", "bcc all", "also send a copy"],
        names_only: false,
    },
    Sign {
        id: "unlimited-execution",
        title: "runs any command",
        severity: Severity::High,
        categories: &["owasp-agentic@2026:ASI05", "owasp-mcp@0.1:MCP05", "owasp-llm@2025:LLM06", "cwe@4:CWE-78"],
        phrases: &[
            "unrestricted shell",
            "shell injection",
            "execute arbitrary",
            "executes arbitrary",
            "arbitrary system command",
            "arbitrary shell command",
            "with full privileges",
            "reverse shell",
        ],
        names_only: false,
    },
    Sign {
        id: "attack",
        title: "describes an attack",
        severity: Severity::High,
        categories: &["owasp-agentic@2026:ASI04", "owasp-mcp@0.1:MCP04", "atlas@5.6.0:AML.T0104"],
        phrases: &[
            "bypass security",
            "install malware",
            "create backdoors",
            "inject malicious",
            "phishing techniques",
            "social engineering attack",
            "stealth mode",
            "hide activities from system logs",
        ],
        names_only: false,
    },
    Sign {
        id: "suspicious-name",
        title: "suspicious by its name",
        severity: Severity::Low,
        categories: &["owasp-mcp@0.1:MCP04", "owasp-agentic@2026:ASI04"],
        phrases: &["malicious", "malware", "suspicious", "exfiltrat", "backdoor", "keylogger", "ransomware"],
        names_only: true,
    },
    Sign {
        id: CHARACTERS,
        title: "characters that people do not see",
        severity: Severity::High,
        categories: &["owasp-llm@2025:LLM01", "owasp-mcp@0.1:MCP03", "atlas@5.6.0:AML.T0068"],
        phrases: &[],
        names_only: false,
    },
];

impl Sign {
    /// Where in a text the sign stands, as bytes of the text in [`normal`] form.
    pub(super) fn find(&self, places: &Places, is_name: bool) -> Option<usize> {
        if self.names_only && !is_name {
            return None;
        }
        places.iter().find(|(id, _)| *id == self.id).map(|(_, at)| *at)
    }
}

/// Signs by their ids, and where each stands first in a text.
pub(super) type Places = Vec<(&'static str, usize)>;

/// Finds all phrases at once. Nothing when that can not be built, which a test excludes.
static PHRASES: LazyLock<Option<AhoCorasick>> =
    // Small enough for the fastest kind.
    LazyLock::new(|| {
        AhoCorasick::builder().kind(Some(AhoCorasickKind::DFA)).build(phrases().map(|(_, phrase)| phrase)).ok()
    });

fn phrases() -> impl Iterator<Item = (&'static str, &'static str)> {
    SIGNS.iter().flat_map(|sign| sign.phrases.iter().map(|phrase| (sign.id, *phrase)))
}

/// The signs in a text in [`normal`] form.
pub(super) fn places(normal: &str) -> Places {
    let mut places = Places::new();
    for found in PHRASES.iter().flat_map(|phrases| phrases.find_overlapping_iter(normal)) {
        let Some((id, _)) = phrases().nth(found.pattern().as_usize()) else { continue };
        match places.iter_mut().find(|(known, _)| *known == id) {
            Some((_, at)) => *at = found.start().min(*at),
            None => places.push((id, found.start())),
        }
    }
    places
}

/// Lower case, single blanks, without characters that are not shown: what a phrase is looked for in.
pub(super) fn normal(text: &str) -> String {
    if text::is_plain_line(text.as_bytes()) {
        return text.trim().to_ascii_lowercase();
    }
    let shown: String = text.chars().filter(|c| !is_hidden(*c)).collect::<String>().to_lowercase();
    text::single_blanks(&shown).into_owned()
}

/// How many characters of the text a person does not see.
pub(super) fn hidden(text: &str) -> usize {
    if text::is_plain_line(text.as_bytes()) {
        return 0;
    }
    text.chars().filter(|c| is_hidden(*c)).count()
}

/// Characters that a person does not see and a model reads: tags, zero-width, direction overrides, escapes.
const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{E0000}'..='\u{E007F}' | '\u{200B}' | '\u{2060}'..='\u{2064}' | '\u{202A}'..='\u{202E}'
        | '\u{2066}'..='\u{2069}' | '\u{FEFF}' | '\u{00AD}' | '\u{001B}' | '\u{0008}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_is_known_and_every_phrase_can_be_found() {
        for sign in SIGNS {
            for reference in sign.categories {
                assert!(stance_shared::taxonomy::lookup(reference).is_some(), "{}: {reference}", sign.id);
            }
            for phrase in sign.phrases {
                assert_eq!(normal(phrase), *phrase, "{}", sign.id);
                assert_eq!(sign.find(&places(&format!("é {phrase}.")), true), Some(3), "{phrase}");
            }
        }
    }
}
