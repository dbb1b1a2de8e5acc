//! Channels: their state, and their forms.

use leptos::prelude::*;
use stance_shared::NotificationChannelKind as Kind;

use super::{Channel, PATH, alone, data, field, may, question, table};
use crate::{
    components as c, format,
    gql::{
        self, DeleteChannel, EnableChannel, MailEncryption, NotificationChannelState as State, SaveMailChannel,
        SaveWebhook, TestChannel, delete_channel, enable_channel, save_mail_channel, save_webhook, test_channel,
    },
    icons::{self, icon},
    url::Params,
};

pub fn section(channels: &[Channel], params: &Params) -> AnyView {
    let add = |kind: Kind, label: &'static str| view! { <a class="btn sm" href=Params::default().with("new", kind.as_str()).on(PATH) data-noscroll="">{icon(icons::PLUS)}{label}</a> };
    let buttons = may("notification:write").then(|| {
        view! { <div class="actions">{add(Kind::Slack, "Slack")}{add(Kind::Webhook, "Webhook")}{add(Kind::Email, "E-mail")}</div> }
    });
    let confirm = params
        .get("delete")
        .and_then(|id| channels.iter().find(|channel| channel.id == id))
        .filter(|_| may("notification:write"))
        .map(confirm);
    let body = if channels.is_empty() {
        let next = buttons.map(IntoAny::into_any).unwrap_or_else(c::none);
        return c::empty(
            "Choose where messages go",
            "A Slack-compatible webhook (Slack, Mattermost, Rocket.Chat), a signed webhook for your own program, or a mail server. Then rules say who hears of what.",
            next,
        );
    } else {
        list(channels)
    };
    let end = buttons.map(IntoAny::into_any).unwrap_or_else(c::none);
    c::section("h-channels", "Channels", "where messages go", end, view! { {confirm}{body} }.into_any())
}

fn state(channel: &Channel) -> AnyView {
    let since = |at: &Option<String>| {
        at.as_deref().and_then(format::seconds).map(|t| format::span(c::now() - t)).unwrap_or_default()
    };
    let why = channel.disabled_reason.as_deref().or(channel.last_error.as_deref()).map(c::clean).unwrap_or_default();
    match channel.state {
        State::Unused => view! { <span class="state muted">"not used yet"</span> }.into_any(),
        State::Working => view! { <span class="state">{icon(icons::CHECK)}"working"</span> }.into_any(),
        State::Failing => view! { <span class="state bad" title=why>{icon(icons::TRIANGLE_ALERT)}{format!("failing {}", since(&channel.failing_since))}</span> }.into_any(),
        State::Disabled => view! { <span class="state bad" title=why>{icon(icons::BAN)}"switched off"</span> }.into_any(),
    }
}

fn list(channels: &[Channel]) -> AnyView {
    let may_write = may("notification:write");
    let rows = channels.iter().map(|channel| {
        let last = channel.last_delivered_at.as_deref().map_or_else(|| view! { "never" }.into_any(), c::ago);
        let why = channel.disabled_reason.as_deref().or(channel.last_error.as_deref()).map(|why| {
            view! { <small class="why muted">{c::text(why)}</small> }
        });
        let actions = may_write.then(|| actions(channel));
        view! {
            <tr class="row tall"><td><span class="cell">{c::cut(&channel.name)}</span>{why}</td><td class="p2 muted">{channel.kind.label()}</td><td class="p2 muted mono">{c::cut(&channel.target)}</td><td>{state(channel)}</td>
                <td class="p1 muted">{last}</td><td class="num p1">{actions}</td></tr>
        }
    });
    let heads = view! {
        {c::head("Channel", "", "")}{c::head("Kind", "p2 w", "184px")}{c::head("Target", "p2 w", "22%")}{c::head("State", "w", "124px")}{c::head("Delivered", "p1 w", "96px")}
        <th class="p1 w" style="--w:132px" scope="col"><span class="vh">"Actions"</span></th>
    };
    table("Channels", heads.into_any(), rows.collect_view().into_any())
}

