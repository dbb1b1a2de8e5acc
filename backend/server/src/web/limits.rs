//! Bounds on what one caller can take of the server.

use crate::kernel::{Error, Kind};
use axum::{
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Requests that are worked on at the same time; beyond it callers are told to come again.
const REQUESTS: usize = 512;
/// The largest body, but for uploads of reports, which are streamed and limited there.
pub const BODY: usize = 2 * 1024 * 1024;
/// How long a request may take until its answer begins.
const TIME: Duration = Duration::from_secs(30);
/// The same for uploads, which may be long on slow lines.
const UPLOAD_TIME: Duration = Duration::from_secs(30 * 60);

/// Places for requests.
#[derive(Clone)]
pub struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(REQUESTS)))
    }
}

#[cfg(test)]
impl Places {
    pub fn take_all(&self) -> tokio::sync::OwnedSemaphorePermit {
        self.0.clone().try_acquire_many_owned(u32::try_from(REQUESTS).unwrap()).unwrap()
    }
}

/// Holds a place while the answer is made, and cuts it off after its time.
pub async fn limit(State(places): State<Places>, request: Request, next: Next) -> Response {
    let Ok(_place) = places.0.try_acquire() else {
        let error = Error::new(Kind::Unavailable, "The server is busy. Try again in a moment.");
        return ([(header::RETRY_AFTER, "1")], error).into_response();
    };
    let time = if is_upload(&request) { UPLOAD_TIME } else { TIME };
    tokio::time::timeout(time, next.run(request)).await.unwrap_or_else(|_| {
        Error::new(Kind::Unavailable, format!("The request took longer than {} s.", time.as_secs())).into_response()
    })
}

fn is_upload(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    request.method() == axum::http::Method::POST
        && (request.uri().path().starts_with("/api/v1/reports") || kind.starts_with("multipart/form-data"))
}
