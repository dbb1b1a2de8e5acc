//! The list of assets.

use leptos::prelude::*;
use leptos_router::hooks::use_location;
use stance_shared::{AssetKind, Criticality, Environment, Exposure, Grade, Lifecycle, Severity};

use crate::{
    charts, components as c, format,
    gql::{AssetList, AssetSortKey, SortDirection, asset_list as data},
    icons::{self, icon},
    layout,
    load::load,
    state,
    url::Params,
};

const PATH: &str = "/inventory";

/// `/inventory`
pub fn inventory() -> AnyView {
    let search = use_location().search;
    let params = Memo::new(move |_| search.with(|s| Params::parse(s)));
    let import = state::viewer()
        .can("report:import")
        .then(|| view! { <a class="btn sm" href="/imports">{icon(icons::FILE_UP)}"Import"</a> });
    view! {
        {layout::top(None, "Inventory", import.into_any())}
        <div class="page">{load::<AssetList>("The inventory", c::table_skeleton, move || params.with(variables), move |data| content(data, &params.get_untracked()))}</div>
    }
    .into_any()
}

fn variables(params: &Params) -> data::Variables {
    let counts = data::AssetFilter {
        kind: None,
        lifecycle: params.words("lifecycle"),
        exposure: params.words("exposure"),
        criticality: params.words("criticality"),
        environment: params.words("environment"),
        grade: params.words("grade"),
        tag: params.get("tag").map(str::to_owned),
        owner: params.get("owner").map(str::to_owned),
        no_owner: params.has("noOwner", "true").then_some(true),
        search: params.get("search").map(str::to_owned),
        external_key: None,
    };
    let key = params.get("sort").and_then(|key| key.parse().ok()).unwrap_or(AssetSortKey::Risk);
    // Names read downwards; everything else starts with the most.
    let default = if key == AssetSortKey::Name { SortDirection::Asc } else { SortDirection::Desc };
    let direction = params.get("dir").and_then(|dir| dir.parse().ok()).unwrap_or(default);
    data::Variables {
        first: Some(50),
        after: params.get("after").map(str::to_owned),
        filter: Some(data::AssetFilter { kind: params.words("kind"), ..counts.clone() }),
        counts: Some(counts),
        sort: Some(data::AssetSort { key, direction }),
    }
}

fn content(data: data::ResponseData, params: &Params) -> AnyView {
    let all: i64 = data.asset_counts.iter().map(|kind| kind.count).sum();
    let assets = data.assets;
    let filtered = params.pairs().any(|(key, _)| !matches!(key, "sort" | "dir" | "after" | "kind"));
    if all == 0 && !filtered {
        let next = view! { {c::import_command()}<div class="actions"><a class="btn primary" href="/imports">{icon(icons::FILE_UP)}"Import files"</a></div> };
        return c::empty(
            "No assets yet",
            "Assets come from reports and from the API. Import a scanner's report; what it looked at appears here.",
            next.into_any(),
        );
    }
    let kinds = data.asset_counts.iter().filter(|kind| kind.count > 0).count();
    let head = format!(
        "{} of {}",
        format::counted(all, "asset", "assets"),
        format::counted(i64::try_from(kinds).unwrap_or_default(), "kind", "kinds")
    );
    let unknown = assets.nodes.iter().filter(|asset| asset.risk.risk.is_none()).count();
    let unknown = (unknown > 0).then(|| format!(", {unknown} on this page without a score"));
    let matching = if filtered { " match the filters" } else { "" };
    let total = assets.total_count;
    let shown = assets.nodes.len();
    let next = assets.page_info.end_cursor.clone().filter(|_| assets.page_info.has_next_page);
    let body = if assets.nodes.is_empty() {
        c::empty(
            "No asset matches",
            "Take a filter away, or look at another kind.",
            view! { <div class="actions"><a class="btn" href=PATH>"Clear all filters"</a></div> }.into_any(),
        )
    } else {
        view! { {table(assets.nodes, params)}{c::pager(PATH, params, shown, total, ("asset", "assets"), next)} }
            .into_any()
    };
    view! { <p class="answer"><b>{format!("{head}{matching}")}</b>{unknown}"."</p>{tabs(&data.asset_counts, all, params)}{bar(params)}{body} }.into_any()
}

