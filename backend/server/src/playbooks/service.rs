//! The library, and starting runs.

pub use super::repo::RunFilter;
use super::{
    domain::{
        self, ALL_RUNS_PER_HOUR, MAX_NOTE, MAX_PLAYBOOKS, MAX_VERSIONS, Playbook, RUNS_PER_HOUR, Run, StepRecord,
        Version,
    },
    drive, dry, repo,
};
use crate::{
    audit,
    incidents::{self, Entry, Item},
    jobs::{Job, Queue},
    kernel::{
        Ctx, Db, Error, Permission, Result, TenantTx,
        error::FieldError,
        page::{Page, Slice},
        text,
    },
    live::{self, Topic},
};
use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use stance_engine::playbook::{self as engine, BuiltIn, Problem};
use stance_shared::{
    EntryKind, IncidentId, IncidentStatus, PlaybookId, PlaybookRunId, PlaybookRunStatus as Status, TypedId as _,
};
use std::{
    collections::{HashMap, hash_map::Entry as Slot},
    sync::Arc,
};
use uuid::Uuid;

/// Reads a document.
///
/// # Errors
/// Everything that is wrong with it.
pub fn validate(source: &str) -> Result<engine::Playbook, Vec<Problem>> {
    engine::read(source)
}

/// The playbook that comes with Stance under this id.
fn built_in(id: PlaybookId) -> Option<&'static BuiltIn> {
    engine::library().iter().find(|one| domain::built_in_id(&one.playbook.id) == id)
}

fn version_of(one: &BuiltIn) -> i32 {
    i32::try_from(one.playbook.version).unwrap_or(i32::MAX)
}

/// What comes with Stance, as far as it is not newer in the list already.
fn with_library(mut stored: Vec<Playbook>, wanted: impl Fn(PlaybookId) -> bool) -> Vec<Playbook> {
    for one in engine::library() {
        let id = domain::built_in_id(&one.playbook.id);
        let (version, source) = (version_of(one), one.source.to_owned());
        match stored.iter_mut().find(|known| known.id == id) {
            Some(known) if known.version < version => {
                known.version = version;
                known.source = source;
            }
            Some(_) => {}
            None if wanted(id) => {
                let slug = one.playbook.id.clone();
                stored.push(Playbook { id, slug, built_in: true, enabled: false, version, source });
            }
            None => {}
        }
    }
    stored.sort_by(|a, b| (a.built_in, &a.slug).cmp(&(b.built_in, &b.slug)));
    stored
}

/// All playbooks that are not archived: the organization's own, then what comes with Stance.
///
/// # Errors
/// `FORBIDDEN` without `playbook:read`.
pub async fn list(db: &Db, ctx: &Ctx) -> Result<Vec<Playbook>> {
    let mut tx = db.begin(ctx, Permission::PlaybookRead).await?;
    Ok(with_library(repo::playbooks(&mut tx, None).await?, |_| true))
}

/// Playbooks by id, archived ones too.
///
/// # Errors
/// `FORBIDDEN` without `playbook:read`.
pub async fn by_ids(db: &Db, ctx: &Ctx, ids: &[PlaybookId]) -> Result<Vec<Playbook>> {
    let mut tx = db.begin(ctx, Permission::PlaybookRead).await?;
    find(&mut tx, ids).await
}

async fn find(tx: &mut TenantTx, ids: &[PlaybookId]) -> Result<Vec<Playbook>> {
    Ok(with_library(repo::playbooks(tx, Some(ids)).await?, |id| ids.contains(&id)))
}

/// The versions of playbooks, newest first. Of what comes with Stance those that were used here, and the present one.
///
/// # Errors
/// `FORBIDDEN` without `playbook:read`.
pub async fn versions(db: &Db, ctx: &Ctx, ids: &[PlaybookId]) -> Result<Vec<Version>> {
    let mut tx = db.begin(ctx, Permission::PlaybookRead).await?;
    let mut versions = repo::versions(&mut tx, ids).await?;
    for id in ids {
        if let Some(one) = built_in(*id)
            && !versions.iter().any(|known| known.playbook == *id && known.version == version_of(one))
        {
            versions.insert(0, shipped(*id, one, ctx.now()));
        }
    }
    Ok(versions)
}

