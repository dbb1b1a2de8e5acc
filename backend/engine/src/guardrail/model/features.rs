//! What the model sees of a text: hashed features, each at the word where it ends.

use crate::guardrail::{
    lexicon::Reading,
    text::{Disguise, Kind, Word},
};
use std::ops::Range;

/// How far back a concept looks for others, in words.
const REACH: usize = 16;
/// How many earlier concepts it is paired with.
const PARTNERS: usize = 6;

/// Features grouped by word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Hashes of n-grams of words; of characters; of concepts, their pairs and triples.
    pub lists: [Grouped; super::LISTS],
    /// Disguises that were taken off, as indices of [`Disguise::ALL`].
    pub disguises: Vec<usize>,
}

/// Lists of hashes, one list a word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grouped {
    hashes: Vec<u32>,
    ends: Vec<u32>,
}

impl Grouped {
    /// The number of words.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The hashes of all words.
    #[must_use]
    pub fn all(&self) -> &[u32] {
        &self.hashes
    }

    /// The hashes of some words.
    #[must_use]
    pub fn of(&self, words: Range<usize>) -> &[u32] {
        let at = |word: usize| word.checked_sub(1).and_then(|w| self.ends.get(w)).map_or(0, |&end| end as usize);
        self.hashes.get(at(words.start)..at(words.end)).unwrap_or_default()
    }

    fn close(&mut self) {
        self.ends.push(u32::try_from(self.hashes.len()).unwrap_or(u32::MAX));
    }
}

/// The features of a text.
#[must_use]
pub fn features(reading: &Reading) -> Features {
    let mut disguises: Vec<usize> = reading
        .canonical
        .decodings
        .iter()
        .filter_map(|d| Disguise::ALL.iter().position(|disguise| *disguise == d.disguise))
        .collect();
    disguises.sort_unstable();
    disguises.dedup();
    let [words, chars] = grams(reading);
    Features { lists: [words, chars, concepts(reading)], disguises }
}

fn grams(reading: &Reading) -> [Grouped; 2] {
    let (mut words, mut chars) = (Grouped::default(), Grouped::default());
    words.hashes.reserve(reading.words.len() * 6);
    chars.hashes.reserve(reading.lower.len() * 4);
    // Hashes of the words before, signs left out.
    let (mut last, mut second, mut third) = (1_u32, 1_u32, 1_u32);
    let mut signs = None;
    let mut buffer: Vec<u32> = Vec::with_capacity(32);
    for word in &reading.words {
        let text = &reading.lower[word.text.clone()];
        let hash = text.chars().fold(SEED, |hash, c| step(hash, u32::from(c)));
        if word.kind == Kind::Signs {
            words.hashes.push(mix(hash, 11));
            signs = Some(hash);
        } else {
            words.hashes.push(mix(hash, 1));
            words.hashes.push(mix(step(last, hash), 2));
            words.hashes.push(mix(step(step(second, last), hash), 3));
            words.hashes.push(mix(step(second, hash), 4));
            words.hashes.push(mix(step(third, hash), 5));
            if let Some(signs) = signs.take() {
                words.hashes.push(mix(step(signs, hash), 6));
            }
            (third, second, last) = (second, last, hash);
        }
        if word.kind == Kind::Word {
            buffer.clear();
            buffer.push(u32::from('<'));
            buffer.extend(text.chars().take(28).map(u32::from));
            buffer.push(u32::from('>'));
            for start in 0..buffer.len() {
                let mut hash = SEED;
                for (length, &char) in buffer[start..].iter().take(5).enumerate() {
                    hash = step(hash, char);
                    if length >= 2 {
                        chars.hashes.push(mix(hash, 7));
                    }
                }
            }
        }
        words.close();
        chars.close();
    }
    [words, chars]
}

fn concepts(reading: &Reading) -> Grouped {
    let mut out = Grouped::default();
    let mut mentions = reading.mentions.iter().enumerate().peekable();
    for at in 0..reading.words.len() {
        let is_start = at == 0 || is_stop(reading, &reading.words[at - 1]);
        while let Some((nth, mention)) = mentions.next_if(|(_, m)| m.from == at) {
            let this = id(mention.concept);
            out.hashes.push(mix(this, 20));
            if is_start {
                out.hashes.push(mix(this, 21));
            }
            let near = reading.mentions[..nth].iter().rev().take_while(|m| m.from + REACH > at);
            let mut before: Option<u32> = None;
            for other in near.filter(|m| m.concept != mention.concept).take(PARTNERS) {
                let that = id(other.concept);
                out.hashes.push(mix(step(that, this), 22));
                if other.to + 3 > at {
                    out.hashes.push(mix(step(that, this), 23));
                }
                if let Some(between) = before {
                    out.hashes.push(mix(step(step(that, between), this), 24));
                }
                before = Some(that);
            }
        }
        out.close();
    }
    out
}

/// Whether a sentence ends here.
fn is_stop(reading: &Reading, word: &Word) -> bool {
    word.kind == Kind::Signs
        && reading.lower[word.text.clone()].contains(['.', '!', '?', ':', '。', '>', ']', '*', '#'])
}

fn id(concept: usize) -> u32 {
    step(SEED, u32::try_from(concept).unwrap_or(u32::MAX))
}

const SEED: u32 = 0x811c_9dc5;

/// One step of FNV-1a over whole code points.
fn step(hash: u32, with: u32) -> u32 {
    (hash ^ with).wrapping_mul(0x0100_0193)
}

/// Keeps kinds of features apart and spreads their bits: the finalizer of MurmurHash3.
fn mix(hash: u32, kind: u32) -> u32 {
    let mut h = hash ^ kind.wrapping_mul(0x9e37_79b9);
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}
