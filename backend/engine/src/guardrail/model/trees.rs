//! What no weighted sum of the parts can say: that they agree, that a short text was hidden, that one passage is bad in a long calm text.

use super::PARTS;

/// Questions that a tree asks.
pub const DEPTH: usize = 4;
/// The logits of the parts, the sum of the mix, of its rules and of its disguises, how many disguises there are, and the length.
pub const INPUTS: usize = PARTS + 5;
/// What the trees are told of a text.
pub type Inputs = [f32; INPUTS];

/// A symmetric tree: it asks every text the same questions, and the answers together name a leaf.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// Is this input above this number?
    pub splits: [(usize, f32); DEPTH],
    /// What is added to the sum; the first question is the highest bit.
    pub leaves: [f32; 1 << DEPTH],
}

impl Tree {
    /// The leaf for a text.
    #[must_use]
    pub fn value(&self, inputs: &Inputs) -> f32 {
        let answers = self.splits.iter().map(|&(input, above)| usize::from(inputs[input] > above));
        self.leaves[answers.fold(0, |leaf, answer| leaf * 2 + answer)]
    }
}
