//! Reading findings.

use super::{
    Decision, Event, Filter, Finding, Hit, Key, Occurrence, Rank, Search, Seen, SeverityCounts, Sort, Summary,
};
use crate::kernel::{Result, TenantTx, page::Page};
use sqlx::{Postgres, QueryBuilder};
use stance_shared::{AssetId, DecisionId, DecisionKind, FindingId, FindingStatus, ReportId, Severity, UserId};
use std::{cmp::Reverse, collections::BTreeMap};
use uuid::Uuid;

const COLUMNS: &str = "id, fingerprint, asset_id, layer, severity, score, attack_success_rate, rule, title, \
    description, remediation, string_to_array(categories, ' ') as categories, risk, status, first_seen, resolved_at, decision_id, assignee_id";

fn uuids(ids: &[FindingId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.0).collect()
}

pub(super) async fn by_ids(tx: &mut TenantTx, ids: &[FindingId]) -> Result<Vec<Finding>> {
    let mut query = QueryBuilder::<Postgres>::new("select ");
    query.push(COLUMNS).push(" from finding where id = any(").push_bind(uuids(ids)).push(")");
    Ok(query.build_query_as().fetch_all(tx.conn()).await?)
}

/// Adds ` where …` for a query over `finding`.
pub(super) fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    query.push(" where true");
    if !filter.status.is_empty() {
        query.push(" and finding.status = any(").push_bind(filter.status.clone()).push(")");
    }
    if !filter.severity.is_empty() {
        let ranks: Vec<i16> = filter.severity.iter().map(|severity| severity.rank()).collect();
        query.push(" and finding.severity = any(").push_bind(ranks).push(")");
    }
    if !filter.layer.is_empty() {
        query.push(" and finding.layer = any(").push_bind(filter.layer.clone()).push(")");
    }
    if let Some(asset) = filter.asset {
        // The id of an alias means the asset that it is part of.
        query.push(" and finding.asset_id = (select a.root_id from asset a where a.id = ");
        query.push_bind(asset).push(")");
    }
    if !filter.asset_kind.is_empty() {
        query.push(" and exists (select from asset a where a.id = finding.asset_id and a.kind = any(");
        query.push_bind(filter.asset_kind.clone()).push("))");
    }
    if let Some(assignee) = filter.assignee {
        query.push(" and finding.assignee_id = ").push_bind(assignee);
    }
    if filter.unassigned {
        query.push(" and finding.assignee_id is null");
    }
    if let Some(category) = &filter.category {
        query.push(" and ").push_bind(category.clone()).push(" = any(string_to_array(finding.categories, ' '))");
    }
    match &filter.search {
        None => {}
        Some(Search::Pattern(pattern)) => {
            query.push(" and finding.search like lower(").push_bind(pattern.clone()).push(")");
        }
        Some(Search::Found(ids)) => {
            query.push(" and finding.id = any(").push_bind(uuids(ids)).push(")");
        }
    }
    if filter.by_scan() {
        query.push(
            " and exists (select from occurrence o join scan s on s.id = o.scan_id \
             where o.finding_id = finding.id and o.absent_since is null",
        );
        if let Some(tool) = &filter.tool {
            query.push(" and s.tool = ").push_bind(tool.clone());
        }
        if let Some(report) = filter.report {
            query.push(" and s.id in (select r.scan_id from report_scan r where r.report_id = ");
            query.push_bind(report).push(")");
        }
        if let Some(since) = filter.seen_since {
            query.push(" and s.last_seen >= ").push_bind(since);
        }
        query.push(")");
    }
}