fn shipped(id: PlaybookId, one: &BuiltIn, at: DateTime<Utc>) -> Version {
    let (source, created_by) = (one.source.to_owned(), "Stance".to_owned());
    Version { playbook: id, version: version_of(one), source, note: String::new(), created_at: at, created_by }
}

/// Stores what comes with Stance before something refers to it.
async fn keep(tx: &mut TenantTx, playbook: &Playbook) -> Result<()> {
    if let Some(one) = built_in(playbook.id) {
        repo::keep(tx, playbook.id, &playbook.slug, true).await?;
        let version = shipped(playbook.id, one, tx.ctx().now());
        repo::keep_version(tx, &version, &one.playbook.title).await?;
    }
    Ok(())
}

fn refused(problems: &[Problem]) -> Error {
    let fields: Vec<FieldError> =
        problems.iter().map(|p| FieldError { field: "source".to_owned(), message: domain::told(p) }).collect();
    let public = fields.iter().map(|field| field.message.as_str()).collect::<Vec<_>>().join("; ");
    Error::fields(format!("source: {public}"), fields)
}

/// Where a top-level field of a document stands, for what only the database knows to be wrong.
fn misplaced(source: &str, field: &str, message: &str) -> Error {
    let line = source.lines().position(|line| line.starts_with(&format!("{field}:"))).map_or(1, |at| at as u64 + 1);
    refused(&[Problem { line, column: 1, message: format!("{field}: {message}") }])
}

/// Saves a document: a new playbook, or a new version of one. The newest version's own text makes no new one.
///
/// # Errors
/// `FORBIDDEN` without `playbook:write`; `BAD_INPUT` with line and column of each mistake; `NOT_FOUND`; `CONFLICT` for a playbook that comes
/// with Stance.
pub async fn save(db: &Db, ctx: &Ctx, id: Option<PlaybookId>, source: &str, note: &str) -> Result<Playbook> {
    ctx.require(Permission::PlaybookWrite)?;
    let note = text::lines("note", note, MAX_NOTE)?;
    // Browsers send the lines of a form with both characters.
    let source = source.replace("\r\n", "\n");
    let playbook = engine::read(&source).map_err(|problems| refused(&problems))?;
    let version = i32::try_from(playbook.version).unwrap_or(i32::MAX);
    let mut tx = db.begin(ctx, Permission::PlaybookWrite).await?;
    let id = match id {
        Some(id) if built_in(id).is_some() => {
            return Err(Error::conflict("This playbook comes with Stance. Copy it, and change the copy."));
        }
        Some(id) => {
            if !repo::lock(&mut tx, id).await? {
                return Err(Error::not_found("playbook"));
            }
            let newest = find(&mut tx, &[id]).await?.pop().ok_or_else(|| Error::not_found("playbook"))?;
            if newest.source == source {
                return Ok(newest);
            }
            if newest.slug != playbook.id {
                return Err(misplaced(&source, "id", &format!("must stay {}", newest.slug)));
            }
            if version <= newest.version {
                let message = format!("must be greater than {}, the newest one that is saved", newest.version);
                return Err(misplaced(&source, "version", &message));
            }
            if repo::versions(&mut tx, &[id]).await?.len() >= usize::try_from(MAX_VERSIONS).unwrap_or(usize::MAX) {
                return Err(Error::conflict(format!("A playbook has at most {MAX_VERSIONS} versions.")));
            }
            id
        }
        None => {
            if repo::count(&mut tx).await? >= MAX_PLAYBOOKS {
                let message = format!("An organization has at most {MAX_PLAYBOOKS} playbooks; archive one.");
                return Err(Error::conflict(message));
            }
            if engine::library().iter().any(|one| one.playbook.id == playbook.id) {
                return Err(misplaced(&source, "id", "is the id of a playbook that comes with Stance; choose another"));
            }
            let id = PlaybookId(ctx.new_id());
            repo::keep(&mut tx, id, &playbook.id, false)
                .await
                .map_err(|error| if error.fields.is_empty() { error } else { taken(&source) })?;
            id
        }
    };
    let (created_at, created_by) = (ctx.now(), ctx.actor.label().to_owned());
    let row = Version { playbook: id, version, source, note, created_at, created_by };
    repo::keep_version(&mut tx, &row, &playbook.title).await?;
    let detail = json!({ "playbook": playbook.id, "title": playbook.title, "version": version });
    changed(&mut tx, "playbook.saved", id, detail).await?;
    let saved = find(&mut tx, &[id]).await?.pop().ok_or_else(|| Error::not_found("playbook"))?;
    tx.commit().await?;
    Ok(saved)
}

