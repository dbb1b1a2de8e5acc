//! SQL of notices, and of who hears of them.

use super::{Notice, Topic, cut, domain::KEPT_DAYS};
use crate::kernel::{Clock, Permission, Result, Role, SystemTx, TenantTx};
use chrono::{DateTime, Duration, Utc};
use sqlx::PgConnection;
use stance_shared::{DeliveryId, RuleId, Severity, TenantId, UserId};
use uuid::Uuid;

pub(super) async fn insert(conn: &mut PgConnection, clock: &Clock, notices: &[(TenantId, Notice<'_>)]) -> Result<()> {
    let of = |text: fn(&Notice<'_>) -> String| notices.iter().map(|(_, notice)| text(notice)).collect::<Vec<_>>();
    let tenants: Vec<Uuid> = notices.iter().map(|(tenant, _)| tenant.0).collect();
    let ids: Vec<Uuid> = notices.iter().map(|_| clock.new_id()).collect();
    let severities: Vec<i16> = notices.iter().map(|(_, notice)| notice.severity.rank()).collect();
    let subjects: Vec<Uuid> = notices.iter().map(|(_, notice)| notice.subject).collect();
    sqlx::query!(
        "insert into notice (tenant_id, id, topic, severity, title, text, link, permission, subject, key, at)
         select n.tenant, n.id, n.topic, n.severity, n.title, n.text, n.link, n.permission, n.subject, n.key, $1
         from unnest($2::uuid[], $3::uuid[], $4::text[], $5::smallint[], $6::text[], $7::text[], $8::text[], $9::text[], $10::uuid[], $11::text[])
             n(tenant, id, topic, severity, title, text, link, permission, subject, key)",
        clock.now(),
        &tenants,
        &ids,
        &of(|notice| notice.topic.as_str().to_owned()),
        &severities,
        &of(|notice| cut(notice.title, 300, false)),
        &of(|notice| cut(notice.text, 4_000, true)),
        &of(|notice| notice.link.to_owned()),
        &of(|notice| notice.permission.as_str().to_owned()),
        &subjects,
        &of(|notice| cut(notice.key, 300, false))
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A notice that nobody looked at yet.
pub(super) struct Unrouted {
    pub id: Uuid,
    pub topic: Option<Topic>,
    pub severity: Severity,
    pub permission: Option<Permission>,
    pub key: String,
}

/// The oldest notices that nobody looked at yet; they are this transaction's.
pub(super) async fn unrouted(tx: &mut TenantTx, limit: i64) -> Result<Vec<Unrouted>> {
    let rows = sqlx::query!(
        "select id, topic, severity, permission, key from notice where routed_at is null order by id limit $1 for update skip locked",
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Unrouted {
            id: row.id,
            // A newer Stance may have written it.
            topic: row.topic.parse().ok(),
            severity: Severity::from_rank(row.severity).unwrap_or(Severity::Info),
            permission: row.permission.parse().ok(),
            key: row.key,
        })
        .collect())
}

pub(super) async fn routed(tx: &mut TenantTx, notices: &[Unrouted]) -> Result<()> {
    let (now, ids) = (tx.ctx().now(), notices.iter().map(|notice| notice.id).collect::<Vec<_>>());
    sqlx::query!("update notice set routed_at = $2 where id = any($1)", &ids, now).execute(tx.conn()).await?;
    Ok(())
}

/// What a rule would tell.
pub(super) struct Match<'a> {
    pub rule: RuleId,
    pub key: &'a str,
    pub until: DateTime<Utc>,
}

/// Notes what is told now; gives those of `(rule, key)` that were not told within the rule's time. Each must be there once.
pub(super) async fn unseen(tx: &mut TenantTx, matches: &[Match<'_>]) -> Result<Vec<(RuleId, String)>> {
    let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
    let rules: Vec<Uuid> = matches.iter().map(|of| of.rule.0).collect();
    let keys: Vec<&str> = matches.iter().map(|of| of.key).collect();
    let until: Vec<DateTime<Utc>> = matches.iter().map(|of| of.until).collect();
    let rows = sqlx::query!(
        r#"insert into notification_seen as s (tenant_id, rule_id, key, at, until)
           select $1, m.rule, m.key, $2, m.until from unnest($3::uuid[], $4::text[], $5::timestamptz[]) m(rule, key, until)
           order by m.rule, m.key
           on conflict (tenant_id, rule_id, key) do update set at = excluded.at, until = excluded.until where s.until <= excluded.at
           returning rule_id as "rule: RuleId", key"#,
        tenant,
        now,
        &rules,
        &keys as &[&str],
        &until
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.rule, row.key)).collect())
}

/// The members that rules may name, with their roles.
pub(super) async fn members(tx: &mut TenantTx, ids: &[UserId], roles: &[Role]) -> Result<Vec<(UserId, Role)>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    let rows = sqlx::query!(
        r#"select user_id as "user: UserId", role from membership where user_id = any($1) or role = any($2) order by user_id"#,
        &ids,
        &roles as &[&str]
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().filter_map(|row| Some((row.user, row.role.parse().ok()?))).collect())
}

/// Who hears of a notice, and when.
pub(super) struct Route {
    pub rule: RuleId,
    pub channel: Uuid,
    pub user: Option<UserId>,
    pub notice: Uuid,
    /// Collected until then; `None`: sent at once.
    pub held_until: Option<DateTime<Utc>>,
}

/// Makes the deliveries: one for each route that is sent at once, one for all of a target's that are held.
pub(super) async fn deliver(tx: &mut TenantTx, routes: &[Route]) -> Result<()> {
    let ctx = tx.ctx().clone();
    let (tenant, now) = (ctx.tenant.0, ctx.now());
    let ids: Vec<Uuid> = routes.iter().map(|_| ctx.new_id()).collect();
    let rules: Vec<Uuid> = routes.iter().map(|route| route.rule.0).collect();
    let channels: Vec<Uuid> = routes.iter().map(|route| route.channel).collect();
    let users: Vec<Option<Uuid>> = routes.iter().map(|route| route.user.map(|user| user.0)).collect();
    let notices: Vec<Uuid> = routes.iter().map(|route| route.notice).collect();
    let held: Vec<Option<DateTime<Utc>>> = routes.iter().map(|route| route.held_until).collect();
    // What is collected already keeps its time, and its row is held fast: it can not be sent before this is in it.
    sqlx::query!(
        "insert into notification_delivery (tenant_id, id, channel_id, rule_id, user_id, status, due_at, created_at)
         select distinct on (case when r.held is null then r.id end, r.rule, r.target)
             $1::uuid, r.id, r.channel, r.rule, r.target, case when r.held is null then 'WAITING' else 'HELD' end, coalesce(r.held, $2), $2
         from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::timestamptz[]) r(id, channel, rule, target, held)
         order by case when r.held is null then r.id end, r.rule, r.target, r.id
         on conflict (tenant_id, rule_id, (coalesce(user_id, '00000000-0000-0000-0000-000000000000'))) where status = 'HELD'
         do update set due_at = notification_delivery.due_at",
        tenant,
        now,
        &ids,
        &channels,
        &rules,
        &users as &[Option<Uuid>],
        &held as &[Option<DateTime<Utc>>]
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "insert into notification_content (tenant_id, delivery_id, notice_id)
         select $1, coalesce(h.id, r.id), r.notice
         from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[]) r(id, rule, target, notice, held)
         left join notification_delivery h
             on r.held is not null and h.status = 'HELD' and h.rule_id = r.rule and h.user_id is not distinct from r.target
         order by 2, 3 on conflict do nothing",
        tenant,
        &ids,
        &rules,
        &users as &[Option<Uuid>],
        &notices,
        &held as &[Option<DateTime<Utc>>]
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Organizations with notices that nobody looked at, or messages that are due and nobody sends, and that no job is about to look at.
pub(crate) async fn with_work(tx: &mut SystemTx, clock: &Clock) -> Result<Vec<TenantId>> {
    // The queue's tables are laid down by apalis, so the statement is checked at run time. A job for later is none for now.
    let rows: Vec<Uuid> = sqlx::query_scalar(
        "select tenant_id from (
             select n.tenant_id from notice n where n.routed_at is null and n.at < $2
             union
             select d.tenant_id from notification_delivery d
             where d.status in ('HELD', 'WAITING') and d.due_at <= $1 and (d.leased_until is null or d.leased_until <= $1)) work
         where not exists (select from apalis.jobs j
             where j.metadata->'job' = 'notify' and j.metadata->'tenant' = work.tenant_id::text
               and (j.status in ('Queued', 'Running') or j.status = 'Pending' and j.run_at <= now()))",
    )
    .bind(clock.now())
    .bind(clock.now() - Duration::seconds(2))
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(TenantId).collect())
}

/// Deletes what is too old to be asked for, some thousands at a time.
pub(crate) async fn forget(tx: &mut SystemTx, clock: &Clock) -> Result<()> {
    let now = clock.now();
    let old = now - Duration::days(KEPT_DAYS);
    sqlx::query!(
        "delete from notification_delivery d using (
             select tenant_id, id from notification_delivery where finished_at < $1 limit 5000) old
         where d.tenant_id = old.tenant_id and d.id = old.id",
        old
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "delete from notice n using (
             select n.tenant_id, n.id from notice n where n.at < $1 and n.routed_at is not null
               and not exists (select from notification_content c where c.tenant_id = n.tenant_id and c.notice_id = n.id) limit 5000) old
         where n.tenant_id = old.tenant_id and n.id = old.id",
        old
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "delete from notification_seen s using (
             select tenant_id, rule_id, key from notification_seen where until < $1 limit 5000) old
         where s.tenant_id = old.tenant_id and s.rule_id = old.rule_id and s.key = old.key",
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A delivery that this process may send now.
pub(super) struct Claimed {
    pub id: DeliveryId,
    pub channel: Uuid,
    pub user: Option<UserId>,
    pub tries: i16,
}
