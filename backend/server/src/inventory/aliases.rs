//! Aliases: assets that were found to be part of another one.
//!
//! An alias keeps its row, key, scans, relations and history; whoever names it means the asset that it became part of. So nothing is
//! lost that splitting would have to find again. What aliases mean changes only while nobody writes the inventory: see
//! `repo::hold_keys`.

use super::{Alias, Asset, aliases_repo as rows, repo, service};
use crate::kernel::{Ctx, Db, Error, Permission, Result, TenantTx};
use serde_json::json;
use stance_shared::AssetId;
use std::collections::HashMap;

/// How many assets one call merges at most.
pub const MAX_MERGE: usize = 20;
/// How many likely duplicates are shown of an asset.
const MAX_ALIKE: i64 = 8;

/// The aliases of assets, oldest first.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn of(db: &Db, ctx: &Ctx, ids: &[AssetId]) -> Result<HashMap<AssetId, Vec<Alias>>> {
    let mut tx = db.begin(ctx, Permission::AssetRead).await?;
    let mut aliases: HashMap<_, Vec<_>> = HashMap::new();
    for (asset, alias) in rows::of(&mut tx, ids).await? {
        aliases.entry(asset).or_default().push(alias);
    }
    Ok(aliases)
}

/// Assets that may be the same as these: of the same kind and name, whatever case, punctuation and path are. At most 8 of each.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn alike(db: &Db, ctx: &Ctx, ids: &[AssetId]) -> Result<HashMap<AssetId, Vec<AssetId>>> {
    let mut tx = db.begin(ctx, Permission::AssetRead).await?;
    let mut alike: HashMap<_, Vec<_>> = HashMap::new();
    for (asset, other) in rows::alike(&mut tx, ids, MAX_ALIKE).await? {
        alike.entry(asset).or_default().push(other);
    }
    Ok(alike)
}

/// Makes `others` aliases of `keep`, inside a caller's transaction; what is part of it already stays so. Returns the one that is
/// kept, and what became part of it.
///
/// # Errors
/// `BAD_INPUT` naming the field; `NOT_FOUND`; `CONFLICT` while a report is being merged; or when the database fails.
pub async fn merge_in_tx(tx: &mut TenantTx, keep: AssetId, others: &[AssetId]) -> Result<(Asset, Vec<Asset>)> {
    if others.is_empty() || others.len() > MAX_MERGE {
        return Err(Error::field("others", format!("must be 1 to {MAX_MERGE} ids")));
    }
    rows::take_keys(tx).await?;
    let asked: Vec<AssetId> = std::iter::once(keep).chain(others.iter().copied()).collect();
    let found: HashMap<AssetId, Asset> = repo::by_ids(tx, &asked).await?.into_iter().collect();
    let keep = found.get(&keep).cloned().ok_or_else(|| Error::not_found("asset"))?;
    let mut merged: Vec<Asset> = Vec::with_capacity(others.len());
    for (i, id) in others.iter().enumerate() {
        let other = found.get(id).ok_or_else(|| Error::not_found("asset"))?;
        if *id == keep.id {
            return Err(Error::field(format!("others[{i}]"), "is the asset to keep"));
        }
        if other.kind != keep.kind {
            let message = format!("must be of the same kind as the asset to keep: {}", keep.kind.as_str());
            return Err(Error::field(format!("others[{i}]"), message));
        }
        if other.id != keep.id && merged.iter().all(|known| known.id != other.id) {
            merged.push(other.clone());
        }
    }
    if merged.is_empty() {
        return Ok((keep, merged));
    }
    let ids: Vec<AssetId> = merged.iter().map(|asset| asset.id).collect();
    rows::merge(tx, keep.id, &ids).await?;
    let line = |other: &Asset| repo::NewChange {
        asset_id: keep.id,
        id: tx.ctx().new_id(),
        summary: format!("Merged with {}", other.name),
        changes: json!({ "alias": { "from": null, "to": other.external_key } }),
    };
    let lines: Vec<_> = merged.iter().map(line).collect();
    repo::insert_changes(tx, &lines).await?;
    let keep = service::settle(tx, &keep, &ids).await?;
    Ok((keep, merged))
}

/// Makes `alias` an asset of its own again, inside a caller's transaction. Returns the asset that it was part of, and itself.
///
/// # Errors
/// `NOT_FOUND` when it is no alias of the asset; `CONFLICT` while a report is being merged; or when the database fails.
pub async fn split_in_tx(tx: &mut TenantTx, asset: AssetId, alias: AssetId) -> Result<(Asset, Asset)> {
    rows::take_keys(tx).await?;
    if !rows::split(tx, asset, alias).await? {
        return Err(Error::not_found("alias of this asset"));
    }
    let mut found: HashMap<AssetId, Asset> = repo::by_ids(tx, &[asset, alias]).await?.into_iter().collect();
    let (Some(asset), Some(alias)) = (found.remove(&asset), found.remove(&alias)) else {
        return Err(Error::internal("an asset that was just split is not there"));
    };
    let line = |of: &Asset, from: &Asset| repo::NewChange {
        asset_id: of.id,
        id: tx.ctx().new_id(),
        summary: format!("Split from {}", from.name),
        changes: json!({ "alias": { "from": alias.external_key, "to": null } }),
    };
    let lines = [line(&asset, &alias), line(&alias, &asset)];
    repo::insert_changes(tx, &lines).await?;
    let about = [alias.id];
    Ok((service::settle(tx, &asset, &about).await?, service::settle(tx, &alias, &about).await?))
}
