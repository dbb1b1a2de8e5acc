//! The SQL of risk figures.

use super::{
    compute::{Group, Standing},
    domain::{AssetRisk, DayChange, Facts, Figure, InheritedTerm, Posture, RiskPoint, Scope},
};
use crate::kernel::{Error, Result, TenantTx};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use stance_engine::risk::FORMULA;
use stance_shared::{AssetId, Layer, RelationKind};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// Takes the organization's turn to compute, until the transaction ends. False: another job has it.
pub async fn take_turn(tx: &mut TenantTx) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select pg_try_advisory_xact_lock(hashtextextended('score:' || $1::text, 0)) as "mine!""#,
        tx.ctx().tenant.0.to_string()
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Marked assets with the version of each mark: one that is marked again meanwhile is not unmarked.
pub async fn marked(tx: &mut TenantTx) -> Result<(Vec<Uuid>, Vec<String>)> {
    let rows = sqlx::query!(
        r#"select asset_id, xmin::text as "version!" from score_dirty where tenant_id = $1"#,
        tx.ctx().tenant.0
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.asset_id, row.version)).unzip())
}

pub async fn unmark(tx: &mut TenantTx, ids: &[Uuid], versions: &[String]) -> Result<()> {
    sqlx::query!(
        "delete from score_dirty d using unnest($2::uuid[], $3::text[]) m(id, version)
         where d.tenant_id = $1 and d.asset_id = m.id and d.xmin::text = m.version",
        tx.ctx().tenant.0,
        ids,
        versions
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Brings the findings' risk to their assets' factor.
pub async fn apply_factors(tx: &mut TenantTx, assets: &[Uuid]) -> Result<()> {
    sqlx::query!(
        "update finding f set risk = least(f.base_risk * a.risk_factor, 0.99) from asset a
         where a.tenant_id = $1 and a.id = any($2) and f.tenant_id = $1 and f.asset_id = a.id
           and f.risk <> least(f.base_risk * a.risk_factor, 0.99)",
        tx.ctx().tenant.0,
        assets
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The assets' findings, grouped by what counts: the cost after this is in distinct values, not in findings.
pub async fn groups(tx: &mut TenantTx, assets: &[Uuid]) -> Result<HashMap<Uuid, Vec<Group>>> {
    let rows = sqlx::query!(
        r#"select asset_id, layer, risk, case when status in ('OPEN', 'IN_PROGRESS') then 0 when status = 'RISK_ACCEPTED' then 1 else 2 end as "standing!",
                count(*) as "count!"
         from finding where tenant_id = $1 and asset_id = any($2) group by 1, 2, 3, 4 order by 1, 2, 3, 4"#,
        tx.ctx().tenant.0,
        assets
    )
    .fetch_all(tx.conn())
    .await?;
    let mut groups: HashMap<Uuid, Vec<Group>> = HashMap::new();
    for row in rows {
        groups.entry(row.asset_id).or_default().push(Group {
            layer: row.layer.parse()?,
            risk: row.risk,
            standing: match row.standing {
                0 => Standing::Open,
                1 => Standing::Accepted,
                _ => Standing::Closed,
            },
            count: u64::try_from(row.count).unwrap_or_default(),
        });
    }
    Ok(groups)
}

/// The facts of assets, in the order of their ids; of all when none are named.
pub async fn facts(tx: &mut TenantTx, assets: Option<&[Uuid]>) -> Result<Vec<Facts>> {
    let rows = sqlx::query!(
        r#"with checked as (
               -- Of the same check under several keys the last counts.
               select n.root_id as asset_id, jsonb_object_agg(s.check_id, s.last_at order by s.last_at) as at
               from assessment s join asset n on n.tenant_id = s.tenant_id and n.id = s.asset_id
               where s.tenant_id = $1 and ($2::uuid[] is null or n.root_id = any($2)) group by 1
           ), origin as (
               select distinct from_id as id from asset_edge() where tenant_id = $1 and kind in ('TRAINED_ON', 'DERIVED_FROM')
           ), tooled as (
               select from_id as id from asset_edge() where tenant_id = $1 and kind = 'MAY_CALL'
               union select to_id from asset_edge() where tenant_id = $1 and kind = 'PROVIDED_BY'
           )
           select a.id, a.kind, a.criticality, a.lifecycle = 'RETIRED' as "retired!", a.owner is not null as "owner!",
               (a.attributes ?| array['source', 'provenance', 'license'] or o.id is not null) as "provenance!",
               t.id is not null as "tools!", c.at as "at?"
           from asset a left join checked c on c.asset_id = a.id left join origin o on o.id = a.id left join tooled t on t.id = a.id
           where a.tenant_id = $1 and a.merged_into is null and ($2::uuid[] is null or a.id = any($2)) order by a.id"#,
        tx.ctx().tenant.0,
        assets as Option<&[Uuid]>
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Facts {
                asset: AssetId(row.id),
                kind: row.kind.parse()?,
                criticality: row.criticality.parse()?,
                retired: row.retired,
                owner: row.owner,
                provenance: row.provenance,
                tools: row.tools,
                assessments: row
                    .at
                    .map(serde_json::from_value)
                    .transpose()
                    .map_err(Error::internal)?
                    .unwrap_or_default(),
            })
        })
        .collect()
}

pub async fn edges(tx: &mut TenantTx) -> Result<Vec<(Uuid, RelationKind, Uuid)>> {
    let rows = sqlx::query!(
        r#"select distinct from_id as "from_id!", kind as "kind!", to_id as "to_id!" from asset_edge() where tenant_id = $1"#,
        tx.ctx().tenant.0
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(|row| Ok((row.from_id, row.kind.parse()?, row.to_id))).collect()
}

/// A row of `asset_risk`.
#[derive(Clone, Debug, PartialEq)]
pub struct AssetFigure {
    pub asset: Uuid,
    pub scope: Scope,
    pub figure: Figure,
    pub inherited: Vec<InheritedTerm>,
    pub hash: Vec<u8>,
}

/// The stored figures of assets; of all when none are named.
pub async fn asset_figures(
    tx: &mut TenantTx,
    assets: Option<&[Uuid]>,
) -> Result<Vec<(AssetFigure, String, DateTime<Utc>)>> {
    let rows = sqlx::query!(
        "select asset_id, layer, residual, inherent, checks_fresh, checks_total, open_findings, inherited, formula, input_hash, computed_at
         from asset_risk where tenant_id = $1 and ($2::uuid[] is null or asset_id = any($2))",
        tx.ctx().tenant.0,
        assets as Option<&[Uuid]>
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            let figure = AssetFigure {
                asset: row.asset_id,
                scope: Scope::parse(&row.layer)?,
                figure: Figure {
                    residual: row.residual,
                    inherent: row.inherent,
                    checks_fresh: row.checks_fresh,
                    checks_total: row.checks_total,
                    open_findings: row.open_findings,
                },
                inherited: serde_json::from_value(row.inherited).map_err(Error::internal)?,
                hash: row.input_hash,
            };
            Ok((figure, row.formula, row.computed_at))
        })
        .collect()
}

/// Writes assets' figures, their day in the history, and `asset.risk`.
pub async fn write_assets(tx: &mut TenantTx, figures: &[AssetFigure]) -> Result<()> {
    let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
    let ids: Vec<Uuid> = figures.iter().map(|f| f.asset).collect();
    let layers: Vec<String> = figures.iter().map(|f| f.scope.as_str().to_owned()).collect();
    let residual: Vec<Option<f64>> = figures.iter().map(|f| f.figure.residual).collect();
    let inherent: Vec<Option<f64>> = figures.iter().map(|f| f.figure.inherent).collect();
    let fresh: Vec<i32> = figures.iter().map(|f| f.figure.checks_fresh).collect();
    let total: Vec<i32> = figures.iter().map(|f| f.figure.checks_total).collect();
    let open: Vec<i32> = figures.iter().map(|f| f.figure.open_findings).collect();
    let completeness: Vec<f64> = figures.iter().map(|f| f.figure.completeness()).collect();
    let inherited: Vec<Value> = figures
        .iter()
        .map(|f| serde_json::to_value(&f.inherited))
        .collect::<Result<_, _>>()
        .map_err(Error::internal)?;
    let hashes: Vec<Vec<u8>> = figures.iter().map(|f| f.hash.clone()).collect();
    sqlx::query!(
        "insert into asset_risk (tenant_id, asset_id, layer, residual, inherent, checks_fresh, checks_total, open_findings,
             inherited, formula, input_hash, computed_at)
         select $1, u.asset_id, u.layer, u.residual, u.inherent, u.fresh, u.total, u.open, u.inherited, $11, u.hash, $12
         from unnest($2::uuid[], $3::text[], $4::float8[], $5::float8[], $6::int4[], $7::int4[], $8::int4[], $9::jsonb[], $10::bytea[])
             u(asset_id, layer, residual, inherent, fresh, total, open, inherited, hash)
         on conflict (tenant_id, asset_id, layer) do update set residual = excluded.residual, inherent = excluded.inherent,
             checks_fresh = excluded.checks_fresh, checks_total = excluded.checks_total, open_findings = excluded.open_findings,
             inherited = excluded.inherited, formula = excluded.formula, input_hash = excluded.input_hash,
             computed_at = excluded.computed_at",
        tenant,
        &ids,
        &layers,
        &residual as &[Option<f64>],
        &inherent as &[Option<f64>],
        &fresh,
        &total,
        &open,
        &inherited,
        &hashes,
        FORMULA,
        now
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "insert into asset_risk_day (tenant_id, asset_id, layer, day, residual, completeness, formula)
         select $1, u.asset_id, u.layer, $6, u.residual, u.completeness, $7
         from unnest($2::uuid[], $3::text[], $4::float8[], $5::float8[]) u(asset_id, layer, residual, completeness)
         on conflict (tenant_id, asset_id, layer, day) do update
         set residual = excluded.residual, completeness = excluded.completeness, formula = excluded.formula",
        tenant,
        &ids,
        &layers,
        &residual as &[Option<f64>],
        &completeness,
        now.date_naive(),
        FORMULA
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "update asset a set risk = u.residual
         from unnest($2::uuid[], $3::text[], $4::float8[]) u(asset_id, layer, residual)
         where a.tenant_id = $1 and a.id = u.asset_id and u.layer = 'ALL' and a.risk is distinct from u.residual",
        tenant,
        &ids,
        &layers,
        &residual as &[Option<f64>]
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Writes one of the organization's figures and its day in the history.
pub async fn write_posture(
    tx: &mut TenantTx,
    scope: Scope,
    figure: &Figure,
    (assets, assessed): (i32, i32),
    hash: &[u8],
) -> Result<()> {
    let (tenant, now) = (tx.ctx().tenant.0, tx.ctx().now());
    sqlx::query!(
        "with day as (
             insert into posture_day (tenant_id, layer, day, residual, completeness, formula)
             values ($1, $2, $13, $3, $12, $10)
             on conflict (tenant_id, layer, day) do update
             set residual = excluded.residual, completeness = excluded.completeness, formula = excluded.formula
         )
         insert into posture (tenant_id, layer, residual, inherent, checks_fresh, checks_total, open_findings, assets, assessed,
             formula, input_hash, computed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $14)
         on conflict (tenant_id, layer) do update set residual = excluded.residual, inherent = excluded.inherent,
             checks_fresh = excluded.checks_fresh, checks_total = excluded.checks_total, open_findings = excluded.open_findings,
             assets = excluded.assets, assessed = excluded.assessed, formula = excluded.formula,
             input_hash = excluded.input_hash, computed_at = excluded.computed_at",
        tenant,
        scope.as_str(),
        figure.residual,
        figure.inherent,
        figure.checks_fresh,
        figure.checks_total,
        figure.open_findings,
        assets,
        assessed,
        FORMULA,
        hash,
        figure.completeness(),
        now.date_naive(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Figures of one asset, with formula and time.
type Figures = BTreeMap<Scope, (AssetFigure, String, DateTime<Utc>)>;

pub async fn asset_risks(tx: &mut TenantTx, assets: &[Uuid]) -> Result<HashMap<AssetId, AssetRisk>> {
    let mut found: HashMap<AssetId, Figures> = HashMap::new();
    for row in asset_figures(tx, Some(assets)).await? {
        found.entry(AssetId(row.0.asset)).or_default().insert(row.0.scope, row);
    }
    let risk = |mut rows: Figures| {
        let (all, formula, computed_at) = rows.remove(&Scope::All)?;
        let layers = Layer::ALL
            .iter()
            .filter_map(|layer| Some((*layer, rows.remove(&Scope::Layer(*layer))?.0.figure)))
            .collect();
        let AssetFigure { figure, inherited, hash, .. } = all;
        Some(AssetRisk { all: figure, layers, inherited, formula, input_hash: hex::encode(hash), computed_at })
    };
    Ok(found.into_iter().filter_map(|(id, rows)| Some((id, risk(rows)?))).collect())
}

pub async fn is_pending(tx: &mut TenantTx) -> Result<bool> {
    let tenant = tx.ctx().tenant.0;
    Ok(sqlx::query_scalar!(r#"select exists (select from score_dirty where tenant_id = $1) as "pending!""#, tenant)
        .fetch_one(tx.conn())
        .await?)
}

pub async fn posture(tx: &mut TenantTx) -> Result<Option<Posture>> {
    let rows = sqlx::query!(
        "select layer, residual, inherent, checks_fresh, checks_total, open_findings, assets, assessed, formula, computed_at
         from posture where tenant_id = $1",
        tx.ctx().tenant.0
    )
    .fetch_all(tx.conn())
    .await?;
    let mut posture: Option<Posture> = None;
    let mut layers = BTreeMap::new();
    for row in rows {
        let figure = Figure {
            residual: row.residual,
            inherent: row.inherent,
            checks_fresh: row.checks_fresh,
            checks_total: row.checks_total,
            open_findings: row.open_findings,
        };
        match Scope::parse(&row.layer)? {
            Scope::Layer(layer) => {
                layers.insert(layer, figure);
            }
            Scope::All => {
                posture = Some(Posture {
                    all: figure,
                    layers: BTreeMap::new(),
                    assets: row.assets,
                    assessed: row.assessed,
                    formula: row.formula,
                    computed_at: Some(row.computed_at),
                });
            }
        }
    }
    Ok(posture.map(|posture| Posture { layers, ..posture }))
}

pub async fn posture_history(tx: &mut TenantTx, scope: Scope, since: NaiveDate) -> Result<Vec<RiskPoint>> {
    Ok(sqlx::query_as!(
        RiskPoint,
        "select day, residual, completeness from posture_day where tenant_id = $1 and layer = $2 and day >= $3 order by day",
        tx.ctx().tenant.0,
        scope.as_str(),
        since
    )
    .fetch_all(tx.conn())
    .await?)
}

pub async fn asset_history(tx: &mut TenantTx, assets: &[Uuid], since: NaiveDate) -> Result<Vec<(AssetId, RiskPoint)>> {
    let rows = sqlx::query!(
        "select asset_id, day, residual, completeness from asset_risk_day
         where tenant_id = $1 and asset_id = any($2) and layer = 'ALL' and day >= $3 order by asset_id, day",
        tx.ctx().tenant.0,
        assets,
        since
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let point = RiskPoint { day: row.day, residual: row.residual, completeness: row.completeness };
            (AssetId(row.asset_id), point)
        })
        .collect())
}

/// What happened on each day since: by the reports' counts, and by the decisions of people.
pub async fn day_changes(tx: &mut TenantTx, since: NaiveDate) -> Result<Vec<DayChange>> {
    let since = since.and_time(chrono::NaiveTime::MIN).and_utc();
    Ok(sqlx::query_as!(
        DayChange,
        r#"select day as "day!", sum(new)::int8 as "new!", sum(reopened)::int8 as "reopened!", sum(resolved)::int8 as "resolved!",
                sum(accepted)::int8 as "accepted!", sum(false_positive)::int8 as "false_positive!"
         from (
             select (finished_at at time zone 'UTC')::date as day, new, reopened, resolved, 0 as accepted, 0 as false_positive
             from report where tenant_id = $1 and status = 'DONE' and finished_at >= $2
             union all
             select (decided_at at time zone 'UTC')::date, 0, (kind = 'REOPENED')::int, 0, (kind = 'RISK_ACCEPTED')::int,
                 (kind = 'FALSE_POSITIVE')::int
             from decision where tenant_id = $1 and decided_at >= $2 and undone_at is null
         ) changes group by day order by day"#,
        tx.ctx().tenant.0,
        since
    )
    .fetch_all(tx.conn())
    .await?)
}

/// An open finding of an asset.
pub struct TopFinding {
    pub asset: Uuid,
    pub id: Uuid,
    pub layer: Layer,
    pub risk: f64,
}

/// The open findings of the highest risk of each of the assets, of each the highest first.
pub async fn top_of_assets(tx: &mut TenantTx, assets: &[Uuid], each: i64) -> Result<Vec<TopFinding>> {
    let rows = sqlx::query!(
        r#"select a.id as "asset!", f.id as "id!", f.layer as "layer!", f.risk as "risk!"
           from unnest($2::uuid[]) a(id), lateral (
             select id, layer, risk from finding
             where tenant_id = $1 and asset_id = a.id and status in ('OPEN', 'IN_PROGRESS') order by risk desc, id desc limit $3) f"#,
        tx.ctx().tenant.0,
        assets,
        each
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| Ok(TopFinding { asset: row.asset, id: row.id, layer: row.layer.parse()?, risk: row.risk }))
        .collect()
}

/// The open finding with the highest risk in a layer.
pub async fn top_of_layer(tx: &mut TenantTx, layer: Layer) -> Result<Option<Uuid>> {
    Ok(sqlx::query_scalar!(
        "select id from finding where tenant_id = $1 and layer = $2 and status in ('OPEN', 'IN_PROGRESS')
         order by risk desc, id desc limit 1",
        tx.ctx().tenant.0,
        layer.as_str()
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Assessed assets that count: id, criticality and risk.
pub async fn assessed(tx: &mut TenantTx) -> Result<Vec<(Uuid, String, f64)>> {
    let rows = sqlx::query!(
        r#"select id, criticality, risk as "risk!" from asset
         where tenant_id = $1 and risk is not null and merged_into is null and lifecycle <> 'RETIRED' order by risk desc, id"#,
        tx.ctx().tenant.0
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.criticality, row.risk)).collect())
}
