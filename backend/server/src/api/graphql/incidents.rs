//! Incidents.

mod input;

use super::{
    GraphqlContext as _,
    connection::Connection,
    containment::{self, Containment},
    findings::{Category, Finding},
    identity::{User, load_user},
    inventory::Asset,
    loaders::{ClocksOf, ItemsOf, LinksOf, WatchersOf},
    node,
    playbooks::{self, PlaybookRun},
    runtime::{self, AgentEvent, AgentSession},
};
use crate::{
    incidents::{
        self, acts, clocks,
        correlate::{self, InForce},
        reading::{self, Key, Line, LineKey},
        report,
    },
    kernel::{Actor, Error, page::Page},
};
use async_graphql::{Context, Enum, ID, Json, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use futures::future::try_join_all;
use input::{IncidentFilter, IncidentItems, OpenIncidentInput, UpdateIncidentInput};
use serde_json::Value;
use stance_engine::correlation::Group;
use stance_shared::{
    AgentSessionId, AssetId, ClockKind, ClockState, EntryKind, EventId, FindingId, IncidentId, IncidentStatus,
    SeriousKind, Severity,
};

/// Items of a kind that an incident gives out.
const SHOWN: i64 = 100;

/// The incident with this id; null when there is none.
pub(super) async fn load(ctx: &Context<'_>, id: IncidentId) -> Result<Option<Incident>> {
    Ok(ctx.loaders()?.load_one(id).await?.map(Incident))
}

/// As [`load`], of one that was just changed.
async fn changed(ctx: &Context<'_>, id: IncidentId) -> Result<Incident> {
    let found = reading::by_ids(ctx.db()?, ctx.asker()?, &[id]).await?;
    Ok(Incident(found.into_values().next().ok_or_else(|| Error::not_found("incident"))?))
}

/// What belongs together when something goes wrong.
pub struct Incident(pub(super) incidents::Incident);

/// Who opened an incident.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
pub enum IncidentOrigin {
    Person,
    Api,
    Rule,
    Playbook,
}

/// How much time an incident gives for something.
pub struct IncidentClock(incidents::IncidentClock);

#[Object]
impl IncidentClock {
    async fn kind(&self) -> ClockKind {
        self.0.kind
    }

    /// The targets that it was made with.
    async fn target(&self) -> &str {
        &self.0.target
    }

    async fn started_at(&self) -> DateTime<Utc> {
        self.0.started_at
    }

    /// Later by as long as it was paused.
    async fn due_at(&self) -> DateTime<Utc> {
        self.0.due_at
    }

    async fn paused_at(&self) -> Option<DateTime<Utc>> {
        self.0.paused_at
    }

    async fn done_at(&self) -> Option<DateTime<Utc>> {
        self.0.done_at
    }

    async fn state(&self, ctx: &Context<'_>) -> Result<ClockState> {
        Ok(self.0.state(ctx.asker()?.now()))
    }
}

/// A serious incident in the sense of Article 73 of the EU AI Act.
#[derive(SimpleObject)]
pub struct SeriousIncident {
    kind: SeriousKind,
    aware_at: DateTime<Utc>,
    due_at: DateTime<Utc>,
    /// When it was reported to the authority.
    reported_at: Option<DateTime<Utc>>,
    /// What the report still lacks.
    missing: Vec<String>,
    /// The parts of the report so far, by name.
    report: Json<Value>,
}

/// A ticket elsewhere.
#[derive(SimpleObject)]
pub struct ExternalLink {
    title: String,
    url: String,
    added_at: DateTime<Utc>,
    added_by: String,
}

/// A line of an incident's timeline.
pub struct TimelineEntry(Line);

#[Object]
impl TimelineEntry {
    /// When it was.
    async fn at(&self) -> DateTime<Utc> {
        self.0.at
    }

    /// When it was written down.
    async fn recorded_at(&self) -> DateTime<Utc> {
        self.0.recorded_at
    }

    async fn kind(&self) -> EntryKind {
        self.0.kind
    }

    async fn actor(&self) -> &str {
        &self.0.actor
    }

    async fn text(&self) -> &str {
        &self.0.text
    }

    /// What shows it: ids, rules, hashes.
    async fn evidence(&self) -> Option<Json<&Value>> {
        self.0.evidence.as_ref().map(Json)
    }
}

impl Incident {
    async fn refs(&self, ctx: &Context<'_>, kind: &'static str) -> Result<Vec<uuid::Uuid>> {
        Ok(ctx.loaders()?.load_one(ItemsOf(self.0.id, kind, SHOWN)).await?.unwrap_or_default())
    }
}

#[Object]
impl Incident {
    pub async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    /// 1, 2, 3 … within the organization.
    async fn number(&self) -> i32 {
        self.0.number
    }

    async fn title(&self) -> &str {
        &self.0.title
    }

    async fn summary(&self) -> &str {
        &self.0.summary
    }

    async fn severity(&self) -> Severity {
        self.0.severity
    }

    async fn status(&self) -> IncidentStatus {
        self.0.status
    }

    async fn opened_at(&self) -> DateTime<Utc> {
        self.0.opened_at
    }

    /// How the opener is called.
    async fn opened_by(&self) -> &str {
        &self.0.opened_by
    }

    async fn origin(&self) -> IncidentOrigin {
        match self.0.origin.as_str() {
            "API" => IncidentOrigin::Api,
            "RULE" => IncidentOrigin::Rule,
            "PLAYBOOK" => IncidentOrigin::Playbook,
            _ => IncidentOrigin::Person,
        }
    }

    /// The correlation rule that opened it.
    async fn rule(&self) -> Option<&str> {
        self.0.rule.as_deref()
    }

    async fn rule_version(&self) -> Option<i32> {
        self.0.rule_version
    }

    /// From when the last event that it took was received until it was there.
    async fn correlation_lag_ms(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "microseconds of at most days")]
        self.0.lag_us.map(|micros| micros as f64 / 1000.0)
    }

    async fn assignee(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        load_user(ctx, self.0.assignee_id).await
    }

    /// Those that are still members.
    #[graphql(complexity = "5 * child_complexity")]
    async fn watchers(&self, ctx: &Context<'_>) -> Result<Vec<User>> {
        let ids = ctx.loaders()?.load_one(WatchersOf(self.0.id)).await?.unwrap_or_default();
        let people = try_join_all(ids.into_iter().map(|id| load_user(ctx, Some(id)))).await?;
        Ok(people.into_iter().flatten().collect())
    }

    /// Those that are due first first.
    #[graphql(complexity = "4 * child_complexity")]
    async fn clocks(&self, ctx: &Context<'_>) -> Result<Vec<IncidentClock>> {
        let clocks = ctx.loaders()?.load_one(ClocksOf(self.0.id)).await?.unwrap_or_default();
        Ok(clocks.into_iter().map(IncidentClock).collect())
    }

    /// Null when it is not marked as a serious incident.
    async fn serious(&self, ctx: &Context<'_>) -> Result<Option<SeriousIncident>> {
        let (Some(kind), Some(aware_at)) = (self.0.serious, self.0.serious_aware_at) else { return Ok(None) };
        let clocks = ctx.loaders()?.load_one(ClocksOf(self.0.id)).await?.unwrap_or_default();
        let clock = clocks.into_iter().find(|clock| clock.kind == ClockKind::Article73);
        Ok(clock.map(|clock| SeriousIncident {
            kind,
            aware_at,
            due_at: clock.due_at,
            reported_at: clock.done_at,
            missing: acts::missing(&self.0),
            report: Json(self.0.serious_report.clone()),
        }))
    }

    /// All events that belong to it; `events` are a sample.
    async fn event_count(&self) -> i64 {
        self.0.events
    }

    async fn first_event_at(&self) -> Option<DateTime<Utc>> {
        self.0.first_event_at
    }

    async fn last_event_at(&self) -> Option<DateTime<Utc>> {
        self.0.last_event_at
    }

    /// The newest of the sample, at most 100; none for who may not see events.
    #[graphql(complexity = "20 * child_complexity")]
    async fn events(&self, ctx: &Context<'_>) -> Result<Vec<AgentEvent>> {
        if !ctx.asker()?.may(crate::kernel::Permission::EventRead) {
            return Ok(Vec::new());
        }
        let ids: Vec<EventId> = self.refs(ctx, "EVENT").await?.into_iter().map(EventId).collect();
        runtime::load_events(ctx, &ids).await
    }

    /// The newest, at most 100.
    #[graphql(complexity = "20 * child_complexity")]
    async fn findings(&self, ctx: &Context<'_>) -> Result<Vec<Finding>> {
        let ids: Vec<FindingId> = self.refs(ctx, "FINDING").await?.into_iter().map(FindingId).collect();
        let found = ctx.loaders()?.load_many(ids.clone()).await?;
        Ok(ids.iter().filter_map(|id| found.get(id).cloned()).map(Finding).collect())
    }

    /// At most 100.
    #[graphql(complexity = "20 * child_complexity")]
    async fn assets(&self, ctx: &Context<'_>) -> Result<Vec<Asset>> {
        let ids: Vec<AssetId> = self.refs(ctx, "ASSET").await?.into_iter().map(AssetId).collect();
        let found = ctx.loaders()?.load_many(ids.clone()).await?;
        Ok(ids.iter().filter_map(|id| found.get(id).cloned()).map(Asset).collect())
    }

    /// Runs of agents, at most 100; none for who may not see events.
    #[graphql(complexity = "20 * child_complexity")]
    async fn sessions(&self, ctx: &Context<'_>) -> Result<Vec<AgentSession>> {
        if !ctx.asker()?.may(crate::kernel::Permission::EventRead) {
            return Ok(Vec::new());
        }
        let ids: Vec<AgentSessionId> = self.refs(ctx, "SESSION").await?.into_iter().map(AgentSessionId).collect();
        runtime::load_sessions(ctx, &ids).await
    }

    /// What holds its agents, newest first, at most 20.
    #[graphql(complexity = "5 * child_complexity")]
    async fn containments(&self, ctx: &Context<'_>) -> Result<Vec<Containment>> {
        containment::of_incident(ctx, self.0.id).await
    }

    /// Runs of playbooks for it, newest first, at most 20.
    #[graphql(complexity = "5 * child_complexity")]
    async fn runs(&self, ctx: &Context<'_>) -> Result<Vec<PlaybookRun>> {
        playbooks::runs_of_incident(ctx, self.0.id).await
    }

    /// What it is by the frameworks: of its rule.
    async fn categories(&self) -> Vec<Category> {
        let rule = self.0.rule.as_deref().and_then(stance_engine::correlation::rule);
        rule.map(|rule| rule.categories.iter().map(|key| Category::of(key)).collect()).unwrap_or_default()
    }

    /// Build-time and runtime facts, decisions, actions and comments, the newest first; with those of incidents that were merged into it.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn timeline(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<TimelineEntry>> {
        let page = Page::parse(first, after.as_deref())?;
        let (db, asker, id) = (ctx.db()?.clone(), ctx.asker()?.clone(), self.0.id);
        let slice = reading::timeline(&db, &asker, id, &page).await?;
        let count = move || {
            let (db, asker) = (db.clone(), asker.clone());
            async move { reading::count_lines(&db, &asker, id).await }
        };
        Ok(Connection::new(&page, slice, |line| LineKey(line.at, line.id), TimelineEntry, count))
    }

    /// Tickets elsewhere.
    #[graphql(complexity = "5 * child_complexity")]
    async fn links(&self, ctx: &Context<'_>) -> Result<Vec<ExternalLink>> {
        let links = ctx.loaders()?.load_one(LinksOf(self.0.id)).await?.unwrap_or_default();
        let link = |link: reading::Link| ExternalLink {
            title: link.title,
            url: link.url,
            added_at: link.added_at,
            added_by: link.added_by,
        };
        Ok(links.into_iter().map(link).collect())
    }

    async fn root_cause(&self) -> &str {
        &self.0.root_cause
    }

    async fn lessons(&self) -> &str {
        &self.0.lessons
    }

    async fn triaged_at(&self) -> Option<DateTime<Utc>> {
        self.0.triaged_at
    }

    async fn contained_at(&self) -> Option<DateTime<Utc>> {
        self.0.contained_at
    }

    async fn closed_at(&self) -> Option<DateTime<Utc>> {
        self.0.closed_at
    }

    /// The incident that it became part of.
    async fn merged_into(&self, ctx: &Context<'_>) -> Result<Option<Incident>> {
        match self.0.merged_into {
            Some(id) => load(ctx, id).await,
            None => Ok(None),
        }
    }

    /// Where its path leads from here.
    async fn allowed_transitions(&self) -> Vec<IncidentStatus> {
        if self.0.merged_into.is_some() { Vec::new() } else { incidents::next(self.0.status).collect() }
    }

    /// What `undoIncidentTransition` would make it; null: nothing.
    async fn undo(&self) -> Option<IncidentStatus> {
        self.0.undo
    }

    /// The post-incident report as Markdown.
    #[graphql(complexity = 50)]
    async fn report_markdown(&self, ctx: &Context<'_>) -> Result<String> {
        Ok(report::markdown(ctx.db()?, ctx.asker()?, &self.0).await?)
    }
}

