//! What can be done with the inventory.

use super::{
    Asset, Change, Filter, Key, Manner, Named, NewAsset, NewRelation, Patch, Relation, Sort, Upserted,
    domain::{MAX_UPSERT, Source, changes, summary},
    provenance::{self, Said, Saying},
    repo,
};
use crate::{
    audit,
    kernel::{
        Ctx, Db, Error, Permission, Result, TenantTx,
        page::{Page, Slice},
    },
    live, scoring,
};
use serde_json::{Value, json};
use stance_importers::AssetRef;
use stance_shared::{AssetId, AssetKind, Criticality, Environment, Exposure, Lifecycle, RelationId, RelationKind};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Assets by id; ids of other organizations are not found. The id of an alias gives the asset that it became part of.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn by_ids(db: &Db, ctx: &Ctx, ids: &[AssetId]) -> Result<HashMap<AssetId, Asset>> {
    let mut tx = db.begin(ctx, Permission::AssetRead).await?;
    Ok(repo::by_ids(&mut tx, ids).await?.into_iter().collect())
}

/// The ids of the assets that these keys mean; unknown ones are left out.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn ids_by_keys(db: &Db, ctx: &Ctx, keys: &[AssetRef]) -> Result<BTreeMap<AssetRef, AssetId>> {
    let mut tx = db.begin(ctx, Permission::AssetRead).await?;
    Ok(repo::by_keys(&mut tx, keys).await?.into_iter().map(|(key, named)| (key, named.asset)).collect())
}

/// What these keys mean, in the caller's transaction; unknown ones are left out.
///
/// # Errors
/// When the database fails.
pub async fn named_in_tx(tx: &mut TenantTx, keys: &[AssetRef]) -> Result<Vec<(AssetRef, Named)>> {
    repo::by_keys(tx, keys).await
}

/// One page of assets.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn list(
    db: &Db,
    ctx: &Ctx,
    filter: &Filter,
    sort: Sort,
    descending: bool,
    page: &Page<Key>,
) -> Result<Slice<Asset>> {
    page.sorted(|key| key.sort() == sort)?;
    let mut tx = db.begin(ctx, Permission::AssetRead).await?;
    Ok(page.slice(repo::list(&mut tx, filter, sort, descending, page).await?))
}

/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn count(db: &Db, ctx: &Ctx, filter: &Filter) -> Result<i64> {
    repo::count(&mut db.begin(ctx, Permission::AssetRead).await?, filter).await
}

/// How many assets of each kind there are, in the order of the kinds; kinds without assets are left out.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn count_by_kind(db: &Db, ctx: &Ctx, filter: &Filter) -> Result<Vec<(AssetKind, i64)>> {
    let mut counts = repo::count_by_kind(&mut db.begin(ctx, Permission::AssetRead).await?, filter).await?;
    counts.sort_unstable();
    Ok(counts)
}

/// Relations of assets, in both directions, seen last first, at most 200 for each.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn relations(db: &Db, ctx: &Ctx, ids: &[AssetId]) -> Result<HashMap<AssetId, Vec<Relation>>> {
    let mut tx = db.begin(ctx, Permission::AssetRead).await?;
    Ok(grouped(repo::relations(&mut tx, ids, 200).await?))
}

/// A relation by its id.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn relation(db: &Db, ctx: &Ctx, id: RelationId) -> Result<Option<Relation>> {
    repo::relation(&mut db.begin(ctx, Permission::AssetRead).await?, id.0).await
}

/// The last `limit` lines of the assets' history, newest first.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn history(db: &Db, ctx: &Ctx, ids: &[AssetId], limit: i64) -> Result<HashMap<AssetId, Vec<Change>>> {
    let mut tx = db.begin(ctx, Permission::AssetRead).await?;
    Ok(grouped(repo::history(&mut tx, ids, limit).await?))
}

fn grouped<T>(rows: Vec<(AssetId, T)>) -> HashMap<AssetId, Vec<T>> {
    let mut groups: HashMap<_, Vec<T>> = HashMap::new();
    for (id, row) in rows {
        groups.entry(id).or_default().push(row);
    }
    groups
}

