//! Why a figure is what it is, and what would change it. All what-ifs are O(1) in weight space.

use super::{
    domain::{AssetRisk, Facts},
    repo::{self, TopFinding},
};
use crate::kernel::{Ctx, Db, Error, Permission, Result};
use stance_engine::risk::{CHECKS, CheckResult, CheckState, constants::mean_weight, weight};
use stance_shared::{AssetId, Criticality, FindingId, Layer};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// A term of an asset's residual risk.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// `None` for an inherited term.
    pub finding: Option<FindingId>,
    pub inherited_from: Option<AssetId>,
    pub layer: Layer,
    /// 0 to 1.
    pub risk: f64,
    /// Of the asset's residual risk times 100; all shares add up to it.
    pub points: f64,
}

/// The largest terms, and what is left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shares {
    pub items: Vec<Share>,
    pub other_count: i32,
    pub other_points: f64,
}

/// An asset and how much of the organization's risk it makes.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskyAsset {
    pub asset: AssetId,
    /// The worst of its own layers.
    pub top_layer: Option<Layer>,
    /// 0 to 1.
    pub share: f64,
}

/// Findings whose closing lowers the organization's risk most.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopFindings {
    pub findings: Vec<FindingId>,
    /// 0 to 1, when all of them are closed; inherited terms are left as they are.
    pub risk_after: Option<f64>,
    /// 0 to 1: of the organization's risk.
    pub share: f64,
}

/// A check that applies to assets and is not fresh.
#[derive(Clone, Debug, PartialEq)]
pub struct Gap {
    pub check: &'static str,
    pub layer: Layer,
    pub action: &'static str,
    /// On how many assets.
    pub assets: i32,
    pub example: Option<AssetId>,
}

/// The points (0 to 100) that a risk of `term` carries of a figure of `total` (both 0 to 1).
#[must_use]
pub fn points(total: f64, term: f64) -> f64 {
    let whole = weight(total);
    if whole <= 0.0 { 0.0 } else { 100.0 * total * (weight(term) / whole).min(1.0) }
}

/// The `first` largest terms of each asset's residual risk: its open findings and what it inherits. Assets that were never
/// computed are left out.
///
/// # Errors
/// `FORBIDDEN`; or when the database fails.
pub async fn shares(db: &Db, ctx: &Ctx, assets: &[AssetId], first: i64) -> Result<HashMap<AssetId, Shares>> {
    let mut tx = db.begin(ctx, Permission::FindingRead).await?;
    tx.also_require(Permission::AssetRead)?;
    let ids: Vec<Uuid> = assets.iter().map(|id| id.0).collect();
    let risks = repo::asset_risks(&mut tx, &ids).await?;
    let mut findings: HashMap<AssetId, Vec<TopFinding>> = HashMap::new();
    for finding in repo::top_of_assets(&mut tx, &ids, first).await? {
        findings.entry(AssetId(finding.asset)).or_default().push(finding);
    }
    Ok(risks
        .into_iter()
        .map(|(id, risk)| (id, share(&risk, findings.remove(&id).unwrap_or_default(), first)))
        .collect())
}

fn share(risk: &AssetRisk, findings: Vec<TopFinding>, first: i64) -> Shares {
    let Some(total) = risk.all.residual else { return Shares::default() };
    let own = findings.into_iter().map(|finding| Share {
        finding: Some(FindingId(finding.id)),
        inherited_from: None,
        layer: finding.layer,
        risk: finding.risk,
        points: points(total, finding.risk),
    });
    let inherited = risk.inherited.iter().map(|term| Share {
        finding: None,
        inherited_from: Some(AssetId(term.from)),
        layer: term.layer,
        risk: term.risk,
        points: points(total, term.risk),
    });
    let mut items: Vec<Share> = own.chain(inherited).collect();
    items.sort_by(|a, b| b.risk.total_cmp(&a.risk).then(a.finding.cmp(&b.finding)));
    items.truncate(usize::try_from(first).unwrap_or_default());
    let terms = risk.all.open_findings.saturating_add(i32::try_from(risk.inherited.len()).unwrap_or(i32::MAX));
    let other_count = terms.saturating_sub(i32::try_from(items.len()).unwrap_or(i32::MAX)).max(0);
    let listed: f64 = items.iter().map(|share| share.points).sum();
    let other_points = if other_count == 0 { 0.0 } else { (100.0 * total - listed).max(0.0) };
    Shares { items, other_count, other_points }
}

/// The checks of assets, with the facts that they look at.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn checks(db: &Db, ctx: &Ctx, assets: &[AssetId]) -> Result<HashMap<AssetId, (Facts, Vec<CheckResult>)>> {
    let mut tx = db.begin(ctx, Permission::AssetRead).await?;
    let ids: Vec<Uuid> = assets.iter().map(|id| id.0).collect();
    let facts = repo::facts(&mut tx, Some(&ids)).await?;
    Ok(facts
        .into_iter()
        .map(|facts| {
            let checks = facts.completeness(ctx.now()).checks;
            (facts.asset, (facts, checks))
        })
        .collect())
}

/// What each asset adds to the mean's sum: weight × risk⁴.
fn terms(assessed: &[(Uuid, String, f64)]) -> Result<Vec<(Uuid, f64, f64, f64)>> {
    assessed
        .iter()
        .map(|(id, criticality, risk)| {
            let weight = mean_weight(criticality.parse::<Criticality>()?);
            Ok((*id, *risk, weight, weight * risk.powi(4)))
        })
        .collect()
}

