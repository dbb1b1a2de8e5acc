//! The risk formula `stance-risk/1`.
//!
//! Inside the engine a risk is a number in `[0, 1]`, higher is worse; people see it times 100.
//!
//! * **Finding**: `r = base(severity or score) × attack success × exposure × criticality × exploited × compensated`, in
//!   `[0, 0.99]`.
//! * **Combining** (findings of an asset in a layer, layers of an asset): noisy-or in p-space with p = 4,
//!   `R = (1 − Π(1 − rᵢ⁴))^¼`. One finding gives exactly its own risk, more never lower it, and a hundred lows do not outrank
//!   a critical. In *weight space*, `w(r) = −ln(1 − r⁴)`, combining is addition: so adding or closing a finding costs O(1)
//!   and each one's share of the total is plain.
//! * **Inheritance** over relations: [`inherit`].
//! * **Organization**: [`aggregate`], a power mean with p = 4, which does not saturate as the estate grows.
//! * **Completeness**: [`completeness`], what is known at all. Unknown is never scored as zero risk.

mod completeness;
mod inherit;

pub use completeness::*;
pub use inherit::*;

use sha2::{Digest, Sha256};
use stance_shared::{Criticality, Exposure, RelationKind, Severity};

/// The formula's id, stored with every value that it made.
pub const FORMULA: &str = "stance-risk/1";

/// Every constant of the formula.
pub mod constants {
    use super::{Criticality, Exposure, RelationKind, Severity};

    /// A single finding is never certain ruin.
    pub const MAX_FINDING_RISK: f64 = 0.99;
    /// Seen exploited at runtime or listed as exploited in the wild.
    pub const EXPLOITED: f64 = 1.25;
    /// A compensating control is in force.
    pub const COMPENSATED: f64 = 0.6;
    /// Factor by attack success rate: (at least, factor), highest first. Without a rate the factor is 1.
    pub const ATTACK_SUCCESS: [(f64, f64); 4] = [(0.75, 1.25), (0.40, 1.10), (0.10, 1.00), (0.0, 0.80)];

    #[must_use]
    pub const fn base(severity: Severity) -> f64 {
        match severity {
            Severity::Critical => 0.90,
            Severity::High => 0.70,
            Severity::Medium => 0.40,
            Severity::Low => 0.15,
            Severity::Info => 0.02,
        }
    }

    #[must_use]
    pub const fn exposure(exposure: Exposure) -> f64 {
        match exposure {
            Exposure::Internet => 1.15,
            Exposure::Internal => 1.0,
            Exposure::Isolated => 0.8,
        }
    }

    #[must_use]
    pub const fn criticality(criticality: Criticality) -> f64 {
        match criticality {
            Criticality::Low => 0.7,
            Criticality::Medium => 1.0,
            Criticality::High => 1.15,
            Criticality::Critical => 1.3,
        }
    }

    /// How much an asset counts in an organization's mean: one critical asset as much as eight low ones.
    #[must_use]
    pub const fn mean_weight(criticality: Criticality) -> f64 {
        match criticality {
            Criticality::Low => 1.0,
            Criticality::Medium => 2.0,
            Criticality::High => 4.0,
            Criticality::Critical => 8.0,
        }
    }

    /// What share of its target's risk an asset carries over a relation "from … to". Always below 1.
    #[must_use]
    pub const fn attenuation(kind: RelationKind) -> f64 {
        match kind {
            // A front door: what is behind it is reachable almost as is.
            RelationKind::Exposes => 0.9,
            RelationKind::UsesModel | RelationKind::ProvidedBy => 0.8,
            RelationKind::MayCall
            | RelationKind::DerivedFrom
            | RelationKind::PromptedBy
            | RelationKind::DelegatesTo => 0.7,
            RelationKind::TrainedOn | RelationKind::ReadsFrom => 0.6,
            RelationKind::DependsOn => 0.5,
        }
    }
}

/// What an asset's circumstances multiply each of its findings with: exposure × criticality.
#[must_use]
pub const fn asset_factor(exposure: Exposure, criticality: Criticality) -> f64 {
    constants::exposure(exposure) * constants::criticality(criticality)
}

/// A finding's base in `[0, 0.99]`: `score / 10` where the source gives a score of 0 to 10, else by severity; times the
/// factor of its attack success rate (0 to 1) by [`constants::ATTACK_SUCCESS`]. Numbers that are not finite count as absent.
#[must_use]
pub fn finding_base(severity: Severity, score: Option<f64>, attack_success_rate: Option<f64>) -> f64 {
    let base = match score.filter(|s| s.is_finite()) {
        Some(score) => score / 10.0,
        None => constants::base(severity),
    };
    let factor = attack_success_rate.filter(|rate| rate.is_finite()).map_or(1.0, |rate| {
        let row = constants::ATTACK_SUCCESS.iter().find(|(at_least, _)| rate >= *at_least);
        row.or(constants::ATTACK_SUCCESS.last()).map_or(1.0, |(_, factor)| *factor)
    });
    (base * factor).clamp(0.0, constants::MAX_FINDING_RISK)
}

