//! Incidents: what belongs together when something goes wrong, from the first sign to the lessons.
//!
//! Owns `incident` and the tables named after it, and `correlation_*`.
//!
//! * An incident is opened by a person, by API, by a playbook ([`open`]) or by correlation ([`correlate`]). A key that is held by an
//!   incident that is not closed opens no second one: a unique index says so, however many workers try at once.
//! * Its path is one table, [`TRANSITIONS`], which the database enforces. What it was is never rewritten: the timeline only grows.
//! * Clocks run from when it was opened, by targets that are versioned data. They pause; nothing starts them again.
//! * Correlation counts each event once, whoever wrote it and whenever it was committed; the count of an incident is exact, its
//!   sample of events is small.
//!
//! The functions over a transaction are for playbooks, which do a step's effect and its record at once; what people do is in [`acts`], what they see in [`reading`].

pub mod acts;
pub mod clocks;
pub mod correlate;
mod correlate_repo;
mod domain;
pub mod jobs;
mod more_repo;
pub mod reading;
mod repo;
pub mod report;
mod service;
#[cfg(test)]
mod tests;

pub use domain::*;
pub use service::{attach, facts, note, open, transition};
