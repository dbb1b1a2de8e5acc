//! Settings of the organization and of the person.

mod account;
mod jobs;
mod members;
mod organization;
mod tokens;

use leptos::prelude::*;

use crate::{
    app::Setting,
    components::none,
    icons::{self, icon},
    layout, served, state,
};

/// `/settings/…`
pub fn settings(setting: Setting) -> AnyView {
    let viewer = state::viewer();
    let all: [(Setting, &'static str, &'static str, &'static str, &str); 7] = [
        (Setting::Organization, "organization", "Organization", icons::BUILDING_2, "organization:read"),
        (Setting::Members, "members", "Members", icons::USERS, "member:read"),
        (Setting::Tokens, "tokens", "API tokens", icons::KEY_ROUND, "token:read"),
        (Setting::Runtime, "runtime", "Runtime", icons::ACTIVITY, "policy:read"),
        (Setting::Notifications, "notifications", "Notifications", icons::MESSAGE_SQUARE_TEXT, "notification:read"),
        (Setting::Sessions, "sessions", "Password and sessions", icons::MONITOR, "account:manage"),
        (Setting::Jobs, "jobs", "Failed jobs", icons::LIST_RESTART, "job:read"),
    ];
    let links = all
        .iter()
        .filter(|(which, .., permission)| *which == setting || viewer.can(permission))
        .map(|(which, path, label, markup, _)| {
            view! { <li><a href=format!("/settings/{path}") aria-current=(*which == setting).then_some("page")>{icon(markup)}{*label}</a></li> }
        })
        .collect_view();
    let title = all.iter().find(|(which, ..)| *which == setting).map_or("Settings", |(_, _, label, ..)| label);
    let content = match setting {
        Setting::Organization => organization::organization(),
        Setting::Members => members::members(),
        Setting::Tokens => tokens::tokens(),
        Setting::Sessions => account::account(),
        Setting::Jobs => jobs::jobs(),
        Setting::Runtime | Setting::Notifications => served::served(),
    };
    view! {
        {layout::top(Some(("Settings", "/settings/organization")), title, none())}
        <div class="page"><div class="settings"><nav aria-label="Settings"><ul>{links}</ul></nav><div class="stack">{content}</div></div></div>
    }
    .into_any()
}
