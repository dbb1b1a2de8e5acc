//! SQL of channels.

use super::{
    ChannelKind,
    domain::{Attempt, Channel, FAILING_DAYS, MailSettings},
};
use crate::kernel::{Error, Result, TenantTx, crypto::Sealed, error::OnConstraint as _};
use chrono::Duration;
use serde_json::{Value, json};
use stance_shared::ChannelId;
use uuid::Uuid;

/// All channels that are not deleted, or those of these ids, by name.
pub(super) async fn list(tx: &mut TenantTx, ids: Option<&[ChannelId]>) -> Result<Vec<Channel>> {
    let ids: Option<Vec<Uuid>> = ids.map(|ids| ids.iter().map(|id| id.0).collect());
    let rows = sqlx::query!(
        r#"select id as "id: ChannelId", kind as "kind: ChannelKind", name, target, settings, sealed as "sealed: Sealed", created_at, created_by,
               last_ok_at, failing_since, last_error, disabled_at, disabled_reason
           from notification_channel where ($1::uuid[] is null and deleted_at is null) or id = any($1) order by name, id"#,
        ids.as_deref()
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Channel {
            id: row.id,
            kind: row.kind,
            name: row.name,
            target: row.target,
            mail: serde_json::from_value(row.settings).ok(),
            sealed: row.sealed,
            created_at: row.created_at,
            created_by: row.created_by,
            last_ok_at: row.last_ok_at,
            failing_since: row.failing_since,
            last_error: row.last_error,
            disabled_at: row.disabled_at,
            disabled_reason: row.disabled_reason,
        })
        .collect())
}

/// A channel that is not deleted.
pub(super) async fn by_id(tx: &mut TenantTx, id: ChannelId) -> Result<Option<Channel>> {
    let there =
        sqlx::query_scalar!(r#"select deleted_at is null as "there!" from notification_channel where id = $1"#, id.0)
            .fetch_optional(tx.conn())
            .await?;
    if there != Some(true) {
        return Ok(None);
    }
    Ok(list(tx, Some(&[id])).await?.pop())
}

pub(super) async fn count(tx: &mut TenantTx) -> Result<i64> {
    Ok(sqlx::query_scalar!(r#"select count(*) as "count!" from notification_channel where deleted_at is null"#)
        .fetch_one(tx.conn())
        .await?)
}

/// What a person says of a channel.
pub(super) struct Saved<'a> {
    pub id: ChannelId,
    pub kind: ChannelKind,
    pub name: &'a str,
    pub target: &'a str,
    pub mail: Option<&'a MailSettings>,
    pub sealed: &'a Sealed,
}

/// Writes a channel; what was wrong with it before is forgotten.
pub(super) async fn save(tx: &mut TenantTx, saved: &Saved<'_>) -> Result<()> {
    let ctx = tx.ctx().clone();
    let settings: Value =
        saved.mail.map(serde_json::to_value).transpose().map_err(Error::internal)?.unwrap_or_else(|| json!({}));
    sqlx::query!(
        "insert into notification_channel (tenant_id, id, kind, name, target, settings, sealed, created_at, created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (tenant_id, id) do update set name = excluded.name, target = excluded.target, settings = excluded.settings,
             sealed = excluded.sealed, failing_since = null, last_error = null, disabled_at = null, disabled_reason = null",
        ctx.tenant.0,
        saved.id.0,
        saved.kind.as_str(),
        saved.name,
        saved.target,
        settings,
        saved.sealed.0,
        ctx.now(),
        ctx.actor.label()
    )
    .execute(tx.conn())
    .await
    .on_constraint("notification_channel_name", || Error::conflict("There is a channel of this name."))?;
    Ok(())
}

/// Takes a channel away, with its rules and what it had still to send.
pub(super) async fn delete(tx: &mut TenantTx, id: ChannelId) -> Result<()> {
    let now = tx.ctx().now();
    sqlx::query!(
        "with rules as (
             update notification_rule set deleted_at = $2 where channel_id = $1 and deleted_at is null
         ), waiting as (
             update notification_delivery set status = 'DROPPED', finished_at = $2, leased_until = null, reason = 'The channel was deleted.'
             where channel_id = $1 and status in ('HELD', 'WAITING')
         )
         update notification_channel set deleted_at = $2 where id = $1",
        id.0,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Switches a channel off for a reason, or on.
pub(super) async fn set_disabled(tx: &mut TenantTx, id: ChannelId, reason: Option<&str>) -> Result<()> {
    let now = tx.ctx().now();
    sqlx::query!(
        "update notification_channel set disabled_reason = $2, disabled_at = case when $2::text is null then null else $3::timestamptz end,
             failing_since = case when $2::text is null then null else failing_since end
         where id = $1",
        id.0,
        reason,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Notes how an attempt went. True: it failed, and has for so long that the channel should be switched off.
pub(super) async fn noted(tx: &mut TenantTx, id: ChannelId, attempt: &Attempt) -> Result<bool> {
    let now = tx.ctx().now();
    let off = sqlx::query_scalar!(
        r#"update notification_channel
           set last_ok_at = case when $2::text is null then $3 else last_ok_at end, last_error = $2,
               failing_since = case when $2::text is not null then coalesce(failing_since, $3) end
           where id = $1 returning disabled_at is null and failing_since < $4 as "off""#,
        id.0,
        attempt.error.as_deref().map(|error| super::cut(error, 500, false)),
        now,
        now - Duration::days(FAILING_DAYS)
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(off.flatten() == Some(true))
}