pub(super) async fn list(
    tx: &mut TenantTx,
    filter: &Filter,
    sort: Sort,
    descending: bool,
    page: &Page<Key>,
) -> Result<Vec<Finding>> {
    // The page is found in the index of its order, which also holds what lists are narrowed by; only its rows are fetched.
    let mut query = QueryBuilder::<Postgres>::new("select ");
    query.push(COLUMNS).push(" from finding join (select id from finding");
    push_filter(&mut query, filter);
    // The database keeps severities worst first, so "descending" counts its numbers up.
    let down = descending != (sort == Sort::Severity);
    let (than, order) = if down { ("<", "desc") } else { (">", "asc") };
    match &page.after {
        None => {}
        Some(Key::Risk(bits, id)) => {
            query.push(format_args!(" and (risk, id) {than} (")).push_bind(f64::from_bits(*bits));
            query.push(", ").push_bind(*id).push(")");
        }
        Some(Key::Severity(rank, id)) => {
            query.push(format_args!(" and (severity, id) {than} (")).push_bind(*rank);
            query.push(", ").push_bind(*id).push(")");
        }
        Some(Key::FirstSeen(id)) => {
            query.push(format_args!(" and id {than} ")).push_bind(*id);
        }
    }
    let order = match sort {
        Sort::Risk => format!(" order by risk {order}, id {order}"),
        Sort::Severity => format!(" order by severity {order}, id {order}"),
        Sort::FirstSeen => format!(" order by id {order}"),
    };
    query.push(&order).push(" limit ").push_bind(page.limit()).push(") page using (id)").push(&order);
    Ok(query.build_query_as().fetch_all(tx.conn()).await?)
}

/// A table to count in, and what to add up there: the counts that are kept, or 1 for each finding where these do not know what
/// is asked for.
fn counted(filter: &Filter, categories: bool) -> (&'static str, &'static str) {
    let of_assets = filter.asset.is_some() || !filter.asset_kind.is_empty();
    let content = categories || !filter.layer.is_empty() || filter.category.is_some();
    let content = content || filter.assignee.is_some() || filter.unassigned;
    match (of_assets, content) {
        _ if filter.search.is_some() || filter.by_scan() => ("finding", "1"),
        (true, true) => ("finding", "1"),
        (true, false) => ("asset_finding_count finding", "count"),
        (false, _) => ("finding_count finding", "count"),
    }
}

pub(super) async fn count(tx: &mut TenantTx, filter: &Filter) -> Result<i64> {
    let (from, count) = counted(filter, false);
    let mut query = QueryBuilder::<Postgres>::new("");
    query.push(format_args!("select coalesce(sum({count}), 0)::bigint from {from}"));
    push_filter(&mut query, filter);
    Ok(query.build_query_scalar().fetch_one(tx.conn()).await?)
}

/// In one pass. The 50 most frequent categories.
pub(super) async fn summary(tx: &mut TenantTx, filter: &Filter) -> Result<Summary> {
    let me = tx.ctx().user();
    let (from, count) = counted(filter, true);
    let mut query = QueryBuilder::<Postgres>::new("select status, severity, string_to_array(categories, ' '), ");
    query.push(format_args!("sum({count})::bigint, coalesce(sum({count}) filter (where assignee_id = "));
    query.push_bind(me).push(format_args!("), 0)::bigint from {from}"));
    push_filter(&mut query, filter);
    query.push(" group by status, severity, categories");
    let rows: Vec<(FindingStatus, i16, Vec<String>, i64, i64)> = query.build_query_as().fetch_all(tx.conn()).await?;
    let mut summary = Summary::default();
    let mut categories: BTreeMap<String, i64> = BTreeMap::new();
    for (status, rank, of, count, mine) in rows {
        summary.by_status[status as usize] += count;
        if matches!(status, FindingStatus::Open | FindingStatus::InProgress) {
            if let Some(severity) = Severity::from_rank(rank) {
                summary.by_severity.0[severity as usize] += count;
            }
            summary.mine += mine;
        }
        for category in of {
            *categories.entry(category).or_default() += count;
        }
    }
    summary.categories = categories.into_iter().collect();
    summary.categories.sort_by_key(|(_, count)| Reverse(*count));
    summary.categories.truncate(50);
    Ok(summary)
}

