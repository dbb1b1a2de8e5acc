//! Playbooks and runs as they are stored.

use crate::{
    inventory::grants::Grant,
    kernel::{Error, Result},
    runtime::policies::Raised,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use stance_engine::playbook::{self as engine, Facts, State, States, Target, Why};
use stance_shared::{IncidentId, PlaybookId, PlaybookRunId, PlaybookRunStatus, PlaybookStepState};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Playbooks that an organization can make.
pub const MAX_PLAYBOOKS: i64 = 100;
/// Versions of one of them.
pub const MAX_VERSIONS: i32 = 1_000;
/// Runs that one playbook starts in an hour, and that an organization does.
pub const RUNS_PER_HOUR: i64 = 20;
pub const ALL_RUNS_PER_HOUR: i64 = 100;
/// Characters of a note, a comment on an approval.
pub const MAX_NOTE: usize = 1_000;

/// A playbook in its newest version.
#[derive(Clone, Debug)]
pub struct Playbook {
    pub id: PlaybookId,
    /// The `id` of its document.
    pub slug: String,
    /// It comes with Stance, and can be copied, not changed.
    pub built_in: bool,
    /// Its trigger starts it.
    pub enabled: bool,
    pub version: i32,
    pub source: String,
}

/// A version of a playbook.
#[derive(Clone, Debug)]
pub struct Version {
    pub playbook: PlaybookId,
    pub version: i32,
    pub source: String,
    pub note: String,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
}

/// Reads a text that was checked when it was stored.
///
/// # Errors
/// Only when this Stance is stricter than the one that stored it; a sentence with the first mistake.
pub fn read(source: &str) -> Result<engine::Playbook> {
    engine::read(source).map_err(|problems| {
        let first = problems.first().map(told).unwrap_or_default();
        Error::conflict(format!("This version of the playbook can not be read any more: {first}"))
    })
}

/// A problem in a line.
#[must_use]
pub fn told(problem: &engine::Problem) -> String {
    format!("line {}, column {}: {}", problem.line, problem.column, problem.message)
}

/// The id of a playbook that comes with Stance: the same everywhere.
#[must_use]
pub fn built_in_id(slug: &str) -> PlaybookId {
    let digest = Sha256::digest(format!("stance-playbook:{slug}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    PlaybookId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    pub id: PlaybookRunId,
    pub playbook: PlaybookId,
    pub version: i32,
    /// The playbook's.
    pub title: String,
    pub incident: Option<IncidentId>,
    pub dry_run: bool,
    /// Started by the playbook's trigger.
    pub triggered: bool,
    pub status: PlaybookRunStatus,
    /// Why it failed or was refused; else empty.
    pub reason: String,
    pub started_by: String,
    pub started_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    /// When to look at it again; `None`: it waits for a person.
    pub wake_at: Option<DateTime<Utc>>,
}

/// What is known of a step that was begun.
#[derive(Clone, Debug)]
pub struct StepRecord {
    pub run: PlaybookRunId,
    pub step: String,
    pub state: PlaybookStepState,
    /// No other attempt would mend its failure.
    pub is_final: bool,
    pub attempt: i16,
    pub started_at: DateTime<Utc>,
    /// When it came to its state.
    pub at: DateTime<Utc>,
    /// Who or what brought it there.
    pub by: String,
    /// What it was to do, as a dry run says it.
    pub plan: String,
    /// What came of it.
    pub outcome: String,
    /// A task's choice; a branch's target.
    pub answer: Option<String>,
    pub detail: Detail,
}

/// What a step needs to be taken back, and what it learned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Detail {
    /// Made by it, with the agents' names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub containments: Vec<(Uuid, String)>,
    /// Taken away by it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
    /// Changed by it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Raised>,
    /// The ticket's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl StepRecord {
    /// As the state machine sees it; `None`: it does not count (cancelled with its run).
    fn state(&self) -> Option<State> {
        let (since, at) = (self.started_at.timestamp(), self.at.timestamp());
        let attempt = u16::try_from(self.attempt).unwrap_or(1);
        let failed = |why| Some(State::Failed { since, at, attempt, why });
        match self.state {
            PlaybookStepState::Pending => None,
            PlaybookStepState::Started => Some(State::Started { since, attempt }),
            // What was taken back was done all the same.
            PlaybookStepState::Done | PlaybookStepState::Undone => Some(State::Done { chosen: None }),
            PlaybookStepState::Failed if self.is_final => failed(Why::Final),
            PlaybookStepState::Failed => failed(Why::Error),
            PlaybookStepState::TimedOut => failed(Why::TimedOut),
            PlaybookStepState::Declined => failed(Why::Declined),
            PlaybookStepState::Cancelled => failed(Why::Final),
        }
    }
}

/// The steps as the state machine sees them.
#[must_use]
pub fn states(playbook: &engine::Playbook, records: &[StepRecord]) -> States {
    let branches: Vec<&str> = (playbook.steps.iter())
        .filter(|step| matches!(step.kind, engine::Kind::Branch { .. }))
        .map(|step| step.id.as_str())
        .collect();
    let mut states = States::new();
    for record in records {
        let chosen = record.answer.as_deref().filter(|_| branches.contains(&record.step.as_str())).map(Target::of);
        match record.state() {
            Some(State::Done { .. }) => drop(states.insert(record.step.clone(), State::Done { chosen })),
            Some(state) => drop(states.insert(record.step.clone(), state)),
            None => {}
        }
    }
    states
}

/// What conditions read: the incident's facts, and what people answered in the run.
#[must_use]
pub fn facts(incident: Option<&crate::incidents::Facts>, records: &[StepRecord]) -> Facts {
    let answers: BTreeMap<String, String> =
        records.iter().filter_map(|record| Some((record.step.clone(), record.answer.clone()?))).collect();
    let mut known = serde_json::Map::new();
    if let Some(facts) = incident {
        let told = serde_json::json!({
            "severity": facts.severity, "status": facts.status, "rule": facts.rule, "categories": facts.categories,
            "rules": facts.rules, "tools": facts.assets.iter().filter(|a| a.kind == "TOOL").map(|a| &a.name).collect::<Vec<_>>(),
            "agents": facts.agents.len(), "models": facts.models.len(), "assets": facts.counts.assets,
            "findings": facts.counts.findings, "events": facts.counts.events, "sessions": facts.counts.sessions,
            "serious": facts.flags.serious, "contained": facts.flags.contained,
        });
        if let serde_json::Value::Object(told) = told {
            known = told;
        }
    }
    Facts { incident: known, answers }
}
