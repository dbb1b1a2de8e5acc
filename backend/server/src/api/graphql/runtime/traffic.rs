//! Traffic: counts of events.

use crate::{
    api::graphql::inventory::{self, Asset},
    runtime::overview::{self, Latency, Totals},
};
use async_graphql::{Context, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use stance_shared::EventKind;

/// Traffic within a window.
pub struct RuntimeOverview(pub(super) overview::Overview);

#[Object]
impl RuntimeOverview {
    async fn from(&self) -> DateTime<Utc> {
        self.0.from
    }

    async fn to(&self) -> DateTime<Utc> {
        self.0.to
    }

    /// The steps of the series.
    async fn bucket_minutes(&self) -> i64 {
        self.0.bucket_minutes
    }

    async fn events(&self) -> i64 {
        self.0.totals.events
    }

    async fn flagged(&self) -> i64 {
        self.0.totals.flagged
    }

    async fn redacted(&self) -> i64 {
        self.0.totals.redacted
    }

    async fn blocked(&self) -> i64 {
        self.0.totals.blocked
    }

    async fn tokens(&self) -> i64 {
        self.0.tokens
    }

    async fn cost_usd(&self) -> f64 {
        self.0.cost_usd
    }

    /// The window of the same length before.
    async fn before(&self) -> RuntimeTotals {
        self.0.before.into()
    }

    /// Without holes, oldest first.
    async fn series(&self) -> Vec<RuntimePoint> {
        let point = |(at, totals): &(DateTime<Utc>, Totals)| RuntimePoint {
            at: *at,
            allow: totals.events - totals.flagged - totals.redacted - totals.blocked,
            flag: totals.flagged,
            redact: totals.redacted,
            block: totals.blocked,
        };
        self.0.series.iter().map(point).collect()
    }

    /// The ten with most blocked, then flagged, then events.
    async fn agents(&self) -> Vec<AgentTraffic> {
        self.0.agents.iter().cloned().map(AgentTraffic).collect()
    }

    /// The ten with most hits.
    async fn detectors(&self) -> Vec<DetectorTraffic> {
        self.0.detectors.iter().cloned().map(DetectorTraffic::from).collect()
    }

    /// The most frequent first.
    async fn kinds(&self) -> Vec<KindCount> {
        self.0.kinds.iter().map(|(kind, count)| KindCount { kind: *kind, count: *count }).collect()
    }

    /// Null: nothing was inspected.
    async fn latency(&self) -> Option<InspectLatency> {
        self.0.latency.map(InspectLatency::from)
    }
}

/// Events by verdict.
#[derive(SimpleObject)]
pub struct RuntimeTotals {
    events: i64,
    flagged: i64,
    redacted: i64,
    blocked: i64,
}

impl From<Totals> for RuntimeTotals {
    fn from(Totals { events, flagged, redacted, blocked }: Totals) -> Self {
        Self { events, flagged, redacted, blocked }
    }
}

/// Events of one step of the series.
#[derive(SimpleObject)]
pub struct RuntimePoint {
    at: DateTime<Utc>,
    allow: i64,
    flag: i64,
    redact: i64,
    block: i64,
}

/// Events of one kind.
#[derive(SimpleObject)]
pub struct KindCount {
    kind: EventKind,
    count: i64,
}

/// How long inspections took: the power of two, in microseconds, that the share stayed below.
#[derive(SimpleObject)]
pub struct InspectLatency {
    count: i64,
    p50_micros: i32,
    p95_micros: i32,
    p99_micros: i32,
}

impl From<Latency> for InspectLatency {
    fn from(Latency { count, p50, p95, p99 }: Latency) -> Self {
        Self { count, p50_micros: p50, p95_micros: p95, p99_micros: p99 }
    }
}

/// An agent's traffic within a window.
pub struct AgentTraffic(pub overview::AgentTraffic);

#[Object]
impl AgentTraffic {
    async fn agent(&self, ctx: &Context<'_>) -> Result<Asset> {
        inventory::load_existing(ctx, self.0.agent).await
    }

    async fn events(&self) -> i64 {
        self.0.events
    }

    async fn flagged(&self) -> i64 {
        self.0.flagged
    }

    async fn redacted(&self) -> i64 {
        self.0.redacted
    }

    async fn blocked(&self) -> i64 {
        self.0.blocked
    }

    async fn tokens(&self) -> i64 {
        self.0.tokens
    }

    async fn cost_usd(&self) -> f64 {
        self.0.cost_usd
    }
}

/// A detector's hits within a window.
#[derive(SimpleObject)]
pub struct DetectorTraffic {
    rule: String,
    reason: String,
    /// `framework@version:id`
    category: String,
    events: i64,
    blocked: i64,
    agents: i64,
}

impl From<overview::DetectorTraffic> for DetectorTraffic {
    fn from(found: overview::DetectorTraffic) -> Self {
        let overview::DetectorTraffic { rule, reason, category, events, blocked, agents } = found;
        Self { rule, reason, category, events, blocked, agents }
    }
}

/// A tool that an agent may call, or called; of the last 30 days.
pub struct ToolUsage(pub overview::ToolUsage);

#[Object]
impl ToolUsage {
    async fn tool(&self, ctx: &Context<'_>) -> Result<Asset> {
        inventory::load_existing(ctx, self.0.tool).await
    }

    async fn state(&self) -> overview::ToolState {
        self.0.state
    }

    async fn calls(&self) -> i64 {
        self.0.calls
    }

    async fn blocked(&self) -> i64 {
        self.0.blocked
    }

    async fn last_at(&self) -> Option<DateTime<Utc>> {
        self.0.last_at
    }
}
