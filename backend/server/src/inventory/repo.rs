//! The inventory's SQL.

use super::{Asset, Change, Filter, Key, Relation, Sort};
use crate::kernel::{Result, TenantTx, page::Page};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{Postgres, QueryBuilder, types::Json};
use stance_importers::AssetRef;
use stance_shared::{AssetId, AssetKind, RelationKind};
use uuid::Uuid;

const COLUMNS: &str = "id, kind, external_key, name, owner, environment, exposure, criticality, lifecycle, tags, \
    attributes, first_seen, last_seen, risk";

pub(super) async fn by_ids(tx: &mut TenantTx, ids: &[AssetId]) -> Result<Vec<Asset>> {
    let mut query = QueryBuilder::<Postgres>::new("select ");
    query.push(COLUMNS).push(" from asset where id = any(").push_bind(ids.to_vec()).push(")");
    Ok(query.build_query_as().fetch_all(tx.conn()).await?)
}

/// The assets with these keys, locked in the order of their keys, so that two upserts never wait for each other.
pub(super) async fn lock_by_keys(tx: &mut TenantTx, keys: &[AssetRef]) -> Result<Vec<Asset>> {
    let (kinds, names) = columns(keys);
    let mut query = QueryBuilder::<Postgres>::new("select ");
    query.push(COLUMNS).push(" from asset where (kind, external_key) in (select * from unnest(");
    query.push_bind(kinds).push(", ").push_bind(names).push("::text[])) order by kind, external_key for update");
    Ok(query.build_query_as().fetch_all(tx.conn()).await?)
}

fn columns(keys: &[AssetRef]) -> (Vec<AssetKind>, Vec<String>) {
    keys.iter().map(|asset| (asset.kind, asset.key.clone())).unzip()
}

pub(super) async fn ids_by_keys(tx: &mut TenantTx, keys: &[AssetRef]) -> Result<Vec<(AssetRef, AssetId)>> {
    let (kinds, names) = columns(keys);
    let rows = sqlx::query!(
        r#"select id as "id: AssetId", kind as "kind: AssetKind", external_key from asset
           where (kind, external_key) in (select * from unnest($1::text[], $2::text[]))"#,
        &kinds as &[AssetKind],
        &names,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (AssetRef { kind: row.kind, key: row.external_key }, row.id)).collect())
}

/// A row as it is written: sent as one JSON array, because PostgreSQL has no arrays of arrays of different lengths.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    #[serde(flatten)]
    pub asset: &'a Asset,
    pub risk_factor: f64,
}

