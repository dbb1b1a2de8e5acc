//! One run of an agent, step by step.

use leptos::prelude::*;
use serde_json::Value;
use stance_shared::{EventKind, Verdict};

use super::{amount, call, category, done, event_url, kind_icon, title, took, tree, verdict};
use crate::{
    components as c, format,
    gql::{AgentSessionDetail, agent_session_detail as data},
    icons::{self, icon},
    layout,
    load::load,
    url::Params,
};

type Session = data::AgentSessionDetailAgentSession;
type Step = data::AgentSessionDetailAgentSessionSteps;

/// `/runtime/sessions/:id`
pub fn session(id: String) -> AnyView {
    load::<AgentSessionDetail>(
        "The session",
        c::table_skeleton,
        move || data::Variables { id: id.clone() },
        |data| data.agent_session.map_or_else(crate::pages::not_found, |session| page(&session)),
    )
}

fn page(session: &Session) -> AnyView {
    let agent = view! { <a href=c::asset_url(&session.agent.id)>{c::text(&session.agent.name)}</a> };
    let events = Params::default().with("session", &session.id).on("/runtime/events");
    let incident = super::may("incident:write").then(|| {
        let about = format!("Run {} of {}", session.name, session.agent.name);
        let about =
            Params::default().with("session", &session.id).with("asset", &session.agent.id).with("about", &about);
        view! { <a class="btn sm" href=about.on("/incidents/new")>{icon(icons::SIREN)}"Open incident"</a> }
    });
    view! {
        {layout::top(Some(("Sessions", "/runtime/sessions")), &session.name, view! { <span class="muted wide">{c::ago(&session.last_at)}</span>{incident} }.into_any())}
        <div class="page stack">
            <div>
                <p class="answer">{answer(session)}" on "{agent}"."</p>
                <p class="meta"><span>"began "{c::ago(&session.first_at)}</span><span><b>{format::count(session.tool_calls)}</b>" tool calls"</span><span><b>{format::count(session.tokens)}</b>" tokens"</span><span>{verdict(session.worst_verdict)}</span><span><a class="link" href=events>"As events"</a></span></p>
            </div>
            {sequences(session)}
            {trace(session)}
        </div>
    }
    .into_any()
}

fn answer(session: &Session) -> AnyView {
    let stopped = session.steps.iter().filter(|step| step.verdict != Verdict::Allow).count();
    let steps = format::counted(session.event_count, "step", "steps");
    let head = match (stopped, session.sequences.len()) {
        (0, 0) => format!("All of {steps} in {} were allowed", took(&session.first_at, &session.last_at)),
        (_, 0) => format!(
            "{stopped} of {steps} in {} not let through, the worst {}",
            took(&session.first_at, &session.last_at),
            done(session.worst_verdict)
        ),
        (_, 1) => format!("A suspicious sequence in {steps}, {stopped} not let through"),
        (_, n) => format!("{n} suspicious sequences in {steps}, {stopped} not let through"),
    };
    view! { <b>{head}</b> }.into_any()
}

/// The flagged sequences, each with the steps that make it.
fn sequences(session: &Session) -> AnyView {
    let notes = session.sequences.iter().map(|sequence| {
        let links = sequence.events.iter().enumerate().map(|(i, id)| {
            let at = session.steps.iter().position(|step| step.id == *id);
            let arrow = (i > 0).then(|| icon(icons::ARROW_RIGHT));
            // The browser's own link: it marks the step as the target.
            let link = match at {
                Some(at) => {
                    let label = session.steps.get(at).map(label).unwrap_or_default();
                    view! { <a class="link" rel="external" href=format!("#step-{id}")>{format!("{}. ", at + 1)}{c::text(&label)}</a> }.into_any()
                }
                None => view! { <a class="link" href=event_url(id)>"a later step"</a> }.into_any(),
            };
            view! { {arrow}{link} }
        });
        view! {
            <div class="note">{icon(icons::TRIANGLE_ALERT)}<div><b>{c::text(&title(&sequence.reason))}</b>" "<span class="id muted">{c::clean(&sequence.rule)}</span>" "{category(&sequence.category)}
                <p class="chain">{links.collect_view()}</p></div></div>
        }
    });
    notes.collect_view().into_any()
}

