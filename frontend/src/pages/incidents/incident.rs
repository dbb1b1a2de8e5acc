//! One incident: where it stands, what happened, who has it, and what to do next. Everything can be done by keyboard: the keys stand on
//! the buttons.

use leptos::prelude::*;
use stance_shared::{ClockKind, ClockState, EntryKind, IncidentStatus, SeriousKind, Severity};

use super::{PATH, clock_words, may, name, url};
use crate::{
    components as c, format,
    gql::{
        self, CommentIncident, IncidentDetail, LinkIncident, MarkIncidentSerious, PauseIncidentClock, People,
        ResumeIncidentClock, TransitionIncident, UndoIncidentTransition, UpdateIncident, WatchIncident,
        comment_incident, incident_detail as data, link_incident, mark_incident_serious, pause_incident_clock, people,
        resume_incident_clock, transition_incident, undo_incident_transition, update_incident, watch_incident,
    },
    icons::{self, icon},
    layout,
    load::load,
    state,
    url::Params,
};

type Incident = data::IncidentDetailIncident;

/// `/incidents/:id`
pub fn incident(id: String, params: Params) -> AnyView {
    load::<IncidentDetail>(
        "The incident",
        c::table_skeleton,
        move || data::Variables { id: id.clone() },
        move |data| data.incident.map_or_else(crate::pages::not_found, |incident| page(&incident, &params)),
    )
}

fn page(incident: &Incident, params: &Params) -> AnyView {
    let report = format!("{}/report", url(&incident.id));
    let acts = may("incident:write") && incident.merged_into.is_none();
    view! {
        {layout::top(Some(("Incidents", PATH)), &name(incident.number), view! { <a class="btn sm" href=report data-key="p">"Report "<kbd>"p"</kbd></a> }.into_any())}
        <div class="page stack" data-follow="">
            <div>
                <p class="answer"><b>{c::text(&incident.title)}</b>" "{next_words(incident)}</p>
                <p class="meta"><span>{c::severity(incident.severity)}</span>{about(incident)}<span>"opened by "<b>{c::text(&incident.opened_by)}</b>" "{c::ago(&incident.opened_at)}</span><span><b>{format::count(incident.event_count)}</b>" events"</span></p>
                {(!incident.summary.is_empty()).then(|| view! { <p class="t2 pre">{c::text(&incident.summary)}</p> })}
            </div>
            {merged(incident)}
            <div class="inc">
                {timeline(incident, acts)}
                <div class="stack">{path(incident)}{acts.then(|| actions(incident, params))}{clocks(incident, acts)}{people_panel(incident, acts)}{serious(incident, acts)}{evidence(incident, acts)}</div>
            </div>
        </div>
    }
    .into_any()
}

fn merged(incident: &Incident) -> AnyView {
    incident
        .merged_into
        .as_ref()
        .map(|into| view! { <div class="note">{icon(icons::LINK)}<div>"It became part of "<a class="link" href=url(&into.id)>{name(into.number)}" "{c::text(&into.title)}</a>"; it goes on there."</div></div> })
        .into_any()
}

/// What matters next, as a sentence.
fn next_words(incident: &Incident) -> AnyView {
    if incident.status == IncidentStatus::Closed {
        let took = incident.closed_at.as_deref().and_then(format::seconds).zip(format::seconds(&incident.opened_at));
        let took = took.map(|(closed, opened)| format::span((closed - opened).max(0))).unwrap_or_default();
        return view! { {format!("Closed after {took}.")} }.into_any();
    }
    let pressing = |state| incident.clocks.iter().find(|clock| clock.state == state);
    match pressing(ClockState::Breached)
        .filter(|clock| clock.done_at.is_none())
        .or_else(|| pressing(ClockState::Running))
    {
        Some(clock) => view! { "Next: "{clock_words(clock.kind, clock.state, &clock.due_at)}"." }.into_any(),
        None => c::none(),
    }
}

fn about(incident: &Incident) -> AnyView {
    incident
        .assets
        .iter()
        .take(3)
        .map(|asset| view! { <span>{c::asset(&asset.id, asset.kind, &asset.name)}</span> })
        .collect_view()
        .into_any()
}

