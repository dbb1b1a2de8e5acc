//! Texts of our own: grammars of attack mechanisms and of harmless texts, planted in carriers and encoded.

use crate::{
    data::{Label, Row},
    encode,
    fit::Random,
};
use std::collections::BTreeMap;

const FILES: [&str; 7] = [
    include_str!("grammar/attacks.txt"),
    include_str!("grammar/indirect.txt"),
    include_str!("grammar/more.txt"),
    include_str!("grammar/benign.txt"),
    include_str!("grammar/common.txt"),
    include_str!("grammar/languages.txt"),
    include_str!("grammar/calls.txt"),
];

/// The kinds of text, what each counts as, and its share of the texts made.
const KINDS: [(&str, Label, &str, usize); 28] = [
    ("DIRECT", Label::Attack, "direct", 10),
    ("EXTRACTION", Label::Attack, "direct", 10),
    ("CODEWORD", Label::Attack, "direct", 5),
    ("AUTHORITY", Label::Attack, "direct", 6),
    ("JAILBREAK", Label::Attack, "jailbreak", 9),
    ("DELIMITED", Label::Attack, "direct", 5),
    ("ENCODED", Label::Attack, "encoding", 12),
    ("CARRIED", Label::Attack, "indirect", 20),
    ("NAKED", Label::Attack, "indirect", 6),
    ("TOOL", Label::Attack, "tool_poisoning", 14),
    ("ATTACK_", Label::Attack, "direct", 16),
    ("PERSUADE", Label::Attack, "direct", 9),
    ("COMMANDING", Label::Attack, "direct", 6),
    ("PHRASE", Label::Attack, "direct", 7),
    ("MAILBOT", Label::Attack, "indirect", 9),
    ("HIDDENTOOL", Label::Attack, "tool_poisoning", 7),
    ("@hiddentool", Label::Attack, "tool_poisoning", 7),
    ("@attackcall", Label::Attack, "indirect", 6),
    ("PERSONAPROMPT", Label::Benign, "hard_negative", 16),
    ("DISCUSS", Label::Benign, "hard_negative", 16),
    ("HARDNEG", Label::Benign, "hard_negative", 28),
    ("PLAIN", Label::Benign, "benign", 14),
    ("BENIGNDOC", Label::Benign, "benign_document", 26),
    ("BENIGNTOOL", Label::Benign, "benign_tool", 14),
    ("BENIGN_", Label::Benign, "benign", 14),
    ("@benigncall", Label::Benign, "benign_tool", 12),
    ("BENIGNCODE", Label::Benign, "benign_code", 4),
    ("BENIGNENC", Label::Benign, "hard_negative", 12),
];

/// A grammar: lists of alternatives by name.
pub struct Grammar {
    lists: BTreeMap<&'static str, Vec<&'static str>>,
}

impl Grammar {
    /// Our own grammars.
    #[must_use]
    pub fn own() -> Self {
        let mut lists: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut name = "";
        // What stands before a file's first list is its comment.
        for line in FILES.iter().flat_map(|file| std::iter::once("== ").chain(file.lines())) {
            if let Some(next) = line.strip_prefix("== ") {
                name = next;
            } else if !name.is_empty() && !line.is_empty() {
                lists.entry(name).or_default().push(line);
            }
        }
        lists.insert("@hiddentool", vec!["@tool:{HIDDENTOOL}"]);
        lists.insert("@attackcall", vec!["@call:{DIRECT}", "@call:{EXTRACTION}", "@call:{NAKED}", "@call:{DIRECT}"]);
        lists.insert("@benigncall", vec!["@call:{value}", "@call:{value}", "{plaincall}"]);
        lists.insert("BENIGNCODE", vec!["{code}", "{code}\n\n{code}"]);
        lists.insert(
            "BENIGNENC",
            vec![
                "@ordinary:{topic_sentence}",
                "@ordinary:{PLAIN}",
                "@ordinary:{HARDNEG}",
                "@carry:@ordinary:{topic_sentence}",
            ],
        );
        Self { lists }
    }

