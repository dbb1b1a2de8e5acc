//! The runtime layer: traffic, events, runs, sensors and policies.

mod events;
mod policies;
mod quality;
mod sessions;
mod traffic;

pub use events::{AgentEvent, EventInput};
pub use policies::Policy;
pub(super) use policies::load as load_policy;
pub use sessions::AgentSession;
pub(super) use sessions::load as load_session;
pub use traffic::{AgentTraffic, ToolUsage};

use super::{
    GraphqlContext as _,
    connection::Connection,
    inventory::{self, Asset},
    loaders::PolicyHashOf,
    node,
};
use crate::{
    kernel::{Error, Permission, page::Page, text},
    runtime::{
        self, Guard,
        events::{self as store, Label},
        guard::Asked,
        overview, policies as rules, quality as figures, sensors,
    },
};
use async_graphql::{Context, ID, InputObject, Json, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use events::EventFilter;
use policies::{DryRun, PolicyPreset};
use quality::{GuardrailQuality, ThresholdReplay};
use serde_json::Value;
use sessions::AgentSessionFilter;
use stance_importers::events::ToolUse;
use stance_shared::{AgentSessionId, Channel, EventId, PolicyId, SensorId};
use traffic::RuntimeOverview;

/// Agents that one call can name.
const MAX_AGENTS: usize = 500;
/// Events of one `ingestEvents`; more are for `POST /api/v1/events`.
const MAX_INGEST: usize = 1_000;

/// The event with this id; null when there is none.
pub(super) async fn load_event(ctx: &Context<'_>, id: EventId) -> Result<Option<AgentEvent>> {
    Ok(ctx.loaders()?.load_one(id).await?.map(AgentEvent))
}

/// The events with these ids that are kept, in their order.
pub(super) async fn load_events(ctx: &Context<'_>, ids: &[EventId]) -> Result<Vec<AgentEvent>> {
    let found = ctx.loaders()?.load_many(ids.iter().copied()).await?;
    Ok(ids.iter().filter_map(|id| found.get(id).cloned()).map(AgentEvent).collect())
}

/// The runs with these ids, in their order.
pub(super) async fn load_sessions(ctx: &Context<'_>, ids: &[AgentSessionId]) -> Result<Vec<AgentSession>> {
    let found = ctx.loaders()?.load_many(ids.iter().copied()).await?;
    Ok(ids.iter().filter_map(|id| found.get(id).cloned()).map(AgentSession::from).collect())
}

/// The sensor with this id; null when there is none.
pub(super) async fn load_sensor(ctx: &Context<'_>, id: SensorId) -> Result<Option<Sensor>> {
    Ok(ctx.loaders()?.load_one(id).await?.map(Sensor))
}

/// Something that tells Stance of events.
pub struct Sensor(pub(super) sensors::Sensor);

#[Object]
impl Sensor {
    pub async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it watches: events that name no agent are of this asset.
    async fn asset(&self, ctx: &Context<'_>) -> Result<Asset> {
        inventory::load_existing(ctx, self.0.asset).await
    }

    async fn version(&self) -> &str {
        &self.0.version
    }

    /// The policy that it says it enforces.
    async fn policy_hash(&self) -> Option<&str> {
        self.0.policy_hash.as_deref()
    }

    /// The policy that is in force for what it watches; null: the built-in preset, and for who may not see policies.
    async fn expected_policy_hash(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        match ctx.asker()?.may(Permission::PolicyRead) {
            true => Ok(ctx.loaders()?.load_one(PolicyHashOf(self.0.asset)).await?),
            false => Ok(None),
        }
    }

    async fn state(&self, ctx: &Context<'_>) -> Result<sensors::State> {
        Ok(self.0.state(ctx.asker()?.now()))
    }

    async fn last_seen_at(&self) -> Option<DateTime<Utc>> {
        self.0.last_seen_at
    }

    async fn silent_after_seconds(&self) -> i32 {
        self.0.silent_after_s
    }

    /// How many events it told since it was registered, repeated ones too.
    async fn event_count(&self) -> i64 {
        self.0.events
    }

    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

/// A sensor that was just registered.
#[derive(SimpleObject)]
pub struct RegisteredSensor {
    sensor: Sensor,
    /// Its token, shown only this once.
    token: String,
}

/// How an organization treats what its agents say.
#[derive(SimpleObject)]
pub struct RuntimeSettings {
    /// Whether redacted text is kept with events.
    store_text: bool,
    /// For how many days events are kept.
    retention_days: i32,
}

impl From<runtime::Settings> for RuntimeSettings {
    fn from(settings: runtime::Settings) -> Self {
        Self { store_text: settings.store_text, retention_days: i32::from(settings.retention_days) }
    }
}

/// A tool call to be judged.
#[derive(InputObject)]
pub struct ToolCallInput {
    /// The MCP server, if it is one's tool.
    server: Option<String>,
    name: String,
    arguments: Option<Json<Value>>,
}

/// A text, or a tool call, to be judged.
#[derive(InputObject)]
pub struct InspectInput {
    /// The agent's external key.
    agent: Option<String>,
    session: Option<String>,
    /// Needed with a text.
    channel: Option<Channel>,
    text: Option<String>,
    /// The tool that is to be called; with a text, the tool that it belongs to.
    tool: Option<ToolCallInput>,
}

impl From<InspectInput> for Asked {
    fn from(input: InspectInput) -> Self {
        let tool = input.tool.map(|tool| ToolUse {
            server: tool.server,
            name: tool.name,
            arguments: tool.arguments.map(|Json(arguments)| arguments).unwrap_or_default(),
        });
        let InspectInput { agent, session, channel, text, .. } = input;
        Self { agent, session, channel, text, tool }
    }
}

/// What `ingestEvents` did.
#[derive(SimpleObject)]
pub struct IngestEventsPayload {
    /// Events that are new.
    accepted: usize,
    /// Events that were there already.
    repeated: usize,
}

#[derive(Default)]
pub struct RuntimeQuery;

#[Object]
impl RuntimeQuery {
    /// Traffic of the last `hours`, 1 to 720.
    #[graphql(complexity = "10 * child_complexity")]
    async fn runtime(&self, ctx: &Context<'_>, #[graphql(default = 24)] hours: i32) -> Result<RuntimeOverview> {
        Ok(RuntimeOverview(overview::overview(ctx.db()?, ctx.asker()?, hours).await?))
    }

    /// Newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        filter: Option<EventFilter>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<AgentEvent>> {
        let filter = filter.unwrap_or_default().check()?;
        let page = Page::parse(first, after.as_deref())?;
        let (db, asker) = (ctx.db()?.clone(), ctx.asker()?.clone());
        let slice = store::list(&db, &asker, &filter, &page).await?;
        let count = move || {
            let (db, asker, filter) = (db.clone(), asker.clone(), filter.clone());
            async move { store::count(&db, &asker, &filter).await }
        };
        Ok(Connection::new(&page, slice, |event| store::Key(event.at, event.id), AgentEvent, count))
    }

    /// Null when there is no such event.
    async fn event(&self, ctx: &Context<'_>, id: ID) -> Result<Option<AgentEvent>> {
        load_event(ctx, node::parse("id", &id)?).await
    }

    /// Runs of agents, the latest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn agent_sessions(
        &self,
        ctx: &Context<'_>,
        filter: Option<AgentSessionFilter>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<AgentSession>> {
        let filter = filter.unwrap_or_default().check()?;
        let page = Page::parse(first, after.as_deref())?;
        let (db, asker) = (ctx.db()?.clone(), ctx.asker()?.clone());
        let slice = overview::sessions(&db, &asker, &filter, &page).await?;
        let count = move || {
            let (db, asker, filter) = (db.clone(), asker.clone(), filter.clone());
            async move { overview::count_sessions(&db, &asker, &filter).await }
        };
        let key = |session: &overview::AgentSession| overview::SessionKey(session.last_at, session.id);
        Ok(Connection::new(&page, slice, key, AgentSession, count))
    }

    /// Null when there is no such run.
    async fn agent_session(&self, ctx: &Context<'_>, id: ID) -> Result<Option<AgentSession>> {
        load_session(ctx, node::parse::<AgentSessionId>("id", &id)?).await
    }

    /// All that are not retired, by name.
    #[graphql(complexity = "20 * child_complexity")]
    async fn sensors(&self, ctx: &Context<'_>) -> Result<Vec<Sensor>> {
        Ok(sensors::list(ctx.db()?, ctx.asker()?).await?.into_iter().map(Sensor).collect())
    }

    /// All that are not archived, by name.
    #[graphql(complexity = "20 * child_complexity")]
    async fn policies(&self, ctx: &Context<'_>) -> Result<Vec<Policy>> {
        Ok(rules::list(ctx.db()?, ctx.asker()?).await?.into_iter().map(Policy).collect())
    }

    /// Null when there is no such policy.
    async fn policy(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Policy>> {
        load_policy(ctx, node::parse("id", &id)?).await
    }

    /// What a policy can begin from.
    async fn policy_presets(&self) -> Vec<PolicyPreset> {
        PolicyPreset::all()
    }

    /// What a policy would have said of the events of the last `hours` (1 to 720), at most 100,000 of them. Tools, addresses and
    /// budgets are not judged anew: that needs the text.
    #[graphql(complexity = "50 * child_complexity")]
    async fn policy_dry_run(
        &self,
        ctx: &Context<'_>,
        document: Json<Value>,
        agents: Option<Vec<ID>>,
        #[graphql(default = 24)] hours: i32,
    ) -> Result<DryRun> {
        let agents = agents_of(agents)?;
        let policy = rules::compile(&document.0)?;
        Ok(DryRun(rules::dry_run(ctx.db()?, ctx.asker()?, &policy, &agents, hours).await?))
    }

    /// Judges and records nothing; by the agent's policy, or another one.
    async fn try_inspect(
        &self,
        ctx: &Context<'_>,
        input: InspectInput,
        document: Option<Json<Value>>,
    ) -> Result<policies::Inspection> {
        let document = document.map(|Json(document)| document);
        let answer = ctx.data::<Guard>()?.try_out(ctx.asker()?, input.into(), document.as_ref()).await?;
        Ok(policies::Inspection(answer))
    }

    /// The detectors of the last `days`, 1 to 400: policies as a whole first, then the busiest detectors.
    #[graphql(complexity = "50 * child_complexity")]
    async fn guardrail_quality(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 30)] days: i32,
    ) -> Result<Vec<GuardrailQuality>> {
        let found = figures::quality(ctx.db()?, ctx.asker()?, days).await?;
        Ok(found.into_iter().map(GuardrailQuality).collect())
    }

    /// What other thresholds would have said of the scores of the last `hours`, 1 to 720. What was redacted, or judged by a policy's
    /// own rules, keeps its verdict.
    async fn threshold_replay(
        &self,
        ctx: &Context<'_>,
        channel: Option<Channel>,
        flag: f64,
        block: f64,
        #[graphql(default = 168)] hours: i32,
    ) -> Result<ThresholdReplay> {
        Ok(ThresholdReplay(figures::replay(ctx.db()?, ctx.asker()?, channel, flag, block, hours).await?))
    }

    async fn runtime_settings(&self, ctx: &Context<'_>) -> Result<RuntimeSettings> {
        Ok(store::settings(ctx.db()?, ctx.asker()?).await?.into())
    }
}

