//! Putting jobs into the queue.

use super::{Envelope, Job};
use crate::kernel::{Clock, Ctx, Db, Error, Permission, Result, TenantTx};
use apalis::prelude::{MetadataStore, TaskBuilder};
use sqlx::PgConnection;
use std::{collections::HashMap, time::Duration};

/// The queue, as the slices see it.
pub struct Queue;

impl Queue {
    /// Enqueues a job in the caller's transaction: it exists when, and only when, the transaction commits.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn enqueue(tx: &mut TenantTx, job: Job) -> Result<()> {
        Self::enqueue_after(tx, job, Duration::ZERO).await
    }

    /// [`Self::enqueue`] of a job that may run after `delay`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn enqueue_after(tx: &mut TenantTx, job: Job, delay: Duration) -> Result<()> {
        let ctx = tx.ctx();
        let envelope = Envelope {
            tenant: ctx.tenant,
            actor: ctx.actor.clone(),
            request_id: ctx.request_id.clone(),
            attempt: 0,
            job,
        };
        push(tx.conn(), &envelope, delay).await
    }

    /// [`enqueue`](Self::enqueue), unless one of its kind waits already for the organization. The handler calls [`begun`] before it looks
    /// for work. Called last in a transaction, since writers of one organization wait here for each other's commit.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn enqueue_once(tx: &mut TenantTx, job: Job) -> Result<()> {
        let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
        // Also where it waits already the row is locked: the job begins when this transaction has ended, and sees what it wrote.
        let first = sqlx::query_scalar!(
            r#"insert into job_due as d (tenant_id, job, since) values ($1, $2, $3)
               on conflict (tenant_id, job) do update set since = d.since returning d.xmax = 0 as "first!""#,
            tenant,
            job.name(),
            now
        )
        .fetch_one(tx.conn())
        .await?;
        if first { Self::enqueue(tx, job).await } else { Ok(()) }
    }
}

/// Notes that a job begins: what makes it necessary from now on enqueues it anew.
///
/// # Errors
/// When the database fails.
pub async fn begun(db: &Db, ctx: &Ctx, job: &Job) -> Result<()> {
    let mut tx = db.begin(ctx, Permission::IncidentWrite).await?;
    sqlx::query!("delete from job_due where job = $1", job.name()).execute(tx.conn()).await?;
    tx.commit().await
}

/// Pushes an envelope that may run after `delay`.
///
/// No idempotency key: a repeated one fails the caller's transaction, and is refused for ever. `max_attempts` is 1
/// because retries are ours. The metadata lets the sweep see which work already has a job.
pub(super) async fn push(conn: &mut PgConnection, envelope: &Envelope, delay: Duration) -> Result<()> {
    let payload = serde_json::to_vec(envelope).map_err(Error::internal)?;
    let mut metadata = HashMap::from([
        ("job".to_owned(), envelope.job.name().to_owned()),
        ("tenant".to_owned(), envelope.tenant.to_string()),
    ]);
    metadata.extend(envelope.job.subject().map(|id| ("subject".to_owned(), id.to_string())));
    let task = TaskBuilder::new(payload).max_attempts(1).with_metadata(MetadataStore::from_map(metadata));
    let task = if delay.is_zero() {
        task
    } else {
        // The store keeps whole seconds, by the machine's clock; rounded up, so that a job never runs early.
        let at = (Clock::System.now() + delay).timestamp() + 1;
        task.run_at_timestamp(u64::try_from(at).unwrap_or_default())
    };
    apalis_postgres::queries::push_tasks(conn, envelope.job.queue(), vec![task.build()]).await.map_err(Error::internal)
}
