//! What is done to many findings at once.

use leptos::prelude::*;

use super::decide;
use crate::{
    browser,
    components::none,
    format,
    gql::TriageAction,
    icons::{self, icon},
    state,
};

/// The button that opens the sheet: key listeners outlive the page, so they press it instead of holding its signal.
#[cfg(feature = "hydrate")]
const SHEET: &str = ".bulk [data-sheet]";

/// The bar that appears with the first selected row.
pub fn bar(selected: RwSignal<Vec<String>>) -> AnyView {
    let sheet = RwSignal::new(false);
    let count = Memo::new(move |_| selected.with(Vec::len));
    let me = state::viewer().user;
    let clear = move || {
        browser::check_all_rows(false);
        selected.set(Vec::new());
        sheet.set(false);
    };
    let bar = move || {
        let count = i64::try_from(count.get()).unwrap_or_default();
        let me = me.clone();
        (count > 0).then(|| {
            view! {
                <div class="bulk-place"><div class="bulk" role="toolbar" aria-label=format::counted(count, "finding selected", "findings selected")>
                    <b>{format::count(count)}" selected"</b><span class="sep"></span>
                    <button class="btn sm" type="button" data-sheet="" on:click=move |_| sheet.set(true)>{icon(icons::CHECK)}"Decide "<kbd>"e"</kbd></button>
                    <button class="btn sm" type="button" on:click=move |_| decide::triage(decide::input(selected.get_untracked(), TriageAction::Start), None)>{icon(icons::CIRCLE_DOT)}"Start"</button>
                    <button class="btn sm wide" type="button" on:click=move |_| {
                        let mut input = decide::input(selected.get_untracked(), TriageAction::Assign);
                        input.assignee.clone_from(&me);
                        decide::triage(input, None);
                    }>{icon(icons::USER_PLUS)}"Assign to me"</button>
                    <button class="btn sm icon quiet" type="button" aria-label="Clear selection" on:click=move |_| clear()>{icon(icons::X)}</button>
                </div></div>
            }
        })
    };
    let form = move || {
        (sheet.get() && count.get() > 0).then(|| {
            view! {
                <div class="overlay" on:click=move |_| sheet.set(false)>
                    <div class="sheet" role="dialog" aria-modal="true" aria-labelledby="bulk-title" on:click=|event| event.stop_propagation()>
                        <header><h2 id="bulk-title">"Decide on "{format::counted(i64::try_from(count.get()).unwrap_or_default(), "finding", "findings")}</h2>
                            <button class="btn quiet icon sm" type="button" aria-label="Close" on:click=move |_| sheet.set(false)>{icon(icons::X)}</button></header>
                        {decide::form(selected.into(), None)}
                    </div>
                </div>
            }
        })
    };
    if state::viewer().can("finding:triage") { view! { {bar}{form} }.into_any() } else { none() }
}

/// Opens the sheet as its button does.
#[cfg(feature = "hydrate")]
pub fn open_sheet() {
    browser::click(SHEET);
}
