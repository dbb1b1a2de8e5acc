//! “May this pass?”, answered from memory.

use super::{
    Recorder,
    containment::memory::{Memory, Who},
    domain::{AgentRef, JudgedBy, Seen, Settings, Teller, event_id},
    repo,
};
use crate::{
    kernel::{Actor, Clock, Ctx, Db, Error, Kind, Permission, Result},
    live::{Hub, Position, Topic},
};
use serde_json::Value;
use stance_engine::{
    guardrail::{Detection, Detector, redact},
    policy::{Call, Compiled, Decision, Preset, Spent, ToolCall},
};
use stance_importers::{
    AssetRecord,
    events::{Event as Told, ToolUse},
};
use stance_shared::{AssetId, Channel, ContainmentId, EventKind, TenantId, Verdict};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

/// How old what the guard knows of an organization may be. A changed policy counts at once, as soon as the database's notice arrives.
pub const REFRESH: Duration = Duration::from_secs(5);
/// For how long the guard goes on with what it knows when the database does not answer.
pub const STALE: Duration = Duration::from_secs(60);
/// The largest text, or arguments of a tool call as JSON, in bytes.
pub const MAX_TEXT: usize = stance_importers::events::MAX_TEXT_BYTES;
/// Texts of one request.
pub const MAX_ITEMS: usize = 100;
/// Bytes of text that are inspected at the same time; beyond it callers are told to come again.
const IN_FLIGHT: usize = 16 << 20;
/// From this many bytes on an inspection has a thread of its own, so that it holds up nobody.
const LONG: usize = 32 << 10;
/// Events of one request that are worth a thread.
const MIN_PART: usize = 256;
/// Agents that are known by key; others are looked up when their events are written.
const MAX_AGENTS: i64 = 100_000;
/// Agents whose requests are counted, of one organization.
const MAX_COUNTED: usize = 100_000;

/// What is asked about.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The agent's external key.
    pub agent: Option<String>,
    pub session: Option<String>,
    /// Needed with a text.
    pub channel: Option<Channel>,
    pub text: Option<String>,
    /// The tool that is to be called; with a text, the tool that it belongs to.
    pub tool: Option<ToolUse>,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub decision: Decision,
    /// The redacted text, when the verdict is REDACT.
    pub text: Option<String>,
    /// The disguises that were taken off.
    pub decodings: Vec<stance_engine::guardrail::text::Decoding>,
    pub policy_hash: String,
    pub micros: i32,
}

/// The guard of one process. Cheap to clone.
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    live: Hub,
    detector: Detector,
    preset: Arc<Policy>,
    known: Mutex<HashMap<TenantId, Arc<Known>>>,
    loading: tokio::sync::Mutex<()>,
    in_flight: Semaphore,
    recorder: Recorder,
}

/// A policy in force; without a version the preset that counts where there is none.
struct Policy {
    compiled: Compiled,
    judged_by: Option<JudgedBy>,
}

/// What one event is judged by.
struct Measure {
    contained: Held,
    policy: Arc<Policy>,
    spent: Spent,
}

/// What is known of an organization.
struct Known {
    loaded: Instant,
    /// How far the hub had come before it was loaded.
    position: Position,
    settings: Settings,
    /// Counts for agents without a policy of their own.
    general: Arc<Policy>,
    of_agent: HashMap<AssetId, Arc<Policy>>,
    /// By the normal form of their keys.
    agents: HashMap<String, AssetId>,
    spent: HashMap<AssetId, (u64, f64)>,
    contained: Memory,
    /// Requests of the running minute, by agent; carried over when it is loaded anew.
    requests: Arc<Mutex<Requests>>,
}

/// The containments that deny a step, and what is told of them.
type Held = Vec<(ContainmentId, Detection)>;

#[derive(Default)]
struct Requests {
    minute: i64,
    by_agent: HashMap<Option<AgentRef>, u64>,
}

/// Takes out of an event what is inspected of it: its text, or a tool call's arguments.
fn inspected(told: &mut Told) -> Option<String> {
    let arguments = |told: &Told| {
        let given = told.tool.as_ref().map(|tool| &tool.arguments).filter(|arguments| !arguments.is_null())?;
        (told.kind == EventKind::ToolCall).then(|| given.to_string())
    };
    told.text.take().or_else(|| arguments(told))
}

