//! What a text says once its disguises are off.
//!
//! [`read`] gives the text in one canonical form: compatibility characters, invisible characters, look-alikes and accents are
//! folded, and what is encoded is replaced in place by what it decodes to, layer under layer. Every character remembers which
//! bytes of the original it came from, and every disguise that was taken off is reported as a [`Decoding`]: that somebody hid
//! something is itself evidence.
//!
//! Rules and the model read the canonical text; secrets and personal data are looked for in the original, and in the canonical
//! text where it differs.

mod bytes;
mod cipher;
mod escapes;
mod fold;
mod signs;
mod spelling;
mod survey;
#[cfg(test)]
mod tests;
mod words;

use serde::{Serialize, Serializer};
use std::ops::Range;
use survey::Survey;

pub(super) use bytes::base64;
pub use words::{Kind, KnownWords, Word, words};

/// Layers of encoding that are taken off. Attackers nest two or three; each costs a pass over the text.
const MAX_DEPTH: usize = 4;
/// Decodings reported for one text; the rest is decoded but not listed.
const MAX_REPORTED: usize = 64;
/// Characters of the decoded text that a report quotes.
const EXCERPT: usize = 160;

/// How something was hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Disguise {
    /// Zero-width and other invisible characters inside words.
    Invisible,
    /// Unicode tag characters or variation selectors that spell a text.
    Smuggled,
    /// Letters of another script that look like Latin ones.
    Homoglyph,
    /// Mathematical, full-width, circled and other styled letters.
    Styled,
    HtmlEntity,
    UrlEscape,
    /// `\u0041`, `\x41`.
    BackslashEscape,
    /// `=41`, as in mail.
    QuotedPrintable,
    Base64,
    Base32,
    Hex,
    /// Zeros and ones.
    Binary,
    /// Character codes as decimal numbers.
    Decimal,
    /// Character codes as octal numbers.
    Octal,
    /// Letters by their place in the alphabet, a = 1.
    Ordinals,
    Morse,
    Braille,
    /// Letters as words: alpha, bravo, charlie.
    Spelled,
    /// Letters set apart: `i g n o r e`.
    Spaced,
    /// Words without spaces between them.
    Joined,
    /// Strings put together from pieces: `"ig" + "nore"`.
    Pieces,
    /// Digits and signs for letters.
    Leet,
    /// The alphabet shifted, ROT13 among them.
    Caesar,
    Atbash,
    /// All printable ASCII shifted by 47.
    Rot47,
    Reversed,
    /// Turned by half, as `ǝɹouƃı`.
    Flipped,
}

impl Serialize for Disguise {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Disguise {
    pub const ALL: [Self; 27] = [
        Self::Invisible,
        Self::Smuggled,
        Self::Homoglyph,
        Self::Styled,
        Self::HtmlEntity,
        Self::UrlEscape,
        Self::BackslashEscape,
        Self::QuotedPrintable,
        Self::Base64,
        Self::Base32,
        Self::Hex,
        Self::Binary,
        Self::Decimal,
        Self::Octal,
        Self::Ordinals,
        Self::Morse,
        Self::Braille,
        Self::Spelled,
        Self::Spaced,
        Self::Joined,
        Self::Pieces,
        Self::Leet,
        Self::Caesar,
        Self::Atbash,
        Self::Rot47,
        Self::Reversed,
        Self::Flipped,
    ];

    /// The word that stands for it in data and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invisible => "INVISIBLE",
            Self::Smuggled => "SMUGGLED",
            Self::Homoglyph => "HOMOGLYPH",
            Self::Styled => "STYLED",
            Self::HtmlEntity => "HTML_ENTITY",
            Self::UrlEscape => "URL_ESCAPE",
            Self::BackslashEscape => "BACKSLASH_ESCAPE",
            Self::QuotedPrintable => "QUOTED_PRINTABLE",
            Self::Base64 => "BASE64",
            Self::Base32 => "BASE32",
            Self::Hex => "HEX",
            Self::Binary => "BINARY",
            Self::Decimal => "DECIMAL",
            Self::Octal => "OCTAL",
            Self::Ordinals => "ORDINALS",
            Self::Morse => "MORSE",
            Self::Braille => "BRAILLE",
            Self::Spelled => "SPELLED",
            Self::Spaced => "SPACED",
            Self::Joined => "JOINED",
            Self::Pieces => "PIECES",
            Self::Leet => "LEET",
            Self::Caesar => "CAESAR",
            Self::Atbash => "ATBASH",
            Self::Rot47 => "ROT47",
            Self::Reversed => "REVERSED",
            Self::Flipped => "FLIPPED",
        }
    }
}

