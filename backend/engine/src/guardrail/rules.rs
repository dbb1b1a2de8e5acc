//! Rules: the mechanisms of attacks as data (`data/rules.toml`).

use super::{
    lexicon::{Lexicon, Mention, Reading},
    needs::{Glance, Needs},
    patterns::{Candidates, compile},
    text::Disguise,
};
use regex_automata::{Input, meta::Regex};
use serde::Deserialize;
use stance_shared::Channel;
use std::ops::Range;

/// A rule, as the file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub id: String,
    /// `framework@version:id`.
    pub category: String,
    /// Further categories.
    #[serde(default)]
    pub also: Vec<String>,
    /// One line for a person.
    pub reason: String,
    /// How sure the rule alone is, 0 to 1.
    pub score: f32,
    /// Where it counts; everywhere when empty.
    #[serde(default)]
    pub channels: Vec<Channel>,
    #[serde(default)]
    patterns: Vec<String>,
    #[serde(default)]
    concepts: Vec<String>,
    #[serde(default)]
    within: usize,
    #[serde(default)]
    disguises: Vec<String>,
}

impl Rule {
    /// Whether it counts on a channel.
    #[must_use]
    pub fn counts(&self, channel: Channel) -> bool {
        self.channels.is_empty() || self.channels.contains(&channel)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: String,
    rule: Vec<Rule>,
}

#[derive(Debug)]
struct Compiled {
    /// Each with its number among the candidates.
    patterns: Vec<(usize, Regex, Needs)>,
    concepts: Vec<usize>,
    disguises: Vec<Disguise>,
}

/// A rule that holds, and where: bytes of the original text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Index of the rule.
    pub rule: usize,
    pub span: Range<usize>,
}

/// All rules, compiled.
#[derive(Debug)]
pub struct Rules {
    pub version: String,
    pub rules: Vec<Rule>,
    compiled: Vec<Compiled>,
    candidates: Candidates,
}

impl Rules {
    /// Reads rules in the form of `data/rules.toml`.
    ///
    /// # Errors
    /// A sentence that names the rule that is wrong.
    pub fn parse(source: &str, lexicon: &Lexicon) -> Result<Self, String> {
        let file: File = toml::from_str(source).map_err(|error| error.to_string())?;
        let (mut compiled, mut needs) = (Vec::new(), Vec::new());
        for rule in &file.rule {
            let named = |what: String| format!("{}: {what}", rule.id);
            let mut patterns = Vec::new();
            for pattern in &rule.patterns {
                let (regex, need) = compile(pattern, true).map_err(named)?;
                patterns.push((needs.len(), regex, need.clone()));
                needs.push(need);
            }
            let concepts = rule
                .concepts
                .iter()
                .map(|name| lexicon.concept(name).ok_or_else(|| named(format!("{name} is no concept of the lexicon"))));
            let disguises = rule.disguises.iter().map(|name| {
                let known = Disguise::ALL.into_iter().find(|d| d.name() == name);
                known.ok_or_else(|| named(format!("{name} is no disguise")))
            });
            compiled.push(Compiled {
                patterns,
                concepts: concepts.collect::<Result<_, _>>()?,
                disguises: disguises.collect::<Result<_, _>>()?,
            });
        }
        let candidates = Candidates::new(needs.iter())?;
        Ok(Self { version: file.version, rules: file.rule, compiled, candidates })
    }

    /// The rules that hold in a text, each at its first place; on which channels they count is for [`Rule::counts`] to say.
    #[must_use]
    pub fn find(&self, reading: &Reading) -> Vec<Hit> {
        self.find_in(reading, &Glance::at(&reading.canonical.text))
    }

    /// [`Self::find`] in a text whose canonical form was glanced at already.
    #[must_use]
    pub fn find_in(&self, reading: &Reading, glance: &Glance<'_>) -> Vec<Hit> {
        let text = glance.text;
        let candidates = self.candidates.of(text);
        let mut hits = Vec::new();
        for (at, (rule, compiled)) in self.rules.iter().zip(&self.compiled).enumerate() {
            let mut patterns =
                compiled.patterns.iter().filter(|(nth, _, needs)| candidates[*nth] && needs.may_be_met(glance));
            let span = match patterns.find_map(|(_, regex, _)| regex.search(&Input::new(text))) {
                Some(hit) => Some(reading.canonical.original(hit.range())),
                None => sequence(&reading.mentions, &compiled.concepts, rule.within)
                    .and_then(|words| reading.original_of(words))
                    .or_else(|| {
                        let decodings = &reading.canonical.decodings;
                        decodings.iter().find(|d| compiled.disguises.contains(&d.disguise)).map(|d| d.span.clone())
                    }),
            };
            hits.extend(span.map(|span| Hit { rule: at, span }));
        }
        hits
    }
}

/// The words of the first place where the concepts follow each other within so many words; `None` for no concepts.
fn sequence(mentions: &[Mention], concepts: &[usize], within: usize) -> Option<Range<usize>> {
    let (first, rest) = concepts.split_first()?;
    mentions.iter().enumerate().filter(|(_, m)| m.concept == *first).find_map(|(at, start)| {
        let mut end = start.to;
        for concept in rest {
            let next = mentions[at..]
                .iter()
                .take_while(|m| m.from < start.from + within)
                .find(|m| m.concept == *concept && m.from >= end)?;
            end = next.to;
        }
        Some(start.from..end)
    })
}