impl Guard {
    /// # Errors
    /// When the detectors' data is broken, which the tests rule out.
    pub fn new(db: Db, clock: Clock, live: Hub, recorder: Recorder) -> Result<Self> {
        let broken = |what: String| Error::internal(std::io::Error::other(what));
        let preset = Compiled::preset(Preset::default()).map_err(|problems| broken(format!("{problems:?}")))?;
        Ok(Self(Arc::new(Inner {
            db,
            clock,
            live,
            detector: Detector::new().map_err(broken)?,
            preset: Arc::new(Policy { compiled: preset, judged_by: None }),
            known: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
            in_flight: Semaphore::new(IN_FLIGHT),
            recorder,
        })))
    }

    /// Judges one text or tool call, and records it.
    ///
    /// # Errors
    /// `BAD_INPUT` naming the field; `FORBIDDEN`; `RATE_LIMITED` when too much is inspected or too many events wait to be written;
    /// `UNAVAILABLE` when nothing recent is known of the organization.
    pub async fn inspect(&self, ctx: &Ctx, asked: Asked) -> Result<Answer> {
        ctx.require(Permission::InspectCall)?;
        let told = check(asked, &self.0.clock)?;
        let known = self.known(ctx.tenant).await?;
        let (answer, seen) = self.judge(&known, told, Teller::Guard, token(ctx), true).await?;
        self.0.recorder.record_all(ctx.tenant, vec![seen])?;
        Ok(answer)
    }

    /// Judges several as [`Self::inspect`] does, at most [`MAX_ITEMS`]; records all or none.
    ///
    /// # Errors
    /// As [`Self::inspect`], with the place of the one that is wrong.
    pub async fn inspect_all(&self, ctx: &Ctx, asked: Vec<Asked>) -> Result<Vec<Answer>, (usize, Error)> {
        ctx.require(Permission::InspectCall).map_err(|error| (0, error))?;
        let told = asked.into_iter().enumerate().map(|(at, asked)| check(asked, &self.0.clock).map_err(|e| (at, e)));
        let told: Vec<Told> = told.collect::<Result<_, _>>()?;
        let known = self.known(ctx.tenant).await.map_err(|error| (0, error))?;
        let (mut answers, mut seen) = (Vec::with_capacity(told.len()), Vec::with_capacity(told.len()));
        for (at, told) in told.into_iter().enumerate() {
            let (answer, event) =
                self.judge(&known, told, Teller::Guard, token(ctx), true).await.map_err(|error| (at, error))?;
            answers.push(answer);
            seen.push(event);
        }
        self.0.recorder.record_all(ctx.tenant, seen).map_err(|error| (0, error))?;
        Ok(answers)
    }

    /// Judges as [`Self::inspect`] does, under another policy if one is given, and records nothing.
    ///
    /// # Errors
    /// As [`Self::inspect`]; `BAD_INPUT` naming what is wrong with the policy.
    pub async fn try_out(&self, ctx: &Ctx, asked: Asked, document: Option<&Value>) -> Result<Answer> {
        ctx.require(Permission::InspectCall)?;
        let told = check(asked, &self.0.clock)?;
        let known = self.known(ctx.tenant).await?;
        let other = document.map(super::policies::compile).transpose()?;
        let agent = known.agent(told.agent.as_deref());
        let (policy, contained) = match other {
            Some(compiled) => (Arc::new(Policy { compiled, judged_by: None }), Vec::new()),
            None => (known.policy(&agent), self.contained(&known, &agent, &told, token(ctx))),
        };
        let by = Measure { contained, policy, spent: Spent::default() };
        let (answer, _) = self.run(by, told, Teller::Guard, false).await?;
        Ok(answer)
    }

    /// The revision and hash of the containments that are enforced from now on; they are loaded anew when they are older than `least`.
    ///
    /// # Errors
    /// `UNAVAILABLE` when they can not be read.
    pub async fn enforced(&self, tenant: TenantId, least: i64) -> Result<(i64, String)> {
        let mut known = self.known(tenant).await?;
        if known.contained.revision < least {
            self.held().remove(&tenant);
            known = self.known(tenant).await?;
        }
        Ok((known.contained.revision, known.contained.hash.clone()))
    }