fn tabs(counts: &[data::AssetListAssetCounts], all: i64, params: &Params) -> AnyView {
    let current = params.get("kind").unwrap_or_default();
    let base = params.without("kind").without("after");
    let tab = |key: &str, label: &'static str, count: i64| {
        view! { <a href=base.with("kind", key).on(PATH) aria-current=(key == current).then_some("page") data-noscroll="">{label}" "<span class="count">{format::count(count)}</span></a> }
    };
    let kinds = AssetKind::ALL.iter().filter_map(|kind| {
        let count = counts.iter().find(|c| c.kind == *kind).map_or(0, |c| c.count);
        (count > 0 || current == kind.as_str()).then(|| tab(kind.as_str(), plural(*kind), count))
    });
    view! { <nav class="tabs" aria-label="Kinds">{tab("", "All", all)}{kinds.collect_view()}</nav> }.into_any()
}

/// The name of several assets of a kind.
pub const fn plural(kind: AssetKind) -> &'static str {
    match kind {
        AssetKind::Application => "Applications",
        AssetKind::Agent => "Agents",
        AssetKind::Model => "Models",
        AssetKind::Dataset => "Datasets",
        AssetKind::Tool => "Tools",
        AssetKind::McpServer => "MCP servers",
        AssetKind::KnowledgeBase => "Knowledge bases",
        AssetKind::Prompt => "Prompts",
    }
}

fn bar(params: &Params) -> AnyView {
    let hidden = |except: &[&str]| {
        let kept = params.without("after");
        let kept: Vec<_> =
            kept.pairs().filter(|(key, _)| !except.contains(key)).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        kept.into_iter().map(|(key, value)| view! { <input type="hidden" name=key value=value/> }).collect_view()
    };
    let checks = |name: &'static str, words: &[(&'static str, &'static str)]| {
        words.iter().map(|(value, label)| c::check(name, value, label, params.has(name, value))).collect_view()
    };
    let words = |words: Vec<(&'static str, &'static str)>| words;
    let exposure = words(Exposure::ALL.iter().map(|w| (w.as_str(), w.label())).collect());
    let criticality = words(Criticality::ALL.iter().rev().map(|w| (w.as_str(), w.label())).collect());
    let environment = words(Environment::ALL.iter().map(|w| (w.as_str(), w.label())).collect());
    let lifecycle = words(Lifecycle::ALL.iter().map(|w| (w.as_str(), w.label())).collect());
    let grades = words(Grade::ALL.iter().map(|w| (w.as_str(), w.label())).collect());
    let chips = params.pairs().filter_map(|(key, value)| {
        let (name, shown) = match key {
            "exposure" => ("Exposure", value.parse::<Exposure>().ok()?.label().to_owned()),
            "criticality" => ("Criticality", value.parse::<Criticality>().ok()?.label().to_owned()),
            "environment" => ("Environment", value.parse::<Environment>().ok()?.label().to_owned()),
            "lifecycle" => ("Lifecycle", value.parse::<Lifecycle>().ok()?.label().to_owned()),
            "grade" => ("Grade", value.parse::<Grade>().ok()?.label().to_owned()),
            "tag" => ("Tag", c::clean(value)),
            "owner" => ("Owner", c::clean(value)),
            "noOwner" => ("Owner", "nobody".to_owned()),
            "search" => ("Search", c::clean(value)),
            _ => return None,
        };
        let label = format!("Remove filter {} {shown}", name.to_lowercase());
        Some(view! { <span class="chip"><span>{name}</span><b>{shown}</b><a href=params.without_value(key, value).without("after").on(PATH) aria-label=label data-noscroll="">{icon(icons::X)}</a></span> })
    });
    view! {
        <div class="bar-tools chips" role="search">
            <form class="searchbox" method="get" action=PATH data-nav="">
                {icon(icons::SEARCH)}{hidden(&["search"])}
                <input class="input" type="search" name="search" value=params.text("search") placeholder="Search assets" aria-label="Search assets" maxlength="200"/>
            </form>
            {chips.collect_view()}
            <details class="menu">
                <summary class="btn quiet sm">{icon(icons::LIST_FILTER)}"Filter"</summary>
                <form class="pop filters" method="get" action=PATH data-nav="">
                    {hidden(&["exposure", "criticality", "environment", "lifecycle", "grade", "noOwner"])}
                    <div class="filters-grid">
                        <fieldset><legend>"Exposure"</legend>{checks("exposure", &exposure)}</fieldset>
                        <fieldset><legend>"Criticality"</legend>{checks("criticality", &criticality)}</fieldset>
                        <fieldset><legend>"Environment"</legend>{checks("environment", &environment)}</fieldset>
                        <fieldset><legend>"Lifecycle"</legend>{checks("lifecycle", &lifecycle)}</fieldset>
                        <fieldset><legend>"Grade"</legend>{checks("grade", &grades)}</fieldset>
                        <fieldset><legend>"Owner"</legend>{c::check("noOwner", "true", "Nobody", params.has("noOwner", "true"))}</fieldset>
                    </div>
                    <div class="filters-foot"><a class="btn quiet sm" href=PATH>"Clear all"</a><button class="btn primary sm">"Apply"</button></div>
                </form>
            </details>
        </div>
    }
    .into_any()
}

