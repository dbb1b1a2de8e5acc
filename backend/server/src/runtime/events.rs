//! What sensors tell, and reading it back.

use super::{
    Guard,
    domain::{JudgedBy, Settings, Teller, event_time},
    overview::AgentSession,
    repo,
};
use crate::{
    audit,
    jobs::{Job, Queue},
    kernel::{
        Actor, Ctx, Db, Error, Permission, Result,
        page::{Page, Slice},
    },
    live::{self, Topic},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{FromRow as _, Postgres, QueryBuilder, Row as _, postgres::PgRow};
use stance_engine::guardrail::Detection;
use stance_importers::{AssetRecord, events::Event as Told};
use stance_shared::{AgentSessionId, AssetId, Channel, EventId, EventKind, PolicyId, SensorId, Verdict};

pub use super::store::Written;

/// Events that a sensor told: inspected, then written, all or none. Those that were there already are counted as repeated.
///
/// # Errors
/// `FORBIDDEN`; `RATE_LIMITED` when too much is inspected just now; or when the database fails.
pub async fn ingest(db: &Db, guard: &Guard, ctx: &Ctx, told: Vec<Told>, described: &[AssetRecord]) -> Result<Written> {
    ctx.require(Permission::EventIngest)?;
    let teller = teller(db, ctx).await?;
    let seen = guard.judge_told(ctx.tenant, teller, told).await?;
    guard.write(ctx, &seen, described).await
}

/// The sensor whose token the asker has. Whoever else may tell of events is a sensor without a name.
async fn teller(db: &Db, ctx: &Ctx) -> Result<Teller> {
    let Actor::Token { id, .. } = ctx.actor else { return Ok(Teller::Unnamed(ctx.actor.id().unwrap_or_default())) };
    let mut tx = db.begin(ctx, Permission::EventIngest).await?;
    Ok(match repo::sensor_of(&mut tx, id.0).await? {
        Some((sensor, watches)) => Teller::Sensor { id: SensorId(sensor), watches },
        None => Teller::Unnamed(id.0),
    })
}

/// An event as it is read back.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: EventId,
    pub at: DateTime<Utc>,
    pub received_at: DateTime<Utc>,
    pub sensor: Option<SensorId>,
    pub agent: Option<AssetId>,
    pub kind: EventKind,
    pub channel: Option<Channel>,
    pub verdict: Verdict,
    pub score: f32,
    pub detections: Vec<Detection>,
    pub judged_by: Option<JudgedBy>,
    pub session: Option<String>,
    pub trace: Option<String>,
    pub span: Option<String>,
    pub parent_span: Option<String>,
    pub model: Option<String>,
    pub tool_server: Option<String>,
    pub tool: Option<String>,
    pub input_tokens: Option<i64>,
    pub output_tokens: Option<i64>,
    pub cost_usd: Option<f64>,
    pub duration_ms: Option<f64>,
    pub inspect_us: Option<i32>,
    pub text_hash: Option<Vec<u8>>,
    pub text_bytes: Option<i32>,
    pub text: Option<String>,
    pub detail: Option<Value>,
    pub feedback: Option<Feedback>,
}

/// What a person said of an event.
#[derive(Clone, Debug)]
pub struct Feedback {
    pub label: Label,
    pub by: String,
    pub at: DateTime<Utc>,
    pub note: String,
}

/// Whether an event was an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
#[graphql(name = "FeedbackLabel")]
pub enum Label {
    Attack,
    Harmless,
}

impl Label {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attack => "ATTACK",
            Self::Harmless => "HARMLESS",
        }
    }

    fn read(word: &str) -> Option<Self> {
        [Self::Attack, Self::Harmless].into_iter().find(|label| label.as_str() == word)
    }
}

impl sqlx::FromRow<'_, PgRow> for Event {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let policy: Option<PolicyId> = row.try_get("policy_id")?;
        let version: Option<i32> = row.try_get("policy_version")?;
        let label: Option<String> = row.try_get("label")?;
        let feedback = match label.as_deref().and_then(Label::read) {
            None => None,
            Some(label) => Some(Feedback {
                label,
                by: row.try_get("labelled_by")?,
                at: row.try_get("labelled_at")?,
                note: row.try_get("note")?,
            }),
        };
        let detections: Value = row.try_get("detections")?;
        Ok(Self {
            id: row.try_get("id")?,
            at: row.try_get("at")?,
            received_at: row.try_get("received_at")?,
            sensor: row.try_get("sensor_id")?,
            agent: row.try_get("agent_id")?,
            kind: row.try_get("kind")?,
            channel: row.try_get("channel")?,
            verdict: row.try_get("verdict")?,
            score: row.try_get("score")?,
            detections: serde_json::from_value(detections).map_err(|error| sqlx::Error::Decode(error.into()))?,
            judged_by: policy.zip(version).map(|(policy, version)| JudgedBy { policy, version }),
            session: row.try_get("session")?,
            trace: row.try_get("trace")?,
            span: row.try_get("span")?,
            parent_span: row.try_get("parent_span")?,
            model: row.try_get("model")?,
            tool_server: row.try_get("tool_server")?,
            tool: row.try_get("tool")?,
            input_tokens: row.try_get("input_tokens")?,
            output_tokens: row.try_get("output_tokens")?,
            cost_usd: row.try_get("cost_usd")?,
            duration_ms: row.try_get("duration_ms")?,
            inspect_us: row.try_get("inspect_us")?,
            text_hash: row.try_get("text_hash")?,
            text_bytes: row.try_get("text_bytes")?,
            text: row.try_get("text")?,
            detail: row.try_get("detail")?,
            feedback,
        })
    }
}

