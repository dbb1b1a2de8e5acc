//! Characters written as escapes: HTML entities, percent, backslash, quoted-printable.

use super::{Decodings, Disguise, Glyph};

/// Escapes beneath this count are ordinary (one `&amp;`, one `%20`): they are decoded, but are no evidence.
const FEW: usize = 6;

/// Replaces every escape that `one` reads: its characters and how many glyphs it takes. `None` when there is none.
fn replace(
    glyphs: &[Glyph],
    lead: char,
    disguise: Disguise,
    decodings: &mut Decodings,
    one: impl Fn(&[Glyph]) -> Option<(Vec<char>, usize)>,
) -> Option<Vec<Glyph>> {
    let mut at = glyphs.iter().position(|g| g.char == lead)?;
    let mut out = Vec::with_capacity(glyphs.len());
    out.extend_from_slice(&glyphs[..at]);
    let (mut found, mut decoded) = (Vec::new(), Vec::new());
    while let Some(&glyph) = glyphs.get(at) {
        let read = if glyph.char == lead { one(&glyphs[at..]) } else { None };
        let Some((chars, length)) = read else {
            out.push(glyph);
            at += 1;
            continue;
        };
        let from = &glyphs[at..at + length];
        found.push(Glyph { char: lead, start: from[0].start, end: from[length - 1].end });
        out.extend(super::spread(&chars, from));
        decoded.extend(chars);
        at += length;
    }
    if found.is_empty() {
        return None;
    }
    if decoded.len() >= FEW {
        decodings.add(disguise, &found, decoded.into_iter());
    }
    Some(out)
}

/// `&#73;`, `&#x49;` and the names that matter.
pub(super) fn html(glyphs: &[Glyph], decodings: &mut Decodings) -> Option<Vec<Glyph>> {
    replace(glyphs, '&', Disguise::HtmlEntity, decodings, |rest| {
        let length = rest.iter().take(12).position(|g| g.char == ';')? + 1;
        let name: String = rest[1..length - 1].iter().map(|g| g.char).collect();
        let char = match name.strip_prefix('#') {
            Some(number) => {
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(code).filter(|c| !c.is_control() || c.is_whitespace())?
            }
            None => match name.as_str() {
                "lt" => '<',
                "gt" => '>',
                "amp" => '&',
                "quot" => '"',
                "apos" => '\'',
                "nbsp" | "Tab" | "NewLine" => ' ',
                "lpar" => '(',
                "rpar" => ')',
                "colon" => ':',
                "sol" => '/',
                "excl" => '!',
                "comma" => ',',
                "period" => '.',
                _ => return None,
            },
        };
        Some((vec![char], length))
    })
}

/// `%49`, runs of it as UTF-8.
pub(super) fn percent(glyphs: &[Glyph], decodings: &mut Decodings) -> Option<Vec<Glyph>> {
    replace(glyphs, '%', Disguise::UrlEscape, decodings, |rest| hex_run(rest, '%'))
}

/// `=49` three times in a row or more; a single one is an assignment.
pub(super) fn quoted_printable(glyphs: &[Glyph], decodings: &mut Decodings) -> Option<Vec<Glyph>> {
    replace(glyphs, '=', Disguise::QuotedPrintable, decodings, |rest| {
        hex_run(rest, '=').filter(|(_, length)| *length >= 9)
    })
}

fn hex_run(rest: &[Glyph], lead: char) -> Option<(Vec<char>, usize)> {
    let mut bytes = Vec::new();
    while let [first, high, low, ..] = &rest[bytes.len() * 3..] {
        match (first.char == lead, high.char.to_digit(16), low.char.to_digit(16)) {
            (true, Some(high), Some(low)) => bytes.push(u8::try_from(high * 16 + low).ok()?),
            _ => break,
        }
    }
    text(&bytes).map(|chars| (chars, bytes.len() * 3))
}

/// `\u0049`, `\u{49}`, `\U00000049`, `\x49`, `\111`, `\n`, and letters that need no escape but have one, four in a row.
pub(super) fn backslash(glyphs: &[Glyph], decodings: &mut Decodings) -> Option<Vec<Glyph>> {
    replace(glyphs, '\\', Disguise::BackslashEscape, decodings, |rest| {
        if let Some(escaped) = needless(rest) {
            return Some(escaped);
        }
        let doubled = usize::from(rest.get(1)?.char == '\\');
        let kind = rest.get(1 + doubled)?.char;
        let digits = &rest[2 + doubled..];
        let octal =
            digits.iter().take(2).all(|g| g.char.is_digit(8)).then(|| rest.get(1 + doubled..4 + doubled)).flatten();
        if let Some(octal) = octal.filter(|_| matches!(kind, '0'..='3')) {
            let number: String = octal.iter().map(|g| g.char).collect();
            let char = u8::from_str_radix(&number, 8).ok().map(char::from)?;
            return (' '..='~').contains(&char).then(|| (vec![char], 4 + doubled));
        }
        let (number, length) = match kind {
            'n' | 't' | 'r' if !digits.first().is_some_and(|g| g.char.is_alphabetic() && g.char.is_lowercase()) => {
                return Some((vec!['\n'], 2 + doubled));
            }
            'u' if digits.first()?.char == '{' => {
                let end = digits.iter().take(9).position(|g| g.char == '}')?;
                (&digits[1..end], end + 1)
            }
            'u' => (digits.get(..4)?, 4),
            'U' => (digits.get(..8)?, 8),
            'x' => (digits.get(..2)?, 2),
            _ => return None,
        };
        let number: String = number.iter().map(|g| g.char).collect();
        let char = char::from_u32(u32::from_str_radix(&number, 16).ok()?)?;
        (!char.is_control() || char.is_whitespace()).then(|| (vec![char], 2 + doubled + length))
    })
}

/// Pairs of a backslash and a letter that are read at once: every pair of such a run is looked at as its start.
const MAX_PAIRS: usize = 64;

/// Four letters or more with a backslash before each, which is dropped; line breaks are none.
fn needless(rest: &[Glyph]) -> Option<(Vec<char>, usize)> {
    let pairs = rest
        .chunks_exact(2)
        .take(MAX_PAIRS)
        .take_while(|pair| pair[0].char == '\\' && !pair[1].char.is_ascii_digit() && pair[1].char != '\\');
    let chars: Vec<char> = pairs.map(|pair| pair[1].char).collect();
    let letters = chars.iter().filter(|c| c.is_alphabetic() && !matches!(c, 'n' | 'r' | 't')).count();
    (letters >= 4).then(|| (chars.len() * 2, chars)).map(|(length, chars)| (chars, length))
}

/// The characters of bytes that are readable text.
pub(super) fn text(bytes: &[u8]) -> Option<Vec<char>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let readable = |c: char| !c.is_control() || c.is_whitespace();
    (!text.is_empty() && text.chars().all(readable)).then(|| text.chars().collect())
}
