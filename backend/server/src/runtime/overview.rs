//! What the runtime pages show: counts, not events.

use super::repo::BUCKET_MINUTES;
use crate::kernel::{
    Ctx, Db, Error, Permission, Result,
    page::{Page, Slice},
};
use chrono::{DateTime, Duration, DurationRound as _, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, QueryBuilder};
use stance_shared::{AgentSessionId, AssetId, EventKind, Verdict};
use uuid::Uuid;

/// Agents and detectors that an overview lists.
const TOP: i64 = 10;

/// Events by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub events: i64,
    pub flagged: i64,
    pub redacted: i64,
    pub blocked: i64,
}

/// Traffic within a window.
#[derive(Clone, Debug)]
pub struct Overview {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// Of the series.
    pub bucket_minutes: i64,
    pub totals: Totals,
    pub tokens: i64,
    pub cost_usd: f64,
    /// The window of the same length before.
    pub before: Totals,
    /// Without holes, oldest first.
    pub series: Vec<(DateTime<Utc>, Totals)>,
    pub agents: Vec<AgentTraffic>,
    pub detectors: Vec<DetectorTraffic>,
    pub kinds: Vec<(EventKind, i64)>,
    pub latency: Option<Latency>,
}

/// An agent's traffic.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct AgentTraffic {
    pub agent: AssetId,
    pub events: i64,
    pub flagged: i64,
    pub redacted: i64,
    pub blocked: i64,
    pub tokens: i64,
    pub cost_usd: f64,
}

/// A detector's hits.
#[derive(Clone, Debug)]
pub struct DetectorTraffic {
    pub rule: String,
    pub reason: String,
    pub category: String,
    pub events: i64,
    pub blocked: i64,
    pub agents: i64,
}

/// How long inspections took, in microseconds: the power of two that the share stayed below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    pub count: i64,
    pub p50: i32,
    pub p95: i32,
    pub p99: i32,
}

/// The steps of a chart over so many hours, in minutes: at most about a hundred points.
fn step(hours: i32) -> i64 {
    match hours {
        ..=24 => BUCKET_MINUTES,
        25..=100 => 60,
        101..=336 => 240,
        _ => 720,
    }
}

/// Traffic of the last `hours`, 1 to 720, in whole steps of [`Overview::bucket_minutes`]; the last step is still running.
///
/// # Errors
/// `FORBIDDEN`; `BAD_INPUT` naming `hours`; or when the database fails.
pub async fn overview(db: &Db, ctx: &Ctx, hours: i32) -> Result<Overview> {
    if !(1..=720).contains(&hours) {
        return Err(Error::field("hours", "must be 1 to 720"));
    }
    let minutes = step(hours);
    let span = Duration::minutes(minutes);
    let to = ctx.now().duration_trunc(span).map_err(Error::internal)? + span;
    let from = to - Duration::hours(i64::from(hours)).max(span);
    let mut tx = db.begin(ctx, Permission::EventRead).await?;
    let rows = sqlx::query!(
        r#"select date_bin(make_interval(mins => $3), bucket, 'epoch') as "at!", verdict as "verdict: Verdict", kind as "kind: EventKind",
               sum(count)::bigint as "count!", sum(tokens)::bigint as "tokens!", sum(cost_usd) as "cost!"
           from event_count where bucket >= $1 and bucket < $2 group by 1, 2, 3"#,
        from - (to - from),
        to,
        i32::try_from(minutes).unwrap_or(15)
    )
    .fetch_all(tx.conn())
    .await?;
    let steps = usize::try_from((to - from).num_minutes() / minutes).unwrap_or(1);
    let mut series: Vec<(DateTime<Utc>, Totals)> =
        (0..steps).map(|n| (from + span * i32::try_from(n).unwrap_or(i32::MAX), Totals::default())).collect();
    let (mut totals, mut before, mut tokens, mut cost_usd) = (Totals::default(), Totals::default(), 0, 0.0);
    let mut kinds: Vec<(EventKind, i64)> = Vec::new();
    for row in rows {
        if row.at < from {
            before.add(row.verdict, row.count);
            continue;
        }
        totals.add(row.verdict, row.count);
        (tokens, cost_usd) = (tokens + row.tokens, cost_usd + row.cost);
        let place = usize::try_from((row.at - from).num_minutes() / minutes).unwrap_or_default();
        if let Some((_, totals)) = series.get_mut(place) {
            totals.add(row.verdict, row.count);
        }
        match kinds.iter_mut().find(|(kind, _)| *kind == row.kind) {
            Some((_, count)) => *count += row.count,
            None => kinds.push((row.kind, row.count)),
        }
    }
    kinds.sort_by_key(|(kind, count)| (-count, *kind));
    let agents = traffic(&mut tx, from, to, None).await?;
    let detectors = sqlx::query_as!(
        DetectorTraffic,
        r#"select c.rule, coalesce(max(p.reason), '') as "reason!", coalesce(max(p.category), '') as "category!", c.events as "events!",
               c.blocked as "blocked!", c.agents as "agents!"
           from (select rule, sum(count)::bigint as events, coalesce(sum(count) filter (where verdict = 'BLOCK'), 0)::bigint as blocked,
                        count(distinct agent_id) as agents
                 from detection_count where bucket >= $1 and bucket < $2 group by rule order by 2 desc, rule limit $3) c
           left join lateral (select reason, category from runtime_pattern p where p.rule = c.rule limit 1) p on true
           group by c.rule, c.events, c.blocked, c.agents order by c.events desc, c.rule"#,
        from,
        to,
        TOP
    )
    .fetch_all(tx.conn())
    .await?;
    let bounds = sqlx::query!(
        r#"select bound, sum(count)::bigint as "count!" from inspect_latency where bucket >= $1 and bucket < $2 group by bound order by bound"#,
        from,
        to
    )
    .fetch_all(tx.conn())
    .await?;
    let bounds: Vec<(i32, i64)> = bounds.into_iter().map(|row| (row.bound, row.count)).collect();
    Ok(Overview {
        from,
        to,
        bucket_minutes: minutes,
        totals,
        tokens,
        cost_usd,
        before,
        series,
        agents,
        detectors,
        kinds,
        latency: latency(&bounds),
    })
}

