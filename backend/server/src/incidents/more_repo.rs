//! SQL of what people do with incidents, and of what they see.

use super::{
    domain::{Incident, Item},
    reading::{Filter, Key, Line, LineKey, Link, Metrics},
    repo::by_ids,
    service::uuids,
};
use crate::kernel::{Result, TenantTx, page::Page};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{Postgres, QueryBuilder};
use stance_shared::{ClockKind, EntryKind, IncidentId, SeriousKind, UserId};
use uuid::Uuid;

pub(super) async fn update(tx: &mut TenantTx, incident: &Incident) -> Result<()> {
    sqlx::query!(
        "update incident set title = $2, summary = $3, severity = $4, assignee_id = $5, root_cause = $6, lessons = $7 where id = $1",
        incident.id.0,
        incident.title,
        incident.summary,
        incident.severity.rank(),
        incident.assignee_id.map(|id| id.0),
        incident.root_cause,
        incident.lessons
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Gives clocks that still run other targets; they began when they began, and what was paused stays paused.
pub(super) async fn retarget_clocks(
    tx: &mut TenantTx,
    incident: IncidentId,
    target: &str,
    minutes: &[(ClockKind, i64)],
) -> Result<()> {
    let kinds: Vec<&str> = minutes.iter().map(|(kind, _)| kind.as_str()).collect();
    let minutes: Vec<i64> = minutes.iter().map(|(_, minutes)| *minutes).collect();
    let now = tx.ctx().now();
    sqlx::query!(
        "update incident_clock c set target = $2, due_at = c.started_at + make_interval(mins => n.minutes::int, secs => c.paused_seconds),
             breached_at = case when c.started_at + make_interval(mins => n.minutes::int, secs => c.paused_seconds) > $5 then null else c.breached_at end
         from unnest($3::text[], $4::bigint[]) n(kind, minutes)
         where c.incident_id = $1 and c.kind = n.kind and c.done_at is null",
        incident.0,
        target,
        &kinds as &[&str],
        &minutes,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Moves what belongs to incidents into another one and closes them.
pub(super) async fn merge(tx: &mut TenantTx, into: IncidentId, others: &[IncidentId]) -> Result<()> {
    let now = tx.ctx().now();
    let ids = uuids(others);
    // One after the other: a row can not be changed twice in one statement.
    sqlx::query!(
        "with moved as (
             select distinct on (kind, ref) incident_id, kind, ref from incident_item i
             where incident_id = any($2) and not exists (
                 select from incident_item t where t.incident_id = $1 and t.kind = i.kind and t.ref = i.ref)
             order by kind, ref, added_at
         )
         -- What two of them have stays with one of them: which rule took it is not forgotten.
         update incident_item i set incident_id = $1 from moved m where i.incident_id = m.incident_id and i.kind = m.kind and i.ref = m.ref",
        into.0,
        &ids
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "insert into incident_watcher (tenant_id, incident_id, user_id, since)
         select distinct on (user_id) tenant_id, $1::uuid, user_id, since from incident_watcher where incident_id = any($2) on conflict do nothing",
        into.0,
        &ids
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "insert into incident_link (tenant_id, incident_id, id, title, url, added_at, added_by)
         select tenant_id, $1::uuid, id, title, url, added_at, added_by from incident_link where incident_id = any($2) on conflict do nothing",
        into.0,
        &ids
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "update incident_key set incident_id = $1 where incident_id = any($2) and released_at is null",
        into.0,
        &ids
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "update incident_clock c set due_at = least(c.due_at, o.due_at)
         from (select kind, min(due_at) as due_at from incident_clock where incident_id = any($2) and done_at is null group by kind) o
         where c.incident_id = $1 and c.kind = o.kind and c.done_at is null and o.due_at > c.started_at",
        into.0,
        &ids
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "update incident i set events = i.events + o.events, first_event_at = least(i.first_event_at, o.first), last_event_at = greatest(i.last_event_at, o.last)
         from (select sum(events)::bigint as events, min(first_event_at) as first, max(last_event_at) as last from incident where id = any($2)) o
         where i.id = $1",
        into.0,
        &ids
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "update incident_clock set done_at = $2, paused_at = null where incident_id = any($1) and done_at is null",
        &ids,
        now
    )
    .execute(tx.conn())
    .await?;
    // What was merged into one of them leads to the same one: a chain is one step long.
    sqlx::query!("update incident set merged_into = $1 where merged_into = any($2)", into.0, &ids)
        .execute(tx.conn())
        .await?;
    sqlx::query!(
        "update incident set status = 'CLOSED', undo = null, closed_at = coalesce(closed_at, $3), merged_into = $1 where id = any($2)",
        into.0,
        &ids,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Moves items; events take their count with them.
pub(super) async fn move_items(tx: &mut TenantTx, from: IncidentId, to: IncidentId, items: &[Item]) -> Result<u64> {
    let kinds: Vec<&str> = items.iter().map(Item::kind).collect();
    let ids: Vec<Uuid> = items.iter().map(Item::id).collect();
    let done = sqlx::query!(
        "update incident_item i set incident_id = $2 from unnest($3::text[], $4::uuid[]) g(kind, ref)
         where i.incident_id = $1 and i.kind = g.kind and i.ref = g.ref",
        from.0,
        to.0,
        &kinds as &[&str],
        &ids
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "update incident i set events = case when i.id = $1 then greatest(0, i.events - n.count) else i.events + n.count end
         from (select count(*) as count from incident_item where incident_id = $2 and kind = 'EVENT') n where i.id in ($1, $2)",
        from.0,
        to.0
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Gives a new incident the deadlines of the one that it was a part of.
pub(super) async fn inherit_clocks(tx: &mut TenantTx, from: IncidentId, to: IncidentId) -> Result<()> {
    sqlx::query!(
        "update incident_clock c set due_at = o.due_at from incident_clock o
         where c.incident_id = $2 and o.incident_id = $1 and o.kind = c.kind and o.due_at > c.started_at",
        from.0,
        to.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn watch(tx: &mut TenantTx, incident: IncidentId, user: UserId, watch: bool) -> Result<()> {
    let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
    if watch {
        sqlx::query!(
            "insert into incident_watcher (tenant_id, incident_id, user_id, since) values ($1, $2, $3, $4) on conflict do nothing",
            tenant,
            incident.0,
            user.0,
            now
        )
        .execute(tx.conn())
        .await?;
    } else {
        sqlx::query!("delete from incident_watcher where incident_id = $1 and user_id = $2", incident.0, user.0)
            .execute(tx.conn())
            .await?;
    }
    Ok(())
}

/// False when there are `limit` links already.
pub(super) async fn link(tx: &mut TenantTx, incident: IncidentId, title: &str, url: &str, limit: i64) -> Result<bool> {
    let ctx = tx.ctx().clone();
    let done = sqlx::query!(
        "insert into incident_link (tenant_id, incident_id, id, title, url, added_at, added_by)
         select $1, $2, $3, $4, $5, $6, $7 where (select count(*) from incident_link where incident_id = $2) < $8
         on conflict (tenant_id, incident_id, url) do update set title = excluded.title",
        ctx.tenant.0,
        incident.0,
        ctx.new_id(),
        title,
        url,
        ctx.now(),
        ctx.actor.label(),
        limit
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn set_serious(
    tx: &mut TenantTx,
    incident: IncidentId,
    kind: Option<SeriousKind>,
    aware: Option<DateTime<Utc>>,
    report: &Value,
) -> Result<()> {
    let now = tx.ctx().now();
    sqlx::query!(
        "update incident set serious = $2, serious_aware_at = $3, serious_report = $4 where id = $1",
        incident.0,
        kind.map(SeriousKind::as_str),
        aware,
        report
    )
    .execute(tx.conn())
    .await?;
    if kind.is_none() {
        sqlx::query!(
            "update incident_clock set done_at = $2 where incident_id = $1 and kind = 'ARTICLE_73' and done_at is null",
            incident.0,
            now
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// The clock of Article 73. When one became aware of it may be corrected, and the kind: the deadline follows; it began when it began.
pub(super) async fn serious_clock(
    tx: &mut TenantTx,
    incident: IncidentId,
    target: &str,
    aware: DateTime<Utc>,
    due: DateTime<Utc>,
    reported: bool,
) -> Result<()> {
    let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
    sqlx::query!(
        "insert into incident_clock as c (tenant_id, incident_id, kind, target, started_at, due_at, done_at)
         values ($1, $2, 'ARTICLE_73', $3, $4, $5, case when $6 then $7::timestamptz end)
         on conflict (tenant_id, incident_id, kind) do update
         set target = $3, due_at = greatest($5, c.started_at + interval '1 second'), done_at = case when $6 then coalesce(c.done_at, $7) end,
             breached_at = case when $5 > $7 then null else c.breached_at end",
        tenant,
        incident.0,
        target,
        aware,
        due,
        reported,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    query.push(" where true");
    if !filter.status.is_empty() {
        let words: Vec<&'static str> = filter.status.iter().map(|status| status.as_str()).collect();
        query.push(" and i.status = any(").push_bind(words).push(")");
    }
    if !filter.severity.is_empty() {
        let ranks: Vec<i16> = filter.severity.iter().map(|severity| severity.rank()).collect();
        query.push(" and i.severity = any(").push_bind(ranks).push(")");
    }
    if let Some(user) = filter.assignee {
        query.push(" and i.assignee_id = ").push_bind(user.0);
    }
    if filter.unassigned {
        query.push(" and i.assignee_id is null");
    }
    if let Some(rule) = &filter.rule {
        query.push(" and i.rule = ").push_bind(rule.clone());
    }
    if filter.breached {
        query.push(
            " and exists (select from incident_clock c where c.incident_id = i.id and c.done_at is null and c.breached_at is not null)",
        );
    }
    if filter.serious {
        query.push(" and i.serious is not null");
    }
    if let Some(pattern) = &filter.search {
        query.push(" and i.title ilike ").push_bind(pattern.clone());
    }
    for (kind, id) in &filter.about {
        query
            .push(" and exists (select from incident_item t where t.incident_id = i.id and t.kind = ")
            .push_bind(*kind)
            .push(" and t.ref = ")
            .push_bind(*id)
            .push(")");
    }
}

/// Newest first.
pub(super) async fn list(tx: &mut TenantTx, filter: &Filter, page: &Page<Key>) -> Result<Vec<Incident>> {
    let mut query = QueryBuilder::<Postgres>::new("select i.id from incident i");
    push_filter(&mut query, filter);
    if let Some(Key(at, id)) = &page.after {
        query.push(" and (i.opened_at, i.id) < (").push_bind(*at).push(", ").push_bind(*id).push(")");
    }
    query.push(" order by i.opened_at desc, i.id desc limit ").push_bind(page.limit());
    let ids: Vec<IncidentId> = query.build_query_scalar().fetch_all(tx.conn()).await?;
    let mut found = by_ids(tx, &ids).await?;
    found.sort_by_key(|incident| std::cmp::Reverse((incident.opened_at, incident.id)));
    Ok(found)
}

pub(super) async fn count(tx: &mut TenantTx, filter: &Filter) -> Result<i64> {
    let mut query = QueryBuilder::<Postgres>::new("select count(*) from incident i");
    push_filter(&mut query, filter);
    Ok(query.build_query_scalar().fetch_one(tx.conn()).await?)
}

/// Lines of an incident and of those that were merged into it, newest first.
pub(super) async fn lines(tx: &mut TenantTx, incident: IncidentId, page: &Page<LineKey>) -> Result<Vec<Line>> {
    let after = page.after.as_ref();
    Ok(sqlx::query_as!(
        Line,
        r#"select e.id, e.at, e.recorded_at, e.kind as "kind: EntryKind", e.actor, e.text, e.evidence
           from incident_entry e
           where e.incident_id in (select $1::uuid union all select id from incident where merged_into = $1)
             and ($2::timestamptz is null or (e.at, e.id) < ($2, $3::uuid))
           order by e.at desc, e.id desc limit $4"#,
        incident.0,
        after.map(|key| key.0),
        after.map(|key| key.1),
        page.limit()
    )
    .fetch_all(tx.conn())
    .await?)
}

pub(super) async fn count_lines(tx: &mut TenantTx, incident: IncidentId) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "count!" from incident_entry e
           where e.incident_id in (select $1::uuid union all select id from incident where merged_into = $1)"#,
        incident.0
    )
    .fetch_one(tx.conn())
    .await?)
}

/// The newest items of incidents of a kind.
pub(super) async fn items(
    tx: &mut TenantTx,
    ids: &[IncidentId],
    kind: &str,
    limit: i64,
) -> Result<Vec<(IncidentId, Uuid)>> {
    let rows = sqlx::query!(
        r#"select i.id as "id!: IncidentId", t.ref as "ref!" from unnest($1::uuid[]) i(id), lateral (
               select ref, at from incident_item where incident_id = i.id and kind = $2 order by at desc, ref limit $3) t
           order by i.id, t.at desc, t.ref"#,
        &uuids(ids),
        kind,
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.r#ref)).collect())
}

pub(super) async fn watchers(tx: &mut TenantTx, ids: &[IncidentId]) -> Result<Vec<(IncidentId, UserId)>> {
    let rows = sqlx::query!(
        r#"select incident_id as "id: IncidentId", user_id as "user: UserId" from incident_watcher where incident_id = any($1) order by since"#,
        &uuids(ids)
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.user)).collect())
}

pub(super) async fn links(tx: &mut TenantTx, ids: &[IncidentId]) -> Result<Vec<(IncidentId, Link)>> {
    let rows = sqlx::query!(
        r#"select incident_id as "id: IncidentId", title, url, added_at, added_by from incident_link where incident_id = any($1) order by added_at"#,
        &uuids(ids)
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.id, Link { title: row.title, url: row.url, added_at: row.added_at, added_by: row.added_by }))
        .collect())
}

pub(super) async fn metrics(tx: &mut TenantTx, since: DateTime<Utc>) -> Result<Metrics> {
    let now = tx.ctx().now();
    Ok(sqlx::query_as!(
        Metrics,
        r#"select count(*) filter (where status <> 'CLOSED') as "open!",
               count(*) filter (where status <> 'CLOSED' and exists (
                   select from incident_clock c where c.incident_id = i.id and c.done_at is null and c.paused_at is null and c.due_at <= $2)) as "overdue!",
               min(opened_at) filter (where status <> 'CLOSED') as oldest,
               count(*) filter (where opened_at >= $1) as "opened!",
               count(*) filter (where closed_at >= $1) as "closed!",
               avg(extract(epoch from triaged_at - opened_at)) filter (where triaged_at >= $1)::float8 as triage,
               avg(extract(epoch from contained_at - opened_at)) filter (where contained_at >= $1)::float8 as contain,
               avg(extract(epoch from closed_at - opened_at)) filter (where closed_at >= $1)::float8 as resolve,
               count(*) as "ever!"
           from incident i where merged_into is null"#,
        since,
        now
    )
    .fetch_one(tx.conn())
    .await?)
}
