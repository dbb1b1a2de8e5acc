//! Policies, and making one.

use leptos::prelude::*;
use serde_json::Value;

use super::{may, part, policy_url, table};
use crate::{
    components::{self as c, none},
    format,
    gql::{
        self, AssetChoices, PolicyList, PolicyPresets, SavePolicy, asset_choices, policy_list as data, policy_presets,
        save_policy,
    },
    icons::{self, icon},
    layout,
    load::load,
    url::Params,
};
use stance_shared::AssetKind;

type Policy = data::PolicyListPolicies;

/// `/runtime/policies`
pub fn policies() -> AnyView {
    let page =
        load::<PolicyList>("The policies", c::table_skeleton, || data::Variables {}, |data| content(&data.policies));
    let button = may("policy:write")
        .then(|| view! { <a class="btn primary sm" href="/runtime/policies/new">{icon(icons::PLUS)}"New policy"</a> });
    part("policies", button.into_any(), view! { <div class="page stack">{page}</div> }.into_any())
}

fn content(policies: &[Policy]) -> AnyView {
    if policies.is_empty() {
        let next = may("policy:write").then(|| view! { <div class="actions"><a class="btn primary" href="/runtime/policies/new?preset=balanced">"Start from balanced"</a><a class="btn" href="/runtime/policies/new">"Choose another start"</a></div> });
        return view! { <p class="answer"><b>"No policy yet:"</b>" every event is judged with the standard thresholds."</p>{c::empty("Write the first policy", "A policy says what may pass, per agent and channel: thresholds, tools, domains, budgets. A new one is first tried on the events of the last day.", next.into_any())} }.into_any();
    }
    let active = policies.iter().filter(|policy| policy.active.is_some()).count();
    let waiting: Vec<_> = policies.iter().filter(|policy| newer(policy)).collect();
    let head = match active {
        0 => "No policy is in force".to_owned(),
        1 => format!(
            "1 of {} is in force",
            format::counted(i64::try_from(policies.len()).unwrap_or_default(), "policy", "policies")
        ),
        n => format!(
            "{n} of {} are in force",
            format::counted(i64::try_from(policies.len()).unwrap_or_default(), "policy", "policies")
        ),
    };
    let waits = match waiting.as_slice() {
        [] => view! { "." }.into_any(),
        [one] => view! { "; "<a href=policy_url(&one.id)>{c::text(&one.name)}</a>" has a newer version that is not." }
            .into_any(),
        many => format!("; {} have newer versions that are not.", many.len()).into_any(),
    };
    let rows = policies.iter().map(row).collect_view();
    let heads = view! { {c::head("Policy", "", "")}{c::head("Applies to", "p1 w", "26%")}{c::head("In force", "w", "120px")}{c::head("Latest", "p2 w", "26%")}{c::head("Changed", "num w", "96px")} };
    view! { <p class="answer"><b>{head}</b>{waits}</p>{table("Policies", heads.into_any(), rows.into_any())} }
        .into_any()
}

fn newer(policy: &Policy) -> bool {
    policy.active.as_ref().map(|active| active.version) < policy.versions.first().map(|version| version.version)
}

fn row(policy: &Policy) -> AnyView {
    let applies = match policy.agents.as_slice() {
        [] => view! { <span class="muted">"agents that no other names"</span> }.into_any(),
        [one] => c::asset(&one.id, one.kind, &one.name),
        many => {
            let names = many.iter().map(|agent| c::clean(&agent.name)).collect::<Vec<_>>().join(", ");
            view! { <span title=names>{format::counted(i64::try_from(many.len()).unwrap_or_default(), "agent", "agents")}</span> }.into_any()
        }
    };
    let active = match &policy.active {
        Some(version) => {
            view! { <span class="state on">{icon(icons::SHIELD_CHECK)}"version "{version.version}</span> }.into_any()
        }
        None => view! { <span class="state muted">"none"</span> }.into_any(),
    };
    let latest = policy.versions.first().map(|latest| {
        let note = if latest.note.is_empty() { "no note".to_owned() } else { c::clean(&latest.note) };
        view! { <span class="cut" title=note.clone()><span class="muted">"version "{latest.version}": "</span>{note.clone()}</span> }
    });
    let at = policy.versions.first().map_or(policy.created_at.as_str(), |latest| latest.created_at.as_str());
    view! { <tr class="row"><td><a href=policy_url(&policy.id)>{c::text(&policy.name)}</a></td><td class="p1">{applies}</td><td>{active}</td><td class="p2">{latest}</td><td class="num muted">{c::age(at)}</td></tr> }.into_any()
}

