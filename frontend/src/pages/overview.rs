//! The first page: risk of the organization, where it comes from, what changed, what is not known.

use leptos::prelude::*;
use stance_shared::{FindingStatus, Grade, ReportStatus};

use crate::{
    charts::{self, DayBars, TrendPoint},
    components::{self as c, none},
    format,
    gql::{IncidentFigures, Overview, incident_figures, overview as data},
    icons::{self, icon},
    layout,
    load::load,
    state,
    url::Params,
};

/// `/`
pub fn overview() -> AnyView {
    super::reload_on(|news| news.posture + news.reports > 0);
    load::<Overview>("The overview", c::table_skeleton, || data::Variables {}, page)
}

fn page(data: data::ResponseData) -> AnyView {
    let posture = data.posture;
    let scored =
        posture.computed_at.as_deref().map(|at| view! { <span class="muted wide">"Scored "{c::ago(at)}</span> });
    let import = state::viewer()
        .can("report:import")
        .then(|| view! { <a class="btn sm" href="/imports">{icon(icons::FILE_UP)}"Import"</a> });
    let top = layout::top(None, "Overview", view! { {scored}{import} }.into_any());
    if posture.assets == 0 {
        return view! { {top}<div class="page">{nothing()}</div> }.into_any();
    }
    view! {
        {top}
        <div class="page stack">
            {answer(&posture)}
            {hero(&posture)}
            <section class="layers" aria-label="Risk by layer">{posture.layers.iter().map(layer).collect_view()}</section>
            {incidents()}
            <div class="grid">
                <div class="c6 stack">{riskiest(&posture)}{reports(data.reports.nodes)}</div>
                <div class="c6 stack">{changed(&posture)}{newest(data.findings.nodes)}{gaps(&posture)}</div>
            </div>
        </div>
    }
    .into_any()
}

fn nothing() -> AnyView {
    let organization = state::viewer().organization;
    let next = view! { {c::import_command()}<div class="actions"><a class="btn primary" href="/imports">{icon(icons::FILE_UP)}"Import files"</a></div> };
    c::empty(
        "No posture yet",
        format!(
            "Nothing has been imported into {}. Send a report from any scanner; the first score appears a moment later.",
            c::clean(&organization)
        ),
        next.into_any(),
    )
}

fn answer(posture: &data::OverviewPosture) -> AnyView {
    let (Some(risk), Some(grade)) = (posture.risk, posture.grade) else {
        return view! { <div><p class="answer"><b>{format!("None of {} has a score.", format::counted(posture.assets, "asset", "assets"))}</b>" No scanner has looked at them yet."</p></div> }.into_any();
    };
    let trend = match posture.change7d {
        Some(change) if change >= 0.5 => format!(", up {change:.0} this week"),
        Some(change) if change <= -0.5 => format!(", down {:.0} this week", -change),
        Some(_) => ", unchanged this week".to_owned(),
        None => String::new(),
    };
    let head = format!("Risk {}, grade {}{trend}", format::risk(risk), grade.as_str());
    let top = &posture.top_findings;
    let cause = top.findings.first().map(|finding| {
        view! { " closing "<a class="wraps" href=c::finding_url(&finding.id)>{c::text(&shorten(&finding.title, 80))}</a>" on "<a href=c::asset_url(&finding.asset.id)>{c::text(&finding.asset.name)}</a>" lowers it most." }
    });
    let colon = if cause.is_some() { ":" } else { "." };
    let closing = top.risk_after.filter(|_| !top.findings.is_empty()).map(|after| {
        let count = top.findings.len();
        let label = if count == 1 { "top finding".to_owned() } else { format!("top {count} findings") };
        view! { "Closing the "<a class="link" href="/findings?sort=RISK">{label}</a>{format!(" takes it to {}. ", format::risk(after))} }
    });
    let unknown = 1.0 - posture.completeness;
    let unknown = (unknown > 0.005)
        .then(|| format!("{} of checks are unknown, so the true figure may be higher.", format::percent(unknown)));
    view! { <div><p class="answer"><b>{head}{colon}</b>{cause}</p><p class="sub">{closing}{unknown}</p></div> }
        .into_any()
}

/// The first characters of a text, cut at a word.
fn shorten(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let cut: String = text.chars().take(limit).collect();
    format!("{}…", cut.rsplit_once(' ').map_or(cut.as_str(), |(head, _)| head))
}

