//! Browser sessions: the store behind the cookie, and what people may do with theirs.
//!
//! A session ends seven days after it was last used, and thirty days after sign-in whatever happens.

use super::repo;
pub use super::repo::sessions::Session;
use crate::{
    audit,
    kernel::{Clock, Ctx, Db, Error, Permission, Result, crypto::sha256, db::SystemReason},
};
use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use stance_shared::UserId;
use uuid::Uuid;

/// How long a session lives without use.
pub const IDLE: Duration = Duration::days(7);
/// How long a session lives at most.
pub const ABSOLUTE: Duration = Duration::days(30);
/// How exact `last_seen_at` and `last_used_at` are.
pub const TOUCH_EVERY: Duration = Duration::minutes(1);

/// The stored form of a session's secret id.
#[must_use]
pub fn id_hash(id: i128) -> [u8; 32] {
    sha256([b"stance-session/1".as_slice(), &id.to_be_bytes()].concat())
}

/// Keeps a new session. `data` has `user`, `tenant`, `address` and `userAgent`.
///
/// # Errors
/// When the database fails.
pub async fn create(db: &Db, clock: &Clock, id: i128, data: &Value) -> Result<()> {
    let text = |key: &str| data.get(key).and_then(Value::as_str).unwrap_or_default();
    let now = clock.now();
    let session = repo::sessions::NewSession {
        id_hash: &id_hash(id),
        id: clock.new_id(),
        user: text("user").parse().ok().map(UserId),
        data,
        address: text("address"),
        user_agent: text("userAgent"),
        now,
        expires_at: now + IDLE,
    };
    let mut tx = db.begin_system(SystemReason::Identity).await?;
    repo::sessions::insert(tx.conn(), &session).await?;
    tx.commit().await
}

/// Changes what a session holds.
///
/// # Errors
/// When the database fails.
pub async fn save(db: &Db, clock: &Clock, id: i128, data: &Value) -> Result<()> {
    let mut tx = db.begin_system(SystemReason::Identity).await?;
    repo::sessions::set_data(tx.conn(), &id_hash(id), data, clock.now()).await?;
    tx.commit().await
}

/// What a session holds, and until when; `None` when it has ended.
///
/// # Errors
/// When the database fails.
pub async fn load(db: &Db, clock: &Clock, id: i128) -> Result<Option<(Value, DateTime<Utc>)>> {
    let mut tx = db.begin_system(SystemReason::Identity).await?;
    repo::sessions::data(tx.conn(), &id_hash(id), clock.now()).await
}

/// Ends a session.
///
/// # Errors
/// When the database fails.
pub async fn delete(db: &Db, id: i128) -> Result<()> {
    let mut tx = db.begin_system(SystemReason::Identity).await?;
    repo::sessions::delete(tx.conn(), &id_hash(id)).await?;
    tx.commit().await
}

/// Removes ended sessions and empty throttles; to be called now and then.
///
/// # Errors
/// When the database fails.
pub async fn sweep(db: &Db, clock: &Clock) -> Result<u64> {
    let mut tx = db.begin_system(SystemReason::Identity).await?;
    let removed = repo::sessions::sweep(tx.conn(), clock.now()).await?;
    repo::throttle::sweep(tx.conn(), clock).await?;
    tx.commit().await?;
    Ok(removed)
}

/// The person that asks.
///
/// # Errors
/// `FORBIDDEN` for tokens.
pub(super) fn person(ctx: &Ctx) -> Result<UserId> {
    ctx.user().ok_or_else(|| Error::forbidden(Permission::AccountManage))
}

/// The asking person's sessions, the one seen last first; none for tokens.
///
/// # Errors
/// When the database fails.
pub async fn list(db: &Db, ctx: &Ctx) -> Result<Vec<Session>> {
    let Some(user) = ctx.user() else { return Ok(Vec::new()) };
    let mut tx = db.begin_system(SystemReason::Identity).await?;
    repo::sessions::of_user(tx.conn(), user, ctx.now()).await
}

/// Ends one of the asking person's sessions.
///
/// # Errors
/// `NOT_FOUND`, also for other people's sessions.
pub async fn revoke(db: &Db, ctx: &Ctx, id: Uuid) -> Result<()> {
    let user = person(ctx)?;
    let mut tx = db.begin_system(SystemReason::Identity).await?;
    if !repo::sessions::delete_of_user(tx.conn(), user, id).await? {
        return Err(Error::not_found("session"));
    }
    let mut tx = tx.into_tenant(ctx, Permission::AccountManage).await?;
    let entry = audit::Entry {
        action: "session.revoked",
        target_kind: "session",
        target_id: id.to_string(),
        detail: json!({}),
    };
    audit::record(&mut tx, entry).await?;
    tx.commit().await
}

/// Ends all sessions of the asking person but the one they come by; returns how many.
///
/// # Errors
/// `FORBIDDEN` for tokens.
pub async fn sign_out_everywhere(db: &Db, ctx: &Ctx) -> Result<u64> {
    let user = person(ctx)?;
    let mut tx = db.begin_system(SystemReason::Identity).await?;
    let ended = repo::sessions::delete_others(tx.conn(), user, ctx.session).await?;
    let mut tx = tx.into_tenant(ctx, Permission::AccountManage).await?;
    let entry = audit::Entry {
        action: "session.all_revoked",
        target_kind: "user",
        target_id: user.to_string(),
        detail: json!({ "ended": ended }),
    };
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(ended)
}

/// Sweeps every hour, for ever.
pub async fn keep_small(db: Db, clock: Clock) {
    let mut hours = tokio::time::interval(std::time::Duration::from_secs(3600));
    loop {
        hours.tick().await;
        if let Err(error) = sweep(&db, &clock).await {
            tracing::warn!(cause = error.internal_text(), "sessions could not be swept");
        }
    }
}
