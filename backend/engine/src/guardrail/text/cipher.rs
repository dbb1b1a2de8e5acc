//! Ciphers over a line: shifted and mirrored alphabets, backwards and upside down. They are tried only where a line has few known
//! words, and taken only where the result has many.

use super::{Decodings, Disguise, Glyph, KnownWords};
use std::ops::Range;

/// Letters of a line that are tried.
const SAMPLE: usize = 240;
/// Shorter lines of signs are not tried.
const MIN_ROT47: usize = 16;

/// Deciphers every line that becomes readable by it.
pub(super) fn letters(glyphs: &[Glyph], known: &KnownWords, decodings: &mut Decodings) -> Option<Vec<Glyph>> {
    let mut out: Option<Vec<Glyph>> = None;
    let mut at = 0;
    for line in glyphs.split_inclusive(|g| g.char == '\n') {
        let range = at..at + line.len();
        at = range.end;
        let deciphered = suspicious(line, known).and_then(|part| decipher(line, part, known));
        if let Some((part, disguise, says)) = deciphered {
            let part = range.start + part.start..range.start + part.end;
            decodings.add(disguise, &glyphs[part.clone()], says.iter().map(|g| g.char));
            out.get_or_insert_with(|| glyphs.to_vec())[part].copy_from_slice(&says);
        }
    }
    out
}

/// The line, or its part after a colon or inside quotes ("decode this: …"), if most of its words are unknown.
fn suspicious(line: &[Glyph], known: &KnownWords) -> Option<Range<usize>> {
    // The longest stretch in which unknown words are the rule.
    let (mut best, mut start, mut weight) = (0..0, 0, 0_i32);
    let mut best_weight = 0;
    for word in split(line) {
        if weight <= 0 {
            (start, weight) = (word.start, 0);
        }
        let length = i32::try_from(word.len().min(8)).unwrap_or(8);
        weight += if is_known(&line[word.clone()], known, |c| c) { -2 * length } else { length };
        if weight > best_weight {
            (best, best_weight) = (start..word.end, weight);
        }
    }
    (best_weight >= 10).then_some(best)
}

/// Runs of letters.
fn split(glyphs: &[Glyph]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += glyphs[at..].iter().position(|g| g.char.is_ascii_alphabetic())?;
        let length = glyphs[at..].iter().take_while(|g| g.char.is_ascii_alphabetic()).count();
        at += length;
        Some(at - length..at)
    })
}

fn is_known(word: &[Glyph], known: &KnownWords, map: impl Fn(char) -> char) -> bool {
    known.has_chars(word.iter().map(|g| map(g.char.to_ascii_lowercase())))
}

/// The share of letters that stand in known words of three letters and more, in thousandths.
fn readability(glyphs: &[Glyph], known: &KnownWords, map: impl Fn(char) -> char) -> usize {
    let (mut all, mut good, mut count) = (0, 0, 0);
    for word in split(&glyphs[..glyphs.len().min(SAMPLE)]).filter(|w| w.len() >= 3) {
        all += word.len();
        if is_known(&glyphs[word.clone()], known, &map) {
            good += word.len();
            count += 1;
        }
    }
    if count < 2 || good < 9 { 0 } else { good * 1000 / all.max(1) }
}

/// A way to read a part of a line.
#[derive(Clone, Copy)]
struct Key {
    disguise: Disguise,
    shift: u32,
    is_backwards: bool,
}

impl Key {
    /// All that are tried, beside words that are reversed one by one.
    fn all() -> impl Iterator<Item = Self> {
        let key = |disguise, shift, is_backwards| Self { disguise, shift, is_backwards };
        let fixed = [
            key(Disguise::Reversed, 0, true),
            key(Disguise::Flipped, 0, true),
            key(Disguise::Atbash, 0, false),
            key(Disguise::Caesar, 13, true),
        ];
        fixed.into_iter().chain((1..26).map(move |by| key(Disguise::Caesar, by, false)))
    }

    fn letter(self, char: char) -> char {
        match self.disguise {
            Disguise::Atbash => shift(char, |n| 25 - n),
            // What turning makes of letters that look like others upside down.
            Disguise::Flipped => match char {
                'n' => 'u',
                'u' => 'n',
                'p' => 'd',
                'd' => 'p',
                'b' => 'q',
                'q' => 'b',
                c => c,
            },
            _ => shift(char, |n| (n + self.shift) % 26),
        }
    }