impl Totals {
    fn add(&mut self, verdict: Verdict, count: i64) {
        self.events += count;
        match verdict {
            Verdict::Allow => {}
            Verdict::Flag => self.flagged += count,
            Verdict::Redact => self.redacted += count,
            Verdict::Block => self.blocked += count,
        }
    }
}

fn latency(bounds: &[(i32, i64)]) -> Option<Latency> {
    let count: i64 = bounds.iter().map(|(_, count)| count).sum();
    if count == 0 {
        return None;
    }
    let share = |percent: i64| {
        let mut left = (count * percent + 99) / 100;
        let found = bounds.iter().find(|(_, count)| {
            left -= count;
            left <= 0
        });
        found.map_or(0, |(bound, _)| *bound)
    };
    Some(Latency { count, p50: share(50), p95: share(95), p99: share(99) })
}

/// The traffic of these agents, or of the [`TOP`] with most blocked, then flagged, then events.
async fn traffic(
    tx: &mut crate::kernel::TenantTx,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    agents: Option<&[Uuid]>,
) -> Result<Vec<AgentTraffic>> {
    // An alias's traffic is the agent's.
    Ok(sqlx::query_as!(
        AgentTraffic,
        r#"with sums as (
               select agent_id, sum(count)::bigint as events, coalesce(sum(count) filter (where verdict = 'FLAG'), 0)::bigint as flagged,
                   coalesce(sum(count) filter (where verdict = 'REDACT'), 0)::bigint as redacted,
                   coalesce(sum(count) filter (where verdict = 'BLOCK'), 0)::bigint as blocked, sum(tokens)::bigint as tokens,
                   sum(cost_usd) as cost_usd
               from event_count where bucket >= $1 and bucket < $2 group by agent_id
           )
           select a.root_id as "agent!: AssetId", sum(events)::bigint as "events!", sum(flagged)::bigint as "flagged!",
               sum(redacted)::bigint as "redacted!", sum(blocked)::bigint as "blocked!", sum(tokens)::bigint as "tokens!",
               sum(cost_usd) as "cost_usd!"
           from sums join asset a on a.id = agent_id where $3::uuid[] is null or a.root_id = any($3)
           group by a.root_id order by sum(blocked) desc, sum(flagged) desc, sum(events) desc, a.root_id
           limit case when $3::uuid[] is null then $4::bigint end"#,
        from,
        to,
        agents,
        TOP
    )
    .fetch_all(tx.conn())
    .await?)
}

/// The traffic of agents in the last `hours`, 1 to 720; agents without any are left out.
///
/// # Errors
/// As [`overview`].
pub async fn of_agents(db: &Db, ctx: &Ctx, agents: &[AssetId], hours: i32) -> Result<Vec<AgentTraffic>> {
    if !(1..=720).contains(&hours) {
        return Err(Error::field("hours", "must be 1 to 720"));
    }
    let ids: Vec<Uuid> = agents.iter().map(|id| id.0).collect();
    let now = ctx.now();
    let from = now - Duration::hours(i64::from(hours));
    traffic(&mut db.begin(ctx, Permission::EventRead).await?, from, now, Some(&ids)).await
}

