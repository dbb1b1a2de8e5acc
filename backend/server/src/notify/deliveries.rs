//! The log of messages.

use super::{
    Status, channels_repo, deliveries_repo as repo,
    domain::{Delivery, Told},
};
use crate::{
    audit,
    jobs::{Job, Queue},
    kernel::{
        Ctx, Db, Error, Permission, Result,
        page::{Page, Slice},
    },
};
use chrono::{DateTime, Utc};
use serde_json::json;
use stance_shared::{ChannelId, DeliveryId};
use std::collections::HashMap;
use uuid::Uuid;

/// Narrows the log.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub id: Option<DeliveryId>,
    pub channel: Option<ChannelId>,
    /// None: of any.
    pub statuses: Vec<Status>,
}

/// Messages, newest first.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn list(db: &Db, ctx: &Ctx, filter: &Filter, page: &Page<(DateTime<Utc>, Uuid)>) -> Result<Slice<Delivery>> {
    let mut tx = db.begin(ctx, Permission::NotificationRead).await?;
    Ok(page.slice(repo::list(&mut tx, filter, page.after, page.limit()).await?))
}

/// How many messages the filter lets through.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn count(db: &Db, ctx: &Ctx, filter: &Filter) -> Result<i64> {
    repo::count(&mut db.begin(ctx, Permission::NotificationRead).await?, filter).await
}

/// One message; `None` when there is none.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn by_id(db: &Db, ctx: &Ctx, id: DeliveryId) -> Result<Option<Delivery>> {
    let mut tx = db.begin(ctx, Permission::NotificationRead).await?;
    let filter = Filter { id: Some(id), ..Filter::default() };
    Ok(repo::list(&mut tx, &filter, None, 1).await?.pop())
}

/// What messages tell, oldest first: what the reader may know of it.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn contents(db: &Db, ctx: &Ctx, ids: &[DeliveryId]) -> Result<HashMap<DeliveryId, Vec<Told>>> {
    let mut tx = db.begin(ctx, Permission::NotificationRead).await?;
    let mut contents = repo::contents(&mut tx, ids).await?;
    for told in contents.values_mut() {
        told.retain(|told| ctx.may(told.permission));
    }
    Ok(contents)
}

/// Sends a message again that was given up or dropped, with the same `Idempotency-Key`; one that is still to be sent stays as it is.
///
/// # Errors
/// `FORBIDDEN` without `notification:write`; `NOT_FOUND`; `CONFLICT` when it can not be sent again.
pub async fn replay(db: &Db, ctx: &Ctx, id: DeliveryId) -> Result<Delivery> {
    let mut tx = db.begin(ctx, Permission::NotificationWrite).await?;
    let filter = Filter { id: Some(id), ..Filter::default() };
    let delivery = repo::list(&mut tx, &filter, None, 1).await?.pop().ok_or_else(|| Error::not_found("message"))?;
    if matches!(delivery.status, Status::Held | Status::Waiting) {
        return Ok(delivery);
    }
    let channel = channels_repo::by_id(&mut tx, delivery.channel).await?;
    match channel {
        None => return Err(Error::conflict("The channel was deleted.")),
        Some(channel) if channel.disabled_at.is_some() => {
            return Err(Error::conflict("The channel is switched off. Switch it on first."));
        }
        Some(_) => {}
    }
    if !repo::replay(&mut tx, id).await? {
        return Err(Error::conflict("Only messages of a rule that failed or were dropped can be sent again."));
    }
    Queue::enqueue(&mut tx, Job::Notify).await?;
    let entry = audit::Entry {
        action: "notification.replayed",
        target_kind: "notification_delivery",
        target_id: id.to_string(),
        detail: json!({ "channel": delivery.channel }),
    };
    audit::record(&mut tx, entry).await?;
    let delivery = repo::list(&mut tx, &filter, None, 1).await?.pop().ok_or_else(|| Error::not_found("message"))?;
    tx.commit().await?;
    Ok(delivery)
}
