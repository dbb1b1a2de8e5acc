//! Incidents, their path, and what they are about.

use crate::kernel::{Error, Result, text};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use stance_shared::{
    AssetId, ClockKind, ClockState, EntryKind, FindingId, IncidentId, IncidentStatus, SeriousKind, Severity, UserId,
};
use uuid::Uuid;

/// Characters of a summary, a comment, a reason, a root cause.
pub const MAX_TEXT: usize = 4_000;
/// Items that one call attaches.
pub const MAX_ITEMS: usize = 500;
/// Events that are items of an incident; all of them are counted.
pub const MAX_EVENTS: i64 = 100;

/// How an incident comes from one status to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Forward,
    /// Only by taking the last change back.
    Back,
    Reopen,
}

/// The path of an incident. The database refuses what is not here (`incident_may_become`).
pub const TRANSITIONS: &[(IncidentStatus, IncidentStatus, Manner)] = {
    use IncidentStatus::{Closed, Contained, Eradicated, Open, Recovered, Triaged};
    &[
        (Open, Triaged, Manner::Forward),
        // An automatic containment can be faster than any person.
        (Open, Contained, Manner::Forward),
        (Open, Closed, Manner::Forward),
        (Triaged, Contained, Manner::Forward),
        // Not everything can be contained: what leaked has leaked.
        (Triaged, Eradicated, Manner::Forward),
        (Triaged, Closed, Manner::Forward),
        (Triaged, Open, Manner::Back),
        (Contained, Eradicated, Manner::Forward),
        (Contained, Closed, Manner::Forward),
        (Contained, Triaged, Manner::Back),
        (Contained, Open, Manner::Back),
        (Eradicated, Recovered, Manner::Forward),
        (Eradicated, Closed, Manner::Forward),
        (Eradicated, Contained, Manner::Back),
        (Eradicated, Triaged, Manner::Back),
        (Recovered, Closed, Manner::Forward),
        (Recovered, Eradicated, Manner::Back),
        (Closed, Triaged, Manner::Reopen),
    ]
};

/// How the step from one status to another is made; `None` when there is none.
#[must_use]
pub fn step(from: IncidentStatus, to: IncidentStatus) -> Option<Manner> {
    TRANSITIONS.iter().find(|step| (step.0, step.1) == (from, to)).map(|step| step.2)
}

/// What an incident can become by a person's decision.
pub fn next(from: IncidentStatus) -> impl Iterator<Item = IncidentStatus> {
    TRANSITIONS.iter().filter(move |step| step.0 == from && step.2 != Manner::Back).map(|step| step.1)
}

/// Who opened an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Person,
    Api,
    /// A correlation rule, for one group of what it looks at.
    Rule {
        id: String,
        version: i32,
        /// What the rule groups by, for example the agent's id.
        key: String,
    },
    Playbook {
        run: Uuid,
    },
}

impl Origin {
    /// As in `incident.origin`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Person => "PERSON",
            Self::Api => "API",
            Self::Rule { .. } => "RULE",
            Self::Playbook { .. } => "PLAYBOOK",
        }
    }
}

/// An incident to be opened.
#[derive(Clone, Debug)]
pub struct Opening<'a> {
    /// One line of 1 to 300 characters.
    pub title: &'a str,
    /// At most [`MAX_TEXT`] characters.
    pub summary: &'a str,
    pub severity: Severity,
    pub opened_by: Origin,
    /// While an incident that was opened with the same key is not closed, opening again gives that one.
    pub dedup_key: Option<&'a str>,
    /// At most [`MAX_ITEMS`].
    pub items: Vec<Item>,
}

/// What an incident is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    Finding(FindingId),
    /// To the millisecond is enough.
    Event {
        id: Uuid,
        at: DateTime<Utc>,
    },
    Asset(AssetId),
    Session(Uuid),
    Containment(Uuid),
    PlaybookRun(Uuid),
}

