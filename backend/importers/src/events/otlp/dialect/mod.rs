//! What a span says, in the words of whoever wrote it. One file for each dialect; nothing else knows an attribute's name.

mod genai;
mod openinference;
mod traceloop;
mod vercel;

use serde_json::{Map, Value};

use super::attributes::{Attributes, parsed};
use super::message::Message;
use super::wire::Span;
use crate::events::Usage;
use crate::events::check::{MAX_COST_USD, MAX_TOKENS};

/// What a span is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A call of a model.
    Model,
    Embedding,
    Tool,
    Agent,
    Retrieval,
    MemoryRead,
    MemoryWrite,
}

/// What a span says, whatever the dialect.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// None: it only groups others.
    pub(super) kind: Option<Kind>,
    pub(super) model: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) usage: Option<Usage>,
    /// The whole conversation so far, system prompt first.
    pub(super) input: Vec<Message>,
    pub(super) output: Vec<Message>,
    pub(super) tool: ToolSaid,
    /// Of the tools that the model may call.
    pub(super) definitions: Vec<Map<String, Value>>,
    /// What was embedded, retrieved or remembered.
    pub(super) texts: Vec<String>,
}

/// What a tool's span says.
#[derive(Debug, Default)]
pub(super) struct ToolSaid {
    pub(super) name: Option<String>,
    pub(super) server: Option<String>,
    pub(super) call_id: Option<String>,
    pub(super) arguments: Value,
    pub(super) result: Option<String>,
    pub(super) description: Option<String>,
}

/// Reads a span in the first dialect that knows it.
pub(super) fn read(span: &Span, attributes: &Attributes) -> Said {
    vercel::read(span, attributes)
        .or_else(|| openinference::read(span, attributes))
        .or_else(|| traceloop::read(span, attributes))
        .or_else(|| genai::read(span, attributes))
        .unwrap_or_default()
}

/// The conversation, thread or run.
const SESSION: &[&str] = &[
    "gen_ai.conversation.id",
    "session.id",
    "gen_ai.thread.id",
    "traceloop.association.properties.session_id",
    "traceloop.association.properties.thread_id",
    "traceloop.association.properties.conversation_id",
    "traceloop.association.properties.chat_id",
    "ai.telemetry.metadata.sessionId",
    "ai.telemetry.metadata.threadId",
    "ai.telemetry.metadata.conversationId",
    "ai.telemetry.metadata.chatId",
];

/// The session that a span, of whatever kind, says it belongs to.
pub(super) fn session(attributes: &Attributes) -> Option<&str> {
    attributes.text(SESSION)
}

/// The agent that a span names: as an attribute, or as the span of one by its name.
pub(super) fn agent<'a>(span: &'a Span, attributes: &'a Attributes, kind: Option<Kind>) -> Option<&'a str> {
    let named = attributes.text(&["gen_ai.agent.name", "agent.name"]);
    let is_agent = kind == Some(Kind::Agent);
    let entity = || attributes.text(&["traceloop.entity.name"]).filter(|_| is_agent);
    let by_span = || {
        let name = span.name.strip_prefix("invoke_agent").unwrap_or(&span.name).trim();
        Some(name).filter(|name| is_agent && !name.is_empty())
    };
    named.or_else(entity).or_else(by_span)
}

/// What a model call used, if the span says so; figures that can not be are left out.
fn usage(attributes: &Attributes, input: &[&str], output: &[&str], cost: Option<f64>) -> Option<Usage> {
    let tokens = |names| attributes.count(names).filter(|tokens| *tokens <= MAX_TOKENS);
    let (input, output) = (tokens(input), tokens(output));
    let cost_usd = cost.filter(|cost| (0.0..=MAX_COST_USD).contains(cost));
    (input.is_some() || output.is_some() || cost_usd.is_some()).then(|| Usage {
        input_tokens: input.unwrap_or_default(),
        output_tokens: output.unwrap_or_default(),
        cost_usd,
    })
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

/// Definitions of tools as providers write them: each an object or its JSON, the function perhaps in a member of its own.
fn definitions<'a>(values: impl IntoIterator<Item = &'a Value>) -> Vec<Map<String, Value>> {
    let functions = values.into_iter().filter_map(|value| {
        let Value::Object(mut members) = parsed(value) else { return None };
        for wrap in ["tool", "json_schema", "function"] {
            match members.get(wrap).map(parsed) {
                Some(Value::Object(inner)) => members = inner,
                _ => continue,
            }
        }
        Some(members)
    });
    functions.take(MAX_DEFINITIONS).collect()
}

/// Tools that one call offers to the model.
const MAX_DEFINITIONS: usize = 1000;

/// The texts of retrieved documents or remembered records: each a text, or an object that has it.
fn documents(value: &Value) -> Vec<String> {
    let text = |document: &Value| {
        let members = document.get("document").unwrap_or(document);
        let text = members.as_str().or_else(|| {
            ["content", "document.content", "page_content", "text"].iter().find_map(|name| members.get(*name)?.as_str())
        });
        owned(text)
    };
    value.as_array().into_iter().flatten().filter_map(text).collect()
}
