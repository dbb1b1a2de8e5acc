//! Playbooks: the library, one of them, its editor, and runs. Only the server renders these pages.

mod flow;
mod library;
mod playbook;
mod run;
mod runs;

pub use run::steps;

use leptos::prelude::*;
use stance_shared::PlaybookRunStatus;

use crate::{
    components::none,
    layout,
    load::set_title,
    state,
    url::{Params, encode},
};

/// The page at the request's address, by the parts of its path after `/playbooks`.
pub fn served(parts: &[&str], params: Params) -> AnyView {
    match parts {
        [] => library::library(),
        ["new"] => playbook::new(params),
        ["runs"] => runs::runs(params),
        ["runs", id] => run::run((*id).to_owned()),
        [id] => playbook::playbook((*id).to_owned(), params),
        _ => super::not_found(),
    }
}

/// Whether the viewer has a permission.
fn may(permission: &str) -> bool {
    state::viewer().can(permission)
}

/// A part of the section: the bar with the parts, then the page.
fn part(current: &'static str, end: AnyView, content: AnyView) -> AnyView {
    set_title(if current.is_empty() { "Playbooks" } else { "Runs · Playbooks" });
    let links = [("", "Library"), ("runs", "Runs")].map(|(path, label)| {
        let href = if path.is_empty() { "/playbooks".to_owned() } else { format!("/playbooks/{path}") };
        view! { <a href=href aria-current=(path == current).then_some("page")>{label}</a> }
    });
    let nav = view! {
        <nav class="subnav" aria-label="Playbooks">{links.into_iter().collect_view()}</nav>
        <div class="end">{end}</div>
    };
    view! { {layout::bar(none(), "Playbooks", nav.into_any())}{content} }.into_any()
}

fn playbook_url(id: &str) -> String {
    format!("/playbooks/{}", encode(id))
}

/// The page of a run.
pub fn run_url(id: &str) -> String {
    format!("/playbooks/runs/{}", encode(id))
}

/// A run's status; what went wrong stands out.
pub fn status(status: PlaybookRunStatus, dry_run: bool) -> AnyView {
    let word = if dry_run { "Dry run" } else { status.label() };
    let class = match status {
        PlaybookRunStatus::Running if !dry_run => "state on",
        PlaybookRunStatus::Failed | PlaybookRunStatus::Refused if !dry_run => "state bad",
        _ => "state muted",
    };
    view! { <span class=class>{word}</span> }.into_any()
}

/// A table with its caption for screen readers.
fn table(caption: &'static str, heads: AnyView, rows: AnyView) -> AnyView {
    view! {
        <div class="tbl"><table><caption class="vh">{caption}</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>
    }
    .into_any()
}
