//! Errors as a page, for those who look at it in a browser. It needs nothing that may have failed.

use super::assets;
use crate::kernel::{Error, telemetry};
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse as _, Response},
};
use std::fmt::Write as _;

/// The error as a page; its cause goes to the log.
pub fn error_page(error: &Error) -> Response {
    if let Some(cause) = error.internal_text() {
        tracing::error!(code = error.kind.code(), cause, "request failed");
    }
    let mut styles = String::new();
    for name in assets::STYLES {
        let _ = write!(styles, "<link rel=\"stylesheet\" href=\"{}\">", assets::url(name));
    }
    let (title, detail) = (error.kind.title(), escape(&error.public));
    let id = telemetry::request_id().unwrap_or_default();
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>{title} · Stance</title>{styles}</head><body>\
         <main class=\"signin\"><div class=\"card\"><h1>{title}</h1><p>{detail}</p><p>Request {id}</p>\
         <p><a class=\"btn\" href=\"/\">Back to the overview</a></p></div></main></body></html>"
    );
    let status = StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Html(page)).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
