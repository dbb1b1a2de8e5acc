//! What can be done with reports.

use super::{
    domain::{Limits, PIECE, Report, Upload},
    repo,
};
use crate::{
    audit,
    jobs::{Job, Queue},
    kernel::{
        Ctx, Db, Error, Kind, Permission, Result, TenantTx,
        page::{Page, Slice},
        text,
    },
    live::{self, Event, Topic},
};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use stance_shared::{AssetId, ReportId, ReportStatus};
use std::{collections::HashMap, time::Duration};
use uuid::Uuid;

/// Pieces that are gathered before they are written: with the piece that is being filled, all that an upload holds in memory.
const BATCH: usize = 4;

/// Stores a body as it streams in and enqueues its import. Returns the report's id.
///
/// A small body is one transaction; a large one is written in several, and is no report for anybody until the last.
///
/// # Errors
/// `BAD_INPUT` naming the field, or when the body broke off; `TOO_LARGE`; `CONFLICT` when the idempotency key was used for
/// another body; `RATE_LIMITED` when too many reports wait already; `FORBIDDEN`; or when the database fails.
pub async fn accept<B, E>(db: &Db, ctx: &Ctx, limits: Limits, upload: Upload, body: B) -> Result<ReportId>
where
    B: Stream<Item = Result<Bytes, E>>,
    E: std::error::Error + Send + Sync + 'static,
{
    ctx.require(Permission::ReportImport)?;
    let upload = check(upload)?;
    if let Some(key) = &upload.idempotency_key {
        let mut tx = db.begin(ctx, Permission::ReportImport).await?;
        if let Some((id, digest)) = repo::by_idempotency_key(&mut tx, key).await? {
            drop(tx);
            return repeated(limits, id, &digest, body).await;
        }
    }
    let mut receipt =
        Receipt { db, ctx, upload: &upload, limits, id: ReportId(ctx.new_id()), begun: false, written: 0 };
    let result = receipt.receive(body).await;
    if result.is_err() && receipt.begun {
        let mut tx = db.begin(ctx, Permission::ReportImport).await?;
        repo::delete(&mut tx, receipt.id).await?;
        tx.commit().await?;
    }
    result
}

fn check(mut upload: Upload) -> Result<Upload> {
    if upload.format != "auto" && stance_importers::by_format(&upload.format).is_none() {
        let known: Vec<&str> = stance_importers::registry().iter().map(|importer| importer.format()).collect();
        return Err(Error::field("format", format!("must be auto or one of {}", known.join(", "))));
    }
    for (field, value, max) in [
        ("asset", &mut upload.asset, 530),
        ("filename", &mut upload.filename, 300),
        ("Idempotency-Key", &mut upload.idempotency_key, 200),
    ] {
        if let Some(given) = value.take() {
            *value = Some(text::line(field, &given, max)?);
        }
    }
    Ok(upload)
}

/// The same key again: the same report, if it is the same body.
async fn repeated<B, E>(limits: Limits, id: ReportId, digest: &[u8], body: B) -> Result<ReportId>
where
    B: Stream<Item = Result<Bytes, E>>,
    E: std::error::Error + Send + Sync + 'static,
{
    if digest.is_empty() {
        return Err(Error::conflict("A request with this Idempotency-Key is being handled just now."));
    }
    let (mut body, mut hash, mut bytes) = (std::pin::pin!(body), Sha256::new(), 0);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(broken_off)?;
        bytes += chunk.len() as u64;
        limits.admit(bytes)?;
        hash.update(&chunk);
    }
    if hash.finalize().as_slice() == digest {
        Ok(id)
    } else {
        Err(Error::conflict("This Idempotency-Key was used for another body."))
    }
}

fn broken_off(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Kind::BadInput, "The body broke off before its end; nothing was stored.").caused_by(error)
}

/// An upload on its way.
struct Receipt<'a> {
    db: &'a Db,
    ctx: &'a Ctx,
    upload: &'a Upload,
    limits: Limits,
    id: ReportId,
    begun: bool,
    written: i32,
}

