//! One log line and one set of figures per request, its id, and the answer when a handler panics.

use super::error_page;
use crate::kernel::{
    Clock, Error,
    telemetry::{self, RequestId, RequestStats},
};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};
use tracing::Instrument as _;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The pattern of a page's address, which answers carry as an extension: the router does not know pages one by one.
#[derive(Clone, Copy)]
pub struct Route(pub &'static str);

/// The outermost layer. Logs nothing that a caller wrote but the method and the request id, both checked.
pub async fn observe(State(clock): State<Clock>, mut request: Request, next: Next) -> Response {
    let id = request.headers().get(&REQUEST_ID).and_then(acceptable_id).unwrap_or_else(|| clock.new_id().to_string());
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = known_method(request.method());
    // The pattern, never the path: a path may hold anything.
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let wants_html = accepts_html(&request);

    let stats = Arc::new(RequestStats::new(id.clone()));
    let started = Instant::now();
    let span = tracing::info_span!("request", request_id = %id);
    let work = async {
        let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        answer.unwrap_or_else(|_| failed(wants_html))
    };
    let mut response = telemetry::measured(stats.clone(), work).instrument(span.clone()).await;
    let page = response.extensions().get::<Route>().map(|route| route.0);
    let route = page.or(matched.as_ref().map(MatchedPath::as_str)).unwrap_or("-").to_owned();
    let duration = started.elapsed();
    let status = response.status().as_u16();

    let labels = [("method", method.to_owned()), ("route", route.clone()), ("status", status.to_string())];
    metrics::counter!("stance_http_requests_total", &labels).increment(1);
    metrics::histogram!("stance_http_request_duration_seconds", "route" => route.clone())
        .record(duration.as_secs_f64());
    let (tenant, actor) = stats.actor().unzip();
    tracing::info!(
        parent: &span,
        method,
        route,
        status,
        duration_ms = duration.as_secs_f64() * 1e3,
        tenant.id = tenant.map(tracing::field::display),
        actor.kind = actor,
        graphql.operation = stats.operation(),
        db.queries = stats.queries(),
        db.time_ms = stats.database_time().as_secs_f64() * 1e3,
        "request"
    );
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// A caller's id is kept when it can do no harm in logs and headers.
fn acceptable_id(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let fine = (8..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    fine.then(|| text.to_owned())
}

/// The usual methods by name; others are one label, so that callers can not make labels.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn accepts_html(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// The answer when a handler panicked.
fn failed(html: bool) -> Response {
    let error = Error::internal("a panic");
    if html { error_page(&error) } else { error.into_response() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_request_id_is_kept_only_when_harmless() {
        for (id, fine) in
            [("0192-abc.def_1", true), ("short", false), ("has space in it", false), ("<script>alert", false)]
        {
            assert_eq!(acceptable_id(&HeaderValue::from_str(id).unwrap()).is_some(), fine, "{id}");
        }
        assert!(acceptable_id(&HeaderValue::from_str(&"x".repeat(65)).unwrap()).is_none());
    }
}
