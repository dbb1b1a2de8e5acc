//! The slice's words and pure rules.

use crate::kernel::{Ctx, Error, Permission, Result, Role};
use chrono::{DateTime, Utc};
use stance_shared::{TenantId, UserId};

/// An e-mail address as accounts are found by: trimmed, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// # Errors
    /// `BAD_INPUT` unless it is `name@domain` of 3 to 254 characters without spaces.
    pub fn parse(text: &str) -> Result<Self> {
        let email = text.trim().to_lowercase();
        let whole = matches!(email.split_once('@'), Some((name, domain))
            if !name.is_empty() && !domain.is_empty() && !domain.contains('@'));
        if !whole || email.chars().count() > 254 || email.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(Error::field("email", "must be an e-mail address of at most 254 characters"));
        }
        Ok(Self(email))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.0.split_once('@').map_or(&self.0, |(name, _)| name)
    }
}

/// The organization's name for addresses: letters, digits and dashes.
#[must_use]
pub fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(48);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "organization".to_owned() } else { slug.to_owned() }
}

/// Reads a role that the database holds; its CHECK lets only known words in.
pub(super) fn stored_role(word: &str) -> Result<Role> {
    word.parse().map_err(|error: String| Error::internal(error))
}

/// Refuses unless the actor holds all the permissions: nobody grants what they do not hold.
///
/// # Errors
/// `FORBIDDEN`, naming the first permission that is missing.
pub fn require_all(ctx: &Ctx, permissions: impl IntoIterator<Item = Permission>) -> Result<()> {
    permissions.into_iter().try_for_each(|permission| ctx.require(permission))
}

/// Refuses [`Role::Sensor`] for people.
///
/// # Errors
/// `BAD_INPUT` naming the field `role`.
pub fn require_person_role(role: Role) -> Result<()> {
    if role == Role::Sensor {
        return Err(Error::field(
            "role",
            "SENSOR is for API tokens; people are OWNER, ADMIN, ANALYST, RESPONDER, AUDITOR or VIEWER",
        ));
    }
    Ok(())
}

/// Where a request came from, for the list of sessions, the throttle and the audit log.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The peer's address, or what the configured proxy says; empty when unknown.
    pub address: String,
    /// At most 300 characters.
    pub user_agent: String,
}

#[derive(Clone, Debug)]
pub struct Organization {
    pub id: TenantId,
    pub name: String,
    pub slug: String,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug)]
pub struct Person {
    pub id: UserId,
    pub email: String,
    pub name: String,
}

/// One of a person's organizations.
#[derive(Clone, Debug)]
pub struct Membership {
    pub organization: Organization,
    pub role: Role,
}

/// One of an organization's people.
#[derive(Clone, Debug)]
pub struct Member {
    pub person: Person,
    pub role: Role,
    pub joined_at: DateTime<Utc>,
    pub last_sign_in_at: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails_are_kept_in_one_form() {
        assert_eq!(Email::parse(" Ana@Example.COM ").unwrap().as_str(), "ana@example.com");
        for wrong in ["", "ana", "@example.com", "ana@", "a@b@c", "a na@example.com", "ana@exa\nmple.com"] {
            assert_eq!(Email::parse(wrong).unwrap_err().fields[0].field, "email", "{wrong:?}");
        }
        assert!(Email::parse(&format!("{}@x", "a".repeat(253))).is_err());
    }

    #[test]
    fn slugs_fit_the_column() {
        assert_eq!(slug("  Acme, Inc. "), "acme-inc");
        assert_eq!(slug("Ärzte ⚕"), "rzte");
        assert_eq!(slug("⚕"), "organization");
        assert!(slug(&"a-".repeat(100)).len() <= 48);
    }
}
