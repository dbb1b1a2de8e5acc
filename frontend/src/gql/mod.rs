//! The dashboard's only source of data: the public GraphQL API, with documents that are checked against the schema when this crate compiles.
//!
//! On the server a request runs in process through the [`Executor`](crate::context::Executor) of the page's context; in the
//! browser it is posted to `/graphql` with the session cookie. Both give the reply as text, which [`parse`] reads: so there is
//! one kind of resource for all pages, and the text that the server rendered from is what the browser hydrates from.

mod operations;
mod transport;

pub use operations::*;
pub use transport::send;

use std::fmt;

use graphql_client::GraphQLQuery;
use serde::{Deserialize, de::DeserializeOwned};

/// Why a request gave no data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GqlError {
    /// The machine-readable code, for example `FORBIDDEN`; `NETWORK` when no answer came.
    pub code: String,
    /// A sentence for the reader.
    pub message: String,
    /// The request's id in the server's log.
    pub request_id: Option<String>,
}

impl GqlError {
    /// No usable answer came; `message` says what happened.
    #[must_use]
    pub fn network(message: impl Into<String>) -> Self {
        Self { code: "NETWORK".into(), message: message.into(), request_id: None }
    }
}

impl fmt::Display for GqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: Option<T>,
    #[serde(default)]
    errors: Vec<RawError>,
}

#[derive(Deserialize)]
struct RawError {
    message: String,
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Default, Deserialize)]
struct Extensions {
    code: Option<String>,
    #[serde(alias = "requestId")]
    request_id: Option<String>,
}

/// The request body of an operation.
///
/// # Panics
/// Never: variables are plain data.
#[must_use]
pub fn body<Q: GraphQLQuery>(variables: Q::Variables) -> String {
    serde_json::to_string(&Q::build_query(variables)).unwrap_or_default()
}

/// Reads a reply. The first error wins over partial data: a page with holes would show absence where there is failure.
///
/// # Errors
/// What the API answered, or `NETWORK` when the text is no reply.
pub fn parse<T: DeserializeOwned>(reply: &str) -> Result<T, GqlError> {
    let envelope: Envelope<T> =
        serde_json::from_str(reply).map_err(|e| GqlError::network(format!("The answer could not be read: {e}.")))?;
    match (envelope.errors.into_iter().next(), envelope.data) {
        (Some(error), _) => Err(GqlError {
            code: error.extensions.code.unwrap_or_else(|| "INTERNAL".into()),
            message: error.message,
            request_id: error.extensions.request_id,
        }),
        (None, Some(data)) => Ok(data),
        (None, None) => Err(GqlError::network("The answer was empty.")),
    }
}

/// Runs an operation.
///
/// # Errors
/// See [`parse`].
pub async fn query<Q: GraphQLQuery>(variables: Q::Variables) -> Result<Q::ResponseData, GqlError> {
    parse(&send(body::<Q>(variables)).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_wins_over_partial_data() {
        let reply =
            r#"{"data":{"a":1},"errors":[{"message":"No.","extensions":{"code":"FORBIDDEN","requestId":"r1"}}]}"#;
        let error = parse::<serde_json::Value>(reply).unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.message.as_str(), error.request_id.as_deref()),
            ("FORBIDDEN", "No.", Some("r1"))
        );
        assert_eq!(parse::<serde_json::Value>("<html>").unwrap_err().code, "NETWORK");
        assert_eq!(parse::<serde_json::Value>(r#"{"data":{"a":1}}"#).unwrap()["a"], 1);
    }
}
