//! Heads of sections and of sorted columns, and the way to the next page.

use leptos::prelude::*;

use crate::{
    format,
    icons::{self, icon},
    url::Params,
};

/// A section with its head: name, then the window, unit or count, then links.
pub fn section(
    id: &'static str,
    title: impl IntoView + 'static,
    aside: impl IntoView + 'static,
    end: AnyView,
    content: AnyView,
) -> AnyView {
    section_of(id, title.into_any(), aside.into_any(), end, content)
}

fn section_of(id: &'static str, title: AnyView, aside: AnyView, end: AnyView, content: AnyView) -> AnyView {
    view! {
        <section class="sec" aria-labelledby=id>
            <header class="sec-head"><h2 id=id>{title}</h2><span class="aside">{aside}</span><span class="end">{end}</span></header>
            {content}
        </section>
    }
    .into_any()
}

/// Nothing, where a part is optional.
#[must_use]
pub fn none() -> AnyView {
    ().into_any()
}

/// The head of a column that sorts. The order stands in the address as `sort=KEY` and `dir=ASC`; descending is the default.
pub fn sort_head(
    label: &'static str,
    key: &'static str,
    class: &'static str,
    width: &'static str,
    path: &str,
    params: &Params,
    default: &str,
) -> AnyView {
    let current = params.get("sort").unwrap_or(default) == key;
    let ascending = params.get("dir") == Some("ASC");
    let dir = if current && !ascending { "ASC" } else { "" };
    let href = params.without("after").with("sort", key).with("dir", dir).on(path);
    let sort = current.then_some(if ascending { "ascending" } else { "descending" });
    let arrow = current.then(|| icon(if ascending { icons::ARROW_UP } else { icons::ARROW_DOWN }));
    let style = (!width.is_empty()).then(|| format!("--w:{width}"));
    view! { <th class=class style=style scope="col" aria-sort=sort><a href=href data-noscroll="">{label}{arrow}</a></th> }.into_any()
}

/// A plain head of a column; `width` is a CSS length or empty.
pub fn head(label: &'static str, class: &'static str, width: &'static str) -> AnyView {
    let style = (!width.is_empty()).then(|| format!("--w:{width}"));
    view! { <th class=class style=style scope="col">{label}</th> }.into_any()
}

/// What is shown of how many, and the next page by its cursor.
pub fn pager(
    path: &str,
    params: &Params,
    shown: usize,
    total: impl Into<Option<i64>>,
    noun: (&'static str, &'static str),
    next: Option<String>,
) -> AnyView {
    let later = params.get("after").is_some();
    let first = later.then(|| view! { <a class="btn sm" href=params.without("after").on(path)>"First page"</a> });
    let next = next.map(|cursor| view! { <a class="btn sm" href=params.with("after", &cursor).on(path)>"Next page"{icon(icons::ARROW_RIGHT)}</a> });
    let shown = i64::try_from(shown).unwrap_or(i64::MAX);
    let of = match total.into() {
        Some(total) => format!("{} of {}", format::count(shown), format::counted(total, noun.0, noun.1)),
        None => format::counted(shown, noun.0, noun.1),
    };
    view! {
        <nav class="pager" aria-label="Pages"><span>{of}</span>{first}{next}</nav>
    }
    .into_any()
}
