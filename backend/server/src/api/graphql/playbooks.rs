//! Playbooks, their versions and runs.

use super::{
    GraphqlContext as _,
    connection::Connection,
    loaders::{PlaybookVersionsOf, RunsOfIncident, RunsOfPlaybook, StepsOf},
    node,
};
use crate::{
    kernel::{Error, page::Page},
    playbooks::{self as slice, RunFilter, StepRecord},
};
use async_graphql::{Context, ID, InputObject, Json, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use serde_json::Value;
use stance_engine::playbook::{self as engine, Kind};
use stance_shared::{IncidentId, PlaybookId, PlaybookRunId, PlaybookRunStatus, PlaybookStepState, taxonomy};

/// The playbook with this id, archived or not; null when there is none.
pub async fn load(ctx: &Context<'_>, id: PlaybookId) -> Result<Option<Playbook>> {
    Ok(ctx.loaders()?.load_one(id).await?.map(Playbook))
}

/// The run with this id; null when there is none.
pub async fn load_run(ctx: &Context<'_>, id: PlaybookRunId) -> Result<Option<PlaybookRun>> {
    Ok(ctx.loaders()?.load_one(id).await?.map(PlaybookRun))
}

/// The newest runs of an incident, at most 20.
pub async fn runs_of_incident(ctx: &Context<'_>, id: IncidentId) -> Result<Vec<PlaybookRun>> {
    let runs = ctx.loaders()?.load_one(RunsOfIncident(id)).await?.unwrap_or_default();
    Ok(runs.into_iter().map(PlaybookRun).collect())
}

/// A playbook, in its newest version.
pub struct Playbook(slice::Playbook);

impl Playbook {
    fn read(&self) -> Result<engine::Playbook> {
        Ok(slice::read(&self.0.source)?)
    }
}

#[Object]
impl Playbook {
    pub async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    /// The `id` of its document.
    async fn slug(&self) -> &str {
        &self.0.slug
    }

    async fn title(&self) -> Result<String> {
        Ok(self.read()?.title)
    }

    async fn summary(&self) -> Result<String> {
        Ok(self.read()?.summary)
    }

    async fn version(&self) -> i32 {
        self.0.version
    }

    /// It comes with Stance; it can be copied, not changed.
    async fn built_in(&self) -> bool {
        self.0.built_in
    }

    /// Its trigger starts it.
    async fn enabled(&self) -> bool {
        self.0.enabled
    }

    /// The condition under which an incident starts it; null: only people start it.
    async fn trigger(&self) -> Result<Option<String>> {
        Ok(match self.read()?.trigger {
            engine::Trigger::Incident(when) => Some(when.text),
            engine::Trigger::Manual => None,
        })
    }

    async fn sources(&self) -> Result<Vec<PlaybookSource>> {
        Ok(self.read()?.sources.iter().map(|key| PlaybookSource::of(key)).collect())
    }

    /// The YAML document.
    async fn source(&self) -> &str {
        &self.0.source
    }

    async fn flow(&self) -> Result<PlaybookFlow> {
        Ok(PlaybookFlow::of(&self.read()?))
    }

    /// Newest first.
    #[graphql(complexity = "10 * child_complexity")]
    async fn versions(&self, ctx: &Context<'_>) -> Result<Vec<PlaybookVersion>> {
        let versions = ctx.loaders()?.load_one(PlaybookVersionsOf(self.0.id)).await?.unwrap_or_default();
        Ok(versions.into_iter().map(PlaybookVersion::from).collect())
    }

    /// The newest five.
    #[graphql(complexity = "5 * child_complexity")]
    async fn runs(&self, ctx: &Context<'_>) -> Result<Vec<PlaybookRun>> {
        let runs = ctx.loaders()?.load_one(RunsOfPlaybook(self.0.id)).await?.unwrap_or_default();
        Ok(runs.into_iter().map(PlaybookRun).collect())
    }
}

/// A category of a taxonomy, a mitigation or a chapter of a framework that a playbook follows.
#[derive(SimpleObject)]
pub struct PlaybookSource {
    /// `framework@version:id`
    key: String,
    id: String,
    /// Where the taxonomy is among Stance's data.
    name: Option<&'static str>,
    url: Option<String>,
}

impl PlaybookSource {
    fn of(key: &str) -> Self {
        let known = taxonomy::lookup(key);
        Self {
            key: key.to_owned(),
            id: key.rsplit(':').next().unwrap_or(key).to_owned(),
            name: known.as_ref().and_then(|category| category.name),
            url: known.map(|category| category.url),
        }
    }
}

/// A version of a playbook; never changed.
#[derive(SimpleObject)]
pub struct PlaybookVersion {
    version: i32,
    source: String,
    note: String,
    created_at: DateTime<Utc>,
    created_by: String,
}

impl From<slice::Version> for PlaybookVersion {
    fn from(version: slice::Version) -> Self {
        let slice::Version { version, source, note, created_at, created_by, .. } = version;
        Self { version, source, note, created_at, created_by }
    }
}

/// A playbook's steps, and which way leads where.
#[derive(SimpleObject)]
pub struct PlaybookFlow {
    title: String,
    steps: Vec<PlaybookStep>,
    edges: Vec<PlaybookEdge>,
}

/// A step as the playbook has it.
#[derive(SimpleObject)]
pub struct PlaybookStep {
    id: String,
    title: String,
    /// `task`, `approval`, `action`, `branch`, `parallel`, `wait`
    kind: &'static str,
    /// The action; else null.
    action: Option<&'static str>,
    /// Whose task or gate it is; else null.
    role: Option<String>,
    /// The instructions of a task, the question of a gate; else empty.
    text: String,
    /// What a task can be answered with.
    choices: Vec<String>,
    /// An attack that the red team is to try again.
    red_team: bool,
    /// Whether what it did can be taken back.
    has_undo: bool,
    /// Seconds.
    timeout: Option<i64>,
    /// The line of the document where it begins.
    line: i64,
    /// Of a parallel group.
    parts: Vec<PlaybookStep>,
}

impl PlaybookStep {
    fn of(step: &engine::Step) -> Self {
        let (role, text, choices, red_team) = match &step.kind {
            Kind::Task { role, instructions, choices, red_team } => {
                (Some(role.clone()), instructions.clone(), choices.clone(), *red_team)
            }
            Kind::Approval { role, question } => (Some(role.clone()), question.clone(), Vec::new(), false),
            _ => (None, String::new(), Vec::new(), false),
        };
        let action = if let Kind::Action(action) = &step.kind { Some(action) } else { None };
        let parts =
            if let Kind::Parallel(parts) = &step.kind { parts.iter().map(Self::of).collect() } else { Vec::new() };
        Self {
            id: step.id.clone(),
            title: step.title.clone(),
            kind: step.kind.as_str(),
            action: action.map(engine::Action::as_str),
            role,
            text,
            choices,
            red_team,
            has_undo: action.is_some_and(engine::Action::has_undo),
            timeout: step.timeout.and_then(|seconds| i64::try_from(seconds).ok()),
            line: i64::try_from(step.line).unwrap_or(1),
            parts,
        }
    }
}

/// A way from one step to another, by their places; one more than the last is the end.
#[derive(SimpleObject)]
pub struct PlaybookEdge {
    from: i32,
    to: i32,
    /// On what condition; empty: always.
    label: String,
    /// The way after a failure.
    failure: bool,
}

impl PlaybookFlow {
    fn of(playbook: &engine::Playbook) -> Self {
        let place = |at: usize| i32::try_from(at).unwrap_or(i32::MAX);
        let edges = engine::flow(playbook).edges.into_iter();
        Self {
            title: playbook.title.clone(),
            steps: playbook.steps.iter().map(PlaybookStep::of).collect(),
            edges: edges
                .map(|edge| PlaybookEdge {
                    from: place(edge.from),
                    to: place(edge.to),
                    label: edge.label,
                    failure: edge.failure,
                })
                .collect(),
        }
    }
}

/// What is said of a document.
#[derive(SimpleObject)]
pub struct PlaybookValidation {
    /// In the order of the document; none: it can be saved.
    errors: Vec<PlaybookProblem>,
    /// Null when there are errors.
    flow: Option<PlaybookFlow>,
}

/// Something that is wrong with a document.
#[derive(SimpleObject)]
pub struct PlaybookProblem {
    /// From 1.
    line: i64,
    /// From 1, in characters.
    column: i64,
    /// The field, and what is allowed there.
    message: String,
}

/// A run of a playbook.
pub struct PlaybookRun(slice::Run);

#[Object]
impl PlaybookRun {
    pub async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    async fn playbook(&self, ctx: &Context<'_>) -> Result<Option<Playbook>> {
        load(ctx, self.0.playbook).await
    }

    /// The playbook's.
    async fn title(&self) -> &str {
        &self.0.title
    }

    async fn version(&self) -> i32 {
        self.0.version
    }

    /// Nothing was done: its steps say what would be.
    async fn dry_run(&self) -> bool {
        self.0.dry_run
    }

    /// Started by the playbook's trigger.
    async fn triggered(&self) -> bool {
        self.0.triggered
    }

    async fn status(&self) -> PlaybookRunStatus {
        self.0.status
    }

    /// Why it failed, was cancelled or refused; else empty.
    async fn reason(&self) -> &str {
        &self.0.reason
    }

    async fn started_by(&self) -> &str {
        &self.0.started_by
    }

    async fn started_at(&self) -> DateTime<Utc> {
        self.0.started_at
    }

    async fn ended_at(&self) -> Option<DateTime<Utc>> {
        self.0.ended_at
    }

    /// In the playbook's order, parallel groups before their parts; those that were not begun are PENDING.
    #[graphql(complexity = "20 * child_complexity")]
    async fn steps(&self, ctx: &Context<'_>) -> Result<Vec<PlaybookRunStep>> {
        let Some((playbook, records)) = ctx.loaders()?.load_one(StepsOf(self.0.id)).await? else {
            return Ok(Vec::new());
        };
        let step = |step: &engine::Step| {
            let record = records.iter().find(|record| record.step == step.id).cloned();
            PlaybookRunStep { step: PlaybookStep::of(step), record, dry_run: self.0.dry_run }
        };
        Ok(playbook.all_steps().map(step).collect())
    }

    /// How many of its steps are over, of how many.
    async fn progress(&self, ctx: &Context<'_>) -> Result<PlaybookProgress> {
        let Some((playbook, records)) = ctx.loaders()?.load_one(StepsOf(self.0.id)).await? else {
            return Ok(PlaybookProgress { done: 0, total: 0, waiting: None });
        };
        let open = |record: &&StepRecord| record.state == PlaybookStepState::Started;
        let waiting = records.iter().filter(open).find_map(|record| {
            let step = playbook.step(&record.step)?;
            matches!(step.kind, Kind::Task { .. } | Kind::Approval { .. }).then(|| step.title.clone())
        });
        let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
        let done = records.iter().filter(|record| !open(record)).count();
        Ok(PlaybookProgress { done: count(done), total: count(playbook.all_steps().count()), waiting })
    }
}

/// How far a run has come.
#[derive(SimpleObject)]
pub struct PlaybookProgress {
    done: i32,
    /// Of all steps of the playbook; a run does not pass through those of other branches.
    total: i32,
    /// The task or gate that waits for somebody.
    waiting: Option<String>,
}

/// A step of a run.
pub struct PlaybookRunStep {
    step: PlaybookStep,
    record: Option<StepRecord>,
    dry_run: bool,
}

#[Object]
impl PlaybookRunStep {
    /// As the playbook has it.
    async fn step(&self) -> &PlaybookStep {
        &self.step
    }

    async fn state(&self) -> PlaybookStepState {
        self.record.as_ref().map_or(PlaybookStepState::Pending, |record| record.state)
    }

    /// 1, 2, …; 0: not begun.
    async fn attempt(&self) -> i32 {
        self.record.as_ref().map_or(0, |record| i32::from(record.attempt))
    }

    async fn started_at(&self) -> Option<DateTime<Utc>> {
        self.record.as_ref().map(|record| record.started_at)
    }

    /// When it came to its state.
    async fn at(&self) -> Option<DateTime<Utc>> {
        self.record.as_ref().map(|record| record.at)
    }

    /// Who or what brought it to its state; empty: not begun.
    async fn by(&self) -> &str {
        self.record.as_ref().map_or("", |record| record.by.as_str())
    }

    /// What it does, said before it was done; in a dry run what it would do.
    async fn plan(&self) -> &str {
        self.record.as_ref().map_or("", |record| record.plan.as_str())
    }

    /// What came of it.
    async fn outcome(&self) -> &str {
        self.record.as_ref().map_or("", |record| record.outcome.as_str())
    }

    /// What a task was answered with; where a branch went on.
    async fn answer(&self) -> Option<&str> {
        self.record.as_ref().and_then(|record| record.answer.as_deref())
    }

    /// What it changed, for the record: containments, grants, policies, the ticket's address.
    async fn evidence(&self) -> Option<Json<Value>> {
        let detail = serde_json::to_value(&self.record.as_ref()?.detail).ok()?;
        (detail.as_object().is_some_and(|detail| !detail.is_empty())).then_some(Json(detail))
    }

    /// What can be done with it now: `approve`, `complete`, `retry`, `undo`.
    async fn can(&self) -> Vec<&'static str> {
        let Some(record) = self.record.as_ref().filter(|_| !self.dry_run) else { return Vec::new() };
        match (record.state, self.step.kind) {
            (PlaybookStepState::Started, "approval") => vec!["approve"],
            (PlaybookStepState::Started, "task") => vec!["complete"],
            (PlaybookStepState::Done, _) if self.step.has_undo => vec!["undo"],
            (PlaybookStepState::Failed | PlaybookStepState::TimedOut | PlaybookStepState::Declined, _) => vec!["retry"],
            _ => Vec::new(),
        }
    }
}

