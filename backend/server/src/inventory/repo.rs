//! The inventory's SQL.

use super::{Asset, Change, Filter, Key, Named, Relation, Sort};
use crate::kernel::{Result, TenantTx, page::Page};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow as _, Postgres, QueryBuilder, Row as _, types::Json};
use stance_importers::AssetRef;
use stance_shared::{AssetId, AssetKind, RelationKind};
use std::collections::HashMap;
use uuid::Uuid;

const COLUMNS: &str = "id, kind, external_key, name, owner, environment, exposure, criticality, lifecycle, tags, \
    attributes, first_seen, last_seen, risk";

/// [`COLUMNS`] of the asset called `name` in the query.
fn columns_of(name: &str) -> String {
    COLUMNS.split(", ").map(|column| format!("{name}.{column}")).collect::<Vec<_>>().join(", ")
}

/// The assets with these ids, under the id that was asked for: that of an alias gives the asset that it became part of.
pub(super) async fn by_ids(tx: &mut TenantTx, ids: &[AssetId]) -> Result<Vec<(AssetId, Asset)>> {
    let mut query = QueryBuilder::<Postgres>::new("select named.id as asked, ");
    query.push(columns_of("a")).push(" from asset named join asset a on a.id = named.root_id where named.id = any(");
    query.push_bind(ids.to_vec()).push(")");
    let rows = query.build().fetch_all(tx.conn()).await?;
    rows.iter().map(|row| Ok((row.try_get("asked")?, Asset::from_row(row)?))).collect()
}

/// Keeps what keys mean as it is until the transaction ends: nothing is merged or split meanwhile.
pub(super) async fn hold_keys(tx: &mut TenantTx) -> Result<()> {
    let tenant = tx.ctx().tenant.0.to_string();
    sqlx::query!("select pg_advisory_xact_lock_shared(hashtextextended('keys:' || $1::text, 0))", tenant)
        .fetch_one(tx.conn())
        .await?;
    Ok(())
}

/// A key and what it means.
pub(super) struct Known {
    pub key: AssetRef,
    /// The asset whose key it is.
    pub said: AssetId,
    /// What that became part of, or the same.
    pub asset: Asset,
}

/// What these keys mean; unknown ones are left out. The assets are locked in the order of their keys, so that two upserts never
/// wait for each other.
pub(super) async fn lock_by_keys(tx: &mut TenantTx, keys: &[AssetRef]) -> Result<Vec<Known>> {
    let (kinds, names) = columns(keys);
    let mut query = QueryBuilder::<Postgres>::new(
        "with named as materialized (select kind, key, asset_identity(kind, key) as identity from unnest(",
    );
    query.push_bind(kinds).push(", ").push_bind(names);
    query.push("::text[]) n(kind, key)) select n.key as named, s.id as said, ");
    query.push(columns_of("a"));
    query.push(
        " from named n join asset s on s.kind = n.kind and s.identity = n.identity
         join asset a on a.id = s.root_id order by a.kind, a.identity for update of a",
    );
    let rows = query.build().fetch_all(tx.conn()).await?;
    rows.iter()
        .map(|row| {
            let asset = Asset::from_row(row)?;
            let key = AssetRef { kind: asset.kind, key: row.try_get("named")? };
            Ok(Known { key, said: row.try_get("said")?, asset })
        })
        .collect()
}

fn columns(keys: &[AssetRef]) -> (Vec<AssetKind>, Vec<String>) {
    keys.iter().map(|asset| (asset.kind, asset.key.clone())).unzip()
}

