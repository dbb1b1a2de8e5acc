//! Containment of agents, and the points that enforce it.

use super::{
    GraphqlContext as _,
    connection::Connection,
    inventory::{self, Asset},
    loaders::{ContainmentsOfIncident, EnforcementsOf},
    node,
    runtime::Sensor,
};
use crate::{
    kernel::{Ctx, Db, Permission, outbound::Outbound, page::Page},
    runtime::containment::{self, Order, points, views},
};
use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use stance_shared::{
    ContainmentGrade, ContainmentId, ContainmentStatus, EnforcementPhase, EnforcementPointId, EnforcementPointKind,
    EnforcementStatus, IncidentId, TypedId as _,
};
use uuid::Uuid;

/// The containment with this id; null when there is none.
pub(super) async fn load(ctx: &Context<'_>, id: ContainmentId) -> Result<Option<Containment>> {
    Ok(ctx.loaders()?.load_one(id).await?.map(Containment))
}

/// The point with this id, retired or not; null when there is none.
pub(super) async fn load_point(ctx: &Context<'_>, id: EnforcementPointId) -> Result<Option<EnforcementPoint>> {
    Ok(ctx.loaders()?.load_one(id).await?.map(EnforcementPoint))
}

/// The newest containments of an incident, at most 20.
pub(super) async fn of_incident(ctx: &Context<'_>, id: IncidentId) -> Result<Vec<Containment>> {
    let found = ctx.loaders()?.load_one(ContainmentsOfIncident(id)).await?.unwrap_or_default();
    Ok(found.into_iter().map(Containment).collect())
}

/// A containment of an agent.
pub struct Containment(pub(super) views::Containment);

#[Object]
impl Containment {
    pub async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    /// The agent that was ordered to be contained.
    async fn agent(&self, ctx: &Context<'_>) -> Result<Asset> {
        inventory::load_existing(ctx, self.0.agent).await
    }

    /// All that it holds: the agent and those that it delegates to; at most 100 of them.
    #[graphql(complexity = "10 * child_complexity")]
    async fn agents(&self, ctx: &Context<'_>) -> Result<Vec<Asset>> {
        let mut agents = Vec::new();
        for agent in self.0.agents.iter().take(100) {
            agents.extend(inventory::load(ctx, *agent).await?);
        }
        Ok(agents)
    }

    async fn grade(&self) -> ContainmentGrade {
        self.0.grade
    }

    async fn reason(&self) -> &str {
        &self.0.reason
    }

    async fn status(&self) -> ContainmentStatus {
        self.0.status
    }

    async fn requested_at(&self) -> DateTime<Utc> {
        self.0.requested_at
    }

    async fn requested_by(&self) -> &str {
        &self.0.requested_by
    }

    /// When every point had proven it for the first time.
    async fn proven_at(&self) -> Option<DateTime<Utc>> {
        self.0.proven_at
    }

    /// From the request to that.
    async fn milliseconds_to_proven(&self) -> Option<i64> {
        milliseconds(self.0.requested_at, self.0.proven_at)
    }

    /// When a point failed to prove it for the first time.
    async fn failed_at(&self) -> Option<DateTime<Utc>> {
        self.0.failed_at
    }

    /// When it ends by itself.
    async fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.0.expires_at
    }

    /// When it was released, or expired.
    async fn ended_at(&self) -> Option<DateTime<Utc>> {
        self.0.ending_at
    }

    async fn ended_by(&self) -> Option<&str> {
        self.0.ending_by.as_deref()
    }

    async fn ending_reason(&self) -> Option<&str> {
        self.0.ending_reason.as_deref()
    }

    /// When every point had proven that the agent may act again.
    async fn released_at(&self) -> Option<DateTime<Utc>> {
        self.0.released_at
    }

    /// SHA-256 of the first policy that has it.
    async fn policy_hash(&self) -> &str {
        &self.0.policy_hash
    }

    /// How far each point has come: with the containment, and with its end.
    #[graphql(complexity = "20 * child_complexity")]
    async fn points(&self, ctx: &Context<'_>) -> Result<Vec<Enforcement>> {
        let found = ctx.loaders()?.load_one(EnforcementsOf(self.0.id)).await?.unwrap_or_default();
        Ok(found.into_iter().map(Enforcement).collect())
    }
}

