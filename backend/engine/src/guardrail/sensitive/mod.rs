//! Secrets and personal data: what must not leave, found by format and proven by checks.

pub mod checks;
#[cfg(test)]
mod tests;

use super::{
    needs::{Glance, Needs},
    patterns::{Candidates, compile},
    text::base64,
};
use regex_automata::{Input, meta::Regex};
use serde::Deserialize;
use std::{collections::BTreeMap, ops::Range};

/// Whether something is a secret of a machine or data on a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Secret,
    Personal,
}

/// A format by which something sensitive is known.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Format {
    pub id: String,
    /// What stands in its place in a redacted text; `SECRET` when absent.
    #[serde(default = "secret")]
    pub label: String,
    /// What a person calls it.
    pub name: String,
    pattern: String,
    #[serde(default)]
    entropy: f64,
    #[serde(default)]
    check: Option<String>,
    #[serde(default)]
    context: Vec<String>,
}

fn secret() -> String {
    "SECRET".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: String,
    #[serde(default)]
    secret: Vec<Format>,
    #[serde(default)]
    personal: Vec<Format>,
}

/// Something sensitive in a text.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    pub format: &'a Format,
    /// Bytes of the text.
    pub start: usize,
    pub end: usize,
}

/// All formats of a sort, compiled.
#[derive(Debug)]
pub struct Formats {
    pub version: String,
    pub sort: Sort,
    formats: Vec<(Format, Regex, Needs, Check)>,
    candidates: Candidates,
}

type Check = fn(&str) -> bool;

/// How far before a match its context may stand, in bytes.
const CONTEXT: usize = 60;
/// Matches of one format in a text; beyond that a text is data, and one is as good as a thousand.
const MAX_EACH: usize = 256;

impl Formats {
    /// Reads formats in the form of `data/secrets.toml` and `data/personal.toml`.
    ///
    /// # Errors
    /// A sentence that names the format that is wrong.
    pub fn parse(source: &str, sort: Sort) -> Result<Self, String> {
        let file: File = toml::from_str(source).map_err(|error| error.to_string())?;
        let mut formats = Vec::new();
        for format in file.secret.into_iter().chain(file.personal) {
            let (regex, needs) = compile(&format.pattern, false).map_err(|error| format!("{}: {error}", format.id))?;
            let check = check(format.check.as_deref()).ok_or_else(|| format!("{}: unknown check", format.id))?;
            formats.push((format, regex, needs, check));
        }
        let candidates = Candidates::new(formats.iter().map(|(_, _, needs, _)| needs))?;
        Ok(Self { version: file.version, sort, formats, candidates })
    }

    /// The formats, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Format> {
        self.formats.iter().map(|(format, ..)| format)
    }

    /// What is sensitive in a text, in its order; where two overlap the earlier format of the file wins.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<Found<'_>> {
        self.find_in(&Glance::at(text))
    }

    /// [`Self::find`] in a text that was glanced at already.
    #[must_use]
    pub fn find_in(&self, glance: &Glance<'_>) -> Vec<Found<'_>> {
        let text = glance.text;
        let candidates = self.candidates.of(text);
        let (mut found, mut taken) = (Vec::new(), Taken::default());
        for ((format, regex, needs, check), _) in self.formats.iter().zip(candidates).filter(|(_, is)| *is) {
            let places = needs.parts(glance).into_iter().flat_map(|part| matches(regex, text, part));
            for place in places.take(MAX_EACH) {
                if format.accepts(text, place.clone(), *check) && taken.take(place.clone()) {
                    found.push(Found { format, start: place.start, end: place.end });
                }
            }
        }
        found.sort_by_key(|f| (f.start, f.end));
        found
    }
}

/// The places that an expression's first group takes in a part of a text; the next is looked for behind the one before.
fn matches(regex: &Regex, text: &str, part: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut captures = regex.create_captures();
    let mut from = part.start;
    std::iter::from_fn(move || {
        if from >= part.end {
            return None;
        }
        regex.search_captures(&Input::new(text).range(from..part.end), &mut captures);
        let span = captures.get_group(1).or_else(|| captures.get_group(0))?;
        from = next(text, span.end.max(span.start + 1));
        Some(span.range())
    })
}

/// Places of a text that do not overlap.
#[derive(Default)]
pub struct Taken(BTreeMap<usize, usize>);

impl Taken {
    /// Takes a place unless a part of it is taken; whether it was free. In time that grows with the logarithm of their number.
    pub fn take(&mut self, span: Range<usize>) -> bool {
        // The last that begins before this one's end is the only one that can reach into it.
        let is_free = self.0.range(..span.end).next_back().is_none_or(|(_, end)| *end <= span.start);
        if is_free {
            self.0.insert(span.start, span.end);
        }
        is_free
    }
}

/// The next place at which a character begins.
fn next(text: &str, mut at: usize) -> usize {
    while at < text.len() && !text.is_char_boundary(at) {
        at += 1;
    }
    at.min(text.len())
}

impl Format {
    fn accepts(&self, text: &str, span: Range<usize>, check: Check) -> bool {
        let Some(value) = text.get(span.clone()) else { return false };
        let mut from = span.start.saturating_sub(CONTEXT);
        while !text.is_char_boundary(from) {
            from += 1;
        }
        let before = || text[from..span.start].to_lowercase();
        (self.entropy <= 0.0 || checks::entropy(value) >= self.entropy)
            && check(value)
            && (self.context.is_empty() || {
                let before = before();
                self.context.iter().any(|word| before.contains(word.as_str()))
            })
    }
}

fn check(name: Option<&str>) -> Option<Check> {
    Some(match name {
        None => |_| true,
        Some("iban") => checks::iban,
        Some("card") => checks::card,
        Some("ssn") => checks::ssn,
        Some("spain") => checks::spain,
        Some("france") => checks::france,
        Some("germany") => checks::germany,
        Some("italy") => checks::italy,
        Some("brazil") => checks::brazil,
        Some("poland") => checks::poland,
        Some("netherlands") => checks::netherlands,
        Some("sweden") => checks::sweden,
        Some("finland") => checks::finland,
        Some("norway") => checks::norway,
        Some("belgium") => checks::belgium,
        Some("nhs") => checks::nhs,
        Some("india") => checks::india,
        Some("china") => checks::china,
        Some("turkey") => checks::turkey,
        Some("crc32-base62") => checks::crc32_base62,
        Some("bech32") => checks::bech32,
        Some("not-placeholder") => checks::not_placeholder,
        Some("jwt") => |token| token.split('.').take(2).all(is_json),
        Some("discord") => {
            |token| token.split('.').next().and_then(decode).is_some_and(|id| id.iter().all(u8::is_ascii_digit))
        }
        Some(_) => return None,
    })
}

/// Whether a part of a token is Base64 of a JSON object.
fn is_json(part: &str) -> bool {
    decode(part).is_some_and(|bytes| bytes.first() == Some(&b'{') && bytes.contains(&b'"'))
}

/// Base64 with its padding or without.
fn decode(text: &str) -> Option<Vec<u8>> {
    base64(&text.bytes().filter(|byte| *byte != b'=').collect::<Vec<_>>())
}
