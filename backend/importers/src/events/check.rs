//! What every event has to keep, whoever tells it.

use chrono::{DateTime, TimeDelta, Utc};
use stance_shared::EventKind;

use super::{Event, Span};

/// The largest text of an event.
pub const MAX_TEXT_BYTES: usize = 256 << 10;

/// The largest arguments of a tool call, as JSON.
pub const MAX_ARGUMENT_BYTES: usize = 256 << 10;

/// The most tokens that one step can have used.
pub(super) const MAX_TOKENS: u64 = 1_000_000_000_000;

/// The most that one step can have cost, in US dollars.
pub(super) const MAX_COST_USD: f64 = 1e9;

/// How far the clock of a sensor may be ahead.
const MAX_AHEAD: TimeDelta = TimeDelta::days(1);

/// How old an event may be: the longest time that events are kept.
const MAX_AGE: TimeDelta = TimeDelta::days(400);

/// What is wrong with a field, and what it may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {expected}")]
pub struct FieldError {
    /// As it is spelled in JSON, for example `tool.name`.
    pub field: &'static str,
    /// What it must be, behind “must be”.
    pub expected: String,
}

/// Checks an event that was told at `now` against what the documentation of [`Event`] says.
///
/// # Errors
/// The first field that is wrong.
pub fn check(event: &Event, now: DateTime<Utc>) -> Result<(), FieldError> {
    name("id", Some(&event.id), 200)?;
    if event.at > now + MAX_AHEAD || event.at < now - MAX_AGE {
        let (ahead, age) = (MAX_AHEAD.num_days(), MAX_AGE.num_days());
        return wrong("at", format!("a time between {age} days ago and {ahead} day ahead"));
    }
    name("agent", event.agent.as_deref(), 512)?;
    name("session", event.session.as_deref(), 200)?;
    if let Some(Span { trace, id, parent }) = &event.span {
        hexadecimal("span.trace", Some(trace), 32)?;
        hexadecimal("span.id", Some(id), 16)?;
        hexadecimal("span.parent", parent.as_deref(), 16)?;
    }
    if event.text.as_ref().is_some_and(|text| text.len() > MAX_TEXT_BYTES) {
        return wrong("text", format!("at most {} KiB", MAX_TEXT_BYTES >> 10));
    }
    name("model", event.model.as_deref(), 512)?;
    if let Some(tool) = &event.tool {
        name("tool.server", tool.server.as_deref(), 200)?;
        name("tool.name", Some(&tool.name), 200)?;
        if !tool.arguments.is_null() && tool.arguments.to_string().len() > MAX_ARGUMENT_BYTES {
            return wrong("tool.arguments", format!("at most {} KiB of JSON", MAX_ARGUMENT_BYTES >> 10));
        }
    }
    if let Some(guardrail) = &event.guardrail {
        name("guardrail.name", Some(&guardrail.name), 200)?;
        name("guardrail.rule", guardrail.rule.as_deref(), 200)?;
        number("guardrail.score", guardrail.score, 1.0)?;
    }
    name("to", event.to.as_deref(), 512)?;
    name("approval.by", event.approval.as_ref().and_then(|approval| approval.by.as_deref()), 200)?;
    if let Some(usage) = &event.usage {
        for (field, tokens) in [("usage.inputTokens", usage.input_tokens), ("usage.outputTokens", usage.output_tokens)]
        {
            if tokens > MAX_TOKENS {
                return wrong(field, format!("at most {MAX_TOKENS}"));
            }
        }
        number("usage.costUsd", usage.cost_usd, MAX_COST_USD)?;
    }
    number("durationMs", event.duration_ms, 1e12)?;
    name("error", event.error.as_deref(), 200)?;
    let missing = match event.kind {
        EventKind::ToolCall => event.tool.is_none().then_some("tool"),
        EventKind::Delegation => event.to.is_none().then_some("to"),
        EventKind::Approval => event.approval.is_none().then_some("approval"),
        EventKind::Guardrail => event.guardrail.is_none().then_some("guardrail"),
        _ => None,
    };
    missing.map_or(Ok(()), |field| wrong(field, format!("there for the kind {}", event.kind)))
}

