//! The jobs that compute risk.

use super::{
    compute::{self, Node},
    domain::{Facts, Figure, Scope},
    repo::{self, AssetFigure},
};
use crate::{
    findings,
    jobs::Outcome,
    kernel::{Ctx, Db, Permission, Result, TenantTx},
    live::{self, Topic},
};
use stance_shared::{AssetId, Layer};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};
use uuid::Uuid;

/// Computes what is marked, and the organization's figures.
///
/// # Errors
/// When the database fails; then nothing happened.
pub async fn recompute(db: &Db, ctx: &Ctx) -> Result<Outcome> {
    run(db, ctx, false).await
}

/// Computes everything: checks grow stale by time alone, and each asset has its point in each day's history.
///
/// # Errors
/// When the database fails; then nothing happened.
pub async fn daily_snapshot(db: &Db, ctx: &Ctx) -> Result<Outcome> {
    run(db, ctx, true).await
}

async fn run(db: &Db, ctx: &Ctx, everything: bool) -> Result<Outcome> {
    let mut tx = db.begin(ctx, Permission::AssetWrite).await?;
    if !repo::take_turn(&mut tx).await? {
        return Ok(Outcome::Later(Duration::from_secs(1)));
    }
    let (mut dirty, versions) = repo::marked(&mut tx).await?;
    let marked = dirty.clone();
    if dirty.is_empty() && !everything {
        return Ok(Outcome::Done);
    }
    let facts = repo::facts(&mut tx, None).await?;
    if everything {
        dirty = facts.iter().map(|facts| facts.asset.0).collect();
    }
    repo::apply_factors(&mut tx, &dirty).await?;
    findings::service::add_up_counts(&mut tx, &dirty.iter().copied().map(AssetId).collect::<Vec<_>>()).await?;
    let figures = compute_assets(&mut tx, facts, &dirty, everything).await?;
    write_posture(&mut tx, &figures).await?;
    repo::unmark(&mut tx, &marked, &versions).await?;
    live::notify(&mut tx, Topic::Risk, ctx.tenant.0).await?;
    tx.commit().await?;
    Ok(Outcome::Done)
}

/// All assets' facts and figures as they are now.
struct Figures {
    facts: Vec<Facts>,
    all: Vec<Figure>,
    layers: Vec<BTreeMap<Layer, Figure>>,
}

async fn compute_assets(tx: &mut TenantTx, facts: Vec<Facts>, dirty: &[Uuid], everything: bool) -> Result<Figures> {
    let now = tx.ctx().now();
    let groups = repo::groups(tx, dirty).await?;
    let dirty: HashSet<Uuid> = dirty.iter().copied().collect();
    let mut stored: HashMap<(Uuid, Scope), AssetFigure> = repo::asset_figures(tx, None)
        .await?
        .into_iter()
        .map(|(figure, ..)| ((figure.asset, figure.scope), figure))
        .collect();
    let place: HashMap<Uuid, usize> = facts.iter().enumerate().map(|(at, facts)| (facts.asset.0, at)).collect();
    let edges: Vec<_> = repo::edges(tx)
        .await?
        .into_iter()
        .filter_map(|(from, kind, to)| Some((*place.get(&from)?, kind, *place.get(&to)?)))
        .collect();

    let (mut nodes, mut hashes) = (Vec::with_capacity(facts.len()), Vec::with_capacity(facts.len()));
    for facts in facts {
        let id = facts.asset.0;
        let own = dirty.contains(&id).then(|| compute::own(groups.get(&id).map_or(&[], Vec::as_slice)));
        let checks = facts.completeness(now);
        let layers = match &own {
            Some(own) => compute::layers(own, &facts, &checks),
            None => stored_layers(&stored, id),
        };
        hashes.push(own.map(|own| (own.inputs, checks)));
        nodes.push(Node { facts, layers });
    }
    let over_all = compute::over_all(&nodes, &edges);

    let mut changed = Vec::new();
    for ((node, hash), (all, inherited)) in nodes.iter().zip(&hashes).zip(&over_all) {
        let asset = node.facts.asset.0;
        let known = stored.remove(&(asset, Scope::All));
        // An asset that is not marked changes by inheritance only.
        let same = |known: &AssetFigure| known.figure == *all && known.inherited == *inherited;
        if hash.is_none() && known.as_ref().is_some_and(same) {
            continue;
        }
        let digest = match (hash, known) {
            (Some((inputs, checks)), _) => compute::asset_hash(inputs, checks, inherited),
            (None, known) => {
                let own: Vec<String> = known.iter().map(|known| hex::encode(&known.hash)).collect();
                compute::asset_hash(&own, &node.facts.completeness(now), inherited)
            }
        };
        let row = |scope, figure: &Figure, inherited| AssetFigure {
            asset,
            scope,
            figure: figure.clone(),
            inherited,
            hash: digest.clone(),
        };
        changed.push(row(Scope::All, all, inherited.clone()));
        if hash.is_some() || everything {
            changed.extend(node.layers.iter().map(|(layer, figure)| row(Scope::Layer(*layer), figure, Vec::new())));
        }
    }
    repo::write_assets(tx, &changed).await?;
    let all = over_all.into_iter().map(|(figure, _)| figure).collect();
    let (facts, layers) = nodes.into_iter().map(|node| (node.facts, node.layers)).unzip();
    Ok(Figures { facts, all, layers })
}

fn stored_layers(stored: &HashMap<(Uuid, Scope), AssetFigure>, asset: Uuid) -> BTreeMap<Layer, Figure> {
    let figure = |layer: &Layer| Some((*layer, stored.get(&(asset, Scope::Layer(*layer)))?.figure.clone()));
    Layer::ALL.iter().filter_map(figure).collect()
}

async fn write_posture(tx: &mut TenantTx, figures: &Figures) -> Result<()> {
    for scope in Scope::every() {
        let of_scope = |at: usize| match scope {
            Scope::All => Some(&figures.all[at]),
            Scope::Layer(layer) => figures.layers[at].get(&layer),
        };
        let rows: Vec<(&Facts, &Figure)> =
            figures.facts.iter().enumerate().filter_map(|(at, facts)| Some((facts, of_scope(at)?))).collect();
        let counted: Vec<_> = rows.iter().filter(|(facts, _)| !facts.retired).collect();
        let assessed = counted.iter().filter(|(_, figure)| figure.residual.is_some()).count();
        let number = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let figure = compute::organization(&rows);
        let hash = compute::organization_hash(
            scope,
            counted.iter().map(|(Facts { asset: AssetId(id), criticality, .. }, figure)| (*id, *criticality, *figure)),
        );
        repo::write_posture(tx, scope, &figure, (number(counted.len()), number(assessed)), &hash).await?;
    }
    Ok(())
}
