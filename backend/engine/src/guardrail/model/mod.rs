//! A small model: logistic regressions over hashed n-grams of words, of characters, and of concepts, for the whole text and for its worst
//! passage, summed with what the rules and the disguises say, and corrected by small trees. `MODEL_CARD.md` tells what it was made from and how well it does; `cargo xtask train-detector` makes it.

pub mod features;
mod file;
pub mod trees;

use features::{Features, Grouped};
use std::{collections::BTreeMap, ops::Range};
use trees::{INPUTS, Inputs, Tree};

use super::text::KnownWords;

/// Words that are read at once, and how far the next such stretch begins. Few texts that the model learned from are longer.
const STRETCH: (usize, usize) = (320, 160);
/// What each doubling of the stretches costs: the best of many is high by chance.
const STRETCH_COST: f32 = 0.35;
/// Features beneath this count say little: the norm does not fall below it.
const FLOOR: usize = 40;

/// What a sum of `count` features is multiplied by.
#[must_use]
pub fn norm(count: usize) -> f32 {
    1.0 / (count.max(FLOOR) as f32).sqrt()
}

/// The places of hashes in a table of `bits` bits, each once and in order.
pub fn places(hashes: &[u32], bits: u32, into: &mut Vec<u32>) {
    into.clear();
    into.extend(hashes.iter().map(|hash| hash >> (32 - bits)));
    into.sort_unstable();
    into.dedup();
}

/// Lists of features: words, characters, concepts.
pub const LISTS: usize = 3;
/// Parts of the model, each a table of weights: for every list one that is fitted on whole texts, then for every list one that is fitted
/// on worst passages.
pub const PARTS: usize = 2 * LISTS;
/// What each part says of a text.
pub type Logits = [f32; PARTS];

/// Whether a part reads the worst passage instead of the whole text.
#[must_use]
pub const fn reads_passage(part: usize) -> bool {
    part >= LISTS
}

/// Words of a passage, and how far the next one begins.
const WINDOW: (usize, usize) = (32, 8);

/// The passage of so many words with the highest normalized sum of weights, and that sum: what was planted in a long text stands in a few
/// of its words.
pub fn worst_passage(grouped: &Grouped, words: Range<usize>, weight: impl Fn(u32) -> f32) -> (f32, Range<usize>) {
    let (size, stride) = WINDOW;
    // Sums up to every stride, so that each window is a difference of two.
    let mut sums = vec![(0.0_f32, 0_usize)];
    let mut at = words.start;
    while at < words.end {
        let to = (at + stride).min(words.end);
        let hashes = grouped.of(at..to);
        let (sum, count) = sums.last().copied().unwrap_or_default();
        sums.push((sum + hashes.iter().map(|&h| weight(h)).sum::<f32>(), count + hashes.len()));
        at = to;
    }
    let steps = (size / stride).min(sums.len() - 1);
    let mut worst = (f32::MIN, words.clone());
    for (nth, window) in sums.windows(steps + 1).enumerate() {
        let (from, to) = (window[0], window[steps]);
        let sum = (to.0 - from.0) * norm(to.1 - from.1);
        if sum > worst.0 {
            let start = words.start + nth * stride;
            worst = (sum, start..(start + size).min(words.end));
        }
    }
    worst
}

/// A table of weights in eighths of a byte's range: `scale` times the byte.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub bits: u32,
    pub bias: f32,
    pub scale: f32,
    pub weights: Vec<i8>,
}

impl Table {
    /// The nearest table of bytes.
    #[must_use]
    pub fn of(bits: u32, bias: f32, weights: &[f32]) -> Self {
        let scale = weights.iter().fold(0.0_f32, |most, w| most.max(w.abs())).max(1e-9) / 127.0;
        #[expect(clippy::cast_possible_truncation, reason = "rounded into the range of a byte")]
        let weights = weights.iter().map(|w| (w / scale).round() as i8).collect();
        Self { bits, bias, scale, weights }
    }

    /// The logit for hashes, each place of which counts once; `seen` has a bit for every place, none of them set.
    fn logit(&self, hashes: &[u32], seen: &mut [u64]) -> f32 {
        let place = |hash: &u32| (hash >> (32 - self.bits)) as usize;
        let (mut sum, mut count) = (0_i32, 0);
        for at in hashes.iter().map(place) {
            let (word, bit) = (&mut seen[at / 64], 1 << (at % 64));
            if *word & bit == 0 {
                *word |= bit;
                sum += i32::from(self.weights[at]);
                count += 1;
            }
        }
        hashes.iter().map(place).for_each(|at| seen[at / 64] = 0);
        self.bias + sum as f32 * self.scale * norm(count)
    }
}

/// How the parts are summed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mix {
    pub bias: f32,
    pub logits: Logits,
    /// For each doubling of the passages; not above 0.
    pub length: f32,
    /// By the rule's id.
    pub rules: BTreeMap<String, f32>,
    /// In the order of [`super::text::Disguise::ALL`].
    pub disguises: Vec<f32>,
    pub trees: Vec<Tree>,
}

