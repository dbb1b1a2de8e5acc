//! SQL of rules.

use super::domain::{Quiet, Rule};
use crate::kernel::{Result, TenantTx};
use chrono::NaiveTime;
use stance_shared::{ChannelId, RuleId, Severity, UserId};
use uuid::Uuid;

/// All rules that are not deleted, or those of these ids, by name.
pub(super) async fn list(tx: &mut TenantTx, ids: Option<&[RuleId]>) -> Result<Vec<Rule>> {
    let ids: Option<Vec<Uuid>> = ids.map(|ids| ids.iter().map(|id| id.0).collect());
    let rows = sqlx::query!(
        r#"select id as "id: RuleId", name, channel_id as "channel: ChannelId", topics, min_severity, members, roles, quiet_from, quiet_to, time_zone,
               digest_minutes, dedup_minutes, enabled, created_at, created_by
           from notification_rule where ($1::uuid[] is null and deleted_at is null) or id = any($1) order by name, id"#,
        ids.as_deref()
    )
    .fetch_all(tx.conn())
    .await?;
    let quiet = |from: Option<NaiveTime>, to: Option<NaiveTime>, zone: &str| {
        Some(Quiet { from: from?, to: to?, zone: zone.parse().ok()? })
    };
    Ok(rows
        .into_iter()
        .map(|row| Rule {
            id: row.id,
            name: row.name,
            channel: row.channel,
            topics: row.topics.iter().filter_map(|topic| topic.parse().ok()).collect(),
            min_severity: Severity::from_rank(row.min_severity).unwrap_or(Severity::Info),
            members: row.members.into_iter().map(UserId).collect(),
            roles: row.roles.iter().filter_map(|role| role.parse().ok()).collect(),
            quiet: quiet(row.quiet_from, row.quiet_to, &row.time_zone),
            digest_minutes: row.digest_minutes,
            dedup_minutes: row.dedup_minutes,
            enabled: row.enabled,
            created_at: row.created_at,
            created_by: row.created_by,
        })
        .collect())
}

pub(super) async fn save(tx: &mut TenantTx, rule: &Rule) -> Result<()> {
    let tenant = tx.ctx().tenant.0;
    let topics: Vec<&str> = rule.topics.iter().map(|topic| topic.as_str()).collect();
    let members: Vec<Uuid> = rule.members.iter().map(|user| user.0).collect();
    let roles: Vec<&str> = rule.roles.iter().map(|role| role.as_str()).collect();
    sqlx::query!(
        "insert into notification_rule (tenant_id, id, name, channel_id, topics, min_severity, members, roles, quiet_from, quiet_to, time_zone,
             digest_minutes, dedup_minutes, enabled, created_at, created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
         on conflict (tenant_id, id) do update set name = excluded.name, channel_id = excluded.channel_id, topics = excluded.topics,
             min_severity = excluded.min_severity, members = excluded.members, roles = excluded.roles, quiet_from = excluded.quiet_from,
             quiet_to = excluded.quiet_to, time_zone = excluded.time_zone, digest_minutes = excluded.digest_minutes,
             dedup_minutes = excluded.dedup_minutes, enabled = excluded.enabled",
        tenant,
        rule.id.0,
        rule.name,
        rule.channel.0,
        &topics as &[&str],
        rule.min_severity.rank(),
        &members,
        &roles as &[&str],
        rule.quiet.map(|quiet| quiet.from),
        rule.quiet.map(|quiet| quiet.to),
        rule.quiet.map_or("UTC", |quiet| quiet.zone.name()),
        rule.digest_minutes,
        rule.dedup_minutes,
        rule.enabled,
        rule.created_at,
        rule.created_by
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Gives the rule's name; `None` when there is none.
pub(super) async fn delete(tx: &mut TenantTx, id: RuleId) -> Result<Option<String>> {
    let now = tx.ctx().now();
    Ok(sqlx::query_scalar!(
        "with waiting as (
             update notification_delivery set status = 'DROPPED', finished_at = $2, leased_until = null, reason = 'The rule was deleted.'
             where rule_id = $1 and status in ('HELD', 'WAITING')
         )
         update notification_rule set deleted_at = $2 where id = $1 and deleted_at is null returning name",
        id.0,
        now
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Whether some of these are not members.
pub(super) async fn unknown_members(tx: &mut TenantTx, users: &[UserId]) -> Result<bool> {
    let ids: Vec<Uuid> = users.iter().map(|user| user.0).collect();
    Ok(sqlx::query_scalar!(
        r#"select exists (select from unnest($1::uuid[]) u(id) where not exists (select from membership m where m.user_id = u.id)) as "unknown!""#,
        &ids
    )
    .fetch_one(tx.conn())
    .await?)
}