/// What these keys mean; unknown ones are left out.
pub(super) async fn by_keys(tx: &mut TenantTx, keys: &[AssetRef]) -> Result<Vec<(AssetRef, Named)>> {
    let (kinds, names) = columns(keys);
    let rows = sqlx::query!(
        r#"select n.kind as "kind!: AssetKind", n.key as "key!", s.id as "said: AssetId", s.root_id as "asset!: AssetId"
           from (select kind, key, asset_identity(kind, key) as identity from unnest($1::text[], $2::text[]) k(kind, key)) n
           join asset s on s.kind = n.kind and s.identity = n.identity"#,
        &kinds as &[AssetKind],
        &names,
    )
    .fetch_all(tx.conn())
    .await?;
    let named = rows
        .into_iter()
        .map(|row| (AssetRef { kind: row.kind, key: row.key }, Named { said: row.said, asset: row.asset }));
    Ok(named.collect())
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
           on conflict (tenant_id, kind, identity) do nothing
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

/// Writes relations between the assets that were named; known ones are seen again. Returns what the ends "from" of new ones mean.
pub(super) async fn relate(
    tx: &mut TenantTx,
    relations: &[(Named, RelationKind, Named)],
    source: &str,
) -> Result<Vec<AssetId>> {
    let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
    let ids: Vec<Uuid> = relations.iter().map(|_| tx.ctx().new_id()).collect();
    let from: Vec<Uuid> = relations.iter().map(|(from, ..)| from.said.0).collect();
    let kinds: Vec<RelationKind> = relations.iter().map(|(_, kind, _)| *kind).collect();
    let to: Vec<Uuid> = relations.iter().map(|(.., to)| to.said.0).collect();
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
    let means: HashMap<AssetId, AssetId> = relations.iter().map(|(from, ..)| (from.said, from.asset)).collect();
    Ok(new.into_iter().flatten().filter_map(|said| means.get(&said).copied()).collect())
}

fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    query.push(" where merged_into is null");
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
        let kinds: Vec<String> = AssetKind::WORDS.iter().map(|&word| word.to_owned()).collect();
        query.push(
            " and id in (select s.root_id from asset s where (s.kind, s.identity) in
                (select k, asset_identity(k, ",
        );
        query.push_bind(key.clone()).push(") from unnest(").push_bind(kinds).push("::text[]) k))");
    }
    if let Some(pattern) = &filter.search {
        query.push(" and (name ilike ").push_bind(pattern.clone());
        query.push(" or external_key ilike ").push_bind(pattern.clone());
        query
            .push(" or id in (select s.root_id from asset s where s.merged_into is not null and s.external_key ilike ");
        query.push_bind(pattern.clone()).push("))");
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
        Sort::Risk => "risk_order",
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

/// For each asset the `limit` relations seen last, whichever end it or an alias of it is, with the asset that asked.
pub(super) async fn relations(tx: &mut TenantTx, ids: &[AssetId], limit: i64) -> Result<Vec<(AssetId, Relation)>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select a.id as "asset!: AssetId", r.id as "id!", r.from_id as "from_id!", r.kind as "kind!: RelationKind",
               r.to_id as "to_id!", r.source as "source!", r.first_seen as "first_seen!", r.last_seen as "last_seen!"
           from unnest($1::uuid[]) as a(id), lateral (
               select * from (
                   select distinct on (e.from_id, e.kind, e.to_id) e.* from asset_edge() e
                   where e.id in (
                       select r.id from asset m join asset_relation r on r.from_id = m.id where m.id = a.id or m.merged_into = a.id
                       union all
                       select r.id from asset m join asset_relation r on r.to_id = m.id where m.id = a.id or m.merged_into = a.id)
                   order by e.from_id, e.kind, e.to_id, e.last_seen desc, e.id desc) as once
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
        r#"select id as "id!", from_id as "from_id!", kind as "kind!: RelationKind", to_id as "to_id!", source as "source!",
               first_seen as "first_seen!", last_seen as "last_seen!"
           from asset_edge() where id = $1"#,
        id,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// For each asset the last `limit` lines of its history and that of its aliases, newest first.
pub(super) async fn history(tx: &mut TenantTx, ids: &[AssetId], limit: i64) -> Result<Vec<(AssetId, Change)>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select a.id as "asset!: AssetId", c.at, c.actor, c.summary, c.changes
           from unnest($1::uuid[]) as a(id), lateral (
               select * from asset_change where asset_id in (select m.id from asset m where m.root_id = a.id)
               order by id desc limit $2) as c
           order by a.id, c.id desc"#,
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
