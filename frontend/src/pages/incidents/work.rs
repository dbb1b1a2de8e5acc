//! What is being done about an incident: containments and runs of playbooks.

use leptos::prelude::*;
use stance_shared::{AssetKind, PlaybookRunStatus};

use super::{Incident, may, url};
use crate::{
    components as c,
    gql::{
        self, IncidentRuns, PlaybookList, PlaybookRunDetail, RunPlaybook, containment_list, incident_runs as data,
        playbook_list, playbook_run_detail, run_playbook,
    },
    icons::{self, icon},
    load::{ask, load},
    pages::{playbooks, runtime::containment},
    url::Params,
};

type Run = data::IncidentRunsPlaybookRunsNodes;

/// Who is contained because of the incident, and containing one of its agents.
pub fn containments(incident: &Incident, params: &Params) -> AnyView {
    let here = url(&incident.id);
    let agents: Vec<_> = incident.assets.iter().filter(|asset| asset.kind == AssetKind::Agent).collect();
    let order = |agent: &str| Params::default().with("contain", agent).on(&here);
    let button = if may("agent:quarantine") && incident.merged_into.is_none() {
        match agents.as_slice() {
            [] => c::none(),
            [one] => view! { <a class="btn sm" href=order(&one.id) data-key="q" data-noscroll="">{icon(icons::BAN)}<span class="cut">{format!("Quarantine {}…", c::clean(&one.name))}</span><kbd>"q"</kbd></a> }.into_any(),
            all => {
                let items = all.iter().map(|one| view! { <a class="item" href=order(&one.id) data-noscroll="">{c::text(&one.name)}</a> });
                view! { <details class="menu to-end"><summary class="btn sm" data-key="q">{icon(icons::BAN)}"Quarantine… "<kbd>"q"</kbd></summary><div class="pop tall"><h3>"Which agent"</h3>{items.collect_view()}</div></details> }.into_any()
            }
        }
    } else {
        c::none()
    };
    let filter = containment_list::ContainmentFilter { agent: None, incident: Some(incident.id.clone()), open: None };
    let nothing = if agents.is_empty() {
        "No agent belongs to this incident, so there is nobody to contain."
    } else {
        "Nobody is contained because of it."
    };
    let asked = params
        .get("contain")
        .map(|agent| containment::contain(agent.to_owned(), Some(incident.id.clone()), here.clone()));
    let list = containment::panels(filter, nothing, here.clone(), params.get("release").map(str::to_owned));
    let content = view! { {asked}<div class="nested">{list}</div> };
    c::section("h-containment", "Containment", "", button, content.into_any())
}

/// The runs for the incident: the newest that is under way with its steps, the others as lines.
pub fn runs(incident: &Incident) -> AnyView {
    if !may("playbook:read") {
        return c::none();
    }
    let id = incident.id.clone();
    let start = (may("playbook:run") && incident.merged_into.is_none()).then(|| start(incident.id.clone()));
    let list = load::<IncidentRuns>(
        "The runs",
        c::none,
        move || data::Variables { id: id.clone() },
        |data| {
            let nodes = &data.playbook_runs.nodes;
            if nodes.is_empty() {
                return view! { <p class="muted t-row">"No playbook was run for it."</p> }.into_any();
            }
            let going = |run: &Run| {
                !run.dry_run && matches!(run.status, PlaybookRunStatus::Running | PlaybookRunStatus::Paused)
            };
            let shown = nodes.iter().find(|run| going(run)).map(|run| run.id.clone());
            let lines = nodes.iter().filter(|run| Some(&run.id) != shown.as_ref()).map(line).collect_view();
            view! { {shown.map(steps)}<ul class="list">{lines}</ul> }.into_any()
        },
    );
    c::section("h-runs", "Playbook runs", "", start.into_any(), list)
}

fn line(run: &Run) -> AnyView {
    let progress = (!run.dry_run).then(|| format!("{} of {} steps", run.progress.done, run.progress.total));
    view! {
        <li class="row"><a class="cut" href=playbooks::run_url(&run.id)>{c::text(&run.title)}</a><span class="muted nowrap">"v"{run.version}</span>{playbooks::status(run.status, run.dry_run)}
            <span class="muted">{progress}" "{c::ago(&run.started_at)}</span></li>
    }
    .into_any()
}

fn steps(id: String) -> AnyView {
    load::<PlaybookRunDetail>(
        "The run",
        c::none,
        move || playbook_run_detail::Variables { id: id.clone() },
        |data| data.playbook_run.map_or_else(c::none, |run| playbooks::steps(&run)),
    )
}

/// Starting a run, or trying it without effect.
fn start(incident: String) -> AnyView {
    ask::<PlaybookList>("The playbooks", || playbook_list::Variables {}).part(move |data| {
        let body = |dry_run| {
            let variables = run_playbook::Variables {
                id: String::new(),
                incident: Some(incident.clone()),
                dry_run: Some(dry_run),
            };
            gql::body::<RunPlaybook>(variables)
        };
        // Those that the organization has turned on stand first.
        let mut playbooks = data.playbooks;
        playbooks.sort_by_key(|playbook| !playbook.enabled);
        let options: Vec<_> = playbooks.into_iter().map(|playbook| {
            let by_itself = if playbook.enabled { " · starts by itself" } else { "" };
            (playbook.id, format!("{}{by_itself}", c::clean(&playbook.title)))
        }).collect();
        view! {
            <details class="menu to-end"><summary class="btn sm" data-key="b">{icon(icons::BOOK_OPEN)}"Run a playbook… "<kbd>"b"</kbd></summary>
                <form class="pop padded wide" method="post" data-act=body(false) data-done="The playbook runs"><div class="form">
                    {c::choice("id", "Playbook", options, "")}
                    <div class="actions"><button class="btn primary sm">"Run"</button><button class="btn sm" type="button" data-act=body(true) data-done="Gone through without effect" data-then="/playbooks/runs/{/runPlaybook/id}">"Dry run"</button></div>
                    <p class="err" role="alert"></p></div></form></details>
        }
        .into_any()
    })
}
