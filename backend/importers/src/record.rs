//! What every importer produces: normalized records, whatever the tool.
//!
//! The server stages these rows and merges them; nothing in here knows of a database.

use std::borrow::Cow;
use std::ops::Index;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use stance_shared::{AssetKind, Layer, RelationKind, Severity};

/// How a report names an asset: its kind and its external key. Two records with the same reference mean one asset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AssetRef {
    pub kind: AssetKind,
    /// Stable key in the outside world: a model name, a `pkg:` purl, a repository URL. Never empty, at most 512 characters.
    pub key: String,
}

/// An asset that a report describes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AssetRecord {
    #[serde(flatten)]
    pub asset: AssetRef,
    /// What a person calls it; the key when the report gives nothing better.
    pub name: String,
    /// What the report says of it, as a JSON object; stored with the report as its source.
    #[serde(default)]
    pub attributes: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    pub tags: Vec<String>,
}

/// A relation between two assets that a report describes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RelationRecord {
    pub from: AssetRef,
    pub kind: RelationKind,
    pub to: AssetRef,
}

/// A place in a file, an artifact or a conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Path or URI, normalized: no `file://`, no scan root, forward slashes; archive members as `archive.zip:member`.
    pub uri: String,
    /// First line, 1-based.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The text at the place, at most 2,000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snippet: Option<String>,
}

/// A JSON object of few members, most of whose names are known to the compiler: far cheaper to build than a map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence(Vec<(Cow<'static, str>, serde_json::Value)>);

impl Evidence {
    /// Sets a member.
    pub(crate) fn insert(&mut self, name: Cow<'static, str>, value: serde_json::Value) {
        match self.0.binary_search_by(|(known, _)| known.cmp(&name)) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (name, value)),
        }
    }

    /// The members in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &serde_json::Value)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&serde_json::Value> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// As the attributes of an asset.
    pub(crate) fn into_map(self) -> serde_json::Map<String, serde_json::Value> {
        self.0.into_iter().map(|(name, value)| (name.into_owned(), value)).collect()
    }
}

impl Index<&str> for Evidence {
    type Output = serde_json::Value;

    /// `null` for a member that there is not, as in a JSON value.
    fn index(&self, name: &str) -> &serde_json::Value {
        self.get(name).unwrap_or(&serde_json::Value::Null)
    }
}

impl FromIterator<(String, serde_json::Value)> for Evidence {
    fn from_iter<I: IntoIterator<Item = (String, serde_json::Value)>>(members: I) -> Self {
        let mut evidence = Self::default();
        members.into_iter().for_each(|(name, value)| evidence.insert(name.into(), value));
        evidence
    }
}

impl Serialize for Evidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Evidence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Map::deserialize(deserializer).map(Self::from_iter)
    }
}

/// The rule of a finding whose report names none.
pub(crate) const NO_RULE: &str = "(no rule)";

/// What a report itself says against a finding (SARIF `suppressions`; VEX: not affected, false positive, fixed). It becomes a
/// decision with its origin, “no problem”, as long as the source says so and no person decides otherwise. A risk that the
/// source accepts (`will_not_fix`) is none: only a person with an end date may accept a risk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suppression {
    /// Where it was said, for example `SARIF suppressions[inSource]`.
    pub origin: String,
    /// Why, in the source's words.
    pub justification: String,
}

