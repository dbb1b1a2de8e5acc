//! Inventory: assets, how they depend on each other, what changed on them.
//!
//! * An asset is one per (kind, normal form of the external key) in an organization. Nothing here deletes one; it is retired, or
//!   becomes an alias: part of another one, whose key means that one from then on.
//! * `risk_factor` is always exposure × criticality of `stance-risk/1`; whoever changes those marks the asset for scoring.
//!   `risk` is kept by scoring.
//! * Who said what of an asset is kept ([`provenance`]): what was declared wins over what tools mention, the newest among each.
//! * Every change writes a line of history, and an audit entry when a person or token made it.
//!
//! Called by findings, imports and scoring.

pub mod aliases;
mod aliases_repo;
mod domain;
pub mod grants;
mod grants_repo;
pub mod provenance;
mod provenance_repo;
mod repo;
pub mod service;

#[cfg(test)]
mod tests;

pub use domain::*;
