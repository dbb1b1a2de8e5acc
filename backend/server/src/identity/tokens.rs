//! API tokens.

use super::{
    authenticate::TOKEN_PREFIX,
    domain::require_all,
    repo::{self, Entrance},
};
use crate::{
    audit,
    kernel::{
        Actor, Ctx, Db, Error, Permission, Result, Role, TenantTx,
        crypto::{random_secret, sha256},
        text,
    },
};
use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use stance_shared::{AssetId, TokenId};
use std::collections::BTreeSet;

pub use super::repo::ApiToken;

/// How many of the secret's characters are kept, to recognize it: too few to guess the rest.
const SHOWN: usize = TOKEN_PREFIX.len() + 5;

/// A token to be.
pub struct NewToken {
    pub name: String,
    pub role: Role,
    /// `noun:verb`; empty means all of the role's permissions.
    pub scopes: Vec<String>,
    /// `None`: until revoked.
    pub expires_at: Option<DateTime<Utc>>,
    /// The agent that acts by it: it is shut out when that agent is contained.
    pub agent: Option<AssetId>,
}

/// All tokens, also ended ones, newest first.
///
/// # Errors
/// `FORBIDDEN` without `token:read`.
pub async fn list(db: &Db, ctx: &Ctx) -> Result<Vec<ApiToken>> {
    let mut tx = db.begin(ctx, Permission::TokenRead).await?;
    repo::tokens(tx.conn(), ctx.tenant).await
}

/// One token.
///
/// # Errors
/// `FORBIDDEN` without `token:read`.
pub async fn get(db: &Db, ctx: &Ctx, id: TokenId) -> Result<Option<ApiToken>> {
    let mut tx = db.begin(ctx, Permission::TokenRead).await?;
    repo::token(tx.conn(), ctx.tenant, id).await
}

/// Makes a token. Returns the secret, which is kept nowhere.
///
/// # Errors
/// `FORBIDDEN` without `token:create` or for permissions that the actor does not hold; `BAD_INPUT` naming the field.
pub async fn create(db: &Db, ctx: &Ctx, input: NewToken) -> Result<(ApiToken, String)> {
    let mut tx = db.begin(ctx, Permission::TokenCreate).await?;
    let made = create_in(&mut tx, input).await?;
    tx.commit().await?;
    Ok(made)
}

/// [`create`] in the caller's transaction.
///
/// # Errors
/// As [`create`].
pub async fn create_in(tx: &mut TenantTx, input: NewToken) -> Result<(ApiToken, String)> {
    let ctx = tx.ctx().clone();
    let name = text::line("name", &input.name, 100)?;
    let scopes = scopes(input.role, &input.scopes)?;
    let granted = input.role.permissions().filter(|permission| scopes.is_empty() || scopes.contains(permission));
    require_all(&ctx, granted)?;
    if let Some(at) = input.expires_at
        && !(at > ctx.now() && at <= ctx.now() + Duration::days(3660))
    {
        return Err(Error::field("expiresAt", "must be in the future, at most ten years"));
    }
    if let Some(agent) = input.agent
        && !repo::is_agent(tx.conn(), agent).await?
    {
        return Err(Error::field("agent", "must be an agent of this organization"));
    }
    // A token made by a token is its maker's: it ends when that person leaves.
    let created_by = match ctx.actor {
        Actor::Token { id, .. } => repo::token(tx.conn(), ctx.tenant, id).await?.and_then(|maker| maker.created_by),
        _ => ctx.user(),
    };
    let secret = random_secret(TOKEN_PREFIX);
    let token = ApiToken {
        tenant_id: ctx.tenant,
        id: TokenId(ctx.new_id()),
        name,
        role: input.role,
        scopes: scopes.iter().map(|permission| permission.as_str().to_owned()).collect(),
        prefix: secret.chars().take(SHOWN).collect(),
        created_by,
        created_at: ctx.now(),
        expires_at: input.expires_at,
        last_used_at: None,
        revoked_at: None,
        agent: input.agent,
    };
    repo::insert_token(tx.conn(), &token, &sha256(&secret)).await?;
    let entry = audit::Entry {
        action: "token.created",
        target_kind: "token",
        target_id: token.id.to_string(),
        detail: json!({
            "name": token.name, "role": token.role.as_str(), "scopes": token.scopes, "expiresAt": token.expires_at,
            "agent": token.agent,
        }),
    };
    audit::record(tx, entry).await?;
    Ok((token, secret))
}

/// Reads scopes; each must be a permission of the role, or the token would promise what it can not do.
fn scopes(role: Role, words: &[String]) -> Result<BTreeSet<Permission>> {
    let allowed = || role.permissions().map(Permission::as_str).collect::<Vec<_>>().join(", ");
    words
        .iter()
        .enumerate()
        .map(|(at, word)| match word.parse::<Permission>() {
            Ok(permission) if role.allows(permission) => Ok(permission),
            _ => Err(Error::field(
                format!("scopes[{at}]"),
                format!("must be a permission of the role {}: {}", role.as_str(), allowed()),
            )),
        })
        .collect()
}

/// Ends a token; one that has ended stays as it is.
///
/// # Errors
/// `FORBIDDEN` without `token:revoke`; `NOT_FOUND`. Anybody who may revoke may revoke an owner's: it only takes away.
pub async fn revoke(db: &Db, ctx: &Ctx, id: TokenId) -> Result<ApiToken> {
    let mut tx = db.begin(ctx, Permission::TokenRevoke).await?;
    let (token, revoked) = revoke_in(&mut tx, id).await?;
    if revoked {
        tx.commit().await?;
    }
    Ok(token)
}

/// [`revoke`] in the caller's transaction; also whether it had not ended yet.
///
/// # Errors
/// As [`revoke`].
pub async fn revoke_in(tx: &mut TenantTx, id: TokenId) -> Result<(ApiToken, bool)> {
    tx.also_require(Permission::TokenRevoke)?;
    let (tenant, now) = (tx.ctx().tenant, tx.ctx().now());
    let revoked = repo::revoke(tx.conn(), tenant, Entrance::Token(id), now).await? > 0;
    let token = repo::token(tx.conn(), tenant, id).await?.ok_or_else(|| Error::not_found("token"))?;
    if revoked {
        let entry = audit::Entry {
            action: "token.revoked",
            target_kind: "token",
            target_id: id.to_string(),
            detail: json!({ "name": token.name }),
        };
        audit::record(tx, entry).await?;
    }
    Ok((token, revoked))
}

/// The tokens that have not ended, newest first, in the caller's transaction.
///
/// # Errors
/// `FORBIDDEN` without `token:revoke`.
pub async fn live_in(tx: &mut TenantTx) -> Result<Vec<ApiToken>> {
    tx.also_require(Permission::TokenRevoke)?;
    let (tenant, now) = (tx.ctx().tenant, tx.ctx().now());
    let mut tokens = repo::tokens(tx.conn(), tenant).await?;
    tokens.retain(|token| token.revoked_at.is_none() && token.expires_at.is_none_or(|at| at > now));
    Ok(tokens)
}
