//! Exports that real SDKs have sent; skipped where they are not at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;
use stance_shared::{Channel, EventKind};

use super::*;

fn kinds(events: &[Event]) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    events.iter().for_each(|event| *kinds.entry(event.kind.as_str()).or_default() += 1);
    kinds
}

fn sample(name: &str) -> Option<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reports/otlp_genai").join(name);
    let bytes = std::fs::read(path).ok();
    if bytes.is_none() {
        eprintln!("skipped: no sample {name}");
    }
    bytes
}

/// Both encodings of a run's export tell the same.
fn run(name: &str) -> Option<Told> {
    let json = sample(&format!("{name}.traces.01.otlp.json"))?;
    let told = read(&json, Encoding::Json, now()).unwrap();
    assert_eq!(told.gaps, []);
    assert_eq!(read(&sample(&format!("{name}.traces.01.otlp.pb"))?, Encoding::Protobuf, now()).unwrap(), told);
    Some(told)
}

fn keys(told: &Told, kind: stance_shared::AssetKind) -> Vec<&str> {
    told.assets.iter().filter(|record| record.asset.kind == kind).map(|record| record.asset.key.as_str()).collect()
}

/// What the three instrumentations of one Python program tell of it.
fn assert_support_bot(told: &Told, sessions: &[&str]) {
    use stance_shared::AssetKind::{Agent, Model};
    assert_eq!(keys(told, Agent), ["acme-support-bot"]);
    assert_eq!(keys(told, Model), ["acme-chat-7b", "acme-embed", "bad-model"]);
    assert_eq!(usage(&told.events), (6 + 15 + 17 + 18 + 8 + 3 + 3 + 3 + 5, 8 * 12));
    let named: BTreeSet<&str> =
        told.events.iter().filter_map(|event| event.session.as_deref()).filter(|s| s.len() < 32).collect();
    assert_eq!(Vec::from_iter(named), sessions);
    let failed: Vec<_> = told.events.iter().filter(|event| event.error.is_some()).collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].kind == EventKind::Response && failed[0].error.as_ref().unwrap().ends_with("NotFoundError"));
    let called: Vec<_> = told.events.iter().filter(|event| event.kind == EventKind::ToolCall).collect();
    let tool = called[0].tool.as_ref().unwrap();
    assert_eq!((tool.name.as_str(), &tool.arguments), ("read_file", &json!({"city": "Lisbon", "path": "/etc/passwd"})));
    assert!(called[0].duration_ms.is_some());
}

const SESSIONS: &[&str] = &["conv-9", "s-0", "s-1", "s-2", "s-3", "s-4"];

#[test]
fn sample_of_openinference() {
    let Some(told) = run("openinference_openai") else { return };
    assert_support_bot(&told, SESSIONS);
    let expected = [("PROMPT", 14), ("RESPONSE", 9), ("TOOL_CALL", 1), ("TOOL_DESCRIPTION", 1), ("TOOL_RESULT", 1)];
    assert_eq!(kinds(&told.events), BTreeMap::from(expected));
    assert!(told.events.iter().any(|event| event.text.as_deref() == Some("root:x:0:0:root")));
}

#[test]
fn sample_of_traceloop() {
    let Some(told) = run("traceloop_openai") else { return };
    assert_support_bot(&told, SESSIONS);
    let expected = [("PROMPT", 14), ("RESPONSE", 9), ("TOOL_CALL", 1), ("TOOL_DESCRIPTION", 1), ("TOOL_RESULT", 1)];
    assert_eq!(kinds(&told.events), BTreeMap::from(expected));
    let embedded = told.events.iter().find(|event| event.model.as_deref() == Some("acme-embed")).unwrap();
    assert_eq!((embedded.text.as_deref(), embedded.channel), (Some("hello\nworld"), Some(Channel::Document)));
}

#[test]
fn sample_of_the_conventions_without_contents() {
    let Some(told) = run("otel_openai_v2_nocontent") else { return };
    assert_support_bot(&told, SESSIONS);
    assert_eq!(kinds(&told.events), BTreeMap::from([("PROMPT", 10), ("RESPONSE", 9), ("TOOL_CALL", 1)]));
    assert!(told.events.iter().all(|event| event.text.is_none()));
}

#[test]
fn sample_of_the_ai_sdk() {
    let Some(json) = sample("vercel_ai_sdk_native_json.traces.01.otlp.json") else { return };
    let told = read(&json, Encoding::Json, now()).unwrap();
    assert_eq!(told.gaps, []);
    assert_eq!(keys(&told, stance_shared::AssetKind::Agent), ["acme-web-agent"]);
    assert_eq!(keys(&told, stance_shared::AssetKind::Model), ["acme-chat-7b"]);
    assert_eq!(keys(&told, stance_shared::AssetKind::Tool), ["acme-web-agent/run_shell"]);
    assert_eq!(usage(&told.events), (2 * (21 + 40), 2 * (9 + 12)));
    let expected = [("PROMPT", 2), ("RESPONSE", 4), ("TOOL_CALL", 2), ("TOOL_DESCRIPTION", 1), ("TOOL_RESULT", 2)];
    assert_eq!(kinds(&told.events), BTreeMap::from(expected));
    assert!(told.events.iter().skip(1).all(|event| event.session.as_deref() == Some("s-7")));
}
