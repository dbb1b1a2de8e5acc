//! OpenInference by Arize: `openinference.span.kind`, and lists flattened to numbered attributes.

use serde_json::Value;

use super::{Kind, Said, ToolSaid, definitions, documents, owned, usage};
use crate::events::otlp::attributes::Attributes;
use crate::events::otlp::message::{Message, Role, message, messages, outcome};
use crate::events::otlp::wire::Span;

pub(super) fn read(span: &Span, a: &Attributes) -> Option<Said> {
    let kind = match a.text(&["openinference.span.kind"])? {
        "LLM" => Some(Kind::Model),
        "EMBEDDING" => Some(Kind::Embedding),
        "TOOL" => Some(Kind::Tool),
        "AGENT" => Some(Kind::Agent),
        "RETRIEVER" => Some(Kind::Retrieval),
        _ => None,
    };
    let mut said = Said { kind, ..Said::default() };
    match kind {
        Some(Kind::Model) => {
            said.input = contents(a, "llm.input_messages", "input.value", Role::User);
            said.output = contents(a, "llm.output_messages", "output.value", Role::Assistant);
            said.definitions = definitions(&a.list("llm.tools"));
        }
        Some(Kind::Embedding) => {
            let texts = a.list("embedding.embeddings");
            said.texts = texts.iter().filter_map(|e| owned(e.pointer("/embedding/text")?.as_str())).collect();
        }
        Some(Kind::Tool) => said.tool = tool(span, a),
        Some(Kind::Agent) => said.input = contents(a, "llm.input_messages", "input.value", Role::User),
        Some(Kind::Retrieval) => said.texts = documents(&a.list("retrieval.documents").into()),
        _ => {}
    }
    if matches!(kind, Some(Kind::Model | Kind::Embedding)) {
        // The parameters have the model's name as it was asked for, the attribute as the provider answered.
        let parameters = a.json(&["llm.invocation_parameters", "embedding.invocation_parameters"]);
        let requested = parameters.as_ref().and_then(|parameters| parameters.get("model")?.as_str());
        said.model = owned(requested.or_else(|| a.text(&["llm.model_name", "embedding.model_name"])));
        said.provider = owned(a.text(&["llm.provider", "llm.system"]));
        said.usage = usage(a, &["llm.token_count.prompt"], &["llm.token_count.completion"], a.number("llm.cost.total"));
    }
    Some(said)
}

/// Messages, else what the span says of its input or output at all.
fn contents(a: &Attributes, list: &str, whole: &str, role: Role) -> Vec<Message> {
    let listed: Vec<Message> = a.list(list).iter().map(|item| message(item, role)).collect();
    if !listed.is_empty() {
        return listed;
    }
    let read = a.json(&[whole]).map(|value| messages(&value, role)).unwrap_or_default();
    // What has no messages is the text itself.
    let says_something = |m: &Message| m.text.is_some() || !m.calls.is_empty() || !m.results.is_empty();
    if read.iter().any(says_something) {
        read
    } else {
        a.get(whole).map(|text| messages(text, role)).unwrap_or_default()
    }
}

fn tool(span: &Span, a: &Attributes) -> ToolSaid {
    ToolSaid {
        name: owned(a.text(&["tool.name"]).or(Some(&span.name))),
        server: owned(a.text(&["mcp.server.name"])),
        call_id: owned(a.text(&["tool_call.id", "tool.id"])),
        arguments: a.json(&["tool_call.function.arguments", "input.value", "tool.parameters"]).unwrap_or_default(),
        result: a.get("output.value").filter(|value| !matches!(value, Value::Null)).and_then(outcome),
        description: owned(a.text(&["tool.description"])),
    }
}
