//! One run: its steps with who did what when, and what there is to do.

use leptos::prelude::*;
use stance_shared::{PlaybookRunStatus, PlaybookStepState};

use super::{may, playbook_url, run_url, status};
use crate::{
    components as c, format,
    gql::{
        self, ApprovePlaybookStep, CancelPlaybookRun, CompletePlaybookTask, PausePlaybookRun, PlaybookRunDetail,
        ResumePlaybookRun, RetryPlaybookStep, UndoPlaybookStep, approve_playbook_step, cancel_playbook_run,
        complete_playbook_task, pause_playbook_run, playbook_run_detail as data, resume_playbook_run,
        retry_playbook_step, undo_playbook_step,
    },
    icons::{self, icon},
    layout,
    load::load,
};

type Run = data::PlaybookRunDetailPlaybookRun;
type Step = data::PlaybookRunDetailPlaybookRunSteps;

/// `/playbooks/runs/:id`
pub fn run(id: String) -> AnyView {
    load::<PlaybookRunDetail>(
        "The run",
        c::table_skeleton,
        move || data::Variables { id: id.clone() },
        |data| data.playbook_run.map_or_else(crate::pages::not_found, |run| page(&run)),
    )
}

fn page(run: &Run) -> AnyView {
    let parts: Vec<&str> = run.steps.iter().flat_map(|step| &step.step.parts).map(|part| part.id.as_str()).collect();
    let steps = run.steps.iter().filter(|step| !run.dry_run || step.state != PlaybookStepState::Pending);
    let steps = steps.map(|step| view_of(run, step, parts.contains(&step.step.id.as_str())));
    let of = run.playbook.as_ref().map(|playbook| view! { <span><a class="link" href=playbook_url(&playbook.id)>"Playbook, version "{run.version}</a></span> });
    let by = if run.triggered { "its trigger".to_owned() } else { c::clean(&run.started_by) };
    view! {
        {layout::top(Some(("Runs", "/playbooks/runs")), &run.title, controls(run))}
        <div class="page stack" data-follow="">
            <div><p class="answer">{answer(run)}</p><p class="meta"><span>{status(run.status, run.dry_run)}</span><span>"started by "{by}" "{c::ago(&run.started_at)}</span>{of}</p></div>
            <ol class="tl run">{steps.collect_view()}</ol>
        </div>
    }
    .into_any()
}

fn answer(run: &Run) -> AnyView {
    let waiting = run.steps.iter().find(|step| step.can.iter().any(|can| can == "approve" || can == "complete"));
    match (run.dry_run, run.status, waiting) {
        (true, ..) => {
            view! { <b>"A dry run: nothing was done."</b>" This is what would happen as things stand." }.into_any()
        }
        (_, PlaybookRunStatus::Running, Some(step)) => {
            view! { <b>"Waits for somebody:"</b>" "{c::text(&step.step.title)} }.into_any()
        }
        (_, PlaybookRunStatus::Running, None) => view! { <b>"Under way."</b> }.into_any(),
        (_, PlaybookRunStatus::Done, _) => view! { <b>"Done."</b> }.into_any(),
        (_, status, _) => view! { <b>{status.label()}"."</b>" "{c::text(&run.reason)} }.into_any(),
    }
}

fn controls(run: &Run) -> AnyView {
    if !may("playbook:run") || run.dry_run {
        return c::none();
    }
    let id = run.id.clone();
    let pause = (run.status == PlaybookRunStatus::Running).then(|| {
        let body = gql::body::<PausePlaybookRun>(pause_playbook_run::Variables { id: id.clone() });
        view! { <button class="btn sm" type="button" data-act=body data-done="The run is paused">{icon(icons::PAUSE)}"Pause"</button> }
    });
    let resume = (run.status == PlaybookRunStatus::Paused).then(|| {
        let body = gql::body::<ResumePlaybookRun>(resume_playbook_run::Variables { id: id.clone() });
        view! { <button class="btn primary sm" type="button" data-act=body data-done="The run goes on">"Resume"</button> }
    });
    let cancel = matches!(run.status, PlaybookRunStatus::Running | PlaybookRunStatus::Paused).then(|| {
        let body = gql::body::<CancelPlaybookRun>(cancel_playbook_run::Variables { id });
        view! { <button class="btn quiet sm" type="button" data-act=body data-done="The run is cancelled">"Cancel run"</button> }
    });
    view! { {cancel}{pause}{resume} }.into_any()
}