/// One problem that a report found on one asset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FindingRecord {
    pub asset: AssetRef,
    /// Identity across reports: see `stance_engine::fingerprint`. Two records of one report with the same fingerprint
    /// are two findings; the merge numbers them in the order of their lines.
    pub fingerprint: stance_engine::fingerprint::Fingerprint,
    /// The tool's rule, normalized (`B301`, `promptinject.HijackHateHumansMini/promptinject.AttackRogueString`).
    pub rule: String,
    pub layer: Layer,
    pub severity: Severity,
    /// A CVSS, AIVSS or similar score of 0.0 to 10.0 where the source gives one; it then replaces the severity's base in `stance-risk/1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Share of attacks that succeeded, 0.0 to 1.0, for red-team tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attack_success_rate: Option<f64>,
    /// One line, at most 300 characters.
    pub title: String,
    /// Markdown or plain text, at most 8,000 characters.
    pub description: String,
    /// What to do about it; empty when the source says nothing.
    pub remediation: String,
    /// Taxonomy references, `framework@version:id`, each known to `stance_shared::taxonomy`.
    pub categories: Vec<Cow<'static, str>>,
    /// The first is the primary one; at most 50.
    pub locations: Vec<Location>,
    /// Evidence as a JSON object, secrets redacted, at most 16 KiB.
    pub evidence: Evidence,
    /// How often the report saw it (hits, attempts that succeeded), at least 1.
    pub count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppression: Option<Suppression>,
}

impl FindingRecord {
    /// A finding that says nothing yet beside what every finding has: for `..FindingRecord::blank(…)`.
    pub(crate) fn blank(
        asset: &AssetRef,
        fingerprint: stance_engine::fingerprint::Fingerprint,
        rule: &str,
        layer: Layer,
    ) -> Self {
        Self {
            asset: asset.clone(),
            fingerprint,
            rule: if rule.is_empty() { NO_RULE.to_owned() } else { rule.to_owned() },
            layer,
            severity: Severity::Medium,
            score: None,
            attack_success_rate: None,
            title: String::new(),
            description: String::new(),
            remediation: String::new(),
            categories: Vec::new(),
            locations: Vec::new(),
            evidence: Evidence::default(),
            count: 1,
            suppression: None,
        }
    }
}

/// Something the tool could not assess: an error, a skipped file, a crashed run. Never a finding, never a pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GapRecord {
    /// Short class, for example `tool-error`, `skipped`, `incomplete-run`, `empty-report`.
    pub class: String,
    /// What could not be assessed: a file, a probe, a server; empty for the whole run.
    pub subject: String,
    /// Why, in a sentence a person can act on, at most 1,000 characters.
    pub reason: String,
}

/// A record of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    Asset(AssetRecord),
    Relation(RelationRecord),
    Finding(Box<FindingRecord>),
    Gap(GapRecord),
}

/// Which tool and run a report comes from, and what it covers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunInfo {
    /// The tool's own name (`bandit`, `garak`, `modelscan`): for SARIF the driver's, not "SARIF".
    pub tool: String,
    /// The tool's version; empty when the report does not say.
    pub tool_version: String,
    /// Tells scans of one tool on one asset apart (SARIF `automationDetails.id`, a probe set); empty for "the" scan.
    /// "Resolved by absence" holds within (tool, asset, scan identity).
    pub scan_identity: String,
    /// The assets that the run assessed, also where it found nothing: absence is judged on these.
    pub assessed: Vec<AssetRef>,
    /// Layers that the run assessed, for completeness.
    pub layers: Vec<Layer>,
    /// Completeness checks (`stance_engine::risk::CHECKS`) that the run makes fresh for the assets it assessed.
    #[serde(default)]
    pub checks: Vec<String>,
    /// Rules ([`FindingRecord::rule`]) that the run evaluated on the assessed assets, where the report says which. What other
    /// scans of this tool said of them is out of date: one that this report does not mention is gone for those scans too.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Whether a finding that this report does not mention counts as gone. False for partial reports
    /// (a garak run that crashed, a SARIF with `baselineState` only of changes).
    pub complete: bool,
}

impl RunInfo {
    /// Notes that the run assessed `asset` in `layer`, which makes `check` fresh.
    pub(crate) fn assess(&mut self, asset: &AssetRef, layer: Layer, check: &str) {
        if !self.assessed.contains(asset) {
            self.assessed.push(asset.clone());
        }
        if !self.layers.contains(&layer) {
            self.layers.push(layer);
        }
        if !self.checks.iter().any(|known| known == check) {
            self.checks.push(check.to_owned());
        }
    }
}
