//! The SQL of what sources say of assets.

use super::{Source, Statement, provenance::Saying};
use crate::kernel::{Result, TenantTx};
use serde_json::Value;
use stance_shared::{AssetId, ReportId};
use uuid::Uuid;

fn uuids(ids: &[AssetId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.0).collect()
}

/// All statements on assets and their aliases, under the id that was asked for.
pub(super) async fn of(tx: &mut TenantTx, ids: &[AssetId]) -> Result<Vec<(AssetId, Statement)>> {
    let rows = sqlx::query!(
        r#"select q.id as "asset!: AssetId", s.attribute, s.source_kind, s.source, s.version, s.value,
               s.report_id as "report: ReportId", s.at, case when n.merged_into is not null then n.external_key end as alias
           from asset q join asset n on n.root_id = q.root_id
           join asset_statement s on s.asset_id = n.id
           where q.id = any($1) order by s.attribute, s.at desc, s.source"#,
        &uuids(ids),
    )
    .fetch_all(tx.conn())
    .await?;
    let statement = rows.into_iter().map(|row| {
        let statement = Statement {
            attribute: row.attribute,
            source_kind: row.source_kind,
            source: row.source,
            version: row.version,
            value: row.value,
            report: row.report,
            alias: row.alias,
            at: row.at,
        };
        (row.asset, statement)
    });
    Ok(statement.collect())
}

/// The attributes of which something was said of these very assets.
pub(super) async fn attributes(tx: &mut TenantTx, ids: &[AssetId]) -> Result<Vec<String>> {
    let attributes =
        sqlx::query_scalar!("select distinct attribute from asset_statement where asset_id = any($1)", &uuids(ids));
    Ok(attributes.fetch_all(tx.conn()).await?)
}

/// Writes what is new, and returns the places of what counts: see [`note`](super::provenance::note). What was said before is only
/// looked up.
pub(super) async fn note(tx: &mut TenantTx, source: &Source, sayings: &[Saying]) -> Result<Vec<usize>> {
    let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
    let said: Vec<Uuid> = sayings.iter().map(|saying| saying.said.0).collect();
    let assets: Vec<Uuid> = sayings.iter().map(|saying| saying.asset.0).collect();
    let attributes: Vec<String> = sayings.iter().map(|saying| saying.attribute.clone()).collect();
    let values: Vec<Option<Value>> = sayings.iter().map(|saying| saying.value.clone()).collect();
    let anew: Vec<bool> = sayings.iter().map(|saying| saying.anew).collect();
    let places = sqlx::query_scalar!(
        r#"with fresh as materialized (
               select n.* from unnest($2::uuid[], $3::uuid[], $4::text[], $5::jsonb[], $6::bool[])
                   with ordinality n(said, asset, attribute, value, anew, place)
               where n.anew or not exists (select from asset_statement s
                   where s.asset_id = n.said and s.attribute = n.attribute and s.source_kind = $7 and s.source = $8
                     and s.value is not distinct from n.value)
           ), noted as (
               insert into asset_statement (tenant_id, asset_id, attribute, source_kind, source, version, value, report_id, at)
               select $1, said, attribute, $7, $8, $9, value, $10, $11 from fresh
               on conflict (tenant_id, asset_id, attribute, source_kind, source) do update
               set version = excluded.version, value = excluded.value, report_id = excluded.report_id, at = excluded.at
           )
           select place as "place!" from fresh
           where $7 <> 'TOOL' or not exists (select from asset_statement d join asset a on a.id = d.asset_id
               where d.attribute = fresh.attribute and d.source_kind <> 'TOOL' and a.root_id = fresh.asset)
           order by place"#,
        tenant,
        &said,
        &assets,
        &attributes,
        &values as &[Option<Value>],
        &anew,
        source.kind,
        source.name,
        source.version,
        source.report.map(|id| id.0),
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(places.into_iter().filter_map(|place| usize::try_from(place - 1).ok()).collect())
}
