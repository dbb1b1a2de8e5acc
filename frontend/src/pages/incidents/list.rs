//! Incidents as a list and as a board.

use leptos::prelude::*;
use stance_shared::{ClockState, IncidentStatus, Severity};

use super::{PATH, clock_words, mean, name, parts, status, url};
use crate::{
    components as c, format,
    gql::{IncidentList, People, incident_list as data, people},
    icons::{self, icon},
    load::{ask, load},
    pages::runtime::switch,
    state,
    url::Params,
};

type Node = data::IncidentListIncidentsNodes;

/// Keys of the address that narrow the list.
const FILTERS: [&str; 9] =
    ["status", "severity", "overdue", "unassigned", "serious", "search", "asset", "assignee", "rule"];

/// Not closed.
fn open() -> Vec<IncidentStatus> {
    IncidentStatus::ALL.iter().copied().filter(|status| *status != IncidentStatus::Closed).collect()
}

fn variables(params: &Params, first: i64) -> data::Variables {
    let flag = |key| params.has(key, "true").then_some(true);
    let text = |key| params.get(key).map(str::to_owned);
    let chosen = params.words("status");
    data::Variables {
        first: Some(first),
        after: text("after"),
        filter: Some(data::IncidentFilter {
            status: chosen.or_else(|| (!params.has("view", "all")).then(open)),
            severity: params.words("severity"),
            overdue: flag("overdue"),
            unassigned: flag("unassigned"),
            serious: flag("serious"),
            search: text("search"),
            asset: text("asset"),
            finding: text("finding"),
            session: text("session"),
            assignee: text("assignee"),
            rule: text("rule"),
        }),
    }
}

/// `/incidents`
pub fn list(params: Params) -> AnyView {
    let asked = params.clone();
    let page = load::<IncidentList>(
        "The incidents",
        c::table_skeleton,
        move || variables(&asked, 50),
        move |data| content(&data, &params),
    );
    view! { {parts("", "Incidents")}<div class="page flush" data-follow="">{page}</div> }.into_any()
}

fn answer(figures: &data::IncidentListIncidentMetrics) -> AnyView {
    if figures.ever == 0 {
        return view! { <p class="answer"><b>"No incident yet."</b></p> }.into_any();
    }
    let open = match figures.open {
        0 => "No incident is open".to_owned(),
        1 => "1 incident is open".to_owned(),
        n => format!("{} incidents are open", format::count(n)),
    };
    let late = (figures.overdue > 0).then(
        || view! { ", "<a href="/incidents?overdue=true">{format!("{} behind a clock", format::count(figures.overdue))}</a> },
    );
    let oldest = figures
        .oldest_opened_at
        .as_deref()
        .map(|at| view! { <span class="t-rest">" The oldest was opened "{c::ago(at)}"."</span> });
    let times = [("triaged", figures.mtta), ("contained", figures.time_to_containment), ("closed", figures.mttr)];
    let known: Vec<String> = times
        .iter()
        .filter(|(_, seconds)| seconds.is_some())
        .map(|(word, seconds)| format!("{word} after {}", mean(*seconds)))
        .collect();
    let known = (!known.is_empty())
        .then(|| view! { <p class="sub">{format!("Mean of the last 30 days: {}.", known.join(", "))}</p> });
    view! { <p class="answer"><b>{open}{late}"."</b>{oldest}</p>{known} }.into_any()
}

fn content(data: &data::ResponseData, params: &Params) -> AnyView {
    let incidents = &data.incidents;
    let filtered = FILTERS.iter().any(|key| params.get(key).is_some());
    let body = if incidents.nodes.is_empty() {
        empty(data.incident_metrics.ever, filtered)
    } else {
        let next = incidents.page_info.end_cursor.clone().filter(|_| incidents.page_info.has_next_page);
        let nouns = ("incident", "incidents");
        let pager = c::pager(PATH, params, incidents.nodes.len(), incidents.total_count, nouns, next);
        view! { {table(&incidents.nodes)}{pager} }.into_any()
    };
    let bar = (data.incident_metrics.ever > 0).then(|| bar(params, data));
    view! { {answer(&data.incident_metrics)}{bar}{body} }.into_any()
}

fn empty(ever: i64, filtered: bool) -> AnyView {
    match (ever, filtered) {
        (0, _) => c::empty(
            "Nothing has gone wrong so far",
            "Rules over findings and events open an incident by themselves, with all that belongs together. You can open one by hand, from here, a finding or a run of an agent.",
            view! { <div class="actions"><a class="btn" href="/incidents/rules">"See the rules"</a><a class="btn" href="/playbooks">"Playbooks to answer with"</a></div> }.into_any(),
        ),
        (_, true) => c::empty(
            "No incident matches",
            "Take a filter away.",
            view! { <div class="actions"><a class="btn" href=PATH>"Clear all filters"</a></div> }.into_any(),
        ),
        (_, false) => c::empty(
            "Nothing is open",
            "When findings or events fit a rule, an incident opens here with all that belongs to it.",
            view! { <div class="actions"><a class="btn" href="/incidents?view=all">"Show closed ones"</a><a class="btn" href="/incidents/rules">"See the rules"</a></div> }.into_any(),
        ),
    }
}

