//! Assets and what may be said of them.

use crate::kernel::{Error, Result, text};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};
use stance_importers::{AssetRecord, AssetRef, RelationRecord};
use stance_shared::{
    AssetId, AssetKind, Criticality, Environment, Exposure, Grade, Lifecycle, RelationId, RelationKind, ReportId,
};
use std::{collections::BTreeMap, str::FromStr};

/// How many assets, and how many relations, one call may bring.
pub const MAX_UPSERT: usize = 1000;
pub(super) const MAX_TAGS: usize = 50;
const MAX_ATTRIBUTES: usize = 16 * 1024;

/// Something that can be at risk.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow)]
pub struct Asset {
    pub id: AssetId,
    pub kind: AssetKind,
    /// Stable key in the outside world.
    pub external_key: String,
    pub name: String,
    /// A team or person, as the organization writes it.
    pub owner: Option<String>,
    pub environment: Environment,
    pub exposure: Exposure,
    pub criticality: Criticality,
    pub lifecycle: Lifecycle,
    pub tags: Vec<String>,
    /// A JSON object.
    pub attributes: Value,
    pub first_seen: DateTime<Utc>,
    pub last_seen: DateTime<Utc>,
    /// Residual risk, 0 to 1; `None`: unassessed.
    pub risk: Option<f64>,
}

impl Asset {
    #[must_use]
    pub fn key(&self) -> AssetRef {
        AssetRef { kind: self.kind, key: self.external_key.clone() }
    }

    /// Exposure × criticality of `stance-risk/1`.
    #[must_use]
    pub const fn risk_factor(&self) -> f64 {
        stance_engine::risk::asset_factor(self.exposure, self.criticality)
    }
}

/// What is said anew of an asset; `None` keeps what is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch {
    pub name: Option<String>,
    /// `Some(None)` removes the owner.
    pub owner: Option<Option<String>>,
    pub environment: Option<Environment>,
    pub exposure: Option<Exposure>,
    pub criticality: Option<Criticality>,
    pub lifecycle: Option<Lifecycle>,
    pub tags: Option<Vec<String>>,
    pub attributes: Option<Map<String, Value>>,
}

impl From<&AssetRecord> for Patch {
    /// What a tool says of an asset; what it leaves empty is not said.
    fn from(record: &AssetRecord) -> Self {
        Self {
            name: Some(record.name.chars().take(300).collect()).filter(|name: &String| !name.is_empty()),
            tags: Some(record.tags.clone()).filter(|tags| !tags.is_empty()),
            attributes: Some(record.attributes.clone()).filter(|attributes| !attributes.is_empty()),
            ..Self::default()
        }
    }
}

/// An asset by its key, with what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAsset {
    pub asset: AssetRef,
    pub patch: Patch,
}

/// How something is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// By somebody who keeps the inventory, the context's actor: what is given replaces what is there.
    Declared,
    /// By a tool whose report or trace mentions the asset: it counts where nobody declared otherwise.
    Discovered { tool: String, version: String, report: Option<ReportId> },
}

/// Who says something of assets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// `USER`, `TOKEN`, `SYSTEM` or `TOOL`.
    pub kind: &'static str,
    pub name: String,
    /// Of a tool.
    pub version: String,
    pub report: Option<ReportId>,
}

/// What a source says of an attribute.
#[derive(Clone, Debug)]
pub struct Statement {
    /// `name`, `owner`, `environment`, `exposure`, `criticality` or `lifecycle`; `tag:` and the tag; `attribute:` and its key.
    pub attribute: String,
    /// As [`Source::kind`].
    pub source_kind: String,
    pub source: String,
    pub version: String,
    /// `None`: that there is none.
    pub value: Option<Value>,
    pub report: Option<ReportId>,
    /// The key under which it was said, when that is an alias.
    pub alias: Option<String>,
    /// Since when the source says so.
    pub at: DateTime<Utc>,
}

