//! For operators and orchestrators: is it alive, is it ready, how much does it do.

use crate::{
    app::AppState,
    jobs,
    kernel::{Db, Kind},
};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use std::time::Duration;

/// Ready means soon: an answer that takes longer is a no.
const PATIENCE: Duration = Duration::from_secs(3);

/// Jobs that wait longer are late.
const LATE: Duration = Duration::from_secs(300);

pub fn router() -> Router<AppState> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz))
}

/// The process answers.
async fn healthz() -> Response {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") })).into_response()
}

/// Requests can be served: the database answers and has this program's tables. Jobs that are late do not make a server
/// unready, since other processes may be there for them; they are told.
async fn readyz(State(db): State<Db>) -> Response {
    let (database, migrations) = match tokio::time::timeout(PATIENCE, db.is_migrated()).await {
        Ok(Ok(true)) => ("ok", "ok"),
        Ok(Ok(false)) => ("ok", "pending"),
        // The table of migrations is missing.
        Ok(Err(error)) if error.kind == Kind::Internal => ("ok", "pending"),
        Ok(Err(_)) | Err(_) => ("unavailable", "unknown"),
    };
    let ready = (database, migrations) == ("ok", "ok");
    let (jobs, lag) = match ready {
        true => lag(&db).await.map_or(("unknown", None), |lag| (if lag > LATE { "late" } else { "ok" }, Some(lag))),
        false => ("unknown", None),
    };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "status": if ready { "ok" } else { "unavailable" },
        "checks": { "database": database, "migrations": migrations, "jobs": jobs },
        "jobLagSeconds": lag.map(|lag| lag.as_secs()),
    });
    (status, Json(body)).into_response()
}

/// How long the longest waiting job has been due.
async fn lag(db: &Db) -> Option<Duration> {
    let backlog = tokio::time::timeout(PATIENCE, jobs::backlog(db)).await.ok()?.ok()?;
    Some(backlog.iter().map(|queue| queue.lag).max().unwrap_or_default())
}
