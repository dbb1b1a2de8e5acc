//! Incidents as a list and as a board.

use leptos::prelude::*;
use stance_shared::{ClockState, IncidentStatus, Severity};

use super::{PATH, clock_words, mean, name, open_button, parts, status, url};
use crate::{
    components as c, format,
    gql::{IncidentList, incident_list as data},
    icons::{self, icon},
    load::load,
    url::Params,
};

type Node = data::IncidentListIncidentsNodes;

/// Not closed.
const OPEN: [IncidentStatus; 5] = [
    IncidentStatus::Open,
    IncidentStatus::Triaged,
    IncidentStatus::Contained,
    IncidentStatus::Eradicated,
    IncidentStatus::Recovered,
];

fn variables(params: &Params, first: i64, open: bool) -> data::Variables {
    let chosen: Option<Vec<IncidentStatus>> = params.words("status");
    data::Variables {
        first: Some(first),
        after: params.get("after").map(str::to_owned),
        filter: Some(data::IncidentFilter {
            status: chosen.or_else(|| (open && !params.has("view", "all")).then(|| OPEN.to_vec())),
            severity: params.words("severity"),
            overdue: params.has("overdue", "true").then_some(true),
            unassigned: params.has("unassigned", "true").then_some(true),
            search: params.get("search").map(str::to_owned),
            asset: params.get("asset").map(str::to_owned),
            assignee: None,
            rule: None,
            serious: None,
            finding: None,
            session: None,
        }),
    }
}

/// `/incidents`
pub fn list(params: Params) -> AnyView {
    let asked = params.clone();
    let page = load::<IncidentList>(
        "The incidents",
        c::table_skeleton,
        move || variables(&asked, 50, true),
        move |data| content(&data, &params),
    );
    view! { {parts("", "Incidents", open_button())}<div class="page flush" data-follow="">{page}</div> }.into_any()
}

fn answer(data: &data::ResponseData) -> AnyView {
    let figures = &data.incident_metrics;
    if figures.ever == 0 {
        return view! { <b>"No incident yet."</b>" Rules over findings and events open one by themselves; anybody who responds can open one by hand." }.into_any();
    }
    let open = match figures.open {
        0 => "No incident is open".to_owned(),
        1 => "1 incident is open".to_owned(),
        n => format!("{} incidents are open", format::count(n)),
    };
    let late = (figures.overdue > 0).then(|| format!(", {} behind its clock", format::count(figures.overdue)));
    let oldest = figures.oldest_opened_at.as_deref().map(|at| view! { "; the oldest was opened "{c::ago(at)} });
    let times = format!(
        "Last 30 days: acknowledged after {}, contained after {}, resolved after {} on average.",
        mean(figures.mtta),
        mean(figures.time_to_containment),
        mean(figures.mttr)
    );
    view! { <b>{open}{late}</b>{oldest}". "<span class="muted">{times}</span> }.into_any()
}

fn content(data: &data::ResponseData, params: &Params) -> AnyView {
    let incidents = &data.incidents;
    let filtered =
        ["status", "severity", "overdue", "unassigned", "search", "asset"].iter().any(|key| params.get(key).is_some());
    let body = if incidents.nodes.is_empty() {
        if filtered {
            c::empty(
                "No incident matches",
                "Take a filter away.",
                view! { <div class="actions"><a class="btn" href=PATH>"Clear all filters"</a></div> }.into_any(),
            )
        } else {
            c::empty(
                "Nothing is open",
                "When findings or events fit a rule, an incident opens here with all that belongs to it.",
                view! { <div class="actions"><a class="btn" href="/incidents/rules">"See the rules"</a><a class="btn" href="/incidents?view=all">"Closed ones too"</a></div> }.into_any(),
            )
        }
    } else {
        let next = incidents.page_info.end_cursor.clone().filter(|_| incidents.page_info.has_next_page);
        let pager = c::pager(PATH, params, incidents.nodes.len(), None, ("incident", "incidents"), next);
        view! { {table(&incidents.nodes)}{pager} }.into_any()
    };
    view! { <p class="answer">{answer(data)}</p>{bar(params)}{body} }.into_any()
}

