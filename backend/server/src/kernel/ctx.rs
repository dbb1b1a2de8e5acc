//! Who asks: the first argument of every use case.

use super::{Clock, Error, Permission, Result, Role};
use chrono::{DateTime, Utc};
use stance_shared::{TenantId, TokenId, UserId};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// A signed-in person; the label is their e-mail address.
    User { id: UserId, label: String },
    /// An API token; the label is its name.
    Token { id: TokenId, label: String },
    /// Stance itself; the label says which part.
    System { label: String },
}

impl Actor {
    /// How history and audit call the actor.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::User { label, .. } | Self::Token { label, .. } | Self::System { label } => label,
        }
    }

    /// `USER`, `TOKEN` or `SYSTEM`, as in `audit_entry.actor_kind`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::User { .. } => "USER",
            Self::Token { .. } => "TOKEN",
            Self::System { .. } => "SYSTEM",
        }
    }

    /// The person's or token's id.
    #[must_use]
    pub const fn id(&self) -> Option<Uuid> {
        match self {
            Self::User { id, .. } => Some(id.0),
            Self::Token { id, .. } => Some(id.0),
            Self::System { .. } => None,
        }
    }
}

/// One request's or job's context: tenant, actor, what they may do, clock.
#[derive(Clone, Debug)]
pub struct Ctx {
    pub tenant: TenantId,
    pub actor: Actor,
    pub role: Role,
    /// Narrows the role (API tokens); `None` means all of the role's permissions.
    pub scopes: Option<BTreeSet<Permission>>,
    /// The browser session that the person came by: its public id, `session.id`.
    pub session: Option<Uuid>,
    /// Follows a request through log lines, audit and jobs.
    pub request_id: String,
    pub clock: Clock,
}

impl Ctx {
    /// A context for Stance's own work in a tenant (jobs, sweeps): holds every permission.
    #[must_use]
    pub fn system(tenant: TenantId, label: &str, clock: Clock) -> Self {
        Self {
            tenant,
            actor: Actor::System { label: label.to_owned() },
            role: Role::Owner,
            scopes: None,
            session: None,
            request_id: clock.new_id().to_string(),
            clock,
        }
    }

    /// Whether the actor holds the permission.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.role.allows(permission) && self.scopes.as_ref().is_none_or(|scopes| scopes.contains(&permission))
    }

    /// # Errors
    /// `FORBIDDEN`, naming the permission.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if self.may(permission) { Ok(()) } else { Err(Error::forbidden(permission)) }
    }

    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    #[must_use]
    pub fn new_id(&self) -> Uuid {
        self.clock.new_id()
    }

    /// The person, when a person asks.
    #[must_use]
    pub const fn user(&self) -> Option<UserId> {
        match self.actor {
            Actor::User { id, .. } => Some(id),
            _ => None,
        }
    }
}
