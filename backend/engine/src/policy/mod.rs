//! Guardrail policies: what is done about what the detectors find, and what an agent may do with tools.
//!
//! A [`Policy`] is a document that people write: a preset, and what differs from it. [`Compiled`] is the same ready for use, and
//! [`Compiled::decide`] turns a text's [`guardrail::Report`](crate::guardrail::Report) or a stored event's detections into a
//! [`Decision`]. Pure: what an agent consumed until now ([`Spent`]) is the caller's to count.

mod compile;
mod contain;
mod decide;
#[cfg(test)]
mod tests;

pub use compile::{Compiled, Problem, name_fits};
pub use contain::contain;
pub use decide::{Call, Decision, Spent, ToolCall};

use serde::{Deserialize, Serialize};
use stance_shared::{Channel, Verdict};
use std::collections::BTreeMap;

/// A starting point; what the document does not say comes from it. In order, the strictest last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Watches: nothing is blocked or redacted, whatever the rest of the document says; at most flagged.
    Monitor,
    /// Blocks what is almost certain (one harmless text in a thousand), flags what is likely (one in a hundred), redacts secrets and the
    /// personal data that identifies or pays.
    #[default]
    Balanced,
    /// Blocks what is likely, redacts all personal data, blocks tools that are not on the list when there is a list.
    Strict,
}

impl Preset {
    pub const ALL: [Self; 3] = [Self::Monitor, Self::Balanced, Self::Strict];

    /// The word in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::Balanced => "balanced",
            Self::Strict => "strict",
        }
    }

    /// One sentence for the editor.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Monitor => "Watches: flags, and never blocks or redacts.",
            Self::Balanced => "Blocks what is almost certain, flags what is likely, redacts secrets and payment data.",
            Self::Strict => "Blocks what is likely, redacts all personal data, allows listed tools only.",
        }
    }

    const fn thresholds(self) -> Thresholds {
        match self {
            Self::Monitor | Self::Balanced => {
                Thresholds { flag: crate::guardrail::FLAG as f64, block: crate::guardrail::BLOCK as f64 }
            }
            Self::Strict => Thresholds { flag: 0.35, block: crate::guardrail::FLAG as f64 },
        }
    }

    /// What is done about a tool or an address that is not on a list that there is.
    const fn unlisted(self) -> Verdict {
        match self {
            Self::Monitor | Self::Balanced => Verdict::Flag,
            Self::Strict => Verdict::Block,
        }
    }
}

/// A policy as people write it. Unknown fields are refused, so that a typing error is no silent gap.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    pub preset: Preset,
    /// Scores from which a text of the channel is flagged and blocked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub channels: BTreeMap<Channel, Thresholds>,
    /// What is done about single detectors; the first that fits counts. At most 200.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleAction>,
    #[serde(default, skip_serializing_if = "Tools::is_empty")]
    pub tools: Tools,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Egress>,
    #[serde(default, skip_serializing_if = "Budgets::is_empty")]
    pub budgets: Budgets,
}

/// Scores of 0 to 1; `flag` at most `block`. A threshold above 1 is never reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    pub flag: f64,
    pub block: f64,
}

/// What is done about a detector's hits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleAction {
    /// The rule's id; `*` stands for any characters: `secret.*`.
    pub rule: String,
    /// `ALLOW` takes the hit out of account.
    pub action: Verdict,
}

/// Which tools an agent may call. A tool's name is `server.tool`, or `tool` alone where there is no server; `*` stands for any characters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tools {
    /// Empty: every tool that is not denied. At most 500.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Always blocked. At most 500.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
    /// What is done about tools that `allow` does not name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Verdict>,
    /// What arguments must look like; a call that does not is blocked. At most 200.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
}

impl Tools {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What an argument of a tool must look like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constraint {
    /// As in [`Tools::allow`].
    pub tool: String,
    /// The argument's name, or a path of names with dots between: `message.to`. Of an array each element counts.
    pub argument: String,
    /// A regular expression (of the crate `regex`) that must match somewhere in the argument; `^` and `$` for the whole of it. What is
    /// no text is matched as JSON. An argument that is absent passes.
    pub matches: String,
}

/// Where an agent may send data: hosts of the addresses in its answers and in the arguments of its tool calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// Hosts; `*` stands for any characters: `*.acme.com`. At most 500.
    pub allow: Vec<String>,
    /// What is done about other hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Verdict>,
}

/// What an agent may consume; a call beyond it is blocked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Budgets {
    /// Inspections in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Tokens that events told of, since midnight UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
    /// US dollars that events told of, since midnight UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd_per_day: Option<f64>,
}

impl Budgets {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