impl Mix {
    /// The sum for logits, the number of words, rules that hold, and disguises.
    pub fn sum<'a>(
        &self,
        logits: Logits,
        words: usize,
        rules: impl Iterator<Item = &'a str>,
        disguises: &[usize],
    ) -> f32 {
        let inputs = self.inputs(logits, words, rules, disguises);
        inputs[PARTS] + self.trees.iter().map(|tree| tree.value(&inputs)).sum::<f32>()
    }

    /// What the trees are told; at [`PARTS`] stands the weighted sum.
    pub fn inputs<'a>(
        &self,
        logits: Logits,
        words: usize,
        rules: impl Iterator<Item = &'a str>,
        disguises: &[usize],
    ) -> Inputs {
        let by_rules: f32 = rules.filter_map(|rule| self.rules.get(rule)).sum();
        let by_disguises: f32 = disguises.iter().filter_map(|&at| self.disguises.get(at)).sum();
        let sum = self.bias
            + logits.iter().zip(&self.logits).map(|(logit, weight)| logit * weight).sum::<f32>()
            + self.length * passages(words)
            + by_rules
            + by_disguises;
        let mut inputs = [0.0; INPUTS];
        inputs[..PARTS].copy_from_slice(&logits);
        // Few texts that it learned from are longer than a stretch.
        let length = words.min(STRETCH.0) as f32;
        inputs[PARTS..].copy_from_slice(&[sum, by_rules, by_disguises, disguises.len() as f32, length]);
        inputs
    }
}

/// How often the passages of a text double: the worst of many is bad by chance.
#[must_use]
pub fn passages(words: usize) -> f32 {
    (words.max(WINDOW.0) as f32 / WINDOW.0 as f32).log2()
}

/// The weights.
#[derive(Clone, Debug)]
pub struct Model {
    /// Named by every detection of the model.
    pub version: String,
    pub known: KnownWords,
    pub parts: [Table; PARTS],
    pub mix: Mix,
    /// Sums and the scores that they stand for, both rising.
    pub scale: Vec<(f32, f32)>,
}

/// The model's answer for a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// 0 to 1, calibrated (see `FLAG` in `decide`).
    pub score: f32,
    /// The sum before calibration.
    pub sum: f32,
    /// The passage that speaks for it most.
    pub words: Range<usize>,
}

impl Model {
    /// The logits of the parts over some words; `seen` as for [`Table::logit`], for the largest table.
    fn logits(&self, seen: &mut [u64], features: &Features, words: Range<usize>) -> Logits {
        std::array::from_fn(|part| match reads_passage(part) {
            true => self.worst(part, features, words.clone()).0,
            false => self.parts[part].logit(features.lists[part].of(words.clone()), seen),
        })
    }

    /// What a part says of the worst passage of some words, and where that is.
    fn worst(&self, part: usize, features: &Features, words: Range<usize>) -> (f32, Range<usize>) {
        let table = &self.parts[part];
        let weight = |hash: u32| f32::from(table.weights[(hash >> (32 - table.bits)) as usize]);
        let (sum, passage) = worst_passage(&features.lists[part % LISTS], words, weight);
        (table.bias + table.scale * sum, passage)
    }

    /// The answer for a text in which these rules hold.
    #[must_use]
    pub fn answer(&self, features: &Features, rules: &[&str]) -> Answer {
        let (stretch, sum) = self.best_stretch(features, rules);
        let (_, words) = self.worst(LISTS, features, stretch);
        Answer { score: interpolate(&self.scale, sum), sum, words }
    }

    fn best_stretch(&self, features: &Features, rules: &[&str]) -> (Range<usize>, f32) {
        let n = features.lists[0].len();
        let bits = self.parts.iter().map(|table| table.bits).max().unwrap_or(0);
        let mut seen = vec![0; 1_usize << bits.saturating_sub(6)];
        let mut sum = |words: Range<usize>| {
            let logits = self.logits(&mut seen, features, words.clone());
            self.mix.sum(logits, words.len(), rules.iter().copied(), &features.disguises)
        };
        let (size, stride) = STRETCH;
        if n <= size {
            return (0..n, sum(0..n));
        }
        let starts = (0..n - stride).step_by(stride);
        let cost = (starts.len() as f32).log2() * STRETCH_COST;
        let best = starts.map(|start| start..(start + size).min(n)).map(|words| (words.clone(), sum(words)));
        let (words, sum) = best.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0..n, f32::MIN));
        (words, sum - cost)
    }
}

/// The score of a sum, on straight lines between the points.
fn interpolate(points: &[(f32, f32)], sum: f32) -> f32 {
    let above = points.partition_point(|point| point.0 <= sum);
    match (above.checked_sub(1).and_then(|at| points.get(at)), points.get(above)) {
        (Some(low), Some(high)) => low.1 + (high.1 - low.1) * (sum - low.0) / (high.0 - low.0).max(1e-9),
        (Some(point), None) | (None, Some(point)) => point.1,
        (None, None) => 0.0,
    }
}
