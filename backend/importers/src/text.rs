//! Texts of reports: hostile, of any length, and possibly with secrets in them.

use std::borrow::Cow;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::Value;

/// At most `max` characters, the last an ellipsis when some were left out. NUL, which PostgreSQL can not store, becomes U+FFFD.
pub(crate) fn truncate<'a>(text: impl Into<Cow<'a, str>>, max: usize) -> String {
    let text = text.into();
    let kept = match cut(&text, max) {
        Some(end) => [&text[..end], "…"].concat(),
        None => text.into_owned(),
    };
    if memchr::memchr(0, kept.as_bytes()).is_some() { kept.replace('\0', "\u{FFFD}") } else { kept }
}

/// Where to cut a text of more than `max` characters, so that an ellipsis has room.
fn cut(text: &str, max: usize) -> Option<usize> {
    // Bytes are at least as many as characters: most texts need no counting.
    if text.len() <= max {
        return None;
    }
    if text.as_bytes()[..=max].is_ascii() {
        return Some(max.saturating_sub(1));
    }
    text.char_indices().nth(max)?;
    text.char_indices().nth(max.saturating_sub(1)).map(|(at, _)| at)
}

/// One line of at most `max` characters: runs of white space and control characters become one space.
pub(crate) fn one_line(text: &str, max: usize) -> String {
    let text = text.trim_start();
    // As far as it counts, most texts are one line already.
    let head = &text.as_bytes()[..text.len().min(max + 1)];
    if is_plain_line(head) && head.last() != Some(&b' ') {
        return truncate(text, max);
    }
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

/// Whether it is printable ASCII with single blanks. Written so that the compiler can compare many bytes at once.
pub(crate) fn is_plain_line(bytes: &[u8]) -> bool {
    let printable = bytes.iter().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'));
    let next = bytes.get(1..).unwrap_or_default();
    printable && bytes.iter().zip(next).fold(true, |all, (a, b)| all & !((*a == b' ') & (*b == b' ')))
}

/// The text with single blanks for runs of white space, and none at its ends.
pub(crate) fn single_blanks(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if is_plain_line(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    if text.is_ascii() {
        let mut blank = false;
        for byte in text.bytes() {
            let is_blank = matches!(byte, b'\t'..=b'\r' | b' ');
            if !is_blank {
                kept.push(char::from(byte));
            } else if !blank {
                kept.push(' ');
            }
            blank = is_blank;
        }
        return Cow::Owned(kept);
    }
    for (i, word) in text.split_whitespace().enumerate() {
        if i > 0 {
            kept.push(' ');
        }
        kept.push_str(word);
    }
    Cow::Owned(kept)
}

/// Whether `part` stands in `text`; for long texts faster than the standard library.
pub(crate) fn contains(text: &str, part: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some()
}

/// The text without digits, and without the other characters, which must be ASCII.
pub(crate) fn without_digits(text: &str, others: &[u8]) -> String {
    let mut kept = Vec::with_capacity(text.len());
    let parts = text.as_bytes().split(|byte| byte.is_ascii_digit() || others.contains(byte));
    parts.for_each(|part| kept.extend_from_slice(part));
    // What was left out are whole characters.
    String::from_utf8(kept).unwrap_or_default()
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

/// What stands at the end of a private key's first line.
const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// Finds how secrets begin: the prefixes, and behind them the mark of private keys. Nothing when that can not be built, which a
/// test excludes.
static SECRETS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let patterns = SECRET_PREFIXES.iter().map(|(prefix, _)| *prefix).chain([PRIVATE_KEY]);
    AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(patterns).ok()
});

/// Shorter texts hold no secret: neither one of [`SECRET_PREFIXES`] nor a private key's first line.
const MIN_SECRET_BYTES: usize = 20;

/// The text with secrets of well-known kinds (API keys, tokens, private keys) replaced by their kind.
pub(crate) fn redact(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if bytes.len() < MIN_SECRET_BYTES {
        return Cow::Borrowed(text);
    }
    let mut clean = String::new();
    let mut copied = 0;
    let mut has_private_key = false;
    for found in SECRETS.iter().flat_map(|secrets| secrets.find_iter(text)) {
        let Some((prefix, min)) = SECRET_PREFIXES.get(found.pattern().as_usize()) else {
            has_private_key = true;
            continue;
        };
        let start = found.start();
        let is_word = start.checked_sub(1).is_none_or(|before| !is_token(bytes[before]));
        if !is_word || start < copied {
            continue;
        }
        let end = bytes[start..].iter().position(|byte| !is_token(*byte)).map_or(bytes.len(), |length| start + length);
        if end - start >= *min {
            // A word's ends are ASCII, so both are boundaries of characters.
            clean.extend([&text[copied..start], prefix, "…[redacted]"]);
            copied = end;
        }
    }
    let clean = if copied == 0 { Cow::Borrowed(text) } else { Cow::Owned(clean + &text[copied..]) };
    if has_private_key { without_private_keys(clean) } else { clean }
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn without_private_keys(text: Cow<'_, str>) -> Cow<'_, str> {
    let Some(begin) = text.find(PRIVATE_KEY).filter(|at| text[..*at].contains("-----BEGIN")) else {
        return text;
    };
    let body = begin + PRIVATE_KEY.len();
    let end = text[body..].find("-----END").map_or(text.len(), |end| body + end);
    Cow::Owned(format!("{}…[redacted]{}", &text[..body], &text[end..]))
}

/// Redacted, then truncated. An owned text that needs neither is given back as it is.
pub(crate) fn evidence_text<'a>(text: impl Into<Cow<'a, str>>, max: usize) -> String {
    let text = text.into();
    let clean = match redact(&text) {
        Cow::Borrowed(_) => None,
        Cow::Owned(clean) => Some(clean),
    };
    truncate(clean.map_or(text, Cow::Owned), max)
}

/// The largest evidence of one finding, as JSON text.
const MAX_EVIDENCE_BYTES: usize = 16 << 10;

/// Collects evidence in the order of its worth: what no longer fits is left out, and the evidence says so.
#[derive(Default)]
pub(crate) struct Evidence {
    members: crate::Evidence,
    bytes: usize,
    omitted: bool,
}

impl Evidence {
    /// Adds a value unless it says nothing (`null`, empty).
    pub(crate) fn add(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        let mut value = value.into();
        sanitize(&mut value, 0);
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
        let key = key.into();
        let bytes = key.len() + 4 + json_bytes(&value);
        // Room is kept for the note below.
        if self.bytes + bytes > MAX_EVIDENCE_BYTES - 64 {
            self.omitted = true;
        } else {
            self.bytes += bytes;
            self.members.insert(key, value);
        }
    }

    pub(crate) fn finish(mut self) -> crate::Evidence {
        if self.omitted {
            self.members.insert("omitted".into(), Value::from("more than fits in 16 KiB"));
        }
        self.members
    }
}

/// How many bytes a value has as JSON, or a few more.
fn json_bytes(value: &Value) -> usize {
    match value {
        Value::Null => 4,
        Value::Bool(_) => 5,
        Value::Number(number) => number.to_string().len(),
        Value::String(text) => text_bytes(text),
        Value::Array(items) => items.iter().map(|item| json_bytes(item) + 1).sum::<usize>() + 2,
        Value::Object(members) => {
            members.iter().map(|(key, value)| text_bytes(key) + json_bytes(value) + 2).sum::<usize>() + 2
        }
    }
}

/// A text's quotes and backslashes take two bytes, its control characters two or six.
fn text_bytes(text: &str) -> usize {
    // Most texts have none, which is found many bytes at a time.
    let plain = text.bytes().fold(true, |all, byte| all & (byte >= b' ') & (byte != b'"') & (byte != b'\\'));
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\t' | b'\r' => 1,
        0..=0x1f => 5,
        _ => 0,
    };
    let more = if plain { 0 } else { text.bytes().map(escaped).sum::<usize>() };
    text.len() + more + 2
}

/// Redacts every string in the value, and cuts it to 4,000 characters.
fn sanitize(value: &mut Value, depth: usize) {
    const MAX_KEY: usize = 200;
    match value {
        Value::String(text) => *text = evidence_text(std::mem::take(text), 4000),
        Value::Array(_) | Value::Object(_) if depth >= 16 => *value = Value::from("…"),
        Value::Array(items) => items.iter_mut().for_each(|item| sanitize(item, depth + 1)),
        Value::Object(members) => {
            members.values_mut().for_each(|member| sanitize(member, depth + 1));
            if members.keys().any(|key| key.len() > MAX_KEY || key.contains('\0')) {
                *members =
                    std::mem::take(members).into_iter().map(|(key, value)| (truncate(key, MAX_KEY), value)).collect();
            }
        }
        _ => {}
    }
}

/// A path or URI as in `Location::uri`: percent-decoded, no `file://`, no leading `./`, forward slashes, without `root`.
pub(crate) fn normalize_uri(uri: &str, root: Option<&str>) -> String {
    fn decoded(uri: &str) -> Cow<'_, str> {
        let uri = percent_decode(uri.trim());
        if uri.contains('\\') { Cow::Owned(uri.replace('\\', "/")) } else { uri }
    }
    fn path(uri: &str) -> &str {
        let Some(file) = uri.strip_prefix("file://") else { return uri };
        // file:///C:/x is the path C:/x.
        let drive = file.strip_prefix('/').filter(|path| path.as_bytes().get(1) == Some(&b':'));
        drive.unwrap_or(file)
    }
    let (full, root) = (decoded(uri), root.map(decoded).unwrap_or_default());
    let (full, root) = (path(&full), path(&root).trim_end_matches('/'));
    let under_root = full.strip_prefix(root).filter(|_| !root.is_empty()).and_then(|rest| rest.strip_prefix('/'));
    let mut path = under_root.unwrap_or(full);
    while let Some(rest) = path.strip_prefix("./") {
        path = rest;
    }
    truncate(path, 1000)
}

