//! Writing decisions, assignees and history, and reading what an undo needs.

use crate::kernel::{Result, Role, TenantTx};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use stance_shared::{BatchId, DecisionKind, FindingId, UserId};
use std::collections::BTreeSet;
use uuid::Uuid;

/// What triage changes of a finding; also what its history keeps as "before" and "after".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Current {
    pub id: Uuid,
    pub asset_id: Uuid,
    pub decision_id: Option<Uuid>,
    pub decision_kind: Option<DecisionKind>,
    pub assignee_id: Option<Uuid>,
}

pub(super) struct NewDecision {
    pub id: Uuid,
    pub finding_id: Uuid,
    pub kind: DecisionKind,
}

/// Locks findings, in the order of their ids, so that two acts never wait for each other.
pub(super) async fn lock(tx: &mut TenantTx, ids: &BTreeSet<FindingId>) -> Result<Vec<Current>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    Ok(sqlx::query_as!(
        Current,
        r#"select id, asset_id, decision_id, decision_kind as "decision_kind: DecisionKind", assignee_id
           from finding where id = any($1) order by id for update"#,
        &ids,
    )
    .fetch_all(tx.conn())
    .await?)
}

pub(super) async fn role_of(tx: &mut TenantTx, user: UserId) -> Result<Option<Role>> {
    let role = sqlx::query_scalar!("select role from membership where user_id = $1", user.0);
    Ok(role.fetch_optional(tx.conn()).await?.and_then(|role| role.parse().ok()))
}

/// The address of a member.
pub(super) async fn email_of(tx: &mut TenantTx, user: UserId) -> Result<Option<String>> {
    let email = sqlx::query_scalar!(
        "select u.email from membership m join app_user u on u.id = m.user_id where m.user_id = $1",
        user.0,
    );
    Ok(email.fetch_optional(tx.conn()).await?)
}

