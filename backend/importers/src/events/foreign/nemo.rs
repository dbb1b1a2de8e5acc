//! NeMo Guardrails: the answer of `generate` with `options={"log": {"activated_rails": true}}` (library and server, 0.23).

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use stance_shared::{Channel, Verdict};

use super::{One, Said};
use crate::json::text_of;

/// Rails of one answer.
const MAX_RAILS: usize = 100;

pub(super) fn read(line: &Map<String, Value>) -> Option<Said> {
    let rails = line.get("log")?.get("activated_rails")?.as_array()?;
    let verdicts = rails.iter().filter_map(|rail| one(rail.as_object()?)).take(MAX_RAILS).collect();
    Some(Said { guardrail: "nemo-guardrails", verdicts, is_part: false })
}

fn one(rail: &Map<String, Value>) -> Option<One> {
    // Rails of dialog and generation steer, they do not judge.
    let channel = match text_of(rail, "type")? {
        "input" => Channel::UserInput,
        "output" => Channel::ModelOutput,
        "retrieval" => Channel::Document,
        _ => return None,
    };
    let verdict = if rail.get("stop")?.as_bool()? { Verdict::Block } else { Verdict::Allow };
    let seconds = |name: &str| rail.get(name).and_then(Value::as_f64).filter(|seconds| (0.0..1e10).contains(seconds));
    Some(One {
        rule: text_of(rail, "name").map(str::to_owned),
        at: seconds("finished_at").or_else(|| seconds("started_at")).and_then(time),
        duration_ms: seconds("duration").map(|seconds| seconds * 1e3),
        ..One::new(verdict, Some(channel))
    })
}

fn time(seconds: f64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros((seconds * 1e6) as i64)
}
