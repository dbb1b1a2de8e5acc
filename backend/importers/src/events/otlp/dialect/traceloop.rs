//! OpenLLMetry by Traceloop: workflows, tasks, agents and tools as `traceloop.*`, and in older versions contents as `gen_ai.prompt.N.*`.
//! Newer spans of models are those of the conventions.

use serde_json::Value;

use super::{Kind, Said, ToolSaid, definitions, genai, owned};
use crate::events::otlp::attributes::Attributes;
use crate::events::otlp::message::{Message, Role, message, outcome};
use crate::events::otlp::wire::Span;

pub(super) fn read(span: &Span, a: &Attributes) -> Option<Said> {
    match a.text(&["traceloop.span.kind"]) {
        Some("tool") => return Some(tool(span, a)),
        Some("agent") => return Some(Said { kind: Some(Kind::Agent), ..Said::default() }),
        Some(_) => return Some(Said::default()),
        None => {}
    }
    let flattened = |prefix, role| -> Vec<Message> { a.list(prefix).iter().map(|m| message(m, role)).collect() };
    let input = flattened("gen_ai.prompt", Role::User);
    let output = flattened("gen_ai.completion", Role::Assistant);
    let kind = match a.text(&["llm.request.type"]) {
        Some("embedding") => Some(Kind::Embedding),
        Some("rerank") => None,
        Some(_) => Some(Kind::Model),
        None if input.is_empty() && output.is_empty() => return None,
        None => Some(Kind::Model),
    };
    let new = genai::model(span, a);
    Some(Said {
        kind,
        input: if input.is_empty() { new.input } else { input },
        output: if output.is_empty() { new.output } else { output },
        definitions: definitions(&a.list("llm.request.functions")),
        ..new
    })
}

/// A decorated function, or a tool of LangChain; newer ones say most of it by the conventions too.
fn tool(span: &Span, a: &Attributes) -> Said {
    let new = genai::model(span, a).tool;
    let given = a.json(&["traceloop.entity.input"]).unwrap_or_default();
    let has_members = |value: &&Value| value.as_object().is_some_and(|members| !members.is_empty());
    let named = ["kwargs", "inputs"].iter().find_map(|name| given.get(*name).filter(has_members));
    let result = a.json(&["traceloop.entity.output"]).and_then(|given| outcome(given.get("output").unwrap_or(&given)));
    let tool = ToolSaid {
        name: new.name.or_else(|| owned(a.text(&["traceloop.entity.name"]))),
        arguments: if new.arguments.is_null() { named.cloned().unwrap_or(given) } else { new.arguments },
        result: new.result.or(result),
        ..new
    };
    Said { kind: Some(Kind::Tool), tool, ..Said::default() }
}
