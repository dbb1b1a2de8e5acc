//! The report of a serious incident to the market surveillance authority (EU AI Act, Article 73).

use leptos::prelude::*;
use stance_shared::{ClockKind, ClockState, SeriousKind};

use super::{Incident, area, clock_words, detail, url};
use crate::{
    components as c, format,
    gql::{self, MarkIncidentSerious, mark_incident_serious},
    url::Params,
};

type Serious = detail::IncidentDetailIncidentSerious;

/// The parts of the report that are not in the incident itself: name, label.
pub const PARTS: [(&str, &str); 6] = [
    ("provider", "Provider of the AI system, with a contact"),
    ("system", "AI system, with version and registration"),
    ("memberState", "Member State, and its market surveillance authority"),
    ("harm", "Who was harmed, and how"),
    ("causalLink", "How the AI system led to it, or why that is likely"),
    ("correctiveAction", "What was done, and what is planned"),
];

fn body(incident: &Incident, kind: Option<SeriousKind>, reported: Option<bool>) -> String {
    let part = |name: &str| {
        let text = incident.serious.as_ref().and_then(|serious| serious.report.get(name)?.as_str());
        Some(text.unwrap_or_default().to_owned())
    };
    gql::body::<MarkIncidentSerious>(mark_incident_serious::Variables {
        id: incident.id.clone(),
        kind,
        aware_at: None,
        reported,
        provider: part("provider"),
        system: part("system"),
        member_state: part("memberState"),
        harm: part("harm"),
        causal_link: part("causalLink"),
        corrective_action: part("correctiveAction"),
    })
}

/// Its panel on the incident's page. `edit`: the report is being written.
pub fn panel(incident: &Incident, acts: bool, edit: bool) -> AnyView {
    let content = match &incident.serious {
        Some(serious) => marked(incident, serious, acts, edit),
        None => unmarked(incident, acts),
    };
    c::section("h-serious", "Serious incident", "EU AI Act, Article 73", c::none(), content)
}

fn unmarked(incident: &Incident, acts: bool) -> AnyView {
    let kinds = SeriousKind::ALL.iter().map(|kind| {
        let days = match kind {
            SeriousKind::General => 15,
            SeriousKind::Death => 10,
            SeriousKind::Widespread => 2,
        };
        (kind.as_str().to_owned(), format!("{}: {days} days", kind.label()))
    });
    let since = vec![(String::new(), "now".to_owned()), (incident.opened_at.clone(), "when it was opened".to_owned())];
    let form = acts.then(|| {
        view! {
            <form class="form-line" method="post" data-act=body(incident, None, None) data-done="The deadline of Article 73 runs">
                {c::choice("kind", "Mark as", kinds.collect(), "")}<div class="slim">{c::choice("awareAt", "Aware of it since", since, "")}</div><button class="btn">"Mark"</button><p class="err" role="alert"></p></form>
        }
    });
    view! { <p class="muted t-row">"Not marked. A serious incident must be reported to the market surveillance authority within days of becoming aware of it."</p>{form} }.into_any()
}

fn marked(incident: &Incident, serious: &Serious, acts: bool, edit: bool) -> AnyView {
    let deadline = match serious.reported_at.as_deref() {
        Some(at) => view! { "reported "{c::ago(at)} }.into_any(),
        None => {
            let clock = incident.clocks.iter().find(|clock| clock.kind == ClockKind::Article73);
            clock_words(ClockKind::Article73, clock.map_or(ClockState::Running, |clock| clock.state), &serious.due_at)
        }
    };
    let due = format::seconds(&serious.due_at).map(format::date_time);
    let missing = serious.missing.iter().map(|what| view! { <li>{what.clone()}</li> });
    let missing = (!serious.missing.is_empty()).then(|| {
        view! { <details class="proof"><summary>{format!("The report lacks {}", format::counted(i64::try_from(serious.missing.len()).unwrap_or_default(), "part", "parts"))}</summary><ul class="bullets">{missing.collect_view()}</ul></details> }
    });
    let complete = (serious.missing.is_empty() && serious.reported_at.is_none())
        .then(|| view! { <p class="t-row">"The report is complete."</p> });
    let here = url(&incident.id);
    let actions = (acts && serious.reported_at.is_none() && !edit).then(|| {
        let done = serious.missing.is_empty().then(|| {
            view! { <button class="btn primary sm" type="button" data-act=body(incident, Some(serious.kind), Some(true)) data-done="Reported; the clock is stopped">"It was reported"</button> }
        });
        let href = Params::default().with("do", "article-73").on(&here);
        view! { <div class="actions">{done}<a class="btn sm" href=href data-noscroll="">"Write the report"</a><button class="btn quiet sm" type="button" data-act=body(incident, None, None) data-done="The mark is taken away">"Not serious"</button></div> }
    });
    let form = (acts && edit).then(|| {
        let fields = PARTS.iter().enumerate().map(|(i, (name, label))| {
            let value = serious.report.get(*name).and_then(serde_json::Value::as_str).unwrap_or_default();
            area(name, label, value, false, i == 0)
        });
        // Cleared fields are left out by the browser: so the body has none of them, and what is not sent becomes empty.
        let blank = Incident { serious: None, ..incident.clone() };
        view! {
            <form class="form" method="post" data-act=body(&blank, Some(serious.kind), None) data-done="Saved" data-then=here.clone()>{fields.collect_view()}
                <div class="actions"><button class="btn primary">"Save the report"</button><a class="btn" href=here.clone() data-noscroll="">"Cancel"</a></div><p class="err" role="alert"></p></form>
        }
    });
    view! { <p class="meta"><span><b>{serious.kind.label()}</b></span><span>{deadline}</span><span>"due "{due}</span></p>{complete}{missing}{actions}{form} }.into_any()
}
