//! The GraphQL API. `backend/server/schema.graphql` is printed from here (`stance schema graphql`).
//!
//! **To add to it**: write resolvers in the slice's file (`inventory.rs`, `findings.rs`, …) as a struct with `#[Object]`,
//! named `<Slice>Query`, `<Slice>Mutation` or `<Slice>Subscription` with `#[derive(Default)]`, and list it below in [`Query`], [`Mutation`]
//! or [`Subscription`]. (An object without fields is not GraphQL, so there are no empty ones.)
//! A resolver gets its context by [`GraphqlContext`]: `ctx.asker()` is who asks, `ctx.db()` the database, `ctx.loaders()` what
//! fetches across slices in batches: a field that leads from one thing to another always goes through [`loaders`].
//! Ids are written with [`node::id`] and read with [`node::parse`]; lists are a [`connection::Connection`];
//! `kernel::Error` becomes a GraphQL error by `?`. Something that has an id is also a variant of [`node::Node`].

pub mod audit;
pub mod connection;
pub mod containment;
pub mod error;
mod explorer;
pub mod findings;
pub mod follow;
mod form;
pub mod http;
pub mod identity;
pub mod imports;
pub mod inventory;
pub mod jobs;
pub mod limits;
pub mod loaders;
mod markdown;
pub mod node;
pub mod notify;
pub mod playbooks;
pub mod posture;
pub mod runtime;
pub mod search;
#[cfg(test)]
mod tests;

use crate::{
    imports::Limits,
    kernel::{Ctx, Db, outbound::Outbound},
    live::Hub,
    runtime::Guard,
};
use async_graphql::{Context, MergedObject, MergedSubscription, Request, Response, SDLExportOptions};
use loaders::Loaders;

/// Everything that can be asked.
#[derive(MergedObject, Default)]
pub struct Query(
    node::NodeQuery,
    audit::AuditQuery,
    identity::IdentityQuery,
    inventory::InventoryQuery,
    findings::FindingsQuery,
    search::SearchQuery,
    imports::ImportsQuery,
    posture::PostureQuery,
    runtime::RuntimeQuery,
    notify::NotifyQuery,
    playbooks::PlaybooksQuery,
    containment::ContainmentQuery,
    jobs::JobsQuery,
);

/// Everything that can be changed.
#[derive(MergedObject, Default)]
pub struct Mutation(
    identity::IdentityMutation,
    inventory::InventoryMutation,
    findings::FindingsMutation,
    imports::ImportsMutation,
    runtime::RuntimeMutation,
    notify::NotifyMutation,
    playbooks::PlaybooksMutation,
    containment::ContainmentMutation,
    jobs::JobsMutation,
);

/// Everything that can be followed.
#[derive(MergedSubscription, Default)]
pub struct Subscription(findings::FindingsSubscription, imports::ImportsSubscription);

pub type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

fn builder() -> async_graphql::SchemaBuilder<Query, Mutation, Subscription> {
    async_graphql::Schema::build(Query::default(), Mutation::default(), Subscription::default())
        .limit_depth(limits::DEPTH)
        .limit_complexity(limits::COMPLEXITY)
        .limit_directives(limits::DIRECTIVES)
        .extension(limits::Limits)
}

/// The schema's text, sorted, so that it changes only where the API does. Needs no database.
#[must_use]
pub fn sdl() -> String {
    let options = SDLExportOptions::new()
        .sorted_fields()
        .sorted_arguments()
        .sorted_enum_items()
        .prefer_single_line_descriptions();
    builder().finish().sdl_with_options(options)
}

/// The schema, ready to be asked with [`execute`]. Links that it gives out begin with `public_url`; `limits` are those of
/// uploads, by whichever door they come.
#[must_use]
pub fn schema(db: Db, live: Hub, guard: Guard, outbound: Outbound, public_url: String, limits: Limits) -> Schema {
    builder().data(db).data(live).data(guard).data(outbound).data(identity::PublicUrl(public_url)).data(limits).finish()
}

/// Answers one request in the name of `asker`. The dashboard's pages call this in process; HTTP comes by [`http`].
pub async fn execute(schema: &Schema, asker: Ctx, request: Request) -> Response {
    schema.execute(prepare(schema, asker, request)).await
}

/// Gives a request its asker and its own loaders.
fn prepare(schema: &Schema, asker: Ctx, request: Request) -> Request {
    match schema.data::<Db>() {
        Some(db) => request.data(loaders::new(db.clone(), asker.clone())).data(asker),
        None => request,
    }
}

/// Lets a request follow events for as long as its asker may see them. What it loads is loaded anew at each event.
fn stand(mut request: Request, standing: follow::Standing) -> Request {
    let loaders = request.data.get(&std::any::TypeId::of::<Loaders>()).and_then(|data| data.downcast_ref::<Loaders>());
    if let Some(loaders) = loaders {
        loaders.enable_all_cache(false);
    }
    request.data.insert(standing);
    request
}

/// What resolvers take from GraphQL's context.
pub trait GraphqlContext {
    /// Who asks.
    ///
    /// # Errors
    /// When the request was not made by [`execute`].
    fn asker(&self) -> async_graphql::Result<&Ctx>;
    /// The database.
    ///
    /// # Errors
    /// When the schema was made without one.
    fn db(&self) -> async_graphql::Result<&Db>;
    /// The request's loaders.
    ///
    /// # Errors
    /// When the request was not made by [`execute`].
    fn loaders(&self) -> async_graphql::Result<&Loaders>;
}

impl GraphqlContext for Context<'_> {
    fn asker(&self) -> async_graphql::Result<&Ctx> {
        self.data()
    }

    fn db(&self) -> async_graphql::Result<&Db> {
        self.data()
    }

    fn loaders(&self) -> async_graphql::Result<&Loaders> {
        self.data()
    }
}
