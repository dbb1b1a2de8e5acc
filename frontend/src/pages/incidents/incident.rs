//! One incident: where it stands, what happened, who has it, and what to do next. Everything can be done by keyboard: the keys stand on
//! the buttons.

use leptos::prelude::*;
use stance_shared::{ClockKind, ClockState, IncidentStatus};

use super::{Incident, PATH, about, area, between, clock_words, line, may, name, people, serious, timeline, url, work};
use crate::{
    components as c, format,
    gql::{
        self, IncidentDetail, PauseIncidentClock, ResumeIncidentClock, TransitionIncident, UndoIncidentTransition,
        UpdateIncident, incident_detail as data, pause_incident_clock, resume_incident_clock, transition_incident,
        undo_incident_transition, update_incident,
    },
    icons::{self, icon},
    layout,
    load::load,
    url::Params,
};

/// `/incidents/:id`
pub fn incident(id: String, params: Params) -> AnyView {
    let after = params.get("after").map(str::to_owned);
    load::<IncidentDetail>(
        "The incident",
        c::table_skeleton,
        move || data::Variables { id: id.clone(), after: after.clone() },
        move |data| data.incident.map_or_else(crate::pages::not_found, |incident| page(&incident, &params)),
    )
}

fn page(incident: &Incident, params: &Params) -> AnyView {
    let report = format!("{}/report", url(&incident.id));
    let acts = may("incident:write") && incident.merged_into.is_none();
    let doing = params.get("do").filter(|_| acts).unwrap_or_default();
    let form = match doing {
        "edit" => edit(incident),
        "merge" => about::merge(incident),
        "split" => about::split(incident),
        _ => c::none(),
    };
    let end = view! { {acts.then(|| about::menu(incident))}<a class="btn sm" href=report data-key="p">{icon(icons::SCROLL_TEXT)}"Report "<kbd>"p"</kbd></a> };
    let who = incident.assignee.as_ref().map_or_else(|| "nobody".to_owned(), |user| c::clean(&user.name));
    let categories = incident.categories.iter().map(|category| crate::pages::runtime::category(&category.key));
    let summary =
        (!incident.summary.is_empty()).then(|| view! { <p class="summary lines">{c::text(&incident.summary)}</p> });
    view! {
        {layout::top(Some(("Incidents", PATH)), &name(incident.number), end.into_any())}
        <div class="page stack" data-follow="">
            <div>
                <p class="answer"><b>{c::text(&incident.title)}.</b>" "{next_words(incident)}</p>
                <p class="meta"><span>{c::severity(incident.severity)}</span>{agents(incident)}<span>"lead "<b>{who}</b></span><span>"opened by "<b>{c::text(&incident.opened_by)}</b>" "{c::ago(&incident.opened_at)}</span>{events(incident)}{categories.collect_view()}</p>
                {summary}
            </div>
            {about::merged(incident)}
            {form}
            <div class="inc">
                <div class="stack now">{path(incident)}{acts.then(|| actions(incident, params))}{clocks(incident, acts)}</div>
                <div class="stack">{timeline::timeline(incident, acts, params.get("after").is_some())}{about::panel(incident)}</div>
                <div class="stack">
                    {work::containments(incident, params)}
                    {work::runs(incident)}
                    {people::panel(incident, acts)}
                    {about::tickets(incident, acts)}
                    {serious::panel(incident, acts, doing == "article-73")}
                </div>
            </div>
        </div>
    }
    .into_any()
}

/// What matters next, as a sentence.
fn next_words(incident: &Incident) -> AnyView {
    if incident.status == IncidentStatus::Closed {
        let took = incident.closed_at.as_deref().and_then(|closed| between(&incident.opened_at, closed));
        return view! { {format!("Closed after {}.", format::span(took.unwrap_or_default()))} }.into_any();
    }
    let pressing = |state| incident.clocks.iter().find(|clock| clock.state == state && clock.done_at.is_none());
    match pressing(ClockState::Breached).or_else(|| pressing(ClockState::Running)) {
        Some(clock) => view! { "Next: "{clock_words(clock.kind, clock.state, &clock.due_at)}"." }.into_any(),
        None => c::none(),
    }
}

fn agents(incident: &Incident) -> AnyView {
    let some = incident.assets.iter().take(3);
    some.map(|asset| view! { <span>{c::asset(&asset.id, asset.kind, &asset.name)}</span> }).collect_view().into_any()
}

/// How many events, and how soon after the last of them was received the incident was there.
fn events(incident: &Incident) -> AnyView {
    (incident.event_count > 0)
        .then(|| {
            let lag = incident.correlation_lag_ms.map(|ms| format!("{} after the last was received", format::duration(ms)));
            view! { <span title=lag><b>{format::count(incident.event_count)}</b>{if incident.event_count == 1 { " event" } else { " events" }}</span> }
        })
        .into_any()
}

