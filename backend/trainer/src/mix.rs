//! How much each part of the model, each rule and each disguise counts: logistic regression on scores that the parts gave to texts
//! which they never saw, in which rules and disguises never speak for a text's harmlessness; then trees that correct it.

use crate::{
    data::Example,
    trees::{self, Case},
};
use stance_engine::guardrail::{
    model::{Logits, Mix, PARTS, passages, trees::Inputs},
    rules::Rules,
    text::Disguise,
};

/// A text's example, the logits of the parts, and how much it counts.
pub struct Scored<'a> {
    pub example: &'a Example,
    pub logits: Logits,
    pub weight: f32,
}

impl Scored<'_> {
    /// The sum under a mix.
    #[must_use]
    pub fn sum(&self, mix: &Mix, rules: &Rules) -> f32 {
        mix.sum(self.logits, self.words(), self.rules(rules), &self.example.features.disguises)
    }

    fn inputs(&self, mix: &Mix, rules: &Rules) -> Inputs {
        mix.inputs(self.logits, self.words(), self.rules(rules), &self.example.features.disguises)
    }

    fn words(&self) -> usize {
        self.example.features.lists[0].len()
    }

    fn rules<'a>(&self, rules: &'a Rules) -> impl Iterator<Item = &'a str> {
        self.example.rules.iter().map(|rule| rules.rules[*rule].id.as_str())
    }
}

const EPOCHS: usize = 60;
/// Pulls rules and disguises to zero, per text.
const DECAY: f32 = 3e-5;

/// Fits the mix. Full-batch gradient descent with a step per weight: few weights, smooth.
#[must_use]
pub fn fit(scored: &[&Scored<'_>], rules: &Rules) -> Mix {
    let (logits_at, length_at, rules_at) = (1, 1 + PARTS, 2 + PARTS);
    let disguises_at = rules_at + rules.rules.len();
    let mut weights = vec![0.0_f32; disguises_at + Disguise::ALL.len()];
    weights[logits_at..length_at].fill(0.2);
    let mut squares = vec![1e-3_f32; weights.len()];
    let total: f32 = scored.iter().map(|s| s.weight).sum();
    let mut active: Vec<(usize, f32)> = Vec::new();
    for _ in 0..EPOCHS {
        for batch in scored.chunks(512) {
            let mut gradient = vec![0.0_f32; weights.len()];
            for one in batch {
                active.clear();
                active.push((0, 1.0));
                active.extend(one.logits.iter().enumerate().map(|(i, p)| (logits_at + i, *p)));
                active.push((length_at, passages(one.example.features.lists[0].len())));
                active.extend(one.example.rules.iter().map(|r| (rules_at + r, 1.0)));
                active.extend(one.example.features.disguises.iter().map(|d| (disguises_at + d, 1.0)));
                let sum: f32 = active.iter().map(|(at, value)| weights[*at] * value).sum();
                let target = f32::from(u8::from(one.example.attack));
                let slope = (1.0 / (1.0 + (-sum).exp()) - target) * one.weight;
                for (at, value) in &active {
                    gradient[*at] += slope * value;
                }
            }
            let share = batch.iter().map(|s| s.weight).sum::<f32>() / total.max(1e-9);
            for (at, weight) in weights.iter_mut().enumerate() {
                let decay = if at >= rules_at { DECAY * total * share * *weight } else { 0.0 };
                let slope = gradient[at] + decay;
                squares[at] += slope * slope;
                *weight -= 0.1 * slope / squares[at].sqrt();
                if at == length_at {
                    *weight = weight.min(0.0);
                } else if at >= logits_at {
                    *weight = weight.max(0.0);
                }
            }
        }
    }
    let by_rule = rules.rules.iter().zip(&weights[rules_at..]).map(|(rule, weight)| (rule.id.clone(), *weight));
    let mut mix = Mix {
        bias: weights[0],
        logits: std::array::from_fn(|at| weights[logits_at + at]),
        length: weights[length_at],
        rules: by_rule.filter(|(_, weight)| *weight > 0.0).collect(),
        disguises: weights[disguises_at..].to_vec(),
        trees: Vec::new(),
    };
    let case =
        |one: &&Scored<'_>| Case { inputs: one.inputs(&mix, rules), attack: one.example.attack, weight: one.weight };
    let cases: Vec<Case> = scored.iter().filter(|one| one.weight > 0.0).map(case).collect();
    mix.trees = trees::fit(&cases);
    mix
}