fn bar(params: &Params, data: &data::ResponseData) -> AnyView {
    let base = ["after", "overdue", "unassigned", "assignee", "view", "status"]
        .iter()
        .fold(params.clone(), |params, key| params.without(key));
    let me = state::viewer().user.unwrap_or_default();
    let mine = !me.is_empty() && params.has("assignee", &me);
    let (overdue, unassigned, all) =
        (params.has("overdue", "true"), params.has("unassigned", "true"), params.has("view", "all"));
    let chosen = params.get("status").is_some() || params.get("assignee").is_some();
    let views = switch(
        "Views",
        PATH,
        [
            (base.clone(), "Open", !all && !overdue && !unassigned && !chosen),
            (base.with("assignee", &me), "Mine", mine),
            (base.with("unassigned", "true"), "Unassigned", unassigned),
            (base.with("overdue", "true"), "Late", overdue),
            (base.with("view", "all"), "All", all),
        ],
    );
    let hidden = |keys: &'static [&'static str]| {
        let pairs = params.only(keys);
        pairs
            .pairs()
            .map(|(key, value)| view! { <input type="hidden" name=key.to_owned() value=value.to_owned()/> })
            .collect_view()
    };
    let words = |key: &'static str, words: Vec<(&'static str, &'static str)>| {
        words.into_iter().map(|(word, label)| c::check(key, word, label, params.has(key, word))).collect_view()
    };
    view! {
        <div class="bar-tools chips" role="search">
            <form class="searchbox" method="get" action=PATH data-nav="">{icon(icons::SEARCH)}
                {hidden(&["status", "severity", "overdue", "unassigned", "serious", "asset", "assignee", "rule", "view"])}
                <input class="input" type="search" name="search" value=params.text("search") placeholder="Search titles" aria-label="Search incidents by title" maxlength="200"/></form>
            {views}{chips(params, &me, data)}
            <details class="menu to-end">
                <summary class="btn quiet sm">{icon(icons::LIST_FILTER)}"Filter "<kbd>"f"</kbd></summary>
                <form class="pop filters" method="get" action=PATH data-nav="">
                    {hidden(&["search", "overdue", "unassigned", "asset", "rule", "view"])}
                    <div class="filters-grid half">
                        <fieldset><legend>"Status"</legend>{words("status", IncidentStatus::ALL.iter().map(|w| (w.as_str(), w.label())).collect())}</fieldset>
                        <fieldset><legend>"Severity"</legend>{words("severity", Severity::ALL.iter().map(|w| (w.as_str(), w.label())).collect())}{c::check("serious", "true", "Serious (Article 73)", params.has("serious", "true"))}</fieldset>
                    </div>
                    <div class="form-line spaced">{assignees(params.text("assignee"))}</div>
                    <div class="filters-foot"><a class="btn quiet sm" href=PATH>"Clear all"</a><button class="btn primary sm">"Apply"</button></div>
                </form>
            </details>
        </div>
    }
    .into_any()
}

fn assignees(selected: String) -> AnyView {
    ask::<People>("The people", || people::Variables {}).part(move |data| {
        let anybody = std::iter::once((String::new(), "Anybody".to_owned()));
        let people = data.members.into_iter().map(|member| (member.user.id, c::clean(&member.user.name)));
        c::choice("assignee", "Lead", anybody.chain(people).collect(), &selected)
    })
}

/// A chip for each filter that the switch does not show.
fn chips(params: &Params, me: &str, data: &data::ResponseData) -> AnyView {
    let nodes = &data.incidents.nodes;
    let chips = params.pairs().filter_map(|(key, value)| {
        let (name, shown) = match key {
            "status" => ("Status", value.parse::<IncidentStatus>().ok()?.label().to_owned()),
            "severity" => ("Severity", value.parse::<Severity>().ok()?.label().to_owned()),
            "serious" => ("Serious", "yes".to_owned()),
            "search" => ("Title", c::clean(value)),
            "rule" => ("Rule", c::clean(value)),
            "assignee" if value != me => {
                let lead = nodes.iter().find_map(|node| node.assignee.as_ref());
                ("Lead", lead.map_or_else(|| "one".to_owned(), |user| c::clean(&user.name)))
            }
            "asset" => {
                let asset = nodes.iter().flat_map(|node| &node.assets).find(|asset| asset.id == value);
                ("Asset", asset.map_or_else(|| "one".to_owned(), |asset| c::clean(&asset.name)))
            }
            "finding" => ("Finding", "one".to_owned()),
            "session" => ("Run", "one".to_owned()),
            _ => return None,
        };
        let href = params.without("after").without_value(key, value).on(PATH);
        let label = format!("Remove {name}: {shown}");
        Some(view! { <span class="chip"><span>{name}</span><b>{shown}</b><a href=href aria-label=label data-noscroll="">{icon(icons::X)}</a></span> })
    });
    chips.collect_view().into_any()
}

