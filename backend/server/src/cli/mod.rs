//! Commands that talk to a server over its API, as anybody else would.

pub mod import;
