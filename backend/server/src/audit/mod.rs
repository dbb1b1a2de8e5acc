//! The audit log: every change of an organization, append-only, as a hash chain.
//!
//! Owns `audit_head` and `audit_entry`. Entries of a tenant are numbered 1, 2, 3 … without gaps, each carries the hash
//! of the one before, and the head keeps the number and hash of the last. Any slice may call [`record`].
//! How an auditor recomputes a hash stands at [`chain`].
//!
//! The chain shows changes by anybody who can write to the table but not recompute all that follows and the head.
//! Against somebody who can, keep the head that `stance audit verify` prints at another place, and compare.

pub mod chain;
mod repo;
mod service;
#[cfg(test)]
mod tests;

pub use service::{Filter, NEWEST, Recorded, Verification, count, list, record, verify, verify_all};

/// What happened, to what. Actor, tenant, time and request id come from the transaction's context.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// `noun.verb` in the past tense: `finding.triaged`.
    pub action: &'a str,
    /// The noun of the target's id: `finding`.
    pub target_kind: &'a str,
    /// The id, as text.
    pub target_id: String,
    /// What an auditor needs to understand the change; never a secret.
    pub detail: serde_json::Value,
}
