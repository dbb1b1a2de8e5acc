//! The frame of every page: navigation at the side, the page in the middle, palette and toasts above.

mod keys;
mod palette;
mod side;
mod toasts;

use leptos::prelude::*;

use crate::{
    app::Page,
    components::{Now, none},
    format,
    gql::{Clock, Frame, clock, frame as data},
    icons::{self, icon},
    load::{ask, ask_once, set_title},
    pages,
    state::Viewer,
};

/// The frame around a page, once it is known who is signed in.
pub fn frame(page: Memo<Page>) -> AnyView {
    #[cfg(feature = "hydrate")]
    follow_live_events();
    let clock = ask_once::<Clock>("The dashboard", clock::Variables {});
    let frame = ask::<Frame>("The dashboard", || data::Variables {});
    clock.view(none, move |clock| {
        provide_context(Now(format::seconds(&clock.viewer.now).unwrap_or_default()));
        frame.view(none, move |frame| framed(page, frame.viewer))
    })
}

fn framed(page: Memo<Page>, viewer: data::FrameViewer) -> AnyView {
    let name =
        viewer.user.as_ref().map(|user| user.name.clone()).or_else(|| viewer.token_name.clone()).unwrap_or_default();
    provide_context(Viewer {
        user: viewer.user.as_ref().map(|user| user.id.clone()),
        name,
        role: viewer.role,
        permissions: viewer.permissions.clone(),
        organization: viewer.organization.name.clone(),
    });
    view! {
        <a class="skip" href="#main">"Skip to content"</a>
        <div class="app">
            {side::side(page, viewer)}
            <main class="main" id="main" tabindex="-1">{move || pages::page(&page.get())}</main>
        </div>
        {toasts::toasts()}
        {palette::palette()}
        {keys::keys()}
    }
    .into_any()
}

/// The bar at the top of a page: where it is, its name, and its actions. Also names the document.
pub fn top(crumb: Option<(&'static str, &'static str)>, title: &str, end: AnyView) -> AnyView {
    set_title(title);
    let crumb = crumb
        .map(|(label, href)| view! { <span class="crumb"><a href=href>{label}</a>{icon(icons::CHEVRON_RIGHT)}</span> });
    bar(crumb.into_any(), title, view! { <div class="end">{end}</div> }.into_any())
}

/// The bar at the top with what stands before and after the page's name. The caller names the document.
pub fn bar(before: AnyView, title: &str, after: AnyView) -> AnyView {
    let title = crate::components::clean(title);
    view! {
        <div class="top">
            <button class="btn quiet icon menu-btn" type="button" popovertarget="side" aria-label="Open navigation">{icon(icons::MENU)}</button>
            {before}
            <h1 class="cut"><bdi>{title}</bdi></h1>
            {after}
        </div>
    }
    .into_any()
}

#[cfg(feature = "hydrate")]
fn follow_live_events() {
    let news = crate::state::app().news;
    crate::browser::live(move |topic| {
        news.update(|news| match topic {
            "finding" => news.findings += 1,
            "report" => news.reports += 1,
            "event" | "policy" | "sensor" | "containment" | "playbook" | "incident" => news.runtime += 1,
            _ => news.posture += 1,
        });
    });
}
