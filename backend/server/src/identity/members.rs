//! The organization's people.

use super::{
    domain::{self, Email, Member, Organization, Person, require_all},
    repo::{self, Entrance},
};
use crate::{
    audit,
    kernel::{
        Ctx, Db, Error, Permission, Result, Role,
        crypto::{random_secret, sha256},
        text,
    },
};
use chrono::Duration;
use serde_json::json;
use stance_shared::{InvitationId, UserId};
use uuid::Uuid;

pub use super::repo::Invitation;

/// How long an invitation is open.
pub const INVITATION_LIFE: Duration = Duration::days(7);

/// The organization that the actor is in.
///
/// # Errors
/// `FORBIDDEN` without `organization:read`.
pub async fn organization(db: &Db, ctx: &Ctx) -> Result<Organization> {
    let mut tx = db.begin(ctx, Permission::OrganizationRead).await?;
    repo::organization(tx.conn(), ctx.tenant).await?.ok_or_else(|| Error::not_found("organization"))
}

/// Renames the organization; its slug stays.
///
/// # Errors
/// `FORBIDDEN` without `organization:update`; `BAD_INPUT`.
pub async fn update_organization(db: &Db, ctx: &Ctx, name: &str) -> Result<Organization> {
    let mut tx = db.begin(ctx, Permission::OrganizationUpdate).await?;
    let name = text::line("name", name, 200)?;
    repo::rename_organization(tx.conn(), ctx.tenant, &name).await?;
    let organization =
        repo::organization(tx.conn(), ctx.tenant).await?.ok_or_else(|| Error::not_found("organization"))?;
    let entry = audit::Entry {
        action: "organization.updated",
        target_kind: "organization",
        target_id: ctx.tenant.to_string(),
        detail: json!({ "name": name }),
    };
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(organization)
}

/// All members by name.
///
/// # Errors
/// `FORBIDDEN` without `member:read`.
pub async fn list(db: &Db, ctx: &Ctx) -> Result<Vec<Member>> {
    let mut tx = db.begin(ctx, Permission::MemberRead).await?;
    repo::members(tx.conn(), ctx.tenant).await
}

/// Those of the people that are members, in no order: for names beside what they did. None for actors without
/// `member:read`, such as tokens with few scopes.
///
/// # Errors
/// When the database fails.
pub async fn people(db: &Db, ctx: &Ctx, ids: &[UserId]) -> Result<Vec<Person>> {
    if !ctx.may(Permission::MemberRead) {
        return Ok(Vec::new());
    }
    let mut tx = db.begin(ctx, Permission::MemberRead).await?;
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    repo::people(tx.conn(), &ids).await
}

/// Gives a member another role. Tokens that they made and that carry a role above the new one end.
///
/// # Errors
/// `NOT_FOUND` for people who are no members; `FORBIDDEN` to give or take a role that the actor does not cover;
/// `CONFLICT` for the last owner.
pub async fn change_role(db: &Db, ctx: &Ctx, user: UserId, role: Role) -> Result<Member> {
    let mut tx = db.begin(ctx, Permission::MemberUpdate).await?;
    domain::require_person_role(role)?;
    let (before, owners) = repo::lock_owners_and(tx.conn(), ctx.tenant, user).await?;
    let before = before.ok_or_else(|| Error::not_found("member"))?;
    require_all(ctx, before.permissions().chain(role.permissions()))?;
    if before == Role::Owner && role != Role::Owner && owners == 1 {
        return Err(Error::conflict("This is the last owner. Make another member an owner first."));
    }
    repo::set_role(tx.conn(), ctx.tenant, user, role).await?;
    let lost: Vec<String> = Role::ALL
        .iter()
        .filter(|other| other.permissions().any(|permission| !role.allows(permission)))
        .map(|other| other.as_str().to_owned())
        .collect();
    let revoked = repo::revoke(tx.conn(), ctx.tenant, Entrance::TokensOf(user, &lost), ctx.now()).await?;
    let entry = audit::Entry {
        action: "member.role_changed",
        target_kind: "user",
        target_id: user.to_string(),
        detail: json!({ "from": before.as_str(), "to": role.as_str(), "tokensRevoked": revoked }),
    };
    let members = repo::members(tx.conn(), ctx.tenant).await?;
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    members.into_iter().find(|m| m.person.id == user).ok_or_else(|| Error::not_found("member"))
}

