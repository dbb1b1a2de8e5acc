//! What an incident is about: findings, assets, runs, events and tickets; and taking a part of it elsewhere.

use leptos::prelude::*;
use stance_shared::IncidentStatus;

use super::{Incident, line, name, url};
use crate::{
    components as c, format,
    gql::{
        self, IncidentChoices, LinkIncident, MergeIncidents, SplitIncident, incident_choices, link_incident,
        merge_incidents, split_incident,
    },
    load::load,
    pages::runtime,
    url::Params,
};

/// Rows of a kind that are shown at once; the others unfold.
const ROWS: usize = 6;

/// All that belongs to it, by kind.
pub fn panel(incident: &Incident) -> AnyView {
    let findings = incident.findings.iter().map(|finding| {
        view! { <li class="row">{c::severity(finding.severity)}<a class="cut" href=c::finding_url(&finding.id) title=c::clean(&finding.title)>{c::text(&finding.title)}</a><span>{c::status(finding.status)}</span></li> }.into_any()
    });
    let assets = incident.assets.iter().map(|asset| {
        view! { <li class="row">{c::asset(&asset.id, asset.kind, &asset.name)}<span class="muted">{asset.kind.label()}</span></li> }.into_any()
    });
    let sessions = incident.sessions.iter().map(|session| {
        view! { <li class="row"><a class="cut" href=runtime::session_url(&session.id)>"Run "<span class="mono">{c::text(&session.name)}</span></a><span class="muted cut">{c::text(&session.agent.name)}</span>{runtime::verdict(session.worst_verdict)}<span class="muted">{c::ago(&session.last_at)}</span></li> }.into_any()
    });
    let events = incident.events.iter().map(|event| {
        let what = runtime::call(event.kind, event.tool_server.as_deref(), event.tool.as_deref(), event.model.as_deref());
        view! { <li class="row">{runtime::verdict(event.verdict)}<a class="cut" href=runtime::event_url(&event.id)>{c::text(&what)}</a><span class="muted">{event.kind.label()}</span><span class="muted">{c::ago(&event.at)}</span></li> }.into_any()
    });
    let sample = i64::try_from(incident.events.len()).unwrap_or_default();
    let events_label = if incident.event_count > sample {
        format!("Events: the newest {} of {}", format::count(sample), format::count(incident.event_count))
    } else {
        "Events".to_owned()
    };
    let lists = [
        list("Findings".to_owned(), findings.collect()),
        list("Assets".to_owned(), assets.collect()),
        list("Runs of agents".to_owned(), sessions.collect()),
        list(events_label, events.collect()),
    ];
    let nothing = incident.findings.is_empty()
        && incident.assets.is_empty()
        && incident.sessions.is_empty()
        && incident.events.is_empty();
    let nothing = nothing.then(|| view! { <p class="muted t-row">"Nothing belongs to it yet. Open it from a finding or a run, or attach items by the API."</p> });
    let content = view! { {nothing}{lists.into_iter().collect_view()} };
    c::section("h-about", "What it is about", "", c::none(), content.into_any())
}

fn list(label: String, mut rows: Vec<AnyView>) -> AnyView {
    if rows.is_empty() {
        return c::none();
    }
    let count = rows.len();
    let rest = rows.split_off(count.min(ROWS));
    let more = (!rest.is_empty()).then(|| {
        view! { <details class="more"><summary>{format!("{} more", rest.len())}</summary><ul class="list">{rest}</ul></details> }
    });
    view! { <h3 class="of-kind">{label}" "<span class="muted">{count}</span></h3><ul class="list">{rows}</ul>{more} }
        .into_any()
}

/// Tickets elsewhere, and linking another one.
pub fn tickets(incident: &Incident, acts: bool) -> AnyView {
    let links = incident.links.iter().map(|link| {
        let host = link.url.split('/').nth(2).unwrap_or_default().to_owned();
        view! { <li class="row"><a class="cut link" href=link.url.clone() rel="external noreferrer noopener" target="_blank">{c::text(&link.title)}</a><span class="muted cut">{c::text(&host)}</span></li> }
    });
    let none = incident.links.is_empty().then(|| view! { <p class="muted t-row">"No ticket is linked."</p> });
    let form = acts.then(|| {
        let body = gql::body::<LinkIncident>(link_incident::Variables { id: incident.id.clone(), title: String::new(), url: String::new() });
        view! {
            <details class="menu to-end"><summary class="btn sm" data-key="l">"Link a ticket… "<kbd>"l"</kbd></summary>
                <form class="pop padded wide" method="post" data-act=body data-done="Linked"><div class="form">
                    <div class="field"><label for="f-link">"Ticket"</label><input class="input" id="f-link" name="title" required maxlength="300" placeholder="SEC-1042" autocomplete="off"/><p class="err" role="alert"></p></div>
                    <div class="field"><label for="f-url">"Address"</label><input class="input" id="f-url" name="url" type="url" required maxlength="2000" placeholder="https://…" autocomplete="off"/><p class="err" role="alert"></p></div>
                    <div class="actions"><button class="btn primary sm">"Link"</button></div><p class="err" role="alert"></p></div></form></details>
        }
    });
    let content = view! { <ul class="list">{links.collect_view()}</ul>{none} };
    c::section("h-tickets", "Tickets", "elsewhere", form.into_any(), content.into_any())
}

