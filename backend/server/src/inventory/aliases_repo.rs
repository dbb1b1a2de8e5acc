//! The SQL of aliases.

use super::Alias;
use crate::kernel::{Error, Result, TenantTx};
use stance_shared::AssetId;
use uuid::Uuid;

/// PostgreSQL's code for a lock that was not to be had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Waits until nobody writes the inventory or computes risk, and keeps it so until the transaction ends.
///
/// # Errors
/// `CONFLICT` after ten seconds: the merge of a large report may take minutes.
pub(super) async fn take_keys(tx: &mut TenantTx) -> Result<()> {
    let tenant = tx.ctx().tenant.0.to_string();
    sqlx::raw_sql("set local lock_timeout = '10s'").execute(tx.conn()).await?;
    for lock in ["keys:", "score:"] {
        let taken = sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1 || $2::text, 0))", lock, tenant);
        taken.fetch_one(tx.conn()).await.map_err(|error| {
            match error.as_database_error().and_then(|error| error.code()).as_deref() {
                Some(LOCK_NOT_AVAILABLE) => {
                    Error::conflict("A report is being merged into the inventory just now. Try again when it is done.")
                }
                _ => Error::from(error),
            }
        })?;
    }
    sqlx::raw_sql("set local lock_timeout = 0").execute(tx.conn()).await?;
    Ok(())
}

pub(super) async fn of(tx: &mut TenantTx, ids: &[AssetId]) -> Result<Vec<(AssetId, Alias)>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select merged_into as "asset!: AssetId", id as "id: AssetId", external_key, name, merged_at as "at!", merged_by as "by!"
           from asset where root_id = any($1) and merged_into is not null order by merged_at, id"#,
        &ids,
    )
    .fetch_all(tx.conn())
    .await?;
    let alias = rows.into_iter().map(|row| {
        let alias = Alias { id: row.id, external_key: row.external_key, name: row.name, at: row.at, by: row.by };
        (row.asset, alias)
    });
    Ok(alias.collect())
}

/// Tools have their names from their servers, so that equal ones say nothing.
pub(super) async fn alike(tx: &mut TenantTx, ids: &[AssetId], limit: i64) -> Result<Vec<(AssetId, AssetId)>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select a.id as "asset: AssetId", b.id as "other: AssetId"
           from asset a, lateral (
               select id, risk from asset where kind = a.kind and plain_name = a.plain_name and id <> a.id and merged_into is null
               order by risk desc nulls last, id limit $2) b
           where a.id = any($1) and a.merged_into is null and a.kind <> 'TOOL' and length(a.plain_name) > 2
           order by a.id, b.risk desc nulls last, b.id"#,
        &ids,
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.asset, row.other)).collect())
}

/// Makes assets and their aliases aliases of `keep`. They have no risk of their own then.
pub(super) async fn merge(tx: &mut TenantTx, keep: AssetId, others: &[AssetId]) -> Result<()> {
    let (now, by) = (tx.ctx().now(), tx.ctx().actor.label().to_owned());
    let others: Vec<Uuid> = others.iter().map(|id| id.0).collect();
    sqlx::query!(
        "with earlier as (
             update asset set merged_into = $1 where root_id = any($2) and merged_into is not null
         ), figures as (
             delete from asset_risk where asset_id = any($2)
         ), marks as (
             delete from score_dirty where asset_id = any($2)
         ), seen as (
             update asset set last_seen = greatest(last_seen, (select max(last_seen) from asset where id = any($2))) where id = $1
         )
         update asset set merged_into = $1, merged_at = $3, merged_by = $4, risk = null where id = any($2)",
        keep.0,
        &others,
        now,
        by,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// False: it is no alias of the asset.
pub(super) async fn split(tx: &mut TenantTx, asset: AssetId, alias: AssetId) -> Result<bool> {
    let done = sqlx::query!(
        "update asset set merged_into = null, merged_at = null, merged_by = null where id = $2 and merged_into = $1",
        asset.0,
        alias.0,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}
