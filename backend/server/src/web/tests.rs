use super::{limits, observe};
use crate::{
    app::{self, AppState},
    identity::entry::{self, NewOrganization},
    jobs,
    kernel::{Clock, Ctx, Db, Permission, telemetry},
};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{HeaderMap, Request, StatusCode, header},
    middleware,
    response::Response,
    routing::get,
};
use futures::StreamExt as _;
use sqlx::PgPool;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tower::ServiceExt as _;

/// A server with an organization, and its owner's token.
async fn server(pool: &PgPool) -> (AppState, Router, String) {
    let db = Db::from_pool(pool.clone());
    app::migrate(&db).await.unwrap();
    let input = NewOrganization {
        organization: "Acme".into(),
        email: "owner@acme.example".into(),
        name: String::new(),
        password: "a long enough passphrase".into(),
    };
    let token = entry::bootstrap(&db, &Clock::System, input).await.unwrap().api_token;
    let (state, router) = bare(pool);
    (state, router, token)
}

fn bare(pool: &PgPool) -> (AppState, Router) {
    let state = AppState::for_tests(Db::from_pool(pool.clone()));
    (state.clone(), app::router(state))
}

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))));
    request
}

async fn send(router: &Router, request: Request<Body>) -> Response {
    router.clone().oneshot(request).await.unwrap()
}

async fn text(response: Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
}

fn scripts(headers: &HeaderMap) -> String {
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    policy.split(';').map(str::trim).find(|part| part.starts_with("script-src")).unwrap().to_owned()
}

#[sqlx::test(migrations = false)]
async fn every_answer_carries_the_security_headers(pool: PgPool) {
    let (_, router, token) = server(&pool).await;
    let bearer = format!("Bearer {token}");
    let paths = [
        "/",
        "/sign-in",
        "/setup",
        "/invitations/x",
        "/findings",
        "/nothing/here",
        "/healthz",
        "/readyz",
        "/metrics",
        "/live",
        "/site/x/nothing.js",
        "/api/v1/nothing",
        "/graphql",
    ];
    for path in paths {
        for headers in [&[][..], &[("authorization", bearer.as_str())]] {
            for method in ["GET", "POST"] {
                let response = send(&router, request(method, path, headers)).await;
                let (status, headers) = (response.status(), response.headers());
                assert!(!scripts(headers).contains("unsafe-inline"), "{method} {path}");
                assert_eq!(headers["x-content-type-options"], "nosniff", "{method} {path}");
                assert_eq!(headers["x-frame-options"], "DENY", "{method} {path}");
                assert_eq!(headers["cross-origin-opener-policy"], "same-origin", "{method} {path}");
                assert!(
                    headers.contains_key("permissions-policy") && headers.contains_key("referrer-policy"),
                    "{path}"
                );
                assert!(headers.contains_key("x-request-id") && headers.contains_key("cache-control"), "{path}");
                assert!(!headers.contains_key("strict-transport-security"), "only behind TLS");
                assert!(status != StatusCode::INTERNAL_SERVER_ERROR, "{method} {path} {status}");
            }
        }
    }
}

#[sqlx::test(migrations = false)]
async fn a_page_has_its_own_nonce_its_own_status_and_a_way_in(pool: PgPool) {
    let (_, router, token) = server(&pool).await;
    let bearer = format!("Bearer {token}");

    let (one, two) =
        (send(&router, request("GET", "/sign-in", &[])).await, send(&router, request("GET", "/sign-in", &[])).await);
    let policy = scripts(one.headers());
    assert_ne!(policy, scripts(two.headers()), "a nonce is used once");
    let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    let page = text(one).await;
    assert_eq!(page.matches("<script").count(), page.matches(&format!("nonce=\"{nonce}\"")).count(), "{page}");

    let unknown = send(&router, request("GET", "/nothing/here", &[("authorization", &bearer)])).await;
    assert_eq!(unknown.status(), 404);
    assert_eq!(unknown.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
    let machine = send(&router, request("GET", "/api/v1/nothing", &[("authorization", &bearer)])).await;
    assert_eq!(
        (machine.status().as_u16(), &machine.headers()[header::CONTENT_TYPE]),
        (404, &"application/problem+json".parse().unwrap())
    );

    let away = send(&router, request("GET", "/findings?severity=HIGH", &[])).await;
    assert_eq!(away.status(), 303);
    assert_eq!(away.headers()[header::LOCATION], "/sign-in?next=%2Ffindings%3Fseverity%3DHIGH");
    for (path, to) in [("/setup", "/sign-in"), ("/", "/sign-in")] {
        assert_eq!(send(&router, request("GET", path, &[])).await.headers()[header::LOCATION], to);
    }
    let inside = send(&router, request("GET", "/sign-in", &[("authorization", &bearer)])).await;
    assert_eq!(inside.headers()[header::LOCATION], "/");
    let overview = send(&router, request("GET", "/", &[("authorization", &bearer)])).await;
    let (status, page) = (overview.status(), text(overview).await);
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("Acme"), "whole without JavaScript");
}