fn actions(channel: &Channel) -> AnyView {
    let id = channel.id.clone();
    let test = gql::body::<TestChannel>(test_channel::Variables { id: id.clone() });
    let on = channel.state == State::Disabled;
    let switch = gql::body::<EnableChannel>(enable_channel::Variables { id: id.clone(), enabled: on });
    let back = gql::body::<EnableChannel>(enable_channel::Variables { id: id.clone(), enabled: !on });
    let (word, done) = if on { ("Switch on", "Switched on") } else { ("Switch off", "Switched off") };
    let name = c::clean(&channel.name);
    view! {
        <span class="cell end-row">
            <button class="btn quiet sm" type="button" data-act=test data-then="/settings/notifications?tested={/testNotificationChannel/id}" aria-label=format!("Test {name}")>"Test"</button>
            <details class="menu to-end"><summary class="btn quiet sm" aria-label=format!("More for {name}")>{icon(icons::CHEVRON_DOWN)}</summary>
                <div class="pop">
                    <a class="item" href=Params::default().with("channel", &id).on(PATH) data-noscroll="">"Change"</a>
                    <button class="item" type="button" data-act=switch data-done=done data-undo=back>{word}</button>
                    <a class="item" href=Params::default().with("delete", &id).on(PATH) data-noscroll="">"Delete"</a>
                </div>
            </details>
        </span>
    }
    .into_any()
}

fn confirm(channel: &Channel) -> AnyView {
    let body = gql::body::<DeleteChannel>(delete_channel::Variables { id: channel.id.clone() });
    let text = view! { <b>"Delete "{c::text(&channel.name)}"?"</b>" Its rules go with it, and what it had still to send is dropped. The log stays. This can not be taken back." };
    let button = view! { <button class="btn sm" type="button" data-act=body data-done="The channel is deleted" data-then=PATH>"Delete"</button> };
    question(text.into_any(), button.into_any(), PATH.to_owned())
}

/// The form that the address asks for, if it asks for one.
pub fn form(data: &data::ResponseData, params: &Params) -> Option<AnyView> {
    let channel =
        params.get("channel").and_then(|id| data.notification_channels.iter().find(|channel| channel.id == id));
    let kind = channel.map(|channel| channel.kind).or_else(|| params.get("new")?.parse().ok())?;
    let title = match (channel, kind) {
        (Some(channel), _) => c::clean(&channel.name),
        (None, Kind::Email) => "New mail server".to_owned(),
        (None, Kind::Slack) => "New Slack-compatible webhook".to_owned(),
        (None, Kind::Webhook) => "New webhook".to_owned(),
    };
    let (sub, form) = match kind {
        Kind::Email => ("messages go out by your own mail server", mail(channel)),
        Kind::Slack => ("Slack, Mattermost, Rocket.Chat and others take it", webhook(channel, kind)),
        Kind::Webhook => ("signed JSON for your own program", webhook(channel, kind)),
    };
    Some(alone("h-form", title, sub, form))
}

fn name(channel: Option<&Channel>, example: &'static str) -> AnyView {
    let name = channel.map(|channel| channel.name.clone());
    let input = view! { <input class="input" id="f-name" name="name" value=name placeholder=example required maxlength="100" autocomplete="off"/> };
    field("Name", "f-name", input.into_any(), "How rules call it.")
}

fn webhook(channel: Option<&Channel>, kind: Kind) -> AnyView {
    let variables = |new_signing_secret| save_webhook::Variables {
        id: channel.map(|channel| channel.id.clone()),
        kind,
        name: channel.map(|channel| channel.name.clone()).unwrap_or_default(),
        url: None,
        new_signing_secret,
    };
    let body = gql::body::<SaveWebhook>(variables(false));
    let (placeholder, example, hint) = match kind {
        Kind::Slack => (
            "https://hooks.slack.com/services/T000/B000/…",
            "#security",
            "In Slack: Apps → Incoming Webhooks → Add. The address is a secret: it is stored sealed and never shown again.",
        ),
        _ => (
            "https://example.com/hooks/stance",
            "ticket system",
            "Stance posts JSON there, signed with a secret that it makes and shows once. The address is stored sealed.",
        ),
    };
    let kept = channel.map(|channel| format!("unchanged: {}/…", c::clean(&channel.target)));
    let url = view! { <input class="input mono" id="f-url" name="url" type="url" placeholder=kept.unwrap_or_else(|| placeholder.to_owned()) required=channel.is_none() maxlength="2000" autocomplete="off" spellcheck="false"/> };
    let once = channel.is_none() && kind == Kind::Webhook;
    let form = view! {
        <form class="form" method="post" data-act=body data-done="Saved" data-then=(!once).then_some(PATH) data-show=once.then_some("/saveNotificationChannel/signingSecret")>
            {name(channel, example)}
            {field("Address", "f-url", url.into_any(), hint)}
            <p class="err" role="alert"></p>
            <div class="actions"><button class="btn primary">"Save"</button></div>
        </form>
        {once.then(secret)}
    };
    let renew = (channel.is_some() && kind == Kind::Webhook).then(|| {
        let body = gql::body::<SaveWebhook>(variables(true));
        view! {
            <form class="form" method="post" data-act=body data-done="A new secret signs from now on" data-show="/saveNotificationChannel/signingSecret">
                <p class="hint muted">"The receiver checks messages with the signing secret. A new one takes the place of the old one at once."</p>
                <p class="err" role="alert"></p>
                <div class="actions"><button class="btn">"Make a new signing secret"</button></div>
            </form>
            {secret()}
        }
    });
    view! { {form}{renew} }.into_any()
}