fn hero(posture: &data::OverviewPosture) -> AnyView {
    let points: Vec<TrendPoint> = posture
        .history
        .iter()
        .filter_map(|point| {
            Some(TrendPoint { day: format::seconds(&point.day)?, risk: point.risk, completeness: point.completeness })
        })
        .collect();
    let chart = charts::trend(&points, "Organization risk")
        .unwrap_or_else(|| view! { <p class="muted">"The trend starts with the first assessed asset."</p> }.into_any());
    let figure = posture.risk.map_or_else(|| "–".into(), format::risk);
    view! {
        <div class="hero">
            <div class="hero-n">
                <h2 class="lab">"Organization risk"</h2>
                <p class="hv"><a class="figure" href="/findings?sort=RISK">{figure}</a>{c::grade(posture.grade, "")}{c::delta(posture.change7d, "7 d")}</p>
                <div class="hk">
                    <p><span>"Known"</span><b>{format::percent(posture.completeness)}</b></p>
                    {c::known(posture.completeness)}
                    <p class="muted">{format!("{} of {} checks fresh", format::count(posture.checks_fresh), format::count(posture.checks_total))}</p>
                </div>
            </div>
            {chart}
        </div>
    }
    .into_any()
}

fn layer(layer: &data::OverviewPostureLayers) -> AnyView {
    let name = layer.layer.label();
    let history: Vec<Option<f64>> = layer.history.iter().map(|point| point.risk).collect();
    let cause = match (&layer.top_finding, layer.risk) {
        (Some(finding), _) => view! { <span class="lc cut" title=c::clean(&finding.title)>{c::text(&finding.title)}" on "<b>{c::text(&finding.asset.name)}</b></span> }.into_any(),
        (None, Some(_)) => view! { <span class="lc cut">"No open findings"</span> }.into_any(),
        (None, None) => view! { <span class="lc cut muted">"Nothing assessed in this layer"</span> }.into_any(),
    };
    view! {
        <a class="layer" href=format!("/findings?layer={}", layer.layer.as_str())>
            <span class="lh"><b>{name}</b>{c::delta(layer.change7d, "7 d")}</span>
            <span class="lv">{c::grade(layer.grade, "sm")}<span class="figure2">{layer.risk.map_or_else(|| "–".into(), format::risk)}</span><span class="ls">{charts::spark(&history, &format!("{name} risk"))}</span></span>
            {cause}
            <span class="lk">{c::known(layer.completeness)}<span>{format::percent(layer.completeness)}" known"</span></span>
        </a>
    }
    .into_any()
}

/// How the organization does with its incidents.
fn incidents() -> AnyView {
    if !state::viewer().can("incident:read") {
        return none();
    }
    load::<IncidentFigures>(
        "The incidents",
        none,
        || incident_figures::Variables {},
        |data| {
            let figures = data.incident_metrics;
            let all = view! { <a href="/incidents">"All incidents"</a> }.into_any();
            if figures.ever == 0 {
                let text = view! { <p class="muted">"None so far. Findings and events that fit a "<a class="link" href="/incidents/rules">"rule"</a>" open one by themselves."</p> };
                return c::section("h-incidents", "Incidents", none(), all, text.into_any());
            }
            let tile = |label: &'static str, figure: String, note: AnyView, href: &'static str| {
                view! { <a href=href><dl><dt>{label}</dt><dd><span class="figure2">{figure}</span><small>{note}</small></dd></dl></a> }
            };
            let mean = |label, seconds: Option<f64>, note: &'static str| {
                #[expect(clippy::cast_possible_truncation, reason = "whole seconds are shown")]
                let figure = seconds.map_or_else(|| "–".to_owned(), |seconds| format::span(seconds as i64));
                tile(label, figure, note.into_any(), "/incidents?view=all")
            };
            let late = match (figures.overdue, figures.oldest_opened_at) {
                (0, None) => "all are closed".into_any(),
                (0, Some(oldest)) => view! { "the oldest opened "{c::ago(&oldest)} }.into_any(),
                (late, _) => view! { <span class="bad">{format::count(late)}" behind a clock"</span> }.into_any(),
            };
            let tiles = view! {
                <div class="tiles">{tile("Open", format::count(figures.open), late, "/incidents")}{mean("Time to acknowledge", figures.mtta, "mean, opened to triaged")}{mean("Time to containment", figures.time_to_containment, "mean, opened to contained")}{mean("Time to resolve", figures.mttr, "mean, opened to closed")}</div>
            };
            let aside =
                format!("30 days, {} opened, {} closed", format::count(figures.opened), format::count(figures.closed));
            c::section("h-incidents", "Incidents", aside, all, tiles.into_any())
        },
    )
}

