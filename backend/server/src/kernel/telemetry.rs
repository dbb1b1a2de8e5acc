//! Log lines, and what one request cost.
//!
//! The database's work is counted by a layer that hears `sqlx`'s statement events, and belongs to the request whose
//! task, or task started with [`spawn`], ran the statement.

use super::Ctx;
use std::{
    future::Future,
    io::IsTerminal as _,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tracing::{Event, Level, Metadata, Subscriber, field, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::filter_fn,
    layer::{Context, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

tokio::task_local! {
    static CURRENT: Arc<RequestStats>;
}

/// What is known about the request at its end.
#[derive(Debug, Default)]
pub struct RequestStats {
    request_id: String,
    queries: AtomicU64,
    database_micros: AtomicU64,
    actor: OnceLock<(uuid::Uuid, &'static str)>,
    operation: OnceLock<String>,
}

impl RequestStats {
    #[must_use]
    pub fn new(request_id: String) -> Self {
        Self { request_id, ..Self::default() }
    }

    /// How many statements ran.
    #[must_use]
    pub fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    /// How long they took together, from sending to the last row.
    #[must_use]
    pub fn database_time(&self) -> Duration {
        Duration::from_micros(self.database_micros.load(Ordering::Relaxed))
    }

    /// Tenant and kind of actor, once known.
    #[must_use]
    pub fn actor(&self) -> Option<(uuid::Uuid, &'static str)> {
        self.actor.get().copied()
    }

    /// The GraphQL operation's name, if it was given one.
    #[must_use]
    pub fn operation(&self) -> Option<&str> {
        self.operation.get().map(String::as_str)
    }
}

/// The request's id, in the request's extensions and in `x-request-id` of the answer.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// Counts what `future` does on `stats`.
pub async fn measured<T>(stats: Arc<RequestStats>, future: impl Future<Output = T>) -> T {
    CURRENT.scope(stats, future).await
}

/// The statistics of the request that this task works for.
#[must_use]
pub fn current() -> Option<Arc<RequestStats>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// The id of the request that this task works for.
#[must_use]
pub fn request_id() -> Option<String> {
    CURRENT.try_with(|stats| stats.request_id.clone()).ok()
}

/// Starts a task for the current request (data loaders): what it does is counted there. It lives as long as it is awaited
/// by the request, so shutdown need not wait for it.
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> tokio::task::JoinHandle<T> {
    let stats = current();
    #[expect(clippy::disallowed_methods, reason = "belongs to a request, which shutdown waits for")]
    tokio::spawn(async move {
        match stats {
            Some(stats) => measured(stats, future).await,
            None => future.await,
        }
    })
}

/// Notes on the request's line who asks.
pub fn record_actor(ctx: &Ctx) {
    let _ = CURRENT.try_with(|stats| stats.actor.set((ctx.tenant.0, ctx.actor.kind())));
}

/// Notes the GraphQL operation's name on the request's line; only what the grammar allows, at most 80 letters.
pub fn record_operation(name: &str) {
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(80).collect();
    let _ = CURRENT.try_with(|stats| stats.operation.set(name));
}

const STATEMENTS: &str = "sqlx::query";

/// Counts statements; hears nothing else.
struct StatementCounter;

impl<S: Subscriber> Layer<S> for StatementCounter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let _ = CURRENT.try_with(|stats| {
            let mut elapsed = Elapsed(0.0);
            event.record(&mut elapsed);
            let micros = Duration::try_from_secs_f64(elapsed.0).unwrap_or_default().as_micros();
            stats.queries.fetch_add(1, Ordering::Relaxed);
            stats.database_micros.fetch_add(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
        });
    }
}

/// Makes statements of this thread count while the guard lives, as [`start`] does for a program.
#[cfg(test)]
#[must_use]
pub fn count_statements() -> tracing::subscriber::DefaultGuard {
    tracing_subscriber::registry()
        .with(StatementCounter.with_filter(filter_fn(|m| m.target() == STATEMENTS)))
        .set_default()
}

struct Elapsed(f64);

impl field::Visit for Elapsed {
    fn record_f64(&mut self, field: &field::Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.0 = value;
        }
    }
    fn record_debug(&mut self, _: &field::Field, _: &dyn std::fmt::Debug) {}
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// For machines: one JSON object a line.
    Json,
}

/// Starts logging to standard error; `RUST_LOG` filters. Of the statements, only slow ones are written: their text, which
/// is ours, without parameters.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let written = filter_fn(|m: &Metadata<'_>| m.target() != STATEMENTS || *m.level() <= Level::WARN);
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match format {
        LogFormat::Pretty => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    };
    let counter = StatementCounter.with_filter(filter_fn(|m| m.target() == STATEMENTS));
    tracing_subscriber::registry().with(lines.with_filter(filter).with_filter(written)).with(counter).init();
    std::panic::set_hook(Box::new(|info| {
        // The place only: a message may quote the text that a program stumbled over, and that may come from a report.
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}
