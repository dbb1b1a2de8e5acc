//! Stance's own records as other programs write them: strict, so that a typing error is an error and not a lost field.
//! The GraphQL mutation `ingestFindings` takes the same inputs.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value};
use stance_engine::fingerprint::Fingerprint;
use stance_shared::{AssetKind, Layer, RelationKind, Severity, taxonomy};

use crate::text::{self, Evidence};
use crate::{AssetRecord, AssetRef, FindingRecord, GapRecord, Location, RelationRecord, Suppression};

/// What is wrong with an input, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Invalid {
    /// The field, for example `locations[2].uri`.
    pub path: String,
    /// A sentence with what is allowed.
    pub message: String,
}

fn invalid<T>(path: impl Into<String>, message: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid { path: path.into(), message: message.into() })
}

/// A text that must not be empty and not be longer than `max` characters.
fn required(path: &str, text: &str, max: usize) -> Result<String, Invalid> {
    if text.trim().is_empty() {
        return invalid(path, "must not be empty");
    }
    at_most(path, text, max)
}

fn at_most(path: &str, text: &str, max: usize) -> Result<String, Invalid> {
    if text.len() > max && text.chars().count() > max {
        return invalid(path, format!("must be at most {max} characters long"));
    }
    Ok(text::truncate(text, max))
}

/// An asset by kind and key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetRefInput {
    pub kind: AssetKind,
    pub key: String,
}

impl AssetRefInput {
    /// # Errors
    /// When the key is empty or too long.
    pub fn into_ref(self) -> Result<AssetRef, Invalid> {
        Ok(AssetRef { kind: self.kind, key: required("key", self.key.trim(), 512)? })
    }
}

fn within<T>(path: &str, result: Result<T, Invalid>) -> Result<T, Invalid> {
    result.map_err(|error| Invalid { path: format!("{path}.{}", error.path), message: error.message })
}

/// An asset with what is known of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetInput {
    pub kind: AssetKind,
    pub key: String,
    /// The key when absent.
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub attributes: Map<String, Value>,
    #[serde(default)]
    pub tags: Vec<String>,
}

impl AssetInput {
    /// # Errors
    /// When a field is empty, too long, or there are too many.
    pub fn into_record(self) -> Result<AssetRecord, Invalid> {
        let asset = AssetRefInput { kind: self.kind, key: self.key }.into_ref()?;
        let name =
            self.name.map_or_else(|| Ok(text::truncate(&asset.key, 300)), |name| required("name", &name, 300))?;
        if self.tags.len() > 50 {
            return invalid("tags", "must be at most 50");
        }
        let tag = |(i, tag): (usize, &String)| required(&format!("tags[{i}]"), tag, 100);
        let tags = self.tags.iter().enumerate().map(tag).collect::<Result<_, _>>()?;
        Ok(AssetRecord { asset, name, attributes: small("attributes", self.attributes)?.into_map(), tags })
    }
}

/// A JSON object of at most 16 KiB, redacted.
fn small(path: &str, map: Map<String, Value>) -> Result<crate::Evidence, Invalid> {
    if serde_json::to_string(&map).is_ok_and(|text| text.len() > 16 << 10) {
        return invalid(path, "must be at most 16 KiB as JSON");
    }
    let mut evidence = Evidence::default();
    map.into_iter().for_each(|(key, value)| evidence.add(text::truncate(key, 200), value));
    Ok(evidence.finish())
}

/// A relation, read “from … to”.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelationInput {
    pub from: AssetRefInput,
    pub kind: RelationKind,
    pub to: AssetRefInput,
}

impl RelationInput {
    /// # Errors
    /// When a key is empty or too long, or both ends are one asset.
    pub fn into_record(self) -> Result<RelationRecord, Invalid> {
        let (from, to) = (within("from", self.from.into_ref())?, within("to", self.to.into_ref())?);
        if from == to {
            return invalid("to", "must be another asset than “from”");
        }
        Ok(RelationRecord { from, kind: self.kind, to })
    }
}

/// A place in a file, an artifact or a conversation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocationInput {
    pub uri: String,
    #[serde(default)]
    pub line: Option<u32>,
    #[serde(default)]
    pub snippet: Option<String>,
}

/// A suppression that the source carries.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuppressionInput {
    pub justification: String,
}

/// A problem on an asset.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FindingInput {
    /// The asset named with the upload when absent.
    #[serde(default)]
    pub asset: Option<AssetRefInput>,
    pub rule: String,
    pub title: String,
    pub severity: Severity,
    /// By the asset's kind when absent.
    #[serde(default)]
    pub layer: Option<Layer>,
    /// 0 to 10.
    #[serde(default)]
    pub score: Option<f64>,
    /// 0 to 1.
    #[serde(default)]
    pub attack_success_rate: Option<f64>,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub remediation: String,
    /// `framework@version:id`.
    #[serde(default)]
    pub categories: Vec<String>,
    #[serde(default)]
    pub locations: Vec<LocationInput>,
    #[serde(default)]
    pub evidence: Map<String, Value>,
    /// What tells this finding from others of the same rule on the same asset, stable over runs. The first location's URI
    /// and snippet when absent.
    #[serde(default)]
    pub identity: Option<Vec<String>>,
    #[serde(default)]
    pub count: Option<u64>,
    #[serde(default)]
    pub suppression: Option<SuppressionInput>,
}

