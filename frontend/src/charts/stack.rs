//! Counts by severity as one bar.

use leptos::prelude::*;
use stance_shared::Severity;

use crate::format;

/// A bar of the open findings of an asset, worst first, with its words for screen readers and as a title.
pub fn stack(counts: &[(Severity, i64)]) -> AnyView {
    let some: Vec<_> = counts.iter().filter(|(_, count)| *count > 0).collect();
    if some.is_empty() {
        return view! { <span class="muted">"0"</span> }.into_any();
    }
    let label = some
        .iter()
        .map(|(severity, count)| format!("{} {}", format::count(*count), severity.label().to_lowercase()))
        .collect::<Vec<_>>()
        .join(", ");
    let parts = some.iter().map(|(severity, count)| view! { <i data-sev=severity.as_str().to_ascii_lowercase() style=format!("--v:{count}")></i> }).collect_view();
    view! { <span class="stackbar" role="img" aria-label=label.clone() title=label>{parts}</span> }.into_any()
}
