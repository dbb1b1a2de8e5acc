//! From a secret to a context: one query for each request, nothing kept in memory, so that every change counts at once.

use super::{
    repo,
    sessions::{self, ABSOLUTE, IDLE, TOUCH_EVERY},
};
use crate::kernel::{
    Actor, Clock, Ctx, Db, Error, Kind, Permission, Result, crypto::sha256, db::SystemReason, tasks::Tasks,
};
use chrono::{DateTime, Utc};
use stance_shared::TenantId;

/// What API tokens begin with, so that scanners for leaked secrets know them.
pub const TOKEN_PREFIX: &str = "stance_";

/// Who comes by the secret id of a browser session; `None` when it has ended, or the person is no longer a member of the
/// organization that it is in.
///
/// # Errors
/// When the database fails.
pub async fn authenticate_session(
    db: &Db,
    clock: &Clock,
    tasks: &Tasks,
    id: i128,
    request_id: &str,
) -> Result<Option<Ctx>> {
    let now = clock.now();
    let mut tx = db.begin_system(SystemReason::Identity).await?;
    let Some(asker) = repo::sessions::asker(tx.conn(), &sessions::id_hash(id), now).await? else { return Ok(None) };
    drop(tx);
    if stale(Some(asker.last_seen_at), now) {
        let (db, session) = (db.clone(), asker.session);
        aside(tasks, async move {
            let mut tx = db.begin_system(SystemReason::Identity).await?;
            repo::sessions::touch(tx.conn(), session, now, IDLE, ABSOLUTE).await?;
            tx.commit().await
        });
    }
    Ok(Some(Ctx {
        tenant: asker.tenant,
        actor: Actor::User { id: asker.user, label: asker.email },
        role: asker.role,
        scopes: None,
        session: Some(asker.session),
        request_id: request_id.to_owned(),
        clock: clock.clone(),
    }))
}

/// Who comes by an API token; `None` when there is no such token, or it is expired or revoked.
///
/// # Errors
/// `FORBIDDEN` when the token acts as an agent that is contained with BLOCK_ALL; when the database fails.
pub async fn authenticate_token(
    db: &Db,
    clock: &Clock,
    tasks: &Tasks,
    secret: &str,
    request_id: &str,
) -> Result<Option<Ctx>> {
    if !secret.starts_with(TOKEN_PREFIX) || secret.len() > 200 {
        return Ok(None);
    }
    let now = clock.now();
    let mut tx = db.begin_system(SystemReason::Identity).await?;
    let Some(token) = repo::usable_token(tx.conn(), &sha256(secret), now).await? else { return Ok(None) };
    if let Some(agent) = token.agent
        && let Some(containment) = repo::shut_out(tx.conn(), token.tenant_id, agent).await?
    {
        return Err(Error::new(
            Kind::Forbidden,
            format!(
                "This token acts as an agent that is contained (containment {containment}). It works again when the agent is released."
            ),
        ));
    }
    drop(tx);
    if stale(token.last_used_at, now) {
        let (db, tenant, id): (Db, TenantId, _) = (db.clone(), token.tenant_id, token.id);
        aside(tasks, async move {
            let mut tx = db.begin_system(SystemReason::Identity).await?;
            repo::token_used(tx.conn(), tenant, id, now).await?;
            tx.commit().await
        });
    }
    // A scope that is no longer known grants nothing.
    let scopes = (!token.scopes.is_empty())
        .then(|| token.scopes.iter().filter_map(|word| word.parse::<Permission>().ok()).collect());
    Ok(Some(Ctx {
        tenant: token.tenant_id,
        actor: Actor::Token { id: token.id, label: token.name },
        role: token.role,
        scopes,
        session: None,
        request_id: request_id.to_owned(),
        clock: clock.clone(),
    }))
}

fn stale(last: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    last.is_none_or(|last| now - last >= TOUCH_EVERY)
}

/// Does something that the answer does not wait for.
pub(super) fn aside(tasks: &Tasks, work: impl Future<Output = Result<()>> + Send + 'static) {
    tasks.spawn(async move {
        if let Err(error) = work.await {
            tracing::warn!(cause = error.internal_text(), "identity: work beside a request failed");
        }
    });
}
