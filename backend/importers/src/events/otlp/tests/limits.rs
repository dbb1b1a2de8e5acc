//! Exports that are broken or made to harm.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::events::check;

#[test]
fn a_span_that_can_not_be_read_is_a_gap() {
    let chat = json!({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"});
    for (key, value) in [
        ("traceId", json!("zz")),
        ("traceId", json!("00000000000000000000000000000000")),
        ("spanId", json!("")),
        ("startTimeUnixNano", json!("now")),
        ("startTimeUnixNano", json!(18_446_744_073_709_551_615_u64)),
        ("attributes", json!(3)),
        ("name", json!({})),
    ] {
        let body =
            export(&[with(span(1, 0, "chat", chat.clone()), key, value.clone()), span(2, 0, "chat", chat.clone())]);
        let told = read(body.to_string().as_bytes(), Encoding::Json, now()).unwrap();
        assert_eq!((told.events.len(), told.gaps.len()), (2, 1), "{key} {value}");
        assert_eq!((told.gaps[0].class.as_str(), told.gaps[0].subject.as_str()), ("unreadable-span", "1 times"));
    }
    let old = with(with(span(1, 0, "chat", chat), "startTimeUnixNano", json!(1)), "endTimeUnixNano", json!("2"));
    let told = read(export(&[old]).to_string().as_bytes(), Encoding::Json, now()).unwrap();
    assert_eq!((told.events.len(), told.gaps[0].class.as_str()), (0, "limit"), "{:?}", told.gaps);
}

#[test]
fn what_is_no_export_is_an_error() {
    for (body, encoding) in [
        (&b"{"[..], Encoding::Json),
        (b"[]", Encoding::Json),
        (b"{\"resourceSpans\": 1}", Encoding::Json),
        (b"\xff", Encoding::Json),
        (b"{}", Encoding::Protobuf),
        (b"\x0a\x05\x00", Encoding::Protobuf),
    ] {
        let error = read(body, encoding, now()).unwrap_err();
        assert!(matches!(error, ImportError::Malformed { .. }), "{error:?}");
        assert!(error.to_string().contains("ExportTraceServiceRequest"), "{error}");
    }
    assert_eq!(read(b"", Encoding::Protobuf, now()).unwrap(), Told::default());
    assert_eq!(read(b"{}", Encoding::Json, now()).unwrap(), Told::default());
    let large = vec![b' '; MAX_EXPORT_BYTES + 1];
    assert!(matches!(read(&large, Encoding::Json, now()), Err(ImportError::TooLarge(_))));
}

#[test]
fn hostile_exports_stay_within_limits() {
    let chat = json!({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.input.messages": "x".repeat(300 << 10)});
    let told = read(export(&[span(1, 0, "chat", chat)]).to_string().as_bytes(), Encoding::Json, now()).unwrap();
    assert!(
        told.events[0]
            .text
            .as_ref()
            .is_some_and(|text| text.len() <= crate::events::MAX_TEXT_BYTES && text.ends_with('…'))
    );
    assert_eq!(told.gaps[0].class, "cut");
    // Spans that are their own ancestors, and more of them than are wanted.
    let chat = json!({"gen_ai.operation.name": "chat"});
    let around: Vec<Value> = (1..=3).map(|i| span(i, i % 3 + 1, "chat", chat.clone())).collect();
    assert_eq!(told_of(&around).events, [], "each wraps the others");
    let many: Vec<Value> = (0..MAX_SPANS as u64 + 5).map(|i| span(i + 1, 0, "chat", chat.clone())).collect();
    let told = told_of(&many);
    assert_eq!((told.events.len(), told.rejected_spans), (2 * MAX_SPANS, 5));
    assert!(told.gaps[0].subject == "5 times" && told.gaps[0].class == "limit", "{:?}", told.gaps);
    let resources = "{},".repeat(MAX_SPANS) + "{}";
    let body = format!("{{\"resourceSpans\":[{resources}]}}");
    assert!(matches!(read(body.as_bytes(), Encoding::Json, now()), Err(ImportError::TooLarge(_))));
    // Nested as deep as it goes, and a span of nothing but empty attributes.
    let deep = format!("{}{}", "{\"arrayValue\":{\"values\":[".repeat(5000), "]}}".repeat(5000));
    let body = format!(
        "{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{{\"attributes\":[{{\"key\":\"a\",\"value\":{deep}}}]}}]}}]}}]}}"
    );
    let told = read(body.as_bytes(), Encoding::Json, now()).unwrap();
    assert!(told.gaps[0].reason.contains("recursion"), "{:?}", told.gaps);
    let mut wide = [0x4a, 0x00].repeat(1 << 20);
    for tag in [0x12, 0x12, 0x0a] {
        wide = protobuf(tag, &wide);
    }
    let told = read(&wide, Encoding::Protobuf, now()).unwrap();
    assert!(told.gaps[0].reason.contains("attributes"), "{:?}", told.gaps);
}

fn told_of(spans: &[Value]) -> Told {
    read(export(spans).to_string().as_bytes(), Encoding::Json, now()).unwrap()
}

/// A member of a message.
fn protobuf(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![tag];
    let mut length = bytes.len();
    while length > 0x7f {
        message.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    message.push(length as u8);
    message.extend(bytes);
    message
}

/// A span with attributes of every dialect, their values as hostile as they come.
fn any_span() -> impl Strategy<Value = Value> {
    const NAMES: &[&str] = &[
        "gen_ai.operation.name",
        "gen_ai.request.model",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.id",
        "gen_ai.tool.name",
        "gen_ai.usage.input_tokens",
        "gen_ai.prompt.0.content",
        "gen_ai.prompt.x",
        "gen_ai.prompt.0",
        "gen_ai.agent.name",
        "gen_ai.conversation.id",
        "openinference.span.kind",
        "llm.input_messages.0.message.role",
        "llm.tools.0.tool.json_schema",
        "input.value",
        "traceloop.span.kind",
        "traceloop.entity.input",
        "ai.operationId",
        "ai.prompt.messages",
        "ai.response.toolCalls",
        "llm.cost.total",
    ];
    const VALUES: &[&str] = &[
        "chat",
        "execute_tool",
        "invoke_agent",
        "LLM",
        "TOOL",
        "AGENT",
        "ai.toolCall",
        "ai.generateText.doGenerate",
        "tool",
        "agent",
        "\u{0}",
        "",
        "[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"1\",\"name\":\"f\"}]}]",
        "[{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":null}]",
        "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}",
        "[[[[]]]]",
        "{\"0\":{\"1\":[]}}",
    ];
    let value = prop_oneof![
        prop::sample::select(VALUES).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(VALUES)
            .prop_map(|text| json!([text, serde_json::from_str::<Value>(text).unwrap_or_default()])),
    ];
    let attributes = prop::collection::btree_map(prop::sample::select(NAMES), value, 0..8);
    let ids = (1_u64..6, 0_u64..6, 0..6_i32);
    (attributes, ids).prop_map(|(attributes, (id, parent, kind))| {
        with(span(id, parent, "execute_tool f", json!(attributes)), "kind", json!(kind))
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            let _ = read(&bytes, encoding, now());
        }
    }

    #[test]
    fn damaged_exports_are_read_or_refused(at in 0_usize..2000, byte: u8) {
        let span = span(1, 0, "chat", json!({"gen_ai.operation.name": "chat", "gen_ai.input.messages": [{"role": "user", "parts": []}]}));
        let mut body = export(&[span]).to_string().into_bytes();
        let at = at % body.len();
        body[at] = byte;
        let _ = read(&body, Encoding::Json, now());
    }

    #[test]
    fn whatever_spans_say_events_keep_the_contract(spans in prop::collection::vec(any_span(), 0..8)) {
        let body = export(&spans).to_string();
        let told = read(body.as_bytes(), Encoding::Json, now()).unwrap();
        for event in &told.events {
            prop_assert_eq!(check(event, now()), Ok(()));
        }
        let ids: BTreeSet<&str> = told.events.iter().map(|event| event.id.as_str()).collect();
        prop_assert_eq!(ids.len(), told.events.len());
        prop_assert!(told.gaps.is_empty(), "{:?}", told.gaps);
        prop_assert_eq!(read(body.as_bytes(), Encoding::Json, now()).unwrap(), told);
    }
}
