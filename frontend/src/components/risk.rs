//! How risk looks: colour never stands alone, unknown is hatched and never zero.

use leptos::prelude::*;
use stance_shared::{AssetKind, FindingStatus, Grade, Severity};

use crate::{
    components::{clean, text},
    format,
    icons::{self, icon},
    url::encode,
};

/// A severity: a small square and its word.
pub fn severity(severity: Severity) -> AnyView {
    let short = match severity {
        Severity::Critical => "Crit",
        Severity::Medium => "Med",
        other => other.label(),
    };
    view! { <span class="sev" data-sev=severity.as_str().to_ascii_lowercase() data-s=short>{severity.label()}</span> }
        .into_any()
}

/// A risk figure in a table: square, number, letter; hatched when nothing was assessed.
pub fn risk(risk: Option<f64>) -> AnyView {
    match risk {
        Some(value) => {
            let grade = Grade::of(value).as_str();
            view! { <span class="risk" data-grade=grade><i></i><b>{format::risk(value)}</b><span>{grade}</span></span> }.into_any()
        }
        None => view! { <span class="risk" data-grade="?" title="Unknown: never assessed"><i></i><b>"–"</b><span>"?"</span></span> }.into_any(),
    }
}

/// A letter tile; `size` is `""`, `"sm"` or `"lg"`.
pub fn grade(grade: Option<Grade>, size: &'static str) -> AnyView {
    let letter = grade.map_or("?", Grade::as_str);
    let label = if grade.is_some() { format!("grade {letter}") } else { "grade unknown".to_owned() };
    view! { <span class=format!("grade {size}") data-grade=letter role="img" aria-label=label>{letter}</span> }
        .into_any()
}

/// Completeness in 0..=1: solid is known, hatched is unknown.
pub fn known(completeness: f64) -> AnyView {
    let percent = format!("{:.0}", completeness * 100.0);
    view! { <span class="known" style=format!("--v:{percent}") role="img" aria-label=format!("{percent} % known")></span> }.into_any()
}

/// A share in 0..=1, drawn against the largest share of its table.
pub fn share(value: f64, largest: f64) -> AnyView {
    let width = if largest > 0.0 { value / largest * 100.0 } else { 0.0 };
    view! { <span class="share"><span style=format!("--v:{width:.2}")></span><span>{format::percent(value)}</span></span> }.into_any()
}

/// A change in points over a window, for example `7 d`; absent when the earlier figure is unknown.
pub fn delta(change: Option<f64>, window: &str) -> AnyView {
    match change {
        None => ().into_any(),
        Some(change) if change.abs() < 0.5 => {
            view! { <span class="delta">"no change in "{window.to_owned()}</span> }.into_any()
        }
        Some(change) => {
            let (arrow, word) = if change > 0.0 { (icons::ARROW_UP, "up") } else { (icons::ARROW_DOWN, "down") };
            view! { <span class="delta">{icon(arrow)}<span class="vh">{word}" "</span>{format!("{:.0} in {window}", change.abs())}</span> }.into_any()
        }
    }
}

/// Where a finding stands.
pub fn status(status: FindingStatus) -> AnyView {
    let markup = match status {
        FindingStatus::Open => icons::CIRCLE,
        FindingStatus::InProgress => icons::CIRCLE_DOT,
        FindingStatus::Resolved => icons::CHECK,
        FindingStatus::FalsePositive => icons::EYE_OFF,
        FindingStatus::RiskAccepted => icons::SHIELD_CHECK,
    };
    view! { <span class="status">{icon(markup)}{status.label()}</span> }.into_any()
}

/// The icon of a kind of asset.
#[must_use]
pub const fn kind_icon(kind: AssetKind) -> &'static str {
    match kind {
        AssetKind::Application => icons::APP_WINDOW,
        AssetKind::Agent => icons::BOT,
        AssetKind::Model => icons::BRAIN,
        AssetKind::Dataset => icons::DATABASE,
        AssetKind::Tool => icons::WRENCH,
        AssetKind::McpServer => icons::PLUG,
        AssetKind::KnowledgeBase => icons::BOOK_OPEN,
        AssetKind::Prompt => icons::MESSAGE_SQUARE_TEXT,
    }
}

/// An asset's name with the icon of its kind, linked to its page.
pub fn asset(id: &str, kind: AssetKind, name: &str) -> AnyView {
    let title = format!("{}: {}", kind.label(), clean(name));
    view! { <a class="asset" href=asset_url(id) title=title>{icon(kind_icon(kind))}<span class="cut">{text(name)}</span></a> }.into_any()
}

/// The page of an asset.
#[must_use]
pub fn asset_url(id: &str) -> String {
    format!("/inventory/{}", encode(id))
}

/// The page of a finding.
#[must_use]
pub fn finding_url(id: &str) -> String {
    format!("/findings/{}", encode(id))
}

/// The page of a report.
#[must_use]
pub fn report_url(id: &str) -> String {
    format!("/imports/{}", encode(id))
}
