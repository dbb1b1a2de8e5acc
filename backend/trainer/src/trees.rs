//! Symmetric trees, each fitted to what the sum and the trees before it leave unexplained (gradient boosting of the logistic loss with
//! Newton steps: Friedman 2001).

use rayon::prelude::*;
use stance_engine::guardrail::model::{
    PARTS,
    trees::{DEPTH, INPUTS, Inputs, Tree},
};

/// A text: what the trees are told, the mix's sum among it, whether it is an attack, how much it counts.
pub struct Case {
    pub inputs: Inputs,
    pub attack: bool,
    pub weight: f32,
}

const TREES: usize = 60;
/// How much of its correction each is trusted with.
const RATE: f64 = 0.08;
/// Pulls leaves that few texts reach to zero.
const DECAY: f64 = 20.0;
/// Numbers that an input is asked about.
const STEPS: usize = 40;

type Slopes = Vec<(f64, f64)>;

/// Fits the trees.
#[must_use]
pub fn fit(cases: &[Case]) -> Vec<Tree> {
    let steps: Vec<Vec<f32>> = (0..INPUTS).map(|input| steps(cases, input)).collect();
    // How many of an input's numbers each text is above.
    let code = |input: usize, value: f32| steps[input].partition_point(|step| *step < value);
    let codes: Vec<Vec<usize>> =
        (0..INPUTS).map(|input| cases.iter().map(|case| code(input, case.inputs[input])).collect()).collect();
    let mut sums: Vec<f64> = cases.iter().map(|case| f64::from(case.inputs[PARTS])).collect();
    let mut trees = Vec::new();
    for _ in 0..TREES {
        let slopes: Slopes = cases.iter().zip(&sums).map(|(case, sum)| slope(case, *sum)).collect();
        let (splits, leaves) = grow(&slopes, &codes, &steps);
        let mut total = [(0.0, 0.0); 1 << DEPTH];
        leaves.iter().zip(&slopes).for_each(|(leaf, slope)| add(&mut total[*leaf], slope));
        let values = total.map(|(first, second)| -RATE * first / (second + DECAY));
        sums.iter_mut().zip(&leaves).for_each(|(sum, leaf)| *sum += values[*leaf]);
        #[expect(clippy::cast_possible_truncation, reason = "corrections are small, and seven digits are enough")]
        trees.push(Tree { splits, leaves: values.map(|value| value as f32) });
    }
    trees
}

/// First and second derivative of a text's loss.
fn slope(case: &Case, sum: f64) -> (f64, f64) {
    let (weight, p) = (f64::from(case.weight), 1.0 / (1.0 + (-sum).exp()));
    ((p - f64::from(u8::from(case.attack))) * weight, p * (1.0 - p) * weight)
}

fn add(to: &mut (f64, f64), slope: &(f64, f64)) {
    to.0 += slope.0;
    to.1 += slope.1;
}

/// The questions that lower the loss most, one after the other, and the leaf of every text.
fn grow(slopes: &Slopes, codes: &[Vec<usize>], steps: &[Vec<f32>]) -> ([(usize, f32); DEPTH], Vec<usize>) {
    let mut splits = [(0, f32::INFINITY); DEPTH];
    let mut leaves = vec![0; slopes.len()];
    for (level, split) in splits.iter_mut().enumerate() {
        let best = |input: usize| best(slopes, &codes[input], &leaves, 1 << level, steps[input].len());
        let found: Vec<(f64, usize)> = (0..INPUTS).into_par_iter().map(best).collect();
        // The first of equals, whatever the number of threads.
        let (input, &(_, step)) =
            found.iter().enumerate().rev().max_by(|a, b| a.1.0.total_cmp(&b.1.0)).unwrap_or((0, &(0.0, 0)));
        *split = (input, steps[input].get(step).copied().unwrap_or(f32::INFINITY));
        for (leaf, code) in leaves.iter_mut().zip(&codes[input]) {
            *leaf = *leaf * 2 + usize::from(*code > step);
        }
    }
    (splits, leaves)
}

/// What the best question about an input is worth, and its step.
fn best(slopes: &Slopes, codes: &[usize], leaves: &[usize], count: usize, steps: usize) -> (f64, usize) {
    let mut at: Vec<Slopes> = vec![vec![(0.0, 0.0); steps + 1]; count];
    for ((slope, code), leaf) in slopes.iter().zip(codes).zip(leaves) {
        add(&mut at[*leaf][*code], slope);
    }
    let worth = |(first, second): (f64, f64)| first * first / (second + DECAY);
    let mut gains = vec![0.0; steps];
    for leaf in &at {
        let mut all = (0.0, 0.0);
        leaf.iter().for_each(|slope| add(&mut all, slope));
        let mut below = (0.0, 0.0);
        for (gain, slope) in gains.iter_mut().zip(leaf) {
            add(&mut below, slope);
            *gain += worth(below) + worth((all.0 - below.0, all.1 - below.1));
        }
    }
    let best = gains.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or((0.0, 0), |(step, gain)| (*gain, step))
}

/// Numbers between which equally many texts lie.
fn steps(cases: &[Case], input: usize) -> Vec<f32> {
    let mut values: Vec<f32> = cases.iter().map(|case| case.inputs[input]).collect();
    values.sort_unstable_by(f32::total_cmp);
    let mut steps: Vec<f32> = (1..=STEPS).filter_map(|n| values.get(values.len() * n / (STEPS + 1)).copied()).collect();
    // Where most texts have the same number, the others are told from it.
    steps.extend(values.iter().find(|value| **value > values[0]).map(|_| values[0]));
    steps.sort_unstable_by(f32::total_cmp);
    steps.dedup();
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What no weighted sum tells: an attack has one of two signs, not both.
    #[test]
    fn trees_learn_what_depends_on_two_inputs() {
        let case = |nth: usize| {
            let mut inputs = [0.0; INPUTS];
            (inputs[0], inputs[3]) = ((nth % 7) as f32, (nth % 11) as f32);
            let attack = (inputs[0] > 3.0) != (inputs[3] > 5.0);
            Case { inputs, attack, weight: 1.0 }
        };
        let cases: Vec<Case> = (0..2000).map(case).collect();
        let trees = fit(&cases);
        let right = cases.iter().filter(|case| {
            let sum: f32 = trees.iter().map(|tree| tree.value(&case.inputs)).sum();
            (sum > 0.0) == case.attack
        });
        assert_eq!(right.count(), cases.len());
        assert_eq!(trees, fit(&cases), "the same cases give other trees");
    }
}
