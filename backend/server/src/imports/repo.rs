//! The SQL of reports. The merge's own statements are in [`merge`](super::merge).

use super::domain::{Counts, MAX_GAPS, Report, ReportError, Upload};
use crate::kernel::{Ctx, Db, Error, Permission, Result, TenantTx, error::OnConstraint as _};
use chrono::{DateTime, Utc};
use serde_json::Value;
use stance_importers::{AssetRef, GapRecord};
use stance_shared::{AssetKind, ReportId, ReportStatus};
use std::str::FromStr as _;
use uuid::Uuid;

struct Row {
    id: Uuid,
    status: String,
    format: Option<String>,
    tool: Option<String>,
    tool_version: Option<String>,
    filename: Option<String>,
    bytes: i64,
    sha256: Vec<u8>,
    new: i32,
    updated: i32,
    reopened: i32,
    resolved: i32,
    unchanged: i32,
    findings: i32,
    assets: i32,
    relations: i32,
    bytes_read: i64,
    gaps: Value,
    gap_count: i32,
    error: Option<Value>,
    uploaded_by: String,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Report {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let status = ReportStatus::from_str(&row.status)?;
        #[expect(clippy::cast_precision_loss, reason = "a share, shown as a bar")]
        let read = row.bytes_read as f64 / row.bytes.max(1) as f64;
        // Parsing is most of the work for small reports and about two thirds of it for large ones.
        let progress = match status {
            ReportStatus::Accepted => 0.0,
            ReportStatus::Staging => 0.65 * read.min(1.0),
            ReportStatus::Merging => 0.7,
            ReportStatus::Done | ReportStatus::Failed => 1.0,
        };
        Ok(Self {
            id: ReportId(row.id),
            status,
            format: row.format,
            tool: row.tool,
            tool_version: row.tool_version,
            filename: row.filename,
            bytes: row.bytes,
            sha256: row.sha256,
            counts: Counts {
                new: row.new,
                updated: row.updated,
                reopened: row.reopened,
                resolved: row.resolved,
                unchanged: row.unchanged,
                findings: row.findings,
                assets: row.assets,
                relations: row.relations,
            },
            progress,
            gaps: serde_json::from_value(row.gaps).map_err(Error::internal)?,
            gap_count: row.gap_count,
            error: row.error.map(serde_json::from_value).transpose().map_err(Error::internal)?,
            uploaded_by: row.uploaded_by,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
        })
    }
}

/// Reports by id, newest first.
pub async fn by_ids(tx: &mut TenantTx, ids: &[ReportId]) -> Result<Vec<Report>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query_as!(
        Row,
        "select id, status, format, tool, tool_version, filename, bytes, sha256, new, updated, reopened, resolved, unchanged,
                findings, assets, relations, bytes_read, gaps, gap_count, error, uploaded_by, created_at, started_at, finished_at
         from report where tenant_id = $1 and id = any($2) order by id desc",
        tx.ctx().tenant.0,
        &ids
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Report::try_from).collect()
}

/// Ids of reports below `after`, newest first.
pub async fn page(tx: &mut TenantTx, status: &[String], after: Option<Uuid>, limit: i64) -> Result<Vec<ReportId>> {
    Ok(sqlx::query_scalar!(
        "select id from report where tenant_id = $1 and ($2::uuid is null or id < $2)
           and (cardinality($3::text[]) = 0 or status = any($3)) order by id desc limit $4",
        tx.ctx().tenant.0,
        after,
        status,
        limit
    )
    .fetch_all(tx.conn())
    .await?
    .into_iter()
    .map(ReportId)
    .collect())
}

pub async fn count(tx: &mut TenantTx, status: &[String]) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "n!" from report where tenant_id = $1 and (cardinality($2::text[]) = 0 or status = any($2))"#,
        tx.ctx().tenant.0,
        status
    )
    .fetch_one(tx.conn())
    .await?)
}

/// The assets that a report's scans are about, at most `limit` of each report.
pub async fn assets(tx: &mut TenantTx, reports: &[ReportId], limit: i64) -> Result<Vec<(ReportId, Uuid)>> {
    let ids: Vec<Uuid> = reports.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select r.id as "report!", a.asset_id as "asset!"
         from unnest($2::uuid[]) r(id), lateral (
             select distinct n.root_id as asset_id
             from report_scan rs join scan s on s.tenant_id = rs.tenant_id and s.id = rs.scan_id
             join asset n on n.tenant_id = s.tenant_id and n.id = s.asset_id
             where rs.tenant_id = $1 and rs.report_id = r.id order by 1 limit $3) a"#,
        tx.ctx().tenant.0,
        &ids,
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (ReportId(row.report), row.asset)).collect())
}

