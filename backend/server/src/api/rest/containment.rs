//! Containment for enforcement points that ask: sensors. `docs/enforcement-points.md` tells their authors the rest.

use super::extract::Body;
use crate::{
    app::AppState,
    kernel::{Error, Result},
    runtime::containment::{Canary, Outcome, points},
    web::auth::Remembered,
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Outcomes that one request can tell.
const MAX_OUTCOMES: usize = 5_000;

/// The routes of this file, with their documentation.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(fetch)).routes(routes!(acknowledge))
}

/// What is to be enforced.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ToEnforce {
    /// Null: the token is of no sensor that is registered as an enforcement point.
    point: Option<uuid::Uuid>,
    /// Grows with each change.
    revision: i64,
    /// SHA-256 of the document's bytes.
    hash: String,
    /// JSON as text: `{"format", "organization", "revision", "contained": [{"containment", "grade", "agents": [KEY]}]}`.
    document: String,
    /// Calls to be made by the way that real ones take, once the document is enforced; not recorded as the agents' own.
    canaries: Vec<Canary>,
}

/// What to enforce, by the sensor's own token.
#[utoipa::path(get, path = "/api/v1/containment", tag = "runtime",
    responses((status = 200, description = "What to enforce", body = ToEnforce),
        (status = "4XX", description = "A problem", body = super::Problem)))]
async fn fetch(State(state): State<AppState>, Remembered(ctx): Remembered) -> Result<Json<ToEnforce>> {
    let points::Told { point, revision, document, hash, canaries } = points::fetch(&state.db, &ctx).await?;
    Ok(Json(ToEnforce { point: point.map(|id| id.0), revision, hash, document, canaries }))
}

/// What a sensor enforces.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Enforced {
    /// SHA-256 of the document that it enforces.
    hash: String,
    /// What became of canary calls, at most 5,000.
    #[serde(default)]
    outcomes: Vec<Outcome>,
}

/// How far the sensor has come by it: with how many containments, and ends of some.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Taken {
    /// Null: the token is of no sensor that is registered as an enforcement point.
    point: Option<uuid::Uuid>,
    acknowledged: usize,
    proven: usize,
    failed: usize,
}

/// Takes which document a sensor enforces, and what became of canary calls.
#[utoipa::path(post, path = "/api/v1/containment/acknowledgements", tag = "runtime", request_body = Enforced,
    responses((status = 200, description = "Taken", body = Taken), (status = "4XX", description = "A problem", body = super::Problem)))]
async fn acknowledge(
    State(state): State<AppState>,
    Remembered(ctx): Remembered,
    Body(given): Body<Enforced>,
) -> Result<Json<Taken>> {
    if given.outcomes.len() > MAX_OUTCOMES {
        return Err(Error::field("outcomes", format!("must be at most {MAX_OUTCOMES}")));
    }
    let points::Heard { point, acknowledged, proven, failed } =
        points::acknowledge(&state.db, &ctx, &given.hash, &given.outcomes).await?;
    Ok(Json(Taken { point: point.map(|id| id.0), acknowledged, proven, failed }))
}
