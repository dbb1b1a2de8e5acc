//! The list: one line a finding, keys, selection, and the drawer beside it.

use leptos::{ev, prelude::*};
use leptos_router::hooks::use_location;

use super::{bulk, detail, filter};
use crate::{
    browser, components as c, format,
    gql::{FindingList, finding_list as data},
    icons::{self, icon},
    layout,
    load::load,
    state,
    url::Params,
};

/// What the list and its parts share.
#[derive(Clone, Copy)]
struct List {
    /// The address without the drawer.
    params: Memo<Params>,
    /// The finding in the drawer.
    open: Memo<Option<String>>,
    /// The findings whose boxes are checked.
    selected: RwSignal<Vec<String>>,
}

/// `/findings`
pub fn findings() -> AnyView {
    let search = use_location().search;
    let list = List {
        params: Memo::new(move |_| search.with(|s| Params::parse(s)).without("finding")),
        open: Memo::new(move |_| search.with(|s| Params::parse(s)).get("finding").map(str::to_owned)),
        selected: RwSignal::new(Vec::new()),
    };
    #[cfg(feature = "hydrate")]
    {
        let handle = window_event_listener(ev::keydown, move |event| on_key(&event, list));
        on_cleanup(move || handle.remove());
    }
    let variables = move || list.params.with(filter::variables);
    let drawer = move || list.open.get().map(|id| detail::drawer(id, list.params));
    view! {
        {top(list.params)}
        <div class="split" class:open=move || list.open.with(Option::is_some)>
            <div class="page flush">{load::<FindingList>("The findings", c::table_skeleton, variables, move |data| content(data, list))}</div>
            {drawer}
        </div>
        {bulk::bar(list.selected)}
    }
    .into_any()
}

fn top(params: Memo<Params>) -> AnyView {
    let viewer = state::viewer();
    let href = move |format: &str| {
        params.with(|p| p.only(&filter::FILTERS).with("format", format).on("/api/v1/findings/export"))
    };
    let export = viewer.can("finding:export").then(|| {
        view! {
            <details class="menu to-end">
                <summary class="btn sm">{icon(icons::DOWNLOAD)}<span class="wide">"Export"</span><span class="vh">"Export findings"</span></summary>
                <div class="pop"><a class="item" download="" href=move || href("csv")>"CSV"<span class="end">"this view"</span></a><a class="item" download="" href=move || href("ndjson")>"NDJSON"<span class="end">"this view"</span></a></div>
            </details>
        }
    });
    let import = viewer
        .can("report:import")
        .then(|| view! { <a class="btn sm" href="/imports">{icon(icons::FILE_UP)}"Import"</a> });
    layout::top(None, "Findings", view! { {export}{import} }.into_any())
}

fn content(data: data::ResponseData, list: List) -> AnyView {
    list.selected.set(Vec::new());
    if let Some(row) = browser::current_row() {
        browser::restore_row(row);
    }
    let params = list.params.get_untracked();
    let summary = &data.finding_summary;
    let total = data.findings.total_count;
    let all = summary.open + summary.in_progress + summary.resolved + summary.false_positive + summary.risk_accepted;
    let body = if data.findings.nodes.is_empty() {
        empty(&params, all)
    } else {
        let next = data.findings.page_info.end_cursor.clone().filter(|_| data.findings.page_info.has_next_page);
        let shown = data.findings.nodes.len();
        view! { {table(data.findings.nodes, list, &params)}{c::pager(filter::PATH, &params, shown, total, ("finding", "findings"), next)} }.into_any()
    };
    view! { <p class="answer">{answer(summary, &params)}</p>{filter::tabs(&params, summary)}{filter::bar(&params, summary)}{news()}{body} }.into_any()
}

