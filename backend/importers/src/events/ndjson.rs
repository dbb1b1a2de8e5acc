//! The body of `POST /api/v1/events`: [`Event`]s, one JSON object a line, or all in one JSON array. Between them may stand answers of
//! other guardrails in their own shapes, known by their members (see `README.md`).

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Deserializer as _;
use serde::de::{SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Event, check, foreign};
use crate::text;

/// The most events of one body.
pub const MAX_EVENTS: usize = 10_000;

/// The largest line, or element of an array.
pub const MAX_EVENT_BYTES: usize = 4 << 20;

/// How many errors are told of one body.
pub const MAX_ERRORS: usize = 20;

/// What is wrong with an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}{}{field}: {message}", if field.is_empty() { "" } else { ", " })]
pub struct BadEvent {
    /// `line 3`, counted from 1, or `[2]`, counted from 0.
    pub place: String,
    /// The path of the field, for example `tool.name`; empty when it is the event as a whole.
    pub field: String,
    /// What it must be; names the allowed values.
    pub message: String,
}

/// Reads a body that came at `now`. Memory: what the events themselves take.
///
/// # Errors
/// The first [`MAX_ERRORS`] events that are wrong. Then none of them counts.
pub fn read(body: &[u8], now: DateTime<Utc>) -> Result<Vec<Event>, Vec<BadEvent>> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii_start();
    let mut events = Events { now, all: Vec::new(), parts: Vec::new(), has_scans: false, bad: Vec::new() };
    if body.starts_with(b"[") {
        events.array(body);
    } else {
        events.lines(body);
    }
    events.finish()
}

struct Events {
    now: DateTime<Utc>,
    all: Vec<Event>,
    /// Verdicts of single scanners, which count when no line tells of whole scans.
    parts: Vec<Event>,
    has_scans: bool,
    bad: Vec<BadEvent>,
}

impl Events {
    fn lines(&mut self, body: &[u8]) {
        for (number, line) in (1..).zip(body.split(|byte| *byte == b'\n')) {
            let line = line.trim_ascii();
            if !line.is_empty() && !self.event(&format!("line {number}"), line) {
                return;
            }
        }
    }

    fn array(&mut self, body: &[u8]) {
        struct Elements<'a>(&'a mut Events);
        impl<'de> Visitor<'de> for Elements<'_> {
            type Value = ();

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of events")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
                let mut index = 0;
                while let Some(element) = elements.next_element::<&RawValue>()? {
                    // The rest of the array is only passed over.
                    if self.0.bad.len() < MAX_ERRORS && self.0.all.len() + self.0.parts.len() <= MAX_EVENTS {
                        self.0.event(&format!("[{index}]"), element.get().as_bytes());
                    }
                    index += 1;
                }
                Ok(())
            }
        }
        let mut json = serde_json::Deserializer::from_slice(body);
        let read = json.deserialize_seq(Elements(self)).and_then(|()| json.end());
        if let Err(error) = read {
            self.wrong("the body", "", error.to_string());
        }
    }

    /// Takes one event; false when no more are wanted.
    fn event(&mut self, place: &str, json: &[u8]) -> bool {
        if json.len() > MAX_EVENT_BYTES {
            self.wrong(place, "", format!("larger than {} MiB", MAX_EVENT_BYTES >> 20));
        } else {
            let mut native = serde_json::Deserializer::from_slice(json);
            match serde_path_to_error::deserialize::<_, Event>(&mut native) {
                Ok(event) if native.end().is_ok() => self.take(place, event),
                Ok(_) => self.wrong(place, "", "one JSON object, and nothing behind it".to_owned()),
                Err(error) => self.foreign(place, json, &error),
            }
        }
        if self.all.len() + self.parts.len() > MAX_EVENTS {
            self.wrong(place, "", format!("one body may have at most {MAX_EVENTS} events"));
            return false;
        }
        self.bad.len() < MAX_ERRORS
    }

    fn take(&mut self, place: &str, event: Event) {
        match check(&event, self.now) {
            Ok(()) => self.all.push(event),
            Err(error) => self.wrong(place, error.field, format!("must be {}", error.expected)),
        }
    }

    /// Takes what is no event of Stance's form: a guardrail's answer, if its shape is known.
    fn foreign(&mut self, place: &str, json: &[u8], error: &serde_path_to_error::Error<serde_json::Error>) {
        let line = serde_json::from_slice::<Map<String, Value>>(json).unwrap_or_default();
        match foreign::read(&line, place, self.now) {
            Some(Ok(answer)) => {
                for event in answer.events {
                    match check(&event, self.now) {
                        Ok(()) if answer.is_part => self.parts.push(event),
                        Ok(()) => self.all.push(event),
                        Err(error) => self.wrong(place, error.field, format!("must be {}", error.expected)),
                    }
                }
                self.has_scans |= !answer.is_part;
            }
            Some(Err(reason)) => self.wrong(place, "", reason),
            None => {
                let path = error.path().to_string();
                let field = if matches!(path.as_str(), "." | "?") { "" } else { path.as_str() };
                let reason = error.inner().to_string();
                let reason = match field {
                    "at" => "must be a time as in RFC 3339, for example 2026-11-23T12:00:00Z",
                    // Where in the line helps nobody.
                    _ => reason.rsplit_once(" at line ").map_or(reason.as_str(), |(reason, _)| reason),
                };
                self.wrong(place, field, reason.to_owned());
            }
        }
    }

    fn wrong(&mut self, place: &str, field: &str, message: String) {
        if self.bad.len() < MAX_ERRORS {
            let (field, message) = (text::one_line(field, 100), text::one_line(&message, 400));
            self.bad.push(BadEvent { place: place.to_owned(), field, message });
        }
    }

    fn finish(mut self) -> Result<Vec<Event>, Vec<BadEvent>> {
        if !self.has_scans {
            self.all.append(&mut self.parts);
        }
        if self.bad.is_empty() { Ok(self.all) } else { Err(self.bad) }
    }
}
