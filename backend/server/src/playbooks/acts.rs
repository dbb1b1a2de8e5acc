//! What people do with a run.

use super::{
    domain::{MAX_NOTE, Run, StepRecord},
    drive::{self, Open},
    effects, repo,
};
use crate::{
    jobs::{Job, Queue},
    kernel::{Ctx, Db, Error, Permission, Result, Role, TenantTx, text},
    live::{self, Topic},
};
use serde_json::json;
use stance_engine::playbook::Kind;
use stance_shared::{PlaybookRunId, PlaybookRunStatus as Status, PlaybookStepState as State};

/// Opens a run for a person's act.
async fn open(db: &Db, ctx: &Ctx, id: PlaybookRunId, permission: Permission) -> Result<(TenantTx, Open)> {
    let mut tx = db.begin(ctx, permission).await?;
    let open = Open::lock(&mut tx, id).await?;
    if open.run.dry_run {
        return Err(Error::conflict("This was a dry run: nothing was done, so there is nothing to do with it."));
    }
    Ok((tx, open))
}

/// Has the run driven on, and ends the transaction.
async fn go_on(mut tx: TenantTx, id: PlaybookRunId) -> Result<Run> {
    Queue::enqueue(&mut tx, Job::RunPlaybook { run: id }).await?;
    close(tx, id).await
}

async fn close(mut tx: TenantTx, id: PlaybookRunId) -> Result<Run> {
    let run = repo::runs_by_ids(&mut tx, &[id]).await?.pop().ok_or_else(|| Error::not_found("playbook run"))?;
    tx.commit().await?;
    Ok(run)
}

/// The step's record, when it waits for somebody.
fn waiting<'a>(open: &'a Open, step: &str) -> Result<&'a StepRecord> {
    if !matches!(open.run.status, Status::Running | Status::Paused) {
        return Err(Error::conflict("The run is over."));
    }
    open.step(step).map_err(|_| Error::field("step", "must be the id of a step of this playbook"))?;
    let record = open.record(step).filter(|record| record.state == State::Started);
    record.ok_or_else(|| Error::conflict("The step does not wait for anybody now."))
}

/// Says of a gate whether the run may go on.
///
/// # Errors
/// `FORBIDDEN` without `playbook:approve`, or for somebody who is neither of the gate's role nor owner or administrator; `CONFLICT` when the
/// gate is not open; `BAD_INPUT`; `NOT_FOUND`.
pub async fn approve(db: &Db, ctx: &Ctx, id: PlaybookRunId, step: &str, approve: bool, note: &str) -> Result<Run> {
    let note = text::lines("note", note, MAX_NOTE)?;
    let (mut tx, open) = open(db, ctx, id, Permission::PlaybookApprove).await?;
    waiting(&open, step)?;
    let Kind::Approval { role, .. } = &open.step(step)?.kind else {
        return Err(Error::field("step", "must be a gate; tasks are completed"));
    };
    if role != ctx.role.as_str() && !matches!(ctx.role, Role::Owner | Role::Admin) {
        let message = format!("Only {role}, owners and administrators may answer this gate.");
        return Err(Error::new(crate::kernel::Kind::Forbidden, message));
    }
    let mut record = open.becomes(ctx, step, if approve { State::Done } else { State::Declined });
    let word = if approve { "Approved" } else { "Declined" };
    record.outcome = if note.is_empty() { format!("{word}.") } else { format!("{word}: {note}") };
    drive::store(&mut tx, &open, record).await?;
    go_on(tx, id).await
}

/// Says that a task is done, with one of its choices where it has some.
///
/// # Errors
/// `FORBIDDEN` without `playbook:run`; `CONFLICT` when the task is not open; `BAD_INPUT` naming the choices; `NOT_FOUND`.
pub async fn complete(
    db: &Db,
    ctx: &Ctx,
    id: PlaybookRunId,
    step: &str,
    answer: Option<&str>,
    note: &str,
) -> Result<Run> {
    let note = text::lines("note", note, MAX_NOTE)?;
    let (mut tx, open) = open(db, ctx, id, Permission::PlaybookRun).await?;
    waiting(&open, step)?;
    let Kind::Task { choices, .. } = &open.step(step)?.kind else {
        return Err(Error::field("step", "must be a task; gates are approved"));
    };
    let fits = answer.map_or(choices.is_empty(), |answer| choices.iter().any(|choice| choice == answer));
    if !fits {
        let allowed = if choices.is_empty() { "absent".to_owned() } else { format!("one of {}", choices.join(", ")) };
        return Err(Error::field("answer", format!("must be {allowed}")));
    }
    let mut record = open.becomes(ctx, step, State::Done);
    record.answer = answer.map(ToOwned::to_owned);
    record.outcome = if note.is_empty() { "Done.".to_owned() } else { note };
    drive::store(&mut tx, &open, record).await?;
    go_on(tx, id).await
}

