//! Findings and what people do with them.

mod filter;
mod said;
mod triage;

pub use filter::{FindingFilter, FindingSort, list};
pub use said::{Category, Decision, SeverityCounts};
pub use triage::FindingsMutation;

use super::{
    GraphqlContext as _,
    connection::Connection,
    follow::follow,
    identity::{User, load_user},
    inventory::{self, Asset},
    loaders::{EventsOf, OccurrencesOf, SeenOf},
    node,
};
use crate::{
    findings::{self, service},
    kernel::page::Page,
    live::Topic,
};
use async_graphql::{Context, ID, Json, Object, Result, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt as _};
use said::{FindingEvent, FindingSummary, Location, Occurrence};
use serde_json::{Value, json};
use stance_engine::risk;
use stance_shared::{DecisionId, FindingId, FindingStatus, Layer, Severity};

/// One problem of one asset, whoever reports it.
#[derive(Clone, Debug)]
pub struct Finding(pub findings::Finding);

/// The finding with this id, fetched once per request; null when there is none.
pub(super) async fn load(ctx: &Context<'_>, id: FindingId) -> Result<Option<Finding>> {
    Ok(ctx.loaders()?.load_one(id).await?.map(Finding))
}

/// The decision with this id; null when there is none.
pub(super) async fn load_decision(ctx: &Context<'_>, id: DecisionId) -> Result<Option<Decision>> {
    Ok(ctx.loaders()?.load_one(id).await?.map(Decision::from))
}

impl Finding {
    async fn said(&self, ctx: &Context<'_>) -> Result<Vec<findings::Occurrence>> {
        Ok(ctx.loaders()?.load_one(OccurrencesOf(self.0.id)).await?.unwrap_or_default())
    }

    async fn seen(&self, ctx: &Context<'_>) -> Result<findings::Seen> {
        Ok(ctx.loaders()?.load_one(SeenOf(self.0.id)).await?.unwrap_or_default())
    }

    /// The asset's residual risk, 0 to 1, when this finding is part of it.
    async fn part_of(&self, ctx: &Context<'_>) -> Result<Option<f64>> {
        if !matches!(self.0.status, FindingStatus::Open | FindingStatus::InProgress) {
            return Ok(None);
        }
        Ok(inventory::load_existing(ctx, self.0.asset_id).await?.0.risk)
    }
}

#[Object]
impl Finding {
    pub async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    /// Which problem of its asset it is: 32 hexadecimal digits, the same for the same problem of another asset.
    async fn fingerprint(&self) -> String {
        self.0.fingerprint.simple().to_string()
    }

    async fn title(&self) -> &str {
        &self.0.title
    }

    async fn description(&self) -> &str {
        &self.0.description
    }

    async fn remediation(&self) -> &str {
        &self.0.remediation
    }

    async fn layer(&self) -> Layer {
        self.0.layer
    }

    async fn severity(&self) -> Severity {
        self.0.severity.0
    }

    async fn status(&self) -> FindingStatus {
        self.0.status
    }

    /// The tool's rule.
    async fn rule(&self) -> &str {
        &self.0.rule
    }

    /// 0 to 10 where the source gives one.
    async fn score(&self) -> Option<f64> {
        self.0.score
    }

    /// Share of attacks that succeeded, 0 to 1.
    async fn attack_success_rate(&self) -> Option<f64> {
        self.0.attack_success_rate
    }

    /// 0 to 0.99, `stance-risk/1`.
    async fn risk(&self) -> f64 {
        self.0.risk
    }

    /// Points of the asset's residual risk that this finding carries.
    async fn asset_points(&self, ctx: &Context<'_>) -> Result<f64> {
        let Some(total) = self.part_of(ctx).await? else { return Ok(0.0) };
        let (all, own) = (risk::weight(total), risk::weight(self.0.risk));
        Ok(if all > 0.0 { 100.0 * total * (own / all).min(1.0) } else { 0.0 })
    }

    /// Asset risk when this finding is closed, 0 to 100; null when the asset is unassessed.
    async fn asset_risk_without(&self, ctx: &Context<'_>) -> Result<Option<f64>> {
        let asset = inventory::load_existing(ctx, self.0.asset_id).await?.0.risk;
        let Some(total) = self.part_of(ctx).await? else { return Ok(asset.map(|risk| 100.0 * risk)) };
        Ok(Some(100.0 * risk::risk_of_weight(risk::weight(total) - risk::weight(self.0.risk))))
    }

    async fn categories(&self) -> Vec<Category> {
        self.0.categories.iter().map(|key| Category::of(key)).collect()
    }

