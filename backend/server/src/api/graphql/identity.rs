//! The API of people, organizations, invitations and tokens.

use super::{
    GraphqlContext as _,
    inventory::{self, Asset},
    node,
};
use crate::{
    identity::{
        self, account, entry,
        members::{self, Invitation as InvitationRow},
        sessions::{self, Session as SessionRow},
        tokens::{self, ApiToken as TokenRow, NewToken},
    },
    kernel::{Actor, Ctx, Permission, Role},
};
use async_graphql::{Context, ID, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use stance_shared::{InvitationId, SessionId, TenantId, TokenId, UserId};

/// The address that browsers reach the server at, `https://stance.example`, for links that people pass on.
pub struct PublicUrl(pub String);

/// A person, as the organizations that they are a member of see them.
pub struct User(identity::Person);

#[Object]
impl User {
    pub(super) async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    async fn email(&self) -> &str {
        &self.0.email
    }

    async fn name(&self) -> &str {
        &self.0.name
    }
}

/// A person by id; null when they are not (or no longer) a member, or the asker may not read members.
///
/// # Errors
/// When the database fails.
pub async fn load_user(ctx: &Context<'_>, id: Option<UserId>) -> Result<Option<User>> {
    let Some(id) = id else { return Ok(None) };
    Ok(ctx.loaders()?.load_one(id).await?.map(User))
}

pub struct Organization(identity::Organization);

#[Object]
impl Organization {
    pub(super) async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The name for addresses; it stays when the name changes.
    async fn slug(&self) -> &str {
        &self.0.slug
    }

    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

/// The signed-in person or token.
pub struct Viewer(Ctx);

#[Object]
impl Viewer {
    /// Absent for API tokens.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        load_user(ctx, self.0.user()).await
    }

    /// Absent for people.
    async fn token_name(&self) -> Option<&str> {
        match &self.0.actor {
            Actor::Token { label, .. } => Some(label),
            _ => None,
        }
    }

    async fn role(&self) -> Role {
        self.0.role
    }

    /// noun:verb, for example finding:triage
    async fn permissions(&self) -> Vec<&'static str> {
        self.0.role.permissions().filter(|permission| self.0.may(*permission)).map(|p| p.as_str()).collect()
    }

    async fn organization(&self, ctx: &Context<'_>) -> Result<Organization> {
        Ok(Organization(members::organization(ctx.db()?, &self.0).await?))
    }

    /// All organizations that the person is a member of; none for API tokens.
    async fn memberships(&self, ctx: &Context<'_>) -> Result<Vec<ViewerMembership>> {
        let rows = entry::memberships(ctx.db()?, &self.0).await?;
        Ok(rows
            .into_iter()
            .map(|row| ViewerMembership {
                current: row.organization.id == self.0.tenant,
                role: row.role,
                organization: Organization(row.organization),
            })
            .collect())
    }

    /// The person's sessions, the one seen last first; none for API tokens.
    async fn sessions(&self, ctx: &Context<'_>) -> Result<Vec<Session>> {
        let rows = sessions::list(ctx.db()?, &self.0).await?;
        Ok(rows.into_iter().map(|row| Session::new(row, &self.0)).collect())
    }

    /// The server's clock, so that relative times are the same on server and browser.
    async fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }
}

#[derive(SimpleObject)]
pub struct ViewerMembership {
    organization: Organization,
    role: Role,
    current: bool,
}

#[derive(SimpleObject)]
pub struct Session {
    id: ID,
    current: bool,
    created_at: DateTime<Utc>,
    /// Exact to a minute.
    last_seen_at: DateTime<Utc>,
    user_agent: String,
    address: String,
}

impl Session {
    fn new(row: SessionRow, asker: &Ctx) -> Self {
        Self {
            id: node::id(SessionId(row.id)),
            current: asker.session == Some(row.id),
            created_at: row.created_at,
            last_seen_at: row.last_seen_at,
            user_agent: row.user_agent,
            address: row.address,
        }
    }
}

#[derive(SimpleObject)]
pub struct Member {
    user: User,
    role: Role,
    joined_at: DateTime<Utc>,
    last_sign_in_at: Option<DateTime<Utc>>,
}

