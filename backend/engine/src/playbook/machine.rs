//! The state machine: from what is stored of a run's steps to what is to be done next.
//!
//! It walks the playbook from its beginning, through the outcomes that are stored, to the steps that are open. Nothing else is kept of where
//! a run stands, so what is stored after a step is all that a run needs to go on; and as a step that has an outcome is only walked through,
//! none is ever begun twice.

use super::{Kind, OnFailure, Playbook, Step, Target};
use std::collections::BTreeMap;

/// What is stored of a step. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Under way: an attempt is being made, or a person, the time or the group's parts are waited for.
    Started { since: i64, attempt: u16 },
    /// `at`: when; `since`: when it was first started.
    Failed { since: i64, at: i64, attempt: u16, why: Why },
    /// `chosen`: where a branch goes on.
    Done { chosen: Option<Target> },
}

/// Why a step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// An attempt did; there may be another one.
    Error,
    /// What no other attempt would mend.
    Final,
    TimedOut,
    Declined,
}

/// What is stored of a run's steps, by id; steps that were not begun are absent.
pub type States = BTreeMap<String, State>;

/// One thing to do. Each is stored before [`plan`] is asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Do {
    /// Begin the step, or try it again: it becomes `Started`. For an action that is where its effect is made.
    Start { step: String, attempt: u16 },
    /// Decide a branch by the facts of now: it becomes `Done` with the target.
    Choose { step: String },
    /// A wait or a parallel group is over: it becomes `Done`.
    Finish { step: String },
    /// Its time is up: it becomes `Failed` with [`Why::TimedOut`].
    Expire { step: String },
    /// A part of the parallel group failed: it becomes `Failed` with [`Why::Final`].
    Fail { step: String },
}

/// How a run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Done,
    /// By this step.
    Failed(String),
}

/// What comes next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be done now, in any order.
    pub todo: Vec<Do>,
    /// When to ask again, though nothing else happens; `None`: only a person, or an attempt's outcome, brings it further.
    pub wake_at: Option<i64>,
    pub end: Option<End>,
}

impl Plan {
    fn wake(&mut self, at: i64) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }
}

/// How the walk goes on after a step.
enum Passed<'a> {
    /// It is open.
    No,
    /// On to the target, or to the step below.
    On(Option<&'a Target>),
    Failed,
}

/// What is to be done next in a run. Pure: the same arguments give the same plan.
#[must_use]
pub fn plan(playbook: &Playbook, states: &States, now: i64) -> Plan {
    let mut plan = Plan::default();
    let mut at = 0;
    while let Some(step) = playbook.steps.get(at) {
        let target = match pass(step, states, now, &mut plan) {
            Passed::No => return plan,
            Passed::Failed => {
                plan.end = Some(End::Failed(step.id.clone()));
                return plan;
            }
            Passed::On(target) => target,
        };
        at = match target {
            None => at + 1,
            Some(Target::End) => break,
            // Later, by construction; whatever else it were, the walk goes forward.
            Some(Target::Step(id)) => {
                playbook.steps.iter().position(|step| step.id == *id).filter(|to| *to > at).unwrap_or(usize::MAX)
            }
        };
    }
    plan.end = Some(End::Done);
    plan
}

fn pass<'a>(step: &'a Step, states: &'a States, now: i64, plan: &mut Plan) -> Passed<'a> {
    let id = || step.id.clone();
    match states.get(&step.id) {
        None => {
            plan.todo.push(match step.kind {
                Kind::Branch { .. } => Do::Choose { step: id() },
                _ => Do::Start { step: id(), attempt: 1 },
            });
            Passed::No
        }
        Some(State::Done { chosen }) => Passed::On(chosen.as_ref().or(step.next.as_ref())),
        Some(State::Failed { since, at, attempt, why }) => {
            let again = at + i64::try_from(step.retry.after).unwrap_or(i64::MAX);
            let in_time = deadline(step, *since).is_none_or(|deadline| again < deadline);
            if *why == Why::Error && *attempt <= step.retry.times && in_time {
                if again <= now {
                    plan.todo.push(Do::Start { step: id(), attempt: attempt + 1 });
                } else {
                    plan.wake(again);
                }
                return Passed::No;
            }
            match &step.on_failure {
                OnFailure::Stop => Passed::Failed,
                OnFailure::Continue => Passed::On(step.next.as_ref()),
                OnFailure::GoTo(target) => Passed::On(Some(target)),
            }
        }
        Some(State::Started { since, .. }) => {
            started(step, *since, states, now, plan);
            Passed::No
        }
    }
}

fn started(step: &Step, since: i64, states: &States, now: i64, plan: &mut Plan) {
    let id = || step.id.clone();
    let over = match &step.kind {
        Kind::Wait(seconds) => Some(since.saturating_add(i64::try_from(*seconds).unwrap_or(i64::MAX))),
        _ => None,
    };
    match over {
        Some(over) if over <= now => return plan.todo.push(Do::Finish { step: id() }),
        Some(over) => plan.wake(over),
        None => {}
    }
    if let Kind::Parallel(parts) = &step.kind {
        let (mut open, mut failed) = (false, false);
        let before = plan.todo.len();
        for part in parts {
            match pass(part, states, now, plan) {
                Passed::No => open = true,
                Passed::On(_) => {}
                Passed::Failed => failed = true,
            }
        }
        if !open {
            plan.todo.truncate(before);
            return plan.todo.push(if failed { Do::Fail { step: id() } } else { Do::Finish { step: id() } });
        }
    }
    match deadline(step, since) {
        // Time up: its parts go no further.
        Some(deadline) if deadline <= now => {
            plan.todo.clear();
            plan.todo.push(Do::Expire { step: id() });
        }
        Some(deadline) => plan.wake(deadline),
        None => {}
    }
}

fn deadline(step: &Step, since: i64) -> Option<i64> {
    step.timeout.map(|timeout| since.saturating_add(i64::try_from(timeout).unwrap_or(i64::MAX)))
}