    /// Where it was found, over all scans that still report it; at most 100.
    #[graphql(complexity = "10 * child_complexity")]
    async fn locations(&self, ctx: &Context<'_>) -> Result<Vec<Location>> {
        let mut locations: Vec<Location> = Vec::new();
        for occurrence in said::present(self.said(ctx).await?) {
            for location in said::read_locations(occurrence.locations) {
                if locations.len() < 100 && !locations.contains(&location) {
                    locations.push(location);
                }
            }
        }
        Ok(locations)
    }

    /// What the scan that ran last says; an object.
    async fn evidence(&self, ctx: &Context<'_>) -> Result<Json<Value>> {
        let said = self.said(ctx).await?;
        Ok(Json(said.into_iter().next().map_or_else(|| json!({}), |occurrence| occurrence.evidence)))
    }

    /// How often the scans that still report it saw it.
    async fn count(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(self.seen(ctx).await?.count)
    }

    async fn asset(&self, ctx: &Context<'_>) -> Result<Asset> {
        inventory::load_existing(ctx, self.0.asset_id).await
    }

    /// Names of the tools that still report it.
    async fn tools(&self, ctx: &Context<'_>) -> Result<Vec<String>> {
        Ok(self.seen(ctx).await?.tools)
    }

    async fn assignee(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        load_user(ctx, self.0.assignee_id).await
    }

    async fn first_seen(&self) -> DateTime<Utc> {
        self.0.first_seen
    }

    /// When a scan last reported it.
    async fn last_seen(&self, ctx: &Context<'_>) -> Result<DateTime<Utc>> {
        Ok(self.seen(ctx).await?.last.unwrap_or(self.0.first_seen))
    }

    async fn resolved_at(&self) -> Option<DateTime<Utc>> {
        self.0.resolved_at
    }

    /// The decision in force.
    async fn decision(&self, ctx: &Context<'_>) -> Result<Option<Decision>> {
        match self.0.decision_id {
            None => Ok(None),
            Some(id) => load_decision(ctx, id).await,
        }
    }

    /// What each scan says of it: those that still report it first, newest first.
    #[graphql(complexity = "5 * child_complexity")]
    async fn occurrences(&self, ctx: &Context<'_>) -> Result<Vec<Occurrence>> {
        Ok(self.said(ctx).await?.into_iter().map(Occurrence::from).collect())
    }

    /// Newest first, at most 100.
    #[graphql(complexity = "first.max(1) as usize * child_complexity")]
    async fn history(&self, ctx: &Context<'_>, #[graphql(default = 100)] first: i32) -> Result<Vec<FindingEvent>> {
        let limit = Page::<()>::parse(Some(first), None)?.first;
        let events = ctx.loaders()?.load_one(EventsOf(self.0.id, limit)).await?.unwrap_or_default();
        Ok(events.into_iter().map(FindingEvent::from).collect())
    }
}

#[derive(Default)]
pub struct FindingsQuery;

#[Object]
impl FindingsQuery {
    /// By risk unless sorted otherwise, the highest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn findings(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        filter: Option<FindingFilter>,
        sort: Option<FindingSort>,
    ) -> Result<Connection<Finding>> {
        list(ctx, first, after, FindingFilter::read(filter, ctx).await?, sort).await
    }

    async fn finding_summary(&self, ctx: &Context<'_>, filter: Option<FindingFilter>) -> Result<FindingSummary> {
        let filter = FindingFilter::read(filter, ctx).await?;
        Ok(service::summary(ctx.db()?, ctx.asker()?, &filter).await?.into())
    }

    /// Null when there is no such finding.
    async fn finding(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Finding>> {
        load(ctx, node::parse("id", &id)?).await
    }
}

/// Findings that changed at about the same time.
#[derive(SimpleObject)]
pub struct FindingsChanged {
    /// At most 100. None: events were missed, any finding may have changed.
    ids: Vec<ID>,
    /// How many changed; may be more than are listed.
    count: usize,
}

#[derive(Default)]
pub struct FindingsSubscription;

#[Subscription]
impl FindingsSubscription {
    /// Findings of the organization as they change; ids in batches.
    async fn findings(&self, ctx: &Context<'_>) -> Result<impl Stream<Item = Result<FindingsChanged>>> {
        Ok(follow(ctx, Topic::Finding)?.map(|together| {
            let (_, events) = together?;
            let ids: Vec<FindingId> = events.iter().filter_map(|event| event.id.map(FindingId)).collect();
            Ok(FindingsChanged { ids: ids.iter().take(100).copied().map(node::id).collect(), count: ids.len() })
        }))
    }
}
