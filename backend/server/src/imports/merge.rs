//! Comparing what is staged with what is known: a handful of set-based statements in the import's one transaction.
//!
//! They work on temporary tables, which do not exist when the program is built; so they are checked at run time (by the
//! tests), not by sqlx's macros. `$1` is always the tenant.
//!
//! * `stage`: the report's findings, see [`stage::CREATE`](super::stage::CREATE).
//! * `target`: its assets by their number, with the scan that each is the subject of. Where the report's name is an alias, `said_id`
//!   is what it names, which its scan is about, and `asset_id` what that became part of, which its findings are on.
//! * `verdict`: what becomes of each staged finding: `N`ew, `U`pdated, `R`eopened or `=` (unchanged).
//! * `gone`: findings that a scan of this report no longer reports.

use super::{domain::Counts, stage::Staged};
use crate::{
    inventory::{self, Manner, Named, NewAsset, Patch},
    kernel::{Error, Result, TenantTx},
};
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Row as _};
use stance_importers::{AssetRef, RunInfo};
use stance_shared::{AssetId, ReportId};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What a merge did.
#[derive(Debug, Default)]
pub struct Merged {
    pub counts: Counts,
    /// Assets that the report is about.
    pub assets: Vec<AssetId>,
    /// Some of the findings that changed, for live events.
    pub changed: Vec<Uuid>,
    /// Critical findings that are new or came back: the first ones with their titles, and how many there are.
    pub critical: Vec<(Uuid, String, i64)>,
}

/// What the statements of one merge have in common.
struct Run<'a> {
    tenant: Uuid,
    report: Uuid,
    now: DateTime<Utc>,
    tool: &'a str,
    /// Begins every id that a statement makes, so that they are ordered by time like all others (UUID version 7).
    prefix: String,
}