fn taken(source: &str) -> Error {
    misplaced(source, "id", "is the id of another playbook already")
}

/// Has the playbook's trigger start it, or not.
///
/// # Errors
/// `FORBIDDEN` without `playbook:write`; `NOT_FOUND`; `CONFLICT` when only people start it.
pub async fn set_enabled(db: &Db, ctx: &Ctx, id: PlaybookId, enabled: bool) -> Result<Playbook> {
    let mut tx = db.begin(ctx, Permission::PlaybookWrite).await?;
    let before = find(&mut tx, &[id]).await?.pop().ok_or_else(|| Error::not_found("playbook"))?;
    if enabled && domain::read(&before.source)?.trigger == engine::Trigger::Manual {
        return Err(Error::conflict("Only people start this playbook (trigger: on: manual)."));
    }
    keep(&mut tx, &before).await?;
    if !repo::set_enabled(&mut tx, id, enabled).await? {
        return Err(Error::not_found("playbook"));
    }
    let action = if enabled { "playbook.enabled" } else { "playbook.disabled" };
    changed(&mut tx, action, id, json!({ "playbook": before.slug })).await?;
    tx.commit().await?;
    Ok(Playbook { enabled, ..before })
}

/// Takes a playbook of the organization out of the list; its runs stay, and those that are under way go on. False: it was archived before.
///
/// # Errors
/// `FORBIDDEN` without `playbook:write`; `NOT_FOUND`; `CONFLICT` for one that comes with Stance.
pub async fn archive(db: &Db, ctx: &Ctx, id: PlaybookId) -> Result<bool> {
    let mut tx = db.begin(ctx, Permission::PlaybookWrite).await?;
    let before = find(&mut tx, &[id]).await?.pop().ok_or_else(|| Error::not_found("playbook"))?;
    if before.built_in {
        return Err(Error::conflict("This playbook comes with Stance and stays."));
    }
    let archived = repo::archive(&mut tx, id).await?;
    if archived {
        changed(&mut tx, "playbook.archived", id, json!({ "playbook": before.slug })).await?;
        tx.commit().await?;
    }
    Ok(archived)
}

async fn changed(tx: &mut TenantTx, action: &str, id: PlaybookId, detail: serde_json::Value) -> Result<()> {
    live::notify(tx, Topic::Playbook, id.0).await?;
    audit::record(tx, audit::Entry { action, target_kind: PlaybookId::NOUN, target_id: id.to_string(), detail }).await
}

/// Starts a run, or goes through it without effect (`dry_run`).
///
/// # Errors
/// `FORBIDDEN` without `playbook:run`; `NOT_FOUND`; `RATE_LIMITED` beyond the runs of an hour.
pub async fn start(db: &Db, ctx: &Ctx, id: PlaybookId, incident: Option<IncidentId>, dry_run: bool) -> Result<Run> {
    let mut tx = db.begin(ctx, Permission::PlaybookRun).await?;
    let playbook = find(&mut tx, &[id]).await?.pop().ok_or_else(|| Error::not_found("playbook"))?;
    if incident.is_some() {
        tx.also_require(Permission::IncidentRead)?;
    }
    if !dry_run {
        let hour = ctx.now() - Duration::hours(1);
        let (of_it, of_all) = repo::started_since(&mut tx, id, hour).await?;
        if of_it >= RUNS_PER_HOUR || of_all >= ALL_RUNS_PER_HOUR {
            return Err(Error::rate_limited(std::time::Duration::from_secs(600)));
        }
    }
    let run = begin(&mut tx, &playbook, incident, dry_run, false).await?;
    let run = run.ok_or_else(|| Error::internal("only triggers start once"))?;
    tx.commit().await?;
    Ok(run)
}

