//! The pages, one module each.

mod asset;
mod audit;
mod findings;
mod formats;
mod imports;
#[cfg(not(feature = "hydrate"))]
mod incidents;
mod inventory;
#[cfg(not(feature = "hydrate"))]
mod notify;
mod overview;
#[cfg(not(feature = "hydrate"))]
mod playbooks;
mod public;
mod report;
#[cfg(not(feature = "hydrate"))]
mod runtime;
mod settings;

use leptos::prelude::*;

use crate::{
    app::Page,
    browser, layout,
    load::set_status,
    served,
    state::{self, News},
};

#[cfg(not(feature = "hydrate"))]
pub use asset::tabs as asset_tabs;
pub use public::public;
#[cfg(not(feature = "hydrate"))]
pub use runtime::served;

/// A page inside the frame.
pub fn page(page: &Page) -> AnyView {
    match page.clone() {
        Page::Overview => overview::overview(),
        Page::Findings => findings::findings(),
        Page::Finding(id) => findings::finding(id),
        Page::Inventory => inventory::inventory(),
        Page::Asset(id) => asset::asset(id),
        Page::AssetRuntime(_) | Page::Runtime | Page::Playbooks | Page::Incidents => served::served(),
        Page::Imports => imports::imports(),
        Page::Report(id) => report::report(id),
        Page::Formats => formats::formats(),
        Page::Format(format) => formats::format(format),
        Page::Settings(setting) => settings::settings(setting),
        Page::Audit => audit::audit(),
        Page::SignIn | Page::Setup | Page::Invitation(_) | Page::NotFound => not_found(),
    }
}

/// Loads the page's data anew when live events matter to it, once for all events of a second and a half.
fn reload_on(matters: fn(News) -> bool) {
    let news = state::app().news;
    Effect::new(move || {
        if matters(news.get()) {
            browser::later(1500, move || {
                if matters(news.get_untracked()) {
                    state::refresh();
                }
            });
        }
    });
}

/// Nothing is at this address, or nothing that the reader may see: both look the same.
pub fn not_found() -> AnyView {
    set_status(404);
    view! {
        {layout::top(None, "Not found", ().into_any())}
        <div class="page"><div class="gone">
            <p class="answer"><b>"Nothing is here."</b>" The address is wrong, or what it named is gone or not yours to see."</p>
            <div class="actions"><a class="btn primary" href="/">"Overview"</a><a class="btn" href="/findings">"Findings"</a></div>
        </div></div>
    }
    .into_any()
}