/// Merges what is staged. `tool` is the tool's name as findings and scans carry it.
///
/// # Errors
/// When the database fails; the caller drops the transaction.
pub async fn merge(tx: &mut TenantTx, report: ReportId, tool: &str, info: &RunInfo, staged: &Staged) -> Result<Merged> {
    let ctx = tx.ctx();
    let run = Run {
        tenant: ctx.tenant.0,
        report: report.0,
        now: ctx.now(),
        tool,
        prefix: ctx.new_id().to_string().chars().take(15).collect(),
    };
    let ids = assets(tx, &run, info, staged).await?;
    let relations = relations(tx, &run, staged, &ids).await?;
    let in_order: Vec<Named> = staged.assets.iter().filter_map(|asset| ids.get(asset)).copied().collect();
    if in_order.len() != staged.assets.len() {
        return Err(Error::internal("the inventory did not give every asset an id"));
    }
    // Absence is judged on what the run assessed and on what it found something on, not on what it merely mentions.
    let assessed: Vec<Uuid> =
        info.assessed.iter().filter_map(|asset| ids.get(&clean(asset))).map(|id| id.said.0).collect();
    scans(tx, &run, info, &in_order, &assessed).await?;
    let (said, meant): (BTreeSet<_>, BTreeSet<_>) = in_order.iter().map(|id| (id.said, id.asset)).unzip();
    if said.len() < in_order.len() {
        number_once(tx).await?;
    }
    number_repeated(tx).await?;
    judge(tx, &run).await?;
    if meant.len() < said.len() {
        meet(tx).await?;
    }
    write(tx, &run, info.complete).await?;
    let resolved = if info.complete { absent(tx, &run, &info.rules).await? } else { 0 };
    suppressions(tx, &run).await?;
    assessments(tx, &run, info, &assessed).await?;
    let counts = Counts {
        resolved,
        findings: staged.findings,
        assets: i32::try_from(staged.assets.len()).unwrap_or(i32::MAX),
        relations: i32::try_from(relations).unwrap_or(i32::MAX),
        ..count(tx).await?
    };
    let changed = sqlx::query_scalar(
        "(select finding_id from verdict where action <> '=' limit 50) union (select finding_id from gone limit 50)",
    )
    .fetch_all(tx.conn())
    .await?;
    let assets = sqlx::query_scalar("select distinct asset_id from target where scan_id is not null order by 1")
        .fetch_all(tx.conn())
        .await?;
    let critical = sqlx::query_as(
        "select v.finding_id, s.title, count(*) over () from stage s join verdict v using (id)
         where s.severity = 0 and v.action in ('N', 'R') and not v.suppressed order by s.line, s.id limit 5",
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(Merged { counts, assets, changed, critical })
}

fn clean(asset: &AssetRef) -> AssetRef {
    AssetRef { kind: asset.kind, key: super::stage::clean(&asset.key).into_owned() }
}

async fn assets(
    tx: &mut TenantTx,
    run: &Run<'_>,
    info: &RunInfo,
    staged: &Staged,
) -> Result<BTreeMap<AssetRef, Named>> {
    let new: Vec<NewAsset> = staged
        .assets
        .iter()
        .map(|asset| {
            let patch = staged.described.get(asset).map(Patch::from).unwrap_or_default();
            NewAsset { asset: asset.clone(), patch }
        })
        .collect();
    let manner = Manner::Discovered {
        tool: run.tool.to_owned(),
        version: super::stage::clean(&info.tool_version).chars().take(200).collect(),
        report: Some(ReportId(run.report)),
    };
    Ok(inventory::service::upsert_in_tx(tx, &new, &manner).await?.ids)
}

async fn relations(
    tx: &mut TenantTx,
    run: &Run<'_>,
    staged: &Staged,
    ids: &BTreeMap<AssetRef, Named>,
) -> Result<usize> {
    let known = staged.relations.iter().filter(|(from, _, to)| from != to);
    let relations: Vec<_> =
        known.filter_map(|(from, kind, to)| Some((*ids.get(from)?, *kind, *ids.get(to)?))).collect();
    inventory::service::relate_in_tx(tx, &relations, run.tool).await
}

/// Makes `target`, with a scan for each asset that was assessed or found fault with.
async fn scans(tx: &mut TenantTx, run: &Run<'_>, info: &RunInfo, assets: &[Named], assessed: &[Uuid]) -> Result<()> {
    sqlx::query(
        "create temporary table target (no int4 primary key, said_id uuid not null, asset_id uuid not null, factor float8 not null,
             scan_id uuid) on commit drop",
    )
    .execute(tx.conn())
    .await?;
    let identity: String = super::stage::clean(&info.scan_identity).chars().take(1000).collect();
    let version: String = super::stage::clean(&info.tool_version).chars().take(200).collect();
    let (said, meant): (Vec<Uuid>, Vec<Uuid>) = assets.iter().map(|id| (id.said.0, id.asset.0)).unzip();
    sqlx::query(
        "with named as (
             select n.no::int4 - 1 as no, n.said as said_id, a.id as asset_id, a.risk_factor
             from unnest($2::uuid[], $10::uuid[]) with ordinality n(said, id, no)
             join asset a on a.tenant_id = $1 and a.id = n.id
         ), subject as (
             select said_id from named where said_id = any($3) or no in (select distinct asset_no from stage)
         ), scanned as (
             insert into scan (tenant_id, id, tool, asset_id, identity, tool_version, first_seen, last_seen, last_report_id)
             select $1, overlay(gen_random_uuid()::text placing $4 from 1)::uuid, $5, said_id, $6, $7, $8, $8, $9
             from (select distinct said_id from subject) s
             on conflict (tenant_id, tool, asset_id, identity) do update
             set tool_version = excluded.tool_version, last_seen = excluded.last_seen, last_report_id = excluded.last_report_id
             returning id, asset_id
         ), noted as (
             insert into report_scan (tenant_id, report_id, scan_id) select $1, $9, id from scanned
         )
         insert into target (no, said_id, asset_id, factor, scan_id)
         select n.no, n.said_id, n.asset_id, n.risk_factor, s.id from named n left join scanned s on s.asset_id = n.said_id",
    )
    .bind(run.tenant)
    .bind(said)
    .bind(assessed)
    .bind(&run.prefix)
    .bind(run.tool)
    .bind(identity)
    .bind(version)
    .bind(run.now)
    .bind(run.report)
    .bind(meant)
    .execute(tx.conn())
    .await?;
    sqlx::raw_sql("analyze target").execute(tx.conn()).await?;
    Ok(())
}

