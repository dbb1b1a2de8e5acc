//! Data for a page: one kind of resource for all documents, so that the browser's module has the machinery once.

use std::sync::Arc;

use graphql_client::GraphQLQuery;
use leptos::prelude::*;

use crate::{
    components,
    gql::{self, GqlError},
    state,
};

type Body = Arc<dyn Fn() -> String + Send + Sync>;
type Render = Arc<dyn Fn(&str) -> AnyView + Send + Sync>;

/// Loads a document and renders it; loads anew when the variables or [`state::refresh`] change. The old content stays until then.
///
/// `what` names the data in an error. Without permission or after sign-out the reader gets an answer, not an empty page.
pub fn load<Q>(
    what: &'static str,
    skeleton: fn() -> AnyView,
    variables: impl Fn() -> Q::Variables + Send + Sync + 'static,
    render: impl Fn(Q::ResponseData) -> AnyView + Send + Sync + 'static,
) -> AnyView
where
    Q: GraphQLQuery + 'static,
{
    load_text(
        Arc::new(move || gql::body::<Q>(variables())),
        skeleton,
        Arc::new(move |reply| match gql::parse(reply) {
            Ok(data) => render(data),
            Err(error) => refused(what, &error),
        }),
    )
}

fn load_text(body: Body, skeleton: fn() -> AnyView, render: Render) -> AnyView {
    let app = state::app();
    let reply = Resource::new_str_blocking(move || (app.tick.get(), body()), |(_, body)| gql::send(body));
    let content = move || reply.get().map(|reply| render(&reply));
    view! { <Transition fallback=skeleton>{content}</Transition> }.into_any()
}

fn refused(what: &str, error: &GqlError) -> AnyView {
    match error.code.as_str() {
        "UNAUTHENTICATED" => {
            crate::browser::leave("/sign-in");
            set_status(401);
            view! { <div class="page"><div class="gone"><h2>"You are signed out"</h2><a class="btn primary" href="/sign-in" rel="external">"Sign in"</a></div></div> }.into_any()
        }
        "NOT_FOUND" => crate::pages::not_found(),
        code => {
            set_status(if code == "FORBIDDEN" { 403 } else { 500 });
            view! { <div class="page">{components::failure(what, error)}</div> }.into_any()
        }
    }
}

/// Sets the HTTP status of the page, where a server renders it.
pub fn set_status(status: u16) {
    if let Some(setter) = use_context::<crate::context::StatusSetter>() {
        (setter.0)(status);
    }
}
