//! What was sent, and what came of it.

use leptos::prelude::*;
use stance_shared::NotificationStatus as Status;

use super::{Channel, PATH, may, moment, switch, table};
use crate::{
    components as c, format,
    gql::{
        self, NotificationLog, NotificationResult, ReplayNotification, notification_log as data, notification_result,
        replay_notification,
    },
    icons::{self, icon},
    load::load,
    url::Params,
};

const PAGE: i64 = 25;

type Message = data::NotificationLogNotificationDeliveriesNodes;

/// The log with its filter.
pub fn log(channels: &[Channel], params: &Params) -> AnyView {
    let text = |key: &str| params.get(key).map(str::to_owned);
    let variables = data::Variables {
        filter: Some(data::NotificationDeliveryFilter { channel: text("by"), status: params.words("status") }),
        first: Some(PAGE),
        after: text("after"),
    };
    let shown = params.clone();
    let bar = bar(channels, params);
    let list = load::<NotificationLog>(
        "The log",
        c::none,
        move || variables.clone(),
        move |data| content(&data.notification_deliveries, &shown),
    );
    c::section("h-log", "Sent", "kept for 90 days", c::none(), view! { {bar}{list} }.into_any())
}

fn bar(channels: &[Channel], params: &Params) -> AnyView {
    let base = params.only(&["by"]);
    let statuses: Vec<&str> = params.all("status").collect();
    let views = switch(
        "Messages",
        PATH,
        [
            (base.clone(), "All", statuses.is_empty()),
            (base.with("status", "DEAD"), "Failed", statuses == ["DEAD"]),
            (base.with("status", "WAITING"), "Being sent", statuses == ["WAITING"]),
            (base.with("status", "HELD"), "Held back", statuses == ["HELD"]),
        ],
    );
    let links = channels.iter().map(|channel| {
        let current = params.has("by", &channel.id);
        let href = params.only(&["status"]).with("by", &channel.id).on(PATH);
        view! { <a class="item" href=href data-noscroll="" aria-current=current.then_some("true")>{c::cut(&channel.name)}</a> }
    });
    let chosen = channels.iter().find(|channel| params.has("by", &channel.id)).map(|channel| {
        let href = params.only(&["status"]).on(PATH);
        let name = c::clean(&channel.name);
        view! { <span class="chip"><span>"Channel"</span><b>{name.clone()}</b><a href=href aria-label=format!("Remove filter channel {name}") data-noscroll="">{icon(icons::X)}</a></span> }
    });
    view! {
        <div class="bar-tools chips">{views}{chosen}
            <details class="menu to-end"><summary class="btn quiet sm">{icon(icons::LIST_FILTER)}"Channel"</summary><div class="pop">{links.collect_view()}</div></details>
        </div>
    }
    .into_any()
}

fn content(list: &data::NotificationLogNotificationDeliveries, params: &Params) -> AnyView {
    if list.nodes.is_empty() {
        let filtered = params.get("status").is_some() || params.get("by").is_some();
        return if filtered {
            c::empty("No message matches", "Take the filter away to see all of them.", c::none())
        } else {
            c::empty("Nothing was sent yet", "Test a channel, or wait for what a rule tells.", c::none())
        };
    }
    let heads = view! { {c::head("Time", "w", "112px")}{c::head("What", "", "")}{c::head("To", "p1 w", "20%")}{c::head("State", "w", "116px")}<th class="w p1" style="--w:84px" scope="col"><span class="vh">"Actions"</span></th> };
    let rows = list.nodes.iter().map(row).collect_view();
    let next = list.page_info.end_cursor.as_ref().filter(|_| list.page_info.has_next_page).map(|cursor| {
        view! { <div class="pager"><a class="btn sm" href=params.with("after", cursor).on(PATH)>"Older"</a></div> }
    });
    view! { {table("Messages, newest first", heads.into_any(), rows.into_any())}{next} }.into_any()
}

fn status(status: Status) -> AnyView {
    let (class, markup) = match status {
        Status::Held => ("state muted", icons::PAUSE),
        Status::Waiting => ("state", icons::ROTATE_CCW),
        Status::Delivered => ("state", icons::CHECK),
        Status::Dead => ("state bad", icons::CIRCLE_X),
        Status::Dropped => ("state muted", icons::BAN),
    };
    view! { <span class=class>{icon(markup)}{status.label()}</span> }.into_any()
}

