//! SQL of the jobs that make posture of events.

use super::overview::Sequence;
use crate::{
    kernel::{Clock, Error, Permission, Result, SystemTx, TenantTx},
    notify::{self, Notice},
};
use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use stance_shared::{AgentSessionId, AssetId, EventId, EventKind, SensorId, Severity, TenantId, Verdict};
use std::collections::HashSet;
use uuid::Uuid;

/// What an agent's events show.
pub(super) struct Pattern {
    pub agent: AssetId,
    pub rule: String,
    pub subject: String,
    pub category: String,
    pub reason: String,
    pub worst: &'static str,
    pub score: f32,
    pub count: i64,
    pub first_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    pub event: Uuid,
}

/// A sensor that is silent.
pub(super) struct Silent {
    pub id: SensorId,
    pub name: String,
    pub asset: AssetId,
    pub last_seen_at: Option<DateTime<Utc>>,
    pub silent_after_s: i32,
}

/// A run with new events.
pub(super) struct Run {
    pub id: AgentSessionId,
    pub agent: Uuid,
    pub session: String,
    pub first_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
}

/// A step of a run.
pub(super) struct StepRow {
    pub run: AgentSessionId,
    pub event: EventId,
    pub kind: EventKind,
    pub tool: Option<String>,
    pub verdict: Verdict,
    pub score: f32,
    pub granted: Option<bool>,
}

