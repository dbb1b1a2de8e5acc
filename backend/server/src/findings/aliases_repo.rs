//! The SQL of moving findings between assets that are merged or split. Set-based; each statement is an index scan over the assets'
//! findings. Ids that statements make begin like those of the clock, so that they are ordered by time.

use crate::{
    inventory::Asset,
    kernel::{Result, TenantTx},
};
use stance_shared::AssetId;

/// Begins every id that a statement makes.
fn prefix(tx: &TenantTx) -> String {
    tx.ctx().new_id().to_string().chars().take(15).collect()
}

/// The same problem on both assets becomes one finding, `keep`'s. It has the occurrences, decisions and history of both.
///
/// * It is active when one of them was. When only one was, that one's decision and content stand.
/// * Otherwise the stricter decision stands, in this order: none (open), in progress, accepted until the earlier day, accepted until the
///   later one, false positive. So a merge hides nothing that somebody saw.
/// * Of the content, the more severe one stands.
///
/// Returns how many there were.
pub(super) async fn meet(tx: &mut TenantTx, keep: &Asset, other: &Asset) -> Result<u64> {
    let (now, actor, prefix) = (tx.ctx().now(), tx.ctx().actor.label().to_owned(), prefix(tx));
    // In the order of their ids, like triage, so that neither waits for the other.
    sqlx::query!("select id from finding where asset_id in ($1, $2) order by id for update", keep.id.0, other.id.0)
        .fetch_all(tx.conn())
        .await?;
    sqlx::raw_sql(
        "create temporary table if not exists met (keep uuid primary key, gone uuid not null unique) on commit drop;
         truncate met",
    )
    .execute(tx.conn())
    .await?;
    let met = sqlx::query(
        "insert into met select k.id, o.id from finding k join finding o using (fingerprint) where k.asset_id = $1 and o.asset_id = $2",
    )
    .bind(keep.id)
    .bind(other.id)
    .execute(tx.conn())
    .await?
    .rows_affected();
    if met == 0 {
        return Ok(0);
    }
    sqlx::query("update occurrence o set finding_id = met.keep from met where o.finding_id = met.gone")
        .execute(tx.conn())
        .await?;
    // What one of them has of the other since they were split.
    sqlx::query(
        "delete from finding_event e using met
         where e.finding_id = met.gone and exists (select from finding_event k where k.finding_id = met.keep and k.id = e.id)",
    )
    .execute(tx.conn())
    .await?;
    sqlx::query("update finding_event e set finding_id = met.keep from met where e.finding_id = met.gone")
        .execute(tx.conn())
        .await?;
    sqlx::query("update decision d set finding_id = met.keep from met where d.finding_id = met.gone")
        .execute(tx.conn())
        .await?;
    sqlx::query(
        "with side as (
             select met.keep, f.*, f.id = met.keep as own,
                 array_position(array['IN_PROGRESS', 'RISK_ACCEPTED', 'FALSE_POSITIVE'], f.decision_kind) as hidden, d.expires_at
             from met join finding f on f.id in (met.keep, met.gone) left join decision d on d.id = f.decision_id
         ), decided as (
             select distinct on (keep) keep, decision_id, decision_kind from side
             order by keep, active desc, coalesce(hidden, 0), expires_at, own desc
         ), said as (
             select distinct on (keep) * from side order by keep, active desc, severity, own desc
         ), whole as (
             select keep, bool_or(active) as active, max(resolved_at) as resolved_at, min(first_seen) as first_seen,
                 (array_agg(first_report_id order by first_seen, own desc))[1] as first_report_id,
                 (array_agg(assignee_id order by own desc) filter (where assignee_id is not null))[1] as assignee_id
             from side group by keep
         )
         update finding f set layer = s.layer, severity = s.severity, score = s.score, attack_success_rate = s.attack_success_rate,
             rule = s.rule, title = s.title, description = s.description, remediation = s.remediation, categories = s.categories,
             base_risk = s.base_risk, risk = s.risk, active = w.active, resolved_at = case when w.active then null else w.resolved_at end,
             first_seen = w.first_seen, first_report_id = w.first_report_id, assignee_id = w.assignee_id,
             decision_id = d.decision_id, decision_kind = d.decision_kind
         from said s join decided d using (keep) join whole w using (keep) where f.id = s.keep",
    )
    .execute(tx.conn())
    .await?;
    sqlx::query("delete from finding f using met where f.id = met.gone").execute(tx.conn()).await?;
    sqlx::query(
        "insert into finding_event (tenant_id, finding_id, id, at, kind, actor, summary)
         select $1, keep, overlay(gen_random_uuid()::text placing $2 from 1)::uuid, $3, 'UPDATED', $4, $5 from met",
    )
    .bind(tx.ctx().tenant)
    .bind(prefix)
    .bind(now)
    .bind(actor)
    .bind(format!("One with the same finding of {}; the stricter decision counts", other.name))
    .execute(tx.conn())
    .await?;
    Ok(met)
}

