//! Regular expressions behind a first look for their keywords: most texts hold none, and are passed over once.

use aho_corasick::{AhoCorasick, MatchKind};
use regex_automata::{meta::Regex, util::syntax};

/// States of one expression's automaton, in bytes; one that needs more is a mistake in the data.
const SIZE_LIMIT: usize = 32 << 20;

/// Compiles an expression of the data files. Classes and boundaries are those of ASCII, which keeps the automata small; an expression that
/// needs letters of all scripts says `(?u:…)`.
///
/// # Errors
/// What the expression's author must mend.
pub fn compile(pattern: &str, ignore_case: bool) -> Result<Regex, String> {
    Regex::builder()
        .configure(Regex::config().nfa_size_limit(Some(SIZE_LIMIT)).utf8_empty(false))
        .syntax(syntax::Config::new().case_insensitive(ignore_case).unicode(false).utf8(false))
        .build(pattern)
        .map_err(|error| format!("{error}: {pattern}"))
}

/// Which of many lists of keywords have one in a text.
#[derive(Debug)]
pub struct Keywords {
    matcher: AhoCorasick,
    /// The list of each keyword.
    lists: Vec<usize>,
    /// Lists without keywords: always candidates.
    always: Vec<bool>,
}

impl Keywords {
    /// # Errors
    /// When there are too many keywords for one automaton.
    pub fn new<'a>(lists: impl Iterator<Item = &'a [String]>) -> Result<Self, String> {
        let (mut words, mut owners, mut always) = (Vec::new(), Vec::new(), Vec::new());
        for (at, list) in lists.enumerate() {
            always.push(list.is_empty());
            words.extend(list.iter().map(String::as_str));
            owners.extend(list.iter().map(|_| at));
        }
        let matcher = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .build(words)
            .map_err(|error| error.to_string())?;
        Ok(Self { matcher, lists: owners, always })
    }

    /// For each list whether it is worth a closer look.
    #[must_use]
    pub fn present(&self, text: &str) -> Vec<bool> {
        let mut present = self.always.clone();
        for hit in self.matcher.find_overlapping_iter(text) {
            present[self.lists[hit.pattern().as_usize()]] = true;
        }
        present
    }
}
