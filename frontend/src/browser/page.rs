//! The document: theme, focus, forms, clipboard, rows.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use leptos::{ev, prelude::*};
use leptos_router::NavigateOptions;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Element, FormData, Headers, HtmlElement, HtmlFormElement, HtmlInputElement, RequestInit, Response};

use crate::{state, url::Params};

type Navigate = Rc<dyn Fn(&str, NavigateOptions)>;

thread_local! {
    static OWN_CLOCK: Cell<bool> = const { Cell::new(false) };
    static NAVIGATE: RefCell<Option<Navigate>> = const { RefCell::new(None) };
    static LAST_CHECKED: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Posts JSON to an address of this server and gives the answer's text.
pub async fn post_json(url: &str, body: String) -> Result<String, ()> {
    async fn post(url: &str, body: String) -> Result<String, JsValue> {
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_body(&JsValue::from_str(&body));
        let headers = Headers::new()?;
        headers.set("content-type", "application/json")?;
        init.set_headers(&headers);
        let response: Response = JsFuture::from(window().fetch_with_str_and_init(url, &init)).await?.dyn_into()?;
        let text = JsFuture::from(response.text()?).await?;
        text.as_string().ok_or(JsValue::NULL)
    }
    post(url, body).await.map_err(|_| ())
}

/// The browser's clock, once the page is no longer the one that the server rendered.
#[must_use]
pub fn own_clock() -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of this age fit")]
    OWN_CLOCK.get().then(|| (js_sys::Date::now() / 1000.0) as i64)
}

/// From now on the browser's clock counts.
pub fn leave_the_servers_clock() {
    OWN_CLOCK.set(true);
}

/// Keeps a text in this browser. A browser that keeps nothing is no reason to fail.
pub fn keep(place: &str, text: &str) {
    if let Ok(Some(storage)) = window().local_storage() {
        let _ = storage.set_item(place, text);
    }
}

/// What was kept at a place.
#[must_use]
pub fn recall(place: &str) -> Option<String> {
    window().local_storage().ok()??.get_item(place).ok()?
}

/// Remembers how the router goes to an address.
pub fn set_navigate(navigate: impl Fn(&str, NavigateOptions) + 'static) {
    NAVIGATE.replace(Some(Rc::new(navigate)));
}

/// Goes to an address of the dashboard.
pub fn navigate(url: &str) {
    go(url, true);
}

/// Goes to an address without scrolling.
pub fn navigate_in_place(url: &str) {
    go(url, false);
}

fn go(url: &str, scroll: bool) {
    if let Some(navigate) = NAVIGATE.with_borrow(Clone::clone) {
        navigate(url, NavigateOptions { scroll, ..Default::default() });
    }
}

/// Leaves the dashboard for an address of the server.
pub fn leave(url: &str) {
    let _ = window().location().set_href(url);
}

/// Switches between light and dark and remembers it for the server.
pub fn toggle_theme() {
    let Some(root) = document().document_element() else { return };
    let system_dark =
        window().match_media("(prefers-color-scheme: dark)").ok().flatten().is_some_and(|query| query.matches());
    let dark = root.get_attribute("data-theme").map_or(system_dark, |theme| theme == "dark");
    let theme = if dark { "light" } else { "dark" };
    let _ = root.set_attribute("data-theme", theme);
    if let Ok(document) = document().dyn_into::<web_sys::HtmlDocument>() {
        let _ = document.set_cookie(&format!("theme={theme}; path=/; max-age=31536000; samesite=lax"));
    }
}

/// Copies a text.
pub fn copy(text: &str) {
    let promise = window().navigator().clipboard().write_text(text);
    leptos::task::spawn_local(async move {
        let done = JsFuture::from(promise).await.is_ok();
        state::toast(if done { "Copied" } else { "The browser did not allow copying" }, None);
    });
}

/// Copies the full address of a page of this server.
pub fn copy_link(path: &str) {
    copy(&format!("{}{path}", window().location().origin().unwrap_or_default()));
}

pub(super) fn find(selector: &str) -> Option<Element> {
    document().query_selector(selector).ok().flatten()
}

