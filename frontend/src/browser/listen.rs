//! Listeners of the whole document, and the server's live events.

use std::{cell::RefCell, rc::Rc};

use leptos::{ev, prelude::*};
use serde_json::Value;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Element, EventSource, HtmlFormElement, MessageEvent};

use super::{attributes, close_menus, close_other_menus, navigate, page};
use crate::state;

/// Makes forms of filters, menus and the palette's key work on every page. Called once.
pub fn install() {
    // A GET form changes the address without loading the page anew; without this it still works.
    window_event_listener(ev::submit, |event| {
        let Some(form) = event.target().and_then(|t| t.dyn_into::<HtmlFormElement>().ok()) else { return };
        if form.has_attribute("data-nav") {
            event.prevent_default();
            close_menus();
            navigate(&page::values(&form).on(&form.get_attribute("action").unwrap_or_default()));
        }
        attributes::submit(&form, &event);
    })
    .forget_it();
    window_event_listener(ev::change, |event| {
        let target = event.target().and_then(|t| t.dyn_into::<Element>().ok());
        let form = target.filter(|t| t.has_attribute("data-submit")).and_then(|t| t.closest("form").ok().flatten());
        if let Some(form) = form {
            let _ = form.unchecked_into::<HtmlFormElement>().request_submit();
        }
    })
    .forget_it();
    window_event_listener(ev::input, |event| {
        if let Some(field) = event.target().and_then(|t| t.dyn_into::<Element>().ok()) {
            attributes::input(field);
        }
    })
    .forget_it();
    window_event_listener(ev::click, |event| {
        let target = event.target().and_then(|t| t.dyn_into::<Element>().ok());
        let in_link = target.as_ref().and_then(|t| t.closest("a[href]").ok().flatten()).is_some();
        if in_link {
            close_menus();
        } else {
            close_other_menus(target.as_ref());
        }
        if let Some(target) = &target {
            attributes::click(target);
        }
    })
    .forget_it();
    window_event_listener(ev::keydown, |event| {
        let app = state::app();
        if (event.ctrl_key() || event.meta_key()) && event.key().eq_ignore_ascii_case("k") {
            event.prevent_default();
            app.palette.update(|open| *open = !*open);
        } else if event.key() == "Escape" {
            close_menus();
            app.palette.set(false);
            app.keys.set(false);
        } else if plain_key(&event).as_deref() == Some("?") {
            app.keys.set(true);
        }
    })
    .forget_it();
}

/// The key, if it is meant for the page: no modifier and no field that takes text.
#[must_use]
pub fn plain_key(event: &ev::KeyboardEvent) -> Option<String> {
    let typing = event.target().and_then(|t| t.dyn_into::<Element>().ok()).is_some_and(|t| {
        t.matches("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]").unwrap_or(false)
    });
    (!typing && !event.ctrl_key() && !event.meta_key() && !event.alt_key()).then(|| event.key())
}

/// Calls back with the topic of each live event of the organization, for example `report` or `finding`, while somebody looks at
/// the page: browsers open only six connections to a server without TLS, for all their tabs and for pages kept for the way
/// back. Who comes back learns what was missed.
pub fn live(on_event: impl Fn(&str) + 'static) {
    let last = Rc::new(RefCell::new(String::new()));
    let seen = last.clone();
    let receive = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
        seen.replace(event.last_event_id());
        let live = event.data().as_string().and_then(|text| serde_json::from_str::<Value>(&text).ok());
        if let Some(topic) = live.as_ref().and_then(|live| live.get("topic")?.as_str()) {
            on_event(topic);
        }
    });
    let receive: js_sys::Function = receive.into_js_value().unchecked_into();
    let stream = RefCell::new(None::<EventSource>);
    let follow = move || {
        if let Some(stream) = stream.take() {
            stream.close();
        }
        if !document().hidden() {
            // An id is letters, digits and a hyphen.
            let open = EventSource::new(&format!("/live?after={}", last.borrow())).ok();
            if let Some(open) = &open {
                open.set_onmessage(Some(&receive));
                let _ = open.add_event_listener_with_callback("position", &receive);
            }
            stream.replace(open);
        }
    };
    follow();
    window_event_listener_untyped("visibilitychange", move |_| follow()).forget_it();
}

trait ForgetIt {
    fn forget_it(self);
}

impl ForgetIt for WindowListenerHandle {
    /// The listener stays for the life of the page.
    fn forget_it(self) {
        std::mem::forget(self);
    }
}
