//! Logistic regression over the presence of hashed features, by AdaGrad.

use crate::data::Example;
use stance_engine::guardrail::model::{features::Grouped, norm, places, worst_passage};

/// How a half of the model is fitted.
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

/// Weights in the making.
pub struct Half {
    pub bits: u32,
    pub weights: Vec<f32>,
    pub bias: f32,
}

impl Half {
    /// The logit of a text, and of its worst passage.
    #[must_use]
    pub fn score(&self, grouped: &Grouped) -> [f32; 2] {
        let mut at = Vec::new();
        places(grouped.all(), self.bits, &mut at);
        let whole = at.iter().map(|&i| self.weights[i as usize]).sum::<f32>() * norm(at.len());
        let weight = |hash: u32| self.weights[(hash >> (32 - self.bits)) as usize];
        [self.bias + whole, self.bias + worst_passage(grouped, 0..grouped.len(), weight)]
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

/// Fits one half. `of` chooses the features, `weights` says how much each example counts.
#[must_use]
pub fn fit(examples: &[&Example], weights: &[f32], of: impl Fn(&Example) -> &Grouped, settings: Settings) -> Half {
    let size = 1_usize << settings.bits;
    let mut half = Half { bits: settings.bits, weights: vec![0.0; size], bias: 0.0 };
    let mut squares = vec![1e-6_f32; size];
    let mut bias_square = 1e-6_f32;
    let mut random = Random::new(settings.seed);
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let mut kept = Vec::new();
    for _ in 0..settings.epochs {
        random.shuffle(&mut order);
        for &at in &order {
            places(of(examples[at]).all(), settings.bits, &mut kept);
            kept.retain(|_| !random.chance(settings.dropout));
            let scale = norm(kept.len());
            let logit = half.bias + kept.iter().map(|&i| half.weights[i as usize]).sum::<f32>() * scale;
            let target = f32::from(u8::from(examples[at].attack));
            let slope = (1.0 / (1.0 + (-logit).exp()) - target) * weights[at];
            bias_square += slope * slope;
            half.bias -= settings.rate * slope / bias_square.sqrt();
            for &i in &kept {
                let i = i as usize;
                let gradient = slope * scale + settings.decay * half.weights[i] * weights[at];
                squares[i] += gradient * gradient;
                half.weights[i] -= settings.rate * gradient / squares[i].sqrt();
            }
        }
    }
    half
}
