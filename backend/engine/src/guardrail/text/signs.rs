//! Letters written as other signs: Morse, Braille, places in the alphabet.

use super::{Decodings, Disguise, Glyph, KnownWords, replace_runs, spread};
use std::collections::BTreeMap;

/// Letters that make a text.
pub(super) const MIN_LETTERS: usize = 6;
/// Signs in a row that are looked at as Morse code.
pub(super) const MIN_MORSE: usize = 12;

/// Replaces runs of Morse code.
pub(super) fn morse(glyphs: &[Glyph], decodings: &mut Decodings) -> Option<Vec<Glyph>> {
    let is_morse = |c: char| matches!(c, '.' | '-' | ' ' | '/' | '|' | '·' | '−' | '–' | '_');
    replace_runs(glyphs, decodings, |at| {
        let length = glyphs[at..].iter().take_while(|g| is_morse(g.char)).count();
        let run = &glyphs[at..at + length];
        let decoded = (length >= MIN_MORSE).then(|| from_morse(run)).flatten();
        (length.max(1), decoded.map(|decoded| (Disguise::Morse, spread(&decoded, run))))
    })
}

fn from_morse(run: &[Glyph]) -> Option<Vec<char>> {
    let text: String = run
        .iter()
        .map(|g| match g.char {
            '·' => '.',
            '−' | '–' | '_' => '-',
            '|' => '/',
            c => c,
        })
        .collect();
    let mut decoded = vec![' '];
    for (nth, word) in text.split(['/']).flat_map(|w| w.split("   ")).filter(|w| !w.trim().is_empty()).enumerate() {
        if nth > 0 {
            decoded.push(' ');
        }
        for sign in word.split_whitespace() {
            decoded.push(MORSE.iter().find(|(code, _)| *code == sign)?.1);
        }
    }
    decoded.push(' ');
    (decoded.iter().filter(|c| c.is_alphabetic()).count() >= MIN_LETTERS).then_some(decoded)
}

/// Replaces runs of Braille, uncontracted.
pub(super) fn braille(glyphs: &[Glyph], decodings: &mut Decodings) -> Option<Vec<Glyph>> {
    /// a to z; the dots of a cell are the bits of its code point.
    const CELLS: &str = "⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵";
    let letter = |c: char| ('a'..='z').zip(CELLS.chars()).find(|(_, cell)| *cell == c).map(|(letter, _)| letter);
    replace_runs(glyphs, decodings, |at| {
        let run = glyphs[at..].iter().take_while(|g| matches!(g.char, '\u{2800}'..='\u{28ff}' | ' ')).count();
        let run = &glyphs[at..at + run];
        let decoded: Vec<char> = run.iter().map(|g| letter(g.char).unwrap_or(' ')).collect();
        let is_text = decoded.iter().filter(|c| c.is_alphabetic()).count() >= MIN_LETTERS;
        (run.len().max(1), is_text.then(|| (Disguise::Braille, spread(&decoded, run))))
    })
}

/// Replaces numbers from 1 to 26 that stand for letters where they spell known words. The sign that is met most parts letters, any other
/// parts words.
pub(super) fn ordinals(glyphs: &[Glyph], known: &KnownWords, decodings: &mut Decodings) -> Option<Vec<Glyph>> {
    replace_runs(glyphs, decodings, |at| {
        let starts = glyphs[at].char.is_ascii_digit() && !(at > 0 && glyphs[at - 1].char.is_ascii_alphanumeric());
        if !starts {
            return (1, None);
        }
        let (letters, used) = numbered(&glyphs[at..]);
        let decoded = (letters.len() >= 2 * MIN_LETTERS).then(|| ordinal_words(&letters, known)).flatten();
        (used.max(1), decoded.map(|decoded| (Disguise::Ordinals, spread(&decoded, &glyphs[at..at + used]))))
    })
}

/// Letters by number, each with the signs after it, and how many glyphs all take.
fn numbered(rest: &[Glyph]) -> (Vec<(char, String)>, usize) {
    let (mut letters, mut used, mut at) = (Vec::new(), 0, 0);
    loop {
        let digits = rest[at..].iter().take(3).take_while(|g| g.char.is_ascii_alphanumeric()).count();
        let digit = |value: u32, glyph: &Glyph| Some(value * 10 + glyph.char.to_digit(10)?);
        let number = rest[at..at + digits].iter().try_fold(0, digit).and_then(|number| u8::try_from(number).ok());
        let Some(number) = number.filter(|n| (1..=26).contains(n)) else { break };
        used = at + digits;
        let signs = |g: &&Glyph| matches!(g.char, ' ' | '-' | '.' | ',' | '/' | '|' | '_' | ':' | '\n');
        let between: String = rest[used..].iter().take(3).take_while(signs).map(|g| g.char).collect();
        at = used + between.chars().count();
        let ends = between.is_empty();
        letters.push((char::from(b'a' + number - 1), between));
        if ends {
            break;
        }
    }
    (letters, used)
}

/// The words that letters spell, if most of them are known and long enough not to be chance.
fn ordinal_words(letters: &[(char, String)], known: &KnownWords) -> Option<Vec<char>> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, between) in letters {
        *counts.entry(between).or_default() += 1;
    }
    let inner = counts.into_iter().max_by_key(|(_, count)| *count)?.0;
    let text: String = letters
        .iter()
        .flat_map(|(letter, between)| [Some(*letter), (between != inner).then_some(' ')])
        .flatten()
        .collect();
    let words = text.split(' ').filter(|word| word.len() >= 3);
    let good: usize = words.clone().filter(|word| known.has(word)).map(str::len).sum();
    let all: usize = words.map(str::len).sum();
    (good >= 9 && good * 10 >= all * 6).then(|| text.trim_end().chars().collect())
}

/// ITU-R M.1677-1.
const MORSE: [(&str, char); 41] = [
    (".-", 'a'),
    ("-...", 'b'),
    ("-.-.", 'c'),
    ("-..", 'd'),
    (".", 'e'),
    ("..-.", 'f'),
    ("--.", 'g'),
    ("....", 'h'),
    ("..", 'i'),
    (".---", 'j'),
    ("-.-", 'k'),
    (".-..", 'l'),
    ("--", 'm'),
    ("-.", 'n'),
    ("---", 'o'),
    (".--.", 'p'),
    ("--.-", 'q'),
    (".-.", 'r'),
    ("...", 's'),
    ("-", 't'),
    ("..-", 'u'),
    ("...-", 'v'),
    (".--", 'w'),
    ("-..-", 'x'),
    ("-.--", 'y'),
    ("--..", 'z'),
    ("-----", '0'),
    (".----", '1'),
    ("..---", '2'),
    ("...--", '3'),
    ("....-", '4'),
    (".....", '5'),
    ("-....", '6'),
    ("--...", '7'),
    ("---..", '8'),
    ("----.", '9'),
    (".-.-.-", '.'),
    ("--..--", ','),
    ("..--..", '?'),
    (".----.", '\''),
    ("-....-", '-'),
];
