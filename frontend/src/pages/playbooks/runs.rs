//! All runs, newest first.

use leptos::prelude::*;

use super::{part, run_url, status, table};
use crate::{
    components::{self as c, none},
    gql::{PlaybookRunList, playbook_run_list as data},
    load::load,
    url::Params,
};

type Runs = data::PlaybookRunListPlaybookRuns;

/// `/playbooks/runs`
pub fn runs(params: Params) -> AnyView {
    let after = params.get("after").map(str::to_owned);
    let variables = move || data::Variables { first: Some(50), after: after.clone() };
    let page = load::<PlaybookRunList>("The runs", c::table_skeleton, variables, |data| content(&data.playbook_runs));
    part("runs", none(), view! { <div class="page stack" data-follow="">{page}</div> }.into_any())
}

fn content(runs: &Runs) -> AnyView {
    if runs.nodes.is_empty() {
        let next = view! { <div class="actions"><a class="btn" href="/playbooks">"Open the library"</a></div> };
        return c::empty(
            "No run yet",
            "A playbook is run from an incident, by its trigger, or tried as a dry run.",
            next.into_any(),
        );
    }
    let waiting = runs.nodes.iter().filter(|run| run.progress.waiting.is_some()).count();
    let head = match waiting {
        0 => "No run waits for somebody".to_owned(),
        1 => "1 run waits for somebody".to_owned(),
        n => format!("{n} runs wait for somebody"),
    };
    let rows = runs.nodes.iter().map(|run| {
        let what = match &run.progress.waiting {
            Some(step) => view! { "waits: "{c::text(step)} }.into_any(),
            None => c::text(&run.reason),
        };
        let by = if run.triggered { "its trigger".to_owned() } else { c::clean(&run.started_by) };
        view! {
            <tr class="row"><td><a href=run_url(&run.id)>{c::text(&run.title)}</a>" "<span class="muted">"version "{run.version}</span></td><td>{status(run.status, run.dry_run)}</td>
                <td class="p1"><span class="cut">{what}</span></td><td class="p2"><span class="cut" title=by.clone()>{by.clone()}</span></td><td class="num muted">{c::age(&run.started_at)}</td></tr>
        }
    });
    let heads = view! { {c::head("Playbook", "", "")}{c::head("Status", "w", "104px")}{c::head("Where it stands", "p1 w", "34%")}{c::head("Started by", "p2 w", "168px")}{c::head("Began", "num w", "76px")} };
    let next = runs.page_info.end_cursor.as_ref().filter(|_| runs.page_info.has_next_page).map(|cursor| {
        let href = Params::default().with("after", cursor).on("/playbooks/runs");
        view! { <p><a class="btn sm" href=href>"Older runs"</a></p> }
    });
    view! { <p class="answer"><b>{head}</b>"."</p>{table("Runs", heads.into_any(), rows.collect_view().into_any())}{next} }.into_any()
}