/// A disguise that was taken off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decoding {
    pub disguise: Disguise,
    /// Bytes of the original text.
    pub span: Range<usize>,
    /// 0 for what stood in the text itself, 1 for what was inside a decoding, and so on.
    pub depth: usize,
    /// The beginning of what it says.
    pub excerpt: String,
}

/// A character and the bytes of the original that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glyph {
    pub char: char,
    pub start: u32,
    pub end: u32,
}

/// A text without its disguises.
#[derive(Clone, Debug)]
pub struct Canonical {
    glyphs: Vec<Glyph>,
    /// The glyphs as text, in the case in which they stand.
    pub text: String,
    /// The place in `text` at which each glyph begins; empty when that is its index (all ASCII).
    starts: Vec<u32>,
    pub decodings: Vec<Decoding>,
}

impl Canonical {
    /// The characters, each with its place in the original.
    #[must_use]
    pub fn glyphs(&self) -> &[Glyph] {
        &self.glyphs
    }

    /// Bytes of the original for bytes of the canonical text. Spans that are empty or out of range give an empty one.
    #[must_use]
    pub fn original(&self, span: Range<usize>) -> Range<usize> {
        if span.start >= span.end {
            return 0..0;
        }
        self.original_of(self.glyph_at(span.start)..self.glyph_at(span.end - 1) + 1)
    }

    /// Bytes of the original for a run of glyphs: the smallest range that holds all of them.
    #[must_use]
    pub fn original_of(&self, glyphs: Range<usize>) -> Range<usize> {
        hull(self.glyphs.get(glyphs).unwrap_or_default())
    }

    /// Whether anything but case was changed.
    #[must_use]
    pub fn differs(&self) -> bool {
        !self.decodings.is_empty()
    }

    fn glyph_at(&self, byte: usize) -> usize {
        if self.starts.is_empty() {
            return byte;
        }
        self.starts.partition_point(|&start| start as usize <= byte).saturating_sub(1)
    }
}

/// Whether a step may find anything.
type MayFind = fn(&Survey) -> bool;
type Step = fn(&[Glyph], &KnownWords, &mut Decodings) -> Option<Vec<Glyph>>;

/// What takes disguises off, in this order, each behind what a text must have for it to find anything: most texts have none of it.
const STEPS: [(MayFind, Step); 16] = [
    (|s| s.has(b'&'), |glyphs, _, decodings| escapes::html(glyphs, decodings)),
    (|s| s.has(b'%'), |glyphs, _, decodings| escapes::percent(glyphs, decodings)),
    (|s| s.has(b'\\'), |glyphs, _, decodings| escapes::backslash(glyphs, decodings)),
    (|s| s.has(b'='), |glyphs, _, decodings| escapes::quoted_printable(glyphs, decodings)),
    (|s| s.base64 >= bytes::MIN_TOKEN, |glyphs, _, decodings| bytes::tokens(glyphs, decodings)),
    (|s| s.digits >= 2 * bytes::MIN_CODES, |glyphs, _, decodings| bytes::numbers(glyphs, decodings)),
    (|s| s.morse >= signs::MIN_MORSE, |glyphs, _, decodings| signs::morse(glyphs, decodings)),
    (|s| s.braille >= signs::MIN_LETTERS, |glyphs, _, decodings| signs::braille(glyphs, decodings)),
    (|_| true, |glyphs, _, decodings| spelling::spelled(glyphs, decodings)),
    (|s| s.has(b'+'), |glyphs, _, decodings| spelling::pieces(glyphs, decodings)),
    (|s| s.digits >= 2 * signs::MIN_LETTERS, signs::ordinals),
    (|s| s.alone >= spelling::MIN_SPACED, |glyphs, _, decodings| spelling::spaced(glyphs, decodings)),
    (|s| s.leet, spelling::leet),
    (|_| true, cipher::letters),
    (|_| true, cipher::rot47),
    (|s| s.letters >= spelling::MIN_JOINED.0, spelling::joined),
];

