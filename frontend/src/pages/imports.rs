//! Reports: uploading them, watching them, and what they brought.

use leptos::{ev, prelude::*};
use leptos_router::hooks::use_location;
use stance_shared::ReportStatus;

use crate::{
    browser::{self, File, UploadEvent},
    components::{self as c, none},
    format,
    gql::{self, ReportList, ReportProgress, report_list as data, report_progress},
    icons::{self, icon},
    layout,
    load::load,
    state,
    url::Params,
};

const PATH: &str = "/imports";

/// A report on its way.
#[derive(Clone, Copy)]
struct Run {
    name: StoredValue<(String, String)>,
    state: RwSignal<RunState>,
}

#[derive(Clone, Debug, PartialEq)]
enum RunState {
    /// Bytes sent of all, in 0..=1.
    Sending(f64),
    /// With the server: id, status, progress in 0..=1.
    Running(String, ReportStatus, f64),
    /// Done: id and what came of it.
    Done(String, String),
    Refused(String),
}

/// `/imports`
pub fn imports() -> AnyView {
    super::reload_on(|news| news.reports > 0);
    let search = use_location().search;
    let params = Memo::new(move |_| search.with(|s| Params::parse(s)));
    let runs = RwSignal::new(Vec::<Run>::new());
    let may_import = state::viewer().can("report:import");
    let variables = move || data::Variables {
        first: Some(50),
        after: params.with(|p| p.get("after").map(str::to_owned)),
        status: params.with(|p| p.words("status")),
    };
    let button = may_import
        .then(|| view! { <label class="btn primary sm" for="files">{icon(icons::FILE_UP)}"Import files"</label> });
    view! {
        {layout::top(None, "Imports", button.into_any())}
        <div class="page stack">{load::<ReportList>("The reports", c::table_skeleton, variables, move |data| content(data, &params.get_untracked(), runs, may_import))}</div>
    }
    .into_any()
}

fn content(data: data::ResponseData, params: &Params, runs: RwSignal<Vec<Run>>, may_import: bool) -> AnyView {
    let formats = data.report_formats.iter().map(|format| format.title.clone()).collect::<Vec<_>>().join(", ");
    let reports = data.reports;
    let answer = answer(&reports.nodes);
    let drop = may_import.then(|| view! { {drop_zone(formats, runs)}<div aria-live="polite">{move || runs.get().into_iter().map(run_view).collect_view()}</div> });
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
    view! {
        <p class="answer">{answer}</p>
        <div class="grid"><div class="c7 drop-column">{drop}</div><div class="c5">{gaps(&data.posture.gaps)}</div></div>
        {c::section("h-reports", "Reports", format::counted(reports.total_count, "report", "reports"), filter(params), body)}
    }
    .into_any()
}

fn filter(params: &Params) -> AnyView {
    let failed = params.has("status", "FAILED");
    let href = if failed { PATH.to_owned() } else { format!("{PATH}?status=FAILED") };
    view! { <a href=href>{if failed { "All reports" } else { "Refused only" }}</a> }.into_any()
}

fn answer(reports: &[data::ReportListReportsNodes]) -> AnyView {
    let Some(last) = reports.first() else { return view! { <b>"Nothing has been imported yet."</b> }.into_any() };
    let assets = match last.assets.as_slice() {
        [one] => view! { " on "<a href=c::asset_url(&one.id)>{c::text(&one.name)}</a> }.into_any(),
        [] => none(),
        many => format!(" on {} assets", many.len()).into_any(),
    };
    let counts = &last.counts;
    let what = match last.status {
        ReportStatus::Failed => {
            view! { <b>" refused."</b>" "<a href=c::report_url(&last.id)>"See why"</a>"." }.into_any()
        }
        ReportStatus::Done if counts.new + counts.reopened + counts.resolved + counts.updated == 0 => {
            view! { <b>" nothing changed"</b>{assets}"." }.into_any()
        }
        ReportStatus::Done => {
            let mut parts = Vec::new();
            for (count, word) in [
                (counts.new, "new"),
                (counts.reopened, "reopened"),
                (counts.resolved, "resolved"),
                (counts.updated, "updated"),
            ] {
                if count > 0 {
                    parts.push(format!("{} {word}", format::count(count)));
                }
            }
            view! { <b>" "{parts.join(", ")}</b>{assets}"." }.into_any()
        }
        other => view! { <b>" "{other.label().to_lowercase()}"."</b> }.into_any(),
    };
    view! { <b>"Last import "{c::ago(&last.created_at)}":"</b>{what} }.into_any()
}

fn drop_zone(formats: String, runs: RwSignal<Vec<Run>>) -> AnyView {
    let over = RwSignal::new(false);
    let on_drop = move |event: ev::DragEvent| {
        event.prevent_default();
        over.set(false);
        start_all(browser::dropped(&event), runs);
    };
    view! {
        <label class="drop" data-over=move || over.get().then_some("true")
            on:dragover=move |event| { event.prevent_default(); over.set(true); }
            on:dragleave=move |_| over.set(false) on:drop=on_drop>
            {icon(icons::FILE_UP)}
            <div><p><b>"Drop reports here"</b>" or "<span class="link">"choose files"</span></p><p>{formats}"; the format is recognized"</p></div>
            <input type="file" id="files" multiple class="vh" on:change=move |event| start_all(browser::chosen(&event), runs)/>
        </label>
    }
    .into_any()
}

