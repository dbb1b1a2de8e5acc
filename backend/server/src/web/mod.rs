//! What browsers and operators talk to: pages, live events, health; and what happens around every request.

mod health;
mod observe;

use crate::app::AppState;
use axum::{Router, middleware};

/// The routes of this module.
pub fn router() -> Router<AppState> {
    health::router()
}

/// Wraps all routes, from the outside in: request line, …
pub fn around(state: &AppState, routes: Router<AppState>) -> Router<AppState> {
    routes.layer(middleware::from_fn_with_state(state.clone(), observe::observe))
}
