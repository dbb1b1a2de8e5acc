//! SQL of deliveries.

use super::{
    Status,
    deliveries::Filter,
    domain::{Attempt, Delivery, KEPT_ATTEMPTS, Told},
    repo::Claimed,
};
use crate::kernel::{Error, Permission, Result, Role, TenantTx};
use chrono::{DateTime, Duration, Utc};
use sqlx::types::Json;
use stance_shared::{ChannelId, DeliveryId, RuleId, Severity, UserId};
use std::collections::HashMap;
use uuid::Uuid;

/// Takes the messages that are due, for `lease`: nobody else sends them meanwhile.
pub(super) async fn claim(tx: &mut TenantTx, limit: i64, lease: Duration) -> Result<Vec<Claimed>> {
    let now = tx.ctx().now();
    let rows = sqlx::query!(
        r#"update notification_delivery d set status = 'WAITING', leased_until = $2, tries = tries + 1
           from (select id from notification_delivery
                 where status in ('HELD', 'WAITING') and due_at <= $1 and (leased_until is null or leased_until <= $1)
                 order by due_at, id limit $3 for update skip locked) due
           where d.id = due.id
           returning d.id as "id: DeliveryId", d.channel_id as channel, d.user_id as "user: UserId", d.tries"#,
        now,
        now + lease,
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Claimed { id: row.id, channel: row.channel, user: row.user, tries: row.tries })
        .collect())
}

/// What messages tell, oldest first.
pub(super) async fn contents(tx: &mut TenantTx, deliveries: &[DeliveryId]) -> Result<HashMap<DeliveryId, Vec<Told>>> {
    let ids: Vec<Uuid> = deliveries.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select c.delivery_id as "delivery: DeliveryId", n.id, n.topic, n.severity, n.title, n.text, n.link, n.permission, n.subject, n.at
           from notification_content c join notice n on n.id = c.notice_id where c.delivery_id = any($1) order by n.at, n.id"#,
        &ids
    )
    .fetch_all(tx.conn())
    .await?;
    let mut contents: HashMap<DeliveryId, Vec<Told>> = HashMap::new();
    for row in rows {
        let (Ok(topic), Ok(permission)) = (row.topic.parse(), row.permission.parse::<Permission>()) else { continue };
        contents.entry(row.delivery).or_default().push(Told {
            id: row.id,
            topic,
            severity: Severity::from_rank(row.severity).unwrap_or(Severity::Info),
            title: row.title,
            text: row.text,
            link: row.link,
            permission,
            subject: row.subject,
            at: row.at,
        });
    }
    Ok(contents)
}

/// A member's address and role, while they are one.
pub(super) async fn addressee(tx: &mut TenantTx, user: UserId) -> Result<Option<(String, Role)>> {
    let row = sqlx::query!(
        "select u.email, m.role from membership m join app_user u on u.id = m.user_id where m.user_id = $1",
        user.0
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.and_then(|row| Some((row.email, row.role.parse().ok()?))))
}

pub(super) async fn organization_name(tx: &mut TenantTx) -> Result<String> {
    Ok(sqlx::query_scalar!("select name from organization").fetch_one(tx.conn()).await?)
}

/// How a delivery goes on.
pub(super) struct Settled<'a> {
    pub status: Status,
    pub due_at: Option<DateTime<Utc>>,
    pub attempt: Option<&'a Attempt>,
    pub reason: Option<&'a str>,
}

/// Notes an attempt and what comes after. Without effect when somebody else settled it: its lease was over.
pub(super) async fn settle(tx: &mut TenantTx, id: DeliveryId, tries: i16, settled: Settled<'_>) -> Result<bool> {
    let now = tx.ctx().now();
    let finished = (!matches!(settled.status, Status::Waiting | Status::Held)).then_some(now);
    let attempt = settled.attempt.map(serde_json::to_value).transpose().map_err(Error::internal)?;
    let done = sqlx::query!(
        "update notification_delivery d
         set status = $3, due_at = coalesce($4, due_at), leased_until = null, finished_at = $5, reason = $6,
             attempts = case when $7::jsonb is null then attempts
                 when jsonb_array_length(attempts) >= $8 then (attempts - 0) || $7::jsonb else attempts || $7::jsonb end
         where id = $1 and tries = $2 and status = 'WAITING'",
        id.0,
        tries,
        settled.status.as_str(),
        settled.due_at,
        finished,
        settled.reason,
        attempt,
        i32::try_from(KEPT_ATTEMPTS).unwrap_or(i32::MAX)
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Writes down a test that was made already.
pub(super) async fn insert_test(
    tx: &mut TenantTx,
    id: DeliveryId,
    channel: ChannelId,
    user: Option<UserId>,
    attempt: &Attempt,
) -> Result<()> {
    let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
    let status = if attempt.is_success() { Status::Delivered } else { Status::Dead };
    sqlx::query!(
        "insert into notification_delivery (tenant_id, id, channel_id, user_id, status, due_at, tries, attempts, reason, created_at, finished_at)
         values ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, $6)",
        tenant,
        id.0,
        channel.0,
        user.map(|user| user.0),
        status.as_str(),
        now,
        Json(vec![attempt]) as _,
        attempt.error.as_deref(),
        attempt.at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Messages, newest first.
pub(super) async fn list(
    tx: &mut TenantTx,
    filter: &Filter,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Delivery>> {
    let statuses: Option<Vec<&str>> =
        (!filter.statuses.is_empty()).then(|| filter.statuses.iter().map(|status| status.as_str()).collect());
    let (at, id) = after.unzip();
    let rows = sqlx::query!(
        r#"select id as "id: DeliveryId", channel_id as "channel: ChannelId", rule_id as "rule: RuleId", user_id as "user: UserId",
               status as "status: Status", due_at, attempts as "attempts: Json<Vec<Attempt>>", reason, created_at, finished_at
           from notification_delivery
           where ($1::uuid is null or channel_id = $1) and ($2::text[] is null or status = any($2)) and ($6::uuid is null or id = $6)
             and ($3::timestamptz is null or (created_at, id) < ($3, $4))
           order by created_at desc, id desc limit $5"#,
        filter.channel.map(|channel| channel.0),
        statuses.as_deref() as Option<&[&str]>,
        at,
        id,
        limit,
        filter.id.map(|id| id.0)
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Delivery {
            id: row.id,
            channel: row.channel,
            rule: row.rule,
            user: row.user,
            status: row.status,
            due_at: row.due_at,
            attempts: row.attempts.0,
            reason: row.reason,
            created_at: row.created_at,
            finished_at: row.finished_at,
        })
        .collect())
}

pub(super) async fn count(tx: &mut TenantTx, filter: &Filter) -> Result<i64> {
    let statuses: Option<Vec<&str>> =
        (!filter.statuses.is_empty()).then(|| filter.statuses.iter().map(|status| status.as_str()).collect());
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "count!" from notification_delivery
           where ($1::uuid is null or channel_id = $1) and ($2::text[] is null or status = any($2)) and ($3::uuid is null or id = $3)"#,
        filter.channel.map(|channel| channel.0),
        statuses.as_deref() as Option<&[&str]>,
        filter.id.map(|id| id.0)
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Sends a message again that was given up. False: it was not.
pub(super) async fn replay(tx: &mut TenantTx, id: DeliveryId) -> Result<bool> {
    let now = tx.ctx().now();
    let done = sqlx::query!(
        "update notification_delivery set status = 'WAITING', due_at = $2, tries = 0, finished_at = null, reason = null
         where id = $1 and status in ('DEAD', 'DROPPED') and rule_id is not null",
        id.0,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}
