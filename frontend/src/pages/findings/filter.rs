//! The address of the list as a filter of the API, and the controls that change it.

use leptos::prelude::*;
use stance_shared::{AssetKind, FindingStatus, Layer, Severity};

use crate::{
    components as c, format,
    gql::{FindingSortKey, SortDirection, finding_list as data},
    icons::{self, icon},
    url::Params,
};

/// The list's address.
pub const PATH: &str = "/findings";
const PAGE: i64 = 50;
/// Parameters that narrow the list; the export takes them under the same names.
pub const FILTERS: [&str; 12] = [
    "status",
    "mine",
    "severity",
    "layer",
    "assetKind",
    "asset",
    "tool",
    "category",
    "report",
    "unassigned",
    "search",
    "seenSince",
];

/// The variables of the list for an address. Without a status the open findings are listed, with `status=ALL` all of them.
pub fn variables(params: &Params) -> data::Variables {
    let summary = data::FindingFilter {
        status: None,
        severity: params.words("severity"),
        layer: params.words("layer"),
        asset: params.get("asset").map(str::to_owned),
        asset_kind: params.words("assetKind"),
        tool: params.get("tool").map(str::to_owned),
        category: params.get("category").map(str::to_owned),
        report: params.get("report").map(str::to_owned),
        assignee: None,
        mine: None,
        unassigned: params.has("unassigned", "true").then_some(true),
        search: params.get("search").map(str::to_owned),
        seen_since: params.get("seenSince").map(str::to_owned),
    };
    let mine = params.has("mine", "true");
    let status = if params.has("status", "ALL") {
        None
    } else {
        let default =
            if mine { vec![FindingStatus::Open, FindingStatus::InProgress] } else { vec![FindingStatus::Open] };
        Some(params.words("status").unwrap_or(default))
    };
    let key = params.get("sort").and_then(|key| key.parse().ok()).unwrap_or(FindingSortKey::Risk);
    let direction = params.get("dir").and_then(|dir| dir.parse().ok()).unwrap_or(SortDirection::Desc);
    data::Variables {
        first: Some(PAGE),
        after: params.get("after").map(str::to_owned),
        filter: Some(data::FindingFilter { status, mine: mine.then_some(true), ..summary.clone() }),
        summary: Some(summary),
        sort: Some(data::FindingSort { key, direction }),
    }
}

/// The saved views, with their counts under the other filters.
pub fn tabs(params: &Params, summary: &data::FindingListFindingSummary) -> AnyView {
    let mine = params.has("mine", "true");
    let current = if mine { "mine" } else { params.get("status").unwrap_or("OPEN") };
    let base = params.without("status").without("mine").without("after");
    let all = summary.open + summary.in_progress + summary.resolved + summary.false_positive + summary.risk_accepted;
    let views = [
        ("OPEN", "Open", summary.open),
        ("IN_PROGRESS", "In progress", summary.in_progress),
        ("mine", "Mine", summary.mine),
        ("RISK_ACCEPTED", "Accepted", summary.risk_accepted),
        ("FALSE_POSITIVE", "False positive", summary.false_positive),
        ("RESOLVED", "Resolved", summary.resolved),
        ("ALL", "All", all),
    ];
    let links = views.map(|(key, label, count)| {
        let href = match key {
            "OPEN" => base.clone(),
            "mine" => base.with("mine", "true"),
            _ => base.with("status", key),
        };
        view! { <a href=href.on(PATH) aria-current=(key == current).then_some("page") data-noscroll="">{label}" "<span class="count">{format::count(count)}</span></a> }
    });
    view! { <nav class="tabs" aria-label="Saved views">{links.into_iter().collect_view()}</nav> }.into_any()
}