fn bar(params: &Params) -> AnyView {
    let base = params.without("after").without("overdue").without("unassigned").without("view").without("status");
    let all = params.has("view", "all");
    let (overdue, unassigned) = (params.has("overdue", "true"), params.has("unassigned", "true"));
    let views = [
        (base.clone(), "Open", !all && !overdue && !unassigned),
        (base.with("overdue", "true"), "Late", overdue),
        (base.with("unassigned", "true"), "Unassigned", unassigned),
        (base.with("view", "all"), "All", all),
    ];
    let links = views.map(|(params, label, current)| view! { <a href=params.on(PATH) aria-current=current.then_some("true") data-noscroll="">{label}</a> });
    let severities = Severity::ALL.iter().map(|severity| {
        c::check("severity", severity.as_str(), severity.label(), params.has("severity", severity.as_str()))
    });
    let kept = |except: &'static [&'static str]| {
        let pairs = params.without("after");
        pairs
            .pairs()
            .filter(|(key, _)| !except.contains(key))
            .map(|(key, value)| view! { <input type="hidden" name=key.to_owned() value=value.to_owned()/> })
            .collect_view()
    };
    view! {
        <div class="bar-tools chips" role="search">
            <form class="searchbox" method="get" action=PATH data-nav="">{icon(icons::SEARCH)}{kept(&["search"])}
                <input class="input" type="search" name="search" value=params.text("search") placeholder="Search incidents" aria-label="Search incidents by title" maxlength="200"/></form>
            <nav class="seg" aria-label="Views">{links.into_iter().collect_view()}</nav>
            <details class="menu to-end">
                <summary class="btn quiet sm">{icon(icons::LIST_FILTER)}"Severity "<kbd>"f"</kbd></summary>
                <form class="pop padded" method="get" action=PATH data-nav="">{kept(&["severity"])}<div class="form">{severities.collect_view()}<button class="btn primary">"Apply"</button></div></form>
            </details>
        </div>
    }
    .into_any()
}

/// The first clock that runs; late ones first.
fn pressing(node: &Node) -> AnyView {
    let running = |state: ClockState| node.clocks.iter().find(|clock| clock.state == state);
    let clock = running(ClockState::Breached).filter(|_| node.status != IncidentStatus::Closed);
    match clock.or_else(|| running(ClockState::Running)).or_else(|| running(ClockState::Paused)) {
        Some(clock) => clock_words(clock.kind, clock.state, &clock.due_at),
        None => view! { <span class="muted">"–"</span> }.into_any(),
    }
}

fn table(nodes: &[Node]) -> AnyView {
    let rows = nodes.iter().map(|node| {
        let asset = match node.assets.as_slice() {
            [] => view! { <span class="muted">"–"</span> }.into_any(),
            [one] => c::asset(&one.id, one.kind, &one.name),
            [first, rest @ ..] => view! { <span class="cell">{c::asset(&first.id, first.kind, &first.name)}<span class="muted">{format!("+{}", rest.len())}</span></span> }.into_any(),
        };
        let who = node.assignee.as_ref().map_or_else(|| view! { <span class="muted">"nobody"</span> }.into_any(), |user| c::cut(&user.name));
        view! {
            <tr class="row" data-id=node.id.clone()>
                <td class="mono muted">{name(node.number)}</td>
                <td title=c::clean(&node.title)><a href=url(&node.id) data-open="">{c::text(&node.title)}</a></td>
                <td>{c::severity(node.severity)}</td><td class="p1">{status(node.status)}</td><td>{pressing(node)}</td>
                <td class="p2">{asset}</td><td class="num p2">{format::count(node.event_count)}</td><td class="p25">{who}</td><td class="num muted p1">{c::age(&node.opened_at)}</td>
            </tr>
        }
    });
    view! {
        <div class="tbl"><table><caption class="vh">"Incidents, newest first"</caption>
            <thead class="sticky"><tr>{c::head("Number", "w", "76px")}{c::head("Incident", "", "")}{c::head("Severity", "w", "88px")}{c::head("Status", "p1 w", "112px")}{c::head("Clock", "w", "156px")}{c::head("About", "p2 w", "168px")}{c::head("Events", "num p2 w", "76px")}{c::head("Assignee", "p25 w", "112px")}{c::head("Age", "num p1 w", "64px")}</tr></thead>
            <tbody>{rows.collect_view()}</tbody></table></div>
    }
    .into_any()
}

/// `/incidents/board`
pub fn board(params: Params) -> AnyView {
    let page = load::<IncidentList>(
        "The incidents",
        c::table_skeleton,
        move || variables(&params, 100, false),
        |data| {
            let columns = IncidentStatus::ALL.iter().map(|column| {
            let cards: Vec<_> = data.incidents.nodes.iter().filter(|node| node.status == *column).collect();
            let count = cards.len();
            let cards = cards.into_iter().map(|node| {
                view! {
                    <li><a class="card" href=url(&node.id)><span class="meta"><span class="mono">{name(node.number)}</span><span>{c::severity(node.severity)}</span></span>
                        <b>{c::text(&node.title)}</b><span class="muted">{pressing(node)}</span></a></li>
                }
            });
            let empty = (count == 0).then(|| view! { <li class="muted none">"None"</li> });
            view! { <section class="col" aria-label=column.label()><h2>{column.label()}" "<span class="count">{count}</span></h2><ul>{cards.collect_view()}{empty}</ul></section> }
        });
            let more = data
                .incidents
                .page_info
                .has_next_page
                .then(|| view! { <p class="muted">"The newest 100; all are in the list."</p> });
            view! { <p class="answer">{answer(&data)}</p><div class="board">{columns.collect_view()}</div>{more} }
                .into_any()
        },
    );
    view! { {parts("board", "Board · Incidents", open_button())}<div class="page stack" data-follow="">{page}</div> }
        .into_any()
}
