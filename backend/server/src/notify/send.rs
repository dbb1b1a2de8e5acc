//! Sending one message once.

use super::{
    ChannelKind,
    domain::{Attempt, Channel, Encryption, KEPT_ANSWER, MailSettings, Secrets},
    message::Message,
};
use crate::kernel::{
    Ctx, Error, Kind, Result,
    crypto::Secret,
    outbound::{self, Outbound},
};
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message as Mail, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};
use std::time::{Duration, Instant};

/// The longest that a message may take. A delivery is held longer than that.
const MAIL_LIMIT: Duration = Duration::from_secs(20);

/// What came of it: a status, and text of the other side.
struct Reply {
    status: u16,
    answer: String,
}

/// Sends a message by a channel; to the member's address when one is given. Every outcome is an [`Attempt`].
pub async fn send(
    ctx: &Ctx,
    outbound: &Outbound,
    channel: &Channel,
    to: Option<&str>,
    message: &Message<'_>,
) -> Attempt {
    let (at, started) = (ctx.now(), Instant::now());
    let sent = attempt(ctx, outbound, channel, to, message).await;
    let milliseconds = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
    let empty = Attempt { at, status: None, milliseconds, answer: None, error: None, permanent: false };
    match sent {
        Ok(reply) => {
            let (error, permanent) = judge(channel.kind, reply.status);
            let answer = Some(first_bytes(&reply.answer)).filter(|answer| !answer.is_empty());
            Attempt { status: Some(reply.status), answer, error, permanent, ..empty }
        }
        Err(error) => {
            if let Some(cause) = error.internal_text() {
                tracing::warn!(channel = %channel.id, cause, "a message could not be sent");
            }
            Attempt { permanent: error.kind == Kind::BadInput, error: Some(error.public), ..empty }
        }
    }
}

async fn attempt(
    ctx: &Ctx,
    outbound: &Outbound,
    channel: &Channel,
    to: Option<&str>,
    message: &Message<'_>,
) -> Result<Reply> {
    let secrets = open(outbound, ctx, channel)?;
    if let (ChannelKind::Email, Some(settings)) = (channel.kind, &channel.mail) {
        let to = to.map_or_else(|| settings.to.clone(), |to| vec![to.to_owned()]);
        return tokio::time::timeout(MAIL_LIMIT, mail(outbound, settings, &secrets, &to, message))
            .await
            .unwrap_or_else(|_| Err(Error::new(Kind::Unavailable, "The mail server did not answer within 20 s.")));
    }
    let body = match channel.kind {
        ChannelKind::Slack => message.slack(),
        _ => message.json(),
    };
    let secret = secrets.secret.map(Secret::new);
    let delivery = outbound::Delivery {
        url: secrets.url.as_deref().unwrap_or_default(),
        secret: secret.as_ref(),
        key: &message.id.to_string(),
        body: &body,
    };
    let answer = outbound.post(delivery).await?;
    Ok(Reply { status: answer.status, answer: answer.body })
}

/// What a channel keeps sealed.
///
/// # Errors
/// `UNAVAILABLE` without the key that it was sealed with.
pub fn open(outbound: &Outbound, ctx: &Ctx, channel: &Channel) -> Result<Secrets> {
    let opened = outbound.vault.open(ctx.tenant, &channel.sealed)?;
    serde_json::from_str(opened.expose()).map_err(|_| Error::internal("a channel's secrets are damaged"))
}

async fn mail(
    outbound: &Outbound,
    settings: &MailSettings,
    secrets: &Secrets,
    to: &[String],
    message: &Message<'_>,
) -> Result<Reply> {
    let addresses = outbound.resolve("host", &settings.host, settings.port).await?;
    let address = addresses.first().ok_or_else(|| Error::internal("no address"))?;
    let parameters = || {
        TlsParameters::new(settings.host.clone())
            .map_err(|error| Error::new(Kind::Unavailable, "TLS can not be set up.").caused_by(error))
    };
    let tls = match settings.encryption {
        Encryption::Tls => Tls::Wrapper(parameters()?),
        Encryption::Starttls => Tls::Required(parameters()?),
        Encryption::None => Tls::None,
    };
    // The address that was looked at, never the name: it could lead elsewhere by now.
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string())
        .port(settings.port)
        .tls(tls)
        .timeout(Some(outbound::TIME_LIMIT));
    if let (Some(username), Some(password)) = (&settings.username, &secrets.password) {
        transport = transport.credentials(Credentials::new(username.clone(), password.clone()));
    }
    let mail = letter(settings, to, message)?;
    match transport.build().send(mail).await {
        Ok(response) => {
            let status = response.code().to_string().parse().unwrap_or(250);
            Ok(Reply { status, answer: response.message().collect::<Vec<_>>().join("\n") })
        }
        Err(error) => match error.status() {
            Some(code) => {
                let status = code.to_string().parse().unwrap_or(500);
                Ok(Reply { status, answer: error.to_string() })
            }
            None if error.is_timeout() => {
                Err(Error::new(Kind::Unavailable, "The mail server did not answer within 10 s."))
            }
            None => Err(Error::new(Kind::Unavailable, format!("No connection to the mail server: {error}."))),
        },
    }
}