/// A step in a few words: what was called, and with what, where the event says it.
fn label(step: &Step) -> String {
    let name = call(step.kind, step.tool_server.as_deref(), step.tool.as_deref(), step.model.as_deref());
    let text =
        |key: &str| step.detail.as_ref().and_then(|detail| detail.get(key)).and_then(Value::as_str).map(str::to_owned);
    match step.kind {
        EventKind::ToolCall => {
            text("arguments").map_or_else(|| name.clone(), |arguments| format!("{name}({arguments})"))
        }
        EventKind::Delegation => text("to").map_or_else(|| name.clone(), |to| format!("to {to}")),
        EventKind::Prompt | EventKind::Response if step.model.is_some() => format!("{}, {name}", step.kind.label()),
        EventKind::ToolResult => format!("{name}, result"),
        _ => name,
    }
}

fn trace(session: &Session) -> AnyView {
    let steps: Vec<tree::Step<'_>> = session
        .steps
        .iter()
        .map(|step| tree::Step { span: step.span.as_deref(), parent: step.parent_span.as_deref() })
        .collect();
    let ms = |time: &str| format::millis(time).unwrap_or_default();
    let first = session.steps.first().map_or(0, |step| ms(&step.at));
    #[expect(clippy::cast_possible_truncation, reason = "a drawing needs three digits")]
    let last = session
        .steps
        .iter()
        .map(|step| ms(&step.at) + step.duration_ms.unwrap_or_default() as i64)
        .max()
        .unwrap_or(first);
    let rows =
        tree::tree(&steps).into_iter().filter_map(|(i, depth)| Some(row(i, session.steps.get(i)?, depth, first, last)));
    let shown = i64::try_from(session.steps.len()).unwrap_or_default();
    let aside = if shown < session.event_count {
        format!(
            "the first {} of {} steps, {}",
            format::count(shown),
            format::count(session.event_count),
            took(&session.first_at, &session.last_at)
        )
    } else {
        format!("{}, {}", format::counted(shown, "step", "steps"), took(&session.first_at, &session.last_at))
    };
    let head = view! { <div class="tree-head" aria-hidden="true"><span>"Step"</span><span class="axis ends span"><span>"0"</span><span>{took(&session.first_at, &session.last_at)}</span></span><span class="num ms">"Took"</span><span>"Verdict"</span></div> };
    let content = view! { {head}<ol class="tree" aria-label="Steps of the session, with the verdict at each">{rows.collect_view()}</ol> };
    c::section("h-trace", "Trace", aside, c::none(), content.into_any())
}

fn row(i: usize, step: &Step, depth: usize, first: i64, last: i64) -> AnyView {
    let (from, width) = tree::place(first, last, format::millis(&step.at).unwrap_or(first), step.duration_ms);
    let label = label(step);
    let reason = step
        .detections
        .first()
        .map(|found| view! { <span class="muted cut" title=c::clean(&found.rule)>{c::text(&found.reason)}</span> });
    let amount = amount(step.input_tokens, step.output_tokens, None, None);
    let amount =
        (reason.is_none() && !amount.is_empty()).then(|| view! { <span class="muted cut wide">{amount}</span> });
    let took = step.duration_ms.map_or_else(|| "–".to_owned(), format::duration);
    let class = if depth > 0 { "node sub-node" } else { "node" };
    view! {
        <li id=format!("step-{}", step.id) class=(step.verdict == Verdict::Block).then_some("blocked")><div>
            <span class=class style=format!("--d:{depth}")><span class="no">{i + 1}</span>{icon(kind_icon(step.kind))}<a class="cut" href=event_url(&step.id) title=format!("{}: {}", step.kind.label(), c::clean(&label))>{c::text(&label)}</a>{reason}{amount}</span>
            <span class="span" style=format!("--from:{from:.2};--v:{width:.2}")></span><span class="num muted ms">{took}</span>{verdict(step.verdict)}
        </div></li>
    }
    .into_any()
}
