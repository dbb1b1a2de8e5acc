//! Words spelled to be missed by a filter: letters set apart, digits for letters.

use super::{Decodings, Disguise, Glyph, KnownWords, replace_runs};

/// Single letters in a row that are a word set apart, and no list of initials.
const MIN_SPACED: usize = 5;

/// Joins letters that are set apart by one sign each. Two or more blanks between them are the end of a word.
pub(super) fn spaced(glyphs: &[Glyph], _: &KnownWords, decodings: &mut Decodings) -> Option<Vec<Glyph>> {
    replace_runs(glyphs, decodings, |at| {
        let starts = glyphs[at].char.is_alphanumeric() && !(at > 0 && glyphs[at - 1].char.is_alphanumeric());
        match starts.then(|| spaced_run(&glyphs[at..])).flatten() {
            Some((joined, length)) => (length, Some((Disguise::Spaced, joined))),
            None => (1, None),
        }
    })
}

fn spaced_run(rest: &[Glyph]) -> Option<(Vec<Glyph>, usize)> {
    let is_separator = |c: char| matches!(c, ' ' | '.' | '-' | '_' | '*' | '|' | '/' | '~' | '\u{b7}' | ',' | '+');
    let separator = rest.get(1).map(|g| g.char).filter(|c| is_separator(*c))?;
    let (mut joined, mut at, mut letters) = (Vec::new(), 0, 0);
    while let Some(&glyph) = rest.get(at) {
        if glyph.char.is_whitespace() || is_separator(glyph.char) {
            break;
        }
        // A sign of its own, and alone.
        let after = rest[at + 1..].iter().take(4).take_while(|g| g.char == separator || g.char.is_whitespace()).count();
        let alone = after > 0 || at + 1 == rest.len();
        if !alone && glyph.char.is_alphanumeric() {
            break;
        }
        joined.push(glyph);
        letters += usize::from(glyph.char.is_alphabetic());
        at += 1 + after;
        if after >= 2 && at < rest.len() {
            joined.push(Glyph { char: ' ', ..rest[at - 1] });
        }
    }
    // What follows a blank belongs to the text again.
    let length = at.min(rest.len());
    if length < rest.len() && joined.last().is_some_and(|g| g.char != ' ') {
        joined.push(Glyph { char: ' ', ..rest[length - 1] });
    }
    (letters >= MIN_SPACED && letters * 2 > joined.len()).then_some((joined, length))
}

/// Replaces digits and signs within words by the letters they stand for, when that makes known words of enough of them.
pub(super) fn leet(glyphs: &[Glyph], known: &KnownWords, decodings: &mut Decodings) -> Option<Vec<Glyph>> {
    let mut candidates = Vec::new();
    let mut at = 0;
    while at < glyphs.len() {
        let length = glyphs[at..].iter().take_while(|g| is_leet(g.char)).count();
        let token = &glyphs[at..at + length];
        if (1..24).contains(&length) {
            let letters = token.iter().filter(|g| g.char.is_alphabetic()).count();
            let inner = without_signs(token);
            if letters > 0 && letters < inner.len() || letters == 0 && length <= 3 && inner.len() == length {
                candidates.push((at, inner.len(), letters));
            }
        }
        at += length.max(1);
    }
    let (mut good, mut bad, mut changes) = (0, 0, Vec::new());
    for (at, length, letters) in candidates {
        let token = &glyphs[at..at + length];
        let one = |l: char| token.iter().map(move |g| plain(g.char, l));
        let reading = ['i', 'l'].into_iter().find(|&l| known.has_chars(one(l)));
        if letters > 0 {
            match reading {
                Some(_) if length >= 3 => good += 1,
                Some(_) => {}
                None => bad += 1,
            }
        }
        if letters > 0 || reading.is_some() {
            changes.push((at, length, reading.unwrap_or('i')));
        }
    }
    if good < 2 || good < bad {
        return None;
    }
    let mut out = glyphs.to_vec();
    for &(at, length, l) in &changes {
        for glyph in &mut out[at..at + length] {
            glyph.char = plain(glyph.char, l);
        }
    }
    let (first, last) = (changes.first()?.0, changes.last().map(|(at, length, _)| at + length)?);
    decodings.add(Disguise::Leet, &glyphs[first..last], out[first..last].iter().map(|g| g.char));
    Some(out)
}

fn is_leet(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '@' | '$' | '!' | '|' | '+' | '\'' | '\u{20ac}' | '\u{2019}')
}

/// The letter that a digit or sign stands for; `l` tells what 1 is.
fn plain(char: char, l: char) -> char {
    match char {
        '0' => 'o',
        '1' | '|' | '!' => l,
        '2' => 'z',
        '3' | '\u{20ac}' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '6' | '9' => 'g',
        '7' | '+' => 't',
        '8' => 'b',
        '\u{2019}' => '\'',
        c => c.to_ascii_lowercase(),
    }
}

/// A token without the exclamation marks at its end.
fn without_signs(token: &[Glyph]) -> &[Glyph] {
    let end = token.iter().rposition(|g| !matches!(g.char, '!' | '\'' | '|' | '+')).map_or(0, |at| at + 1);
    &token[..end]
}
