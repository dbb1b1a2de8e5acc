//! What markup asks of the browser by attributes alone, on every page.
//!
//! - `data-copy="text"`: a button that copies the text.
//! - `data-refresh`: a button that loads the page's data anew.
//! - `data-pause`: a button that stops announcements of new rows while it is pressed.
//! - `data-step="1"`, `"-1"`: a button to the next or previous row.
//! - `data-act="body"` on a form or a button: a mutation, as the body of a GraphQL request. Fields of the form are variables by their
//!   name; `data-as` says of what type: `number`, `json`, `bool` or `list` (the checked boxes of that name). Empty fields are left out.
//!   `data-done` is said when it worked, and `data-undo`, another body, takes it back. Then the page is loaded anew; or `data-then`
//!   leads to an address, in which `{/pointer}` stands for a value of the reply; or, with `data-show="/pointer"`, the hidden element
//!   after the form is shown with the value in place of its `{}`: for secrets that are given once.
//!   A refusal stands at the field that it names, in an `.err` beside it, otherwise in the form's own `.err`.
//! - `data-check="body"` on a field: a query that gets the field's text as the variable of its name, whenever its writer pauses.
//!   `data-mistakes="/pointer"` leads to the reply's list of `line`, `column` and `message`, which stand in the `.err` beside the field; where
//!   there are none, `data-fine` is said in the `.fine`.

use std::cell::Cell;

use js_sys::Reflect;
use leptos::ev;
use serde_json::Value;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Element, HtmlFormElement};

use super::page::{all_in, copy, find_in, later, navigate};
use super::step_row;
use crate::{state, url};

/// A click somewhere.
pub(super) fn click(target: &Element) {
    let with = |selector: &str| target.closest(selector).ok().flatten();
    if let Some(button) = with("[data-copy]") {
        copy(&button.get_attribute("data-copy").unwrap_or_default());
    } else if with("[data-refresh]").is_some() {
        state::refresh();
    } else if let Some(button) = with("[data-step]") {
        step_row(button.get_attribute("data-step").and_then(|step| step.parse().ok()).unwrap_or(1));
    } else if let Some(button) = with("[data-pause]") {
        let paused = button.get_attribute("aria-pressed").as_deref() == Some("true");
        let _ = button.set_attribute("aria-pressed", if paused { "false" } else { "true" });
    } else if let Some(button) = with("button[data-act]") {
        let form = button.closest("form").ok().flatten();
        act(&button, form);
    }
}

/// A form is sent.
pub(super) fn submit(form: &HtmlFormElement, event: &ev::SubmitEvent) {
    if form.has_attribute("data-act") {
        event.prevent_default();
        act(form, Some(form.clone().into()));
    }
}

fn act(element: &Element, form: Option<Element>) {
    let said = |name: &str| element.get_attribute(name).filter(|value| !value.is_empty());
    let Some(mut body) = said("data-act").and_then(|body| serde_json::from_str::<Value>(&body).ok()) else { return };
    if let Some(form) = &form {
        for error in all_in(form, ".err") {
            error.set_text_content(None);
        }
        for field in all_in(form, "[aria-invalid]") {
            let _ = field.remove_attribute("aria-invalid");
        }
        if let Err(message) = fill(&mut body["variables"], form) {
            refuse(form, &message);
            return;
        }
    }
    let (done, undo, then, show) = (said("data-done"), said("data-undo"), said("data-then"), said("data-show"));
    let finish = move |reply: &str| {
        let data = match crate::gql::data(reply) {
            Ok(data) => data,
            Err(refusal) => match &form {
                Some(form) => {
                    refuse(form, &refusal.message);
                    return Ok(());
                }
                None => return Err(refusal.message),
            },
        };
        if let Some(done) = done {
            state::toast(done, undo);
        }
        match (show, then, &form) {
            (Some(pointer), _, Some(form)) => show_once(form, &text(&data, &pointer)),
            (None, Some(address), _) => navigate(&filled(&address, &data)),
            _ => state::refresh(),
        }
        Ok(())
    };
    state::run(body.to_string(), None, Box::new(finish));
}

/// Milliseconds that its writer pauses before a text is checked.
const PAUSE: u64 = 400;

thread_local! {
    /// Counts what is typed, so that only the newest text is checked, and no earlier answer counts.
    static TYPED: Cell<u32> = const { Cell::new(0) };
}

/// Something is typed.
pub(super) fn input(field: Element) {
    let Some(body) = field.get_attribute("data-check") else { return };
    let turn = TYPED.get().wrapping_add(1);
    TYPED.set(turn);
    let check = move || {
        let Ok(mut body) = serde_json::from_str::<Value>(&body) else { return };
        body["variables"][field.get_attribute("name").unwrap_or_default()] = Value::String(value(&field));
        let finish = move |reply: &str| {
            // Without an answer nothing is known; saving will say what is wrong.
            if let (true, Ok(data)) = (TYPED.get() == turn, crate::gql::data(reply)) {
                tell(&field, &data);
            }
            Ok(())
        };
        state::run(body.to_string(), None, Box::new(finish));
    };
    later(PAUSE, move || {
        if TYPED.get() == turn {
            check();
        }
    });
}