/// Declares assets and relations: idempotent by (kind, external key), and what is not said stays as it is.
/// Relations lead between assets of this call or known ones. Returns the outcome and how many relations are new.
///
/// # Errors
/// `BAD_INPUT` naming the field; `FORBIDDEN`; or when the database fails.
pub async fn upsert(db: &Db, ctx: &Ctx, assets: Vec<NewAsset>, relations: &[NewRelation]) -> Result<(Upserted, usize)> {
    for (field, len) in [("assets", assets.len()), ("relations", relations.len())] {
        if len > MAX_UPSERT {
            return Err(Error::field(field, format!("must be at most {MAX_UPSERT} a call")));
        }
    }
    let twice = |i: usize| Error::field(format!("assets[{i}].externalKey"), "is named twice in this call");
    let mut seen = BTreeSet::new();
    let mut checked = Vec::with_capacity(assets.len());
    for (i, asset) in assets.into_iter().enumerate() {
        let asset = asset.check(&format!("assets[{i}]"))?;
        if !seen.insert(asset.asset.clone()) {
            return Err(twice(i));
        }
        checked.push(asset);
    }
    let mut tx = db.begin(ctx, Permission::AssetWrite).await?;
    let mut outcome = upsert_in_tx(&mut tx, &checked, &Manner::Declared).await?;
    // Two keys may mean one asset.
    let mut meant = BTreeSet::new();
    if let Some(i) =
        checked.iter().position(|new| outcome.ids.get(&new.asset).is_some_and(|id| !meant.insert(id.asset)))
    {
        return Err(twice(i));
    }
    let ends: Vec<AssetRef> = relations.iter().flat_map(|r| [r.from.clone(), r.to.clone()]).collect();
    let others: Vec<AssetRef> = ends.into_iter().filter(|end| !outcome.ids.contains_key(end)).collect();
    let known: BTreeMap<_, _> = repo::by_keys(&mut tx, &others).await?.into_iter().collect();
    let resolve = |field: String, end: &AssetRef| {
        let id = outcome.ids.get(end).or_else(|| known.get(end)).copied();
        id.ok_or_else(|| Error::field(field, "is neither an asset of this call nor a known one"))
    };
    let mut edges = Vec::with_capacity(relations.len());
    for (i, relation) in relations.iter().enumerate() {
        let from = resolve(format!("relations[{i}].from"), &relation.from)?;
        let to = resolve(format!("relations[{i}].to"), &relation.to)?;
        if from.asset == to.asset {
            return Err(Error::field(format!("relations[{i}].to"), "must be another asset than `from`"));
        }
        edges.push((from, relation.kind, to));
    }
    let source = ctx.actor.label().to_owned();
    let related = relate_in_tx(&mut tx, &edges, &source).await?;
    if outcome.created + outcome.updated + related > 0 {
        audit::record(
            &mut tx,
            audit::Entry {
                action: "asset.upserted",
                target_kind: "asset",
                target_id: outcome.ids.values().next().map(|id| id.asset.to_string()).unwrap_or_default(),
                detail: json!({"created": outcome.created, "updated": outcome.updated, "relations": related}),
            },
        )
        .await?;
    }
    tx.commit().await?;
    outcome.unchanged = outcome.ids.len() - outcome.created - outcome.updated;
    Ok((outcome, related))
}