pub(super) async fn add_up_counts(tx: &mut TenantTx, assets: &[AssetId]) -> Result<()> {
    sqlx::query!(
        "with gone as (delete from finding_count where tenant_id = $1 returning *),
         gone_of_assets as (delete from asset_finding_count where tenant_id = $1 and asset_id = any($2) returning *),
         of_assets as (
             insert into asset_finding_count (tenant_id, asset_id, status, severity, count)
             select tenant_id, asset_id, status, severity, sum(count) from gone_of_assets group by 1, 2, 3, 4 having sum(count) <> 0
         )
         insert into finding_count (tenant_id, status, severity, layer, categories, assignee_id, count)
         select tenant_id, status, severity, layer, categories, assignee_id, sum(count) from gone
         group by 1, 2, 3, 4, 5, 6 having sum(count) <> 0",
        tx.ctx().tenant.0,
        &assets.iter().map(|id| id.0).collect::<Vec<_>>()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Names of all tools that ever scanned something.
pub(super) async fn tools(tx: &mut TenantTx) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!("select distinct tool from scan order by tool").fetch_all(tx.conn()).await?)
}

pub(super) async fn open_by_asset(tx: &mut TenantTx, ids: &[AssetId]) -> Result<Vec<(AssetId, SeverityCounts)>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select asset_id as "asset: AssetId", array[
               coalesce(sum(count) filter (where severity = 0), 0)::bigint, coalesce(sum(count) filter (where severity = 1), 0)::bigint,
               coalesce(sum(count) filter (where severity = 2), 0)::bigint, coalesce(sum(count) filter (where severity = 3), 0)::bigint,
               coalesce(sum(count) filter (where severity = 4), 0)::bigint] as "counts!"
           from asset_finding_count
           where status in ('OPEN', 'IN_PROGRESS') and asset_id = any($1) group by asset_id"#,
        &ids,
    )
    .fetch_all(tx.conn())
    .await?;
    let counts = |row: Vec<i64>| SeverityCounts(row.try_into().unwrap_or_default());
    Ok(rows.into_iter().map(|row| (row.asset, counts(row.counts))).collect())
}

pub(super) async fn seen(tx: &mut TenantTx, ids: &[FindingId]) -> Result<Vec<(FindingId, Seen)>> {
    let rows = sqlx::query!(
        r#"select o.finding_id as "finding: FindingId",
               array_agg(distinct s.tool order by s.tool) filter (where o.absent_since is null) as tools,
               max(coalesce(o.absent_since, s.last_seen)) as last,
               (sum(o.count) filter (where o.absent_since is null))::bigint as count
           from occurrence o join scan s on s.id = o.scan_id
           where o.finding_id = any($1) group by o.finding_id"#,
        &uuids(ids),
    )
    .fetch_all(tx.conn())
    .await?;
    let seen = rows.into_iter().map(|row| {
        (row.finding, Seen { tools: row.tools.unwrap_or_default(), last: row.last, count: row.count.unwrap_or(0) })
    });
    Ok(seen.collect())
}

/// What the scans say, those that still report it first, newest first.
pub(super) async fn occurrences(tx: &mut TenantTx, ids: &[FindingId]) -> Result<Vec<(FindingId, Occurrence)>> {
    let rows = sqlx::query!(
        r#"select o.finding_id as "finding: FindingId", s.tool, s.tool_version, s.identity,
               o.report_id as "report: ReportId", o.severity, o.count, o.attack_success_rate, o.locations, o.evidence,
               o.first_seen, coalesce(o.absent_since, s.last_seen) as "last_seen!", o.absent_since
           from occurrence o join scan s on s.id = o.scan_id
           where o.finding_id = any($1)
           order by o.finding_id, o.absent_since desc nulls first, s.last_seen desc, s.id"#,
        &uuids(ids),
    )
    .fetch_all(tx.conn())
    .await?;
    let occurrence = rows.into_iter().map(|row| {
        let occurrence = Occurrence {
            tool: row.tool,
            tool_version: row.tool_version,
            scan_identity: row.identity,
            report_id: row.report,
            severity: Rank::try_from(row.severity).map_or(Severity::Info, |rank| rank.0),
            count: row.count,
            attack_success_rate: row.attack_success_rate,
            locations: row.locations,
            evidence: row.evidence,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
            absent_since: row.absent_since,
        };
        (row.finding, occurrence)
    });
    Ok(occurrence.collect())
}