/// Inserts the assets whose key is not taken and returns their ids.
pub(super) async fn insert(tx: &mut TenantTx, rows: &[Row<'_>]) -> Result<Vec<AssetId>> {
    let ids = sqlx::query_scalar!(
        r#"insert into asset (tenant_id, id, kind, external_key, name, owner, environment, exposure, criticality,
               lifecycle, tags, attributes, first_seen, last_seen, risk_factor)
           select $1, r.* from jsonb_to_recordset($2) as r(id uuid, kind text, external_key text, name text, owner text,
               environment text, exposure text, criticality text, lifecycle text, tags text[], attributes jsonb,
               first_seen timestamptz, last_seen timestamptz, risk_factor double precision)
           order by r.kind, r.external_key
           on conflict (tenant_id, kind, external_key) do nothing
           returning id as "id: AssetId""#,
        tx.ctx().tenant.0,
        Json(rows) as _,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(ids)
}

pub(super) async fn update(tx: &mut TenantTx, rows: &[Row<'_>]) -> Result<()> {
    sqlx::query!(
        "update asset set name = r.name, owner = r.owner, environment = r.environment, exposure = r.exposure,
             criticality = r.criticality, lifecycle = r.lifecycle, tags = r.tags, attributes = r.attributes,
             risk_factor = r.risk_factor
         from jsonb_to_recordset($1) as r(id uuid, name text, owner text, environment text, exposure text,
             criticality text, lifecycle text, tags text[], attributes jsonb, risk_factor double precision)
         where asset.id = r.id",
        Json(rows) as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn seen(tx: &mut TenantTx, ids: &[AssetId], at: DateTime<Utc>) -> Result<()> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    sqlx::query!("update asset set last_seen = $2 where id = any($1) and last_seen < $2", &ids, at)
        .execute(tx.conn())
        .await?;
    Ok(())
}

#[derive(Serialize)]
pub(super) struct NewChange {
    pub asset_id: AssetId,
    pub id: Uuid,
    pub summary: String,
    pub changes: Value,
}

pub(super) async fn insert_changes(tx: &mut TenantTx, changes: &[NewChange]) -> Result<()> {
    let (tenant, now, actor) = (tx.ctx().tenant.0, tx.ctx().now(), tx.ctx().actor.label().to_owned());
    sqlx::query!(
        "insert into asset_change (tenant_id, asset_id, id, at, actor, summary, changes)
         select $1, r.asset_id, r.id, $2, $3, r.summary, r.changes
         from jsonb_to_recordset($4) as r(asset_id uuid, id uuid, summary text, changes jsonb)",
        tenant,
        now,
        actor,
        Json(changes) as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Writes relations; known ones are seen again. Returns the ends "from" of those that are new.
pub(super) async fn relate(
    tx: &mut TenantTx,
    relations: &[(AssetId, RelationKind, AssetId)],
    source: &str,
) -> Result<Vec<AssetId>> {
    let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
    let ids: Vec<Uuid> = relations.iter().map(|_| tx.ctx().new_id()).collect();
    let from: Vec<Uuid> = relations.iter().map(|(from, ..)| from.0).collect();
    let kinds: Vec<RelationKind> = relations.iter().map(|(_, kind, _)| *kind).collect();
    let to: Vec<Uuid> = relations.iter().map(|(.., to)| to.0).collect();
    let new = sqlx::query_scalar!(
        r#"insert into asset_relation as r (tenant_id, id, from_id, kind, to_id, source, first_seen, last_seen)
           select distinct on (n.from_id, n.kind, n.to_id) $1::uuid, n.id, n.from_id, n.kind, n.to_id, $6, $7, $7
           from unnest($2::uuid[], $3::uuid[], $4::text[], $5::uuid[]) as n(id, from_id, kind, to_id)
           order by n.from_id, n.kind, n.to_id
           on conflict (tenant_id, from_id, kind, to_id) do update set last_seen = excluded.last_seen
           returning case when r.first_seen = r.last_seen then r.from_id end as "from: AssetId""#,
        tenant,
        &ids,
        &from,
        &kinds as &[RelationKind],
        &to,
        source,
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(new.into_iter().flatten().collect())
}

fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    query.push(" where true");
    macro_rules! any_of {
        ($($column:ident),+) => {$(
            if !filter.$column.is_empty() {
                query.push(concat!(" and ", stringify!($column), " = any(")).push_bind(filter.$column.clone()).push(")");
            }
        )+};
    }
    any_of!(kind, lifecycle, exposure, criticality, environment, grade);
    if let Some(tag) = &filter.tag {
        query.push(" and ").push_bind(tag.clone()).push(" = any(tags)");
    }
    if let Some(owner) = &filter.owner {
        query.push(" and owner = ").push_bind(owner.clone());
    }
    if filter.no_owner {
        query.push(" and owner is null");
    }
    if let Some(key) = &filter.external_key {
        query.push(" and external_key = ").push_bind(key.clone());
    }
    if let Some(pattern) = &filter.search {
        query.push(" and (name ilike ").push_bind(pattern.clone());
        query.push(" or external_key ilike ").push_bind(pattern.clone()).push(")");
    }
}

pub(super) async fn list(
    tx: &mut TenantTx,
    filter: &Filter,
    sort: Sort,
    descending: bool,
    page: &Page<Key>,
) -> Result<Vec<Asset>> {
    let mut query = QueryBuilder::<Postgres>::new("select ");
    query.push(COLUMNS).push(" from asset");
    push_filter(&mut query, filter);
    let column = match sort {
        Sort::Risk => "coalesce(risk, -1)",
        Sort::Name => "name",
        Sort::LastSeen => "last_seen",
    };
    let (than, order) = if descending { ("<", "desc") } else { (">", "asc") };
    if let Some(after) = &page.after {
        query.push(format_args!(" and ({column}, id) {than} ("));
        match after {
            Key::Risk(bits, id) => query.push_bind(f64::from_bits(*bits)).push(", ").push_bind(*id),
            Key::Name(name, id) => query.push_bind(name.clone()).push(", ").push_bind(*id),
            Key::LastSeen(at, id) => query.push_bind(*at).push(", ").push_bind(*id),
        };
        query.push(")");
    }
    query.push(format_args!(" order by {column} {order}, id {order} limit ")).push_bind(page.limit());
    Ok(query.build_query_as().fetch_all(tx.conn()).await?)
}

pub(super) async fn count(tx: &mut TenantTx, filter: &Filter) -> Result<i64> {
    let mut query = QueryBuilder::<Postgres>::new("select count(*) from asset");
    push_filter(&mut query, filter);
    Ok(query.build_query_scalar().fetch_one(tx.conn()).await?)
}

pub(super) async fn count_by_kind(tx: &mut TenantTx, filter: &Filter) -> Result<Vec<(AssetKind, i64)>> {
    let mut query = QueryBuilder::<Postgres>::new("select kind, count(*) from asset");
    push_filter(&mut query, filter);
    query.push(" group by kind");
    Ok(query.build_query_as().fetch_all(tx.conn()).await?)
}

/// For each asset the `limit` relations seen last, whichever end it is, with the asset that asked.
pub(super) async fn relations(tx: &mut TenantTx, ids: &[AssetId], limit: i64) -> Result<Vec<(AssetId, Relation)>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select a.id as "asset!: AssetId", r.id as "id!", r.from_id as "from_id!", r.kind as "kind!: RelationKind",
               r.to_id as "to_id!", r.source as "source!", r.first_seen as "first_seen!", r.last_seen as "last_seen!"
           from unnest($1::uuid[]) as a(id), lateral (
               select * from (
                   select * from asset_relation where from_id = a.id
                   union all
                   select * from asset_relation where to_id = a.id) as both_ways
               order by last_seen desc, id desc limit $2) as r
           order by a.id, r.last_seen desc, r.id desc"#,
        &ids,
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    let relation = rows.into_iter().map(|row| {
        let relation = Relation {
            id: row.id.into(),
            from_id: row.from_id.into(),
            kind: row.kind,
            to_id: row.to_id.into(),
            source: row.source,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
        };
        (row.asset, relation)
    });
    Ok(relation.collect())
}

pub(super) async fn relation(tx: &mut TenantTx, id: Uuid) -> Result<Option<Relation>> {
    Ok(sqlx::query_as!(
        Relation,
        r#"select id, from_id, kind as "kind: RelationKind", to_id, source, first_seen, last_seen
           from asset_relation where id = $1"#,
        id,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// For each asset the last `limit` lines of its history, newest first.
pub(super) async fn history(tx: &mut TenantTx, ids: &[AssetId], limit: i64) -> Result<Vec<(AssetId, Change)>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select c.asset_id as "asset: AssetId", c.at, c.actor, c.summary, c.changes
           from unnest($1::uuid[]) as a(id), lateral (
               select * from asset_change where asset_id = a.id order by id desc limit $2) as c
           order by c.asset_id, c.id desc"#,
        &ids,
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    let change = rows
        .into_iter()
        .map(|row| (row.asset, Change { at: row.at, actor: row.actor, summary: row.summary, changes: row.changes }));
    Ok(change.collect())
}
