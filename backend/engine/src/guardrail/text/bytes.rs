//! Text written as numbers: Base64, Base32, hex, binary, decimal and octal codes.

use super::{Decodings, Disguise, Glyph, escapes, replace_runs, spread};
use std::ops::RangeInclusive;

/// Base64 shorter than this decodes to something readable by chance.
const MIN_BASE64: usize = 16;
const MIN_HEX: usize = 16;
/// Signs of Base64 in a row that are looked at.
pub(super) const MIN_TOKEN: usize = 16;
/// Character codes in a row that make a text.
pub(super) const MIN_CODES: usize = 6;

/// Replaces runs of letters and digits that are Base64 (also URL-safe), Base32 or hex and decode to readable text.
pub(super) fn tokens(glyphs: &[Glyph], decodings: &mut Decodings) -> Option<Vec<Glyph>> {
    replace_runs(glyphs, decodings, |at| {
        let length = glyphs[at..].iter().take_while(|g| is_base64(g.char)).count();
        let run = &glyphs[at..at + length];
        match (length >= MIN_TOKEN).then(|| token(run)).flatten() {
            Some((disguise, decoded)) => (length, Some((disguise, spread(&decoded, run)))),
            None => (length + 1, None),
        }
    })
}

fn is_base64(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '+' | '/' | '=' | '-' | '_')
}

fn token(run: &[Glyph]) -> Option<(Disguise, Vec<char>)> {
    let token: Vec<u8> = run.iter().filter_map(|g| u8::try_from(g.char).ok()).collect();
    let hex_digits = token.strip_prefix(b"0x").unwrap_or(&token);
    if hex_digits.len() >= MIN_HEX && hex_digits.iter().all(u8::is_ascii_hexdigit) {
        return hex::decode(hex_digits).ok().and_then(|bytes| prose(&bytes)).map(|chars| (Disguise::Hex, chars));
    }
    let trimmed = token.trim_ascii_end();
    let body = &trimmed[..trimmed.iter().rposition(|&b| b != b'=').map_or(0, |at| at + 1)];
    if body.len() >= MIN_BASE64 && body.iter().all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(b)) {
        let bits = body.iter().map(|&b| u32::from(if b.is_ascii_uppercase() { b - b'A' } else { b - b'2' + 26 }));
        if let Some(chars) = prose(&pack(bits, 5)) {
            return Some((Disguise::Base32, chars));
        }
    }
    if body.len() < MIN_BASE64 || body.len() % 4 == 1 || body.contains(&b'=') {
        return None;
    }
    // A word of one case is a word, and a path has slashes.
    let upper = body.iter().filter(|b| b.is_ascii_uppercase()).count();
    let lower = body.iter().filter(|b| b.is_ascii_lowercase()).count();
    if upper == 0 || lower == 0 {
        return None;
    }
    prose(&base64(body)?).map(|chars| (Disguise::Base64, chars))
}

/// Base64, also URL-safe, without its padding; `None` when another sign is in it.
pub(in crate::guardrail) fn base64(body: &[u8]) -> Option<Vec<u8>> {
    let value = |&byte: &u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    let values: Vec<u32> = body.iter().map(|byte| value(byte).map(u32::from)).collect::<Option<_>>()?;
    Some(pack(values.into_iter(), 6))
}

/// Groups of `width` bits as bytes; what is left over is padding.
fn pack(groups: impl Iterator<Item = u32>, width: u32) -> Vec<u8> {
    let (mut bits, mut have, mut bytes) = (0_u32, 0, Vec::new());
    for group in groups {
        bits = (bits << width) | group;
        have += width;
        if have >= 8 {
            have -= 8;
            bytes.push(u8::try_from((bits >> have) & 0xff).unwrap_or_default());
            bits &= (1 << have) - 1;
        }
    }
    bytes
}

