//! What no match of a regular expression can be without: read off the expression, so that nobody has to write it beside it.

use regex_syntax::hir::{Class, Hir, HirKind, Look};
use std::ops::Range;

/// Literals of one clause; more tell too little.
const MAX_LITERALS: usize = 160;
/// Characters of a class that are told apart.
const MAX_CLASS: usize = 4;
/// Stands in a literal where a word must begin or end; no byte of UTF-8.
const BOUNDARY: u8 = 0xff;

/// A text of which a match needs one, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Literal {
    pub text: Vec<u8>,
    /// Whether no ASCII letter, digit or underscore stands before, and behind.
    begins: bool,
    ends: bool,
}

impl Literal {
    /// `None` for the empty text.
    fn of(marked: &[u8]) -> Option<Self> {
        let text: Vec<u8> = marked.iter().copied().filter(|byte| *byte != BOUNDARY).collect();
        let begins = marked.first() == Some(&BOUNDARY) && is_word(*text.first()?);
        let ends = marked.last() == Some(&BOUNDARY) && is_word(*text.last()?);
        (!text.is_empty()).then_some(Self { text, begins, ends })
    }

    /// How rare it is: 0 for a letter, for digits and for blanks, 1 for a sign, 2 for more.
    fn weight(&self) -> usize {
        match self.text.trim_ascii() {
            [byte] => usize::from(byte.is_ascii_punctuation()),
            text => {
                if text.iter().all(u8::is_ascii_digit) {
                    0
                } else {
                    2
                }
            }
        }
    }

    /// Whether it stands at a place where its text does.
    pub fn stands(&self, text: &[u8], at: Range<usize>) -> bool {
        let is_word_at = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|byte| is_word(*byte));
        !(self.begins && is_word_at(at.start.checked_sub(1)) || self.ends && is_word_at(Some(at.end)))
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// What one pass over a text tells of it.
#[derive(Debug)]
pub struct Glance<'a> {
    pub text: &'a str,
    /// The places of its ASCII digits.
    digits: Vec<usize>,
    /// A bit for each ASCII character that occurs, letters in lower case.
    signs: u128,
    /// The longest run of ASCII letters, digits and underscores.
    run: usize,
}

impl<'a> Glance<'a> {
    #[must_use]
    pub fn at(text: &'a str) -> Self {
        let (mut digits, mut seen, mut run, mut longest) = (Vec::new(), [false; 256], 0, 0);
        for (at, &byte) in text.as_bytes().iter().enumerate() {
            seen[usize::from(byte)] = true;
            run = if WORD[usize::from(byte)] { run + 1 } else { 0 };
            longest = longest.max(run);
            if byte.is_ascii_digit() {
                digits.push(at);
            }
        }
        let signs = (0..=u8::MAX).filter(|byte| seen[usize::from(*byte)]).fold(0, |all, byte| all | bit(byte));
        Self { text, digits, signs, run: longest }
    }
}

/// Which bytes are letters, digits or underscores of ASCII.
const WORD: [bool; 256] = {
    let mut word = [false; 256];
    let mut at = 0;
    while at < 128 {
        word[at] = is_word(at as u8);
        at += 1;
    }
    word
};

/// A character's bit; none for bytes of other characters.
fn bit(byte: u8) -> u128 {
    if byte.is_ascii() { 1 << byte.to_ascii_lowercase() } else { 0 }
}

/// What every match has.
#[derive(Clone, Debug)]
pub struct Needs {
    /// One literal of each clause, whatever its case.
    pub clauses: Vec<Vec<Literal>>,
    /// The characters of one literal of each further clause: those that stand in so many texts that to find them costs more than it tells.
    signs: Vec<Vec<u128>>,
    /// So many ASCII letters, digits and underscores without another character between them.
    run: usize,
    /// So many ASCII digits.
    pub digits: usize,
    /// At most so many bytes.
    pub length: Option<usize>,
}

impl Needs {
    /// The needs of an expression.
    #[must_use]
    pub fn of(hir: &Hir) -> Self {
        let mut read = read(hir);
        read.close();
        let clause = |clause: &Set| clause.iter().map(|marked| Literal::of(marked)).collect::<Option<Vec<_>>>();
        let clauses: Vec<Vec<Literal>> = read.clauses.iter().filter_map(clause).collect();
        // What stands in every other text tells little, and costs where it is found.
        let weakest = |clause: &Vec<Literal>| clause.iter().map(Literal::weight).min().unwrap_or(0);
        let least = clauses.iter().map(weakest).max().unwrap_or(0).clamp(1, 2);
        let (clauses, weak): (Vec<_>, Vec<_>) = clauses.into_iter().partition(|clause| weakest(clause) >= least);
        let signs = |clause: Vec<Literal>| {
            clause.iter().map(|literal| literal.text.iter().fold(0, |all, byte| all | bit(*byte))).collect()
        };
        let signs = weak.into_iter().map(signs).collect();
        let length = hir.properties().maximum_len();
        Self { clauses, signs, run: Run::of(hir).longest, digits: digits(hir), length }
    }

