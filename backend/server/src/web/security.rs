//! What every answer tells browsers to forbid, and which requests of browsers are refused.

use crate::kernel::{Error, Kind, config::ServeArgs};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use std::sync::Arc;

/// The policy of a page; scripts and styles inside it carry the nonce. `wasm-unsafe-eval` compiles WebAssembly, and
/// nothing else; charts set custom properties in `style` attributes.
#[must_use]
pub fn content_security_policy(nonce: Option<&str>) -> String {
    let nonce = nonce.map(|nonce| format!(" 'nonce-{nonce}'")).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self'{nonce} 'wasm-unsafe-eval'; style-src 'self'{nonce}; \
         style-src-attr 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
         manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
}

const HEADERS: [(HeaderName, &str); 7] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Not `no-referrer`: forms would then be sent with `Origin: null`, which is refused below.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
    ),
    // Pages and answers hold an organization's data.
    (header::CACHE_CONTROL, "no-store"),
];

/// Adds the headers that a handler did not set itself.
pub async fn add_headers(State(settings): State<Arc<ServeArgs>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&content_security_policy(None)) {
        headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    }
    if settings.tls() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

/// Refuses what another site makes a browser send with the session's cookie: changes, and web sockets.
///
/// The rules are those of Go's `net/http.CrossOriginProtection`: browsers say where a request comes from in
/// `Sec-Fetch-Site`, older ones and plain HTTP in `Origin`; a request with neither is no browser's.
pub async fn refuse_cross_site(State(settings): State<Arc<ServeArgs>>, request: Request, next: Next) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
        || request.headers().contains_key(header::UPGRADE);
    // Another site can not set this header without asking first, which is never granted.
    let by_token = request.headers().contains_key(header::AUTHORIZATION);
    if changes && !by_token && !is_own_site(request.headers(), settings.public_url.as_deref()) {
        return Error::new(Kind::Forbidden, "The request comes from another site.").into_response();
    }
    next.run(request).await
}

fn is_own_site(headers: &HeaderMap, public_url: Option<&str>) -> bool {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match text(&HeaderName::from_static("sec-fetch-site")) {
        Some("same-origin" | "none") => return true,
        Some(_) => return text(&header::ORIGIN).is_some_and(|origin| Some(origin) == public_url),
        None => {}
    }
    let Some(origin) = text(&header::ORIGIN) else { return true };
    let host = origin.split_once("://").map(|(_, host)| host);
    Some(origin) == public_url || (host.is_some() && host == text(&header::HOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_site_may_change() {
        let cases = [
            (&[][..], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://stance.example")], true),
            (&[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")], true),
            (&[("origin", "http://127.0.0.1:8081"), ("host", "127.0.0.1:8080")], false),
            (&[("origin", "https://stance.example"), ("host", "10.0.0.7:8080")], true),
            (&[("origin", "https://evil.example"), ("host", "stance.example")], false),
            (&[("origin", "null"), ("host", "stance.example")], false),
            (&[("origin", "null")], false),
        ];
        for (headers, own) in cases {
            let map = headers.iter().map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v))).collect();
            assert_eq!(is_own_site(&map, Some("https://stance.example")), own, "{headers:?}");
        }
    }

    #[test]
    fn no_policy_allows_inline_scripts() {
        let policy = content_security_policy(Some("abc"));
        let scripts = policy.split("; ").find(|part| part.starts_with("script-src")).unwrap();
        assert_eq!(scripts, "script-src 'self' 'nonce-abc' 'wasm-unsafe-eval'");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    }
}