#[derive(Default)]
pub struct RuntimeMutation;

#[Object]
impl RuntimeMutation {
    /// May this pass? The answer is recorded as an event.
    async fn inspect(&self, ctx: &Context<'_>, input: InspectInput) -> Result<policies::Inspection> {
        Ok(policies::Inspection(ctx.data::<Guard>()?.inspect(ctx.asker()?, input.into()).await?))
    }

    /// Tells of events, at most 1,000; all or none. More go to `POST /api/v1/events`.
    async fn ingest_events(&self, ctx: &Context<'_>, events: Vec<EventInput>) -> Result<IngestEventsPayload> {
        if events.len() > MAX_INGEST {
            let message = format!("must be at most {MAX_INGEST}; send more to POST /api/v1/events");
            return Err(Error::field("events", message).into());
        }
        let (db, asker) = (ctx.db()?, ctx.asker()?);
        let mut told = Vec::with_capacity(events.len());
        for (at, event) in events.into_iter().enumerate() {
            let event = event.into();
            stance_importers::events::check(&event, asker.now()).map_err(|error| {
                Error::field(format!("events[{at}].{}", error.field), format!("must be {}", error.expected))
            })?;
            told.push(event);
        }
        let written = store::ingest(db, ctx.data::<Guard>()?, asker, told, &[]).await?;
        Ok(IngestEventsPayload { accepted: written.new, repeated: written.repeated })
    }