/// Gives `keep` the other's findings. Returns how many.
pub(super) async fn take_over(tx: &mut TenantTx, keep: AssetId, other: AssetId) -> Result<u64> {
    let moved = sqlx::query!("update finding set asset_id = $1 where asset_id = $2", keep.0, other.0);
    Ok(moved.execute(tx.conn()).await?.rows_affected())
}

/// Findings that scans of `alias` report and others too become two: a copy, with decisions and history, takes the alias's
/// occurrences with it. What is then reported by none is resolved. Returns how many there were.
pub(super) async fn divide(tx: &mut TenantTx, asset: &Asset, alias: &Asset) -> Result<u64> {
    let (now, actor, prefix) = (tx.ctx().now(), tx.ctx().actor.label().to_owned(), prefix(tx));
    let tenant = tx.ctx().tenant;
    sqlx::query!("select id from finding where asset_id = $1 order by id for update", asset.id.0)
        .fetch_all(tx.conn())
        .await?;
    sqlx::raw_sql(
        "create temporary table shared (finding_id uuid primary key, copy_id uuid not null) on commit drop;
         create temporary table copied (decision_id uuid primary key, copy_id uuid not null) on commit drop",
    )
    .execute(tx.conn())
    .await?;
    let shared = sqlx::query(
        "insert into shared
         select f.id, overlay(gen_random_uuid()::text placing $3 from 1)::uuid
         from finding f join occurrence o on o.finding_id = f.id join scan s on s.id = o.scan_id
         where f.asset_id = $1 group by f.id having bool_or(s.asset_id = $2) and bool_or(s.asset_id <> $2)",
    )
    .bind(asset.id)
    .bind(alias.id)
    .bind(&prefix)
    .execute(tx.conn())
    .await?
    .rows_affected();
    if shared == 0 {
        return Ok(0);
    }
    sqlx::query(
        "insert into finding (tenant_id, id, fingerprint, asset_id, layer, severity, score, attack_success_rate, rule, title, description,
             remediation, categories, base_risk, risk, first_seen, first_report_id, active, resolved_at, assignee_id)
         select tenant_id, copy_id, fingerprint, $1, layer, severity, score, attack_success_rate, rule, title, description,
             remediation, categories, base_risk, risk, first_seen, first_report_id, active, resolved_at, assignee_id
         from finding f join shared on shared.finding_id = f.id",
    )
    .bind(alias.id)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "insert into copied select d.id, overlay(gen_random_uuid()::text placing left(d.id::text, 18) from 1)::uuid
         from decision d join shared using (finding_id)",
    )
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "insert into decision (tenant_id, id, finding_id, kind, reason, expires_at, approver_id, origin, decided_by, decided_at, undone_at)
         select tenant_id, copied.copy_id, shared.copy_id, kind, reason, expires_at, approver_id, origin, decided_by, decided_at, undone_at
         from decision d join copied on copied.decision_id = d.id join shared using (finding_id)",
    )
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "update finding f set decision_id = copied.copy_id, decision_kind = o.decision_kind
         from shared join finding o on o.id = shared.finding_id join copied using (decision_id) where f.id = shared.copy_id",
    )
    .execute(tx.conn())
    .await?;
    // Acts on the one that stays are undone there only.
    sqlx::query(
        "insert into finding_event (tenant_id, finding_id, id, at, kind, actor, summary, comment, report_id)
         select tenant_id, copy_id, id, at, kind, actor, summary, comment, report_id from finding_event join shared using (finding_id)",
    )
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "update occurrence o set finding_id = shared.copy_id from shared, scan s
         where o.finding_id = shared.finding_id and s.id = o.scan_id and s.asset_id = $1",
    )
    .bind(alias.id)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "update finding f set active = now.active, resolved_at = case when now.active then null else coalesce(f.resolved_at, $1) end
         from (
             select o.finding_id as id, bool_or(o.absent_since is null) as active from occurrence o
             where o.finding_id in (select finding_id from shared union select copy_id from shared) group by 1
         ) now
         where f.id = now.id and f.active <> now.active",
    )
    .bind(now)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "insert into finding_event (tenant_id, finding_id, id, at, kind, actor, summary)
         select $1, n.id, overlay(gen_random_uuid()::text placing $2 from 1)::uuid, $3, 'UPDATED', $4, n.summary
         from shared, lateral (values (finding_id, $5), (copy_id, $6)) n(id, summary)",
    )
    .bind(tenant)
    .bind(prefix)
    .bind(now)
    .bind(actor)
    .bind(format!("Split: {} has it too", alias.name))
    .bind(format!("Split from {}", asset.name))
    .execute(tx.conn())
    .await?;
    Ok(shared)
}

/// Gives the alias the findings that its scans report. Returns how many.
pub(super) async fn give_back(tx: &mut TenantTx, asset: AssetId, alias: AssetId) -> Result<u64> {
    let moved = sqlx::query!(
        "update finding f set asset_id = $2
         where f.asset_id = $1 and exists (select from occurrence o join scan s on s.id = o.scan_id
             where o.finding_id = f.id and s.asset_id = $2)",
        asset.0,
        alias.0,
    );
    Ok(moved.execute(tx.conn()).await?.rows_affected())
}