fn start_all(files: Vec<File>, runs: RwSignal<Vec<Run>>) {
    for file in files {
        let run =
            Run { name: StoredValue::new(browser::describe(&file)), state: RwSignal::new(RunState::Sending(0.0)) };
        runs.update(|runs| runs.insert(0, run));
        browser::upload(&file, move |event| match event {
            UploadEvent::Sent(sent, of) => {
                let _ = run.state.try_set(RunState::Sending(if of > 0.0 { sent / of } else { 1.0 }));
            }
            UploadEvent::Accepted(id) => {
                let _ = run.state.try_set(RunState::Running(id.clone(), ReportStatus::Accepted, 0.0));
                follow(id, run);
            }
            UploadEvent::Refused(why) => {
                let _ = run.state.try_set(RunState::Refused(why));
            }
        });
    }
}

/// Asks how far the report is until it has ended or the reader has left the page.
fn follow(id: String, run: Run) {
    leptos::task::spawn_local(async move {
        let reply = gql::query::<ReportProgress>(report_progress::Variables { id: id.clone() }).await;
        if run.state.try_get_untracked().is_none() {
            return;
        }
        match reply.map(|data| data.report) {
            Ok(Some(report)) => match report.status {
                ReportStatus::Done => {
                    let counts = report.counts;
                    let summary = if counts.findings == 0 {
                        "the report is valid and has no findings".to_owned()
                    } else {
                        format!(
                            "{} new, {} updated, {} reopened, {} resolved, {} unchanged",
                            format::count(counts.new),
                            format::count(counts.updated),
                            format::count(counts.reopened),
                            format::count(counts.resolved),
                            format::count(counts.unchanged)
                        )
                    };
                    run.state.set(RunState::Done(id, summary));
                    state::refresh();
                }
                ReportStatus::Failed => {
                    run.state.set(RunState::Refused(
                        report.error.map_or_else(|| "The report could not be read.".to_owned(), |error| error.message),
                    ));
                    state::refresh();
                }
                status => {
                    run.state.set(RunState::Running(id.clone(), status, report.progress));
                    browser::later(300, move || follow(id, run));
                }
            },
            Ok(None) => run.state.set(RunState::Refused("The server no longer knows this report.".into())),
            // A broken connection is no verdict on the report: ask again, less often.
            Err(_) => browser::later(2000, move || follow(id, run)),
        }
    });
}

fn run_view(run: Run) -> AnyView {
    let (name, size) = run.name.get_value();
    let label = format!("Import of {}", c::clean(&name));
    let body = move || {
        match run.state.get() {
        RunState::Sending(part) => progress(part, "Sending", 0, None),
        RunState::Running(id, status, part) => {
            let (phase, word) = match status {
                ReportStatus::Merging => (3, "Merging"),
                ReportStatus::Staging => (2, "Staging"),
                _ => (1, "Accepted"),
            };
            progress(part, word, phase, Some(id))
        }
        RunState::Done(id, summary) => {
            view! { <div class="line"><span class="state on" data-done="">{icon(icons::CHECK)}"Done"</span><span class="muted">{summary}</span><a class="link end-auto" href=c::report_url(&id)>"Open report"</a></div> }.into_any()
        }
        RunState::Refused(why) => view! { <div class="line"><span class="state bad">{icon(icons::CIRCLE_X)}"Refused"</span><span>{c::text(&why)}</span></div> }.into_any(),
    }
    };
    view! { <div class="run" role="group" aria-label=label><div class="line"><b class="cut">{c::text(&name)}</b><span class="muted">{size}</span></div>{body}</div> }.into_any()
}

fn progress(part: f64, word: &'static str, phase: usize, id: Option<String>) -> AnyView {
    let percent = format!("{:.0}", part * 100.0);
    let phases = ["Send", "Accepted", "Staging", "Merge"].into_iter().enumerate().map(|(i, name)| {
        let arrow = (i > 0).then(|| icon(icons::CHEVRON_RIGHT));
        let step = if i < phase {
            view! { <span>{icon(icons::CHECK)}{name}</span> }.into_any()
        } else if i == phase {
            view! { <span class="now">{icon(icons::CIRCLE_DASHED)}{word}" "{percent.clone()}" %"</span> }.into_any()
        } else {
            view! { <span>{name}</span> }.into_any()
        };
        view! { {arrow}{step} }
    });
    let phases = phases.collect_view();
    let link = id.map(|id| view! { <a class="link end-auto" href=c::report_url(&id)>"Open report"</a> });
    view! {
        <div class="progress" role="progressbar" aria-valuenow=percent.clone() aria-valuemin="0" aria-valuemax="100" aria-label=word style=format!("--v:{percent}")></div>
        <div class="line"><span class="phases">{phases}</span>{link}</div>
    }
    .into_any()
}

fn gaps(gaps: &[data::ReportListPostureGaps]) -> AnyView {
    let items = gaps.iter().map(|gap| {
        view! { <li class="row"><span class="hx unknown" aria-hidden="true"></span><span class="nowrap">{gap.label.clone()}</span><span class="muted cut" title=gap.action.clone()>{gap.action.clone()}</span><span class="muted">{format::counted(gap.assets, "asset", "assets")}</span></li> }
    });
    let content = if gaps.is_empty() {
        view! { <p class="muted">"Every applicable check is fresh."</p> }.into_any()
    } else {
        view! { <ul class="list">{items.collect_view()}</ul> }.into_any()
    };
    c::section("h-gaps", "Coverage gaps", "what a report would make known", none(), content)
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
            <thead><tr>{c::head("Time", "p1 w", "72px")}{c::head("Tool", "p1 w", "144px")}{c::head("Report", "", "")}{c::head("Assets", "p3 w", "152px")}{c::head("New", "num w", "60px")}{c::head("Updated", "num p1 w", "72px")}{c::head("Reopened", "num p1 w", "84px")}{c::head("Resolved", "num w", "80px")}{c::head("Unchanged", "num p3 w", "88px")}</tr></thead>
            <tbody>{rows.collect_view()}</tbody>
        </table></div>
    }
    .into_any()
}
