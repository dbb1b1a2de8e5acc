//! Stance's pure core: finding identity and the risk formula. No IO, no clock, no async.

pub mod fingerprint;
pub mod guardrail;
pub mod risk;
