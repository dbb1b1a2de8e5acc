//! Chat messages, in every shape that the dialects put into attributes: parts as the GenAI conventions have them, and what
//! OpenAI, Anthropic, Google and the AI SDK call content, tool calls and results.

use serde_json::{Map, Value};

use super::attributes::parsed;
use crate::json::text_of;

/// Parts of one message; tools that it calls.
const MAX_PARTS: usize = 1000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    System,
    #[default]
    User,
    Assistant,
    Tool,
}

/// What a message says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Message {
    pub(super) role: Role,
    /// What is text in it, a line for each part; nothing when the content was not recorded.
    pub(super) text: Option<String>,
    pub(super) calls: Vec<Call>,
    pub(super) results: Vec<Outcome>,
}

/// A tool that the model wants called.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Call {
    pub(super) id: Option<String>,
    pub(super) name: String,
    /// Null when they were not recorded.
    pub(super) arguments: Value,
}

/// What a tool gave back.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Outcome {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) text: Option<String>,
}

/// The messages of a value: an array of them, one, a request or an answer that has them, or a bare text, which `role` said.
pub(super) fn messages(value: &Value, role: Role) -> Vec<Message> {
    match value {
        Value::Array(items) => items.iter().map(|item| message(item, role)).collect(),
        Value::Object(members) => {
            let choice = |choice: &Value| message(choice.get("message").unwrap_or(choice), role);
            if let Some(Value::Array(items)) = members.get("messages") {
                let system = text_of(members, "system").map(|text| said(Role::System, text));
                system.into_iter().chain(items.iter().map(|item| message(item, role))).collect()
            } else if let Some(Value::Array(choices)) = members.get("choices") {
                choices.iter().map(choice).collect()
            } else {
                vec![message(value, role)]
            }
        }
        Value::String(text) if !text.trim().is_empty() => vec![said(role, text)],
        _ => Vec::new(),
    }
}

fn said(role: Role, text: &str) -> Message {
    Message { role, text: Some(text.to_owned()), ..Message::default() }
}

/// One message.
pub(super) fn message(value: &Value, role: Role) -> Message {
    let mut message = Message { role, ..Message::default() };
    let Some(mut members) = unwrapped(value).as_object() else {
        message.part(value);
        return message;
    };
    message.role = match text_of(members, "role") {
        Some("system" | "developer") => Role::System,
        Some("user" | "human") => Role::User,
        Some("assistant" | "ai" | "model") => Role::Assistant,
        Some("tool" | "function") => Role::Tool,
        _ => role,
    };
    // The answer's choice may stand around the message.
    if let Some(Value::Object(inner)) = members.get("message") {
        members = inner;
    }
    let contents: Vec<&Value> = ["parts", "content", "contents"].iter().filter_map(|name| members.get(*name)).collect();
    let id = ["tool_call_id", "id", "tool_use_id"].iter().find_map(|name| text_of(members, name));
    match contents[..] {
        // Google has its parts in an object, and others wrap a single one.
        [content] if message.role == Role::Tool && !has_result(content) => {
            let name = text_of(members, "name").map(str::to_owned);
            message.results.push(Outcome { id: id.map(str::to_owned), name, text: outcome(content) });
        }
        [] if !members.contains_key("role") => message.part(value),
        _ => contents.into_iter().for_each(|content| message.contents(content)),
    }
    if let Some(Value::Array(calls)) = members.get("tool_calls").or_else(|| members.get("toolCalls")) {
        calls.iter().for_each(|call| message.call(call));
    }
    message
}

/// Whether parts say themselves that they are results.
fn has_result(content: &Value) -> bool {
    content.as_array().is_some_and(|parts| parts.iter().any(|part| kind(unwrapped(part)) == Kind::Result))
}

/// OpenInference puts each message, part and call into an object of its own.
fn unwrapped(value: &Value) -> &Value {
    let members = value.as_object().filter(|members| members.len() == 1);
    let inner = members.and_then(|members| {
        ["message", "message_content", "tool_call", "document", "embedding", "tool"]
            .iter()
            .find_map(|name| members.get(*name))
    });
    inner.filter(|inner| inner.is_object()).unwrap_or(value)
}