fn milliseconds(from: DateTime<Utc>, to: Option<DateTime<Utc>>) -> Option<i64> {
    to.map(|to| (to - from).num_milliseconds().max(0))
}

/// How far a point has come.
pub struct Enforcement(views::Enforcement);

#[Object]
impl Enforcement {
    async fn point(&self, ctx: &Context<'_>) -> Result<EnforcementPoint> {
        let point = load_point(ctx, self.0.point).await?;
        point.ok_or_else(|| crate::kernel::Error::not_found("enforcement point").into())
    }

    async fn phase(&self) -> EnforcementPhase {
        self.0.phase
    }

    async fn status(&self) -> EnforcementStatus {
        self.0.status
    }

    /// How often it was told.
    async fn attempts(&self) -> i32 {
        self.0.attempts
    }

    async fn requested_at(&self) -> DateTime<Utc> {
        self.0.requested_at
    }

    async fn dispatched_at(&self) -> Option<DateTime<Utc>> {
        self.0.dispatched_at
    }

    async fn acknowledged_at(&self) -> Option<DateTime<Utc>> {
        self.0.acknowledged_at
    }

    /// The policy that it said it enforces.
    async fn acknowledged_hash(&self) -> Option<&str> {
        self.0.acknowledged_hash.as_deref()
    }

    /// When canary calls were made.
    async fn canary_at(&self) -> Option<DateTime<Utc>> {
        self.0.canary_at
    }

    async fn proven_at(&self) -> Option<DateTime<Utc>> {
        self.0.proven_at
    }

    /// The last failure, which stays when it is proven later.
    async fn failed_at(&self) -> Option<DateTime<Utc>> {
        self.0.failed_at
    }

    /// Why, as a sentence.
    async fn failure(&self) -> Option<&str> {
        self.0.failure.as_deref()
    }

    /// From the request.
    async fn milliseconds_to_dispatched(&self) -> Option<i64> {
        milliseconds(self.0.requested_at, self.0.dispatched_at)
    }

    /// From the request.
    async fn milliseconds_to_acknowledged(&self) -> Option<i64> {
        milliseconds(self.0.requested_at, self.0.acknowledged_at)
    }

    /// From the request.
    async fn milliseconds_to_proven(&self) -> Option<i64> {
        milliseconds(self.0.requested_at, self.0.proven_at)
    }
}

/// Something that can keep an agent from acting.
pub struct EnforcementPoint(pub(super) views::Point);

#[Object]
impl EnforcementPoint {
    pub async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    async fn kind(&self) -> EnforcementPointKind {
        self.0.kind
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Where its orders are posted.
    async fn url(&self) -> Option<&str> {
        self.0.url.as_deref()
    }

    /// The sensor that asks for its orders.
    async fn sensor(&self, ctx: &Context<'_>) -> Result<Option<Sensor>> {
        match self.0.sensor {
            Some(id) => super::runtime::load_sensor(ctx, id).await,
            None => Ok(None),
        }
    }

    /// Within so many seconds it has to acknowledge.
    async fn deadline_seconds(&self) -> i32 {
        self.0.deadline_s
    }

    /// Whether it counts: a server that runs, or a point that is not retired.
    async fn alive(&self) -> bool {
        self.0.alive
    }

    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    async fn retired_at(&self) -> Option<DateTime<Utc>> {
        self.0.retired_at
    }
}

/// A point that was just registered.
#[derive(SimpleObject)]
pub struct RegisteredEnforcementPoint {
    point: EnforcementPoint,
    /// What its orders are signed with, shown only this once; null for a sensor.
    secret: Option<String>,
}

/// What containing an agent would hold and stop.
pub struct BlastRadius(views::BlastRadius);

async fn named(ctx: &Context<'_>, ids: &[stance_shared::AssetId]) -> Result<Vec<Asset>> {
    let mut assets = Vec::new();
    for id in ids.iter().take(50) {
        assets.extend(inventory::load(ctx, *id).await?);
    }
    Ok(assets)
}

#[Object]
impl BlastRadius {
    /// The agent and all that it delegates to: what would be contained. At most 50 of them.
    #[graphql(complexity = "10 * child_complexity")]
    async fn agents(&self, ctx: &Context<'_>) -> Result<Vec<Asset>> {
        named(ctx, &self.0.agents).await
    }

