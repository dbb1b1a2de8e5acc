//! The hash of an entry.
//!
//! SHA-256 over the bytes of `stance-audit/1`, then for each of these fields in this order its length in bytes as an
//! unsigned 64-bit big-endian number and its bytes:
//!
//! 1. tenant id, 16 bytes
//! 2. sequence, signed 64-bit big-endian
//! 3. time, microseconds since 1970-01-01 UTC, signed 64-bit big-endian
//! 4. kind of actor, UTF-8
//! 5. id of the actor, 16 bytes, or no bytes when there is none
//! 6. actor, UTF-8
//! 7. action, UTF-8
//! 8. kind of target, UTF-8
//! 9. id of the target, UTF-8
//! 10. request id, UTF-8
//! 11. detail, the column's text as it is, UTF-8
//! 12. hash of the entry before, 32 bytes; 32 zero bytes for the first
//!
//! The lengths make the bytes readable in one way only; the leading name keeps the hash apart from all others.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What stands before the fields, and names their order.
pub const DOMAIN: &[u8] = b"stance-audit/1";

/// `previous` of an organization's first entry.
pub const GENESIS: [u8; 32] = [0; 32];

/// A row of `audit_entry`.
#[derive(Clone, Debug)]
pub struct Row {
    pub tenant_id: Uuid,
    pub sequence: i64,
    pub at: DateTime<Utc>,
    pub actor_kind: String,
    pub actor_id: Option<Uuid>,
    pub actor: String,
    pub action: String,
    pub target_kind: String,
    pub target_id: String,
    pub request_id: String,
    pub detail: String,
    pub previous: Vec<u8>,
    pub hash: Vec<u8>,
}

impl Row {
    /// The hash that the row should carry.
    #[must_use]
    pub fn compute_hash(&self) -> [u8; 32] {
        let mut hasher = Sha256::new_with_prefix(DOMAIN);
        let fields: [&[u8]; 12] = [
            self.tenant_id.as_bytes(),
            &self.sequence.to_be_bytes(),
            &self.at.timestamp_micros().to_be_bytes(),
            self.actor_kind.as_bytes(),
            self.actor_id.as_ref().map_or(&[], |id| id.as_bytes()),
            self.actor.as_bytes(),
            self.action.as_bytes(),
            self.target_kind.as_bytes(),
            self.target_id.as_bytes(),
            self.request_id.as_bytes(),
            self.detail.as_bytes(),
            &self.previous,
        ];
        for field in fields {
            hasher.update((field.len() as u64).to_be_bytes());
            hasher.update(field);
        }
        hasher.finalize().into()
    }
}
