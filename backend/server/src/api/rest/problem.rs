//! `kernel::Error` as `application/problem+json` (RFC 9457), and extractors whose refusals are that too.

use crate::kernel::{Error, Kind};
use axum::{
    Json,
    extract::{
        FromRequest, FromRequestParts,
        rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection},
    },
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// What went wrong, after RFC 9457. The request's id is in the header `x-request-id`.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` tells problems apart.
    r#type: &'static str,
    /// The HTTP status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// A sentence that a person can act on.
    detail: String,
    /// For example `BAD_INPUT`, `FORBIDDEN`, `NOT_FOUND`; the same as in GraphQL.
    code: &'static str,
    /// What is wrong with which field of the input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<crate::kernel::error::FieldError>,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if self.kind == Kind::Internal {
            tracing::error!(cause = self.internal_text(), "a request failed");
        } else if let Some(cause) = self.internal_text() {
            tracing::warn!(cause, code = self.kind.code(), "a request failed");
        }
        let status = StatusCode::from_u16(self.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let problem = Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: self.public,
            code: self.kind.code(),
            fields: self.fields,
        };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, after.as_secs().max(1).into());
        }
        if self.kind == Kind::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

macro_rules! from_rejections {
    ($($rejection:ident),+) => {$(
        impl From<$rejection> for Error {
            fn from(rejection: $rejection) -> Self {
                let kind = match rejection.status() {
                    StatusCode::PAYLOAD_TOO_LARGE => Kind::TooLarge,
                    status if status.is_server_error() => return Self::internal(rejection),
                    _ => Kind::BadInput,
                };
                Self::new(kind, rejection.body_text())
            }
        }
    )+};
}

from_rejections!(BytesRejection, JsonRejection, PathRejection, QueryRejection);

/// A part of the path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Error))]
pub struct Path<T>(pub T);

/// The query string.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Error))]
pub struct Query<T>(pub T);

/// A JSON body.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Error))]
pub struct Body<T>(pub T);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_error_is_a_problem_and_its_cause_stays_inside() {
        let error = Error::internal("the password is hunter2");
        let response = error.into_response();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.contains(r#""code":"INTERNAL""#) && !text.contains("hunter2"), "{text}");

        let response = Error::rate_limited(std::time::Duration::from_secs(7)).into_response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()[header::RETRY_AFTER]),
            (429, &"7".parse().unwrap())
        );
        let response = Error::field("first", "must be 1 to 100").into_response();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["fields"][0]["field"], "first");
    }
}
