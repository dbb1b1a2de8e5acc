//! Reports: uploading them, watching them, and what they brought.

mod list;
mod upload;

use leptos::prelude::*;
use leptos_router::hooks::use_location;
use stance_shared::ReportStatus;

use crate::{
    components::{self as c, none},
    format,
    gql::{ReportList, report_list as data},
    icons::{self, icon},
    layout,
    load::ask,
    state,
    url::Params,
};

const PATH: &str = "/imports";

/// `/imports`
pub fn imports() -> AnyView {
    super::reload_on(|news| news.reports > 0);
    refresh_after_uploads();
    let search = use_location().search;
    let params = Memo::new(move |_| search.with(|s| Params::parse(s)));
    let may_import = state::viewer().can("report:import");
    let reports = ask::<ReportList>("The reports", move || data::Variables {
        first: Some(50),
        after: params.with(|p| p.get("after").map(str::to_owned)),
        status: params.with(|p| p.words("status")),
    });
    let button = may_import
        .then(|| view! { <label class="btn primary sm" for="files">{icon(icons::FILE_UP)}"Import files"</label> });
    // The form stands beside what is loaded, not in it: a report that arrives meanwhile must not empty it.
    let upload = may_import.then(|| {
        upload::upload(
            reports.part(|data| formats(&data.report_formats)),
            reports.part(|data| all_formats(&data.report_formats)),
        )
    });
    view! {
        {layout::top(None, "Imports", button.into_any())}
        <div class="page stack">
            <p class="answer">{reports.part(|data| answer(&data.reports.nodes))}</p>
            <div class="grid"><div class="c7 drop-column">{upload}</div><div class="c5">{reports.part(|data| gaps(&data.posture.gaps))}</div></div>
            {reports.view(c::table_skeleton, move |data| list::list(data.reports, &params.get_untracked()))}
        </div>
    }
    .into_any()
}

/// An upload that ends changes the list below it.
fn refresh_after_uploads() {
    let uploads = state::app().uploads;
    Effect::new(move |before: Option<usize>| {
        let ended =
            uploads.with(|all| all.iter().filter(|upload| upload.state.with(|state| state.has_ended())).count());
        if before.is_some_and(|before| before < ended) {
            state::refresh();
        }
        ended
    });
}

/// The first formats by name, and the number of the others.
fn formats(formats: &[data::ReportListReportFormats]) -> AnyView {
    let titles: Vec<&str> = formats.iter().map(|format| format.title.as_str()).collect();
    let (named, rest) = titles.split_at(titles.len().min(4));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    view! { <span title=titles.join(", ")>{named.join(", ")}{more}</span> }.into_any()
}

/// The way to the documentation of the formats.
fn all_formats(formats: &[data::ReportListReportFormats]) -> AnyView {
    let count = format::counted(i64::try_from(formats.len()).unwrap_or_default(), "format", "formats");
    view! { <p class="muted hint"><a class="link" href="/formats">"All "{count}</a>": how to make a report, and what is taken over of it"</p> }.into_any()
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

fn gaps(gaps: &[data::ReportListPostureGaps]) -> AnyView {
    let items = gaps.iter().map(|gap| {
        view! { <li class="row"><span class="hx unknown" aria-hidden="true"></span><span class="nowrap">{gap.label.clone()}" "<span class="muted">{gap.layer.label()}</span></span><span class="muted cut" title=gap.action.clone()>{gap.action.clone()}</span><span class="muted">{format::counted(gap.assets, "asset", "assets")}</span></li> }
    });
    let content = if gaps.is_empty() {
        view! { <p class="muted">"Every applicable check is fresh."</p> }.into_any()
    } else {
        view! { <ul class="list">{items.collect_view()}</ul> }.into_any()
    };
    c::section("h-gaps", "Coverage gaps", "what a report would make known", none(), content)
}
