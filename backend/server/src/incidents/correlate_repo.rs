//! SQL of correlation. Events are counted by one statement, whatever their number.

use crate::kernel::{Result, TenantTx};
use chrono::{DateTime, Utc};
use serde_json::Value;
use stance_shared::{AssetId, IncidentId};
use uuid::Uuid;

/// What correlation saw last.
pub(super) struct State {
    pub snapshot: Option<String>,
    pub ran_at: Option<DateTime<Utc>>,
}

/// The organization's state; nobody else correlates for it until the transaction ends.
pub(super) async fn lock_state(tx: &mut TenantTx) -> Result<State> {
    let tenant = tx.ctx().tenant.0;
    sqlx::query!("insert into correlation_state (tenant_id) values ($1) on conflict do nothing", tenant)
        .execute(tx.conn())
        .await?;
    Ok(sqlx::query_as!(State, "select snapshot, ran_at from correlation_state for update").fetch_one(tx.conn()).await?)
}

pub(super) async fn set_state(tx: &mut TenantTx, snapshot: &str) -> Result<()> {
    let now = tx.ctx().now();
    sqlx::query!("update correlation_state set snapshot = $1, ran_at = $2", snapshot, now).execute(tx.conn()).await?;
    Ok(())
}

/// How a rule differs from its file.
pub(super) struct Setting {
    pub rule: String,
    pub enabled: bool,
    pub threshold: Option<i64>,
}

pub(super) async fn settings(tx: &mut TenantTx) -> Result<Vec<Setting>> {
    Ok(sqlx::query_as!(Setting, "select rule, enabled, threshold from correlation_setting order by rule")
        .fetch_all(tx.conn())
        .await?)
}