/// The report that an idempotency key was used for: its id and digest (empty while it is being uploaded).
pub async fn by_idempotency_key(tx: &mut TenantTx, key: &str) -> Result<Option<(ReportId, Vec<u8>)>> {
    let row = sqlx::query!(
        "select id, sha256 from report where tenant_id = $1 and idempotency_key = $2",
        tx.ctx().tenant.0,
        key
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| (ReportId(row.id), row.sha256)))
}

pub async fn unfinished(tx: &mut TenantTx) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "n!" from report where tenant_id = $1 and status in ('ACCEPTED', 'STAGING', 'MERGING') and length(sha256) > 0"#,
        tx.ctx().tenant.0
    )
    .fetch_one(tx.conn())
    .await?)
}

/// A report whose body is still on its way: its digest is empty, and no job looks at it.
pub async fn insert(tx: &mut TenantTx, id: ReportId, upload: &Upload) -> Result<()> {
    let (tenant, now, by) = (tx.ctx().tenant.0, tx.ctx().now(), tx.ctx().actor.label().to_owned());
    sqlx::query!(
        "insert into report (tenant_id, id, status, requested_format, filename, asset_hint, idempotency_key, bytes, sha256,
             uploaded_by, created_at)
         values ($1, $2, 'ACCEPTED', $3, $4, $5, $6, 0, '', $7, $8)",
        tenant,
        id.0,
        upload.format,
        upload.filename,
        upload.asset,
        upload.idempotency_key,
        by,
        now
    )
    .execute(tx.conn())
    .await
    .on_constraint("report_tenant_id_idempotency_key_key", || {
        Error::conflict("A request with this Idempotency-Key is being handled just now.")
    })?;
    Ok(())
}

