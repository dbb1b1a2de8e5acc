//! The library: what there is, what starts it, how it went last.

use leptos::prelude::*;

use super::{may, part, playbook_url, run_url, status, table};
use crate::{
    components as c, format,
    gql::{PlaybookList, playbook_list as data},
    icons::{self, icon},
    load::load,
};

type Playbook = data::PlaybookListPlaybooks;

/// `/playbooks`
pub fn library() -> AnyView {
    let page = load::<PlaybookList>(
        "The playbooks",
        c::table_skeleton,
        || data::Variables {},
        |data| content(&data.playbooks),
    );
    let button = may("playbook:write")
        .then(|| view! { <a class="btn primary sm" href="/playbooks/new">{icon(icons::PLUS)}"New playbook"</a> });
    part("", button.into_any(), view! { <div class="page stack">{page}</div> }.into_any())
}

fn content(playbooks: &[Playbook]) -> AnyView {
    let enabled = playbooks.iter().filter(|playbook| playbook.enabled).count();
    let all = format::counted(i64::try_from(playbooks.len()).unwrap_or_default(), "playbook", "playbooks");
    let (head, tail) = match enabled {
        0 => (format!("None of {all} starts by itself"), "; people start them from an incident."),
        1 => (format!("1 of {all} starts by itself"), " when an incident fits it."),
        n => (format!("{n} of {all} start by themselves"), " when an incident fits them."),
    };
    let heads = view! { {c::head("Playbook", "", "")}{c::head("Starts", "w", "104px")}{c::head("Sources", "p2 w", "22%")}{c::head("Last run", "p1 w", "168px")}{c::head("Version", "num w", "76px")} };
    let rows = playbooks.iter().map(row).collect_view();
    view! { <p class="answer"><b>{head}</b>{tail}</p>{table("Playbooks", heads.into_any(), rows.into_any())} }
        .into_any()
}

fn row(playbook: &Playbook) -> AnyView {
    let own = (!playbook.built_in).then(|| view! { " "<span class="tag">"own"</span> });
    let starts = match (&playbook.trigger, playbook.enabled) {
        (Some(when), true) => view! { <span class="state on" title=c::clean(when)>"by itself"</span> }.into_any(),
        (Some(when), false) => view! { <span class="state muted" title=c::clean(when)>"by hand"</span> }.into_any(),
        (None, _) => view! { <span class="state muted">"by hand only"</span> }.into_any(),
    };
    let keys = playbook.sources.iter().map(|source| c::clean(&source.key)).collect::<Vec<_>>().join(", ");
    let ids = playbook.sources.iter().take(3).map(|source| c::clean(&source.id)).collect::<Vec<_>>().join(", ");
    let more = playbook.sources.len().saturating_sub(3);
    let more = (more > 0).then(|| format!(" +{more}"));
    let last = playbook.runs.first().map(|run| {
        view! { <a href=run_url(&run.id)>{status(run.status, run.dry_run)}" "<span class="muted">{c::age(&run.started_at)}</span></a> }
    });
    view! {
        <tr class="row"><td><a href=playbook_url(&playbook.id)>{c::text(&playbook.title)}{own}</a><div class="t2 cut" title=c::clean(&playbook.summary)>{c::text(&playbook.summary)}</div></td>
            <td>{starts}</td><td class="p2"><span class="id muted" title=keys>{ids}{more}</span></td><td class="p1">{last}</td><td class="num muted">{playbook.version}</td></tr>
    }
    .into_any()
}