fn row(message: &Message) -> AnyView {
    let what = match message.notices.as_slice() {
        [] if message.rule.is_none() => view! { "Test" }.into_any(),
        [] => view! { <span class="muted">"something that you may not read"</span> }.into_any(),
        [one] => view! { {c::severity(one.severity)}<a class="cut" href=one.link.clone()>{c::text(&one.title)}</a> }
            .into_any(),
        many => {
            let count = format::counted(i64::try_from(many.len()).unwrap_or_default(), "notice", "notices");
            let first = many.first().map(|notice| c::text(&notice.title));
            view! { <span class="cut">{count}": "{first}</span> }.into_any()
        }
    };
    let channel = message.channel.as_ref().map(|channel| c::text(&channel.name));
    let to = message.user.as_ref().map(|user| view! { <span class="muted">" to "{c::text(&user.name)}</span> });
    let replay = (may("notification:write")
        && message.rule.is_some()
        && matches!(message.status, Status::Dead | Status::Dropped))
    .then(|| {
        let body = gql::body::<ReplayNotification>(replay_notification::Variables { id: message.id.clone() });
        view! { <button class="btn quiet sm" type="button" data-act=body data-done="It is sent again">"Send again"</button> }
    });
    let reason = message.reason.as_deref().filter(|_| message.attempts.is_empty());
    let reason = reason.map(|reason| view! { <small class="why muted">{c::text(reason)}</small> });
    let waits = matches!(message.status, Status::Held | Status::Waiting).then(|| {
        view! { <small class="why muted">{if message.status == Status::Held { "until " } else { "next " }}{moment(&message.due_at)}</small> }
    });
    let attempts = (!message.attempts.is_empty()).then(|| {
        let lines = message.attempts.iter().rev().map(|a| {
            attempt(&a.at, a.status, a.milliseconds, a.error.as_deref(), a.answer.as_deref())
        });
        let count = i64::try_from(message.attempts.len()).unwrap_or_default();
        view! { <details class="tries"><summary>{format::counted(count, "attempt", "attempts")}</summary><ol>{lines.collect_view()}</ol></details> }
    });
    view! {
        <tr class="row tall"><td class="muted">{moment(&message.created_at)}</td>
            <td><span class="cell">{what}</span>{reason}{attempts}</td>
            <td class="p1"><span class="cut">{channel}{to}</span></td><td>{status(message.status)}{waits}</td><td class="num p1">{replay}</td></tr>
    }
    .into_any()
}

/// One attempt: when, what was answered, how long it took.
fn attempt(at: &str, status: Option<i64>, ms: i64, error: Option<&str>, answer: Option<&str>) -> AnyView {
    let said = match (status, error) {
        (Some(status), None) => format!("answered {status}"),
        (_, Some(error)) => c::clean(error),
        (None, None) => "delivered".to_owned(),
    };
    let answer = answer.map(|answer| view! { <pre class="said-back" tabindex="0">{c::text(answer)}</pre> });
    view! { <li><span class="muted">{moment(at)}</span>" "{said}<span class="muted">{format!(" in {ms} ms")}</span>{answer}</li> }
        .into_any()
}

/// What came of the test that the address names.
pub fn tested(params: &Params) -> AnyView {
    let Some(id) = params.get("tested").map(str::to_owned) else { return c::none() };
    load::<NotificationResult>(
        "The test",
        c::none,
        move || notification_result::Variables { id: id.clone() },
        |data| {
            let Some(message) = data.notification_delivery else { return c::none() };
            let Some(last) = message.attempts.last() else { return c::none() };
            let name = message.channel.as_ref().map(|channel| c::text(&channel.name));
            let to = message.user.as_ref().map(|user| view! { ", to "{c::text(&user.name)} });
            let (markup, head) = if last.delivered {
                (icons::CHECK, " took the test")
            } else {
                (icons::TRIANGLE_ALERT, " did not take the test")
            };
            let line = attempt(&last.at, last.status, last.milliseconds, last.error.as_deref(), last.answer.as_deref());
            view! {
                <div class="note" role="status">{icon(markup)}<div><b>{name}{head}</b>{to}<ul class="tries">{line}</ul></div>
                    <div class="end"><a class="btn quiet icon sm" href=PATH data-noscroll="" aria-label="Close">{icon(icons::X)}</a></div></div>
            }
            .into_any()
        },
    )
}