const fn mark(state: PlaybookStepState) -> &'static str {
    match state {
        PlaybookStepState::Done => icons::CHECK,
        PlaybookStepState::Started => icons::CIRCLE_DOT,
        PlaybookStepState::Failed | PlaybookStepState::TimedOut => icons::TRIANGLE_ALERT,
        PlaybookStepState::Declined | PlaybookStepState::Cancelled => icons::X,
        PlaybookStepState::Undone => icons::UNDO_2,
        PlaybookStepState::Pending => icons::CIRCLE,
    }
}

fn view_of(run: &Run, step: &Step, part: bool) -> AnyView {
    let what = step.step.action.clone().unwrap_or_else(|| step.step.kind.clone());
    let red = step.step.red_team.then(|| view! { " "<span class="tag">"red team"</span> });
    let when = step
        .at
        .as_ref()
        .filter(|_| !run.dry_run)
        .map(|at| view! { <span class="muted">{c::text(&step.by)}" · "{c::ago(at)}</span> });
    let again = (step.attempt > 1).then(|| view! { " "<span class="muted">"attempt "{step.attempt}</span> });
    let plan = (!step.plan.is_empty()).then(|| view! { <p>{c::text(&step.plan)}</p> });
    let outcome = (!step.outcome.is_empty()).then(|| view! { <p class="t2">{c::text(&step.outcome)}</p> });
    let answer = step
        .answer
        .as_ref()
        .filter(|_| step.step.kind == "task")
        .map(|answer| view! { <p>"Answer: "<b>{c::text(answer)}</b></p> });
    let evidence = step.evidence.as_ref().map(|evidence| {
        let text = serde_json::to_string_pretty(evidence).unwrap_or_default();
        view! { <details><summary>"Evidence"</summary><pre class="code" tabindex="0">{c::text(&text)}</pre></details> }
    });
    // In a dry run nothing was done.
    let word = (!run.dry_run || step.state != PlaybookStepState::Done).then(|| step.state.label());
    let state = step.state.as_str().to_ascii_lowercase();
    view! {
        <li class="nt" data-state=state class:part=part>{icon(mark(step.state))}
            <div><b>{c::text(&step.step.title)}</b>" "<span class="id muted">{what}</span>{red}" "<span class="muted">{word}</span>{again}" "{when}
                <div class="ev">{plan}{answer}{outcome}{evidence}{step.can.iter().map(|can| act(run, step, can)).collect_view()}</div></div></li>
    }
    .into_any()
}

