//! Risk figures and the facts that they are made from.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use stance_engine::risk::{Completeness, completeness};
use stance_shared::{AssetId, AssetKind, Criticality, Layer};
use std::collections::BTreeMap;
use uuid::Uuid;

/// One layer, or all of them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    All,
    Layer(Layer),
}

impl Scope {
    /// As in the database: `ALL` or the layer's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "ALL",
            Self::Layer(layer) => layer.as_str(),
        }
    }

    pub(super) fn parse(word: &str) -> crate::kernel::Result<Self> {
        Ok(if word == "ALL" { Self::All } else { Self::Layer(word.parse()?) })
    }

    pub(super) fn every() -> impl Iterator<Item = Self> {
        std::iter::once(Self::All).chain(Layer::ALL.iter().copied().map(Self::Layer))
    }
}

/// A figure of an asset or of the organization.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// With accepted risks and everything decided left out; 0 to 1; null: unassessed.
    pub residual: Option<f64>,
    /// With accepted risks; 0 to 1.
    pub inherent: Option<f64>,
    pub checks_fresh: i32,
    pub checks_total: i32,
    pub open_findings: i32,
}

impl Figure {
    /// Nothing was ever looked at.
    pub const UNASSESSED: Self =
        Self { residual: None, inherent: None, checks_fresh: 0, checks_total: 0, open_findings: 0 };

    /// 0 to 1: the share of applicable checks that are fresh; 1 where none applies.
    #[must_use]
    pub fn completeness(&self) -> f64 {
        if self.checks_total == 0 { 1.0 } else { f64::from(self.checks_fresh) / f64::from(self.checks_total) }
    }
}

/// A term that an asset carries because of what it depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InheritedTerm {
    pub from: Uuid,
    /// The source's worst layer.
    pub layer: Layer,
    /// 0 to 1, after attenuation.
    pub risk: f64,
    /// From the heir to the source.
    pub path: Vec<Uuid>,
}

/// The current figures of an asset.
#[derive(Clone, Debug)]
pub struct AssetRisk {
    pub all: Figure,
    pub layers: BTreeMap<Layer, Figure>,
    pub inherited: Vec<InheritedTerm>,
    pub formula: String,
    /// Hex.
    pub input_hash: String,
    pub computed_at: DateTime<Utc>,
}

/// The current figures of the organization.
#[derive(Clone, Debug)]
pub struct Posture {
    pub all: Figure,
    pub layers: BTreeMap<Layer, Figure>,
    pub assets: i32,
    pub assessed: i32,
    pub formula: String,
    pub computed_at: Option<DateTime<Utc>>,
}

/// A point of a history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RiskPoint {
    pub day: NaiveDate,
    /// 0 to 1.
    pub residual: Option<f64>,
    pub completeness: f64,
}

/// What happened on a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayChange {
    pub day: NaiveDate,
    pub new: i64,
    pub reopened: i64,
    pub resolved: i64,
    pub accepted: i64,
    pub false_positive: i64,
}

/// What the inventory and past runs say of an asset, for completeness.
#[derive(Clone, Debug)]
pub struct Facts {
    pub asset: AssetId,
    pub kind: AssetKind,
    pub criticality: Criticality,
    pub retired: bool,
    pub owner: bool,
    pub provenance: bool,
    pub tools: bool,
    /// When a check was last made.
    pub assessments: BTreeMap<String, DateTime<Utc>>,
}

impl Facts {
    /// The asset's checks and their states.
    #[must_use]
    pub fn completeness(&self, now: DateTime<Utc>) -> Completeness {
        completeness(self.kind, |check| {
            let known = match check {
                "owner-known" => self.owner,
                "provenance-known" => self.provenance,
                "tools-declared" => self.tools,
                _ => false,
            };
            if known {
                return Some(0);
            }
            self.assessments.get(check).map(|at| u32::try_from((now - at).num_days().max(0)).unwrap_or(u32::MAX))
        })
    }
}
