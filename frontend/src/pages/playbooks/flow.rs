//! The flow of a playbook as a picture: steps from top to bottom, jumps at the side.

use leptos::prelude::*;

use crate::{
    components as c,
    gql::playbook_detail::{PlaybookDetailPlaybookFlow as Flow, PlaybookDetailPlaybookFlowSteps as Step},
};

/// Pixels: a box, the space between two, the width of a lane for jumps.
const WIDTH: i64 = 340;
const HEIGHT: i64 = 40;
const PART: i64 = 22;
const GAP: i64 = 24;
const LANE: i64 = 14;

/// What a kind of step is called in the picture.
fn caption(step: &Step) -> String {
    let who = step.role.as_ref().map(|role| format!(" · {}", role.to_lowercase())).unwrap_or_default();
    match (&step.action, step.kind.as_str()) {
        (Some(action), _) => action.clone(),
        (None, kind) => format!("{kind}{who}"),
    }
}

/// At most so many characters.
fn cut(text: &str, max: usize) -> String {
    let clean = c::clean(text);
    if clean.chars().count() <= max { clean } else { format!("{}…", clean.chars().take(max - 1).collect::<String>()) }
}

/// The picture, with its steps in words for those who do not see it.
pub fn picture(title: &str, flow: &Flow) -> AnyView {
    let mut tops = Vec::new();
    let mut y = 8;
    for step in &flow.steps {
        tops.push(y);
        y += HEIGHT + PART * i64::try_from(step.parts.len()).unwrap_or(0) + GAP;
    }
    let end = y;
    let jumps: Vec<_> = flow.edges.iter().filter(|edge| edge.to != edge.from + 1).collect();
    let lanes = i64::try_from(jumps.len()).unwrap_or(0);
    let width = WIDTH + 24 + lanes * LANE + 8;
    let height = end + 32;
    let top = |place: i64| usize::try_from(place).ok().and_then(|at| tops.get(at)).copied().unwrap_or(end);
    let tall = |at: usize| HEIGHT + PART * i64::try_from(flow.steps.get(at).map_or(0, |s| s.parts.len())).unwrap_or(0);
    let boxes = flow.steps.iter().zip(&tops).enumerate().map(|(at, (step, top))| {
        let parts = step.parts.iter().enumerate().map(|(i, part)| {
            let y = top + HEIGHT + PART * i64::try_from(i).unwrap_or(0);
            view! { <g class="part"><rect x="20" y=y width=WIDTH - 24 height=PART - 4 rx="4"></rect><text x="28" y=y + 13>{cut(&part.title, 46)}</text></g> }
        });
        view! {
            <g class="step" data-kind=step.kind.clone()><rect x="8" y=*top width=WIDTH height=tall(at) rx="6"></rect>
                <text class="name" x="18" y=top + 17>{cut(&step.title, 48)}</text><text class="kind" x="18" y=top + 32>{caption(step)}</text>{parts.collect_view()}</g>
        }
    });
    let straight = flow.edges.iter().filter(|edge| edge.to == edge.from + 1).map(|edge| {
        let from = usize::try_from(edge.from).unwrap_or(0);
        let (a, b) = (top(edge.from) + tall(from), top(edge.to));
        view! { <path class="way" d=format!("M{x} {a}V{}", b - 3, x = WIDTH / 2) marker-end="url(#arrow)"></path> }
    });
    let around = jumps.iter().enumerate().map(|(lane, edge)| {
        let x = WIDTH + 20 + LANE * i64::try_from(lane).unwrap_or(0);
        let (a, b) = (top(edge.from) + 20, top(edge.to) + 10);
        let class = if edge.failure { "way fail" } else { "way" };
        let label = if edge.label.is_empty() { "then".to_owned() } else { c::clean(&edge.label) };
        let into = if top(edge.to) == end { WIDTH / 2 + 54 } else { WIDTH + 12 };
        view! { <path class=class d=format!("M{r} {a}H{x}V{b}H{into}", r = WIDTH + 8) marker-end="url(#arrow)"><title>{label}</title></path> }
    });
    let label = format!("The flow of {}: {} steps", c::clean(title), flow.steps.len());
    let words = flow.edges.iter().filter(|edge| !edge.label.is_empty()).map(|edge| {
        let name = |place: i64| {
            let step = usize::try_from(place).ok().and_then(|at| flow.steps.get(at));
            step.map_or_else(|| "the end".to_owned(), |step| c::clean(&step.title))
        };
        let (from, to) = (name(edge.from), name(edge.to));
        view! { <li>{from}<span class="muted">" → "</span>{to}": "<span class="id muted">{c::clean(&edge.label)}</span></li> }
    });
    view! {
        <div class="flow" tabindex="0"><svg width=width height=height viewBox=format!("0 0 {width} {height}") role="img" aria-label=label>
            <defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"></path></marker></defs>
            {straight.collect_view()}{around.collect_view()}{boxes.collect_view()}
            <g class="step" data-kind="end"><rect x=WIDTH / 2 - 34 y=end width="84" height="24" rx="12"></rect><text class="kind" x=WIDTH / 2 - 6 y=end + 16>"end"</text></g>
        </svg></div>
        <details class="ways"><summary>"Branches in words"</summary><ul>{words.collect_view()}</ul></details>
    }
    .into_any()
}
