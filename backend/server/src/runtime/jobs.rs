//! From events to posture: patterns become findings, runs are looked at as a whole, silent sensors are noticed.
//!
//! Stance is a scanner of its own here: what an agent's events show is reported as any tool's findings are, so it is merged, triaged and
//! scored like them, and resolved when it is seen no more for [`WINDOW_DAYS`]. One finding stands for a pattern, never for an event.

use super::{
    jobs_repo::{self as repo, Pattern, Run, Silent},
    overview::{self, Sequence, ToolState},
    store::SOURCE,
};
use crate::{
    imports::{self, Limits, Upload},
    inventory,
    jobs::{Job, Outcome, Queue},
    kernel::{Ctx, Db, Permission, Result},
    live::{self, Topic},
};
use bytes::Bytes;
use chrono::Duration;
use futures::stream;
use serde_json::{Value, json};
use stance_engine::sequence::{self, Step, does};
use stance_shared::{AssetId, AssetKind, EventId, Lifecycle, ReportId, Severity, TypedId};
use std::{collections::HashMap, convert::Infallible};

/// For how long a pattern counts after it was last seen.
pub const WINDOW_DAYS: i64 = 30;
/// Agents of one report, and runs of one look.
const BATCH: i64 = 200;
/// Steps of a run that are looked at.
const STEPS: i64 = 2_000;

/// Reports what the events of marked agents show.
///
/// # Errors
/// When the database fails; then the agents stay marked.
pub async fn report(db: &Db, ctx: &Ctx) -> Result<Outcome> {
    report_marked(db, ctx).await.map(|_| Outcome::Done)
}

/// [`report`], of at most [`BATCH`] agents; gives the report, `None` when none is marked.
///
/// # Errors
/// As [`report`].
pub async fn report_marked(db: &Db, ctx: &Ctx) -> Result<Option<ReportId>> {
    let mut tx = db.begin(ctx, Permission::FindingIngest).await?;
    let agents = repo::marked(&mut tx, BATCH).await?;
    if agents.is_empty() {
        return Ok(None);
    }
    let since = ctx.now() - Duration::days(WINDOW_DAYS);
    let patterns = repo::patterns(&mut tx, &agents, since).await?;
    let silent = repo::silent(&mut tx, &agents).await?;
    let seasoned = repo::seen_before(&mut tx, &agents, since).await?;
    repo::unmark(&mut tx, &agents).await?;
    let assets = inventory::service::by_ids(db, ctx, &agents).await?;
    let mut usage = overview::tool_usage(db, ctx, &agents).await?;
    usage.retain(|usage| usage.state != ToolState::Unused || seasoned.contains(&usage.agent));
    let tools: Vec<AssetId> = usage.iter().map(|usage| usage.tool).collect();
    let tools = inventory::service::by_ids(db, ctx, &tools).await?;

    let reference = |asset: &inventory::Asset| json!({ "kind": asset.kind, "key": asset.external_key });
    let mut findings = Vec::new();
    for pattern in &patterns {
        if let Some(agent) = assets.get(&pattern.agent) {
            findings.push(of_pattern(pattern, &reference(agent), &agent.name));
        }
    }
    for used in &usage {
        if let (Some(agent), Some(tool)) = (assets.get(&used.agent), tools.get(&used.tool))
            && used.state != ToolState::DeclaredUsed
        {
            findings.push(of_tool(used.state, &reference(agent), &agent.name, &tool.external_key, used.calls));
        }
    }
    for agent in assets.values() {
        if agent.kind == AssetKind::Agent && agent.lifecycle == Lifecycle::Discovered {
            findings.push(json!({
                "asset": reference(agent), "rule": "runtime.shadow-agent", "layer": "RUNTIME", "severity": Severity::Medium,
                "title": format!("{} runs, and nobody approved it", agent.name),
                "description": "Events tell of this agent, but it is in no inventory that a person keeps: shadow AI.",
                "remediation": "Find its owner, then approve it in the inventory, or quarantine it.",
                "categories": ["owasp-agentic@2026:ASI10"],
            }));
        }
    }
    for sensor in &silent {
        if let Some(asset) = assets.get(&sensor.asset) {
            findings.push(of_sensor(sensor, &reference(asset)));
        }
    }
    let assessed: Vec<Value> = assets.values().map(reference).collect();
    let document = json!({
        "stance": "findings/1",
        "tool": { "name": SOURCE, "version": env!("CARGO_PKG_VERSION") },
        "scan": "events",
        "assessed": assessed,
        "layers": ["RUNTIME"],
        "findings": findings,
    });
    let upload =
        Upload { format: "stance".to_owned(), filename: Some("runtime events".to_owned()), ..Upload::default() };
    let body = stream::iter([Ok::<_, Infallible>(Bytes::from(document.to_string()))]);
    let id = imports::accept(db, ctx, Limits::default(), upload, body).await?;
    // A crash between the two reports the same again, which changes nothing.
    tx.commit().await?;
    Ok(Some(id))
}

fn of_pattern(pattern: &Pattern, agent: &Value, name: &str) -> Value {
    let on = match pattern.subject.as_str() {
        "" => String::new(),
        subject => format!(" ({subject})"),
    };
    json!({
        "asset": agent, "rule": pattern.rule, "layer": "RUNTIME", "severity": severity(&pattern.rule),
        "identity": [pattern.subject],
        "title": format!("{name}: {}{on}", pattern.reason),
        "description": "Seen in the events of this agent. The evidence leads to an event that shows it.",
        "remediation": remediation(&pattern.rule),
        "categories": [pattern.category],
        "count": pattern.count,
        "evidence": {
            "strictestVerdict": pattern.worst, "score": (f64::from(pattern.score) * 100.0).round() / 100.0,
            "firstSeen": pattern.first_at, "lastSeen": pattern.last_at,
            "event": format!("{}:{}", EventId::NOUN, pattern.event),
        },
    })
}