/// Gives an asset that the report writes in several ways one number.
async fn number_once(tx: &mut TenantTx) -> Result<()> {
    sqlx::query(
        "update stage s set asset_no = first.no
         from (select no as other, min(no) over (partition by said_id) as no from target) first
         where s.asset_no = first.other and first.other <> first.no",
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Two findings of one report on one asset with the same fingerprint are two findings. They are numbered by place and content, so that
/// their order in the report means nothing; the first keeps the fingerprint, the others get one derived from it.
async fn number_repeated(tx: &mut TenantTx) -> Result<()> {
    sqlx::query(
        "update stage s
         set fp = encode(substring(sha256(uuid_send(n.fp) || int4send(n.place::int4)) from 1 for 16), 'hex')::uuid
         from (
             select id, fp, row_number() over (partition by asset_no, fp order by line, content) - 1 as place
             from stage join (select asset_no, fp from stage group by asset_no, fp having count(*) > 1) repeated using (asset_no, fp)
         ) n
         where n.id = s.id and n.place > 0",
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Makes `verdict`.
async fn judge(tx: &mut TenantTx, run: &Run<'_>) -> Result<()> {
    sqlx::query(
        "create temporary table verdict (
             id uuid not null, finding_id uuid not null, scan_id uuid not null,
             action \"char\" not null, known boolean not null, same boolean not null, suppressed boolean not null
         ) on commit drop",
    )
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "insert into verdict
         select s.id, coalesce(f.id, s.id), t.scan_id,
             case when f.id is null then 'N' when not f.active then 'R'
                  when o.content_hash = s.content and o.absent_since is null then '=' else 'U' end,
             o.finding_id is not null, coalesce(o.content_hash = s.content and o.absent_since is null, false),
             s.origin is not null
         from stage s
         join target t on t.no = s.asset_no
         left join finding f on f.tenant_id = $1 and f.asset_id = t.asset_id and f.fingerprint = s.fp
         left join occurrence o on o.tenant_id = $1 and o.scan_id = t.scan_id and o.finding_id = f.id",
    )
    .bind(run.tenant)
    .execute(tx.conn())
    .await?;
    // What this transaction inserts is not in the statistics of `occurrence` and `finding`: the planner takes them for small
    // and loops over them, so what it looks up for each of their rows must have an index.
    sqlx::raw_sql("create index on verdict (finding_id, scan_id); analyze verdict; create index on stage (id)")
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Where a report names one asset by several of its keys, the same new problem under two of them is one finding in two scans.
async fn meet(tx: &mut TenantTx) -> Result<()> {
    sqlx::query(
        "update verdict v set finding_id = met.first, action = 'U'
         from (
             select s.id, first_value(s.id) over (partition by t.asset_id, s.fp order by t.said_id, s.line, s.content) as first
             from stage s join verdict n using (id) join target t on t.no = s.asset_no where n.action = 'N'
         ) met
         where v.id = met.id and met.first <> met.id",
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// An id for a row that a statement makes, see [`Run::prefix`].
macro_rules! fresh_id {
    ($prefix:literal) => {
        concat!("overlay(gen_random_uuid()::text placing ", $prefix, " from 1)::uuid")
    };
}

/// Writes new and changed findings and occurrences, and their history. What is unchanged is not touched, and what another
/// scan reports is not overwritten by the words of a run that was not complete: it knows less (a hitlog no rate of success).
async fn write(tx: &mut TenantTx, run: &Run<'_>, complete: bool) -> Result<()> {
    sqlx::query(
        "insert into finding (tenant_id, id, fingerprint, asset_id, layer, severity, score, attack_success_rate, rule, title,
             description, remediation, categories, base_risk, risk, first_seen, first_report_id)
         select $1, s.id, s.fp, t.asset_id, s.layer, s.severity, s.score, s.asr, s.rule, s.title,
             s.description, s.remediation, s.categories, s.base, least(s.base * t.factor, 0.99), $2, $3
         from stage s join verdict v using (id) join target t on t.no = s.asset_no where v.action = 'N'",
    )
    .bind(run.tenant)
    .bind(run.now)
    .bind(run.report)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "insert into occurrence (tenant_id, scan_id, finding_id, report_id, content_hash, severity, count,
             attack_success_rate, locations, evidence, first_seen)
         select $1, v.scan_id, v.finding_id, $3, s.content, s.severity, s.count, s.asr, s.locations, s.evidence, $2
         from stage s join verdict v using (id) where not v.known",
    )
    .bind(run.tenant)
    .bind(run.now)
    .bind(run.report)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "update occurrence o set report_id = $2, content_hash = s.content, severity = s.severity, count = s.count,
             attack_success_rate = s.asr, locations = s.locations, evidence = s.evidence, absent_since = null
         from stage s join verdict v using (id)
         where o.tenant_id = $1 and o.scan_id = v.scan_id and o.finding_id = v.finding_id and v.known and not v.same",
    )
    .bind(run.tenant)
    .bind(run.report)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "update finding f set layer = s.layer, severity = s.severity, score = s.score, attack_success_rate = s.asr,
             rule = s.rule, title = s.title, description = s.description, remediation = s.remediation,
             categories = s.categories, base_risk = s.base, risk = least(s.base * a.risk_factor, 0.99),
             active = true, resolved_at = null
         from stage s join verdict v using (id), asset a
         where f.tenant_id = $1 and f.id = v.finding_id and v.action in ('U', 'R')
           and a.tenant_id = $1 and a.id = f.asset_id
           -- A statement that something is no problem (VEX) decides on it, and a report of hits alone has less to say
           -- than the whole one: the scan that found it describes it.
           and not ((s.origin is not null or not $2) and exists (select from occurrence o
               where o.tenant_id = $1 and o.finding_id = f.id and o.scan_id <> v.scan_id and o.absent_since is null))",
    )
    .bind(run.tenant)
    .bind(complete)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "insert into finding_event (tenant_id, finding_id, id, at, kind, actor, summary, report_id)
         select $1, finding_id, id, $2,
             case when action = 'R' then 'REOPENED' when known then 'UPDATED' else 'REPORTED' end, $3,
             case when action = 'R' then 'Reported again' when known then 'The report says something else of it'
                  else 'Reported by another scan too' end, $4
         from verdict where action in ('U', 'R')",
    )
    .bind(run.tenant)
    .bind(run.now)
    .bind(run.tool)
    .bind(run.report)
    .execute(tx.conn())
    .await?;
    sqlx::query("create temporary table gone (finding_id uuid not null) on commit drop").execute(tx.conn()).await?;
    Ok(())
}