fn wrong(field: &'static str, expected: String) -> Result<(), FieldError> {
    Err(FieldError { field, expected })
}

/// A name of 1 to `max` characters, none of them a control character.
fn name(field: &'static str, value: Option<&str>, max: usize) -> Result<(), FieldError> {
    let fits = |text: &str| !text.trim().is_empty() && text.chars().take(max + 1).count() <= max;
    match value {
        Some(text) if !fits(text) || text.contains(char::is_control) => {
            wrong(field, format!("1 to {max} characters, none of them a control character"))
        }
        _ => Ok(()),
    }
}

fn hexadecimal(field: &'static str, value: Option<&str>, digits: usize) -> Result<(), FieldError> {
    match value {
        Some(text) if text.len() != digits || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {
            wrong(field, format!("{digits} hexadecimal digits in lower case"))
        }
        _ => Ok(()),
    }
}

fn number(field: &'static str, value: Option<f64>, max: f64) -> Result<(), FieldError> {
    match value {
        Some(value) if !(0.0..=max).contains(&value) => wrong(field, format!("a number between 0 and {max}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_names_its_field() {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        let event = |json: serde_json::Value| -> Event {
            let mut event = serde_json::json!({"id": "1", "at": "2026-11-23T11:00:00Z", "kind": "PROMPT"});
            event.as_object_mut().unwrap().extend(json.as_object().unwrap().clone());
            serde_json::from_value(event).unwrap()
        };
        assert_eq!(check(&event(serde_json::json!({})), now), Ok(()));
        for (json, field) in [
            (serde_json::json!({"id": ""}), "id"),
            (serde_json::json!({"id": "x".repeat(201)}), "id"),
            (serde_json::json!({"at": "2026-11-25T00:00:00Z"}), "at"),
            (serde_json::json!({"at": "1970-01-01T00:00:00Z"}), "at"),
            (serde_json::json!({"agent": "a\0"}), "agent"),
            (serde_json::json!({"session": " "}), "session"),
            (serde_json::json!({"span": {"trace": "00", "id": "0123456789abcdef"}}), "span.trace"),
            (serde_json::json!({"span": {"trace": "0".repeat(32), "id": "0123456789ABCDEF"}}), "span.id"),
            (serde_json::json!({"text": "x".repeat(MAX_TEXT_BYTES + 1)}), "text"),
            (serde_json::json!({"model": "x".repeat(513)}), "model"),
            (serde_json::json!({"tool": {"name": ""}}), "tool.name"),
            (serde_json::json!({"tool": {"name": "x", "arguments": "x".repeat(MAX_ARGUMENT_BYTES)}}), "tool.arguments"),
            (serde_json::json!({"kind": "TOOL_CALL"}), "tool"),
            (serde_json::json!({"kind": "DELEGATION"}), "to"),
            (serde_json::json!({"kind": "APPROVAL"}), "approval"),
            (serde_json::json!({"kind": "GUARDRAIL"}), "guardrail"),
            (serde_json::json!({"guardrail": {"name": "x", "verdict": "BLOCK", "score": 1.5}}), "guardrail.score"),
            (serde_json::json!({"usage": {"inputTokens": u64::MAX}}), "usage.inputTokens"),
            (serde_json::json!({"usage": {"costUsd": -1.0}}), "usage.costUsd"),
            (serde_json::json!({"durationMs": -0.5}), "durationMs"),
            (serde_json::json!({"error": "x".repeat(201)}), "error"),
        ] {
            let error = check(&event(json.clone()), now).unwrap_err();
            assert_eq!(error.field, field, "{json}");
            assert!(error.to_string().starts_with(&format!("{field} must be ")), "{error}");
        }
    }
}
