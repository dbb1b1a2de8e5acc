//! Starts the real `stance` binary and talks to it from outside, as its users do.
//!
//! `STANCE_BIN` names the binary (default: beside the test's own target folder). With `DATABASE_URL` each server gets a
//! new database on that cluster; without, or with [`Options::embedded`], it runs its own PostgreSQL.

pub mod browser;
mod client;
mod gateway;
mod server;
mod subscription;

pub use client::{Client, Import, with_file};
pub use gateway::{Behavior, Gateway};
pub use server::{Options, Organization, PASSWORD, Stance, binary};
pub use subscription::Subscription;

use std::path::PathBuf;

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The folder of real reports that lies beside the project on some machines; `None` (with a notice) where it does not.
#[must_use]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub fn shared_reports() -> Option<PathBuf> {
    let path = root().join("../shared/reports");
    if path.is_dir() {
        return Some(path);
    }
    println!("SKIPPED: {} is absent", path.display());
    None
}

/// Polls until `probe` gives a value; fails after `seconds`.
///
/// # Errors
/// When the time is over, with `what` was waited for.
pub async fn wait_for<T, F>(what: &str, seconds: u64, mut probe: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = Option<T>>,
{
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(seconds);
    loop {
        if let Some(value) = probe().await {
            return Ok(value);
        }
        anyhow::ensure!(tokio::time::Instant::now() < end, "waited {seconds} s in vain for {what}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
