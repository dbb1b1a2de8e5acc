//! What every dialect says, in spans written here.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stance_shared::EventKind;

use super::*;

#[test]
fn genai_conventions_with_contents_as_attributes() {
    let spans = [
        span(
            1,
            0,
            "invoke_agent triage",
            json!({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "triage", "gen_ai.conversation.id": "c-1"}),
        ),
        span(
            2,
            1,
            "chat m",
            json!({
                "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": "m",
                "gen_ai.system_instructions": [{"type": "text", "content": "Be brief."}],
                "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Weather?"}]}],
                "gen_ai.output.messages": "[{\"role\":\"assistant\",\"parts\":[{\"type\":\"tool_call\",\"id\":\"t1\",\"name\":\"weather\",\"arguments\":{\"city\":\"Bern\"}}]}]",
                "gen_ai.tool.definitions": "[{\"type\":\"function\",\"name\":\"weather\",\"description\":\"Looks it up\",\"parameters\":{\"properties\":{\"city\":{\"description\":\"of Europe\"}}}}]",
                "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 4,
            }),
        ),
        span(
            5,
            1,
            "execute_tool weather",
            json!({
                "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "weather", "gen_ai.tool.call.id": "t1",
                "gen_ai.tool.call.result": {"sky": "grey"},
            }),
        ),
        span(
            6,
            5,
            "tools/call weather",
            json!({"mcp.method.name": "tools/call", "gen_ai.tool.name": "weather", "mcp.server.name": "meteo"}),
        ),
        span(
            8,
            1,
            "chat m",
            json!({
                "gen_ai.operation.name": "chat", "gen_ai.request.model": "m",
                "gen_ai.system_instructions": "Be brief.",
                "gen_ai.input.messages": [
                    {"role": "user", "parts": [{"type": "text", "content": "Weather?"}]},
                    {"role": "assistant", "parts": [{"type": "tool_call", "id": "t1", "name": "weather", "arguments": {"city": "Bern"}}]},
                    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "t1", "response": {"sky": "grey"}}]},
                ],
                "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": "Grey."}]}],
                "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 2,
            }),
        ),
        span(
            11,
            1,
            "invoke_agent writer",
            json!({
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Write it."}]}],
            }),
        ),
        span(
            12,
            11,
            "retrieval kb",
            json!({
                "gen_ai.operation.name": "retrieval", "gen_ai.retrieval.documents": "[{\"id\":\"1\",\"content\":\"one\"},{\"id\":\"2\",\"content\":\"two\"}]",
            }),
        ),
        span(
            15,
            11,
            "create_memory",
            json!({"gen_ai.operation.name": "create_memory", "gen_ai.memory.records": [{"content": "likes tea"}]}),
        ),
        span(17, 11, "search_memory", json!({"gen_ai.operation.name": "search_memory"})),
    ];
    let told = told(&spans);
    assert_eq!(
        lines(&told.events),
        [
            "triage: TOOL_DESCRIPTION weather Looks it up\nof Europe",
            "triage: PROMPT SYSTEM_PROMPT Be brief.",
            "triage: PROMPT Weather?",
            "triage: RESPONSE",
            "triage: TOOL_CALL weather{\"city\":\"Bern\"}",
            "triage: TOOL_RESULT weather {\"sky\":\"grey\"}",
            "triage: RESPONSE Grey.",
            "triage: DELEGATION → writer Write it.",
            "writer: RETRIEVAL one\n\ntwo",
            "writer: MEMORY_WRITE likes tea",
            "writer: MEMORY_READ",
        ]
    );
    let call = told.events.iter().find(|event| event.kind == EventKind::ToolCall).unwrap();
    assert_eq!(call.tool.as_ref().unwrap().server.as_deref(), Some("meteo"));
    assert_eq!(call.span.as_ref().unwrap().id, format!("{:016x}", 5), "the tool's own span tells of it");
    assert!(told.events.iter().skip(1).all(|event| event.session.as_deref() == Some("c-1")));
    let keys: Vec<_> = told.assets.iter().map(|record| format!("{} {}", record.asset.kind, record.asset.key)).collect();
    assert_eq!(keys, ["AGENT triage", "AGENT writer", "MODEL m", "TOOL triage/weather"]);
    assert_eq!(
        Value::from(told.assets[0].attributes.clone()),
        json!({"service": "desk", "version": "2.1", "environment": "prod", "sdk": "opentelemetry go"})
    );
}

