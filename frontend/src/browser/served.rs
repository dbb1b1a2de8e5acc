//! What only the server renders, in the browser: fetching it, and rows that announce themselves.

use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Document, DomParser, Element, Response, SupportedType};

use super::page::{find, find_all, move_row, navigate_in_place, restore_row};
use crate::served::ID;

/// Milliseconds between two looks at what is new on a list, and between two loadings of a page that follows.
const LOOK: u64 = 2000;
const FOLLOW: u64 = 15_000;

/// Whether the document is still being taken over as the server sent it.
#[must_use]
pub fn is_hydrating() -> bool {
    document().document_element().is_some_and(|root| !root.has_attribute("data-hydrated"))
}

/// The document at an address of this server; `None` when it holds nothing that only the server renders.
///
/// # Errors
/// When no answer came.
pub async fn fetch_page(address: &str) -> Result<Option<Document>, ()> {
    async fn fetch(address: &str) -> Result<Document, JsValue> {
        let response: Response = JsFuture::from(window().fetch_with_str(address)).await?.dyn_into()?;
        let text = JsFuture::from(response.text()?).await?.as_string().unwrap_or_default();
        DomParser::new()?.parse_from_string(&text, SupportedType::TextHtml)
    }
    let page = send_wrapper::SendWrapper::new(fetch(address)).await.map_err(|_| ())?;
    Ok(page.get_element_by_id(ID).is_some().then_some(page))
}

/// The markup of what only the server renders.
#[must_use]
pub fn part_of(page: &Document) -> String {
    page.get_element_by_id(ID).map(|element| element.inner_html()).unwrap_or_default()
}

/// After new markup is in its place: the row that had the focus gets it back, or the field that the page begins with gets it, and what
/// the address names is shown.
pub fn served_anew(row: Option<String>) {
    if let Some(row) = row {
        restore_row(row);
    }
    super::page::focus(".served [autofocus]");
    request_animation_frame(|| {
        let name = window().location().hash().unwrap_or_default();
        if let Some(target) =
            name.get(1..).filter(|name| !name.is_empty()).and_then(|id| document().get_element_by_id(id))
        {
            target.scroll_into_view();
        }
    });
}

/// Milliseconds until the page looks at live events again.
#[must_use]
pub fn pace() -> u64 {
    if find("[data-follow]").is_some() { FOLLOW } else { LOOK }
}

/// Whether the page shows new data by itself, and nobody is in the middle of something there.
#[must_use]
pub fn follows() -> bool {
    find("[data-follow]").is_some() && find(".served :is(:focus, details[open])").is_none()
}

/// Whether the page is a list whose new rows announce themselves, and is not paused.
#[must_use]
pub fn announces() -> bool {
    find("[data-news]").is_some() && find("[data-pause][aria-pressed=true]").is_none()
}

fn id(row: &Element) -> Option<String> {
    row.get_attribute("data-id")
}

/// Says how many rows of the newer page the list does not have yet.
pub fn announce(newer: &Document) {
    let shown: Vec<_> = find_all("tr[data-id]").iter().filter_map(id).collect();
    let Ok(rows) = newer.query_selector_all("tr[data-id]") else { return };
    let rows = (0..rows.length()).filter_map(|i| id(&rows.get(i)?.dyn_into().ok()?));
    let count = rows.filter(|row| !shown.contains(row)).count();
    if let Some(button) = find("[data-news]").filter(|_| count > 0) {
        // A whole page of new rows is at least as many.
        let more = if count >= shown.len() && count > 1 { "+" } else { "" };
        let noun = if count == 1 { "event" } else { "events" };
        button.set_text_content(Some(&format!("{count}{more} new {noun}, show")));
        let _ = button.remove_attribute("hidden");
    }
}

/// Moves the focus over the rows. With a drawer open it follows, so that a list can be read through.
pub fn step_row(step: i32) {
    let row = move_row(step);
    if let (Some(row), true) = (row, find(".split.open").is_some()) {
        let rows = find_all("tr[data-id]");
        let link =
            rows.iter().find(|r| id(r).as_ref() == Some(&row)).and_then(|r| r.query_selector("a[data-open]").ok()?);
        if let Some(href) = link.and_then(|link| link.get_attribute("href")) {
            navigate_in_place(&href);
        }
    }
}