/// Narrows the list of runs.
#[derive(InputObject, Default)]
pub struct PlaybookRunFilter {
    playbook: Option<ID>,
    incident: Option<ID>,
    status: Option<PlaybookRunStatus>,
    dry_run: Option<bool>,
}

impl PlaybookRunFilter {
    fn check(&self) -> Result<RunFilter, Error> {
        Ok(RunFilter {
            playbook: self.playbook.as_ref().map(|id| node::parse("filter.playbook", id)).transpose()?,
            incident: self.incident.as_ref().map(|id| node::parse("filter.incident", id)).transpose()?,
            status: self.status,
            dry_run: self.dry_run,
        })
    }
}

#[derive(Default)]
pub struct PlaybooksQuery;

#[Object]
impl PlaybooksQuery {
    /// The organization's own, then what comes with Stance.
    #[graphql(complexity = "20 * child_complexity")]
    async fn playbooks(&self, ctx: &Context<'_>) -> Result<Vec<Playbook>> {
        Ok(slice::list(ctx.db()?, ctx.asker()?).await?.into_iter().map(Playbook).collect())
    }

    /// Null when there is no such playbook.
    async fn playbook(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Playbook>> {
        load(ctx, node::parse("id", &id)?).await
    }

    /// Null when there is no such run.
    async fn playbook_run(&self, ctx: &Context<'_>, id: ID) -> Result<Option<PlaybookRun>> {
        load_run(ctx, node::parse("id", &id)?).await
    }

    /// Newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn playbook_runs(
        &self,
        ctx: &Context<'_>,
        filter: Option<PlaybookRunFilter>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<PlaybookRun>> {
        let filter = filter.unwrap_or_default().check()?;
        let page = Page::parse(first, after.as_deref())?;
        let (db, asker) = (ctx.db()?.clone(), ctx.asker()?.clone());
        let runs = slice::runs(&db, &asker, &filter, &page).await?;
        let count = move || {
            let (db, asker, filter) = (db.clone(), asker.clone(), filter.clone());
            async move { slice::run_count(&db, &asker, &filter).await }
        };
        Ok(Connection::new(&page, runs, |run| (run.started_at, run.id.0), PlaybookRun, count))
    }

    /// Says what is wrong with a document, or how it goes.
    async fn validate_playbook(&self, ctx: &Context<'_>, source: String) -> Result<PlaybookValidation> {
        // Whoever may read playbooks may try one.
        ctx.asker()?.require(crate::kernel::Permission::PlaybookRead)?;
        let place = |at: u64| i64::try_from(at).unwrap_or(i64::MAX);
        Ok(match slice::validate(&source.replace("\r\n", "\n")) {
            Ok(playbook) => PlaybookValidation { errors: Vec::new(), flow: Some(PlaybookFlow::of(&playbook)) },
            Err(problems) => {
                let error = |problem: engine::Problem| PlaybookProblem {
                    line: place(problem.line),
                    column: place(problem.column),
                    message: problem.message,
                };
                PlaybookValidation { errors: problems.into_iter().map(error).collect(), flow: None }
            }
        })
    }

    /// The JSON Schema of playbooks.
    async fn playbook_schema(&self) -> Result<Json<Value>> {
        Ok(Json(serde_json::from_str(engine::SCHEMA).map_err(Error::internal)?))
    }
}

#[derive(Default)]
pub struct PlaybooksMutation;

#[Object]
impl PlaybooksMutation {
    /// Saves a document as a new playbook, or as a new version of one. Mistakes come back with line and column.
    async fn save_playbook(
        &self,
        ctx: &Context<'_>,
        id: Option<ID>,
        source: String,
        note: Option<String>,
    ) -> Result<Playbook> {
        let id = id.as_ref().map(|id| node::parse("id", id)).transpose()?;
        Ok(Playbook(slice::save(ctx.db()?, ctx.asker()?, id, &source, &note.unwrap_or_default()).await?))
    }

