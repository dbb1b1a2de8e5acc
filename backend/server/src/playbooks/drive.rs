//! Driving a run: ask the state machine, do one thing, store it, ask again.

use super::{
    domain::{self, Detail, Run, StepRecord},
    effects::{self, Scene},
    repo,
};
use crate::{
    audit,
    incidents::{self, Entry, Facts, Item},
    jobs::Outcome,
    kernel::{
        Actor, Ctx, Db, Error, Kind, Permission, Result, TenantTx,
        outbound::{Delivery, Outbound},
    },
    live::{self, Topic as Live},
    notify::{self, Notice, Topic},
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use stance_engine::playbook::{self as engine, Action, Do, End, Step};
use stance_shared::{EntryKind, PlaybookRunId, PlaybookRunStatus, PlaybookStepState, Severity, TypedId as _};
use std::time::Duration;

/// A job waits at most so long for a run's time to come; then the sweep does.
const PATIENCE: Duration = Duration::from_secs(30);

/// A run, locked, with all that is known of it.
pub(super) struct Open {
    pub run: Run,
    pub playbook: engine::Playbook,
    pub records: Vec<StepRecord>,
    pub facts: Option<Facts>,
}

impl Open {
    /// Locks a run and its incident, in the order in which everybody does.
    ///
    /// # Errors
    /// `NOT_FOUND`, or when the database fails.
    pub async fn lock(tx: &mut TenantTx, id: PlaybookRunId) -> Result<Self> {
        let run = repo::lock_run(tx, id).await?.ok_or_else(|| Error::not_found("playbook run"))?;
        let facts = match run.incident {
            Some(incident) if !run.dry_run => {
                // It is an item since the run began; asking again takes the lock only.
                incidents::attach(tx, incident, &[Item::PlaybookRun(id.0)]).await?;
                Some(incidents::facts(tx, incident).await?)
            }
            _ => None,
        };
        let playbook = domain::read(&repo::source(tx, run.playbook, run.version).await?)?;
        let records = repo::steps(tx, &[id]).await?;
        Ok(Self { run, playbook, records, facts })
    }

    pub fn step(&self, id: &str) -> Result<&Step> {
        self.playbook.step(id).ok_or_else(|| Error::not_found("step"))
    }

    pub fn record(&self, id: &str) -> Option<&StepRecord> {
        self.records.iter().find(|record| record.step == id)
    }

    pub fn scene<'a>(&'a self, step: &'a Step) -> Scene<'a> {
        Scene { run: &self.run, step, facts: self.facts.as_ref(), records: &self.records }
    }

    /// A record of the step in a state, as of now, keeping what is known of it.
    pub fn becomes(&self, ctx: &Ctx, step: &str, state: PlaybookStepState) -> StepRecord {
        let now = ctx.now();
        let known = self.record(step).cloned();
        let fresh = StepRecord {
            run: self.run.id,
            step: step.to_owned(),
            state,
            is_final: false,
            attempt: 1,
            started_at: now,
            at: now,
            by: String::new(),
            plan: String::new(),
            outcome: String::new(),
            answer: None,
            detail: Detail::default(),
        };
        let record = known.unwrap_or(fresh);
        StepRecord { state, at: now, by: ctx.actor.label().to_owned(), is_final: false, ..record }
    }
}

/// Drives a run as far as it goes without a person or the time. Any number of workers may try: one at a time has the run's lock.
///
/// # Errors
/// When the database fails; the job is tried again.
pub(super) async fn drive(db: &Db, ctx: &Ctx, outbound: &Outbound, id: PlaybookRunId) -> Result<Outcome> {
    loop {
        let mut tx = db.begin(ctx, Permission::PlaybookRun).await?;
        let Some(run) = repo::lock_run(&mut tx, id).await? else { return Ok(Outcome::Done) };
        if run.status != PlaybookRunStatus::Running {
            return Ok(Outcome::Done);
        }
        let open = match Open::lock(&mut tx, id).await {
            Ok(open) => open,
            Err(error) if lasting(&error) => {
                tx.rollback().await?;
                fail(db, ctx, id, &error.public).await?;
                return Ok(Outcome::Done);
            }
            Err(error) => return Err(error),
        };
        // In the playbook's name, for history and audit.
        let mut tx = tx.acting_as(Actor::System { label: format!("playbook {}", open.playbook.id) });
        let now = ctx.now();
        let plan = engine::plan(&open.playbook, &domain::states(&open.playbook, &open.records), now.timestamp());
        if let Some(end) = plan.end {
            finish(&mut tx, &open, end).await?;
            tx.commit().await?;
            return Ok(Outcome::Done);
        }
        let sending = open.records.iter().find(|record| {
            let action = open.playbook.step(&record.step).map(|step| &step.kind);
            record.state == PlaybookStepState::Started
                && matches!(action, Some(engine::Kind::Action(action)) if action.is_outside())
        });
        match (plan.todo.first(), sending) {
            (Some(todo), _) => {
                if let Err(error) = one(&mut tx, &open, todo).await {
                    tx.rollback().await?;
                    if !lasting(&error) {
                        return Err(error);
                    }
                    refused(db, ctx, id, todo, &error.public).await?;
                    continue;
                }
                tx.commit().await?;
            }
            (None, Some(record)) => {
                send(&mut tx, &open, outbound, record).await?;
                tx.commit().await?;
            }
            (None, None) => {
                let wake_at = plan.wake_at.and_then(|at| DateTime::<Utc>::from_timestamp(at, 0));
                repo::set_run(&mut tx, id, PlaybookRunStatus::Running, "", wake_at).await?;
                tx.commit().await?;
                let wait = wake_at.and_then(|at| (at - now).to_std().ok()).filter(|wait| *wait <= PATIENCE);
                return Ok(wait.map_or(Outcome::Done, Outcome::Later));
            }
        }
    }
}

/// Whether trying again at once would not help: what the caller could mend, not what the server or the database did.
fn lasting(error: &Error) -> bool {
    !matches!(error.kind, Kind::Internal | Kind::Unavailable)
}

/// Does one thing, with its record, in the transaction.
async fn one(tx: &mut TenantTx, open: &Open, todo: &Do) -> Result<()> {
    let ctx = tx.ctx().clone();
    match todo {
        Do::Start { step, attempt } => {
            let step = open.step(step)?;
            let record = StepRecord {
                attempt: i16::try_from(*attempt).unwrap_or(i16::MAX),
                ..open.becomes(&ctx, &step.id, PlaybookStepState::Started)
            };
            begin(tx, open, step, record).await
        }
        Do::Choose { step } => {
            let engine::Kind::Branch { arms, otherwise } = &open.step(step)?.kind else {
                return Err(Error::internal("only branches are chosen in"));
            };
            let facts = domain::facts(open.facts.as_ref(), &open.records);
            let held = arms.iter().find(|(condition, _)| condition.holds(&facts));
            let (why, target) = held.map_or(("otherwise", otherwise), |(c, target)| (c.text.as_str(), target));
            let mut record = open.becomes(&ctx, step, PlaybookStepState::Done);
            record.answer = Some(target.as_str().to_owned());
            record.outcome = format!("{why}: on to {}.", target.as_str());
            store(tx, open, record).await
        }
        Do::Finish { step } => store(tx, open, open.becomes(&ctx, step, PlaybookStepState::Done)).await,
        Do::Expire { step } | Do::Fail { step } => {
            let expired = matches!(todo, Do::Expire { .. });
            let state = if expired { PlaybookStepState::TimedOut } else { PlaybookStepState::Failed };
            if let engine::Kind::Parallel(parts) = &open.step(step)?.kind {
                let parts: Vec<String> = parts.iter().map(|part| part.id.clone()).collect();
                repo::cancel_open(tx, open.run.id, Some(&parts)).await?;
            }
            let mut record = open.becomes(&ctx, step, state);
            record.is_final = true;
            record.outcome = if expired { "Its time was up." } else { "A part of it failed." }.to_owned();
            store(tx, open, record).await
        }
    }
}

async fn begin(tx: &mut TenantTx, open: &Open, step: &Step, mut record: StepRecord) -> Result<()> {
    match &step.kind {
        engine::Kind::Action(action) => {
            let scene = open.scene(step);
            let prepared = effects::prepare(tx, &scene, action).await?;
            record.plan.clone_from(&prepared.plan);
            if !action.is_outside() {
                let effect = effects::perform(tx, &scene, action, &prepared).await?;
                record.state = PlaybookStepState::Done;
                record.outcome = effect.outcome;
                record.detail = effect.detail;
                if let Some(incident) = open.run.incident
                    && !matches!(action, Action::CollectEvidence | Action::Transition { .. })
                {
                    let text = format!("{}: {}", step.title, record.plan);
                    let key = format!("{}:done", scene.key());
                    note(tx, incident, EntryKind::Action, &text, &key, &open.run).await?;
                }
            }
        }
        engine::Kind::Task { role, instructions, .. } => {
            record.plan = format!("Asks {role} to do something: {}", step.title);
            let text = format!("{}\n\n{instructions}", step.title);
            call(tx, open, step, Topic::PlaybookTask, &format!("A task for {role}: {}", step.title), &text).await?;
        }
        engine::Kind::Approval { role, question } => {
            record.plan = format!("Asks {role} to approve: {}", step.title);
            let title = format!("Approval needed from {role}: {}", step.title);
            call(tx, open, step, Topic::PlaybookApproval, &title, question).await?;
        }
        engine::Kind::Wait(_) | engine::Kind::Parallel(_) => {}
        engine::Kind::Branch { .. } => return Err(Error::internal("branches are not begun")),
    }
    store(tx, open, record).await
}

/// Calls for a person.
async fn call(tx: &mut TenantTx, open: &Open, step: &Step, topic: Topic, title: &str, text: &str) -> Result<()> {
    let notice = Notice {
        topic,
        severity: open.facts.as_ref().map_or(Severity::Medium, |facts| facts.severity),
        title,
        text,
        link: &link(&open.run),
        permission: if topic == Topic::PlaybookApproval {
            Permission::PlaybookApprove
        } else {
            Permission::PlaybookRun
        },
        subject: open.run.id.0,
        key: &open.scene(step).key(),
    };
    notify::emit(tx, notice).await
}

fn link(run: &Run) -> String {
    format!("/playbooks/runs/{}:{}", PlaybookRunId::NOUN, run.id)
}

async fn note(
    tx: &mut TenantTx,
    incident: stance_shared::IncidentId,
    kind: EntryKind,
    text: &str,
    key: &str,
    run: &Run,
) -> Result<()> {
    let text: String = text.chars().take(4000).collect();
    let evidence = json!({ "run": run.id, "playbook": run.title, "version": run.version });
    incidents::note(tx, incident, Entry { kind, text: &text, evidence: Some(evidence), key: Some(key) }).await
}

/// Stores a step, has the run looked at again, tells who watches, audits. Last in its transaction.
pub(super) async fn store(tx: &mut TenantTx, open: &Open, record: StepRecord) -> Result<()> {
    repo::put_step(tx, &record).await?;
    let now = tx.ctx().now();
    repo::set_run(tx, open.run.id, open.run.status, "", Some(now)).await?;
    live::notify(tx, Live::Playbook, open.run.id.0).await?;
    let detail = json!({
        "playbook": open.playbook.id, "version": open.run.version, "step": record.step, "state": record.state,
        "attempt": record.attempt, "plan": record.plan, "outcome": record.outcome, "answer": record.answer,
    });
    log(tx, "playbook.step", &open.run, detail).await
}

pub(super) async fn log(tx: &mut TenantTx, action: &str, run: &Run, detail: Value) -> Result<()> {
    let entry = audit::Entry { action, target_kind: PlaybookRunId::NOUN, target_id: run.id.to_string(), detail };
    audit::record(tx, entry).await
}

/// A step whose effect was refused has failed; what it had begun was rolled back.
async fn refused(db: &Db, ctx: &Ctx, id: PlaybookRunId, todo: &Do, why: &str) -> Result<()> {
    let mut tx = db.begin(ctx, Permission::PlaybookRun).await?;
    let open = Open::lock(&mut tx, id).await?;
    let mut tx = tx.acting_as(Actor::System { label: format!("playbook {}", open.playbook.id) });
    let (Do::Start { step, .. } | Do::Choose { step } | Do::Finish { step } | Do::Expire { step } | Do::Fail { step }) =
        todo;
    let states = domain::states(&open.playbook, &open.records);
    let plan = engine::plan(&open.playbook, &states, ctx.now().timestamp());
    // Unless somebody was faster.
    if open.run.status == PlaybookRunStatus::Running && plan.todo.contains(todo) {
        let mut record = open.becomes(tx.ctx(), step, PlaybookStepState::Failed);
        if let Do::Start { attempt, .. } = todo {
            record.attempt = i16::try_from(*attempt).unwrap_or(i16::MAX);
        }
        record.outcome = why.to_owned();
        store(&mut tx, &open, record).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Makes the effect of a step outside, and stores what came back. The run stays locked meanwhile, so nobody else sends it; when this
/// process dies, so does the lock, and whoever comes next sends it again with the same key.
async fn send(tx: &mut TenantTx, open: &Open, outbound: &Outbound, record: &StepRecord) -> Result<()> {
    let step = open.step(&record.step)?;
    let engine::Kind::Action(action) = &step.kind else { return Err(Error::internal("only actions are sent")) };
    let (Action::Webhook { channel } | Action::CreateTicket { channel, .. }) = action else {
        return Err(Error::internal("only webhooks are sent"));
    };
    let scene = open.scene(step);
    let sent = async {
        let hook = notify::webhook(tx, &outbound.vault, channel).await?;
        let body = effects::message(&scene, action);
        let key = scene.key();
        outbound.post(Delivery { url: &hook.url, secret: hook.secret.as_ref(), key: &key, body: &body }).await
    }
    .await;
    let mut next = open.becomes(tx.ctx(), &step.id, PlaybookStepState::Done);
    match sent {
        Ok(answer) if answer.is_success() => {
            next.outcome = format!("Answered {} after {} ms.", answer.status, answer.micros / 1000);
            if matches!(action, Action::CreateTicket { .. }) {
                next.detail.url = ticket(&answer.body);
            }
            if let Some(incident) = open.run.incident {
                let ticket = next.detail.url.as_deref().map(|url| format!(" Ticket: {url}")).unwrap_or_default();
                let text = format!("{}: {}{ticket}", step.title, next.outcome);
                note(tx, incident, EntryKind::Action, &text, &format!("{}:done", scene.key()), &open.run).await?;
            }
        }
        Ok(answer) => {
            next.state = PlaybookStepState::Failed;
            next.outcome = format!("Answered {}, which is no success.", answer.status);
        }
        Err(error) if error.kind == Kind::Internal => return Err(error),
        Err(error) => {
            next.state = PlaybookStepState::Failed;
            next.outcome = error.public;
        }
    }
    store(tx, open, next).await
}

/// The address of the ticket in an answer: `url`, if it is one of the web.
fn ticket(body: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(body).ok()?;
    let url = answer.get("url")?.as_str()?;
    let fine = url.len() <= 1_000 && !url.contains(|c: char| c.is_control() || c.is_whitespace());
    (fine && (url.starts_with("https://") || url.starts_with("http://"))).then(|| url.to_owned())
}

/// Ends a run that can not go on.
///
/// # Errors
/// When the database fails.
pub(super) async fn fail(db: &Db, ctx: &Ctx, id: PlaybookRunId, why: &str) -> Result<()> {
    let mut tx = db.begin(ctx, Permission::PlaybookRun).await?;
    fail_in(&mut tx, id, why).await?;
    tx.commit().await
}

/// [`fail`] in the caller's transaction.
///
/// # Errors
/// When the database fails.
pub(super) async fn fail_in(tx: &mut TenantTx, id: PlaybookRunId, why: &str) -> Result<()> {
    match repo::lock_run(tx, id).await? {
        Some(run) if run.status == PlaybookRunStatus::Running => failed(tx, &run, Severity::High, why).await,
        _ => Ok(()),
    }
}

async fn failed(tx: &mut TenantTx, run: &Run, severity: Severity, why: &str) -> Result<()> {
    repo::set_run(tx, run.id, PlaybookRunStatus::Failed, why, None).await?;
    let title = format!("The playbook “{}” failed", run.title);
    let key = format!("playbook:{}:failed", run.id);
    if let Some(incident) = run.incident {
        let key = format!("{key}:{}", tx.ctx().now().timestamp());
        note(tx, incident, EntryKind::Action, &format!("{title}: {why}"), &key, run).await?;
    }
    let notice = Notice {
        topic: Topic::PlaybookFailed,
        severity,
        title: &title,
        text: why,
        link: &link(run),
        permission: Permission::PlaybookRead,
        subject: run.id.0,
        key: &key,
    };
    notify::emit(tx, notice).await?;
    live::notify(tx, Live::Playbook, run.id.0).await?;
    log(tx, "playbook.ended", run, json!({ "status": "FAILED", "reason": why })).await
}

async fn finish(tx: &mut TenantTx, open: &Open, end: End) -> Result<()> {
    match end {
        End::Failed(step) => {
            let outcome = open.record(&step).map(|record| record.outcome.as_str()).unwrap_or_default();
            let title = open.step(&step).map(|step| step.title.as_str()).unwrap_or_default();
            let why = format!("“{title}” was not done. {outcome}");
            let severity = open.facts.as_ref().map_or(Severity::Medium, |facts| facts.severity);
            failed(tx, &open.run, severity, why.trim()).await
        }
        End::Done => {
            repo::set_run(tx, open.run.id, PlaybookRunStatus::Done, "", None).await?;
            if let Some(incident) = open.run.incident {
                let key = format!("playbook:{}:done", open.run.id);
                let text = format!("The playbook “{}” is done", open.run.title);
                note(tx, incident, EntryKind::Action, &text, &key, &open.run).await?;
            }
            live::notify(tx, Live::Playbook, open.run.id.0).await?;
            log(tx, "playbook.ended", &open.run, json!({ "status": "DONE" })).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ticket;

    #[test]
    fn a_ticket_has_an_address_of_the_web_or_none() {
        assert_eq!(ticket(r#"{"url": "https://t.example/7"}"#).as_deref(), Some("https://t.example/7"));
        for body in ["", "[]", "{}", r#"{"url": 7}"#, r#"{"url": "javascript:alert(1)"}"#, r#"{"url": "https://a b"}"#]
        {
            assert_eq!(ticket(body), None, "{body}");
        }
    }
}
