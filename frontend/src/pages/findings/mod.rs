//! The list of findings with its drawer, and the page of one finding.

mod bulk;
mod decide;
mod detail;
mod filter;
mod list;
mod saved;

pub use detail::finding;
pub use list::findings;
