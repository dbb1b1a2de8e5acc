//! Notifications: channels, rules, and the log of messages.

use super::{
    GraphqlContext as _,
    connection::Connection,
    identity::{self, PublicUrl, User},
    loaders::ContentsOf,
    node,
};
use crate::{
    kernel::{Role, crypto::Secret, outbound::Outbound, page::Page},
    notify::{
        ChannelKind, Status, Topic, channels,
        deliveries::{self, Filter},
        domain::{Attempt, Channel, ChannelState, Delivery, Encryption, Rule, Told},
        rules,
    },
};
use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use stance_shared::{ChannelId, DeliveryId, RuleId, Severity};
use uuid::Uuid;

/// The channel with this id, deleted or not; null when there is none.
pub(super) async fn load_channel(ctx: &Context<'_>, id: ChannelId) -> Result<Option<NotificationChannel>> {
    Ok(ctx.loaders()?.load_one(id).await?.map(NotificationChannel))
}

/// The rule with this id, deleted or not; null when there is none.
pub(super) async fn load_rule(ctx: &Context<'_>, id: RuleId) -> Result<Option<NotificationRule>> {
    Ok(ctx.loaders()?.load_one(id).await?.map(NotificationRule))
}

/// The message with this id; null when there is none.
pub(super) async fn load_delivery(ctx: &Context<'_>, id: DeliveryId) -> Result<Option<NotificationDelivery>> {
    Ok(deliveries::by_id(ctx.db()?, ctx.asker()?, id).await?.map(NotificationDelivery))
}

/// Where notifications go. What is secret of it (a webhook's address, signing keys, passwords) is never given out.
pub struct NotificationChannel(Channel);

#[Object]
impl NotificationChannel {
    pub async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    async fn kind(&self) -> ChannelKind {
        self.0.kind
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What may be shown of the target: a host.
    async fn target(&self) -> &str {
        &self.0.target
    }

    /// Of e-mail.
    async fn mail(&self) -> Option<MailServer> {
        let mail = self.0.mail.clone()?;
        Some(MailServer {
            host: mail.host,
            port: i32::from(mail.port),
            encryption: mail.encryption,
            username: mail.username,
            from: mail.from,
            to: mail.to,
        })
    }

    async fn state(&self) -> ChannelState {
        self.0.state()
    }

    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    async fn created_by(&self) -> &str {
        &self.0.created_by
    }

    async fn last_delivered_at(&self) -> Option<DateTime<Utc>> {
        self.0.last_ok_at
    }

    /// Since when nothing came through.
    async fn failing_since(&self) -> Option<DateTime<Utc>> {
        self.0.failing_since
    }

    async fn last_error(&self) -> Option<&str> {
        self.0.last_error.as_deref()
    }

    async fn disabled_at(&self) -> Option<DateTime<Utc>> {
        self.0.disabled_at
    }

    /// Why it is switched off.
    async fn disabled_reason(&self) -> Option<&str> {
        self.0.disabled_reason.as_deref()
    }
}

/// A mail server, without its password.
#[derive(SimpleObject)]
struct MailServer {
    host: String,
    port: i32,
    encryption: Encryption,
    username: Option<String>,
    from: String,
    /// Where rules without members write to.
    to: Vec<String>,
}

/// Who hears of what.
pub struct NotificationRule(Rule);

#[Object]
impl NotificationRule {
    pub async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    async fn channel(&self, ctx: &Context<'_>) -> Result<Option<NotificationChannel>> {
        load_channel(ctx, self.0.channel).await
    }

    async fn topics(&self) -> &[Topic] {
        &self.0.topics
    }

    /// The mildest severity that is told.
    async fn min_severity(&self) -> Severity {
        self.0.min_severity
    }

    /// By e-mail: these members.
    #[graphql(complexity = "20 * child_complexity")]
    async fn members(&self, ctx: &Context<'_>) -> Result<Vec<User>> {
        let mut members = Vec::new();
        for member in &self.0.members {
            members.extend(identity::load_user(ctx, Some(*member)).await?);
        }
        Ok(members)
    }

