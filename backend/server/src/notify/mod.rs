//! Notifications: what there is to tell, who hears of it, and that it arrived.
//!
//! Owns `notice`, `notification_channel`, `notification_rule`, `notification_delivery` and what hangs on them. Any slice may call [`emit`];
//! this one calls none of them.
//!
//! A [`Notice`] is written in the transaction that makes it true. A job decides by the rules who hears of it, set-based, and makes a delivery
//! for each target; then it sends what is due. A delivery is sent with the same `Idempotency-Key` until it is answered, and whoever
//! sends it holds it for a while: nobody else sends it meanwhile, and when the process dies somebody else does.
//!
//! A member hears of nothing that they may not read: their role is asked when a notice is routed, and again when it is sent.

pub mod channels;
mod channels_repo;
pub mod deliveries;
mod deliveries_repo;
pub mod domain;
mod hooks;
mod hooks_repo;
pub mod jobs;
mod message;
pub(crate) mod repo;
pub mod rules;
mod rules_repo;
mod send;
#[cfg(test)]
mod tests;

pub use hooks::{Hook, webhook};
pub use stance_shared::{
    NotificationChannelKind as ChannelKind, NotificationStatus as Status, NotificationTopic as Topic,
};

use crate::{
    jobs::{Job, Queue},
    kernel::{Clock, Permission, Result, SystemTx, TenantTx},
};
use stance_shared::{Severity, TenantId};
use uuid::Uuid;

/// Something to tell.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    pub topic: Topic,
    pub severity: Severity,
    /// One line, at most 300 characters; more is cut. May hold text from outside.
    pub title: &'a str,
    /// Plain text, at most 4,000 characters; more is cut. May hold text from outside.
    pub text: &'a str,
    /// A path of the dashboard, at most 500 characters: `/incidents/…`.
    pub link: &'a str,
    /// Who may hear of it: members whose role holds this.
    pub permission: Permission,
    /// What it is about.
    pub subject: Uuid,
    /// At most 300 characters. A rule tells the same key once within its time.
    pub key: &'a str,
}

/// Tells something, in the caller's transaction: it is told when, and only when, the transaction commits.
///
/// # Errors
/// When the database fails.
pub async fn emit(tx: &mut TenantTx, notice: Notice<'_>) -> Result<()> {
    emit_all(tx, &[notice]).await
}

/// [`emit`] of several at once, by one statement.
///
/// # Errors
/// When the database fails.
pub async fn emit_all(tx: &mut TenantTx, notices: &[Notice<'_>]) -> Result<()> {
    if notices.is_empty() {
        return Ok(());
    }
    let ctx = tx.ctx().clone();
    let of: Vec<(TenantId, Notice<'_>)> = notices.iter().map(|notice| (ctx.tenant, *notice)).collect();
    repo::insert(tx.conn(), &ctx.clock, &of).await?;
    Queue::enqueue(tx, Job::Notify).await
}

/// [`emit_all`] of notices of any organizations, for sweeps. The next sweep finds them.
///
/// # Errors
/// When the database fails.
pub(crate) async fn emit_for(tx: &mut SystemTx, clock: &Clock, notices: &[(TenantId, Notice<'_>)]) -> Result<()> {
    if notices.is_empty() {
        return Ok(());
    }
    repo::insert(tx.conn(), clock, notices).await
}

/// At most `max` characters of a text from anywhere, without control characters but line breaks where `lines`.
fn cut(text: &str, max: usize, lines: bool) -> String {
    let plain = |c: char| if c.is_control() && !(lines && c == '\n') { ' ' } else { c };
    let told: String = text.chars().map(plain).collect();
    let told = told.trim();
    match told.char_indices().nth(max) {
        None => told.to_owned(),
        Some(_) => told.chars().take(max - 1).chain(['…']).collect(),
    }
}
