//! REST: what streams (reports in, exports out) and what machines without GraphQL need.
//!
//! **To add an operation**: a file with a handler annotated by `#[utoipa::path]`, taking [`crate::web::auth::Authenticated`]
//! and this module's extractors ([`extract::Path`], [`extract::Query`], [`extract::Body`]), answering
//! `kernel::Result<impl IntoResponse>`; then a line `.routes(routes!(handler))` in `routes`, which serves and documents it.

pub mod extract;
pub mod reports;