impl FindingInput {
    /// The finding of `tool`, on `default_asset` when it names none.
    ///
    /// # Errors
    /// When a field is missing, empty, too long, out of range or unknown; the path is within this input.
    pub fn into_record(self, tool: &str, default_asset: Option<&AssetRef>) -> Result<FindingRecord, Invalid> {
        let asset = match (self.asset, default_asset) {
            (Some(asset), _) => within("asset", asset.into_ref())?,
            (None, Some(asset)) => asset.clone(),
            (None, None) => return invalid("asset", "is required, as no asset was named for the whole report"),
        };
        let rule = required("rule", self.rule.trim(), 300)?;
        in_range("score", self.score, 10.0)?;
        in_range("attackSuccessRate", self.attack_success_rate, 1.0)?;
        if self.categories.len() > 20 {
            return invalid("categories", "must be at most 20");
        }
        if let Some(i) = self.categories.iter().position(|category| taxonomy::lookup(category).is_none()) {
            return invalid(
                format!("categories[{i}]"),
                "is not a known category; write it as framework@version:id, for example owasp-llm@2025:LLM01",
            );
        }
        if self.locations.len() > 50 {
            return invalid("locations", "must be at most 50");
        }
        let locations =
            self.locations.into_iter().enumerate().map(|(i, l)| location(i, l)).collect::<Result<Vec<_>, _>>()?;
        if self.count == Some(0) {
            return invalid("count", "must be at least 1");
        }
        let identity = identity(self.identity, &locations)?;
        let parts: Vec<&str> = ["stance", tool, &rule].into_iter().chain(identity.iter().map(String::as_str)).collect();
        let suppression = match self.suppression {
            Some(said) => Some(Suppression {
                origin: format!("{tool} report"),
                justification: required("suppression.justification", &said.justification, 1000)?,
            }),
            None => None,
        };
        Ok(FindingRecord {
            fingerprint: Fingerprint::of((asset.kind.as_str(), &asset.key), &parts),
            layer: self.layer.unwrap_or_else(|| layer_of(asset.kind)),
            asset,
            severity: self.severity,
            score: self.score,
            attack_success_rate: self.attack_success_rate,
            title: text::one_line(&text::redact(&required("title", &self.title, 300)?), 300),
            description: text::redact(&at_most("description", &self.description, 8000)?).into_owned(),
            remediation: text::redact(&at_most("remediation", &self.remediation, 8000)?).into_owned(),
            categories: self.categories.into_iter().map(Cow::Owned).collect(),
            locations,
            evidence: small("evidence", self.evidence)?,
            count: self.count.unwrap_or(1),
            suppression,
            rule,
        })
    }
}

fn in_range(path: &str, number: Option<f64>, max: f64) -> Result<(), Invalid> {
    match number {
        Some(number) if !(0.0..=max).contains(&number) => invalid(path, format!("must be from 0 to {max}")),
        _ => Ok(()),
    }
}

fn location(index: usize, location: LocationInput) -> Result<Location, Invalid> {
    let at = |field: &str| format!("locations[{index}].{field}");
    if location.line == Some(0) {
        return invalid(at("line"), "must be at least 1");
    }
    let uri = text::normalize_uri(&required(&at("uri"), &location.uri, 1000)?, None);
    let snippet = location.snippet.map(|snippet| at_most(&at("snippet"), &snippet, 2000)).transpose()?;
    Ok(Location { uri, line: location.line, snippet: snippet.map(|snippet| text::redact(&snippet).into_owned()) })
}

fn identity(given: Option<Vec<String>>, locations: &[Location]) -> Result<Vec<String>, Invalid> {
    let Some(given) = given else {
        let first = locations.first();
        let snippet = first.and_then(|l| l.snippet.as_deref()).unwrap_or_default();
        let snippet = text::single_blanks(snippet).into_owned();
        return Ok(first.map(|l| vec![l.uri.clone(), snippet]).unwrap_or_default());
    };
    if given.len() > 10 {
        return invalid("identity", "must be at most 10 texts");
    }
    let part = |(i, part): (usize, &String)| at_most(&format!("identity[{i}]"), part, 1000);
    given.iter().enumerate().map(part).collect()
}

/// The layer where problems of a kind of asset belong unless they say otherwise.
const fn layer_of(kind: AssetKind) -> Layer {
    match kind {
        AssetKind::Model => Layer::Model,
        AssetKind::Dataset | AssetKind::KnowledgeBase => Layer::Data,
        AssetKind::Application | AssetKind::Agent | AssetKind::Tool | AssetKind::McpServer | AssetKind::Prompt => {
            Layer::Application
        }
    }
}

/// Something the tool could not assess.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GapInput {
    pub class: String,
    #[serde(default)]
    pub subject: String,
    pub reason: String,
}

impl GapInput {
    /// # Errors
    /// When a field is empty or too long.
    pub fn into_record(self) -> Result<GapRecord, Invalid> {
        Ok(GapRecord {
            class: required("class", &self.class, 60)?,
            subject: at_most("subject", &self.subject, 500)?,
            reason: required("reason", &self.reason, 1000)?,
        })
    }
}