/// A letter. Its Message-ID is the same for every attempt, so that mail programs show it once.
fn letter(settings: &MailSettings, to: &[String], message: &Message<'_>) -> Result<Mail> {
    let domain = settings.from.rsplit('@').next().unwrap_or("stance");
    let mut mail = Mail::builder()
        .message_id(Some(format!("<{}@{domain}>", message.id)))
        .from(mailbox("from", &settings.from)?)
        .subject(message.subject())
        .header(ContentType::TEXT_PLAIN);
    for to in to {
        mail = mail.to(mailbox("to", to)?);
    }
    mail.body(message.text()).map_err(Error::internal)
}

/// Reads a mail address.
///
/// # Errors
/// `BAD_INPUT` naming the field.
pub fn mailbox(field: &str, address: &str) -> Result<Mailbox> {
    let wrong = || Error::field(field, "must be an address like security@example.com");
    if address.len() > 254 {
        return Err(wrong());
    }
    Ok(Mailbox::new(None, address.parse().map_err(|_| wrong())?))
}

/// Whether an answer means that the message arrived; if not, why, and whether another attempt is pointless.
fn judge(kind: ChannelKind, status: u16) -> (Option<String>, bool) {
    let told = |why: &str| Some(format!("The receiver answered {status}{why}."));
    match (kind, status) {
        (_, 200..=299) => (None, false),
        // RFC 5321: 4xx is transient, 5xx permanent.
        (ChannelKind::Email, 500..) => (told(": it refuses the message"), true),
        (ChannelKind::Email, _) => (told(""), false),
        (_, 300..=399) => (told(", a redirect: they are not followed"), true),
        // Too early, too many, in conflict with a repetition: all pass.
        (_, 408 | 409 | 425 | 429) => (told(""), false),
        (_, 400..=499) => (told(": it refuses the message"), true),
        _ => (told(""), false),
    }
}

/// The beginning of a text, cut at a character.
fn first_bytes(text: &str) -> String {
    let mut end = text.len().min(KEPT_ANSWER);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // PostgreSQL keeps no NUL.
    text[..end].replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(ChannelKind::Webhook, 204, true, false)]
    #[case(ChannelKind::Webhook, 302, false, true)]
    #[case(ChannelKind::Webhook, 404, false, true)]
    #[case(ChannelKind::Slack, 410, false, true)]
    #[case(ChannelKind::Webhook, 429, false, false)]
    #[case(ChannelKind::Webhook, 500, false, false)]
    #[case(ChannelKind::Webhook, 101, false, false)]
    #[case(ChannelKind::Email, 250, true, false)]
    #[case(ChannelKind::Email, 450, false, false)]
    #[case(ChannelKind::Email, 550, false, true)]
    fn an_answer_says_whether_to_try_again(
        #[case] kind: ChannelKind,
        #[case] status: u16,
        #[case] arrived: bool,
        #[case] pointless: bool,
    ) {
        let (error, permanent) = judge(kind, status);
        assert_eq!((error.is_none(), permanent), (arrived, pointless));
    }

    #[test]
    fn the_log_keeps_the_beginning_of_an_answer() {
        assert_eq!(first_bytes("a\0b"), "a\u{fffd}b");
        let long = "ä".repeat(KEPT_ANSWER);
        assert_eq!(first_bytes(&long).len(), KEPT_ANSWER);
        assert_eq!(first_bytes(&format!("a{long}")).len(), KEPT_ANSWER - 1);
    }
}
