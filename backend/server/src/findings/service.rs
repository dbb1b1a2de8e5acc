//! Reading findings.

use super::{
    Decision, Event, Filter, Finding, Hit, Key, Occurrence, Search, Seen, SeverityCounts, Sort, Summary, repo,
};
use crate::kernel::{
    Ctx, Db, Permission, Result, TenantTx,
    page::{Page, Slice},
};
use stance_shared::{AssetId, DecisionId, FindingId};
use std::collections::HashMap;

/// Findings by id; ids of other organizations are not found.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails; so do all functions of this module.
pub async fn by_ids(db: &Db, ctx: &Ctx, ids: &[FindingId]) -> Result<HashMap<FindingId, Finding>> {
    let mut tx = db.begin(ctx, Permission::FindingRead).await?;
    Ok(repo::by_ids(&mut tx, ids).await?.into_iter().map(|finding| (finding.id, finding)).collect())
}

/// One page of findings.
///
/// # Errors
/// Also `BAD_INPUT` when the cursor is of a list that was sorted otherwise.
pub async fn list(
    db: &Db,
    ctx: &Ctx,
    filter: &Filter,
    sort: Sort,
    descending: bool,
    page: &Page<Key>,
) -> Result<Slice<Finding>> {
    page.sorted(|key| key.sort() == sort)?;
    let mut tx = db.begin(ctx, Permission::FindingRead).await?;
    Ok(page.slice(repo::list(&mut tx, filter, sort, descending, page).await?))
}

/// How many findings the filter lets through.
///
/// # Errors
/// As [`by_ids`].
pub async fn count(db: &Db, ctx: &Ctx, filter: &Filter) -> Result<i64> {
    repo::count(&mut db.begin(ctx, Permission::FindingRead).await?, filter).await
}

/// Counts under the filter, whose status is ignored.
///
/// # Errors
/// As [`by_ids`].
pub async fn summary(db: &Db, ctx: &Ctx, filter: &Filter) -> Result<Summary> {
    let filter = Filter { status: Vec::new(), ..filter.clone() };
    repo::summary(&mut db.begin(ctx, Permission::FindingRead).await?, &filter).await
}

/// Adds up the rows that say how many findings there are, of the organization and of these assets, so that reading them stays
/// short. For the job that computes risk.
///
/// # Errors
/// When the database fails.
pub async fn add_up_counts(tx: &mut TenantTx, assets: &[AssetId]) -> Result<()> {
    repo::add_up_counts(tx, assets).await
}

/// Names of all tools that ever scanned something.
///
/// # Errors
/// As [`by_ids`].
pub async fn tools(db: &Db, ctx: &Ctx) -> Result<Vec<String>> {
    repo::tools(&mut db.begin(ctx, Permission::FindingRead).await?).await
}

/// Open findings (in progress too) of assets by severity; assets without are left out.
///
/// # Errors
/// As [`by_ids`].
pub async fn open_by_asset(db: &Db, ctx: &Ctx, ids: &[AssetId]) -> Result<HashMap<AssetId, SeverityCounts>> {
    let mut tx = db.begin(ctx, Permission::FindingRead).await?;
    Ok(repo::open_by_asset(&mut tx, ids).await?.into_iter().collect())
}

/// Who still reports the findings, and when they were last seen.
///
/// # Errors
/// As [`by_ids`].
pub async fn seen(db: &Db, ctx: &Ctx, ids: &[FindingId]) -> Result<HashMap<FindingId, Seen>> {
    let mut tx = db.begin(ctx, Permission::FindingRead).await?;
    Ok(repo::seen(&mut tx, ids).await?.into_iter().collect())
}

/// What the scans say of the findings: those that still report them first, newest first.
///
/// # Errors
/// As [`by_ids`].
pub async fn occurrences(db: &Db, ctx: &Ctx, ids: &[FindingId]) -> Result<HashMap<FindingId, Vec<Occurrence>>> {
    let mut tx = db.begin(ctx, Permission::FindingRead).await?;
    Ok(grouped(repo::occurrences(&mut tx, ids).await?))
}

/// Decisions by id.
///
/// # Errors
/// As [`by_ids`].
pub async fn decisions(db: &Db, ctx: &Ctx, ids: &[DecisionId]) -> Result<HashMap<DecisionId, Decision>> {
    let mut tx = db.begin(ctx, Permission::FindingRead).await?;
    Ok(repo::decisions(&mut tx, ids).await?.into_iter().map(|decision| (decision.id, decision)).collect())
}

/// The last `limit` lines of the findings' history, newest first; the first line of all is `CREATED`.
///
/// # Errors
/// As [`by_ids`].
pub async fn history(db: &Db, ctx: &Ctx, ids: &[FindingId], limit: i64) -> Result<HashMap<FindingId, Vec<Event>>> {
    let mut tx = db.begin(ctx, Permission::FindingRead).await?;
    let mut history = grouped(repo::history(&mut tx, ids, limit).await?);
    for (id, created) in repo::creations(&mut tx, ids).await? {
        let lines = history.entry(id).or_default();
        if i64::try_from(lines.len()).is_ok_and(|len| len < limit) {
            lines.push(created);
        }
    }
    Ok(history)
}

/// What a pattern finds, for a [`Filter`]: looked for once, where one document asks for a list, its count and its summary.
///
/// # Errors
/// As [`by_ids`].
pub async fn look_up(db: &Db, ctx: &Ctx, pattern: &str) -> Result<Search> {
    /// More are found again at each place, where reading the list's order to its end is not needed to find a page of them.
    const FEW: usize = 1000;
    let hits = repo::hits(&mut db.begin(ctx, Permission::FindingRead).await?, pattern, FEW).await?;
    Ok(hits.map_or_else(|| Search::Pattern(pattern.to_owned()), |ids| Search::Found(ids.into())))
}

/// Findings that are not resolved and whose title or rule has the text, the riskiest first.
///
/// # Errors
/// As [`by_ids`].
pub async fn search(db: &Db, ctx: &Ctx, pattern: &str, limit: i64) -> Result<Vec<Hit>> {
    repo::search(&mut db.begin(ctx, Permission::FindingRead).await?, pattern, limit).await
}

fn grouped<T>(rows: Vec<(FindingId, T)>) -> HashMap<FindingId, Vec<T>> {
    let mut groups: HashMap<_, Vec<T>> = HashMap::new();
    for (id, row) in rows {
        groups.entry(id).or_default().push(row);
    }
    groups
}