pub async fn insert_pieces(tx: &mut TenantTx, id: ReportId, first: i32, pieces: &[Vec<u8>]) -> Result<()> {
    sqlx::query!(
        "insert into report_body (tenant_id, report_id, piece, bytes)
         select $1, $2, $3 + no::int4 - 1, bytes from unnest($4::bytea[]) with ordinality p(bytes, no)",
        tx.ctx().tenant.0,
        id.0,
        first,
        pieces
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The body is complete.
pub async fn uploaded(tx: &mut TenantTx, id: ReportId, bytes: i64, sha256: &[u8]) -> Result<()> {
    sqlx::query!(
        "update report set bytes = $3, sha256 = $4 where tenant_id = $1 and id = $2",
        tx.ctx().tenant.0,
        id.0,
        bytes,
        sha256
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn delete(tx: &mut TenantTx, id: ReportId) -> Result<()> {
    sqlx::query!("delete from report where tenant_id = $1 and id = $2", tx.ctx().tenant.0, id.0)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Deletes the body, which may hold what the importer took care not to keep (secrets in a configuration, whole conversations).
pub async fn delete_body(tx: &mut TenantTx, id: ReportId) -> Result<()> {
    sqlx::query!("delete from report_body where tenant_id = $1 and report_id = $2", tx.ctx().tenant.0, id.0)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// One piece of a body, in a transaction of its own: the parser's thread asks for it while the import's runs.
pub async fn piece(db: &Db, ctx: &Ctx, id: ReportId, piece: i32) -> Result<Option<Vec<u8>>> {
    let mut tx = db.begin(ctx, Permission::ReportRead).await?;
    Ok(sqlx::query_scalar!(
        "select bytes from report_body where tenant_id = $1 and report_id = $2 and piece = $3",
        ctx.tenant.0,
        id.0,
        piece
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Takes the organization's turn to import, until the transaction ends. False: another import has it.
pub async fn take_turn(tx: &mut TenantTx) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select pg_try_advisory_xact_lock(hashtextextended('import:' || $1::text, 0)) as "mine!""#,
        tx.ctx().tenant.0.to_string()
    )
    .fetch_one(tx.conn())
    .await?)
}

/// The organization's oldest report that waits or is being imported.
pub async fn next(tx: &mut TenantTx) -> Result<Option<ReportId>> {
    Ok(sqlx::query_scalar!(
        "select id from report where tenant_id = $1 and status in ('ACCEPTED', 'STAGING', 'MERGING') and length(sha256) > 0
         order by id limit 1",
        tx.ctx().tenant.0
    )
    .fetch_optional(tx.conn())
    .await?
    .map(ReportId))
}

/// What the job needs to know of a report.
pub struct Task {
    pub requested_format: String,
    pub asset_hint: Option<String>,
    pub filename: Option<String>,
    /// As they were sent.
    pub bytes: i64,
}

pub async fn task(tx: &mut TenantTx, id: ReportId) -> Result<Task> {
    Ok(sqlx::query_as!(
        Task,
        "select requested_format, asset_hint, filename, bytes from report where tenant_id = $1 and id = $2",
        tx.ctx().tenant.0,
        id.0
    )
    .fetch_one(tx.conn())
    .await?)
}

/// The asset that this key means, whatever its kind; the one seen last if there are several.
pub async fn asset_by_key(tx: &mut TenantTx, key: &str) -> Result<Option<AssetRef>> {
    let kind = sqlx::query_scalar!(
        "select kind from asset where tenant_id = $1
           and (kind, identity) in (select k, asset_identity(k, $3) from unnest($2::text[]) k) order by last_seen desc, kind limit 1",
        tx.ctx().tenant.0,
        &AssetKind::WORDS.iter().map(|&word| word.to_owned()).collect::<Vec<_>>(),
        key
    )
    .fetch_optional(tx.conn())
    .await?;
    kind.map(|kind| Ok(AssetRef { kind: kind.parse()?, key: key.to_owned() })).transpose()
}

/// Where an import is. Written in short transactions of their own, so that others see it.
pub async fn progress(
    tx: &mut TenantTx,
    id: ReportId,
    status: ReportStatus,
    format: &str,
    bytes_read: i64,
) -> Result<()> {
    let now = tx.ctx().now();
    sqlx::query!(
        "update report set status = $3, format = $4, bytes_read = $5, started_at = coalesce(started_at, $6)
         where tenant_id = $1 and id = $2 and status in ('ACCEPTED', 'STAGING', 'MERGING')",
        tx.ctx().tenant.0,
        id.0,
        status.as_str(),
        format,
        bytes_read,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The import is done; in its own transaction.
pub async fn done(
    tx: &mut TenantTx,
    id: ReportId,
    (tool, version): (&str, &str),
    counts: Counts,
    gaps: &[GapRecord],
    gap_count: i32,
) -> Result<()> {
    debug_assert!(gaps.len() <= MAX_GAPS);
    let now = tx.ctx().now();
    let gaps = serde_json::to_value(gaps).map_err(Error::internal)?;
    sqlx::query!(
        "update report set status = 'DONE', tool = $3, tool_version = $4, new = $5, updated = $6, reopened = $7,
             resolved = $8, unchanged = $9, findings = $10, assets = $11, relations = $12, gaps = $13, gap_count = $14,
             bytes_read = bytes, finished_at = $15
         where tenant_id = $1 and id = $2",
        tx.ctx().tenant.0,
        id.0,
        tool,
        version,
        counts.new,
        counts.updated,
        counts.reopened,
        counts.resolved,
        counts.unchanged,
        counts.findings,
        counts.assets,
        counts.relations,
        gaps,
        gap_count,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn fail(tx: &mut TenantTx, id: ReportId, error: &ReportError) -> Result<()> {
    let now = tx.ctx().now();
    let error = serde_json::to_value(error).map_err(Error::internal)?;
    sqlx::query!(
        "update report set status = 'FAILED', error = $3, finished_at = $4
         where tenant_id = $1 and id = $2 and status in ('ACCEPTED', 'STAGING', 'MERGING')",
        tx.ctx().tenant.0,
        id.0,
        error,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A failed report waits again.
pub async fn reopen(tx: &mut TenantTx, id: ReportId) -> Result<()> {
    sqlx::query!(
        "update report set status = 'ACCEPTED', error = null, finished_at = null, bytes_read = 0
         where tenant_id = $1 and id = $2 and status = 'FAILED'",
        tx.ctx().tenant.0,
        id.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