    /// Whether a text may have a match, its clauses apart.
    #[must_use]
    pub fn may_be_met(&self, glance: &Glance<'_>) -> bool {
        glance.run >= self.run
            && glance.digits.len() >= self.digits
            && self.signs.iter().all(|clause| clause.iter().any(|signs| signs & !glance.signs == 0))
    }

    /// The parts of a text in which all matches lie, apart from each other: those that have digits enough within a match's length.
    #[must_use]
    pub fn parts(&self, glance: &Glance<'_>) -> Vec<Range<usize>> {
        if !self.may_be_met(glance) {
            return Vec::new();
        }
        let (text, at) = (glance.text, &glance.digits);
        let (Some(length), Some(others)) = (self.length, self.digits.checked_sub(1)) else {
            return std::iter::once(0..text.len()).collect();
        };
        let mut parts: Vec<Range<usize>> = Vec::new();
        for (first, last) in at.iter().zip(at.get(others..).unwrap_or_default()) {
            if last - first >= length {
                continue;
            }
            let part = first.saturating_sub(length)..(last + length).min(text.len());
            match parts.last_mut() {
                Some(before) if part.start <= before.end => before.end = part.end,
                _ => parts.push(part),
            }
        }
        parts
    }
}

/// Texts in lower case, with boundaries marked.
type Set = Vec<Vec<u8>>;

/// All that a part can match, where that is few texts, and the clauses of what it is made of otherwise.
struct Read {
    exact: Option<Set>,
    clauses: Vec<Set>,
}

impl Read {
    const UNKNOWN: Self = Self { exact: None, clauses: Vec::new() };

    fn exactly(set: Set) -> Self {
        Self { exact: Some(set), clauses: Vec::new() }
    }

    /// Makes a clause of the texts.
    fn close(&mut self) {
        let set = self.exact.take().filter(|set| set.iter().all(|text| text.iter().any(|byte| *byte != BOUNDARY)));
        self.clauses.extend(set);
    }
}

fn read(hir: &Hir) -> Read {
    match hir.kind() {
        HirKind::Empty => Read::exactly(vec![Vec::new()]),
        HirKind::Look(Look::WordAscii | Look::WordUnicode) => Read::exactly(vec![vec![BOUNDARY]]),
        HirKind::Look(_) => Read::exactly(vec![Vec::new()]),
        HirKind::Literal(literal) => Read::exactly(vec![literal.0.to_ascii_lowercase()]),
        HirKind::Class(class) => of_class(class),
        HirKind::Capture(capture) => read(&capture.sub),
        HirKind::Repetition(repetition) => {
            let mut sub = read(&repetition.sub);
            match (repetition.min, repetition.max, sub.exact.take()) {
                (0, Some(1), Some(mut set)) => {
                    set.push(Vec::new());
                    Read::exactly(set)
                }
                (0, ..) => Read::UNKNOWN,
                (_, _, exact) => {
                    sub.exact = exact;
                    sub.close();
                    sub
                }
            }
        }
        HirKind::Concat(parts) => {
            let mut whole = Read::exactly(vec![Vec::new()]);
            for part in parts {
                let mut next = read(part);
                match (&whole.exact, next.exact.take()) {
                    (Some(before), Some(after)) if before.len() * after.len() <= MAX_LITERALS => {
                        whole.exact =
                            Some(before.iter().flat_map(|b| after.iter().map(|a| [&b[..], a].concat())).collect());
                    }
                    (_, after) => {
                        whole.close();
                        whole.exact = after;
                    }
                }
                whole.clauses.append(&mut next.clauses);
            }
            whole
        }
        HirKind::Alternation(branches) => {
            let mut reads: Vec<Read> = branches.iter().map(read).collect();
            let all: Option<Vec<&Set>> = reads.iter().map(|r| r.exact.as_ref()).collect();
            let all: Option<Set> = all.map(|sets| sets.into_iter().flatten().cloned().collect());
            if let Some(all) = all.filter(|all| all.len() <= MAX_LITERALS) {
                return Read::exactly(all);
            }
            // One clause that has the best of each branch.
            let best = reads.iter_mut().map(|read| {
                read.close();
                std::mem::take(&mut read.clauses).into_iter().max_by_key(|set| set.iter().map(Vec::len).min())
            });
            let clause: Option<Vec<Set>> = best.collect();
            let clause = clause.map(|sets| sets.concat()).filter(|set| set.len() <= MAX_LITERALS);
            Read { exact: None, clauses: clause.into_iter().collect() }
        }
    }
}

