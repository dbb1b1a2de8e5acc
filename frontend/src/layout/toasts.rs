//! Toasts, and taking back what was just done.

use leptos::prelude::*;

use crate::{
    icons::{self, icon},
    state::{self, Toast},
};

/// The place of the toasts, which is announced to screen readers.
pub fn toasts() -> AnyView {
    let app = state::app();
    #[cfg(feature = "hydrate")]
    {
        let handle = window_event_listener(leptos::ev::keydown, move |event| {
            let last = app.toasts.with_untracked(|toasts| toasts.last().and_then(|toast| toast.undo.clone()));
            if let (Some("z"), Some(undo)) = (crate::browser::plain_key(&event).as_deref(), last) {
                state::undo(undo);
            }
        });
        on_cleanup(move || handle.remove());
    }
    view! {
        <div class="toasts" role="status" aria-live="polite">
            {move || app.toasts.get().into_iter().map(toast).collect_view()}
        </div>
    }
    .into_any()
}

fn toast(toast: Toast) -> AnyView {
    let undo = toast.undo.map(|undo| view! { <button class="btn sm" type="button" on:click=move |_| state::undo(undo.clone())>"Undo "<kbd>"z"</kbd></button> });
    view! { <div class="toast">{icon(icons::CHECK)}<span>{toast.text}</span>{undo}</div> }.into_any()
}
