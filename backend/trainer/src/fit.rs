//! Logistic regression over the presence of hashed features, by AdaGrad.

use crate::data::Example;
use stance_engine::guardrail::model::{LISTS, PARTS, norm, reads_passage, worst_passage};
use std::ops::Range;

/// How a part of the model is fitted.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub bits: u32,
    pub epochs: usize,
    pub rate: f32,
    pub decay: f32,
    /// Share of features that each step does not see.
    pub dropout: f32,
    pub seed: u64,
}

/// How each part is fitted.
pub const SETTINGS: [Settings; PARTS] = [
    Settings { bits: 19, epochs: 8, rate: 0.2, decay: 1e-5, dropout: 0.3, seed: 1 },
    Settings { bits: 19, epochs: 8, rate: 0.2, decay: 1e-5, dropout: 0.3, seed: 2 },
    Settings { bits: 16, epochs: 4, rate: 0.05, decay: 1e-4, dropout: 0.1, seed: 3 },
    Settings { bits: 19, epochs: 8, rate: 0.2, decay: 1e-5, dropout: 0.3, seed: 4 },
    Settings { bits: 19, epochs: 8, rate: 0.2, decay: 1e-5, dropout: 0.3, seed: 5 },
    Settings { bits: 16, epochs: 4, rate: 0.05, decay: 1e-4, dropout: 0.1, seed: 6 },
];

/// One part's weights in the making.
pub struct Part {
    at: usize,
    pub weights: Vec<f32>,
    pub bias: f32,
}

impl Part {
    /// What it says of a text.
    #[must_use]
    pub fn score(&self, example: &Example) -> f32 {
        let places = &example.places[self.at % LISTS];
        let sum = match reads_passage(self.at) {
            true => self.worst(example).0,
            false => places.iter().map(|&i| self.weights[i as usize]).sum::<f32>() * norm(places.len()),
        };
        self.bias + sum
    }

    fn worst(&self, example: &Example) -> (f32, Range<usize>) {
        let grouped = &example.features.lists[self.at % LISTS];
        worst_passage(grouped, 0..grouped.len(), |hash| self.weights[self.place(hash) as usize])
    }

    fn place(&self, hash: u32) -> u32 {
        hash >> (32 - SETTINGS[self.at].bits)
    }

    /// What a step of the fit sees: all of a text, or what is now its worst passage. So every passage of a harmless text
    /// is learned to be harmless, and of an attack only the one that gives it away to be an attack (multiple-instance learning:
    /// Andrews et al. 2002).
    fn seen(&self, example: &Example, into: &mut Vec<u32>) {
        into.clear();
        if reads_passage(self.at) {
            let passage = example.features.lists[self.at % LISTS].of(self.worst(example).1);
            into.extend(passage.iter().map(|&hash| self.place(hash)));
        } else {
            into.extend_from_slice(&example.places[self.at]);
        }
    }
}

/// xorshift64*: small, and the same everywhere.
pub struct Random(u64);

impl Random {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((self.bits() >> 32) as usize * n) >> 32
    }

    pub fn chance(&mut self, p: f32) -> bool {
        ((self.bits() >> 40) as f32) < p * (1u64 << 24) as f32
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// Fits a part; `weights` says how much each example counts.
#[must_use]
pub fn fit(examples: &[&Example], weights: &[f32], part: usize) -> Part {
    let settings = SETTINGS[part];
    let size = 1_usize << settings.bits;
    let mut fitted = Part { at: part, weights: vec![0.0; size], bias: 0.0 };
    let mut squares = vec![1e-6_f32; size];
    let mut bias_square = 1e-6_f32;
    let mut random = Random::new(settings.seed);
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let mut kept: Vec<u32> = Vec::new();
    for _ in 0..settings.epochs {
        random.shuffle(&mut order);
        for &at in &order {
            fitted.seen(examples[at], &mut kept);
            kept.retain(|_| !random.chance(settings.dropout));
            let scale = norm(kept.len());
            let logit = fitted.bias + kept.iter().map(|&i| fitted.weights[i as usize]).sum::<f32>() * scale;
            let target = f32::from(u8::from(examples[at].attack));
            let slope = (1.0 / (1.0 + (-logit).exp()) - target) * weights[at];
            bias_square += slope * slope;
            fitted.bias -= settings.rate * slope / bias_square.sqrt();
            for &i in &kept {
                let i = i as usize;
                let gradient = slope * scale + settings.decay * fitted.weights[i] * weights[at];
                squares[i] += gradient * gradient;
                fitted.weights[i] -= settings.rate * gradient / squares[i].sqrt();
            }
        }
    }
    fitted
}