/// The status path, with the times at which each was reached. A way may leave some out.
fn path(incident: &Incident) -> AnyView {
    let lines = &incident.timeline;
    let told = |status: IncidentStatus| {
        let to = |evidence: &serde_json::Value| {
            evidence.get("to").and_then(serde_json::Value::as_str) == Some(status.as_str())
        };
        lines.nodes.iter().find(|line| line.evidence.as_ref().is_some_and(to)).map(|line| line.at.as_str())
    };
    let at = |status: IncidentStatus| match status {
        IncidentStatus::Open => Some(incident.opened_at.as_str()),
        IncidentStatus::Triaged => incident.triaged_at.as_deref(),
        IncidentStatus::Contained => incident.contained_at.as_deref(),
        IncidentStatus::Closed => incident.closed_at.as_deref(),
        IncidentStatus::Eradicated | IncidentStatus::Recovered => told(status),
    };
    // Not on this page of the timeline: older.
    let older = lines.page_info.has_next_page;
    let steps = IncidentStatus::ALL.iter().map(|status| {
        let current = *status == incident.status;
        let class = if current {
            "cur"
        } else if *status < incident.status && (at(*status).is_some() || older) {
            "done"
        } else {
            ""
        };
        let time = at(*status).filter(|_| *status <= incident.status).map_or_else(c::none, c::stamp);
        view! { <li class=class aria-current=current.then_some("step")><b>{status.label()}</b>{time}</li> }
    });
    view! { <ol class="path" aria-label="Status path">{steps.collect_view()}</ol> }.into_any()
}

/// The key of a step.
const fn key(status: IncidentStatus) -> &'static str {
    match status {
        IncidentStatus::Open => "o",
        IncidentStatus::Triaged => "t",
        IncidentStatus::Contained => "c",
        IncidentStatus::Eradicated => "r",
        IncidentStatus::Recovered => "v",
        IncidentStatus::Closed => "x",
    }
}

/// What a step is called by the one who takes it.
const fn verb(from: IncidentStatus, to: IncidentStatus) -> &'static str {
    match (from, to) {
        (IncidentStatus::Closed, _) => "Reopen",
        (_, IncidentStatus::Triaged) => "Mark triaged",
        (_, IncidentStatus::Contained) => "Mark contained",
        (_, IncidentStatus::Eradicated) => "Mark eradicated",
        (_, IncidentStatus::Recovered) => "Mark recovered",
        (_, IncidentStatus::Closed) => "Close",
        (_, IncidentStatus::Open) => "Open",
    }
}

fn step(incident: &Incident, to: IncidentStatus) -> String {
    gql::body::<TransitionIncident>(transition_incident::Variables {
        id: incident.id.clone(),
        to,
        reason: None,
        root_cause: None,
        lessons: None,
    })
}

fn actions(incident: &Incident, params: &Params) -> AnyView {
    let here = url(&incident.id);
    let asked = params.get("step").and_then(|word| word.parse::<IncidentStatus>().ok());
    let form = asked.filter(|to| incident.allowed_transitions.contains(to)).map(|to| taking(incident, to));
    // The next step stands out, unless one is being taken.
    let next = incident.allowed_transitions.first().filter(|_| form.is_none());
    let buttons = incident.allowed_transitions.iter().map(|to| {
        let (label, class) = (verb(incident.status, *to), if Some(to) == next { "btn primary sm" } else { "btn sm" });
        let href = Params::default().with("step", to.as_str()).on(&here);
        view! { <a class=class href=href data-key=key(*to) data-noscroll="">{label}" "<kbd>{key(*to)}</kbd></a> }
    });
    let undo = incident.undo.map(|back| {
        let body = gql::body::<UndoIncidentTransition>(undo_incident_transition::Variables { id: incident.id.clone() });
        view! { <button class="btn quiet sm" type="button" data-act=body data-done=format!("It is {} again", back.label().to_lowercase()) data-key="u">{icon(icons::UNDO_2)}"Undo "<kbd>"u"</kbd></button> }
    });
    view! { <section aria-label="Next step"><div class="actions">{buttons.collect_view()}{people::menus(incident)}{undo}</div>{form}</section> }.into_any()
}

