//! The audit log's use cases.

use super::{
    Entry,
    chain::{GENESIS, Row},
    repo::{self, Head},
};
use crate::kernel::{
    Ctx, Db, Error, Permission, Result, TenantTx,
    db::SystemReason,
    page::{Page, Slice},
};
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use sqlx::PgConnection;
use stance_shared::TenantId;
use uuid::Uuid;

/// Appends an entry in the caller's transaction: it stands if and only if the change does.
///
/// Locks the organization's chain until the transaction ends. So call it last, after all other locks are taken:
/// that keeps the wait short, and two transactions can not wait for each other.
///
/// # Errors
/// When the database fails.
pub async fn record(tx: &mut TenantTx, entry: Entry<'_>) -> Result<()> {
    let ctx = tx.ctx().clone();
    let head = repo::lock_head(tx.conn(), ctx.tenant.0, &GENESIS).await?;
    let mut row = Row {
        tenant_id: ctx.tenant.0,
        sequence: head.sequence + 1,
        at: ctx.now(),
        actor_kind: ctx.actor.kind().to_owned(),
        actor_id: ctx.actor.id(),
        actor: ctx.actor.label().to_owned(),
        action: entry.action.to_owned(),
        target_kind: entry.target_kind.to_owned(),
        target_id: entry.target_id,
        request_id: ctx.request_id.clone(),
        detail: entry.detail.to_string(),
        previous: head.hash,
        hash: Vec::new(),
    };
    row.hash = row.compute_hash().to_vec();
    repo::append(tx.conn(), &row).await?;
    Ok(())
}

/// Narrows the list; all given must match exactly.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// An action, `finding.triaged`.
    pub action: Option<String>,
    /// What an actor is called: e-mail address, name of a token.
    pub actor: Option<String>,
}

/// An entry as readers see it.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub sequence: i64,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub action: String,
    pub target_kind: String,
    pub target_id: String,
    pub request_id: String,
    /// JSON.
    pub detail: String,
    /// 32 bytes.
    pub hash: Vec<u8>,
}

/// Entries, newest first; the key of the page is the sequence.
///
/// # Errors
/// `FORBIDDEN` without `audit:read`.
pub async fn list(db: &Db, ctx: &Ctx, filter: &Filter, page: &Page<i64>) -> Result<Slice<Recorded>> {
    let mut tx = db.begin(ctx, Permission::AuditRead).await?;
    Ok(page.slice(repo::list(tx.conn(), filter, page.after, page.limit()).await?))
}

/// How many entries the filter lets through.
///
/// # Errors
/// `FORBIDDEN` without `audit:read`.
pub async fn count(db: &Db, ctx: &Ctx, filter: &Filter) -> Result<i64> {
    let mut tx = db.begin(ctx, Permission::AuditRead).await?;
    Ok(repo::count(tx.conn(), filter).await?)
}

/// How many entries the page about the audit log checks: a fraction of a second, however long the log is.
pub const NEWEST: i64 = 10_000;

/// What checking a chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The sequence of the first entry that was looked at. Beyond 1, the entries before it were taken on trust.
    pub first: i64,
    /// The sequence of the last entry that fits, all from `first` on fitting too.
    pub last: i64,
    /// The sequence of the first entry that does not fit, and what is wrong with it.
    pub broken: Option<(i64, &'static str)>,
    /// The last hash that fits: to be kept elsewhere and compared.
    pub hash: Vec<u8>,
}

impl Verification {
    /// Whether all that was looked at fits.
    #[must_use]
    pub const fn valid(&self) -> bool {
        self.broken.is_none()
    }

    /// How many entries were looked at and fit.
    #[must_use]
    pub const fn entries(&self) -> i64 {
        self.last + 1 - self.first
    }

    /// A sentence for people.
    #[must_use]
    pub fn message(&self) -> String {
        let hash = hex::encode(&self.hash);
        match self.broken {
            Some((sequence, what)) => format!("Entry {sequence} does not fit: {what}"),
            None if self.first == 1 => format!("All {} entries fit. The last hash is {hash}.", self.last),
            None => format!(
                "The newest {} of {} entries fit; `stance audit verify` checks all. The last hash is {hash}.",
                self.entries(),
                self.last,
            ),
        }
    }
}

/// Recomputes the organization's newest hashes, at most `newest` of them, in constant memory. That the chain before them
/// was not made anew as a whole, only [`verify_all`] shows.
///
/// # Errors
/// `FORBIDDEN` without `audit:read`.
pub async fn verify(db: &Db, ctx: &Ctx, newest: i64) -> Result<Verification> {
    let mut tx = db.begin(ctx, Permission::AuditRead).await?;
    verify_chain(tx.conn(), ctx.tenant, newest).await
}

/// Recomputes the chains of all organizations, for `stance audit verify`; `report` gets each with its name.
///
/// # Errors
/// When the database fails.
pub async fn verify_all(db: &Db, mut report: impl FnMut(TenantId, &str, &Verification)) -> Result<()> {
    let mut tx = db.begin_system(SystemReason::Operations).await?;
    let mut after = Uuid::nil();
    loop {
        let organizations = repo::organizations(tx.conn(), after).await?;
        let Some((last, _)) = organizations.last() else { return Ok(()) };
        after = *last;
        for (tenant, name) in &organizations {
            let verification = verify_chain(tx.conn(), TenantId(*tenant), i64::MAX).await?;
            report(TenantId(*tenant), name, &verification);
        }
    }
}

async fn verify_chain(conn: &mut PgConnection, tenant: TenantId, newest: i64) -> Result<Verification> {
    let trusted = |head: Option<&Head>| head.map_or(0, |head| head.sequence.saturating_sub(newest).max(0));
    let start = |after, hash| Verification { first: after + 1, last: after, broken: None, hash };
    let mut found = start(0, GENESIS.to_vec());
    let mut last_head = None;
    {
        let mut rows = std::pin::pin!(repo::stream(conn, tenant.0, newest));
        let mut begun = false;
        while let Some((row, head)) = rows.try_next().await.map_err(Error::from)? {
            if !std::mem::replace(&mut begun, true) && trusted(head.as_ref()) > 0 {
                found = start(trusted(head.as_ref()), row.previous.clone());
            }
            if let Some(what) = misfit(&row, &found, head.as_ref()) {
                found.broken = Some((found.last + 1, what));
                return Ok(found);
            }
            found.last = row.sequence;
            found.hash = row.hash;
            last_head = head;
        }
    }
    if last_head.is_none() {
        last_head = repo::head_without_entries(conn, tenant.0, newest).await?;
        found = start(trusted(last_head.as_ref()), found.hash);
    }
    if last_head.is_some_and(|head| head.sequence > found.last) {
        found.broken = Some((found.last + 1, "it is missing; the head of the chain counts more entries."));
    }
    Ok(found)
}

/// What is wrong with a row that comes after those already found to fit.
fn misfit(row: &Row, before: &Verification, head: Option<&Head>) -> Option<&'static str> {
    if row.sequence != before.last + 1 {
        return Some("it is missing.");
    }
    if row.previous != before.hash {
        return Some("it does not carry the hash of the entry before.");
    }
    if row.hash != row.compute_hash() {
        return Some("its content does not give its hash.");
    }
    match head {
        Some(head) if head.sequence < row.sequence => Some("it was added past the head of the chain."),
        Some(head) if head.sequence == row.sequence && head.hash != row.hash => {
            Some("the head of the chain has another hash.")
        }
        Some(_) => None,
        None => Some("the head of the chain is missing."),
    }
}
