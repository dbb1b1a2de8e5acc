//! Who said what of an asset, and whose word counts.
//!
//! * A source has one statement per attribute: what it says now, and since when it does. Saying the same again is nothing new.
//! * What somebody who keeps the inventory declares wins over what tools mention; among each of them the newest statement wins. Of an
//!   asset that was merged, what was declared of itself wins over what was declared of its aliases.
//! * The asset's row has what is in force; the other statements stay visible.

use super::{Asset, NewAsset, Patch, Provenance, Source, Statement, provenance_repo as rows};
use crate::kernel::{Ctx, Db, Permission, Result, TenantTx};
use serde_json::{Value, json};
use stance_shared::{AssetId, Environment};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const TAG: &str = "tag:";
const ATTRIBUTE: &str = "attribute:";
const MAX_TAGS: usize = super::domain::MAX_TAGS;

/// What is said, by attribute; `None`: there is none.
pub(super) type Said = BTreeMap<String, Option<Value>>;

/// The sources of assets' attributes, in the order of the attributes.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn of(db: &Db, ctx: &Ctx, ids: &[AssetId]) -> Result<HashMap<AssetId, Vec<Provenance>>> {
    let mut tx = db.begin(ctx, Permission::AssetRead).await?;
    let assets: HashMap<AssetId, Asset> = super::repo::by_ids(&mut tx, ids).await?.into_iter().collect();
    let mut statements: HashMap<AssetId, Vec<Statement>> = HashMap::new();
    for (asset, statement) in rows::of(&mut tx, ids).await? {
        statements.entry(asset).or_default().push(statement);
    }
    let provenance =
        |(id, statements): (AssetId, Vec<Statement>)| Some((id, by_attribute(assets.get(&id)?, statements)));
    Ok(statements.into_iter().filter_map(provenance).collect())
}

fn by_attribute(asset: &Asset, statements: Vec<Statement>) -> Vec<Provenance> {
    let mut attributes: BTreeMap<String, Vec<Statement>> = BTreeMap::new();
    for statement in statements {
        attributes.entry(statement.attribute.clone()).or_default().push(statement);
    }
    let sorted = |(attribute, mut said): (String, Vec<Statement>)| {
        let value = get(asset, &attribute);
        said.sort_by_key(|statement| (statement.value != value, rank(statement)));
        let mut said = said.into_iter();
        Some(Provenance { attribute, in_force: said.next()?, also_said: said.collect() })
    };
    attributes.into_iter().filter_map(sorted).collect()
}

/// Of several statements on one attribute the one with the lowest rank counts.
fn rank(statement: &Statement) -> (bool, bool, std::cmp::Reverse<chrono::DateTime<chrono::Utc>>) {
    let declared = statement.source_kind != "TOOL";
    (!declared, declared && statement.alias.is_some(), std::cmp::Reverse(statement.at))
}

/// What a patch says of an asset: of lists also what is no longer in them.
pub(super) fn declared(patch: &Patch, before: &Asset) -> Said {
    let mut said = mentioned(&NewAsset { asset: before.key(), patch: patch.clone() });
    if let Some(name) = &patch.name {
        said.insert("name".to_owned(), Some(json!(name)));
    }
    if let Some(tags) = &patch.tags {
        let gone = before.tags.iter().filter(|tag| !tags.contains(tag));
        said.extend(gone.map(|tag| (format!("{TAG}{tag}"), None)));
    }
    if let (Some(attributes), Some(there)) = (&patch.attributes, before.attributes.as_object()) {
        let gone = there.keys().filter(|key| !attributes.contains_key(*key));
        said.extend(gone.map(|key| (format!("{ATTRIBUTE}{key}"), None)));
    }
    said
}

/// What a report says of an asset. The key alone is no name.
pub(super) fn mentioned(new: &NewAsset) -> Said {
    let Patch { name, owner, environment, exposure, criticality, lifecycle, tags, attributes } = &new.patch;
    let mut said = Said::new();
    let mut say = |attribute: &str, value: Option<Value>| said.insert(attribute.to_owned(), value);
    if let Some(name) = name.as_ref().filter(|name| **name != new.asset.key) {
        say("name", Some(json!(name)));
    }
    if let Some(owner) = owner {
        say("owner", owner.as_ref().map(|owner| json!(owner)));
    }
    for (attribute, value) in [
        ("environment", environment.map(|word| json!(word))),
        ("exposure", exposure.map(|word| json!(word))),
        ("criticality", criticality.map(|word| json!(word))),
        ("lifecycle", lifecycle.map(|word| json!(word))),
    ] {
        if value.is_some() {
            say(attribute, value);
        }
    }
    for tag in tags.iter().flatten() {
        say(&format!("{TAG}{tag}"), Some(json!(true)));
    }
    for (key, value) in attributes.iter().flatten() {
        say(&format!("{ATTRIBUTE}{key}"), Some(value.clone()));
    }
    said
}

