//! The sheet of keys.

use leptos::prelude::*;

use crate::{
    icons::{self, icon},
    state,
};

const KEYS: [(&str, &str); 13] = [
    ("⌘K", "Search pages, assets and findings"),
    ("j", "Next row"),
    ("k", "Previous row"),
    ("x", "Select the row; with shift and click, all up to it"),
    ("Enter", "Open the row in the drawer"),
    ("e", "Decide; on an incident: comment"),
    ("a", "Assign"),
    ("b", "Press the button that shows this letter; so with all letters on buttons"),
    ("f", "Filter"),
    ("/", "Search in the list"),
    ("z", "Take back what the toast says"),
    ("Esc", "Close"),
    ("?", "These keys"),
];

/// The sheet, when it is open.
pub fn keys() -> AnyView {
    let open = state::app().keys;
    let sheet = move || {
        open.get().then(|| {
            crate::browser::focus(".sheet button");
            let rows = KEYS.map(|(key, label)| view! { <dt><kbd>{key}</kbd></dt><dd>{label}</dd> }).into_iter().collect_view();
            view! {
                <div class="overlay" on:click=move |_| open.set(false)>
                    <div class="sheet" role="dialog" aria-modal="true" aria-labelledby="keys-title" on:click=|event| event.stop_propagation()>
                        <header><h2 id="keys-title">"Keys"</h2>
                            <button class="btn quiet icon sm" type="button" aria-label="Close" on:click=move |_| open.set(false)>{icon(icons::X)}</button></header>
                        <dl class="keys">{rows}</dl>
                    </div>
                </div>
            }
        })
    };
    view! { {sheet} }.into_any()
}
