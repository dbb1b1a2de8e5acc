//! Guardrail policies, and what they say.

use super::{AgentEvent, events::Detection, load_event};
use crate::{
    api::graphql::{
        GraphqlContext as _,
        inventory::{self, Asset},
        loaders::VersionsOf,
        node,
    },
    runtime::{guard::Answer, policies as rules},
};
use async_graphql::{Context, ID, Json, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use stance_engine::policy::Preset;
use stance_shared::{PolicyId, Verdict};

/// The policy with this id, archived or not; null when there is none.
pub async fn load(ctx: &Context<'_>, id: PolicyId) -> Result<Option<Policy>> {
    Ok(ctx.loaders()?.load_one(id).await?.map(Policy))
}

/// A guardrail policy: a name with versions.
pub struct Policy(pub(super) rules::Policy);

impl Policy {
    async fn all_versions(&self, ctx: &Context<'_>) -> Result<Vec<rules::Version>> {
        Ok(ctx.loaders()?.load_one(VersionsOf(self.0.id)).await?.unwrap_or_default())
    }
}

#[Object]
impl Policy {
    pub async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    /// To which agents it applies; none: to all that no other policy names.
    #[graphql(complexity = "20 * child_complexity")]
    async fn agents(&self, ctx: &Context<'_>) -> Result<Vec<Asset>> {
        let mut agents = Vec::new();
        for agent in &self.0.agents {
            agents.extend(inventory::load(ctx, *agent).await?);
        }
        Ok(agents)
    }

    /// The version in force.
    async fn active(&self, ctx: &Context<'_>) -> Result<Option<PolicyVersion>> {
        let Some(active) = self.0.active else { return Ok(None) };
        let found = self.all_versions(ctx).await?.into_iter().find(|version| version.version == active);
        Ok(found.map(PolicyVersion::from))
    }

    /// Newest first.
    #[graphql(complexity = "10 * child_complexity")]
    async fn versions(&self, ctx: &Context<'_>) -> Result<Vec<PolicyVersion>> {
        Ok(self.all_versions(ctx).await?.into_iter().map(PolicyVersion::from).collect())
    }

    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

/// A version of a policy; never changed.
#[derive(SimpleObject)]
pub struct PolicyVersion {
    version: i32,
    document: Json<Value>,
    /// SHA-256 of the canonical document: what enforcement points say they enforce.
    hash: String,
    note: String,
    created_at: DateTime<Utc>,
    created_by: String,
}

impl From<rules::Version> for PolicyVersion {
    fn from(version: rules::Version) -> Self {
        let rules::Version { version, document, hash, note, created_at, created_by, .. } = version;
        Self { version, document: Json(document), hash, note, created_at, created_by }
    }
}

/// What a policy can begin from.
#[derive(SimpleObject)]
pub struct PolicyPreset {
    preset: &'static str,
    summary: &'static str,
    document: Json<Value>,
}

impl PolicyPreset {
    pub(super) fn all() -> Vec<Self> {
        let of = |preset: Preset| Self {
            preset: preset.as_str(),
            summary: preset.summary(),
            document: Json(json!({ "preset": preset.as_str() })),
        };
        Preset::ALL.into_iter().map(of).collect()
    }
}

/// Events by verdict.
#[derive(SimpleObject)]
pub struct VerdictCounts {
    allow: i64,
    flag: i64,
    redact: i64,
    block: i64,
}

impl From<rules::Verdicts> for VerdictCounts {
    fn from([allow, flag, redact, block]: rules::Verdicts) -> Self {
        Self { allow, flag, redact, block }
    }
}

/// What a policy would have said of stored events.
pub struct DryRun(pub(super) rules::DryRun);

#[Object]
impl DryRun {
    /// How many were judged again.
    async fn events(&self) -> i64 {
        self.0.events
    }

    /// How many of them otherwise.
    async fn changed(&self) -> i64 {
        self.0.changed
    }

    async fn before(&self) -> VerdictCounts {
        self.0.before.into()
    }

    async fn after(&self) -> VerdictCounts {
        self.0.after.into()
    }

    /// Events that would be judged otherwise, the newest 50.
    async fn examples(&self, ctx: &Context<'_>) -> Result<Vec<DryRunExample>> {
        let mut examples = Vec::new();
        for (id, before, after, reason) in &self.0.examples {
            if let Some(event) = load_event(ctx, *id).await? {
                examples.push(DryRunExample { event, before: *before, after: *after, reason: reason.clone() });
            }
        }
        Ok(examples)
    }
}

/// An event that would be judged otherwise.
#[derive(SimpleObject)]
pub struct DryRunExample {
    event: AgentEvent,
    before: Verdict,
    after: Verdict,
    reason: String,
}

/// A disguise that was taken off.
#[derive(SimpleObject)]
pub struct Decoding {
    /// `base64`, `homoglyph` …
    how: &'static str,
    /// What it says, at most 160 characters.
    text: String,
    /// Bytes of the UTF-8 text that was given.
    start: usize,
    end: usize,
}

/// What the guard says of a text or tool call.
pub struct Inspection(pub(super) Answer);

#[Object]
impl Inspection {
    async fn verdict(&self) -> Verdict {
        self.0.decision.verdict
    }

    /// How likely an attack is, 0 to 1.
    async fn score(&self) -> f64 {
        f64::from(self.0.decision.score)
    }

    /// The redacted text, when the verdict is REDACT.
    async fn text(&self) -> Option<&str> {
        self.0.text.as_deref()
    }

    /// The surest first.
    async fn detections(&self) -> Vec<Detection> {
        self.0.decision.detections.iter().cloned().map(Detection::from).collect()
    }

    async fn decodings(&self) -> Vec<Decoding> {
        let decoding = |found: &stance_engine::guardrail::text::Decoding| Decoding {
            how: found.disguise.name(),
            text: found.excerpt.clone(),
            start: found.span.start,
            end: found.span.end,
        };
        self.0.decodings.iter().map(decoding).collect()
    }

    async fn policy_hash(&self) -> &str {
        &self.0.policy_hash
    }

    /// How long the inspection took, in microseconds.
    async fn micros(&self) -> i32 {
        self.0.micros
    }
}
