//! Risk that an asset carries because of what it depends on.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use stance_shared::RelationKind;

use super::constants;

/// The worst risk that an asset inherits, and from where.
#[derive(Clone, Debug, PartialEq)]
pub struct Inherited {
    /// The source's own risk times the attenuations along [`Self::path`].
    pub risk: f64,
    /// The assets from the heir (first) to the source of the risk (last), as indices.
    pub path: Vec<usize>,
}

/// A risk that reached a node: from which source, and over which neighbor's label.
#[derive(Clone, Copy)]
struct Label {
    risk: f64,
    source: usize,
    /// The neighbor towards the source; `None` at the source itself.
    via: Option<usize>,
}

struct Candidate {
    node: usize,
    label: Label,
}

impl Ord for Candidate {
    /// Highest risk first; ties by the lower source, then the lower node, so that results do not depend on the edges' order.
    fn cmp(&self, other: &Self) -> Ordering {
        let by = self.label.risk.total_cmp(&other.label.risk);
        by.then(other.label.source.cmp(&self.label.source))
            .then(other.node.cmp(&self.node))
            .then(other.label.via.cmp(&self.label.via))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

/// What each asset inherits over `edges` (`from` depends on `to`): the maximum over all other assets and all paths of the
/// other's own risk × the attenuations on the way. An asset never inherits from itself over a cycle.
///
/// Best-first search as Dijkstra's with products. Each node keeps its labels of the two best *distinct* sources: its
/// neighbor needs the best one that is not the neighbor itself, and one of two always is. O((V + E) log E).
/// Edges that name a node outside `own` are ignored.
#[must_use]
pub fn inherit(own: &[f64], edges: &[(usize, RelationKind, usize)]) -> Vec<Option<Inherited>> {
    let mut heirs: Vec<Vec<(usize, f64)>> = vec![Vec::new(); own.len()];
    for &(from, kind, to) in edges {
        if from != to && from < own.len() && to < own.len() {
            heirs[to].push((from, constants::attenuation(kind)));
        }
    }
    let mut labels: Vec<Vec<Label>> = vec![Vec::new(); own.len()];
    let sources = own.iter().enumerate().filter(|(_, risk)| **risk > 0.0);
    let mut queue: BinaryHeap<Candidate> = sources
        .map(|(source, &risk)| Candidate { node: source, label: Label { risk: risk.min(1.0), source, via: None } })
        .collect();
    while let Some(Candidate { node, label }) = queue.pop() {
        if labels[node].len() == 2 || labels[node].iter().any(|known| known.source == label.source) {
            continue;
        }
        labels[node].push(label);
        for &(heir, attenuation) in &heirs[node] {
            let label = Label { risk: label.risk * attenuation, source: label.source, via: Some(node) };
            queue.push(Candidate { node: heir, label });
        }
    }
    (0..own.len()).map(|node| explain(node, &labels)).collect()
}

fn explain(node: usize, labels: &[Vec<Label>]) -> Option<Inherited> {
    let best = labels[node].iter().find(|label| label.source != node)?;
    let mut path = vec![node];
    let mut next = best.via;
    while let Some(at) = next {
        path.push(at);
        next = labels[at].iter().find(|label| label.source == best.source)?.via;
    }
    Some(Inherited { risk: best.risk, path })
}
