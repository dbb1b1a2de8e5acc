//! Concepts: what the words of a text do, in any of the lexicon's languages.

use super::text::{self, Canonical, KnownWords, Word};
use aho_corasick::{Anchored, MatchKind, automaton::Automaton as _, nfa::contiguous::NFA};
use serde::Deserialize;
use std::{collections::BTreeMap, ops::Range};

/// A place where a text speaks of a concept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mention {
    /// Index into [`Lexicon::concepts`].
    pub concept: usize,
    /// First word and the word after the last, as indices of the words of the text.
    pub from: usize,
    pub to: usize,
}

/// A text with what the rules and the model read: its words and the concepts they speak of.
#[derive(Debug)]
pub struct Reading {
    pub canonical: Canonical,
    /// The words in lower case; what [`Word::text`] refers to.
    pub lower: String,
    pub words: Vec<Word>,
    /// In the order of the text; they do not overlap within a concept.
    pub mentions: Vec<Mention>,
}

impl Reading {
    /// Bytes of the original for a run of words; `None` for none.
    #[must_use]
    pub fn original_of(&self, words: Range<usize>) -> Option<Range<usize>> {
        let words = self.words.get(words)?;
        Some(self.canonical.original_of(words.first()?.glyphs.start..words.last()?.glyphs.end))
    }
}

/// The phrases of all concepts, compiled.
#[derive(Debug)]
pub struct Lexicon {
    pub version: String,
    /// Names in the order of their indices.
    pub concepts: Vec<String>,
    matcher: NFA,
    /// Per pattern: the concept, and whether any ending may follow.
    patterns: Vec<(usize, bool)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: String,
    concepts: BTreeMap<String, Vec<String>>,
}

impl Lexicon {
    /// Reads a lexicon in the form of `data/lexicon.toml`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the file.
    pub fn parse(source: &str) -> Result<Self, String> {
        let file: File = toml::from_str(source).map_err(|error| error.to_string())?;
        let (mut concepts, mut phrases, mut patterns) = (Vec::new(), Vec::new(), Vec::new());
        for (concept, (name, list)) in file.concepts.into_iter().enumerate() {
            concepts.push(name);
            for phrase in list {
                // Korean joins its particles to the word.
                let open = phrase.ends_with(|c| c == '*' || ('\u{ac00}'..='\u{d7a3}').contains(&c));
                let canonical = text::read(phrase.trim_end_matches('*'), &KnownWords::default());
                phrases.push(text::words(canonical.glyphs()).0);
                patterns.push((concept, open));
            }
        }
        let matcher =
            NFA::builder().match_kind(MatchKind::Standard).build(&phrases).map_err(|error| error.to_string())?;
        Ok(Self { version: file.version, concepts, matcher, patterns })
    }

    /// The index of a concept.
    #[must_use]
    pub fn concept(&self, name: &str) -> Option<usize> {
        self.concepts.iter().position(|c| c == name)
    }

    /// Takes the text's disguises off and finds its words and concepts.
    #[must_use]
    pub fn read(&self, text: &str, known: &KnownWords) -> Reading {
        let canonical = text::read(text, known);
        let (lower, words) = text::words(canonical.glyphs());
        let mentions = self.mentions(&lower, &words);
        Reading { canonical, lower, words, mentions }
    }

    fn mentions(&self, lower: &str, words: &[Word]) -> Vec<Mention> {
        let mut found: Vec<Mention> = Vec::new();
        // A phrase begins where a word does and, unless it is open, ends where one does.
        let Ok(start) = self.matcher.start_state(Anchored::Yes) else { return found };
        for (from, word) in words.iter().enumerate() {
            let (mut state, mut to) = (start, from);
            for (at, &byte) in lower.as_bytes().iter().enumerate().skip(word.text.start) {
                state = self.matcher.next_state(Anchored::Yes, state, byte);
                if self.matcher.is_dead(state) {
                    break;
                }
                while words.get(to).is_some_and(|word| word.text.start <= at) {
                    to += 1;
                }
                if !self.matcher.is_match(state) {
                    continue;
                }
                for nth in 0..self.matcher.match_len(state) {
                    let phrase = self.matcher.match_pattern(state, nth);
                    let (concept, open) = self.patterns[phrase.as_usize()];
                    // The automaton also reports phrases that only the end of what it read is.
                    let is_whole = self.matcher.pattern_len(phrase) == at + 1 - word.text.start;
                    if is_whole && (open || words[to - 1].text.end == at + 1) {
                        found.push(Mention { concept, from, to });
                    }
                }
            }
        }
        // The longest of those that begin together, and none inside another of its concept.
        found.sort_by_key(|m| (m.from, m.concept, usize::MAX - m.to));
        let mut until = vec![0; self.concepts.len()];
        found.retain(|m| {
            let free = m.from >= until[m.concept];
            if free {
                until[m.concept] = m.to;
            }
            free
        });
        found
    }
}
