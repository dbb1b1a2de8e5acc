//! The plain HTML forms: they work without JavaScript, and answer with a redirect.
//!
//! A failure leads back to the form with `?error=CODE` (and `field`, `retry` in seconds where they apply); the page has the
//! sentences. That a form was sent by our own page is checked around all routes (`security::refuse_cross_site`).

use super::{
    auth::{Authenticated, request_id},
    session,
};
use crate::{
    app::AppState,
    identity::{
        Client,
        entry::{self, Entered, NewOrganization},
    },
    kernel::{Error, Kind, Result},
};
use axum::{
    Form, Router,
    extract::{FromRequestParts, State},
    http::{HeaderValue, header, request::Parts},
    response::{IntoResponse as _, Redirect, Response},
    routing::post,
};
use serde::Deserialize;
use stance_shared::TenantId;
use std::convert::Infallible;
use tower_sessions::Session;

/// The forms' routes.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/auth/sign-in", post(sign_in))
        .route("/auth/sign-out", post(sign_out))
        .route("/auth/setup", post(set_up))
        .route("/auth/accept-invitation", post(accept_invitation))
        .route("/auth/switch-organization", post(switch_organization))
}

/// The id of the request, for the audit log.
struct RequestId(String);

impl FromRequestParts<AppState> for RequestId {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Infallible> {
        Ok(Self(request_id(parts)))
    }
}

#[derive(Deserialize)]
struct SignIn {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

async fn sign_in(
    State(app): State<AppState>,
    client: Client,
    RequestId(request_id): RequestId,
    session: Session,
    Form(form): Form<SignIn>,
) -> Response {
    let entered =
        entry::sign_in(&app.db, &app.clock, &app.tasks, &client, &request_id, &form.email, form.password).await;
    let next = local_path(&form.next).unwrap_or("/");
    let extra: &[_] = if next == "/" { &[] } else { &[("next", next)] };
    come_in(&session, &client, entered, next, "/sign-in", extra).await
}

#[derive(Deserialize)]
struct SetUp {
    #[serde(default)]
    organization: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
}

async fn set_up(
    State(app): State<AppState>,
    client: Client,
    RequestId(request_id): RequestId,
    session: Session,
    Form(form): Form<SetUp>,
) -> Response {
    let input = NewOrganization {
        organization: form.organization,
        email: form.email,
        name: form.name,
        password: form.password,
    };
    let entered = entry::set_up(&app.db, &app.clock, &client, &request_id, input).await;
    let form = match &entered {
        Err(error) if error.kind == Kind::Conflict => "/sign-in",
        _ => "/setup",
    };
    come_in(&session, &client, entered, "/", form, &[]).await
}

#[derive(Deserialize)]
struct Accept {
    #[serde(default)]
    token: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
}

async fn accept_invitation(
    State(app): State<AppState>,
    client: Client,
    RequestId(request_id): RequestId,
    session: Session,
    Form(form): Form<Accept>,
) -> Response {
    let Accept { token, name, password } = form;
    let entered = entry::accept_invitation(&app.db, &app.clock, &client, &request_id, &token, &name, password).await;
    let page = format!("/invitations/{}", encode(&token));
    come_in(&session, &client, entered, "/", &page, &[]).await
}

#[derive(Deserialize)]
struct Switch {
    /// `organization:UUID`.
    #[serde(default)]
    organization: String,
    #[serde(default)]
    next: String,
}

async fn switch_organization(
    State(app): State<AppState>,
    asker: Option<Authenticated>,
    session: Session,
    Form(form): Form<Switch>,
) -> Response {
    let Some(Authenticated(ctx)) = asker else { return Redirect::to("/sign-in?error=session_expired").into_response() };
    let done = async {
        let id = form.organization.strip_prefix("organization:").and_then(|id| id.parse().ok()).map(TenantId);
        let id = id.ok_or_else(|| Error::not_found("organization"))?;
        let entered = entry::switch_organization(&app.db, &ctx, id).await?;
        session::go_to(&session, entered.tenant).await
    };
    match done.await {
        Ok(()) => Redirect::to(local_path(&form.next).unwrap_or("/")).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn sign_out(State(app): State<AppState>, asker: Option<Authenticated>, session: Session) -> Response {
    let done = async {
        if let Some(Authenticated(ctx)) = asker {
            entry::signed_out(&app.db, &ctx).await?;
        }
        session.flush().await.map_err(Error::internal)
    };
    match done.await {
        Ok(()) => Redirect::to("/sign-in?notice=signed_out").into_response(),
        Err(error) => error.into_response(),
    }
}

/// Starts the session and goes on to `next`, or goes back to the `form` with the error.
async fn come_in(
    session: &Session,
    client: &Client,
    entered: Result<Entered>,
    next: &str,
    form: &str,
    extra: &[(&str, &str)],
) -> Response {
    let done = async { session::start(session, &entered?, client).await };
    match done.await {
        Ok(()) => Redirect::to(next).into_response(),
        Err(error) => back(error, form, extra),
    }
}

fn back(error: Error, form: &str, extra: &[(&str, &str)]) -> Response {
    let field = error.fields.first().map(|field| field.field.as_str());
    let code = match (error.kind, field) {
        (Kind::Unauthenticated, _) => "invalid_credentials",
        (Kind::RateLimited, _) => "throttled",
        (Kind::Forbidden, _) => "not_a_member",
        (Kind::NotFound, _) => "invitation_invalid",
        (Kind::Conflict, _) if form.starts_with("/invitations/") => "invitation_invalid",
        (Kind::Conflict, _) => "already_set_up",
        (Kind::BadInput, Some("password")) => "weak_password",
        (Kind::BadInput, Some("email")) => "invalid_email",
        (Kind::BadInput, _) => "missing_field",
        _ => return error.into_response(),
    };
    let mut address = format!("{form}?error={code}");
    let retry = error.retry_after.map(|after| after.as_secs().max(1).to_string());
    let of_error = [field.map(|field| ("field", field)), retry.as_deref().map(|retry| ("retry", retry))];
    for (key, value) in of_error.into_iter().flatten().chain(extra.iter().copied()) {
        address = format!("{address}&{key}={}", encode(value));
    }
    let mut response = Redirect::to(&address).into_response();
    if let Some(after) = error.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
    }
    response
}

/// Percent-encodes all but letters, digits and `-._~`.
fn encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// A path of this server and nothing else: browsers read `//host`, `/\host` and `/<tab>/host` as other hosts.
fn local_path(next: &str) -> Option<&str> {
    let local = next.starts_with('/')
        && !next.starts_with("//")
        && next.len() <= 2000
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    local.then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_paths_are_followed() {
        for path in ["/", "/findings?status=OPEN&x=%2F", "/a//b"] {
            assert_eq!(local_path(path), Some(path));
        }
        let long = format!("/{}", "a".repeat(2000));
        for path in [
            "",
            "findings",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "https://evil.example",
            "/a b",
            "/ä",
            "/\r\nx",
            &long,
        ] {
            assert_eq!(local_path(path), None, "{path:?}");
        }
    }

    #[test]
    fn a_failure_leads_back_with_its_code() {
        let error = Error::rate_limited(std::time::Duration::from_secs(42));
        let response = back(error, "/sign-in", &[("next", "/a?b=c")]);
        assert_eq!(response.status(), 303);
        assert_eq!(response.headers()["location"], "/sign-in?error=throttled&retry=42&next=%2Fa%3Fb%3Dc");
        assert_eq!(response.headers()["retry-after"], "42");
    }
}
