//! What sensors tell: events of agents' runs, in one form whatever the sensor speaks.
//!
//! [`Event`] is also the form of `POST /api/v1/events`, one JSON object a line ([`ndjson`]). Traces become events in [`otlp`].

pub mod assets;
mod check;
mod foreign;
pub mod ndjson;
pub mod otlp;
#[cfg(test)]
mod tests;

pub use check::{FieldError, MAX_ARGUMENT_BYTES, MAX_TEXT_BYTES, check};

use crate::{AssetRecord, GapRecord};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stance_shared::{Channel, EventKind, Verdict};

/// Something that happened in an agent's run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Event {
    /// The sensor's own name for it, 1 to 200 characters. The same sensor telling the same id twice tells one event.
    pub id: String,
    /// Between 400 days before and one day after it is told.
    pub at: DateTime<Utc>,
    pub kind: EventKind,
    /// The external key of the agent, at most 512 characters; without one, the sensor's asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The conversation or run, at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Where it stands in a trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// By default that of the kind ([`EventKind::channel`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// The prompt, answer, result …, at most 256 KiB. Inspected, and stored only as far as the organization says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The model's name as the provider calls it, at most 512 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Needed for a tool call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<ToolUse>,
    /// Needed for what a guardrail said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<GuardrailVerdict>,
    /// To which agent work was delegated, needed for a delegation: its external key, at most 512 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Needed for an approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// How long the step took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
    /// What went wrong with the step: a class (`timeout`, `RateLimitError`), at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Event {
    /// An event that says nothing yet: for `..Event::blank(…)`.
    fn blank(kind: EventKind, at: DateTime<Utc>) -> Self {
        Self {
            id: String::new(),
            at,
            kind,
            agent: None,
            session: None,
            span: None,
            channel: None,
            text: None,
            model: None,
            tool: None,
            guardrail: None,
            to: None,
            approval: None,
            usage: None,
            duration_ms: None,
            error: None,
        }
    }
}

/// A place in a trace, by W3C trace context: hexadecimal in lower case, 32 and 16 digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    pub trace: String,
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

/// Which tool was used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolUse {
    /// The MCP server, if it is one's tool; at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// At most 200 characters.
    pub name: String,
    /// What it was called with: any JSON, at most 256 KiB.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub arguments: Value,
}

/// What a guardrail said that is not Stance's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardrailVerdict {
    /// `llm-guard`, `nemo-guardrails`, `bedrock-guardrails` …; at most 200 characters.
    pub name: String,
    /// The scanner, rail or filter that decided; at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    pub verdict: Verdict,
    /// 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// A person's answer to a step that needed one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    pub granted: bool,
    /// Who, at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What a step consumed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Usage {
    #[serde(default)]
    pub input_tokens: u64,
    #[serde(default)]
    pub output_tokens: u64,
    /// In US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
}

/// What one request of a sensor holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    pub events: Vec<Event>,
    /// What the sensor says of agents, models and tools beside that they were seen.
    pub assets: Vec<AssetRecord>,
    /// What could not be read, and why.
    pub gaps: Vec<GapRecord>,
    /// Spans that could not be read or are beyond a limit.
    pub rejected_spans: u64,
}