    /// By e-mail: the members with these roles.
    async fn roles(&self) -> &[Role] {
        &self.0.roles
    }

    /// `HH:MM`, local time.
    async fn quiet_from(&self) -> Option<String> {
        self.0.quiet.map(|quiet| quiet.from.format("%H:%M").to_string())
    }

    /// `HH:MM`, local time; on the next day when it is before `quietFrom`.
    async fn quiet_to(&self) -> Option<String> {
        self.0.quiet.map(|quiet| quiet.to.format("%H:%M").to_string())
    }

    /// Of the quiet hours, as `Europe/Berlin`.
    async fn time_zone(&self) -> Option<&str> {
        self.0.quiet.map(|quiet| quiet.zone.name())
    }

    /// For how long notices are collected to be sent as one; 0: at once.
    async fn digest_minutes(&self) -> i32 {
        self.0.digest_minutes
    }

    /// What was told is not told again within this time.
    async fn dedup_minutes(&self) -> i32 {
        self.0.dedup_minutes
    }

    async fn enabled(&self) -> bool {
        self.0.enabled
    }

    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    async fn created_by(&self) -> &str {
        &self.0.created_by
    }
}

/// A message to one target; its id is the `Idempotency-Key` of all its attempts.
pub struct NotificationDelivery(Delivery);

#[Object]
impl NotificationDelivery {
    pub async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    async fn channel(&self, ctx: &Context<'_>) -> Result<Option<NotificationChannel>> {
        load_channel(ctx, self.0.channel).await
    }

    /// Null: a test.
    async fn rule(&self, ctx: &Context<'_>) -> Result<Option<NotificationRule>> {
        match self.0.rule {
            Some(rule) => load_rule(ctx, rule).await,
            None => Ok(None),
        }
    }

    /// The member it is for; null: the channel's own target.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        identity::load_user(ctx, self.0.user).await
    }

    async fn status(&self) -> Status {
        self.0.status
    }

    /// When it is sent, or tried again; of a finished one, when it last was.
    async fn due_at(&self) -> DateTime<Utc> {
        self.0.due_at
    }

    /// Oldest first, the last twenty.
    async fn attempts(&self) -> Vec<NotificationAttempt> {
        self.0.attempts.iter().cloned().map(NotificationAttempt::from).collect()
    }

    /// Why it failed or was dropped.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    async fn finished_at(&self) -> Option<DateTime<Utc>> {
        self.0.finished_at
    }

    /// What it tells, oldest first, as far as the reader may know; none: a test.
    #[graphql(complexity = "5 * child_complexity")]
    async fn notices(&self, ctx: &Context<'_>) -> Result<Vec<Notice>> {
        let told = ctx.loaders()?.load_one(ContentsOf(self.0.id)).await?.unwrap_or_default();
        Ok(told.into_iter().map(Notice::from).collect())
    }
}

/// One try to deliver a message.
#[derive(SimpleObject)]
pub struct NotificationAttempt {
    at: DateTime<Utc>,
    delivered: bool,
    /// HTTP status, or the mail server's reply code; null: no answer.
    status: Option<i32>,
    milliseconds: i64,
    /// The first 1,024 bytes of the answer: text from outside.
    answer: Option<String>,
    /// Why it does not count as delivered.
    error: Option<String>,
}

impl From<Attempt> for NotificationAttempt {
    fn from(attempt: Attempt) -> Self {
        Self {
            at: attempt.at,
            delivered: attempt.is_success(),
            status: attempt.status.map(i32::from),
            milliseconds: attempt.milliseconds,
            answer: attempt.answer,
            error: attempt.error,
        }
    }
}

/// Something that people are told.
#[derive(SimpleObject)]
pub struct Notice {
    topic: Topic,
    severity: Severity,
    /// May hold text from outside.
    title: String,
    text: String,
    /// A path of the dashboard.
    link: String,
    at: DateTime<Utc>,
}

impl From<Told> for Notice {
    fn from(told: Told) -> Self {
        let Told { topic, severity, title, text, link, at, .. } = told;
        Self { topic, severity, title, text, link, at }
    }
}