/// The status path, with the times at which it was reached.
fn path(incident: &Incident) -> AnyView {
    let at = |status: IncidentStatus| match status {
        IncidentStatus::Open => Some(incident.opened_at.clone()),
        IncidentStatus::Triaged => incident.triaged_at.clone(),
        IncidentStatus::Contained => incident.contained_at.clone(),
        IncidentStatus::Closed => incident.closed_at.clone(),
        IncidentStatus::Eradicated | IncidentStatus::Recovered => None,
    };
    let steps = IncidentStatus::ALL.iter().map(|status| {
        let current = *status == incident.status;
        let time = at(*status).as_deref().and_then(format::seconds).map_or_else(|| "–".to_owned(), format::clock);
        let class = if current {
            "cur"
        } else if *status < incident.status {
            "done"
        } else {
            ""
        };
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

/// What a step is called when it is done.
const fn verb(from: IncidentStatus, to: IncidentStatus) -> &'static str {
    match (from, to) {
        (IncidentStatus::Closed, _) => "Reopen",
        (_, IncidentStatus::Triaged) => "Triage",
        (_, IncidentStatus::Contained) => "Mark contained",
        (_, IncidentStatus::Eradicated) => "Mark eradicated",
        (_, IncidentStatus::Recovered) => "Mark recovered",
        (_, IncidentStatus::Closed) => "Close",
        (_, IncidentStatus::Open) => "Open",
    }
}

fn actions(incident: &Incident, params: &Params) -> AnyView {
    let step = |to: IncidentStatus| {
        gql::body::<TransitionIncident>(transition_incident::Variables {
            id: incident.id.clone(),
            to,
            reason: None,
            root_cause: None,
            lessons: None,
        })
    };
    let asks = |to: IncidentStatus| to == IncidentStatus::Closed || incident.status == IncidentStatus::Closed;
    let here = url(&incident.id);
    let buttons = incident.allowed_transitions.iter().enumerate().map(|(i, to)| {
        let (label, class) = (verb(incident.status, *to), if i == 0 { "btn primary" } else { "btn" });
        let content = view! { {label}" "<kbd>{key(*to)}</kbd> };
        if asks(*to) {
            let href = Params::default().with("step", to.as_str()).on(&here);
            view! { <a class=class href=href data-key=key(*to) data-noscroll="">{content}</a> }.into_any()
        } else {
            view! { <button class=class type="button" data-act=step(*to) data-done=format!("The incident is {}", to.label().to_lowercase()) data-key=key(*to)>{content}</button> }.into_any()
        }
    });
    let undo = incident.undo.map(|back| {
        let body = gql::body::<UndoIncidentTransition>(undo_incident_transition::Variables { id: incident.id.clone() });
        view! { <button class="btn quiet" type="button" data-act=body data-done=format!("It is {} again", back.label().to_lowercase()) data-key="u">{icon(icons::UNDO_2)}"Undo "<kbd>"u"</kbd></button> }
    });
    let asked = params.get("step").and_then(|word| word.parse::<IncidentStatus>().ok());
    let form = asked
        .filter(|to| asks(*to) && incident.allowed_transitions.contains(to))
        .map(|to| ending(incident, to, step(to)));
    view! { <section class="sec" aria-label="Next step"><div class="actions">{buttons.collect_view()}{undo}</div>{form}</section> }.into_any()
}

/// Closing asks for cause and lessons, reopening for a reason.
fn ending(incident: &Incident, to: IncidentStatus, body: String) -> AnyView {
    let fields = if to == IncidentStatus::Closed {
        view! {
            <div class="field"><label for="f-rootCause">"Root cause"</label><textarea class="input" id="f-rootCause" name="rootCause" rows="2" maxlength="4000" required autofocus="">{c::clean(&incident.root_cause)}</textarea><p class="err" role="alert"></p></div>
            <div class="field"><label for="f-lessons">"What was learned"</label><textarea class="input" id="f-lessons" name="lessons" rows="2" maxlength="4000" required>{c::clean(&incident.lessons)}</textarea><p class="err" role="alert"></p></div>
        }
        .into_any()
    } else {
        view! { <div class="field"><label for="f-reason">"Why it is reopened"</label><input class="input" id="f-reason" name="reason" maxlength="4000" required autofocus="" autocomplete="off"/><p class="err" role="alert"></p></div> }.into_any()
    };
    let label = verb(incident.status, to);
    view! {
        <form class="form" method="post" data-act=body data-done=format!("The incident is {}", to.label().to_lowercase()) data-then=url(&incident.id)>
            {fields}<div class="actions"><button class="btn primary">{label}</button><a class="btn" href=url(&incident.id) data-noscroll="">"Cancel"</a></div></form>
    }
    .into_any()
}

fn clocks(incident: &Incident, acts: bool) -> AnyView {
    let rows = incident.clocks.iter().map(|clock| {
        let due = format::seconds(&clock.due_at).map(format::date_time).unwrap_or_default();
        let act = (acts && clock.done_at.is_none() && clock.kind != ClockKind::Article73).then(|| match clock.state {
            ClockState::Paused => {
                let body = gql::body::<ResumeIncidentClock>(resume_incident_clock::Variables { id: incident.id.clone(), kind: clock.kind });
                view! { <button class="btn quiet sm" type="button" data-act=body data-done="The clock goes on" aria-label=format!("Resume: {}", clock.kind.label())>"Resume"</button> }.into_any()
            }
            _ => {
                let body = gql::body::<PauseIncidentClock>(pause_incident_clock::Variables { id: incident.id.clone(), kind: clock.kind, reason: String::new() });
                view! {
                    <details class="menu"><summary class="btn quiet sm" aria-label=format!("Pause: {}", clock.kind.label())>"Pause"</summary>
                        <form class="pop padded" method="post" data-act=body data-done="The clock is paused"><div class="form"><div class="field"><label>"What is waited for"<input class="input" name="reason" required maxlength="4000" autocomplete="off"/></label><p class="err" role="alert"></p></div><button class="btn primary">"Pause"</button></div></form></details>
                }
                .into_any()
            }
        });
        view! { <tr class="row"><td>{clock.kind.label()}</td><td>{clock_words(clock.kind, clock.state, &clock.due_at)}</td><td class="p1 muted">{due}</td><td class="num">{act}</td></tr> }
    });
    let table = view! { <div class="tbl"><table><caption class="vh">"Clocks"</caption><thead><tr>{c::head("Clock", "w", "120px")}{c::head("State", "", "")}{c::head("Due", "p1 w", "160px")}{c::head("", "w", "76px")}</tr></thead><tbody>{rows.collect_view()}</tbody></table></div> };
    c::section("h-clocks", "Clocks", String::new(), c::none(), table.into_any())
}

fn people_panel(incident: &Incident, acts: bool) -> AnyView {
    let watching = state::viewer().user.is_some_and(|user| incident.watchers.iter().any(|watcher| watcher.id == user));
    let watchers = match incident.watchers.as_slice() {
        [] => "nobody".to_owned(),
        some => some.iter().map(|user| c::clean(&user.name)).collect::<Vec<_>>().join(", "),
    };
    let form = acts.then(|| {
        let (id, severity, current) = (incident.id.clone(), incident.severity, incident.assignee.as_ref().map(|user| user.id.clone()).unwrap_or_default());
        let form = load::<People>("The people", c::none, || people::Variables {}, move |data| {
            let body = gql::body::<UpdateIncident>(update_incident::Variables { id: id.clone(), severity: None, assignee: None, summary: None });
            let mut options = vec![(String::new(), "Nobody yet".to_owned())];
            options.extend(data.members.into_iter().map(|member| (member.user.id, c::clean(&member.user.name))));
            let severities = Severity::ALL.iter().map(|severity| (severity.as_str().to_owned(), severity.label().to_owned()));
            view! {
                <form class="form-line" method="post" data-act=body data-done="Saved">
                    {c::choice("assignee", "Assignee", options, &current)}{c::choice("severity", "Severity", severities.collect(), severity.as_str())}
                    <button class="btn">"Save"</button><p class="err" role="alert"></p></form>
            }
            .into_any()
        });
        let body = gql::body::<WatchIncident>(watch_incident::Variables { id: incident.id.clone(), watch: !watching });
        let (label, done) = if watching { ("Stop watching", "You do not watch it any more") } else { ("Watch", "You watch it") };
        view! { {form}<p><button class="btn quiet sm" type="button" data-act=body data-done=done data-key="w">{label}" "<kbd>"w"</kbd></button></p> }
    });
    let who = incident.assignee.as_ref().map_or_else(|| "nobody".to_owned(), |user| c::clean(&user.name));
    let content =
        view! { <p class="meta"><span>"lead "<b>{who}</b></span><span>"watched by "<b>{watchers}</b></span></p>{form} };
    c::section("h-people", "People", String::new(), c::none(), content.into_any())
}

fn serious(incident: &Incident, acts: bool) -> AnyView {
    let content = match &incident.serious {
        Some(serious) => {
            let state = if serious.reported_at.is_some() {
                ClockState::Met
            } else {
                incident
                    .clocks
                    .iter()
                    .find(|clock| clock.kind == ClockKind::Article73)
                    .map_or(ClockState::Running, |clock| clock.state)
            };
            let missing = serious.missing.iter().map(|what| view! { <li>{what.clone()}</li> });
            let list = (!serious.missing.is_empty()).then(|| view! { <p class="t2">"Still missing for the report:"</p><ul class="plain">{missing.collect_view()}</ul> });
            view! { <p><b>{serious.kind.label()}</b>", "{clock_words(ClockKind::Article73, state, &serious.due_at)}"."</p>{list} }.into_any()
        }
        None => {
            let form = acts.then(|| {
                let body = gql::body::<MarkIncidentSerious>(mark_incident_serious::Variables { id: incident.id.clone(), kind: None });
                let kinds = SeriousKind::ALL.iter().map(|kind| (kind.as_str().to_owned(), kind.label().to_owned()));
                view! { <form class="form-line" method="post" data-act=body data-done="The deadline of Article 73 runs">{c::choice("kind", "Mark as serious", kinds.collect(), "")}<button class="btn">"Mark"</button><p class="err" role="alert"></p></form> }
            });
            view! { <p class="muted">"Not marked as a serious incident."</p>{form} }.into_any()
        }
    };
    c::section("h-serious", "EU AI Act, Article 73", String::new(), c::none(), content)
}

fn evidence(incident: &Incident, acts: bool) -> AnyView {
    let findings = incident.findings.iter().take(10).map(|finding| view! { <li><a class="link" href=c::finding_url(&finding.id)>{c::text(&finding.title)}</a>" "{c::severity(finding.severity)}</li> });
    let links = incident.links.iter().map(|link| view! { <li><a class="link" href=link.url.clone() rel="external noreferrer noopener" target="_blank">{c::text(&link.title)}</a></li> });
    let none = (incident.findings.is_empty() && incident.links.is_empty())
        .then(|| view! { <p class="muted">"No finding and no ticket yet."</p> });
    let form = acts.then(|| {
        let body = gql::body::<LinkIncident>(link_incident::Variables { id: incident.id.clone(), title: String::new(), url: String::new() });
        view! {
            <form class="form-line" method="post" data-act=body data-done="Linked">
                <div class="field"><label for="f-link">"Ticket"</label><input class="input" id="f-link" name="title" required maxlength="300" placeholder="SEC-1042" autocomplete="off"/><p class="err" role="alert"></p></div>
                <div class="field"><label for="f-url">"Address"</label><input class="input" id="f-url" name="url" type="url" required maxlength="2000" placeholder="https://…" autocomplete="off"/><p class="err" role="alert"></p></div>
                <button class="btn">"Link"</button></form>
        }
    });
    let content = view! { <ul class="plain">{findings.collect_view()}{links.collect_view()}</ul>{none}{form} };
    c::section("h-evidence", "Findings and tickets", String::new(), c::none(), content.into_any())
}

fn timeline(incident: &Incident, acts: bool) -> AnyView {
    let comment = acts.then(|| {
        let body = gql::body::<CommentIncident>(comment_incident::Variables { id: incident.id.clone(), text: String::new() });
        view! { <form class="comment decide" method="post" data-act=body data-done="Written"><input class="input" name="text" aria-label="Comment" placeholder="Write a comment (e)" required maxlength="4000" autocomplete="off"/><button class="btn">"Send"</button><p class="err" role="alert"></p></form> }
    });
    let lines = incident.timeline.nodes.iter().map(|line| {
        let markup = match line.kind {
            EntryKind::BuildTime => icons::BUG,
            EntryKind::Runtime => icons::ACTIVITY,
            EntryKind::Status => icons::FLAG,
            EntryKind::Decision => icons::USER,
            EntryKind::Action => icons::WRENCH,
            EntryKind::Clock => icons::CLOCK_ALERT,
            EntryKind::Comment => icons::MESSAGE_SQUARE_TEXT,
        };
        let at = format::seconds(&line.at).unwrap_or_default();
        let day = (format::iso_day(at) != format::iso_day(c::now())).then(|| view! { " "<span class="muted">{format::day_month(at)}</span> });
        let text = if line.kind == EntryKind::Comment { view! { <b>{c::text(&line.actor)}</b>": "{c::text(&line.text)} }.into_any() } else { c::text(&line.text) };
        let proof = line.evidence.as_ref().and_then(|evidence| evidence.get("event")).and_then(serde_json::Value::as_str)
            .map(|id| view! { " "<a class="link" href=format!("/runtime/events/{}", crate::url::encode(&format!("event:{id}")))>"event"</a> });
        view! { <li><time datetime=line.at.clone() title=format::date_time(at)>{format::clock(at)}</time>{icon(markup)}<div><span class="vh">{line.kind.label()}": "</span>{text}{proof}{day}</div></li> }
    });
    let total = incident.timeline.total_count;
    let shown = i64::try_from(incident.timeline.nodes.len()).unwrap_or_default();
    let aside =
        if total > shown { format!("UTC, newest first, {shown} of {total}") } else { "UTC, newest first".to_owned() };
    let content = view! { {comment}<ol class="tl">{lines.collect_view()}</ol> };
    c::section("h-tl", "Timeline", aside, c::none(), content.into_any())
}
