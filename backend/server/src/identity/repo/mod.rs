//! The slice's SQL: here on organizations, people, memberships, invitations and tokens.

pub mod sessions;
pub mod throttle;

use super::domain::{Member, Membership, Organization, Person, stored_role};
use crate::kernel::{Result, Role};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use stance_shared::{AssetId, InvitationId, TenantId, TokenId, UserId};
use uuid::Uuid;

// ------------------------------------------------------------------------------------------ organizations

/// Held until the transaction ends, so that only one can see "there is no organization yet".
pub async fn lock_set_up(conn: &mut PgConnection) -> Result<()> {
    sqlx::query("select pg_advisory_xact_lock(hashtext('stance: first organization'))").execute(conn).await?;
    Ok(())
}

pub async fn any_organization(conn: &mut PgConnection) -> Result<bool> {
    Ok(sqlx::query_scalar!(r#"select exists(select from organization) as "exists!""#).fetch_one(conn).await?)
}

/// Makes the organization; returns false when its slug is taken.
pub async fn insert_organization(conn: &mut PgConnection, organization: &Organization) -> Result<bool> {
    let done = sqlx::query!(
        "insert into organization (tenant_id, name, slug, created_at) values ($1, $2, $3, $4)
         on conflict (slug) do nothing",
        organization.id.0,
        organization.name,
        organization.slug,
        organization.created_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn organization(conn: &mut PgConnection, tenant: TenantId) -> Result<Option<Organization>> {
    let row = sqlx::query!("select tenant_id, name, slug, created_at from organization where tenant_id = $1", tenant.0)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|row| Organization {
        id: TenantId(row.tenant_id),
        name: row.name,
        slug: row.slug,
        created_at: row.created_at,
    }))
}

pub async fn rename_organization(conn: &mut PgConnection, tenant: TenantId, name: &str) -> Result<()> {
    sqlx::query!("update organization set name = $2 where tenant_id = $1", tenant.0, name).execute(conn).await?;
    Ok(())
}

// ------------------------------------------------------------------------------------------ people

/// An account as sign-in needs it.
pub struct Account {
    pub person: Person,
    pub password_hash: String,
}

pub async fn account_by_email(conn: &mut PgConnection, email: &str) -> Result<Option<Account>> {
    let row = sqlx::query!("select id, email, name, password_hash from app_user where email = $1", email)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|row| Account {
        person: Person { id: UserId(row.id), email: row.email, name: row.name },
        password_hash: row.password_hash,
    }))
}

/// Makes the account; returns false when the address has one.
pub async fn insert_account(conn: &mut PgConnection, account: &Account, created_at: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!(
        "insert into app_user (id, email, name, password_hash, created_at) values ($1, $2, $3, $4, $5)
         on conflict (email) do nothing",
        account.person.id.0,
        account.person.email,
        account.person.name,
        account.password_hash,
        created_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn set_password(conn: &mut PgConnection, user: UserId, password_hash: &str) -> Result<()> {
    sqlx::query!("update app_user set password_hash = $2 where id = $1", user.0, password_hash).execute(conn).await?;
    Ok(())
}

pub async fn signed_in(conn: &mut PgConnection, user: UserId, at: DateTime<Utc>) -> Result<()> {
    sqlx::query!("update app_user set last_sign_in_at = $2 where id = $1", user.0, at).execute(conn).await?;
    Ok(())
}

/// Those of the people that the transaction may see.
pub async fn people(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Person>> {
    let rows = sqlx::query!("select id, email, name from app_user where id = any($1)", ids).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|row| Person { id: UserId(row.id), email: row.email, name: row.name }).collect())
}

// ------------------------------------------------------------------------------------------ memberships

/// Makes the person a member; returns false when they are one.
pub async fn insert_membership(
    conn: &mut PgConnection,
    tenant: TenantId,
    user: UserId,
    role: Role,
    at: DateTime<Utc>,
) -> Result<bool> {
    let done = sqlx::query!(
        "insert into membership (tenant_id, user_id, role, joined_at) values ($1, $2, $3, $4)
         on conflict (tenant_id, user_id) do nothing",
        tenant.0,
        user.0,
        role.as_str(),
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A person's organizations, the one that they joined first first. For system transactions.
pub async fn memberships(conn: &mut PgConnection, user: UserId) -> Result<Vec<Membership>> {
    let rows = sqlx::query!(
        "select o.tenant_id, o.name, o.slug, o.created_at, m.role
         from membership m join organization o using (tenant_id)
         where m.user_id = $1 order by m.joined_at, m.tenant_id limit 500",
        user.0,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let organization = Organization {
                id: TenantId(row.tenant_id),
                name: row.name,
                slug: row.slug,
                created_at: row.created_at,
            };
            Ok(Membership { organization, role: stored_role(&row.role)? })
        })
        .collect()
}

/// The tenant's people by name, at most 1,000.
pub async fn members(conn: &mut PgConnection, tenant: TenantId) -> Result<Vec<Member>> {
    let rows = sqlx::query!(
        "select u.id, u.email, u.name, u.last_sign_in_at, m.role, m.joined_at
         from membership m join app_user u on u.id = m.user_id
         where m.tenant_id = $1 order by lower(u.name), u.id limit 1000",
        tenant.0,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Member {
                person: Person { id: UserId(row.id), email: row.email, name: row.name },
                role: stored_role(&row.role)?,
                joined_at: row.joined_at,
                last_sign_in_at: row.last_sign_in_at,
            })
        })
        .collect()
}