/// Whether a tool of an agent is declared, and used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, async_graphql::Enum)]
pub enum ToolState {
    /// Used though nobody declared that the agent may.
    Undeclared,
    DeclaredUsed,
    /// Declared, and not used for 30 days: a privilege to take away.
    Unused,
}

/// A tool that an agent may call, or called.
#[derive(Clone, Debug)]
pub struct ToolUsage {
    pub agent: AssetId,
    pub tool: AssetId,
    pub state: ToolState,
    /// Of the last 30 days.
    pub calls: i64,
    pub blocked: i64,
    pub last_at: Option<DateTime<Utc>>,
}

/// Declared against observed: the tools of agents, of the last 30 days.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn tool_usage(db: &Db, ctx: &Ctx, agents: &[AssetId]) -> Result<Vec<ToolUsage>> {
    ctx.require(Permission::AssetRead)?;
    let ids: Vec<Uuid> = agents.iter().map(|id| id.0).collect();
    let since = (ctx.now() - Duration::days(30)).date_naive();
    let mut tx = db.begin(ctx, Permission::EventRead).await?;
    let rows = sqlx::query!(
        r#"with used as (
               select a.root_id as agent, t.root_id as tool, sum(u.count)::bigint as calls, sum(u.blocked)::bigint as blocked, max(u.last_at) as last_at
               from asset a join tool_use u on u.agent_id = a.id and u.day >= $2 join asset t on t.id = u.tool_id
               where a.root_id = any($1) group by 1, 2
           ), declared as (
               select distinct from_id as agent, to_id as tool from asset_edge() where from_id = any($1) and kind = 'MAY_CALL'
           )
           select coalesce(u.agent, d.agent) as "agent!: AssetId", coalesce(u.tool, d.tool) as "tool!: AssetId", d.tool is not null as "declared!",
               u.tool is not null as "used!", coalesce(u.calls, 0) as "calls!", coalesce(u.blocked, 0) as "blocked!", u.last_at
           from used u full join declared d on d.agent = u.agent and d.tool = u.tool"#,
        &ids,
        since
    )
    .fetch_all(tx.conn())
    .await?;
    let mut usage: Vec<ToolUsage> = rows
        .into_iter()
        .map(|row| ToolUsage {
            agent: row.agent,
            tool: row.tool,
            state: match (row.declared, row.used) {
                (false, _) => ToolState::Undeclared,
                (true, true) => ToolState::DeclaredUsed,
                (true, false) => ToolState::Unused,
            },
            calls: row.calls,
            blocked: row.blocked,
            last_at: row.last_at,
        })
        .collect();
    usage.sort_by_key(|usage| (usage.state, -usage.calls, usage.tool));
    Ok(usage)
}

/// A run of an agent.
#[derive(Clone, Debug)]
pub struct AgentSession {
    pub id: AgentSessionId,
    pub name: String,
    pub agent: AssetId,
    pub first_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    pub events: i64,
    pub tool_calls: i64,
    pub tokens: i64,
    pub worst: Verdict,
    pub score: f32,
    pub sequences: Vec<Sequence>,
}

/// A pattern over several steps of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sequence {
    pub rule: String,
    pub reason: String,
    pub category: String,
    /// The events that make it, in order.
    pub events: Vec<Uuid>,
}

/// Which runs. Empty lists do not filter.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    pub agents: Vec<AssetId>,
    /// The strictest verdict in the run.
    pub verdicts: Vec<Verdict>,
    /// With a multi-step pattern.
    pub suspicious: Option<bool>,
    /// A pattern for a part of the name, from `text::search`.
    pub search: Option<String>,
}

/// Where a page of runs goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionKey(pub DateTime<Utc>, pub AgentSessionId);

#[derive(sqlx::FromRow)]
struct SessionRow {
    id: AgentSessionId,
    session: String,
    agent: AssetId,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    events: i64,
    tool_calls: i64,
    tokens: i64,
    worst: i16,
    score: f32,
    sequences: sqlx::types::Json<Vec<Sequence>>,
}

impl From<SessionRow> for AgentSession {
    fn from(row: SessionRow) -> Self {
        Self {
            id: row.id,
            name: row.session,
            agent: row.agent,
            first_at: row.first_at,
            last_at: row.last_at,
            events: row.events,
            tool_calls: row.tool_calls,
            tokens: row.tokens,
            worst: usize::try_from(row.worst)
                .ok()
                .and_then(|at| Verdict::ALL.get(at))
                .copied()
                .unwrap_or(Verdict::Block),
            score: row.score,
            sequences: row.sequences.0,
        }
    }
}

