//! From the request's path to the database, in batches.

use super::{
    domain::Seen,
    partitions,
    store::{self, Written},
};
use crate::kernel::{Clock, Ctx, Db, Error, Result, tasks::Tasks};
use stance_importers::AssetRecord;
use stance_shared::TenantId;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Events that wait to be written; a full queue refuses requests.
const QUEUE: usize = 50_000;
/// Events of one transaction.
const BATCH: usize = 4_000;
/// How long the first event of a batch waits for others. What is in the queue or being written when the process is killed is lost:
/// the events of this long and of one transaction.
pub const LINGER: Duration = Duration::from_millis(100);
/// Between attempts when the database does not answer.
const RETRY: Duration = Duration::from_millis(500);

/// Takes events, and writes them as soon as it can. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: mpsc::Sender<(TenantId, Seen)>,
    waiting: Arc<AtomicI64>,
    known: Arc<partitions::Known>,
    finish: CancellationToken,
}

impl Recorder {
    /// Starts the writer, which ends after [`Self::finish`] once everything is written.
    #[must_use]
    pub fn start(db: &Db, clock: &Clock, tasks: &Tasks) -> Self {
        let (queue, events) = mpsc::channel(QUEUE);
        let recorder = Self { queue, waiting: Arc::default(), known: Arc::default(), finish: CancellationToken::new() };
        let writer = Writer {
            db: db.clone(),
            clock: clock.clone(),
            waiting: recorder.waiting.clone(),
            known: recorder.known.clone(),
            finish: recorder.finish.clone(),
        };
        tasks.spawn(writer.run(events));
        recorder
    }

    /// Takes events, all or none.
    ///
    /// # Errors
    /// `RATE_LIMITED` when the queue is full; the caller's request is then refused, so that nothing passes unrecorded.
    pub fn record_all(&self, tenant: TenantId, events: Vec<Seen>) -> Result<()> {
        let count = events.len();
        let places = self.queue.try_reserve_many(count).map_err(|_| Error::rate_limited(Duration::from_secs(1)))?;
        for (place, event) in places.zip(events) {
            place.send((tenant, event));
        }
        let count = i64::try_from(count).unwrap_or_default();
        tell_waiting(self.waiting.fetch_add(count, Ordering::Relaxed) + count);
        Ok(())
    }

    /// Writes at once, in the caller's name.
    ///
    /// # Errors
    /// When the database fails; then nothing was written.
    pub async fn write(&self, db: &Db, ctx: &Ctx, seen: &[Seen], described: &[AssetRecord]) -> Result<Written> {
        store::write(db, &writing(ctx), &self.known, seen, described).await
    }

    /// Takes no more events, and lets the writer end with those that are there.
    pub fn finish(&self) {
        self.finish.cancel();
    }
}

/// Whoever may tell of events thereby makes known what they name: the inventory learns in Stance's own name.
fn writing(ctx: &Ctx) -> Ctx {
    Ctx { request_id: ctx.request_id.clone(), ..Ctx::system(ctx.tenant, store::SOURCE, ctx.clock.clone()) }
}

fn tell_waiting(count: i64) {
    ::metrics::gauge!("stance_events_waiting").set(i32::try_from(count).unwrap_or(i32::MAX));
}

struct Writer {
    db: Db,
    clock: Clock,
    waiting: Arc<AtomicI64>,
    known: Arc<partitions::Known>,
    finish: CancellationToken,
}

impl Writer {
    async fn run(self, mut events: mpsc::Receiver<(TenantId, Seen)>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let taken = tokio::select! {
                biased;
                taken = events.recv_many(&mut batch, BATCH) => taken,
                () = self.finish.cancelled() => {
                    events.close();
                    events.recv_many(&mut batch, BATCH).await
                }
            };
            if taken == 0 {
                return;
            }
            // Others that come right behind share the transaction.
            if batch.len() < BATCH {
                let _ = tokio::time::timeout(LINGER, self.finish.cancelled()).await;
                while batch.len() < BATCH {
                    let Ok(event) = events.try_recv() else { break };
                    batch.push(event);
                }
            }
            self.write(&mut batch).await;
        }
    }

    /// Writes the batch, however often it takes.
    async fn write(&self, batch: &mut Vec<(TenantId, Seen)>) {
        let mut by_tenant: HashMap<TenantId, Vec<Seen>> = HashMap::new();
        for (tenant, event) in batch.drain(..) {
            by_tenant.entry(tenant).or_default().push(event);
        }
        for (tenant, seen) in by_tenant {
            let ctx = Ctx::system(tenant, store::SOURCE, self.clock.clone());
            loop {
                match store::write(&self.db, &ctx, &self.known, &seen, &[]).await {
                    Ok(_) => break,
                    Err(error) => {
                        tracing::error!(
                            cause = error.internal_text(),
                            events = seen.len(),
                            "events could not be written"
                        );
                        tokio::time::sleep(RETRY).await;
                    }
                }
            }
            let written = i64::try_from(seen.len()).unwrap_or_default();
            tell_waiting(self.waiting.fetch_sub(written, Ordering::Relaxed) - written);
        }
    }
}
