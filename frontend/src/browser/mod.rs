//! What only a browser can do. On the server the same functions exist and do nothing, so that pages need no conditions.

#[cfg(feature = "hydrate")]
mod attributes;
#[cfg(feature = "hydrate")]
mod listen;
#[cfg(feature = "hydrate")]
mod page;
#[cfg(feature = "hydrate")]
mod served;
#[cfg(feature = "hydrate")]
mod upload;

#[cfg(feature = "hydrate")]
pub use {listen::*, page::*, served::*, upload::*};

#[cfg(not(feature = "hydrate"))]
mod absent;
#[cfg(not(feature = "hydrate"))]
pub use absent::*;

/// How an upload goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum UploadEvent {
    /// So many bytes of so many are sent.
    Sent(f64, f64),
    /// The server has accepted the report with this id.
    Accepted(String),
    /// The server or the network refused, with a sentence for the reader.
    Refused(String),
}