/// Writes assets inside a caller's transaction, each key once; history, scoring and live events included, audit not.
/// The input was checked with [`NewAsset::check`] or comes from an importer, which keeps the same limits.
///
/// # Errors
/// When the database fails.
pub async fn upsert_in_tx(tx: &mut TenantTx, assets: &[NewAsset], manner: &Manner) -> Result<Upserted> {
    if assets.is_empty() {
        return Ok(Upserted::default());
    }
    let now = tx.ctx().now();
    repo::hold_keys(tx).await?;
    let fresh: Vec<Asset> = assets.iter().map(|new| create(new, tx.ctx(), manner)).collect();
    let rows: Vec<_> = fresh.iter().map(row).collect();
    let created: BTreeSet<AssetId> = repo::insert(tx, &rows).await?.into_iter().collect();
    let (new, known): (Vec<_>, Vec<_>) = fresh.iter().zip(assets).partition(|(asset, _)| created.contains(&asset.id));
    let mut ids: BTreeMap<AssetRef, Named> =
        new.iter().map(|(asset, _)| (asset.key(), Named { said: asset.id, asset: asset.id })).collect();
    let mut history: Vec<_> = new
        .iter()
        .map(|(asset, _)| repo::NewChange {
            asset_id: asset.id,
            id: tx.ctx().new_id(),
            summary: match manner {
                Manner::Declared => "Declared",
                Manner::Discovered { .. } => "Discovered",
            }
            .to_owned(),
            changes: json!({}),
        })
        .collect();
    let mut dirty: Vec<AssetId> = created.iter().copied().collect();
    let mut sayings: BTreeMap<(AssetId, String), Saying> = BTreeMap::new();
    let mut say = |id: Named, said: Said, before: Option<&Asset>| {
        sayings.extend(said.into_iter().map(|(attribute, value)| {
            let anew = before.is_some_and(|before| provenance::get(before, &attribute) != value);
            ((id.said, attribute.clone()), Saying { said: id.said, asset: id.asset, attribute, value, anew })
        }));
    };
    for (asset, new) in &new {
        let said = match manner {
            Manner::Declared => provenance::declared(&new.patch, asset),
            Manner::Discovered { .. } => provenance::mentioned(new),
        };
        say(Named { said: asset.id, asset: asset.id }, said, None);
    }
    // As they were and as they will be: several keys may mean one asset.
    let mut there: BTreeMap<AssetId, (Asset, Asset)> = BTreeMap::new();
    if !known.is_empty() {
        let named: HashMap<&AssetRef, &NewAsset> = known.iter().map(|(_, new)| (&new.asset, *new)).collect();
        let keys: Vec<AssetRef> = named.keys().map(|key| (*key).clone()).collect();
        for repo::Known { key, said, asset } in repo::lock_by_keys(tx, &keys).await? {
            let id = Named { said, asset: asset.id };
            ids.insert(key.clone(), id);
            let (_, after) = there.entry(asset.id).or_insert_with(|| (asset.clone(), asset));
            let Some(new) = named.get(&key) else { continue };
            match manner {
                Manner::Declared => {
                    say(id, provenance::declared(&new.patch, after), Some(after));
                    *after = new.patch.apply(after);
                }
                Manner::Discovered { .. } => say(id, provenance::mentioned(new), None),
            }
        }
    }
    let sayings: Vec<Saying> = sayings.into_values().collect();
    for place in provenance::note(tx, &source(tx.ctx(), manner), &sayings).await? {
        // What is declared stands in the rows already, and so does what a new asset was made from.
        if let (Manner::Discovered { .. }, Some(saying)) = (manner, sayings.get(place))
            && let Some((_, after)) = there.get_mut(&saying.asset)
        {
            provenance::set(after, &saying.attribute, saying.value.as_ref());
        }
    }
    let mut rows = Vec::new();
    for (id, (before, after)) in &there {
        let changes = changes(before, after);
        if !changes.is_empty() {
            history.push(change(tx.ctx(), *id, &changes));
            dirty.extend(scoring_differs(before, after).then_some(*id));
            rows.push(row(after));
        }
    }
    if !rows.is_empty() {
        repo::update(tx, &rows).await?;
    }
    let updated = rows.iter().filter(|row| !created.contains(&row.asset.id)).count();
    if !there.is_empty() {
        repo::seen(tx, &there.keys().copied().collect::<Vec<_>>(), now).await?;
    }
    repo::insert_changes(tx, &history).await?;
    after_change(tx, &dirty, ids.values().next().map(|id| id.asset).filter(|_| !history.is_empty())).await?;
    let all: BTreeSet<AssetId> = ids.values().map(|id| id.asset).collect();
    Ok(Upserted { created: created.len(), updated, unchanged: all.len() - created.len() - updated, ids })
}

/// Writes relations inside a caller's transaction; returns how many are new. `source` says who knows of them.
///
/// # Errors
/// When the database fails.
pub async fn relate_in_tx(
    tx: &mut TenantTx,
    relations: &[(Named, RelationKind, Named)],
    source: &str,
) -> Result<usize> {
    if relations.is_empty() {
        return Ok(0);
    }
    let new = repo::relate(tx, relations, source).await?;
    after_change(tx, &new, new.first().copied()).await?;
    Ok(new.len())
}