    /// Registers a sensor and makes its token.
    async fn register_sensor(
        &self,
        ctx: &Context<'_>,
        name: String,
        asset: ID,
        silent_after_seconds: Option<i32>,
    ) -> Result<RegisteredSensor> {
        let asset = node::parse("asset", &asset)?;
        let (sensor, token) = sensors::register(ctx.db()?, ctx.asker()?, &name, asset, silent_after_seconds).await?;
        Ok(RegisteredSensor { sensor: Sensor(sensor), token })
    }

    /// Ends a sensor and its token; false when it was retired before.
    async fn retire_sensor(&self, ctx: &Context<'_>, id: ID) -> Result<bool> {
        Ok(sensors::retire(ctx.db()?, ctx.asker()?, node::parse("id", &id)?).await?)
    }

    /// Saves a document as the policy's newest version, which is not in force yet; a new policy without an id.
    async fn save_policy(
        &self,
        ctx: &Context<'_>,
        id: Option<ID>,
        name: String,
        agents: Option<Vec<ID>>,
        document: Json<Value>,
        note: Option<String>,
    ) -> Result<Policy> {
        let draft = rules::Draft {
            id: id.map(|id| node::parse("id", &id)).transpose()?,
            name,
            agents: agents_of(agents)?,
            document: document.0,
            note: note.unwrap_or_default(),
        };
        Ok(Policy(rules::save(ctx.db()?, ctx.asker()?, draft).await?))
    }

