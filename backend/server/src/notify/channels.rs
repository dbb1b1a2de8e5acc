//! Channels: where messages go.

use super::{
    ChannelKind, channels_repo as repo, deliveries_repo,
    domain::{Attempt, Channel, Delivery, Encryption, FAILING_DAYS, MAX_CHANNELS, MailSettings, Secrets},
    message::Message,
    send,
};
use crate::{
    audit,
    kernel::{
        Ctx, Db, Error, Permission, Result, TenantTx,
        crypto::{self, Secret},
        outbound::Outbound,
        text,
    },
};
use serde_json::json;
use stance_shared::{ChannelId, DeliveryId};

/// What a person says of a channel. Secrets that are left out stay as they are.
#[derive(Clone, Debug)]
pub struct Input {
    /// The one to change; a new one without.
    pub id: Option<ChannelId>,
    /// Can not be changed.
    pub kind: ChannelKind,
    pub name: String,
    /// Of webhooks.
    pub url: Option<Secret>,
    /// Makes a new signing secret, for [`ChannelKind::Webhook`]; a new channel has one in any case.
    pub new_signing_secret: bool,
    /// Of [`ChannelKind::Email`].
    pub mail: Option<MailInput>,
}

/// A mail server, as a person enters it.
#[derive(Clone, Debug)]
pub struct MailInput {
    pub host: String,
    pub port: i32,
    pub encryption: Encryption,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub from: String,
    /// Addresses with commas between them; may be empty.
    pub to: String,
}

/// All channels, by name.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn list(db: &Db, ctx: &Ctx) -> Result<Vec<Channel>> {
    repo::list(&mut db.begin(ctx, Permission::NotificationRead).await?, None).await
}

/// Channels by id, deleted ones too.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn by_ids(db: &Db, ctx: &Ctx, ids: &[ChannelId]) -> Result<Vec<Channel>> {
    repo::list(&mut db.begin(ctx, Permission::NotificationRead).await?, Some(ids)).await
}

async fn existing(tx: &mut TenantTx, id: ChannelId) -> Result<Channel> {
    repo::by_id(tx, id).await?.ok_or_else(|| Error::not_found("channel"))
}

/// Makes a channel or changes one. Gives the signing secret when one was made: it is shown only now.
///
/// # Errors
/// `FORBIDDEN` without `notification:write`; `BAD_INPUT` naming the field; `NOT_FOUND`; `CONFLICT` for a name that is taken;
/// `UNAVAILABLE` when the installation has no key to seal with.
pub async fn save(db: &Db, ctx: &Ctx, outbound: &Outbound, input: &Input) -> Result<(Channel, Option<String>)> {
    let mut tx = db.begin(ctx, Permission::NotificationWrite).await?;
    let name = text::line("name", &input.name, 100)?;
    let before = match input.id {
        Some(id) => Some(existing(&mut tx, id).await?),
        None if repo::count(&mut tx).await? >= MAX_CHANNELS => {
            return Err(Error::conflict(format!("An organization has at most {MAX_CHANNELS} channels.")));
        }
        None => None,
    };
    if before.as_ref().is_some_and(|before| before.kind != input.kind) {
        return Err(Error::field("kind", "can not be changed; make another channel"));
    }
    // Where the key is another one by now, all secrets have to be entered again.
    let kept = before.as_ref().and_then(|before| send::open(outbound, ctx, before).ok()).unwrap_or_default();
    let mut made = None;
    let (secrets, mail, target) = match input.kind {
        ChannelKind::Email => {
            let (settings, password) = mail(outbound, input.mail.as_ref(), before.as_ref(), kept)?;
            let target = format!("{}:{}", settings.host, settings.port);
            (Secrets { password, ..Secrets::default() }, Some(settings), target)
        }
        kind => {
            let url = match &input.url {
                Some(url) => url.expose().trim().to_owned(),
                None => kept.url.ok_or_else(|| Error::field("url", "must be given"))?,
            };
            outbound.check(&url)?;
            let secret = match (kind, kept.secret) {
                (ChannelKind::Webhook, Some(secret)) if !input.new_signing_secret => Some(secret),
                (ChannelKind::Webhook, _) => {
                    made = Some(crypto::random_secret("stance_whsec_"));
                    made.clone()
                }
                _ => None,
            };
            let target = host_of(&url);
            (Secrets { url: Some(url), secret, password: None }, None, target)
        }
    };
    let plain = serde_json::to_string(&secrets).map_err(Error::internal)?;
    let sealed = outbound.vault.seal(ctx.tenant, &Secret::new(plain))?;
    let id = input.id.unwrap_or_else(|| ChannelId(ctx.new_id()));
    let saved =
        repo::Saved { id, kind: input.kind, name: &name, target: &target, mail: mail.as_ref(), sealed: &sealed };
    repo::save(&mut tx, &saved).await?;
    let channel = existing(&mut tx, id).await?;
    let action = if before.is_some() { "notification_channel.changed" } else { "notification_channel.created" };
    let detail = json!({ "name": name, "kind": input.kind, "target": target, "newSigningSecret": made.is_some() });
    record(&mut tx, action, id, detail).await?;
    tx.commit().await?;
    Ok((channel, made))
}

