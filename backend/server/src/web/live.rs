//! `GET /live`: live events for the dashboard, as server-sent events.
//!
//! Each message is `{"topic": "report" | "finding" | "risk" | "asset" | "event" | "policy" | "sensor", "id": UUID or null}`; without an id anything of the
//! topic may have changed. The first message is named `position`, and its data is where the stream begins. A reader that comes
//! back with the last id that it saw (`Last-Event-ID`, or `?after=`) is told which topics changed meanwhile.

use super::auth::Authenticated;
use crate::{
    app::AppState,
    kernel::{Error, Kind, tasks::Tasks},
    live::{Event, Hub, Position},
};
use axum::{
    Router,
    extract::{Query, State},
    http::{HeaderMap, header},
    response::{
        IntoResponse as _, Response,
        sse::{self, KeepAlive, Sse},
    },
    routing::get,
};
use futures::{StreamExt as _, stream};
use serde_json::json;
use stance_shared::TenantId;
use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Streams of one organization at a time.
const STREAMS: usize = 200;
/// A stream ends after this time; browsers come back by themselves, and their session is then looked at again.
const LIFE: Duration = Duration::from_secs(300);
/// So that proxies keep the connection, and a broken one is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Open streams by organization.
#[derive(Clone, Debug, Default)]
pub struct Watchers(Arc<Mutex<HashMap<TenantId, usize>>>);

/// One open stream; counts as long as it lives.
struct Watcher {
    watchers: Watchers,
    tenant: TenantId,
}

impl Watchers {
    fn enter(&self, tenant: TenantId) -> Option<Watcher> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(tenant).or_default();
        if *count >= STREAMS {
            return None;
        }
        *count += 1;
        Some(Watcher { watchers: self.clone(), tenant })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut open = self.watchers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.tenant);
            }
        }
    }
}

pub fn router() -> Router<AppState> {
    Router::new().route("/live", get(live))
}

#[derive(serde::Deserialize)]
struct Parameters {
    /// The id of the last message that the reader saw, on another stream.
    after: Option<String>,
}

async fn live(
    State(hub): State<Hub>,
    State(watchers): State<Watchers>,
    State(tasks): State<Tasks>,
    Authenticated(ctx): Authenticated,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Response {
    let Some(watcher) = watchers.enter(ctx.tenant) else {
        let text = format!("The organization has {STREAMS} open streams already. Close some pages.");
        return Error::new(Kind::RateLimited, text).into_response();
    };
    // The browser's own header is newer than the address that the stream was first opened with.
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).or(parameters.after.as_deref());
    let last = last.filter(|last| !last.is_empty());
    // Subscribed first, so that nothing falls between the position and the events.
    let events = hub.subscribe(ctx.tenant);
    let start = hub.position();
    let missed = last.map(|last| hub.changed_since(ctx.tenant, last.parse::<Position>().ok())).unwrap_or_default();
    let missed = missed.into_iter().map(move |topic| Event { topic, id: None, at: start });
    let stop = tasks.stopping();
    let end = async move {
        tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(LIFE) => {} }
    };
    let first = sse::Event::default().event("position").id(start.to_string()).data(start.to_string());
    let events = stream::iter(missed)
        .chain(events)
        .filter(move |event| std::future::ready(ctx.may(event.topic.permission())))
        .map(move |Event { topic, id, at }| {
            let _held = &watcher;
            let data = json!({ "topic": topic.as_str(), "id": id }).to_string();
            sse::Event::default().id(at.to_string()).data(data)
        });
    let events = stream::iter([first]).chain(events).map(Ok::<_, Infallible>).take_until(end);
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
    // Proxies that gather answers would hold events back.
    response.headers_mut().insert("x-accel-buffering", header::HeaderValue::from_static("no"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_bounded_per_organization_and_free_their_place() {
        let watchers = Watchers::default();
        let (one, two) = (TenantId(uuid::Uuid::from_u128(1)), TenantId(uuid::Uuid::from_u128(2)));
        let mut open: Vec<_> = (0..STREAMS).map(|_| watchers.enter(one).unwrap()).collect();
        assert!(watchers.enter(one).is_none());
        assert!(watchers.enter(two).is_some(), "others are not concerned");
        open.pop();
        assert!(watchers.enter(one).is_some());
        drop(open);
        assert!(watchers.0.lock().unwrap().is_empty());
    }
}
