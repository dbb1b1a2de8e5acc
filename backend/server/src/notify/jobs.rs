//! Deciding who hears of what, and sending it.

use super::{
    ChannelKind, Status, channels, channels_repo, deliveries_repo,
    domain::{Attempt, Channel, Told, jittered, pause},
    message::Message,
    repo::{self, Claimed, Match, Route},
    rules, send,
};
use crate::{
    jobs::{Job, Outcome, Queue},
    kernel::{Ctx, Db, Permission, Result, Role, outbound::Outbound},
};
use chrono::Duration;
use futures::{StreamExt as _, stream};
use stance_shared::{ChannelId, Severity, UserId};
use std::collections::HashSet;

/// Notices that are routed in one transaction.
const NOTICES: i64 = 100;
/// Messages that are claimed at once, and sent at the same time.
const CLAIMED: i64 = 16;
const AT_ONCE: usize = 8;
/// A claimed message is nobody else's for so long: longer than all of a claim may take.
const LEASE: Duration = Duration::seconds(90);
/// A retry within this time has a job of its own; what is later the sweep finds.
const SOON: Duration = Duration::minutes(1);

/// Routes new notices and sends what is due.
///
/// # Errors
/// When the database fails. That a message does not arrive is no error of the job: the delivery says so.
pub async fn run(db: &Db, ctx: &Ctx, outbound: &Outbound, origin: &str) -> Result<Outcome> {
    while route(db, ctx).await? {}
    loop {
        let mut tx = db.begin(ctx, Permission::NotificationWrite).await?;
        let claimed = deliveries_repo::claim(&mut tx, CLAIMED, LEASE).await?;
        tx.commit().await?;
        if claimed.is_empty() {
            return Ok(Outcome::Done);
        }
        let results: Vec<Result<()>> = stream::iter(claimed)
            .map(|claimed| deliver(db, ctx, outbound, origin, claimed))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        results.into_iter().collect::<Result<Vec<()>>>()?;
    }
}

/// Decides who hears of the oldest notices. False: there were none.
///
/// # Errors
/// When the database fails; then nothing happened.
pub(super) async fn route(db: &Db, ctx: &Ctx) -> Result<bool> {
    let mut tx = db.begin(ctx, Permission::NotificationWrite).await?;
    let notices = repo::unrouted(&mut tx, NOTICES).await?;
    if notices.is_empty() {
        return Ok(false);
    }
    let now = ctx.now();
    let mut rules = rules::all_in(&mut tx).await?;
    rules.retain(|rule| rule.enabled);
    let mut told = HashSet::new();
    let mut matches = Vec::new();
    for rule in &rules {
        for notice in &notices {
            let fits = notice.topic.is_some_and(|topic| rule.topics.contains(&topic))
                && notice.severity.rank() <= rule.min_severity.rank();
            if fits && told.insert((rule.id, notice.key.as_str())) {
                matches.push((rule, notice));
            }
        }
    }
    let until = |minutes: i32| now + Duration::minutes(i64::from(minutes));
    let asked: Vec<Match<'_>> = matches
        .iter()
        .map(|(rule, notice)| Match { rule: rule.id, key: &notice.key, until: until(rule.dedup_minutes) })
        .collect();
    let unseen: HashSet<_> = repo::unseen(&mut tx, &asked).await?.into_iter().collect();
    matches.retain(|(rule, notice)| unseen.contains(&(rule.id, notice.key.clone())));

    let named: Vec<UserId> = matches.iter().flat_map(|(rule, _)| rule.members.iter().copied()).collect();
    let roles: Vec<Role> = matches.iter().flat_map(|(rule, _)| rule.roles.iter().copied()).collect();
    let members = repo::members(&mut tx, &named, &roles).await?;
    let mut routes = Vec::new();
    for (rule, notice) in matches {
        let held_until = rule.held_until(now).filter(|_| notice.severity != Severity::Critical);
        let mut to = |user| {
            routes.push(Route { rule: rule.id, channel: rule.channel.0, user, notice: notice.id, held_until });
        };
        if rule.members.is_empty() && rule.roles.is_empty() {
            to(None);
            continue;
        }
        for (user, role) in &members {
            let meant = rule.members.contains(user) || rule.roles.contains(role);
            if meant && notice.permission.is_some_and(|permission| role.allows(permission)) {
                to(Some(*user));
            }
        }
    }
    repo::deliver(&mut tx, &routes).await?;
    repo::routed(&mut tx, &notices).await?;
    tx.commit().await?;
    Ok(true)
}