/// Resolves what this report's scans no longer report and no other scan does. Other scans of the tool on these assets no
/// longer report what this run evaluated by one of `rules` without finding it. Returns how many.
async fn absent(tx: &mut TenantTx, run: &Run<'_>, rules: &[String]) -> Result<i32> {
    sqlx::query(
        "with absent as (
             update occurrence o set absent_since = $2
             where o.tenant_id = $1 and o.absent_since is null
               and o.scan_id = any(array(select distinct scan_id from target where scan_id is not null))
               and not exists (select from verdict v where v.scan_id = o.scan_id and v.finding_id = o.finding_id)
             returning o.finding_id
         )
         insert into gone select distinct finding_id from absent",
    )
    .bind(run.tenant)
    .bind(run.now)
    .execute(tx.conn())
    .await?;
    if !rules.is_empty() {
        let rules: Vec<_> = rules.iter().map(|rule| super::stage::clean(rule)).collect();
        sqlx::query(
            "with absent as (
                 update occurrence o set absent_since = $2 from finding f
                 where o.tenant_id = $1 and o.absent_since is null
                   and o.scan_id = any(array(select s.id from scan s join target t on t.said_id = s.asset_id
                       where s.tenant_id = $1 and s.tool = $3 and t.scan_id is not null))
                   and f.tenant_id = $1 and f.id = o.finding_id and f.rule = any($4)
                   and not exists (select from verdict v where v.finding_id = o.finding_id)
                 returning o.finding_id
             )
             insert into gone select distinct finding_id from absent",
        )
        .bind(run.tenant)
        .bind(run.now)
        .bind(run.tool)
        .bind(rules)
        .execute(tx.conn())
        .await?;
    }
    const RESOLVE: &str = concat!(
        "with resolved as (
             update finding f set active = false, resolved_at = $2
             where f.tenant_id = $1 and f.id = any(array(select finding_id from gone)) and f.active
               and not exists (select from occurrence o
                   where o.tenant_id = $1 and o.finding_id = f.id and o.absent_since is null)
             returning f.id
         )
         insert into finding_event (tenant_id, finding_id, id, at, kind, actor, summary, report_id)
         select $1, id, ",
        fresh_id!("$5"),
        ", $2, 'RESOLVED', $3, 'No longer reported', $4 from resolved"
    );
    let events = sqlx::query(RESOLVE)
        .bind(run.tenant)
        .bind(run.now)
        .bind(run.tool)
        .bind(run.report)
        .bind(&run.prefix)
        .execute(tx.conn())
        .await?;
    Ok(i32::try_from(events.rows_affected()).unwrap_or(i32::MAX))
}

