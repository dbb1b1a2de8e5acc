//! From facts and findings to figures; pure.

use super::domain::{Facts, Figure, InheritedTerm, Scope};
use stance_engine::risk::{CheckState, Combined, Completeness, aggregate, inherit, input_hash};
use stance_shared::{Criticality, Layer, RelationKind};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Findings of an asset that count alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    pub layer: Layer,
    /// 0 to 0.99, with the asset's factor.
    pub risk: f64,
    pub standing: Standing,
    pub count: u64,
}

/// How findings count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Open or in progress.
    Open,
    /// Accepted: in inherent risk only.
    Accepted,
    /// Resolved or false positive: shows only that the layer was assessed.
    Closed,
}

/// What findings alone say of an asset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Own {
    pub layers: BTreeMap<Layer, (f64, f64, i32)>,
    /// Lines for the input hash.
    pub inputs: Vec<String>,
}

/// Residual, inherent and number of open findings for each layer in which anything was ever found.
#[must_use]
pub fn own(groups: &[Group]) -> Own {
    let mut sums: BTreeMap<Layer, (Combined, Combined, u64)> = BTreeMap::new();
    let mut own = Own::default();
    for group in groups {
        let (residual, inherent, open) = sums.entry(group.layer).or_default();
        match group.standing {
            Standing::Open => {
                residual.add_many(group.risk, group.count);
                inherent.add_many(group.risk, group.count);
                *open += group.count;
            }
            Standing::Accepted => inherent.add_many(group.risk, group.count),
            Standing::Closed => continue,
        }
        let Group { layer, risk, standing, count } = group;
        own.inputs.push(format!("finding {layer} {:016x} {standing:?} {count}", risk.to_bits()));
    }
    own.layers = sums
        .into_iter()
        .map(|(layer, (residual, inherent, open))| {
            (layer, (residual.risk(), inherent.risk(), i32::try_from(open).unwrap_or(i32::MAX)))
        })
        .collect();
    own
}

/// The layers' figures of an asset, before inheritance: of what findings say and of which checks were ever made.
#[must_use]
pub fn layers(own: &Own, facts: &Facts, checks: &Completeness) -> BTreeMap<Layer, Figure> {
    let figure = |layer: Layer| {
        let of_layer = || checks.checks.iter().filter(|check| check.layer == layer);
        let fresh = of_layer().filter(|check| check.state == CheckState::Fresh).count();
        // By a run, fresh or stale; that somebody named an owner assesses nothing.
        let run = of_layer().any(|check| facts.assessments.contains_key(check.id));
        let (residual, inherent, open) = match own.layers.get(&layer) {
            Some((residual, inherent, open)) => (Some(*residual), Some(*inherent), *open),
            None if run => (Some(0.0), Some(0.0), 0),
            None => (None, None, 0),
        };
        Figure {
            residual,
            inherent,
            checks_fresh: small(fresh),
            checks_total: small(of_layer().count()),
            open_findings: open,
        }
    };
    Layer::ALL.iter().map(|layer| (*layer, figure(*layer))).collect()
}

