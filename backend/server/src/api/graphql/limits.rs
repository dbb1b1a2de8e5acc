//! Bounds on what one request may ask for, and the last look at every error before it leaves.

use crate::kernel::Ctx;
use async_graphql::{
    Request, Response, ServerError, ServerResult, Variables,
    extensions::{
        Extension, ExtensionContext, ExtensionFactory, NextParseQuery, NextPrepareRequest, NextRequest, NextSubscribe,
    },
    parser::types::{ExecutableDocument, Selection, SelectionSet},
};
use futures::{StreamExt as _, stream::BoxStream};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

/// How deep selections nest. The introspection query of common tools needs 13.
pub const DEPTH: usize = 15;
/// How many fields an answer may have, lists counted by their `first`.
pub const COMPLEXITY: usize = 50_000;
/// How many directives a field may have.
pub const DIRECTIVES: usize = 5;
/// How many fields a document may rename: renaming repeats work without a longer list.
pub const ALIASES: usize = 30;
/// The document's size in bytes.
pub const DOCUMENT: usize = 32 * 1024;
/// How long a request may take. Longer than `ingestFindings` waits for its merge.
pub const TIME: Duration = Duration::from_secs(30);

/// Makes one [`Watch`] per request.
pub struct Limits;

impl ExtensionFactory for Limits {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Watch::default())
    }
}

#[derive(Default)]
struct Watch {
    request_id: Arc<OnceLock<String>>,
}

#[async_trait::async_trait]
impl Extension for Watch {
    async fn request(&self, ctx: &ExtensionContext<'_>, next: NextRequest<'_>) -> Response {
        let mut response = match tokio::time::timeout(TIME, next.run(ctx)).await {
            Ok(response) => response,
            Err(_) => Response::from_errors(vec![coded(
                "UNAVAILABLE",
                format!("The request took longer than {} s and was ended. Ask for less.", TIME.as_secs()),
            )]),
        };
        finish(&mut response, &self.request_id);
        response
    }

    fn subscribe<'s>(
        &self,
        ctx: &ExtensionContext<'_>,
        stream: BoxStream<'s, Response>,
        next: NextSubscribe<'_>,
    ) -> BoxStream<'s, Response> {
        let request_id = self.request_id.clone();
        let finished = stream.map(move |mut response| {
            finish(&mut response, &request_id);
            response
        });
        next.run(ctx, finished.boxed())
    }

    async fn prepare_request(
        &self,
        ctx: &ExtensionContext<'_>,
        request: Request,
        next: NextPrepareRequest<'_>,
    ) -> ServerResult<Request> {
        let asker = request.data.get(&std::any::TypeId::of::<Ctx>()).and_then(|data| data.downcast_ref::<Ctx>());
        if let Some(asker) = asker.or_else(|| ctx.data_opt()) {
            let _ = self.request_id.set(asker.request_id.clone());
        }
        next.run(ctx, request).await
    }

    async fn parse_query(
        &self,
        ctx: &ExtensionContext<'_>,
        query: &str,
        variables: &Variables,
        next: NextParseQuery<'_>,
    ) -> ServerResult<ExecutableDocument> {
        if query.len() > DOCUMENT {
            return Err(coded("LIMIT", format!("The document is larger than {DOCUMENT} bytes.")));
        }
        let document = next.run(ctx, query, variables).await?;
        let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node);
        let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set.node);
        if operations.chain(fragments).map(aliases).sum::<usize>() > ALIASES {
            return Err(coded("LIMIT", format!("The document renames more than {ALIASES} fields.")));
        }
        Ok(document)
    }
}

fn aliases(set: &SelectionSet) -> usize {
    let count = |selection: &Selection| match selection {
        Selection::Field(field) => usize::from(field.node.alias.is_some()) + aliases(&field.node.selection_set.node),
        Selection::InlineFragment(fragment) => aliases(&fragment.node.selection_set.node),
        Selection::FragmentSpread(_) => 0,
    };
    set.items.iter().map(|selection| count(&selection.node)).sum()
}

pub(super) fn coded(code: &str, message: String) -> ServerError {
    let mut error = ServerError::new(message, None);
    error.extensions.get_or_insert_default().set("code", code);
    error
}

/// Every error leaves with a code and the request's id. What carries no code yet was found by GraphQL itself: the
/// document or its variables do not fit the schema or its limits.
fn finish(response: &mut Response, request_id: &OnceLock<String>) {
    for error in &mut response.errors {
        if error.extensions.as_ref().and_then(|e| e.get("code")).is_none() {
            let code = match error.message.as_str() {
                "Query is nested too deep." => {
                    error.message = format!("The query nests deeper than {DEPTH} levels.");
                    "LIMIT"
                }
                "Query is too complex." => {
                    error.message =
                        format!("The query asks for more than {COMPLEXITY} fields, lists counted by their `first`.");
                    "LIMIT"
                }
                _ => "BAD_INPUT",
            };
            error.extensions.get_or_insert_default().set("code", code);
        }
        if let Some(id) = request_id.get() {
            error.extensions.get_or_insert_default().set("requestId", id.as_str());
        }
    }
}