pub(super) fn find_in(element: &Element, selector: &str) -> Option<Element> {
    element.query_selector(selector).ok().flatten()
}

pub(super) fn find_all(selector: &str) -> Vec<Element> {
    document().document_element().map_or_else(Vec::new, |root| all_in(&root, selector))
}

pub(super) fn all_in(element: &Element, selector: &str) -> Vec<Element> {
    let Ok(list) = element.query_selector_all(selector) else { return Vec::new() };
    (0..list.length()).filter_map(|i| list.get(i)?.dyn_into().ok()).collect()
}

/// Moves the focus to the first element that matches, once pending changes of the page are drawn.
pub fn focus(selector: &'static str) {
    request_animation_frame(move || {
        if let Some(element) = find(selector).and_then(|e| e.dyn_into::<HtmlElement>().ok()) {
            let _ = element.focus();
        }
    });
}

/// As [`focus`], when the element comes with data that is still on its way.
pub fn focus_soon(selector: &'static str) {
    fn attempt(selector: &'static str, left: u8) {
        match find(selector).and_then(|e| e.dyn_into::<HtmlElement>().ok()) {
            Some(element) => {
                let _ = element.focus();
            }
            None if left > 0 => later(50, move || attempt(selector, left - 1)),
            None => {}
        }
    }
    request_animation_frame(move || attempt(selector, 20));
}

/// Clicks the first element that matches.
pub fn click(selector: &str) {
    if let Some(element) = find(selector).and_then(|e| e.dyn_into::<HtmlElement>().ok()) {
        element.click();
    }
}

/// Clicks the first element that matches; of a menu it opens or closes it.
pub fn press(selector: &str) {
    match find(selector).and_then(|e| e.closest("details.menu").ok().flatten()) {
        Some(menu) => toggle(&menu),
        None => click(selector),
    }
}

/// Opens or closes the first `details` that matches and moves the focus into it.
pub fn toggle_details(selector: &'static str) {
    if let Some(details) = find(selector) {
        toggle(&details);
    }
}

fn toggle(details: &Element) {
    let open = details.has_attribute("open");
    close_menus();
    if !open {
        let _ = details.set_attribute("open", "");
        if let Some(first) = find_in(details, ".pop :is(a, input:not([type=hidden]), select, button)") {
            let _ = first.unchecked_into::<HtmlElement>().focus();
        }
    }
}

/// Closes all open menus and the navigation sheet.
pub fn close_menus() {
    for menu in find_all("details.menu[open]") {
        let _ = menu.remove_attribute("open");
    }
    if let Some(side) = find(".side:popover-open") {
        let _ = side.unchecked_into::<HtmlElement>().hide_popover();
    }
}

/// Closes the menus in which an event did not happen.
pub(super) fn close_other_menus(target: Option<&Element>) {
    for menu in find_all("details.menu[open]") {
        if !target.is_some_and(|target| menu.contains(Some(target))) {
            let _ = menu.remove_attribute("open");
        }
    }
}

/// The values of a form element.
pub(super) fn values(form: &HtmlFormElement) -> Params {
    let Some(entries) = FormData::new_with_form(form).ok().and_then(|data| js_sys::try_iter(&data).ok().flatten())
    else {
        return Params::default();
    };
    let pairs = entries.flatten().filter_map(|pair| {
        let pair: js_sys::Array = pair.dyn_into().ok()?;
        Some((pair.get(0).as_string()?, pair.get(1).as_string()?))
    });
    Params::from_pairs(pairs.collect())
}

fn form_of(event: &ev::SubmitEvent) -> Option<HtmlFormElement> {
    event.target()?.dyn_into().ok()
}

/// The values of the form that an event comes from.
#[must_use]
pub fn form(event: &ev::SubmitEvent) -> Params {
    form_of(event).map(|form| values(&form)).unwrap_or_default()
}

/// Empties the form that an event comes from.
pub fn reset(event: &ev::SubmitEvent) {
    if let Some(form) = form_of(event) {
        form.reset();
    }
}

