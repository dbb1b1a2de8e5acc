//! Imports: a tool's report becomes assets, findings and their occurrences.
//!
//! Owns `report`, `report_body`, `scan`, `report_scan`, and writes `finding`, `occurrence` and imported decisions.
//!
//! 1. **Accepted** ([`accept`]): the body is stored in pieces as it streams in, with its digest; a job is enqueued with it.
//! 2. **Staged** (`stage`): the job parses the pieces on a thread of its own and copies the findings into a temporary table.
//! 3. **Merged** (`merge`): a handful of set-based statements compare it with what is known.
//!
//! Invariants:
//! * Staging and merging are *one* transaction: whatever dies, nothing is half merged, and the job simply runs again.
//! * Reports of one organization are merged one after the other in the order of their ids, so a scan never goes back in time.
//! * The same bytes twice change nothing; the order of findings in a report means nothing.
//! * A finding that no scan reports any more is resolved, never deleted. A person's decision survives every import.
//! * Memory does not depend on the report's size.
//! * A body is kept no longer than it is needed: until its report is merged or found broken. Only what failed through no fault of
//!   its own keeps it, because its job can be driven again; the sweep ends that too.

mod domain;
pub mod jobs;
mod merge;
mod repo;
mod service;
mod source;
mod stage;
#[cfg(test)]
mod tests;

pub use domain::*;
pub use service::{accept, assets, by_ids, count, get, list, reopen, wait};
