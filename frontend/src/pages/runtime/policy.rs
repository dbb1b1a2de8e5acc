//! One policy: its versions, what changed between them, what one would have done, editing it, putting it in force.

use leptos::prelude::*;

use super::{
    before_after, call, diff, event_url, may, moment, policies, policy_url, question, table, verdict, window,
    window_name, window_switch,
};
use crate::{
    components::{self as c, none},
    format,
    gql::{
        self, ActivatePolicy, ArchivePolicy, PolicyDetail, PolicyDryRun, activate_policy, archive_policy,
        policy_detail as data, policy_dry_run,
    },
    icons::{self, icon},
    layout,
    load::load,
    url::Params,
};

type Policy = data::PolicyDetailPolicy;
type Version = data::PolicyDetailPolicyVersions;

/// `/runtime/policies/:id`
pub fn policy(id: String, params: Params) -> AnyView {
    load::<PolicyDetail>(
        "The policy",
        c::table_skeleton,
        move || data::Variables { id: id.clone() },
        move |data| data.policy.map_or_else(crate::pages::not_found, |policy| page(&policy, &params)),
    )
}

/// The version that the address names, the newest without.
fn chosen<'a>(policy: &'a Policy, params: &Params) -> Option<&'a Version> {
    let named = params.get("version").and_then(|version| version.parse::<i64>().ok());
    policy.versions.iter().find(|version| named == Some(version.version)).or(policy.versions.first())
}

/// The version to compare with: the one that the address names, else the one in force, else the one before.
fn base<'a>(policy: &'a Policy, version: &Version, params: &Params) -> Option<&'a Version> {
    let find = |number: i64| policy.versions.iter().find(|other| other.version == number && number != version.version);
    let named = params.get("against").and_then(|number| number.parse::<i64>().ok()).and_then(find);
    named
        .or_else(|| policy.active.as_ref().and_then(|active| find(active.version)))
        .or_else(|| find(version.version - 1))
}

fn page(policy: &Policy, params: &Params) -> AnyView {
    let Some(version) = chosen(policy, params) else { return crate::pages::not_found() };
    let path = policy_url(&policy.id);
    let write = may("policy:write");
    let in_force = policy.active.as_ref().map(|active| active.version);
    let view_name = params.get("view").unwrap_or("changes");
    let base = base(policy, version, params);
    let end = write.then(|| {
        let archive = view! { <a class="btn quiet sm wide" href=params.with("archive", "true").on(&path) data-noscroll="">"Archive"</a> };
        let activate = (in_force != Some(version.version)).then(|| activate(policy, Some(version.version), "btn primary sm"));
        view! { {archive}{activate} }
    });
    let confirm = (write && params.has("archive", "true")).then(|| {
        let body = gql::body::<ArchivePolicy>(archive_policy::Variables { id: policy.id.clone() });
        let text = view! { <b>"Archive "{c::text(&policy.name)}"?"</b>" It is no longer in force, and its agents are judged as if it were not there. This can not be taken back." };
        let button = view! { <button class="btn sm" type="button" data-act=body data-done="The policy is archived" data-then="/runtime/policies">"Archive"</button> };
        question(text.into_any(), button.into_any(), params.without("archive").on(&path))
    });
    let mut tabs = vec![("changes", "Changes"), ("document", "Document"), ("dry-run", "Dry run")];
    if write {
        tabs.push(("edit", "Edit"));
    }
    let tabs = tabs.into_iter().map(|(key, label)| {
        view! { <a href=params.only(&["version", "against"]).with("view", key).on(&path) aria-current=(key == view_name).then_some("page") data-noscroll="">{label}</a> }
    });
    let content = match view_name {
        "document" => {
            view! { <pre class="code" tabindex="0">{c::text(&policies::pretty(&version.document))}</pre> }.into_any()
        }
        "dry-run" => dry_run(policy, version, params, &path),
        "edit" if write => {
            let agents: Vec<String> = policy.agents.iter().map(|agent| agent.id.clone()).collect();
            policies::editor(Some(&policy.id), &policy.name, &agents, &version.document)
        }
        _ => changes(version, base),
    };
    view! {
        {layout::top(Some(("Policies", "/runtime/policies")), &policy.name, end.into_any())}
        <div class="page stack">
            {confirm}
            <div><p class="answer">{answer(policy, version)}</p>{agents(policy)}<nav class="tabs" aria-label="Policy">{tabs.collect_view()}</nav></div>
            <div class="grid"><div class="c8">{content}</div><div class="c4">{versions(policy, version, &path, params, write)}</div></div>
        </div>
    }
    .into_any()
}

/// The button that puts a version in force, or none; what was in force before comes back with the toast.
fn activate(policy: &Policy, version: Option<i64>, class: &'static str) -> AnyView {
    let body = |version| gql::body::<ActivatePolicy>(activate_policy::Variables { id: policy.id.clone(), version });
    let undo = body(policy.active.as_ref().map(|active| active.version));
    let (label, done) = match version {
        Some(version) => (format!("Put version {version} in force"), format!("Version {version} is in force")),
        None => ("Take out of force".to_owned(), "No version is in force".to_owned()),
    };
    view! { <button class=class type="button" data-act=body(version) data-done=done data-undo=undo>{icon(icons::SHIELD_CHECK)}{label}</button> }.into_any()
}

fn answer(policy: &Policy, version: &Version) -> AnyView {
    let newest = policy.versions.first().map(|newest| newest.version);
    let in_force = policy.active.as_ref().map(|active| active.version);
    let head = match in_force {
        Some(number) => format!("Version {number} is in force"),
        None => "No version is in force".to_owned(),
    };
    let tail = match (in_force, newest) {
        (Some(a), Some(b)) if a < b => format!("; version {b} is newer and not."),
        (None, _) => ": the policy changes nothing yet.".to_owned(),
        _ => ".".to_owned(),
    };
    let looking = (Some(version.version) != newest).then(|| format!(" You look at version {}.", version.version));
    view! { <b>{head}</b>{tail}{looking} }.into_any()
}