fn riskiest(posture: &data::OverviewPosture) -> AnyView {
    let assets = &posture.riskiest_assets;
    let largest = assets.iter().map(|a| a.share).fold(0.0, f64::max);
    let together: f64 = assets.iter().map(|a| a.share).sum();
    let rows = assets.iter().map(|risky| {
        let asset = &risky.asset;
        let cells = asset.risk.layers.iter().map(|layer| heat_cell(&asset.id, layer)).collect_view();
        view! {
            <tr class="row"><td>{c::asset(&asset.id, asset.kind, &asset.name)}</td><td>{c::risk(asset.risk.risk)}</td>{cells}<td class="p1">{c::share(risky.share, largest)}</td></tr>
        }
    });
    let content = if assets.is_empty() {
        view! { <p class="muted">"No asset has a score yet."</p> }.into_any()
    } else {
        let layers = ["Data", "Model", "App", "Runtime"].map(|layer| c::head(layer, "heat w", "54px")).collect_view();
        view! {
            <div class="tbl"><table>
                <thead><tr>{c::head("Asset", "", "")}{c::head("Risk", "w", "76px")}{layers}{c::head("Share of risk", "p1 w", "124px")}</tr></thead>
                <tbody>{rows.collect_view()}</tbody>
            </table></div>
        }
        .into_any()
    };
    let all =
        view! { <a href="/inventory">{format!("All {}", format::counted(posture.assets, "asset", "assets"))}</a> };
    let aside =
        if assets.is_empty() { String::new() } else { format!("{} of organization risk", format::percent(together)) };
    c::section("h-riskiest", "Riskiest assets", aside, all.into_any(), content)
}

/// The risk of a layer of an asset, linked to the findings behind it.
fn heat_cell(asset: &str, layer: &data::OverviewPostureRiskiestAssetsAssetRiskLayers) -> AnyView {
    let name = layer.layer.label();
    let Some(risk) = layer.risk else {
        let title = format!("{name}: unknown, nothing has assessed it");
        return view! { <td class="heat"><span data-grade="?" title=title.clone() role="img" aria-label=title><b>"?"</b></span></td> }.into_any();
    };
    let href = Params::default().with("asset", asset).with("layer", layer.layer.as_str()).on("/findings");
    let title = format!(
        "{name}: risk {}, {}",
        format::risk(risk),
        format::counted(layer.open_findings, "open finding", "open findings")
    );
    view! { <td class="heat"><a href=href data-grade=Grade::of(risk).as_str() title=title.clone() aria-label=title>{format::risk(risk)}</a></td> }.into_any()
}

fn changed(posture: &data::OverviewPosture) -> AnyView {
    let days: Vec<DayBars> = posture
        .changes
        .iter()
        .filter_map(|day| {
            Some(DayBars {
                day: format::seconds(&day.day)?,
                opened: day.new + day.reopened,
                closed: day.resolved + day.accepted + day.false_positive,
            })
        })
        .collect();
    let sum = |part: fn(&data::OverviewPostureChanges) -> i64| posture.changes.iter().map(part).sum::<i64>();
    let (new, reopened, resolved) = (sum(|d| d.new), sum(|d| d.reopened), sum(|d| d.resolved));
    let (accepted, dismissed) = (sum(|d| d.accepted), sum(|d| d.false_positive));
    let links = view! {
        <a href="/findings?sort=FIRST_SEEN">{format::count(new)}" new"</a>
        <a href=format!("/findings?status={}", FindingStatus::Resolved.as_str())>{format::count(resolved)}" resolved"</a>
    };
    let content = view! {
        {charts::bars(&days)}
        <p class="meta"><span><b>{format::count(reopened)}</b>" reopened"</span><span><b>{format::count(accepted)}</b>" accepted"</span><span><b>{format::count(dismissed)}</b>" false positive"</span>
            <span><b>{format!("{}{}", if new + reopened >= resolved + accepted + dismissed { "+" } else { "" }, format::count(new + reopened - resolved - accepted - dismissed))}</b>" net"</span></p>
    };
    c::section("h-changed", "What changed", "findings, 7 days", links.into_any(), content.into_any())
}