/// Marked assets, as the assets that they are part of.
pub(super) async fn marked(tx: &mut TenantTx, limit: i64) -> Result<Vec<AssetId>> {
    Ok(sqlx::query_scalar!(
        r#"select distinct a.root_id as "id: AssetId" from (select agent_id from runtime_dirty order by since limit $1) d
           join asset a on a.id = d.agent_id"#,
        limit
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Takes the marks away that were there when the transaction began, and notes when the assets were reported.
pub(super) async fn unmark(tx: &mut TenantTx, agents: &[AssetId]) -> Result<()> {
    let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
    let ids: Vec<Uuid> = agents.iter().map(|id| id.0).collect();
    sqlx::query!(
        "with gone as (
             delete from runtime_dirty d using asset a where a.id = d.agent_id and a.root_id = any($2)
         )
         insert into runtime_reported (tenant_id, agent_id, at) select $1, id, $3 from unnest($2::uuid[]) id order by id
         on conflict (tenant_id, agent_id) do update set at = excluded.at",
        tenant,
        &ids,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn patterns(tx: &mut TenantTx, agents: &[AssetId], since: DateTime<Utc>) -> Result<Vec<Pattern>> {
    let ids: Vec<Uuid> = agents.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select a.root_id as "agent!: AssetId", p.rule as "rule!", p.subject as "subject!", max(p.category) as "category!", max(p.reason) as "reason!",
               max(p.worst) as "worst!", max(p.score) as "score!", sum(p.count)::bigint as "count!", min(p.first_at) as "first_at!",
               max(p.last_at) as "last_at!", (array_agg(p.event_id order by p.worst desc, p.last_at desc))[1] as "event!"
           from asset a join runtime_pattern p on p.agent_id = a.id
           where a.root_id = any($1) and p.last_at >= $2 group by 1, 2, 3 order by 1, 2, 3"#,
        &ids,
        since
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Pattern {
            agent: row.agent,
            rule: row.rule,
            subject: row.subject,
            category: row.category,
            reason: row.reason,
            worst: usize::try_from(row.worst)
                .ok()
                .and_then(|at| Verdict::ALL.get(at))
                .map_or("BLOCK", |verdict| verdict.as_str()),
            score: row.score,
            count: row.count,
            first_at: row.first_at,
            last_at: row.last_at,
            event: row.event,
        })
        .collect())
}

/// Silent sensors of these assets.
pub(super) async fn silent(tx: &mut TenantTx, assets: &[AssetId]) -> Result<Vec<Silent>> {
    let ids: Vec<Uuid> = assets.iter().map(|id| id.0).collect();
    Ok(sqlx::query_as!(
        Silent,
        r#"select s.id as "id: SensorId", s.name, a.root_id as "asset: AssetId", s.last_seen_at, s.silent_after_s
           from sensor s join asset a on a.id = s.asset_id
           where a.root_id = any($1) and s.retired_at is null and s.silent_since is not null order by s.id"#,
        &ids
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Of these agents those whose events go back that far.
pub(super) async fn seen_before(
    tx: &mut TenantTx,
    agents: &[AssetId],
    time: DateTime<Utc>,
) -> Result<HashSet<AssetId>> {
    let ids: Vec<Uuid> = agents.iter().map(|id| id.0).collect();
    let found = sqlx::query_scalar!(
        r#"select distinct a.root_id as "id: AssetId" from asset a
           where a.root_id = any($1) and exists (select from event_count c where c.agent_id = a.id and c.bucket <= $2)"#,
        &ids,
        time
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(found.into_iter().collect())
}

/// Runs with new events, none in the last seconds: a run that goes on is looked at when it rests, at the latest after a minute.
pub(super) async fn dirty_runs(tx: &mut TenantTx, limit: i64) -> Result<Vec<Run>> {
    Ok(sqlx::query_as!(
        Run,
        r#"select id as "id: AgentSessionId", agent_id as agent, session, first_at, last_at from agent_session
           where dirty order by last_at limit $1 for update skip locked"#,
        limit
    )
    .fetch_all(tx.conn())
    .await?)
}

/// The steps of runs in the order of time, the last `limit` of each.
pub(super) async fn steps(tx: &mut TenantTx, runs: &[Run], limit: i64) -> Result<Vec<StepRow>> {
    let ids: Vec<Uuid> = runs.iter().map(|run| run.id.0).collect();
    let agents: Vec<Uuid> = runs.iter().map(|run| run.agent).collect();
    let sessions: Vec<&str> = runs.iter().map(|run| run.session.as_str()).collect();
    let from: Vec<DateTime<Utc>> = runs.iter().map(|run| run.first_at).collect();
    let to: Vec<DateTime<Utc>> = runs.iter().map(|run| run.last_at).collect();
    Ok(sqlx::query_as!(
        StepRow,
        r#"select r.id as "run!: AgentSessionId", e.id as "event!: EventId", e.kind as "kind!: EventKind",
               coalesce(e.tool_server || '.', '') || e.tool as tool, e.verdict as "verdict!: Verdict", e.score as "score!",
               (e.detail->'approval'->>'granted')::boolean as granted
           from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[]) r(id, agent_id, session, first_at, last_at)
           cross join lateral (
               select * from event e where e.session = r.session and e.agent_id = r.agent_id and e.at >= r.first_at and e.at <= r.last_at
               order by e.at desc, e.id desc limit $6) e
           order by r.id, e.at, e.id"#,
        &ids,
        &agents,
        &sessions as &[&str],
        &from,
        &to,
        limit
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Notes what was found in runs. What is new becomes a pattern of the agent, and the agent is marked.
pub(super) async fn looked_at(tx: &mut TenantTx, looked: &[(&Run, Vec<Sequence>)]) -> Result<()> {
    let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
    let ids: Vec<Uuid> = looked.iter().map(|(run, _)| run.id.0).collect();
    let found: Vec<Value> = looked
        .iter()
        .map(|(_, found)| serde_json::to_value(found))
        .collect::<Result<_, _>>()
        .map_err(Error::internal)?;
    let patterns: Vec<Value> = looked
        .iter()
        .flat_map(|(run, found)| {
            found.iter().filter_map(|sequence| {
                let event = sequence.events.last()?;
                Some(json!({ "agent": run.agent, "rule": sequence.rule, "category": sequence.category, "reason": sequence.reason,
                    "at": run.last_at, "event": event, "run": run.id }))
            })
        })
        .collect();
    sqlx::query!(
        r#"with looked as (
               select * from unnest($3::uuid[], $4::jsonb[]) l(id, sequences)
           ), given as (
               select * from jsonb_to_recordset($5) g(agent uuid, rule text, category text, reason text, at timestamptz, event uuid, run uuid)
           ), fresh as (
               -- A run that showed it before is counted already.
               select g.* from given g join agent_session s on s.id = g.run
               where not exists (select from jsonb_array_elements(s.sequences) known where known->>'rule' = g.rule)
           ), pattern as (
               insert into runtime_pattern as p (tenant_id, agent_id, rule, subject, category, reason, worst, score, count, first_at, last_at, event_id)
               select $1, agent, rule, '', max(category), max(reason), 1, 1, count(*), min(at), max(at), (array_agg(event order by at desc))[1]
               from fresh group by agent, rule order by agent, rule
               on conflict (tenant_id, agent_id, rule, subject) do update
               set count = p.count + excluded.count, last_at = greatest(p.last_at, excluded.last_at), event_id = excluded.event_id
               returning agent_id
           ), dirty as (
               insert into runtime_dirty (tenant_id, agent_id, since) select distinct $1::uuid, agent_id, $2::timestamptz from pattern order by 2
               on conflict do nothing
           )
           update agent_session s set dirty = false, sequences = l.sequences from looked l where s.id = l.id"#,
        tenant,
        now,
        &ids,
        &found,
        Value::Array(patterns)
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Marks what has to be reported although no pattern is new: agents whose figures are an hour old, and assets of sensors that fell
/// silent or came back. Of all organizations.
pub(crate) async fn mark_due(tx: &mut SystemTx, clock: &Clock) -> Result<()> {
    let now = clock.now();
    let silent = sqlx::query!(
        r#"with due as (
             update sensor s set silent_since = case when silent_since is null then $1::timestamptz end
             where retired_at is null
               and (silent_since is null) = (coalesce(last_seen_at, created_at) < $1::timestamptz - make_interval(secs => silent_after_s))
             returning tenant_id, asset_id, id, name, silent_since
         ), marked as (
         insert into runtime_dirty (tenant_id, agent_id, since)
         select tenant_id, asset_id, $1 from due
         union
         select o.tenant_id, c.agent_id, $1
         from organization o cross join lateral (
             select distinct c.agent_id from event_count c where c.tenant_id = o.tenant_id and c.bucket >= $2) c
         join asset a on a.tenant_id = o.tenant_id and a.id = c.agent_id
         left join runtime_reported r on r.tenant_id = o.tenant_id and r.agent_id = a.root_id
         where r.at is null or r.at < $3
         order by 1, 2
         on conflict do nothing
         )
         select tenant_id as "tenant: TenantId", id, name from due where silent_since is not null"#,
        now,
        now - Duration::minutes(90),
        now - Duration::minutes(60)
    )
    .fetch_all(tx.conn())
    .await?;
    let told: Vec<(TenantId, Uuid, String, String)> = silent
        .into_iter()
        .map(|sensor| {
            let key = format!("sensor.silent:{}:{}", sensor.id, now.timestamp());
            (sensor.tenant, sensor.id, format!("Sensor {} is silent", sensor.name), key)
        })
        .collect();
    let notices: Vec<(TenantId, Notice<'_>)> = told
        .iter()
        .map(|(tenant, subject, title, key)| {
            let text = "It gave no sign of life for longer than it may. What it watches goes unseen.";
            let (topic, severity, link) = (notify::Topic::SensorSilent, Severity::High, "/runtime/sensors");
            let permission = Permission::SensorRead;
            (*tenant, Notice { topic, severity, title, text, link, permission, subject: *subject, key })
        })
        .collect();
    notify::emit_for(tx, clock, &notices).await
}

/// Organizations that have marked agents, and those that have runs to be looked at.
pub(crate) async fn with_work(tx: &mut SystemTx, clock: &Clock) -> Result<(Vec<TenantId>, Vec<TenantId>)> {
    let marked = sqlx::query_scalar!(
        r#"select distinct tenant_id as "id: TenantId" from runtime_dirty where since < $1"#,
        clock.now() - Duration::seconds(2)
    )
    .fetch_all(tx.conn())
    .await?;
    let runs = sqlx::query_scalar!(
        r#"select o.tenant_id as "id: TenantId" from organization o
           where exists (select from agent_session s where s.tenant_id = o.tenant_id and s.dirty)"#
    )
    .fetch_all(tx.conn())
    .await?;
    Ok((marked, runs))
}

/// Deletes events that are older than their organization keeps them, some thousands at a time.
pub(crate) async fn forget(tx: &mut SystemTx, clock: &Clock) -> Result<u64> {
    let now = clock.now();
    let done = sqlx::query!(
        "delete from event e using (
             select o.tenant_id, old.id, old.at
             from organization o left join runtime_setting s on s.tenant_id = o.tenant_id
             cross join lateral (
                 select e.id, e.at from event e where e.tenant_id = o.tenant_id and e.at < $1::timestamptz - make_interval(days => coalesce(s.retention_days, 30))
                 order by e.at limit 5000) old
         ) old
         where e.tenant_id = old.tenant_id and e.id = old.id and e.at = old.at",
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// The first day that some organization keeps events of.
pub(crate) async fn first_day_kept(tx: &mut SystemTx, clock: &Clock) -> Result<chrono::NaiveDate> {
    let days = sqlx::query_scalar!(
        r#"select greatest(30, coalesce(max(retention_days), 30))::int as "days!" from runtime_setting"#
    )
    .fetch_one(tx.conn())
    .await?;
    Ok((clock.now() - Duration::days(i64::from(days))).date_naive())
}
