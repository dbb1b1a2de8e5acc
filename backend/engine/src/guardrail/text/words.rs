//! Words of a canonical text, and which of them are known.

use super::Glyph;
use std::ops::Range;

/// A word, a single sign of a script without spaces, or a run of signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Bytes of the lower-case text that [`words`] gives.
    pub text: Range<usize>,
    /// The glyphs it is made of.
    pub glyphs: Range<usize>,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Word,
    /// Digits only, each written 0.
    Number,
    /// At most four signs of punctuation.
    Signs,
}

/// The words in order, and the lower-case text that they are ranges of.
#[must_use]
pub fn words(glyphs: &[Glyph]) -> (String, Vec<Word>) {
    let mut text = String::with_capacity(glyphs.len() + glyphs.len() / 8);
    let mut words: Vec<Word> = Vec::with_capacity(glyphs.len() / 5);
    // Whether the last word may still grow.
    let mut open = false;
    for (at, glyph) in glyphs.iter().enumerate() {
        let char = glyph.char;
        let kind = if char.is_ascii_digit() {
            Kind::Number
        } else if char.is_alphabetic() || char == '_' || char == '\'' && inside(glyphs, at) {
            Kind::Word
        } else if char.is_whitespace() {
            if open {
                text.push(' ');
            }
            open = false;
            continue;
        } else {
            Kind::Signs
        };
        let alone = is_unspaced(char);
        let grows = open
            && !alone
            && words.last().is_some_and(|last| match (last.kind, kind) {
                (Kind::Signs, Kind::Signs) => last.glyphs.len() < 4,
                (Kind::Signs, _) | (_, Kind::Signs) => false,
                _ => true,
            });
        let from = text.len();
        match kind {
            Kind::Number => text.push('0'),
            _ if char.is_ascii() => text.push(char.to_ascii_lowercase()),
            _ => text.extend(char.to_lowercase()),
        }
        if grows && let Some(last) = words.last_mut() {
            last.text.end = text.len();
            last.glyphs.end = at + 1;
            if kind == Kind::Word {
                last.kind = Kind::Word;
            }
        } else {
            words.push(Word { text: from..text.len(), glyphs: at..at + 1, kind });
        }
        open = !alone;
    }
    (text, words)
}

/// Whether letters stand on both sides.
fn inside(glyphs: &[Glyph], at: usize) -> bool {
    let letter = |g: Option<&Glyph>| g.is_some_and(|g| g.char.is_alphabetic());
    at > 0 && letter(glyphs.get(at - 1)) && letter(glyphs.get(at + 1))
}

/// Scripts that are written without spaces: each sign counts as a word.
fn is_unspaced(char: char) -> bool {
    matches!(char, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{2fa1f}')
}

/// The words that the trainer saw often, as a Bloom filter: enough to tell language from cipher, and nothing can be read from it.
#[derive(Clone, Debug, Default)]
pub struct KnownWords {
    bits: Vec<u8>,
}

impl KnownWords {
    /// Bytes of a filter for some 30,000 words; about 1 % of unknown words pass.
    pub const BYTES: usize = 1 << 16;

    /// A filter from its bytes, as [`Self::as_bytes`] gave them.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self { bits: bytes.to_vec() }
    }

    /// A filter of these words.
    #[must_use]
    pub fn of<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut bits = vec![0; Self::BYTES];
        for word in words {
            for at in places(word.chars()) {
                bits[at / 8] |= 1 << (at % 8);
            }
        }
        Self { bits }
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bits
    }

    /// Whether a word, in lower case, is among them.
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        self.has_chars(word.chars())
    }

    pub(super) fn has_chars(&self, word: impl Iterator<Item = char>) -> bool {
        let is_set = |at: usize| self.bits.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 != 0);
        places(word).all(is_set)
    }
}

/// Four places by double hashing.
fn places(word: impl Iterator<Item = char>) -> impl Iterator<Item = usize> {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for char in word {
        hash = (hash ^ u64::from(u32::from(char))).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 29;
    let (a, b) = (hash & 0xffff_ffff, (hash >> 32) | 1);
    const BITS: u64 = KnownWords::BYTES as u64 * 8;
    (0..4).map(move |i| usize::try_from((a + i * b) % BITS).unwrap_or_default())
}
