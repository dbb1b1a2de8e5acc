//! The semantic conventions of OpenTelemetry for generative AI, from 1.26 (`gen_ai.system`, contents as events) to 1.41
//! (`gen_ai.provider.name`, contents as attributes, retrieval and memory), and those for MCP.

use serde_json::{Map, Value};

use super::{Kind, Said, ToolSaid, definitions, documents, owned, usage};
use crate::events::otlp::attributes::{Attributes, parsed};
use crate::events::otlp::message::{Message, Role, message, messages, outcome};
use crate::events::otlp::wire::{Span, SpanEvent};

/// `SPAN_KIND_SERVER`.
const SERVER: i32 = 2;

/// Events that hold one message each, up to 1.36: name, and who speaks unless the event says so.
const MESSAGES: &[(&str, Role)] = &[
    ("gen_ai.system.message", Role::System),
    ("gen_ai.user.message", Role::User),
    ("gen_ai.assistant.message", Role::Assistant),
    ("gen_ai.tool.message", Role::Tool),
];

pub(super) fn read(span: &Span, a: &Attributes) -> Option<Said> {
    let has_model = a.has("gen_ai.request.model") || a.has("gen_ai.response.model");
    let kind = match a.text(&["gen_ai.operation.name"]) {
        // The server's side of a call that its client tells too.
        _ if a.has("mcp.method.name") && span.kind == SERVER => None,
        Some("embeddings") => Some(Kind::Embedding),
        Some("execute_tool") => Some(Kind::Tool),
        Some("invoke_agent") => Some(Kind::Agent),
        Some("retrieval") => Some(Kind::Retrieval),
        Some("search_memory") => Some(Kind::MemoryRead),
        Some("create_memory" | "update_memory" | "upsert_memory" | "delete_memory") => Some(Kind::MemoryWrite),
        Some("chat" | "text_completion" | "generate_content") => Some(Kind::Model),
        Some("create_agent" | "invoke_workflow" | "plan") => None,
        None if a.text(&["mcp.method.name"]) == Some("tools/call") => Some(Kind::Tool),
        _ if has_model => Some(Kind::Model),
        _ => return None,
    };
    Some(Said { kind, ..model(span, a) })
}

/// What the conventions say of a span, whatever kind it is.
pub(super) fn model(span: &Span, a: &Attributes) -> Said {
    let (input, output) = contents(span, a);
    Said {
        kind: None,
        model: owned(a.text(&["gen_ai.request.model", "gen_ai.response.model"])),
        provider: owned(a.text(&["gen_ai.provider.name", "gen_ai.system"])),
        usage: usage(
            a,
            &["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"],
            &["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"],
            None,
        ),
        input,
        output,
        tool: ToolSaid {
            name: owned(a.text(&["gen_ai.tool.name"])),
            server: owned(a.text(&["mcp.server.name"])),
            call_id: owned(a.text(&["gen_ai.tool.call.id"])),
            arguments: a.json(&["gen_ai.tool.call.arguments"]).unwrap_or_default(),
            result: a.get("gen_ai.tool.call.result").and_then(outcome),
            description: owned(a.text(&["gen_ai.tool.description"])),
        },
        definitions: definitions(
            a.json(&["gen_ai.tool.definitions"]).as_ref().and_then(Value::as_array).into_iter().flatten(),
        ),
        texts: a
            .json(&["gen_ai.retrieval.documents", "gen_ai.memory.records"])
            .map(|all| documents(&all))
            .unwrap_or_default(),
    }
}

/// What was said to the model and by it.
fn contents(span: &Span, a: &Attributes) -> (Vec<Message>, Vec<Message>) {
    let (mut input, mut output) = attributes(a);
    for event in &span.events {
        let known = MESSAGES.iter().find(|(name, _)| *name == event.name);
        let body = || body(event);
        match event.name.as_str() {
            "gen_ai.client.inference.operation.details" | "gen_ai.content.prompt" | "gen_ai.content.completion" => {
                let (more_input, more_output) = attributes(&Attributes::from(event.attributes.clone()));
                input.extend(more_input);
                output.extend(more_output);
            }
            "gen_ai.choice" => output.push(message(&body(), Role::Assistant)),
            _ => input.extend(known.map(|(_, role)| message(&body(), *role))),
        }
    }
    (input, output)
}

/// Contents that are attributes of a span or an event.
fn attributes(a: &Attributes) -> (Vec<Message>, Vec<Message>) {
    let read = |names: &[&str], role| a.json(names).map(|value| messages(&value, role)).unwrap_or_default();
    // The instructions are one text in parts.
    let system = a.json(&["gen_ai.system_instructions"]).map(|parts| match parts {
        Value::Array(_) => message(&Map::from_iter([("parts".to_owned(), parts)]).into(), Role::System),
        other => message(&other, Role::System),
    });
    let input = read(&["gen_ai.input.messages", "gen_ai.prompt"], Role::User);
    let output = read(&["gen_ai.output.messages", "gen_ai.completion"], Role::Assistant);
    (system.into_iter().chain(input).collect(), output)
}

/// A message that is an event: its attributes, or one of them that holds it all; contents may be the JSON of parts.
fn body(event: &SpanEvent) -> Value {
    let attributes = Attributes::from(event.attributes.clone());
    if let Some(whole @ Value::Object(_)) = attributes.json(&["gen_ai.event.content"]) {
        return whole;
    }
    let member = |name: &str| {
        let value = attributes.get(name)?;
        // A text that only looks like JSON stays one.
        let content = Some(parsed(value)).filter(|json| name != "content" || is_parts(json));
        Some((name.to_owned(), content.unwrap_or_else(|| value.clone())))
    };
    let members: Map<String, Value> =
        ["role", "content", "message", "id", "name", "tool_calls"].into_iter().filter_map(member).collect();
    match members.get("message") {
        // The message's parts alone.
        Some(parts @ (Value::Array(_) | Value::String(_))) => {
            Map::from_iter([("content".to_owned(), parts.clone())]).into()
        }
        _ => members.into(),
    }
}

fn is_parts(json: &Value) -> bool {
    let known = |part: &Value| ["type", "text", "toolUse", "toolResult"].iter().any(|name| part.get(*name).is_some());
    json.as_array().is_some_and(|parts| !parts.is_empty() && parts.iter().all(known))
}
