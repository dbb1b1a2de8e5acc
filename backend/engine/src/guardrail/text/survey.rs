//! One look at a text's characters, so that what can not find anything in them is not tried.

use super::Glyph;

/// What a text has. Lengths are of the longest run, in characters.
#[derive(Default)]
pub(super) struct Survey {
    /// A bit for each ASCII character.
    ascii: u128,
    pub digits: usize,
    /// Cells of Braille.
    pub braille: usize,
    /// Letters with neither letter nor digit beside them.
    pub alone: usize,
    /// Whether a sign or digit occurs that can stand for a letter.
    pub leet: bool,
    /// Run of signs of Base64.
    pub base64: usize,
    /// Run of signs of Morse code.
    pub morse: usize,
    /// Run of ASCII letters.
    pub letters: usize,
}

const LETTER: u8 = 1;
const DIGIT: u8 = 2;
const BASE64: u8 = 4;
const MORSE: u8 = 8;
const LEET: u8 = 16;
const BRAILLE: u8 = 32;
/// A letter or digit of any script.
const ALNUM: u8 = 64;
const ALPHA: u8 = 128;

const ASCII: [u8; 128] = {
    let mut classes = [0; 128];
    let mut at = 0;
    while at < 128 {
        let byte = at as u8;
        classes[at] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' => LETTER | BASE64 | ALNUM | ALPHA,
            b'0'..=b'9' => DIGIT | BASE64 | LEET | ALNUM,
            b'+' => BASE64 | LEET,
            b'/' | b'-' | b'_' => BASE64 | MORSE,
            b'=' => BASE64,
            b'.' | b' ' => MORSE,
            b'|' => MORSE | LEET,
            b'@' | b'$' | b'!' | b'\'' => LEET,
            _ => 0,
        };
        at += 1;
    }
    classes
};

fn classes(char: char) -> u8 {
    if let Some(classes) = ASCII.get(char as usize) {
        return *classes;
    }
    match char {
        '·' | '−' | '–' => MORSE,
        '\u{2800}'..='\u{28ff}' => BRAILLE,
        '\u{20ac}' | '\u{2019}' => LEET,
        // Digits of other scripts count as signs that stand for letters.
        c if c.is_alphabetic() => ALNUM | ALPHA,
        c if c.is_alphanumeric() => ALNUM | LEET,
        _ => 0,
    }
}

impl Survey {
    pub fn of(glyphs: &[Glyph]) -> Self {
        let mut survey = Self::default();
        let (mut base64, mut morse, mut letters) = (0, 0, 0);
        let run = |is: bool, now: &mut usize, longest: &mut usize| {
            *now = if is { *now + 1 } else { 0 };
            *longest = (*longest).max(*now);
        };
        // The classes of the two characters before.
        let (mut last, mut second) = (0, 0);
        let mut seen = 0;
        for glyph in glyphs {
            let this = classes(glyph.char);
            if glyph.char.is_ascii() {
                survey.ascii |= 1 << u32::from(glyph.char);
            }
            seen |= this;
            survey.digits += usize::from(this & DIGIT != 0);
            survey.braille += usize::from(this & BRAILLE != 0);
            survey.alone += usize::from(last & ALPHA != 0 && (second | this) & ALNUM == 0);
            run(this & BASE64 != 0, &mut base64, &mut survey.base64);
            run(this & MORSE != 0, &mut morse, &mut survey.morse);
            run(this & LETTER != 0, &mut letters, &mut survey.letters);
            (second, last) = (last, this);
        }
        survey.alone += usize::from(last & ALPHA != 0 && second & ALNUM == 0);
        survey.leet = seen & LEET != 0;
        survey
    }

    /// Whether an ASCII character occurs.
    pub const fn has(&self, char: u8) -> bool {
        self.ascii >> char & 1 != 0
    }
}