/// The first clock that runs; late ones first.
fn pressing(node: &Node) -> AnyView {
    let running = |state: ClockState| node.clocks.iter().find(|clock| clock.state == state && clock.done_at.is_none());
    let closed = node.status == IncidentStatus::Closed;
    let clock = running(ClockState::Breached)
        .or_else(|| running(ClockState::Running))
        .or_else(|| running(ClockState::Paused))
        .filter(|_| !closed);
    match clock {
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
                <td class="tbl-sev">{c::severity(node.severity)}</td>
                <td class="mono muted p1">{name(node.number)}</td>
                <td class="wraps" title=c::clean(&node.title)><a href=url(&node.id) data-open="">{c::text(&node.title)}</a></td>
                <td class="p1">{status(node.status)}</td><td>{pressing(node)}</td>
                <td class="p2">{asset}</td><td class="num p3">{format::count(node.event_count)}</td><td class="p25">{who}</td><td class="num muted p1">{c::age(&node.opened_at)}</td>
            </tr>
        }
    });
    view! {
        <div class="tbl"><table><caption class="vh">"Incidents, newest first"</caption>
            <thead class="sticky"><tr>{c::head("Severity", "tbl-sev w", "88px")}{c::head("Number", "p1 w", "76px")}{c::head("Incident", "", "")}{c::head("Status", "p1 w", "108px")}{c::head("Clock", "w", "140px")}{c::head("About", "p2 w", "152px")}{c::head("Events", "num p3 w", "64px")}{c::head("Lead", "p25 w", "104px")}{c::head("Age", "num p1 w", "64px")}</tr></thead>
            <tbody>{rows.collect_view()}</tbody></table></div>
    }
    .into_any()
}

/// `/incidents/board`
pub fn board() -> AnyView {
    let page = load::<IncidentList>(
        "The incidents",
        c::table_skeleton,
        || variables(&Params::default().with("view", "all"), 100),
        |data| {
            if data.incident_metrics.ever == 0 {
                return view! { {answer(&data.incident_metrics)}{empty(0, false)} }.into_any();
            }
            let nodes = &data.incidents.nodes;
            let columns = IncidentStatus::ALL.iter().map(|column| {
                let cards: Vec<_> = nodes.iter().filter(|node| node.status == *column).map(card).collect();
                let count = cards.len();
                let empty = (count == 0).then(|| view! { <li class="muted none">"None"</li> });
                let list = Params::default().with("status", column.as_str()).on(PATH);
                view! { <section class="col" aria-label=column.label()><h2><a href=list>{column.label()}</a><span class="count">{count}</span></h2><ul>{cards}{empty}</ul></section> }
            });
            let more = data.incidents.page_info.has_next_page.then(|| view! { <p class="muted t-row">"The newest 100; all of them are in the "<a class="link" href="/incidents?view=all">"list"</a>"."</p> });
            view! { <div>{answer(&data.incident_metrics)}</div><div class="board" tabindex="0" role="group" aria-label="Incidents by status">{columns.collect_view()}</div>{more} }
                .into_any()
        },
    );
    view! { {parts("board", "Board · Incidents")}<div class="page stack" data-follow="">{page}</div> }.into_any()
}

fn card(node: &Node) -> AnyView {
    let about = node
        .assets
        .first()
        .map(|asset| view! { <span class="muted cut">{icon(c::kind_icon(asset.kind))}{c::text(&asset.name)}</span> });
    let clock = (node.status != IncidentStatus::Closed).then(|| view! { <span class="clock">{pressing(node)}</span> });
    let lead = node.assignee.as_ref().map(|user| {
        let lead = c::clean(&user.name);
        view! { <span class="avatar" title=format!("Lead: {lead}")>{format::initials(&lead)}</span> }
    });
    view! {
        <li><a class="inc-card" href=url(&node.id)><span class="meta">{c::severity(node.severity)}<span class="mono">{name(node.number)}</span>{lead}</span>
            <b>{c::text(&node.title)}</b>{about}{clock}</a></li>
    }
    .into_any()
}