/// How an organization does with its incidents; means over what was reached within the time asked for, null where nothing was.
pub struct IncidentMetrics(reading::Metrics);

#[Object]
impl IncidentMetrics {
    /// Not closed.
    async fn open(&self) -> i64 {
        self.0.open
    }

    /// Open, with a clock that ran out.
    async fn overdue(&self) -> i64 {
        self.0.overdue
    }

    async fn oldest_opened_at(&self) -> Option<DateTime<Utc>> {
        self.0.oldest
    }

    async fn opened(&self) -> i64 {
        self.0.opened
    }

    async fn closed(&self) -> i64 {
        self.0.closed
    }

    /// All that there ever were.
    async fn ever(&self) -> i64 {
        self.0.ever
    }

    /// Mean seconds from opened to triaged (mean time to acknowledge).
    async fn mtta(&self) -> Option<f64> {
        self.0.triage
    }

    /// Mean seconds from opened to closed (mean time to resolve).
    async fn mttr(&self) -> Option<f64> {
        self.0.resolve
    }

    /// Mean seconds from opened to contained.
    async fn time_to_containment(&self) -> Option<f64> {
        self.0.contain
    }
}

/// A rule that opens incidents.
pub struct CorrelationRule(InForce);

/// By what facts are grouped.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
pub enum CorrelationGroup {
    Agent,
    Session,
    Model,
    Asset,
    Campaign,
}

