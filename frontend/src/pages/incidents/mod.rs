//! Incidents: the list, the board, one incident, its report, and the rules. Only the server renders these pages.

mod incident;
mod list;
mod report;
mod rules;

use leptos::prelude::*;
use stance_shared::{ClockKind, ClockState, IncidentStatus, Severity};

use crate::{
    components as c, format,
    gql::{self, OpenIncident, open_incident},
    icons::{self, icon},
    layout, state,
    url::{Params, encode},
};

const PATH: &str = "/incidents";

/// The page at an address below `/incidents`.
pub fn served(rest: &[&str], params: Params) -> AnyView {
    match rest {
        [] => list::list(params),
        ["board"] => list::board(params),
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
fn parts(current: &'static str, title: &'static str, end: AnyView) -> AnyView {
    crate::load::set_title(title);
    let links = [("", "List"), ("board", "Board"), ("rules", "Rules")].map(|(path, label)| {
        let href = if path.is_empty() { PATH.to_owned() } else { format!("{PATH}/{path}") };
        view! { <a href=href aria-current=(path == current).then_some("page")>{label}</a> }
    });
    let nav = view! {
        <nav class="subnav" aria-label="Incidents">{links.into_iter().collect_view()}</nav>
        <div class="end">{end}</div>
    };
    layout::bar(c::none(), "Incidents", nav.into_any())
}

fn open_button() -> AnyView {
    may("incident:write")
        .then(|| view! { <a class="btn sm" href="/incidents/new" data-key="n">{icon(icons::PLUS)}"Open incident"</a> })
        .into_any()
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
    let on = status != IncidentStatus::Closed;
    view! { <span class=if on { "state on" } else { "state" }>{icon(markup)}{status.label()}</span> }.into_any()
}

/// The clock that matters now: the first that runs, in words: `triage in 12 min`, `contain 3 h late`.
fn clock_words(kind: ClockKind, clock: ClockState, due: &str) -> AnyView {
    let what = match kind {
        ClockKind::Article73 => "report",
        ClockKind::Triage => "triage",
        ClockKind::Contain => "contain",
        ClockKind::Resolve => "resolve",
    };
    let left = format::seconds(due).map_or(0, |due| due - c::now());
    match clock {
        ClockState::Paused => view! { <span class="state">{icon(icons::PAUSE)}{format!("{what} paused")}</span> }.into_any(),
        ClockState::Met => view! { <span class="state">{icon(icons::CHECK)}{format!("{what} in time")}</span> }.into_any(),
        ClockState::Running => view! { <span title=due.to_owned()>{format!("{what} within {}", format::span(left.max(0)))}</span> }.into_any(),
        ClockState::Breached => view! { <span class="state bad" title=due.to_owned()>{icon(icons::CLOCK_ALERT)}{format!("{what} {} late", format::span((-left).max(0)))}</span> }.into_any(),
    }
}

/// A length of time in seconds, or that there is none yet.
fn mean(seconds: Option<f64>) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "whole seconds are shown")]
    seconds.map_or_else(|| "–".to_owned(), |seconds| format::span(seconds as i64))
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
    let body = gql::body::<OpenIncident>(open_incident::Variables {
        title: String::new(),
        summary: None,
        severity: Severity::High,
        assets: list("asset"),
        findings: list("finding"),
        sessions: list("session"),
    });
    let about = params.text("about");
    let severities = Severity::ALL.iter().map(|severity| (severity.as_str().to_owned(), severity.label().to_owned()));
    view! {
        {layout::top(Some(("Incidents", PATH)), "Open incident", c::none())}
        <div class="page stack">
            <p class="answer"><b>"What went wrong?"</b>" Clocks run from when you open it."</p>
            <form class="form narrow" method="post" data-act=body data-done="The incident is open" data-then="/incidents/{/openIncident/id}">
                <div class="field"><label for="f-title">"Title"</label><input class="input" id="f-title" name="title" required maxlength="300" value=about autocomplete="off" autofocus=""/><p class="err" role="alert"></p></div>
                {c::choice("severity", "Severity", severities.collect(), "HIGH")}
                <div class="field"><label for="f-summary">"What happened"</label><textarea class="input" id="f-summary" name="summary" rows="4" maxlength="4000"></textarea><p class="err" role="alert"></p></div>
                <div class="actions"><button class="btn primary">"Open incident"</button><a class="btn" href=PATH>"Cancel"</a></div>
            </form>
        </div>
    }
    .into_any()
}
