//! Inventory: assets, how they depend on each other, what changed on them.
//!
//! * An asset is one per (kind, external key) in an organization. Nothing here deletes one; it is retired.
//! * `risk_factor` is always exposure × criticality of `stance-risk/1`; whoever changes those marks the asset for scoring.
//!   `risk` is kept by scoring.
//! * Every change writes a line of history, and an audit entry when a person or token made it.
//!
//! Called by findings, imports and scoring.

mod domain;
mod repo;
pub mod service;

#[cfg(test)]
mod tests;

pub use domain::*;
