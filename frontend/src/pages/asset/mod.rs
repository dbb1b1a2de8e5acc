//! One asset: where its risk comes from, what is known of it and who said so, what it depends on.

mod aliases;
mod edit;
mod known;
mod relations;

use leptos::prelude::*;
use stance_shared::AssetKind;

use crate::{
    charts::{self, TrendPoint},
    components::{self as c, none},
    format,
    gql::{AssetDetail, CheckState, asset_detail as data},
    icons::{self, icon},
    layout,
    load::load,
    state,
    url::Params,
};

/// `/inventory/:id`
pub fn asset(id: String) -> AnyView {
    super::reload_on(|news| news.posture > 0);
    load::<AssetDetail>(
        "The asset",
        c::table_skeleton,
        move || data::Variables { id: id.clone() },
        |data| match data.asset {
            Some(asset) => page(&asset),
            None => super::not_found(),
        },
    )
}

type Asset = data::AssetDetailAsset;

/// The two sides of an agent's page.
pub fn tabs(id: &str, runtime: bool) -> AnyView {
    let page = c::asset_url(id);
    let here = |current: bool| current.then_some("page");
    view! { <nav class="tabs" aria-label="Asset"><a href=page.clone() aria-current=here(!runtime)>"Posture"</a><a href=format!("{page}/runtime") aria-current=here(runtime)>"Runtime"</a></nav> }.into_any()
}

fn page(asset: &Asset) -> AnyView {
    let findings = Params::default().with("asset", &asset.id).on("/findings");
    let edit = state::viewer().can("asset:write").then(|| edit::edit(asset));
    let owner = asset
        .owner
        .as_ref()
        .map_or_else(|| view! { <b>"nobody"</b> }.into_any(), |owner| view! { <b>{c::text(owner)}</b> }.into_any());
    view! {
        {layout::top(Some(("Inventory", "/inventory")), &asset.name, view! { <span class="muted wide">"Seen "{c::ago(&asset.last_seen)}</span>{edit} }.into_any())}
        <div class="page stack">
            <div>
                <div class="ahead"><div>{c::grade(asset.risk.grade, "lg")}</div><div>
                    <p class="answer">{answer(asset, &findings)}</p>
                    <p class="meta"><span>{icon(c::kind_icon(asset.kind))}{asset.kind.label()}</span><span>"owner "{owner}</span><span>"criticality "<b>{asset.criticality.label()}</b></span>
                        <span>"exposure "<b>{asset.exposure.label()}</b></span><span>"environment "<b>{asset.environment.label()}</b></span><span>{asset.lifecycle.label()}</span>{c::mid(&asset.external_key)}</p>
                </div></div>
                {(asset.kind == AssetKind::Agent && state::viewer().can("event:read")).then(|| tabs(&asset.id, false))}
            </div>
            <div class="grid"><div class="c7">{waterfall(asset)}</div><div class="c5 stack">{checks(asset)}{layers(asset, &findings)}</div></div>
            {open_findings(asset, &findings)}
            {relations::relations(asset)}
            <div class="grid"><div class="c7">{known::attributes(asset)}</div><div class="c5 stack">{aliases::aliases(asset)}{trend(asset)}{history(asset)}</div></div>
        </div>
    }
    .into_any()
}

fn answer(asset: &Asset, findings: &str) -> AnyView {
    let (Some(risk), Some(grade)) = (asset.risk.risk, asset.risk.grade) else {
        return view! { <b>"No score: nothing has assessed it yet."</b>" The checks below say what would." }.into_any();
    };
    let open = asset.open_findings.total;
    let items = &asset.risk.shares.items;
    let cause = match items.first() {
        Some(first) if risk > 0.5 => {
            let share = format::percent((first.points / risk).min(1.0));
            let rest = match (&first.finding, &first.inherited_from) {
                (Some(finding), _) => view! { "one finding makes "{share}" of it. "<a href=c::finding_url(&finding.id)>"Open it"</a>"." }.into_any(),
                (None, Some(from)) => view! { {share}" of it is inherited from "<a href=c::asset_url(&from.id)>{c::text(&from.name)}</a>"." }.into_any(),
                (None, None) => none(),
            };
            view! { <b>":"</b>" "{rest} }.into_any()
        }
        _ => view! { <b>"."</b> }.into_any(),
    };
    let more = (open > 1).then(|| view! { " "<a href=findings.to_owned()>{format::counted(open, "open finding", "open findings")}</a>" in all." });
    view! { <b>{format!("Risk {}, grade {}", format::risk(risk), grade.as_str())}</b>{cause}{more} }.into_any()
}