    /// Judges a canary call by the way that [`Self::inspect`] takes. It is no step of the agent: nothing is counted or recorded of it here.
    /// With the answer come the containments that denied it.
    ///
    /// # Errors
    /// As [`Self::inspect`].
    pub async fn canary(&self, tenant: TenantId, asked: Asked) -> Result<(Answer, Vec<ContainmentId>)> {
        let told = check(asked, &self.0.clock)?;
        let known = self.known(tenant).await?;
        let agent = known.agent(told.agent.as_deref());
        let by = self.contained(&known, &agent, &told, None).into_iter().map(|(id, _)| id).collect();
        let (answer, _) = self.judge(&known, told, Teller::Guard, None, false).await?;
        Ok((answer, by))
    }

    /// Judges what a sensor told: the text is inspected, and what the policy would have said is noted.
    ///
    /// # Errors
    /// As [`Self::inspect`].
    pub async fn judge_told(&self, tenant: TenantId, teller: Teller, told: Vec<Told>) -> Result<Vec<Seen>> {
        let known = self.known(tenant).await?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let size = told.len().div_ceil(cores).max(MIN_PART);
        let mut seen = Vec::with_capacity(told.len());
        let mut told = told.into_iter();
        let mut parts = Vec::new();
        while told.len() > 0 {
            let part: Vec<Told> = told.by_ref().take(size).collect();
            let (guard, known) = (self.clone(), known.clone());
            parts.push(tokio::task::spawn_blocking(move || guard.judge_part(&known, part, teller)));
        }
        for part in parts {
            seen.extend(part.await.map_err(Error::internal)??);
        }
        Ok(seen)
    }

    fn judge_part(&self, known: &Known, told: Vec<Told>, teller: Teller) -> Result<Vec<Seen>> {
        let judge = |mut event: Told| {
            let by = self.measure(known, &event, teller, None, false);
            let judged_by = by.policy.judged_by;
            let text = inspected(&mut event);
            let _place = self.place(text.as_deref())?;
            let (_, seen) = self.work(by, event, text, teller, known.settings.store_text);
            Ok(Seen { judged_by, ..seen })
        };
        told.into_iter().map(judge).collect()
    }

