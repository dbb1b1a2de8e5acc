//! What CycloneDX's words mean here.

use stance_shared::{AssetKind, Severity};

use super::model::{Analysis, Rating};
use crate::{Suppression, text};

/// Elements of the XML encoding that are arrays in JSON.
pub(super) const ARRAYS: &[&str] = &[
    "advisories",
    "affects",
    "ancestors",
    "citations",
    "components",
    "cwes",
    "datasets",
    "endpoints",
    "licenses",
    "performanceMetrics",
    "ratings",
    "references",
    "responses",
    "services",
    "vulnerabilities",
];

/// Scoring methods, the one that counts first; methods that are not listed come last.
const METHODS: &[&str] = &["CVSSv4", "CVSSv31", "CVSSv3", "CVSSv2"];

/// States of an analysis that say that there is nothing to do.
const NO_PROBLEM: &[&str] = &["not_affected", "false_positive", "resolved", "resolved_with_pedigree"];

/// What `data[].flow` of a service may be.
pub(super) const FLOWS: &[&str] = &["inbound", "outbound", "bi-directional", "unknown"];

/// Types of `data[]` that are no data set.
const NO_DATASET: &[&str] = &["source-code", "configuration", "definition", "other"];

/// The kind of asset that a component is; `None` for software that is only a part of one.
pub(super) fn kind(component: &str) -> Option<AssetKind> {
    match component {
        "machine-learning-model" => Some(AssetKind::Model),
        "data" => Some(AssetKind::Dataset),
        _ => None,
    }
}

pub(super) fn is_dataset(data: &str) -> bool {
    !NO_DATASET.contains(&data)
}

/// The severity and score of a vulnerability: of the rating with the best method, CVSS 4 before 3.1 before 3 before 2. A
/// rating without a severity word has that of its score.
pub(super) fn severity(ratings: &[Rating]) -> (Severity, Option<f64>) {
    let place = |rating: &&Rating| METHODS.iter().position(|m| *m == rating.method).unwrap_or(METHODS.len());
    let mut ordered: Vec<&Rating> = ratings.iter().collect();
    ordered.sort_by_key(place);
    let said = |rating: &&Rating| rating.severity.as_deref().and_then(word).or_else(|| rating.score.map(of_score));
    // Other methods' scores are not from 0 to 10 by nature.
    let scored = ordered.iter().filter(|rating| METHODS.contains(&rating.method.as_str()) || rating.method.is_empty());
    let score = scored.filter_map(|rating| rating.score).find(|score| (0.0..=10.0).contains(score));
    (ordered.iter().find_map(said).unwrap_or(Severity::Medium), score)
}

fn word(severity: &str) -> Option<Severity> {
    Some(match severity.trim().to_lowercase().as_str() {
        "critical" => Severity::Critical,
        "high" => Severity::High,
        "medium" => Severity::Medium,
        "low" => Severity::Low,
        "info" | "none" => Severity::Info,
        _ => return None,
    })
}

/// CVSS's qualitative scale.
fn of_score(score: f64) -> Severity {
    match score {
        9.0.. => Severity::Critical,
        7.0.. => Severity::High,
        4.0.. => Severity::Medium,
        0.1.. => Severity::Low,
        _ => Severity::Info,
    }
}

/// The decision that an analysis is: that the vulnerability is none here, or none any more.
pub(super) fn suppression(analysis: &Analysis) -> Option<Suppression> {
    let state = NO_PROBLEM.iter().find(|state| **state == analysis.state)?;
    let why = [analysis.justification.as_deref(), analysis.detail.as_deref()];
    let why: Vec<&str> = why.into_iter().flatten().map(str::trim).filter(|why| !why.is_empty()).collect();
    let why = if why.is_empty() { "the analysis gives no reason".to_owned() } else { why.join(": ") };
    Some(Suppression {
        origin: format!("CycloneDX analysis.state {state}"),
        justification: text::evidence_text(format!("{state}: {why}"), 1000),
    })
}
