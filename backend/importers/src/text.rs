//! Texts of reports: hostile, of any length, and possibly with secrets in them.

use serde_json::{Map, Value};

/// At most `max` characters, the last an ellipsis when some were left out. NUL, which PostgreSQL can not store, becomes U+FFFD.
pub(crate) fn truncate(text: &str, max: usize) -> String {
    let text = if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text.to_owned() };
    // Bytes are at least as many as characters: most texts need no counting.
    if text.len() <= max || text.chars().count() <= max {
        return text;
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

/// One line of at most `max` characters: runs of white space and control characters become one space.
pub(crate) fn one_line(text: &str, max: usize) -> String {
    let mut line = String::new();
    for (i, word) in
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).enumerate()
    {
        if line.len() > max * 4 {
            break;
        }
        if i > 0 {
            line.push(' ');
        }
        line.push_str(word);
    }
    truncate(&line, max)
}

/// How secrets of well-known kinds begin, and how many characters they have at least.
const SECRET_PREFIXES: &[(&str, usize)] = &[
    ("sk-", 20),
    ("sk_live_", 20),
    ("sk_test_", 20),
    ("rk_live_", 20),
    ("ghp_", 30),
    ("gho_", 30),
    ("ghu_", 30),
    ("ghs_", 30),
    ("ghr_", 30),
    ("github_pat_", 30),
    ("glpat-", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("xoxa-", 20),
    ("hf_", 24),
    ("npm_", 30),
    ("pypi-", 30),
    ("AKIA", 20),
    ("ASIA", 20),
    ("AIza", 35),
    ("eyJ", 40),
    ("stance_", 24),
];

/// The least of the lengths above.
const SHORTEST_SECRET: usize = 20;

/// The text with secrets of well-known kinds (API keys, tokens, private keys) replaced by their kind.
pub(crate) fn redact(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut clean = String::new();
    let mut copied = 0;
    let mut start = 0;
    // `start` is where a word begins. Looking from the end of the shortest secret back skips ordinary words in one step.
    while let Some(window) = bytes.get(start..start + SHORTEST_SECRET) {
        if let Some(gap) = window.iter().rposition(|byte| !is_token(*byte)) {
            start += gap + 1;
            continue;
        }
        let end = bytes[start..].iter().position(|byte| !is_token(*byte)).map_or(bytes.len(), |length| start + length);
        // A word's ends are ASCII, so both are boundaries of characters.
        let word = &text[start..end];
        let secret = SECRET_PREFIXES.iter().find(|(prefix, min)| word.len() >= *min && word.starts_with(prefix));
        if let Some((prefix, _)) = secret {
            clean.extend([&text[copied..start], prefix, "…[redacted]"]);
            copied = end;
        }
        start = end;
    }
    clean.push_str(&text[copied..]);
    without_private_keys(clean)
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn without_private_keys(text: String) -> String {
    const MARK: &str = "PRIVATE KEY-----";
    let Some(begin) =
        memchr::memmem::find(text.as_bytes(), MARK.as_bytes()).filter(|at| text[..*at].contains("-----BEGIN"))
    else {
        return text;
    };
    let body = begin + MARK.len();
    let end = text[body..].find("-----END").map_or(text.len(), |end| body + end);
    format!("{}…[redacted]{}", &text[..body], &text[end..])
}

/// Redacted, then truncated.
pub(crate) fn evidence_text(text: &str, max: usize) -> String {
    truncate(&redact(text), max)
}

/// The largest evidence of one finding, as JSON text.
const MAX_EVIDENCE_BYTES: usize = 16 << 10;

/// Collects evidence in the order of its worth: what no longer fits is left out, and the evidence says so.
#[derive(Default)]
pub(crate) struct Evidence {
    map: Map<String, Value>,
    bytes: usize,
    omitted: bool,
}

impl Evidence {
    /// Adds a value unless it says nothing (`null`, empty).
    pub(crate) fn add(&mut self, key: &str, value: impl Into<Value>) {
        let value = sanitized(value.into(), 0);
        let empty = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => members.is_empty(),
            _ => false,
        };
        if empty {
            return;
        }
        let bytes = key.len() + 4 + serde_json::to_string(&value).map_or(usize::MAX / 2, |text| text.len());
        // Room is kept for the note below.
        if self.bytes + bytes > MAX_EVIDENCE_BYTES - 64 {
            self.omitted = true;
        } else {
            self.bytes += bytes;
            self.map.insert(key.to_owned(), value);
        }
    }

    pub(crate) fn finish(mut self) -> Map<String, Value> {
        if self.omitted {
            self.map.insert("omitted".to_owned(), Value::from("more than fits in 16 KiB"));
        }
        self.map
    }
}

/// The value with every string redacted and at most 4,000 characters long.
fn sanitized(value: Value, depth: usize) -> Value {
    match value {
        Value::String(text) => Value::String(evidence_text(&text, 4000)),
        Value::Array(_) | Value::Object(_) if depth >= 16 => Value::from("…"),
        Value::Array(items) => items.into_iter().map(|item| sanitized(item, depth + 1)).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(key, value)| (truncate(&key, 200), sanitized(value, depth + 1))).collect()
        }
        other => other,
    }
}

