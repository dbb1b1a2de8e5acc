//! What a message looks like: JSON for webhooks, Slack's format, plain text for e-mail.

use super::domain::Told;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use stance_shared::{DeliveryId, Severity, TenantId};
use std::fmt::Write as _;

/// Notices that one message spells out; of the others it says how many.
const SHOWN: usize = 50;

/// A message to be written down.
pub struct Message<'a> {
    pub id: DeliveryId,
    pub tenant: TenantId,
    pub organization: &'a str,
    /// Where browsers reach the server; empty when that is not known.
    pub origin: &'a str,
    /// Oldest first; none: a test.
    pub told: &'a [Told],
    pub now: DateTime<Utc>,
}

impl Message<'_> {
    /// The document of a webhook, `stance.notification/1`.
    #[must_use]
    pub fn json(&self) -> Value {
        let notices: Vec<Value> = self.told.iter().take(SHOWN).map(|told| self.notice(told)).collect();
        json!({
            "format": "stance.notification/1",
            "id": self.id,
            "test": self.told.is_empty(),
            "organization": { "id": self.tenant, "name": self.organization },
            "sentAt": self.now.to_rfc3339_opts(SecondsFormat::Secs, true),
            "notices": notices,
            "more": self.told.len().saturating_sub(SHOWN),
        })
    }

    fn notice(&self, told: &Told) -> Value {
        json!({
            "id": told.id,
            "topic": told.topic,
            "severity": told.severity,
            "title": told.title,
            "text": told.text,
            "link": format!("{}{}", self.origin, told.link),
            "subject": told.subject,
            "at": told.at.to_rfc3339_opts(SecondsFormat::Millis, true),
        })
    }

    /// The body of a Slack incoming webhook: <https://api.slack.com/messaging/webhooks>.
    #[must_use]
    pub fn slack(&self) -> Value {
        let mut text = String::new();
        if let [told] = self.told {
            let _ = write!(text, "*{}*: {}", told.severity.label(), self.slack_line(told));
            if !told.text.is_empty() {
                let _ = write!(text, "\n{}", slack_escape(&told.text));
            }
        } else {
            let _ = write!(text, "*{}*", slack_escape(&self.subject()));
            for told in self.told.iter().take(SHOWN) {
                let _ = write!(text, "\n• *{}*: {}", told.severity.label(), self.slack_line(told));
            }
            text.push_str(&self.rest());
        }
        json!({ "text": text })
    }

    fn slack_line(&self, told: &Told) -> String {
        let title = slack_escape(&told.title);
        if self.origin.is_empty() {
            title
        } else {
            format!("<{}{}|{title}>", self.origin, told.link.replace('|', "%7C").replace('>', "%3E"))
        }
    }

    /// One line that says what the message is about.
    #[must_use]
    pub fn subject(&self) -> String {
        match self.told {
            [] => format!("Test message of Stance for {}", self.organization),
            [told] => format!("[{}] {}", told.severity, told.title),
            many => {
                let worst = many.iter().map(|told| told.severity).min().unwrap_or(Severity::Info);
                format!("[{worst}] {} notices of {}", many.len(), self.organization)
            }
        }
    }

    /// Plain text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for told in self.told.iter().take(SHOWN) {
            let at = told.at.format("%Y-%m-%d %H:%M UTC");
            let _ = write!(text, "{}: {}\n{}, {at}\n", told.severity.label(), told.title, told.topic.label());
            if !told.text.is_empty() {
                let _ = write!(text, "\n{}\n", told.text);
            }
            let _ = write!(text, "{}{}\n\n", self.origin, told.link);
        }
        text.push_str(self.rest().trim_start());
        if self.told.is_empty() {
            text.push_str("This is a test. Messages of Stance arrive here.\n");
        }
        let _ = write!(text, "\n-- \nStance, {}\n", self.organization);
        text
    }

    fn rest(&self) -> String {
        match self.told.len().saturating_sub(SHOWN) {
            0 if self.told.is_empty() => "\nThis is a test. Messages of Stance arrive here.".to_owned(),
            0 => String::new(),
            more => format!("\nand {more} more\n"),
        }
    }
}

/// As Slack wants it: <https://api.slack.com/reference/surfaces/formatting#escaping>. So nothing in it is a link, a mention or a channel.
fn slack_escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{kernel::Permission, notify::Topic};
    use uuid::Uuid;

    fn told(n: u128) -> Told {
        Told {
            id: Uuid::from_u128(n),
            topic: Topic::FindingCritical,
            severity: if n == 1 { Severity::Critical } else { Severity::High },
            title: format!("<!channel> & {n}"),
            text: "line 1\nline <2>".into(),
            link: "/findings?x=a|b>".into(),
            permission: Permission::FindingRead,
            subject: Uuid::nil(),
            at: "2026-11-01T12:00:00Z".parse().unwrap(),
        }
    }

    fn message(told: &[Told]) -> Message<'_> {
        Message {
            id: DeliveryId(Uuid::nil()),
            tenant: TenantId(Uuid::nil()),
            organization: "Ours",
            origin: "https://stance.example",
            told,
            now: "2026-11-01T12:00:01Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_message_of_one_notice() {
        let one = [told(1)];
        let message = message(&one);
        let nil = "00000000-0000-0000-0000-000000000000";
        let expected = json!({
            "format": "stance.notification/1", "id": nil, "test": false, "organization": { "id": nil, "name": "Ours" },
            "sentAt": "2026-11-01T12:00:01Z", "more": 0,
            "notices": [{
                "id": "00000000-0000-0000-0000-000000000001", "topic": "FINDING_CRITICAL", "severity": "CRITICAL",
                "title": "<!channel> & 1", "text": "line 1\nline <2>", "link": "https://stance.example/findings?x=a|b>",
                "subject": nil, "at": "2026-11-01T12:00:00.000Z",
            }],
        });
        assert_eq!(message.json(), expected);
        assert_eq!(
            message.slack()["text"],
            "*Critical*: <https://stance.example/findings?x=a%7Cb%3E|&lt;!channel&gt; &amp; 1>\nline 1\nline &lt;2&gt;"
        );
        assert_eq!(
            message.text(),
            "Critical: <!channel> & 1\nA critical finding is new, 2026-11-01 12:00 UTC\n\nline 1\nline <2>\nhttps://stance.example/findings?x=a|b>\n\n\n-- \nStance, Ours\n"
        );
        assert_eq!(message.subject(), "[CRITICAL] <!channel> & 1");
    }

    #[test]
    fn a_digest_says_how_many_it_does_not_spell_out() {
        let many: Vec<Told> = (1..=60).map(told).collect();
        let message = message(&many);
        assert_eq!(message.subject(), "[CRITICAL] 60 notices of Ours");
        let json = message.json();
        assert_eq!((json["notices"].as_array().unwrap().len(), &json["more"]), (50, &json!(10)));
        assert!(
            message.text().contains("and 10 more") && message.slack()["text"].as_str().unwrap().contains("and 10 more")
        );
    }

    #[test]
    fn a_test_says_that_it_is_one() {
        let message = message(&[]);
        assert_eq!(message.json()["test"], true);
        assert!(
            message.text().contains("This is a test")
                && message.slack()["text"].as_str().unwrap().contains("This is a test")
        );
    }
}
