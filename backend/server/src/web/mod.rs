//! What browsers and operators talk to: pages, live events, health; and what happens around every request.

mod assets;
pub mod auth;
mod error_page;
mod forms;
mod health;
pub mod limits;
mod live;
mod metrics;
mod observe;
mod pages;
mod security;
pub mod session;
#[cfg(test)]
mod sign_in_tests;
#[cfg(test)]
mod tests;

use crate::app::AppState;
use axum::{Router, extract::DefaultBodyLimit, middleware};
use tower_http::compression::{
    CompressionLayer,
    predicate::{DefaultPredicate, Predicate as _, SizeAbove},
};

pub use error_page::error_page;
pub use live::Watchers;
pub use metrics::{Metrics, MetricsError};

/// Bytes that fit into one packet: to compress a smaller answer costs time and saves none.
const PACKET: u16 = 1400;

/// The routes of this module.
pub fn router() -> Router<AppState> {
    Router::new()
        .merge(health::router())
        .merge(metrics::router())
        .merge(assets::router())
        .merge(forms::router())
        .merge(live::router())
        .fallback(pages::page)
}

/// Wraps all routes. From the outside in: request line and panics, headers, cross-site requests, limits, compression.
pub fn around(state: &AppState, routes: Router<AppState>) -> Router<AppState> {
    routes
        .layer(session::layer(state))
        .layer(DefaultBodyLimit::max(limits::BODY))
        .layer(CompressionLayer::new().compress_when(DefaultPredicate::new().and(SizeAbove::new(PACKET))))
        .layer(middleware::from_fn_with_state(limits::Places::default(), limits::limit))
        .layer(middleware::from_fn_with_state(state.clone(), security::refuse_cross_site))
        .layer(middleware::from_fn_with_state(state.clone(), security::add_headers))
        .layer(middleware::from_fn_with_state(state.clone(), observe::observe))
}