#[sqlx::test(migrations = false)]
async fn without_an_organization_everything_leads_to_set_up(pool: PgPool) {
    app::migrate(&Db::from_pool(pool.clone())).await.unwrap();
    let (_, router) = bare(&pool);
    for path in ["/", "/sign-in", "/findings"] {
        assert_eq!(send(&router, request("GET", path, &[])).await.headers()[header::LOCATION], "/setup", "{path}");
    }
    assert_eq!(send(&router, request("GET", "/setup", &[])).await.status(), 200);
}

#[sqlx::test(migrations = false)]
async fn another_site_can_not_post(pool: PgPool) {
    let (_, router, token) = server(&pool).await;
    let bearer = format!("Bearer {token}");
    let foreign = [("origin", "https://evil.example"), ("host", "127.0.0.1:8080"), ("cookie", "id=x")];
    for path in ["/graphql", "/auth/sign-in", "/auth/sign-out", "/auth/setup", "/api/v1/reports"] {
        assert_eq!(send(&router, request("POST", path, &foreign)).await.status(), 403, "{path}");
        let fetched = [("sec-fetch-site", "cross-site"), ("cookie", "id=x")];
        assert_eq!(send(&router, request("POST", path, &fetched)).await.status(), 403, "{path}");
        let own = [("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")];
        assert_ne!(send(&router, request("POST", path, &own)).await.status(), 403, "{path}");
    }
    let socket =
        [("origin", "https://evil.example"), ("host", "h"), ("connection", "upgrade"), ("upgrade", "websocket")];
    assert_eq!(send(&router, request("GET", "/graphql/ws", &socket)).await.status(), 403);
    // A token is not sent by browsers by themselves.
    let by_token = [("origin", "https://app.example"), ("host", "h"), ("authorization", bearer.as_str())];
    assert_ne!(send(&router, request("POST", "/graphql", &by_token)).await.status(), 403);
}

