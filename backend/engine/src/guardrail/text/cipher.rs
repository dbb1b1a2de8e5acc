//! Ciphers over the letters of a line: shifted, mirrored and reversed alphabets. They are tried only where a line has few known
//! words, and taken only where the result has many.

use super::{Decodings, Disguise, Glyph, KnownWords};
use std::ops::Range;

/// Letters of a line that are tried.
const SAMPLE: usize = 240;

/// Deciphers every line that becomes readable by it.
pub(super) fn letters(glyphs: &[Glyph], known: &KnownWords, decodings: &mut Decodings) -> Option<Vec<Glyph>> {
    let mut out: Option<Vec<Glyph>> = None;
    let mut at = 0;
    for line in glyphs.split_inclusive(|g| g.char == '\n') {
        let range = at..at + line.len();
        at = range.end;
        if let Some(part) = suspicious(line, known) {
            let part = range.start + part.start..range.start + part.end;
            if let Some((disguise, deciphered)) = decipher(&glyphs[part.clone()], known) {
                decodings.add(disguise, &glyphs[part.clone()], deciphered.iter().map(|g| g.char));
                out.get_or_insert_with(|| glyphs.to_vec())[part].copy_from_slice(&deciphered);
            }
        }
    }
    out
}

/// The line, or its part after a colon or inside quotes ("decode this: …"), if most of its words are unknown.
fn suspicious(line: &[Glyph], known: &KnownWords) -> Option<Range<usize>> {
    let words: Vec<Range<usize>> = split(line).collect();
    let unknown: Vec<bool> = words.iter().map(|word| !is_known(&line[word.clone()], known, &|c| c)).collect();
    // The longest stretch in which unknown words are the rule.
    let (mut best, mut start, mut weight) = (None, 0, 0_i32);
    let mut best_weight = 0;
    for (i, &is_unknown) in unknown.iter().enumerate() {
        if weight <= 0 {
            (start, weight) = (i, 0);
        }
        let length = i32::try_from(words[i].len().min(8)).unwrap_or(8);
        weight += if is_unknown { length } else { -2 * length };
        if weight > best_weight {
            (best, best_weight) = (Some(start..i + 1), weight);
        }
    }
    match best {
        Some(range) if best_weight >= 10 => {
            let (first, last) = (words[range.start].start, words[range.end - 1].end);
            Some(first..last)
        }
        _ => None,
    }
}

/// Runs of letters.
fn split(glyphs: &[Glyph]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += glyphs[at..].iter().position(|g| g.char.is_ascii_alphabetic())?;
        let length = glyphs[at..].iter().take_while(|g| g.char.is_ascii_alphabetic() || g.char == '\'').count();
        at += length;
        Some(at - length..at)
    })
}

fn is_known(word: &[Glyph], known: &KnownWords, map: &dyn Fn(char) -> char) -> bool {
    known.has_chars(word.iter().map(|g| map(g.char.to_ascii_lowercase())))
}

/// The share of letters that stand in known words of three letters and more, in thousandths.
fn readability(glyphs: &[Glyph], known: &KnownWords, map: &dyn Fn(char) -> char) -> usize {
    let (mut all, mut good, mut count) = (0, 0, 0);
    for word in split(&glyphs[..glyphs.len().min(SAMPLE)]).filter(|w| w.len() >= 3) {
        all += word.len();
        if is_known(&glyphs[word.clone()], known, map) {
            good += word.len();
            count += 1;
        }
    }
    if count < 2 || good < 9 { 0 } else { good * 1000 / all.max(1) }
}

fn decipher(part: &[Glyph], known: &KnownWords) -> Option<(Disguise, Vec<Glyph>)> {
    let reversed: Vec<Glyph> = part.iter().rev().copied().collect();
    let mut best = (readability(part, known, &|c| c).max(400) + 200, None);
    let mut consider = |score: usize, disguise, apply: &dyn Fn() -> Vec<Glyph>| {
        if score > best.0 {
            best = (score, Some((disguise, apply())));
        }
    };
    let with = |glyphs: &[Glyph], map: &dyn Fn(char) -> char| -> Vec<Glyph> {
        glyphs.iter().map(|g| Glyph { char: keep_case(g.char, map), ..*g }).collect()
    };
    consider(readability(&reversed, known, &|c| c), Disguise::Reversed, &|| reversed.clone());
    let by_word = || {
        let mut out = part.to_vec();
        for word in split(part) {
            out[word].reverse();
        }
        out
    };
    consider(readability(&by_word(), known, &|c| c), Disguise::Reversed, &by_word);
    let mirror = |c: char| shift(c, |n| 25 - n);
    consider(readability(part, known, &mirror), Disguise::Atbash, &|| with(part, &mirror));
    for by in 1..26 {
        let map = move |c: char| shift(c, |n| (n + by) % 26);
        consider(readability(part, known, &map), Disguise::Caesar, &|| with(part, &map));
        if by == 13 {
            consider(readability(&reversed, known, &map), Disguise::Caesar, &|| with(&reversed, &map));
        }
    }
    best.1
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
