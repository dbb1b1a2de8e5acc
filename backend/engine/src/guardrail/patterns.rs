//! Regular expressions behind a first look for what their matches can not be without: most texts have none of it, and are passed over
//! once for all expressions together.

use super::needs::{Literal, Needs};
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex_automata::{meta::Regex, util::syntax};
use std::collections::BTreeMap;

/// States of one expression's automaton, in bytes; one that needs more is a mistake in the data.
const SIZE_LIMIT: usize = 32 << 20;

/// Compiles an expression of the data files. Classes and boundaries are those of ASCII, which keeps the automata small; an expression that
/// needs letters of all scripts says `(?u:…)`.
///
/// # Errors
/// What the expression's author must mend.
pub fn compile(pattern: &str, ignore_case: bool) -> Result<(Regex, Needs), String> {
    let syntax = syntax::Config::new().case_insensitive(ignore_case).unicode(false).utf8(false);
    let hir = syntax::parse_with(pattern, &syntax).map_err(|error| format!("{error}: {pattern}"))?;
    let regex = Regex::builder()
        .configure(Regex::config().nfa_size_limit(Some(SIZE_LIMIT)).utf8_empty(false))
        .build_from_hir(&hir)
        .map_err(|error| format!("{error}: {pattern}"))?;
    Ok((regex, Needs::of(&hir)))
}

/// Which of many expressions may match in a text, by the literals that they need.
#[derive(Debug)]
pub struct Candidates {
    matcher: AhoCorasick,
    /// For each text of the matcher the literals that it is; they differ in whether they are whole words.
    literals: Vec<Vec<(Literal, Vec<usize>)>>,
    /// For each expression how many clauses it has, and the first of them.
    clauses: Vec<std::ops::Range<usize>>,
}

impl Candidates {
    /// # Errors
    /// When there are too many literals for one automaton.
    pub fn new<'a>(needs: impl Iterator<Item = &'a Needs>) -> Result<Self, String> {
        let mut owners: BTreeMap<&[u8], BTreeMap<&Literal, Vec<usize>>> = BTreeMap::new();
        let (mut clauses, mut count) = (Vec::new(), 0);
        for needs in needs {
            let first = count;
            for clause in &needs.clauses {
                for literal in clause {
                    owners.entry(&literal.text).or_default().entry(literal).or_default().push(count);
                }
                count += 1;
            }
            clauses.push(first..count);
        }
        let matcher = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .prefilter(false)
            .build(owners.keys())
            .map_err(|error| error.to_string())?;
        let owned = |(literal, clauses): (&Literal, Vec<usize>)| (literal.clone(), clauses);
        let literals = owners.into_values().map(|literals| literals.into_iter().map(owned).collect()).collect();
        Ok(Self { matcher, literals, clauses })
    }

    /// For each expression whether it is worth a closer look.
    #[must_use]
    pub fn of(&self, text: &str) -> Vec<bool> {
        let mut holds = vec![false; self.clauses.last().map_or(0, |last| last.end)];
        let mut seen = vec![false; self.literals.len()];
        for hit in self.matcher.find_overlapping_iter(text) {
            let which = hit.pattern().as_usize();
            if seen[which] {
                continue;
            }
            let mut all = true;
            for (literal, clauses) in &self.literals[which] {
                if literal.stands(text.as_bytes(), hit.range()) {
                    clauses.iter().for_each(|&clause| holds[clause] = true);
                } else {
                    all = false;
                }
            }
            seen[which] = all;
        }
        self.clauses.iter().map(|clauses| holds[clauses.clone()].iter().all(|holds| *holds)).collect()
    }
}
