//! Risk figures: of assets, per layer, of the organization, their history, and why they are what they are.
//!
//! Owns `score_dirty`, `asset_risk`, `asset_risk_day`, `posture`, `posture_day`, and the columns `asset.risk` and
//! `finding.risk`. Whoever changes something that a figure depends on calls [`mark_dirty`] in the same transaction; a job
//! computes anew what is marked, once for however many changes. The formula is `stance_engine::risk`.

pub mod jobs;
mod service;

pub use service::mark_dirty;
