//! Channels, rules and times.

use super::{ChannelKind, Topic};
use crate::kernel::{Error, Result, Role, crypto::Sealed};
use chrono::{DateTime, Days, Duration, NaiveTime, TimeZone as _, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use stance_shared::{ChannelId, DeliveryId, RuleId, Severity, UserId};

/// Channels and rules of an organization.
pub const MAX_CHANNELS: i64 = 50;
pub const MAX_RULES: i64 = 100;
/// A channel through which nothing came for so long is switched off.
pub const FAILING_DAYS: i64 = 5;
/// Messages and notices are kept so long.
pub const KEPT_DAYS: i64 = 90;
/// Attempts that a delivery remembers.
pub const KEPT_ATTEMPTS: usize = 20;
/// Bytes of an answer that the log keeps.
pub const KEPT_ANSWER: usize = 1024;

/// Where messages go.
#[derive(Clone, Debug)]
pub struct Channel {
    pub id: ChannelId,
    pub kind: ChannelKind,
    pub name: String,
    /// What may be shown of the target: a host.
    pub target: String,
    /// Of [`ChannelKind::Email`].
    pub mail: Option<MailSettings>,
    pub sealed: Sealed,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
    pub last_ok_at: Option<DateTime<Utc>>,
    pub failing_since: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
    pub disabled_at: Option<DateTime<Utc>>,
    pub disabled_reason: Option<String>,
}

/// How a channel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
#[graphql(name = "NotificationChannelState")]
pub enum ChannelState {
    /// Nothing was sent by it yet.
    Unused,
    Working,
    /// The last message did not come through.
    Failing,
    /// Switched off, with a reason.
    Disabled,
}

impl Channel {
    #[must_use]
    pub const fn state(&self) -> ChannelState {
        match (self.disabled_at, self.failing_since, self.last_ok_at) {
            (Some(_), ..) => ChannelState::Disabled,
            (None, Some(_), _) => ChannelState::Failing,
            (None, None, Some(_)) => ChannelState::Working,
            (None, None, None) => ChannelState::Unused,
        }
    }
}

/// How a connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, async_graphql::Enum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[graphql(name = "MailEncryption")]
pub enum Encryption {
    /// From the first byte, usually port 465.
    Tls,
    /// After a greeting in the clear, usually port 587; refused when the server does not offer it.
    Starttls,
    /// Not at all: without user name and password only.
    None,
}

/// A mail server, and whom it writes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailSettings {
    pub host: String,
    pub port: u16,
    pub encryption: Encryption,
    /// With a password in [`Secrets`].
    pub username: Option<String>,
    pub from: String,
    /// Where rules without members write to.
    pub to: Vec<String>,
}

/// What a channel keeps sealed.
#[derive(Default, Serialize, Deserialize)]
pub struct Secrets {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Signs messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// Who hears of what.
#[derive(Clone, Debug)]
pub struct Rule {
    pub id: RuleId,
    pub name: String,
    pub channel: ChannelId,
    pub topics: Vec<Topic>,
    /// The mildest that is told.
    pub min_severity: Severity,
    pub members: Vec<UserId>,
    pub roles: Vec<Role>,
    pub quiet: Option<Quiet>,
    pub digest_minutes: i32,
    pub dedup_minutes: i32,
    pub enabled: bool,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
}

impl Rule {
    /// Until when what is milder than CRITICAL waits; `None`: it is sent at once.
    #[must_use]
    pub fn held_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let digest = (self.digest_minutes > 0).then(|| now + Duration::minutes(i64::from(self.digest_minutes)));
        let collected = digest.unwrap_or(now);
        // A digest that would be due in quiet hours waits for their end.
        self.quiet.as_ref().and_then(|quiet| quiet.until(collected)).or(digest)
    }
}

/// Hours in which only what is CRITICAL is told, in local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    pub from: NaiveTime,
    /// On the next day when it is not after `from`.
    pub to: NaiveTime,
    pub zone: Tz,
}

impl Quiet {
    /// Reads `HH:MM` twice and the name of a time zone.
    ///
    /// # Errors
    /// `BAD_INPUT` naming the field.
    pub fn parse(from: &str, to: &str, zone: &str) -> Result<Self> {
        let time = |field: &str, text: &str| {
            NaiveTime::parse_from_str(text, "%H:%M")
                .map_err(|_| Error::field(field, "must be a time from 00:00 to 23:59"))
        };
        let quiet = Self { from: time("quietFrom", from)?, to: time("quietTo", to)?, zone: self::zone(zone)? };
        if quiet.from == quiet.to {
            return Err(Error::field("quietTo", "must be another time than quietFrom"));
        }
        Ok(quiet)
    }

