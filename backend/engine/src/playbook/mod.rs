//! Playbooks: what is done about an incident, step by step.
//!
//! A playbook is a YAML document (`docs/playbooks.md`; the schema is [`SCHEMA`]). [`read`] makes a [`Playbook`] of it, or says everything
//! that is wrong with it, each with line and column. [`plan`] is the state machine: from a playbook, what is stored of its steps, and the
//! time, it says what is to be done next. Both are pure; whoever drives a run stores each step's [`State`] with the effect that it stands
//! for, so a run can go on from whatever was stored last.
//!
//! Jumps lead forward only, so every run ends.

mod condition;
mod flow;
mod library;
mod machine;
mod parse;
#[cfg(test)]
mod tests;
mod yaml;

pub use condition::{Condition, FACTS, Facts, Kind as FactKind};
pub use flow::{Edge, Flow, flow};
pub use library::{BuiltIn, library};
pub use machine::{Do, End, Plan, State, States, Why, plan};
pub use parse::read;

use crate::policy::Preset;

/// The JSON Schema of a playbook, served at `/api/schemas/playbook.json`.
pub const SCHEMA: &str = include_str!("../../assets/playbook.schema.json");
/// The largest document, in bytes.
pub const MAX_SOURCE: usize = 64 * 1024;
/// Steps of a playbook, those of parallel groups included.
pub const MAX_STEPS: usize = 60;
/// Roles that a task or a gate can name.
pub const ROLES: [&str; 4] = ["OWNER", "ADMIN", "ANALYST", "RESPONDER"];
/// Where an incident can stand, in its natural order.
pub const STATUSES: [&str; 6] = ["OPEN", "TRIAGED", "CONTAINED", "ERADICATED", "RECOVERED", "CLOSED"];

/// Something that is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: u64,
    /// From 1, in characters.
    pub column: u64,
    /// The path of the field and what is allowed there: `steps[2].retry.times: must be a whole number of 0 to 10`.
    pub message: String,
}

/// A checked playbook.
#[derive(Clone, Debug, PartialEq)]
pub struct Playbook {
    /// Its name in addresses and files: `direct-prompt-injection`.
    pub id: String,
    pub title: String,
    pub summary: String,
    /// Counted up by its author with each change.
    pub version: u32,
    /// `framework@version:id`, as in `stance_shared::taxonomy`.
    pub sources: Vec<String>,
    pub trigger: Trigger,
    pub steps: Vec<Step>,
}

/// What starts a run by itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// Nothing: people do.
    Manual,
    /// An incident that opened or changed and fits the condition; once for each incident and version.
    Incident(Condition),
}

/// A step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub id: String,
    pub title: String,
    pub kind: Kind,
    /// Seconds from its first start, over all attempts, after which it has failed.
    pub timeout: Option<u64>,
    pub retry: Retry,
    pub on_failure: OnFailure,
    /// Where it goes on afterwards; `None`: with the step below.
    pub next: Option<Target>,
    /// The line of the document where it begins.
    pub line: u64,
}

/// How often a failed step is tried again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// Attempts after the first, at most 10.
    pub times: u16,
    /// Seconds between two attempts.
    pub after: u64,
}

/// What becomes of a run whose step failed, timed out, or was declined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The run has failed.
    #[default]
    Stop,
    /// It goes on as if the step had been done.
    Continue,
    GoTo(Target),
}

/// Where a jump leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A later step.
    Step(String),
    /// The end of the run, which is done.
    End,
}

impl Target {
    /// As documents write it: the step's id, or `end`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Step(id) => id,
            Self::End => "end",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    #[must_use]
    pub fn of(word: &str) -> Self {
        if word == "end" { Self::End } else { Self::Step(word.to_owned()) }
    }
}

/// What a step is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Something that a person does and then says so.
    Task {
        role: String,
        instructions: String,
        /// What they can answer; empty: only that it is done.
        choices: Vec<String>,
        /// Whether it is an attack that the red team is to try again.
        red_team: bool,
    },
    /// A person of the role (or an owner or administrator) says whether the run may go on.
    Approval {
        role: String,
        question: String,
    },
    Action(Action),
    /// The first condition that holds decides where the run goes on. Decided once.
    Branch {
        arms: Vec<(Condition, Target)>,
        otherwise: Target,
    },
    /// Steps that are all started at once; it is over when all of them are.
    Parallel(Vec<Step>),
    /// Goes on after so many seconds.
    Wait(u64),
}

