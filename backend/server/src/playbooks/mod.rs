//! Playbooks: what is done about incidents, and that it is done once.
//!
//! Owns `playbook`, `playbook_version`, `playbook_run`, `playbook_step`. What a playbook is and what comes next in a run says
//! `stance_engine::playbook`; this slice keeps runs and makes effects.
//!
//! * A run keeps an outcome for each step and nothing else. [`drive`] asks the state machine what is next, does one thing, stores it, and
//!   asks again; a run that lost its worker goes on from what is stored.
//! * An effect in our database is one transaction with its step's outcome and its audit entry: exactly once.
//! * An effect outside (a webhook) is announced in one transaction, and made and recorded under the run's lock in the next: at least once,
//!   with the same `Idempotency-Key` each time, and by one worker at a time.
//! * A trigger starts a version once for each incident: a unique index says so.
//! * What comes with Stance is stored for an organization when it is first used there, by version, so that a run keeps the text that it
//!   was started with.

mod acts;
mod domain;
mod drive;
mod dry;
mod effects;
pub mod jobs;
mod repo;
mod service;
#[cfg(test)]
mod tests;

pub use acts::{approve, cancel, complete, pause, resume, retry, undo};
pub use domain::*;
pub use service::{
    RunFilter, archive, by_ids, list, newest_runs, run_count, runs, runs_by_ids, save, set_enabled, start, steps_of,
    validate, versions,
};