    /// Has the playbook's trigger start it, or not.
    async fn set_playbook_enabled(&self, ctx: &Context<'_>, id: ID, enabled: bool) -> Result<Playbook> {
        let id = node::parse("id", &id)?;
        Ok(Playbook(slice::set_enabled(ctx.db()?, ctx.asker()?, id, enabled).await?))
    }

    /// Takes a playbook of the organization out of the list; false: it was archived before.
    async fn archive_playbook(&self, ctx: &Context<'_>, id: ID) -> Result<bool> {
        Ok(slice::archive(ctx.db()?, ctx.asker()?, node::parse("id", &id)?).await?)
    }

    /// Starts a run. With `dryRun` nothing is done: the run says what each step would do.
    async fn run_playbook(
        &self,
        ctx: &Context<'_>,
        id: ID,
        incident: Option<ID>,
        #[graphql(default)] dry_run: bool,
    ) -> Result<PlaybookRun> {
        let id = node::parse("id", &id)?;
        let incident = incident.as_ref().map(|id| node::parse("incident", id)).transpose()?;
        Ok(PlaybookRun(slice::start(ctx.db()?, ctx.asker()?, id, incident, dry_run).await?))
    }

    /// Answers a gate. Its role, owners and administrators may.
    async fn approve_playbook_step(
        &self,
        ctx: &Context<'_>,
        run: ID,
        step: String,
        approve: bool,
        note: Option<String>,
    ) -> Result<PlaybookRun> {
        let run = node::parse("run", &run)?;
        Ok(PlaybookRun(slice::approve(ctx.db()?, ctx.asker()?, run, &step, approve, &note.unwrap_or_default()).await?))
    }

