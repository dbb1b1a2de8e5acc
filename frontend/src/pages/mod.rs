//! The pages, one module each.

mod public;

use leptos::prelude::*;

use crate::{app::Page, layout, load::set_status};

pub use public::public;

/// A page inside the frame.
pub fn page(page: &Page) -> AnyView {
    match page {
        _ => not_found(),
    }
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