    async fn agent_count(&self) -> usize {
        self.0.agents.len()
    }

    /// What depends on one of them, at most 50.
    #[graphql(complexity = "10 * child_complexity")]
    async fn dependents(&self, ctx: &Context<'_>) -> Result<Vec<Asset>> {
        named(ctx, &self.0.dependents).await
    }

    /// What they may call, at most 50.
    #[graphql(complexity = "10 * child_complexity")]
    async fn tools(&self, ctx: &Context<'_>) -> Result<Vec<Asset>> {
        named(ctx, &self.0.tools).await
    }

    /// What they use, at most 50.
    #[graphql(complexity = "10 * child_complexity")]
    async fn models(&self, ctx: &Context<'_>) -> Result<Vec<Asset>> {
        named(ctx, &self.0.models).await
    }

    /// Runs with a step in the last quarter of an hour.
    async fn open_sessions(&self) -> i64 {
        self.0.open_sessions
    }

    /// Tokens that act as one of them.
    async fn tokens(&self) -> i64 {
        self.0.tokens
    }

    /// Points that would have to enforce it.
    async fn points(&self) -> i64 {
        self.0.points
    }
}

/// Narrows the list; all given must hold.
#[derive(InputObject, Default)]
pub struct ContainmentFilter {
    /// Held by it, whether ordered for it or for one that delegates to it.
    agent: Option<ID>,
    incident: Option<ID>,
    /// Those that are not over.
    open: Option<bool>,
}

impl ContainmentFilter {
    fn read(self) -> Result<views::Filter> {
        Ok(views::Filter {
            agent: self.agent.map(|id| node::parse("filter.agent", &id)).transpose()?,
            incident: self.incident.map(|id| incident("filter.incident", &id)).transpose()?,
            open: self.open.unwrap_or_default(),
        })
    }
}

/// An incident's id.
fn incident(field: &str, id: &ID) -> Result<Uuid> {
    Ok(node::parse::<stance_shared::IncidentId>(field, id)?.0)
}

#[derive(Default)]
pub struct ContainmentQuery;

#[Object]
impl ContainmentQuery {
    /// What containing an agent would hold and stop.
    #[graphql(complexity = "20 * child_complexity")]
    async fn quarantine_preview(
        &self,
        ctx: &Context<'_>,
        agent: ID,
        #[graphql(desc = "Which grade is considered; all hold the same agents.")] grade: Option<ContainmentGrade>,
    ) -> Result<BlastRadius> {
        let _ = grade;
        Ok(BlastRadius(views::preview(ctx.db()?, ctx.asker()?, node::parse("agent", &agent)?).await?))
    }

    /// Newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn containments(
        &self,
        ctx: &Context<'_>,
        filter: Option<ContainmentFilter>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<Containment>> {
        let filter = filter.unwrap_or_default().read()?;
        let page = Page::parse(first, after.as_deref())?;
        let (db, asker): (Db, Ctx) = (ctx.db()?.clone(), ctx.asker()?.clone());
        let slice = views::list(&db, &asker, &filter, &page).await?;
        let count = move || {
            let (db, asker, filter) = (db.clone(), asker.clone(), filter.clone());
            async move { views::count(&db, &asker, &filter).await }
        };
        Ok(Connection::new(&page, slice, |row| views::Key(row.id), Containment, count))
    }