/// Which events. Empty lists do not filter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub agents: Vec<AssetId>,
    pub kinds: Vec<EventKind>,
    pub channels: Vec<Channel>,
    pub verdicts: Vec<Verdict>,
    /// Exact, or a family with a dot and a star: `secret.*`.
    pub rule: Option<String>,
    pub session: Option<AgentSessionId>,
    pub sensor: Option<SensorId>,
    pub tool: Option<String>,
    pub model: Option<String>,
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
    pub labelled: Option<bool>,
}

/// Where a page of events goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key(pub DateTime<Utc>, pub EventId);

const SELECT: &str = "select e.*, f.label, f.labelled_by, f.labelled_at, f.note from";
const FEEDBACK: &str = "left join event_feedback f on f.event_id = e.id";

/// One page of events, newest first.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn list(db: &Db, ctx: &Ctx, filter: &Filter, page: &Page<Key>) -> Result<Slice<Event>> {
    let mut tx = db.begin(ctx, Permission::EventRead).await?;
    let mut query = QueryBuilder::<Postgres>::new(SELECT);
    query.push(" (select * from event e where true");
    push_filter(&mut query, filter);
    if let Some(Key(at, id)) = &page.after {
        query.push(" and (e.at, e.id) < (").push_bind(*at).push(", ").push_bind(*id).push(")");
    }
    query.push(" order by e.at desc, e.id desc limit ").push_bind(page.limit());
    query.push(") e ").push(FEEDBACK).push(" order by e.at desc, e.id desc");
    Ok(page.slice(query.build_query_as().fetch_all(tx.conn()).await?))
}

/// How many events a filter lets through.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn count(db: &Db, ctx: &Ctx, filter: &Filter) -> Result<i64> {
    let mut tx = db.begin(ctx, Permission::EventRead).await?;
    let mut query = QueryBuilder::<Postgres>::new("select count(*) from event e where true");
    push_filter(&mut query, filter);
    Ok(query.build_query_scalar().fetch_one(tx.conn()).await?)
}

fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    if !filter.agents.is_empty() {
        // An agent's aliases are the agent.
        query.push(" and e.agent_id = any(array(select a.id from asset a where a.root_id = any(");
        query.push_bind(filter.agents.clone()).push(")))");
    }
    if !filter.kinds.is_empty() {
        query.push(" and e.kind = any(").push_bind(filter.kinds.clone()).push(")");
    }
    if !filter.channels.is_empty() {
        query.push(" and e.channel = any(").push_bind(filter.channels.clone()).push(")");
    }
    if !filter.verdicts.is_empty() {
        query.push(" and e.verdict = any(").push_bind(filter.verdicts.clone()).push(")");
    }
    if let Some(rule) = &filter.rule {
        query.push(" and exists (select from jsonb_array_elements(e.detections) d where ");
        match rule.strip_suffix('*') {
            Some(family) => query.push("starts_with(d->>'rule', ").push_bind(family.to_owned()).push("))"),
            None => query.push("d->>'rule' = ").push_bind(rule.clone()).push(")"),
        };
    }
    if let Some(session) = filter.session {
        query.push(" and (e.agent_id, e.session) = (select s.agent_id, s.session from agent_session s where s.id = ");
        query.push_bind(session).push(")");
    }
    for (column, id) in [("sensor_id", filter.sensor.map(|id| id.0))] {
        if let Some(id) = id {
            query.push(format_args!(" and e.{column} = ")).push_bind(id);
        }
    }
    for (column, text) in [("tool", &filter.tool), ("model", &filter.model)] {
        if let Some(text) = text {
            query.push(format_args!(" and e.{column} = ")).push_bind(text.clone());
        }
    }
    if let Some(from) = filter.from {
        query.push(" and e.at >= ").push_bind(from);
    }
    if let Some(to) = filter.to {
        query.push(" and e.at < ").push_bind(to);
    }
    if let Some(labelled) = filter.labelled {
        let not = if labelled { "" } else { "not " };
        query.push(format_args!(" and {not}exists (select from event_feedback f where f.event_id = e.id)"));
    }
}

