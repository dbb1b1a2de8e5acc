//! Who may come in: organizations, people, memberships, invitations, API tokens, browser sessions.
//!
//! Owns `organization`, `app_user`, `membership`, `invitation`, `api_token`, `session`, `sign_in_throttle`.
//!
//! Invariants:
//! - Passwords are stored as argon2id, session ids, invitation and API tokens as SHA-256 (they carry 128 bits of
//!   randomness or more). None of them can be read back.
//! - Role and membership are read on every request, so a change counts at once.
//! - Nobody grants what they do not hold: a role or token can be given, changed or taken only by somebody who has all
//!   of its permissions. So only owners (`owner:grant`) make, change or remove owners.
//! - An organization always has an owner.
//! - Tokens belong to the organization, but end when their creator leaves it or loses the role that they carry.
//! - Sign-in answers the same, after the same work, whether an account exists or not.
//!
//! Failed sign-ins of an account that exists are audited in each of its organizations, since each is concerned; those
//! of unknown accounts are only logged. Attempts that the throttle refused are not audited: their number has no bound.

pub mod account;
pub mod authenticate;
pub mod domain;
pub mod entry;
pub mod members;
pub mod password;
mod repo;
pub mod sessions;
pub mod tokens;

#[cfg(test)]
mod tests;

pub use authenticate::{authenticate_session, authenticate_token};
pub use domain::{Client, Email, Member, Membership, Organization, Person};
pub use entry::{bootstrap, is_set_up};
