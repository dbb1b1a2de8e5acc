//! What happened, newest first.

use leptos::prelude::*;
use serde_json::Value;
use stance_shared::EntryKind;

use super::{Incident, detail, url};
use crate::{
    components as c, format,
    gql::{self, CommentIncident, comment_incident},
    icons::{self, icon},
    url::{Params, encode},
};

type Line = detail::IncidentDetailIncidentTimelineNodes;

pub fn timeline(incident: &Incident, acts: bool, later: bool) -> AnyView {
    let comment = (acts && !later).then(|| {
        let body = gql::body::<CommentIncident>(comment_incident::Variables { id: incident.id.clone(), text: String::new() });
        view! { <form class="comment decide" method="post" data-act=body data-done="Written"><input class="input" name="text" aria-label="Comment" placeholder="Write a comment (e)" required maxlength="4000" autocomplete="off"/><button class="btn">"Send"</button><p class="err" role="alert"></p></form> }
    });
    let page = &incident.timeline;
    let aside = format!("UTC, newest first, {}", format::counted(page.total_count, "line", "lines"));
    let here = url(&incident.id);
    let first = later.then(|| view! { <a class="btn sm" href=here.clone()>"Newest"</a> });
    let next = page.page_info.end_cursor.as_ref().filter(|_| page.page_info.has_next_page).map(|cursor| {
        view! { <a class="btn sm" href=Params::default().with("after", cursor).on(&here)>"Older"</a> }
    });
    let content = view! { {comment}<ol class="tl">{page.nodes.iter().map(line).collect_view()}</ol><div class="actions">{first}{next}</div> };
    c::section("h-tl", "Timeline", aside, c::none(), content.into_any())
}

const fn mark(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::BuildTime => icons::BUG,
        EntryKind::Runtime => icons::ACTIVITY,
        EntryKind::Status => icons::FLAG,
        EntryKind::Decision => icons::USER,
        EntryKind::Action => icons::WRENCH,
        EntryKind::Clock => icons::CLOCK_ALERT,
        EntryKind::Comment => icons::MESSAGE_SQUARE_TEXT,
    }
}

fn line(line: &Line) -> AnyView {
    let at = format::seconds(&line.at).unwrap_or_default();
    let day = (format::iso_day(at) != format::iso_day(c::now()))
        .then(|| view! { " "<span class="muted nowrap">{format::day_month(at)}</span> });
    let text = if line.kind == EntryKind::Comment {
        view! { <b>{c::text(&line.actor)}</b>": "{c::text(&line.text)} }.into_any()
    } else {
        c::text(&line.text)
    };
    view! {
        <li><time datetime=line.at.clone() title=format::date_time(at)>{format::clock(at)}</time>{icon(mark(line.kind))}<div class="lines"><span class="vh">{line.kind.label()}": "</span>{text}{line.evidence.as_ref().map(|evidence| proof(evidence, &line.text))}{day}</div></li>
    }
    .into_any()
}

/// What shows it: links to what has a page, the rule, and the rest as it is; without what `words` say already.
fn proof(evidence: &Value, words: &str) -> AnyView {
    let Some(parts) = evidence.as_object() else { return c::none() };
    let text = |key: &str| parts.get(key).and_then(Value::as_str);
    // The server writes bare ids; those of the API say of what they are.
    let link = |key: &'static str, noun: &'static str, path: &'static str| {
        let href = format!("{path}/{}", encode(&format!("{noun}:{}", text(key)?)));
        Some(view! { " "<a class="link" href=href>{key}</a> })
    };
    let links = [
        link("event", "event", "/runtime/events"),
        // An event leads to its session.
        text("event").is_none().then(|| link("session", "agent_session", "/runtime/sessions")).flatten(),
        link("finding", "finding", "/findings"),
        link("incident", "incident", super::PATH),
        link("run", "playbook_run", "/playbooks/runs"),
    ];
    let ticket = text("url").filter(|url| url.starts_with("https://") || url.starts_with("http://"));
    let ticket = ticket.map(|url| view! { " "<a class="link" href=url.to_owned() rel="external noreferrer noopener" target="_blank">"ticket"</a> });
    let told = |rule: &str| rule.split('/').any(|part| words.contains(part));
    let rule =
        text("rule").filter(|rule| !told(rule)).map(|rule| view! { " "<span class="id muted">{c::clean(rule)}</span> });
    // What the line's words or its links say already.
    let said = [
        "event", "session", "finding", "incident", "run", "rule", "asset", "from", "to", "playbook", "kind", "version",
        "url", "article",
    ];
    let rest: serde_json::Map<String, Value> = parts
        .iter()
        .filter(|(key, value)| !said.contains(&key.as_str()) && !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let rest = (!rest.is_empty()).then(|| {
        let text = serde_json::to_string_pretty(&rest).unwrap_or_default();
        view! { <details class="proof"><summary>"Evidence"</summary><pre class="code" tabindex="0">{c::text(&text)}</pre></details> }
    });
    view! { {rule}{ticket}{links.into_iter().flatten().collect_view()}{rest} }.into_any()
}