/// Narrows the log of messages.
#[derive(InputObject, Default)]
struct NotificationDeliveryFilter {
    channel: Option<ID>,
    status: Option<Vec<Status>>,
}

/// What a channel should be. Secrets that are left out stay as they are.
#[derive(InputObject)]
struct NotificationChannelInput {
    /// The one to change; a new one without.
    id: Option<ID>,
    /// Can not be changed.
    kind: ChannelKind,
    name: String,
    /// The address of a webhook: `https://…`.
    url: Option<String>,
    /// Makes a new signing secret for a webhook; a new one has one in any case.
    #[graphql(default)]
    new_signing_secret: bool,
    /// Of e-mail.
    mail: Option<MailServerInput>,
}

/// A mail server.
#[derive(InputObject)]
struct MailServerInput {
    host: String,
    /// Usually 587 with STARTTLS, 465 with TLS.
    port: i32,
    encryption: Encryption,
    username: Option<String>,
    password: Option<String>,
    from: String,
    /// Where rules without members write to: at most ten addresses, with commas between them.
    to: Option<String>,
}

/// What a rule should be; it replaces what was.
#[derive(InputObject)]
struct NotificationRuleInput {
    /// The one to change; a new one without.
    id: Option<ID>,
    name: String,
    channel: ID,
    topics: Vec<Topic>,
    min_severity: Severity,
    members: Option<Vec<ID>>,
    roles: Option<Vec<Role>>,
    /// `HH:MM`; with `quietTo`.
    quiet_from: Option<String>,
    /// `HH:MM`; with `quietFrom`.
    quiet_to: Option<String>,
    /// As `Europe/Berlin`; UTC without.
    time_zone: Option<String>,
    #[graphql(default)]
    digest_minutes: i32,
    #[graphql(default = 60)]
    dedup_minutes: i32,
    #[graphql(default = true)]
    enabled: bool,
}

/// A channel that was saved.
#[derive(SimpleObject)]
struct SavedNotificationChannel {
    channel: NotificationChannel,
    /// Signs the webhook's messages. Given only when it was made, and only now.
    signing_secret: Option<String>,
}

#[derive(Default)]
pub struct NotifyQuery;

#[Object]
impl NotifyQuery {
    /// Where notifications go, by name.
    #[graphql(complexity = "20 * child_complexity")]
    async fn notification_channels(&self, ctx: &Context<'_>) -> Result<Vec<NotificationChannel>> {
        let channels = channels::list(ctx.db()?, ctx.asker()?).await?;
        Ok(channels.into_iter().map(NotificationChannel).collect())
    }

    /// Who hears of what, by name.
    #[graphql(complexity = "20 * child_complexity")]
    async fn notification_rules(&self, ctx: &Context<'_>) -> Result<Vec<NotificationRule>> {
        Ok(rules::list(ctx.db()?, ctx.asker()?).await?.into_iter().map(NotificationRule).collect())
    }

    /// The message with this id; null when there is none.
    async fn notification_delivery(&self, ctx: &Context<'_>, id: ID) -> Result<Option<NotificationDelivery>> {
        load_delivery(ctx, node::parse("id", &id)?).await
    }

    /// The log of messages, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn notification_deliveries(
        &self,
        ctx: &Context<'_>,
        filter: Option<NotificationDeliveryFilter>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<NotificationDelivery>> {
        let (db, asker) = (ctx.db()?, ctx.asker()?);
        let given = filter.unwrap_or_default();
        let filter = Filter {
            id: None,
            channel: given.channel.map(|id| node::parse("filter.channel", &id)).transpose()?,
            statuses: given.status.unwrap_or_default(),
        };
        let page = Page::<(DateTime<Utc>, Uuid)>::parse(first, after.as_deref())?;
        let slice = deliveries::list(db, asker, &filter, &page).await?;
        let (db, asker) = (db.clone(), asker.clone());
        Ok(Connection::new(
            &page,
            slice,
            |delivery| (delivery.created_at, delivery.id.0),
            NotificationDelivery,
            move || {
                let (db, asker, filter) = (db.clone(), asker.clone(), filter.clone());
                async move { deliveries::count(&db, &asker, &filter).await }
            },
        ))
    }
}