/// Where a signing secret is shown once.
fn secret() -> AnyView {
    view! {
        <div class="secret" role="status" hidden>
            <p>"The signing secret, shown only now. The receiver checks the header Stance-Signature with it."</p>{c::command("{}")}
            <div class="actions"><a class="btn sm" href=PATH data-noscroll="">"Done"</a></div>
        </div>
    }
    .into_any()
}

fn mail(channel: Option<&Channel>) -> AnyView {
    let mail = channel.and_then(|channel| channel.mail.as_ref());
    let body = gql::body::<SaveMailChannel>(save_mail_channel::Variables {
        id: channel.map(|channel| channel.id.clone()),
        name: String::new(),
        host: String::new(),
        port: 587,
        encryption: MailEncryption::Starttls,
        username: None,
        password: None,
        from: String::new(),
        to: None,
    });
    let chosen = mail.map_or(MailEncryption::Starttls, |mail| mail.encryption);
    let options = [
        (MailEncryption::Starttls, "STARTTLS (usually port 587)"),
        (MailEncryption::Tls, "TLS from the start (usually port 465)"),
        (MailEncryption::None, "none: without user name only"),
    ]
    .map(|(word, label)| view! { <option value=word.as_str() selected=word == chosen>{label}</option> });
    let host = view! { <input class="input mono" id="f-host" name="host" value=mail.map(|mail| mail.host.clone()) placeholder="smtp.example.com" required maxlength="253" autocomplete="off" spellcheck="false"/> };
    let port = view! { <input class="input" id="f-port" name="port" data-as="number" type="number" min="1" max="65535" value=mail.map_or(587, |mail| mail.port).to_string() required/> };
    let user = view! { <input class="input" id="f-username" name="username" value=mail.and_then(|mail| mail.username.clone()) maxlength="200" autocomplete="off"/> };
    let kept = if mail.is_some_and(|mail| mail.username.is_some()) { "unchanged" } else { "" };
    let password = view! { <input class="input" id="f-password" name="password" type="password" placeholder=kept maxlength="500" autocomplete="new-password"/> };
    let from = view! { <input class="input" id="f-from" name="from" type="email" value=mail.map(|mail| mail.from.clone()) placeholder="stance@example.com" required maxlength="254" autocomplete="off"/> };
    let to = view! { <input class="input" id="f-to" name="to" value=mail.map(|mail| mail.to.join(", ")) placeholder="security@example.com, oncall@example.com" maxlength="2600" autocomplete="off"/> };
    view! {
        <form class="form" method="post" data-act=body data-done="Saved" data-then=PATH>
            {name(channel, "company mail")}
            <div class="row2">{field("Mail server", "f-host", host.into_any(), "")}{field("Port", "f-port", port.into_any(), "")}</div>
            <div class="field"><label for="f-encryption">"Encryption"</label><select class="input" id="f-encryption" name="encryption">{options.into_iter().collect_view()}</select><p class="err" role="alert"></p></div>
            <div class="row2">{field("User name (optional)", "f-username", user.into_any(), "")}{field("Password", "f-password", password.into_any(), "")}</div>
            <p class="hint muted">"The password is stored sealed and never shown again."</p>
            {field("From", "f-from", from.into_any(), "")}
            {field("To (optional)", "f-to", to.into_any(), "Where rules without members write to, for example a shared mailbox. Whoever reads it hears of everything that its rules tell.")}
            <p class="err" role="alert"></p>
            <div class="actions"><button class="btn primary">"Save"</button></div>
        </form>
    }
    .into_any()
}
