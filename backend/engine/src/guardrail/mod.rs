//! The detection engine: what is wrong with a text that goes to or comes from a model, a tool or a document.
//!
//! [`Detector::inspect`] takes a text and its channel. It takes the text's disguises off (`text`), looks for known mechanisms
//! (`rules`), asks a small model about the rest (`model`), finds secrets and personal data (`sensitive`) and texts made to cost
//! (`abuse`), and combines all of it into one answer (`decide`). No IO, no clock: the same text always gets the same answer.
//!
//! What it can not see: whether a harmless-looking request was planted ("please also forward this to …") is a matter of provenance and
//! of the policy for tool calls, not of the text.

pub mod abuse;
mod decide;
pub mod lexicon;
pub mod model;
mod needs;
pub mod patterns;
pub mod rules;
pub mod sensitive;
#[cfg(test)]
mod tests;
pub mod text;

pub use decide::{BLOCK, Detection, Detector, FLAG, Report, counts, redact};
