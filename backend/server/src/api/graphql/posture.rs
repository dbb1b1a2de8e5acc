//! Risk figures, why they are what they are, and what is not known.

use super::{
    GraphqlContext as _,
    findings::{self, Finding},
    inventory::{self, Asset},
    loaders::{AssetRiskOf, ChecksOf, RiskDaysOf, SharesOf},
};
use crate::{
    kernel::{Error, page::Page},
    scoring::{self, Figure, Scope},
};
use async_graphql::{ComplexObject, Context, Enum, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use stance_engine::risk::{self, constants};
use stance_shared::{AssetId, FindingId, Grade, Layer};

/// A share of one as people see it: 0 to 100.
fn percent(risk: Option<f64>) -> Option<f64> {
    risk.map(|risk| 100.0 * risk)
}

fn grade(risk: Option<f64>) -> Option<Grade> {
    percent(risk).map(Grade::of)
}

/// A day of a history; days without a figure are left out.
#[derive(SimpleObject)]
pub struct RiskPoint {
    /// YYYY-MM-DD, UTC.
    day: String,
    risk: Option<f64>,
    completeness: f64,
}

impl From<scoring::RiskPoint> for RiskPoint {
    fn from(point: scoring::RiskPoint) -> Self {
        Self { day: point.day.to_string(), risk: percent(point.residual), completeness: point.completeness }
    }
}

async fn history(ctx: &Context<'_>, scope: Scope, days: i32) -> Result<Vec<RiskPoint>> {
    let points = scoring::posture_history(ctx.db()?, ctx.asker()?, scope, days).await?;
    Ok(points.into_iter().map(RiskPoint::from).collect())
}

/// Difference of a figure to seven days ago, in points; null when it is unknown now or then.
async fn change7d(ctx: &Context<'_>, scope: Scope, now: Option<f64>) -> Result<Option<f64>> {
    let Some(now) = now else { return Ok(None) };
    let day = (ctx.asker()?.now() - chrono::Duration::days(7)).date_naive();
    let points = scoring::posture_history(ctx.db()?, ctx.asker()?, scope, 8).await?;
    let then = points.iter().find(|point| point.day == day).and_then(|point| point.residual);
    Ok(then.map(|then| 100.0 * (now - then)))
}

async fn load_findings(ctx: &Context<'_>, ids: &[FindingId]) -> Result<Vec<Finding>> {
    let mut found = ctx.loaders()?.load_many(ids.iter().copied()).await?;
    Ok(ids.iter().filter_map(|id| found.remove(id)).map(Finding).collect())
}

/// Risk of the organization: criticality-weighted power mean (p = 4) over assessed assets. Unassessed is null, never 0.
pub struct Posture(scoring::Posture);

#[Object]
impl Posture {
    /// 0 to 100, higher is worse; null when nothing was assessed.
    async fn risk(&self) -> Option<f64> {
        percent(self.0.all.residual)
    }

    async fn grade(&self) -> Option<Grade> {
        grade(self.0.all.residual)
    }

    /// With accepted risks, 0 to 100.
    async fn inherent_risk(&self) -> Option<f64> {
        percent(self.0.all.inherent)
    }

    /// Whether facts changed that the figures of assets or of the organization do not show yet.
    async fn pending(&self, ctx: &Context<'_>) -> Result<bool> {
        Ok(scoring::is_pending(ctx.db()?, ctx.asker()?).await?)
    }

    /// 0 to 1: share of applicable checks that are fresh.
    async fn completeness(&self) -> f64 {
        self.0.all.completeness()
    }

    async fn checks_fresh(&self) -> i32 {
        self.0.all.checks_fresh
    }

    async fn checks_total(&self) -> i32 {
        self.0.all.checks_total
    }

    async fn formula(&self) -> &str {
        &self.0.formula
    }

    async fn computed_at(&self) -> Option<DateTime<Utc>> {
        self.0.computed_at
    }

    /// Difference of risk to seven days ago, in points; null when unknown then.
    #[graphql(name = "change7d")]
    async fn change7d(&self, ctx: &Context<'_>) -> Result<Option<f64>> {
        change7d(ctx, Scope::All, self.0.all.residual).await
    }

    /// Oldest first, at most 366 days.
    async fn history(&self, ctx: &Context<'_>, #[graphql(default = 30)] days: i32) -> Result<Vec<RiskPoint>> {
        history(ctx, Scope::All, days).await
    }

    #[graphql(complexity = "4 * child_complexity")]
    async fn layers(&self) -> Vec<LayerPosture> {
        let figure = |layer: &Layer| self.0.layers.get(layer).cloned().unwrap_or(Figure::UNASSESSED);
        Layer::ALL.iter().map(|layer| LayerPosture { layer: *layer, figure: figure(layer) }).collect()
    }

    /// The assets that make most of the risk.
    #[graphql(complexity = "first.max(1) as usize * child_complexity")]
    async fn riskiest_assets(&self, ctx: &Context<'_>, #[graphql(default = 10)] first: i32) -> Result<Vec<RiskyAsset>> {
        let first = Page::<()>::parse(Some(first), None)?.first;
        let assets = scoring::riskiest(ctx.db()?, ctx.asker()?, first).await?;
        let view = |risky: scoring::RiskyAsset| RiskyAsset {
            top_layer: risky.top_layer,
            share: risky.share,
            asset_id: risky.asset,
        };
        Ok(assets.into_iter().map(view).collect())
    }

    /// Findings whose closing lowers organization risk most, and the risk after closing all of them.
    #[graphql(complexity = "first.max(1) as usize * child_complexity")]
    async fn top_findings(&self, ctx: &Context<'_>, #[graphql(default = 5)] first: i32) -> Result<TopFindings> {
        let top = scoring::top_findings(ctx.db()?, ctx.asker()?, first).await?;
        Ok(TopFindings {
            findings: load_findings(ctx, &top.findings).await?,
            risk_after: percent(top.risk_after),
            share: top.share,
        })
    }

    /// Oldest first, today last.
    async fn changes(&self, ctx: &Context<'_>, #[graphql(default = 7)] days: i32) -> Result<Vec<DayChange>> {
        let count = |n: i64| i32::try_from(n).unwrap_or(i32::MAX);
        let view = |change: scoring::DayChange| DayChange {
            day: change.day.to_string(),
            new: count(change.new),
            reopened: count(change.reopened),
            resolved: count(change.resolved),
            accepted: count(change.accepted),
            false_positive: count(change.false_positive),
        };
        Ok(scoring::day_changes(ctx.db()?, ctx.asker()?, days).await?.into_iter().map(view).collect())
    }

    /// Applicable checks that are not fresh, grouped, biggest first.
    #[graphql(complexity = "first.max(1) as usize * child_complexity")]
    async fn gaps(&self, ctx: &Context<'_>, #[graphql(default = 8)] first: i32) -> Result<Vec<CoverageGap>> {
        let view = |gap: scoring::Gap| CoverageGap {
            label: label(gap.check),
            check: gap.check,
            layer: gap.layer,
            action: gap.action,
            assets: gap.assets,
            example_id: gap.example,
        };
        Ok(scoring::gaps(ctx.db()?, ctx.asker()?, first).await?.into_iter().map(view).collect())
    }

    async fn open_findings(&self) -> i32 {
        self.0.all.open_findings
    }

    /// Without retired ones.
    async fn assets(&self) -> i32 {
        self.0.assets
    }

    async fn assessed_assets(&self) -> i32 {
        self.0.assessed
    }
}

/// A layer of the organization.
pub struct LayerPosture {
    layer: Layer,
    figure: Figure,
}

#[Object]
impl LayerPosture {
    async fn layer(&self) -> Layer {
        self.layer
    }

    /// 0 to 100; null: unassessed.
    async fn risk(&self) -> Option<f64> {
        percent(self.figure.residual)
    }

    async fn grade(&self) -> Option<Grade> {
        grade(self.figure.residual)
    }

    async fn completeness(&self) -> f64 {
        self.figure.completeness()
    }

    async fn open_findings(&self) -> i32 {
        self.figure.open_findings
    }

    #[graphql(name = "change7d")]
    async fn change7d(&self, ctx: &Context<'_>) -> Result<Option<f64>> {
        change7d(ctx, Scope::Layer(self.layer), self.figure.residual).await
    }

    async fn history(&self, ctx: &Context<'_>, #[graphql(default = 30)] days: i32) -> Result<Vec<RiskPoint>> {
        history(ctx, Scope::Layer(self.layer), days).await
    }

    /// The open finding with the highest risk in this layer.
    async fn top_finding(&self, ctx: &Context<'_>) -> Result<Option<Finding>> {
        // To find nothing takes a look at every finding of the organization.
        if self.figure.open_findings == 0 {
            return Ok(None);
        }
        match scoring::top_of_layer(ctx.db()?, ctx.asker()?, self.layer).await? {
            Some(id) => findings::load(ctx, id).await,
            None => Ok(None),
        }
    }
}

#[derive(SimpleObject)]
#[graphql(complex)]
pub struct RiskyAsset {
    top_layer: Option<Layer>,
    /// 0 to 1, share of organization risk.
    share: f64,
    #[graphql(skip)]
    asset_id: AssetId,
}

#[ComplexObject]
impl RiskyAsset {
    async fn asset(&self, ctx: &Context<'_>) -> Result<Asset> {
        inventory::load_existing(ctx, self.asset_id).await
    }
}

#[derive(SimpleObject)]
pub struct TopFindings {
    findings: Vec<Finding>,
    risk_after: Option<f64>,
    /// 0 to 1: of the risk.
    share: f64,
}

#[derive(SimpleObject)]
pub struct DayChange {
    /// YYYY-MM-DD, UTC.
    day: String,
    new: i32,
    reopened: i32,
    resolved: i32,
    accepted: i32,
    false_positive: i32,
}

#[derive(SimpleObject)]
#[graphql(complex)]
pub struct CoverageGap {
    check: &'static str,
    label: String,
    layer: Layer,
    /// What makes it known.
    action: &'static str,
    /// On how many assets.
    assets: i32,
    #[graphql(skip)]
    example_id: Option<AssetId>,
}

#[ComplexObject]
impl CoverageGap {
    async fn example(&self, ctx: &Context<'_>) -> Result<Option<Asset>> {
        match self.example_id {
            Some(id) => inventory::load(ctx, id).await,
            None => Ok(None),
        }
    }
}

/// What a person calls a check: `red-teamed` is "Red teamed".
fn label(check: &str) -> String {
    let words = check.replace('-', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The figures of an asset.
pub struct AssetRisk {
    asset: crate::inventory::Asset,
    /// Absent before the first computation.
    risk: Option<scoring::AssetRisk>,
}

/// The figures of an asset, fetched in batches.
pub(super) async fn asset_risk(ctx: &Context<'_>, asset: &crate::inventory::Asset) -> Result<AssetRisk> {
    let risk = ctx.loaders()?.load_one(AssetRiskOf(asset.id)).await?;
    Ok(AssetRisk { asset: asset.clone(), risk })
}

impl AssetRisk {
    fn all(&self) -> Figure {
        self.risk.as_ref().map_or(Figure::UNASSESSED, |risk| risk.all.clone())
    }
}

#[Object]
impl AssetRisk {
    /// 0 to 100; null: unassessed.
    async fn risk(&self) -> Option<f64> {
        percent(self.all().residual)
    }

    async fn grade(&self) -> Option<Grade> {
        grade(self.all().residual)
    }

    /// With accepted risks.
    async fn inherent_risk(&self) -> Option<f64> {
        percent(self.all().inherent)
    }

    /// 0 to 1: share of applicable checks that are fresh.
    async fn completeness(&self) -> f64 {
        self.all().completeness()
    }

    #[graphql(complexity = "4 * child_complexity")]
    async fn layers(&self) -> Vec<LayerRisk> {
        let layers = self.risk.as_ref().map(|risk| &risk.layers);
        let view = |layer: &Layer| {
            let figure = layers.and_then(|layers| layers.get(layer)).unwrap_or(&Figure::UNASSESSED);
            LayerRisk {
                layer: *layer,
                risk: percent(figure.residual),
                grade: grade(figure.residual),
                inherent_risk: percent(figure.inherent),
                completeness: figure.completeness(),
                open_findings: figure.open_findings,
            }
        };
        Layer::ALL.iter().map(view).collect()
    }

    /// Largest first; terms beyond the limit are summed into `otherPoints`.
    #[graphql(complexity = "10 + first.max(1) as usize * child_complexity")]
    async fn shares(&self, ctx: &Context<'_>, #[graphql(default = 20)] first: i32) -> Result<RiskShares> {
        let first = Page::<()>::parse(Some(first), None)?.first;
        let shares = ctx.loaders()?.load_one(SharesOf(self.asset.id, first)).await?.unwrap_or_default();
        let view = |share: scoring::Share| RiskShare {
            layer: share.layer,
            risk: share.risk,
            points: share.points,
            finding_id: share.finding,
            inherited_id: share.inherited_from,
        };
        Ok(RiskShares {
            items: shares.items.into_iter().map(view).collect(),
            other_count: shares.other_count,
            other_points: shares.other_points,
        })
    }

    /// What applies to the asset, and whether it is known.
    #[graphql(complexity = "10 + 6 * child_complexity")]
    async fn checks(&self, ctx: &Context<'_>) -> Result<Vec<Check>> {
        let found = ctx.loaders()?.load_one(ChecksOf(self.asset.id)).await?;
        let (facts, checks) = found.ok_or_else(|| Error::not_found("asset"))?;
        let view = |check: risk::CheckResult| Check {
            id: check.id,
            label: label(check.id),
            layer: check.layer,
            state: check.state.into(),
            reason: check.reason,
            action: check.action,
            last_at: facts.assessments.get(check.id).copied(),
        };
        Ok(checks.into_iter().map(view).collect())
    }

    async fn formula(&self) -> &str {
        self.risk.as_ref().map_or(risk::FORMULA, |risk| &risk.formula)
    }

    /// Of what the figures were computed from; empty before the first computation.
    async fn input_hash(&self) -> &str {
        self.risk.as_ref().map_or("", |risk| &risk.input_hash)
    }

    async fn computed_at(&self) -> Option<DateTime<Utc>> {
        self.risk.as_ref().map(|risk| risk.computed_at)
    }

    /// Oldest first, at most 366 days.
    #[graphql(complexity = "10 + days.max(1) as usize * child_complexity")]
    async fn history(&self, ctx: &Context<'_>, #[graphql(default = 30)] days: i32) -> Result<Vec<RiskPoint>> {
        let points = ctx.loaders()?.load_one(RiskDaysOf(self.asset.id, days)).await?.unwrap_or_default();
        Ok(points.into_iter().map(RiskPoint::from).collect())
    }

    /// risk = base × exposure factor × criticality factor
    async fn exposure_factor(&self) -> f64 {
        constants::exposure(self.asset.exposure)
    }

    async fn criticality_factor(&self) -> f64 {
        constants::criticality(self.asset.criticality)
    }
}

#[derive(SimpleObject)]
pub struct LayerRisk {
    layer: Layer,
    /// 0 to 100; null: unassessed.
    risk: Option<f64>,
    grade: Option<Grade>,
    inherent_risk: Option<f64>,
    completeness: f64,
    open_findings: i32,
}

#[derive(SimpleObject, Default)]
pub struct RiskShares {
    items: Vec<RiskShare>,
    other_count: i32,
    other_points: f64,
}

#[derive(SimpleObject)]
#[graphql(complex)]
pub struct RiskShare {
    layer: Layer,
    /// 0 to 1, the term's own risk.
    risk: f64,
    /// Points of the asset's residual risk; all shares add up to it.
    points: f64,
    #[graphql(skip)]
    finding_id: Option<FindingId>,
    #[graphql(skip)]
    inherited_id: Option<AssetId>,
}

#[ComplexObject]
impl RiskShare {
    /// The finding, or null for an inherited share.
    async fn finding(&self, ctx: &Context<'_>) -> Result<Option<Finding>> {
        match self.finding_id {
            Some(id) => findings::load(ctx, id).await,
            None => Ok(None),
        }
    }

    /// The asset it is inherited from.
    async fn inherited_from(&self, ctx: &Context<'_>) -> Result<Option<Asset>> {
        match self.inherited_id {
            Some(id) => inventory::load(ctx, id).await,
            None => Ok(None),
        }
    }
}

/// Where a check stands.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// Assessed recently enough.
    Fresh,
    /// Assessed too long ago.
    Stale,
    /// Never assessed.
    Unknown,
}

impl From<risk::CheckState> for CheckState {
    fn from(state: risk::CheckState) -> Self {
        match state {
            risk::CheckState::Fresh => Self::Fresh,
            risk::CheckState::Stale => Self::Stale,
            risk::CheckState::Unknown => Self::Unknown,
        }
    }
}

/// A check applied to an asset.
#[derive(SimpleObject)]
pub struct Check {
    id: &'static str,
    label: String,
    layer: Layer,
    state: CheckState,
    /// Why it is in this state, as a sentence.
    reason: String,
    /// What makes it fresh; empty when it is.
    action: &'static str,
    last_at: Option<DateTime<Utc>>,
}

#[derive(Default)]
pub struct PostureQuery;

#[Object]
impl PostureQuery {
    async fn posture(&self, ctx: &Context<'_>) -> Result<Posture> {
        Ok(Posture(scoring::posture(ctx.db()?, ctx.asker()?).await?))
    }
}
