//! Marking what must be computed anew.

use crate::{
    jobs::{Job, Queue},
    kernel::{Result, TenantTx},
};
use stance_shared::AssetId;
use uuid::Uuid;

/// Says that the risk of these assets may have changed: they are computed anew soon after the transaction commits.
///
/// # Errors
/// When the database fails.
pub async fn mark_dirty(tx: &mut TenantTx, assets: &[AssetId]) -> Result<()> {
    if assets.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = assets.iter().map(|id| id.0).collect();
    let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
    // In id order, so that two transactions that mark the same assets can not wait for each other.
    sqlx::query!(
        "insert into score_dirty (tenant_id, asset_id, since)
         select $1, id, $3 from unnest($2::uuid[]) id group by id order by id
         on conflict (tenant_id, asset_id) do update set since = excluded.since",
        tenant,
        &ids,
        now
    )
    .execute(tx.conn())
    .await?;
    Queue::enqueue(tx, Job::RecomputeRisk).await
}
