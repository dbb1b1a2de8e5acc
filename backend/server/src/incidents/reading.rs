//! What people see of incidents.

use super::{
    domain::{Incident, IncidentClock},
    more_repo as rows, repo,
};
use crate::kernel::{
    Ctx, Db, Error, Permission, Result,
    page::{Page, Slice},
};
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stance_shared::{EntryKind, IncidentId, IncidentStatus, Severity, UserId};
use std::collections::HashMap;
use uuid::Uuid;

/// Which incidents. Empty lists do not filter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub status: Vec<IncidentStatus>,
    pub severity: Vec<Severity>,
    pub assignee: Option<UserId>,
    pub unassigned: bool,
    /// A correlation rule.
    pub rule: Option<String>,
    /// With a clock that ran out and still runs.
    pub breached: bool,
    pub serious: bool,
    /// A pattern for `ILIKE` on the title.
    pub search: Option<String>,
    /// Items that must all belong to it: kind and id.
    pub about: Vec<(&'static str, Uuid)>,
}

/// Where a list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key(pub DateTime<Utc>, pub IncidentId);

/// Where a timeline goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineKey(pub DateTime<Utc>, pub Uuid);

/// A line of a timeline.
#[derive(Clone, Debug)]
pub struct Line {
    pub id: Uuid,
    pub at: DateTime<Utc>,
    pub recorded_at: DateTime<Utc>,
    pub kind: EntryKind,
    pub actor: String,
    pub text: String,
    pub evidence: Option<Value>,
}

/// A ticket elsewhere.
#[derive(Clone, Debug)]
pub struct Link {
    pub title: String,
    pub url: String,
    pub added_at: DateTime<Utc>,
    pub added_by: String,
}

/// How an organization does with its incidents. Means are in seconds, over what was reached within the time asked for.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Not closed.
    pub open: i64,
    /// Open, with a clock that ran out.
    pub overdue: i64,
    /// When the oldest that is not closed was opened.
    pub oldest: Option<DateTime<Utc>>,
    pub opened: i64,
    pub closed: i64,
    /// From opened to triaged: mean time to acknowledge.
    pub triage: Option<f64>,
    pub contain: Option<f64>,
    /// From opened to closed: mean time to resolve.
    pub resolve: Option<f64>,
    /// All that there ever were.
    pub ever: i64,
}

/// One page of incidents, newest first.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails; so do all functions of this module.
pub async fn list(db: &Db, ctx: &Ctx, filter: &Filter, page: &Page<Key>) -> Result<Slice<Incident>> {
    let mut tx = db.begin(ctx, Permission::IncidentRead).await?;
    Ok(page.slice(rows::list(&mut tx, filter, page).await?))
}

/// How many incidents the filter lets through.
///
/// # Errors
/// As [`list`].
pub async fn count(db: &Db, ctx: &Ctx, filter: &Filter) -> Result<i64> {
    rows::count(&mut db.begin(ctx, Permission::IncidentRead).await?, filter).await
}

/// Incidents by id.
///
/// # Errors
/// As [`list`].
pub async fn by_ids(db: &Db, ctx: &Ctx, ids: &[IncidentId]) -> Result<HashMap<IncidentId, Incident>> {
    let mut tx = db.begin(ctx, Permission::IncidentRead).await?;
    Ok(repo::by_ids(&mut tx, ids).await?.into_iter().map(|incident| (incident.id, incident)).collect())
}

/// The clocks of incidents.
///
/// # Errors
/// As [`list`].
pub async fn clocks(db: &Db, ctx: &Ctx, ids: &[IncidentId]) -> Result<HashMap<IncidentId, Vec<IncidentClock>>> {
    let mut tx = db.begin(ctx, Permission::IncidentRead).await?;
    let clocks = repo::clocks(&mut tx, ids).await?;
    Ok(grouped(clocks.into_iter().map(|clock| (clock.incident, clock))))
}

/// The newest items of a kind, at most `limit` of each incident.
///
/// # Errors
/// As [`list`].
pub async fn items(
    db: &Db,
    ctx: &Ctx,
    ids: &[IncidentId],
    kind: &str,
    limit: i64,
) -> Result<HashMap<IncidentId, Vec<Uuid>>> {
    let mut tx = db.begin(ctx, Permission::IncidentRead).await?;
    Ok(grouped(rows::items(&mut tx, ids, kind, limit).await?))
}

/// Who watches incidents.
///
/// # Errors
/// As [`list`].
pub async fn watchers(db: &Db, ctx: &Ctx, ids: &[IncidentId]) -> Result<HashMap<IncidentId, Vec<UserId>>> {
    Ok(grouped(rows::watchers(&mut db.begin(ctx, Permission::IncidentRead).await?, ids).await?))
}

/// Tickets elsewhere.
///
/// # Errors
/// As [`list`].
pub async fn links(db: &Db, ctx: &Ctx, ids: &[IncidentId]) -> Result<HashMap<IncidentId, Vec<Link>>> {
    Ok(grouped(rows::links(&mut db.begin(ctx, Permission::IncidentRead).await?, ids).await?))
}

/// One page of an incident's timeline, newest first, with what was merged into it.
///
/// # Errors
/// As [`list`].
pub async fn timeline(db: &Db, ctx: &Ctx, incident: IncidentId, page: &Page<LineKey>) -> Result<Slice<Line>> {
    let mut tx = db.begin(ctx, Permission::IncidentRead).await?;
    Ok(page.slice(rows::lines(&mut tx, incident, page).await?))
}

/// How many lines the timeline has.
///
/// # Errors
/// As [`list`].
pub async fn count_lines(db: &Db, ctx: &Ctx, incident: IncidentId) -> Result<i64> {
    rows::count_lines(&mut db.begin(ctx, Permission::IncidentRead).await?, incident).await
}

/// Figures over the last `days`, 1 to 400.
///
/// # Errors
/// As [`list`]; `BAD_INPUT` naming `days`.
pub async fn metrics(db: &Db, ctx: &Ctx, days: i32) -> Result<Metrics> {
    if !(1..=400).contains(&days) {
        return Err(Error::field("days", "must be 1 to 400"));
    }
    let since = ctx.now() - Duration::days(i64::from(days));
    rows::metrics(&mut db.begin(ctx, Permission::IncidentRead).await?, since).await
}

fn grouped<T>(rows: impl IntoIterator<Item = (IncidentId, T)>) -> HashMap<IncidentId, Vec<T>> {
    let mut groups: HashMap<_, Vec<T>> = HashMap::new();
    for (id, row) in rows {
        groups.entry(id).or_default().push(row);
    }
    groups
}
