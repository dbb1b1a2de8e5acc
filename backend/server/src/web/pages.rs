//! The dashboard's pages, rendered on the server: whole without JavaScript, then taken over by the browser.
//!
//! A page asks the same GraphQL schema as every other client, in process, in the name of whoever is signed in.

use super::{assets, auth::Authenticated, error_page, observe::Route, security};
use crate::{
    api::graphql,
    app::AppState,
    identity,
    kernel::{Ctx, Error, Kind, telemetry},
};
use axum::{
    extract::{FromRequestParts as _, Request, State},
    http::{HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Redirect, Response},
};
use axum_extra::extract::CookieJar;
use leptos::prelude::{provide_context, use_context};
use leptos_axum::ResponseOptions;
use serde_json::{Value, json};
use stance_frontend::{
    app::Page,
    context::{Assets, Executor, Given, StatusSetter, Theme},
};
use std::sync::{Arc, Once};

/// Answers every address that no other route has.
pub async fn page(State(app): State<AppState>, request: Request) -> Response {
    let path = request.uri().path();
    let by_machine = ["/api/", "/graphql", "/auth/", "/site/"].iter().any(|prefix| path.starts_with(prefix));
    if by_machine || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Error::new(Kind::NotFound, "There is nothing at this address.").into_response();
    }
    let page = Page::of(path);
    let route = Route(pattern(&page));
    let (mut parts, body) = request.into_parts();
    let asker = match Authenticated::from_request_parts(&mut parts, &app).await {
        Ok(Authenticated(ctx)) => Some(ctx),
        Err(error) if error.kind == Kind::Unauthenticated => None,
        Err(error) => return with_route(error_page(&error), route),
    };
    let response = match elsewhere(&app, &page, asker.as_ref(), &parts).await {
        Ok(Some(redirect)) => redirect.into_response(),
        Ok(None) => match given(&app, &page).await {
            Ok(given) => render(&app, asker, given, Request::from_parts(parts, body)).await,
            Err(error) => error_page(&error),
        },
        Err(error) => error_page(&error),
    };
    with_route(response, route)
}

fn with_route(mut response: Response, route: Route) -> Response {
    response.extensions_mut().insert(route);
    response
}

/// Where somebody must go first: to set-up while there is no organization, to sign-in when not signed in.
async fn elsewhere(app: &AppState, page: &Page, asker: Option<&Ctx>, parts: &Parts) -> Result<Option<Redirect>, Error> {
    let home = matches!(page, Page::SignIn | Page::Setup).then(|| Redirect::to("/"));
    if asker.is_some() {
        return Ok(home);
    }
    let wanted = match page {
        Page::Invitation(_) => return Ok(None),
        _ if !identity::entry::is_set_up(&app.db).await? => Page::Setup,
        Page::SignIn => return Ok(None),
        _ => Page::SignIn,
    };
    Ok(match wanted {
        Page::Setup if *page == Page::Setup => None,
        Page::Setup => Some(Redirect::to("/setup")),
        _ => Some(Redirect::to(&sign_in_address(parts))),
    })
}

/// The sign-in page, which leads back to what was asked for.
fn sign_in_address(parts: &Parts) -> String {
    let wanted = parts.uri.path_and_query().map_or("/", axum::http::uri::PathAndQuery::as_str);
    if wanted == "/" || wanted.starts_with("/setup") {
        return "/sign-in".to_owned();
    }
    format!("/sign-in?next={}", stance_frontend::url::encode(wanted))
}

/// What a visitor's page shows: nobody is signed in who could ask for it.
async fn given(app: &AppState, page: &Page) -> Result<Given, Error> {
    let mut given = Given::default();
    if let Page::Invitation(token) = page
        && let Some(preview) = identity::entry::invitation_preview(&app.db, &app.clock, token).await?
    {
        let value = json!({
            "organization": preview.organization, "email": preview.email, "role": preview.role.as_str(), "hasAccount": preview.has_account
        });
        given.0.insert(Given::INVITATION, value);
    }
    Ok(given)
}

async fn render(app: &AppState, asker: Option<Ctx>, given: Given, request: Request) -> Response {
    static EXECUTOR: Once = Once::new();
    // An error means that one was set already.
    EXECUTOR.call_once(|| drop(any_spawner::Executor::init_tokio()));

    let theme = CookieJar::from_headers(request.headers());
    let theme = theme.get("theme").map_or(Theme::System, |cookie| Theme::from_cookie(cookie.value()));
    let executor = asker.map(|ctx| executor(app, ctx));
    let context = move || {
        provide_context(theme);
        provide_context(site());
        provide_context(given.clone());
        if let Some(executor) = &executor {
            provide_context(executor.clone());
        }
        let Some(options) = use_context::<ResponseOptions>() else { return };
        let nonce = leptos::nonce::use_nonce().map(|nonce| nonce.to_string());
        if let Ok(policy) = HeaderValue::from_str(&security::content_security_policy(nonce.as_deref())) {
            options.insert_header(header::CONTENT_SECURITY_POLICY, policy);
        }
        provide_context(StatusSetter(Arc::new(move |status| {
            if let Ok(status) = StatusCode::from_u16(status) {
                options.set_status(status);
            }
        })));
    };
    leptos_axum::render_app_async_with_context(context, stance_frontend::shell)(request).await
}

/// Runs a page's GraphQL requests in process. Pages load their data in tasks of their own, which still count for the
/// request.
fn executor(app: &AppState, asker: Ctx) -> Executor {
    let (schema, stats) = (app.schema.clone(), telemetry::current());
    Executor(Arc::new(move |body: Value| {
        let (schema, asker, stats) = (schema.clone(), asker.clone(), stats.clone());
        let work = async move {
            let reply = match serde_json::from_value(body) {
                Ok(request) => graphql::execute(&schema, asker, request).await,
                Err(error) => async_graphql::Response::from_errors(vec![async_graphql::ServerError::new(
                    format!("not a GraphQL request: {error}"),
                    None,
                )]),
            };
            serde_json::to_value(reply).unwrap_or_default()
        };
        Box::pin(async move {
            match stats {
                Some(stats) => telemetry::measured(stats, work).await,
                None => work.await,
            }
        })
    }))
}

fn site() -> Assets {
    Assets {
        stylesheets: assets::STYLES.map(assets::url).into(),
        font: assets::url("fonts/inter-latin-wght-normal.woff2"),
        icon: assets::url("icon.svg"),
        script: assets::url("pkg/stance.js"),
        wasm: assets::url("pkg/stance_bg.wasm"),
    }
}

/// The page's address in figures and log lines, without what a visitor wrote.
const fn pattern(page: &Page) -> &'static str {
    match page {
        Page::SignIn => "/sign-in",
        Page::Setup => "/setup",
        Page::Invitation(_) => "/invitations/{token}",
        Page::Overview => "/",
        Page::Findings => "/findings",
        Page::Finding(_) => "/findings/{id}",
        Page::Inventory => "/inventory",
        Page::Asset(_) => "/inventory/{id}",
        Page::AssetRuntime(_) => "/inventory/{id}/runtime",
        Page::Runtime => "/runtime/{part}",
        Page::Playbooks => "/playbooks/{part}",
        Page::Incidents => "/incidents/{part}",
        Page::Imports => "/imports",
        Page::Report(_) => "/imports/{id}",
        Page::Formats => "/formats",
        Page::Format(_) => "/formats/{format}",
        Page::Settings(_) => "/settings/{part}",
        Page::Audit => "/audit",
        Page::NotFound => "-",
    }
}
