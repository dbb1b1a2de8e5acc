//! A weakness in code, as static analyzers report it: in SARIF, and some of them in a JSON of their own.
//!
//! Both forms of one tool's report give the same findings. This is the one place that says how: the same asset, the tool by
//! [`tool_key`], the same rule, the same normalized path, and the same [`mark`].

use std::borrow::Cow;

use stance_engine::fingerprint::Fingerprint;
use stance_shared::Severity;

use crate::category::Categories;
use crate::record::NO_RULE;
use crate::sarif::mapping;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Location};

/// The tool as identity knows it: `Semgrep OSS` and `Semgrep PRO` are one.
fn tool_key(tool: &str) -> String {
    let tool = tool.trim().to_lowercase();
    if is_semgrep(&tool) { "semgrep".to_owned() } else { tool }
}

fn is_semgrep(tool: &str) -> bool {
    tool.get(..7).is_some_and(|name| name.eq_ignore_ascii_case("semgrep"))
}

/// What tells the results of one rule in one file apart, whatever the line.
#[derive(Default)]
pub(crate) struct Mark<'a> {
    /// A fingerprint of the tool's own.
    pub own: Option<String>,
    pub snippet: Option<&'a str>,
    /// The first column, lines further down, and the last column of what was found; where the tool says them.
    pub span: (i64, i64, i64),
    pub message: &'a str,
}

/// The tool's own fingerprint, else the snippet without its white space, else the message without its numbers. Semgrep's JSON has
/// no snippet, so for it, in both forms, the message and the columns of what was found stand for it.
fn mark(tool: &str, mark: Mark<'_>) -> String {
    let message = || text::without_digits(mark.message, b"");
    if let Some(own) = mark.own {
        return own;
    }
    if is_semgrep(tool) {
        let (from, lines, to) = mark.span;
        return format!("{} {from}+{lines}:{to}", message());
    }
    let snippet = mark.snippet.map(text::single_blanks);
    snippet.filter(|text| !text.is_empty()).map_or_else(message, Cow::into_owned)
}

pub(crate) fn fingerprint(asset: &AssetRef, tool: &str, rule: &str, uri: &str, found: Mark<'_>) -> Fingerprint {
    Fingerprint::of((asset.kind.as_str(), &asset.key), &["sarif", &tool_key(tool), rule, uri, &mark(tool, found)])
}

/// A tool's fingerprint that tells results apart: 8 to 500 characters with a digit among them and no spaces.
/// Not usable are constants such as “requires login”, and UUIDs, which are new in every run.
pub(crate) fn usable_fingerprint(text: &str) -> Option<String> {
    let is_uuid = text.len() == 36
        && text
            .bytes()
            .enumerate()
            .all(|(i, b)| if matches!(i, 8 | 13 | 18 | 23) { b == b'-' } else { b.is_ascii_hexdigit() });
    let tells = (8..=500).contains(&text.len())
        && text.bytes().any(|b| b.is_ascii_digit())
        && !text.contains(char::is_whitespace);
    (tells && !is_uuid).then(|| text.to_owned())
}

/// Whether the weakness is a hard-coded password or key, which must not be kept.
pub(crate) fn is_secret(categories: &Categories) -> bool {
    categories.contains("cwe@4:CWE-259") || categories.contains("cwe@4:CWE-798")
}

/// The text without what stands in quotes, see [`is_secret`].
pub(crate) fn without_literals(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut quote = None;
    for c in text.chars() {
        match quote {
            None => {
                clean.push(c);
                quote = matches!(c, '"' | '\'').then_some(c);
            }
            Some(open) if c == open => {
                clean.push('…');
                clean.push(c);
                quote = None;
            }
            Some(_) if c == '\n' => {
                clean.push_str("…\n");
                quote = None;
            }
            Some(_) => {}
        }
    }
    if quote.is_some() { clean + "…" } else { clean }
}

/// What an analyzer's own JSON says of one weakness.
pub(crate) struct Weakness<'a> {
    /// As the tool's SARIF names it.
    pub tool: &'a str,
    pub rule: &'a str,
    pub severity: Severity,
    pub message: &'a str,
    pub path: &'a str,
    pub line: Option<u32>,
    pub mark: Mark<'a>,
    pub remediation: &'a str,
    /// What the report names, to which the tables add.
    pub categories: Categories,
}

/// The finding of a weakness.
pub(crate) fn finding(asset: &AssetRef, found: Weakness<'_>, evidence: Evidence) -> FindingRecord {
    let mut categories = found.categories;
    mapping::complete_categories(found.tool, found.rule, &mut categories);
    let is_secret = is_secret(&categories);
    let shown = |text: &str, max| match is_secret {
        true => text::evidence_text(without_literals(text), max),
        false => text::evidence_text(text, max),
    };
    let uri = text::normalize_uri(found.path, None);
    let snippet = found.mark.snippet.map(|snippet| shown(snippet, 2000)).filter(|snippet| !snippet.trim().is_empty());
    let rule = text::truncate(found.rule, 300);
    // A message, and a rule, may be nothing but white space and control characters.
    let titles = [Cow::Owned(shown(found.message, 1000)), Cow::Borrowed(rule.as_str()), Cow::Borrowed(NO_RULE)];
    let mut titles = titles.into_iter().map(|title| text::one_line(&title, 300));
    let title = titles.find(|title| !title.is_empty()).unwrap_or_default();
    let layer = mapping::layer(found.tool, &categories);
    FindingRecord {
        severity: found.severity,
        title,
        description: shown(found.message.trim(), 8000),
        remediation: text::evidence_text(found.remediation, 8000),
        categories: categories.into_vec(),
        locations: if uri.is_empty() {
            Vec::new()
        } else {
            vec![Location { uri: uri.clone(), line: found.line, snippet }]
        },
        evidence: evidence.finish(),
        ..FindingRecord::blank(asset, fingerprint(asset, found.tool, &rule, &uri, found.mark), &rule, layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn useless_fingerprints_are_known() {
        for (text, usable) in [
            ("39fa2ee980eb94b0:1", true),
            ("requires login", false),
            ("4", false),
            ("abcdefghij", false),
            ("9f1c0a52-6f5e-4c1b-9a53-0d8f2f1d6a10", false),
        ] {
            assert_eq!(usable_fingerprint(text).is_some(), usable, "{text}");
        }
    }

    #[test]
    fn literals_are_not_kept() {
        assert_eq!(without_literals("PASSWORD = \"hunter2\" # it's\nx = 'y'"), "PASSWORD = \"…\" # it'…\nx = '…'");
        assert_eq!(without_literals("Possible hardcoded password: 'hunter2"), "Possible hardcoded password: '…");
        assert_eq!(without_literals("größer"), "größer");
    }
}