/// `/runtime/policies/new`, from the preset that the address names.
pub fn new(params: Params) -> AnyView {
    let page = load::<PolicyPresets>(
        "The presets",
        c::table_skeleton,
        || policy_presets::Variables {},
        move |data| {
            let wanted = params.get("preset").unwrap_or("balanced");
            let presets = &data.policy_presets;
            let chosen = presets.iter().find(|preset| preset.preset == wanted).or(presets.first());
            let links = presets.iter().map(|preset| {
            let current = chosen.is_some_and(|chosen| chosen.preset == preset.preset);
            view! { <a href=format!("/runtime/policies/new?preset={}", crate::url::encode(&preset.preset)) aria-current=current.then_some("true") data-noscroll="">{preset.preset.clone()}</a> }
        });
            let summary = chosen.map(|preset| preset.summary.clone());
            let document = chosen.map(|preset| preset.document.clone()).unwrap_or_default();
            view! {
            <p class="answer"><b>"A new policy,"</b>" not in force before you say so."</p>
            <div class="field"><span class="lab">"Start from"</span><nav class="seg start" aria-label="Presets">{links.collect_view()}</nav><p class="hint muted">{summary}</p></div>
            {editor(None, "", &[], &document)}
        }
        .into_any()
        },
    );
    view! { {layout::top(Some(("Policies", "/runtime/policies")), "New policy", none())}<div class="page stack">{page}</div> }.into_any()
}

/// The form that saves a policy, or a new version of one that is there.
pub fn editor(id: Option<&str>, name: &str, agents: &[String], document: &Value) -> AnyView {
    let variables = save_policy::Variables {
        id: id.map(str::to_owned),
        name: name.to_owned(),
        agents: Some(Vec::new()),
        document: Value::Null,
        note: None,
    };
    let body = gql::body::<SavePolicy>(variables);
    let text = pretty(document);
    let lines = text.lines().count().clamp(12, 32);
    let (button, done) = if id.is_some() {
        ("Save new version", "Saved as a new version, not yet in force")
    } else {
        ("Save policy", "Saved, not yet in force")
    };
    view! {
        <form class="form wide-form" method="post" data-act=body data-done=done data-then="/runtime/policies/{/savePolicy/id}">
            <div class="row2">
                <div class="field"><label for="f-name">"Name"</label><input class="input" id="f-name" name="name" value=name.to_owned() placeholder="customer-facing agents" required maxlength="100" autocomplete="off"/><p class="err" role="alert"></p></div>
                <div class="field"><label for="f-note">"Note: what changed, and why"</label><input class="input" id="f-note" name="note" maxlength="1000" autocomplete="off"/><p class="err" role="alert"></p></div>
            </div>
            {applies_to(agents.to_vec())}
            <div class="field"><label for="f-document">"Document"</label>
                <textarea class="input mono" id="f-document" name="document" data-as="json" rows=lines.to_string() spellcheck="false" required>{text}</textarea>
                <p class="err" role="alert"></p>
                <p class="hint muted">"preset, and what differs from it: channels, rules, tools, egress, budgets"</p></div>
            <div class="actions"><button class="btn primary">{button}</button></div>
            <p class="err" role="alert"></p>
        </form>
    }
    .into_any()
}

fn applies_to(chosen: Vec<String>) -> AnyView {
    let variables = || asset_choices::Variables {
        filter: Some(asset_choices::AssetFilter { kind: Some(vec![AssetKind::Agent]), ..Default::default() }),
    };
    load::<AssetChoices>("The agents", none, variables, move |data| {
        let boxes = data.assets.nodes.into_iter().map(|agent| {
            let checked = chosen.contains(&agent.id);
            view! { <label class="check"><input type="checkbox" name="agents" data-as="list" value=agent.id checked=checked/><span class="cut">{c::text(&agent.name)}</span></label> }
        });
        view! { <fieldset class="field"><legend>"Applies to (none: every agent that no other policy names)"</legend><div class="boxes">{boxes.collect_view()}</div></fieldset> }.into_any()
    })
}

/// A document as it is edited and compared.
pub fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap_or_default()
}
