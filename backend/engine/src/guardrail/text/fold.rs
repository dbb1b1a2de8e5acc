//! One form for characters that look alike: NFKC, accents, invisible characters, look-alikes of other scripts.

use super::{Decodings, Disguise, Glyph, index};
use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// Styled or smuggled characters below this count are decoration, not a disguise.
const FEW: usize = 4;

/// The text's characters in one form. Accents are dropped: writers leave them out, and attackers put them in.
pub(super) fn fold(text: &str, decodings: &mut Decodings) -> Vec<Glyph> {
    if text.is_ascii() {
        let glyph = |(at, byte): (usize, u8)| Glyph { char: char::from(byte), start: index(at), end: index(at + 1) };
        return text.bytes().enumerate().map(glyph).collect();
    }
    let end = |at: usize, c: char| index(at + c.len_utf8());
    let glyphs: Vec<Glyph> =
        text.char_indices().map(|(at, char)| Glyph { char, start: index(at), end: end(at, char) }).collect();
    again(&glyphs, decodings)
}

/// The same for characters that came out of a decoding.
pub(super) fn again(glyphs: &[Glyph], decodings: &mut Decodings) -> Vec<Glyph> {
    let mut out: Vec<Glyph> = Vec::with_capacity(glyphs.len());
    let (mut styled, mut invisible) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(&glyph) = glyphs.get(at) {
        if glyph.char.is_ascii() {
            out.push(glyph);
            at += 1;
            continue;
        }
        let run = glyphs[at..].iter().take_while(|g| is_carrier(g.char)).count();
        if run > 0 {
            let carriers = &glyphs[at..at + run];
            at += run;
            if let Some(hidden) = smuggled(carriers) {
                decodings.add(Disguise::Smuggled, carriers, hidden.iter().map(|g| g.char));
                // Set apart, or the hidden text would grow into the word before it.
                out.push(Glyph { char: ' ', ..carriers[0] });
                out.extend(hidden);
            }
            continue;
        }
        at += 1;
        if is_invisible(glyph.char) {
            // Between Latin letters they hide a word; elsewhere they join letters of scripts that need it.
            let beside = |g: Option<&Glyph>| g.is_some_and(|g| g.char.is_ascii_alphabetic());
            if beside(out.last()) && beside(glyphs.get(at)) {
                invisible.push(glyph);
            }
            continue;
        }
        if let Some(char) = look_alike_always(glyph.char) {
            out.push(Glyph { char, ..glyph });
            if char.is_alphabetic() {
                styled.push(Glyph { char, ..glyph });
            }
            continue;
        }
        // Syllables of Hangul would fall into their letters.
        if ('\u{ac00}'..='\u{d7a3}').contains(&glyph.char) {
            out.push(glyph);
            continue;
        }
        let before = out.len();
        decompose_compatible(glyph.char, |char| {
            if !is_combining_mark(char) {
                out.push(Glyph { char, ..glyph });
            }
        });
        if out.len() > before && is_styled(glyph.char) {
            styled.extend_from_slice(&out[before..]);
        }
    }
    if styled.len() >= FEW {
        decodings.add(Disguise::Styled, &styled, styled.iter().map(|g| g.char));
    }
    if invisible.len() >= 2 {
        decodings.add(Disguise::Invisible, &invisible, out.iter().map(|g| g.char));
    }
    look_alikes(&mut out, decodings);
    out
}

/// Tag characters and the variation selectors that can carry bytes.
fn is_carrier(char: char) -> bool {
    matches!(char, '\u{e0000}'..='\u{e01ef}' | '\u{fe00}'..='\u{fe0f}')
}

/// The text that carriers spell, when there are enough of them: one selector after an emoji is only style.
fn smuggled(carriers: &[Glyph]) -> Option<Vec<Glyph>> {
    if carriers.len() < FEW {
        return None;
    }
    let tags: Vec<Glyph> = carriers
        .iter()
        .filter_map(|g| {
            let code = u32::from(g.char).checked_sub(0xe0000).filter(|code| (0x20..0x7f).contains(code))?;
            Some(Glyph { char: char::from_u32(code)?, ..*g })
        })
        .collect();
    if tags.len() >= FEW {
        return Some(tags);
    }
    // A byte for each selector: the first 16, then the other 240.
    let bytes: Vec<u8> = carriers
        .iter()
        .filter_map(|g| match u32::from(g.char) {
            code @ 0xfe00..=0xfe0f => u8::try_from(code - 0xfe00).ok(),
            code @ 0xe0100..=0xe01ef => u8::try_from(code - 0xe0100 + 16).ok(),
            _ => None,
        })
        .collect();
    let text = (bytes.len() >= FEW).then(|| super::escapes::text(&bytes)).flatten()?;
    Some(super::spread(&text, carriers))
}

/// Characters without a picture that may stand anywhere.
fn is_invisible(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}')
}

/// Letters that exist in several styles. Full-width forms are ordinary in Chinese and Japanese text, but not their letters.
fn is_styled(char: char) -> bool {
    matches!(char,
        '\u{1d400}'..='\u{1d7ff}' | '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' | '\u{24b6}'..='\u{24e9}'
        | '\u{1f110}'..='\u{1f189}' | '\u{2100}'..='\u{214f}' | '\u{1e00}'..='\u{1eff}' | '\u{2c60}'..='\u{2c7f}')
}