/// A click on a row opens it, unless it was meant for something in the row.
pub fn open_row(event: &ev::MouseEvent) {
    let Some(target) = event.target().and_then(|t| t.dyn_into::<Element>().ok()) else { return };
    if target.closest("a, button, input, label").ok().flatten().is_some() {
        return;
    }
    let link = target.closest("tr").ok().flatten().and_then(|row| row.query_selector("a[data-open]").ok().flatten());
    // Not by clicking the link: a click inside the handling of a click would enter the same listener twice.
    if let Some(href) = link.and_then(|link| link.get_attribute("href")) {
        navigate_in_place(&href);
    }
}

fn boxes() -> Vec<HtmlInputElement> {
    find_all("tr[data-id] input[type=checkbox]").into_iter().filter_map(|e| e.dyn_into().ok()).collect()
}

/// The rows whose boxes are checked, by their `data-id`.
#[must_use]
pub fn checked_rows() -> Vec<String> {
    boxes().into_iter().filter(HtmlInputElement::checked).map(|b| b.value()).collect()
}

/// Checks or unchecks the boxes of all rows.
pub fn check_all_rows(on: bool) {
    for b in boxes() {
        b.set_checked(on);
    }
}

/// With shift held, a click on a box extends the selection from the box that was clicked before.
pub fn extend_selection(event: &ev::MouseEvent) {
    let Some(clicked) =
        event.target().and_then(|t| t.dyn_into::<HtmlInputElement>().ok()).filter(|b| b.type_() == "checkbox")
    else {
        return;
    };
    let all = boxes();
    let place = |value: &str| all.iter().position(|b| b.value() == value);
    let last = LAST_CHECKED.replace(clicked.value());
    if let (true, Some(from), Some(to)) = (event.shift_key(), place(&last), place(&clicked.value())) {
        for b in all.iter().take(from.max(to) + 1).skip(from.min(to)) {
            b.set_checked(clicked.checked());
        }
    }
}

fn focused_row() -> Option<Element> {
    document().active_element()?.closest("tr[data-id]").ok().flatten()
}

/// The row that has the focus or is shown in the drawer, by its `data-id`.
#[must_use]
pub fn current_row() -> Option<String> {
    focused_row().or_else(|| find("tr[data-current]")).and_then(|row| row.get_attribute("data-id"))
}

/// Moves the focus up or down the rows and gives the `data-id` of the new row.
pub fn move_row(step: i32) -> Option<String> {
    let rows = find_all("tr[data-id]");
    let current = current_row();
    let at = rows.iter().position(|row| row.get_attribute("data-id") == current && current.is_some());
    let last = rows.len().checked_sub(1)?;
    let to = match at {
        Some(at) => at.saturating_add_signed(step as isize).min(last),
        None => 0,
    };
    let row = rows.get(to)?;
    focus_row(row);
    row.get_attribute("data-id")
}

fn focus_row(row: &Element) {
    if let Ok(Some(link)) = row.query_selector("td a[data-open]") {
        let _ = link.unchecked_into::<HtmlElement>().focus();
    }
}

/// Gives the focus back to a row after its table was drawn anew, unless it is elsewhere by now.
pub fn restore_row(id: String) {
    request_animation_frame(move || {
        let lost = document().active_element().is_none_or(|e| e.tag_name() == "BODY");
        let row = find_all("tr[data-id]").into_iter().find(|row| row.get_attribute("data-id").as_deref() == Some(&*id));
        if let (true, Some(row)) = (lost, row) {
            focus_row(&row);
        }
    });
}

/// Checks or unchecks the box of the row that has the focus.
pub fn toggle_row() {
    if let Some(Ok(Some(b))) = focused_row().map(|row| row.query_selector("input[type=checkbox]")) {
        let b: HtmlInputElement = b.unchecked_into();
        b.set_checked(!b.checked());
    }
}

/// Runs after some milliseconds.
pub fn later(milliseconds: u64, run: impl FnOnce() + 'static) {
    set_timeout(run, std::time::Duration::from_millis(milliseconds));
}