/// Who said an attribute.
#[derive(Clone, Debug)]
pub struct Provenance {
    pub attribute: String,
    pub in_force: Statement,
    /// What else is said, what would count next first.
    pub also_said: Vec<Statement>,
}

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// The asset whose key it is: what is said under the key is filed there, so that it can be split off again.
    pub said: AssetId,
    /// What that became part of, or the same: this is the asset.
    pub asset: AssetId,
}

/// What an upsert did.
#[derive(Clone, Debug, Default)]
pub struct Upserted {
    /// Every asset that was named.
    pub ids: BTreeMap<AssetRef, Named>,
    pub created: usize,
    pub updated: usize,
    pub unchanged: usize,
}

/// A relation between two assets.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Relation {
    pub id: RelationId,
    pub from_id: AssetId,
    pub kind: RelationKind,
    pub to_id: AssetId,
    /// Who said so: a tool's or a person's name.
    pub source: String,
    pub first_seen: DateTime<Utc>,
    pub last_seen: DateTime<Utc>,
}

/// An asset that became part of another one.
#[derive(Clone, Debug)]
pub struct Alias {
    pub id: AssetId,
    pub external_key: String,
    pub name: String,
    /// When it was merged.
    pub at: DateTime<Utc>,
    /// Who did it.
    pub by: String,
}

/// A line of an asset's history.
#[derive(Clone, Debug)]
pub struct Change {
    pub at: DateTime<Utc>,
    pub actor: String,
    pub summary: String,
    /// `{"field": {"from": …, "to": …}}`.
    pub changes: Value,
}

/// Which assets. Empty lists do not filter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub kind: Vec<AssetKind>,
    pub lifecycle: Vec<Lifecycle>,
    pub exposure: Vec<Exposure>,
    pub criticality: Vec<Criticality>,
    pub environment: Vec<Environment>,
    pub grade: Vec<Grade>,
    pub tag: Option<String>,
    pub owner: Option<String>,
    pub no_owner: bool,
    /// Exact.
    pub external_key: Option<String>,
    /// Anywhere in name or key, whatever its case.
    pub search: Option<String>,
}

/// What assets are sorted by; the id decides between equals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Unassessed assets count below all others.
    #[default]
    Risk,
    Name,
    LastSeen,
}

/// A place in a sorted list.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Key {
    /// The bits of the number, because a number does not always survive JSON.
    Risk(u64, AssetId),
    Name(String, AssetId),
    LastSeen(DateTime<Utc>, AssetId),
}

impl Key {
    /// The order of the list that it is a place in.
    #[must_use]
    pub const fn sort(&self) -> Sort {
        match self {
            Self::Risk(..) => Sort::Risk,
            Self::Name(..) => Sort::Name,
            Self::LastSeen(..) => Sort::LastSeen,
        }
    }
}

impl Sort {
    #[must_use]
    pub fn key(self, asset: &Asset) -> Key {
        match self {
            Self::Risk => Key::Risk(asset.risk.unwrap_or(-1.0).to_bits(), asset.id),
            Self::Name => Key::Name(asset.name.clone(), asset.id),
            Self::LastSeen => Key::LastSeen(asset.last_seen, asset.id),
        }
    }
}

impl NewAsset {
    /// Checks and normalizes.
    ///
    /// # Errors
    /// `BAD_INPUT`, naming the field under `at`.
    pub fn check(self, at: &str) -> Result<Self> {
        let key = text::line(&format!("{at}.externalKey"), &self.asset.key, 512)?;
        Ok(Self { asset: AssetRef { kind: self.asset.kind, key }, patch: self.patch.check(at)? })
    }
}