/// Search, removable chips and the filter menu.
pub fn bar(params: &Params, summary: &data::FindingListFindingSummary) -> AnyView {
    let hidden = |except: &[&str]| {
        params
            .without("after")
            .pairs()
            .filter(|(key, _)| !except.contains(key))
            .map(|(key, value)| view! { <input type="hidden" name=key.to_owned() value=value.to_owned()/> })
            .collect_view()
    };
    view! {
        <div class="bar-tools chips" role="search">
            <form class="searchbox" method="get" action=PATH data-nav="">
                {icon(icons::SEARCH)}{hidden(&["search"])}
                <input class="input" type="search" name="search" value=params.text("search") placeholder="Search findings" aria-label="Search findings" maxlength="200"/>
            </form>
            {chips(params)}
            <details class="menu">
                <summary class="btn quiet sm">{icon(icons::LIST_FILTER)}"Filter "<kbd>"f"</kbd></summary>
                <form class="pop filters" method="get" action=PATH data-nav="">
                    {hidden(&["severity", "layer", "assetKind", "tool", "category", "unassigned"])}
                    <div class="filters-grid">
                        <fieldset><legend>"Severity"</legend>{Severity::ALL.iter().map(|s| c::check("severity", s.as_str(), s.label(), params.has("severity", s.as_str()))).collect_view()}</fieldset>
                        <fieldset><legend>"Layer"</legend>{Layer::ALL.iter().map(|l| c::check("layer", l.as_str(), l.label(), params.has("layer", l.as_str()))).collect_view()}
                            {c::check("unassigned", "true", "Nobody assigned", params.has("unassigned", "true"))}</fieldset>
                        <fieldset><legend>"Asset kind"</legend>{AssetKind::ALL.iter().map(|k| c::check("assetKind", k.as_str(), k.label(), params.has("assetKind", k.as_str()))).collect_view()}</fieldset>
                    </div>
                    <div class="form-line spaced">{tools(params, summary)}{categories(params, summary)}</div>
                    <div class="filters-foot"><a class="btn quiet sm" href=PATH>"Clear all"</a><button class="btn primary sm">"Apply"</button></div>
                </form>
            </details>
            {super::saved::menu(params)}
        </div>
    }
    .into_any()
}

fn tools(params: &Params, summary: &data::FindingListFindingSummary) -> AnyView {
    let any = std::iter::once((String::new(), "Any tool".to_owned()));
    let options = any.chain(summary.tools.iter().map(|tool| (tool.clone(), c::clean(tool)))).collect();
    c::choice("tool", "Tool", options, &params.text("tool"))
}

fn categories(params: &Params, summary: &data::FindingListFindingSummary) -> AnyView {
    let any = std::iter::once((String::new(), "Any category".to_owned()));
    let option = |counted: &data::FindingListFindingSummaryCategories| {
        let name = counted.category.name.as_deref().unwrap_or_default();
        (
            counted.category.key.clone(),
            format!("{} {name} ({})", c::clean(&counted.category.id), format::count(counted.count)),
        )
    };
    c::choice(
        "category",
        "Category",
        any.chain(summary.categories.iter().map(option)).collect(),
        &params.text("category"),
    )
}

/// One chip for each filter; the views choose status and `mine`.
fn chips(params: &Params) -> AnyView {
    let chips = params.pairs().filter_map(|(key, value)| {
        let (name, shown) = match key {
            "severity" => ("Severity", value.parse::<Severity>().ok()?.label().to_owned()),
            "layer" => ("Layer", value.parse::<Layer>().ok()?.label().to_owned()),
            "assetKind" => ("Kind", value.parse::<AssetKind>().ok()?.label().to_owned()),
            "tool" => ("Tool", c::clean(value)),
            "category" => ("Category", c::clean(value.rsplit(':').next().unwrap_or(value))),
            "asset" => ("Asset", "one".to_owned()),
            "report" => ("Report", "one".to_owned()),
            "unassigned" => ("Assignee", "nobody".to_owned()),
            "search" => ("Search", c::clean(value)),
            "seenSince" => ("Seen since", format::seconds(value).map(format::day)?),
            _ => return None,
        };
        let href = params.without_value(key, value).without("after").on(PATH);
        let label = format!("Remove filter {} {shown}", name.to_lowercase());
        Some(view! { <span class="chip"><span>{name}</span><b>{shown}</b><a href=href aria-label=label data-noscroll="">{icon(icons::X)}</a></span> })
    });
    chips.collect_view().into_any()
}

/// Whether anything narrows the list beyond its view.
pub fn is_filtered(params: &Params) -> bool {
    params.pairs().any(|(key, _)| FILTERS.contains(&key) && key != "status" && key != "mine")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_becomes_the_filter() {
        let v = variables(&Params::parse(
            "severity=HIGH&severity=NONSENSE&layer=DATA&search=pickle&sort=SEVERITY&dir=ASC&after=x",
        ));
        let filter = v.filter.unwrap();
        assert_eq!(filter.severity, Some(vec![Severity::High]));
        assert_eq!(filter.status, Some(vec![FindingStatus::Open]));
        assert_eq!(filter.search.as_deref(), Some("pickle"));
        assert_eq!(v.sort.map(|s| (s.key, s.direction)), Some((FindingSortKey::Severity, SortDirection::Asc)));
        assert_eq!(v.after.as_deref(), Some("x"));
        assert_eq!(variables(&Params::parse("status=ALL")).filter.unwrap().status, None);
        assert_eq!(variables(&Params::parse("mine=true")).filter.unwrap().status.map(|s| s.len()), Some(2));
    }
}