pub(super) async fn insert_decisions(
    tx: &mut TenantTx,
    decisions: &[NewDecision],
    reason: &str,
    expires_at: Option<DateTime<Utc>>,
    approver: Option<UserId>,
) -> Result<()> {
    if decisions.is_empty() {
        return Ok(());
    }
    let (tenant, now, actor) = (tx.ctx().tenant.0, tx.ctx().now(), tx.ctx().actor.label().to_owned());
    let ids: Vec<Uuid> = decisions.iter().map(|decision| decision.id).collect();
    let findings: Vec<Uuid> = decisions.iter().map(|decision| decision.finding_id).collect();
    let kinds: Vec<DecisionKind> = decisions.iter().map(|decision| decision.kind).collect();
    sqlx::query!(
        "insert into decision (tenant_id, id, finding_id, kind, reason, expires_at, approver_id, decided_by, decided_at)
         select $1, d.id, d.finding_id, d.kind, $5, $6, $7, $8, $9
         from unnest($2::uuid[], $3::uuid[], $4::text[]) as d(id, finding_id, kind)",
        tenant,
        &ids,
        &findings,
        &kinds as &[DecisionKind],
        reason,
        expires_at,
        approver.map(|user| user.0),
        actor,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn update(tx: &mut TenantTx, after: &[&Current]) -> Result<()> {
    sqlx::query!(
        "update finding set decision_id = r.decision_id, decision_kind = r.decision_kind, assignee_id = r.assignee_id
         from jsonb_to_recordset($1) as r(id uuid, decision_id uuid, decision_kind text, assignee_id uuid)
         where finding.id = r.id",
        Json(after) as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn insert_events(
    tx: &mut TenantTx,
    kind: &str,
    summary: &str,
    comment: Option<&str>,
    batch: BatchId,
    changes: &[(Current, Current)],
) -> Result<()> {
    #[derive(Serialize)]
    struct Row<'a> {
        id: Uuid,
        finding_id: Uuid,
        before: &'a Current,
        after: &'a Current,
    }
    let (tenant, now, actor) = (tx.ctx().tenant.0, tx.ctx().now(), tx.ctx().actor.label().to_owned());
    let ctx = tx.ctx();
    let rows: Vec<Row<'_>> =
        changes.iter().map(|(before, after)| Row { id: ctx.new_id(), finding_id: before.id, before, after }).collect();
    sqlx::query!(
        "insert into finding_event (tenant_id, finding_id, id, at, kind, actor, summary, comment, batch_id, before, after)
         select $1, r.finding_id, r.id, $2, $3, $4, $5, $6, $7, r.before, r.after
         from jsonb_to_recordset($8) as r(id uuid, finding_id uuid, before jsonb, after jsonb)",
        tenant,
        now,
        kind,
        actor,
        summary,
        comment,
        batch.0,
        Json(&rows) as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The findings that a batch changed.
pub(super) async fn of_batch(tx: &mut TenantTx, batch: BatchId) -> Result<Vec<Uuid>> {
    let ids = sqlx::query_scalar!(
        "select finding_id from finding_event where batch_id = $1 and kind in ('DECIDED', 'ASSIGNED', 'COMMENTED')
         order by id",
        batch.0,
    );
    Ok(ids.fetch_all(tx.conn()).await?)
}

/// What the batch's findings were before it, where nothing newer of the kind happened. An acceptance that has expired in
/// the meantime is not restored: the finding is then open.
pub(super) async fn restorable(tx: &mut TenantTx, batch: BatchId, now: DateTime<Utc>) -> Result<Vec<Current>> {
    Ok(sqlx::query_as!(
        Current,
        r#"select f.id, f.asset_id,
               case when e.kind = 'ASSIGNED' then f.decision_id when old.expires_at <= $2 then null else old.id end
                   as decision_id,
               case when e.kind = 'ASSIGNED' then f.decision_kind when old.expires_at <= $2 then null else old.kind end
                   as "decision_kind: DecisionKind",
               case when e.kind = 'ASSIGNED' then (e.before->>'assignee_id')::uuid else f.assignee_id end
                   as assignee_id
           from finding_event e
           join finding f on f.id = e.finding_id
           left join decision old on old.id = (e.before->>'decision_id')::uuid
           where e.batch_id = $1
             and ((e.kind = 'DECIDED' and f.decision_id is not distinct from (e.after->>'decision_id')::uuid)
               or (e.kind = 'ASSIGNED' and f.assignee_id is not distinct from (e.after->>'assignee_id')::uuid))
             and not exists (
                 select from finding_event n
                 where n.finding_id = e.finding_id and n.id > e.id
                   and (e.kind = 'DECIDED' and n.kind in ('DECIDED', 'EXPIRED')
                     or e.kind = 'ASSIGNED' and n.kind = 'ASSIGNED'
                     or n.kind = 'UNDONE'
                        and case when e.kind = 'ASSIGNED' then n.before->'assignee_id' is distinct from n.after->'assignee_id'
                            else n.before->'decision_id' is distinct from n.after->'decision_id' end))"#,
        batch.0,
        now,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Notes on the batch's decisions that they were taken back.
pub(super) async fn mark_undone(tx: &mut TenantTx, batch: BatchId, findings: &[Uuid]) -> Result<()> {
    let now = tx.ctx().now();
    sqlx::query!(
        "update decision set undone_at = $3 from finding_event e
         where e.batch_id = $1 and e.finding_id = any($2) and decision.id = (e.after->>'decision_id')::uuid",
        batch.0,
        findings,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Findings whose acceptance in force has expired.
pub(super) async fn due(tx: &mut TenantTx, now: DateTime<Utc>) -> Result<Vec<Uuid>> {
    let ids = sqlx::query_scalar!(
        "select f.id from decision d join finding f on f.id = d.finding_id and f.decision_id = d.id
         where d.expires_at <= $1 and d.undone_at is null order by d.expires_at limit 500",
        now,
    );
    Ok(ids.fetch_all(tx.conn()).await?)
}

/// Those of the locked findings whose acceptance in force has still expired.
pub(super) async fn still_due(tx: &mut TenantTx, locked: &[Current], now: DateTime<Utc>) -> Result<Vec<Uuid>> {
    let ids: Vec<Uuid> = locked.iter().filter_map(|finding| finding.decision_id).collect();
    let due = sqlx::query_scalar!("select finding_id from decision where id = any($1) and expires_at <= $2", &ids, now);
    Ok(due.fetch_all(tx.conn()).await?)
}
