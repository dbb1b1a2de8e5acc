//! Pages that only the server renders.
//!
//! A page without state of its own, made of facts, links and forms, has no code in the browser's module: the server renders it as any
//! other, the browser puts the server's markup in its place (`docs/adr/009-pages-that-only-the-server-renders.md`). What such a page
//! does in the browser, it says in attributes, which `browser/attributes.rs` reads for all pages: `data-nav`, `data-act`, `data-copy`.
//! `data-key="t"` on a link or button: the letter clicks it; on the summary of a menu, it opens it.

use leptos::prelude::*;

#[cfg(feature = "hydrate")]
use crate::{app::Page, browser, state};

/// The shape of a page until the server has answered.
#[cfg(feature = "hydrate")]
const SKELETON: &str = r#"<div class="top"></div><div class="page stack" aria-busy="true"><p class="answer"><span class="sk" style="--w:min(480px, 80%)"></span></p><p><span class="sk" style="--w:100%"></span></p><p><span class="sk" style="--w:92%"></span></p></div>"#;

/// Instead of a page that did not come.
#[cfg(feature = "hydrate")]
const FAILURE: &str = r#"<div class="page"><div class="note" role="alert"><div><b>The page could not be loaded.</b><br>The server did not answer. Check the connection and try again.</div><div class="end"><button class="btn sm" type="button" data-refresh>Retry</button></div></div></div>"#;

/// The element around what the server renders.
pub const ID: &str = "served";

/// The place of the page's content.
#[cfg(not(feature = "hydrate"))]
pub fn served() -> AnyView {
    provide_context(crate::load::Served);
    view! { <div class="served" id=ID>{crate::pages::served()}</div> }.into_any()
}

/// The place of the page's content: as the server sent it with the document, and from the server anew when address or data change. The
/// old content stays until then.
#[cfg(feature = "hydrate")]
pub fn served() -> AnyView {
    let location = leptos_router::hooks::use_location();
    let address = move || {
        let (path, search) = (location.pathname.get(), location.search.get());
        if search.is_empty() { path } else { format!("{path}?{search}") }
    };
    let page = Page::of(&location.pathname.get_untracked());
    let tick = state::app().tick;
    let hydrating = browser::is_hydrating();
    // What the server sent stays as it is: hydration takes over an element without looking into it.
    let content = RwSignal::new(if hydrating { String::new() } else { SKELETON.to_owned() });
    // The page that is wanted, and of which request the markup on screen is. Requests are numbered: of two for one page the later one
    // may be answered first, and the earlier answer is then older than what is shown.
    let latest = StoredValue::new(String::new());
    let (requests, newest) = (StoredValue::new(0_u64), StoredValue::new(0_u64));

    Effect::new(move |before: Option<(u64, String)>| {
        let wanted = (tick.get(), address());
        let here = location.pathname.with(|path| Page::of(path) == page);
        let shown = before.is_none() && hydrating;
        if here && !shown && before.as_ref() != Some(&wanted) {
            let elsewhere = before.is_none_or(|before| before.1 != wanted.1);
            latest.set_value(wanted.1.clone());
            let asked = wanted.1.clone();
            requests.update_value(|requests| *requests += 1);
            let number = requests.get_value();
            let row = browser::current_row();
            leptos::task::spawn_local(async move {
                let answer = browser::fetch_page(&asked).await;
                if latest.try_with_value(|latest| *latest == asked) != Some(true) || newest.get_value() > number {
                    return;
                }
                newest.set_value(number);
                match answer {
                    Ok(Some(page)) => {
                        document().set_title(&page.title());
                        content.set(browser::part_of(&page));
                        browser::served_anew(row);
                    }
                    // Not what was asked for: signed out, or another version of the server.
                    Ok(None) => browser::leave(&asked),
                    Err(()) if elsewhere => content.set(FAILURE.to_owned()),
                    // What is on screen is only older than it could be.
                    Err(()) => state::toast("The server did not answer. Check the connection and try again.", None),
                }
            });
        }
        wanted
    });

    follow(address);
    let keys = window_event_listener(leptos::ev::keydown, on_key);
    on_cleanup(move || keys.remove());
    view! { <div class="served" id=ID inner_html=move || content.get() on:click=|event| browser::open_row(&event)></div> }.into_any()
}

/// Live events: a page that follows is loaded anew, at most every so many milliseconds; on a list, new rows announce themselves.
#[cfg(feature = "hydrate")]
fn follow(address: impl Fn() -> String + Copy + Send + Sync + 'static) {
    let news = state::app().news;
    let waiting = StoredValue::new(false);
    Effect::new(move || {
        if news.get().runtime == 0 || waiting.get_value() {
            return;
        }
        waiting.set_value(true);
        browser::later(browser::pace(), move || {
            if waiting.try_set_value(false).is_some() {
                return;
            }
            if browser::follows() {
                state::refresh();
            } else if browser::announces() {
                let address = untrack(address);
                leptos::task::spawn_local(async move {
                    if let Ok(Some(page)) = browser::fetch_page(&address).await {
                        browser::announce(&page);
                    }
                });
            }
        });
    });
}

#[cfg(feature = "hydrate")]
fn on_key(event: leptos::ev::KeyboardEvent) {
    let Some(key) = browser::plain_key(&event) else { return };
    match key.as_str() {
        "j" | "k" => browser::step_row(if key == "j" { 1 } else { -1 }),
        "f" => browser::toggle_details(".bar-tools details"),
        "/" => browser::focus(".searchbox input"),
        "e" => browser::focus(".decide input"),
        "Escape" => browser::click(".drawer [data-close]"),
        // Whatever the page says its keys are: one letter each.
        key if key.len() == 1 && key.bytes().all(|byte| byte.is_ascii_lowercase()) => {
            browser::press(&format!("[data-key={key}]"));
        }
        _ => return,
    }
    event.prevent_default();
}
