//! Answers of an API for incidents and playbooks: an attack that is triaged, with its playbook under way.

use serde_json::{Value, json};

use super::fixture::{asset, error, with};

const TITLE: &str = "Attack on <b>support-agent</b>: one blocked prompt after another";

fn at(minute: i64) -> String {
    format!("2026-11-23T08:{minute:02}:00Z")
}

fn metrics() -> Value {
    json!({ "open": 3, "overdue": 1, "oldestOpenedAt": at(1), "opened": 5, "closed": 2, "ever": 7, "mtta": 252.0, "mttr": 7260.0, "timeToContainment": 1560.0 })
}

fn clocks() -> Value {
    json!([
        { "kind": "TRIAGE", "state": "MET", "startedAt": at(1), "dueAt": at(16), "pausedAt": null, "doneAt": at(5), "target": "stance-sla/1" },
        { "kind": "CONTAIN", "state": "BREACHED", "startedAt": at(1), "dueAt": at(31), "pausedAt": null, "doneAt": null, "target": "stance-sla/1" },
        { "kind": "RESOLVE", "state": "PAUSED", "startedAt": at(1), "dueAt": "2026-11-24T08:01:00Z", "pausedAt": at(20), "doneAt": null, "target": "stance-sla/1" },
        { "kind": "ARTICLE_73", "state": "RUNNING", "startedAt": at(1), "dueAt": "2026-12-08T08:01:00Z", "pausedAt": null, "doneAt": null, "target": "15 days" }
    ])
}

fn incident(id: &str) -> Value {
    let head = json!({
        "id": id, "number": 12, "title": TITLE, "summary": "Somebody tries attack after attack.", "severity": "HIGH", "status": "TRIAGED",
        "openedAt": at(1), "openedBy": "correlation", "rule": "blocked-prompt-burst", "ruleVersion": 1, "correlationLagMs": 84.0, "eventCount": 10_000,
        "firstEventAt": at(0), "lastEventAt": at(9), "triagedAt": at(5), "containedAt": null, "closedAt": null, "rootCause": "", "lessons": "",
        "allowedTransitions": ["CONTAINED", "ERADICATED", "CLOSED"], "undo": "OPEN", "assignee": { "id": "u1", "name": "Security lead" },
        "watchers": [{ "id": "u1", "name": "Security lead" }], "clocks": clocks(),
        "serious": { "kind": "GENERAL", "awareAt": at(6), "dueAt": "2026-12-08T08:06:00Z", "reportedAt": null, "missing": ["provider", "corrective action"], "report": {} }
    });
    let parts = json!({
        "mergedInto": null, "categories": [{ "key": "owasp-llm@2025:LLM01" }], "assets": [asset("a1")],
        "findings": [{ "id": "f4", "title": "Agent calls http_fetch", "severity": "HIGH", "status": "OPEN" }],
        "sessions": [{ "id": "n1", "name": "s-7f31a90c", "lastAt": at(9), "worstVerdict": "BLOCK", "agent": asset("a1") }],
        "events": [{ "id": "e0", "at": at(2), "kind": "PROMPT", "verdict": "BLOCK", "model": null, "toolServer": null, "tool": null }],
        "links": [{ "title": "SEC-4711", "url": "https://tickets.example/SEC-4711" }],
        "timeline": { "totalCount": 2, "pageInfo": { "hasNextPage": false, "endCursor": null }, "nodes": [
            { "at": at(5), "kind": "STATUS", "actor": "Security lead", "text": "Triaged: it is <i>real</i>", "evidence": null },
            { "at": at(1), "kind": "RUNTIME", "actor": "correlation", "text": "Correlated: 10000 events", "evidence": { "rule": "blocked-prompt-burst" } }
        ] },
        "reportMarkdown": "# INC-12"
    });
    with(head, parts)
}

fn run() -> Value {
    json!({
        "id": "r-1", "title": "Direct prompt injection", "version": 1, "status": "RUNNING", "reason": "", "startedAt": at(2), "startedBy": "trigger", "endedAt": null,
        "triggered": true, "dryRun": false, "progress": { "done": 2, "total": 14, "waiting": "judge" }, "playbook": { "id": "pb1" },
        "steps": [
            { "step": { "id": "evidence", "title": "Keep what is known", "kind": "action", "action": "collect-evidence", "role": null, "text": "", "choices": [], "redTeam": false, "parts": [] },
              "state": "DONE", "attempt": 1, "startedAt": at(2), "at": at(2), "by": "playbook", "plan": "", "outcome": "Kept.", "answer": null, "evidence": null, "can": [] },
            { "step": { "id": "judge", "title": "Did the agent follow?", "kind": "task", "action": null, "role": "ANALYST", "text": "Open the session.", "choices": ["followed", "resisted"], "redTeam": false, "parts": [] },
              "state": "STARTED", "attempt": 1, "startedAt": at(3), "at": at(3), "by": "playbook", "plan": "", "outcome": "", "answer": null, "evidence": null, "can": ["complete"] }
        ]
    })
}

pub fn answer(operation: &str, variables: &Value) -> Value {
    let id = variables["id"].as_str().unwrap_or_default();
    let page = json!({ "hasNextPage": false, "endCursor": null });
    let data = match operation {
        "IncidentFigures" => json!({ "incidentMetrics": metrics() }),
        "IncidentList" => {
            json!({ "incidents": { "totalCount": 1, "pageInfo": page, "nodes": [incident("i1")] }, "incidentMetrics": metrics() })
        }
        "IncidentDetail" | "IncidentReport" => json!({ "incident": (id == "i1").then(|| incident(id)) }),
        "IncidentChoices" => json!({ "incidents": { "nodes": [incident("i2")] } }),
        "IncidentRuns" => json!({ "playbookRuns": { "nodes": [run()] } }),
        "PlaybookRunDetail" => json!({ "playbookRun": run() }),
        "PlaybookList" => json!({ "playbooks": [
            { "id": "pb1", "slug": "direct-prompt-injection", "title": "Direct prompt injection", "summary": "Somebody tries.", "version": 1, "builtIn": true, "enabled": true,
              "trigger": "an incident", "sources": [{ "key": "owasp-llm@2025:LLM01", "id": "LLM01" }], "runs": [] }
        ] }),
        "CorrelationRuleList" => json!({ "correlationRules": [
            { "id": "blocked-prompt-burst", "version": 1, "title": "Attack on {name}", "description": "Attack after attack.", "severity": "HIGH", "group": "AGENT", "windowMinutes": 15, "threshold": 10, "enabled": true }
        ] }),
        other => return error("INTERNAL", &format!("the fixture has no {other}")),
    };
    json!({ "data": data })
}

/// The same before the first incident.
pub fn nothing(operation: &str) -> Option<Value> {
    let none = json!({ "open": 0, "overdue": 0, "oldestOpenedAt": null, "opened": 0, "closed": 0, "ever": 0, "mtta": null, "mttr": null, "timeToContainment": null });
    let metrics = with(metrics(), none);
    let list = json!({ "totalCount": 0, "pageInfo": { "hasNextPage": false, "endCursor": null }, "nodes": [] });
    let data = match operation {
        "IncidentFigures" => json!({ "incidentMetrics": metrics }),
        "IncidentList" => json!({ "incidents": list, "incidentMetrics": metrics }),
        _ => return None,
    };
    Some(json!({ "data": data }))
}
