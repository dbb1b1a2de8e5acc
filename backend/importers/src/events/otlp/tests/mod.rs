//! Exports for tests, made in JSON.

mod dialects;
mod limits;
mod samples;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::*;
use crate::events::Event;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn now() -> DateTime<Utc> {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn any_value(value: &Value) -> Value {
    match value {
        Value::String(text) => json!({"stringValue": text}),
        Value::Bool(yes) => json!({"boolValue": yes}),
        Value::Number(number) if number.is_f64() => json!({"doubleValue": number}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::Array(items) => json!({"arrayValue": {"values": items.iter().map(any_value).collect::<Vec<_>>()}}),
        Value::Object(_) => json!({"kvlistValue": {"values": attributes(value)}}),
        Value::Null => json!({}),
    }
}

fn attributes(value: &Value) -> Value {
    value.as_object().unwrap().iter().map(|(key, value)| json!({"key": key, "value": any_value(value)})).collect()
}

/// A span: its number, its parent's (0 for none), name and attributes. It begins at its number's second and takes two.
fn span(number: u64, parent: u64, name: &str, with: Value) -> Value {
    let id = |number: u64| if number == 0 { String::new() } else { format!("{number:016x}") };
    let nanos = |second: u64| (1_795_424_400_000_000_000 + second * 1_000_000_000).to_string();
    json!({
        "traceId": TRACE, "spanId": id(number), "parentSpanId": id(parent), "name": name, "kind": 1,
        "startTimeUnixNano": nanos(number), "endTimeUnixNano": nanos(number + 2), "attributes": attributes(&with),
    })
}

fn with(mut span: Value, key: &str, value: Value) -> Value {
    span[key] = value;
    span
}

fn occurred(name: &str, with: Value) -> Value {
    json!({"timeUnixNano": "1795424400000000000", "name": name, "attributes": attributes(&with)})
}

fn export(spans: &[Value]) -> Value {
    let resource = attributes(&json!({
        "service.name": "desk", "service.version": "2.1", "deployment.environment.name": "prod",
        "telemetry.sdk.name": "opentelemetry", "telemetry.sdk.language": "go",
    }));
    json!({"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [{"scope": {"name": "x"}, "spans": spans}]}]})
}

fn told(spans: &[Value]) -> Told {
    let told = read(export(spans).to_string().as_bytes(), Encoding::Json, now()).unwrap();
    assert_eq!(told.gaps, []);
    told
}

/// Kind, agent, tool, text and arguments of each event.
fn lines(events: &[Event]) -> Vec<String> {
    let line = |event: &Event| {
        let tool = event.tool.as_ref().map(|tool| match &tool.arguments {
            Value::Null => tool.name.clone(),
            arguments => format!("{}{arguments}", tool.name),
        });
        let channel = event.channel.map(|channel| channel.as_str().to_owned());
        let to = event.to.as_ref().map(|to| format!("→ {to}"));
        let parts = [channel, to, tool, event.text.clone()].into_iter().flatten();
        let agent = event.agent.as_deref().unwrap_or("-");
        format!("{agent}: {} {}", event.kind, parts.collect::<Vec<_>>().join(" ")).trim_end().to_owned()
    };
    events.iter().map(line).collect()
}

fn usage(events: &[Event]) -> (u64, u64) {
    let used = events.iter().filter_map(|event| event.usage.as_ref());
    used.fold((0, 0), |(input, output), usage| (input + usage.input_tokens, output + usage.output_tokens))
}
