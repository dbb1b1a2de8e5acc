//! One report: what it was, what came of it, what it could not say.

use leptos::prelude::*;
use leptos_router::hooks::use_location;
use stance_shared::ReportStatus;

use crate::{
    components::{self as c, none},
    format,
    gql::{ReportDetail, report_detail as data},
    icons::{self, icon},
    layout,
    load::load,
    url::Params,
};

/// `/imports/:id`
pub fn report(id: String) -> AnyView {
    super::reload_on(|news| news.reports > 0);
    let search = use_location().search;
    let params = Memo::new(move |_| search.with(|s| Params::parse(s)));
    let variables =
        move || data::Variables { id: id.clone(), after: params.with(|p| p.get("after").map(str::to_owned)) };
    load::<ReportDetail>("The report", c::table_skeleton, variables, move |data| match data.report {
        Some(report) => page(&report, &params.get_untracked()),
        None => super::not_found(),
    })
}

type Report = data::ReportDetailReport;

fn page(report: &Report, params: &Params) -> AnyView {
    let name = report.filename.clone().unwrap_or_else(|| "Report".into());
    let path = c::report_url(&report.id);
    let findings = &report.findings;
    let rows = findings.nodes.iter().map(|finding| {
        view! {
            <tr class="row"><td class="tbl-sev">{c::severity(finding.severity)}</td><td class="title" title=c::clean(&finding.title)><a href=c::finding_url(&finding.id)>{c::text(&finding.title)}</a></td>
                <td class="p1">{c::asset(&finding.asset.id, finding.asset.kind, &finding.asset.name)}</td><td class="p2">{c::status(finding.status)}</td><td class="p3 muted">{finding.layer.label()}</td><td class="num muted">{c::age(&finding.first_seen)}</td></tr>
        }
    });
    let next = findings.page_info.end_cursor.clone().filter(|_| findings.page_info.has_next_page);
    let list = if findings.nodes.is_empty() {
        none()
    } else {
        let table = view! {
            <div class="tbl"><table><thead><tr>{c::head("Severity", "tbl-sev w", "92px")}{c::head("Finding", "", "")}{c::head("Asset", "p1 w", "180px")}{c::head("Status", "p2 w", "136px")}{c::head("Layer", "p3 w", "104px")}{c::head("Age", "num w", "64px")}</tr></thead>
            <tbody>{rows.collect_view()}</tbody></table></div>
            {c::pager(&path, params, findings.nodes.len(), None, ("finding", "findings"), next)}
        };
        c::section("h-findings", "Findings", "that this report names", none(), table.into_any())
    };
    view! {
        {layout::top(Some(("Imports", "/imports")), &name, view! { <span class="muted wide">{c::ago(&report.created_at)}</span> }.into_any())}
        <div class="page stack">
            <p class="answer">{answer(report)}</p>
            {error(report)}
            <div class="grid"><div class="c7 stack">{counts(report)}{gaps(report)}</div><div class="c5">{facts(report)}</div></div>
            {list}
        </div>
    }
    .into_any()
}

fn answer(report: &Report) -> AnyView {
    let counts = &report.counts;
    match report.status {
        ReportStatus::Done if counts.findings == 0 && counts.resolved == 0 => {
            view! { <b>"A valid report without findings."</b>" It counts as an assessment of its assets." }.into_any()
        }
        ReportStatus::Done => {
            let gaps = (report.gap_count > 0).then(|| view! { " "<a href="#h-gaps">{format::counted(report.gap_count, "part", "parts")}</a>" could not be assessed." });
            view! { <b>{format!("{} findings on {}: {} new, {} resolved.", format::count(counts.findings), format::counted(counts.assets, "asset", "assets"), format::count(counts.new), format::count(counts.resolved))}</b>{gaps} }.into_any()
        }
        ReportStatus::Failed => view! { <b>"Refused: nothing of it was taken over."</b> }.into_any(),
        other => view! { <b>{other.label()}": "{format::percent(report.progress)}</b> }.into_any(),
    }
}

fn error(report: &Report) -> AnyView {
    let Some(error) = &report.error else { return none() };
    let line = match (error.line, error.column) {
        (Some(line), Some(column)) => format!("line {}, column {}", format::count(line), format::count(column)),
        (Some(line), None) => format!("line {}", format::count(line)),
        _ => String::new(),
    };
    let path = error.path.as_ref().map(|path| view! { " "<span class="id">{c::clean(path)}</span> });
    view! { <div class="note" role="alert">{icon(icons::CIRCLE_X)}<div><b>{c::text(&error.message)}</b><br/><span class="t2">{line}{path}" "<span class="id muted">{c::clean(&error.code)}</span></span></div></div> }.into_any()
}

fn counts(report: &Report) -> AnyView {
    let n = &report.counts;
    let items = [
        ("New", n.new),
        ("Updated", n.updated),
        ("Reopened", n.reopened),
        ("Resolved", n.resolved),
        ("Unchanged", n.unchanged),
        ("Assets", n.assets),
        ("Relations", n.relations),
    ];
    let items = items
        .map(|(label, count)| view! { <div><dt>{label}</dt><dd>{format::count(count)}</dd></div> })
        .into_iter()
        .collect_view();
    c::section("h-counts", "What it changed", none(), none(), view! { <dl class="figures">{items}</dl> }.into_any())
}

fn gaps(report: &Report) -> AnyView {
    if report.gaps.is_empty() {
        return none();
    }
    let items = report.gaps.iter().map(|gap| {
        view! { <li class="row"><span class="hx unknown" aria-hidden="true"></span><span class="nowrap">{c::text(&gap.class)}</span><span class="cut" title=c::clean(&gap.subject)>{c::text(&gap.subject)}</span><span class="muted cut" title=c::clean(&gap.reason)>{c::text(&gap.reason)}</span></li> }
    });
    c::section(
        "h-gaps",
        "Coverage gaps",
        "what the tool could not assess: unknown, not passed",
        none(),
        view! { <ul class="list">{items.collect_view()}</ul> }.into_any(),
    )
}

fn facts(report: &Report) -> AnyView {
    let tool = format!(
        "{} {}",
        report.tool.as_deref().unwrap_or("unknown"),
        report.tool_version.as_deref().unwrap_or_default()
    );
    let assets = report
        .assets
        .iter()
        .take(8)
        .map(|asset| view! { <span class="cell">{c::asset(&asset.id, asset.kind, &asset.name)}{c::risk(asset.risk.risk)}</span> })
        .collect_view();
    let took = match (
        report.started_at.as_deref().and_then(format::seconds),
        report.finished_at.as_deref().and_then(format::seconds),
    ) {
        (Some(from), Some(to)) if from == to => "less than 1 s to stage and merge".to_owned(),
        (Some(from), Some(to)) => format!("{} to stage and merge", format::span(to - from)),
        _ => String::new(),
    };
    let content = view! {
        <dl class="facts">
            <dt>"Status"</dt><dd>{report.status.label()}<span class="muted">{took}</span></dd>
            <dt>"Tool"</dt><dd>{c::text(&tool)}<span class="muted">{report.format.clone()}</span></dd>
            <dt>"Size"</dt><dd>{format::bytes(report.bytes)}</dd>
            <dt>"SHA-256"</dt><dd>{c::mid(&report.sha256)}</dd>
            <dt>"Sent by"</dt><dd>{c::text(&report.uploaded_by)}<span class="muted">{c::ago(&report.created_at)}</span></dd>
            <dt>"Assets"</dt><dd class="wrap">{assets}</dd>
        </dl>
    };
    c::section("h-facts", "Report", none(), none(), content.into_any())
}
