//! The post-incident report, to be read by people who were not there, and printed.

use leptos::prelude::*;

use super::{PATH, between, name, serious, url};
use crate::{
    components as c, format,
    gql::{IncidentReport, incident_report as data},
    icons::{self, icon},
    layout,
    load::load,
    pages::runtime::table,
};

type Incident = data::IncidentReportIncident;

/// `/incidents/:id/report`
pub fn report(id: String) -> AnyView {
    load::<IncidentReport>(
        "The report",
        c::table_skeleton,
        move || data::Variables { id: id.clone() },
        |data| data.incident.map_or_else(crate::pages::not_found, |incident| page(&incident)),
    )
}

fn page(incident: &Incident) -> AnyView {
    let title = format!("{} report", name(incident.number));
    let end = view! {
        <a class="btn sm" href=url(&incident.id) data-key="i">"Incident "<kbd>"i"</kbd></a>
        <button class="btn sm" type="button" data-copy=incident.report_markdown.clone()>{icon(icons::COPY)}"Copy as Markdown"</button>
    };
    view! {
        {layout::top(Some(("Incidents", PATH)), &title, end.into_any())}
        <article class="page report">
            <header><p class="muted t-row">{title.clone()}</p><h2 class="answer"><b>{c::text(&incident.title)}</b></h2>
                <p class="meta"><span>{c::severity(incident.severity)}</span><span><b>{incident.status.label()}</b></span><span>"opened by "<b>{c::text(&incident.opened_by)}</b></span><span>{format::counted(incident.event_count, "event", "events")}</span></p></header>
            {times(incident)}
            {section("What happened", &incident.summary)}{section("Root cause", &incident.root_cause)}{section("Lessons", &incident.lessons)}
            {touched(incident)}{authority(incident)}{clocks(incident)}{timeline(incident)}
        </article>
    }
    .into_any()
}

fn when(time: &str) -> String {
    format::seconds(time).map(format::date_time).unwrap_or_default()
}

fn times(incident: &Incident) -> AnyView {
    let reached = |label: &'static str, at: Option<&String>| {
        let after = at
            .filter(|at| **at != incident.opened_at)
            .and_then(|at| between(&incident.opened_at, at))
            .map(|took| format!("after {}", format::span(took)));
        let at = at.map_or_else(|| "not yet".to_owned(), |at| when(at));
        view! { <div><dt>{label}</dt><dd>{at}<small>{after}</small></dd></div> }
    };
    view! { <dl class="reached">{reached("Opened", Some(&incident.opened_at))}{reached("Triaged", incident.triaged_at.as_ref())}{reached("Contained", incident.contained_at.as_ref())}{reached("Closed", incident.closed_at.as_ref())}</dl> }.into_any()
}

fn section(title: &'static str, text: &str) -> AnyView {
    let text = if text.is_empty() {
        view! { <p class="muted">"Nothing was written."</p> }.into_any()
    } else {
        view! { <p class="lines">{c::text(text)}</p> }.into_any()
    };
    view! { <section><h3>{title}</h3>{text}</section> }.into_any()
}

fn touched(incident: &Incident) -> AnyView {
    let assets = incident.assets.iter().map(|asset| view! { <li>{c::asset(&asset.id, asset.kind, &asset.name)}" "<span class="muted">{asset.kind.label()}</span></li> });
    let none = incident.assets.is_empty().then(|| view! { <p class="muted">"No asset is named."</p> });
    view! { <section><h3>"What it touched"</h3><ul>{assets.collect_view()}</ul>{none}</section> }.into_any()
}

/// What goes to the market surveillance authority.
fn authority(incident: &Incident) -> AnyView {
    let Some(report) = &incident.serious else { return c::none() };
    let reported = report
        .reported_at
        .as_deref()
        .map_or_else(|| format!("due {}", when(&report.due_at)), |at| format!("reported {}", when(at)));
    let parts = serious::PARTS.iter().map(|(part, label)| {
        let text = report.report.get(*part).and_then(serde_json::Value::as_str).unwrap_or_default();
        let text =
            if text.is_empty() { view! { <span class="muted">"missing"</span> }.into_any() } else { c::text(text) };
        view! { <dt>{*label}</dt><dd class="lines">{text}</dd> }
    });
    view! {
        <section><h3>"Serious incident (EU AI Act, Article 73)"</h3>
            <p>{report.kind.label()}", aware of it since "{when(&report.aware_at)}", "{reported}"."</p>
            <dl class="kv">{parts.collect_view()}</dl></section>
    }
    .into_any()
}

fn clocks(incident: &Incident) -> AnyView {
    let rows = incident.clocks.iter().map(|clock| {
        let done = clock.done_at.as_deref().map_or_else(|| "–".to_owned(), when);
        view! { <tr class="row"><td>{clock.kind.label()}</td><td>{when(&clock.due_at)}</td><td>{done}</td><td>{clock.state.label()}</td></tr> }
    });
    let heads = view! { {c::head("Clock", "", "")}{c::head("Due", "w", "30%")}{c::head("Stopped", "w", "30%")}{c::head("State", "w", "96px")} };
    view! { <section><h3>"Clocks"</h3>{table("Clocks", heads.into_any(), rows.collect_view().into_any())}</section> }
        .into_any()
}

fn timeline(incident: &Incident) -> AnyView {
    let lines = incident.timeline.nodes.iter().rev().map(|line| {
        view! { <li><time datetime=line.at.clone()>{when(&line.at).trim_end_matches(" UTC").to_owned()}</time><span class="lines">{c::text(&line.text)}</span><span class="muted">{c::text(&line.actor)}</span></li> }
    });
    let total = incident.timeline.total_count;
    let shown = i64::try_from(incident.timeline.nodes.len()).unwrap_or_default();
    let cut = (total > shown).then(
        || view! { <p class="muted">{format!("The newest {shown} of {total} lines; the Markdown has more.")}</p> },
    );
    view! { <section><h3>"Timeline, UTC"</h3>{cut}<ol class="told">{lines.collect_view()}</ol></section> }.into_any()
}