fn of_tool(state: ToolState, agent: &Value, name: &str, tool: &str, calls: i64) -> Value {
    let (rule, severity, title, remediation) = match state {
        ToolState::Undeclared => {
            let risky = does(tool);
            let severity = if risky.sends || risky.reads_private { Severity::High } else { Severity::Medium };
            let title = format!("{name} calls {tool}, which nobody declared");
            let remediation =
                "Declare the relation “may call” if the agent needs the tool; else deny the tool in its policy.";
            ("runtime.undeclared-tool", severity, title, remediation)
        }
        _ => {
            let title = format!("{name} may call {tool}, and has not for {WINDOW_DAYS} days");
            let remediation =
                "Take the privilege away: remove the relation and the tool from the agent's configuration.";
            ("runtime.unused-privilege", Severity::Low, title, remediation)
        }
    };
    json!({
        "asset": agent, "rule": rule, "layer": "RUNTIME", "severity": severity, "identity": [tool], "title": title,
        "description": "What is declared in the inventory against the tool calls in the agent's events (least privilege).",
        "remediation": remediation, "categories": ["owasp-agentic@2026:ASI02", "owasp-llm@2025:LLM06"],
        "evidence": { "tool": tool, "callsIn30Days": calls },
    })
}

fn of_sensor(sensor: &Silent, asset: &Value) -> Value {
    json!({
        "asset": asset, "rule": "runtime.silent-sensor", "layer": "RUNTIME", "severity": Severity::High,
        "identity": [sensor.id.0],
        "title": format!("Sensor {} is silent", sensor.name),
        "description": "It gave no sign of life for longer than it may. What this asset does is not seen meanwhile.",
        "remediation": "See whether it runs and reaches Stance with its token; retire it if it is gone for good.",
        "categories": ["owasp-mcp@0.1:MCP08"],
        "evidence": { "lastSeen": sensor.last_seen_at, "silentAfterSeconds": sensor.silent_after_s },
    })
}

/// By what the rule's family means when it shows in an agent's events. The guardrail's verdict is no part of it: that something was
/// blocked today says nothing of tomorrow's wording.
fn severity(rule: &str) -> Severity {
    let family = rule.split('.').next().unwrap_or_default();
    match (family, rule) {
        (_, "sequence.exfiltration" | "sequence.refusal-ignored") => Severity::Critical,
        (_, "sequence.trifecta") => Severity::Low,
        (_, "sequence.probing") => Severity::Medium,
        ("sequence" | "secret" | "argument" | "tool" | "exfiltration", _) => Severity::High,
        ("abuse" | "policy", _) => Severity::Low,
        _ => Severity::Medium,
    }
}

fn remediation(rule: &str) -> &'static str {
    match rule.split('.').next().unwrap_or_default() {
        "secret" => "Rotate the secret, and keep it out of prompts, tools and answers.",
        "personal" => "Redact personal data by policy on this channel, or keep it out of the agent's context.",
        "argument" => "Hold the tool to allowed arguments by policy, and give the agent a narrower tool.",
        "sequence" => "Look at the run step by step; quarantine the agent if it was steered from outside.",
        "policy" => "See whether the policy or the agent is right.",
        "abuse" => "Set budgets for the agent, and limit the length of what it takes.",
        _ => "Find where the content came from; block it by policy on this channel until it is cleaned.",
    }
}

/// Looks at runs that have new events, a batch at a time.
///
/// # Errors
/// When the database fails; then the runs are looked at again.
pub async fn analyze(db: &Db, ctx: &Ctx) -> Result<Outcome> {
    loop {
        let mut tx = db.begin(ctx, Permission::FindingIngest).await?;
        let runs = repo::dirty_runs(&mut tx, BATCH).await?;
        if runs.is_empty() {
            return Ok(Outcome::Done);
        }
        let mut steps: HashMap<_, Vec<repo::StepRow>> = HashMap::new();
        for step in repo::steps(&mut tx, &runs, STEPS).await? {
            steps.entry(step.run).or_default().push(step);
        }
        let looked: Vec<(&Run, Vec<Sequence>)> =
            runs.iter().map(|run| (run, sequences(steps.get(&run.id).map_or(&[], Vec::as_slice)))).collect();
        repo::looked_at(&mut tx, &looked).await?;
        live::notify(&mut tx, Topic::Event, ctx.tenant.0).await?;
        Queue::enqueue_once(&mut tx, Job::Correlate).await?;
        tx.commit().await?;
    }
}

fn sequences(rows: &[repo::StepRow]) -> Vec<Sequence> {
    let steps: Vec<Step<'_>> = rows
        .iter()
        .map(|row| Step {
            kind: row.kind,
            tool: row.tool.as_deref(),
            verdict: row.verdict,
            score: row.score,
            granted: row.granted,
        })
        .collect();
    sequence::find(&steps)
        .into_iter()
        .map(|found| Sequence {
            rule: found.rule.to_owned(),
            reason: found.reason.to_owned(),
            category: found.category.to_owned(),
            events: found.steps.iter().filter_map(|at| rows.get(*at)).map(|row| row.event.0).collect(),
        })
        .collect()
}