fn tell(field: &Element, data: &Value) {
    let said = |name: &str| field.get_attribute(name).unwrap_or_default();
    let mistakes = data.pointer(&said("data-mistakes")).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let line = |mistake: &Value| {
        let message = mistake["message"].as_str().unwrap_or_default();
        format!("line {}, column {}: {message}", mistake["line"], mistake["column"])
    };
    let lines: Vec<String> = mistakes.iter().map(line).collect();
    let _ = match lines.is_empty() {
        true => field.remove_attribute("aria-invalid"),
        false => field.set_attribute("aria-invalid", "true"),
    };
    let Some(beside) = field.closest(".field").ok().flatten() else { return };
    for (place, text) in
        [(".err", lines.join("\n")), (".fine", if lines.is_empty() { said("data-fine") } else { String::new() })]
    {
        if let Some(place) = find_in(&beside, place) {
            place.set_text_content(Some(&text));
        }
    }
}

fn value(field: &Element) -> String {
    Reflect::get(field, &JsValue::from_str("value")).ok().and_then(|value| value.as_string()).unwrap_or_default()
}

fn text(data: &Value, pointer: &str) -> String {
    data.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// An address with `{/pointer}` replaced.
fn filled(address: &str, data: &Value) -> String {
    match address.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?))) {
        Some((before, (pointer, after))) => format!("{before}{}{after}", url::encode(&text(data, pointer))),
        None => address.to_owned(),
    }
}

fn fill(variables: &mut Value, form: &Element) -> Result<(), String> {
    for field in all_in(form, "[name]") {
        let property = |name: &str| Reflect::get(&field, &JsValue::from_str(name)).unwrap_or(JsValue::NULL);
        let checked = property("checked").as_bool() == Some(true);
        let content = value(&field);
        let name = field.get_attribute("name").unwrap_or_default();
        let kind = field.get_attribute("type").unwrap_or_default();
        let value = match field.get_attribute("data-as").as_deref() {
            Some("bool") => Value::Bool(checked),
            Some("list") => {
                if !variables[&name].is_array() {
                    variables[&name] = Value::Array(Vec::new());
                }
                if let (Value::Array(list), true) = (&mut variables[&name], checked) {
                    list.push(Value::String(content));
                }
                continue;
            }
            _ if content.is_empty() || (kind == "radio" && !checked) => continue,
            Some("number") => {
                content.parse::<i64>().map(Value::from).map_err(|_| format!("{name} is no whole number"))?
            }
            Some("json") => serde_json::from_str(&content).map_err(|error| format!("{name} is no JSON: {error}"))?,
            _ => Value::String(content),
        };
        variables[&name] = value;
    }
    Ok(())
}

/// Puts a refusal where the reader looks.
fn refuse(form: &Element, message: &str) {
    let named = all_in(form, "[name]").into_iter().find(|field| {
        let name = field.get_attribute("name").unwrap_or_default();
        message.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == name)
    });
    let beside = named.as_ref().and_then(|field| find_in(&field.closest(".field").ok()??, ".err"));
    if let (Some(field), true) = (&named, beside.is_some()) {
        let _ = field.set_attribute("aria-invalid", "true");
    }
    if let Some(field) = &named {
        select_line(field, message);
    }
    match beside.or_else(|| find_in(form, ".err")) {
        Some(place) => place.set_text_content(Some(message)),
        None => state::toast(message, None),
    }
}

/// Where a refusal names a line of a text, that line is selected, so that the reader sees it.
fn select_line(field: &Element, message: &str) {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    let Some(line) = message.split_once("line ").and_then(|(_, rest)| digits(rest).parse::<usize>().ok()) else {
        return;
    };
    let property = |name: &str| Reflect::get(field, &JsValue::from_str(name)).unwrap_or(JsValue::NULL);
    let text = value(field);
    let length = |line: &str| u32::try_from(line.encode_utf16().count()).unwrap_or(0);
    let start: u32 = text.split('\n').take(line.saturating_sub(1)).map(|line| length(line) + 1).sum();
    let end = start + text.split('\n').nth(line.saturating_sub(1)).map_or(0, length);
    if let Ok(select) = property("setSelectionRange").dyn_into::<js_sys::Function>() {
        let _ = select.call2(field, &start.into(), &end.into());
        let _ = field.clone().dyn_into::<web_sys::HtmlElement>().map(|field| field.focus());
    }
}

fn show_once(form: &Element, secret: &str) {
    let Some(place) = form.next_element_sibling() else { return };
    let _ = place.remove_attribute("hidden");
    for slot in all_in(&place, "code, [data-copy]") {
        match slot.get_attribute("data-copy") {
            Some(copied) => drop(slot.set_attribute("data-copy", &copied.replace("{}", secret))),
            None => slot.set_text_content(Some(&slot.text_content().unwrap_or_default().replace("{}", secret))),
        }
    }
    if let Ok(form) = form.clone().dyn_into::<HtmlFormElement>() {
        form.reset();
    }
}
