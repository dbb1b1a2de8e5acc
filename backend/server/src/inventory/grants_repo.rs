//! SQL of grants.

use super::grants::Grant;
use crate::kernel::{Result, TenantTx};
use stance_shared::{AssetId, RelationId};
use uuid::Uuid;

pub(super) async fn of(tx: &mut TenantTx, agents: &[AssetId]) -> Result<Vec<Grant>> {
    let agents: Vec<Uuid> = agents.iter().map(|id| id.0).collect();
    Ok(sqlx::query_as!(
        Grant,
        r#"select r.id as "id: RelationId", r.from_id as "agent: AssetId", a.name as agent_name, r.to_id as "tool: AssetId",
                  t.name as tool_name, r.source, r.first_seen, r.last_seen
           from asset_relation r
           join asset a on a.tenant_id = r.tenant_id and a.id = r.from_id
           join asset t on t.tenant_id = r.tenant_id and t.id = r.to_id
           where r.kind = 'MAY_CALL' and r.from_id = any(array(select m.id from asset m where m.root_id = any($1)))
           order by a.name, t.name, r.id"#,
        &agents
    )
    .fetch_all(tx.conn())
    .await?)
}

pub(super) async fn revoke(tx: &mut TenantTx, grants: &[Grant]) -> Result<()> {
    let ids: Vec<Uuid> = grants.iter().map(|grant| grant.id.0).collect();
    sqlx::query!("delete from asset_relation where id = any($1)", &ids).execute(tx.conn()).await?;
    dirty(tx, grants).await
}

pub(super) async fn restore(tx: &mut TenantTx, grants: &[Grant]) -> Result<()> {
    let tenant = tx.ctx().tenant.0;
    for grant in grants {
        sqlx::query!(
            "insert into asset_relation (tenant_id, id, from_id, kind, to_id, source, first_seen, last_seen)
             values ($1, $2, $3, 'MAY_CALL', $4, $5, $6, $7) on conflict do nothing",
            tenant,
            grant.id.0,
            grant.agent.0,
            grant.tool.0,
            grant.source,
            grant.first_seen,
            grant.last_seen
        )
        .execute(tx.conn())
        .await?;
    }
    dirty(tx, grants).await
}

/// What an agent may call counts in its risk.
async fn dirty(tx: &mut TenantTx, grants: &[Grant]) -> Result<()> {
    let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
    let agents: Vec<Uuid> = grants.iter().map(|grant| grant.agent.0).collect();
    sqlx::query!(
        "insert into score_dirty (tenant_id, asset_id, since) select distinct $1::uuid, id, $3::timestamptz from unnest($2::uuid[]) id
         on conflict do nothing",
        tenant,
        &agents,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