#[Object]
impl CorrelationRule {
    async fn id(&self) -> &str {
        &self.0.rule.id
    }

    async fn version(&self) -> i32 {
        self.0.rule.version
    }

    async fn title(&self) -> &str {
        &self.0.rule.title
    }

    async fn description(&self) -> &str {
        &self.0.rule.description
    }

    async fn severity(&self) -> Severity {
        self.0.rule.severity
    }

    async fn categories(&self) -> Vec<Category> {
        self.0.rule.categories.iter().map(|key| Category::of(key)).collect()
    }

    async fn group(&self) -> CorrelationGroup {
        match self.0.rule.group {
            Group::Agent => CorrelationGroup::Agent,
            Group::Session => CorrelationGroup::Session,
            Group::Model => CorrelationGroup::Model,
            Group::Asset => CorrelationGroup::Asset,
            Group::Campaign => CorrelationGroup::Campaign,
        }
    }

    async fn window_minutes(&self) -> i32 {
        self.0.rule.window_minutes
    }

    /// Facts (of spending: tokens) within the window that make an incident.
    async fn threshold(&self) -> i64 {
        self.0.threshold
    }

    async fn enabled(&self) -> bool {
        self.0.enabled
    }
}

#[derive(Default)]
pub struct IncidentsQuery;