fn table(assets: Vec<data::AssetListAssetsNodes>, params: &Params) -> AnyView {
    let rows = assets.into_iter().map(|asset| {
        let open = &asset.open_findings;
        let counts = [
            (Severity::Critical, open.critical),
            (Severity::High, open.high),
            (Severity::Medium, open.medium),
            (Severity::Low, open.low),
            (Severity::Info, open.info),
        ];
        let owner = asset.owner.as_ref().map_or_else(|| view! { <span class="muted">"nobody"</span> }.into_any(), |owner| c::cut(owner));
        view! {
            <tr class="row">
                <td class="title">{c::asset(&asset.id, asset.kind, &asset.name)}</td>
                <td>{c::risk(asset.risk.risk)}</td>
                <td class="p2">{c::known(asset.risk.completeness)}</td>
                <td class="p1"><a href=Params::default().with("asset", &asset.id).on("/findings") aria-label=format!("{} of {}", format::counted(open.total, "open finding", "open findings"), c::clean(&asset.name))>{charts::stack(&counts)}</a></td>
                <td class="num p1">{format::count(open.total)}</td>
                <td class="p3 muted">{asset.exposure.label()}</td>
                <td class="p3 muted">{asset.criticality.label()}</td>
                <td class="p25">{owner}</td>
                <td class="p4 muted">{asset.lifecycle.label()}</td>
                <td class="num p2 muted">{c::age(&asset.last_seen)}</td>
            </tr>
        }
    });
    let sort = |label, key, class, width| c::sort_head(label, key, class, width, PATH, params, "RISK");
    view! {
        <div class="tbl"><table>
            <caption class="vh">"Assets"</caption>
            <thead class="sticky"><tr>
                {sort("Asset", "NAME", "", "")}
                {sort("Risk", "RISK", "w", "84px")}
                {c::head("Known", "p2 w", "112px")}
                {c::head("Open findings", "p1 w", "148px")}
                {c::head("", "num p1 w", "56px")}
                {c::head("Exposure", "p3 w", "124px")}
                {c::head("Criticality", "p3 w", "92px")}
                {c::head("Owner", "p25 w", "132px")}
                {c::head("Lifecycle", "p4 w", "104px")}
                {sort("Seen", "LAST_SEEN", "num p2 w", "72px")}
            </tr></thead>
            <tbody>{rows.collect_view()}</tbody>
        </table></div>
    }
    .into_any()
}