impl Item {
    /// As in `incident_item.kind`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Finding(_) => "FINDING",
            Self::Event { .. } => "EVENT",
            Self::Asset(_) => "ASSET",
            Self::Session(_) => "SESSION",
            Self::Containment(_) => "CONTAINMENT",
            Self::PlaybookRun(_) => "PLAYBOOK_RUN",
        }
    }

    #[must_use]
    pub const fn id(&self) -> Uuid {
        match self {
            Self::Finding(id) => id.0,
            Self::Asset(id) => id.0,
            Self::Event { id, .. } | Self::Session(id) | Self::Containment(id) | Self::PlaybookRun(id) => *id,
        }
    }

    pub(super) const fn at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Event { at, .. } => Some(*at),
            _ => None,
        }
    }
}

/// What [`open`](super::open) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    pub id: IncidentId,
    /// False: the key's incident was open already, and got the items.
    pub new: bool,
}

/// A line for the timeline.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    pub kind: EntryKind,
    /// 1 to [`MAX_TEXT`] characters.
    pub text: &'a str,
    /// A JSON object of at most 20,000 bytes.
    pub evidence: Option<Value>,
    /// The same key twice is one line.
    pub key: Option<&'a str>,
}

/// What goes with a change of status.
#[derive(Clone, Debug, Default)]
pub struct Transition<'a> {
    /// Needed to reopen.
    pub reason: &'a str,
    /// Both are needed to close; what the incident has already need not be given again.
    pub root_cause: Option<&'a str>,
    pub lessons: Option<&'a str>,
}

impl Transition<'_> {
    pub(super) fn check(&self) -> Result<(String, Option<String>, Option<String>)> {
        let optional = |field, value: Option<&str>| {
            value
                .map(|value| text::lines(field, value, MAX_TEXT))
                .transpose()
                .map(|value| value.filter(|v| !v.is_empty()))
        };
        Ok((
            text::lines("reason", self.reason, MAX_TEXT)?,
            optional("rootCause", self.root_cause)?,
            optional("lessons", self.lessons)?,
        ))
    }
}

/// An incident.
#[derive(Clone, Debug)]
pub struct Incident {
    pub id: IncidentId,
    /// 1, 2, 3 … within the organization.
    pub number: i32,
    pub title: String,
    pub summary: String,
    pub severity: Severity,
    pub status: IncidentStatus,
    /// What taking the last change of status back gives.
    pub undo: Option<IncidentStatus>,
    pub opened_at: DateTime<Utc>,
    pub opened_by: String,
    pub origin: String,
    pub rule: Option<String>,
    pub rule_version: Option<i32>,
    /// Microseconds from when the last event that it took was received until it was there.
    pub lag_us: Option<i64>,
    pub run_id: Option<Uuid>,
    pub assignee_id: Option<UserId>,
    /// All events that belong to it.
    pub events: i64,
    pub first_event_at: Option<DateTime<Utc>>,
    pub last_event_at: Option<DateTime<Utc>>,
    pub triaged_at: Option<DateTime<Utc>>,
    pub contained_at: Option<DateTime<Utc>>,
    pub closed_at: Option<DateTime<Utc>>,
    pub root_cause: String,
    pub lessons: String,
    pub merged_into: Option<IncidentId>,
    pub serious: Option<SeriousKind>,
    pub serious_aware_at: Option<DateTime<Utc>>,
    /// What the report to the authority says so far.
    pub serious_report: Value,
}

/// A clock of an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentClock {
    pub incident: IncidentId,
    pub kind: ClockKind,
    /// The targets it was made with.
    pub target: String,
    pub started_at: DateTime<Utc>,
    /// Moved by as long as it was paused.
    pub due_at: DateTime<Utc>,
    pub paused_at: Option<DateTime<Utc>>,
    pub done_at: Option<DateTime<Utc>>,
    pub breached_at: Option<DateTime<Utc>>,
}

