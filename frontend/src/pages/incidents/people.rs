//! Who has an incident, and who hears of it.

use leptos::prelude::*;

use super::{Incident, severities};
use crate::{
    components as c,
    gql::{
        self, AssignIncident, People, UpdateIncident, WatchIncident, assign_incident, people, update_incident,
        watch_incident,
    },
    load::ask,
    state,
};

/// Assigning and grading, in the bar of actions.
pub fn menus(incident: &Incident) -> AnyView {
    let viewer = state::viewer().user;
    let (id, current) = (incident.id.clone(), incident.assignee.as_ref().map(|user| user.id.clone()));
    let assign = ask::<People>("The people", || people::Variables {}).part(move |data| {
        let to = |who: Option<String>| with_null(gql::body::<AssignIncident>(assign_incident::Variables { id: id.clone(), assignee: who }), "assignee");
        let mine = viewer.clone().filter(|me| Some(me) != current.as_ref()).map(|me| {
            view! { <button class="item" type="button" data-act=to(Some(me)) data-done="It is yours">"Take it"</button> }
        });
        let nobody = current.is_some().then(|| {
            view! { <button class="item" type="button" data-act=to(None) data-done="Nobody has it">"Nobody"</button> }
        });
        let others = data.members.into_iter().filter(|member| Some(&member.user.id) != current.as_ref() && Some(&member.user.id) != viewer.as_ref());
        let others = others.map(|member| {
            view! { <button class="item" type="button" data-act=to(Some(member.user.id)) data-done="Assigned">{c::text(&member.user.name)}</button> }
        });
        view! { <details class="menu"><summary class="btn sm" data-key="a">"Assign "<kbd>"a"</kbd></summary><div class="pop tall"><h3>"Who leads it"</h3>{mine}{others.collect_view()}{nobody}</div></details> }
            .into_any()
    });
    let body = |severity: &str| {
        let variables = update_incident::Variables {
            id: incident.id.clone(),
            title: None,
            severity: severity.parse().ok(),
            summary: None,
        };
        gql::body::<UpdateIncident>(variables)
    };
    let grades =
        severities().into_iter().filter(|(word, _)| word != incident.severity.as_str()).map(|(word, label)| {
            let done = format!("The severity is {}", label.to_lowercase());
            view! { <button class="item" type="button" data-act=body(&word) data-done=done>{label}</button> }
        });
    view! {
        {assign}
        <details class="menu"><summary class="btn sm" data-key="s">"Severity "<kbd>"s"</kbd></summary><div class="pop"><h3>"How bad it is"</h3>{grades.collect_view()}</div></details>
    }
    .into_any()
}

/// `null` differs from what is left out: it takes the value away.
fn with_null(body: String, name: &str) -> String {
    let Ok(mut parsed) = serde_json::from_str::<serde_json::Value>(&body) else { return body };
    if parsed["variables"].get(name).is_none() {
        parsed["variables"][name] = serde_json::Value::Null;
    }
    parsed.to_string()
}

/// Lead and watchers.
pub fn panel(incident: &Incident, acts: bool) -> AnyView {
    let me = state::viewer().user;
    let watching = me.as_ref().is_some_and(|user| incident.watchers.iter().any(|watcher| watcher.id == *user));
    let watchers = match incident.watchers.as_slice() {
        [] => "nobody".to_owned(),
        some => some.iter().map(|user| c::clean(&user.name)).collect::<Vec<_>>().join(", "),
    };
    // Only people hear of things.
    let watch = me.filter(|_| acts).map(|_| {
        let body = gql::body::<WatchIncident>(watch_incident::Variables { id: incident.id.clone(), watch: !watching });
        let (label, done) = if watching { ("Stop watching", "You do not watch it any more") } else { ("Watch", "You watch it") };
        view! { <button class="btn quiet sm" type="button" data-act=body data-done=done data-key="w">{label}" "<kbd>"w"</kbd></button> }
    });
    let who = incident.assignee.as_ref().map_or_else(|| "nobody".to_owned(), |user| c::clean(&user.name));
    let content =
        view! { <dl class="facts"><dt>"Lead"</dt><dd>{who}</dd><dt>"Watched by"</dt><dd>{watchers}</dd></dl> };
    c::section("h-people", "People", "watchers hear of every change", watch.into_any(), content.into_any())
}