/// Events by id; the id says in which partition they are.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn by_ids(db: &Db, ctx: &Ctx, ids: &[EventId]) -> Result<Vec<Event>> {
    let mut tx = db.begin(ctx, Permission::EventRead).await?;
    let times: Vec<DateTime<Utc>> = ids.iter().map(|id| event_time(id.0)).collect();
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { return Ok(Vec::new()) };
    let mut query = QueryBuilder::<Postgres>::new(SELECT);
    query.push(" event e ").push(FEEDBACK).push(" where e.id = any(").push_bind(ids.to_vec());
    query.push(") and e.at >= ").push_bind(*first);
    query.push(" and e.at < ").push_bind(*last + chrono::Duration::milliseconds(1));
    let rows = query.build().fetch_all(tx.conn()).await?;
    Ok(rows.iter().map(Event::from_row).collect::<sqlx::Result<_>>()?)
}

/// The first 500 events of a run, in the order of time.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn steps(db: &Db, ctx: &Ctx, run: &AgentSession) -> Result<Vec<Event>> {
    let mut tx = db.begin(ctx, Permission::EventRead).await?;
    let mut query = QueryBuilder::<Postgres>::new(SELECT);
    query.push(" (select * from event e where e.session = ").push_bind(run.name.clone());
    query.push(" and e.agent_id = any(array(select a.id from asset a where a.root_id = ").push_bind(run.agent);
    query.push(")) and e.at >= ").push_bind(run.first_at).push(" and e.at <= ").push_bind(run.last_at);
    query.push(" order by e.at, e.id limit 500) e ").push(FEEDBACK).push(" order by e.at, e.id");
    Ok(query.build_query_as().fetch_all(tx.conn()).await?)
}

/// Says of an event whether it was an attack, or takes it back.
///
/// # Errors
/// `FORBIDDEN` without `finding:triage`; `NOT_FOUND`; `BAD_INPUT` for a note that is too long.
pub async fn label(db: &Db, ctx: &Ctx, id: EventId, label: Option<Label>, note: &str) -> Result<Event> {
    let note = crate::kernel::text::lines("note", note, 1000)?;
    let event = by_ids(db, ctx, &[id]).await?.pop().ok_or_else(|| Error::not_found("event"))?;
    let mut tx = db.begin(ctx, Permission::FindingTriage).await?;
    repo::set_feedback(&mut tx, &event, label, &note).await?;
    let detail = json!({ "label": label.map(Label::as_str), "verdict": event.verdict });
    let entry = audit::Entry { action: "event.labelled", target_kind: "event", target_id: id.to_string(), detail };
    audit::record(&mut tx, entry).await?;
    live::notify(&mut tx, Topic::Event, id.0).await?;
    Queue::enqueue_once(&mut tx, Job::Correlate).await?;
    tx.commit().await?;
    by_ids(db, ctx, &[id]).await?.pop().ok_or_else(|| Error::not_found("event"))
}

/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn settings(db: &Db, ctx: &Ctx) -> Result<Settings> {
    repo::settings(&mut db.begin(ctx, Permission::PolicyRead).await?).await
}

/// Changes how text and events are kept; `None` keeps what is there. Counts for events from then on.
///
/// # Errors
/// `FORBIDDEN` without `policy:write`; `BAD_INPUT`.
pub async fn set_settings(
    db: &Db,
    ctx: &Ctx,
    store_text: Option<bool>,
    retention_days: Option<i32>,
) -> Result<Settings> {
    let mut tx = db.begin(ctx, Permission::PolicyWrite).await?;
    let before = repo::settings(&mut tx).await?;
    let days = match retention_days {
        None => before.retention_days,
        Some(days) => i16::try_from(days)
            .ok()
            .filter(|days| (1..=400).contains(days))
            .ok_or_else(|| Error::field("retentionDays", "must be 1 to 400 days"))?,
    };
    let after = Settings { store_text: store_text.unwrap_or(before.store_text), retention_days: days };
    if after != before {
        repo::set_settings(&mut tx, after).await?;
        let detail = json!({ "storeText": after.store_text, "retentionDays": after.retention_days });
        let target_id = ctx.tenant.to_string();
        let entry = audit::Entry { action: "runtime.settings", target_kind: "organization", target_id, detail };
        audit::record(&mut tx, entry).await?;
        live::notify(&mut tx, Topic::Policy, ctx.tenant.0).await?;
        tx.commit().await?;
    }
    Ok(after)
}