impl Receipt<'_> {
    async fn receive<B, E>(&mut self, body: B) -> Result<ReportId>
    where
        B: Stream<Item = Result<Bytes, E>>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let mut body = std::pin::pin!(body);
        let (mut hash, mut bytes, mut pieces, mut piece) = (Sha256::new(), 0, Vec::new(), Vec::new());
        while let Some(chunk) = body.next().await {
            let mut chunk = chunk.map_err(broken_off)?;
            bytes += chunk.len() as u64;
            self.limits.admit(bytes)?;
            hash.update(&chunk);
            while !chunk.is_empty() {
                let part = chunk.split_to(chunk.len().min(PIECE - piece.len()));
                piece.extend_from_slice(&part);
                if piece.len() == PIECE {
                    pieces.push(std::mem::take(&mut piece));
                    if pieces.len() == BATCH {
                        let tx = self.write(std::mem::take(&mut pieces)).await?;
                        tx.commit().await?;
                        self.begun = true;
                    }
                }
            }
        }
        if bytes == 0 {
            return Err(Error::new(Kind::BadInput, "The body is empty; send the report's bytes."));
        }
        pieces.extend((!piece.is_empty()).then_some(piece));
        let digest = hash.finalize();
        let mut tx = self.write(pieces).await?;
        repo::uploaded(&mut tx, self.id, i64::try_from(bytes).unwrap_or(i64::MAX), &digest).await?;
        Queue::enqueue(&mut tx, Job::ImportReport { report: self.id }).await?;
        let detail =
            serde_json::json!({ "bytes": bytes, "sha256": hex::encode(digest), "filename": self.upload.filename });
        let target_id = self.id.to_string();
        audit::record(&mut tx, audit::Entry { action: "report.uploaded", target_kind: "report", target_id, detail })
            .await?;
        live::notify(&mut tx, Topic::Report, self.id.0).await?;
        tx.commit().await?;
        Ok(self.id)
    }

    async fn write(&mut self, pieces: Vec<Vec<u8>>) -> Result<TenantTx> {
        let mut tx = self.db.begin(self.ctx, Permission::ReportImport).await?;
        if !self.begun {
            if repo::unfinished(&mut tx).await? >= self.limits.unfinished {
                return Err(Error::rate_limited(Duration::from_secs(30)));
            }
            repo::insert(&mut tx, self.id, self.upload).await?;
        }
        repo::insert_pieces(&mut tx, self.id, self.written, &pieces).await?;
        self.written += i32::try_from(pieces.len()).unwrap_or(i32::MAX);
        Ok(tx)
    }
}

/// # Errors
/// `NOT_FOUND`; `FORBIDDEN`; or when the database fails.
pub async fn get(db: &Db, ctx: &Ctx, id: ReportId) -> Result<Report> {
    by_ids(db, ctx, &[id]).await?.pop().ok_or_else(|| Error::not_found("report"))
}

/// Reports by id, newest first; ids of other organizations are not found.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn by_ids(db: &Db, ctx: &Ctx, ids: &[ReportId]) -> Result<Vec<Report>> {
    repo::by_ids(&mut db.begin(ctx, Permission::ReportRead).await?, ids).await
}

fn words(status: &[ReportStatus]) -> Vec<String> {
    status.iter().map(|status| status.as_str().to_owned()).collect()
}

/// One page of reports, newest first; the cursor is the last one's id.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn list(db: &Db, ctx: &Ctx, status: &[ReportStatus], page: &Page<Uuid>) -> Result<Slice<Report>> {
    let mut tx = db.begin(ctx, Permission::ReportRead).await?;
    let ids = page.slice(repo::page(&mut tx, &words(status), page.after, page.limit()).await?);
    Ok(Slice { items: repo::by_ids(&mut tx, &ids.items).await?, has_next: ids.has_next })
}

/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn count(db: &Db, ctx: &Ctx, status: &[ReportStatus]) -> Result<i64> {
    repo::count(&mut db.begin(ctx, Permission::ReportRead).await?, &words(status)).await
}

/// The assets that each report was about, at most 100 of each.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn assets(db: &Db, ctx: &Ctx, reports: &[ReportId]) -> Result<HashMap<ReportId, Vec<AssetId>>> {
    let mut tx = db.begin(ctx, Permission::ReportRead).await?;
    let mut assets: HashMap<_, Vec<_>> = HashMap::new();
    for (report, asset) in repo::assets(&mut tx, reports, 100).await? {
        assets.entry(report).or_default().push(AssetId(asset));
    }
    Ok(assets)
}

/// The report when it is finished, or as it is after `limit`. `events` must have been subscribed to before the upload.
///
/// # Errors
/// `NOT_FOUND`; `FORBIDDEN`; or when the database fails.
pub async fn wait(
    db: &Db,
    ctx: &Ctx,
    id: ReportId,
    events: impl Stream<Item = Event>,
    limit: Duration,
) -> Result<Report> {
    let mut events = std::pin::pin!(events);
    let finished = async {
        loop {
            let report = get(db, ctx, id).await?;
            if matches!(report.status, ReportStatus::Done | ReportStatus::Failed) {
                return Ok(report);
            }
            let about = |event: &Event| event.topic == Topic::Report && event.id.is_none_or(|of| of == id.0);
            while events.next().await.is_some_and(|event| !about(&event)) {}
        }
    };
    match tokio::time::timeout(limit, finished).await {
        Ok(report) => report,
        Err(_) => get(db, ctx, id).await,
    }
}

/// Makes a failed report wait again (its dead letter is driven again).
///
/// # Errors
/// When the database fails.
pub async fn reopen(tx: &mut TenantTx, id: ReportId) -> Result<()> {
    repo::reopen(tx, id).await?;
    live::notify(tx, Topic::Report, id.0).await
}