/// What there is to send, or why it is not sent.
enum Prepared {
    Send { channel: Box<Channel>, to: Option<String>, told: Vec<Told>, organization: String },
    Drop(String),
}

async fn deliver(db: &Db, ctx: &Ctx, outbound: &Outbound, origin: &str, claimed: Claimed) -> Result<()> {
    match prepare(db, ctx, &claimed).await? {
        Prepared::Drop(reason) => {
            let mut tx = db.begin(ctx, Permission::NotificationWrite).await?;
            let dropped = deliveries_repo::Settled {
                status: Status::Dropped,
                due_at: None,
                attempt: None,
                reason: Some(&reason),
            };
            deliveries_repo::settle(&mut tx, claimed.id, claimed.tries, dropped).await?;
            tx.commit().await
        }
        Prepared::Send { channel, to, told, organization } => {
            let (tenant, id, now) = (ctx.tenant, claimed.id, ctx.now());
            let message = Message { id, tenant, organization: &organization, origin, told: &told, now };
            let attempt = send::send(ctx, outbound, &channel, to.as_deref(), &message).await;
            settle(db, ctx, &claimed, &attempt).await
        }
    }
}

/// Looks again at who may receive it: much may have happened since it was routed.
async fn prepare(db: &Db, ctx: &Ctx, claimed: &Claimed) -> Result<Prepared> {
    let mut tx = db.begin(ctx, Permission::NotificationRead).await?;
    let channel = channels_repo::by_id(&mut tx, ChannelId(claimed.channel)).await?;
    let Some(channel) = channel else { return Ok(Prepared::Drop("The channel was deleted.".into())) };
    if let Some(reason) = &channel.disabled_reason {
        return Ok(Prepared::Drop(format!("The channel is switched off: {reason}")));
    }
    let mut told = deliveries_repo::contents(&mut tx, &[claimed.id]).await?.remove(&claimed.id).unwrap_or_default();
    let to = match claimed.user {
        None => None,
        Some(user) => {
            let Some((email, role)) = deliveries_repo::addressee(&mut tx, user).await? else {
                return Ok(Prepared::Drop("The person is no longer a member.".into()));
            };
            told.retain(|told| role.allows(told.permission));
            Some(email)
        }
    };
    if told.is_empty() {
        return Ok(Prepared::Drop("The person may no longer read it.".into()));
    }
    if channel.kind == ChannelKind::Email && to.is_none() && channel.mail.as_ref().is_none_or(|mail| mail.to.is_empty())
    {
        return Ok(Prepared::Drop("The channel has no addresses of its own any more.".into()));
    }
    let organization = deliveries_repo::organization_name(&mut tx).await?;
    Ok(Prepared::Send { channel: Box::new(channel), to, told, organization })
}

async fn settle(db: &Db, ctx: &Ctx, claimed: &Claimed, attempt: &Attempt) -> Result<()> {
    let mut tx = db.begin(ctx, Permission::NotificationWrite).await?;
    let next = pause(claimed.tries).filter(|_| !attempt.permanent).map(|pause| jittered(pause, rand::random()));
    let (status, due_at) = match (attempt.is_success(), next) {
        (true, _) => (Status::Delivered, None),
        (false, Some(pause)) => (Status::Waiting, Some(ctx.now() + pause)),
        (false, None) => (Status::Dead, None),
    };
    let reason = attempt.error.as_deref().filter(|_| status == Status::Dead);
    let settled = deliveries_repo::Settled { status, due_at, attempt: Some(attempt), reason };
    if deliveries_repo::settle(&mut tx, claimed.id, claimed.tries, settled).await? {
        if let Some(pause) = next.filter(|pause| status == Status::Waiting && *pause <= SOON) {
            Queue::enqueue_after(&mut tx, Job::Notify, pause.to_std().unwrap_or_default()).await?;
        }
        channels::noted(&mut tx, ChannelId(claimed.channel), attempt).await?;
    }
    tx.commit().await
}