#[Object]
impl IncidentsQuery {
    /// Newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn incidents(
        &self,
        ctx: &Context<'_>,
        filter: Option<IncidentFilter>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<Incident>> {
        let filter = filter.unwrap_or_default().check()?;
        let page = Page::parse(first, after.as_deref())?;
        let (db, asker) = (ctx.db()?.clone(), ctx.asker()?.clone());
        let slice = reading::list(&db, &asker, &filter, &page).await?;
        let count = move || {
            let (db, asker, filter) = (db.clone(), asker.clone(), filter.clone());
            async move { reading::count(&db, &asker, &filter).await }
        };
        Ok(Connection::new(&page, slice, |incident| Key(incident.opened_at, incident.id), Incident, count))
    }

    /// Null when there is no such incident.
    async fn incident(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Incident>> {
        load(ctx, node::parse("id", &id)?).await
    }

    /// Figures over the last `days`, 1 to 400.
    #[graphql(complexity = "20 + child_complexity")]
    async fn incident_metrics(&self, ctx: &Context<'_>, #[graphql(default = 30)] days: i32) -> Result<IncidentMetrics> {
        Ok(IncidentMetrics(reading::metrics(ctx.db()?, ctx.asker()?, days).await?))
    }

    /// What opens incidents by itself.
    #[graphql(complexity = "20 * child_complexity")]
    async fn correlation_rules(&self, ctx: &Context<'_>) -> Result<Vec<CorrelationRule>> {
        Ok(correlate::rules(ctx.db()?, ctx.asker()?).await?.into_iter().map(CorrelationRule).collect())
    }
}

#[derive(Default)]
pub struct IncidentsMutation;

#[Object]
impl IncidentsMutation {
    /// Opens an incident; with a `dedupKey` that an incident holds which is not closed, that one gets the items.
    async fn open_incident(&self, ctx: &Context<'_>, input: OpenIncidentInput) -> Result<Incident> {
        let origin = match ctx.asker()?.actor {
            Actor::Token { .. } => incidents::Origin::Api,
            _ => incidents::Origin::Person,
        };
        let items = input.items.map(IncidentItems::read).transpose()?.unwrap_or_default();
        let opening = incidents::Opening {
            title: &input.title,
            summary: input.summary.as_deref().unwrap_or_default(),
            severity: input.severity,
            opened_by: origin,
            dedup_key: input.dedup_key.as_deref(),
            items,
        };
        let opened = acts::open(ctx.db()?, ctx.asker()?, opening).await?;
        changed(ctx, opened.id).await
    }

