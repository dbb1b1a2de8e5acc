//! The picture of a playbook: its steps as nodes, and which way leads where.

use super::{Kind, OnFailure, Playbook, Target};

/// Where one step leads. Places are those of [`Playbook::steps`]; one more than the last is the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    pub from: usize,
    pub to: usize,
    /// On what condition; empty: always.
    pub label: String,
    /// Whether it is the way after a failure.
    pub failure: bool,
}

/// The ways between a playbook's steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    pub edges: Vec<Edge>,
}

/// The ways between the steps, in their order.
#[must_use]
pub fn flow(playbook: &Playbook) -> Flow {
    let end = playbook.steps.len();
    let place = |target: &Target| match target {
        Target::End => end,
        Target::Step(id) => playbook.steps.iter().position(|step| step.id == *id).unwrap_or(end),
    };
    let mut edges = Vec::new();
    for (from, step) in playbook.steps.iter().enumerate() {
        let mut edge = |to, label: &str, failure| edges.push(Edge { from, to, label: label.to_owned(), failure });
        if let Kind::Branch { arms, otherwise } = &step.kind {
            for (condition, target) in arms {
                edge(place(target), &condition.text, false);
            }
            edge(place(otherwise), "otherwise", false);
        } else {
            edge(step.next.as_ref().map_or(from + 1, place), "", false);
        }
        if let OnFailure::GoTo(target) = &step.on_failure {
            let label = if matches!(step.kind, Kind::Approval { .. }) { "declined" } else { "failed" };
            edge(place(target), label, true);
        }
    }
    Flow { edges }
}