/// Readable text in which letters outweigh the rest: what random bytes never are at this length.
fn prose(bytes: &[u8]) -> Option<Vec<char>> {
    let chars = escapes::text(bytes)?;
    let letters = chars.iter().filter(|c| c.is_alphanumeric() || c.is_whitespace()).count();
    (letters * 2 >= chars.len()).then_some(chars)
}

/// Replaces runs of binary, decimal, octal or two-digit hex codes that spell a text.
pub(super) fn numbers(glyphs: &[Glyph], decodings: &mut Decodings) -> Option<Vec<Glyph>> {
    replace_runs(glyphs, decodings, |at| {
        let is_start = glyphs[at].char.is_ascii_hexdigit() && !(at > 0 && glyphs[at - 1].char.is_ascii_alphanumeric());
        if !is_start {
            return (1, None);
        }
        let (length, found) = codes(&glyphs[at..]);
        let run = &glyphs[at..at + length];
        (length.max(1), found.map(|(disguise, decoded)| (disguise, spread(&decoded, run))))
    })
}

/// Codes of one width or base, set apart by the same few signs: how many glyphs were looked at, and what they say. Where they say nothing
/// the longest run is done with: tried again from each of its numbers it would take the square of its length.
fn codes(rest: &[Glyph]) -> (usize, Option<(Disguise, Vec<char>)>) {
    let (bits, mut longest) = binary(rest);
    if let Some(chars) = bits {
        return (longest, Some((Disguise::Binary, chars)));
    }
    for (base, width, disguise) in
        [(10, 2..=3, Disguise::Decimal), (8, 3..=3, Disguise::Octal), (16, 2..=2, Disguise::Hex)]
    {
        let (codes, used) = numbers_of(rest, base, &width);
        // Numbers in a table are rarely all letters.
        let chars = (codes.len() >= MIN_CODES).then(|| escapes::text(&codes)).flatten().unwrap_or_default();
        let letters = chars.iter().filter(|c| c.is_ascii_alphabetic() || **c == ' ').count();
        if !chars.is_empty() && letters * 10 >= chars.len() * 8 {
            return (used, Some((disguise, chars)));
        }
        longest = longest.max(used);
    }
    (longest, None)
}

/// What zeros and ones say, and how many glyphs they take.
fn binary(rest: &[Glyph]) -> (Option<Vec<char>>, usize) {
    let run = rest.iter().take_while(|g| matches!(g.char, '0' | '1' | ' ' | ',')).count();
    let bits: Vec<u32> = rest[..run].iter().filter_map(|g| g.char.to_digit(2)).collect();
    let used = rest[..run].iter().rposition(|g| g.char.is_ascii_digit()).map_or(0, |last| last + 1);
    let whole = bits.len() >= 8 * MIN_CODES && bits.len().is_multiple_of(8);
    (whole.then(|| prose(&pack(bits.into_iter(), 1))).flatten(), used)
}

/// Numbers from 9 to 255 in a base, each of so many digits, and how many glyphs they take.
fn numbers_of(rest: &[Glyph], base: u32, width: &RangeInclusive<usize>) -> (Vec<u8>, usize) {
    let (mut codes, mut used, mut at) = (Vec::new(), 0, 0);
    loop {
        let digits = rest[at..].iter().take(4).take_while(|g| g.char.is_ascii_alphanumeric()).count();
        let digit = |value: u32, glyph: &Glyph| Some(value * base + glyph.char.to_digit(base)?);
        let number = rest[at..at + digits].iter().try_fold(0, digit).filter(|_| width.contains(&digits));
        let code = number.and_then(|number| u8::try_from(number).ok()).filter(|code| *code >= 9);
        let Some(code) = code else { break };
        codes.push(code);
        used = at + digits;
        at = used + rest[used..].iter().take(2).take_while(|g| matches!(g.char, ' ' | ',' | '-' | ':' | ';')).count();
        if at == used {
            break;
        }
    }
    (codes, used)
}
