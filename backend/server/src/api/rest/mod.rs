//! REST: what streams (reports in, exports out) and what machines without GraphQL need.
//!
//! **To add an operation**: a file with a handler annotated by `#[utoipa::path]`, taking [`crate::web::auth::Authenticated`]
//! and this module's extractors ([`extract::Path`], [`extract::Query`], [`extract::Body`]), answering
//! `kernel::Result<impl IntoResponse>`; then a line in `routes`, which serves and documents it.

pub mod containment;
mod docs;
pub mod events;
pub mod export;
pub mod extract;
pub mod inspect;
pub mod reports;

use crate::{app::AppState, kernel::error::FieldError};
use axum::Router;
use utoipa::{
    OpenApi as _,
    openapi::{
        OpenApi,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

/// What went wrong, after RFC 9457; made in `kernel::problem`.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
struct Problem {
    /// Always `about:blank`: `code` tells problems apart.
    r#type: String,
    title: String,
    /// The HTTP status.
    status: u16,
    /// A sentence that a person can act on.
    detail: String,
    /// For example `BAD_INPUT`, `FORBIDDEN`, `NOT_FOUND`; the same as in GraphQL.
    code: String,
    /// What is wrong with which field of the input.
    fields: Option<Vec<FieldError>>,
    /// Leads to the details in the server's log; also in the header `x-request-id`.
    #[schema(rename = "requestId")]
    request_id: Option<String>,
}

/// Stance's REST API. GraphQL at `/graphql` has everything; REST is for what streams.
#[derive(utoipa::OpenApi)]
#[openapi(info(title = "Stance"), components(schemas(Problem)), security(("token" = [])))]
struct Document;

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(reports::routes())
        .merge(export::routes())
        .merge(containment::routes())
        .merge(inspect::routes())
        .merge(events::routes())
}

/// The routes, and the pages that describe them.
pub fn router() -> Router<AppState> {
    let (router, _) = routes().split_for_parts();
    router.merge(docs::router())
}

/// The OpenAPI document. `backend/server/openapi.json` is printed from here (`stance schema openapi`).
#[must_use]
pub fn openapi() -> OpenApi {
    let mut document = routes().into_openapi();
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("token", token);
    document
}
