//! The reports that were imported, newest first.

use leptos::prelude::*;
use stance_shared::ReportStatus;

use super::PATH;
use crate::{
    components::{self as c, none},
    format,
    gql::report_list as data,
    icons::{self, icon},
    url::Params,
};

/// The section of the list.
pub fn list(reports: data::ReportListReports, params: &Params) -> AnyView {
    let body = if reports.nodes.is_empty() {
        c::empty(
            "No reports yet",
            "Drop a scanner's report above, or send it from where the scanner runs:",
            c::import_command(),
        )
    } else {
        let next = reports.page_info.end_cursor.clone().filter(|_| reports.page_info.has_next_page);
        let shown = reports.nodes.len();
        view! { {table(&reports.nodes)}{c::pager(PATH, params, shown, reports.total_count, ("report", "reports"), next)} }.into_any()
    };
    let count = format::counted(reports.total_count, "report", "reports");
    c::section("h-reports", "Reports", count, filter(params), body)
}

fn filter(params: &Params) -> AnyView {
    let failed = params.has("status", "FAILED");
    let href = if failed { PATH.to_owned() } else { format!("{PATH}?status=FAILED") };
    view! { <a href=href>{if failed { "All reports" } else { "Refused only" }}</a> }.into_any()
}

fn table(reports: &[data::ReportListReportsNodes]) -> AnyView {
    let figure = |count: i64| view! { <span class={ if count > 0 { "n" } else { "z" } }>{format::count(count)}</span> };
    let rows = reports.iter().map(|report| {
        let name = report.filename.clone().unwrap_or_else(|| "unnamed".into());
        let counts = &report.counts;
        let title = format!("{} {}, {}", report.tool.as_deref().unwrap_or_default(), report.tool_version.as_deref().unwrap_or_default(), name);
        let remark = match (report.status, &report.error) {
            (ReportStatus::Failed, error) => {
                let why = error.as_ref().map_or("refused", |error| error.message.as_str());
                view! { <span class="state bad" title=c::clean(why)>{icon(icons::CIRCLE_X)}<span class="cut">"refused: "{c::text(why)}</span></span> }.into_any()
            }
            (ReportStatus::Done, _) if report.gap_count > 0 => view! { <span class="state muted">{icon(icons::TRIANGLE_ALERT)}{format::counted(report.gap_count, "gap", "gaps")}</span> }.into_any(),
            (ReportStatus::Done, _) => none(),
            (other, _) => view! { <span class="state">{icon(icons::CIRCLE_DASHED)}{other.label()}" "{format::percent(report.progress)}</span> }.into_any(),
        };
        let assets = match report.assets.as_slice() {
            [] => "–".into_any(),
            [one] => c::cut(&one.name),
            many => format!("{} assets", many.len()).into_any(),
        };
        let numbers = if report.status == ReportStatus::Done {
            view! { <td class="num">{figure(counts.new)}</td><td class="num p1">{figure(counts.updated)}</td><td class="num p1">{figure(counts.reopened)}</td><td class="num">{figure(counts.resolved)}</td><td class="num p3 muted">{format::count(counts.unchanged)}</td> }.into_any()
        } else {
            view! { <td class="num muted">"–"</td><td class="num p1 muted">"–"</td><td class="num p1 muted">"–"</td><td class="num muted">"–"</td><td class="num p3 muted">"–"</td> }.into_any()
        };
        view! {
            <tr class="row"><td class="muted p1">{c::stamp(&report.created_at)}</td>
                <td class="p1"><span class="cell"><span class="cut">{c::text(report.tool.as_deref().unwrap_or("–"))}" "<span class="muted">{c::text(report.tool_version.as_deref().unwrap_or_default())}</span></span></span></td>
                <td title=c::clean(&title)><span class="cell"><a class="cut" href=c::report_url(&report.id)>{c::text(&name)}</a>{remark}</span></td>
                <td class="p3 muted">{assets}</td>{numbers}</tr>
        }
    });
    view! {
        <div class="tbl"><table>
            <caption class="vh">"Reports, newest first"</caption>
            <thead><tr>{c::head("Time", "p1 w", "72px")}{c::head("Tool", "p1 w", "176px")}{c::head("Report", "", "")}{c::head("Assets", "p3 w", "152px")}{c::head("New", "num w", "60px")}{c::head("Updated", "num p1 w", "72px")}{c::head("Reopened", "num p1 w", "84px")}{c::head("Resolved", "num w", "80px")}{c::head("Unchanged", "num p3 w", "88px")}</tr></thead>
            <tbody>{rows.collect_view()}</tbody>
        </table></div>
    }
    .into_any()
}
