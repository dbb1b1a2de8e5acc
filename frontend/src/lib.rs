//! The dashboard: Leptos, rendered on the server, hydrated in the browser, a client of the public GraphQL API.
//!
//! With feature `ssr` a web server renders [`shell`] for any address that is not one of its own, after it has provided, as Leptos
//! context of the request: [`context::Executor`], [`context::StatusSetter`], [`context::Theme`] and [`context::Assets`]. Rendering must
//! be the asynchronous, complete kind (`leptos_axum::render_app_async_with_context`), so that pages are whole without JavaScript.
//! With feature `hydrate` the crate is the browser's module; [`hydrate`] is its start.

pub mod app;
pub mod browser;
pub mod charts;
pub mod components;
pub mod context;
pub mod format;
pub mod gql;
pub mod icons;
pub mod layout;
mod load;
pub mod pages;
mod served;
pub mod state;
pub mod uploads;
pub mod url;

#[cfg(feature = "ssr")]
pub use app::shell;

/// Takes over the page that the server rendered. Sets `data-hydrated="true"` on the document's root at its end.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    browser::install();
    leptos::mount::hydrate_body(app::App);
    if let Some(root) = leptos::prelude::document().document_element() {
        // A failure to set the mark shows as a page that never becomes ready, which is what the mark is for.
        let _ = root.set_attribute("data-hydrated", "true");
    }
}
