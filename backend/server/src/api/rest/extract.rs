//! Extractors whose refusals are problems too ([`crate::kernel::problem`]).

use crate::kernel::{Error, Kind};
use axum::{
    extract::{
        FromRequest, FromRequestParts,
        rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection},
    },
    http::StatusCode,
};

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
