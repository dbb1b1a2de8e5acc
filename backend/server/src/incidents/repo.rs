//! The slice's SQL on incidents, their items, lines and clocks.

use super::{
    domain::{Counts, FactAsset, Facts, Flags, Incident, IncidentClock, Item, MAX_EVENTS, Origin},
    service::uuids,
};
use crate::kernel::{Error, Result, TenantTx, error::OnConstraint as _};
use chrono::{DateTime, Utc};
use serde_json::Value;
use stance_engine::correlation;
use stance_shared::{AssetId, ClockKind, EntryKind, IncidentId, IncidentStatus, SeriousKind, Severity, UserId};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Lines that the events of an incident get; the others are counted, and samples are items.
const EVENT_LINES: i64 = 20;

pub(super) async fn next_number(tx: &mut TenantTx) -> Result<i32> {
    let tenant = tx.ctx().tenant.0;
    Ok(sqlx::query_scalar!(
        "insert into incident_number as n (tenant_id, last) values ($1, 1)
         on conflict (tenant_id) do update set last = n.last + 1 returning last",
        tenant
    )
    .fetch_one(tx.conn())
    .await?)
}

pub(super) async fn insert(
    tx: &mut TenantTx,
    id: IncidentId,
    number: i32,
    title: &str,
    summary: &str,
    severity: Severity,
    origin: &Origin,
) -> Result<()> {
    let ctx = tx.ctx();
    let (tenant, now, by) = (ctx.tenant.0, ctx.now(), ctx.actor.label().to_owned());
    let (rule, version, key, run) = match origin {
        Origin::Rule { id, version, key } => (Some(id.as_str()), Some(*version), Some(key.as_str()), None),
        Origin::Playbook { run } => (None, None, None, Some(*run)),
        Origin::Person | Origin::Api => (None, None, None, None),
    };
    sqlx::query!(
        "insert into incident (tenant_id, id, number, title, summary, severity, opened_at, opened_by, origin, rule, rule_version, rule_key, run_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        tenant,
        id.0,
        number,
        title,
        summary,
        severity.rank(),
        now,
        by,
        origin.as_str(),
        rule,
        version,
        key,
        run
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whether the key was free; then it is the incident's.
pub(super) async fn take_key(tx: &mut TenantTx, incident: IncidentId, key: &str) -> Result<bool> {
    let (tenant, id) = (tx.ctx().tenant.0, tx.ctx().new_id());
    let done = sqlx::query!(
        "insert into incident_key (tenant_id, id, key, incident_id) values ($1, $2, $3, $4)
         on conflict (tenant_id, key) where released_at is null do nothing",
        tenant,
        id,
        key,
        incident.0
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn key_holder(tx: &mut TenantTx, key: &str) -> Result<Option<IncidentId>> {
    Ok(sqlx::query_scalar!(
        r#"select incident_id as "id: IncidentId" from incident_key where key = $1 and released_at is null"#,
        key
    )
    .fetch_optional(tx.conn())
    .await?)
}

pub(super) async fn release_keys(tx: &mut TenantTx, incident: IncidentId) -> Result<()> {
    let now = tx.ctx().now();
    sqlx::query!(
        "update incident_key set released_at = $2 where incident_id = $1 and released_at is null",
        incident.0,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Takes back the keys that an incident gave up when it was closed, as far as no other one holds them.
pub(super) async fn retake_keys(tx: &mut TenantTx, incident: IncidentId) -> Result<()> {
    sqlx::query!(
        "update incident_key k set released_at = null where incident_id = $1 and released_at is not null
           and not exists (select from incident_key held where held.key = k.key and held.released_at is null)
           and k.id = (select max(last.id::text)::uuid from incident_key last where last.incident_id = $1 and last.key = k.key)",
        incident.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn by_ids(tx: &mut TenantTx, ids: &[IncidentId]) -> Result<Vec<Incident>> {
    let rows = sqlx::query!(
        r#"select id as "id: IncidentId", number, title, summary, severity, status as "status: IncidentStatus", undo as "undo: IncidentStatus",
               opened_at, opened_by, origin, rule, rule_version, lag_us, run_id, assignee_id as "assignee_id: UserId", events, first_event_at,
               last_event_at, triaged_at, contained_at, closed_at, root_cause, lessons, merged_into as "merged_into: IncidentId",
               serious as "serious: SeriousKind", serious_aware_at, serious_report
           from incident where id = any($1)"#,
        &uuids(ids)
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Incident {
            id: row.id,
            number: row.number,
            title: row.title,
            summary: row.summary,
            severity: Severity::from_rank(row.severity).unwrap_or(Severity::Info),
            status: row.status,
            undo: row.undo,
            opened_at: row.opened_at,
            opened_by: row.opened_by,
            origin: row.origin,
            rule: row.rule,
            rule_version: row.rule_version,
            lag_us: row.lag_us,
            run_id: row.run_id,
            assignee_id: row.assignee_id,
            events: row.events,
            first_event_at: row.first_event_at,
            last_event_at: row.last_event_at,
            triaged_at: row.triaged_at,
            contained_at: row.contained_at,
            closed_at: row.closed_at,
            root_cause: row.root_cause,
            lessons: row.lessons,
            merged_into: row.merged_into,
            serious: row.serious,
            serious_aware_at: row.serious_aware_at,
            serious_report: row.serious_report,
        })
        .collect())
}

/// The incident, which nobody else changes until the transaction ends.
pub(super) async fn lock(tx: &mut TenantTx, id: IncidentId) -> Result<Incident> {
    sqlx::query!("select id from incident where id = $1 for no key update", id.0)
        .fetch_optional(tx.conn())
        .await?
        .ok_or_else(|| Error::not_found("incident"))?;
    by_ids(tx, &[id]).await?.pop().ok_or_else(|| Error::not_found("incident"))
}

/// When a status is reached is noted once; what is taken back was not reached.
pub(super) async fn set_status(
    tx: &mut TenantTx,
    id: IncidentId,
    to: IncidentStatus,
    undo: Option<IncidentStatus>,
    root_cause: Option<&str>,
    lessons: Option<&str>,
) -> Result<()> {
    let now = tx.ctx().now();
    sqlx::query!(
        "update incident set status = $2, undo = $3, root_cause = coalesce($4, root_cause), lessons = coalesce($5, lessons),
             triaged_at = case when $2 = 'OPEN' then null else coalesce(triaged_at, $6) end,
             contained_at = case when $2 in ('OPEN', 'TRIAGED') and status <> 'CLOSED' then null
                 when $2 in ('CONTAINED', 'ERADICATED', 'RECOVERED') then coalesce(contained_at, $6) else contained_at end,
             closed_at = case when $2 = 'CLOSED' then $6 end
         where id = $1",
        id.0,
        to.as_str(),
        undo.map(IncidentStatus::as_str),
        root_cause,
        lessons,
        now
    )
    .execute(tx.conn())
    .await
    .on_constraint("incident_transition", || Error::conflict("The incident changed meanwhile. Look again."))?;
    Ok(())
}

pub(super) async fn insert_clocks(tx: &mut TenantTx, clocks: &[IncidentClock]) -> Result<()> {
    let tenant = tx.ctx().tenant.0;
    let incidents: Vec<Uuid> = clocks.iter().map(|clock| clock.incident.0).collect();
    let kinds: Vec<&str> = clocks.iter().map(|clock| clock.kind.as_str()).collect();
    let targets: Vec<&str> = clocks.iter().map(|clock| clock.target.as_str()).collect();
    let started: Vec<DateTime<Utc>> = clocks.iter().map(|clock| clock.started_at).collect();
    let due: Vec<DateTime<Utc>> = clocks.iter().map(|clock| clock.due_at).collect();
    sqlx::query!(
        "insert into incident_clock (tenant_id, incident_id, kind, target, started_at, due_at)
         select $1, * from unnest($2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])",
        tenant,
        &incidents,
        &kinds as &[&str],
        &targets as &[&str],
        &started,
        &due
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Stops these clocks where they still run, and lets the others run on. The clock of Article 73 is stopped by the report only.
pub(super) async fn settle_clocks(tx: &mut TenantTx, incident: IncidentId, done: &[ClockKind]) -> Result<()> {
    let now = tx.ctx().now();
    let done: Vec<&str> = done.iter().map(|kind| kind.as_str()).collect();
    sqlx::query!(
        "update incident_clock set
             done_at = case when kind = any($2) then coalesce(done_at, $3) end,
             -- What was paused until it was done was not running.
             due_at = due_at + case when kind = any($2) and paused_at is not null then $3 - paused_at else interval '0' end,
             paused_seconds = paused_seconds
                 + case when kind = any($2) and paused_at is not null then extract(epoch from $3 - paused_at)::bigint else 0 end,
             paused_at = case when kind = any($2) then null else paused_at end
         where incident_id = $1 and kind <> 'ARTICLE_73'",
        incident.0,
        &done as &[&str],
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// An item that was not there before.
pub(super) struct NewItem {
    pub kind: String,
    pub id: Uuid,
}

/// Adds items that exist, with the assets that they are of, and gives those that are new. Events beyond [`MAX_EVENTS`] are passed over.
pub(super) async fn add_items(
    tx: &mut TenantTx,
    incident: IncidentId,
    items: &[Item],
    rule: Option<&str>,
) -> Result<Vec<NewItem>> {
    let ctx = tx.ctx();
    let (tenant, now, by) = (ctx.tenant.0, ctx.now(), ctx.actor.label().to_owned());
    let kinds: Vec<&str> = items.iter().map(Item::kind).collect();
    let ids: Vec<Uuid> = items.iter().map(Item::id).collect();
    let times: Vec<Option<DateTime<Utc>>> = items.iter().map(Item::at).collect();
    let (from, to) = (times.iter().flatten().min().copied(), times.iter().flatten().max().copied());
    let moment = chrono::Duration::milliseconds(1);
    Ok(sqlx::query_as!(
        NewItem,
        r#"with given as materialized (
               select * from unnest($4::text[], $5::uuid[], $6::timestamptz[]) g(kind, ref, at)
           ), known as materialized (
               -- A finding that came back is another fact.
               select g.kind, f.id as ref, coalesce((select max(h.at) from finding_event h where h.finding_id = f.id and h.kind = 'REOPENED'), f.first_seen) as at,
                   f.asset_id as asset
               from given g join finding f on f.id = g.ref where g.kind = 'FINDING'
               union all
               select g.kind, a.root_id, a.first_seen, null from given g join asset a on a.id = g.ref where g.kind = 'ASSET'
               union all
               select g.kind, s.id, s.first_at, s.agent_id from given g join agent_session s on s.id = g.ref where g.kind = 'SESSION'
               union all
               select * from (
                   select g.kind, e.id, e.at, e.agent_id from given g join event e on e.id = g.ref and e.at >= $8 and e.at <= $9 where g.kind = 'EVENT'
                   order by e.at, e.id
                   limit greatest(0, $10 - (select count(*) from incident_item i where i.incident_id = $2 and i.kind = 'EVENT'))) e
               union all
               select g.kind, g.ref, $3, null from given g where g.kind in ('CONTAINMENT', 'PLAYBOOK_RUN')
           ), placed as (
               select kind, ref, min(at) as at from (
                   select kind, ref, at from known
                   union all
                   select 'ASSET', a.root_id, a.first_seen from (select distinct asset from known) k join asset a on a.id = k.asset) all_of_it
               group by kind, ref
           )
           insert into incident_item (tenant_id, incident_id, kind, ref, at, added_at, added_by, rule)
           select $1, $2, kind, ref, at, $3, $11, case when kind in ('FINDING', 'EVENT', 'SESSION') then $7 end from placed order by kind, ref
           on conflict do nothing
           returning kind, ref as id"#,
        tenant,
        incident.0,
        now,
        &kinds as &[&str],
        &ids,
        &times as &[Option<DateTime<Utc>>],
        rule,
        from.map(|at| at - moment),
        to.map(|at| at + moment),
        MAX_EVENTS,
        by
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Counts events that somebody attached.
pub(super) async fn count_events(tx: &mut TenantTx, incident: IncidentId, new: &[NewItem]) -> Result<()> {
    let ids: Vec<Uuid> = new.iter().filter(|item| item.kind == "EVENT").map(|item| item.id).collect();
    sqlx::query!(
        "update incident i set events = i.events + n.count, first_event_at = least(i.first_event_at, n.first),
             last_event_at = greatest(i.last_event_at, n.last)
         from (select count(*) as count, min(at) as first, max(at) as last from incident_item where incident_id = $1 and kind = 'EVENT' and ref = any($2)) n
         where i.id = $1",
        incident.0,
        &ids
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Writes new items into the timeline: findings and runs each a line at the time of the fact, events the first of them.
pub(super) async fn tell_items(tx: &mut TenantTx, incident: IncidentId, new: &[NewItem]) -> Result<()> {
    let ctx = tx.ctx().clone();
    let kinds: Vec<&str> = new.iter().map(|item| item.kind.as_str()).collect();
    let ids: Vec<Uuid> = new.iter().map(|item| item.id).collect();
    let lines: Vec<Uuid> = new.iter().map(|_| ctx.new_id()).collect();
    sqlx::query!(
        r#"with item as materialized (
               select g.kind, g.ref, g.line, i.at from unnest($4::text[], $5::uuid[], $6::uuid[]) g(kind, ref, line)
               join incident_item i on i.incident_id = $2 and i.kind = g.kind and i.ref = g.ref
           ), event_line as (
               select i.ref, i.line, e.at, e.kind, e.verdict, e.tool_server, e.tool, e.model, e.detections, e.session, e.agent_id
               from item i join event e on e.id = i.ref and e.at = i.at where i.kind = 'EVENT'
               order by e.at, e.id
               limit greatest(0, $7 - (select count(*) from incident_entry l where l.incident_id = $2 and l.key like 'EVENT:%'))
           ), line as (
               select i.line as id, i.at, case f.layer when 'RUNTIME' then 'RUNTIME' else 'BUILD_TIME' end as kind,
                   'Finding: ' || f.title as text, jsonb_build_object('finding', f.id, 'rule', f.rule, 'asset', f.asset_id) as evidence, 'FINDING:' || f.id as key
               from item i join finding f on f.id = i.ref where i.kind = 'FINDING'
               union all
               select i.line, i.at, 'RUNTIME', 'Run ' || s.session || ' of ' || a.name, jsonb_build_object('session', s.id, 'asset', s.agent_id), 'SESSION:' || s.id
               from item i join agent_session s on s.id = i.ref join asset a on a.id = s.agent_id where i.kind = 'SESSION'
               union all
               select e.line, e.at, 'RUNTIME',
                   initcap(e.verdict) || ': ' || lower(replace(e.kind, '_', ' ')) || coalesce(' ' || coalesce(e.tool_server || '.', '') || e.tool, '')
                       || coalesce(', ' || (e.detections->0->>'reason'), ''),
                   jsonb_strip_nulls(jsonb_build_object('event', e.ref, 'rule', e.detections->0->>'rule', 'session', e.session, 'asset', e.agent_id)),
                   'EVENT:' || e.ref
               from event_line e
               union all
               select i.line, $3, 'ACTION', 'A containment was ordered', jsonb_build_object('containment', i.ref), 'CONTAINMENT:' || i.ref
               from item i where i.kind = 'CONTAINMENT'
           )
           insert into incident_entry (tenant_id, incident_id, id, at, recorded_at, kind, actor, text, evidence, key)
           select $1, $2, id, at, $3, kind, $8, left(text, 4000), evidence, key from line
           on conflict do nothing"#,
        ctx.tenant.0,
        incident.0,
        ctx.now(),
        &kinds as &[&str],
        &ids,
        &lines,
        EVENT_LINES,
        ctx.actor.label()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whether the line is new.
pub(super) async fn note(
    tx: &mut TenantTx,
    incident: IncidentId,
    kind: EntryKind,
    text: &str,
    evidence: Option<&Value>,
    key: Option<&str>,
) -> Result<bool> {
    let ctx = tx.ctx().clone();
    let done = sqlx::query!(
        "insert into incident_entry (tenant_id, incident_id, id, at, recorded_at, kind, actor, text, evidence, key)
         values ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9) on conflict (tenant_id, incident_id, key) do nothing",
        ctx.tenant.0,
        incident.0,
        ctx.new_id(),
        ctx.now(),
        kind.as_str(),
        ctx.actor.label(),
        text,
        evidence,
        key
    )
    .execute(tx.conn())
    .await
    .on_constraint("incident_entry_tenant_id_incident_id_fkey", || Error::not_found("incident"))?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn facts(tx: &mut TenantTx, incident: Incident) -> Result<Facts> {
    let id = incident.id.0;
    let assets = sqlx::query!(
        r#"select a.id as "id: AssetId", a.kind, a.external_key, a.name, a.exposure, a.criticality
           from incident_item i join asset a on a.id = i.ref where i.incident_id = $1 and i.kind = 'ASSET' order by a.kind, a.id limit 300"#,
        id
    )
    .fetch_all(tx.conn())
    .await?;
    let assets: Vec<FactAsset> = assets
        .into_iter()
        .map(|row| FactAsset {
            id: row.id,
            kind: row.kind,
            key: row.external_key,
            name: row.name,
            exposure: row.exposure,
            criticality: row.criticality,
        })
        .collect();
    let found = sqlx::query!(
        "select f.rule, f.categories from incident_item i join finding f on f.id = i.ref
         where i.incident_id = $1 and i.kind = 'FINDING' order by f.severity, f.id limit 100",
        id
    )
    .fetch_all(tx.conn())
    .await?;
    let counted = sqlx::query!(
        r#"select count(*) filter (where kind = 'FINDING') as "findings!", count(*) filter (where kind = 'SESSION') as "sessions!",
               count(*) filter (where kind = 'ASSET') as "assets!", count(*) filter (where kind = 'CONTAINMENT') as "containments!",
               coalesce((array_agg(ref order by at desc) filter (where kind = 'SESSION'))[1:100], '{}') as "refs!"
           from incident_item where incident_id = $1"#,
        id
    )
    .fetch_one(tx.conn())
    .await?;
    let mut categories: BTreeSet<String> =
        found.iter().flat_map(|row| row.categories.split_whitespace().map(str::to_owned)).collect();
    if let Some(rule) = incident.rule.as_deref().and_then(correlation::rule) {
        categories.extend(rule.categories.iter().cloned());
    }
    let rules: BTreeSet<String> = found.into_iter().map(|row| row.rule).collect();
    let of = |kind: &str| assets.iter().filter(|asset| asset.kind == kind).take(100).cloned().collect::<Vec<_>>();
    let worst = |words: &[&str], of: fn(&FactAsset) -> &str| {
        words.iter().find(|word| assets.iter().any(|asset| of(asset) == **word)).map(|word| (*word).to_owned())
    };
    Ok(Facts {
        id: incident.id,
        number: incident.number,
        title: incident.title,
        severity: incident.severity,
        status: incident.status,
        origin: incident.origin,
        rule: incident.rule,
        categories: categories.into_iter().collect(),
        rules: rules.into_iter().collect(),
        agents: of("AGENT"),
        models: of("MODEL"),
        exposure: worst(&["INTERNET", "INTERNAL", "ISOLATED"], |asset| &asset.exposure),
        criticality: worst(&["CRITICAL", "HIGH", "MEDIUM", "LOW"], |asset| &asset.criticality),
        sessions: counted.refs,
        counts: Counts {
            findings: counted.findings,
            events: incident.events,
            sessions: counted.sessions,
            assets: counted.assets,
            containments: counted.containments,
        },
        flags: Flags { serious: incident.serious.is_some(), contained: incident.contained_at.is_some() },
        assets,
    })
}

/// A clock that ran out just now.
pub(super) struct Breached {
    pub incident: IncidentId,
    pub number: i32,
    pub title: String,
    pub severity: Severity,
    pub kind: ClockKind,
    pub due_at: DateTime<Utc>,
    pub target: String,
}

/// Notes that clocks ran out, and gives them.
pub(super) async fn breach(tx: &mut TenantTx, limit: i64) -> Result<Vec<Breached>> {
    let now = tx.ctx().now();
    let rows = sqlx::query!(
        r#"with due as (
               select incident_id, kind from incident_clock
               where due_at <= $1 and done_at is null and paused_at is null and breached_at is null order by due_at limit $2 for update skip locked
           )
           update incident_clock c set breached_at = $1 from due, incident i
           where c.incident_id = due.incident_id and c.kind = due.kind and i.id = c.incident_id
           returning c.incident_id as "incident: IncidentId", i.number, i.title, i.severity, c.kind as "kind: ClockKind", c.due_at, c.target"#,
        now,
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Breached {
            incident: row.incident,
            number: row.number,
            title: row.title,
            severity: Severity::from_rank(row.severity).unwrap_or(Severity::Info),
            kind: row.kind,
            due_at: row.due_at,
            target: row.target,
        })
        .collect())
}

/// Whether the clock ran (to pause it) or was paused (to let it go on).
pub(super) async fn pause_clock(tx: &mut TenantTx, incident: IncidentId, kind: ClockKind, pause: bool) -> Result<bool> {
    let now = tx.ctx().now();
    let done = sqlx::query!(
        "update incident_clock set due_at = case when $3 then due_at else due_at + ($4 - paused_at) end,
             paused_seconds = paused_seconds + case when $3 then 0 else extract(epoch from $4 - paused_at)::bigint end,
             paused_at = case when $3 then $4 end
         where incident_id = $1 and kind = $2 and done_at is null and (paused_at is null) = $3",
        incident.0,
        kind.as_str(),
        pause,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The clocks of incidents, those that are due first first.
pub(super) async fn clocks(tx: &mut TenantTx, ids: &[IncidentId]) -> Result<Vec<IncidentClock>> {
    Ok(sqlx::query_as!(
        IncidentClock,
        r#"select incident_id as "incident: IncidentId", kind as "kind: ClockKind", target, started_at, due_at, paused_at, done_at, breached_at
           from incident_clock where incident_id = any($1) order by due_at, kind"#,
        &uuids(ids)
    )
    .fetch_all(tx.conn())
    .await?)
}
