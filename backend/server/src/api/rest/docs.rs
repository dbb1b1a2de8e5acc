//! The OpenAPI document, a page to read and try it on, and the schemas of Stance's own report format and of playbooks.

use super::openapi;
use crate::app::AppState;
use axum::{
    Json, Router,
    http::{HeaderValue, header},
    response::IntoResponse,
    routing::get,
};
use tower_http::set_header::SetResponseHeaderLayer;

pub(super) fn router() -> Router<AppState> {
    // Swagger UI writes styles into its elements; its scripts are files of ours.
    let policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
        connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    let page = utoipa_swagger_ui::SwaggerUi::new("/api/docs")
        .config(utoipa_swagger_ui::Config::from("/api/openapi.json").validator_url("none"));
    let page: Router<AppState> = page.into();
    let policy = HeaderValue::from_static(policy);
    page.layer(SetResponseHeaderLayer::overriding(header::CONTENT_SECURITY_POLICY, policy))
        .route("/api/openapi.json", get(async || Json(openapi())))
        .route("/api/schemas/findings.json", get(findings_schema))
        .route("/api/schemas/playbook.json", get(playbook_schema))
}

async fn findings_schema() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/schema+json")], stance_importers::stance::SCHEMA)
}

async fn playbook_schema() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/schema+json")], stance_engine::playbook::SCHEMA)
}
