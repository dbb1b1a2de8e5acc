//! What runs by itself.

use crate::{
    jobs::Outcome,
    kernel::{Ctx, Db, Result},
};

/// Notices clocks that ran out.
///
/// # Errors
/// When the database fails.
pub async fn watch_clocks(db: &Db, ctx: &Ctx) -> Result<Outcome> {
    super::clocks::watch(db, ctx).await?;
    Ok(Outcome::Done)
}
