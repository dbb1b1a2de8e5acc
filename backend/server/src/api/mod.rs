//! What the outside world talks to: GraphQL for people and programs, REST for machines that stream.
//!
//! Nothing in here decides anything: a resolver or handler reads its input, calls a slice's service and shapes the answer.

pub mod graphql;
mod otlp;
pub mod rest;

use crate::app::AppState;

/// The routes of all APIs.
pub fn router() -> axum::Router<AppState> {
    graphql::http::router().merge(rest::router()).merge(otlp::router())
}
