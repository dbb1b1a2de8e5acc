//! What a person does with their own account.

use super::{domain::Email, password, repo, sessions};
use crate::{
    audit,
    kernel::{Ctx, Db, Error, Permission, Result, db::SystemReason},
};
use serde_json::json;

/// Changes the asking person's password and ends their other sessions.
///
/// # Errors
/// `BAD_INPUT` naming `current` or `new`; `RATE_LIMITED` after too many wrong ones; `FORBIDDEN` for tokens.
pub async fn change_password(db: &Db, ctx: &Ctx, current: String, new: String) -> Result<()> {
    let user = sessions::person(ctx)?;
    ctx.require(Permission::AccountManage)?;
    let email = Email::parse(ctx.actor.label())?;
    repo::throttle::enter(db, &ctx.clock, email.as_str(), "").await?;
    let mut tx = db.begin_system(SystemReason::Identity).await?;
    let account = repo::account_by_email(tx.conn(), email.as_str()).await?.filter(|a| a.person.id == user);
    let organization = repo::organization(tx.conn(), ctx.tenant).await?.map(|o| o.name).unwrap_or_default();
    drop(tx);
    if !password::verify(account.map(|a| a.password_hash), current.clone()).await? {
        return Err(Error::field("current", "is not your password"));
    }
    repo::throttle::leave(db, email.as_str(), "").await?;
    password::check("new", &new, &email, &organization)?;
    if new == current {
        return Err(Error::field("new", "must be another than the current one"));
    }
    let password_hash = password::hash(new).await?;

    let mut tx = db.begin_system(SystemReason::Identity).await?;
    repo::set_password(tx.conn(), user, &password_hash).await?;
    let ended = repo::sessions::delete_others(tx.conn(), user, ctx.session).await?;
    let mut tx = tx.into_tenant(ctx, Permission::AccountManage).await?;
    let entry = audit::Entry {
        action: "user.password_changed",
        target_kind: "user",
        target_id: user.to_string(),
        detail: json!({ "sessionsEnded": ended }),
    };
    audit::record(&mut tx, entry).await?;
    tx.commit().await
}