const SESSIONS: &str = "select s.id, s.session, a.root_id as agent, s.first_at, s.last_at, s.events, s.tool_calls, s.tokens, s.worst, s.score, \
    s.sequences from agent_session s join asset a on a.id = s.agent_id where true";

/// One page of runs, the latest first.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn sessions(
    db: &Db,
    ctx: &Ctx,
    filter: &SessionFilter,
    page: &Page<SessionKey>,
) -> Result<Slice<AgentSession>> {
    let mut tx = db.begin(ctx, Permission::EventRead).await?;
    let mut query = QueryBuilder::<Postgres>::new(SESSIONS);
    push_filter(&mut query, filter);
    if let Some(SessionKey(at, id)) = &page.after {
        query.push(" and (s.last_at, s.id) < (").push_bind(*at).push(", ").push_bind(*id).push(")");
    }
    query.push(" order by s.last_at desc, s.id desc limit ").push_bind(page.limit());
    let rows: Vec<SessionRow> = query.build_query_as().fetch_all(tx.conn()).await?;
    Ok(page.slice(rows.into_iter().map(AgentSession::from).collect()))
}

/// How many runs a filter lets through.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn count_sessions(db: &Db, ctx: &Ctx, filter: &SessionFilter) -> Result<i64> {
    let mut tx = db.begin(ctx, Permission::EventRead).await?;
    let mut query = QueryBuilder::<Postgres>::new("select count(*) from agent_session s where true");
    push_filter(&mut query, filter);
    Ok(query.build_query_scalar().fetch_one(tx.conn()).await?)
}

fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &SessionFilter) {
    if !filter.agents.is_empty() {
        query.push(" and s.agent_id = any(array(select a.id from asset a where a.root_id = any(");
        query.push_bind(filter.agents.clone()).push(")))");
    }
    if !filter.verdicts.is_empty() {
        let worst: Vec<i16> = filter.verdicts.iter().map(|verdict| *verdict as i16).collect();
        query.push(" and s.worst = any(").push_bind(worst).push(")");
    }
    if let Some(suspicious) = filter.suspicious {
        query.push(if suspicious { " and s.sequences <> '[]'" } else { " and s.sequences = '[]'" });
    }
    if let Some(pattern) = &filter.search {
        query.push(" and s.session ilike ").push_bind(pattern.clone());
    }
}

/// Runs by id.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn sessions_by_ids(db: &Db, ctx: &Ctx, ids: &[AgentSessionId]) -> Result<Vec<AgentSession>> {
    let mut tx = db.begin(ctx, Permission::EventRead).await?;
    let mut query = QueryBuilder::<Postgres>::new(SESSIONS);
    query.push(" and s.id = any(").push_bind(ids.to_vec()).push(")");
    let rows: Vec<SessionRow> = query.build_query_as().fetch_all(tx.conn()).await?;
    Ok(rows.into_iter().map(AgentSession::from).collect())
}

/// Runs by the agent and the name that their events carry.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn sessions_by_names(
    db: &Db,
    ctx: &Ctx,
    names: &[(AssetId, String)],
) -> Result<Vec<((AssetId, String), AgentSession)>> {
    let mut tx = db.begin(ctx, Permission::EventRead).await?;
    let (agents, sessions): (Vec<Uuid>, Vec<String>) =
        names.iter().map(|(agent, name)| (agent.0, name.clone())).unzip();
    let mut query = QueryBuilder::<Postgres>::new("select s.agent_id as said, n.* from (");
    query.push(SESSIONS).push(" and (s.agent_id, s.session) in (select * from unnest(");
    query.push_bind(agents).push("::uuid[], ").push_bind(sessions);
    query.push("::text[]))) n join agent_session s on s.id = n.id");
    let rows = query.build().fetch_all(tx.conn()).await?;
    let read = |row| {
        let session = AgentSession::from(<SessionRow as sqlx::FromRow<_>>::from_row(row)?);
        let said: AssetId = sqlx::Row::try_get(row, "said")?;
        Ok(((said, session.name.clone()), session))
    };
    Ok(rows.iter().map(read).collect::<sqlx::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_the_bounds_that_the_share_stays_below() {
        assert_eq!(latency(&[]), None);
        assert_eq!(latency(&[(64, 1)]), Some(Latency { count: 1, p50: 64, p95: 64, p99: 64 }));
        let found = latency(&[(64, 50), (128, 45), (1024, 4), (4096, 1)]).unwrap();
        assert_eq!(found, Latency { count: 100, p50: 64, p95: 128, p99: 1024 });
    }

    #[test]
    fn charts_have_about_a_hundred_points() {
        for hours in [1, 24, 168, 720] {
            let points = i64::from(hours) * 60 / step(hours);
            assert!((4..=100).contains(&points), "{hours} h: {points}");
        }
    }
}