/// Makes the run and what goes with it; `None` when the trigger has started this version for the incident before.
async fn begin(
    tx: &mut TenantTx,
    playbook: &Playbook,
    incident: Option<IncidentId>,
    dry_run: bool,
    triggered: bool,
) -> Result<Option<Run>> {
    let definition = domain::read(&playbook.source)?;
    keep(tx, playbook).await?;
    let now = tx.ctx().now();
    let run = Run {
        id: PlaybookRunId(tx.ctx().new_id()),
        playbook: playbook.id,
        version: playbook.version,
        title: definition.title.clone(),
        incident,
        dry_run,
        triggered,
        status: Status::Running,
        reason: String::new(),
        started_by: tx.ctx().actor.label().to_owned(),
        started_at: now,
        ended_at: None,
        wake_at: (!dry_run).then_some(now),
    };
    if dry_run {
        let facts = match incident {
            Some(incident) => Some(incidents::facts(tx, incident).await?),
            None => None,
        };
        repo::insert_run(tx, &run).await?;
        dry::run(tx, run.clone(), definition, facts).await?;
    } else {
        if let Some(incident) = incident {
            incidents::attach(tx, incident, &[Item::PlaybookRun(run.id.0)]).await?;
        }
        if !repo::insert_run(tx, &run).await? {
            return Ok(None);
        }
        Queue::enqueue(tx, Job::RunPlaybook { run: run.id }).await?;
    }
    if let (Some(incident), false) = (incident, dry_run) {
        let text = format!("The playbook “{}” was started by {}", run.title, run.started_by);
        let evidence = json!({ "run": run.id, "version": run.version });
        let key = format!("playbook:{}:started", run.id);
        let entry = Entry { kind: EntryKind::Action, text: &text, evidence: Some(evidence), key: Some(&key) };
        incidents::note(tx, incident, entry).await?;
    }
    live::notify(tx, Topic::Playbook, run.id.0).await?;
    let action = if dry_run { "playbook.dry_run" } else { "playbook.started" };
    let detail =
        json!({ "playbook": playbook.slug, "version": run.version, "incident": incident, "triggered": triggered });
    drive::log(tx, action, &run, detail).await?;
    let stored = repo::runs_by_ids(tx, &[run.id]).await?.pop();
    Ok(Some(stored.unwrap_or(run)))
}