fn of_class(class: &Class) -> Read {
    let chars: Option<Vec<char>> = match class {
        Class::Bytes(class)
            if class.ranges().iter().map(regex_syntax::hir::ClassBytesRange::len).sum::<usize>() <= 2 * MAX_CLASS =>
        {
            class
                .ranges()
                .iter()
                .flat_map(|range| range.start()..=range.end())
                .map(|byte| byte.is_ascii().then_some(char::from(byte)))
                .collect()
        }
        Class::Unicode(class)
            if class.ranges().iter().map(regex_syntax::hir::ClassUnicodeRange::len).sum::<usize>() <= 2 * MAX_CLASS =>
        {
            Some(class.ranges().iter().flat_map(|range| range.start()..=range.end()).collect())
        }
        _ => None,
    };
    let Some(mut chars) = chars else { return Read::UNKNOWN };
    chars.iter_mut().for_each(|c| *c = c.to_ascii_lowercase());
    chars.sort_unstable();
    chars.dedup();
    if chars.len() > MAX_CLASS {
        return Read::UNKNOWN;
    }
    Read::exactly(chars.into_iter().map(|c| c.to_string().into_bytes()).collect())
}

/// The least run of ASCII letters, digits and underscores.
#[derive(Clone, Copy)]
struct Run {
    /// The length of what is nothing else.
    whole: Option<usize>,
    longest: usize,
}

impl Run {
    fn pure(length: usize) -> Self {
        Self { whole: Some(length), longest: length }
    }

    fn of(hir: &Hir) -> Self {
        let broken = |longest| Self { whole: None, longest };
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Self::pure(0),
            HirKind::Literal(literal) => {
                let longest = literal.0.split(|byte| !is_word(*byte)).map(<[u8]>::len).max().unwrap_or(0);
                if longest == literal.0.len() { Self::pure(longest) } else { broken(longest) }
            }
            HirKind::Class(class) if consists_of(class, is_word) => Self::pure(1),
            HirKind::Class(_) => broken(0),
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Repetition(repetition) => {
                let (sub, least) = (Self::of(&repetition.sub), usize::try_from(repetition.min).unwrap_or(usize::MAX));
                match sub.whole {
                    Some(length) => Self::pure(length.saturating_mul(least)),
                    None => broken(if least > 0 { sub.longest } else { 0 }),
                }
            }
            HirKind::Concat(parts) => {
                let (mut now, mut longest, mut is_pure) = (0_usize, 0, true);
                for part in parts.iter().map(Self::of) {
                    match part.whole {
                        Some(length) => now = now.saturating_add(length),
                        None => (now, is_pure) = (0, false),
                    }
                    longest = longest.max(now).max(part.longest);
                }
                if is_pure { Self::pure(now) } else { broken(longest) }
            }
            HirKind::Alternation(branches) => {
                let branches: Vec<Self> = branches.iter().map(Self::of).collect();
                let whole: Option<Vec<usize>> = branches.iter().map(|branch| branch.whole).collect();
                let longest = branches.iter().map(|branch| branch.longest).min().unwrap_or(0);
                Self { whole: whole.and_then(|lengths| lengths.into_iter().min()), longest }
            }
        }
    }
}

/// Whether all characters of a class are ASCII, and such ones.
fn consists_of(class: &Class, is: fn(u8) -> bool) -> bool {
    let are = |from: u32, to: u32| (from..=to).all(|c| u8::try_from(c).is_ok_and(is));
    match class {
        Class::Bytes(class) => class.ranges().iter().all(|r| are(r.start().into(), r.end().into())),
        Class::Unicode(class) => class.ranges().iter().all(|r| are(r.start().into(), r.end().into())),
    }
}

