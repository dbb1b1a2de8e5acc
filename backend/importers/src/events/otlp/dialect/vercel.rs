//! Vercel's AI SDK, 3.3 to 6: `ai.*`. `ai.generateText` and its like only wrap the `.doGenerate` or `.doStream` below them, with the
//! same usage again.

use serde_json::Value;

use super::{Kind, Said, ToolSaid, definitions, owned, usage};
use crate::events::otlp::attributes::Attributes;
use crate::events::otlp::message::{Call, Message, Role, messages, outcome};
use crate::events::otlp::wire::Span;

pub(super) fn read(_: &Span, a: &Attributes) -> Option<Said> {
    let operation = a.text(&["ai.operationId"])?;
    let inner = operation.rsplit('.').next().unwrap_or_default();
    let mut said = Said {
        model: owned(a.text(&["gen_ai.request.model", "ai.model.id"])),
        provider: owned(a.text(&["gen_ai.system", "ai.model.provider"])),
        usage: usage(
            a,
            &["gen_ai.usage.input_tokens", "ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens"],
            &["gen_ai.usage.output_tokens", "ai.usage.outputTokens", "ai.usage.completionTokens"],
            None,
        ),
        ..Said::default()
    };
    match inner {
        "doGenerate" | "doStream" => {
            said.kind = Some(Kind::Model);
            said.input = a.json(&["ai.prompt.messages"]).map(|all| messages(&all, Role::User)).unwrap_or_default();
            said.output.push(answer(a));
            said.definitions = definitions(a.get("ai.prompt.tools").and_then(Value::as_array).into_iter().flatten());
        }
        "doEmbed" => {
            said.kind = Some(Kind::Embedding);
            let values = a.json(&["ai.values"]);
            let values = values.as_ref().and_then(Value::as_array).into_iter().flatten();
            said.texts = values.filter_map(outcome).collect();
        }
        "toolCall" => {
            said.kind = Some(Kind::Tool);
            said.tool = ToolSaid {
                name: owned(a.text(&["ai.toolCall.name"])),
                call_id: owned(a.text(&["ai.toolCall.id"])),
                arguments: a.json(&["ai.toolCall.args"]).unwrap_or_default(),
                result: a.get("ai.toolCall.result").and_then(outcome),
                ..ToolSaid::default()
            };
        }
        _ => {}
    }
    Some(said)
}

fn answer(a: &Attributes) -> Message {
    let text = a.text(&["ai.response.text", "ai.response.object", "ai.result.text", "ai.result.object"]);
    let calls = a.json(&["ai.response.toolCalls", "ai.result.toolCalls"]);
    let calls = calls.as_ref().and_then(Value::as_array).into_iter().flatten();
    Message {
        role: Role::Assistant,
        text: owned(text),
        calls: calls.filter_map(|call| Call::of(call.as_object()?)).collect(),
        results: Vec::new(),
    }
}
