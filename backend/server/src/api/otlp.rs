//! OpenTelemetry: traces of any instrumented agent (`POST /v1/traces`, OTLP 1.x over HTTP, protobuf and JSON, plain or gzip).
//!
//! What the dialects say and where it goes: `backend/importers/src/events/README.md`.

use crate::{
    app::AppState,
    kernel::{Error, Kind, Permission, Result},
    runtime::events,
    web::auth::Remembered,
};
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use serde_json::json;
use stance_importers::{
    ImportError,
    events::otlp::{self, Encoding, MAX_EXPORT_BYTES},
};
use tower_http::decompression::RequestDecompressionLayer;

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/v1/traces", post(traces))
        .layer(DefaultBodyLimit::max(MAX_EXPORT_BYTES))
        .layer(RequestDecompressionLayer::new())
}

async fn traces(
    State(state): State<AppState>,
    Remembered(ctx): Remembered,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response> {
    ctx.require(Permission::EventIngest)?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let encoding = match kind.split(';').next().unwrap_or_default().trim() {
        "application/x-protobuf" => Encoding::Protobuf,
        "application/json" => Encoding::Json,
        _ => return Err(Error::field("Content-Type", "must be application/x-protobuf or application/json")),
    };
    let (body, now) = (body?, ctx.now());
    let told = tokio::task::spawn_blocking(move || otlp::read(&body, encoding, now)).await.map_err(Error::internal)?;
    let told = told.map_err(|error| match error {
        ImportError::TooLarge { .. } => Error::new(Kind::TooLarge, error.to_string()),
        other => Error::new(Kind::BadInput, other.to_string()),
    })?;
    let why = told.gaps.first().map(|gap| gap.reason.clone()).unwrap_or_default();
    let rejected = i64::try_from(told.rejected_spans).unwrap_or(i64::MAX);
    events::ingest(&state.db, &state.guard, &ctx, told.events, &told.assets).await?;
    Ok(answer(encoding, rejected, &why))
}

/// `ExportTraceServiceResponse`, in the encoding that was asked in. Empty when everything was taken.
fn answer(encoding: Encoding, rejected: i64, why: &str) -> Response {
    match encoding {
        Encoding::Json => {
            let body = match rejected {
                0 => json!({}),
                _ => json!({ "partialSuccess": { "rejectedSpans": rejected.to_string(), "errorMessage": why } }),
            };
            axum::Json(body).into_response()
        }
        Encoding::Protobuf => {
            let body = otlp::response(rejected, why);
            (StatusCode::OK, [(header::CONTENT_TYPE, "application/x-protobuf")], body).into_response()
        }
    }
}