/// Locks all owners and the person, in one order, so that two changes at once can not both take the last owner.
/// Returns the person's role, if they are a member, and how many owners there are.
pub async fn lock_owners_and(conn: &mut PgConnection, tenant: TenantId, user: UserId) -> Result<(Option<Role>, usize)> {
    let rows = sqlx::query!(
        "select user_id, role from membership
         where tenant_id = $1 and (role = 'OWNER' or user_id = $2) order by user_id for update",
        tenant.0,
        user.0,
    )
    .fetch_all(conn)
    .await?;
    let role = rows.iter().find(|row| row.user_id == user.0).map(|row| stored_role(&row.role)).transpose()?;
    Ok((role, rows.iter().filter(|row| row.role == Role::Owner.as_str()).count()))
}

pub async fn set_role(conn: &mut PgConnection, tenant: TenantId, user: UserId, role: Role) -> Result<()> {
    sqlx::query!(
        "update membership set role = $3 where tenant_id = $1 and user_id = $2",
        tenant.0,
        user.0,
        role.as_str()
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn delete_membership(conn: &mut PgConnection, tenant: TenantId, user: UserId) -> Result<()> {
    sqlx::query!("delete from membership where tenant_id = $1 and user_id = $2", tenant.0, user.0)
        .execute(conn)
        .await?;
    Ok(())
}

// ------------------------------------------------------------------------------------------ invitations

#[derive(Clone, Debug)]
pub struct Invitation {
    pub tenant_id: TenantId,
    pub id: InvitationId,
    pub email: String,
    pub role: Role,
    pub invited_by: Option<UserId>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

struct InvitationRow {
    tenant_id: Uuid,
    id: Uuid,
    email: String,
    role: String,
    invited_by: Option<Uuid>,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl TryFrom<InvitationRow> for Invitation {
    type Error = crate::kernel::Error;
    fn try_from(row: InvitationRow) -> Result<Self> {
        Ok(Self {
            tenant_id: TenantId(row.tenant_id),
            id: InvitationId(row.id),
            email: row.email,
            role: stored_role(&row.role)?,
            invited_by: row.invited_by.map(UserId),
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    }
}

pub async fn insert_invitation(conn: &mut PgConnection, invitation: &Invitation, token_hash: &[u8]) -> Result<()> {
    sqlx::query!(
        "insert into invitation (tenant_id, id, email, role, token_hash, invited_by, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        invitation.tenant_id.0,
        invitation.id.0,
        invitation.email,
        invitation.role.as_str(),
        token_hash,
        invitation.invited_by.map(|id| id.0),
        invitation.created_at,
        invitation.expires_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The tenant's open invitations, newest first, at most 1,000.
pub async fn open_invitations(
    conn: &mut PgConnection,
    tenant: TenantId,
    now: DateTime<Utc>,
) -> Result<Vec<Invitation>> {
    let rows = sqlx::query_as!(
        InvitationRow,
        "select tenant_id, id, email, role, invited_by, created_at, expires_at from invitation
         where tenant_id = $1 and accepted_at is null and revoked_at is null and expires_at > $2
         order by id desc limit 1000",
        tenant.0,
        now,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Invitation::try_from).collect()
}

pub async fn invitation(conn: &mut PgConnection, tenant: TenantId, id: InvitationId) -> Result<Option<Invitation>> {
    sqlx::query_as!(
        InvitationRow,
        "select tenant_id, id, email, role, invited_by, created_at, expires_at from invitation
         where tenant_id = $1 and id = $2",
        tenant.0,
        id.0,
    )
    .fetch_optional(conn)
    .await?
    .map(Invitation::try_from)
    .transpose()
}

/// The open invitation of a token, locked: it can be accepted once. For system transactions.
pub async fn lock_invitation_of_token(
    conn: &mut PgConnection,
    token_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<Invitation>> {
    sqlx::query_as!(
        InvitationRow,
        "select tenant_id, id, email, role, invited_by, created_at, expires_at from invitation
         where token_hash = $1 and accepted_at is null and revoked_at is null and expires_at > $2 for update",
        token_hash,
        now,
    )
    .fetch_optional(conn)
    .await?
    .map(Invitation::try_from)
    .transpose()
}

pub async fn accept_invitation(conn: &mut PgConnection, invitation: &Invitation, at: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update invitation set accepted_at = $3 where tenant_id = $1 and id = $2",
        invitation.tenant_id.0,
        invitation.id.0,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether the tenant has a member with this address.
pub async fn is_member(conn: &mut PgConnection, tenant: TenantId, email: &str) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select exists(select from membership m join app_user u on u.id = m.user_id
                         where m.tenant_id = $1 and u.email = $2) as "exists!""#,
        tenant.0,
        email,
    )
    .fetch_one(conn)
    .await?)
}

// ------------------------------------------------------------------------------------------ API tokens

#[derive(Clone, Debug)]
pub struct ApiToken {
    pub tenant_id: TenantId,
    pub id: TokenId,
    pub name: String,
    pub role: Role,
    /// `noun:verb`; empty means all of the role's permissions.
    pub scopes: Vec<String>,
    /// The secret's first characters.
    pub prefix: String,
    pub created_by: Option<UserId>,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    /// The agent that acts by it.
    pub agent: Option<AssetId>,
}

struct TokenRow {
    tenant_id: Uuid,
    id: Uuid,
    name: String,
    role: String,
    scopes: Vec<String>,
    prefix: String,
    created_by: Option<Uuid>,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    agent_id: Option<Uuid>,
}

impl TryFrom<TokenRow> for ApiToken {
    type Error = crate::kernel::Error;
    fn try_from(row: TokenRow) -> Result<Self> {
        Ok(Self {
            tenant_id: TenantId(row.tenant_id),
            id: TokenId(row.id),
            name: row.name,
            role: stored_role(&row.role)?,
            scopes: row.scopes,
            prefix: row.prefix,
            created_by: row.created_by.map(UserId),
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
            agent: row.agent_id.map(AssetId),
        })
    }
}

/// Whether there is such an agent.
pub async fn is_agent(conn: &mut PgConnection, id: AssetId) -> Result<bool> {
    Ok(sqlx::query_scalar!(r#"select exists(select from asset where id = $1 and kind = 'AGENT') as "there!""#, id.0)
        .fetch_one(conn)
        .await?)
}

/// The containment that shuts out an agent's tokens. For system transactions.
pub async fn shut_out(conn: &mut PgConnection, tenant: TenantId, agent: AssetId) -> Result<Option<Uuid>> {
    Ok(sqlx::query_scalar!("select shut_out($1, $2)", tenant.0, agent.0).fetch_one(conn).await?)
}

pub async fn insert_token(conn: &mut PgConnection, token: &ApiToken, token_hash: &[u8]) -> Result<()> {
    sqlx::query!(
        "insert into api_token (tenant_id, id, name, role, scopes, token_hash, prefix, created_by, created_at, expires_at, agent_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        token.tenant_id.0,
        token.id.0,
        token.name,
        token.role.as_str(),
        &token.scopes,
        token_hash,
        token.prefix,
        token.created_by.map(|id| id.0),
        token.created_at,
        token.expires_at,
        token.agent.map(|id| id.0),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The tenant's tokens, newest first, at most 1,000.
pub async fn tokens(conn: &mut PgConnection, tenant: TenantId) -> Result<Vec<ApiToken>> {
    let rows = sqlx::query_as!(
        TokenRow,
        "select tenant_id, id, name, role, scopes, prefix, created_by, created_at, expires_at, last_used_at, revoked_at, agent_id
         from api_token where tenant_id = $1 order by id desc limit 1000",
        tenant.0,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(ApiToken::try_from).collect()
}

pub async fn token(conn: &mut PgConnection, tenant: TenantId, id: TokenId) -> Result<Option<ApiToken>> {
    sqlx::query_as!(
        TokenRow,
        "select tenant_id, id, name, role, scopes, prefix, created_by, created_at, expires_at, last_used_at, revoked_at, agent_id
         from api_token where tenant_id = $1 and id = $2",
        tenant.0,
        id.0,
    )
    .fetch_optional(conn)
    .await?
    .map(ApiToken::try_from)
    .transpose()
}

/// The token that may be used now. For system transactions.
pub async fn usable_token(conn: &mut PgConnection, token_hash: &[u8], now: DateTime<Utc>) -> Result<Option<ApiToken>> {
    sqlx::query_as!(
        TokenRow,
        "select tenant_id, id, name, role, scopes, prefix, created_by, created_at, expires_at, last_used_at, revoked_at, agent_id
         from api_token where token_hash = $1 and revoked_at is null and (expires_at is null or expires_at > $2)",
        token_hash,
        now,
    )
    .fetch_optional(conn)
    .await?
    .map(ApiToken::try_from)
    .transpose()
}

pub async fn token_used(conn: &mut PgConnection, tenant: TenantId, id: TokenId, at: DateTime<Utc>) -> Result<()> {
    sqlx::query!("update api_token set last_used_at = $3 where tenant_id = $1 and id = $2", tenant.0, id.0, at)
        .execute(conn)
        .await?;
    Ok(())
}

// ------------------------------------------------------------------------------------------ what can be revoked

/// What somebody could come in by.
pub enum Entrance<'a> {
    Invitation(InvitationId),
    InvitationsTo(&'a str),
    Token(TokenId),
    /// The tokens with one of the roles that the person made.
    TokensOf(UserId, &'a [String]),
}

/// Ends invitations that are open, or tokens that are not ended yet; returns how many.
pub async fn revoke(
    conn: &mut PgConnection,
    tenant: TenantId,
    entrance: Entrance<'_>,
    at: DateTime<Utc>,
) -> Result<u64> {
    let done = match entrance {
        Entrance::Invitation(id) => {
            sqlx::query!(
                "update invitation set revoked_at = $3
                 where tenant_id = $1 and id = $2 and accepted_at is null and revoked_at is null",
                tenant.0,
                id.0,
                at,
            )
            .execute(conn)
            .await?
        }
        Entrance::InvitationsTo(email) => {
            sqlx::query!(
                "update invitation set revoked_at = $3
                 where tenant_id = $1 and email = $2 and accepted_at is null and revoked_at is null",
                tenant.0,
                email,
                at,
            )
            .execute(conn)
            .await?
        }
        Entrance::Token(id) => {
            sqlx::query!(
                "update api_token set revoked_at = $3 where tenant_id = $1 and id = $2 and revoked_at is null",
                tenant.0,
                id.0,
                at,
            )
            .execute(conn)
            .await?
        }
        Entrance::TokensOf(user, roles) => {
            sqlx::query!(
                "update api_token set revoked_at = $4
                 where tenant_id = $1 and created_by = $2 and role = any($3) and revoked_at is null",
                tenant.0,
                user.0,
                roles,
                at,
            )
            .execute(conn)
            .await?
        }
    };
    Ok(done.rows_affected())
}
