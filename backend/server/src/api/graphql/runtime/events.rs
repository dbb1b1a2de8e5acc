//! Events of agents' runs.

use super::{AgentSession, Policy, Sensor, load_policy, load_sensor, word};
use crate::{
    api::graphql::{
        GraphqlContext as _,
        inventory::{self, Asset},
        loaders::SessionOf,
        node,
    },
    runtime::events::{self as store, Event, Filter, Label},
};
use async_graphql::{Context, ID, InputObject, Json, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use serde_json::Value;
use stance_engine::guardrail;
use stance_importers::events as told;
use stance_shared::{Channel, EventKind, Verdict};

/// Something that was found.
#[derive(SimpleObject)]
pub struct Detection {
    rule: String,
    /// `framework@version:id`
    category: String,
    /// How sure this alone is, 0 to 1.
    score: f64,
    /// Bytes of the UTF-8 text that was given.
    start: Option<usize>,
    end: Option<usize>,
    reason: String,
    /// What stands in its place in the redacted text, for what is taken out.
    redaction: Option<String>,
}

impl From<guardrail::Detection> for Detection {
    fn from(found: guardrail::Detection) -> Self {
        Self {
            rule: found.rule,
            category: found.category,
            score: f64::from(found.score),
            start: found.span.map(|span| span.0),
            end: found.span.map(|span| span.1),
            reason: found.reason,
            redaction: found.redaction,
        }
    }
}

/// What a person said of an event.
#[derive(SimpleObject)]
pub struct Feedback {
    label: Label,
    by: String,
    at: DateTime<Utc>,
    note: String,
}

/// Something that happened in an agent's run.
pub struct AgentEvent(pub(super) Event);

#[Object(name = "Event")]
impl AgentEvent {
    pub async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    async fn at(&self) -> DateTime<Utc> {
        self.0.at
    }

    async fn received_at(&self) -> DateTime<Utc> {
        self.0.received_at
    }

    async fn kind(&self) -> EventKind {
        self.0.kind
    }

    async fn channel(&self) -> Option<Channel> {
        self.0.channel
    }

    async fn verdict(&self) -> Verdict {
        self.0.verdict
    }

    /// How likely an attack is, 0 to 1.
    async fn score(&self) -> f64 {
        f64::from(self.0.score)
    }

    /// The surest first.
    async fn detections(&self) -> Vec<Detection> {
        self.0.detections.iter().cloned().map(Detection::from).collect()
    }

    async fn agent(&self, ctx: &Context<'_>) -> Result<Option<Asset>> {
        match self.0.agent {
            None => Ok(None),
            Some(agent) => inventory::load(ctx, agent).await,
        }
    }

    /// Null: the inspect API, or a token that is no registered sensor's.
    async fn sensor(&self, ctx: &Context<'_>) -> Result<Option<Sensor>> {
        match self.0.sensor {
            None => Ok(None),
            Some(sensor) => load_sensor(ctx, sensor).await,
        }
    }

    async fn session(&self, ctx: &Context<'_>) -> Result<Option<AgentSession>> {
        let Some((agent, name)) = self.0.agent.zip(self.0.session.clone()) else { return Ok(None) };
        Ok(ctx.loaders()?.load_one(SessionOf(agent, name)).await?.map(AgentSession))
    }

    async fn trace(&self) -> Option<&str> {
        self.0.trace.as_deref()
    }

    async fn span(&self) -> Option<&str> {
        self.0.span.as_deref()
    }

    async fn parent_span(&self) -> Option<&str> {
        self.0.parent_span.as_deref()
    }

    async fn model(&self) -> Option<&str> {
        self.0.model.as_deref()
    }

    async fn tool_server(&self) -> Option<&str> {
        self.0.tool_server.as_deref()
    }

    async fn tool(&self) -> Option<&str> {
        self.0.tool.as_deref()
    }

    async fn input_tokens(&self) -> Option<i64> {
        self.0.input_tokens
    }

    async fn output_tokens(&self) -> Option<i64> {
        self.0.output_tokens
    }

    async fn cost_usd(&self) -> Option<f64> {
        self.0.cost_usd
    }

    /// How long the step took.
    async fn duration_ms(&self) -> Option<f64> {
        self.0.duration_ms
    }

    /// How long the inspection took; null when nobody waited for it.
    async fn inspect_micros(&self) -> Option<i32> {
        self.0.inspect_us
    }

    async fn text_bytes(&self) -> Option<i32> {
        self.0.text_bytes
    }

    /// SHA-256 of the text that was given, in hexadecimal.
    async fn text_hash(&self) -> Option<String> {
        self.0.text_hash.as_ref().map(hex::encode)
    }

    /// Redacted, at most 4,000 characters; null unless the organization keeps text.
    async fn text(&self) -> Option<&str> {
        self.0.text.as_deref()
    }

    async fn policy(&self, ctx: &Context<'_>) -> Result<Option<Policy>> {
        match self.0.judged_by {
            None => Ok(None),
            Some(by) => load_policy(ctx, by.policy).await,
        }
    }

    async fn policy_version(&self) -> Option<i32> {
        self.0.judged_by.map(|by| by.version)
    }

    async fn feedback(&self) -> Option<Feedback> {
        let store::Feedback { label, by, at, note } = self.0.feedback.clone()?;
        Some(Feedback { label, by, at, note })
    }

    /// What only some kinds have: `to`, `approval`, `guardrail`, `error`.
    async fn detail(&self) -> Option<Json<Value>> {
        self.0.detail.clone().map(Json)
    }
}

/// All that is given must hold; of a list, one must.
#[derive(InputObject, Default)]
pub struct EventFilter {
    agents: Option<Vec<ID>>,
    kinds: Option<Vec<EventKind>>,
    channels: Option<Vec<Channel>>,
    verdicts: Option<Vec<Verdict>>,
    /// A detector's rule; with a star at its end, all that begin so: `secret.*`.
    rule: Option<String>,
    session: Option<ID>,
    sensor: Option<ID>,
    tool: Option<String>,
    model: Option<String>,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    /// Whether a person said something of it.
    labelled: Option<bool>,
}

impl EventFilter {
    pub(super) fn check(self) -> Result<Filter> {
        let agents = self.agents.filter(|agents| !agents.is_empty());
        Ok(Filter {
            agents: agents.map(|ids| node::parse_all("filter.agents", &ids, 100)).transpose()?.unwrap_or_default(),
            kinds: self.kinds.unwrap_or_default(),
            channels: self.channels.unwrap_or_default(),
            verdicts: self.verdicts.unwrap_or_default(),
            rule: word("rule", self.rule)?,
            session: self.session.map(|id| node::parse("filter.session", &id)).transpose()?,
            sensor: self.sensor.map(|id| node::parse("filter.sensor", &id)).transpose()?,
            tool: word("tool", self.tool)?,
            model: word("model", self.model)?,
            from: self.from,
            to: self.to,
            labelled: self.labelled,
        })
    }
}

/// A place in a trace, by W3C trace context.
#[derive(InputObject)]
pub struct SpanInput {
    /// 32 hexadecimal digits.
    trace: String,
    /// 16 hexadecimal digits.
    id: String,
    parent: Option<String>,
}

/// What a guardrail said that is not Stance's.
#[derive(InputObject)]
pub struct GuardrailInput {
    name: String,
    rule: Option<String>,
    verdict: Verdict,
    /// 0 to 1.
    score: Option<f64>,
}

/// A person's answer to a step that needed one.
#[derive(InputObject)]
pub struct ApprovalInput {
    granted: bool,
    by: Option<String>,
}

/// What a step consumed.
#[derive(InputObject)]
pub struct UsageInput {
    #[graphql(default)]
    input_tokens: u64,
    #[graphql(default)]
    output_tokens: u64,
    cost_usd: Option<f64>,
}

/// An event to be told; as the lines of `POST /api/v1/events`.
#[derive(InputObject)]
pub struct EventInput {
    /// The teller's own name for it, 1 to 200 characters: the same id told twice is one event.
    id: String,
    at: DateTime<Utc>,
    kind: EventKind,
    /// The agent's external key.
    agent: Option<String>,
    session: Option<String>,
    span: Option<SpanInput>,
    channel: Option<Channel>,
    text: Option<String>,
    model: Option<String>,
    tool: Option<super::ToolCallInput>,
    guardrail: Option<GuardrailInput>,
    /// To which agent work was delegated.
    to: Option<String>,
    approval: Option<ApprovalInput>,
    usage: Option<UsageInput>,
    duration_ms: Option<f64>,
    error: Option<String>,
}

impl From<EventInput> for told::Event {
    fn from(input: EventInput) -> Self {
        Self {
            id: input.id,
            at: input.at,
            kind: input.kind,
            agent: input.agent,
            session: input.session,
            span: input.span.map(|span| told::Span { trace: span.trace, id: span.id, parent: span.parent }),
            channel: input.channel,
            text: input.text,
            model: input.model,
            tool: input.tool.map(|tool| told::ToolUse {
                server: tool.server,
                name: tool.name,
                arguments: tool.arguments.map(|Json(arguments)| arguments).unwrap_or_default(),
            }),
            guardrail: input.guardrail.map(|said| told::GuardrailVerdict {
                name: said.name,
                rule: said.rule,
                verdict: said.verdict,
                score: said.score,
            }),
            to: input.to,
            approval: input.approval.map(|answer| told::Approval { granted: answer.granted, by: answer.by }),
            usage: input.usage.map(|usage| told::Usage {
                input_tokens: usage.input_tokens,
                output_tokens: usage.output_tokens,
                cost_usd: usage.cost_usd,
            }),
            duration_ms: input.duration_ms,
            error: input.error,
        }
    }
}