/// A path or URI as in `Location::uri`: percent-decoded, no `file://`, no leading `./`, forward slashes, without `root`.
pub(crate) fn normalize_uri(uri: &str, root: Option<&str>) -> String {
    let path = |uri: &str| -> String {
        let uri = percent_decode(uri.trim()).replace('\\', "/");
        let Some(file) = uri.strip_prefix("file://") else { return uri };
        // file:///C:/x is the path C:/x.
        let drive = file.strip_prefix('/').filter(|path| path.as_bytes().get(1) == Some(&b':'));
        drive.unwrap_or(file).to_owned()
    };
    let full = path(uri);
    let root = root.map(path).unwrap_or_default();
    let root = root.trim_end_matches('/');
    let under_root = full.strip_prefix(root).filter(|_| !root.is_empty()).and_then(|rest| rest.strip_prefix('/'));
    let mut path = under_root.unwrap_or(&full);
    while let Some(rest) = path.strip_prefix("./") {
        path = rest;
    }
    truncate(path, 1000)
}

pub(crate) fn percent_decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let hex = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high * 16 + low);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

/// A short, stable digest of a text: 16 hex digits.
pub(crate) fn digest(text: &str) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_end_in_an_ellipsis_on_a_character() {
        assert_eq!(truncate("größer", 6), "größer");
        assert_eq!(truncate("größer", 4), "grö…");
        assert_eq!(truncate("a\0b", 9), "a\u{FFFD}b");
        assert_eq!(one_line(" a\n\tb \u{1b}[31m", 20), "a b [31m");
    }

    #[test]
    fn secrets_are_redacted_and_other_words_are_not() {
        let key = format!("key=\"sk-{}\"; ok", "a1".repeat(20));
        assert_eq!(redact(&key), "key=\"sk-…[redacted]\"; ok");
        assert!(SECRET_PREFIXES.iter().all(|(_, min)| *min >= SHORTEST_SECRET));
        let two = format!("ghp_{0} é hf_{0}", "b2".repeat(20));
        assert_eq!(redact(&two), "ghp_…[redacted] é hf_…[redacted]");
        for text in ["task-force ask-me sk-EXAMPLE", "", "naïve ✓ text", "eyJ"] {
            assert_eq!(redact(text), text);
        }
        let pem = "x -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- y";
        assert_eq!(redact(pem), "x -----BEGIN RSA PRIVATE KEY-----…[redacted]-----END RSA PRIVATE KEY----- y");
    }

    #[test]
    fn uris_are_normalized() {
        for (uri, root, expected) in [
            ("file:///src/index.js", None, "/src/index.js"),
            ("file:///C:/a%20b/x.py", None, "C:/a b/x.py"),
            ("./src\\x.py", None, "src/x.py"),
            ("file:///work/app/x.py", Some("file:///work/app/"), "x.py"),
            ("/work/apple", Some("/work/app"), "/work/apple"),
            ("100%", None, "100%"),
        ] {
            assert_eq!(normalize_uri(uri, root), expected);
        }
    }

    #[test]
    fn evidence_stays_within_its_limit() {
        let mut evidence = Evidence::default();
        for i in 0..100 {
            evidence.add(&format!("k{i}"), "x".repeat(5000));
        }
        evidence.add("none", Value::Null);
        let map = evidence.finish();
        assert!(serde_json::to_string(&map).unwrap().len() <= MAX_EVIDENCE_BYTES);
        assert!(map.contains_key("k0") && map.contains_key("omitted") && !map.contains_key("none"));
    }
}