/// Letters of the Latin alphabet in other clothes, and quotation marks, which compatibility decomposition leaves as they are.
fn look_alike_always(char: char) -> Option<char> {
    const SMALL_CAPITALS: &str = "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡ\u{0}ʏᴢ";
    if matches!(char, '\u{1f170}'..='\u{1f189}') {
        return char::from_u32(u32::from(char) - 0x1f170 + u32::from('a'));
    }
    if matches!(char, '\u{1f1e6}'..='\u{1f1ff}') {
        return char::from_u32(u32::from(char) - 0x1f1e6 + u32::from('a'));
    }
    if let Some(at) = SMALL_CAPITALS.chars().position(|c| c == char) {
        return char::from_u32(u32::from('a') + index(at));
    }
    Some(match char {
        '“' | '”' | '„' | '«' | '»' => '"',
        '‘' | '’' | '‚' => '\'',
        'ɑ' | 'ɐ' => 'a',
        'ɓ' | 'ƅ' | 'ƀ' => 'b',
        'ƈ' | 'ↄ' | 'ɔ' => 'c',
        'ɖ' | 'ɗ' | 'đ' => 'd',
        'ɛ' | 'ǝ' | 'ə' => 'e',
        'ƒ' | 'ɟ' => 'f',
        'ɡ' | 'ɠ' | 'ƃ' => 'g',
        'ɦ' | 'ħ' | 'ɥ' => 'h',
        'ɩ' | 'ı' | 'ɨ' => 'i',
        'ƙ' | 'ʞ' => 'k',
        'ł' | 'ɫ' | 'ʃ' | 'ן' => 'l',
        'ɯ' => 'm',
        'ɲ' | 'ƞ' | 'ŋ' => 'n',
        'ø' => 'o',
        'ƥ' => 'p',
        'ɾ' | 'ɹ' => 'r',
        'ʂ' => 's',
        'ƭ' | 'ŧ' | 'ʇ' => 't',
        'ʋ' | 'ʌ' => 'v',
        'ʍ' => 'w',
        'ƴ' | 'ʎ' => 'y',
        'ƶ' => 'z',
        _ => return None,
    })
}

/// The Latin letter that a letter of another script looks like.
fn look_alike(char: char) -> Option<char> {
    Some(match char {
        'а' | 'α' => 'a',
        'А' | 'Α' | 'Ꭺ' => 'A',
        'Ь' | 'ь' => 'b',
        'В' | 'Β' | 'в' | 'Ᏼ' => 'B',
        'с' | 'ϲ' => 'c',
        'С' | 'Ϲ' | 'Ꮯ' => 'C',
        'ԁ' | 'ժ' => 'd',
        'Ꭰ' => 'D',
        'е' | 'є' | 'ε' | 'ҽ' => 'e',
        'Е' | 'Ε' | 'Ꭼ' => 'E',
        'ց' => 'g',
        'Ԍ' | 'Ꮐ' => 'G',
        'һ' | 'հ' => 'h',
        'Н' | 'Η' | 'н' | 'Ꮋ' => 'H',
        'і' | 'ι' | 'ї' => 'i',
        'І' | 'Ι' | 'Ӏ' | 'ӏ' => 'l',
        'ј' | 'ϳ' => 'j',
        'Ј' | 'Ꭻ' => 'J',
        'к' | 'κ' => 'k',
        'К' | 'Κ' | 'Ꮶ' => 'K',
        'Ꮮ' => 'L',
        'М' | 'Μ' | 'м' | 'Ꮇ' => 'M',
        'п' | 'η' | 'ո' => 'n',
        'Ν' | 'и' => 'N',
        'о' | 'ο' | 'σ' | 'օ' => 'o',
        'О' | 'Ο' | 'Օ' => 'O',
        'р' | 'ρ' => 'p',
        'Р' | 'Ρ' | 'Ꮲ' => 'P',
        'ԛ' | 'զ' => 'q',
        'г' => 'r',
        'Ꮢ' => 'R',
        'ѕ' | 'ꜱ' => 's',
        'Ѕ' | 'Ꮪ' => 'S',
        'т' | 'τ' => 't',
        'Т' | 'Τ' | 'Ꭲ' => 'T',
        'υ' | 'ս' => 'u',
        'Ս' => 'U',
        'ν' | 'ѵ' => 'v',
        'Ꮩ' | 'Ѵ' => 'V',
        'ԝ' | 'ω' | 'ш' | 'ѡ' => 'w',
        'Ԝ' | 'Ꮃ' => 'W',
        'х' | 'χ' => 'x',
        'Х' | 'Χ' => 'X',
        'у' | 'γ' | 'ү' => 'y',
        'У' | 'Υ' | 'Ү' => 'Y',
        'Ζ' | 'Ꮓ' => 'Z',
        _ => return None,
    })
}

/// Words of mixed script become Latin; and words made of look-alikes only, where the text is Latin otherwise.
fn look_alikes(glyphs: &mut [Glyph], decodings: &mut Decodings) {
    let latin = glyphs.iter().filter(|g| g.char.is_ascii_alphabetic()).count();
    let foreign = glyphs.iter().filter(|g| !g.char.is_ascii() && g.char.is_alphabetic()).count();
    if foreign == 0 || latin == 0 {
        return;
    }
    let mut changed = Vec::new();
    for word in glyphs.chunk_by_mut(|a, b| a.char.is_alphabetic() && b.char.is_alphabetic()) {
        let strange = word.iter().filter(|g| !g.char.is_ascii()).count();
        let mixed = strange < word.len();
        let all_alike = || latin > 2 * foreign && word.iter().all(|g| look_alike(g.char).is_some());
        if strange == 0 || !(mixed || all_alike()) {
            continue;
        }
        for glyph in word {
            if let Some(char) = look_alike(glyph.char) {
                glyph.char = char;
                changed.push(*glyph);
            }
        }
    }
    if changed.len() >= 2 {
        decodings.add(Disguise::Homoglyph, &changed, changed.iter().map(|g| g.char));
    }
}
