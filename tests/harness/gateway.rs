//! An enforcement point that takes orders over HTTP, as `docs/enforcement-points.md` describes it; also dishonest ones.

use anyhow::Result;
use axum::{Json, Router, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, Mutex, PoisonError};

/// What a point does with its orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// What it should.
    Honest,
    /// Names the hash of something else.
    OtherHash,
    /// Acknowledges, and lets everything pass.
    LetsPass,
    /// Answers 500.
    Broken,
    /// Takes the request and never answers.
    Silent,
}

/// A running point.
#[derive(Clone)]
pub struct Gateway {
    pub url: String,
    state: Arc<Mutex<Held>>,
}

struct Held {
    behavior: Behavior,
    /// `contained` of the newest document.
    contained: Value,
    /// The headers of the last order.
    headers: HeaderMap,
}

impl Gateway {
    /// Starts one on this machine; it ends with the process.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(behavior: Behavior) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/stance", listener.local_addr()?);
        let state = Arc::new(Mutex::new(Held { behavior, contained: json!([]), headers: HeaderMap::new() }));
        let router = Router::new().route("/stance", post(order)).with_state(state.clone());
        #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, state })
    }

    /// From now on it does otherwise.
    pub fn behave(&self, behavior: Behavior) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).behavior = behavior;
    }

    /// A header of the last order; empty when there was none.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        let held = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        held.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }
}

async fn order(
    State(state): State<Arc<Mutex<Held>>>,
    headers: HeaderMap,
    Json(order): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let behavior = state.lock().unwrap_or_else(PoisonError::into_inner).behavior;
    match behavior {
        Behavior::Silent => std::future::pending().await,
        Behavior::Broken => return (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({}))),
        _ => {}
    }
    let mut held = state.lock().unwrap_or_else(PoisonError::into_inner);
    held.headers = headers;
    if order["type"] == "containment.policy" {
        let document = order["document"].as_str().unwrap_or_default();
        held.contained = serde_json::from_str::<Value>(document)
            .map(|mut document| document["contained"].take())
            .unwrap_or_default();
        let known = if behavior == Behavior::OtherHash { "something else" } else { document };
        return (StatusCode::OK, Json(json!({ "hash": hex::encode(Sha256::digest(known)) })));
    }
    let outcome = |canary: &Value| {
        let holds = |one: &&Value| one["agents"].as_array().is_some_and(|agents| agents.contains(&canary["agent"]));
        let by = held.contained.as_array().and_then(|all| all.iter().find(holds)).map(|one| one["containment"].clone());
        let by = by.filter(|_| behavior != Behavior::LetsPass);
        json!({ "nonce": canary["nonce"], "denied": by.is_some(), "containment": by })
    };
    let outcomes: Vec<Value> =
        order["canaries"].as_array().map(Vec::as_slice).unwrap_or_default().iter().map(outcome).collect();
    (StatusCode::OK, Json(json!({ "outcomes": outcomes })))
}
