//! What runs by itself.

use crate::{
    jobs::{self, Job, Outcome},
    kernel::{Ctx, Db, Result},
};

/// Finds what belongs to one incident among what is new.
///
/// # Errors
/// When the database fails; then nothing of it is counted as seen.
pub async fn correlate(db: &Db, ctx: &Ctx) -> Result<Outcome> {
    jobs::begun(db, ctx, &Job::Correlate).await?;
    super::correlate::run(db, ctx).await?;
    Ok(Outcome::Done)
}

/// Notices clocks that ran out.
///
/// # Errors
/// When the database fails.
pub async fn watch_clocks(db: &Db, ctx: &Ctx) -> Result<Outcome> {
    super::clocks::watch(db, ctx).await?;
    Ok(Outcome::Done)
}