pub(super) async fn decisions(tx: &mut TenantTx, ids: &[DecisionId]) -> Result<Vec<Decision>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    Ok(sqlx::query_as!(
        Decision,
        r#"select id as "id: DecisionId", kind as "kind: DecisionKind", reason, expires_at,
               approver_id as "approver_id: UserId", origin, decided_by, decided_at
           from decision where id = any($1)"#,
        &ids,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// For each finding the last `limit` lines of its history, newest first, without its creation.
pub(super) async fn history(tx: &mut TenantTx, ids: &[FindingId], limit: i64) -> Result<Vec<(FindingId, Event)>> {
    let rows = sqlx::query!(
        r#"select e.finding_id as "finding!: FindingId", e.at as "at!", e.kind as "kind!", e.actor as "actor!",
               e.summary as "summary!", e.comment, e.report_id as "report: ReportId"
           from unnest($1::uuid[]) as f(id), lateral (
               select * from finding_event where finding_id = f.id order by id desc limit $2) as e
           order by e.finding_id, e.id desc"#,
        &uuids(ids),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    let event = rows.into_iter().map(|row| {
        let event = Event {
            at: row.at,
            kind: row.kind,
            actor: row.actor,
            summary: row.summary,
            comment: row.comment,
            report_id: row.report,
        };
        (row.finding, event)
    });
    Ok(event.collect())
}

/// The tool, report and time by which findings came to be, as `CREATED` lines.
pub(super) async fn creations(tx: &mut TenantTx, ids: &[FindingId]) -> Result<Vec<(FindingId, Event)>> {
    let rows = sqlx::query!(
        r#"select f.id as "id!: FindingId", f.first_seen as "first_seen!", f.first_report_id as "report: ReportId", r.tool as "tool?"
           from finding f left join report r on r.id = f.first_report_id where f.id = any($1)"#,
        &uuids(ids),
    )
    .fetch_all(tx.conn())
    .await?;
    let event = rows.into_iter().map(|row| {
        let actor = row.tool.unwrap_or_else(|| "Stance".to_owned());
        let summary = format!("First reported by {actor}");
        let created = Event {
            at: row.first_seen,
            kind: "CREATED".to_owned(),
            actor,
            summary,
            comment: None,
            report_id: row.report,
        };
        (row.id, created)
    });
    Ok(event.collect())
}

/// The findings that a pattern finds; `None` when they are more than `limit`.
pub(super) async fn hits(tx: &mut TenantTx, pattern: &str, limit: usize) -> Result<Option<Vec<FindingId>>> {
    let found = sqlx::query_scalar!(
        r#"select id as "id: FindingId" from finding where search like lower($1) limit $2"#,
        pattern,
        i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
    )
    .fetch_all(tx.conn())
    .await?;
    Ok((found.len() <= limit).then_some(found))
}

/// Findings whose title or rule has the text, the riskiest first.
pub(super) async fn search(tx: &mut TenantTx, pattern: &str, limit: i64) -> Result<Vec<Hit>> {
    let rows = sqlx::query!(
        r#"select id as "id: FindingId", title, severity, asset_id as "asset_id: AssetId" from finding
           where search like lower($1) and status <> 'RESOLVED'
           order by risk desc, id desc limit $2"#,
        pattern,
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    let hit = rows.into_iter().map(|row| Hit {
        id: row.id,
        title: row.title,
        severity: Rank::try_from(row.severity).map_or(Severity::Info, |rank| rank.0),
        asset_id: row.asset_id,
    });
    Ok(hit.collect())
}
