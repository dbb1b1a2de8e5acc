//! Findings: what is wrong with an asset, who says so, what people decided about it.
//!
//! * Three tables: `finding` is identity (one row per problem, for ever), `occurrence` what one scan says of it, `decision`
//!   what a person said. A finding's status is derived by the database: no state can contradict it.
//! * Imports write findings and occurrences; this slice reads them, and owns decisions, assignees, comments and history.
//! * One act of triage is a batch: it changes any number of findings at once and can be undone at once, where nothing
//!   newer happened.
//!
//! Called by imports (history), scoring (reading) and the API.

pub mod aliases;
mod aliases_repo;
mod domain;
pub mod export;
mod repo;
pub mod service;
mod triage;
mod triage_repo;

#[cfg(test)]
pub(crate) mod tests;

pub use domain::*;
pub use triage::{Action, MAX_TRIAGE, Triage, Triaged, expire_due, triage, undo};