/// What may be shown of a webhook's address.
fn host_of(url: &str) -> String {
    let parsed: Option<reqwest::Url> = url.parse().ok();
    let host = parsed.as_ref().and_then(|url| {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{}{port}", url.host_str()?))
    });
    host.unwrap_or_default().chars().take(300).collect()
}

fn mail(
    outbound: &Outbound,
    input: Option<&MailInput>,
    before: Option<&Channel>,
    kept: Secrets,
) -> Result<(MailSettings, Option<String>)> {
    let input = input.ok_or_else(|| Error::field("host", "must be given"))?;
    let host = text::line("host", &input.host, 253)?.to_ascii_lowercase();
    if !host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':')) {
        return Err(Error::field("host", "must be a host name or an address, without a port"));
    }
    let literal = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    outbound.check(&format!("https://{literal}/")).map_err(|error| {
        let message = error.fields.first().map_or(error.public.clone(), |field| field.message.clone());
        Error::field("host", message)
    })?;
    let port = u16::try_from(input.port).ok().filter(|port| *port > 0);
    let port =
        port.ok_or_else(|| Error::field("port", "must be 1 to 65535; usually 587 with STARTTLS, 465 with TLS"))?;
    let from = send::mailbox("from", input.from.trim())?.email.to_string();
    let to: Vec<String> = input
        .to
        .split(',')
        .map(str::trim)
        .filter(|to| !to.is_empty())
        .map(|to| Ok(send::mailbox("to", to)?.email.to_string()))
        .collect::<Result<_>>()?;
    if to.len() > 10 {
        return Err(Error::field("to", "must be at most 10 addresses"));
    }
    let username = match input.username.as_deref().map(str::trim) {
        None | Some("") => None,
        Some(username) => Some(text::line("username", username, 200)?),
    };
    if username.is_some() && input.encryption == Encryption::None {
        return Err(Error::field(
            "encryption",
            "must be TLS or STARTTLS where there is a user name: the password would go in the clear",
        ));
    }
    let settings = MailSettings { host, port, encryption: input.encryption, username, from, to };
    let password = match (&settings.username, &input.password) {
        (None, _) => None,
        (Some(_), Some(password)) if password.expose().len() <= 500 => Some(password.expose().to_owned()),
        (Some(_), Some(_)) => return Err(Error::field("password", "must be at most 500 bytes")),
        (Some(_), None) => {
            // A password that nobody can read must not be led to another server.
            let same = before.and_then(|before| before.mail.as_ref()).is_some_and(|before| {
                before.host == settings.host && before.port == settings.port && before.username == settings.username
            });
            let wanted = || {
                Error::field("password", "must be given with a user name, and again when server or user name change")
            };
            Some(kept.password.filter(|_| same).ok_or_else(wanted)?)
        }
    };
    Ok((settings, password))
}

/// Takes a channel away, with its rules. False: it was before.
///
/// # Errors
/// `FORBIDDEN` without `notification:write`; `NOT_FOUND`.
pub async fn delete(db: &Db, ctx: &Ctx, id: ChannelId) -> Result<bool> {
    let mut tx = db.begin(ctx, Permission::NotificationWrite).await?;
    let channel = repo::list(&mut tx, Some(&[id])).await?.pop().ok_or_else(|| Error::not_found("channel"))?;
    if repo::by_id(&mut tx, id).await?.is_none() {
        return Ok(false);
    }
    repo::delete(&mut tx, id).await?;
    record(&mut tx, "notification_channel.deleted", id, json!({ "name": channel.name })).await?;
    tx.commit().await?;
    Ok(true)
}

