//! Words spelled to be missed by a filter: letters set apart or named, words run together or in pieces, digits for letters.

use super::{Decodings, Disguise, Glyph, KnownWords, replace_runs, spread};

/// Single letters in a row that are a word set apart, and no list of initials.
pub(super) const MIN_SPACED: usize = 5;

/// Joins letters that are set apart by one sign each. Two or more blanks between them are the end of a word.
pub(super) fn spaced(glyphs: &[Glyph], decodings: &mut Decodings) -> Option<Vec<Glyph>> {
    replace_runs(glyphs, decodings, |at| {
        let starts = glyphs[at].char.is_alphanumeric() && !(at > 0 && glyphs[at - 1].char.is_alphanumeric());
        if !starts {
            return (1, None);
        }
        let (joined, length) = spaced_run(&glyphs[at..]);
        (length.max(1), joined.map(|joined| (Disguise::Spaced, joined)))
    })
}

/// The letters of a run, if it is a word set apart, and its length: what is none is done with.
fn spaced_run(rest: &[Glyph]) -> (Option<Vec<Glyph>>, usize) {
    let is_separator = |c: char| matches!(c, ' ' | '.' | '-' | '_' | '*' | '|' | '/' | '~' | '\u{b7}' | ',' | '+');
    let Some(separator) = rest.get(1).map(|g| g.char).filter(|c| is_separator(*c)) else { return (None, 1) };
    let (mut joined, mut at, mut letters) = (Vec::new(), 0, 0);
    while let Some(&glyph) = rest.get(at) {
        if glyph.char.is_whitespace() || glyph.char == separator {
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
    ((letters >= MIN_SPACED && letters * 2 > joined.len()).then_some(joined), length)
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

/// Letters and words of a run that is no word of its own: compounds and names in code have fewer.
pub(super) const MIN_JOINED: (usize, usize) = (24, 5);
/// Longer words are not looked for.
const MAX_WORD: usize = 16;

/// Sets words apart that were written without spaces: the fewest known words that make up the whole run.
pub(super) fn joined(glyphs: &[Glyph], known: &KnownWords, decodings: &mut Decodings) -> Option<Vec<Glyph>> {
    replace_runs(glyphs, decodings, |at| {
        let length = glyphs[at..].iter().take_while(|g| g.char.is_ascii_alphabetic()).count();
        let run = &glyphs[at..at + length];
        let apart = (length >= MIN_JOINED.0).then(|| words_of(run, known)).flatten();
        (length.max(1), apart.map(|apart| (Disguise::Joined, apart)))
    })
}

/// The run with blanks between its words.
fn words_of(run: &[Glyph], known: &KnownWords) -> Option<Vec<Glyph>> {
    let is_word = |word: &[Glyph]| match word {
        [one] => matches!(one.char.to_ascii_lowercase(), 'a' | 'i'),
        word => known.has_chars(word.iter().map(|g| g.char.to_ascii_lowercase())),
    };
    // For each place the fewest words up to it, and where the last of them begins.
    let mut best: Vec<Option<(usize, usize)>> = vec![Some((0, 0))];
    for end in 1..=run.len() {
        let starts = (end.saturating_sub(MAX_WORD)..end).filter_map(|start| Some((best[start]?.0 + 1, start)));
        let shortest = starts.filter(|(_, start)| is_word(&run[*start..end])).min();
        best.push(shortest);
    }
    let count = best[run.len()]?.0;
    if count < MIN_JOINED.1 || count * 3 > run.len() {
        return None;
    }
    // From the last word to the first, each with the blank after it.
    let (mut apart, mut end) = (Vec::with_capacity(run.len() + count), run.len());
    while end > 0 {
        let start = best[end]?.1;
        if end < run.len() {
            apart.push(Glyph { char: ' ', ..run[end] });
        }
        apart.extend(run[start..end].iter().rev());
        end = start;
    }
    apart.reverse();
    Some(apart)
}

/// Takes the quotation marks and the plus out from between pieces of a string.
pub(super) fn pieces(glyphs: &[Glyph], decodings: &mut Decodings) -> Option<Vec<Glyph>> {
    let blanks = |from: usize| glyphs[from..].iter().take_while(|g| g.char == ' ').count();
    let is_quote = |at: usize| glyphs.get(at).is_some_and(|g| matches!(g.char, '"' | '\''));
    let is_letter = |at: usize| glyphs.get(at).is_some_and(|g| g.char.is_alphabetic());
    let mut length = vec![0; glyphs.len()];
    let mut found = 0;
    for at in (1..glyphs.len()).filter(|&at| is_quote(at) && is_letter(at - 1)) {
        let plus = at + 1 + blanks(at + 1);
        if glyphs.get(plus).is_some_and(|g| g.char == '+') {
            let quote = plus + 1 + blanks(plus + 1);
            if is_quote(quote) && is_letter(quote + 1) {
                length[at] = quote + 1 - at;
                found += 1;
            }
        }
    }
    // One is how programmers break a line.
    if found < 2 {
        return None;
    }
    replace_runs(glyphs, decodings, |at| (length[at].max(1), (length[at] > 0).then(|| (Disguise::Pieces, Vec::new()))))
}

/// The words of the International Radiotelephony Spelling Alphabet, and usual variants, by their initials.
const ALPHABET: [&[&str]; 26] = [
    &["alpha", "alfa"],
    &["bravo"],
    &["charlie"],
    &["delta"],
    &["echo"],
    &["foxtrot"],
    &["golf"],
    &["hotel"],
    &["india"],
    &["juliett", "juliet"],
    &["kilo"],
    &["lima"],
    &["mike"],
    &["november"],
    &["oscar"],
    &["papa"],
    &["quebec"],
    &["romeo"],
    &["sierra"],
    &["tango"],
    &["uniform"],
    &["victor"],
    &["whiskey"],
    &["xray"],
    &["yankee"],
    &["zulu"],
];

/// The letter that the word at the beginning stands for, and its length; `None` also when the word is longer.
fn named(glyphs: &[Glyph]) -> Option<(char, usize)> {
    let lower = |glyph: &Glyph| glyph.char.to_ascii_lowercase();
    let initial = glyphs.first().map(lower).filter(char::is_ascii_lowercase)?;
    let is = |name: &&&str| {
        let ends = |rest: &[Glyph]| !rest.first().is_some_and(|g| g.char.is_ascii_alphabetic());
        let (length, same) = (name.len(), |part: &[Glyph]| part.iter().map(lower).eq(name.chars()));
        glyphs.get(..length).is_some_and(same) && ends(&glyphs[length..])
    };
    let names = ALPHABET[usize::try_from(u32::from(initial) - u32::from('a')).ok()?];
    names.iter().find(is).map(|name| (initial, name.len()))
}

/// Replaces words that stand for letters, where enough follow each other. A line's end or another sign parts words.
pub(super) fn spelled(glyphs: &[Glyph], decodings: &mut Decodings) -> Option<Vec<Glyph>> {
    replace_runs(glyphs, decodings, |at| {
        if !glyphs[at].char.is_ascii_alphabetic() || at > 0 && glyphs[at - 1].char.is_alphabetic() {
            return (1, None);
        }
        let (mut letters, mut end, mut from) = (Vec::new(), at, at);
        while let Some((letter, length)) = glyphs.get(from..).and_then(named) {
            letters.push(letter);
            end = from + length;
            let between = glyphs[end..].iter().take(3).take_while(|g| !g.char.is_alphanumeric()).count();
            if between > 1 || glyphs.get(end).is_some_and(|g| g.char != ' ' && g.char != '-') {
                letters.push(' ');
            }
            from = end + between;
        }
        if letters.len() < MIN_SPACED {
            // Nothing begins within a word.
            let rest = glyphs[end.max(at + 1)..].iter().take_while(|g| end == at && g.char.is_alphabetic()).count();
            return ((end - at).max(1 + rest), None);
        }
        let run = &glyphs[at..end];
        (run.len(), Some((Disguise::Spelled, spread(&letters, run))))
    })
}