/// Takes somebody out of the organization: they are out with their next request, and the tokens that they made end.
///
/// # Errors
/// `NOT_FOUND` for people who are no members; `FORBIDDEN` for a role that the actor does not cover; `CONFLICT` for the
/// last owner.
pub async fn remove(db: &Db, ctx: &Ctx, user: UserId) -> Result<()> {
    let mut tx = db.begin(ctx, Permission::MemberRemove).await?;
    let (role, owners) = repo::lock_owners_and(tx.conn(), ctx.tenant, user).await?;
    let role = role.ok_or_else(|| Error::not_found("member"))?;
    require_all(ctx, role.permissions())?;
    if role == Role::Owner && owners == 1 {
        return Err(Error::conflict("This is the last owner. Make another member an owner first."));
    }
    let person = repo::people(tx.conn(), &[user.0]).await?.pop();
    let all: Vec<String> = Role::ALL.iter().map(|role| role.as_str().to_owned()).collect();
    let revoked = repo::revoke(tx.conn(), ctx.tenant, Entrance::TokensOf(user, &all), ctx.now()).await?;
    repo::delete_membership(tx.conn(), ctx.tenant, user).await?;
    let entry = audit::Entry {
        action: "member.removed",
        target_kind: "user",
        target_id: user.to_string(),
        detail: json!({ "email": person.map(|p| p.email), "role": role.as_str(), "tokensRevoked": revoked }),
    };
    audit::record(&mut tx, entry).await?;
    tx.commit().await
}

/// The open invitations, newest first.
///
/// # Errors
/// `FORBIDDEN` without `invitation:read`.
pub async fn invitations(db: &Db, ctx: &Ctx) -> Result<Vec<Invitation>> {
    let mut tx = db.begin(ctx, Permission::InvitationRead).await?;
    repo::open_invitations(tx.conn(), ctx.tenant, ctx.now()).await
}

/// One invitation, while it is open.
///
/// # Errors
/// `FORBIDDEN` without `invitation:read`.
pub async fn invitation(db: &Db, ctx: &Ctx, id: InvitationId) -> Result<Option<Invitation>> {
    let mut tx = db.begin(ctx, Permission::InvitationRead).await?;
    let open = repo::open_invitations(tx.conn(), ctx.tenant, ctx.now()).await?;
    Ok(open.into_iter().find(|invitation| invitation.id == id))
}

/// Invites somebody; an open invitation of the same address ends. Returns the token, which is kept nowhere.
///
/// # Errors
/// `FORBIDDEN` without `member:invite` or for a role that the actor does not cover; `CONFLICT` for members; `BAD_INPUT`.
pub async fn invite(db: &Db, ctx: &Ctx, email: &str, role: Role) -> Result<(Invitation, String)> {
    let mut tx = db.begin(ctx, Permission::MemberInvite).await?;
    let email = Email::parse(email)?;
    domain::require_person_role(role)?;
    require_all(ctx, role.permissions())?;
    if repo::is_member(tx.conn(), ctx.tenant, email.as_str()).await? {
        return Err(Error::conflict("This person is a member already."));
    }
    let invitation = Invitation {
        tenant_id: ctx.tenant,
        id: InvitationId(ctx.new_id()),
        email: email.as_str().to_owned(),
        role,
        invited_by: ctx.user(),
        created_at: ctx.now(),
        expires_at: ctx.now() + INVITATION_LIFE,
    };
    let secret = random_secret("");
    repo::revoke(tx.conn(), ctx.tenant, Entrance::InvitationsTo(email.as_str()), ctx.now()).await?;
    repo::insert_invitation(tx.conn(), &invitation, &sha256(&secret)).await?;
    let entry = audit::Entry {
        action: "invitation.created",
        target_kind: "invitation",
        target_id: invitation.id.to_string(),
        detail: json!({ "email": invitation.email, "role": role.as_str() }),
    };
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    Ok((invitation, secret))
}

/// Ends an invitation; one that has ended stays as it is. Returns whether it was open.
///
/// # Errors
/// `FORBIDDEN` without `member:invite`; `NOT_FOUND`.
pub async fn revoke_invitation(db: &Db, ctx: &Ctx, id: InvitationId) -> Result<bool> {
    let mut tx = db.begin(ctx, Permission::MemberInvite).await?;
    let no_such = || Error::not_found("invitation");
    let invitation = repo::invitation(tx.conn(), ctx.tenant, id).await?.ok_or_else(no_such)?;
    if repo::revoke(tx.conn(), ctx.tenant, Entrance::Invitation(id), ctx.now()).await? == 0 {
        return Ok(false);
    }
    let entry = audit::Entry {
        action: "invitation.revoked",
        target_kind: "invitation",
        target_id: id.to_string(),
        detail: json!({ "email": invitation.email }),
    };
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(true)
}
