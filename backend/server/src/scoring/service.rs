//! Marking what must be computed anew, and reading what was computed.

use super::{
    domain::{AssetRisk, DayChange, Figure, Posture, RiskPoint, Scope},
    repo,
};
use crate::{
    jobs::{Job, Queue},
    kernel::{Ctx, Db, Error, Permission, Result, TenantTx},
};
use chrono::{Duration, NaiveDate};
use stance_engine::risk::FORMULA;
use stance_shared::{AssetId, Layer};
use std::collections::HashMap;
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

/// The current figures of assets; assets that were never computed are not in it.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn asset_risks(db: &Db, ctx: &Ctx, assets: &[AssetId]) -> Result<HashMap<AssetId, AssetRisk>> {
    let ids: Vec<Uuid> = assets.iter().map(|id| id.0).collect();
    repo::asset_risks(&mut db.begin(ctx, Permission::AssetRead).await?, &ids).await
}

/// The current figures of the organization; all unassessed before the first computation.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn posture(db: &Db, ctx: &Ctx) -> Result<Posture> {
    let found = repo::posture(&mut db.begin(ctx, Permission::PostureRead).await?).await?;
    Ok(found.unwrap_or_else(|| Posture {
        all: Figure::UNASSESSED,
        layers: Layer::ALL.iter().map(|layer| (*layer, Figure::UNASSESSED)).collect(),
        assets: 0,
        assessed: 0,
        formula: FORMULA.to_owned(),
        computed_at: None,
    }))
}

/// Whether facts changed that the figures do not show yet; a job is on its way.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn is_pending(db: &Db, ctx: &Ctx) -> Result<bool> {
    repo::is_pending(&mut db.begin(ctx, Permission::PostureRead).await?).await
}

fn since(ctx: &Ctx, days: i32) -> Result<NaiveDate> {
    if !(1..=366).contains(&days) {
        return Err(Error::field("days", "must be 1 to 366"));
    }
    Ok((ctx.now() - Duration::days(i64::from(days) - 1)).date_naive())
}

/// The organization's days up to today, oldest first; days without a figure are left out.
///
/// # Errors
/// `BAD_INPUT` when `days` is outside 1..=366; `FORBIDDEN`; or when the database fails.
pub async fn posture_history(db: &Db, ctx: &Ctx, scope: Scope, days: i32) -> Result<Vec<RiskPoint>> {
    let since = since(ctx, days)?;
    repo::posture_history(&mut db.begin(ctx, Permission::PostureRead).await?, scope, since).await
}

/// Assets' days up to today, oldest first; assets without any are left out.
///
/// # Errors
/// As [`posture_history`].
pub async fn asset_history(
    db: &Db,
    ctx: &Ctx,
    assets: &[AssetId],
    days: i32,
) -> Result<HashMap<AssetId, Vec<RiskPoint>>> {
    let since = since(ctx, days)?;
    let ids: Vec<Uuid> = assets.iter().map(|id| id.0).collect();
    let mut histories: HashMap<AssetId, Vec<RiskPoint>> = HashMap::new();
    for (id, point) in repo::asset_history(&mut db.begin(ctx, Permission::AssetRead).await?, &ids, since).await? {
        histories.entry(id).or_default().push(point);
    }
    Ok(histories)
}

/// What happened on each of the last days, oldest first; days on which nothing did are zero.
///
/// # Errors
/// As [`posture_history`].
pub async fn day_changes(db: &Db, ctx: &Ctx, days: i32) -> Result<Vec<DayChange>> {
    let first = since(ctx, days)?;
    let found = repo::day_changes(&mut db.begin(ctx, Permission::PostureRead).await?, first).await?;
    let day = |day| {
        found.iter().find(|change| change.day == day).copied().unwrap_or(DayChange { day, ..DayChange::default() })
    };
    Ok(first.iter_days().take(usize::try_from(days).unwrap_or_default()).map(day).collect())
}