    /// Null when there is no such containment.
    async fn containment(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Containment>> {
        load(ctx, node::parse("id", &id)?).await
    }

    /// All that count: the servers that run, and what is registered.
    #[graphql(complexity = "20 * child_complexity")]
    async fn enforcement_points(&self, ctx: &Context<'_>) -> Result<Vec<EnforcementPoint>> {
        Ok(views::points(ctx.db()?, ctx.asker()?, None).await?.into_iter().map(EnforcementPoint).collect())
    }
}

#[derive(Default)]
pub struct ContainmentMutation;

async fn existing(ctx: &Context<'_>, id: ContainmentId) -> Result<Containment> {
    let found = views::by_ids(ctx.db()?, ctx.asker()?, &[id]).await?.pop();
    found.map(Containment).ok_or_else(|| crate::kernel::Error::not_found(ContainmentId::NOUN).into())
}

#[Object]
impl ContainmentMutation {
    /// Contains an agent and all that it delegates to. It is proven by and by: look at `status` and `points`.
    #[expect(clippy::too_many_arguments, reason = "the arguments of the mutation")]
    async fn quarantine_agent(
        &self,
        ctx: &Context<'_>,
        agent: ID,
        grade: ContainmentGrade,
        reason: String,
        expires_at: Option<DateTime<Utc>>,
        #[graphql(name = "incident")] of_incident: Option<ID>,
        #[graphql(desc = "Who asks again with the same key means the same containment.")] key: Option<String>,
    ) -> Result<Containment> {
        let order = Order {
            agent: node::parse("agent", &agent)?,
            grade,
            reason,
            expires_at,
            incident: of_incident.map(|id| incident("incident", &id)).transpose()?,
            key,
        };
        let mut tx = ctx.db()?.begin(ctx.asker()?, Permission::AgentQuarantine).await?;
        tx.also_require(Permission::IncidentRead)?;
        let id = containment::quarantine(&mut tx, &order).await?;
        tx.commit().await?;
        existing(ctx, id).await
    }

    /// Ends a containment. Its points then have to prove that the agent may act again.
    async fn release_agent(&self, ctx: &Context<'_>, id: ID, reason: String) -> Result<Containment> {
        let id = node::parse("id", &id)?;
        let mut tx = ctx.db()?.begin(ctx.asker()?, Permission::AgentRelease).await?;
        tx.also_require(Permission::IncidentRead)?;
        containment::release(&mut tx, id, &reason, None).await?;
        tx.commit().await?;
        existing(ctx, id).await
    }

    /// Lets a tool call of an agent that is contained with HUMAN_APPROVAL pass for some minutes. `call` is what the refusal named.
    async fn approve_tool_call(
        &self,
        ctx: &Context<'_>,
        containment: ID,
        call: String,
        reason: String,
        #[graphql(default = 15)] minutes: i32,
    ) -> Result<Containment> {
        let id = node::parse("containment", &containment)?;
        let mut tx = ctx.db()?.begin(ctx.asker()?, Permission::AgentRelease).await?;
        tx.also_require(Permission::IncidentRead)?;
        containment::approve(&mut tx, id, &call, &reason, minutes).await?;
        tx.commit().await?;
        existing(ctx, id).await
    }

    /// Registers something that enforces: with an address that orders are posted to, or a sensor that asks for them.
    async fn register_enforcement_point(
        &self,
        ctx: &Context<'_>,
        name: String,
        url: Option<String>,
        sensor: Option<ID>,
        deadline_seconds: Option<i32>,
    ) -> Result<RegisteredEnforcementPoint> {
        let reach = match (url, sensor) {
            (Some(url), None) => points::Reach::Http(url),
            (None, Some(sensor)) => points::Reach::Sensor(node::parse("sensor", &sensor)?),
            _ => return Err(crate::kernel::Error::field("url", "must be there, or `sensor`, and not both").into()),
        };
        let (db, asker, outbound) = (ctx.db()?, ctx.asker()?, ctx.data::<Outbound>()?);
        asker.require(Permission::SensorRead)?;
        let (id, secret) = points::register(db, asker, outbound, &name, reach, deadline_seconds).await?;
        let point = views::points(db, asker, Some(&[id])).await?.pop();
        let point = point.ok_or_else(|| crate::kernel::Error::not_found("enforcement point"))?;
        let secret = secret.map(|secret| secret.expose().to_owned());
        Ok(RegisteredEnforcementPoint { point: EnforcementPoint(point), secret })
    }

    /// Ends a point: it counts no more. False when it was retired before.
    async fn retire_enforcement_point(&self, ctx: &Context<'_>, id: ID) -> Result<bool> {
        Ok(points::retire(ctx.db()?, ctx.asker()?, node::parse("id", &id)?).await?)
    }
}