#[derive(Default)]
pub struct NotifyMutation;

#[Object]
impl NotifyMutation {
    /// Makes a channel or changes one, and switches it on.
    async fn save_notification_channel(
        &self,
        ctx: &Context<'_>,
        input: NotificationChannelInput,
    ) -> Result<SavedNotificationChannel> {
        let mail = input.mail.map(|mail| channels::MailInput {
            host: mail.host,
            port: mail.port,
            encryption: mail.encryption,
            username: mail.username,
            password: mail.password.map(Secret::new),
            from: mail.from,
            to: mail.to.unwrap_or_default(),
        });
        let input = channels::Input {
            id: input.id.map(|id| node::parse("id", &id)).transpose()?,
            kind: input.kind,
            name: input.name,
            url: input.url.map(Secret::new),
            new_signing_secret: input.new_signing_secret,
            mail,
        };
        let (channel, signing_secret) =
            channels::save(ctx.db()?, ctx.asker()?, ctx.data::<Outbound>()?, &input).await?;
        Ok(SavedNotificationChannel { channel: NotificationChannel(channel), signing_secret })
    }

    /// Switches a channel on or off.
    async fn set_notification_channel_enabled(
        &self,
        ctx: &Context<'_>,
        id: ID,
        enabled: bool,
    ) -> Result<NotificationChannel> {
        let id = node::parse("id", &id)?;
        Ok(NotificationChannel(channels::set_enabled(ctx.db()?, ctx.asker()?, id, enabled).await?))
    }

    /// Takes a channel away, with its rules; what it had still to send is dropped. False when it was deleted before.
    async fn delete_notification_channel(&self, ctx: &Context<'_>, id: ID) -> Result<bool> {
        Ok(channels::delete(ctx.db()?, ctx.asker()?, node::parse("id", &id)?).await?)
    }

    /// Sends a test now and gives it with what came of it; by e-mail it goes to whoever asks.
    async fn test_notification_channel(&self, ctx: &Context<'_>, id: ID) -> Result<NotificationDelivery> {
        let origin = ctx.data_opt::<PublicUrl>().map_or("", |url| url.0.as_str());
        let id = node::parse("id", &id)?;
        let made = channels::test(ctx.db()?, ctx.asker()?, ctx.data::<Outbound>()?, origin, id).await?;
        Ok(NotificationDelivery(made))
    }

    /// Makes a rule or changes one.
    async fn save_notification_rule(
        &self,
        ctx: &Context<'_>,
        input: NotificationRuleInput,
    ) -> Result<NotificationRule> {
        let members = match input.members {
            Some(members) if !members.is_empty() => node::parse_all("members", &members, 100)?,
            _ => Vec::new(),
        };
        let input = rules::Input {
            id: input.id.map(|id| node::parse("id", &id)).transpose()?,
            name: input.name,
            channel: node::parse("channel", &input.channel)?,
            topics: input.topics,
            min_severity: input.min_severity,
            members,
            roles: input.roles.unwrap_or_default(),
            quiet_from: input.quiet_from,
            quiet_to: input.quiet_to,
            time_zone: input.time_zone,
            digest_minutes: input.digest_minutes,
            dedup_minutes: input.dedup_minutes,
            enabled: input.enabled,
        };
        Ok(NotificationRule(rules::save(ctx.db()?, ctx.asker()?, input).await?))
    }

    /// Takes a rule away; what it had still to send is dropped. False when it was deleted before.
    async fn delete_notification_rule(&self, ctx: &Context<'_>, id: ID) -> Result<bool> {
        Ok(rules::delete(ctx.db()?, ctx.asker()?, node::parse("id", &id)?).await?)
    }

    /// Sends a message again that failed or was dropped, with the same `Idempotency-Key`.
    async fn replay_notification(&self, ctx: &Context<'_>, id: ID) -> Result<NotificationDelivery> {
        let delivery = deliveries::replay(ctx.db()?, ctx.asker()?, node::parse("id", &id)?).await?;
        Ok(NotificationDelivery(delivery))
    }
}