    /// When the quiet hours around `now` end; `None` outside of them. Always later than `now`.
    #[must_use]
    pub fn until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = now.with_timezone(&self.zone);
        let time = local.time();
        let over_midnight = self.from > self.to;
        let within = match over_midnight {
            false => self.from <= time && time < self.to,
            true => self.from <= time || time < self.to,
        };
        if !within {
            return None;
        }
        let ends_tomorrow = over_midnight && time >= self.to;
        let day = local.date_naive() + Days::new(u64::from(ends_tomorrow));
        let end = day.and_time(self.to);
        // Where the clock is put forward over that time, the quiet hours end with the gap. Gaps are whole minutes, and at most a day.
        (0..=24 * 60).find_map(|minutes| {
            let told = self.zone.from_local_datetime(&(end + Duration::minutes(minutes)));
            // Where the clock is put back, the time comes twice: the next one counts.
            let times = [told.earliest(), told.latest()].into_iter().flatten().map(|end| end.with_timezone(&Utc));
            times.filter(|end| *end > now).min()
        })
    }
}

/// Reads the name of a time zone, as `Europe/Berlin`.
///
/// # Errors
/// `BAD_INPUT` for `timeZone`.
pub fn zone(name: &str) -> Result<Tz> {
    name.parse().map_err(|_| Error::field("timeZone", "must be a name like Europe/Berlin, America/New_York or UTC"))
}

/// One try to deliver a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub at: DateTime<Utc>,
    /// HTTP status, or the mail server's reply code.
    pub status: Option<u16>,
    pub milliseconds: i64,
    /// The first [`KEPT_ANSWER`] bytes. Hostile text.
    pub answer: Option<String>,
    /// Why there was no answer, or none that counts as delivered.
    pub error: Option<String>,
    /// Nothing will be better next time.
    #[serde(default)]
    pub permanent: bool,
}

impl Attempt {
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.error.is_none()
    }
}

/// How long to wait after the `tries`-th attempt (from 1), without the jitter; `None` when that was the last.
#[must_use]
pub fn pause(tries: i16) -> Option<Duration> {
    const SECONDS: [i64; 8] = [5, 30, 120, 600, 1_800, 7_200, 21_600, 43_200];
    let at = usize::try_from(tries).ok()?.checked_sub(1)?;
    SECONDS.get(at).map(|seconds| Duration::seconds(*seconds))
}

/// The pause, up to a fifth longer, so that what failed together does not come back together.
#[must_use]
pub fn jittered(pause: Duration, random: f64) -> Duration {
    let extra = pause.num_milliseconds() / 5;
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "hours in milliseconds fit")]
    let extra = (extra as f64 * random.clamp(0.0, 1.0)) as i64;
    pause + Duration::milliseconds(extra)
}

/// A message in the log.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub id: DeliveryId,
    pub channel: ChannelId,
    /// `None`: a test.
    pub rule: Option<RuleId>,
    pub user: Option<UserId>,
    pub status: super::Status,
    pub due_at: DateTime<Utc>,
    pub attempts: Vec<Attempt>,
    pub reason: Option<String>,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

/// What a message tells, as it is stored.
#[derive(Clone, Debug)]
pub struct Told {
    pub id: uuid::Uuid,
    pub topic: Topic,
    pub severity: Severity,
    pub title: String,
    pub text: String,
    pub link: String,
    pub permission: crate::kernel::Permission,
    pub subject: uuid::Uuid,
    pub at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[rstest]
    // Over midnight, in winter (UTC+1) and summer (UTC+2).
    #[case("22:00", "07:00", "Europe/Berlin", "2026-01-10T20:59:59Z", None)]
    #[case("22:00", "07:00", "Europe/Berlin", "2026-01-10T21:00:00Z", Some("2026-01-11T06:00:00Z"))]
    #[case("22:00", "07:00", "Europe/Berlin", "2026-01-11T05:59:00Z", Some("2026-01-11T06:00:00Z"))]
    #[case("22:00", "07:00", "Europe/Berlin", "2026-01-11T06:00:00Z", None)]
    #[case("22:00", "07:00", "Europe/Berlin", "2026-07-10T20:00:00Z", Some("2026-07-11T05:00:00Z"))]
    // The night in which the clock is put forward is an hour shorter, and put back an hour longer.
    #[case("22:00", "07:00", "Europe/Berlin", "2026-03-28T21:00:00Z", Some("2026-03-29T05:00:00Z"))]
    #[case("22:00", "07:00", "Europe/Berlin", "2026-10-24T20:00:00Z", Some("2026-10-25T06:00:00Z"))]
    // 02:30 does not exist that night: quiet ends with the gap, at 03:00 summer time.
    #[case("22:00", "02:30", "Europe/Berlin", "2026-03-29T00:45:00Z", Some("2026-03-29T01:00:00Z"))]
    // 02:30 comes twice that night: the next one counts.
    #[case("22:00", "02:30", "Europe/Berlin", "2026-10-24T23:45:00Z", Some("2026-10-25T00:30:00Z"))]
    #[case("22:00", "02:30", "Europe/Berlin", "2026-10-25T01:10:00Z", Some("2026-10-25T01:30:00Z"))]
    // Within a day, and on the other side of the date line.
    #[case("12:00", "13:30", "UTC", "2026-05-01T12:30:00Z", Some("2026-05-01T13:30:00Z"))]
    #[case("12:00", "13:30", "UTC", "2026-05-01T11:59:00Z", None)]
    #[case("20:00", "06:00", "Pacific/Auckland", "2026-05-01T09:00:00Z", Some("2026-05-01T18:00:00Z"))]
    fn quiet_hours_end_in_local_time(
        #[case] from: &str,
        #[case] to: &str,
        #[case] zone: &str,
        #[case] now: &str,
        #[case] expected: Option<&str>,
    ) {
        let quiet = Quiet::parse(from, to, zone).unwrap();
        assert_eq!(quiet.until(utc(now)), expected.map(utc));
    }