    /// Takes an incident a step along its path. To close it, root cause and lessons are needed; to reopen it, a reason.
    async fn transition_incident(
        &self,
        ctx: &Context<'_>,
        id: ID,
        to: IncidentStatus,
        reason: Option<String>,
        root_cause: Option<String>,
        lessons: Option<String>,
    ) -> Result<Incident> {
        let id = node::parse("id", &id)?;
        let with = incidents::Transition {
            reason: reason.as_deref().unwrap_or_default(),
            root_cause: root_cause.as_deref(),
            lessons: lessons.as_deref(),
        };
        acts::transition(ctx.db()?, ctx.asker()?, id, to, with).await?;
        changed(ctx, id).await
    }

    /// Takes the last change of status back, as long as nothing came after it.
    async fn undo_incident_transition(&self, ctx: &Context<'_>, id: ID) -> Result<Incident> {
        let id = node::parse("id", &id)?;
        acts::undo(ctx.db()?, ctx.asker()?, id).await?;
        changed(ctx, id).await
    }

    /// What is not given stays as it is; `assignee: null` takes the assignee away.
    async fn update_incident(&self, ctx: &Context<'_>, id: ID, input: UpdateIncidentInput) -> Result<Incident> {
        let id = node::parse("id", &id)?;
        acts::update(ctx.db()?, ctx.asker()?, id, input.read()?).await?;
        changed(ctx, id).await
    }

    async fn comment_incident(&self, ctx: &Context<'_>, id: ID, text: String) -> Result<Incident> {
        let id = node::parse("id", &id)?;
        acts::comment(ctx.db()?, ctx.asker()?, id, &text).await?;
        changed(ctx, id).await
    }