fn small(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// One asset in the whole.
pub struct Node {
    pub facts: Facts,
    pub layers: BTreeMap<Layer, Figure>,
}

impl Node {
    fn combined(&self, of: impl Fn(&Figure) -> Option<f64>) -> Option<Combined> {
        let mut terms = self.layers.values().filter_map(of).peekable();
        terms.peek()?;
        Some(terms.collect())
    }

    fn worst_layer(&self) -> Layer {
        let worst = |a: &(&Layer, &Figure), b: &(&Layer, &Figure)| {
            a.1.residual.unwrap_or(-1.0).total_cmp(&b.1.residual.unwrap_or(-1.0)).then(b.0.cmp(a.0))
        };
        self.layers.iter().max_by(worst).map_or(Layer::Application, |(layer, _)| *layer)
    }
}

/// What each asset inherits, and its figure over all layers.
#[must_use]
pub fn over_all(nodes: &[Node], edges: &[(usize, RelationKind, usize)]) -> Vec<(Figure, Vec<InheritedTerm>)> {
    let residual: Vec<f64> =
        nodes.iter().map(|node| node.combined(|f| f.residual).map_or(0.0, |sum| sum.risk())).collect();
    let inherent: Vec<f64> =
        nodes.iter().map(|node| node.combined(|f| f.inherent).map_or(0.0, |sum| sum.risk())).collect();
    let inherited = inherit(&residual, edges);
    let inherited_inherent = inherit(&inherent, edges);
    let id = |at: &usize| nodes[*at].facts.asset.0;
    let one = |at: usize| {
        let node = &nodes[at];
        let with = |own: Option<Combined>, more: Option<f64>| match (own, more) {
            (None, None) => None,
            (own, more) => {
                let mut sum = own.unwrap_or_default();
                sum.extend(more);
                Some(sum.risk())
            }
        };
        let terms: Vec<InheritedTerm> = inherited[at]
            .iter()
            .map(|term| {
                let source = term.path.last().copied().unwrap_or(at);
                let path = term.path.iter().map(id).collect();
                InheritedTerm { from: id(&source), layer: nodes[source].worst_layer(), risk: term.risk, path }
            })
            .collect();
        let sum = |of: fn(&Figure) -> i32| node.layers.values().map(of).sum();
        let figure = Figure {
            residual: with(node.combined(|f| f.residual), inherited[at].as_ref().map(|term| term.risk)),
            inherent: with(node.combined(|f| f.inherent), inherited_inherent[at].as_ref().map(|term| term.risk)),
            checks_fresh: sum(|f| f.checks_fresh),
            checks_total: sum(|f| f.checks_total),
            open_findings: sum(|f| f.open_findings),
        };
        (figure, terms)
    };
    (0..nodes.len()).map(one).collect()
}

/// The organization's figure in a scope: retired assets do not count.
#[must_use]
pub fn organization(figures: &[(&Facts, &Figure)]) -> Figure {
    let counted = || figures.iter().filter(|(facts, _)| !facts.retired);
    let mean = |of: fn(&Figure) -> Option<f64>| {
        aggregate(counted().filter_map(|(facts, figure)| Some((of(figure)?, facts.criticality))))
    };
    let sum = |of: fn(&Figure) -> i32| counted().map(|(_, figure)| of(figure)).fold(0_i32, i32::saturating_add);
    Figure {
        residual: mean(|f| f.residual),
        inherent: mean(|f| f.inherent),
        checks_fresh: sum(|f| f.checks_fresh),
        checks_total: sum(|f| f.checks_total),
        open_findings: sum(|f| f.open_findings),
    }
}

/// The hash of what an asset's figures were computed from.
#[must_use]
pub fn asset_hash(own_inputs: &[String], checks: &Completeness, inherited: &[InheritedTerm]) -> Vec<u8> {
    let checks = checks.checks.iter().map(|check| format!("check {} {} {:?}", check.layer, check.id, check.state));
    let inherited =
        inherited.iter().map(|term| format!("inherited {} {} {:016x}", term.from, term.layer, term.risk.to_bits()));
    bytes(&input_hash(own_inputs.iter().cloned().chain(checks).chain(inherited)))
}

/// The hash of what an organization's figure was computed from.
#[must_use]
pub fn organization_hash<'a>(scope: Scope, assets: impl Iterator<Item = (Uuid, Criticality, &'a Figure)>) -> Vec<u8> {
    let lines = assets.map(|(id, criticality, figure)| {
        let bits = figure.residual.map(f64::to_bits);
        format!("{} {id} {criticality} {bits:x?} {}/{}", scope.as_str(), figure.checks_fresh, figure.checks_total)
    });
    bytes(&input_hash(lines))
}

fn bytes(hash: &str) -> Vec<u8> {
    hex::decode(hash).unwrap_or_default()
}