/// Sets the run's status by hand.
async fn turn(db: &Db, ctx: &Ctx, id: PlaybookRunId, from: &[Status], to: Status, action: &str) -> Result<Run> {
    let (mut tx, open) = open(db, ctx, id, Permission::PlaybookRun).await?;
    if !from.contains(&open.run.status) {
        return Err(Error::conflict(format!("The run is {}.", open.run.status.label().to_lowercase())));
    }
    let now = ctx.now();
    if to == Status::Cancelled {
        repo::cancel_open(&mut tx, id, None).await?;
    }
    let reason = if to == Status::Cancelled { format!("Cancelled by {}.", ctx.actor.label()) } else { String::new() };
    repo::set_run(&mut tx, id, to, &reason, Some(now)).await?;
    live::notify(&mut tx, Topic::Playbook, id.0).await?;
    drive::log(&mut tx, action, &open.run, json!({ "playbook": open.playbook.id })).await?;
    if to == Status::Running { go_on(tx, id).await } else { close(tx, id).await }
}

/// Holds a run: what is under way is finished, nothing new begins. Tasks and gates can still be answered.
///
/// # Errors
/// `FORBIDDEN` without `playbook:run`; `CONFLICT` when it is not running; `NOT_FOUND`.
pub async fn pause(db: &Db, ctx: &Ctx, id: PlaybookRunId) -> Result<Run> {
    turn(db, ctx, id, &[Status::Running], Status::Paused, "playbook.paused").await
}

/// Lets a run go on that was paused.
///
/// # Errors
/// As [`pause`].
pub async fn resume(db: &Db, ctx: &Ctx, id: PlaybookRunId) -> Result<Run> {
    turn(db, ctx, id, &[Status::Paused], Status::Running, "playbook.resumed").await
}

/// Ends a run. What it did stays; it can be undone step by step.
///
/// # Errors
/// As [`pause`].
pub async fn cancel(db: &Db, ctx: &Ctx, id: PlaybookRunId) -> Result<Run> {
    turn(db, ctx, id, &[Status::Running, Status::Paused], Status::Cancelled, "playbook.cancelled").await
}

/// Has a step done anew that failed, timed out or was declined, and the run go on from there. Steps that were done are not done again.
///
/// # Errors
/// `FORBIDDEN` without `playbook:run`; `CONFLICT` when the step has not failed; `NOT_FOUND`.
pub async fn retry(db: &Db, ctx: &Ctx, id: PlaybookRunId, step: &str) -> Result<Run> {
    let (mut tx, open) = open(db, ctx, id, Permission::PlaybookRun).await?;
    let failed = |state| matches!(state, State::Failed | State::TimedOut | State::Declined | State::Cancelled);
    let record = open.record(step).filter(|record| failed(record.state));
    let Some(record) = record else { return Err(Error::conflict("Only a step that failed can be tried again.")) };
    repo::forget_step(&mut tx, id, &record.step).await?;
    // A group that failed by this part is open again, and its parts that were not done begin anew.
    for group in &open.playbook.steps {
        let Kind::Parallel(parts) = &group.kind else { continue };
        let concerned = group.id == step || parts.iter().any(|part| part.id == step);
        if concerned {
            for part in parts.iter().chain([group]) {
                if open.record(&part.id).is_some_and(|known| failed(known.state)) {
                    repo::forget_step(&mut tx, id, &part.id).await?;
                }
            }
        }
    }
    repo::set_run(&mut tx, id, Status::Running, "", Some(ctx.now())).await?;
    live::notify(&mut tx, Topic::Playbook, id.0).await?;
    drive::log(&mut tx, "playbook.retried", &open.run, json!({ "playbook": open.playbook.id, "step": step })).await?;
    go_on(tx, id).await
}

/// Takes back what a step did, in one transaction with its record.
///
/// # Errors
/// `FORBIDDEN` without `playbook:run`, or without the permission that the effect needs; `CONFLICT` when there is nothing to take back;
/// `NOT_FOUND`.
pub async fn undo(db: &Db, ctx: &Ctx, id: PlaybookRunId, step: &str) -> Result<Run> {
    let (mut tx, open) = open(db, ctx, id, Permission::PlaybookRun).await?;
    let definition = open.step(step).map_err(|_| Error::field("step", "must be the id of a step of this playbook"))?;
    let (Kind::Action(action), Some(record)) = (&definition.kind, open.record(step)) else {
        return Err(Error::conflict("This step can not be undone."));
    };
    if !action.has_undo() || record.state != State::Done {
        return Err(Error::conflict("Only a step that was done, of a kind with an undo, can be undone."));
    }
    let outcome = effects::undo(&mut tx, &open.scene(definition), action, &record.detail).await?;
    let next = StepRecord { outcome, ..open.becomes(ctx, step, State::Undone) };
    if open.run.status == Status::Running {
        drive::store(&mut tx, &open, next).await?;
        return go_on(tx, id).await;
    }
    repo::put_step(&mut tx, &next).await?;
    live::notify(&mut tx, Topic::Playbook, id.0).await?;
    let detail = json!({ "playbook": open.playbook.id, "step": step, "state": "UNDONE", "outcome": next.outcome });
    drive::log(&mut tx, "playbook.step", &open.run, detail).await?;
    close(tx, id).await
}
