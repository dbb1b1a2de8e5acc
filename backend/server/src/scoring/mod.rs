//! Risk figures: of assets, per layer, of the organization, their history, and why they are what they are.
//!
//! Owns `score_dirty`, `asset_risk`, `asset_risk_day`, `posture`, `posture_day`, and the columns `asset.risk` and
//! `finding.risk`. Whoever changes something that a figure depends on calls [`mark_dirty`] in the same transaction; a job
//! computes anew what is marked, once for however many changes. The formula is `stance_engine::risk`.
//!
//! * Null is "unassessed" and never zero: a layer counts as assessed when something was ever found or checked in it.
//! * A figure is stored with its formula and the hash of its inputs, and with what is known at all: fresh of total checks.
//! * Cost: a grouped scan over the marked assets' findings, then memory in the number of assets and relations.

mod compute;
mod domain;
mod explain;
pub mod jobs;
mod repo;
mod service;
#[cfg(test)]
mod tests;

pub use domain::*;
pub use explain::{
    Gap, RiskyAsset, Share, Shares, TopFindings, checks, gaps, points, riskiest, shares, top_findings, top_of_layer,
};
pub use service::{asset_history, asset_risks, day_changes, is_pending, mark_dirty, posture, posture_history};
