//! Concepts: what the words of a text do, in any of the lexicon's languages.

use super::text::{self, Canonical, KnownWords, Word};
use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};
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
    matcher: AhoCorasick,
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
        let matcher = AhoCorasickBuilder::new()
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&phrases)
            .map_err(|error| error.to_string())?;
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
        for hit in self.matcher.find_overlapping_iter(lower) {
            let (concept, open) = self.patterns[hit.pattern().as_usize()];
            // A phrase begins where a word does and, unless it is open, ends where one does.
            let from = words.partition_point(|word| word.text.start < hit.start());
            let to = words.partition_point(|word| word.text.start < hit.end());
            let starts = words.get(from).is_some_and(|word| word.text.start == hit.start());
            let ends = to > from && words.get(to - 1).is_some_and(|word| open || word.text.end == hit.end());
            if starts && ends {
                found.push(Mention { concept, from, to });
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
