//! A page to try the API on, for signed-in people: an editor, the answer, and the schema to look things up in.
//!
//! Our own, because the usual ones load their scripts from other servers, which the content security policy forbids.

use crate::web::auth::Authenticated;
use axum::{
    http::header,
    response::{Html, IntoResponse},
};

pub(super) async fn page(_: Authenticated) -> Html<&'static str> {
    Html(include_str!("explorer/page.html"))
}

pub(super) async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("explorer/explorer.js"))
}

pub(super) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("explorer/explorer.css"))
}
