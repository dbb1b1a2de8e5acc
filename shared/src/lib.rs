//! Stance's vocabulary, shared by the server, the importers, the risk engine and the dashboard.
//!
//! Nothing in here does IO, reads a clock or is asynchronous, and all of it compiles to WebAssembly.

pub mod ids;
#[cfg(feature = "taxonomy")]
pub mod taxonomy;
pub mod vocabulary;

pub use ids::*;
pub use vocabulary::*;
