//! Guardrails that are not Stance's, in their own shapes: each verdict becomes an event of the kind GUARDRAIL. What is taken from
//! which field, and from which version of whose documentation: `../README.md`.

mod azure;
mod bedrock;
mod llm_guard;
mod nemo;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};
use stance_shared::{Channel, EventKind, Verdict};

use super::{Event, GuardrailVerdict};
use crate::text;

/// What a guardrail said.
#[derive(Debug, Default)]
struct Said {
    /// As in [`GuardrailVerdict::name`].
    guardrail: &'static str,
    verdicts: Vec<One>,
    /// Whether another line says the same of the whole scan, unless no line does.
    is_part: bool,
}

/// One verdict.
#[derive(Debug)]
struct One {
    rule: Option<String>,
    verdict: Verdict,
    score: Option<f64>,
    channel: Option<Channel>,
    at: Option<DateTime<Utc>>,
    duration_ms: Option<f64>,
}

impl One {
    const fn new(verdict: Verdict, channel: Option<Channel>) -> Self {
        Self { rule: None, verdict, score: None, channel, at: None, duration_ms: None }
    }
}

/// What a sender may add to an answer, as in [`Event`].
#[derive(Debug, Default, Deserialize)]
struct Envelope {
    id: Option<String>,
    at: Option<DateTime<Utc>>,
    agent: Option<String>,
    session: Option<String>,
    channel: Option<Channel>,
}

/// The events of an answer.
pub(super) struct Foreign {
    pub(super) events: Vec<Event>,
    /// See [`Said::is_part`].
    pub(super) is_part: bool,
}

/// Reads a guardrail's answer or log line; `place` says where it stands in what came at `now`. None when no guardrail's shape is known
/// in it.
///
/// # Errors
/// What is wrong with the members that the sender added.
pub(super) fn read(line: &Map<String, Value>, place: &str, now: DateTime<Utc>) -> Option<Result<Foreign, String>> {
    let said = bedrock::read(line)
        .or_else(|| azure::read(line))
        .or_else(|| nemo::read(line))
        .or_else(|| llm_guard::read(line))?;
    Some(events(line, said, place, now))
}

fn events(line: &Map<String, Value>, said: Said, place: &str, now: DateTime<Utc>) -> Result<Foreign, String> {
    let envelope =
        serde_json::from_value::<Envelope>(Value::Object(line.clone())).map_err(|error| error.to_string())?;
    // A line that says when is the same event whenever it is sent; of one that does not, every sending is another.
    let is_timed = envelope.at.is_some() || said.verdicts.iter().any(|one| one.at.is_some());
    let when = if is_timed { String::new() } else { format!("{now} {place}") };
    let id = envelope.id.unwrap_or_else(|| {
        format!("{}.{}", said.guardrail, text::digest(&format!("{}\n{when}", Value::Object(line.clone()))))
    });
    let event = |(n, one): (usize, One)| {
        let at = envelope.at.or(one.at).unwrap_or(now);
        let rule = one.rule.map(|rule| text::one_line(&rule, 200)).filter(|rule| !rule.is_empty());
        Event {
            id: if n == 0 { id.clone() } else { format!("{id}.{n}") },
            agent: envelope.agent.clone(),
            session: envelope.session.clone(),
            channel: envelope.channel.or(one.channel),
            guardrail: Some(GuardrailVerdict {
                name: said.guardrail.to_owned(),
                rule,
                verdict: one.verdict,
                score: one.score,
            }),
            duration_ms: one.duration_ms,
            ..Event::blank(EventKind::Guardrail, at)
        }
    };
    Ok(Foreign { events: said.verdicts.into_iter().enumerate().map(event).collect(), is_part: said.is_part })
}
