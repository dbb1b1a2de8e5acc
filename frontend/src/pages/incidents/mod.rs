//! Incidents: the list, the board, one incident, its report, and the rules. Only the server renders these pages.

mod about;
mod incident;
mod list;
mod people;
mod report;
mod rules;
mod serious;
mod timeline;
mod work;

use leptos::prelude::*;
use stance_shared::{ClockKind, ClockState, IncidentStatus, Severity};

use crate::{
    components as c, format,
    gql::{self, OpenIncident, incident_detail as detail, open_incident},
    icons::{self, icon},
    layout, state,
    url::{Params, encode},
};

const PATH: &str = "/incidents";

type Incident = detail::IncidentDetailIncident;

/// The page at an address below `/incidents`.
pub fn served(rest: &[&str], params: Params) -> AnyView {
    if !may("incident:read") {
        return super::not_found();
    }
    match rest {
        [] => list::list(params),
        ["board"] => list::board(),
        ["rules"] => rules::rules(),
        ["new"] => new(&params),
        [id] => incident::incident((*id).to_owned(), params),
        [id, "report"] => report::report((*id).to_owned()),
        _ => super::not_found(),
    }
}

fn may(permission: &str) -> bool {
    state::viewer().can(permission)
}

fn url(id: &str) -> String {
    format!("{PATH}/{}", encode(id))
}

fn name(number: i64) -> String {
    format!("INC-{number}")
}

/// The parts of the section.
fn parts(current: &'static str, title: &'static str) -> AnyView {
    crate::load::set_title(title);
    let links = [("", "List"), ("board", "Board"), ("rules", "Rules")].map(|(path, label)| {
        let href = if path.is_empty() { PATH.to_owned() } else { format!("{PATH}/{path}") };
        view! { <a href=href aria-current=(path == current).then_some("page")>{label}</a> }
    });
    let open = may("incident:write").then(|| {
        view! { <a class="btn primary sm" href="/incidents/new" data-key="n">{icon(icons::PLUS)}"Open incident "<kbd>"n"</kbd></a> }
    });
    let nav = view! {
        <nav class="subnav" aria-label="Incidents">{links.into_iter().collect_view()}</nav>
        <div class="end">{open}</div>
    };
    layout::bar(c::none(), "Incidents", nav.into_any())
}

/// A status in a table.
fn status(status: IncidentStatus) -> AnyView {
    let markup = match status {
        IncidentStatus::Open => icons::CIRCLE,
        IncidentStatus::Triaged => icons::CIRCLE_DOT,
        IncidentStatus::Contained => icons::BAN,
        IncidentStatus::Eradicated => icons::ERASER,
        IncidentStatus::Recovered => icons::ROTATE_CCW,
        IncidentStatus::Closed => icons::CHECK,
    };
    let class = if status == IncidentStatus::Closed { "state muted" } else { "state on" };
    view! { <span class=class>{icon(markup)}{status.label()}</span> }.into_any()
}

/// What a clock asks for, as a verb.
const fn task(kind: ClockKind) -> &'static str {
    match kind {
        ClockKind::Article73 => "report",
        ClockKind::Triage => "triage",
        ClockKind::Contain => "contain",
        ClockKind::Resolve => "resolve",
    }
}

/// Seconds from one time to another, not below zero.
fn between(from: &str, to: &str) -> Option<i64> {
    Some((format::seconds(to)? - format::seconds(from)?).max(0))
}

/// How a clock that was not stopped stands, in words: `triage within 12 min`, `contain 3 h late`.
fn clock_words(kind: ClockKind, clock: ClockState, due: &str) -> AnyView {
    let left = format::seconds(due).map_or(0, |due| due - c::now());
    let (what, title) = (task(kind), format::seconds(due).map(|due| format!("due {}", format::date_time(due))));
    match clock {
        ClockState::Paused => view! { <span class="state muted" title=title>{icon(icons::PAUSE)}{format!("{what} paused")}</span> }.into_any(),
        ClockState::Met => view! { <span class="state muted" title=title>{icon(icons::CHECK)}{format!("{what} in time")}</span> }.into_any(),
        ClockState::Running => view! { <span title=title>{format!("{what} within {}", format::span(left.max(0)))}</span> }.into_any(),
        ClockState::Breached => view! { <span class="state bad" title=title>{icon(icons::CLOCK_ALERT)}{format!("{what} {} late", format::span((-left).max(0)))}</span> }.into_any(),
    }
}

/// A mean length of time in seconds, or that there is none yet.
fn mean(seconds: Option<f64>) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "whole seconds are shown")]
    seconds.map_or_else(|| "–".to_owned(), |seconds| format::span(seconds as i64))
}

/// The severities as options of a choice.
fn severities() -> Vec<(String, String)> {
    Severity::ALL.iter().map(|severity| (severity.as_str().to_owned(), severity.label().to_owned())).collect()
}

/// A labelled text of several lines.
fn area(name: &'static str, label: &'static str, value: &str, required: bool, focus: bool) -> AnyView {
    let id = format!("f-{name}");
    view! {
        <div class="field"><label for=id.clone()>{label}</label>
            <textarea class="input" id=id name=name rows="3" maxlength="4000" required=required autofocus=focus>{value.to_owned()}</textarea><p class="err" role="alert"></p></div>
    }
    .into_any()
}

/// A labelled line of text.
fn line(name: &'static str, label: &'static str, value: &str, focus: bool) -> AnyView {
    let id = format!("f-{name}");
    view! {
        <div class="field"><label for=id.clone()>{label}</label>
            <input class="input" id=id name=name value=value.to_owned() required maxlength="300" autocomplete="off" autofocus=focus/><p class="err" role="alert"></p></div>
    }
    .into_any()
}

/// A form that opens an incident; the address says what it is about.
fn new(params: &Params) -> AnyView {
    if !may("incident:write") {
        return super::not_found();
    }
    let list = |key: &str| {
        let ids: Vec<String> = params.all(key).map(str::to_owned).collect();
        (!ids.is_empty()).then_some(ids)
    };
    let (assets, findings, sessions) = (list("asset"), list("finding"), list("session"));
    let count = |list: &Option<Vec<String>>, one, many| {
        let count = list.as_ref().map_or(0, Vec::len);
        (count > 0).then(|| format::counted(i64::try_from(count).unwrap_or_default(), one, many))
    };
    let with: Vec<String> = [
        count(&findings, "finding", "findings"),
        count(&assets, "asset", "assets"),
        count(&sessions, "session", "sessions"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let with = (!with.is_empty()).then(|| format!(" It begins with {}.", with.join(", ")));
    let body = gql::body::<OpenIncident>(open_incident::Variables {
        title: String::new(),
        summary: None,
        severity: Severity::High,
        assets,
        findings,
        sessions,
    });
    view! {
        {layout::top(Some(("Incidents", PATH)), "Open incident", c::none())}
        <div class="page stack">
            <div><p class="answer"><b>"What went wrong?"</b></p><p class="sub">"Its clocks run from the moment you open it; how long they give depends on the severity."{with}</p></div>
            <form class="form narrow" method="post" data-act=body data-done="The incident is open" data-then="/incidents/{/openIncident/id}">
                {line("title", "Title", &params.text("about").chars().take(300).collect::<String>(), true)}
                {c::choice("severity", "Severity", severities(), "HIGH")}
                {area("summary", "What happened", "", false, false)}
                <div class="actions"><button class="btn primary">"Open incident"</button><a class="btn" href=PATH>"Cancel"</a></div>
                <p class="err" role="alert"></p>
            </form>
        </div>
    }
    .into_any()
}
