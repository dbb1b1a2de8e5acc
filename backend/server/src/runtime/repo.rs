//! The slice's SQL on events and what is counted of them.

use super::domain::{JudgedBy, Seen, Settings};
use crate::{
    inventory::Named,
    kernel::{Result, TenantTx},
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use stance_shared::{AssetId, PolicyId, RelationKind};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// What events are counted by, in minutes.
pub const BUCKET_MINUTES: i64 = 15;

/// An event with the ids of what it names.
pub(super) struct Row<'a> {
    pub event: &'a Seen,
    pub sensor_id: Option<Uuid>,
    pub agent_id: Option<Uuid>,
    pub tool_id: Option<Uuid>,
}

/// Writes events that are not there yet, and counts them. Returns how many are new. The order of the rows that counting changes is the
/// same in every transaction, so that two of them never wait for each other in a circle.
pub(super) async fn insert(tx: &mut TenantTx, rows: &[Row<'_>]) -> Result<usize> {
    if rows.is_empty() {
        return Ok(0);
    }
    let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
    macro_rules! column {
        (|$row:ident| $value:expr) => {
            &rows.iter().map(|$row| $value).collect::<Vec<_>>()
        };
    }
    macro_rules! field {
        (|$event:ident| $value:expr) => {
            &rows
                .iter()
                .map(|row| {
                    let $event = row.event;
                    $value
                })
                .collect::<Vec<_>>()
        };
    }
    let detections: Vec<Value> = rows.iter().map(|row| json!(row.event.detections)).collect();
    let details: Vec<Option<Value>> = rows.iter().map(|row| row.event.detail.clone()).collect();
    let new = sqlx::query_scalar!(
        r#"with given as materialized (
             select * from unnest($3::uuid[], $4::timestamptz[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[], $10::real[],
                 $11::jsonb[], $12::uuid[], $13::int[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[],
                 $20::text[], $21::uuid[], $22::bigint[], $23::bigint[], $24::float8[], $25::float8[], $26::int[], $27::bytea[], $28::int[],
                 $29::text[], $30::jsonb[])
               g(id, at, sensor_id, agent_id, kind, channel, verdict, score, detections, policy_id, policy_version, session, trace, span,
                 parent_span, model, tool_server, tool, tool_id, input_tokens, output_tokens, cost_usd, duration_ms, inspect_us, text_hash,
                 text_bytes, text, detail)
           ), new as (
             insert into event (tenant_id, received_at, id, at, sensor_id, agent_id, kind, channel, verdict, score, detections, policy_id,
                 policy_version, session, trace, span, parent_span, model, tool_server, tool, tool_id, input_tokens, output_tokens, cost_usd,
                 duration_ms, inspect_us, text_hash, text_bytes, text, detail)
             select $1, $2, given.* from given
             on conflict do nothing
             returning id, at, date_bin('15 minutes', at, 'epoch') as bucket, coalesce(agent_id, '00000000-0000-0000-0000-000000000000') as agent_id,
                 kind, coalesce(channel, '') as channel, verdict, array_position('{ALLOW,FLAG,REDACT,BLOCK}', verdict) - 1 as worst, score, detections,
                 coalesce(policy_id, '00000000-0000-0000-0000-000000000000') as policy_id, session, model, tool_server, tool, tool_id,
                 coalesce(input_tokens, 0) + coalesce(output_tokens, 0) as tokens, coalesce(cost_usd, 0) as cost_usd, inspect_us
           ), counted as (
             insert into event_count as c (tenant_id, bucket, agent_id, kind, channel, verdict, policy_id, count, tokens, cost_usd)
             select $1, bucket, agent_id, kind, channel, verdict, policy_id, count(*), sum(tokens), sum(cost_usd)
             from new group by 2, 3, 4, 5, 6, 7 order by 2, 3, 4, 5, 6, 7
             on conflict (tenant_id, bucket, agent_id, kind, channel, verdict, policy_id) do update
             set count = c.count + excluded.count, tokens = c.tokens + excluded.tokens, cost_usd = c.cost_usd + excluded.cost_usd
           ), timed as (
             insert into inspect_latency as c (tenant_id, bucket, bound, count)
             select $1, bucket, 1 << ceil(log(2, greatest(inspect_us, 1)))::int, count(*)
             from new where inspect_us is not null group by 2, 3 order by 2, 3
             on conflict (tenant_id, bucket, bound) do update set count = c.count + excluded.count
           ), hit as materialized (
             select distinct on (n.id, d.rule) n.id, n.at, n.bucket, n.agent_id, n.verdict, n.worst, n.policy_id, d.rule, d.category, d.reason, d.score,
                 coalesce(n.tool_server || '.', '') || coalesce(n.tool, n.model, '') as subject
             from new n cross join lateral jsonb_to_recordset(n.detections) d(rule text, category text, reason text, score real)
             order by n.id, d.rule, d.score desc
           ), detected as (
             insert into detection_count as c (tenant_id, bucket, agent_id, rule, verdict, policy_id, count)
             select $1, bucket, agent_id, rule, verdict, policy_id, count(*) from hit group by 2, 3, 4, 5, 6 order by 2, 3, 4, 5, 6
             on conflict (tenant_id, bucket, agent_id, rule, verdict, policy_id) do update set count = c.count + excluded.count
           ), pattern as (
             insert into runtime_pattern as p (tenant_id, agent_id, rule, subject, category, reason, worst, score, count, first_at, last_at, event_id)
             select $1, agent_id, rule, left(subject, 512), max(category), max(reason), max(worst), max(score), count(*), min(at), max(at),
                 (array_agg(id order by worst desc, score desc))[1]
             from hit where worst > 0 and rule <> 'containment' and agent_id <> '00000000-0000-0000-0000-000000000000'
             group by 2, 3, 4 order by 2, 3, 4
             on conflict (tenant_id, agent_id, rule, subject) do update
             set count = p.count + excluded.count, first_at = least(p.first_at, excluded.first_at), last_at = greatest(p.last_at, excluded.last_at),
                 worst = greatest(p.worst, excluded.worst), score = greatest(p.score, excluded.score), category = excluded.category,
                 reason = excluded.reason, event_id = case when excluded.worst >= p.worst then excluded.event_id else p.event_id end
             returning agent_id, p.xmax = 0 as fresh
           ), dirty as (
             -- A pattern that is known is reported again within the hour.
             insert into runtime_dirty (tenant_id, agent_id, since)
             select distinct $1::uuid, agent_id, $2::timestamptz from pattern where fresh order by 2
             on conflict do nothing
           ), used as (
             insert into tool_use as u (tenant_id, agent_id, tool_id, day, count, blocked, last_at)
             select $1, agent_id, tool_id, (at at time zone 'UTC')::date, count(*), count(*) filter (where verdict = 'BLOCK'), max(at)
             from new where kind = 'TOOL_CALL' and tool_id is not null and agent_id <> '00000000-0000-0000-0000-000000000000'
             group by 2, 3, 4 order by 2, 3, 4
             on conflict (tenant_id, agent_id, tool_id, day) do update
             set count = u.count + excluded.count, blocked = u.blocked + excluded.blocked, last_at = greatest(u.last_at, excluded.last_at)
           ), run as (
             insert into agent_session as s (tenant_id, agent_id, session, id, first_at, last_at, events, tool_calls, tokens, worst, score)
             select $1, agent_id, session, md5($1::text || agent_id || session)::uuid, min(at), max(at), count(*),
                 count(*) filter (where kind = 'TOOL_CALL'), sum(tokens), max(worst), max(score)
             from new where session is not null group by 2, 3 order by 2, 3
             on conflict (tenant_id, agent_id, session) do update
             set first_at = least(s.first_at, excluded.first_at), last_at = greatest(s.last_at, excluded.last_at), events = s.events + excluded.events,
                 tool_calls = s.tool_calls + excluded.tool_calls, tokens = s.tokens + excluded.tokens, worst = greatest(s.worst, excluded.worst),
                 score = greatest(s.score, excluded.score), dirty = true
           ), assessed as (
             -- What an asset's events make known of it.
             insert into assessment as a (tenant_id, asset_id, check_id, last_at, source)
             select $1, agent_id, check_id, max(at), 'stance-runtime'
             from new cross join (values ('sensor-alive'), ('guardrail-attached')) c(check_id)
             where agent_id <> '00000000-0000-0000-0000-000000000000'
               and (check_id = 'sensor-alive' or inspect_us is not null or kind = 'GUARDRAIL')
             group by 2, 3 order by 2, 3
             on conflict (tenant_id, asset_id, check_id) do update set last_at = greatest(a.last_at, excluded.last_at), source = excluded.source
           )
           select count(*) as "new!" from new"#,
        tenant,
        now,
        field!(|e| e.id),
        field!(|e| e.at),
        column!(|row| row.sensor_id) as &[Option<Uuid>],
        column!(|row| row.agent_id) as &[Option<Uuid>],
        field!(|e| e.kind.as_str()) as &[&str],
        field!(|e| e.channel.map(|channel| channel.as_str())) as &[Option<&str>],
        field!(|e| e.verdict.as_str()) as &[&str],
        field!(|e| e.score),
        &detections,
        field!(|e| e.judged_by.map(|by| by.policy.0)) as &[Option<Uuid>],
        field!(|e| e.judged_by.map(|by| by.version)) as &[Option<i32>],
        field!(|e| e.session.as_deref()) as &[Option<&str>],
        field!(|e| e.span.0.as_deref()) as &[Option<&str>],
        field!(|e| e.span.1.as_deref()) as &[Option<&str>],
        field!(|e| e.span.2.as_deref()) as &[Option<&str>],
        field!(|e| e.model.as_deref()) as &[Option<&str>],
        field!(|e| e.tool.as_ref().and_then(|tool| tool.server.as_deref())) as &[Option<&str>],
        field!(|e| e.tool.as_ref().map(|tool| tool.name.as_str())) as &[Option<&str>],
        column!(|row| row.tool_id) as &[Option<Uuid>],
        field!(|e| e.usage.as_ref().map(|usage| i64::try_from(usage.input_tokens).unwrap_or(i64::MAX))) as &[Option<i64>],
        field!(|e| e.usage.as_ref().map(|usage| i64::try_from(usage.output_tokens).unwrap_or(i64::MAX))) as &[Option<i64>],
        field!(|e| e.usage.as_ref().and_then(|usage| usage.cost_usd)) as &[Option<f64>],
        field!(|e| e.duration_ms) as &[Option<f64>],
        field!(|e| e.inspect_us) as &[Option<i32>],
        field!(|e| e.text_hash.as_ref().map(<[u8; 32]>::as_slice)) as &[Option<&[u8]>],
        field!(|e| e.text_bytes) as &[Option<i32>],
        field!(|e| e.text.as_deref()) as &[Option<&str>],
        &details as &[Option<Value>],
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(usize::try_from(new).unwrap_or_default())
}

/// Of these relations those that are not known yet.
pub(super) async fn unrelated(
    tx: &mut TenantTx,
    edges: &[(Named, RelationKind, Named)],
) -> Result<Vec<(Named, RelationKind, Named)>> {
    if edges.is_empty() {
        return Ok(Vec::new());
    }
    let from: Vec<Uuid> = edges.iter().map(|(from, ..)| from.said.0).collect();
    let kinds: Vec<&str> = edges.iter().map(|(_, kind, _)| kind.as_str()).collect();
    let to: Vec<Uuid> = edges.iter().map(|(.., to)| to.said.0).collect();
    let places = sqlx::query_scalar!(
        r#"select e.place as "place!" from unnest($1::uuid[], $2::text[], $3::uuid[]) with ordinality e(from_id, kind, to_id, place)
           where not exists (select from asset_relation r where r.from_id = e.from_id and r.kind = e.kind and r.to_id = e.to_id)"#,
        &from,
        &kinds as &[&str],
        &to,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(places.into_iter().filter_map(|place| edges.get(usize::try_from(place).ok()? - 1).copied()).collect())
}

/// Sensors told this many events, which are also signs of life.
pub(super) async fn heard_of(tx: &mut TenantTx, sensors: &BTreeMap<Uuid, i64>) -> Result<()> {
    if sensors.is_empty() {
        return Ok(());
    }
    let now = tx.ctx().now();
    let (ids, counts): (Vec<Uuid>, Vec<i64>) = sensors.iter().map(|(id, count)| (*id, *count)).unzip();
    sqlx::query!(
        "update sensor s set last_seen_at = $3, events = events + n.count from unnest($1::uuid[], $2::bigint[]) n(id, count) where s.id = n.id",
        &ids,
        &counts,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn settings(tx: &mut TenantTx) -> Result<Settings> {
    let row = sqlx::query!("select store_text, retention_days from runtime_setting").fetch_optional(tx.conn()).await?;
    Ok(row.map_or_else(Settings::default, |row| Settings {
        store_text: row.store_text,
        retention_days: row.retention_days,
    }))
}

pub(super) async fn set_settings(tx: &mut TenantTx, settings: Settings) -> Result<()> {
    let (tenant, now, by) = (tx.ctx().tenant.0, tx.ctx().now(), tx.ctx().actor.label().to_owned());
    sqlx::query!(
        "insert into runtime_setting (tenant_id, store_text, retention_days, updated_at, updated_by) values ($1, $2, $3, $4, $5)
         on conflict (tenant_id) do update set store_text = $2, retention_days = $3, updated_at = $4, updated_by = $5",
        tenant,
        settings.store_text,
        settings.retention_days,
        now,
        by
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Agents by the normal form of their keys, as `asset_identity` makes it.
pub(super) async fn agents(tx: &mut TenantTx, limit: i64) -> Result<HashMap<String, AssetId>> {
    let rows = sqlx::query!(
        r#"select identity, root_id as "id: AssetId" from asset where kind = 'AGENT' order by last_seen desc limit $1"#,
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.identity, row.id)).collect())
}

/// A policy in force.
pub(super) struct InForce {
    pub judged_by: JudgedBy,
    pub agents: Vec<Uuid>,
    pub document: Value,
}

pub(super) async fn in_force(tx: &mut TenantTx) -> Result<Vec<InForce>> {
    // An alias of an agent means the agent.
    let rows = sqlx::query!(
        r#"select p.id as "id: PolicyId", v.version, v.document,
               array(select a.root_id from asset a where a.id = any(p.agents)) as "agents!"
           from policy p join policy_version v on v.policy_id = p.id and v.version = p.active order by p.created_at, p.id"#
    )
    .fetch_all(tx.conn())
    .await?;
    let read = |row: _| {
        let (id, version, document, agents): (PolicyId, i32, Value, Vec<Uuid>) = row;
        InForce { judged_by: JudgedBy { policy: id, version }, agents, document }
    };
    Ok(rows.into_iter().map(|row| read((row.id, row.version, row.document, row.agents))).collect())
}

/// Tokens and US dollars of each agent since midnight UTC.
pub(super) async fn spent_today(tx: &mut TenantTx, midnight: DateTime<Utc>) -> Result<HashMap<AssetId, (u64, f64)>> {
    let rows = sqlx::query!(
        r#"select agent_id as "agent: AssetId", sum(tokens)::bigint as "tokens!", sum(cost_usd) as "cost!" from event_count
           where bucket >= $1 group by agent_id having sum(tokens) > 0 or sum(cost_usd) > 0"#,
        midnight
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.agent, (u64::try_from(row.tokens).unwrap_or_default(), row.cost))).collect())
}

/// What sensors' tokens belong to.
pub(super) async fn sensor_of(tx: &mut TenantTx, token: Uuid) -> Result<Option<(Uuid, AssetId)>> {
    let row = sqlx::query!(
        r#"select s.id, a.root_id as "asset: AssetId" from sensor s join asset a on a.id = s.asset_id
           where s.token_id = $1 and s.retired_at is null"#,
        token
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| (row.id, row.asset)))
}

/// Keeps, changes or takes back what a person said of an event.
pub(super) async fn set_feedback(
    tx: &mut TenantTx,
    event: &super::events::Event,
    label: Option<super::events::Label>,
    note: &str,
) -> Result<()> {
    let (tenant, now, by) = (tx.ctx().tenant.0, tx.ctx().now(), tx.ctx().actor.label().to_owned());
    let Some(label) = label else {
        sqlx::query!("delete from event_feedback where event_id = $1", event.id.0).execute(tx.conn()).await?;
        return Ok(());
    };
    let rules: Vec<String> = event.detections.iter().map(|detection| detection.rule.clone()).collect();
    sqlx::query!(
        "insert into event_feedback (tenant_id, event_id, event_at, label, verdict, score, rules, policy_id, agent_id, channel, labelled_by,
             labelled_at, note)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         on conflict (tenant_id, event_id) do update set label = $4, labelled_by = $11, labelled_at = $12, note = $13",
        tenant,
        event.id.0,
        event.at,
        label.as_str(),
        event.verdict.as_str(),
        event.score,
        &rules,
        event.judged_by.map(|by| by.policy.0),
        event.agent.map(|agent| agent.0),
        event.channel.map(|channel| channel.as_str()),
        by,
        now,
        note
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