/// Takes the disguises off. Linear in the text's length; decoding adds nothing but blanks between words. `known` tells words from noise.
///
/// Texts over 4 GiB are cut: offsets are 32 bits wide.
#[must_use]
pub fn read(text: &str, known: &KnownWords) -> Canonical {
    let mut decodings = Decodings::default();
    let mut glyphs = fold::fold(text, &mut decodings);
    for depth in 0..MAX_DEPTH {
        decodings.depth = depth;
        let before = decodings.count;
        let mut survey = Survey::of(&glyphs);
        for (may_find, step) in STEPS {
            if may_find(&survey)
                && let Some(changed) = step(&glyphs, known, &mut decodings)
            {
                survey = Survey::of(&changed);
                glyphs = changed;
            }
        }
        if decodings.count == before {
            break;
        }
        // What was decoded may hold invisible and styled characters of its own.
        if !glyphs.iter().all(|g| g.char.is_ascii()) {
            glyphs = fold::again(&glyphs, &mut decodings);
        }
    }
    finish(glyphs, decodings.list)
}

fn finish(glyphs: Vec<Glyph>, decodings: Vec<Decoding>) -> Canonical {
    let text: String = glyphs.iter().map(|g| g.char).collect();
    let mut starts = Vec::new();
    if text.len() != glyphs.len() {
        starts.extend(text.char_indices().map(|(at, _)| index(at)));
    }
    Canonical { glyphs, text, starts, decodings }
}

/// An offset; texts are cut before they need more than 32 bits.
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn hull(glyphs: &[Glyph]) -> Range<usize> {
    let start = glyphs.iter().map(|g| g.start).min().unwrap_or(0);
    let end = glyphs.iter().map(|g| g.end).max().unwrap_or(0);
    start as usize..end as usize
}

/// The decodings found so far.
#[derive(Default)]
struct Decodings {
    depth: usize,
    /// All that were made, listed or not.
    count: usize,
    list: Vec<Decoding>,
}

impl Decodings {
    fn add(&mut self, disguise: Disguise, from: &[Glyph], decoded: impl Iterator<Item = char>) {
        self.count += 1;
        if self.list.len() < MAX_REPORTED {
            let excerpt = decoded.take(EXCERPT).collect();
            self.list.push(Decoding { disguise, span: hull(from), depth: self.depth, excerpt });
        }
    }
}

/// Replaces disguised runs. `one` looks at a place and says how many glyphs it is done with and, where these are a disguise, what they
/// say. `None` when nothing was found.
fn replace_runs(
    glyphs: &[Glyph],
    decodings: &mut Decodings,
    one: impl Fn(usize) -> (usize, Option<(Disguise, Vec<Glyph>)>),
) -> Option<Vec<Glyph>> {
    let mut out: Option<Vec<Glyph>> = None;
    let (mut at, mut copied) = (0, 0);
    while at < glyphs.len() {
        let (length, found) = one(at);
        if let Some((disguise, says)) = found {
            let out = out.get_or_insert_default();
            out.extend_from_slice(&glyphs[copied..at]);
            decodings.add(disguise, &glyphs[at..at + length], says.iter().map(|g| g.char));
            out.extend(says);
            copied = at + length;
        }
        at += length;
    }
    let mut out = out?;
    out.extend_from_slice(&glyphs[copied..]);
    Some(out)
}

/// Decoded characters, spread evenly over the glyphs that they came from.
fn spread(decoded: &[char], from: &[Glyph]) -> Vec<Glyph> {
    let last = from.len().saturating_sub(1);
    let at = |i: usize| (i * from.len() / decoded.len()).min(last);
    let glyph = |(i, &char): (usize, &char)| {
        let (first, end) = (from.get(at(i))?, from.get(at(i + 1).max(at(i) + 1).saturating_sub(1).min(last))?);
        Some(Glyph { char, start: first.start.min(end.start), end: first.end.max(end.end) })
    };
    decoded.iter().enumerate().filter_map(glyph).collect()
}