pub(crate) fn percent_decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
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
    String::from_utf8(decoded).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Where the path of a URI begins that has a scheme and an authority: behind `://`.
pub(crate) fn behind_scheme(uri: &str) -> Option<usize> {
    let colon = memchr::memchr_iter(b':', uri.as_bytes()).find(|colon| uri[colon + 1..].starts_with("//"))?;
    Some(colon + 3)
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
        for (text, max, expected) in [
            ("a b", 3, "a b"),
            ("a b   ", 3, "a b"),
            ("a b c", 3, "a …"),
            ("a  b", 3, "a b"),
            ("ab  ", 2, "ab"),
            ("größer als", 6, "größe…"),
            ("", 3, ""),
            (" \n", 3, ""),
            ("a\0b", 3, "a b"),
        ] {
            assert_eq!(one_line(text, max), expected, "{text:?}");
        }
        for text in [" a  b\n\tc ", "größer \u{a0} als\n", "a b", "", " ", "\u{b}x\u{1c}y"] {
            assert_eq!(single_blanks(text), text.split_whitespace().collect::<Vec<_>>().join(" "), "{text:?}");
        }
        assert_eq!(without_digits("1 größer, 22.5%", b".%"), " größer, ");
    }

    #[test]
    fn secrets_are_redacted_and_other_words_are_not() {
        let key = format!("key=\"sk-{}\"; ok", "a1".repeat(20));
        assert_eq!(redact(&key), "key=\"sk-…[redacted]\"; ok");
        assert!(SECRETS.is_some() && SECRET_PREFIXES.iter().all(|(_, min)| *min >= MIN_SECRET_BYTES));
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
            evidence.add(format!("k{i}"), "x".repeat(5000));
        }
        evidence.add("none", Value::Null);
        let map = evidence.finish();
        assert!(serde_json::to_string(&map).unwrap().len() <= MAX_EVIDENCE_BYTES);
        assert!(map.get("k0").is_some() && map.get("omitted").is_some() && map.get("none").is_none());
        let value = serde_json::json!({"a\n": ["\u{1}\"\\", null, 1.5, -3], "b": {}, "é": [true, false]});
        let exact = serde_json::to_string(&value).unwrap().len();
        assert!((exact..exact + 10).contains(&json_bytes(&value)), "{exact} {}", json_bytes(&value));
    }
}