    /// Makes about `count` rows, the same for the same seed; `source` is `own:` and the kind.
    #[must_use]
    pub fn rows(&self, count: usize, seed: u64) -> Vec<Row> {
        let shares: usize = KINDS.iter().map(|kind| kind.3).sum();
        let mut random = Random::new(seed);
        let mut rows = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for (name, label, kind, share) in KINDS {
            let lists: Vec<&str> = match name.ends_with('_') {
                true => self.lists.keys().copied().filter(|list| list.starts_with(name)).collect(),
                false => vec![name],
            };
            for _ in 0..count * share / shares {
                let list = lists[random.below(lists.len())];
                let mut text = self.pick(list, &mut random);
                let language = list.strip_prefix(name).filter(|l| !l.is_empty()).unwrap_or("en");
                // Other languages are planted and encoded as well.
                if name == "ATTACK_" || name == "BENIGN_" {
                    text = match random.below(8) {
                        0 | 1 => self.carry("carrier", &text, &mut random),
                        2 if label == Label::Attack => encode::any(&text, &mut random),
                        2 => encode::ordinary(&text, &mut random),
                        _ => text,
                    };
                }
                if !list.contains("ENC") {
                    text = sloppy(text, &mut random);
                }
                if seen.insert(text.clone()) {
                    rows.push(Row {
                        text,
                        label,
                        kind: kind.to_owned(),
                        source: format!("own:{}", name.trim_end_matches('_').to_lowercase()),
                        language: language.to_owned(),
                    });
                }
            }
        }
        rows
    }

    fn pick(&self, list: &str, random: &mut Random) -> String {
        match self.lists.get(list) {
            Some(lines) => self.expand(lines[random.below(lines.len())], random),
            None => list.to_owned(),
        }
    }

    fn carry(&self, list: &str, text: &str, random: &mut Random) -> String {
        let lines = &self.lists[list];
        let line = lines[random.below(lines.len())].replace("{X}", "\u{1}");
        self.expand(&line, random).replace('\u{1}', text)
    }

    fn expand(&self, template: &str, random: &mut Random) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some(c) = rest.chars().next() {
            if c == '{'
                && let Some(end) = closing(rest)
            {
                let inside = &rest[1..end];
                let parts = split(inside);
                let chosen = parts[random.below(parts.len())];
                out.push_str(&match self.lists.contains_key(chosen) {
                    true => self.pick(chosen, random),
                    false if parts.len() == 1 => format!("{{{}}}", self.expand(inside, random)),
                    false => self.expand(chosen, random),
                });
                rest = &rest[end + 1..];
                continue;
            }
            let directive = ["@delim:", "@encode:", "@ordinary:", "@carry:", "@call:", "@tool:"]
                .into_iter()
                .find_map(|d| Some((d, rest.strip_prefix(d)?)));
            if let Some((directive, argument)) = directive {
                let inner = self.expand(argument, random);
                out.push_str(&match directive {
                    "@delim:" => self.carry("delim", &inner, random),
                    "@encode:" => encode::any(&inner, random),
                    "@ordinary:" => encode::ordinary(&inner, random),
                    "@carry:" => self.carry("carrier", &inner, random),
                    "@call:" => self.carry("call", &inner, random),
                    _ => self.carry("tool", &inner, random),
                });
                return out;
            }
            if let Some(after) = rest.strip_prefix("\\n") {
                out.push('\n');
                rest = after;
                continue;
            }
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
        out
    }
}

fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in text.char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Parts between bars that are not inside braces.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0_i32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            '|' if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

/// As people type: case, missing punctuation, slips of the finger.
fn sloppy(text: String, random: &mut Random) -> String {
    match random.below(20) {
        0 => text.to_lowercase(),
        1 if text.len() < 300 => text.to_uppercase(),
        2 => text.trim_end_matches(['.', '!', '?']).to_owned(),
        3 | 4 => {
            let mut chars: Vec<char> = text.chars().collect();
            for _ in 0..1 + chars.len() / 60 {
                let at = random.below(chars.len().max(2) - 1);
                if chars.len() > at + 1 && chars[at].is_alphabetic() && chars[at + 1].is_alphabetic() {
                    match random.below(3) {
                        0 => chars.swap(at, at + 1),
                        1 => drop(chars.remove(at)),
                        _ => chars.insert(at, chars[at]),
                    }
                }
            }
            chars.into_iter().collect()
        }
        _ => text,
    }
}
