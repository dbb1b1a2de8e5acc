//! The API of the audit log.

use super::{GraphqlContext as _, connection::Connection};
use crate::{
    audit::{self, Filter, Recorded},
    kernel::page::Page,
};
use async_graphql::{Context, Json, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use serde_json::Value;

/// A change or a sign-in, in the order in which they happened.
#[derive(SimpleObject)]
pub struct AuditEntry {
    /// 1, 2, 3 … without gaps.
    sequence: i64,
    at: DateTime<Utc>,
    /// E-mail address of a person, name of a token, or part of Stance.
    actor: String,
    /// What happened, for example finding.triaged
    action: String,
    /// Kind and id of what it happened to.
    target: String,
    detail: Json<Value>,
    request_id: String,
    /// SHA-256 over the entry and the hash of the one before, 64 hex digits.
    hash: String,
}

impl From<Recorded> for AuditEntry {
    fn from(row: Recorded) -> Self {
        let target = if row.target_id.is_empty() { row.target_kind } else { row.target_kind + ":" + &row.target_id };
        let detail = serde_json::from_str(&row.detail).unwrap_or(Value::String(row.detail));
        Self {
            sequence: row.sequence,
            at: row.at,
            actor: row.actor,
            action: row.action,
            target,
            detail: Json(detail),
            request_id: row.request_id,
            hash: hex::encode(row.hash),
        }
    }
}

/// What recomputing the chain of hashes found.
#[derive(SimpleObject)]
pub struct AuditVerification {
    /// Whether all that was looked at fits.
    valid: bool,
    /// How many entries were looked at and fit.
    entries: i64,
    /// sequence of the first entry that was looked at; 1: all were
    first: i64,
    /// sequence of the first entry that does not fit
    broken_at: Option<i64>,
    message: String,
}

#[derive(Default)]
pub struct AuditQuery;

#[Object]
impl AuditQuery {
    /// Newest first. `action` and `actor` must match exactly.
    async fn audit_log(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        action: Option<String>,
        actor: Option<String>,
    ) -> Result<Connection<AuditEntry>> {
        let page = Page::<i64>::parse(first, after.as_deref())?;
        let filter = Filter { action, actor };
        let (db, asker) = (ctx.db()?.clone(), ctx.asker()?.clone());
        let slice = audit::list(&db, &asker, &filter, &page).await?;
        let count = move || {
            let (db, asker, filter) = (db.clone(), asker.clone(), filter.clone());
            async move { audit::count(&db, &asker, &filter).await }
        };
        Ok(Connection::new(&page, slice, |row| row.sequence, AuditEntry::from, count))
    }

    /// Recomputes the newest 10,000 hashes. `stance audit verify` recomputes all.
    async fn audit_verification(&self, ctx: &Context<'_>) -> Result<AuditVerification> {
        let found = audit::verify(ctx.db()?, ctx.asker()?, audit::NEWEST).await?;
        Ok(AuditVerification {
            valid: found.valid(),
            entries: found.entries(),
            first: found.first,
            broken_at: found.broken.map(|(sequence, _)| sequence),
            message: found.message(),
        })
    }
}
