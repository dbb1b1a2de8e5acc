//! Reports: upload by stream, and what became of one.

use super::extract::{Path, Query};
use crate::{
    app::AppState,
    imports::{self, Counts, Report, ReportError, Upload},
    inventory,
    kernel::{Ctx, Db, Error, Kind, Permission, Result},
    web::auth::Authenticated,
};
use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use stance_importers::GapRecord;
use stance_shared::ReportId;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// The routes of this file, with their documentation.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(upload)).routes(routes!(report))
}

/// What may be said with an upload.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UploadQuery {
    /// A format's id, or `auto`.
    #[serde(default = "auto")]
    format: String,
    /// `KIND:key`, or a key alone.
    asset: Option<String>,
    filename: Option<String>,
}

fn auto() -> String {
    "auto".to_owned()
}

/// The answer to an upload.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    report_id: Uuid,
}

/// A report as the API shows it.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportView {
    report_id: Uuid,
    status: &'static str,
    format: Option<String>,
    tool: Option<String>,
    tool_version: Option<String>,
    counts: Counts,
    /// 0 to 1.
    progress: f64,
    /// The first 200.
    #[schema(value_type = Vec<Object>)]
    gaps: Vec<GapRecord>,
    gap_count: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ReportError>,
    /// What the report is about, at most 100.
    assets: Vec<AssetView>,
}

/// An asset that a report is about.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AssetView {
    id: Uuid,
    kind: &'static str,
    key: String,
    name: String,
}

/// Takes a report of any size: the body is its bytes, plain or gzip. It is then parsed and merged; ask for it by its id.
#[utoipa::path(post, path = "/api/v1/reports", tag = "reports",
    params(UploadQuery, ("Idempotency-Key" = Option<String>, Header, description = "The same key again gives the same report.")),
    request_body(content = String, content_type = "application/octet-stream", description = "The report's bytes"),
    responses((status = 202, description = "Accepted", body = Accepted),
        (status = "4XX", description = "A problem", body = super::Problem)))]
async fn upload(
    State(state): State<AppState>,
    Authenticated(ctx): Authenticated,
    Query(query): Query<UploadQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<impl IntoResponse> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().map(str::to_owned)).transpose();
    let idempotency_key =
        text("idempotency-key").map_err(|_| Error::field("Idempotency-Key", "must be printable ASCII"))?;
    match text(header::CONTENT_ENCODING.as_str()).ok().flatten().as_deref() {
        None | Some("gzip" | "identity") => {}
        Some(_) => return Err(Error::new(Kind::BadInput, "Content-Encoding must be gzip or identity.")),
    }
    let UploadQuery { format, asset, filename } = query;
    let upload = Upload { format, asset, filename, idempotency_key };
    let id = imports::accept(&state.db, &ctx, state.limits, upload, body.into_data_stream()).await?;
    let location = format!("/api/v1/reports/{id}");
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(Accepted { report_id: id.0 })))
}

/// What became of a report, also while it is worked on.
#[utoipa::path(get, path = "/api/v1/reports/{id}", tag = "reports", params(("id" = Uuid, Path, description = "The report")),
    responses((status = 200, description = "The report", body = ReportView),
        (status = "4XX", description = "A problem", body = super::Problem)))]
async fn report(
    State(db): State<Db>,
    Authenticated(ctx): Authenticated,
    Path(id): Path<Uuid>,
) -> Result<Json<ReportView>> {
    let report = imports::get(&db, &ctx, ReportId(id)).await?;
    let assets = if ctx.may(Permission::AssetRead) { assets(&db, &ctx, report.id).await? } else { Vec::new() };
    Ok(Json(view(report, assets)))
}

async fn assets(db: &Db, ctx: &Ctx, id: ReportId) -> Result<Vec<AssetView>> {
    let ids = imports::assets(db, ctx, &[id]).await?.remove(&id).unwrap_or_default();
    let mut assets: Vec<_> = inventory::service::by_ids(db, ctx, &ids)
        .await?
        .into_values()
        .map(|asset| AssetView { id: asset.id.0, kind: asset.kind.as_str(), key: asset.external_key, name: asset.name })
        .collect();
    assets.sort_by(|a, b| (a.kind, &a.key).cmp(&(b.kind, &b.key)));
    Ok(assets)
}

fn view(report: Report, assets: Vec<AssetView>) -> ReportView {
    ReportView {
        report_id: report.id.0,
        status: report.status.as_str(),
        format: report.format,
        tool: report.tool,
        tool_version: report.tool_version,
        counts: report.counts,
        progress: report.progress,
        gaps: report.gaps,
        gap_count: report.gap_count,
        error: report.error,
        assets,
    }
}