/// Switches a channel on or off.
///
/// # Errors
/// `FORBIDDEN` without `notification:write`; `NOT_FOUND`.
pub async fn set_enabled(db: &Db, ctx: &Ctx, id: ChannelId, enabled: bool) -> Result<Channel> {
    let mut tx = db.begin(ctx, Permission::NotificationWrite).await?;
    let before = existing(&mut tx, id).await?;
    if before.disabled_at.is_none() != enabled {
        let reason = format!("Switched off by {}.", ctx.actor.label());
        repo::set_disabled(&mut tx, id, (!enabled).then_some(reason.as_str())).await?;
        let action = if enabled { "notification_channel.enabled" } else { "notification_channel.disabled" };
        record(&mut tx, action, id, json!({ "name": before.name })).await?;
    }
    let channel = existing(&mut tx, id).await?;
    tx.commit().await?;
    Ok(channel)
}

/// Sends a test now; by e-mail to whoever asks, else to the channel's own addresses. What came of it is in the log, too.
///
/// # Errors
/// `FORBIDDEN` without `notification:write`; `NOT_FOUND`; `BAD_INPUT` when there is nobody to write to.
pub async fn test(db: &Db, ctx: &Ctx, outbound: &Outbound, origin: &str, id: ChannelId) -> Result<Delivery> {
    let mut tx = db.begin(ctx, Permission::NotificationWrite).await?;
    let channel = existing(&mut tx, id).await?;
    let user = ctx.user().filter(|_| channel.kind == ChannelKind::Email);
    let to = match user {
        Some(user) => deliveries_repo::addressee(&mut tx, user).await?.map(|(email, _)| email),
        None => None,
    };
    if to.is_none() && channel.mail.as_ref().is_some_and(|mail| mail.to.is_empty()) {
        return Err(Error::field(
            "id",
            "must be a channel with addresses of its own, when an API token asks for the test",
        ));
    }
    let organization = deliveries_repo::organization_name(&mut tx).await?;
    // Not while another machine is waited for.
    tx.rollback().await?;
    let delivery = DeliveryId(ctx.new_id());
    let message =
        Message { id: delivery, tenant: ctx.tenant, organization: &organization, origin, told: &[], now: ctx.now() };
    let attempt = send::send(ctx, outbound, &channel, to.as_deref(), &message).await;
    let mut tx = db.begin(ctx, Permission::NotificationWrite).await?;
    deliveries_repo::insert_test(&mut tx, delivery, id, user, &attempt).await?;
    repo::noted(&mut tx, id, &attempt).await?;
    let detail = json!({ "name": channel.name, "status": attempt.status, "delivered": attempt.is_success() });
    record(&mut tx, "notification_channel.tested", id, detail).await?;
    let filter = super::deliveries::Filter { id: Some(delivery), ..Default::default() };
    let made = deliveries_repo::list(&mut tx, &filter, None, 1).await?.pop();
    tx.commit().await?;
    made.ok_or_else(|| Error::not_found("message"))
}

/// Notes how an attempt went; switches the channel off when nothing came through for [`FAILING_DAYS`].
pub(super) async fn noted(tx: &mut TenantTx, id: ChannelId, attempt: &Attempt) -> Result<()> {
    if repo::noted(tx, id, attempt).await? {
        let reason =
            format!("Nothing came through for {FAILING_DAYS} days. Mend it, test it, then switch it on again.");
        repo::set_disabled(tx, id, Some(&reason)).await?;
        record(tx, "notification_channel.disabled", id, json!({ "reason": reason })).await?;
    }
    Ok(())
}

async fn record(tx: &mut TenantTx, action: &str, id: ChannelId, detail: serde_json::Value) -> Result<()> {
    let entry = audit::Entry { action, target_kind: "notification_channel", target_id: id.to_string(), detail };
    audit::record(tx, entry).await
}
