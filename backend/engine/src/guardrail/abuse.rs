//! Texts made to cost: floods, repetition, nesting. OWASP LLM10, ATLAS AML.T0029 and AML.T0034.
//!
//! Only shapes are looked at. What a text asks for ("repeat this word for ever") is the rules' and the model's matter.

use super::text::Word;
use std::ops::Range;

/// Words in a text before repetition means anything.
const MIN_WORDS: usize = 200;
/// Share of all words that one word, or one line, may have.
const MAX_SHARE: f64 = 0.5;
/// The longest run of one character.
const MAX_RUN: usize = 400;
/// Brackets open at once.
const MAX_NESTING: usize = 100;
/// Bytes without a blank or line end that are no data of a known form.
const MAX_TOKEN: usize = 20_000;

/// A shape, why it is suspicious, and where it stands in the original.
pub struct Shape {
    pub rule: &'static str,
    pub reason: &'static str,
    pub score: f32,
    pub span: Range<usize>,
}

/// The shapes of a text.
#[must_use]
pub fn shapes(text: &str, lower: &str, words: &[Word]) -> Vec<Shape> {
    let all = 0..text.len();
    let mut shapes = Vec::new();
    if words.len() >= MIN_WORDS {
        let long = words.iter().filter(|word| word.text.len() > 1).map(|word| &lower[word.text.clone()]);
        if share(most(long), words.len()) > MAX_SHARE {
            let reason = "one word makes up most of the text";
            shapes.push(Shape { rule: "abuse.repetition", reason, score: 0.6, span: all.clone() });
        }
    }
    let lines = || text.lines().filter(|line| line.len() > 8);
    let line_count = lines().count();
    if line_count >= MIN_WORDS && share(most(lines()), line_count) > MAX_SHARE {
        let reason = "one line makes up most of the text";
        shapes.push(Shape { rule: "abuse.repetition", reason, score: 0.6, span: all });
    }
    shapes.extend(run(text));
    shapes.extend(nesting(text));
    shapes.extend(flood(text));
    shapes
}

/// How often what occurs most occurs, if that is more than half of the time: by the vote of Boyer and Moore.
fn most<'a>(of: impl Iterator<Item = &'a str> + Clone) -> usize {
    let (mut leader, mut votes) = ("", 0_usize);
    for one in of.clone() {
        match votes {
            0 => (leader, votes) = (one, 1),
            _ if one == leader => votes += 1,
            _ => votes -= 1,
        }
    }
    of.filter(|one| *one == leader).count()
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn run(text: &str) -> Option<Shape> {
    // Within a run the bytes repeat after 12, whether a character has 1, 2, 3 or 4 of them; steps are short enough for none to be missed.
    let bytes = text.as_bytes();
    let mut looks = (0..bytes.len()).step_by(MAX_RUN / 4);
    if !looks.any(|at| bytes.get(at..at + 24).is_some_and(|piece| piece[..12] == piece[12..])) {
        return None;
    }
    let (mut from, mut length, mut last) = (0, 0, '\0');
    for (at, char) in text.char_indices() {
        if char == last && !char.is_whitespace() && !matches!(char, '-' | '=' | '_' | '*' | '#') {
            length += 1;
        } else {
            (from, length, last) = (at, 1, char);
        }
        if length == MAX_RUN {
            let reason = "one character is repeated hundreds of times";
            return Some(Shape { rule: "abuse.flood", reason, score: 0.5, span: from..at + char.len_utf8() });
        }
    }
    None
}

fn nesting(text: &str) -> Option<Shape> {
    if text.bytes().filter(|byte| matches!(byte, b'{' | b'[' | b'(')).count() <= MAX_NESTING {
        return None;
    }
    let mut open = 0_usize;
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' | b'[' | b'(' => {
                if open == 0 {
                    from = at;
                }
                open += 1;
            }
            b'}' | b']' | b')' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > MAX_NESTING {
            let reason = "brackets are nested more than a hundred deep";
            return Some(Shape { rule: "abuse.nesting", reason, score: 0.6, span: from..at + 1 });
        }
    }
    None
}

fn flood(text: &str) -> Option<Shape> {
    let token = text.split_ascii_whitespace().find(|token| token.len() > MAX_TOKEN && !token.starts_with("data:"))?;
    let from = token.as_ptr() as usize - text.as_ptr() as usize;
    let reason = "thousands of characters without a break";
    Some(Shape { rule: "abuse.flood", reason, score: 0.4, span: from..from + token.len() })
}
