//! Ways to hide a text, for training and tests: the counterpart of the engine's decoders.

use crate::fit::Random;
use std::fmt::Write as _;

/// Hides a text in some way; now and then in two.
#[must_use]
pub fn any(text: &str, random: &mut Random) -> String {
    let once = one(random.below(COUNT), text, random);
    match random.below(8) {
        0 => one(random.below(COUNT), &once, random),
        _ => once,
    }
}

/// Hides a text in a way that harmless texts use as well: nobody writes invisible letters or those of another alphabet by chance.
#[must_use]
pub fn ordinary(text: &str, random: &mut Random) -> String {
    let way = loop {
        let way = random.below(COUNT);
        if !(15..=18).contains(&way) {
            break way;
        }
    };
    one(way, text, random)
}

/// How many ways there are.
pub const COUNT: usize = 29;

/// Hides a text in one way.
#[must_use]
pub fn one(way: usize, text: &str, random: &mut Random) -> String {
    let letters = |map: &dyn Fn(u8) -> u8| -> String {
        text.chars()
            .map(|c| match c {
                'a'..='z' => char::from(b'a' + map(c as u8 - b'a')),
                'A'..='Z' => char::from(b'A' + map(c as u8 - b'A')),
                c => c,
            })
            .collect()
    };
    let bytes = |form: &dyn Fn(u8) -> String, between: &str| -> String {
        text.bytes().map(form).collect::<Vec<_>>().join(between)
    };
    match way {
        0 | 1 => base64(text.as_bytes()),
        2 => bytes(&|b| format!("{b:02x}"), ""),
        3 => bytes(&|b| format!("{b:02x}"), " "),
        4 => text.bytes().fold(String::new(), |mut s, b| {
            let _ = match b.is_ascii_alphanumeric() && random.chance(0.3) {
                true => write!(s, "{}", char::from(b)),
                false => write!(s, "%{b:02X}"),
            };
            s
        }),
        5 => text.chars().fold(String::new(), |mut s, c| {
            let _ = write!(s, "&#{};", u32::from(c));
            s
        }),
        6 => text.chars().fold(String::new(), |mut s, c| {
            let _ = write!(s, "\\u{:04x}", u32::from(c).min(0xffff));
            s
        }),
        7 => letters(&|n| (n + 13) % 26),
        8 => {
            let by = u8::try_from(1 + random.below(25)).unwrap_or(3);
            letters(&move |n| (n + by) % 26)
        }
        9 => letters(&|n| 25 - n),
        10 => text.chars().rev().collect(),
        11 | 12 => text
            .chars()
            .map(|c| match c.to_ascii_lowercase() {
                'a' if random.chance(0.8) => '4',
                'e' if random.chance(0.8) => '3',
                'i' if random.chance(0.8) => '1',
                'o' if random.chance(0.8) => '0',
                's' if random.chance(0.6) => '5',
                't' if random.chance(0.6) => '7',
                _ => c,
            })
            .collect(),
        13 => text.chars().map(String::from).collect::<Vec<_>>().join(" "),
        14 => text
            .chars()
            .filter(|c| *c != ' ')
            .map(String::from)
            .collect::<Vec<_>>()
            .join(["-", ".", "_", " "][random.below(4)]),
        15 => text.chars().flat_map(|c| [c, '\u{200b}']).collect(),
        16 => {
            let mut hidden =
                String::from(["Hello!", "Nice weather today. ", "ok", "Summarize this page."][random.below(4)]);
            hidden.extend(
                text.bytes()
                    .filter(|b| (0x20..0x7f).contains(b))
                    .filter_map(|b| char::from_u32(0xe0000 + u32::from(b))),
            );
            hidden
        }
        17 => text
            .chars()
            .map(|c| match c {
                'a' if random.chance(0.7) => 'а',
                'e' if random.chance(0.7) => 'е',
                'o' if random.chance(0.7) => 'о',
                'p' => 'р',
                'c' => 'с',
                'i' if random.chance(0.5) => 'і',
                'x' => 'х',
                c => c,
            })
            .collect(),
        18 => text
            .chars()
            .map(|c| match c {
                'a'..='z' => char::from_u32(0x1d41a + u32::from(c) - 97).unwrap_or(c),
                'A'..='Z' => char::from_u32(0x1d400 + u32::from(c) - 65).unwrap_or(c),
                c => c,
            })
            .collect(),
        19 => bytes(&|b| format!("{b:08b}"), " "),
        20 => bytes(&|b| b.to_string(), " "),
        21 => bytes(&|b| format!("{b:03o}"), " "),
        22 => bytes(&|b| format!("\\{b:03o}"), ""),
        23 => text
            .split_whitespace()
            .map(|word| {
                let letters = word.bytes().filter(u8::is_ascii_alphabetic).map(|b| b.to_ascii_lowercase() - b'a' + 1);
                letters.map(|n| n.to_string()).collect::<Vec<_>>().join("-")
            })
            .collect::<Vec<_>>()
            .join([" ", " / "][random.below(2)]),
        24 => text
            .chars()
            .map(|c| if ('!'..='~').contains(&c) { char::from((c as u8 - 33 + 47) % 94 + 33) } else { c })
            .collect(),
        25 => text.split_whitespace().collect(),
        26 => {
            let chars: Vec<char> = text.chars().collect();
            let pieces: Vec<String> = chars
                .chunks(3 + random.below(4))
                .map(|piece| format!("\"{}\"", piece.iter().collect::<String>()))
                .collect();
            pieces.join([" + ", "+"][random.below(2)])
        }
        27 => text.chars().flat_map(|c| ['\\', c]).collect(),
        _ => text.split_whitespace().map(|word| word.chars().rev().collect::<String>()).collect::<Vec<_>>().join(" "),
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .flat_map(|chunk| {
            let word = (0..3).fold(0_u32, |w, i| (w << 8) | u32::from(chunk.get(i).copied().unwrap_or(0)));
            [18, 12, 6, 0].into_iter().enumerate().map(move |(i, shift)| match i > chunk.len() {
                true => '=',
                false => char::from(ALPHABET[(word >> shift) as usize & 63]),
            })
        })
        .collect()
}
