//! Runs of agents.

use super::{AgentEvent, word};
use crate::{
    api::graphql::{
        GraphqlContext as _,
        inventory::{self, Asset},
        node,
    },
    kernel::text,
    runtime::overview::{self, SessionFilter},
};
use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use stance_shared::{AgentSessionId, EventId, Verdict};

/// The run with this id; null when there is none.
pub async fn load(ctx: &Context<'_>, id: AgentSessionId) -> Result<Option<AgentSession>> {
    Ok(ctx.loaders()?.load_one(id).await?.map(AgentSession))
}

/// A run of an agent, as its events name it.
pub struct AgentSession(pub(super) overview::AgentSession);

impl From<overview::AgentSession> for AgentSession {
    fn from(session: overview::AgentSession) -> Self {
        Self(session)
    }
}

/// A pattern over several steps of a run.
#[derive(SimpleObject)]
pub struct Sequence {
    rule: String,
    reason: String,
    /// `framework@version:id`
    category: String,
    /// The events that make it, in order.
    events: Vec<ID>,
}

#[Object]
impl AgentSession {
    pub async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    /// As the events call it.
    async fn name(&self) -> &str {
        &self.0.name
    }

    async fn agent(&self, ctx: &Context<'_>) -> Result<Asset> {
        inventory::load_existing(ctx, self.0.agent).await
    }

    async fn first_at(&self) -> DateTime<Utc> {
        self.0.first_at
    }

    async fn last_at(&self) -> DateTime<Utc> {
        self.0.last_at
    }

    async fn event_count(&self) -> i64 {
        self.0.events
    }

    async fn tool_calls(&self) -> i64 {
        self.0.tool_calls
    }

    async fn tokens(&self) -> i64 {
        self.0.tokens
    }

    /// The strictest of its steps.
    async fn worst_verdict(&self) -> Verdict {
        self.0.worst
    }

    /// The highest of its steps, 0 to 1.
    async fn score(&self) -> f64 {
        f64::from(self.0.score)
    }

    async fn sequences(&self) -> Vec<Sequence> {
        let sequence = |found: &overview::Sequence| Sequence {
            rule: found.rule.clone(),
            reason: found.reason.clone(),
            category: found.category.clone(),
            events: found.events.iter().map(|id| node::id(EventId(*id))).collect(),
        };
        self.0.sequences.iter().map(sequence).collect()
    }

    /// Its events in the order of time, the first 500.
    #[graphql(complexity = "50 * child_complexity")]
    async fn steps(&self, ctx: &Context<'_>) -> Result<Vec<AgentEvent>> {
        let steps = crate::runtime::events::steps(ctx.db()?, ctx.asker()?, &self.0).await?;
        Ok(steps.into_iter().map(AgentEvent).collect())
    }
}

/// All that is given must hold; of a list, one must.
#[derive(InputObject, Default)]
pub struct AgentSessionFilter {
    agents: Option<Vec<ID>>,
    /// The strictest verdict in the run.
    verdicts: Option<Vec<Verdict>>,
    /// Whether there is a pattern over several steps.
    suspicious: Option<bool>,
    /// A part of the name.
    search: Option<String>,
}

impl AgentSessionFilter {
    pub(super) fn check(self) -> Result<SessionFilter> {
        let agents = self.agents.filter(|agents| !agents.is_empty());
        let search = word("search", self.search.filter(|search| !search.trim().is_empty()))?;
        Ok(SessionFilter {
            agents: agents.map(|ids| node::parse_all("filter.agents", &ids, 100)).transpose()?.unwrap_or_default(),
            verdicts: self.verdicts.unwrap_or_default(),
            suspicious: self.suspicious,
            search: text::search("filter.search", &search.unwrap_or_default())?,
        })
    }
}