/// Starts the enabled playbooks whose trigger fits the incident; each version once. Returns how many it started.
///
/// # Errors
/// When the database fails.
pub(super) async fn triggered(db: &Db, ctx: &Ctx, incident: IncidentId) -> Result<usize> {
    let mut tx = db.begin(ctx, Permission::PlaybookRun).await?;
    let facts = match incidents::facts(&mut tx, incident).await {
        Ok(facts) => facts,
        Err(error) if error.kind == crate::kernel::Kind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    if facts.status == IncidentStatus::Closed {
        return Ok(0);
    }
    let known = domain::facts(Some(&facts), &[]);
    let enabled = with_library(repo::playbooks(&mut tx, None).await?, |_| false);
    drop(tx);
    let mut started = 0;
    for playbook in enabled.into_iter().filter(|playbook| playbook.enabled) {
        // One that can not be read any more says so on its page; the others start.
        let Ok(definition) = domain::read(&playbook.source) else { continue };
        let engine::Trigger::Incident(when) = &definition.trigger else { continue };
        if when.holds(&known) {
            started += usize::from(trigger(db, ctx, &playbook, incident).await?);
        }
    }
    Ok(started)
}

async fn trigger(db: &Db, ctx: &Ctx, playbook: &Playbook, incident: IncidentId) -> Result<bool> {
    let mut tx = db.begin(ctx, Permission::PlaybookRun).await?;
    if repo::was_triggered(&mut tx, playbook.id, playbook.version, incident).await? {
        return Ok(false);
    }
    let (of_it, of_all) = repo::started_since(&mut tx, playbook.id, ctx.now() - Duration::hours(1)).await?;
    if of_it < RUNS_PER_HOUR && of_all < ALL_RUNS_PER_HOUR {
        let begun = begin(&mut tx, playbook, Some(incident), false, true).await?;
        tx.commit().await?;
        return Ok(begun.is_some());
    }
    // Refused for all to see, and for good: a flood must not start runs later, when nobody looks.
    keep(&mut tx, playbook).await?;
    let reason = format!(
        "{of_it} runs of this playbook and {of_all} of all were started in the last hour; at most {RUNS_PER_HOUR} and {ALL_RUNS_PER_HOUR} are. Start it by hand if it is wanted."
    );
    let run = Run {
        id: PlaybookRunId(ctx.new_id()),
        playbook: playbook.id,
        version: playbook.version,
        title: playbook.slug.clone(),
        incident: Some(incident),
        dry_run: false,
        triggered: true,
        status: Status::Refused,
        reason: reason.clone(),
        started_by: ctx.actor.label().to_owned(),
        started_at: ctx.now(),
        ended_at: Some(ctx.now()),
        wake_at: None,
    };
    incidents::attach(&mut tx, incident, &[Item::PlaybookRun(run.id.0)]).await?;
    if !repo::insert_run(&mut tx, &run).await? {
        return Ok(false);
    }
    let key = format!("playbook:{}:refused", run.id);
    let text = format!("The playbook “{}” was not started. {reason}", playbook.slug);
    let entry = Entry { kind: EntryKind::Action, text: &text, evidence: None, key: Some(&key) };
    incidents::note(&mut tx, incident, entry).await?;
    live::notify(&mut tx, Topic::Playbook, run.id.0).await?;
    drive::log(&mut tx, "playbook.refused", &run, json!({ "playbook": playbook.slug, "incident": incident })).await?;
    tx.commit().await?;
    Ok(false)
}

/// A page of runs, newest first.
///
/// # Errors
/// `FORBIDDEN` without `playbook:read`.
pub async fn runs(db: &Db, ctx: &Ctx, filter: &RunFilter, page: &Page<(DateTime<Utc>, Uuid)>) -> Result<Slice<Run>> {
    let mut tx = db.begin(ctx, Permission::PlaybookRead).await?;
    Ok(page.slice(repo::runs(&mut tx, filter, page).await?))
}

/// How many runs there are.
///
/// # Errors
/// `FORBIDDEN` without `playbook:read`.
pub async fn run_count(db: &Db, ctx: &Ctx, filter: &RunFilter) -> Result<i64> {
    repo::run_count(&mut db.begin(ctx, Permission::PlaybookRead).await?, filter).await
}

/// Runs by id.
///
/// # Errors
/// `FORBIDDEN` without `playbook:read`.
pub async fn runs_by_ids(db: &Db, ctx: &Ctx, ids: &[PlaybookRunId]) -> Result<Vec<Run>> {
    repo::runs_by_ids(&mut db.begin(ctx, Permission::PlaybookRead).await?, ids).await
}

/// The newest runs: at most 20 of each incident, 5 of each playbook.
///
/// # Errors
/// `FORBIDDEN` without `playbook:read`.
pub async fn newest_runs(db: &Db, ctx: &Ctx, incidents: &[IncidentId], playbooks: &[PlaybookId]) -> Result<Vec<Run>> {
    repo::newest(&mut db.begin(ctx, Permission::PlaybookRead).await?, incidents, playbooks).await
}

/// Of each run the text that it was started with, and what is known of its steps.
///
/// # Errors
/// `FORBIDDEN` without `playbook:read`; `CONFLICT` when this Stance can not read a text any more.
pub async fn steps_of(
    db: &Db,
    ctx: &Ctx,
    runs: &[PlaybookRunId],
) -> Result<Vec<(PlaybookRunId, Arc<engine::Playbook>, Vec<StepRecord>)>> {
    let mut tx = db.begin(ctx, Permission::PlaybookRead).await?;
    let mut records: HashMap<PlaybookRunId, Vec<StepRecord>> = HashMap::new();
    for record in repo::steps(&mut tx, runs).await? {
        records.entry(record.run).or_default().push(record);
    }
    let mut read: HashMap<(PlaybookId, i32), Arc<engine::Playbook>> = HashMap::new();
    let mut found = Vec::new();
    for (run, playbook, version, source) in repo::sources_of(&mut tx, runs).await? {
        let definition = match read.entry((playbook, version)) {
            Slot::Occupied(known) => known.get().clone(),
            Slot::Vacant(slot) => slot.insert(Arc::new(domain::read(&source)?)).clone(),
        };
        found.push((run, definition, records.remove(&run).unwrap_or_default()));
    }
    Ok(found)
}
