//! Sign-in, first set-up and invitation: plain forms, which work without JavaScript.

use leptos::prelude::*;
use leptos_router::hooks::use_location;
use serde_json::Value;

use crate::{
    app::Page,
    components::{field, text},
    context::Given,
    icons::{self, icon, mark},
    load::{self, set_title},
    url::Params,
};

/// The page for somebody who is not signed in.
pub fn public(page: &Page) -> AnyView {
    let query = Params::parse(&use_location().search.get());
    match page {
        Page::Setup => setup(&query),
        Page::Invitation(token) => invitation(token.clone(), &query),
        _ => sign_in(&query),
    }
}

fn card(title: &'static str, heading: AnyView, query: &Params, form: AnyView) -> AnyView {
    let error = query.get("error").map(
        |code| view! { <div class="note" role="alert">{icon(icons::TRIANGLE_ALERT)}<span>{message(code)}</span></div> },
    );
    let notice = query.get("notice").and_then(notice).map(|notice| view! { <p role="status">{notice}</p> });
    set_title(title);
    view! {
        <main class="signin"><div class="card"><h1 class="brand">{mark()}"Stance"</h1>{heading}{notice}{error}{form}</div></main>
    }
    .into_any()
}

/// What a code of the address means. Codes that this page does not know give a general sentence, never the code's own text.
fn message(code: &str) -> &'static str {
    match code {
        "invalid_credentials" => "E-mail or password is not right.",
        "throttled" => "Too many attempts. Wait a few minutes and try again.",
        "weak_password" => "Choose a password of at least 12 characters that is not a common one.",
        "password_mismatch" => "The two passwords are not the same.",
        "missing_field" => "Fill in every field.",
        "invalid_email" => "This is not an e-mail address.",
        "invitation_invalid" => "The invitation has expired, was used or was taken back. Ask for a new one.",
        "already_set_up" => "Stance is set up already. Sign in.",
        "not_a_member" => "You are not a member of any organization. Ask for an invitation.",
        "session_expired" => "Your session has ended. Sign in again.",
        _ => "That did not work. Try again.",
    }
}

fn notice(code: &str) -> Option<&'static str> {
    match code {
        "signed_out" => Some("You are signed out."),
        "password_changed" => Some("The password is changed. Sign in with the new one."),
        _ => None,
    }
}

fn sign_in(query: &Params) -> AnyView {
    let next = query
        .get("next")
        .filter(|next| next.starts_with('/') && !next.starts_with("//"))
        .map(|next| view! { <input type="hidden" name="next" value=next.to_owned()/> });
    let form = view! {
        <form method="post" action="/auth/sign-in">
            {next}
            <div class="field"><label for="f-email">"E-mail"</label><input class="input" id="f-email" name="email" type="email" autocomplete="username" required autofocus/></div>
            {field("password", "Password", "password", "current-password", true)}
            <button class="btn primary">"Sign in"</button>
        </form>
    };
    card("Sign in", ().into_any(), query, form.into_any())
}

fn setup(query: &Params) -> AnyView {
    let form = view! {
        <form method="post" action="/auth/setup">
            {field("organization", "Organization", "text", "organization", true)}
            {field("name", "Your name", "text", "name", true)}
            {field("email", "E-mail", "email", "username", true)}
            {new_password()}
            <button class="btn primary">"Create organization"</button>
        </form>
    };
    card("Set up", view! { <p>"The first account owns the organization."</p> }.into_any(), query, form.into_any())
}

fn invitation(token: String, query: &Params) -> AnyView {
    let preview = load::given(Given::INVITATION);
    let word = |name: &str| preview.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    if preview.is_null() {
        load::set_status(404);
        let next = view! { <p>{message("invitation_invalid")}</p><a class="btn" href="/sign-in">"Sign in"</a> };
        return card("Invitation", next.into_any(), &Params::default(), ().into_any());
    }
    let email = word("email");
    let heading = view! { <p>"You are invited to "<b>{text(&word("organization"))}</b>" as "{word("role").to_lowercase()}", with the address "<b>{text(&email)}</b>"."</p> };
    let fields = if preview.get("hasAccount").and_then(Value::as_bool) == Some(true) {
        field("password", "Password of your account", "password", "current-password", true)
    } else {
        view! { {field("name", "Your name", "text", "name", true)}{new_password()} }.into_any()
    };
    let form = view! {
        <form method="post" action="/auth/accept-invitation">
            <input type="hidden" name="token" value=token/>
            <input type="hidden" autocomplete="username" value=email/>
            {fields}
            <button class="btn primary">"Join"</button>
        </form>
    };
    card("Invitation", heading.into_any(), query, form.into_any())
}

fn new_password() -> AnyView {
    view! {
        <div class="field"><label for="f-password">"Password"</label>
            <input class="input" id="f-password" name="password" type="password" autocomplete="new-password" minlength="12" required aria-describedby="h-password"/>
            <span class="muted hint" id="h-password">"At least 12 characters"</span></div>
    }
    .into_any()
}