pub(super) async fn set_setting(tx: &mut TenantTx, setting: &Setting) -> Result<()> {
    let (tenant, now, by) = (tx.ctx().tenant.0, tx.ctx().now(), tx.ctx().actor.label().to_owned());
    sqlx::query!(
        "insert into correlation_setting (tenant_id, rule, enabled, threshold, updated_at, updated_by) values ($1, $2, $3, $4, $5, $6)
         on conflict (tenant_id, rule) do update set enabled = $3, threshold = $4, updated_at = $5, updated_by = $6",
        tenant,
        setting.rule,
        setting.enabled,
        setting.threshold,
        now,
        by
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What counting events gave.
pub(super) struct Counted {
    /// What was visible: the next count begins after it.
    pub snapshot: String,
    /// Groups that have new events: the rule and the key of each.
    pub rules: Vec<String>,
    pub keys: Vec<String>,
}

/// Counts, by rule, group, minute and agent, events that were committed since the snapshot: each once, since what a snapshot shows is exact,
/// and no time is. Those that were received before `since` were all committed. Of what passed and has no detection nothing fits a rule: the rules are
/// checked for it, and an index holds only the rest.
pub(super) async fn count_events(
    tx: &mut TenantTx,
    rules: &Value,
    snapshot: Option<&str>,
    since: DateTime<Utc>,
) -> Result<Counted> {
    let tenant = tx.ctx().tenant.0;
    Ok(sqlx::query_as!(
        Counted,
        r#"with rule as materialized (
               select * from jsonb_to_recordset($2) r(id text, by text, kinds text[], verdicts text[], detections text[], min_score real)
           ), fresh as materialized (
               select e.id, e.at, e.received_at, e.kind, e.verdict, e.score, e.detections, e.model, a.root_id as agent,
                   case when e.session is not null then md5($1::uuid::text || coalesce(e.agent_id, '00000000-0000-0000-0000-000000000000') || e.session)::uuid end as session
               from event e left join asset a on a.id = e.agent_id
               where e.received_at >= $4 and (e.verdict <> 'ALLOW' or e.detections <> '[]') and e.written is not null
                 and ($3::text is null or not pg_visible_in_snapshot(e.written::text::xid8, $3::text::pg_snapshot))
           ), fit as (
               select r.id as rule, f.id, f.at, f.received_at, f.score, coalesce(f.agent, '00000000-0000-0000-0000-000000000000') as agent,
                   left(case r.by when 'AGENT' then f.agent::text when 'SESSION' then f.session::text when 'MODEL' then f.model
                       else f.detections->0->>'rule' end, 600) as key
               from rule r join fresh f on (cardinality(r.kinds) = 0 or f.kind = any(r.kinds))
                   and (cardinality(r.verdicts) = 0 or f.verdict = any(r.verdicts)) and f.score >= r.min_score
                   and (cardinality(r.detections) = 0
                        or exists (select from jsonb_array_elements(f.detections) d where d->>'rule' like any(r.detections)))
           ), counted as (
               insert into correlation_count as c (tenant_id, rule, key, minute, agent_id, count, first_at, last_at, received_at, samples)
               select $1::uuid, rule, key, date_trunc('minute', at), agent, count(*), min(at), max(at), max(received_at),
                   (array_agg(id order by score desc, at))[1:5]
               from fit where key is not null group by 2, 3, 4, 5 order by 2, 3, 4, 5
               on conflict (tenant_id, rule, key, minute, agent_id) do update
               set count = c.count + excluded.count, first_at = least(c.first_at, excluded.first_at), last_at = greatest(c.last_at, excluded.last_at),
                   received_at = greatest(c.received_at, excluded.received_at), samples = (c.samples || excluded.samples)[1:5]
               returning rule, key
           )
           select pg_current_snapshot()::text as "snapshot!", coalesce(array_agg(rule), '{}') as "rules!", coalesce(array_agg(key), '{}') as "keys!"
           from (select distinct rule, key from counted) touched"#,
        tenant,
        rules,
        snapshot,
        since
    )
    .fetch_one(tx.conn())
    .await?)
}

/// A group's events, taken out of what is pending.
pub(super) struct Taken {
    pub count: i64,
    pub first_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    pub received_at: DateTime<Utc>,
    pub samples: Vec<Uuid>,
}

/// A group whose incident is open, with what it took.
pub(super) struct Grown {
    pub incident: IncidentId,
    pub rule: String,
    /// After it.
    pub events: i64,
    pub taken: i64,
    pub samples: Vec<Uuid>,
    pub lag_us: i64,
}

/// Gives the events of these groups to the incidents that hold their keys.
pub(super) async fn grow(tx: &mut TenantTx, rules: &[String], keys: &[String]) -> Result<Vec<Grown>> {
    let now = tx.ctx().now();
    Ok(sqlx::query_as!(
        Grown,
        r#"with gone as (
               delete from correlation_count c using unnest($1::text[], $2::text[]) t(rule, key), incident_key k
               where c.rule = t.rule and c.key = t.key and k.key = 'correlation:' || t.rule || ':' || t.key and k.released_at is null
               returning k.incident_id, c.rule, c.count, c.first_at, c.last_at, c.received_at, c.samples
           ), taken as (
               select incident_id, max(rule) as rule, sum(count)::bigint as count, min(first_at) as first_at, max(last_at) as last_at,
                   max(received_at) as received_at,
                   (select array_agg(sample) from gone g cross join unnest(g.samples) sample where g.incident_id = gone.incident_id) as samples
               from gone group by incident_id
           )
           update incident i set events = i.events + t.count, first_event_at = least(i.first_event_at, t.first_at),
               last_event_at = greatest(i.last_event_at, t.last_at),
               lag_us = greatest(0, extract(epoch from $3::timestamptz - t.received_at) * 1000000)::bigint
           from taken t where i.id = t.incident_id
           returning i.id as "incident: IncidentId", t.rule as "rule!", i.events, t.count as "taken!", t.samples[1:100] as "samples!", i.lag_us as "lag_us!""#,
        rules,
        keys,
        now
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Of these groups of a rule those that have enough events, and enough agents, within the window; with the minute from which they count.
pub(super) async fn ripe(
    tx: &mut TenantTx,
    rule: &str,
    keys: &[String],
    window_minutes: i32,
    threshold: i64,
    agents: i64,
) -> Result<Vec<(String, DateTime<Utc>)>> {
    let rows = sqlx::query!(
        r#"with minute as (
               select key, minute, sum(count) over (partition by key order by minute range between make_interval(mins => $3 - 1) preceding and current row) as total
               from (select key, minute, sum(count) as count from correlation_count where rule = $1 and key = any($2) group by 1, 2) m
           )
           select key as "key!", min(minute) - make_interval(mins => $3 - 1) as "since!" from minute m
           where total >= $4 and ($5::bigint <= 1 or $5 <= (
               select count(distinct c.agent_id) from correlation_count c
               where c.rule = $1 and c.key = m.key and c.minute <= m.minute and c.minute > m.minute - make_interval(mins => $3)
                 and c.agent_id <> '00000000-0000-0000-0000-000000000000'))
           group by key order by 2, 1"#,
        rule,
        keys,
        window_minutes,
        threshold as i64,
        agents
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.key, row.since)).collect())
}

