//! One SARIF result as a finding.

use std::borrow::Cow;

use serde_json::{Value, json};
use stance_engine::fingerprint::Fingerprint;
use stance_shared::Severity;

use super::context::{Rule, RunContext};
use super::mapping;
use super::model::{Message, Properties, SarifLocation, SarifResult};
use crate::category::Categories;
use crate::json::Text;
use crate::record::NO_RULE;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Location, Suppression};
use crate::{code, modelaudit};

/// Whether a result says that something is wrong now: not a pass, and not one that is gone since the baseline.
pub(super) fn is_problem(result: &SarifResult<'_>) -> bool {
    !matches!(result.kind.as_deref(), Some("pass" | "notApplicable"))
        && result.baseline_state.as_deref() != Some("absent")
}

/// Whether the result refers to something that the run may still say behind its results: a file by its place in `artifacts`,
/// or an absolute path that is to be shortened by the scan's root.
pub(super) fn refers_ahead(run: &RunContext, result: &SarifResult<'_>) -> bool {
    result.locations.iter().any(|location| {
        let artifact = &location.physical_location.artifact_location;
        match artifact.uri.as_deref() {
            None => run.artifacts.is_none() && artifact.index.is_some_and(|index| index >= 0),
            Some(uri) => !run.knows_root() && (uri.starts_with("file:") || uri.starts_with('/')),
        }
    })
}

pub(super) fn finding(run: &RunContext, asset: &AssetRef, mut result: SarifResult<'_>) -> FindingRecord {
    let rule = run.rule(result.rule_id.as_deref(), result.rule_index, result.rule.as_ref());
    let named = result.rule_id.as_deref().or_else(|| result.rule.as_ref()?.id.as_deref());
    let rule_id =
        named.or(rule.map(|rule| rule.id.as_str())).map(str::trim).filter(|id| !id.is_empty()).unwrap_or(NO_RULE);
    let rule_id = text::truncate(rule_id, 300);

    let message = std::mem::take(&mut result.message);
    let mut message = message_text(&message, rule);
    let score = mapping::security_severity(&result.properties).or_else(|| rule?.score);
    let categories = categories(run, rule, &rule_id, &result);
    let mut locations: Vec<Location> = result.locations.iter().take(50).filter_map(|l| location(run, l)).collect();
    let fingerprint = fingerprint(run, asset, &rule_id, &result, &locations, &message);
    if code::is_secret(&categories) {
        // The secret stands in the message and in the code.
        message = Cow::Owned(code::without_literals(&message));
        for location in &mut locations {
            location.snippet = location.snippet.take().map(|snippet| code::without_literals(&snippet));
        }
    }
    FindingRecord {
        asset: asset.clone(),
        fingerprint,
        layer: mapping::layer(&run.tool, &categories),
        severity: severity(&result, rule, score),
        score,
        attack_success_rate: None,
        title: title(rule, &rule_id, &message),
        description: description(rule, &message),
        remediation: remediation(&result, rule, &message),
        categories: categories.into_vec(),
        evidence: evidence(&mut result, rule),
        count: result.occurrence_count.unwrap_or(1).max(1),
        suppression: suppression(&result),
        rule: rule_id,
        locations,
    }
}

/// The rule's categories, and what the result adds to them.
fn categories(run: &RunContext, rule: Option<&Rule>, rule_id: &str, result: &SarifResult<'_>) -> Categories {
    let mut categories =
        rule.map_or_else(|| mapping::rule_categories(rule_id, &Properties::new()), |rule| rule.categories.clone());
    let known = categories.len();
    mapping::add_properties(&result.properties, &mut categories);
    result.taxa.iter().for_each(|taxon| run.add_taxon(taxon, &mut categories));
    // A hierarchical rule id (`id/sub`) may be in the tables where its rule is not.
    if rule.is_none_or(|rule| rule.id != rule_id) || categories.len() > known {
        mapping::complete_categories(&run.tool, rule_id, &mut categories);
    }
    categories
}