/// Members that hold a call: OpenAI's, Google's and Bedrock's.
const CALLS: &[&str] = &["function", "functionCall", "function_call", "toolUse"];

/// Members that hold a result.
const RESULTS: &[&str] = &["functionResponse", "function_response", "toolResult"];

#[derive(PartialEq)]
enum Kind {
    Text,
    Call,
    Result,
}

fn kind(part: &Value) -> Kind {
    let said = part.get("type").and_then(Value::as_str).unwrap_or_default().replace('-', "_");
    match said.as_str() {
        "tool_call" | "tool_use" | "function_call" | "server_tool_use" | "mcp_tool_use" | "server_tool_call" => {
            Kind::Call
        }
        "tool_call_response"
        | "tool_result"
        | "function_call_output"
        | "server_tool_call_response"
        | "mcp_tool_result" => Kind::Result,
        _ if CALLS.iter().any(|name| part.get(*name).is_some()) => Kind::Call,
        _ if RESULTS.iter().any(|name| part.get(*name).is_some()) => Kind::Result,
        _ => Kind::Text,
    }
}

impl Message {
    fn contents(&mut self, content: &Value) {
        match content {
            Value::Array(parts) => parts.iter().take(MAX_PARTS).for_each(|part| self.part(part)),
            part => self.part(part),
        }
    }

    fn part(&mut self, part: &Value) {
        let part = unwrapped(part);
        match (part, kind(part)) {
            (Value::String(text), _) => self.line(text),
            (Value::Object(_), Kind::Call) => self.call(part),
            (Value::Object(members), Kind::Result) => {
                let inner = RESULTS.iter().find_map(|name| members.get(*name)?.as_object());
                let members = inner.unwrap_or(members);
                let first = |names: &[&str]| names.iter().find_map(|name| text_of(members, name)).map(str::to_owned);
                let given = ["response", "result", "output", "content"].iter().find_map(|name| members.get(*name));
                self.results.push(Outcome {
                    id: first(&["id", "toolCallId", "tool_call_id", "tool_use_id", "toolUseId", "call_id"]),
                    name: first(&["name", "toolName"]),
                    text: given.and_then(outcome),
                });
            }
            (Value::Object(members), Kind::Text) => {
                let text =
                    ["text", "content", "thinking", "refusal"].iter().find_map(|name| members.get(*name)?.as_str());
                text.into_iter().for_each(|text| self.line(text));
            }
            _ => {}
        }
    }

    fn line(&mut self, line: &str) {
        match &mut self.text {
            Some(text) => text.extend(["\n", line]),
            None => self.text = Some(line.to_owned()),
        }
    }

    fn call(&mut self, call: &Value) {
        let Some(members) = unwrapped(call).as_object() else { return };
        if self.calls.len() < MAX_PARTS {
            self.calls.extend(Call::of(members));
        }
    }
}

impl Call {
    /// A call as a provider writes it; nothing without a name.
    pub(super) fn of(members: &Map<String, Value>) -> Option<Self> {
        let inner = CALLS.iter().find_map(|name| members.get(*name)?.as_object());
        let both = || [Some(members), inner].into_iter().flatten();
        let first = |names: &[&str]| {
            both().find_map(|members| names.iter().find_map(|name| text_of(members, name))).map(str::to_owned)
        };
        let given = ["arguments", "args", "input"];
        let arguments = both().find_map(|members| given.iter().find_map(|name| members.get(*name)));
        Some(Self {
            id: first(&["id", "toolCallId", "tool_call_id", "toolUseId", "call_id"]),
            name: first(&["name", "toolName"])?,
            arguments: arguments.map(parsed).unwrap_or_default(),
        })
    }
}

