//! Jobs that failed for good.

use super::{GraphqlContext as _, node};
use crate::jobs;
use async_graphql::{Context, ID, Json, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use serde_json::Value;

/// A job that failed for good; a person can drive it again.
#[derive(SimpleObject)]
pub struct DeadLetter {
    id: ID,
    job: String,
    /// What may be known of the cause; the server's log has the rest under the request id that it names.
    error: String,
    attempts: i32,
    created_at: DateTime<Utc>,
    redriven_at: Option<DateTime<Utc>>,
    payload: Json<Value>,
}

#[derive(Default)]
pub struct JobsQuery;

#[Object]
impl JobsQuery {
    /// The newest dead letters, at most 200.
    async fn dead_letters(&self, ctx: &Context<'_>) -> Result<Vec<DeadLetter>> {
        let letters = jobs::dead_letters(ctx.db()?, ctx.asker()?).await?;
        let view = |letter: jobs::DeadLetter| DeadLetter {
            id: node::id(letter.id),
            job: letter.job,
            error: letter.error,
            attempts: letter.attempts,
            created_at: letter.created_at,
            redriven_at: letter.redriven_at,
            payload: Json(letter.payload),
        };
        Ok(letters.into_iter().map(view).collect())
    }
}

#[derive(Default)]
pub struct JobsMutation;

#[Object]
impl JobsMutation {
    /// Runs a dead letter's job again; false when it was driven again before.
    async fn redrive_dead_letter(&self, ctx: &Context<'_>, id: ID) -> Result<bool> {
        Ok(jobs::redrive(ctx.db()?, ctx.asker()?, node::parse("id", &id)?).await?)
    }
}
