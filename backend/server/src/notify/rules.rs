//! Rules: who hears of what.

use super::{
    ChannelKind, Topic, channels_repo,
    domain::{MAX_RULES, Quiet, Rule, zone},
    rules_repo as repo,
};
use crate::{
    audit,
    kernel::{Ctx, Db, Error, Permission, Result, Role, TenantTx, text},
};
use serde_json::json;
use stance_shared::{ChannelId, RuleId, Severity, UserId};

/// What a person says of a rule.
#[derive(Clone, Debug)]
pub struct Input {
    /// The one to change; a new one without.
    pub id: Option<RuleId>,
    pub name: String,
    pub channel: ChannelId,
    pub topics: Vec<Topic>,
    pub min_severity: Severity,
    pub members: Vec<UserId>,
    pub roles: Vec<Role>,
    /// `HH:MM`, both or none.
    pub quiet_from: Option<String>,
    pub quiet_to: Option<String>,
    pub time_zone: Option<String>,
    pub digest_minutes: i32,
    pub dedup_minutes: i32,
    pub enabled: bool,
}

/// All rules, by name.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn list(db: &Db, ctx: &Ctx) -> Result<Vec<Rule>> {
    repo::list(&mut db.begin(ctx, Permission::NotificationRead).await?, None).await
}

/// Rules by id, deleted ones too.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn by_ids(db: &Db, ctx: &Ctx, ids: &[RuleId]) -> Result<Vec<Rule>> {
    repo::list(&mut db.begin(ctx, Permission::NotificationRead).await?, Some(ids)).await
}

pub(super) async fn all_in(tx: &mut TenantTx) -> Result<Vec<Rule>> {
    repo::list(tx, None).await
}

/// Makes a rule or changes one.
///
/// # Errors
/// `FORBIDDEN` without `notification:write`; `BAD_INPUT` naming the field; `NOT_FOUND`.
pub async fn save(db: &Db, ctx: &Ctx, input: Input) -> Result<Rule> {
    let mut tx = db.begin(ctx, Permission::NotificationWrite).await?;
    let rules = repo::list(&mut tx, None).await?;
    let before = match input.id {
        Some(id) => Some(rules.iter().find(|rule| rule.id == id).ok_or_else(|| Error::not_found("rule"))?),
        None if i64::try_from(rules.len()).unwrap_or(i64::MAX) >= MAX_RULES => {
            return Err(Error::conflict(format!("An organization has at most {MAX_RULES} rules.")));
        }
        None => None,
    };
    let channel = channels_repo::by_id(&mut tx, input.channel).await?;
    let channel = channel.ok_or_else(|| Error::field("channel", "must be a channel of this organization"))?;
    let rule = Rule {
        id: input.id.unwrap_or_else(|| RuleId(ctx.new_id())),
        name: text::line("name", &input.name, 100)?,
        channel: channel.id,
        topics: input.topics,
        min_severity: input.min_severity,
        members: input.members,
        roles: input.roles,
        quiet: quiet(input.quiet_from.as_deref(), input.quiet_to.as_deref(), input.time_zone.as_deref())?,
        digest_minutes: input.digest_minutes,
        dedup_minutes: input.dedup_minutes,
        enabled: input.enabled,
        created_at: before.map_or(ctx.now(), |before| before.created_at),
        created_by: before.map_or(ctx.actor.label(), |before| &before.created_by).to_owned(),
    };
    let refuse = |field: &str, message: &str| Err(Error::field(field, message));
    if !(1..=Topic::ALL.len()).contains(&rule.topics.len()) {
        return refuse("topics", "must name at least one topic, each once");
    }
    if rule.members.len() > 100 {
        return refuse("members", "must be at most 100; name roles instead");
    }
    if rule.roles.len() >= Role::ALL.len() || rule.roles.contains(&Role::Sensor) {
        return refuse("roles", "must be roles of people: OWNER, ADMIN, ANALYST, RESPONDER, AUDITOR, VIEWER");
    }
    if !(0..=1440).contains(&rule.digest_minutes) {
        return refuse("digestMinutes", "must be 0 (at once) to 1440 (a day)");
    }
    if !(1..=10_080).contains(&rule.dedup_minutes) {
        return refuse("dedupMinutes", "must be 1 to 10080 (a week)");
    }
    let to_members = !rule.members.is_empty() || !rule.roles.is_empty();
    match (channel.kind, &channel.mail) {
        (ChannelKind::Email, Some(mail)) if !to_members && mail.to.is_empty() => {
            return refuse("members", "must name members or roles: the channel has no addresses of its own");
        }
        (ChannelKind::Email, _) => {}
        _ if to_members => return refuse("members", "must be empty: only e-mail goes to members"),
        _ => {}
    }
    if repo::unknown_members(&mut tx, &rule.members).await? {
        return refuse("members", "must be members of this organization");
    }
    repo::save(&mut tx, &rule).await?;
    let action = if before.is_some() { "notification_rule.changed" } else { "notification_rule.created" };
    let detail = json!({
        "name": rule.name, "channel": channel.name, "topics": rule.topics, "minSeverity": rule.min_severity, "members": rule.members,
        "roles": rule.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(), "enabled": rule.enabled,
    });
    record(&mut tx, action, rule.id, detail).await?;
    tx.commit().await?;
    Ok(rule)
}

fn quiet(from: Option<&str>, to: Option<&str>, time_zone: Option<&str>) -> Result<Option<Quiet>> {
    let given = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let time_zone = given(time_zone).unwrap_or_else(|| "UTC".to_owned());
    zone(&time_zone)?;
    match (given(from), given(to)) {
        (None, None) => Ok(None),
        (Some(from), Some(to)) => Quiet::parse(&from, &to, &time_zone).map(Some),
        (None, Some(_)) => Err(Error::field("quietFrom", "must be given with quietTo")),
        (Some(_), None) => Err(Error::field("quietTo", "must be given with quietFrom")),
    }
}

/// Takes a rule away; what it has still to send is dropped. False: it was before.
///
/// # Errors
/// `FORBIDDEN` without `notification:write`; `NOT_FOUND`.
pub async fn delete(db: &Db, ctx: &Ctx, id: RuleId) -> Result<bool> {
    let mut tx = db.begin(ctx, Permission::NotificationWrite).await?;
    if repo::list(&mut tx, Some(&[id])).await?.is_empty() {
        return Err(Error::not_found("rule"));
    }
    let Some(name) = repo::delete(&mut tx, id).await? else { return Ok(false) };
    record(&mut tx, "notification_rule.deleted", id, json!({ "name": name })).await?;
    tx.commit().await?;
    Ok(true)
}

async fn record(tx: &mut TenantTx, action: &str, id: RuleId, detail: serde_json::Value) -> Result<()> {
    let entry = audit::Entry { action, target_kind: "notification_rule", target_id: id.to_string(), detail };
    audit::record(tx, entry).await
}
