//! Live events: `NOTIFY` in the writer's transaction, one `LISTEN` connection per process, a broadcast to whoever watches.
//!
//! An event says only *that* something changed. Readers fetch it anew through the API, with their own permissions, so
//! an event can neither leak content nor be out of date.

use crate::kernel::{Clock, Db, Error, Permission, Result, TenantTx, tasks::Tasks};
use futures::{Stream, StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgListener;
use stance_shared::TenantId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::broadcast;
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};
use uuid::Uuid;

const CHANNEL: &str = "stance_live";
/// Events that a slow reader may fall behind before it is told to look at everything again.
const BACKLOG: usize = 1024;

/// What kind of thing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// A report's status or progress.
    Report,
    /// A finding's content or decision.
    Finding,
    /// Risk figures of an asset or of the organization.
    Risk,
    /// An asset or its relations.
    Asset,
    /// Events of agents' runs came in, or somebody labelled one.
    Event,
    /// A policy or how events are kept.
    Policy,
    /// A sensor.
    Sensor,
    /// An incident: its content, its timeline or its clocks.
    Incident,
    /// A containment, or how far an enforcement point has come with it.
    Containment,
    /// A playbook or one of its runs.
    Playbook,
}

impl Topic {
    pub const ALL: [Self; 10] = [
        Self::Report,
        Self::Finding,
        Self::Risk,
        Self::Asset,
        Self::Event,
        Self::Policy,
        Self::Sensor,
        Self::Incident,
        Self::Containment,
        Self::Playbook,
    ];

    /// The topic's name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Finding => "finding",
            Self::Risk => "risk",
            Self::Asset => "asset",
            Self::Event => "event",
            Self::Policy => "policy",
            Self::Sensor => "sensor",
            Self::Incident => "incident",
            Self::Containment => "containment",
            Self::Playbook => "playbook",
        }
    }

    /// Who may watch the topic.
    #[must_use]
    pub const fn permission(self) -> Permission {
        match self {
            Self::Report => Permission::ReportRead,
            Self::Finding => Permission::FindingRead,
            Self::Risk => Permission::PostureRead,
            Self::Asset => Permission::AssetRead,
            Self::Event => Permission::EventRead,
            Self::Policy => Permission::PolicyRead,
            Self::Sensor => Permission::SensorRead,
            Self::Incident | Self::Containment => Permission::IncidentRead,
            Self::Playbook => Permission::PlaybookRead,
        }
    }
}

/// Something changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub topic: Topic,
    /// What changed; `None`: events were missed, anything of the topic may have changed.
    pub id: Option<Uuid>,
    /// From where a reader that saw this event goes on.
    pub at: Position,
}

#[derive(Serialize, Deserialize)]
struct Message {
    tenant: Uuid,
    topic: Topic,
    id: Uuid,
}

/// Tells all processes that something changed, once the caller's transaction commits. PostgreSQL folds equal messages
/// of one transaction into one.
///
/// # Errors
/// When the database fails.
pub async fn notify(tx: &mut TenantTx, topic: Topic, id: Uuid) -> Result<()> {
    notify_all(tx, topic, &[id]).await
}

/// [`notify`] of many things at once.
///
/// # Errors
/// When the database fails.
pub async fn notify_all(tx: &mut TenantTx, topic: Topic, ids: &[Uuid]) -> Result<()> {
    let tenant = tx.ctx().tenant.0;
    let message = |id: &Uuid| serde_json::to_string(&Message { tenant, topic, id: *id }).map_err(Error::internal);
    let messages: Vec<String> = ids.iter().map(message).collect::<Result<_>>()?;
    sqlx::query!("select pg_notify($1, message) from unnest($2::text[]) message", CHANNEL, &messages)
        .execute(tx.conn())
        .await?;
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Signal {
    Changed {
        tenant: TenantId,
        event: Event,
    },
    /// The connection was lost until then.
    Missed(Position),
}

/// How far the hub has come, as `HUB-COUNT`; another process or another start counts anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    hub: Uuid,
    count: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.hub.simple(), self.count)
    }
}

impl std::str::FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let (hub, count) = text.split_once('-').ok_or(())?;
        Ok(Self { hub: hub.parse().map_err(|_| ())?, count: count.parse().map_err(|_| ())? })
    }
}

/// What was signalled when, so that a reader who comes back learns whether something happened meanwhile.
#[derive(Debug)]
struct Log {
    now: Position,
    /// The count at the last change of a tenant's topic: at most a number for each topic.
    changed: HashMap<(TenantId, Topic), u64>,
    /// The count when the connection was last lost.
    missed: u64,
}

/// The process's end of the channel.
#[derive(Clone, Debug)]
pub struct Hub {
    sender: broadcast::Sender<Signal>,
    log: Arc<Mutex<Log>>,
}

