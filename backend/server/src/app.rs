//! Wires everything; the one place that sees all slices.

use crate::{
    api::{self, graphql},
    identity,
    imports::Limits,
    jobs,
    kernel::{
        Clock, Db, Error,
        config::{ServeArgs, WorkerArgs},
        outbound::Outbound,
        tasks::Tasks,
    },
    live::Hub,
    runtime::{Guard, Recorder, containment::Enforcer},
    web::{self, Metrics, Watchers},
};
use anyhow::Context as _;
use axum::{Router, extract::FromRef};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, signal::unix, time::timeout};

/// Connections of a server; requests wait for one at most ten seconds.
const SERVER_CONNECTIONS: u32 = 24;
/// Connections of a process that only works.
const WORKER_CONNECTIONS: u32 = 16;
/// How long open requests may go on once shutdown began; streams end at once.
const DRAIN: Duration = Duration::from_secs(4);
/// How long background tasks may take, from the same moment: a bit more than jobs have to end.
const TASKS: Duration = Duration::from_secs(6);

/// What handlers work with; each part can be extracted by its own type.
#[derive(Clone, FromRef)]
pub struct AppState {
    pub db: Db,
    pub clock: Clock,
    pub tasks: Tasks,
    pub live: Hub,
    pub settings: Arc<ServeArgs>,
    pub limits: Limits,
    pub metrics: Metrics,
    pub watchers: Watchers,
    pub guard: Guard,
    pub outbound: Outbound,
    pub tokens: web::auth::Tokens,
    pub schema: graphql::Schema,
}

#[cfg(test)]
impl AppState {
    /// A server's state on a database, with settings as by default.
    pub fn for_tests(db: Db) -> Self {
        #[derive(clap::Parser)]
        struct Cli {
            #[command(flatten)]
            settings: ServeArgs,
        }
        let tasks = Tasks::default();
        let live = Hub::start(&db, &tasks);
        let recorder = Recorder::start(&db, &Clock::System, &tasks);
        let guard = Guard::new(db.clone(), Clock::System, live.clone(), recorder).unwrap();
        let origin = "http://stance.test".to_owned();
        let outbound = Outbound::for_tests(&Clock::System, true);
        Self {
            schema: graphql::schema(
                db.clone(),
                live.clone(),
                guard.clone(),
                outbound.clone(),
                origin,
                Limits::default(),
            ),
            guard,
            outbound,
            tokens: web::auth::Tokens::default(),
            limits: Limits::default(),
            live,
            clock: Clock::System,
            settings: Arc::new(<Cli as clap::Parser>::parse_from(["stance"]).settings),
            metrics: Metrics::detached(),
            watchers: Watchers::default(),
            tasks,
            db,
        }
    }
}

/// All routes, with everything that happens around them.
pub fn router(state: AppState) -> Router {
    web::around(&state, web::router().merge(api::router())).with_state(state)
}

/// Lays down the database, or brings it up to date. Any number of processes may do so at once.
///
/// # Errors
/// When a migration fails, or the database is of a newer Stance.
pub async fn migrate(db: &Db) -> anyhow::Result<()> {
    jobs::migrate(db.pool()).await.context("the database could not be brought up to date")
}

/// `stance serve`: until SIGTERM or Ctrl-C.
///
/// # Errors
/// When the server can not start; a sentence that says what to do.
pub async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    // First, because it fails at once and leaves nothing behind.
    let listener =
        TcpListener::bind(args.listen).await.with_context(|| format!("can not listen on {}", args.listen))?;
    let database = tokio::select! {
        database = args.database.open(SERVER_CONNECTIONS) => database?,
        () = signals.any() => return Ok(()),
    };
    let result = match args.database.outbound(&args.outbound) {
        Ok(outbound) => serve_on(listener, args, database.db.clone(), outbound, signals).await,
        Err(error) => Err(error),
    };
    database.close().await;
    result
}

