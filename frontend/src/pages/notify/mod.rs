//! Settings → Notifications: where messages go, who hears of what, and what was sent. Only the server renders these pages.

mod channels;
mod log;
mod rules;

use leptos::prelude::*;

use super::runtime::{may, moment, question, switch, table};
use crate::{
    components as c, format,
    gql::{NotificationChannelState, NotificationSettings, notification_settings as data},
    load::{load, set_title},
    url::Params,
};

const PATH: &str = "/settings/notifications";

type Channel = data::NotificationSettingsNotificationChannels;
type Rule = data::NotificationSettingsNotificationRules;

/// `/settings/notifications`
pub fn settings(params: Params) -> AnyView {
    set_title("Notifications · Settings");
    load::<NotificationSettings>(
        "The notifications",
        c::table_skeleton,
        || data::Variables {},
        move |data| content(&data, &params),
    )
}

fn content(data: &data::ResponseData, params: &Params) -> AnyView {
    let (channels, rules) = (&data.notification_channels, &data.notification_rules);
    // A form stands alone: what is being written is the page.
    if let Some(form) =
        may("notification:write").then(|| channels::form(data, params).or_else(|| rules::form(data, params))).flatten()
    {
        return form;
    }
    let log = (!channels.is_empty()).then(|| log::log(channels, params));
    let rules = (!channels.is_empty()).then(|| rules::section(rules, params));
    view! {
        <p class="answer">{answer(data)}</p>
        {log::tested(params)}
        {channels::section(channels, params)}
        {rules}
        {log}
    }
    .into_any()
}

fn answer(data: &data::ResponseData) -> AnyView {
    let (channels, rules) = (&data.notification_channels, &data.notification_rules);
    let count = |n: usize, one: &str, many: &str| format::counted(i64::try_from(n).unwrap_or_default(), one, many);
    if channels.is_empty() {
        return view! { <b>"Nobody is told anything yet."</b>" What happens is only on these pages." }.into_any();
    }
    let bad: Vec<&Channel> = channels
        .iter()
        .filter(|channel| {
            matches!(channel.state, NotificationChannelState::Failing | NotificationChannelState::Disabled)
        })
        .collect();
    let active = rules.iter().filter(|rule| rule.enabled).count();
    let told = match active {
        0 => " No rule uses them, so nobody is told anything.".to_owned(),
        n => format!(" {} in force.", count(n, "rule is", "rules are")),
    };
    match bad.as_slice() {
        [] => view! { <b>{count(channels.len(), "channel", "channels")}", none of them failing."</b>{told} }.into_any(),
        [one] if one.state == NotificationChannelState::Disabled => {
            view! { <b>{c::text(&one.name)}" is switched off."</b>{told} }.into_any()
        }
        [one] => view! { <b>"Nothing comes through to "{c::text(&one.name)}"."</b>{told} }.into_any(),
        many => {
            view! { <b>{format!("{} of {} channels fail or are switched off.", many.len(), channels.len())}</b>{told} }
                .into_any()
        }
    }
}

/// A page of its own for a form, with the way back.
fn alone(id: &'static str, title: String, sub: &'static str, form: AnyView) -> AnyView {
    view! {
        {c::section(id, title, sub, view! { <a class="btn quiet sm" href=PATH data-noscroll="">"Back"</a> }.into_any(), form)}
    }
    .into_any()
}

/// A field with its label, a place for a refusal, and a hint.
fn field(label: &'static str, id: &'static str, input: AnyView, hint: &'static str) -> AnyView {
    let hint = (!hint.is_empty()).then(|| view! { <p class="hint muted">{hint}</p> });
    view! { <div class="field"><label for=id>{label}</label>{input}<p class="err" role="alert"></p>{hint}</div> }
        .into_any()
}