    /// Adds what the incident is about. What does not exist is passed over.
    async fn attach_to_incident(&self, ctx: &Context<'_>, id: ID, items: IncidentItems) -> Result<Incident> {
        let id = node::parse("id", &id)?;
        acts::attach(ctx.db()?, ctx.asker()?, id, &items.read()?).await?;
        changed(ctx, id).await
    }

    /// Makes the incidents `ids` part of `into`; they are closed.
    async fn merge_incidents(&self, ctx: &Context<'_>, into: ID, ids: Vec<ID>) -> Result<Incident> {
        let into = node::parse("into", &into)?;
        let ids = node::parse_all::<IncidentId>("ids", &ids, acts::MAX_MERGE)?;
        acts::merge(ctx.db()?, ctx.asker()?, into, &ids).await?;
        changed(ctx, into).await
    }

    /// Takes items out into a new incident, which is given.
    async fn split_incident(&self, ctx: &Context<'_>, id: ID, items: IncidentItems, title: String) -> Result<Incident> {
        let id = node::parse("id", &id)?;
        let new = acts::split(ctx.db()?, ctx.asker()?, id, &items.read()?, &title).await?;
        changed(ctx, new).await
    }

    async fn watch_incident(
        &self,
        ctx: &Context<'_>,
        id: ID,
        #[graphql(default = true)] watch: bool,
    ) -> Result<Incident> {
        let id = node::parse("id", &id)?;
        acts::watch(ctx.db()?, ctx.asker()?, id, watch).await?;
        changed(ctx, id).await
    }

    /// Links a ticket elsewhere.
    async fn link_incident(&self, ctx: &Context<'_>, id: ID, title: String, url: String) -> Result<Incident> {
        let id = node::parse("id", &id)?;
        acts::link(ctx.db()?, ctx.asker()?, id, &title, &url).await?;
        changed(ctx, id).await
    }

    /// Stops a clock for the time being; the one of Article 73 does not stop.
    async fn pause_incident_clock(
        &self,
        ctx: &Context<'_>,
        id: ID,
        kind: ClockKind,
        reason: String,
    ) -> Result<Incident> {
        let id = node::parse("id", &id)?;
        clocks::pause(ctx.db()?, ctx.asker()?, id, kind, &reason).await?;
        changed(ctx, id).await
    }

    /// Lets a paused clock go on; it is due as much later as it was paused.
    async fn resume_incident_clock(&self, ctx: &Context<'_>, id: ID, kind: ClockKind) -> Result<Incident> {
        let id = node::parse("id", &id)?;
        clocks::resume(ctx.db()?, ctx.asker()?, id, kind).await?;
        changed(ctx, id).await
    }

    /// Marks an incident as serious (EU AI Act, Article 73), which starts the deadline of its report, or goes on with the report; without a
    /// kind the mark is taken away. `report` has the parts `provider`, `system`, `memberState`, `harm`, `causalLink`, `correctiveAction`.
    async fn mark_incident_serious(
        &self,
        ctx: &Context<'_>,
        id: ID,
        kind: Option<SeriousKind>,
        aware_at: Option<DateTime<Utc>>,
        report: Option<Json<std::collections::BTreeMap<String, String>>>,
        #[graphql(default)] reported: bool,
    ) -> Result<Incident> {
        let id = node::parse("id", &id)?;
        let report = report.map(|Json(report)| report.into_iter().collect()).unwrap_or_default();
        acts::serious(ctx.db()?, ctx.asker()?, id, acts::Serious { kind, aware_at, report, reported }).await?;
        changed(ctx, id).await
    }

    /// Turns a correlation rule on or off, or gives it another threshold; null: its own.
    async fn set_correlation_rule(
        &self,
        ctx: &Context<'_>,
        id: String,
        enabled: bool,
        threshold: Option<i64>,
    ) -> Result<CorrelationRule> {
        Ok(CorrelationRule(correlate::set_rule(ctx.db()?, ctx.asker()?, &id, enabled, threshold).await?))
    }
}