async fn serve_on(
    listener: TcpListener,
    args: ServeArgs,
    db: Db,
    outbound: Outbound,
    mut signals: Signals,
) -> anyhow::Result<()> {
    migrate(&db).await?;
    let tasks = Tasks::default();
    let live = Hub::start(&db, &tasks);
    let limits = Limits { body: args.max_report_bytes, ..Limits::default() };
    let recorder = Recorder::start(&db, &Clock::System, &tasks);
    let guard = Guard::new(db.clone(), Clock::System, live.clone(), recorder.clone()).map_err(Error::for_operator)?;
    let state = AppState {
        schema: graphql::schema(db.clone(), live.clone(), guard.clone(), outbound.clone(), args.origin(), limits),
        guard,
        outbound,
        tokens: web::auth::Tokens::default(),
        limits,
        live,
        clock: Clock::System,
        tasks: tasks.clone(),
        settings: Arc::new(args),
        metrics: Metrics::start()?,
        watchers: Watchers::default(),
        db,
    };
    tasks.spawn(until(&tasks, state.metrics.clone().keep_small()));
    tasks.spawn(until(&tasks, identity::sessions::keep_small(state.db.clone(), state.clock.clone())));
    if !state.settings.no_worker {
        let dispatch = jobs::Dispatch { outbound: state.outbound.clone(), origin: state.settings.origin() };
        jobs::start(&state.db, &state.clock, dispatch, &tasks);
    }
    let enforcer = Enforcer {
        db: state.db.clone(),
        clock: state.clock.clone(),
        live: state.live.clone(),
        guard: state.guard.clone(),
        outbound: state.outbound.clone(),
        process: state.clock.new_id(),
    };
    tasks.spawn(enforcer.run(tasks.clone()));
    let address = listener.local_addr()?;
    let service = router(state).into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(tasks.stopping().cancelled_owned());
    let mut server = std::pin::pin!(server.into_future());
    tracing::info!(%address, "Stance is ready at http://{address}");

    tokio::select! {
        result = &mut server => return result.context("the server failed"),
        () = signals.any() => tracing::info!("shutting down"),
    }
    tasks.stopping().cancel();
    let drain = async {
        let drained = timeout(DRAIN, server).await;
        // Nobody asks any more: what was recorded is written to its end.
        recorder.finish();
        drained
    };
    let (drained, ended) = tokio::join!(drain, tasks.shutdown(TASKS));
    if drained.is_err() {
        tracing::warn!("some requests did not end in time");
    }
    if !ended {
        tracing::warn!("some background tasks did not end in time");
    }
    Ok(())
}

/// `stance worker`: jobs only, until SIGTERM or Ctrl-C.
///
/// # Errors
/// When it can not start.
pub async fn work(args: &WorkerArgs) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let database = args.database.open(WORKER_CONNECTIONS).await?;
    migrate(&database.db).await?;
    let tasks = Tasks::default();
    let outbound = args.database.outbound(&args.outbound)?;
    let dispatch = jobs::Dispatch { outbound, origin: args.public_url.clone().unwrap_or_default() };
    jobs::start(&database.db, &Clock::System, dispatch, &tasks);
    tracing::info!("Stance works on jobs");
    signals.any().await;
    tracing::info!("shutting down");
    tasks.shutdown(TASKS).await;
    database.close().await;
    Ok(())
}

/// A task that may be cut off when shutdown begins.
fn until(tasks: &Tasks, task: impl Future<Output = ()> + Send + 'static) -> impl Future<Output = ()> + Send + 'static {
    let stop = tasks.stopping();
    async move {
        tokio::select! { () = stop.cancelled() => {}, () = task => {} }
    }
}

/// What ends a process in order.
struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: unix::signal(unix::SignalKind::terminate())?,
            interrupt: unix::signal(unix::SignalKind::interrupt())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
    }
}

/// The client of the commands that talk to a server.
///
/// # Errors
/// When TLS can not be set up.
pub fn http_client() -> anyhow::Result<reqwest::Client> {
    // An error means that it was installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder().connect_timeout(Duration::from_secs(10)).build()?)
}
