//! The dashboard's only source of data: the public GraphQL API, with documents that are checked against the schema when this crate compiles.
//!
//! On the server a request runs in process through the [`Executor`](crate::context::Executor) of the page's context; in the
//! browser it is posted to `/graphql` with the session cookie. Both give the reply as text, which [`parse`] reads: so there is
//! one kind of resource for all pages, and the text that the server rendered from is what the browser hydrates from.

#[cfg(not(feature = "hydrate"))]
mod incidents;
#[cfg(not(feature = "hydrate"))]
mod notify;
mod operations;
#[cfg(not(feature = "hydrate"))]
mod playbooks;
mod read;
#[cfg(not(feature = "hydrate"))]
mod runtime;
mod transport;

#[cfg(not(feature = "hydrate"))]
pub use incidents::*;
#[cfg(not(feature = "hydrate"))]
pub use notify::*;
pub use operations::*;
#[cfg(not(feature = "hydrate"))]
pub use playbooks::*;
#[cfg(not(feature = "hydrate"))]
pub use runtime::*;
pub use transport::send;

use std::fmt;

use graphql_client::GraphQLQuery;
use serde::de::DeserializeOwned;
use serde_json::Value;

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
    let data = data(reply)?;
    read::read(&data).map_err(unreadable)
}

/// The data of a reply as it came.
///
/// # Errors
/// See [`parse`].
pub fn data(reply: &str) -> Result<Value, GqlError> {
    let mut reply: Value = serde_json::from_str(reply).map_err(unreadable)?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(error) = reply.pointer("/errors/0") {
        let extensions = &error["extensions"];
        return Err(GqlError {
            code: text(&extensions["code"]).unwrap_or_else(|| "INTERNAL".into()),
            message: text(&error["message"]).unwrap_or_default(),
            request_id: text(&extensions["requestId"]),
        });
    }
    match reply.get_mut("data").map(Value::take) {
        Some(data) if !data.is_null() => Ok(data),
        _ => Err(GqlError::network("The answer was empty.")),
    }
}

fn unreadable(error: impl fmt::Display) -> GqlError {
    GqlError::network(format!("The answer could not be read: {error}."))
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
