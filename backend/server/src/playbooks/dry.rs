//! Dry runs: the same state machine, on the facts of now, with sentences instead of effects.

use super::{
    domain::{self, Detail, Run, StepRecord},
    drive::Open,
    effects, repo,
};
use crate::{
    incidents::Facts,
    kernel::{Error, Kind as Wrong, Result, TenantTx},
};
use chrono::Duration;
use stance_engine::playbook::{self as engine, Action, Do, End, Kind};
use stance_shared::{PlaybookRunStatus, PlaybookStepState};
use uuid::Uuid;

/// Goes through the playbook and stores what each step would do. Tasks and gates are taken as done, with the first choice, and webhooks as
/// answered.
///
/// # Errors
/// When the database fails.
pub(super) async fn run(tx: &mut TenantTx, run: Run, playbook: engine::Playbook, facts: Option<Facts>) -> Result<()> {
    let mut open = Open { run, playbook, records: Vec::new(), facts };
    let mut time = tx.ctx().now();
    let end = loop {
        let plan = engine::plan(&open.playbook, &domain::states(&open.playbook, &open.records), time.timestamp());
        if let Some(end) = plan.end {
            break end;
        }
        let Some(todo) = plan.todo.first() else {
            // Only waits are left.
            let next = plan.wake_at.and_then(|at| chrono::DateTime::from_timestamp(at, 0));
            time = next.filter(|next| *next > time).unwrap_or(time + Duration::seconds(1));
            continue;
        };
        let record = one(tx, &open, todo).await?;
        open.records.retain(|known| known.step != record.step);
        // In the order in which they would be done, which the list goes by.
        let started_at = tx.ctx().now() + Duration::microseconds(i64::try_from(open.records.len()).unwrap_or(0));
        let mut record = StepRecord { started_at, at: time, ..record };
        if record.state == PlaybookStepState::Started {
            record.started_at = time;
        }
        open.records.push(record);
    };
    let (status, reason) = match end {
        End::Done => (PlaybookRunStatus::Done, String::new()),
        End::Failed(step) => (PlaybookRunStatus::Failed, format!("The run would end at the step `{step}`.")),
    };
    for record in &open.records {
        // What it would have made was only imagined.
        repo::put_step(tx, &StepRecord { detail: Detail::default(), ..record.clone() }).await?;
    }
    repo::set_run(tx, open.run.id, status, &reason, None).await
}

async fn one(tx: &mut TenantTx, open: &Open, todo: &Do) -> Result<StepRecord> {
    let ctx = tx.ctx().clone();
    let done = |step: &str| open.becomes(&ctx, step, PlaybookStepState::Done);
    Ok(match todo {
        Do::Start { step, .. } => {
            let step = open.step(step)?;
            let mut record = done(&step.id);
            match &step.kind {
                Kind::Task { role, choices, .. } => {
                    record.plan = format!("Asks {role} to do something: {}", step.title);
                    record.answer = choices.first().cloned();
                    record.outcome = record.answer.as_ref().map_or_else(
                        || "Taken as done.".to_owned(),
                        |answer| format!("Taken as answered “{answer}”; the other answers may lead elsewhere."),
                    );
                }
                Kind::Approval { role, .. } => {
                    record.plan = format!("Asks {role} to approve: {}", step.title);
                    record.outcome = "Taken as approved.".to_owned();
                }
                Kind::Action(action) => act(tx, open, step, action, &mut record).await?,
                Kind::Wait(_) | Kind::Parallel(_) => record.state = PlaybookStepState::Started,
                Kind::Branch { .. } => return Err(Error::internal("branches are not begun")),
            }
            record
        }
        Do::Choose { step } => {
            let Kind::Branch { arms, otherwise } = &open.step(step)?.kind else {
                return Err(Error::internal("only branches are chosen in"));
            };
            let facts = domain::facts(open.facts.as_ref(), &open.records);
            let held = arms.iter().find(|(condition, _)| condition.holds(&facts));
            let (why, target) = held.map_or(("otherwise", otherwise), |(c, target)| (c.text.as_str(), target));
            let mut record = done(step);
            record.answer = Some(target.as_str().to_owned());
            record.outcome = format!("{why}: on to {}.", target.as_str());
            record
        }
        Do::Finish { step } => done(step),
        Do::Expire { step } | Do::Fail { step } => {
            let mut record = open.becomes(&ctx, step, PlaybookStepState::Failed);
            record.is_final = true;
            record.outcome = "A part of it would fail.".to_owned();
            record
        }
    })
}

async fn act(
    tx: &mut TenantTx,
    open: &Open,
    step: &engine::Step,
    action: &Action,
    record: &mut StepRecord,
) -> Result<()> {
    match effects::prepare(tx, &open.scene(step), action).await {
        Ok(prepared) => {
            record.plan = prepared.plan;
            record.outcome = "Not done: this is a dry run.".to_owned();
            if let (Action::Quarantine { .. }, Some(facts)) = (action, &open.facts) {
                // So that a release later on says whom it would release.
                record.detail.containments =
                    facts.agents.iter().map(|agent| (Uuid::nil(), agent.name.clone())).collect();
            }
        }
        Err(error) if matches!(error.kind, Wrong::Internal | Wrong::Unavailable) => return Err(error),
        // Without an incident the way is shown all the same.
        Err(_) if open.facts.is_none() => {
            record.outcome = "What it would do depends on the incident.".to_owned();
        }
        Err(error) => {
            record.state = PlaybookStepState::Failed;
            record.is_final = true;
            record.outcome = format!("Would fail: {}", error.public);
        }
    }
    Ok(())
}
