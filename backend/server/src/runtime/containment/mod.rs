//! Containment: keeping an agent from acting, and proof that it is kept.
//!
//! Owns `containment`, `containment_agent`, `containment_policy`, `containment_approval`, `enforcement_point`, `enforcement` and
//! `server_process`.
//!
//! * What is to be enforced is a document with a revision: [`domain::Document`]. Each change makes the next one, in the transaction
//!   that says who asked for it and why.
//! * A point proves a containment in steps: it is told (`DISPATCHED`), names the hash of the document that it enforces
//!   (`ACKNOWLEDGED`), and denies canary calls in the name of the contained agents (`PROVEN`). The release is proven likewise: the
//!   hash of a document without the containment, and canaries that it does not deny. The database holds which steps are possible.
//! * A containment is PROVEN only while all points that are alive have proven it. A point that fails keeps its failure in the record, and
//!   is tried again for as long as the containment lasts.
//! * An agent is contained with all that it delegates to, under all their keys, and with the tokens that act as one of them.

pub mod domain;
pub mod enforce;
pub mod memory;
pub mod points;
mod points_repo;
mod repo;
pub mod service;
mod tending;
#[cfg(test)]
mod tests;
pub mod views;

pub use domain::{Canary, Contained, Document, Order, Outcome};
pub use enforce::{Enforcer, keep};
pub use service::{approve, quarantine, release};
pub use stance_shared::ContainmentGrade as Grade;