/// What the asset's row says.
pub(super) fn get(asset: &Asset, attribute: &str) -> Option<Value> {
    if let Some(tag) = attribute.strip_prefix(TAG) {
        return asset.tags.iter().any(|there| there == tag).then_some(json!(true));
    }
    if let Some(key) = attribute.strip_prefix(ATTRIBUTE) {
        return asset.attributes.get(key).cloned();
    }
    match attribute {
        "name" => Some(json!(asset.name)),
        "owner" => asset.owner.as_ref().map(|owner| json!(owner)),
        "environment" => Some(json!(asset.environment)),
        "exposure" => Some(json!(asset.exposure)),
        "criticality" => Some(json!(asset.criticality)),
        "lifecycle" => Some(json!(asset.lifecycle)),
        _ => None,
    }
}

/// Puts what is said into the asset's row; `None` is what an asset has of which nobody said anything.
pub(super) fn set(asset: &mut Asset, attribute: &str, value: Option<&Value>) {
    fn word<T: serde::de::DeserializeOwned>(value: Option<&Value>, otherwise: T) -> T {
        value.and_then(|value| serde_json::from_value(value.clone()).ok()).unwrap_or(otherwise)
    }
    if let Some(tag) = attribute.strip_prefix(TAG) {
        asset.tags.retain(|there| there != tag);
        if value.is_some() && asset.tags.len() < MAX_TAGS {
            asset.tags.push(tag.to_owned());
            asset.tags.sort();
        }
        return;
    }
    if let Some(key) = attribute.strip_prefix(ATTRIBUTE) {
        if let Some(attributes) = asset.attributes.as_object_mut() {
            match value {
                Some(value) => drop(attributes.insert(key.to_owned(), value.clone())),
                None => drop(attributes.remove(key)),
            }
        }
        return;
    }
    match attribute {
        "name" => asset.name = word(value, asset.external_key.chars().take(300).collect()),
        "owner" => asset.owner = word(value, None),
        "environment" => asset.environment = word(value, Environment::Unknown),
        "exposure" => asset.exposure = word(value, asset.exposure),
        "criticality" => asset.criticality = word(value, asset.criticality),
        "lifecycle" => asset.lifecycle = word(value, asset.lifecycle),
        _ => {}
    }
}

/// What is said by one source, of the asset that was named and of what that means.
pub(super) struct Saying {
    pub said: AssetId,
    pub asset: AssetId,
    pub attribute: String,
    pub value: Option<Value>,
    /// It counts also when the source has said it before: it is what the row changes to.
    pub anew: bool,
}

/// Notes what a source says. Returns what of it is new and what nobody who keeps the inventory says otherwise, to be put into the rows.
pub(super) async fn note(tx: &mut TenantTx, source: &Source, sayings: &[Saying]) -> Result<Vec<usize>> {
    if sayings.is_empty() {
        return Ok(Vec::new());
    }
    rows::note(tx, source, sayings).await
}

/// What is in force of `asset` when all that is said of it and its aliases is weighed anew, for the attributes of which something was
/// said of `about`.
pub(super) async fn weigh(tx: &mut TenantTx, asset: &Asset, about: &[AssetId]) -> Result<Asset> {
    let concerned: BTreeSet<String> = rows::attributes(tx, about).await?.into_iter().collect();
    let mut first: BTreeMap<String, Statement> = BTreeMap::new();
    for (_, statement) in rows::of(tx, &[asset.id]).await? {
        match first.entry(statement.attribute.clone()) {
            std::collections::btree_map::Entry::Vacant(entry) => drop(entry.insert(statement)),
            std::collections::btree_map::Entry::Occupied(mut entry) if rank(&statement) < rank(entry.get()) => {
                entry.insert(statement);
            }
            std::collections::btree_map::Entry::Occupied(_) => {}
        }
    }
    let mut weighed = asset.clone();
    for attribute in &concerned {
        set(&mut weighed, attribute, first.get(attribute).and_then(|statement| statement.value.as_ref()));
    }
    Ok(weighed)
}