    fn read(self, glyphs: &[Glyph]) -> Vec<Glyph> {
        let map = |g: &Glyph| Glyph { char: keep_case(g.char, &|c| self.letter(c)), ..*g };
        if self.is_backwards { glyphs.iter().rev().map(map).collect() } else { glyphs.iter().map(map).collect() }
    }

    /// The part with the words beside it that this key makes known, too: short words of a cipher are often words themselves.
    fn widen(self, line: &[Glyph], part: Range<usize>, known: &KnownWords) -> Range<usize> {
        let reads = |word: &Range<usize>| is_known(&self.read(&line[word.clone()]), known, |c| c);
        let words: Vec<Range<usize>> = split(line).collect();
        let (before, after) =
            (words.iter().rev().filter(|w| w.end <= part.start), words.iter().filter(|w| w.start >= part.end));
        let start = before.take_while(|w| reads(w)).last().map_or(part.start, |word| word.start);
        let end = after.take_while(|w| reads(w)).last().map_or(part.end, |word| word.end);
        start..end
    }
}

/// What a part of a line says under the key that makes it most readable, and how far that key reaches.
fn decipher(line: &[Glyph], part: Range<usize>, known: &KnownWords) -> Option<(Range<usize>, Disguise, Vec<Glyph>)> {
    let glyphs = &line[part.clone()];
    let mut least = readability(glyphs, known, |c| c).max(400) + 200;
    let mut best = None;
    let backwards: Vec<Glyph> = glyphs.iter().rev().copied().collect();
    for key in Key::all() {
        let score = readability(if key.is_backwards { &backwards } else { glyphs }, known, |c| key.letter(c));
        if score > least {
            (least, best) = (score, Some(key));
        }
    }
    let mut by_word = glyphs.to_vec();
    for word in split(glyphs) {
        by_word[word].reverse();
    }
    // The same words as backwards; where the sentence's end stands where it should, their order was kept.
    let in_order = line.get(part.end).is_some_and(|g| matches!(g.char, '.' | '!' | '?'));
    let score = readability(&by_word, known, |c| c);
    if score > least || score == least && in_order && best.is_some_and(|key| key.disguise == Disguise::Reversed) {
        return Some((part, Disguise::Reversed, by_word));
    }
    let key = best?;
    let part = key.widen(line, part, known);
    let read = key.read(&line[part.clone()]);
    Some((part, key.disguise, read))
}

/// Deciphers lines in which all printable signs are shifted by 47.
pub(super) fn rot47(glyphs: &[Glyph], known: &KnownWords, decodings: &mut Decodings) -> Option<Vec<Glyph>> {
    let mut out: Option<Vec<Glyph>> = None;
    let mut at = 0;
    for line in glyphs.split_inclusive(|g| g.char == '\n') {
        let range = at..at + line.len();
        at = range.end;
        let signs = line.iter().filter(|g| g.char.is_ascii_punctuation()).count();
        if line.len() < MIN_ROT47 || signs * 8 < line.len() {
            continue;
        }
        let turn = |char: char| match char {
            '!'..='~' => char::from_u32((u32::from(char) - 33 + 47) % 94 + 33).unwrap_or(char),
            c => c,
        };
        let turned: Vec<Glyph> = line.iter().map(|g| Glyph { char: turn(g.char), ..*g }).collect();
        if readability(&turned, known, |c| c) >= 750 && readability(line, known, |c| c) < 400 {
            decodings.add(Disguise::Rot47, line, turned.iter().map(|g| g.char));
            out.get_or_insert_with(|| glyphs.to_vec())[range].copy_from_slice(&turned);
        }
    }
    out
}

fn keep_case(char: char, map: &dyn Fn(char) -> char) -> char {
    if char.is_ascii_uppercase() { map(char.to_ascii_lowercase()).to_ascii_uppercase() } else { map(char) }
}

fn shift(char: char, by: impl Fn(u32) -> u32) -> char {
    match char {
        'a'..='z' => char::from_u32(by(u32::from(char) - 97) + 97).unwrap_or(char),
        c => c,
    }
}
