//! The job that imports a report. Runs until done or not at all, see the module's invariants.

use super::{
    domain::ReportError,
    merge::{self, Merged},
    repo,
    source::{Failure, Pieces},
    stage::{self, Staged, Stager},
};
use crate::{
    audit, inventory,
    jobs::{Job, Outcome, Queue},
    kernel::{Ctx, Db, Error, Permission, Result, TenantTx},
    live::{self, Topic},
    notify::{self, Notice},
    scoring,
};
use stance_importers::{
    AssetRef, GapRecord, Hints, ImportError, Importer, RunInfo, SNIFF_BYTES, Source, container::Contained,
};
use stance_shared::{FindingId, ReportId, ReportStatus, Severity, TypedId as _};
use std::{
    io::Read as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{runtime::Handle, sync::mpsc, task::spawn_blocking};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often progress is written.
const PROGRESS: Duration = Duration::from_millis(500);
/// Buffers between the parser and the connection.
const BUFFERS: usize = 4;

/// Imports a report, when it is its turn.
///
/// # Errors
/// When the database fails: the job is tried again. A report that is broken is no error here, it is `FAILED`.
pub async fn import(db: &Db, ctx: &Ctx, id: ReportId) -> Result<Outcome> {
    let mut tx = db.begin(ctx, Permission::ReportImport).await?;
    // Whoever has the turn, or imports an older report, starts this one when it is done.
    if !repo::take_turn(&mut tx).await? || repo::next(&mut tx).await? != Some(id) {
        // Ends it now: one that is only dropped holds the turn until its connection is used again, and whose turn it is would
        // go away without it.
        tx.commit().await?;
        return Ok(Outcome::Done);
    }
    let import = Import { db, ctx, id, read: Arc::default(), failure: Failure::default() };
    match import.run(tx).await? {
        Ok(()) => {}
        Err(broken) => {
            // A report that could not be read is as good as it ever was.
            if let Some(failure) = import.failure.take() {
                return Err(failure);
            }
            let mut tx = db.begin(ctx, Permission::ReportImport).await?;
            fail(&mut tx, id, &ReportError::from(&broken)).await?;
            // Reading it again would not mend it.
            repo::delete_body(&mut tx, id).await?;
            tx.commit().await?;
        }
    }
    // After the commit: a report that came too late for this look saw this one finished and went on by itself.
    let mut tx = db.begin(ctx, Permission::ReportImport).await?;
    start_next(&mut tx).await?;
    tx.commit().await?;
    Ok(Outcome::Done)
}

/// Nobody will try again: the report has failed, and the next one has its turn.
///
/// # Errors
/// When the database fails.
pub async fn gave_up(tx: &mut TenantTx, id: ReportId, error: &str) -> Result<()> {
    fail(tx, id, &ReportError::new("INTERNAL", error, None)).await?;
    start_next(tx).await
}

async fn start_next(tx: &mut TenantTx) -> Result<()> {
    match repo::next(tx).await? {
        Some(report) => Queue::enqueue(tx, Job::ImportReport { report }).await,
        None => Ok(()),
    }
}

async fn fail(tx: &mut TenantTx, id: ReportId, error: &ReportError) -> Result<()> {
    repo::fail(tx, id, error).await?;
    let detail = serde_json::json!({ "code": error.code });
    let target_id = id.to_string();
    audit::record(tx, audit::Entry { action: "report.failed", target_kind: "report", target_id, detail }).await?;
    live::notify(tx, Topic::Report, id.0).await
}

struct Import<'a> {
    db: &'a Db,
    ctx: &'a Ctx,
    id: ReportId,
    read: Arc<AtomicU64>,
    failure: Failure,
}

/// One notice for all critical findings that a report brings.
async fn tell_critical(
    tx: &mut TenantTx,
    report: ReportId,
    tool: &str,
    critical: &[(Uuid, String, i64)],
) -> Result<()> {
    let Some((first, title, count)) = critical.first() else { return Ok(()) };
    let (title, link, subject) = if *count == 1 {
        (title.clone(), format!("/findings/{}:{first}", FindingId::NOUN), *first)
    } else {
        let link = format!("/findings?severity=CRITICAL&report={}:{report}", ReportId::NOUN);
        (format!("{count} new critical findings of {tool}"), link, report.0)
    };
    let mut text: String = critical.iter().map(|(_, title, _)| format!("- {title}\n")).collect();
    let shown = i64::try_from(critical.len()).unwrap_or(i64::MAX);
    if *count > shown {
        text.push_str(&format!("- and {} more\n", count - shown));
    }
    let notice = Notice {
        topic: notify::Topic::FindingCritical,
        severity: Severity::Critical,
        title: &title,
        text: if *count == 1 { "" } else { &text },
        link: &link,
        permission: Permission::FindingRead,
        subject,
        key: &format!("finding.critical:{report}"),
    };
    notify::emit(tx, notice).await
}

