//! Subscriptions: live events of one topic, each let through only while the asker may still see it.

use super::GraphqlContext as _;
use crate::{
    kernel::{self, Ctx},
    live::{Event, Hub, Topic},
};
use async_graphql::{Context, Result};
use futures::{Stream, StreamExt as _, future::BoxFuture, stream};
use std::sync::Arc;

/// How many events are handed over at once.
const TOGETHER: usize = 1000;

/// Proves at any time that a connection's asker still is who they were: a session may end, a role may change.
#[derive(Clone)]
pub struct Standing(Arc<dyn Fn() -> BoxFuture<'static, kernel::Result<Ctx>> + Send + Sync>);

impl Standing {
    /// `prove` authenticates anew.
    pub fn new<F>(prove: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = kernel::Result<Ctx>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(prove())))
    }

    /// The asker as they are now.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when they are not let in any more.
    pub async fn asker(&self) -> kernel::Result<Ctx> {
        (self.0)().await
    }
}

/// Events of the topic in the asker's organization, with the asker as they are at that time. Ends with an error when they
/// may not see the topic any more.
pub(super) fn follow(
    ctx: &Context<'_>,
    topic: Topic,
) -> Result<impl Stream<Item = Result<(Ctx, Vec<Event>)>> + Send + 'static> {
    let asker = ctx.asker()?;
    asker.require(topic.permission())?;
    let standing = ctx.data::<Standing>()?.clone();
    let events = ctx.data::<Hub>()?.subscribe(asker.tenant);
    let events = events.filter(move |event| std::future::ready(event.topic == topic)).ready_chunks(TOGETHER).boxed();
    Ok(stream::unfold(Some((events, standing)), move |state| async move {
        let (mut events, standing) = state?;
        let together = events.next().await?;
        let asker = standing.asker().await.and_then(|asker| asker.require(topic.permission()).map(|()| asker));
        Some(match asker {
            Ok(asker) => (Ok((asker, together)), Some((events, standing))),
            Err(error) => (Err(error.into()), None),
        })
    }))
}
