//! Benchmarks: what Stance does against a yardstick measured in the same run. Run by `cargo xtask bench`.
//!
//! Figures are ratios; wall times alone say nothing on another machine.

mod api;
mod containment;
mod events;
mod import;
mod inspect;
mod process;
mod web;

use anyhow::{Result, bail};

#[tokio::main]
async fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("api") => api::run().await,
        Some("containment") => containment::bench().await,
        Some("events") => events::bench().await,
        Some("import") => import::run().await,
        Some("inspect") => inspect::bench().await,
        Some("web") => web::run().await,
        other => bail!("bench must be one of api, containment, events, import, inspect, web, not {other:?}"),
    }
}

/// The value below which the share `q` (0 to 1) of the samples lies. Sorts them.
pub fn quantile(samples: &mut [f64], q: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let last = samples.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let at = (last as f64 * q).round() as usize;
    samples.get(at).copied().unwrap_or(f64::NAN)
}
