//! Views of the list that a person has saved under a name. They are kept in the browser, since they are nobody else's business.

use leptos::{ev, prelude::*};

use super::filter::PATH;
use crate::{
    browser,
    components::text,
    icons::{self, icon},
    state,
    url::Params,
};

/// The menu of the saved views; `params` is what would be saved.
pub fn menu(params: &Params) -> AnyView {
    let viewer = state::viewer();
    let place = format!("views {} {}", viewer.organization, viewer.user.unwrap_or_default());
    let address = params.without("after").on(PATH);
    // Addresses by name, in the form of a query string.
    let views = RwSignal::new(Params::default());
    let known = place.clone();
    // After hydration: the server cannot know them.
    Effect::new(move || views.set(browser::recall(&known).map_or_else(Params::default, |text| Params::parse(&text))));
    let change = move |change: &dyn Fn(&Params) -> Params| {
        views.update(|views| *views = change(views));
        browser::keep(&place, &views.with_untracked(|views| views.on("")));
    };
    let forget = change.clone();
    let save = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let name = browser::form(&event).text("name");
        change(&|views| views.with(&name, &address));
        browser::reset(&event);
    };
    let list = move || {
        views.with(|views| {
            let mine = views.pairs().filter(|(_, address)| address.starts_with(PATH));
            mine.map(|(name, address)| {
                let (forget, own) = (forget.clone(), name.to_owned());
                let remove = move |_| forget(&|views| views.without(&own));
                view! {
                    <div class="item-line"><a class="item" href=address.to_owned()><span class="cut">{text(name)}</span></a>
                        <button class="btn quiet icon sm" type="button" aria-label=format!("Forget {name}") on:click=remove>{icon(icons::X)}</button></div>
                }
            })
            .collect_view()
        })
    };
    view! {
        <details class="menu">
            <summary class="btn quiet sm">{icon(icons::BOOKMARK)}"Views"</summary>
            <div class="pop">
                {list}
                <form class="form-line" method="post" on:submit=save>
                    <input class="input" name="name" aria-label="Name of this view" placeholder="Name of this view" required maxlength="60" autocomplete="off"/>
                    <button class="btn">"Save"</button>
                </form>
                <h3>"Kept in this browser, for you"</h3>
            </div>
        </details>
    }
    .into_any()
}