#[test]
fn genai_conventions_with_contents_as_events() {
    let chat = |more| {
        with(
            span(
                1,
                0,
                "chat m",
                json!({"gen_ai.system": "openai", "gen_ai.request.model": "m", "gen_ai.usage.prompt_tokens": 3}),
            ),
            "events",
            more,
        )
    };
    let expected = [
        "desk: PROMPT SYSTEM_PROMPT Be brief.",
        "desk: PROMPT [1]",
        "desk: RESPONSE Yes.",
        "desk: TOOL_CALL f{\"a\":1}",
    ];
    let call = json!([{"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}}]);
    for events in [
        json!([
            occurred("gen_ai.system.message", json!({"content": "Be brief."})),
            occurred("gen_ai.user.message", json!({"content": "[1]"})),
            occurred(
                "gen_ai.choice",
                json!({"index": 0, "message": {"role": "assistant", "content": "Yes.", "tool_calls": call}})
            ),
        ]),
        json!([
            occurred(
                "gen_ai.system.message",
                json!({"gen_ai.event.content": "{\"role\":\"system\",\"content\":\"Be brief.\"}"})
            ),
            occurred("gen_ai.user.message", json!({"gen_ai.event.content": "{\"content\":\"[1]\"}"})),
            occurred(
                "gen_ai.choice",
                json!({"gen_ai.event.content": json!({"message": {"content": "Yes.", "tool_calls": call}}).to_string()})
            ),
        ]),
        json!([
            occurred("gen_ai.system.message", json!({"content": "[{\"text\": \"Be brief.\"}]"})),
            occurred("gen_ai.user.message", json!({"content": "[{\"text\": \"[1]\"}]"})),
            occurred(
                "gen_ai.choice",
                json!({"message": "[{\"text\": \"Yes.\"}, {\"toolUse\": {\"toolUseId\": \"t1\", \"name\": \"f\", \"input\": {\"a\": 1}}}]"})
            ),
        ]),
        json!([occurred(
            "gen_ai.client.inference.operation.details",
            json!({
                "gen_ai.system_instructions": [{"type": "text", "content": "Be brief."}],
                "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "[1]"}]}],
                "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": "Yes."}, {"type": "tool_call", "id": "t1", "name": "f", "arguments": {"a": 1}}]}],
            })
        )]),
    ] {
        let told = told(&[chat(events.clone())]);
        assert_eq!(lines(&told.events), expected, "{events}");
        assert_eq!(told.events[2].usage.as_ref().unwrap().input_tokens, 3);
        assert_eq!(told.assets[1].attributes["provider"], "openai");
    }
}

#[test]
fn older_traceloop() {
    let spans = [
        span(1, 0, "joke.workflow", json!({"traceloop.span.kind": "workflow", "traceloop.entity.name": "joke"})),
        span(
            2,
            1,
            "teller.agent",
            json!({"traceloop.span.kind": "agent", "traceloop.entity.name": "teller", "traceloop.association.properties.session_id": "s"}),
        ),
        span(
            3,
            2,
            "openai.chat",
            json!({
                "llm.request.type": "chat", "gen_ai.system": "OpenAI", "gen_ai.request.model": "m", "gen_ai.response.model": "m-1",
                "gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": "Be funny.",
                "gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": "A joke",
                "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "Ha.",
                "gen_ai.completion.0.tool_calls.0.name": "laugh", "gen_ai.completion.0.tool_calls.0.arguments": "{\"loud\": true}",
                "llm.request.functions.0.name": "laugh", "llm.request.functions.0.description": "Laughs",
                "gen_ai.usage.prompt_tokens": 7, "gen_ai.usage.completion_tokens": 2, "llm.usage.total_tokens": 9,
            }),
        ),
        span(
            6,
            2,
            "laugh.tool",
            json!({
                "traceloop.span.kind": "tool", "traceloop.entity.name": "laugh",
                "traceloop.entity.input": "{\"args\": [], \"kwargs\": {\"loud\": true}}", "traceloop.entity.output": "\"HA\"",
            }),
        ),
    ];
    let told = told(&spans);
    assert_eq!(
        lines(&told.events),
        [
            "teller: TOOL_DESCRIPTION laugh Laughs",
            "teller: PROMPT SYSTEM_PROMPT Be funny.",
            "teller: PROMPT A joke",
            "teller: RESPONSE Ha.",
            "teller: TOOL_CALL laugh{\"loud\":true}",
            "teller: TOOL_RESULT laugh HA",
        ]
    );
    assert_eq!(usage(&told.events), (7, 2));
    assert_eq!(told.events[3].model.as_deref(), Some("m"));
    assert_eq!(told.events[5].session.as_deref(), Some("s"));
}

