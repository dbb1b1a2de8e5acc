//! The audit log and the proof of its chain.

use leptos::prelude::*;
use leptos_router::hooks::use_location;

use crate::{
    components::{self as c, none},
    format,
    gql::{AuditLog, AuditVerification, audit_log as data, audit_verification},
    icons::{self, icon},
    layout,
    load::load,
    url::Params,
};

const PATH: &str = "/audit";

/// `/audit`
pub fn audit() -> AnyView {
    let search = use_location().search;
    let params = Memo::new(move |_| search.with(|s| Params::parse(s)));
    let variables = move || {
        params.with(|p| data::Variables {
            first: Some(50),
            after: p.get("after").map(str::to_owned),
            action: p.get("action").map(str::to_owned),
            actor: p.get("actor").map(str::to_owned),
        })
    };
    let verify = Memo::new(move |_| params.with(|p| p.has("verify", "true")));
    let proof = move || {
        verify.get().then(|| {
            load::<AuditVerification>(
                "The proof",
                none,
                || audit_verification::Variables {},
                |data| proof(&data.audit_verification),
            )
        })
    };
    view! {
        {layout::top(None, "Audit log", view! { <a class="btn sm" href="/audit?verify=true">{icon(icons::SHIELD_CHECK)}"Verify chain"</a> }.into_any())}
        <div class="page">{proof}{load::<AuditLog>("The audit log", c::table_skeleton, variables, move |data| content(data, &params.get_untracked()))}</div>
    }
    .into_any()
}

fn proof(proof: &audit_verification::AuditVerificationAuditVerification) -> AnyView {
    let markup = if proof.valid { icons::SHIELD_CHECK } else { icons::TRIANGLE_ALERT };
    c::note(markup, view! { <b>{c::text(&proof.message)}</b> }.into_any())
}

fn content(data: data::ResponseData, params: &Params) -> AnyView {
    let log = data.audit_log;
    let filtered = params.get("action").is_some() || params.get("actor").is_some();
    let matching = if filtered { " match" } else { "" };
    let rows = log.nodes.iter().map(|entry| {
        let detail = if entry.detail.as_object().is_some_and(|map| !map.is_empty()) { entry.detail.to_string() } else { String::new() };
        view! {
            <tr class="row">
                <td class="num muted p2">{format::count(entry.sequence)}</td>
                <td class="muted">{c::ago(&entry.at)}</td>
                <td>{c::cut(&entry.actor)}</td>
                <td><a class="id" href=params.without("after").with("action", &entry.action).on(PATH)>{c::clean(&entry.action)}</a></td>
                <td class="p1">{c::mid(&entry.target)}</td>
                <td class="p3 muted" title=c::clean(&detail)><span class="id">{c::text(&detail)}</span></td>
                <td class="p4"><span class="muted">{c::mid(&entry.request_id)}</span></td>
                <td class="p4">{c::mid(&entry.hash)}</td>
            </tr>
        }
    });
    let next = log.page_info.end_cursor.clone().filter(|_| log.page_info.has_next_page);
    let body = if log.nodes.is_empty() {
        c::empty(
            "No entry matches",
            "Take a filter away.",
            view! { <a class="btn" href=PATH>"Whole log"</a> }.into_any(),
        )
    } else {
        view! {
            <div class="tbl"><table>
                <caption class="vh">"Audit entries, newest first"</caption>
                <thead class="sticky"><tr>{c::head("No.", "num p2 w", "64px")}{c::head("Time", "w", "104px")}{c::head("Actor", "w", "168px")}{c::head("Action", "w", "200px")}{c::head("Target", "p1", "")}{c::head("Detail", "p3", "")}{c::head("Request", "p4 w", "120px")}{c::head("Hash", "p4 w", "120px")}</tr></thead>
                <tbody>{rows.collect_view()}</tbody>
            </table></div>
            {c::pager(PATH, params, log.nodes.len(), log.total_count, ("entry", "entries"), next)}
        }
        .into_any()
    };
    view! {
        <p class="answer"><b>{format!("{}{matching}.", format::counted(log.total_count, "entry", "entries"))}</b>" Each carries the hash of the one before, so that a change shows."</p>
        <div class="bar-tools">
            <form class="form-line" method="get" action=PATH data-nav="" role="search">
                <input class="input slim" name="action" value=params.text("action") placeholder="Action, e.g. finding.triaged" aria-label="Action" maxlength="100"/>
                <input class="input slim" name="actor" value=params.text("actor") placeholder="Actor" aria-label="Actor" maxlength="200"/>
                <button class="btn">"Filter"</button>
                {filtered.then(|| view! { <a class="btn quiet" href=PATH>"Clear"</a> })}
            </form>
        </div>
        {body}
    }
    .into_any()
}