/// A run in short, for the page of its incident: each step on a line, and what waits for somebody with its form.
pub fn steps(run: &Run) -> AnyView {
    let parts: Vec<&str> = run.steps.iter().flat_map(|step| &step.step.parts).map(|part| part.id.as_str()).collect();
    // What comes later unfolds.
    let begun = run.steps.iter().rposition(|step| step.state != PlaybookStepState::Pending).map_or(0, |at| at + 1);
    let (now, later) = run.steps.split_at(run.steps.len().min(begun + 2));
    let short = |step: &Step| {
        let waits = step.can.iter().any(|can| can == "approve" || can == "complete");
        let aside = match (&step.at, waits) {
            (_, true) => view! { <b>{if step.step.kind == "approval" { "needs approval" } else { "to do" }}{step.step.role.as_ref().map(|role| format!(", {}", role.to_lowercase()))}</b> }.into_any(),
            (Some(at), false) => view! { {(step.state != PlaybookStepState::Done).then(|| format!("{} ", step.state.label().to_lowercase()))}{c::ago(at)} }.into_any(),
            (None, false) => c::none(),
        };
        let forms = (!step.can.is_empty()).then(|| {
            let outcome =
                (!step.outcome.is_empty() && !waits).then(|| view! { <p class="t2">{c::text(&step.outcome)}</p> });
            let waiting = step.can.iter().filter(|can| *can != "undo").map(|can| act(run, step, can)).collect_view();
            view! { <div class="do">{outcome}{waiting}</div> }
        });
        view! {
            <li data-state=step.state.as_str().to_ascii_lowercase() aria-current=waits.then_some("step") class:part=parts.contains(&step.step.id.as_str())>{icon(mark(step.state))}
                <span class="cut" title=c::clean(&step.step.title)>{c::text(&step.step.title)}</span><span class="muted">{aside}</span>{forms}</li>
        }
    };
    let more = (!later.is_empty()).then(|| {
        view! { <details class="more"><summary>{format!("{} later", format::counted(i64::try_from(later.len()).unwrap_or_default(), "step", "steps"))}</summary><ol class="steps">{later.iter().map(short).collect_view()}</ol></details> }
    });
    view! {
        <p class="meta"><a class="link" href=run_url(&run.id)>{c::text(&run.title)}</a><span>"version "{run.version}</span>{status(run.status, run.dry_run)}<span>"began "{c::ago(&run.started_at)}</span></p>
        <ol class="steps">{now.iter().map(short).collect_view()}</ol>{more}
    }
    .into_any()
}

fn act(run: &Run, step: &Step, can: &str) -> AnyView {
    let (id, name) = (run.id.clone(), step.step.id.clone());
    match can {
        "approve" if may("playbook:approve") => {
            let body = |approve| {
                gql::body::<ApprovePlaybookStep>(approve_playbook_step::Variables {
                    run: id.clone(),
                    step: name.clone(),
                    approve,
                    note: None,
                })
            };
            let field = format!("n-{name}");
            view! {
                <p class="lines">{c::text(&step.step.text)}</p>
                <form class="form" method="post" data-act=body(true) data-done="Approved">
                    <div class="field"><label for=field.clone()>"Note"</label><input class="input" id=field name="note" maxlength="1000" autocomplete="off"/></div>
                    <div class="actions"><button class="btn primary sm">"Approve"</button><button class="btn sm" type="button" data-act=body(false) data-done="Declined">"Decline"</button></div>
                    <p class="err" role="alert"></p>
                </form>
            }
            .into_any()
        }
        "complete" if may("playbook:run") => {
            let body = gql::body::<CompletePlaybookTask>(complete_playbook_task::Variables {
                run: id,
                step: name.clone(),
                answer: None,
                note: None,
            });
            let choices = step.step.choices.iter().map(|choice| {
                view! { <label class="check"><input type="radio" name="answer" value=choice.clone() required/><span>{c::text(choice)}</span></label> }
            });
            let choices = (!step.step.choices.is_empty())
                .then(|| view! { <fieldset class="field"><legend>"Answer"</legend><div class="boxes">{choices.collect_view()}</div></fieldset> });
            let field = format!("n-{name}");
            view! {
                <p class="lines">{c::text(&step.step.text)}</p>
                <form class="form" method="post" data-act=body data-done="Done">{choices}
                    <div class="field"><label for=field.clone()>"Note"</label><input class="input" id=field name="note" maxlength="1000" autocomplete="off"/></div>
                    <div class="actions"><button class="btn primary sm">"Complete"</button></div>
                    <p class="err" role="alert"></p>
                </form>
            }
            .into_any()
        }
        "retry" if may("playbook:run") => {
            let body = gql::body::<RetryPlaybookStep>(retry_playbook_step::Variables { run: id, step: name });
            view! { <div class="actions"><button class="btn sm" type="button" data-act=body data-done="Tried again">{icon(icons::ROTATE_CCW)}"Try again"</button></div> }.into_any()
        }
        "undo" if may("playbook:run") => {
            let body = gql::body::<UndoPlaybookStep>(undo_playbook_step::Variables { run: id, step: name });
            view! { <div class="actions"><button class="btn quiet sm" type="button" data-act=body data-done="Undone">{icon(icons::UNDO_2)}"Undo"</button></div> }.into_any()
        }
        _ => c::none(),
    }
}