impl Patch {
    /// Checks and normalizes.
    ///
    /// # Errors
    /// `BAD_INPUT`, naming the field under `at`.
    pub fn check(mut self, at: &str) -> Result<Self> {
        if let Some(name) = &mut self.name {
            *name = text::line(&format!("{at}.name"), name, 300)?;
        }
        if let Some(Some(owner)) = &mut self.owner {
            *owner = text::line(&format!("{at}.owner"), owner, 200)?;
        }
        if let Some(tags) = &mut self.tags {
            *tags = check_tags(&format!("{at}.tags"), tags)?;
        }
        if let Some(attributes) = &self.attributes {
            let json = serde_json::to_string(attributes).unwrap_or_default();
            if json.len() > MAX_ATTRIBUTES || json.contains("\\u0000") {
                let limits = format!("must be at most {MAX_ATTRIBUTES} bytes of JSON without NUL characters");
                return Err(Error::field(format!("{at}.attributes"), limits));
            }
        }
        Ok(self)
    }

    /// The asset with the patch.
    pub(super) fn apply(&self, asset: &Asset) -> Asset {
        let patch = self.clone();
        Asset {
            name: patch.name.unwrap_or_else(|| asset.name.clone()),
            owner: patch.owner.unwrap_or_else(|| asset.owner.clone()),
            environment: patch.environment.unwrap_or(asset.environment),
            exposure: patch.exposure.unwrap_or(asset.exposure),
            criticality: patch.criticality.unwrap_or(asset.criticality),
            lifecycle: patch.lifecycle.unwrap_or(asset.lifecycle),
            tags: patch.tags.unwrap_or_else(|| asset.tags.clone()),
            attributes: patch.attributes.map_or_else(|| asset.attributes.clone(), Value::Object),
            ..asset.clone()
        }
    }
}

fn check_tags(field: &str, tags: &[String]) -> Result<Vec<String>> {
    if tags.len() > MAX_TAGS {
        return Err(Error::field(field, format!("must be at most {MAX_TAGS} tags")));
    }
    let mut tags: Vec<_> = tags
        .iter()
        .enumerate()
        .map(|(i, tag)| text::line(&format!("{field}[{i}]"), tag, 100))
        .collect::<Result<_>>()?;
    tags.sort();
    tags.dedup();
    Ok(tags)
}

/// What differs between two states of an asset, as history keeps it: `{"field": {"from": …, "to": …}}`.
pub(super) fn changes(from: &Asset, to: &Asset) -> Map<String, Value> {
    let fields = [
        ("name", json!(from.name), json!(to.name)),
        ("owner", json!(from.owner), json!(to.owner)),
        ("environment", json!(from.environment), json!(to.environment)),
        ("exposure", json!(from.exposure), json!(to.exposure)),
        ("criticality", json!(from.criticality), json!(to.criticality)),
        ("lifecycle", json!(from.lifecycle), json!(to.lifecycle)),
        ("tags", json!(from.tags), json!(to.tags)),
        ("attributes", from.attributes.clone(), to.attributes.clone()),
    ];
    let differing = fields.into_iter().filter(|(_, from, to)| from != to);
    differing.map(|(field, from, to)| (field.to_owned(), json!({"from": from, "to": to}))).collect()
}

/// "Changed owner and tags."
pub(super) fn summary(changes: &Map<String, Value>) -> String {
    let fields: Vec<&str> = changes.keys().map(String::as_str).collect();
    match fields.split_last() {
        None => "Changed nothing".to_owned(),
        Some((last, [])) => format!("Changed {last}"),
        Some((last, others)) => format!("Changed {} and {last}", others.join(", ")),
    }
}

/// The asset that an uploader named: `KIND:key`, or a key alone, which then is of `default`.
///
/// # Errors
/// `BAD_INPUT` when the key is empty or longer than 512 characters.
pub fn parse_ref(field: &str, text: &str, default: AssetKind) -> Result<AssetRef> {
    let (kind, key) = match text.split_once(':').and_then(|(kind, key)| Some((AssetKind::from_str(kind).ok()?, key))) {
        Some(both) => both,
        None => (default, text),
    };
    Ok(AssetRef { kind, key: text::line(field, key, 512)? })
}

/// Relations as reports and the API give them.
pub type NewRelation = RelationRecord;
