//! The audit log's SQL.

use super::{chain::Row, service::Filter};
use futures::{Stream, TryStreamExt as _};
use sqlx::{PgConnection, QueryBuilder, Row as _};
use uuid::Uuid;

/// Number and hash of a tenant's last entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub sequence: i64,
    pub hash: Vec<u8>,
}

/// Locks the tenant's head until the transaction ends; makes it when there is none.
pub async fn lock_head(conn: &mut PgConnection, tenant: Uuid, genesis: &[u8]) -> Result<Head, sqlx::Error> {
    sqlx::query_as!(
        Head,
        "insert into audit_head (tenant_id, sequence, hash) values ($1, 0, $2)
         on conflict (tenant_id) do update set sequence = audit_head.sequence
         returning sequence, hash",
        tenant,
        genesis,
    )
    .fetch_one(conn)
    .await
}

/// Appends an entry and moves the head to it.
pub async fn append(conn: &mut PgConnection, row: &Row) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "with head as (update audit_head set sequence = $2, hash = $13 where tenant_id = $1)
         insert into audit_entry (tenant_id, sequence, at, actor_kind, actor_id, actor, action, target_kind, target_id,
                                  request_id, detail, previous, hash)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        row.tenant_id,
        row.sequence,
        row.at,
        row.actor_kind,
        row.actor_id,
        row.actor,
        row.action,
        row.target_kind,
        row.target_id,
        row.request_id,
        row.detail,
        row.previous,
        row.hash,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A tenant's entries in order, one at a time, each with the head of the same snapshot: the `newest` up to the head, and
/// whatever stands behind it.
pub fn stream(
    conn: &mut PgConnection,
    tenant: Uuid,
    newest: i64,
) -> impl Stream<Item = Result<(Row, Option<Head>), sqlx::Error>> {
    sqlx::query!(
        r#"select tenant_id, sequence, at, actor_kind, actor_id, actor, action, target_kind, target_id, request_id,
                  detail, previous, hash,
                  (select h.sequence from audit_head h where h.tenant_id = $1) as head_sequence,
                  (select h.hash from audit_head h where h.tenant_id = $1) as head_hash
           from audit_entry
           where tenant_id = $1
             and sequence > (select coalesce(max(h.sequence), 0) - $2 from audit_head h where h.tenant_id = $1)
           order by sequence"#,
        tenant,
        newest,
    )
    .fetch(conn)
    .map_ok(|row| {
        let head = row.head_sequence.zip(row.head_hash).map(|(sequence, hash)| Head { sequence, hash });
        let row = Row {
            tenant_id: row.tenant_id,
            sequence: row.sequence,
            at: row.at,
            actor_kind: row.actor_kind,
            actor_id: row.actor_id,
            actor: row.actor,
            action: row.action,
            target_kind: row.target_kind,
            target_id: row.target_id,
            request_id: row.request_id,
            detail: row.detail,
            previous: row.previous,
            hash: row.hash,
        };
        (row, head)
    })
}

/// The head of a tenant for whom [`stream`] gives nothing (as of this statement).
pub async fn head_without_entries(
    conn: &mut PgConnection,
    tenant: Uuid,
    newest: i64,
) -> Result<Option<Head>, sqlx::Error> {
    sqlx::query_as!(
        Head,
        "select sequence, hash from audit_head h
         where tenant_id = $1
           and not exists (select from audit_entry e where e.tenant_id = $1 and e.sequence > h.sequence - $2::int8)",
        tenant,
        newest,
    )
    .fetch_optional(conn)
    .await
}

/// Organizations after `after` in order of id, at most 500.
pub async fn organizations(conn: &mut PgConnection, after: Uuid) -> Result<Vec<(Uuid, String)>, sqlx::Error> {
    let rows = sqlx::query!(
        "select tenant_id, name from organization where tenant_id > $1 order by tenant_id limit 500",
        after
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.tenant_id, row.name)).collect())
}

fn filtered(select: &'static str, filter: &Filter) -> QueryBuilder<sqlx::Postgres> {
    let mut query = QueryBuilder::new(select);
    query.push(" where true");
    if let Some(action) = &filter.action {
        query.push(" and action = ").push_bind(action);
    }
    if let Some(actor) = &filter.actor {
        query.push(" and actor = ").push_bind(actor);
    }
    query
}

/// The transaction's tenant's entries, newest first, those before `before`.
pub async fn list(
    conn: &mut PgConnection,
    filter: &Filter,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<super::Recorded>, sqlx::Error> {
    let mut query = filtered(
        "select sequence, at, actor, action, target_kind, target_id, request_id, detail, hash from audit_entry",
        filter,
    );
    if let Some(before) = before {
        query.push(" and sequence < ").push_bind(before);
    }
    query.push(" order by sequence desc limit ").push_bind(limit);
    let rows = query.build().fetch_all(conn).await?;
    rows.into_iter()
        .map(|row| {
            Ok(super::Recorded {
                sequence: row.try_get("sequence")?,
                at: row.try_get("at")?,
                actor: row.try_get("actor")?,
                action: row.try_get("action")?,
                target_kind: row.try_get("target_kind")?,
                target_id: row.try_get("target_id")?,
                request_id: row.try_get("request_id")?,
                detail: row.try_get("detail")?,
                hash: row.try_get("hash")?,
            })
        })
        .collect()
}

/// How many of the transaction's tenant's entries the filter lets through.
pub async fn count(conn: &mut PgConnection, filter: &Filter) -> Result<i64, sqlx::Error> {
    filtered("select count(*) from audit_entry", filter).build_query_scalar().fetch_one(conn).await
}
