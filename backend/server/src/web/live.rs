//! `GET /live`: live events for the dashboard, as server-sent events.
//!
//! Each message is `{"topic": "report" | "finding" | "risk" | "asset", "id": UUID or null}`; without an id anything of the
//! topic may have changed. A reader that comes back (`Last-Event-ID`) is told so for each topic, since it was away.

use super::auth::Authenticated;
use crate::{
    app::AppState,
    kernel::{Error, Kind, tasks::Tasks},
    live::{Event, Hub, Topic},
};
use axum::{
    Router,
    extract::State,
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

async fn live(
    State(hub): State<Hub>,
    State(watchers): State<Watchers>,
    State(tasks): State<Tasks>,
    Authenticated(ctx): Authenticated,
    headers: HeaderMap,
) -> Response {
    let Some(watcher) = watchers.enter(ctx.tenant) else {
        let text = format!("The organization has {STREAMS} open streams already. Close some pages.");
        return Error::new(Kind::RateLimited, text).into_response();
    };
    let was_away = headers.contains_key("last-event-id");
    let missed = Topic::ALL.into_iter().filter(move |_| was_away).map(|topic| Event { topic, id: None });
    let stop = tasks.stopping();
    let end = async move {
        tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(LIFE) => {} }
    };
    let events = stream::iter(missed)
        .chain(hub.subscribe(ctx.tenant))
        .filter(move |event| std::future::ready(ctx.may(event.topic.permission())))
        .enumerate()
        .map(move |(number, Event { topic, id })| {
            let _held = &watcher;
            let data = json!({ "topic": topic.as_str(), "id": id }).to_string();
            Ok::<_, Infallible>(sse::Event::default().id(number.to_string()).data(data))
        })
        .take_until(end);
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