    /// Says that a task is done, with one of its choices where it has some.
    async fn complete_playbook_task(
        &self,
        ctx: &Context<'_>,
        run: ID,
        step: String,
        answer: Option<String>,
        note: Option<String>,
    ) -> Result<PlaybookRun> {
        let run = node::parse("run", &run)?;
        Ok(PlaybookRun(
            slice::complete(ctx.db()?, ctx.asker()?, run, &step, answer.as_deref(), &note.unwrap_or_default()).await?,
        ))
    }

    /// Nothing new begins until it is resumed.
    async fn pause_playbook_run(&self, ctx: &Context<'_>, id: ID) -> Result<PlaybookRun> {
        Ok(PlaybookRun(slice::pause(ctx.db()?, ctx.asker()?, node::parse("id", &id)?).await?))
    }

    async fn resume_playbook_run(&self, ctx: &Context<'_>, id: ID) -> Result<PlaybookRun> {
        Ok(PlaybookRun(slice::resume(ctx.db()?, ctx.asker()?, node::parse("id", &id)?).await?))
    }

    /// Ends a run; what it did stays, and can be undone step by step.
    async fn cancel_playbook_run(&self, ctx: &Context<'_>, id: ID) -> Result<PlaybookRun> {
        Ok(PlaybookRun(slice::cancel(ctx.db()?, ctx.asker()?, node::parse("id", &id)?).await?))
    }

    /// Has a failed step done anew, and the run go on from there. What was done is not done again.
    async fn retry_playbook_step(&self, ctx: &Context<'_>, run: ID, step: String) -> Result<PlaybookRun> {
        Ok(PlaybookRun(slice::retry(ctx.db()?, ctx.asker()?, node::parse("run", &run)?, &step).await?))
    }

    /// Takes back what a step did.
    async fn undo_playbook_step(&self, ctx: &Context<'_>, run: ID, step: String) -> Result<PlaybookRun> {
        Ok(PlaybookRun(slice::undo(ctx.db()?, ctx.asker()?, node::parse("run", &run)?, &step).await?))
    }
}
