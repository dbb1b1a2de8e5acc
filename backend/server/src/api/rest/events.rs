//! Events in bulk.

use crate::{
    app::AppState,
    kernel::{Error, Permission, Result, error::FieldError},
    runtime::events,
    web::auth::Remembered,
};
use axum::{
    Json,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
};
use serde::Serialize;
use stance_importers::events::ndjson::{self, BadEvent};
use tower_http::decompression::RequestDecompressionLayer;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The largest body, decompressed.
pub const MAX_BODY: usize = 32 << 20;

/// The routes of this file, with their documentation.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(ingest))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(RequestDecompressionLayer::new())
}

/// What became of the events.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Ingested {
    /// Events that are new.
    accepted: usize,
    /// Events that were there already.
    repeated: usize,
}

/// Takes events, at most 10,000: one JSON object a line, or an array of them; plain or gzip. All or none.
#[utoipa::path(post, path = "/api/v1/events", tag = "runtime",
    request_body(content = String, content_type = "application/x-ndjson", description = "Events, or lines of the guardrails that Stance knows"),
    responses((status = 200, description = "Written", body = Ingested),
        (status = 429, description = "Too much at once: come again after Retry-After", body = super::Problem),
        (status = "4XX", description = "A problem", body = super::Problem)))]
async fn ingest(
    State(state): State<AppState>,
    Remembered(ctx): Remembered,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Json<Ingested>> {
    ctx.require(Permission::EventIngest)?;
    let (body, now) = (body?, ctx.now());
    // Thousands of lines take milliseconds.
    let told = tokio::task::spawn_blocking(move || ndjson::read(&body, now)).await.map_err(Error::internal)?;
    let told = told.map_err(|wrong| refused(&wrong))?;
    let written = events::ingest(&state.db, &state.guard, &ctx, told, &[]).await?;
    Ok(Json(Ingested { accepted: written.new, repeated: written.repeated }))
}

fn refused(wrong: &[BadEvent]) -> Error {
    let fields: Vec<FieldError> =
        wrong.iter().map(|bad| FieldError { field: bad.place.clone(), message: bad.to_string() }).collect();
    let first = fields.first().map(|field| field.message.clone()).unwrap_or_default();
    Error::fields(format!("Nothing was stored: {first}"), fields)
}