    /// Puts a version in force; null: none.
    async fn activate_policy(&self, ctx: &Context<'_>, id: ID, version: Option<i32>) -> Result<Policy> {
        let id: PolicyId = node::parse("id", &id)?;
        Ok(Policy(rules::activate(ctx.db()?, ctx.asker()?, id, version).await?))
    }

    /// Takes a policy out of force and out of the list; false when it was archived before.
    async fn archive_policy(&self, ctx: &Context<'_>, id: ID) -> Result<bool> {
        Ok(rules::archive(ctx.db()?, ctx.asker()?, node::parse("id", &id)?).await?)
    }

    /// Says whether an event was an attack; null takes it back.
    async fn label_event(
        &self,
        ctx: &Context<'_>,
        id: ID,
        label: Option<Label>,
        note: Option<String>,
    ) -> Result<AgentEvent> {
        let id = node::parse("id", &id)?;
        let event = store::label(ctx.db()?, ctx.asker()?, id, label, &note.unwrap_or_default()).await?;
        Ok(AgentEvent(event))
    }

    /// Changes how events and their text are kept, from now on.
    async fn update_runtime_settings(
        &self,
        ctx: &Context<'_>,
        store_text: Option<bool>,
        retention_days: Option<i32>,
    ) -> Result<RuntimeSettings> {
        Ok(store::set_settings(ctx.db()?, ctx.asker()?, store_text, retention_days).await?.into())
    }
}

fn agents_of(ids: Option<Vec<ID>>) -> Result<Vec<stance_shared::AssetId>> {
    match ids {
        None => Ok(Vec::new()),
        Some(ids) if ids.is_empty() => Ok(Vec::new()),
        Some(ids) => Ok(node::parse_all("agents", &ids, MAX_AGENTS)?),
    }
}

/// A word of a filter.
fn word(field: &str, value: Option<String>) -> Result<Option<String>> {
    Ok(value.map(|value| text::line(&format!("filter.{field}"), &value, 300)).transpose()?)
}