#[sqlx::test(migrations = false)]
async fn live_events_need_a_session_and_end_with_the_server(pool: PgPool) {
    let (state, router, token) = server(&pool).await;
    assert_eq!(send(&router, request("GET", "/live", &[])).await.status(), 401);
    let bearer = format!("Bearer {token}");
    let response = send(&router, request("GET", "/live", &[("authorization", &bearer), ("last-event-id", "7")])).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut body = response.into_body().into_data_stream();
    let mut message = async || String::from_utf8(body.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(message().await.starts_with("event: position\nid: "), "a reader learns where it begins");
    assert!(
        message().await.ends_with("data: {\"id\":null,\"topic\":\"report\"}\n\n"),
        "an id of another server says nothing"
    );
    state.tasks.stopping().cancel();
    let rest = tokio::time::timeout(Duration::from_secs(5), body.collect::<Vec<_>>());
    rest.await.expect("the stream ends when shutdown begins");
}

#[sqlx::test(migrations = false)]
async fn ready_only_with_a_database_that_is_up_to_date(pool: PgPool) {
    let (_, router) = bare(&pool);
    let early = send(&router, request("GET", "/readyz", &[])).await;
    assert_eq!(early.status(), 503);
    assert!(text(early).await.contains(r#""migrations":"pending""#));
    assert_eq!(send(&router, request("GET", "/healthz", &[])).await.status(), 200);
    app::migrate(&Db::from_pool(pool.clone())).await.unwrap();
    assert_eq!(send(&router, request("GET", "/readyz", &[])).await.status(), 200);
    pool.close().await;
    assert_eq!(send(&router, request("GET", "/readyz", &[])).await.status(), 503);
}

#[sqlx::test(migrations = false)]
async fn a_waiting_job_is_told_to_operators(pool: PgPool) {
    let (state, router, _) = server(&pool).await;
    let tenant =
        sqlx::query_scalar::<_, uuid::Uuid>("select tenant_id from organization").fetch_one(&pool).await.unwrap();
    let ctx = Ctx::system(tenant.into(), "test", Clock::System);
    let mut tx = state.db.begin(&ctx, Permission::JobRedrive).await.unwrap();
    jobs::Queue::enqueue(&mut tx, jobs::Job::RecomputeRisk).await.unwrap();
    tx.commit().await.unwrap();
    sqlx::query("update apalis.jobs set run_at = now() - interval '10 minutes'").execute(&pool).await.unwrap();

    let backlog = jobs::backlog(&state.db).await.unwrap();
    assert_eq!((backlog[0].queue.as_str(), backlog[0].waiting, backlog[0].running), ("short", 1, 0));
    assert!(backlog[0].lag >= Duration::from_secs(600), "{backlog:?}");
    let ready = send(&router, request("GET", "/readyz", &[])).await;
    assert_eq!(ready.status(), 200, "a server without a worker is ready");
    let ready = text(ready).await;
    assert!(ready.contains(r#""jobs":"late""#), "{ready}");
}

#[tokio::test]
async fn a_panic_is_an_answer_with_the_requests_id() {
    async fn fails() -> &'static str {
        panic!("text of a report")
    }
    let router =
        Router::new().route("/", get(fails)).layer(middleware::from_fn_with_state(Clock::System, observe::observe));
    for (accept, kind) in [("*/*", "application/problem+json"), ("text/html", "text/html; charset=utf-8")] {
        let response = send(&router, request("GET", "/", &[("accept", accept), ("x-request-id", "0123456789")])).await;
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()[header::CONTENT_TYPE], kind);
        assert_eq!(response.headers()["x-request-id"], "0123456789");
        let body = text(response).await;
        assert!(body.contains("0123456789") && !body.contains("text of a report"), "{body}");
    }
}

#[tokio::test]
async fn a_busy_server_says_so() {
    let places = limits::Places::default();
    let router = Router::new()
        .route("/", get(async || "fine"))
        .layer(middleware::from_fn_with_state(places.clone(), limits::limit));
    assert_eq!(send(&router, request("GET", "/", &[])).await.status(), 200);
    let _all = places.take_all();
    let busy = send(&router, request("GET", "/", &[])).await;
    assert_eq!((busy.status().as_u16(), busy.headers()[header::RETRY_AFTER].to_str().unwrap()), (503, "1"));
}

#[sqlx::test(migrations = false)]
async fn a_requests_statements_are_counted(pool: PgPool) {
    // Another test's thread, without a listener, may have been first at sqlx's events and switched them off.
    let _guard = telemetry::count_statements();
    sqlx::query("select 0").execute(&pool).await.unwrap();
    tracing::callsite::rebuild_interest_cache();
    let stats = Arc::new(telemetry::RequestStats::default());
    let work = async {
        sqlx::query("select pg_sleep(0.02)").execute(&pool).await.unwrap();
        telemetry::spawn({
            let pool = pool.clone();
            async move { sqlx::query("select 1").execute(&pool).await.unwrap() }
        })
        .await
        .unwrap();
    };
    telemetry::measured(stats.clone(), work).await;
    sqlx::query("select 2").execute(&pool).await.unwrap();
    assert_eq!(stats.queries(), 2, "also in tasks of the request, and not beyond it");
    assert!(stats.database_time() >= Duration::from_millis(20), "{:?}", stats.database_time());
}
