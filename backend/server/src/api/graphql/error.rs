//! `kernel::Error` as a GraphQL error: `extensions {code, fields}`; `requestId` is added by [`super::limits`].

use crate::kernel::{Error, Kind};
use async_graphql::{ErrorExtensionValues, Value};

impl From<Error> for async_graphql::Error {
    fn from(error: Error) -> Self {
        if error.kind == Kind::Internal {
            tracing::error!(cause = error.internal_text(), "a resolver failed");
        } else if let Some(cause) = error.internal_text() {
            tracing::warn!(cause, code = error.kind.code(), "a resolver failed");
        }
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", error.kind.code());
        if !error.fields.is_empty() {
            let fields = async_graphql::to_value(&error.fields).unwrap_or(Value::Null);
            extensions.set("fields", fields);
        }
        if let Some(after) = error.retry_after {
            extensions.set("retryAfter", after.as_secs().max(1));
        }
        Self { message: error.public, source: None, extensions: Some(extensions) }
    }
}