    #[test]
    fn wrong_hours_name_their_field() {
        for (from, to, zone, field) in [
            ("25:00", "07:00", "UTC", "quietFrom"),
            ("22:00", "7", "UTC", "quietTo"),
            ("22:00", "22:00", "UTC", "quietTo"),
            ("22:00", "07:00", "Europe/Bonn", "timeZone"),
        ] {
            assert_eq!(Quiet::parse(from, to, zone).unwrap_err().fields[0].field, field);
        }
    }

    #[test]
    fn a_digest_waits_for_the_end_of_quiet_hours() {
        let rule = |digest_minutes, quiet| Rule {
            id: RuleId(uuid::Uuid::nil()),
            name: String::new(),
            channel: ChannelId(uuid::Uuid::nil()),
            topics: Vec::new(),
            min_severity: Severity::Info,
            members: Vec::new(),
            roles: Vec::new(),
            quiet,
            digest_minutes,
            dedup_minutes: 60,
            enabled: true,
            created_at: DateTime::UNIX_EPOCH,
            created_by: String::new(),
        };
        let quiet = Some(Quiet::parse("22:00", "07:00", "UTC").unwrap());
        let (day, evening, night) =
            (utc("2026-01-01T12:00:00Z"), utc("2026-01-01T21:30:00Z"), utc("2026-01-01T23:00:00Z"));
        assert_eq!(rule(0, None).held_until(day), None);
        assert_eq!(rule(0, quiet).held_until(day), None);
        assert_eq!(rule(0, quiet).held_until(night), Some(utc("2026-01-02T07:00:00Z")));
        assert_eq!(rule(60, quiet).held_until(day), Some(utc("2026-01-01T13:00:00Z")));
        assert_eq!(rule(60, quiet).held_until(evening), Some(utc("2026-01-02T07:00:00Z")));
    }

    #[test]
    fn pauses_grow_from_seconds_to_hours_and_end() {
        let all: Vec<i64> = (1..).map_while(pause).map(|pause| pause.num_seconds()).collect();
        assert_eq!((all.first(), all.last(), all.len()), (Some(&5), Some(&43_200), 8));
        assert!(all.is_sorted() && pause(0).is_none() && pause(9).is_none());
        let hour = Duration::hours(1);
        assert_eq!((jittered(hour, 0.0), jittered(hour, 1.0)), (hour, hour + Duration::minutes(12)));
    }

    proptest! {
        /// Quiet hours end, within a day and the hour that a night may be longer, and then it is not quiet.
        #[test]
        fn quiet_hours_end(seconds in 0_i64..4_000_000_000, from in 0_u32..1440, to in 0_u32..1440, zone in 0..chrono_tz::TZ_VARIANTS.len()) {
            prop_assume!(from != to);
            let time = |minutes: u32| NaiveTime::from_hms_opt(minutes / 60, minutes % 60, 0).unwrap();
            let quiet = Quiet { from: time(from), to: time(to), zone: chrono_tz::TZ_VARIANTS[zone] };
            let now = DateTime::from_timestamp(seconds, 0).unwrap();
            if let Some(end) = quiet.until(now) {
                prop_assert!(end > now && end - now <= Duration::hours(49), "{now} {end}");
            }
        }
    }
}