    /// Writes what sensors told; see [`super::store::write`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn write(&self, ctx: &Ctx, seen: &[Seen], described: &[AssetRecord]) -> Result<super::store::Written> {
        self.0.recorder.write(&self.0.db, ctx, seen, described).await
    }

    async fn judge(
        &self,
        known: &Known,
        told: Told,
        teller: Teller,
        token: Option<Uuid>,
        counts: bool,
    ) -> Result<(Answer, Seen)> {
        let by = self.measure(known, &told, teller, token, counts);
        let judged_by = by.policy.judged_by;
        let (answer, mut seen) = self.run(by, told, teller, known.settings.store_text).await?;
        seen.judged_by = judged_by;
        seen.inspect_us = counts.then_some(answer.micros);
        Ok((answer, seen))
    }

    /// What containment says of a step, before any policy: one detection for each containment that denies it.
    fn contained(&self, known: &Known, agent: &Option<AgentRef>, told: &Told, token: Option<Uuid>) -> Held {
        let who = Who { agent: agent.as_ref(), key: told.agent.as_deref(), token };
        known.contained.judge(who, told, self.0.clock.now())
    }

    /// What an event is judged by: its agent's containments and policy, and what the agent spent.
    fn measure(&self, known: &Known, told: &Told, teller: Teller, token: Option<Uuid>, counts: bool) -> Measure {
        let agent = match (&told.agent, teller) {
            (None, Teller::Sensor { watches, .. }) => Some(AgentRef::Known(watches)),
            (key, _) => known.agent(key.as_deref()),
        };
        Measure {
            contained: self.contained(known, &agent, told, token),
            policy: known.policy(&agent),
            spent: known.spend(&agent, self.0.clock.now().timestamp() / 60, counts),
        }
    }

    /// Room for a text among those that are inspected just now.
    fn place(&self, text: Option<&str>) -> Result<SemaphorePermit<'_>> {
        let weight = u32::try_from(text.map_or(0, str::len).max(1)).unwrap_or(u32::MAX);
        self.0.in_flight.try_acquire_many(weight).map_err(|_| Error::rate_limited(Duration::from_secs(1)))
    }

    async fn run(&self, by: Measure, mut told: Told, teller: Teller, keep: bool) -> Result<(Answer, Seen)> {
        let text = inspected(&mut told);
        let _place = self.place(text.as_deref())?;
        if text.as_ref().map_or(0, String::len) < LONG {
            return Ok(self.work(by, told, text, teller, keep));
        }
        let guard = self.clone();
        let work = move || guard.work(by, told, text, teller, keep);
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)
    }

    fn work(&self, by: Measure, told: Told, text: Option<String>, teller: Teller, keep: bool) -> (Answer, Seen) {
        let begin = Instant::now();
        let policy = &by.policy.compiled;
        let (mut decision, decodings) = self.decide(policy, &told, text.as_deref(), &by.spent);
        if !by.contained.is_empty() {
            // Whatever the policy says. What the detectors found stays: an event keeps no secret for being blocked.
            decision.verdict = Verdict::Block;
            decision.detections.splice(0..0, by.contained.into_iter().map(|(_, detection)| detection));
        }
        let micros = i32::try_from(begin.elapsed().as_micros()).unwrap_or(i32::MAX);
        let redacted = match (&text, decision.verdict) {
            (Some(text), Verdict::Redact) => Some(redact(text, &decision.detections)),
            _ => None,
        };
        let id = match teller {
            Teller::Guard => event_id(told.at, self.0.clock.new_id(), ""),
            Teller::Sensor { id, .. } => event_id(told.at, id.0, &told.id),
            Teller::Unnamed(id) => event_id(told.at, id, &told.id),
        };
        let seen = Seen::new(id, teller, told, text.as_deref(), decision.clone(), keep);
        let policy_hash = policy.hash.clone();
        (Answer { decision, text: redacted, decodings, policy_hash, micros }, seen)
    }

    fn decide(
        &self,
        policy: &Compiled,
        told: &Told,
        text: Option<&str>,
        spent: &Spent,
    ) -> (Decision, Vec<stance_engine::guardrail::text::Decoding>) {
        let channel = told.channel.or(told.kind.channel());
        let (score, detections, decodings) = match (text, channel) {
            (Some(text), Some(channel)) => {
                let report = self.0.detector.inspect(text, channel);
                (report.score, report.detections, report.decodings)
            }
            _ => (0.0, Vec::new(), Vec::new()),
        };
        let tool = (told.kind == EventKind::ToolCall).then_some(told.tool.as_ref()).flatten();
        let tool =
            tool.map(|tool| ToolCall { server: tool.server.as_deref(), name: &tool.name, arguments: &tool.arguments });
        let call = Call { channel: channel.unwrap_or(Channel::UserInput), text: text.unwrap_or_default(), tool };
        (policy.decide(&call, score, detections, spent), decodings)
    }

    /// What is known of an organization, loaded anew when it is old or a policy changed.
    async fn known(&self, tenant: TenantId) -> Result<Arc<Known>> {
        let usable = |known: &Arc<Known>| {
            known.loaded.elapsed() < REFRESH
                && !self.0.live.changed_since(tenant, Some(known.position)).contains(&Topic::Policy)
        };
        let held = || self.held().get(&tenant).cloned();
        if let Some(known) = held().filter(usable) {
            return Ok(known);
        }
        // One loads; the others wait for it.
        let _turn = self.0.loading.lock().await;
        let before = held();
        if let Some(known) = before.clone().filter(usable) {
            return Ok(known);
        }
        match self.load(tenant, before.as_deref()).await {
            Ok(known) => {
                let known = Arc::new(known);
                self.held().insert(tenant, known.clone());
                Ok(known)
            }
            Err(error) => match before.filter(|known| known.loaded.elapsed() < STALE) {
                Some(known) => {
                    tracing::warn!(cause = error.internal_text(), "the guard goes on with what it knows");
                    Ok(known)
                }
                None => Err(Error::new(Kind::Unavailable, "The policies can not be read. Try again.")
                    .caused_by(std::io::Error::other(error.internal_text().unwrap_or(error.public)))),
            },
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<TenantId, Arc<Known>>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn load(&self, tenant: TenantId, before: Option<&Known>) -> Result<Known> {
        let (loaded, position) = (Instant::now(), self.0.live.position());
        let ctx = Ctx::system(tenant, "guard", self.0.clock.clone());
        let mut tx = self.0.db.begin(&ctx, Permission::PolicyRead).await?;
        let settings = repo::settings(&mut tx).await?;
        let midnight = ctx.now().date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
        let spent = repo::spent_today(&mut tx, midnight).await?;
        let agents = repo::agents(&mut tx, MAX_AGENTS).await?;
        let contained = Memory::load(&mut tx).await?;
        let (mut general, mut of_agent) = (self.0.preset.clone(), HashMap::new());
        for in_force in repo::in_force(&mut tx).await? {
            let compiled = super::policies::compile(&in_force.document)?;
            let policy = Arc::new(Policy { compiled, judged_by: Some(in_force.judged_by) });
            if in_force.agents.is_empty() {
                general = policy;
            } else {
                of_agent.extend(in_force.agents.into_iter().map(|agent| (AssetId(agent), policy.clone())));
            }
        }
        let requests = before.map(|known| known.requests.clone()).unwrap_or_default();
        Ok(Known { loaded, position, settings, general, of_agent, agents, spent, contained, requests })
    }
}

impl Known {
    fn agent(&self, key: Option<&str>) -> Option<AgentRef> {
        let key = key?;
        let normal = key.trim().to_lowercase();
        Some(match self.agents.get(normal.trim_end_matches('/')) {
            Some(id) => AgentRef::Known(*id),
            None => AgentRef::Key(key.to_owned()),
        })
    }

    fn policy(&self, agent: &Option<AgentRef>) -> Arc<Policy> {
        match agent {
            Some(AgentRef::Known(id)) => self.of_agent.get(id).unwrap_or(&self.general).clone(),
            _ => self.general.clone(),
        }
    }

    /// What the agent consumed; a request that counts is then one more.
    fn spend(&self, agent: &Option<AgentRef>, minute: i64, counts: bool) -> Spent {
        let requests = {
            let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            if requests.minute != minute {
                *requests = Requests { minute, by_agent: HashMap::new() };
            }
            let full = requests.by_agent.len() >= MAX_COUNTED;
            match requests.by_agent.get_mut(agent) {
                Some(count) => {
                    let before = *count;
                    *count += u64::from(counts);
                    before
                }
                None => {
                    if counts && !full {
                        requests.by_agent.insert(agent.clone(), 1);
                    }
                    0
                }
            }
        };
        let (tokens, cost_usd) = match agent {
            Some(AgentRef::Known(id)) => self.spent.get(id).copied().unwrap_or_default(),
            _ => (0, 0.0),
        };
        Spent { requests, tokens, cost_usd }
    }
}

/// The token that asks.
fn token(ctx: &Ctx) -> Option<Uuid> {
    matches!(ctx.actor, Actor::Token { .. }).then(|| ctx.actor.id()).flatten()
}

/// What is asked about, as an event of now.
fn check(asked: Asked, clock: &Clock) -> Result<Told> {
    let Asked { agent, session, channel, text, tool } = asked;
    let channel = match (&text, &tool, channel) {
        (None, None, _) => return Err(Error::field("text", "must be there, or `tool`")),
        (Some(_), _, None) => {
            return Err(Error::field("channel", format!("must be there: one of {}", Channel::WORDS.join(", "))));
        }
        (Some(_), Some(tool), _) if !tool.arguments.is_null() => {
            return Err(Error::field("text", "must be absent when a tool's arguments are given"));
        }
        (None, Some(_), Some(Channel::ToolInput) | None) => Channel::ToolInput,
        (None, Some(_), Some(_)) => {
            return Err(Error::field("channel", "must be TOOL_INPUT, or absent, for a tool call without a text"));
        }
        (Some(_), _, Some(channel)) => channel,
    };
    // A text of arguments may come without its tool's name.
    let kind = if tool.is_none() { EventKind::Prompt } else { channel.event_kind() };
    let told = Told {
        id: "-".to_owned(),
        at: clock.now(),
        kind,
        agent,
        session,
        span: None,
        channel: Some(channel),
        text,
        model: None,
        tool,
        guardrail: None,
        to: None,
        approval: None,
        usage: None,
        duration_ms: None,
        error: None,
    };
    stance_importers::events::check(&told, told.at)
        .map_err(|error| Error::field(error.field, format!("must be {}", error.expected)))?;
    Ok(Told { kind: channel.event_kind(), ..told })
}
