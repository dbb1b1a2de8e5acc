//! Traces in OTLP, as agents' SDKs and collectors send them to `POST /v1/traces`. What is taken from which attribute: `../README.md`.
//!
//! Pure and without memory: what an export does not hold (the parent of a span, which ends later and so may come with a later
//! export) is not known. Ids of events are made of what both exports have, so that what is told twice has one id.

mod attributes;
mod calls;
mod dialect;
mod inventory;
mod message;
mod node;
mod tell;
#[cfg(test)]
mod tests;
mod wire;

use chrono::{DateTime, Utc};

use super::Told;
use crate::ImportError;

/// The largest export, decompressed.
pub const MAX_EXPORT_BYTES: usize = 16 << 20;

/// The most spans of one export; those behind are left out.
pub const MAX_SPANS: usize = 10_000;

/// The most events that one export becomes; those behind are left out.
pub const MAX_EVENTS: usize = 20_000;

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`
    Protobuf,
    /// `application/json`
    Json,
}

/// Reads an `ExportTraceServiceRequest` that came at `now`.
///
/// Every event keeps [`super::check`]. Texts are cut at [`super::MAX_TEXT_BYTES`]. Spans that can not be read, and whatever passes a
/// limit, are gaps: `unreadable-span`, `limit`, `cut`. While it reads it takes up to about 16 times the size of a span
/// (at most 4 MiB) beside what the texts take.
///
/// # Errors
/// [`ImportError::TooLarge`] beyond [`MAX_EXPORT_BYTES`]; [`ImportError::Malformed`] when it is no such request.
pub fn read(body: &[u8], encoding: Encoding, now: DateTime<Utc>) -> Result<Told, ImportError> {
    if body.len() > MAX_EXPORT_BYTES {
        return Err(ImportError::TooLarge(format!("an export may have at most {} MiB", MAX_EXPORT_BYTES >> 20)));
    }
    let mut nodes = node::Nodes::default();
    wire::read(body, encoding, &mut nodes)?;
    Ok(tell::tell(nodes, now))
}

/// The `ExportTraceServiceResponse` to an export in protobuf: empty when everything was taken.
#[must_use]
pub fn response(rejected_spans: i64, why: &str) -> Vec<u8> {
    let partial_success =
        (rejected_spans > 0).then(|| wire::PartialSuccess { rejected_spans, error_message: why.to_owned() });
    prost::Message::encode_to_vec(&wire::Response { partial_success })
}
