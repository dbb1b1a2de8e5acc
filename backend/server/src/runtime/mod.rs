//! The runtime layer: what agents say and do while they run, and what may pass.
//!
//! Owns `event` and what is counted of it, `policy`, `sensor`, `agent_session`, `event_feedback`, `runtime_setting`.
//!
//! * [`Guard`] answers “may this pass?” from memory. What it knows of an organization (policies, agents, what was spent) is at most
//!   [`guard::REFRESH`] old, and reloaded at once when a policy changes. While the database does not answer it goes on with what it
//!   knows for [`guard::STALE`], then refuses.
//! * What the guard saw goes to the [`Recorder`]: in batches, off the request's path. A full queue refuses requests; it never drops an
//!   event. At most what is in the queue or being written ([`recorder::LINGER`] and a transaction) is lost when the process is killed.
//! * What sensors tell ([`events::ingest`]) is inspected and written before they are answered.
//! * An event is there once, however often it is told: its id is made of its sensor's and its own name ([`domain::event_id`]).
//! * Text is kept only when the organization says so, and never what was to be redacted.
//!
//! Nobody reads events to count them: the statement that writes them also counts them.

pub mod containment;
pub mod domain;
pub mod events;
pub mod guard;
pub mod jobs;
pub(crate) mod jobs_repo;
pub mod overview;
pub mod partitions;
pub mod policies;
mod policies_repo;
pub mod quality;
pub mod recorder;
mod repo;
pub mod sensors;
mod store;
#[cfg(test)]
mod tests;

pub use domain::*;
pub use guard::Guard;
pub use recorder::Recorder;