/// By score, else by the tool's own word, else by level: the result's before the rule's, `warning` when neither says.
fn severity(result: &SarifResult<'_>, rule: Option<&Rule>, score: Option<f64>) -> Severity {
    if result.kind.as_deref() == Some("informational") {
        return Severity::Info;
    }
    let level = || result.level.as_deref().or_else(|| rule?.level.as_deref()).and_then(mapping::level_severity);
    score
        .map(mapping::score_severity)
        .or_else(|| mapping::property_severity(&result.properties))
        .or_else(|| rule?.severity)
        .or_else(level)
        .unwrap_or(Severity::Medium)
}

/// The message's text, from the rule's table where the result only gives an id, with `{0}` filled in.
fn message_text<'a>(message: &'a Message<Text<'_>>, rule: Option<&'a Rule>) -> Cow<'a, str> {
    let is_said = |text: &&str| !text.trim().is_empty();
    let from_rule = || rule?.messages.get(message.id.as_deref()?)?.text().filter(is_said);
    let mut text = Cow::Borrowed(message.text().filter(is_said).or_else(from_rule).unwrap_or_default());
    for (i, argument) in message.arguments.iter().take(20).enumerate() {
        text = Cow::Owned(text.replace(&format!("{{{i}}}"), &text::truncate(&**argument, 1000)));
    }
    text
}

/// The rule's short description, unless it only repeats the rule's id; then the message.
fn title(rule: Option<&Rule>, rule_id: &str, message: &str) -> String {
    // For most it was said with the rule.
    if let Some(title) = rule.filter(|rule| rule.id == rule_id).and_then(|rule| rule.title.as_ref()) {
        return title.clone();
    }
    let short =
        rule.map(|rule| rule.short.as_str()).filter(|short| !short.is_empty() && !text::contains(short, rule_id));
    let name = rule.map(|rule| rule.name.as_str()).filter(|name| !name.is_empty());
    let title = short.or(Some(message).filter(|message| !message.trim().is_empty())).or(name).unwrap_or(rule_id);
    text::one_line(&text::redact(title), 300)
}

fn description(rule: Option<&Rule>, message: &str) -> String {
    let full =
        rule.map(|rule| rule.full.as_str()).filter(|full| !full.is_empty() && *full != message).unwrap_or_default();
    if full.is_empty() {
        return text::evidence_text(message.trim(), 8000);
    }
    let description = [message, "\n\n", full].concat();
    match description.trim() {
        inner if inner.len() < description.len() => text::evidence_text(inner, 8000),
        _ => text::evidence_text(description, 8000),
    }
}

fn remediation(result: &SarifResult<'_>, rule: Option<&Rule>, message: &str) -> String {
    let fix = result.fixes.iter().find_map(|fix| fix.description.text());
    let said = result.properties.get("remediation").and_then(Value::as_str).or(fix);
    // For most it was said with the rule.
    if let Some(known) = rule.filter(|rule| said.is_none() && rule.help != message) {
        return known.remediation.clone();
    }
    let help = rule.map(|rule| rule.help.as_str()).filter(|help| !help.is_empty() && *help != message);
    let uri = rule.map(|rule| rule.help_uri.as_str()).filter(|uri| uri.starts_with("http"));
    how_to_mend(said.or(help), uri)
}

/// What to do, and where to read on.
pub(super) fn how_to_mend(text: Option<&str>, uri: Option<&str>) -> String {
    match (text, uri) {
        (Some(text), Some(uri)) if !text::contains(text, uri) => {
            text::evidence_text([text, "\n\n", uri].concat(), 8000)
        }
        (text, uri) => text::evidence_text(text.or(uri).unwrap_or_default(), 8000),
    }
}

fn evidence(result: &mut SarifResult<'_>, rule: Option<&Rule>) -> crate::Evidence {
    let mut evidence = Evidence::default();
    match result.level.take() {
        Some(level) => evidence.add("level", level),
        None => evidence.add("level", rule.and_then(|rule| rule.level.clone())),
    }
    evidence.add("kind", result.kind.take());
    evidence.add("ruleName", rule.map(|rule| rule.name.clone()));
    evidence.add("viewer", result.hosted_viewer_uri.take());
    evidence.add("properties", Value::Object(std::mem::take(&mut result.properties)));
    evidence.add("fingerprints", Value::Object(std::mem::take(&mut result.fingerprints)));
    evidence.add("partialFingerprints", Value::Object(std::mem::take(&mut result.partial_fingerprints)));
    if result.locations.len() > 50 {
        evidence.add("locationsOmitted", json!(result.locations.len() - 50));
    }
    evidence.finish()
}

