//! Events as they are kept, and what is made of their text.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stance_engine::{
    guardrail::{Detection, redact},
    policy::Decision,
};
use stance_importers::events::{Event as Told, ToolUse, Usage};
use stance_shared::{AssetId, Channel, EventKind, PolicyId, SensorId, Verdict};
use uuid::Uuid;

/// Detections that are kept of one event.
const MAX_DETECTIONS: usize = 20;
/// Characters that are kept of a text.
const MAX_TEXT: usize = 4_000;

/// An event's id: the millisecond of its time, and a digest of who tells it and how they call it. The same event told twice has one
/// id; ids are in the order of time. (UUID version 8, RFC 9562.)
#[must_use]
pub fn event_id(at: DateTime<Utc>, teller: Uuid, name: &str) -> Uuid {
    let mut digest = Sha256::new();
    digest.update(teller.as_bytes());
    digest.update(name.as_bytes());
    let digest = digest.finalize();
    let mut bytes = [0; 16];
    let milliseconds = u64::try_from(at.timestamp_millis()).unwrap_or_default();
    bytes[..6].copy_from_slice(&milliseconds.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&digest[..10]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The millisecond that an event's id begins with.
#[must_use]
pub fn event_time(id: Uuid) -> DateTime<Utc> {
    let mut milliseconds = [0; 8];
    milliseconds[2..].copy_from_slice(&id.as_bytes()[..6]);
    DateTime::from_timestamp_millis(i64::from_be_bytes(milliseconds)).unwrap_or_default()
}

/// Who told an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teller {
    /// The inspect API.
    Guard,
    Sensor {
        id: SensorId,
        watches: AssetId,
    },
    /// Somebody who may tell of events without being a registered sensor: the person's or token's id.
    Unnamed(Uuid),
}

/// An agent, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AgentRef {
    Known(AssetId),
    /// By its external key: the inventory learns of it when the event is written.
    Key(String),
}

/// The policy version that judged an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JudgedBy {
    pub policy: PolicyId,
    pub version: i32,
}

/// An event that was inspected and is to be written.
#[derive(Clone, Debug)]
pub struct Seen {
    pub id: Uuid,
    pub at: DateTime<Utc>,
    pub teller: Teller,
    pub agent: Option<AgentRef>,
    pub kind: EventKind,
    pub channel: Option<Channel>,
    pub verdict: Verdict,
    pub score: f32,
    pub detections: Vec<Detection>,
    pub judged_by: Option<JudgedBy>,
    pub session: Option<String>,
    /// Trace, span, parent.
    pub span: (Option<String>, Option<String>, Option<String>),
    pub model: Option<String>,
    pub tool: Option<ToolUse>,
    pub usage: Option<Usage>,
    pub duration_ms: Option<f64>,
    pub inspect_us: Option<i32>,
    pub text_hash: Option<[u8; 32]>,
    pub text_bytes: Option<i32>,
    pub text: Option<String>,
    /// What only some kinds have.
    pub detail: Option<Value>,
}

impl Seen {
    /// An event with what was found in its text. `keep` says whether the redacted text is kept.
    #[must_use]
    pub fn new(id: Uuid, teller: Teller, told: Told, text: Option<&str>, decision: Decision, keep: bool) -> Self {
        let mut detail = serde_json::Map::new();
        detail.extend(told.to.as_ref().map(|to| ("to".to_owned(), json!(to))));
        detail.extend(told.approval.as_ref().map(|approval| ("approval".to_owned(), json!(approval))));
        detail.extend(told.guardrail.as_ref().map(|guardrail| ("guardrail".to_owned(), json!(guardrail))));
        detail.extend(told.error.as_ref().map(|error| ("error".to_owned(), json!(error))));
        let span = match told.span {
            Some(span) => (Some(span.trace), Some(span.id), span.parent),
            None => (None, None, None),
        };
        let Decision { verdict, score, mut detections } = decision;
        let kept = text.filter(|_| keep).map(|text| {
            let text = redact(text, &detections).replace('\0', "\u{FFFD}");
            match text.char_indices().nth(MAX_TEXT) {
                Some((end, _)) => text[..end].to_owned(),
                None => text,
            }
        });
        detections.truncate(MAX_DETECTIONS);
        Self {
            id,
            at: told.at,
            teller,
            agent: told.agent.map(AgentRef::Key),
            kind: told.kind,
            channel: told.channel.or(told.kind.channel()),
            // A foreign guardrail's word is as good as ours: what it blocked was blocked.
            verdict: told.guardrail.map_or(verdict, |guardrail| guardrail.verdict.max(verdict)),
            score,
            detections,
            judged_by: None,
            session: told.session,
            span,
            model: told.model,
            tool: told.tool,
            usage: told.usage,
            duration_ms: told.duration_ms,
            inspect_us: None,
            text_hash: text.map(|text| Sha256::digest(text).into()),
            text_bytes: text.map(|text| i32::try_from(text.len()).unwrap_or(i32::MAX)),
            text: kept,
            detail: (!detail.is_empty()).then_some(Value::Object(detail)),
        }
    }

    /// Whether it did not simply pass: correlation's rules on events fit none but these, and the index `event_noted` holds them.
    #[must_use]
    pub fn is_noted(&self) -> bool {
        self.verdict != Verdict::Allow || !self.detections.is_empty()
    }
}

/// How an organization treats what its agents say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether redacted text is kept with events.
    pub store_text: bool,
    /// For how many days events are kept, 1 to 400.
    pub retention_days: i16,
}

impl Default for Settings {
    fn default() -> Self {
        Self { store_text: false, retention_days: 30 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_one_id_and_ids_are_in_the_order_of_time() {
        let at: DateTime<Utc> = "2026-11-23T10:00:00.123456Z".parse().unwrap();
        let teller = Uuid::from_u128(7);
        let id = event_id(at, teller, "a");
        assert_eq!(id, event_id(at, teller, "a"));
        assert_ne!(id, event_id(at, teller, "b"));
        assert_ne!(id, event_id(at, Uuid::from_u128(8), "a"));
        assert!(id < event_id(at + chrono::Duration::milliseconds(1), teller, "a"));
        assert_eq!(event_time(id).timestamp_millis(), at.timestamp_millis());
        assert_eq!(id.get_version_num(), 8);
    }
}