/// A finding's risk in `[0, 0.99]` on its asset.
#[must_use]
pub fn finding_risk(base: f64, asset_factor: f64, exploited: bool, compensated: bool) -> f64 {
    let exploited = if exploited { constants::EXPLOITED } else { 1.0 };
    let compensated = if compensated { constants::COMPENSATED } else { 1.0 };
    let risk = base * asset_factor * exploited * compensated;
    if risk.is_nan() { 0.0 } else { risk.clamp(0.0, constants::MAX_FINDING_RISK) }
}

/// The additive weight of a risk: `−ln(1 − r⁴)`. Risks are taken into `[0, 1 − 10⁻⁹]` first, so that a weight is finite.
#[must_use]
pub fn weight(risk: f64) -> f64 {
    let square = if risk.is_nan() { 0.0 } else { risk.clamp(0.0, 1.0 - 1e-9).powi(2) };
    -(-square * square).ln_1p()
}

/// The risk of a weight: `(1 − e^−w)^¼`, the inverse of [`weight`]. Negative weights count as zero.
#[must_use]
pub fn risk_of_weight(weight: f64) -> f64 {
    (-(-weight.max(0.0)).exp_m1()).sqrt().sqrt()
}

/// Many risks combined into one, order-independently; each change costs O(1).
///
/// The sum is compensated (Neumaier): a fourth root makes even tiny rounding errors visible, and taking a critical away
/// must leave the lows as they were.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Combined {
    sum: f64,
    compensation: f64,
}

impl Combined {
    pub fn add(&mut self, risk: f64) {
        self.add_weight(weight(risk));
    }

    pub fn add_many(&mut self, risk: f64, times: u64) {
        #[expect(clippy::cast_precision_loss, reason = "2^53 findings are out of reach")]
        self.add_weight(weight(risk) * times as f64);
    }

    /// What is left without a risk that was added before.
    pub fn remove(&mut self, risk: f64) {
        self.add_weight(-weight(risk));
    }

    fn add_weight(&mut self, weight: f64) {
        let sum = self.sum + weight;
        let (large, small) = if self.sum.abs() >= weight.abs() { (self.sum, weight) } else { (weight, self.sum) };
        self.compensation += (large - sum) + small;
        self.sum = sum;
    }

    /// The total weight, at least 0.
    #[must_use]
    pub fn weight(&self) -> f64 {
        (self.sum + self.compensation).max(0.0)
    }

    /// The combined risk in `[0, 1]`.
    #[must_use]
    pub fn risk(&self) -> f64 {
        risk_of_weight(self.weight())
    }
}

impl Extend<f64> for Combined {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, risks: I) {
        risks.into_iter().for_each(|risk| self.add(risk));
    }
}

impl FromIterator<f64> for Combined {
    fn from_iter<I: IntoIterator<Item = f64>>(risks: I) -> Self {
        let mut combined = Self::default();
        combined.extend(risks);
        combined
    }
}

/// How many of the combined risk's points (0 to 100) each risk accounts for, in proportion to its weight.
/// The shares add up to `100 × Combined::risk`.
#[must_use]
pub fn shares(risks: &[f64]) -> Vec<f64> {
    let combined: Combined = risks.iter().copied().collect();
    let total = combined.weight();
    if total <= 0.0 {
        return vec![0.0; risks.len()];
    }
    let points = 100.0 * combined.risk();
    risks.iter().map(|&risk| points * weight(risk) / total).collect()
}

/// Shares rounded to `decimals` places (at most 6) so that they add up to the rounded total, by largest remainder.
#[must_use]
pub fn round_shares(shares: &[f64], decimals: u8) -> Vec<f64> {
    let scale = 10f64.powi(i32::from(decimals.min(6)));
    let mut units: Vec<f64> = shares.iter().map(|share| (share * scale).floor()).collect();
    let missing = (shares.iter().sum::<f64>() * scale).round() - units.iter().sum::<f64>();
    let mut order: Vec<usize> = (0..shares.len()).collect();
    let remainder = |i: usize| (shares[i] * scale).fract();
    order.sort_by(|&a, &b| remainder(b).total_cmp(&remainder(a)).then(a.cmp(&b)));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the number of shares")]
    for &i in order.iter().take(missing.max(0.0) as usize) {
        units[i] += 1.0;
    }
    units.into_iter().map(|unit| unit / scale).collect()
}

/// An organization's (or a layer's) risk: the power mean with p = 4 of its assessed assets' risks, weighted by
/// [`constants::mean_weight`]. `None` when nothing is assessed.
#[must_use]
pub fn aggregate(assessed: impl IntoIterator<Item = (f64, Criticality)>) -> Option<f64> {
    let (mut sum, mut weights) = (0.0, 0.0);
    for (risk, criticality) in assessed {
        let weight = constants::mean_weight(criticality);
        sum += weight * risk.clamp(0.0, 1.0).powi(4);
        weights += weight;
    }
    (weights > 0.0).then(|| (sum / weights).sqrt().sqrt())
}

/// A short hash (32 hex digits) of the inputs that a value was computed from, whatever their order, and of the formula.
#[must_use]
pub fn input_hash<T: AsRef<[u8]>>(inputs: impl IntoIterator<Item = T>) -> String {
    let mut digests: Vec<_> = inputs.into_iter().map(|input| Sha256::digest(input.as_ref())).collect();
    digests.sort_unstable();
    let mut hash = Sha256::new_with_prefix(FORMULA);
    digests.iter().for_each(|digest| hash.update(digest));
    hex::encode(&hash.finalize()[..16])
}

#[cfg(test)]
mod tests;
