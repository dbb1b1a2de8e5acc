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

mod repo;

pub use stance_shared::{
    NotificationChannelKind as ChannelKind, NotificationStatus as Status, NotificationTopic as Topic,
};

use crate::kernel::{Permission, Result, TenantTx};
use stance_shared::Severity;
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
    repo::insert(tx, notices).await
}

/// At most `max` characters of a text from anywhere, without control characters but line breaks where `lines`.
fn cut(text: &str, max: usize, lines: bool) -> String {
    let told = text.trim().chars().map(|c| match c {
        '\n' if lines => '\n',
        c if c.is_control() => ' ',
        c => c,
    });
    let short: String = told.clone().take(max).collect();
    if told.count() > max { format!("{}…", short.chars().take(max - 1).collect::<String>()) } else { short }
}