/// Suppressed when every suppression counts: accepted, or with no status said.
fn suppression(result: &SarifResult<'_>) -> Option<Suppression> {
    let all = result.suppressions.as_deref()?;
    let first = all.first()?;
    if !all.iter().all(|suppression| matches!(suppression.status.as_deref(), None | Some("accepted"))) {
        return None;
    }
    let justification =
        all.iter().find_map(|s| s.justification.as_deref()).unwrap_or("suppressed in the tool, which gave no reason");
    Some(Suppression {
        origin: format!("SARIF suppressions[{}]", text::one_line(first.kind.as_deref().unwrap_or("external"), 60)),
        justification: text::truncate(justification, 1000),
    })
}

fn location(run: &RunContext, location: &SarifLocation<Text<'_>>) -> Option<Location> {
    let physical = &location.physical_location;
    let artifact = &physical.artifact_location;
    let table = || run.artifacts.as_ref()?.get(usize::try_from(artifact.index?).ok()?);
    // The file, and the id of what its path is relative to.
    let (file, base) = match artifact.uri.as_deref() {
        Some(uri) => (Some(uri), artifact.uri_base_id.as_deref()),
        None => table().map_or((None, None), |file| (file.uri.as_deref(), file.uri_base_id.as_deref())),
    };
    let uri = match file {
        Some(uri) => text::normalize_uri(uri, root(run, base)),
        None => {
            let logical =
                location.logical_locations.iter().find_map(|l| l.fully_qualified_name.as_deref().or(l.name.as_deref()));
            text::truncate(logical?, 1000)
        }
    };
    let snippets = [&physical.region.snippet, &physical.context_region.snippet];
    let snippet = snippets.into_iter().filter_map(|s| s.text.as_deref()).find(|text| !text.trim().is_empty());
    Some(Location {
        uri,
        line: physical.region.start_line.and_then(|line| u32::try_from(line).ok()).filter(|line| *line > 0),
        snippet: snippet.map(|text| text::evidence_text(text, 2000)),
    })
}

/// Where the scan was rooted, to take it off absolute paths.
fn root<'a>(run: &'a RunContext, base: Option<&str>) -> Option<&'a str> {
    let base = base.and_then(|id| run.base_uris.get(id)?.uri.as_deref());
    let one_base = || run.base_uris.values().find_map(|base| base.uri.as_deref());
    base.or_else(one_base).or_else(|| run.invocations.iter().find_map(|i| i.working_directory.uri.as_deref()))
}

/// tool | rule | file | the tool's fingerprint, else the snippet, else the message with its numbers left out.
fn fingerprint(
    run: &RunContext,
    asset: &AssetRef,
    rule: &str,
    result: &SarifResult<'_>,
    locations: &[Location],
    message: &str,
) -> Fingerprint {
    let uri = locations.first().map_or("", |location| location.uri.as_str());
    if run.tool.eq_ignore_ascii_case("modelaudit") {
        return modelaudit::fingerprint(asset, rule, uri, &result.properties, message);
    }
    let region = result.locations.first().map(|location| &location.physical_location.region);
    let span = region.map_or((0, 0, 0), |region| {
        let lines = region.end_line.unwrap_or_default().saturating_sub(region.start_line.unwrap_or_default());
        (region.start_column.unwrap_or_default(), lines.max(0), region.end_column.unwrap_or_default())
    });
    let snippet = region.and_then(|region| region.snippet.text.as_deref());
    code::fingerprint(asset, &run.tool, rule, uri, code::Mark { own: tool_fingerprint(result), snippet, span, message })
}

fn tool_fingerprint(result: &SarifResult<'_>) -> Option<String> {
    let preferred = |map: &Properties| map.get("primaryLocationLineHash").and_then(usable);
    let any = |map: &Properties| map.values().find_map(usable);
    any(&result.fingerprints)
        .or_else(|| preferred(&result.partial_fingerprints))
        .or_else(|| any(&result.partial_fingerprints))
}

fn usable(value: &Value) -> Option<String> {
    code::usable_fingerprint(value.as_str()?)
}