/// Changes one asset. Returns it as it is then.
///
/// # Errors
/// `BAD_INPUT` naming the field; `NOT_FOUND`; `FORBIDDEN`; or when the database fails.
pub async fn update(db: &Db, ctx: &Ctx, id: AssetId, patch: Patch) -> Result<Asset> {
    let patch = patch.check("patch")?;
    let mut tx = db.begin(ctx, Permission::AssetWrite).await?;
    repo::hold_keys(&mut tx).await?;
    let found = repo::by_ids(&mut tx, &[id]).await?;
    let keys: Vec<AssetRef> = found.iter().map(|(_, asset)| asset.key()).collect();
    let Some(repo::Known { asset, .. }) = repo::lock_by_keys(&mut tx, &keys).await?.pop() else {
        return Err(Error::not_found("asset"));
    };
    let (id, new) = (asset.id, patch.apply(&asset));
    let changes = changes(&asset, &new);
    if changes.is_empty() {
        return Ok(asset);
    }
    repo::update(&mut tx, &[row(&new)]).await?;
    // What the form repeats is not said by who sent it.
    let saying = |(attribute, value): (String, Option<Value>)| {
        let anew = provenance::get(&asset, &attribute) != value;
        anew.then_some(Saying { said: id, asset: id, attribute, value, anew })
    };
    let sayings: Vec<Saying> = provenance::declared(&patch, &asset).into_iter().filter_map(saying).collect();
    provenance::note(&mut tx, &source(ctx, &Manner::Declared), &sayings).await?;
    let line = change(ctx, id, &changes);
    repo::insert_changes(&mut tx, &[line]).await?;
    let dirty: &[AssetId] = if scoring_differs(&asset, &new) { &[id] } else { &[] };
    after_change(&mut tx, dirty, Some(id)).await?;
    let entry = audit::Entry {
        action: "asset.updated",
        target_kind: "asset",
        target_id: id.to_string(),
        detail: Value::Object(changes),
    };
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(new)
}

fn create(new: &NewAsset, ctx: &Ctx, manner: &Manner) -> Asset {
    let now = ctx.now();
    let blank = Asset {
        id: ctx.new_id().into(),
        kind: new.asset.kind,
        external_key: new.asset.key.clone(),
        name: new.asset.key.chars().take(300).collect(),
        owner: None,
        environment: Environment::Unknown,
        exposure: Exposure::Internal,
        criticality: Criticality::Medium,
        // What a person or program declares is approved; what is only seen is discovered.
        lifecycle: match manner {
            Manner::Declared => Lifecycle::Approved,
            Manner::Discovered { .. } => Lifecycle::Discovered,
        },
        tags: Vec::new(),
        attributes: json!({}),
        first_seen: now,
        last_seen: now,
        risk: None,
    };
    new.patch.apply(&blank)
}

fn row(asset: &Asset) -> repo::Row<'_> {
    repo::Row { asset, risk_factor: asset.risk_factor() }
}

fn change(ctx: &Ctx, asset_id: AssetId, changes: &serde_json::Map<String, Value>) -> repo::NewChange {
    repo::NewChange { asset_id, id: ctx.new_id(), summary: summary(changes), changes: Value::Object(changes.clone()) }
}

fn source(ctx: &Ctx, manner: &Manner) -> Source {
    match manner.clone() {
        Manner::Declared => {
            let name = ctx.actor.label().to_owned();
            Source { kind: ctx.actor.kind(), name, version: String::new(), report: None }
        }
        Manner::Discovered { tool, version, report } => Source { kind: "TOOL", name: tool, version, report },
    }
}

/// Writes assets of which other statements count now than before, with history; see [`provenance::weigh`].
pub(super) async fn settle(tx: &mut TenantTx, asset: &Asset, about: &[AssetId]) -> Result<Asset> {
    let after = provenance::weigh(tx, asset, about).await?;
    let changes = changes(asset, &after);
    if !changes.is_empty() {
        repo::update(tx, &[row(&after)]).await?;
        let line = change(tx.ctx(), asset.id, &changes);
        repo::insert_changes(tx, &[line]).await?;
    }
    Ok(after)
}

/// Whether scoring has to look at the asset anew: its factor, its weight in the organization or which checks apply.
fn scoring_differs(old: &Asset, new: &Asset) -> bool {
    (old.exposure, old.criticality, old.lifecycle, old.owner.is_some(), &old.attributes)
        != (new.exposure, new.criticality, new.lifecycle, new.owner.is_some(), &new.attributes)
}

async fn after_change(tx: &mut TenantTx, dirty: &[AssetId], changed: Option<AssetId>) -> Result<()> {
    if !dirty.is_empty() {
        scoring::mark_dirty(tx, dirty).await?;
    }
    if let Some(id) = changed {
        live::notify(tx, live::Topic::Asset, id.0).await?;
    }
    Ok(())
}