/// A step with what it asks for: closing for cause and lessons, reopening for a reason, the others take one.
fn taking(incident: &Incident, to: IncidentStatus) -> AnyView {
    let label = verb(incident.status, to);
    let fields = if to == IncidentStatus::Closed {
        view! { {area("rootCause", "Root cause", &incident.root_cause, true, true)}{area("lessons", "What was learned", &incident.lessons, true, false)} }.into_any()
    } else {
        let reopen = incident.status == IncidentStatus::Closed;
        let words = if reopen { "Why it is reopened" } else { "Reason, if there is something to say" };
        view! { <div class="field"><label for="f-reason">{words}</label><input class="input" id="f-reason" name="reason" maxlength="4000" required=reopen autofocus="" autocomplete="off"/><p class="err" role="alert"></p></div> }.into_any()
    };
    view! {
        <form class="form step" method="post" data-act=step(incident, to) data-done=format!("The incident is {}", to.label().to_lowercase()) data-then=url(&incident.id)>
            {fields}<div class="actions"><button class="btn primary">{label}</button><a class="btn" href=url(&incident.id) data-noscroll="">"Cancel"</a></div><p class="err" role="alert"></p></form>
    }
    .into_any()
}

fn edit(incident: &Incident) -> AnyView {
    let body = gql::body::<UpdateIncident>(update_incident::Variables {
        id: incident.id.clone(),
        title: None,
        severity: None,
        summary: None,
    });
    let form = view! {
        <form class="form narrow" method="post" data-act=body data-done="Saved" data-then=url(&incident.id)>
            {line("title", "Title", &incident.title, true)}{area("summary", "What happened", &incident.summary, false, false)}
            <div class="actions"><button class="btn primary">"Save"</button><a class="btn" href=url(&incident.id) data-noscroll="">"Cancel"</a></div><p class="err" role="alert"></p></form>
    };
    c::section("h-edit", "Title and summary", "", c::none(), form.into_any())
}

/// The clocks as figures: time left, late, or how long it took; with what stops and starts them.
fn clocks(incident: &Incident, acts: bool) -> AnyView {
    let tiles = incident.clocks.iter().map(|clock| {
        let left = format::seconds(&clock.due_at).map_or(0, |due| due - c::now());
        let took = clock.done_at.as_deref().and_then(|done| between(&clock.started_at, done)).map(format::span);
        let (class, figure, word) = match (clock.state, took) {
            (ClockState::Met, took) => ("met", took.unwrap_or_default(), "in time"),
            (ClockState::Breached, Some(took)) => ("bad", took, "too late"),
            (ClockState::Breached, None) => ("bad", format::span(-left), "late"),
            (ClockState::Running, _) => ("", format::span(left), "left"),
            (ClockState::Paused, _) => ("met", format::span(left), "left, paused"),
        };
        let target = format!("{}, by the targets {}", format::seconds(&clock.due_at).map(format::date_time).unwrap_or_default(), clock.target);
        let due = if left.abs() < 86_400 { format::seconds(&clock.due_at).map(format::clock).into_any() } else { format::seconds(&clock.due_at).map(format::day_month).into_any() };
        let icon = (class == "bad").then(|| icon(icons::CLOCK_ALERT));
        view! {
            <div class=class><dt>{clock.kind.label()}</dt><dd><b>{icon}{figure}</b>" "<small>{word}</small></dd><dd class="due"><span title=target>"due "{due}</span>{change(incident, clock, acts)}</dd></div>
        }
    });
    view! { <section aria-label="Clocks"><dl class="clocks">{tiles.collect_view()}</dl></section> }.into_any()
}

/// Pausing a clock, or letting it go on; that of Article 73 does not stop.
fn change(incident: &Incident, clock: &data::IncidentDetailIncidentClocks, acts: bool) -> AnyView {
    if !acts || clock.done_at.is_some() || clock.kind == ClockKind::Article73 {
        return c::none();
    }
    if clock.state == ClockState::Paused {
        let body = gql::body::<ResumeIncidentClock>(resume_incident_clock::Variables {
            id: incident.id.clone(),
            kind: clock.kind,
        });
        return view! { <button class="btn quiet sm" type="button" data-act=body data-done="The clock goes on" aria-label=format!("Resume: {}", clock.kind.label())>"Resume"</button> }.into_any();
    }
    let body = gql::body::<PauseIncidentClock>(pause_incident_clock::Variables {
        id: incident.id.clone(),
        kind: clock.kind,
        reason: String::new(),
    });
    view! {
        <details class="menu to-end"><summary class="btn quiet sm" aria-label=format!("Pause: {}", clock.kind.label())>"Pause"</summary>
            <form class="pop padded" method="post" data-act=body data-done="The clock is paused"><div class="form"><div class="field"><label>"What is waited for"<input class="input" name="reason" required maxlength="4000" autocomplete="off"/></label><p class="err" role="alert"></p></div><div class="actions"><button class="btn primary sm">"Pause"</button></div></div></form></details>
    }
    .into_any()
}