impl IncidentClock {
    /// How it stands at a time.
    #[must_use]
    pub fn state(&self, now: DateTime<Utc>) -> ClockState {
        match (self.done_at, self.paused_at) {
            (Some(done), _) if done <= self.due_at => ClockState::Met,
            (Some(_), _) => ClockState::Breached,
            (None, Some(paused)) if paused <= self.due_at => ClockState::Paused,
            (None, None) if now < self.due_at => ClockState::Running,
            (None, _) => ClockState::Breached,
        }
    }
}

/// What conditions of playbooks read.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    pub id: IncidentId,
    pub number: i32,
    pub title: String,
    pub severity: Severity,
    pub status: IncidentStatus,
    /// `PERSON`, `API`, `RULE` or `PLAYBOOK`.
    pub origin: String,
    /// The correlation rule that opened it.
    pub rule: Option<String>,
    /// `framework@version:id` of its findings and its rule, sorted.
    pub categories: Vec<String>,
    /// Rules of its findings, sorted, at most 100.
    pub rules: Vec<String>,
    /// Assets by kind, with their ids and external keys, at most 100 of each.
    pub agents: Vec<FactAsset>,
    pub models: Vec<FactAsset>,
    pub assets: Vec<FactAsset>,
    /// Runs of agents.
    pub sessions: Vec<Uuid>,
    /// The worst exposure and criticality of its assets; null without assets.
    pub exposure: Option<String>,
    pub criticality: Option<String>,
    pub counts: Counts,
    /// `serious`, `contained`.
    pub flags: Flags,
}

/// An asset of an incident.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FactAsset {
    pub id: AssetId,
    pub kind: String,
    pub key: String,
    pub name: String,
    pub exposure: String,
    pub criticality: String,
}

/// How much belongs to an incident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    pub findings: i64,
    pub events: i64,
    pub sessions: i64,
    pub assets: i64,
    pub containments: i64,
}

/// What is so, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Flags {
    /// A serious incident in the sense of the EU AI Act.
    pub serious: bool,
    pub contained: bool,
}

/// The database's refusal of a step that is not in [`TRANSITIONS`], in words.
pub(super) fn no_such_step(from: IncidentStatus, to: IncidentStatus) -> Error {
    let allowed: Vec<&str> = next(from).map(IncidentStatus::as_str).collect();
    Error::conflict(format!(
        "to: an incident that is {from} can not become {to}; it can become {}.",
        allowed.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_leads_to_closed_and_back() {
        for status in IncidentStatus::ALL {
            if *status == IncidentStatus::Closed {
                assert_eq!(next(*status).collect::<Vec<_>>(), [IncidentStatus::Triaged]);
            } else {
                assert_eq!(step(*status, IncidentStatus::Closed), Some(Manner::Forward), "{status}");
            }
            assert_eq!(step(*status, *status), None);
        }
        // What can be undone was done by a step forward.
        for (from, to, _) in TRANSITIONS.iter().filter(|step| step.2 == Manner::Back) {
            assert_eq!(step(*to, *from), Some(Manner::Forward), "{from} back to {to}");
        }
    }

    #[test]
    fn a_clock_tells_how_it_stands() {
        let at = |minute: i64| DateTime::from_timestamp(minute * 60, 0).unwrap();
        let clock = IncidentClock {
            incident: IncidentId(Uuid::nil()),
            kind: ClockKind::Triage,
            target: String::new(),
            started_at: at(0),
            due_at: at(15),
            paused_at: None,
            done_at: None,
            breached_at: None,
        };
        assert_eq!([at(14), at(15)].map(|now| clock.state(now)), [ClockState::Running, ClockState::Breached]);
        let paused = IncidentClock { paused_at: Some(at(10)), ..clock.clone() };
        assert_eq!(paused.state(at(500)), ClockState::Paused);
        let late = IncidentClock { paused_at: Some(at(16)), ..clock.clone() };
        assert_eq!(late.state(at(17)), ClockState::Breached, "pausing does not heal");
        let done = |minute| IncidentClock { done_at: Some(at(minute)), ..clock.clone() }.state(at(99));
        assert_eq!((done(15), done(16)), (ClockState::Met, ClockState::Breached));
    }
}
