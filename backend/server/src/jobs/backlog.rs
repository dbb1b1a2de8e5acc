//! How far the queue is behind, for operators.

use crate::kernel::{Db, Result, db::SystemReason};
use std::time::Duration;

/// The queues of [`Job::queue`](super::Job::queue).
pub const QUEUES: [&str; 3] = ["imports", "outbound", "short"];

/// A queue's state at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Backlog {
    pub queue: String,
    /// Jobs that could run now.
    pub waiting: i64,
    /// Jobs that a worker holds.
    pub running: i64,
    /// How long the oldest of those waiting has been due.
    pub lag: Duration,
}

/// The queues that have anything to do.
///
/// # Errors
/// When the database fails.
pub async fn backlog(db: &Db) -> Result<Vec<Backlog>> {
    let mut tx = db.begin_system(SystemReason::Operations).await?;
    // The queue's tables are laid down by apalis, so the statement is checked at run time.
    let rows: Vec<(String, i64, i64, f64)> = sqlx::query_as(
        "select job_type,
                count(*) filter (where status = 'Pending' and run_at <= now()),
                count(*) filter (where status in ('Queued', 'Running')),
                coalesce(extract(epoch from now() - min(run_at) filter (where status = 'Pending')), 0)::float8
         from apalis.jobs where status in ('Pending', 'Queued', 'Running') group by job_type order by job_type",
    )
    .fetch_all(tx.conn())
    .await?;
    let backlog = |(queue, waiting, running, lag): (String, i64, i64, f64)| Backlog {
        queue,
        waiting,
        running,
        lag: Duration::try_from_secs_f64(lag).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(backlog).collect())
}
