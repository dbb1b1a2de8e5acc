//! What is known of an asset at all: the other half of every risk figure.

use serde::{Deserialize, Serialize};
use stance_shared::{AssetKind, Layer};

/// An assessment that applies to some kinds of assets, and how long its result may be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    pub id: &'static str,
    pub layer: Layer,
    pub kinds: &'static [AssetKind],
    /// Days after which a result is stale.
    pub fresh_days: u32,
    /// What is known when the check is fresh, as a sentence.
    pub text: &'static str,
    /// What makes it known.
    pub action: &'static str,
}

use AssetKind::{Agent, Application, Dataset, KnowledgeBase, McpServer, Model, Prompt, Tool};

/// Every check. An id may stand in several rows when its layer differs by kind; (id, kind) is unique.
pub const CHECKS: &[Check] = &[
    Check {
        id: "artifact-scanned",
        layer: Layer::Model,
        kinds: &[Model],
        fresh_days: 90,
        text: "The model's files were scanned for code that runs when they are loaded.",
        action: "Scan the model's files (for example with ModelScan) and import the report for this asset.",
    },
    Check {
        id: "provenance-known",
        layer: Layer::Data,
        kinds: &[Model, Dataset],
        fresh_days: 365,
        text: "It is recorded where it comes from: what it was trained on or derived from.",
        action: "Record its relations “trained on” or “derived from”, or its source.",
    },
    Check {
        id: "red-teamed",
        layer: Layer::Model,
        kinds: &[Model],
        fresh_days: 30,
        text: "The model was attacked with known techniques and the results are here.",
        action: "Run a red-team tool (for example garak) against it and import the report for this asset.",
    },
    Check {
        id: "red-teamed",
        layer: Layer::Application,
        kinds: &[Agent, Application],
        fresh_days: 30,
        text: "It was attacked with known techniques and the results are here.",
        action: "Run a red-team tool (for example garak) against it and import the report for this asset.",
    },
    Check {
        id: "code-scanned",
        layer: Layer::Application,
        kinds: &[Application, Agent, Tool, McpServer],
        fresh_days: 30,
        text: "Its code was scanned for weaknesses.",
        action: "Run a static analyzer that writes SARIF on its code and import the report for this asset.",
    },
    Check {
        id: "tools-declared",
        layer: Layer::Application,
        kinds: &[Agent, McpServer],
        fresh_days: 90,
        text: "The tools that it may call or that it provides are in the inventory.",
        action: "Record its tools and the relations “may call” or “provided by”.",
    },
    Check {
        id: "sensor-alive",
        layer: Layer::Runtime,
        kinds: &[Application, Agent, McpServer],
        fresh_days: 1,
        text: "A runtime sensor reports on it.",
        action: "Send its events or OpenTelemetry traces to Stance.",
    },
    Check {
        id: "guardrail-attached",
        layer: Layer::Runtime,
        kinds: &[Application, Agent],
        fresh_days: 7,
        text: "A guardrail inspects what goes in and out.",
        action: "Let it ask Stance's inspect API, or send its guardrail's verdicts as events.",
    },
    Check {
        id: "owner-known",
        layer: Layer::Application,
        kinds: &[Application, Agent, Tool, McpServer, Prompt],
        fresh_days: 365,
        text: "Somebody is responsible for it.",
        action: "Name its owner.",
    },
    Check {
        id: "owner-known",
        layer: Layer::Model,
        kinds: &[Model],
        fresh_days: 365,
        text: "Somebody is responsible for it.",
        action: "Name its owner.",
    },
    Check {
        id: "owner-known",
        layer: Layer::Data,
        kinds: &[Dataset, KnowledgeBase],
        fresh_days: 365,
        text: "Somebody is responsible for it.",
        action: "Name its owner.",
    },
];

/// Where a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckState {
    /// Assessed recently enough.
    Fresh,
    /// Assessed too long ago.
    Stale,
    /// Never assessed.
    Unknown,
}

/// A check applied to one asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    pub id: &'static str,
    pub layer: Layer,
    pub state: CheckState,
    /// Why it is in this state, as a sentence.
    pub reason: String,
    /// What makes it fresh; empty when it is.
    pub action: &'static str,
}

/// How much of what should be known of an asset is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Completeness {
    /// Checks that are fresh.
    pub known: u32,
    /// Checks that apply to the asset's kind.
    pub total: u32,
    pub checks: Vec<CheckResult>,
}

impl Completeness {
    /// Share of the checks that are fresh, 0 to 1; `None` where none applies (of `layer`, or of any with `None`).
    #[must_use]
    pub fn ratio(&self, layer: Option<Layer>) -> Option<f64> {
        let of_layer = || self.checks.iter().filter(|check| layer.is_none_or(|layer| check.layer == layer));
        let total = of_layer().count();
        let fresh = of_layer().filter(|check| check.state == CheckState::Fresh).count();
        #[expect(clippy::cast_precision_loss, reason = "a handful of checks")]
        (total > 0).then(|| fresh as f64 / total as f64)
    }
}

/// The completeness of an asset of a kind. `days_since(check id)` says how many days ago a check was last assessed, `None` for never.
#[must_use]
pub fn completeness(kind: AssetKind, days_since: impl Fn(&str) -> Option<u32>) -> Completeness {
    let applied = CHECKS.iter().filter(|check| check.kinds.contains(&kind));
    let checks: Vec<CheckResult> = applied.map(|check| apply(check, days_since(check.id))).collect();
    let known = checks.iter().filter(|check| check.state == CheckState::Fresh).count();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Completeness { known: count(known), total: count(checks.len()), checks }
}

fn apply(check: &Check, days: Option<u32>) -> CheckResult {
    let (state, reason) = match days {
        Some(days) if days <= check.fresh_days => (CheckState::Fresh, check.text.to_owned()),
        Some(days) => (
            CheckState::Stale,
            format!("Last assessed {days} days ago; a result counts for {} days.", check.fresh_days),
        ),
        None => (CheckState::Unknown, "Never assessed.".to_owned()),
    };
    let action = if state == CheckState::Fresh { "" } else { check.action };
    CheckResult { id: check.id, layer: check.layer, state, reason, action }
}