fn waterfall(asset: &Asset) -> AnyView {
    let shares = &asset.risk.shares;
    let Some(risk) = asset.risk.risk else {
        let next = view! { {c::import_command()} };
        return c::section(
            "h-shares",
            "Residual risk",
            "unknown",
            none(),
            c::empty(
                "Nothing to add up",
                "No finding and no clean scan says anything about this asset.",
                next.into_any(),
            ),
        );
    };
    let mut from = 0.0;
    let mut rows = Vec::new();
    let bar = |from: f64, points: f64| format!("--from:{from:.2};--v:{points:.2}");
    for share in &shares.items {
        let style = bar(from, share.points);
        from += share.points;
        let (cause, severity) = match (&share.finding, &share.inherited_from) {
            (Some(finding), _) => {
                let tool = finding.tools.first().map(|tool| format!("{tool}: ")).unwrap_or_default();
                let title = format!("{tool}{}", finding.title);
                (
                    view! { <a href=c::finding_url(&finding.id) title=c::clean(&title)>{c::text(&title)}</a> }
                        .into_any(),
                    Some(finding.severity.as_str().to_ascii_lowercase()),
                )
            }
            (None, Some(asset)) => {
                (view! { <a href=c::asset_url(&asset.id)>"Inherited from "{c::text(&asset.name)}</a> }.into_any(), None)
            }
            (None, None) => ("Other".into_any(), None),
        };
        rows.push(view! {
            <tr class="row"><td>{cause}</td><td class="p3 muted">{share.layer.label()}</td><td class="gridbg"><div class="wf" style=style data-sev=severity></div></td><td class="num">{format::points(share.points)}</td></tr>
        }.into_any());
    }
    if shares.other_count > 0 {
        let style = bar(from, shares.other_points);
        let label = format!("{} more", format::count(shares.other_count));
        rows.push(view! { <tr><td class="muted">{label}</td><td class="p3"></td><td class="gridbg"><div class="wf" style=style></div></td><td class="num">{format::points(shares.other_points)}</td></tr> }.into_any());
    }
    let held = asset.risk.inherent_risk.map(|inherent| inherent - risk).filter(|held| *held >= 0.5).map(|held| {
        view! { <tr><td class="muted">"Held back by accepted risk and controls"</td><td class="p3"></td><td class="gridbg"><div class="wf minus" style=bar(risk, held)></div></td><td class="num muted">{format::points(held)}</td></tr> }
    });
    let content = view! {
        <div class="tbl"><table>
            <caption class="vh">"Points of residual risk by cause; they add up to the residual risk"</caption>
            <thead><tr><th scope="col">"Cause"</th><th class="p3 w" style="--w:104px" scope="col">"Layer"</th>
                <th class="w" style="--w:44%" scope="col"><span class="axis" aria-hidden="true"><span>"0"</span><span>"25"</span><span>"50"</span><span>"75"</span><span>"100"</span></span><span class="vh">"Bar"</span></th>
                <th class="num w" style="--w:64px" scope="col">"Points"</th></tr></thead>
            <tbody>{rows}
                <tr class="sum"><td><b>"Residual risk"</b></td><td class="p3"></td><td class="gridbg"><div class="wf total" style=bar(0.0, risk) data-grade=asset.risk.grade.map(|g| g.as_str())></div></td><td class="num"><b>{format::risk(risk)}</b></td></tr>
                {held}
            </tbody>
        </table></div>
        <p class="sub">{format!("Each finding's risk is its severity × {:.2} exposure × {:.2} criticality. ", asset.risk.exposure_factor, asset.risk.criticality_factor)}
            {asset.risk.formula.clone()}{asset.risk.computed_at.as_deref().map(|at| view! { ", computed "{c::ago(at)} })}", inputs "{c::mid(&asset.risk.input_hash)}</p>
    };
    c::section("h-shares", format!("Residual {} =", format::risk(risk)), "points of risk", none(), content.into_any())
}

