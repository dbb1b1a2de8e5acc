//! What can be imported: the importers' own documentation.

use leptos::prelude::*;

use crate::{
    components as c,
    format::counted,
    gql::{FormatDetail, FormatList, format_detail as detail, format_list as data},
    icons::{self, icon},
    layout,
    load::load,
    url,
};

const PATH: &str = "/formats";
const IMPORTS: (&str, &str) = ("Imports", "/imports");

fn address(format: &str) -> String {
    format!("{PATH}/{}", url::encode(format))
}

/// `/formats`
pub fn formats() -> AnyView {
    view! {
        {layout::top(Some(IMPORTS), "Formats", ().into_any())}
        <div class="page">{load::<FormatList>("The formats", c::table_skeleton, || data::Variables {}, |data| list(data.report_formats))}</div>
    }
    .into_any()
}

fn list(formats: Vec<data::FormatListReportFormats>) -> AnyView {
    let count = counted(i64::try_from(formats.len()).unwrap_or_default(), "format is", "formats are");
    // The list is short and whole, so it is searched where it stands.
    let wanted = RwSignal::new(String::new());
    let texts: Vec<String> = formats.iter().map(|f| format!("{} {}", f.title, f.summary).to_lowercase()).collect();
    let texts = StoredValue::new(texts);
    let matches = move |index: usize| {
        let wanted = wanted.read();
        texts.with_value(|texts| {
            texts.get(index).is_some_and(|text| wanted.split_whitespace().all(|word| text.contains(word)))
        })
    };
    let length = formats.len();
    let nothing = move || (0..length).all(|index| !matches(index));
    let rows = formats.into_iter().enumerate().map(|(index, format)| {
        view! {
            <tr class="row" hidden=move || !matches(index)><td class="strong"><a href=address(&format.format)>{format.title}</a></td>
                <td class="p1 muted" title=format.summary.clone()>{format.summary.clone()}</td></tr>
        }
    });
    view! {
        <p class="answer"><b>{count}" read."</b>" A report's format is recognized by its content, also in gzip and zip."</p>
        <div class="bar-tools" role="search"><div class="searchbox">{icon(icons::SEARCH)}
            <input class="input" type="search" placeholder="Search formats" aria-label="Search formats" maxlength="100" autocomplete="off" on:input=move |event| wanted.set(event_target_value(&event).to_lowercase())/></div></div>
        <div class="tbl"><table>
            <caption class="vh">"Formats by name"</caption>
            <thead><tr>{c::head("Format", "w", "280px")}{c::head("What it is", "p1", "")}</tr></thead>
            <tbody>{rows.collect_view()}</tbody>
        </table></div>
        <p class="muted" role="status">{move || nothing().then_some("No format matches. A tool that is not here may write SARIF, which is read whoever wrote it.")}</p>
    }
    .into_any()
}

/// `/formats/:format`
pub fn format(format: String) -> AnyView {
    let current = format.clone();
    let variables = move || detail::Variables { format: format.clone() };
    load::<FormatDetail>("The format", c::table_skeleton, variables, move |data| match data.report_format {
        Some(format) => page(format, &data.report_formats, &current),
        None => super::not_found(),
    })
}

fn page(format: detail::FormatDetailReportFormat, all: &[detail::FormatDetailReportFormats], current: &str) -> AnyView {
    let others = all.iter().map(|other| {
        view! { <li><a href=address(&other.format) aria-current=(other.format == current).then_some("page")>{other.title.clone()}</a></li> }
    });
    view! {
        {layout::top(Some(("Formats", PATH)), &format.title, ().into_any())}
        <div class="page stack">
            // The server made it from the importer's documentation, which is part of the program.
            <div class="grid"><div class="c8 doc" inner_html=format.help_html></div>
                <nav class="c4" aria-labelledby="h-formats"><h2 class="toc-head" id="h-formats">"All formats"</h2><ul class="toc">{others.collect_view()}</ul></nav></div>
        </div>
    }
    .into_any()
}
