//! Stance's pure core: finding identity, the risk formula, guardrail detection and policies. No IO, no clock, no async.

pub mod correlation;
pub mod fingerprint;
pub mod guardrail;
pub mod playbook;
pub mod policy;
pub mod rate;
pub mod risk;
pub mod sequence;
pub mod sla;