impl From<identity::Member> for Member {
    fn from(row: identity::Member) -> Self {
        Self { user: User(row.person), role: row.role, joined_at: row.joined_at, last_sign_in_at: row.last_sign_in_at }
    }
}

/// An invitation that is open.
pub struct Invitation(InvitationRow);

#[Object]
impl Invitation {
    pub(super) async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    async fn email(&self) -> &str {
        &self.0.email
    }

    async fn role(&self) -> Role {
        self.0.role
    }

    async fn invited_by(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        load_user(ctx, self.0.invited_by).await
    }

    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    async fn expires_at(&self) -> DateTime<Utc> {
        self.0.expires_at
    }
}

pub struct ApiToken(TokenRow);

#[Object]
impl ApiToken {
    pub(super) async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    async fn role(&self) -> Role {
        self.0.role
    }

    /// Permissions; empty means all of the role's.
    async fn scopes(&self) -> &[String] {
        &self.0.scopes
    }

    /// First characters, to recognize it.
    async fn prefix(&self) -> &str {
        &self.0.prefix
    }

    async fn created_by(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        load_user(ctx, self.0.created_by).await
    }

    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    async fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.0.expires_at
    }

    /// Exact to a minute.
    async fn last_used_at(&self) -> Option<DateTime<Utc>> {
        self.0.last_used_at
    }

    async fn revoked_at(&self) -> Option<DateTime<Utc>> {
        self.0.revoked_at
    }

    /// The agent that acts by it; null for who may not see assets.
    async fn agent(&self, ctx: &Context<'_>) -> Result<Option<Asset>> {
        match self.0.agent.filter(|_| ctx.asker().is_ok_and(|asker| asker.may(Permission::AssetRead))) {
            Some(agent) => inventory::load(ctx, agent).await,
            None => Ok(None),
        }
    }
}

#[derive(SimpleObject)]
pub struct RoleDescription {
    role: Role,
    summary: &'static str,
    permissions: Vec<&'static str>,
}

#[derive(SimpleObject)]
pub struct CreatedInvitation {
    invitation: Invitation,
    /// Shown once.
    url: String,
}

#[derive(SimpleObject)]
pub struct CreatedToken {
    token: ApiToken,
    /// Shown once.
    secret: String,
}

/// The asker's organization, if it is this one.
pub(super) async fn load_organization(ctx: &Context<'_>, id: TenantId) -> Result<Option<Organization>> {
    let asker = ctx.asker()?;
    if id != asker.tenant {
        return Ok(None);
    }
    Ok(Some(Organization(members::organization(ctx.db()?, asker).await?)))
}

pub(super) async fn load_invitation(ctx: &Context<'_>, id: InvitationId) -> Result<Option<Invitation>> {
    Ok(members::invitation(ctx.db()?, ctx.asker()?, id).await?.map(Invitation))
}

pub(super) async fn load_token(ctx: &Context<'_>, id: TokenId) -> Result<Option<ApiToken>> {
    Ok(tokens::get(ctx.db()?, ctx.asker()?, id).await?.map(ApiToken))
}

#[derive(Default)]
pub struct IdentityQuery;

#[Object]
impl IdentityQuery {
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Viewer> {
        Ok(Viewer(ctx.asker()?.clone()))
    }

    /// By name, at most 1,000.
    async fn members(&self, ctx: &Context<'_>) -> Result<Vec<Member>> {
        Ok(members::list(ctx.db()?, ctx.asker()?).await?.into_iter().map(Member::from).collect())
    }

    /// Open ones, newest first, at most 1,000.
    async fn invitations(&self, ctx: &Context<'_>) -> Result<Vec<Invitation>> {
        Ok(members::invitations(ctx.db()?, ctx.asker()?).await?.into_iter().map(Invitation).collect())
    }

    /// Also ended ones, newest first, at most 1,000.
    async fn api_tokens(&self, ctx: &Context<'_>) -> Result<Vec<ApiToken>> {
        Ok(tokens::list(ctx.db()?, ctx.asker()?).await?.into_iter().map(ApiToken).collect())
    }

