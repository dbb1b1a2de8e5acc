//! Errors as HTTP answers: RFC 9457 problem details.

use super::{Error, Kind, telemetry};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

impl Kind {
    /// What happened, in a few words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::BadInput => "The input is wrong",
            Self::Unauthenticated => "Sign in or send a token",
            Self::Forbidden => "Not allowed",
            Self::NotFound => "Not found",
            Self::Conflict => "In conflict with what is there",
            Self::TooLarge => "Too large",
            Self::RateLimited => "Too many requests",
            Self::Unavailable => "Not available at the moment",
            Self::Internal => "Something went wrong on the server",
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if let Some(cause) = self.internal_text() {
            tracing::error!(code = self.kind.code(), cause, "request failed");
        }
        let status = StatusCode::from_u16(self.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut problem = json!({
            "type": "about:blank",
            "title": self.kind.title(),
            "status": status.as_u16(),
            "code": self.kind.code(),
            "detail": self.public,
        });
        if !self.fields.is_empty() {
            problem["fields"] = json!(self.fields);
        }
        if let Some(id) = telemetry::request_id() {
            problem["requestId"] = json!(id);
        }
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if self.kind == Kind::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
