//! “May this pass?”, and signs of life of those who ask.

use super::extract::Body;
use crate::{
    app::AppState,
    kernel::{Error, Kind, Result},
    runtime::{
        guard::{Answer, Asked, MAX_ITEMS},
        sensors,
    },
    web::auth::Remembered,
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use stance_engine::guardrail;
use stance_importers::events::ToolUse;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this file, with their documentation.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(inspect)).routes(routes!(heartbeat))
}

/// A text or a tool call; or several, as `items`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inspect {
    /// At most 100; then nothing else.
    items: Option<Vec<Item>>,
    agent: Option<String>,
    session: Option<String>,
    channel: Option<String>,
    text: Option<String>,
    tool: Option<ToolUse>,
}

impl Inspect {
    /// A field other than `items` that is there.
    fn single(&self) -> Option<&'static str> {
        let fields = [
            ("agent", self.agent.is_some()),
            ("session", self.session.is_some()),
            ("channel", self.channel.is_some()),
            ("text", self.text.is_some()),
            ("tool", self.tool.is_some()),
        ];
        fields.into_iter().find_map(|(field, is_there)| is_there.then_some(field))
    }
}

/// What is asked about.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The agent's external key.
    agent: Option<String>,
    /// The conversation or run.
    session: Option<String>,
    /// Needed with a text: USER_INPUT, SYSTEM_PROMPT, MODEL_OUTPUT, TOOL_DESCRIPTION, TOOL_INPUT, TOOL_OUTPUT, DOCUMENT or MEMORY.
    channel: Option<String>,
    /// At most 256 KiB.
    text: Option<String>,
    /// The tool that is to be called: `{"server"?, "name", "arguments"}`.
    #[schema(value_type = Option<Object>)]
    tool: Option<ToolUse>,
}

/// Something that was found.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Detection {
    rule: String,
    /// `framework@version:id`
    category: String,
    /// How sure this alone is, 0 to 1.
    score: f32,
    /// Bytes of the UTF-8 text that was given, from and to.
    #[serde(skip_serializing_if = "Option::is_none")]
    span: Option<(usize, usize)>,
    reason: String,
}

/// The answer for one text or tool call.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// ALLOW, FLAG, REDACT or BLOCK.
    verdict: &'static str,
    /// How likely an attack is, 0 to 1.
    score: f32,
    /// The redacted text, when the verdict is REDACT.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The surest first.
    detections: Vec<Detection>,
    /// The policy that decided.
    policy_hash: String,
}

/// One answer, or those for several in their order.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Inspected {
    One(Verdict),
    Many { items: Vec<Verdict> },
}

impl From<Answer> for Verdict {
    fn from(answer: Answer) -> Self {
        let detection = |found: guardrail::Detection| Detection {
            rule: found.rule,
            category: found.category,
            score: found.score,
            span: found.span,
            reason: found.reason,
        };
        Self {
            verdict: answer.decision.verdict.as_str(),
            score: answer.decision.score,
            text: answer.text,
            detections: answer.decision.detections.into_iter().map(detection).collect(),
            policy_hash: answer.policy_hash,
        }
    }
}

impl Item {
    fn asked(self) -> Result<Asked> {
        let channel = self.channel.map(|word| word.parse()).transpose();
        let channel = channel.map_err(|error: stance_shared::UnknownWord| {
            Error::field("channel", format!("must be one of {}", error.allowed.join(", ")))
        })?;
        Ok(Asked { agent: self.agent, session: self.session, channel, text: self.text, tool: self.tool })
    }
}

/// Judges a text or a tool call by the agent's policy, and records it. Of several, all are judged and recorded, or the first that is
/// wrong is named and none is.
#[utoipa::path(post, path = "/api/v1/inspect", tag = "runtime", request_body = Item,
    responses((status = 200, description = "The verdict", body = Inspected),
        (status = 429, description = "Too much at once: come again after Retry-After", body = super::Problem),
        (status = "4XX", description = "A problem", body = super::Problem)))]
async fn inspect(
    State(state): State<AppState>,
    Remembered(ctx): Remembered,
    Body(given): Body<Inspect>,
) -> Result<Json<Inspected>> {
    let single = given.single();
    let Inspect { items, agent, session, channel, text, tool } = given;
    let Some(items) = items else {
        let item = Item { agent, session, channel, text, tool };
        return Ok(Json(Inspected::One(state.guard.inspect(&ctx, item.asked()?).await?.into())));
    };
    if let Some(field) = single {
        return Err(Error::field(field, "must be absent beside `items`"));
    }
    if items.is_empty() || items.len() > MAX_ITEMS {
        return Err(Error::field("items", format!("must be 1 to {MAX_ITEMS}")));
    }
    let named = |at: usize| {
        move |mut error: Error| {
            for wrong in &mut error.fields {
                wrong.field = format!("items[{at}].{}", wrong.field);
            }
            if error.kind == Kind::BadInput {
                error.public = format!("items[{at}].{}", error.public);
            }
            error
        }
    };
    let asked = items.into_iter().enumerate().map(|(at, item)| item.asked().map_err(named(at)));
    let asked: Vec<Asked> = asked.collect::<Result<_>>()?;
    let answers = state.guard.inspect_all(&ctx, asked).await.map_err(|(at, error)| named(at)(error))?;
    Ok(Json(Inspected::Many { items: answers.into_iter().map(Verdict::from).collect() }))
}

/// A sign of life.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Heartbeat {
    /// The sensor's version, at most 100 characters.
    #[serde(default)]
    version: String,
    /// The policy that it enforces: 64 hexadecimal digits.
    policy_hash: Option<String>,
}

/// What a sensor learns by its sign of life.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Heard {
    /// Null: the token is no registered sensor's.
    sensor_id: Option<uuid::Uuid>,
    /// The policy that it should enforce; null: the built-in preset.
    policy_hash: Option<String>,
}

/// Takes a sensor's sign of life, by its own token.
#[utoipa::path(post, path = "/api/v1/heartbeat", tag = "runtime", request_body = Heartbeat,
    responses((status = 200, description = "Heard", body = Heard), (status = "4XX", description = "A problem", body = super::Problem)))]
async fn heartbeat(
    State(state): State<AppState>,
    Remembered(ctx): Remembered,
    Body(beat): Body<Heartbeat>,
) -> Result<Json<Heard>> {
    let heard = sensors::heartbeat(&state.db, &ctx, &beat.version, beat.policy_hash.as_deref()).await?;
    Ok(Json(Heard { sensor_id: heard.sensor.map(|id| id.0), policy_hash: heard.policy_hash }))
}
