//! How good the guardrail is.

use super::{Policy, load_policy, policies::VerdictCounts};
use crate::runtime::quality::{Quality, Replay};
use async_graphql::{Context, Object, Result, SimpleObject};
use stance_engine::rate;

/// A share with the interval in which the true one lies with 95 % (Wilson).
#[derive(SimpleObject)]
pub struct Rate {
    /// 0 to 1.
    value: f64,
    low: f64,
    high: f64,
    /// Of how many labelled events.
    of: u64,
}

impl From<rate::Rate> for Rate {
    fn from(rate::Rate { value, low, high, of }: rate::Rate) -> Self {
        Self { value, low, high, of }
    }
}

/// How often a policy's detector spoke, and how often it was right.
pub struct GuardrailQuality(pub(super) Quality);

#[Object]
impl GuardrailQuality {
    /// Null: the built-in preset.
    async fn policy(&self, ctx: &Context<'_>) -> Result<Option<Policy>> {
        match self.0.policy {
            None => Ok(None),
            Some(policy) => load_policy(ctx, policy).await,
        }
    }

    /// `*`: the policy as a whole.
    async fn rule(&self) -> &str {
        &self.0.rule
    }

    async fn reason(&self) -> &str {
        &self.0.reason
    }

    async fn events(&self) -> i64 {
        self.0.events
    }

    async fn blocked(&self) -> i64 {
        self.0.blocked
    }

    /// 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    async fn block_rate(&self) -> f64 {
        if self.0.events == 0 { 0.0 } else { self.0.blocked as f64 / self.0.events as f64 }
    }

    /// Labelled attacks that were not simply allowed.
    async fn right(&self) -> i64 {
        self.0.right
    }

    /// Labelled harmless and not simply allowed.
    async fn wrong(&self) -> i64 {
        self.0.wrong
    }

    /// Labelled attacks that were allowed: bypasses.
    async fn missed(&self) -> i64 {
        self.0.missed
    }

    /// Null: nothing is labelled.
    async fn precision(&self) -> Option<Rate> {
        self.0.precision.map(Rate::from)
    }

    /// Of the policy as a whole; null: no attack is labelled.
    async fn recall(&self) -> Option<Rate> {
        self.0.recall.map(Rate::from)
    }
}

/// What other thresholds would have said of stored scores.
pub struct ThresholdReplay(pub(super) Replay);

#[Object]
impl ThresholdReplay {
    async fn events(&self) -> i64 {
        self.0.events
    }

    async fn before(&self) -> VerdictCounts {
        self.0.before.into()
    }

    async fn after(&self) -> VerdictCounts {
        self.0.after.into()
    }

    /// Under the other thresholds; null: nothing is labelled.
    async fn precision(&self) -> Option<Rate> {
        self.0.precision.map(Rate::from)
    }

    async fn recall(&self) -> Option<Rate> {
        self.0.recall.map(Rate::from)
    }
}
