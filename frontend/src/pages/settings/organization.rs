//! The organization's name.

use leptos::{ev, prelude::*};

use crate::{
    browser,
    components::{self as c, none},
    gql::{UpdateOrganization, update_organization},
    state,
};

pub fn organization() -> AnyView {
    let viewer = state::viewer();
    let error = RwSignal::new(String::new());
    let save = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let name = browser::form(&event).text("name");
        state::act::<UpdateOrganization>(update_organization::Variables { name }, Some(error), |done| {
            state::toast(format!("The organization is now called {}", c::clean(&done.update_organization.name)), None);
            state::refresh();
        });
    };
    let content = if viewer.can("organization:update") {
        view! {
            <form class="form" method="post" on:submit=save>
                <div class="field"><label for="f-name">"Name"</label><input class="input" id="f-name" name="name" value=viewer.organization.clone() required maxlength="200"/></div>
                <p class="err" role="alert">{error}</p>
                <div class="actions"><button class="btn primary">"Save"</button></div>
            </form>
        }
        .into_any()
    } else {
        view! { <dl class="facts"><dt>"Name"</dt><dd>{c::text(&viewer.organization)}</dd></dl> }.into_any()
    };
    let role = view! { <dl class="facts"><dt>"Your role"</dt><dd>{viewer.role.label()}</dd><dt>"Permissions"</dt><dd>{viewer.permissions.iter().map(|p| view! { <span class="tag">{p.clone()}</span> }).collect_view()}</dd></dl> };
    view! { {c::section("h-organization", "Organization", none(), none(), content)}{c::section("h-role", "You in it", none(), none(), role.into_any())} }.into_any()
}
