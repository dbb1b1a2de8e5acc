//! The runtime side of an agent's page: its traffic, and the tools that it declares against those that it uses.

use leptos::prelude::*;
use stance_shared::AssetKind;

use super::{opens, overview::agent_events, table};
use crate::{
    components::{self as c, none},
    format,
    gql::{AgentRuntime, ToolState, agent_runtime as data},
    icons::{self, icon},
    layout,
    load::load,
    pages::asset_tabs,
    url::Params,
};

type Agent = data::AgentRuntimeAsset;
type Tool = data::AgentRuntimeAssetToolUsage;

/// `/inventory/:id/runtime`
pub fn agent(id: String) -> AnyView {
    load::<AgentRuntime>(
        "The agent",
        c::table_skeleton,
        move || data::Variables { id: id.clone() },
        |data| {
            data.asset
                .filter(|asset| asset.kind == AssetKind::Agent)
                .map_or_else(crate::pages::not_found, |agent| page(&agent))
        },
    )
}

fn page(agent: &Agent) -> AnyView {
    let from = format::iso(c::now() - 86_400);
    let events = agent_events(&agent.id, &from);
    view! {
        {layout::top(Some(("Inventory", "/inventory")), &agent.name, view! { <a class="btn sm" href=events.clone()>{icon(icons::ACTIVITY)}"Events"</a> }.into_any())}
        <div class="page stack" data-follow="">
            <div><p class="answer">{answer(&agent.tool_usage)}</p>{asset_tabs(&agent.id, true)}</div>
            {super::containment::of_agent(agent.id.clone())}
            {traffic(agent, &events)}
            {tools(agent)}
        </div>
    }
    .into_any()
}

fn answer(tools: &[Tool]) -> AnyView {
    let count = |state| tools.iter().filter(|tool| tool.state == state).count();
    let (undeclared, unused, fine) =
        (count(ToolState::Undeclared), count(ToolState::Unused), count(ToolState::DeclaredUsed));
    let declared = fine + unused;
    let unused_words = (unused > 0).then(|| format!(" {unused} of {declared} declared were not used for 30 days."));
    match (undeclared, tools.len()) {
        (_, 0) => view! { <b>"No tool is known,"</b>" neither declared nor seen." }.into_any(),
        (0, _) if unused == 0 => view! { <b>"It uses the tools that it declares,"</b>" and no others." }.into_any(),
        (0, _) => view! { <b>"It uses no tool that it does not declare."</b>{unused_words} }.into_any(),
        (1, _) => view! { <b>"It used 1 tool that nothing declares."</b>{unused_words} }.into_any(),
        (n, _) => view! { <b>{format!("It used {n} tools that nothing declares.")}</b>{unused_words} }.into_any(),
    }
}

fn traffic(agent: &Agent, events: &str) -> AnyView {
    let Some(t) = &agent.runtime else {
        let text = view! { <p class="muted"><span class="hx unknown inline" aria-hidden="true"></span>"Nothing was seen of it in 24 h: no sensor tells of it, or it rests. "<a class="link" href="/runtime/sensors">"Sensors"</a></p> };
        return c::section("h-traffic", "Traffic", "24 h", none(), text.into_any());
    };
    let number = |label: &'static str, count: i64, verdict: &'static str| {
        let href = if verdict.is_empty() { events.to_owned() } else { format!("{events}&verdict={verdict}") };
        view! { <div><dt>{label}</dt><dd>{opens(count, href)}</dd></div> }
    };
    let figures = view! {
        <dl class="figures">{number("Events", t.events, "")}{number("Flagged", t.flagged, "FLAG")}{number("Redacted", t.redacted, "REDACT")}{number("Blocked", t.blocked, "BLOCK")}
            <div><dt>"Tokens"</dt><dd>{format::count(t.tokens)}</dd></div><div><dt>"Cost"</dt><dd>{format::dollars(t.cost_usd)}</dd></div></dl>
    };
    c::section(
        "h-traffic",
        "Traffic",
        "24 h",
        view! { <a href=events.to_owned()>"All events"</a> }.into_any(),
        figures.into_any(),
    )
}

fn tools(agent: &Agent) -> AnyView {
    if agent.tool_usage.is_empty() {
        return none();
    }
    let rows = agent.tool_usage.iter().map(|usage| {
        let state = match usage.state {
            ToolState::DeclaredUsed => view! { <span class="state">{icon(icons::CHECK)}"declared and used"</span> }.into_any(),
            ToolState::Undeclared => view! { <span class="state bad">{icon(icons::TRIANGLE_ALERT)}"not declared"</span> }.into_any(),
            ToolState::Unused => view! { <span class="state muted">{icon(icons::CIRCLE_DASHED)}"declared, not used"</span> }.into_any(),
        };
        let name = usage.tool.name.rsplit('/').next().unwrap_or(&usage.tool.name);
        let calls = Params::default().with("agent", &agent.id).with("tool", name).on("/runtime/events");
        let last = usage.last_at.as_deref().map_or_else(|| view! { <span class="muted">"–"</span> }.into_any(), c::age);
        view! { <tr class="row"><td>{c::asset(&usage.tool.id, usage.tool.kind, &usage.tool.name)}</td><td>{state}</td><td class="num">{opens(usage.calls, calls)}</td><td class="num p1">{format::count(usage.blocked)}</td><td class="num p1 muted">{last}</td></tr> }
    });
    let heads = view! { {c::head("Tool", "", "")}{c::head("State", "w", "176px")}{c::head("Calls", "num w", "84px")}{c::head("Blocked", "num p1 w", "84px")}{c::head("Last", "num p1 w", "84px")} };
    c::section(
        "h-tools",
        "Tools",
        "declared against seen, 30 days",
        none(),
        table("Tools of the agent", heads.into_any(), rows.collect_view().into_any()),
    )
}
