//! Forms, cookie and extractor together, over the routes as they are served.

use super::auth::Authenticated;
use crate::{
    app::AppState,
    identity::{bootstrap, entry::NewOrganization},
    kernel::testing,
};
use axum::{Router, body::Body, http::Request, response::Response, routing::get};
use sqlx::PgPool;
use tower::ServiceExt as _;

const FORM: &str = "organization=Acme&name=Ana&email=ana%40acme.example&password=tinkerbell+moss+41";

fn app(pool: &PgPool) -> Router {
    let state = AppState::for_tests(testing::db(pool));
    let who = |Authenticated(ctx): Authenticated| async move { ctx.actor.label().to_owned() };
    let maybe = |asker: Option<Authenticated>| async move { asker.is_some().to_string() };
    let routes = Router::new().route("/who", get(who)).route("/maybe", get(maybe)).merge(super::forms::router());
    super::around(&state, routes).with_state(state)
}

async fn post(app: &Router, path: &str, form: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.clone().oneshot(request.body(Body::from(form.to_owned())).unwrap()).await.unwrap()
}

async fn ask(app: &Router, path: &str, header: (&str, &str)) -> (u16, String) {
    let request = Request::get(path).header(header.0, header.1).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn location(response: &Response) -> &str {
    assert_eq!(response.status(), 303);
    response.headers()["location"].to_str().unwrap()
}

/// The whole `Set-Cookie`, and the part that browsers send back.
fn cookie(response: &Response) -> (String, String) {
    let whole = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    let sent = whole.split(';').next().unwrap().to_owned();
    (whole, sent)
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn set_up_sign_out_sign_in(pool: PgPool) {
    let app = app(&pool);
    let response = post(&app, "/auth/setup", FORM, &[]).await;
    assert_eq!(location(&response), "/");
    let (whole, first) = cookie(&response);
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=2592000"] {
        assert!(whole.contains(part), "{whole}");
    }
    assert!(!whole.contains("Secure"), "plain HTTP by default");
    assert_eq!(ask(&app, "/who", ("cookie", &first)).await, (200, "ana@acme.example".into()));

    let response = post(&app, "/auth/sign-out", "", &[("cookie", &first)]).await;
    assert_eq!(location(&response), "/sign-in?notice=signed_out");
    assert!(cookie(&response).0.contains("Max-Age=0"));
    assert_eq!(ask(&app, "/who", ("cookie", &first)).await.0, 401);
    assert_eq!(ask(&app, "/maybe", ("cookie", &first)).await, (200, "false".into()));

    // The old id is offered, and a new one given: nobody can plant an id.
    let form = format!("{FORM}&next=%2Ffindings%3Fstatus%3DOPEN");
    let response = post(&app, "/auth/sign-in", &form, &[("cookie", &first)]).await;
    assert_eq!(location(&response), "/findings?status=OPEN");
    let (_, second) = cookie(&response);
    assert_ne!(first, second);
    assert_eq!(ask(&app, "/who", ("cookie", &second)).await.0, 200);
    assert_eq!(ask(&app, "/who", ("cookie", &first)).await.0, 401);

    // Signing in again ends the session that the browser had.
    let (_, third) = cookie(&post(&app, "/auth/sign-in", FORM, &[("cookie", &second)]).await);
    assert_eq!(ask(&app, "/who", ("cookie", &second)).await.0, 401);
    assert_eq!(ask(&app, "/who", ("cookie", &third)).await.0, 200);
    assert_eq!(location(&post(&app, "/auth/setup", FORM, &[]).await), "/sign-in?error=already_set_up");
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn failures_lead_back_and_start_no_session(pool: PgPool) {
    let app = app(&pool);
    let short = FORM.replace("tinkerbell+moss+41", "short");
    assert_eq!(location(&post(&app, "/auth/setup", &short, &[]).await), "/setup?error=weak_password&field=password");
    post(&app, "/auth/setup", FORM, &[]).await;
    let wrong = "email=ana%40acme.example&password=wrong+password&next=%2F%2Fevil.example";
    let response = post(&app, "/auth/sign-in", wrong, &[]).await;
    assert_eq!(location(&response), "/sign-in?error=invalid_credentials");
    assert!(!response.headers().contains_key("set-cookie"));
    assert_eq!(location(&post(&app, "/auth/sign-in", "", &[]).await), "/sign-in?error=invalid_credentials");
    let response = post(&app, "/auth/accept-invitation", "token=a%2Fb&name=x&password=y", &[]).await;
    assert_eq!(location(&response), "/invitations/a%2Fb?error=invitation_invalid");
    let response = post(&app, "/auth/switch-organization", "organization=organization:x", &[]).await;
    assert_eq!(location(&response), "/sign-in?error=session_expired");
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn forms_of_other_sites_are_refused(pool: PgPool) {
    let app = app(&pool);
    for path in
        ["/auth/setup", "/auth/sign-in", "/auth/sign-out", "/auth/accept-invitation", "/auth/switch-organization"]
    {
        let headers = [("origin", "https://evil.example"), ("host", "stance.example")];
        assert_eq!(post(&app, path, FORM, &headers).await.status(), 403, "{path}");
        let headers = [("sec-fetch-site", "cross-site")];
        assert_eq!(post(&app, path, FORM, &headers).await.status(), 403, "{path}");
    }
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn organizations_are_switched_within_the_session(pool: PgPool) {
    let (app, db) = (app(&pool), testing::db(&pool));
    let (_, cookie) = cookie(&post(&app, "/auth/setup", FORM, &[]).await);
    let input = |name: &str, email: &str| NewOrganization {
        organization: name.into(),
        email: email.into(),
        name: String::new(),
        password: "tinkerbell moss 41".into(),
    };
    let second = bootstrap(&db, &testing::clock(), input("Beta", "ana@acme.example")).await.unwrap();
    let foreign = bootstrap(&db, &testing::clock(), input("Gamma", "gil@gamma.example")).await.unwrap();
    let tenant = async || -> String {
        sqlx::query_scalar("select data->>'tenant' from session").fetch_one(&pool).await.unwrap()
    };
    let before = tenant().await;
    let form = format!("organization=organization%3A{}", foreign.organization);
    let response = post(&app, "/auth/switch-organization", &form, &[("cookie", &cookie)]).await;
    assert_eq!((response.status().as_u16(), tenant().await), (404, before));
    let form = format!("organization=organization%3A{}&next=%2Fassets", second.organization);
    let response = post(&app, "/auth/switch-organization", &form, &[("cookie", &cookie)]).await;
    assert_eq!(location(&response), "/assets");
    assert_eq!(tenant().await, second.organization.to_string());
    assert_eq!(ask(&app, "/who", ("cookie", &cookie)).await.0, 200);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn tokens_come_by_header_and_are_judged_alone(pool: PgPool) {
    let app = app(&pool);
    let (_, cookie) = cookie(&post(&app, "/auth/setup", FORM, &[]).await);
    let input = NewOrganization {
        organization: "Beta".into(),
        email: "bob@beta.example".into(),
        name: String::new(),
        password: "tinkerbell moss 41".into(),
    };
    let token = bootstrap(&testing::db(&pool), &testing::clock(), input).await.unwrap().api_token;
    assert_eq!(ask(&app, "/who", ("authorization", &format!("bearer {token}"))).await, (200, "bootstrap".into()));
    for wrong in ["", "Bearer", "Bearer stance_x", &format!("Basic {token}"), &token] {
        let request = Request::get("/who").header("authorization", wrong).header("cookie", &cookie);
        let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 401, "{wrong:?}: the cookie does not help");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}
