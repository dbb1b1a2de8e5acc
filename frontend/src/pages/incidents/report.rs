//! The post-incident report, to be printed.

use leptos::prelude::*;

use super::{PATH, name, url};
use crate::{
    components as c, format,
    gql::{IncidentDetail, incident_detail as data},
    layout,
    load::load,
};

/// `/incidents/:id/report`
pub fn report(id: String) -> AnyView {
    load::<IncidentDetail>(
        "The report",
        c::table_skeleton,
        move || data::Variables { id: id.clone() },
        |data| data.incident.map_or_else(crate::pages::not_found, |incident| page(&incident)),
    )
}

fn page(incident: &data::IncidentDetailIncident) -> AnyView {
    let after =
        |at: &Option<String>| match at.as_deref().and_then(format::seconds).zip(format::seconds(&incident.opened_at)) {
            Some((at, opened)) => format!("{}, after {}", format::date_time(at), format::span((at - opened).max(0))),
            None => "not yet".to_owned(),
        };
    let section = |title: &'static str, text: &str| {
        let text = if text.is_empty() {
            view! { <p class="muted">"Nothing was written."</p> }.into_any()
        } else {
            view! { <p class="pre">{c::text(text)}</p> }.into_any()
        };
        view! { <section class="sec"><h2>{title}</h2>{text}</section> }
    };
    let clocks = incident.clocks.iter().map(|clock| {
        let due = format::seconds(&clock.due_at).map(format::date_time).unwrap_or_default();
        let done = clock.done_at.as_deref().and_then(format::seconds).map_or_else(|| "–".to_owned(), format::date_time);
        view! { <tr class="row"><td>{clock.kind.label()}</td><td>{due}</td><td>{done}</td><td>{clock.state.label()}</td></tr> }
    });
    let lines = incident.timeline.nodes.iter().rev().map(|line| {
        let at = format::seconds(&line.at).map(format::date_time).unwrap_or_default();
        view! { <tr class="row"><td class="mono">{at}</td><td class="u-wrap">{c::text(&line.text)}</td><td>{c::text(&line.actor)}</td></tr> }
    });
    let assets = incident
        .assets
        .iter()
        .map(|asset| view! { <li>{c::text(&asset.name)}" "<span class="muted">{asset.kind.label()}</span></li> });
    let total = incident.timeline.total_count;
    let shown = i64::try_from(incident.timeline.nodes.len()).unwrap_or_default();
    let cut = (total > shown)
        .then(|| view! { <p class="muted">{format!("The newest {shown} of {total} lines; all are in the API.")}</p> });
    view! {
        {layout::top(Some(("Incidents", PATH)), &format!("{} report", name(incident.number)), view! { <a class="btn sm" href=url(&incident.id)>"Back"</a> }.into_any())}
        <div class="page stack print">
            <div><p class="answer"><b>{c::text(&incident.title)}</b></p>
                <p class="meta"><span>{c::severity(incident.severity)}</span><span>{incident.status.label()}</span><span>"opened by "{c::text(&incident.opened_by)}</span><span><b>{format::count(incident.event_count)}</b>" events"</span></p></div>
            <dl class="kv"><dt>"Opened"</dt><dd>{format::seconds(&incident.opened_at).map(format::date_time)}</dd><dt>"Triaged"</dt><dd>{after(&incident.triaged_at)}</dd><dt>"Contained"</dt><dd>{after(&incident.contained_at)}</dd><dt>"Closed"</dt><dd>{after(&incident.closed_at)}</dd></dl>
            {section("What happened", &incident.summary)}{section("Root cause", &incident.root_cause)}{section("Lessons", &incident.lessons)}
            <section class="sec"><h2>"What it touched"</h2><ul>{assets.collect_view()}</ul></section>
            <section class="sec"><h2>"Clocks"</h2><div class="tbl"><table><thead><tr>{c::head("Clock", "", "")}{c::head("Due", "", "")}{c::head("Stopped", "", "")}{c::head("State", "", "")}</tr></thead><tbody>{clocks.collect_view()}</tbody></table></div></section>
            <section class="sec"><h2>"Timeline"</h2><div class="tbl"><table><thead><tr>{c::head("Time", "w", "160px")}{c::head("What", "", "")}{c::head("By", "w", "160px")}</tr></thead><tbody>{lines.collect_view()}</tbody></table></div>{cut}</section>
        </div>
    }
    .into_any()
}