/// What the parser gives at the end.
struct Parsed {
    info: RunInfo,
    staged: Staged,
}

impl Import<'_> {
    /// Everything in the one transaction. The inner error is the report's fault.
    async fn run(&self, mut tx: TenantTx) -> Result<Result<(), ImportError>> {
        match self.read(&mut tx).await? {
            Ok((importer, parsed)) => {
                self.progress(ReportStatus::Merging, importer.format()).await?;
                self.finish(tx, importer, parsed).await.map(Ok)
            }
            Err(broken) => {
                // Now: dropped, it would hold the turn until its connection is used again, and the next report would find it taken.
                tx.rollback().await?;
                Ok(Err(broken))
            }
        }
    }

    /// Finds out the format and stages the report.
    async fn read(&self, tx: &mut TenantTx) -> Result<Result<(&'static dyn Importer, Parsed), ImportError>> {
        let task = repo::task(tx, self.id).await?;
        self.progress(ReportStatus::Staging, "").await?;
        // Ends the parser's thread when this future is dropped.
        let cancelled = CancellationToken::new();
        let _guard = cancelled.clone().drop_guard();
        let pieces = Pieces {
            db: self.db.clone(),
            ctx: self.ctx.clone(),
            report: self.id,
            bytes: u64::try_from(task.bytes).unwrap_or_default(),
            runtime: Handle::current(),
            read: self.read.clone(),
            cancelled,
            failure: self.failure.clone(),
        };
        let requested = task.requested_format;
        let detected = spawn_blocking(move || detect(pieces, &requested));
        let (report, importer) = match detected.await.map_err(Error::internal)? {
            Ok(detected) => detected,
            Err(broken) => return Ok(Err(broken)),
        };
        let mut hints = Hints { asset: asset(tx, task.asset_hint, importer).await?, filename: task.filename };
        let report = Arc::new(report);
        let mut staged = self.stage(tx, importer, &hints, &report).await?;
        if let (Err(ImportError::NeedsAsset(_)), Some(key)) = (&staged, hints.key_from_filename()) {
            let reason = format!(
                "The report names no asset; “{key}” is from the file's name. Name the asset with the upload to file it elsewhere."
            );
            let known = repo::asset_by_key(tx, &key).await?;
            hints.asset = known.or_else(|| Some(AssetRef { kind: importer.asset_kind(), key: key.clone() }));
            staged = self.stage(tx, importer, &hints, &report).await?;
            if let Ok(Parsed { staged, .. }) = &mut staged {
                staged.gaps.insert(0, GapRecord { class: "asset-from-filename".to_owned(), subject: key, reason });
                staged.gap_count += 1;
            }
        }
        Ok(staged.map(|parsed| (importer, parsed)))
    }

    /// Parses on a thread of its own while its rows are copied into `stage`.
    async fn stage(
        &self,
        tx: &mut TenantTx,
        importer: &'static dyn Importer,
        hints: &Hints,
        report: &Arc<Contained<Pieces>>,
    ) -> Result<Result<Parsed, ImportError>> {
        sqlx::raw_sql("savepoint staging").execute(tx.conn()).await?;
        // The sorts and joins of a large merge fit into memory.
        sqlx::raw_sql("set local work_mem = '64MB'").execute(tx.conn()).await?;
        sqlx::query(stage::CREATE).execute(tx.conn()).await?;
        let (sender, mut buffers) = mpsc::channel(BUFFERS);
        let clock = self.ctx.clock.clone();
        let (hints, report) = (hints.clone(), report.clone());
        let parser = spawn_blocking(move || parse(importer, &hints, &*report, Stager::new(sender, clock)));
        let mut copy = tx.conn().copy_in_raw(stage::COPY).await?;
        let mut ticks = tokio::time::interval(PROGRESS);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = ticks.tick() => self.progress(ReportStatus::Staging, importer.format()).await?,
                buffer = buffers.recv() => match buffer {
                    Some(buffer) => { copy.send(buffer).await?; }
                    None => break,
                },
            }
        }
        match parser.await.map_err(Error::internal)? {
            Ok(parsed) => {
                copy.finish().await?;
                // Of what rows are joined and chosen by; of long texts statistics cost more than the whole merge's plans.
                sqlx::raw_sql("analyze stage (id, asset_no, fp, origin)").execute(tx.conn()).await?;
                Ok(Ok(parsed))
            }
            Err(broken) => {
                copy.abort("the report is broken").await?;
                sqlx::raw_sql("rollback to savepoint staging").execute(tx.conn()).await?;
                Ok(Err(broken))
            }
        }
    }

    async fn finish(&self, mut tx: TenantTx, importer: &dyn Importer, parsed: Parsed) -> Result<()> {
        let Parsed { info, mut staged } = parsed;
        let named: String = stage::clean(info.tool.trim()).chars().take(200).collect();
        let tool = if named.is_empty() { importer.format() } else { &named };
        let version: String = stage::clean(&info.tool_version).chars().take(200).collect();
        if staged.findings == 0 && staged.gap_count == 0 {
            let reason = "The report is valid and holds no findings.".to_owned();
            staged.gaps.push(GapRecord { class: "empty-report".to_owned(), subject: String::new(), reason });
            staged.gap_count = 1;
        }
        let Merged { counts, assets, changed, critical } = merge::merge(&mut tx, self.id, tool, &info, &staged).await?;
        repo::done(&mut tx, self.id, (tool, &version), counts, &staged.gaps, staged.gap_count).await?;
        repo::delete_body(&mut tx, self.id).await?;
        scoring::mark_dirty(&mut tx, &assets).await?;
        let detail = serde_json::json!({ "tool": tool, "format": importer.format(), "counts": counts });
        let target_id = self.id.to_string();
        audit::record(&mut tx, audit::Entry { action: "report.imported", target_kind: "report", target_id, detail })
            .await?;
        live::notify(&mut tx, Topic::Report, self.id.0).await?;
        tell_critical(&mut tx, self.id, tool, &critical).await?;
        for finding in changed {
            live::notify(&mut tx, Topic::Finding, finding).await?;
        }
        Queue::enqueue_once(&mut tx, Job::Correlate).await?;
        tx.commit().await?;
        let format = importer.format();
        metrics::counter!("stance_import_findings_total", "format" => format)
            .increment(u64::try_from(staged.findings).unwrap_or_default());
        let bytes = self.read.load(Ordering::Relaxed);
        metrics::counter!("stance_import_bytes_total", "format" => format).increment(bytes);
        Ok(())
    }

    /// Says where the import is, in a transaction of its own.
    async fn progress(&self, status: ReportStatus, format: &str) -> Result<()> {
        let read = i64::try_from(self.read.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        let mut tx = self.db.begin(self.ctx, Permission::ReportImport).await?;
        repo::progress(&mut tx, self.id, status, format, read).await?;
        live::notify(&mut tx, Topic::Report, self.id.0).await?;
        tx.commit().await
    }
}