/// What a tool gave back as text: a text as it is, out of the quotes and wraps of JSON that some dialects put around it.
pub(super) fn outcome(value: &Value) -> Option<String> {
    let inner = match value {
        Value::Null => return None,
        Value::String(text) if text.starts_with('"') => serde_json::from_str(text).unwrap_or_else(|_| value.clone()),
        Value::String(_) => parsed(value),
        other => other.clone(),
    };
    let text = match &inner {
        Value::String(text) => Some(text.clone()),
        // The AI SDK: {"type": "text", "value": …}
        Value::Object(members) if members.contains_key("type") && members.contains_key("value") => {
            members.get("value").and_then(|value| value.as_str().map(str::to_owned).or_else(|| Some(value.to_string())))
        }
        // A text in parts.
        Value::Array(parts) if parts.iter().all(|part| part.get("text").is_some_and(Value::is_string)) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            Some(texts.join("\n"))
        }
        other => Some(other.to_string()),
    };
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: &Value) -> Message {
        message(value, Role::User)
    }

    #[test]
    fn every_provider_s_text_is_read() {
        for value in [
            json!({"role": "user", "content": "a\nb"}),
            json!({"role": "user", "parts": [{"type": "text", "content": "a"}, {"type": "text", "content": "b"}]}),
            json!({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}}, {"type": "input_text", "text": "b"}]}),
            json!({"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}),
            json!({"message": {"role": "user", "contents": [{"message_content": {"type": "text", "text": "a"}}, {"message_content": {"type": "text", "text": "b"}}]}}),
        ] {
            assert_eq!(of(&value), said(Role::User, "a\nb"), "{value}");
        }
        assert_eq!(of(&json!({"role": "developer", "content": "x"})), said(Role::System, "x"));
        assert_eq!(of(&json!({"role": "user"})), Message::default());
        assert_eq!(messages(&json!("x"), Role::Assistant), [said(Role::Assistant, "x")]);
        assert_eq!(
            messages(&json!({"choices": [{"message": {"content": "x"}}]}), Role::Assistant),
            [said(Role::Assistant, "x")]
        );
        let both = messages(&json!({"system": "s", "messages": [{"role": "user", "content": "x"}]}), Role::User);
        assert_eq!(both, [said(Role::System, "s"), said(Role::User, "x")]);
    }

    #[test]
    fn every_provider_s_calls_and_results_are_read() {
        let call =
            |id: Option<&str>| Call { id: id.map(str::to_owned), name: "f".to_owned(), arguments: json!({"a": 1}) };
        for (value, id) in [
            (
                json!({"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "f", "arguments": {"a": 1}}]}),
                Some("1"),
            ),
            (
                json!({"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}}]}),
                Some("1"),
            ),
            (
                json!({"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}]}),
                Some("1"),
            ),
            (
                json!({"role": "assistant", "content": [{"type": "tool-call", "toolCallId": "1", "toolName": "f", "input": {"a": 1}}]}),
                Some("1"),
            ),
            (json!({"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": 1}}}]}), None),
            (
                json!({"message": {"role": "assistant", "tool_calls": [{"tool_call": {"id": "1", "function": {"name": "f", "arguments": "{\"a\": 1}"}}}]}}),
                Some("1"),
            ),
        ] {
            let read = of(&value);
            assert_eq!((read.role, read.calls), (Role::Assistant, vec![call(id)]), "{value}");
        }
        for (value, id, name, text) in [
            (json!({"role": "tool", "tool_call_id": "1", "content": "r"}), Some("1"), None, Some("r")),
            (
                json!({"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": "r"}]}),
                Some("1"),
                None,
                Some("r"),
            ),
            (
                json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "r"}]}]}),
                Some("1"),
                None,
                Some("r"),
            ),
            (
                json!({"role": "tool", "content": [{"type": "tool-result", "toolCallId": "1", "toolName": "f", "output": {"type": "text", "value": "r"}}]}),
                Some("1"),
                Some("f"),
                Some("r"),
            ),
            (
                json!({"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"a": 1}}}]}),
                None,
                Some("f"),
                Some("{\"a\":1}"),
            ),
            (json!({"role": "tool", "parts": [{"type": "tool_call_response", "id": "1"}]}), Some("1"), None, None),
        ] {
            let expected =
                Outcome { id: id.map(str::to_owned), name: name.map(str::to_owned), text: text.map(str::to_owned) };
            assert_eq!(of(&value).results, [expected], "{value}");
        }
        assert_eq!(outcome(&json!("\"root:x\"")), outcome(&json!("root:x")));
    }
}