fn newest(findings: Vec<data::OverviewFindingsNodes>) -> AnyView {
    let rows = findings.iter().map(|finding| {
        view! {
            <tr class="row"><td class="tbl-sev">{c::severity(finding.severity)}</td><td class="title" title=c::clean(&finding.title)><a href=c::finding_url(&finding.id)>{c::text(&finding.title)}</a></td>
                <td class="p1">{c::asset(&finding.asset.id, finding.asset.kind, &finding.asset.name)}</td><td class="num muted">{c::age(&finding.first_seen)}</td></tr>
        }
    });
    let content = if findings.is_empty() {
        view! { <p class="muted">"No open findings."</p> }.into_any()
    } else {
        view! {
            <div class="tbl"><table>
                <thead><tr>{c::head("Severity", "tbl-sev w", "84px")}{c::head("Finding", "", "")}{c::head("Asset", "p1 w", "150px")}{c::head("Age", "num w", "64px")}</tr></thead>
                <tbody>{rows.collect_view()}</tbody>
            </table></div>
        }
        .into_any()
    };
    c::section(
        "h-newest",
        "Newest findings",
        none(),
        view! { <a href="/findings?sort=FIRST_SEEN">"All findings"</a> }.into_any(),
        content,
    )
}

fn reports(reports: Vec<data::OverviewReportsNodes>) -> AnyView {
    let rows = reports.iter().map(|report| {
        let name = report.filename.clone().or_else(|| report.tool.clone()).unwrap_or_else(|| "report".into());
        let result = match report.status {
            ReportStatus::Done => {
                let counts = &report.counts;
                view! { <b class="strong">{format::count(counts.new)}" new"</b>{format!(", {} resolved", format::count(counts.resolved))} }.into_any()
            }
            ReportStatus::Failed => view! { <span class="state bad">{icon(icons::CIRCLE_X)}"refused"</span> }.into_any(),
            other => other.label().into_any(),
        };
        view! {
            <tr class="row"><td class="muted p1">{c::stamp(&report.created_at)}</td><td title=c::clean(&name)><a href=c::report_url(&report.id)>{c::text(&name)}</a></td>
                <td class="p15 muted">{c::cut(report.tool.as_deref().unwrap_or("–"))}</td><td class="num muted">{result}</td></tr>
        }
    });
    let content = if reports.is_empty() {
        view! { <p class="muted">"No reports yet."</p> }.into_any()
    } else {
        view! {
            <div class="tbl"><table>
                <thead><tr>{c::head("Time", "p1 w", "72px")}{c::head("Report", "", "")}{c::head("Tool", "p15 w", "112px")}{c::head("Result", "num w", "140px")}</tr></thead>
                <tbody>{rows.collect_view()}</tbody>
            </table></div>
        }
        .into_any()
    };
    c::section(
        "h-reports",
        "Recent imports",
        none(),
        view! { <a href="/imports">"All imports"</a> }.into_any(),
        content,
    )
}

fn gaps(posture: &data::OverviewPosture) -> AnyView {
    let items = posture.gaps.iter().map(|gap| {
        view! {
            <li class="row"><span class="hx unknown" aria-hidden="true"></span><span class="nowrap">{gap.label.clone()}</span>
                <span class="muted cut" title=gap.action.clone()>{gap.action.clone()}</span><span class="muted">{format::counted(gap.assets, "asset", "assets")}</span></li>
        }
    });
    let content = if posture.gaps.is_empty() {
        view! { <p class="muted">"Every applicable check is fresh."</p> }.into_any()
    } else {
        view! { <ul class="list">{items.collect_view()}</ul> }.into_any()
    };
    let unscored = posture.assets - posture.assessed_assets;
    let aside = if unscored > 0 {
        format!("{} without a score", format::counted(unscored, "asset", "assets"))
    } else {
        String::new()
    };
    c::section("h-gaps", "Coverage gaps", aside, none(), content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_titles_are_cut_at_a_word() {
        assert_eq!(shorten("short", 10), "short");
        assert_eq!(shorten("one two three", 9), "one two…");
        assert_eq!(shorten("提示注入后泄露系统提示词", 4), "提示注入…");
    }
}