impl Hub {
    /// Starts listening; reconnects for as long as the process runs.
    #[must_use]
    pub fn start(db: &Db, tasks: &Tasks) -> Self {
        let (sender, _) = broadcast::channel(BACKLOG);
        let now = Position { hub: Clock::System.new_id(), count: 0 };
        let hub = Self { sender, log: Arc::new(Mutex::new(Log { now, changed: HashMap::new(), missed: 0 })) };
        let (db, stop, listener) = (db.clone(), tasks.stopping(), hub.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = listener.listen_for_ever(&db) => {}
            }
        });
        hub
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the hub has come.
    #[must_use]
    pub fn position(&self) -> Position {
        self.log().now
    }

    /// The tenant's topics that changed, or may have, since `then`; all of them when `then` is not of this hub.
    #[must_use]
    pub fn changed_since(&self, tenant: TenantId, then: Option<Position>) -> Vec<Topic> {
        let log = self.log();
        let then = then.filter(|then| then.hub == log.now.hub && then.count >= log.missed);
        let changed = |topic: &Topic| {
            then.is_none_or(|then| log.changed.get(&(tenant, *topic)).is_some_and(|count| *count > then.count))
        };
        Topic::ALL.into_iter().filter(changed).collect()
    }

    /// The tenant's events from now on. The caller filters by [`Topic::permission`].
    pub fn subscribe(&self, tenant: TenantId) -> impl Stream<Item = Event> + Send + 'static {
        let hub = self.clone();
        let anything = |at| Topic::ALL.map(|topic| Event { topic, id: None, at }).to_vec();
        BroadcastStream::new(self.sender.subscribe()).flat_map(move |signal| {
            stream::iter(match signal {
                Ok(Signal::Changed { tenant: of, event }) if of == tenant => vec![event],
                Ok(Signal::Changed { .. }) => Vec::new(),
                Ok(Signal::Missed(at)) => anything(at),
                Err(BroadcastStreamRecvError::Lagged(_)) => anything(hub.position()),
            })
        })
    }

    /// The organizations in which a policy changed, or who is contained; `None`: any may have.
    pub fn policy_changes(&self) -> impl Stream<Item = Option<TenantId>> + Send + 'static {
        BroadcastStream::new(self.sender.subscribe()).filter_map(|signal| {
            std::future::ready(match signal {
                Ok(Signal::Changed { tenant, event }) => (event.topic == Topic::Policy).then_some(Some(tenant)),
                Ok(Signal::Missed(_)) | Err(BroadcastStreamRecvError::Lagged(_)) => Some(None),
            })
        })
    }

    /// Tells all readers; `None` when events may have been lost.
    fn signal(&self, message: Option<Message>) {
        let mut log = self.log();
        log.now.count += 1;
        let at = log.now;
        let signal = if let Some(Message { tenant, topic, id }) = message {
            let tenant = TenantId(tenant);
            log.changed.insert((tenant, topic), at.count);
            Signal::Changed { tenant, event: Event { topic, id: Some(id), at } }
        } else {
            log.missed = at.count;
            Signal::Missed(at)
        };
        // Under the lock, so that readers get the positions in order. An error means that nobody watches.
        let _ = self.sender.send(signal);
    }

    async fn listen_for_ever(&self, db: &Db) {
        let mut pause = Duration::from_millis(100);
        loop {
            match PgListener::connect_with(db.pool()).await {
                Ok(mut listener) => {
                    pause = Duration::from_millis(100);
                    if let Err(error) = self.listen(&mut listener).await {
                        tracing::warn!(%error, "live events: the connection was lost");
                    }
                }
                Err(error) => tracing::warn!(%error, "live events: no connection"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    async fn listen(&self, listener: &mut PgListener) -> std::result::Result<(), sqlx::Error> {
        listener.listen(CHANNEL).await?;
        // Whoever subscribed before this moment may have missed something.
        self.signal(None);
        loop {
            let Some(notification) = listener.try_recv().await? else {
                self.signal(None);
                continue;
            };
            match serde_json::from_str::<Message>(notification.payload()) {
                Ok(message) => self.signal(Some(message)),
                Err(error) => tracing::warn!(%error, "live events: not a message of ours"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Ctx;
    use sqlx::PgPool;

    async fn tell(db: &Db, tenant: TenantId, commit: bool) -> Uuid {
        let ctx = Ctx::system(tenant, "test", Clock::System);
        let id = ctx.new_id();
        let mut tx = db.begin(&ctx, Permission::FindingTriage).await.unwrap();
        notify(&mut tx, Topic::Finding, id).await.unwrap();
        if commit {
            tx.commit().await.unwrap();
        }
        id
    }

    /// The next event that names a thing.
    async fn next(events: &mut (impl Stream<Item = Event> + Unpin)) -> Uuid {
        let mut named = events.filter_map(|event| std::future::ready(event.id));
        tokio::time::timeout(Duration::from_secs(20), named.next()).await.unwrap().unwrap()
    }

    #[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
    async fn a_tenant_hears_of_its_own_committed_changes_also_after_the_connection_broke(pool: PgPool) {
        let db = Db::from_pool(pool.clone());
        let tasks = Tasks::default();
        let hub = Hub::start(&db, &tasks);
        let (ours, theirs) = (TenantId(Uuid::from_u128(1)), TenantId(Uuid::from_u128(2)));
        let mut events = Box::pin(hub.subscribe(ours));
        assert_eq!(events.next().await.unwrap().id, None, "listening has begun");

        let before = hub.position();
        tell(&db, theirs, true).await;
        tell(&db, ours, false).await;
        assert_eq!(before.to_string().parse(), Ok(before));
        let id = tell(&db, ours, true).await;
        assert_eq!(next(&mut events).await, id);
        assert_eq!(hub.changed_since(ours, Some(before)), [Topic::Finding]);
        assert_eq!(hub.changed_since(ours, Some(hub.position())), [], "nothing happened since");
        assert_eq!(hub.changed_since(ours, None), Topic::ALL, "of another hub nothing is known");
        assert_eq!(hub.changed_since(TenantId(Uuid::from_u128(3)), Some(before)), []);

        let mut events = Box::pin(hub.subscribe(ours));
        sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%' and datname = current_database()")
            .execute(&pool)
            .await
            .unwrap();
        assert_eq!(events.next().await.unwrap().id, None, "what happened meanwhile is unknown, so look at everything");
        let id = tell(&db, ours, true).await;
        assert_eq!(next(&mut events).await, id);
        assert!(tasks.shutdown(Duration::from_secs(5)).await);
    }
}