#[test]
fn openinference_agents_tools_and_retrievers() {
    let spans = [
        span(
            1,
            0,
            "AgentExecutor",
            json!({"openinference.span.kind": "AGENT", "agent.name": "broker", "session.id": "s"}),
        ),
        span(
            2,
            1,
            "ChatOpenAI",
            json!({
                "openinference.span.kind": "LLM", "llm.model_name": "m", "llm.provider": "openai", "llm.cost.total": 0.25,
                "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.contents.0.message_content.type": "text",
                "llm.input_messages.0.message.contents.0.message_content.text": "Buy",
                "llm.output_messages.0.message.role": "assistant",
                "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "order",
                "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": "{\"n\": 1}",
                "llm.token_count.prompt": 5, "llm.token_count.completion": 6,
            }),
        ),
        // The same call once more, by the instrumentation of the library below.
        span(
            3,
            2,
            "ChatCompletion",
            json!({
                "openinference.span.kind": "LLM", "llm.model_name": "m-1", "llm.invocation_parameters": "{\"model\": \"m\"}",
                "input.value": "{\"messages\": [{\"role\": \"user\", \"content\": \"Buy\"}]}",
                "output.value": "{\"choices\": [{\"message\": {\"role\": \"assistant\", \"content\": \"Done\"}}]}",
                "llm.token_count.prompt": 5, "llm.token_count.completion": 6,
            }),
        ),
        span(
            6,
            1,
            "order",
            json!({"openinference.span.kind": "TOOL", "tool.name": "order", "input.value": "{\"n\": 1}", "output.value": "ok", "tool.description": "Orders"}),
        ),
        span(
            8,
            1,
            "VectorStoreRetriever",
            json!({
                "openinference.span.kind": "RETRIEVER", "retrieval.documents.0.document.content": "a", "retrieval.documents.1.document.content": "b",
                "retrieval.documents.10.document.content": "z", "retrieval.documents.2.document.content": "c",
            }),
        ),
        span(10, 1, "check", json!({"openinference.span.kind": "GUARDRAIL"})),
        span(
            12,
            1,
            "plain",
            json!({"openinference.span.kind": "LLM", "llm.model_name": "m", "input.value": "{\"question\": 1}", "output.value": "42"}),
        ),
    ];
    let told = told(&spans);
    assert_eq!(
        lines(&told.events),
        [
            "broker: PROMPT Buy",
            "broker: RESPONSE Done",
            "broker: TOOL_CALL order{\"n\":1}",
            "broker: TOOL_RESULT order ok",
            "broker: RETRIEVAL a\n\nb\n\nc\n\nz",
            "broker: PROMPT {\"question\": 1}",
            "broker: RESPONSE 42",
        ]
    );
    assert_eq!(usage(&told.events), (5, 6), "only the innermost call counts");
    let tool = told.assets.iter().find(|record| record.asset.key == "broker/order").unwrap();
    assert_eq!(tool.attributes["description"], "Orders");
}

#[test]
fn an_agent_elsewhere_is_called_like_a_model() {
    let call = json!({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "remote", "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]});
    let told = told(&[with(span(1, 0, "invoke_agent remote", call), "kind", json!(3))]);
    assert_eq!(lines(&told.events), ["remote: PROMPT Hi", "remote: RESPONSE"]);
}

#[test]
fn errors_are_classes() {
    let chat = json!({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"});
    let thrown = json!([occurred(
        "exception",
        json!({"exception.type": "openai.NotFoundError", "exception.message": "secret"})
    )]);
    let spans = [
        with(span(1, 0, "chat", chat.clone()), "events", thrown),
        with(span(2, 0, "chat", chat), "status", json!({"code": 2, "message": "secret"})),
    ];
    let told = told(&spans);
    let errors: Vec<_> = told.events.iter().filter_map(|event| event.error.as_deref()).collect();
    assert_eq!(errors, ["openai.NotFoundError", "error"]);
}

#[test]
fn what_two_exports_tell_has_one_id() {
    let answer = span(
        1,
        0,
        "chat",
        json!({
            "gen_ai.operation.name": "chat", "gen_ai.request.model": "m",
            "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "tool_call", "id": "t", "name": "f", "arguments": {"b": 1, "a": "x"}}]}],
        }),
    );
    let tool = span(
        4,
        0,
        "execute_tool f",
        json!({
            "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "f", "gen_ai.tool.call.id": "t",
            "gen_ai.tool.call.arguments": "{\"a\": \"x\", \"b\": 1}", "gen_ai.tool.call.result": "\"done\"",
        }),
    );
    let next = span(
        7,
        0,
        "chat",
        json!({
            "gen_ai.operation.name": "chat", "gen_ai.request.model": "m",
            "gen_ai.input.messages": [{"role": "tool", "parts": [{"type": "tool_call_response", "id": "t", "response": "done"}]}],
        }),
    );
    let all = [answer, tool, next];
    let together: BTreeSet<String> = told(&all).events.into_iter().map(|event| event.id).collect();
    let apart: BTreeSet<String> =
        all.iter().flat_map(|span| told(std::slice::from_ref(span)).events).map(|event| event.id).collect();
    assert_eq!(together, apart);
    assert_eq!(together.len(), 5, "prompt, response, call, result, response");
}