fn checks(asset: &Asset) -> AnyView {
    let count = |state| asset.risk.checks.iter().filter(|check| check.state == state).count();
    let aside = format!(
        "{} fresh, {} stale, {} unknown",
        count(CheckState::Fresh),
        count(CheckState::Stale),
        count(CheckState::Unknown)
    );
    let items = asset.risk.checks.iter().map(|check| {
        let (class, kind, word) = match check.state {
            CheckState::Fresh => ("hx", Some("ok"), "fresh"),
            CheckState::Stale => ("hx", Some("part"), "stale"),
            CheckState::Unknown => ("hx unknown", None, "unknown"),
        };
        let at = check.last_at.as_deref().map(|at| view! { <span class="muted">{c::ago(at)}</span> });
        let says = if check.state == CheckState::Fresh { check.reason.clone() } else { format!("{} {}", check.reason, check.action) };
        view! { <li class="row"><span class=class data-k=kind role="img" aria-label=word></span><span class="nowrap">{check.label.clone()}</span><span class="muted cut" title=says.clone()>{says.clone()}</span>{at}</li> }
    });
    let content = if asset.risk.checks.is_empty() {
        view! { <p class="muted">"No check applies to this kind of asset."</p> }.into_any()
    } else {
        view! { <ul class="list">{items.collect_view()}</ul> }.into_any()
    };
    c::section("h-checks", "What is known", aside, none(), content)
}

fn layers(asset: &Asset, findings: &str) -> AnyView {
    let rows = asset.risk.layers.iter().map(|layer| {
        let href = format!("{findings}&layer={}", layer.layer.as_str());
        // Without any check that applies nothing is missing, and nothing is known either.
        let known = if layer.risk.is_none() && layer.completeness >= 1.0 {
            view! { <span class="muted">"no checks"</span> }.into_any()
        } else {
            c::known(layer.completeness)
        };
        view! { <tr class="row"><td><a href=href>{layer.layer.label()}</a></td><td>{c::risk(layer.risk)}</td><td>{known}</td><td class="num">{format::count(layer.open_findings)}</td></tr> }
    });
    let content = view! {
        <div class="tbl"><table><thead><tr>{c::head("Layer", "", "")}{c::head("Risk", "w", "84px")}{c::head("Known", "w", "112px")}{c::head("Open", "num w", "64px")}</tr></thead><tbody>{rows.collect_view()}</tbody></table></div>
    };
    c::section("h-layers", "Risk by layer", none(), none(), content.into_any())
}

fn open_findings(asset: &Asset, href: &str) -> AnyView {
    let rows = asset.findings.nodes.iter().map(|finding| {
        view! {
            <tr class="row"><td class="tbl-sev">{c::severity(finding.severity)}</td><td class="title" title=c::clean(&finding.title)><a href=c::finding_url(&finding.id)>{c::text(&finding.title)}</a></td>
                <td class="p2">{c::status(finding.status)}</td><td class="p3 muted">{finding.layer.label()}</td><td class="p1 muted">{c::cut(finding.tools.first().map_or("–", String::as_str))}</td><td class="num muted">{c::age(&finding.first_seen)}</td></tr>
        }
    });
    let total = asset.findings.total_count;
    let content = if asset.findings.nodes.is_empty() {
        view! { <p class="muted">"No open findings."</p> }.into_any()
    } else {
        view! {
            <div class="tbl"><table><thead><tr>{c::head("Severity", "tbl-sev w", "92px")}{c::head("Finding", "", "")}{c::head("Status", "p2 w", "136px")}{c::head("Layer", "p3 w", "104px")}{c::head("Tool", "p1 w", "128px")}{c::head("Age", "num w", "64px")}</tr></thead>
            <tbody>{rows.collect_view()}</tbody></table></div>
        }
        .into_any()
    };
    let all = view! { <a href=href.to_owned()>{format!("All {}", format::count(total))}</a> };
    c::section("h-findings", "Open findings", "worst first", all.into_any(), content)
}

fn trend(asset: &Asset) -> AnyView {
    let points: Vec<TrendPoint> = asset
        .risk
        .history
        .iter()
        .filter_map(|p| Some(TrendPoint { day: format::seconds(&p.day)?, risk: p.risk, completeness: p.completeness }))
        .collect();
    charts::trend(&points, "Risk of the asset")
        .map_or_else(none, |chart| c::section("h-trend", "Risk", "30 days", none(), chart))
}

fn history(asset: &Asset) -> AnyView {
    let items = asset.history.iter().map(|change| {
        view! { <li class="nt">{icon(icons::CIRCLE)}<div>{c::text(&change.summary)}<span class="muted">" · "{c::text(&change.actor)}" · "{c::ago(&change.at)}</span></div></li> }
    });
    if asset.history.is_empty() {
        return none();
    }
    c::section("h-history", "History", none(), none(), view! { <ol class="tl">{items.collect_view()}</ol> }.into_any())
}