/// The report in what was sent, and its importer.
fn detect(pieces: Pieces, requested: &str) -> Result<(Contained<Pieces>, &'static dyn Importer), ImportError> {
    let report = Contained::new(pieces)?;
    let mut head = Vec::new();
    report.open()?.take(SNIFF_BYTES as u64).read_to_end(&mut head)?;
    let importer = stance_importers::detect(&head, Some(requested))?;
    Ok((report, importer))
}

fn parse(
    importer: &dyn Importer,
    hints: &Hints,
    report: &dyn Source,
    mut stager: Stager,
) -> Result<Parsed, ImportError> {
    let info = importer.read(report, hints, &mut stager)?;
    for asset in &info.assessed {
        stager.asset(asset)?;
    }
    let staged = stager.finish()?;
    Ok(Parsed { info, staged })
}

/// The asset that the uploader named: `KIND:key`, or a key that the inventory knows, or a new one of the tool's usual kind.
async fn asset(tx: &mut TenantTx, hint: Option<String>, importer: &dyn Importer) -> Result<Option<AssetRef>> {
    let Some(hint) = hint else { return Ok(None) };
    if let Some(known) = repo::asset_by_key(tx, &hint).await? {
        return Ok(Some(known));
    }
    inventory::parse_ref("asset", &hint, importer.asset_kind()).map(Some)
}
