//! Making two assets one, and one two again: what becomes of their findings.
//!
//! * Merging moves the findings. The same problem on both becomes one finding that has the occurrences, decisions and history of both.
//!   In force stays the stricter decision: what one of them had open is open; see [`rows::meet`].
//! * Splitting gives back what came in under the alias: occurrences know their scan, and a scan the asset that was named. What is
//!   reported under both keys becomes two findings, each with all decisions and history.

use super::aliases_repo as rows;
use crate::{
    audit,
    inventory::{Asset, aliases},
    kernel::{Ctx, Db, Permission, Result, TenantTx},
    live, scoring,
};
use serde_json::json;
use stance_shared::AssetId;

/// Makes up to 20 assets part of another one of their kind. Returns that one.
///
/// # Errors
/// `BAD_INPUT` naming the field; `NOT_FOUND`; `CONFLICT` while a report is being merged; `FORBIDDEN`; or when the database fails.
pub async fn merge_assets(db: &Db, ctx: &Ctx, keep: AssetId, others: &[AssetId]) -> Result<Asset> {
    let mut tx = db.begin(ctx, Permission::AssetWrite).await?;
    let (keep, merged) = aliases::merge_in_tx(&mut tx, keep, others).await?;
    if merged.is_empty() {
        return Ok(keep);
    }
    let (mut moved, mut met) = (0, 0);
    for other in &merged {
        met += rows::meet(&mut tx, &keep, other).await?;
        moved += rows::take_over(&mut tx, keep.id, other.id).await?;
    }
    let others: Vec<_> =
        merged.iter().map(|other| json!({ "id": other.id, "externalKey": other.external_key })).collect();
    let detail = json!({ "others": others, "findingsMoved": moved, "findingsMet": met });
    finish(&mut tx, "asset.merged", &keep, &[], detail).await?;
    tx.commit().await?;
    Ok(keep)
}

/// Makes an alias an asset of its own again. Returns the asset that it was part of, and itself.
///
/// # Errors
/// `NOT_FOUND` when it is no alias of the asset; `CONFLICT` while a report is being merged; `FORBIDDEN`; or when the database fails.
pub async fn split_asset(db: &Db, ctx: &Ctx, asset: AssetId, alias: AssetId) -> Result<(Asset, Asset)> {
    let mut tx = db.begin(ctx, Permission::AssetWrite).await?;
    let (asset, alias) = aliases::split_in_tx(&mut tx, asset, alias).await?;
    let copied = rows::divide(&mut tx, &asset, &alias).await?;
    let moved = rows::give_back(&mut tx, asset.id, alias.id).await?;
    let detail = json!({ "alias": { "id": alias.id, "externalKey": alias.external_key }, "findingsMoved": moved, "findingsCopied": copied });
    finish(&mut tx, "asset.split", &asset, &[alias.id], detail).await?;
    tx.commit().await?;
    Ok((asset, alias))
}

async fn finish(
    tx: &mut TenantTx,
    action: &str,
    asset: &Asset,
    others: &[AssetId],
    detail: serde_json::Value,
) -> Result<()> {
    let changed: Vec<AssetId> = std::iter::once(asset.id).chain(others.iter().copied()).collect();
    scoring::mark_dirty(tx, &changed).await?;
    for id in &changed {
        live::notify(tx, live::Topic::Asset, id.0).await?;
    }
    audit::record(tx, audit::Entry { action, target_kind: "asset", target_id: asset.id.to_string(), detail }).await
}