/// The least number of ASCII digits.
fn digits(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => literal.0.iter().filter(|byte| byte.is_ascii_digit()).count(),
        HirKind::Class(class) => usize::from(consists_of(class, |byte| byte.is_ascii_digit())),
        HirKind::Capture(capture) => digits(&capture.sub),
        HirKind::Repetition(repetition) => {
            digits(&repetition.sub).saturating_mul(usize::try_from(repetition.min).unwrap_or(usize::MAX))
        }
        HirKind::Concat(parts) => parts.iter().map(digits).fold(0, usize::saturating_add),
        HirKind::Alternation(branches) => branches.iter().map(digits).min().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guardrail::patterns::{Candidates, compile};
    use regex_automata::Input;

    fn needs(pattern: &str) -> Needs {
        compile(pattern, true).unwrap().1
    }

    fn clauses(pattern: &str) -> Vec<Vec<String>> {
        let text = |literal: &Literal| String::from_utf8_lossy(&literal.text).into_owned();
        needs(pattern).clauses.iter().map(|clause| clause.iter().map(text).collect()).collect()
    }

    #[test]
    fn clauses_are_read_off_an_expression() {
        assert_eq!(
            clauses(r"\b(?:read|open)\w*\b[^.\n]{0,80}(?:\.ssh|id_rsa)"),
            [["read", "open"], [".ssh", "id_rsa"]]
        );
        assert_eq!(clauses(r"api[ _-]?key"), [["api key", "api-key", "api_key", "apikey"]]);
        assert_eq!(clauses(r"(?:never|do not)?\s*refus\w+"), [["refus"]]);
        assert_eq!(clauses(r"(?:curl\b.*|wget\b.*)\|\s*sh"), [vec!["curl", "wget"], vec!["sh"]]);
        // One branch without anything makes the whole clause worthless.
        assert!(clauses(r"(?:secret|\w+)\s").is_empty());
    }

    #[test]
    fn whole_words_are_no_parts_of_others() {
        let candidates = Candidates::new([needs(r"\b(?:ai|bot)\b\s+x+")].iter()).unwrap();
        for (text, is) in
            [("said a robot", false), ("botany", false), ("AI xx", true), ("(bot)", true), ("über-ai", true)]
        {
            assert_eq!(candidates.of(text), [is], "{text}");
        }
    }

    #[test]
    fn matches_lie_where_digits_are_dense() {
        let needs = needs(r"(?:^|[^\d])(\d{3}-\d{4})");
        assert_eq!((needs.digits, needs.length), (7, Some(9)));
        let text = "1 of 2 and 3 of 4, 5, 6, 7: call 555-1234 or 555-9876 now".to_owned() + &" no".repeat(20);
        let parts = needs.parts(&Glance::at(&text));
        assert_eq!(parts.len(), 1);
        assert!(text[parts[0].clone()].contains(" 555-1234 or 555-9876 "), "{parts:?}");
        assert!(needs.parts(&Glance::at("")).is_empty());
    }

    #[test]
    fn runs_and_signs_are_read_off_an_expression() {
        for (pattern, run) in [
            (r"\b([MN][A-Za-z\d]{23,27}\.[\w-]{6})", 24),
            (r"(?i:[A-Z]{6}[0-9L]{2})[a-z]x", 10),
            (r"a{20}[a-z%]{60,}", 20),
            (r"(?:abc|de)f-?\w+", 3),
            (r"(?:ab)*\s", 0),
            (r"(?u:\p{L}{9})", 0),
        ] {
            assert_eq!(needs(pattern).run, run, "{pattern}");
        }
        let needs = needs(r"['\x22]\s*(?:or|and)\s+1");
        assert!(needs.may_be_met(&Glance::at("' OR 1")));
        assert!(!needs.may_be_met(&Glance::at("this and 1 that")));
    }

    /// What is passed over would not have matched.
    #[test]
    fn no_match_is_lost() {
        let patterns = [
            r"\b(?:ignore|forget)\s+(?:all\s+)?your\s+rules?\b",
            r"(?:^|\n)\s*(?:system|admin)\s*:",
            r"\bgh[po]_[a-z0-9]{4}\b",
            r"(?:a|b\d)c|d{2,3}e?",
            r":\s*[a-z]\w{3,}",
        ];
        let (regexes, needs): (Vec<_>, Vec<_>) = patterns.iter().map(|p| compile(p, true).unwrap()).unzip();
        let candidates = Candidates::new(needs.iter()).unwrap();
        let pieces = [
            "ignore ", "your ", "all ", "rule", "s", "\n", "Admin", " :", "ghp_", "12ab", "b7c", "ac", "dd", "e", "ü",
            ".",
        ];
        let mut state = 1_u32;
        let mut matched = [0; 5];
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..6 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                text += pieces[(state >> 16) as usize % pieces.len()];
            }
            let (may, glance) = (candidates.of(&text), Glance::at(&text));
            for (nth, regex) in regexes.iter().enumerate() {
                if regex.search(&Input::new(&text)).is_some() {
                    matched[nth] += 1;
                    assert!(may[nth] && needs[nth].may_be_met(&glance), "{} in {text:?}", patterns[nth]);
                }
            }
        }
        assert!(matched.iter().all(|count| *count > 0), "{matched:?}");
    }
}