/// Takes the events of a group from a minute on.
pub(super) async fn take(tx: &mut TenantTx, rule: &str, key: &str, since: DateTime<Utc>) -> Result<Option<Taken>> {
    Ok(sqlx::query_as!(
        Taken,
        r#"with gone as (
               delete from correlation_count where rule = $1 and key = $2 and minute >= $3
               returning count, first_at, last_at, received_at, samples
           )
           select sum(count)::bigint as "count!", min(first_at) as "first_at!", max(last_at) as "last_at!", max(received_at) as "received_at!",
               (select (array_agg(sample))[1:100] from gone g cross join unnest(g.samples) sample) as "samples!"
           from gone having count(*) > 0"#,
        rule,
        key,
        since
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Gives events to an incident that was opened for them.
pub(super) async fn give(tx: &mut TenantTx, incident: IncidentId, taken: &Taken) -> Result<i64> {
    let now = tx.ctx().now();
    let lag = (now - taken.received_at).num_microseconds().unwrap_or(i64::MAX).max(0);
    sqlx::query!(
        "update incident set events = events + $2, first_event_at = least(first_event_at, $3), last_event_at = greatest(last_event_at, $4), lag_us = $5
         where id = $1",
        incident.0,
        taken.count,
        taken.first_at,
        taken.last_at,
        lag
    )
    .execute(tx.conn())
    .await?;
    Ok(lag)
}

/// Something that fits a rule and that no incident took for it.
pub(super) struct Fact {
    pub key: String,
    pub id: Uuid,
    pub at: DateTime<Utc>,
}

/// Runs in which one of these patterns was found, by agent or as themselves.
pub(super) async fn runs(
    tx: &mut TenantTx,
    rule: &str,
    by_agent: bool,
    sequences: &[String],
    since: DateTime<Utc>,
) -> Result<Vec<Fact>> {
    Ok(sqlx::query_as!(
        Fact,
        r#"select case when $2 then a.root_id else s.id end::text as "key!", s.id, s.first_at as "at!"
           from agent_session s join asset a on a.id = s.agent_id
           where s.sequences <> '[]' and s.last_at >= $4
             and exists (select from jsonb_array_elements(s.sequences) found where found->>'rule' = any($3))
             and not exists (select from incident_item i where i.rule = $1 and i.kind = 'SESSION' and i.ref = s.id)
           order by s.first_at limit 1000"#,
        rule,
        by_agent,
        sequences,
        since
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Which findings a rule looks at.
pub(super) struct FindingRule<'a> {
    pub id: &'a str,
    pub by_asset: bool,
    pub rules: &'a [String],
    pub severities: Vec<i16>,
    pub layers: Vec<&'static str>,
    pub asset_kinds: Vec<&'static str>,
    pub categories: &'a [String],
}

/// Open findings that are new or came back since then.
pub(super) async fn findings(tx: &mut TenantTx, rule: &FindingRule<'_>, since: DateTime<Utc>) -> Result<Vec<Fact>> {
    // Ids begin with the millisecond in which they were made (UUID version 7).
    let first = Uuid::from_u64_pair(u64::try_from(since.timestamp_millis()).unwrap_or_default() << 16, 0);
    Ok(sqlx::query_as!(
        Fact,
        r#"with candidate as (
               select f.id from finding f where f.id >= $7
               union
               select h.finding_id from finding_event h where h.at >= $8 and h.kind = 'REOPENED'
           ), fact as (
               select f.id, case when $2 then f.asset_id::text else f.rule end as key,
                   coalesce((select max(h.at) from finding_event h where h.finding_id = f.id and h.kind = 'REOPENED'), f.first_seen) as at
               from candidate join finding f on f.id = candidate.id join asset a on a.id = f.asset_id
               where f.status = 'OPEN'
                 and (cardinality($3::text[]) = 0 or f.rule = any($3)) and (cardinality($4::smallint[]) = 0 or f.severity = any($4))
                 and (cardinality($5::text[]) = 0 or f.layer = any($5)) and (cardinality($6::text[]) = 0 or a.kind = any($6))
                 and (cardinality($9::text[]) = 0 or string_to_array(f.categories, ' ') && $9)
           )
           select left(key, 600) as "key!", id as "id!", at as "at!" from fact
           where not exists (select from incident_item i where i.rule = $1 and i.kind = 'FINDING' and i.ref = fact.id and i.at = fact.at)
           order by at, id limit 5000"#,
        rule.id,
        rule.by_asset,
        rule.rules,
        &rule.severities,
        &rule.layers as &[&str],
        &rule.asset_kinds as &[&str],
        first,
        since,
        rule.categories
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Events that somebody labelled so, by agent.
pub(super) async fn labels(
    tx: &mut TenantTx,
    rule: &str,
    label: &str,
    verdicts: &[&str],
    since: DateTime<Utc>,
) -> Result<Vec<Fact>> {
    Ok(sqlx::query_as!(
        Fact,
        r#"select a.root_id::text as "key!", f.event_id as "id!", f.event_at as "at!"
           from event_feedback f join asset a on a.id = f.agent_id
           where f.labelled_at >= $4 and f.label = $2 and f.verdict = any($3)
             and not exists (select from incident_item i where i.rule = $1 and i.kind = 'EVENT' and i.ref = f.event_id)
           order by f.event_at limit 1000"#,
        rule,
        label,
        verdicts as &[&str],
        since
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Agents whose tokens within the window reach the threshold and so many times what they use in such a window of the week before. What an
/// incident of the rule was closed after is left out.
pub(super) async fn spending(
    tx: &mut TenantTx,
    rule: &str,
    window_minutes: i32,
    threshold: i64,
    times_usual: i32,
) -> Result<Vec<(AssetId, i64)>> {
    let now = tx.ctx().now();
    let rows = sqlx::query!(
        r#"with lately as (
               select a.root_id as agent, sum(c.tokens)::bigint as tokens from event_count c join asset a on a.id = c.agent_id
               left join lateral (
                   select max(i.closed_at) as closed_at from incident i where i.rule = $1 and i.rule_key = a.root_id::text and i.status = 'CLOSED') i on true
               where c.bucket > $5::timestamptz - make_interval(mins => $2 + 15) and (i.closed_at is null or c.bucket > i.closed_at)
               group by 1 having sum(c.tokens) >= $3
           )
           select l.agent as "agent: AssetId", l.tokens as "tokens!" from lately l
           where l.tokens >= $4 * coalesce((
               select sum(c.tokens) * $2::int / (7 * 24 * 60) from event_count c join asset a on a.id = c.agent_id
               where a.root_id = l.agent and c.bucket > $5::timestamptz - interval '7 days' and c.bucket <= $5::timestamptz - make_interval(mins => $2 + 15)), 0)
             and not exists (select from incident_key k where k.key = 'correlation:' || $1 || ':' || l.agent and k.released_at is null)
           order by l.agent"#,
        rule,
        window_minutes,
        threshold as i64,
        times_usual as i32,
        now
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.agent, row.tokens)).collect())
}

/// What assets are called.
pub(super) async fn names(tx: &mut TenantTx, ids: &[Uuid]) -> Result<Vec<(Uuid, String)>> {
    let rows = sqlx::query!("select id, name from asset where id = any($1)", ids).fetch_all(tx.conn()).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}

/// Forgets what was received before and became no incident.
pub(super) async fn forget(tx: &mut TenantTx, before: DateTime<Utc>) -> Result<()> {
    sqlx::query!("delete from correlation_count where received_at < $1", before).execute(tx.conn()).await?;
    Ok(())
}