/// The `first` assets that make most of the organization's risk.
///
/// # Errors
/// `FORBIDDEN`; or when the database fails.
pub async fn riskiest(db: &Db, ctx: &Ctx, first: i64) -> Result<Vec<RiskyAsset>> {
    let mut tx = db.begin(ctx, Permission::PostureRead).await?;
    let mut terms = terms(&repo::assessed(&mut tx).await?)?;
    let sum: f64 = terms.iter().map(|term| term.3).sum();
    terms.sort_by(|a, b| b.3.total_cmp(&a.3).then(a.0.cmp(&b.0)));
    terms.truncate(usize::try_from(first).unwrap_or_default());
    let ids: Vec<Uuid> = terms.iter().map(|term| term.0).collect();
    let risks = repo::asset_risks(&mut tx, &ids).await?;
    let top = |id: &AssetId| {
        let layers = &risks.get(id)?.layers;
        let open =
            layers.iter().filter_map(|(layer, figure)| Some((*layer, figure.residual.filter(|risk| *risk > 0.0)?)));
        open.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).map(|(layer, _)| layer)
    };
    Ok(terms
        .iter()
        .map(|term| RiskyAsset {
            asset: AssetId(term.0),
            top_layer: top(&AssetId(term.0)),
            share: if sum > 0.0 { term.3 / sum } else { 0.0 },
        })
        .collect())
}

/// The findings whose closing lowers the organization's risk most.
///
/// # Errors
/// `BAD_INPUT` when `first` is outside 1..=50; `FORBIDDEN`; or when the database fails.
pub async fn top_findings(db: &Db, ctx: &Ctx, first: i32) -> Result<TopFindings> {
    if !(1..=50).contains(&first) {
        return Err(Error::field("first", "must be 1 to 50"));
    }
    let mut tx = db.begin(ctx, Permission::PostureRead).await?;
    let mut terms = terms(&repo::assessed(&mut tx).await?)?;
    let weights: f64 = terms.iter().map(|term| term.2).sum();
    let sum: f64 = terms.iter().map(|term| term.3).sum();
    if weights <= 0.0 || sum <= 0.0 {
        return Ok(TopFindings::default());
    }
    terms.sort_by(|a, b| b.3.total_cmp(&a.3));
    // A finding can take away at most its asset's term, so the best ones are on the assets with the largest.
    terms.truncate(50);
    let ids: Vec<Uuid> = terms.iter().map(|term| term.0).collect();
    let candidates = repo::top_of_assets(&mut tx, &ids, i64::from(first)).await?;
    let assets: HashMap<Uuid, (f64, f64)> = terms.iter().map(|term| (term.0, (weight(term.1), term.2))).collect();
    // What is taken away from the sum when findings of a total weight are closed on an asset.
    let gain = |asset: &Uuid, closed: f64| {
        assets.get(asset).map_or(0.0, |(whole, mean)| mean * ((-(whole - closed).max(0.0)).exp() - (-whole).exp()))
    };
    let mut ranked: Vec<_> =
        candidates.into_iter().map(|top| (gain(&top.asset, weight(top.risk)), top.asset, top.id, top.risk)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.3.total_cmp(&a.3)).then(a.2.cmp(&b.2)));
    ranked.truncate(usize::try_from(first).unwrap_or_default());
    let mut closed: BTreeMap<Uuid, f64> = BTreeMap::new();
    for (_, asset, _, risk) in &ranked {
        *closed.entry(*asset).or_default() += weight(*risk);
    }
    let saved: f64 = closed.iter().map(|(asset, closed)| gain(asset, *closed)).sum();
    let after = ((sum - saved).max(0.0) / weights).powf(0.25);
    let before = (sum / weights).powf(0.25);
    Ok(TopFindings {
        findings: ranked.iter().map(|candidate| FindingId(candidate.2)).collect(),
        risk_after: Some(after),
        share: 1.0 - after / before,
    })
}

/// The open finding with the highest risk in a layer.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn top_of_layer(db: &Db, ctx: &Ctx, layer: Layer) -> Result<Option<FindingId>> {
    let mut tx = db.begin(ctx, Permission::FindingRead).await?;
    Ok(repo::top_of_layer(&mut tx, layer).await?.map(FindingId))
}

/// Applicable checks that are not fresh, those that concern most assets first.
///
/// # Errors
/// `BAD_INPUT` when `first` is outside 1..=100; `FORBIDDEN`; or when the database fails.
pub async fn gaps(db: &Db, ctx: &Ctx, first: i32) -> Result<Vec<Gap>> {
    if !(1..=100).contains(&first) {
        return Err(Error::field("first", "must be 1 to 100"));
    }
    let mut tx = db.begin(ctx, Permission::PostureRead).await?;
    let facts = repo::facts(&mut tx, None).await?;
    let mut gaps: BTreeMap<(&str, Layer), Gap> = BTreeMap::new();
    for facts in facts.iter().filter(|facts| !facts.retired) {
        for check in facts.completeness(ctx.now()).checks {
            if check.state == CheckState::Fresh {
                continue;
            }
            let gap = gaps.entry((check.id, check.layer)).or_insert_with(|| Gap {
                check: check.id,
                layer: check.layer,
                action: check.action,
                assets: 0,
                example: Some(facts.asset),
            });
            gap.assets += 1;
        }
    }
    let mut gaps: Vec<Gap> = gaps.into_values().collect();
    let place = |gap: &Gap| CHECKS.iter().position(|check| check.id == gap.check);
    gaps.sort_by(|a, b| b.assets.cmp(&a.assets).then(place(a).cmp(&place(b))));
    gaps.truncate(usize::try_from(first).unwrap_or_default());
    Ok(gaps)
}