impl Kind {
    /// The word in documents.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Task { .. } => "task",
            Self::Approval { .. } => "approval",
            Self::Action(_) => "action",
            Self::Branch { .. } => "branch",
            Self::Parallel(_) => "parallel",
            Self::Wait(_) => "wait",
        }
    }
}

/// What of an agent's doing a quarantine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    BlockAll,
    ToolsOnly,
    EgressOnly,
    HumanApproval,
}

impl Grade {
    pub const ALL: [Self; 4] = [Self::BlockAll, Self::ToolsOnly, Self::EgressOnly, Self::HumanApproval];

    /// The word in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlockAll => "block-all",
            Self::ToolsOnly => "tools-only",
            Self::EgressOnly => "egress-only",
            Self::HumanApproval => "human-approval",
        }
    }
}

/// Something that Stance does itself. "The incident's agents" are the agents among its assets.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Contains the incident's agents. Undo: releases them.
    Quarantine {
        grade: Grade,
        /// Seconds until they are released by themselves.
        expires_after: Option<u64>,
        reason: String,
    },
    /// Releases what this run contained.
    Release { reason: String },
    /// Takes from the incident's agents the relation "may call" to tools of these names (`*` for any characters). Undo: gives it back.
    RevokeToolGrants { tools: Vec<String> },
    /// Revokes the API tokens of these names (`*` for any characters).
    RevokeTokens { names: Vec<String> },
    /// Puts a version with the stricter preset in force of each policy that is in force for the incident's agents. Undo: the former one.
    RaisePolicy { to: Preset },
    /// Tells those whom the notification rules name.
    Notify { title: String, text: String },
    /// Posts the incident, signed, to a webhook channel of the organization.
    Webhook { channel: String },
    /// The same, with the text of a ticket; the link in the answer goes to the incident.
    CreateTicket { channel: String, title: String, text: String },
    /// Opens an incident, which the steps that follow are about; only in a run that has none. `severity` is a severity's word.
    OpenIncident { title: String, text: String, severity: String },
    /// Keeps what is known now in the incident's timeline.
    CollectEvidence,
    /// Moves the incident on.
    Transition { to: String, reason: String, root_cause: Option<String>, lessons: Option<String> },
}

impl Action {
    /// Every action's word.
    pub const WORDS: [&str; 11] = [
        "quarantine",
        "release",
        "revoke-tool-grants",
        "revoke-tokens",
        "raise-policy",
        "notify",
        "webhook",
        "create-ticket",
        "open-incident",
        "collect-evidence",
        "transition",
    ];

    /// The word in documents.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Quarantine { .. } => "quarantine",
            Self::Release { .. } => "release",
            Self::RevokeToolGrants { .. } => "revoke-tool-grants",
            Self::RevokeTokens { .. } => "revoke-tokens",
            Self::RaisePolicy { .. } => "raise-policy",
            Self::Notify { .. } => "notify",
            Self::Webhook { .. } => "webhook",
            Self::CreateTicket { .. } => "create-ticket",
            Self::OpenIncident { .. } => "open-incident",
            Self::CollectEvidence => "collect-evidence",
            Self::Transition { .. } => "transition",
        }
    }

    /// Whether a person can take it back.
    #[must_use]
    pub const fn has_undo(&self) -> bool {
        matches!(self, Self::Quarantine { .. } | Self::RevokeToolGrants { .. } | Self::RaisePolicy { .. })
    }

    /// Whether its effect is outside of our database, so that it can be made at least once, not exactly once.
    #[must_use]
    pub const fn is_outside(&self) -> bool {
        matches!(self, Self::Webhook { .. } | Self::CreateTicket { .. })
    }
}

impl Playbook {
    /// All steps, each group before its parts.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().flat_map(|step| {
            let parts: &[Step] = if let Kind::Parallel(parts) = &step.kind { parts } else { &[] };
            std::iter::once(step).chain(parts)
        })
    }

    /// The step of an id.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.all_steps().find(|step| step.id == id)
    }
}