fn answer(summary: &data::FindingListFindingSummary, params: &Params) -> AnyView {
    let severities = &summary.by_severity;
    let worst = [(severities.critical, "critical"), (severities.high, "high")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{} {word}", format::count(count)))
        .collect::<Vec<_>>()
        .join(" and ");
    let matching = if filter::is_filtered(params) { " match the filters" } else { "" };
    let open = format!("{}{matching}", format::counted(summary.open, "open finding", "open findings"));
    let worst = if worst.is_empty() { String::new() } else { format!(": {worst}") };
    let mine = (summary.mine > 0)
        .then(|| view! { ". "<a href="/findings?mine=true">{format::counted(summary.mine, "is", "are")}" yours"</a> });
    let progress = (summary.in_progress > 0).then(|| format!(", {} in progress", format::count(summary.in_progress)));
    view! { <b>{open}{worst}</b>{progress}{mine}"." }.into_any()
}

fn empty(params: &Params, all: i64) -> AnyView {
    if filter::is_filtered(params) {
        let clear = view! { <div class="actions"><a class="btn" href=params.only(&["status", "mine"]).on(filter::PATH)>"Clear all filters"</a></div> };
        return c::empty("No finding matches", "Take a filter away, or look in another view.", clear.into_any());
    }
    if all == 0 {
        let next = view! { {c::import_command()}<div class="actions"><a class="btn primary" href="/imports">{icon(icons::FILE_UP)}"Import files"</a></div> };
        return c::empty(
            "No findings yet",
            "Findings come from the reports of your scanners. Import one; its findings appear here a moment later.",
            next.into_any(),
        );
    }
    c::empty(
        "Nothing in this view",
        "Another view has what you look for.",
        view! { <div class="actions"><a class="btn" href="/findings?status=ALL">"All findings"</a></div> }.into_any(),
    )
}

/// New data announces itself; nothing moves before the reader asks for it.
fn news() -> AnyView {
    let app = state::app();
    let banner = move || {
        let changed = app.news.get().findings;
        (changed > 0).then(|| {
            view! { <button class="live" type="button" on:click=|_| state::refresh()>{icon(icons::ARROW_UP)}{format::counted(i64::from(changed), "finding", "findings")}" changed, show"</button> }
        })
    };
    view! { <div aria-live="polite">{banner}</div> }.into_any()
}

fn table(findings: Vec<data::FindingListFindingsNodes>, list: List, params: &Params) -> AnyView {
    let can_triage = state::viewer().can("finding:triage");
    let rows = findings.into_iter().map(|finding| row(finding, list, params, can_triage)).collect_view();
    let all = can_triage.then(|| {
        view! {
            <th class="w-check"><input type="checkbox" aria-label="Select all on this page" on:change=move |event| {
                browser::check_all_rows(event_target_checked(&event));
                list.selected.set(browser::checked_rows());
            }/></th>
        }
    });
    let sort = |label, key, class, width| c::sort_head(label, key, class, width, filter::PATH, params, "RISK");
    view! {
        <div class="tbl"><table>
            <caption class="vh">"Findings"</caption>
            <thead class="sticky"><tr>
                {all}
                {sort("Severity", "SEVERITY", "tbl-sev w", "92px")}
                {c::head("Finding", "", "")}
                {c::head("Asset", "c-asset w", "160px")}
                {c::head("Layer", "p3 w", "92px")}
                {c::head("Category", "p3 w", "104px")}
                {c::head("Tool", "p4 w", "128px")}
                {sort("Age", "FIRST_SEEN", "num p25 w", "64px")}
                {c::head("Assignee", "p3 w", "72px")}
                {sort("Risk", "RISK", "p1 c-share w", "104px")}
            </tr></thead>
            <tbody on:click=browser_row_click on:change=move |_| list.selected.set(browser::checked_rows())>{rows}</tbody>
        </table></div>
    }
    .into_any()
}

fn browser_row_click(event: ev::MouseEvent) {
    browser::extend_selection(&event);
    browser::open_row(&event);
}

fn row(finding: data::FindingListFindingsNodes, list: List, params: &Params, can_triage: bool) -> AnyView {
    let id = finding.id.clone();
    let current = Memo::new(move |_| list.open.with(|open| open.as_deref() == Some(&*id)));
    let href = params.with("finding", &finding.id).on(filter::PATH);
    let title = c::clean(&finding.title);
    let select = can_triage.then(|| view! { <td class="w-check"><input type="checkbox" value=finding.id.clone() aria-label=format!("Select {title}")/></td> });
    let category =
        finding.categories.first().map(|category| view! { <span class="id">{c::clean(&category.id)}</span> });
    let more_tools =
        finding.tools.len().checked_sub(1).filter(|more| *more > 0).map(|more| view! { <span>"+"{more}</span> });
    let assignee = match &finding.assignee {
        Some(user) => view! { <span class="avatar" role="img" aria-label=c::clean(&user.name) title=c::clean(&user.name)>{format::initials(&user.name)}</span> }.into_any(),
        None => view! { <span class="muted" title="Nobody assigned">"–"</span> }.into_any(),
    };
    let risk = finding.risk * 100.0;
    view! {
        <tr class="row" data-id=finding.id.clone() data-current=move || current.get().then_some("")>
            {select}
            <td class="tbl-sev">{c::severity(finding.severity)}</td>
            <td class="title" title=title><a href=href data-open="" data-noscroll="" aria-current=move || current.get().then_some("true")>{c::text(&finding.title)}</a></td>
            <td>{c::asset(&finding.asset.id, finding.asset.kind, &finding.asset.name)}</td>
            <td class="p3 muted">{finding.layer.label()}</td>
            <td class="p3">{category}</td>
            <td class="p4 muted"><span class="cell">{c::cut(finding.tools.first().map_or("–", String::as_str))}{more_tools}</span></td>
            <td class="num p25 muted">{c::age(&finding.first_seen)}</td>
            <td class="p3">{assignee}</td>
            <td class="p1 c-share"><span class="share"><span style=format!("--v:{risk:.0}")></span><span>{format::risk(risk)}</span></span></td>
        </tr>
    }
    .into_any()
}

#[cfg(feature = "hydrate")]
fn on_key(event: &ev::KeyboardEvent, list: List) {
    let Some(key) = browser::plain_key(event) else { return };
    let open = list.open.get_untracked();
    let url = |id: &str| list.params.with_untracked(|p| p.with("finding", id).on(filter::PATH));
    match key.as_str() {
        "j" | "k" => {
            let row = browser::move_row(if key == "j" { 1 } else { -1 });
            // With the drawer open it follows, so that a list can be read through.
            if let (Some(row), true) = (row, open.is_some()) {
                browser::navigate_in_place(&url(&row));
            }
        }
        "x" => {
            browser::toggle_row();
            list.selected.set(browser::checked_rows());
        }
        "e" | "a" => {
            let target = if key == "e" { ".decide input" } else { ".assign select" };
            if list.selected.with_untracked(|s| !s.is_empty()) && open.is_none() {
                bulk::open_sheet();
            } else if let (None, Some(row)) = (&open, browser::current_row()) {
                browser::navigate_in_place(&url(&row));
            }
            browser::focus_soon(target);
        }
        "f" => browser::toggle_details(".bar-tools details"),
        "/" => browser::focus(".searchbox input"),
        "Escape" if open.is_some() => browser::navigate_in_place(&list.params.with_untracked(|p| p.on(filter::PATH))),
        _ => return,
    }
    event.prevent_default();
}