    /// What each role may do.
    async fn roles(&self) -> Vec<RoleDescription> {
        Role::ALL
            .iter()
            .map(|role| RoleDescription {
                role: *role,
                summary: role.summary(),
                permissions: role.permissions().map(|permission| permission.as_str()).collect(),
            })
            .collect()
    }
}

#[derive(Default)]
pub struct IdentityMutation;

#[Object]
impl IdentityMutation {
    async fn update_organization(&self, ctx: &Context<'_>, name: String) -> Result<Organization> {
        Ok(Organization(members::update_organization(ctx.db()?, ctx.asker()?, &name).await?))
    }

    /// An open invitation of the same address ends.
    async fn invite_member(&self, ctx: &Context<'_>, email: String, role: Role) -> Result<CreatedInvitation> {
        let (invitation, secret) = members::invite(ctx.db()?, ctx.asker()?, &email, role).await?;
        let base = ctx.data_opt::<PublicUrl>().map_or("", |url| url.0.as_str());
        Ok(CreatedInvitation { invitation: Invitation(invitation), url: format!("{base}/invitations/{secret}") })
    }

    /// Returns whether it was open.
    async fn revoke_invitation(&self, ctx: &Context<'_>, id: ID) -> Result<bool> {
        let id = node::parse::<InvitationId>("id", &id)?;
        Ok(members::revoke_invitation(ctx.db()?, ctx.asker()?, id).await?)
    }

    /// Nobody gives or takes a role with permissions that they do not hold; the last owner stays.
    async fn change_role(&self, ctx: &Context<'_>, user: ID, role: Role) -> Result<Member> {
        let user = node::parse::<UserId>("user", &user)?;
        Ok(members::change_role(ctx.db()?, ctx.asker()?, user, role).await?.into())
    }

    /// The person is out with their next request, and the tokens that they made end.
    async fn remove_member(&self, ctx: &Context<'_>, user: ID) -> Result<bool> {
        let user = node::parse::<UserId>("user", &user)?;
        members::remove(ctx.db()?, ctx.asker()?, user).await?;
        Ok(true)
    }

    /// Scopes are permissions of the role; none means all of them.
    async fn create_api_token(
        &self,
        ctx: &Context<'_>,
        name: String,
        role: Role,
        scopes: Option<Vec<String>>,
        expires_at: Option<DateTime<Utc>>,
        #[graphql(
            desc = "The agent that acts by it: the token is refused while that agent is contained with BLOCK_ALL."
        )]
        agent: Option<ID>,
    ) -> Result<CreatedToken> {
        let agent = agent.map(|id| node::parse("agent", &id)).transpose()?;
        let input = NewToken { name, role, scopes: scopes.unwrap_or_default(), expires_at, agent };
        let (token, secret) = tokens::create(ctx.db()?, ctx.asker()?, input).await?;
        Ok(CreatedToken { token: ApiToken(token), secret })
    }

    async fn revoke_api_token(&self, ctx: &Context<'_>, id: ID) -> Result<ApiToken> {
        let id = node::parse::<TokenId>("id", &id)?;
        Ok(ApiToken(tokens::revoke(ctx.db()?, ctx.asker()?, id).await?))
    }

    /// Ends all other sessions of the person.
    async fn change_password(&self, ctx: &Context<'_>, current: String, new: String) -> Result<bool> {
        account::change_password(ctx.db()?, ctx.asker()?, current, new).await?;
        Ok(true)
    }

    async fn revoke_session(&self, ctx: &Context<'_>, id: ID) -> Result<bool> {
        let id = node::parse::<SessionId>("id", &id)?;
        sessions::revoke(ctx.db()?, ctx.asker()?, id.0).await?;
        Ok(true)
    }

    /// Ends all sessions of the viewer but the current one; returns how many.
    async fn sign_out_everywhere(&self, ctx: &Context<'_>) -> Result<u64> {
        Ok(sessions::sign_out_everywhere(ctx.db()?, ctx.asker()?).await?)
    }
}