fn agents(policy: &Policy) -> AnyView {
    let names = policy
        .agents
        .iter()
        .map(|agent| view! { <span>{c::asset(&agent.id, agent.kind, &agent.name)}</span> })
        .collect_view();
    let all =
        policy.agents.is_empty().then(|| view! { <span>"applies to every agent that no other policy names"</span> });
    view! { <p class="meta">{all}{names}</p> }.into_any()
}

fn changes(version: &Version, base: Option<&Version>) -> AnyView {
    let Some(base) = base else {
        return view! { <p class="muted">"The first version: there is nothing to compare it with."</p><pre class="code" tabindex="0">{c::text(&policies::pretty(&version.document))}</pre> }.into_any();
    };
    let aside = format!("from version {} to version {}", base.version, version.version);
    let content = if base.hash == version.hash {
        view! { <p class="muted">"The two documents are the same."</p> }.into_any()
    } else {
        diff::view(&policies::pretty(&base.document), &policies::pretty(&version.document))
    };
    c::section("h-changes", "Changes", aside, none(), content)
}

fn versions(policy: &Policy, current: &Version, path: &str, params: &Params, write: bool) -> AnyView {
    let in_force = policy.active.as_ref().map(|active| active.version);
    let view_name = params.text("view");
    let items = policy.versions.iter().map(|version| {
        let here = version.version == current.version;
        let href = Params::default().with("view", &view_name).with("version", &version.version.to_string()).on(path);
        let force = (in_force == Some(version.version)).then(|| view! { <span class="tag">"in force"</span> });
        let note = (!version.note.is_empty()).then(|| view! { <span class="t2">{c::text(&version.note)}</span> });
        let against = (!here).then(|| {
            let href = Params::default().with("version", &current.version.to_string()).with("against", &version.version.to_string()).on(path);
            view! { <a class="link" href=href data-noscroll="">"compare"</a> }
        });
        view! {
            <li class="nt">{icon(if here { icons::CIRCLE_DOT } else { icons::CIRCLE })}
                <div><a href=href aria-current=here.then_some("true") data-noscroll=""><b>"Version "{version.version}</b></a>" "{force}" "{against}<div class="ev">{note}</div><span class="muted">{c::text(&version.created_by)}" · "{c::ago(&version.created_at)}" · "</span>{c::mid(&version.hash)}</div></li>
        }
    });
    let out = (write && in_force.is_some()).then(|| activate(policy, None, "btn quiet sm"));
    c::section(
        "h-versions",
        "Versions",
        "newest first",
        out.into_any(),
        view! { <ol class="tl">{items.collect_view()}</ol> }.into_any(),
    )
}

fn dry_run(policy: &Policy, version: &Version, params: &Params, path: &str) -> AnyView {
    let hours = window(params);
    let agents: Vec<String> = policy.agents.iter().map(|agent| agent.id.clone()).collect();
    let document = version.document.clone();
    let switch = window_switch(path, &params.only(&["version", "view", "hours"]));
    let number = version.version;
    let variables = move || policy_dry_run::Variables {
        document: document.clone(),
        agents: (!agents.is_empty()).then(|| agents.clone()),
        hours: Some(hours),
    };
    let result =
        load::<PolicyDryRun>("The dry run", none, variables, move |data| outcome(&data.policy_dry_run, number, hours));
    c::section("h-dry-run", "Dry run", "over stored events; nothing is changed", switch, result)
}

fn outcome(run: &policy_dry_run::PolicyDryRunPolicyDryRun, version: i64, hours: i64) -> AnyView {
    let name = window_name(hours);
    let head = match run.changed {
        0 => format!(
            "Version {version} would have changed none of {} in the last {name}.",
            format::counted(run.events, "event", "events")
        ),
        n => format!(
            "Version {version} would have changed {} of {} in the last {name}.",
            format::count(n),
            format::counted(run.events, "event", "events")
        ),
    };
    let rows = run.examples.iter().map(|example| {
        let event = &example.event;
        let what = call(event.kind, event.tool_server.as_deref(), event.tool.as_deref(), event.model.as_deref());
        let agent = event.agent.as_ref().map(|agent| c::asset(&agent.id, agent.kind, &agent.name));
        view! {
            <tr class="row"><td class="muted p2">{moment(&event.at)}</td><td title=c::clean(&what)><a class="mono" href=event_url(&event.id)>{c::text(&what)}</a></td><td class="p2">{agent}</td>
                <td>{verdict(example.before)}</td><td>{verdict(example.after)}</td><td class="p1" title=c::clean(&example.reason)>{c::text(&example.reason)}</td></tr>
        }
    });
    let examples = (!run.examples.is_empty()).then(|| {
        let heads = view! { {c::head("Time", "p2 w", "116px")}{c::head("Event", "", "")}{c::head("Agent", "p2 w", "136px")}{c::head("Was", "w", "84px")}{c::head("Would be", "w", "84px")}{c::head("Because", "p1 w", "30%")} };
        let aside = format!("{} of {}", run.examples.len(), format::count(run.changed));
        c::section("h-examples", "Examples", aside, none(), table("Events that would have been judged otherwise", heads.into_any(), rows.collect_view().into_any()))
    });
    let (before, after) = (&run.before, &run.after);
    view! {
        <p class="lead"><b>{head}</b></p>
        {before_after([before.allow, before.flag, before.redact, before.block], [after.allow, after.flag, after.redact, after.block])}
        {examples}
    }
    .into_any()
}