/// Making it part of another incident that is not closed.
pub fn merge(incident: &Incident) -> AnyView {
    let open = IncidentStatus::ALL.iter().copied().filter(|status| *status != IncidentStatus::Closed).collect();
    let filter = incident_choices::IncidentFilter {
        status: Some(open),
        severity: None,
        assignee: None,
        unassigned: None,
        overdue: None,
        serious: None,
        rule: None,
        search: None,
        asset: None,
        finding: None,
        session: None,
    };
    let (id, here) = (incident.id.clone(), url(&incident.id));
    load::<IncidentChoices>(
        "The incidents",
        c::none,
        move || incident_choices::Variables { filter: Some(filter.clone()) },
        move |data| {
            let options: Vec<_> = data
                .incidents
                .nodes
                .into_iter()
                .filter(|other| other.id != id)
                .map(|other| (other.id, format!("{} {}", name(other.number), c::clean(&other.title))))
                .collect();
            if options.is_empty() {
                return view! { <p class="note">"There is no other open incident."<a class="btn sm" href=here.clone() data-noscroll="">"Back"</a></p> }.into_any();
            }
            let body =
                gql::body::<MergeIncidents>(merge_incidents::Variables { into: String::new(), ids: vec![id.clone()] });
            let form = view! {
                <form class="form" method="post" data-act=body data-done="Merged" data-then="/incidents/{/mergeIncidents/id}">
                    {c::choice("into", "It becomes part of", options, "")}
                    <p class="hint muted">"This one is closed; its timeline is told there, and all that belongs to it goes along."</p>
                    <div class="actions"><button class="btn primary">"Merge"</button><a class="btn" href=here.clone() data-noscroll="">"Cancel"</a></div><p class="err" role="alert"></p></form>
            };
            c::section("h-merge", "Merge into another incident", "", c::none(), form.into_any())
        },
    )
}

/// Taking a part of it out into a new incident.
pub fn split(incident: &Incident) -> AnyView {
    let here = url(&incident.id);
    let boxes = |field: &'static str, legend: &'static str, items: Vec<(String, String)>| {
        (!items.is_empty()).then(|| {
            let rows = items.into_iter().map(|(id, label)| {
                view! { <label class="check"><input type="checkbox" name=field value=id data-as="list"/><span class="cut" title=c::clean(&label)>{c::text(&label)}</span></label> }
            });
            view! { <fieldset class="field"><legend>{legend}</legend><div class="boxes">{rows.collect_view()}</div></fieldset> }
        })
    };
    let findings = incident.findings.iter().map(|finding| (finding.id.clone(), finding.title.clone())).collect();
    let assets = incident.assets.iter().map(|asset| (asset.id.clone(), asset.name.clone())).collect();
    let sessions = incident.sessions.iter().map(|session| (session.id.clone(), session.name.clone())).collect();
    let body = gql::body::<SplitIncident>(split_incident::Variables {
        id: incident.id.clone(),
        title: String::new(),
        assets: None,
        findings: None,
        sessions: None,
        events: None,
    });
    let form = view! {
        <form class="form" method="post" data-act=body data-done="Split" data-then="/incidents/{/splitIncident/id}">
            {line("title", "Title of the new incident", "", true)}
            {boxes("findings", "Findings", findings)}{boxes("assets", "Assets", assets)}{boxes("sessions", "Runs of agents", sessions)}
            <div class="actions"><button class="btn primary">"Split"</button><a class="btn" href=here data-noscroll="">"Cancel"</a></div><p class="err" role="alert"></p></form>
    };
    c::section("h-split", "Take a part out into a new incident", "", c::none(), form.into_any())
}

/// The links to merging and splitting.
pub fn menu(incident: &Incident) -> AnyView {
    let here = url(&incident.id);
    let to = |what: &str| Params::default().with("do", what).on(&here);
    view! {
        <details class="menu to-end"><summary class="btn quiet sm" data-key="m">"More "<kbd>"m"</kbd></summary>
            <div class="pop"><a class="item" href=to("edit") data-noscroll="">"Change title and summary…"</a><a class="item" href=to("merge") data-noscroll="">"Merge into another incident…"</a><a class="item" href=to("split") data-noscroll="">"Take a part out…"</a></div></details>
    }
    .into_any()
}

/// That it became part of another one.
pub fn merged(incident: &Incident) -> AnyView {
    let into = incident.merged_into.as_ref();
    into.map(|into| view! { <div class="note"><div>"It became part of "<a class="link" href=url(&into.id)>{name(into.number)}" "{c::text(&into.title)}</a>" and goes on there."</div></div> }).into_any()
}