/// Suppressions that the report carries become decisions with an origin, unless a person has decided on the finding; a
/// suppression that the tool no longer reports is lifted.
async fn suppressions(tx: &mut TenantTx, run: &Run<'_>) -> Result<()> {
    const LIFT: &str = concat!(
        "with lifted as (
             update decision d set undone_at = $2 from finding f, verdict v
             where d.tenant_id = $1 and d.origin is not null and d.undone_at is null and d.decided_by = $3
               and f.tenant_id = $1 and f.decision_id = d.id and v.finding_id = f.id and not v.suppressed
             returning d.finding_id
         ), noted as (
             insert into finding_event (tenant_id, finding_id, id, at, kind, actor, summary, report_id)
             select $1, finding_id, ",
        fresh_id!("$5"),
        ", $2, 'UNDONE', $3, 'No longer suppressed in the source', $4 from lifted
         )
         update finding f set decision_id = null, decision_kind = null from lifted
         where f.tenant_id = $1 and f.id = lifted.finding_id"
    );
    const SUPPRESS: &str = concat!(
        "with made as (
             insert into decision (tenant_id, id, finding_id, kind, reason, origin, decided_by, decided_at)
             select $1, ",
        fresh_id!("$5"),
        ", f.id, 'FALSE_POSITIVE', s.reason, s.origin, $3, $2
             from stage s join verdict v using (id) join finding f on f.tenant_id = $1 and f.id = v.finding_id
             where s.origin is not null and f.decision_id is null
               and not exists (select from decision d
                   where d.tenant_id = $1 and d.finding_id = f.id and d.origin is null and d.undone_at is null)
             returning id, finding_id, origin
         ), noted as (
             insert into finding_event (tenant_id, finding_id, id, at, kind, actor, summary, report_id)
             select $1, finding_id, ",
        fresh_id!("$5"),
        ", $2, 'DECIDED', $3, 'Suppressed in the source: ' || left(origin, 200), $4 from made
         )
         update finding f set decision_id = made.id, decision_kind = 'FALSE_POSITIVE' from made
         where f.tenant_id = $1 and f.id = made.finding_id"
    );
    for statement in [LIFT, SUPPRESS] {
        sqlx::query(AssertSqlSafe(statement))
            .bind(run.tenant)
            .bind(run.now)
            .bind(run.tool)
            .bind(run.report)
            .bind(&run.prefix)
            .execute(tx.conn())
            .await?;
    }
    Ok(())
}

/// Notes which completeness checks the run makes fresh.
async fn assessments(tx: &mut TenantTx, run: &Run<'_>, info: &RunInfo, assessed: &[Uuid]) -> Result<()> {
    sqlx::query!(
        "insert into assessment (tenant_id, asset_id, check_id, last_at, source)
         select $1, asset_id, check_id, $4, $5
         from (select distinct a from unnest($2::uuid[]) a) a(asset_id),
              (select distinct c from unnest($3::text[]) c) c(check_id)
         order by asset_id, check_id
         on conflict (tenant_id, asset_id, check_id) do update
         set last_at = greatest(assessment.last_at, excluded.last_at), source = excluded.source",
        run.tenant,
        assessed,
        &info.checks,
        run.now,
        run.tool,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn count(tx: &mut TenantTx) -> Result<Counts> {
    let row = sqlx::query(
        "select count(*) filter (where action = 'N')::int4 as new, count(*) filter (where action = 'U')::int4 as updated,
                count(*) filter (where action = 'R')::int4 as reopened, count(*) filter (where action = '=')::int4 as unchanged
         from verdict",
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(Counts {
        new: row.try_get("new")?,
        updated: row.try_get("updated")?,
        reopened: row.try_get("reopened")?,
        unchanged: row.try_get("unchanged")?,
        ..Counts::default()
    })
}
