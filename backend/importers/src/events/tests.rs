//! Bodies of events, and foreign guardrails among them.

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use stance_shared::{Channel, EventKind, Verdict};

use super::ndjson::{MAX_ERRORS, MAX_EVENTS, read};
use super::*;

fn now() -> DateTime<Utc> {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn lines(lines: &[Value]) -> Vec<u8> {
    lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes()
}

fn prompt(id: &str) -> Value {
    json!({"id": id, "at": "2026-11-23T11:59:00Z", "kind": "PROMPT", "agent": "bot", "text": "Hi"})
}

/// Errors as they are told.
fn errors(body: &[u8]) -> Vec<String> {
    read(body, now()).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn lines_and_an_array_are_the_same() {
    let events = [
        prompt("1"),
        json!({
            "id": "2", "at": "2026-11-23T11:59:01+01:00", "kind": "TOOL_CALL", "session": "s", "channel": "TOOL_INPUT",
            "span": {"trace": "0af7651916cd43dd8448eb211c80319c", "id": "b7ad6b7169203331", "parent": "00f067aa0ba902b7"},
            "tool": {"server": "files", "name": "read", "arguments": {"path": "/"}},
            "usage": {"inputTokens": 1, "outputTokens": 2, "costUsd": 0.5}, "durationMs": 1.5, "error": "timeout",
        }),
        json!({"id": "3", "at": "2026-11-23T11:59:02Z", "kind": "GUARDRAIL", "guardrail": {"name": "own", "rule": "r", "verdict": "FLAG", "score": 0.5}}),
        json!({"id": "4", "at": "2026-11-23T11:59:02Z", "kind": "DELEGATION", "to": "writer"}),
        json!({"id": "5", "at": "2026-11-23T11:59:02Z", "kind": "APPROVAL", "approval": {"granted": true, "by": "ann"}}),
    ];
    let read_lines = read(&lines(&events), now()).unwrap();
    assert_eq!(read_lines.len(), 5);
    assert_eq!(read(json!(events).to_string().as_bytes(), now()).unwrap(), read_lines);
    let spaced = [b"\xEF\xBB\xBF\r\n".to_vec(), lines(&events), b"\r\n \n".to_vec()].concat();
    assert_eq!(read(&spaced, now()).unwrap(), read_lines);
    // What is written is read again.
    let written: Vec<Value> = read_lines.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    assert_eq!(read(&lines(&written), now()).unwrap(), read_lines);
    assert_eq!(read(b"", now()).unwrap(), []);
    assert_eq!(read(b"[]", now()).unwrap(), []);
}

#[test]
fn an_error_names_place_field_and_allowed_values() {
    let with = |key: &str, value: Value| {
        let mut event = prompt("1");
        event[key] = value;
        event
    };
    for (event, says) in [
        (
            with("kind", json!("ANSWER")),
            "line 2, kind: unknown variant `ANSWER`, expected one of `PROMPT`, `RESPONSE`, `TOOL_CALL`",
        ),
        (with("channel", json!("user")), "line 2, channel: unknown variant `user`, expected one of `USER_INPUT`"),
        (with("at", json!("yesterday")), "line 2, at: must be a time as in RFC 3339"),
        (with("at", json!("2020-01-01T00:00:00Z")), "line 2, at: must be a time between 400 days ago and 1 day ahead"),
        (with("usage", json!({"inputTokens": -1})), "line 2, usage.inputTokens: invalid value"),
        (
            with("guardrail", json!({"name": "x", "verdict": "NO"})),
            "line 2, guardrail.verdict: unknown variant `NO`, expected one of `ALLOW`, `FLAG`",
        ),
        (with("tool", json!({"name": ""})), "line 2, tool.name: must be 1 to 200 characters"),
        (with("colour", json!(1)), "line 2, colour: unknown field `colour`, expected one of `id`, `at`"),
        (json!({"at": "2026-11-23T11:59:00Z", "kind": "PROMPT"}), "line 2: missing field `id`"),
        (json!([]), "line 2: "),
        (json!("text"), "line 2: invalid type: string"),
    ] {
        let told = errors(&lines(&[prompt("0"), event.clone()]));
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with(says), "{event}: {}", told[0]);
    }
    assert_eq!(errors(b"{\"id\": \"1\""), ["line 1: EOF while parsing an object"]);
    assert!(errors(b"\xff\xfe")[0].starts_with("line 1: "));
    assert!(errors(json!([prompt("1"), 3]).to_string().as_bytes())[0].starts_with("[1]: "));
    assert!(errors(b"[{\"id\":")[0].starts_with("the body: "));
    assert!(errors(b"[] []")[0].starts_with("the body: "));
    assert!(errors(b"{} {}")[0].starts_with("line 1: "));
}

#[test]
fn bodies_have_limits() {
    let bad: Vec<Value> = (0..MAX_ERRORS + 5).map(|_| json!({})).collect();
    assert_eq!(errors(&lines(&bad)).len(), MAX_ERRORS);
    assert_eq!(errors(json!(bad).to_string().as_bytes()).len(), MAX_ERRORS);
    let many: Vec<Value> = (0..=MAX_EVENTS).map(|i| prompt(&i.to_string())).collect();
    assert_eq!(read(&lines(&many[1..]), now()).unwrap().len(), MAX_EVENTS);
    for body in [lines(&many), json!(many).to_string().into_bytes()] {
        let told = errors(&body);
        assert!(told.len() == 1 && told[0].contains("at most 10000 events"), "{told:?}");
    }
    let deep = format!("{{\"tool\":{{\"name\":\"x\",\"arguments\":{}{}}}}}", "[".repeat(5000), "]".repeat(5000));
    assert!(errors(deep.as_bytes())[0].contains("recursion limit"), "{:?}", errors(deep.as_bytes()));
}

/// Channel, verdict, rule and score.
type Said = (Option<Channel>, Verdict, Option<String>, Option<f64>);

fn verdicts(line: &Value) -> Vec<Said> {
    let events = read(&lines(std::slice::from_ref(line)), now()).unwrap();
    assert!(events.iter().all(|event| event.kind == EventKind::Guardrail));
    let said = |event: Event| {
        let guardrail = event.guardrail.unwrap();
        (event.channel, guardrail.verdict, guardrail.rule, guardrail.score)
    };
    events.into_iter().map(said).collect()
}

fn rule(name: &str) -> Option<String> {
    Some(name.to_owned())
}

#[test]
fn llm_guard() {
    let answer =
        json!({"is_valid": false, "scanners": {"PromptInjection": 0.9, "Secrets": -1.0}, "sanitized_prompt": "x"});
    assert_eq!(verdicts(&answer), [(Some(Channel::UserInput), Verdict::Block, rule("PromptInjection"), Some(0.9))]);
    let answer = json!({"is_valid": true, "scanners": {"Toxicity": -1.0}, "sanitized_output": "x"});
    assert_eq!(verdicts(&answer), [(Some(Channel::ModelOutput), Verdict::Allow, None, None)]);
    let part = json!({"event": "Scanner completed", "scanner": "Secrets", "is_valid": false, "timestamp": "2026-11-23T10:00:00Z", "level": "debug"});
    let scan = json!({"event": "Scanned prompt", "scores": {"Secrets": 1.0}, "timestamp": "2026-11-23T10:00:01.5Z", "level": "info"});
    assert_eq!(verdicts(&part), [(None, Verdict::Block, rule("Secrets"), None)]);
    let both = read(&lines(&[part, scan.clone()]), now()).unwrap();
    assert_eq!(both.len(), 1, "the scan says what its scanners said");
    assert_eq!(both[0].at, "2026-11-23T10:00:01.5Z".parse::<DateTime<Utc>>().unwrap());
    // A line with a time is one event, however often it is sent; of lines without, each is another.
    assert_eq!(read(&lines(&[prompt("1"), scan]), now()).unwrap()[1].id, both[0].id);
    let twice = read(&lines(&[answer.clone(), answer]), now()).unwrap();
    assert_ne!(twice[0].id, twice[1].id);
}

#[test]
fn bedrock_guardrails() {
    let answer = json!({
        "action": "GUARDRAIL_INTERVENED", "outputs": [{"text": "No."}], "usage": {"contentPolicyUnits": 1},
        "assessments": [{
            "contentPolicy": {"filters": [
                {"type": "PROMPT_ATTACK", "confidence": "HIGH", "action": "BLOCKED", "detected": true},
                {"type": "INSULTS", "confidence": "LOW", "action": "NONE", "detected": true},
                {"type": "HATE", "confidence": "NONE", "action": "NONE", "detected": false},
            ]},
            "sensitiveInformationPolicy": {"piiEntities": [{"type": "EMAIL", "match": "a@b.c", "action": "ANONYMIZED"}], "regexes": []},
            "wordPolicy": {"customWords": [{"match": "word", "action": "BLOCKED"}]},
        }],
    });
    let said = verdicts(&answer);
    let rules: Vec<_> = said.iter().map(|(_, verdict, rule, _)| (*verdict, rule.as_deref().unwrap())).collect();
    assert_eq!(
        rules,
        [
            (Verdict::Block, "contentPolicy/PROMPT_ATTACK"),
            (Verdict::Flag, "contentPolicy/INSULTS"),
            (Verdict::Block, "wordPolicy/customWords"),
            (Verdict::Redact, "sensitiveInformationPolicy/EMAIL"),
        ]
    );
    assert_eq!(verdicts(&json!({"action": "NONE", "assessments": [{}]})), [(None, Verdict::Allow, None, None)]);
    let added = json!({"action": "NONE", "assessments": [], "id": "b-1", "agent": "bot", "session": "s", "channel": "USER_INPUT", "at": "2026-11-23T10:00:00Z"});
    let event = read(&lines(&[added]), now()).unwrap().remove(0);
    assert_eq!((event.id.as_str(), event.agent.as_deref(), event.session.as_deref()), ("b-1", Some("bot"), Some("s")));
    assert_eq!((event.channel, event.at), (Some(Channel::UserInput), "2026-11-23T10:00:00Z".parse().unwrap()));
    let wrong = json!({"action": "NONE", "assessments": [], "channel": "x"});
    assert!(errors(&lines(&[wrong]))[0].contains("unknown variant `x`, expected one of `USER_INPUT`"));
}

#[test]
fn azure_prompt_shields() {
    let answer =
        json!({"userPromptAnalysis": {"attackDetected": true}, "documentsAnalysis": [{"attackDetected": false}]});
    assert_eq!(
        verdicts(&answer),
        [
            (Some(Channel::UserInput), Verdict::Flag, rule("userPrompt"), None),
            (Some(Channel::Document), Verdict::Allow, rule("documents"), None),
        ]
    );
    assert_eq!(verdicts(&json!({"documentsAnalysis": [{"attackDetected": true}]})).len(), 1);
}

#[test]
fn nemo_guardrails() {
    let answer = json!({
        "response": [{"role": "assistant", "content": "No."}],
        "log": {
            "activated_rails": [
                {"type": "input", "name": "self check input", "decisions": ["refuse to respond", "stop"], "stop": true, "started_at": 1_795_434_000.25, "finished_at": 1_795_434_000.75, "duration": 0.5},
                {"type": "dialog", "name": "generate user intent", "stop": false},
                {"type": "output", "name": "self check output", "stop": false},
            ],
            "stats": {"input_rails_duration": 0.5},
        },
    });
    assert_eq!(
        verdicts(&answer),
        [
            (Some(Channel::UserInput), Verdict::Block, rule("self check input"), None),
            (Some(Channel::ModelOutput), Verdict::Allow, rule("self check output"), None),
        ]
    );
    let events = read(&lines(&[answer]), now()).unwrap();
    assert_eq!((events[0].duration_ms, events[0].at.timestamp_millis()), (Some(500.0), 1_795_434_000_750));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes, now());
    }

    #[test]
    fn damaged_bodies_are_read_or_refused(at in 0_usize..2000, byte: u8, array: bool) {
        let events = [
            prompt("1"),
            json!({"action": "NONE", "assessments": [{"contentPolicy": {"filters": [{"type": "HATE", "action": "BLOCKED"}]}}]}),
            json!({"log": {"activated_rails": [{"type": "input", "name": "x", "stop": true, "finished_at": 1.0e9}]}}),
        ];
        let mut body = if array { json!(events).to_string().into_bytes() } else { lines(&events) };
        let at = at % body.len();
        body[at] = byte;
        match read(&body, now()) {
            Ok(events) => prop_assert!(events.iter().all(|event| check(event, now()).is_ok())),
            Err(errors) => prop_assert!(!errors.is_empty() && errors.len() <= MAX_ERRORS),
        }
    }
}
