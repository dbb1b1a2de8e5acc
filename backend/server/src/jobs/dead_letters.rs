//! Jobs that failed for good, and driving them again.

use super::{Envelope, Job, queue};
use crate::{
    audit, imports,
    kernel::{Ctx, Db, Error, Permission, Result, TenantTx},
};
use chrono::{DateTime, Utc};
use stance_shared::DeadLetterId;
use std::time::Duration;

/// A job that failed for good.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    pub id: DeadLetterId,
    /// [`Job::name`].
    pub job: String,
    /// The envelope.
    pub payload: serde_json::Value,
    /// What the caller may know; the log has the rest under the request id that it names.
    pub error: String,
    pub attempts: i32,
    pub created_at: DateTime<Utc>,
    pub redriven_at: Option<DateTime<Utc>>,
}

/// The newest dead letters, at most 200.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn list(db: &Db, ctx: &Ctx) -> Result<Vec<DeadLetter>> {
    let mut tx = db.begin(ctx, Permission::JobRead).await?;
    Ok(sqlx::query_as!(
        DeadLetter,
        "select id, job, payload, error, attempts, created_at, redriven_at from dead_letter
         where tenant_id = $1 order by id desc limit 200",
        ctx.tenant.0
    )
    .fetch_all(tx.conn())
    .await?)
}

pub(super) async fn insert(tx: &mut TenantTx, envelope: &Envelope, error: &str) -> Result<()> {
    let (id, now) = (tx.ctx().new_id(), tx.ctx().now());
    let payload = serde_json::to_value(envelope).map_err(Error::internal)?;
    sqlx::query!(
        "insert into dead_letter (tenant_id, id, job, payload, error, attempts, created_at) values ($1, $2, $3, $4, $5, $6, $7)",
        envelope.tenant.0,
        id,
        envelope.job.name(),
        payload,
        error,
        i32::try_from(envelope.attempt).unwrap_or(i32::MAX),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Runs a dead letter's job again, with all its attempts anew. Returns false when it was driven again before.
///
/// # Errors
/// `NOT_FOUND`, `FORBIDDEN`, or when the database fails.
pub async fn redrive(db: &Db, ctx: &Ctx, id: DeadLetterId) -> Result<bool> {
    let mut tx = db.begin(ctx, Permission::JobRedrive).await?;
    let letter = sqlx::query!(
        "select payload, redriven_at from dead_letter where tenant_id = $1 and id = $2 for update",
        ctx.tenant.0,
        id.0
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or_else(|| Error::not_found("dead letter"))?;
    if letter.redriven_at.is_some() {
        return Ok(false);
    }
    let mut envelope: Envelope = serde_json::from_value(letter.payload).map_err(Error::internal)?;
    envelope.attempt = 0;
    envelope.request_id.clone_from(&ctx.request_id);
    if let Job::ImportReport { report } = envelope.job {
        imports::reopen(&mut tx, report).await?;
    }
    queue::push(tx.conn(), &envelope, Duration::ZERO).await?;
    sqlx::query!(
        "update dead_letter set redriven_at = $3 where tenant_id = $1 and id = $2",
        ctx.tenant.0,
        id.0,
        ctx.now()
    )
    .execute(tx.conn())
    .await?;
    audit::record(
        &mut tx,
        audit::Entry {
            action: "job.redriven",
            target_kind: "dead_letter",
            target_id: id.to_string(),
            detail: serde_json::json!({ "job": envelope.job.name() }),
        },
    )
    .await?;
    tx.commit().await?;
    Ok(true)
}
