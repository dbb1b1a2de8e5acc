//! Correlation: what is new is held against the rules, and what belongs together becomes one incident.
//!
//! One transaction per organization: what was seen and what came of it stand or fall together, so a fact is counted once however often the
//! job dies and whoever else runs it. Two at once wait for each other at the organization's state. Events are never looked at one by
//! one; of runs, findings and labels only those come out of the database that fit a rule and that it has not taken yet.

use super::{
    correlate_repo::{self as repo, Fact, FindingRule, Taken},
    domain::{Entry, Item, MAX_ITEMS, Opening, Origin},
    service,
};
use crate::{
    audit,
    kernel::{Actor, Ctx, Db, Error, Permission, Result, TenantTx},
    runtime::event_time,
};
use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use stance_engine::correlation::{self, Fits, Group, Rule, ripe};
use stance_shared::{AssetId, EntryKind, FindingId, IncidentId};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// How far back runs, findings and labels are looked at that no incident took.
const LOOKBACK_DAYS: i64 = 30;
/// A write takes less; what was received earlier was seen by the last look.
const SLOWEST_WRITE_MINUTES: i64 = 15;
/// The merge of a very large report takes less.
const SLOWEST_MERGE_HOURS: i64 = 2;

/// A rule as it is in force in an organization.
#[derive(Clone, Debug)]
pub struct InForce {
    pub rule: &'static Rule,
    pub enabled: bool,
    /// The rule's own, or the organization's.
    pub threshold: i64,
}

/// Holds what is new against the rules; returns how many incidents were opened.
///
/// # Errors
/// When the database fails; then nothing of it counts as seen.
pub async fn run(db: &Db, ctx: &Ctx) -> Result<usize> {
    let ctx = Ctx { actor: Actor::System { label: "correlation".to_owned() }, ..ctx.clone() };
    let mut tx = db.begin(&ctx, Permission::IncidentWrite).await?;
    let state = repo::lock_state(&mut tx).await?;
    let rules: Vec<InForce> = in_force(&mut tx).await?.into_iter().filter(|rule| rule.enabled).collect();
    let long_ago = ctx.now() - Duration::days(LOOKBACK_DAYS);
    let since = state.ran_at.map_or(long_ago, |at| at - Duration::minutes(SLOWEST_WRITE_MINUTES));
    let counted = repo::count_events(&mut tx, &event_rules(&rules), state.snapshot.as_deref(), since).await?;
    let mut opened = 0;
    if !counted.rules.is_empty() {
        grow(&mut tx, &counted.rules, &counted.keys).await?;
        for rule in &rules {
            if matches!(rule.rule.fits, Fits::Events(_)) {
                let touched = counted.rules.iter().zip(&counted.keys).filter(|(id, _)| **id == rule.rule.id);
                let keys: Vec<String> = touched.map(|(_, key)| key.clone()).collect();
                opened += open_ripe(&mut tx, rule, &keys).await?;
            }
        }
    }
    let merged = state.ran_at.map_or(long_ago, |at| at - Duration::hours(SLOWEST_MERGE_HOURS));
    for rule in &rules {
        let facts = facts(&mut tx, rule, long_ago, merged).await?;
        opened += take_facts(&mut tx, rule, facts).await?;
        if let Fits::Spend(spend) = &rule.rule.fits {
            let over =
                repo::spending(&mut tx, &rule.rule.id, rule.rule.window_minutes, rule.threshold, spend.times_usual)
                    .await?;
            for (agent, tokens) in over {
                let what = format!("{tokens} tokens within {} minutes.", rule.rule.window_minutes);
                opened += open(&mut tx, rule, &agent.to_string(), &what, vec![Item::Asset(agent)], None).await?;
            }
        }
    }
    let longest = correlation::rules().iter().map(|rule| rule.window_minutes).max().unwrap_or(0);
    repo::forget(&mut tx, ctx.now() - Duration::minutes(i64::from(longest)) - Duration::days(1)).await?;
    repo::set_state(&mut tx, &counted.snapshot).await?;
    tx.commit().await?;
    Ok(opened)
}

/// All rules with what the organization changed of them.
pub(super) async fn in_force(tx: &mut TenantTx) -> Result<Vec<InForce>> {
    let settings = repo::settings(tx).await?;
    Ok(correlation::rules()
        .iter()
        .map(|rule| {
            let setting = settings.iter().find(|setting| setting.rule == rule.id);
            InForce {
                rule,
                enabled: setting.is_none_or(|setting| setting.enabled),
                threshold: setting.and_then(|setting| setting.threshold).unwrap_or(rule.threshold),
            }
        })
        .collect())
}

/// The rules as they are in force.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn rules(db: &Db, ctx: &Ctx) -> Result<Vec<InForce>> {
    in_force(&mut db.begin(ctx, Permission::IncidentRead).await?).await
}

/// Turns a rule on or off in the organization, or gives it another threshold (`None`: its own).
///
/// # Errors
/// `FORBIDDEN` without `policy:write`; `NOT_FOUND`; `BAD_INPUT` naming the field; or when the database fails.
pub async fn set_rule(db: &Db, ctx: &Ctx, id: &str, enabled: bool, threshold: Option<i64>) -> Result<InForce> {
    let rule = correlation::rule(id).ok_or_else(|| Error::not_found("correlation rule"))?;
    if threshold.is_some_and(|threshold| !(1..=1_000_000_000).contains(&threshold)) {
        return Err(Error::field("threshold", "must be 1 to 1,000,000,000"));
    }
    let mut tx = db.begin(ctx, Permission::PolicyWrite).await?;
    repo::set_setting(&mut tx, &repo::Setting { rule: id.to_owned(), enabled, threshold }).await?;
    let detail = json!({ "enabled": enabled, "threshold": threshold });
    let entry =
        audit::Entry { action: "correlation.set", target_kind: "correlation_rule", target_id: id.to_owned(), detail };
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(InForce { rule, enabled, threshold: threshold.unwrap_or(rule.threshold) })
}

/// What the counting statement needs of the rules on events.
fn event_rules(rules: &[InForce]) -> Value {
    rules
        .iter()
        .filter_map(|rule| match &rule.rule.fits {
            Fits::Events(events) => Some(json!({
                "id": rule.rule.id, "by": rule.rule.group.as_str(), "kinds": events.kinds, "verdicts": events.verdicts,
                "min_score": events.min_score, "detections": events.detections.iter().map(|d| d.replace(".*", ".%")).collect::<Vec<_>>(),
            })),
            _ => None,
        })
        .collect()
}

/// Gives new events to the incidents that are open for their group.
async fn grow(tx: &mut TenantTx, rules: &[String], keys: &[String]) -> Result<()> {
    for grown in repo::grow(tx, rules, keys).await? {
        service::add(tx, grown.incident, &samples(&grown.samples), Some(&grown.rule)).await?;
        // The timeline tells how it grows, by the power of ten.
        let mut step = 100;
        while step <= grown.events {
            if grown.events - grown.taken < step {
                let key = format!("events:{step}");
                let line = format!("{step} events and more belong to it");
                let entry = Entry { kind: EntryKind::Runtime, text: &line, evidence: None, key: Some(&key) };
                service::note(tx, grown.incident, entry).await?;
            }
            step *= 10;
        }
        observe_lag(grown.lag_us);
        service::changed(tx, grown.incident).await?;
    }
    Ok(())
}

fn samples(ids: &[Uuid]) -> Vec<Item> {
    ids.iter().map(|id| Item::Event { id: *id, at: event_time(*id) }).collect()
}

fn observe_lag(micros: i64) {
    #[expect(clippy::cast_precision_loss, reason = "a measurement")]
    metrics::histogram!("stance_correlation_lag_seconds").record(micros as f64 / 1e6);
}

/// Opens incidents for the groups that have enough events.
async fn open_ripe(tx: &mut TenantTx, rule: &InForce, keys: &[String]) -> Result<usize> {
    let mut opened = 0;
    let ripe = repo::ripe(tx, &rule.rule.id, keys, rule.rule.window_minutes, rule.threshold, rule.rule.agents).await?;
    for (key, since) in ripe {
        if let Some(taken) = repo::take(tx, &rule.rule.id, &key, since).await? {
            let what = format!(
                "{} events from {} to {}.",
                taken.count,
                taken.first_at.format("%Y-%m-%d %H:%M:%S"),
                taken.last_at.format("%H:%M:%S UTC")
            );
            let mut items = samples(&taken.samples);
            if rule.rule.group == Group::Session
                && let Ok(session) = key.parse()
            {
                items.push(Item::Session(session));
            }
            opened += open(tx, rule, &key, &what, items, Some(&taken)).await?;
        }
    }
    Ok(opened)
}

async fn facts(tx: &mut TenantTx, rule: &InForce, long_ago: DateTime<Utc>, merged: DateTime<Utc>) -> Result<Vec<Fact>> {
    let id = rule.rule.id.as_str();
    match &rule.rule.fits {
        Fits::Events(_) | Fits::Spend(_) => Ok(Vec::new()),
        Fits::Runs(runs) => repo::runs(tx, id, rule.rule.group == Group::Agent, &runs.sequences, long_ago).await,
        Fits::Labels(labels) => {
            let verdicts: Vec<&str> = labels.verdicts.iter().map(|verdict| verdict.as_str()).collect();
            repo::labels(tx, id, &labels.label, &verdicts, long_ago).await
        }
        Fits::Findings(findings) => {
            let looked_at = FindingRule {
                id,
                by_asset: rule.rule.group == Group::Asset,
                rules: &findings.rules,
                severities: findings.severities.iter().map(|severity| severity.rank()).collect(),
                layers: findings.layers.iter().map(|layer| layer.as_str()).collect(),
                asset_kinds: findings.asset_kinds.iter().map(|kind| kind.as_str()).collect(),
                categories: &findings.categories,
            };
            // What is too little by itself may become enough with what comes.
            let since = if rule.threshold > 1 { long_ago } else { merged };
            repo::findings(tx, &looked_at, since).await
        }
    }
}

/// Gives facts to the incidents of their groups, and opens one where there are enough within the window.
async fn take_facts(tx: &mut TenantTx, rule: &InForce, facts: Vec<Fact>) -> Result<usize> {
    let mut groups: BTreeMap<String, Vec<Fact>> = BTreeMap::new();
    for fact in facts {
        groups.entry(fact.key.clone()).or_default().push(fact);
    }
    let mut opened = 0;
    for (key, facts) in groups {
        let times: Vec<i64> = facts.iter().map(|fact| fact.at.timestamp()).collect();
        let open_already = super::repo::key_holder(tx, &dedup_key(rule, &key)).await?;
        if open_already.is_none() && ripe(&times, rule.rule.window_minutes, rule.threshold).is_none() {
            continue;
        }
        let (one, many) = match &rule.rule.fits {
            Fits::Runs(_) => ("run", "runs"),
            Fits::Findings(_) => ("finding", "findings"),
            _ => ("labelled event", "labelled events"),
        };
        let what = format!("{} {}.", facts.len(), if facts.len() == 1 { one } else { many });
        let mut items: Vec<Item> = facts.iter().map(|fact| item(rule.rule, fact)).collect();
        let rest = items.split_off(items.len().min(MAX_ITEMS));
        if let Some(incident) = open_already {
            if service::add(tx, incident, &items, Some(&rule.rule.id)).await? > 0 {
                service::changed(tx, incident).await?;
            }
        } else {
            opened += open(tx, rule, &key, &what, items, None).await?;
        }
        // More than fit into one act are taken by the next look.
        drop(rest);
    }
    Ok(opened)
}

fn item(rule: &Rule, fact: &Fact) -> Item {
    match &rule.fits {
        Fits::Runs(_) => Item::Session(fact.id),
        Fits::Findings(_) => Item::Finding(FindingId(fact.id)),
        _ => Item::Event { id: fact.id, at: fact.at },
    }
}

fn dedup_key(rule: &InForce, key: &str) -> String {
    format!("correlation:{}:{key}", rule.rule.id)
}

/// Opens the incident of a group; gives 1, or 0 when it is open already.
async fn open(
    tx: &mut TenantTx,
    rule: &InForce,
    key: &str,
    what: &str,
    items: Vec<Item>,
    taken: Option<&Taken>,
) -> Result<usize> {
    let mut ids: Vec<Uuid> = key.parse().into_iter().collect();
    ids.extend(items.iter().filter_map(|item| if let Item::Asset(AssetId(id)) = item { Some(*id) } else { None }));
    let names: HashMap<Uuid, String> = repo::names(tx, &ids).await?.into_iter().collect();
    let name = ids.iter().find_map(|id| names.get(id)).map_or("an agent", String::as_str);
    // Names of assets come from outside, and are as long as they are.
    let name: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(150).collect();
    let opening = Opening {
        title: &rule.rule.title.replace("{name}", &name),
        summary: &format!("{} {what}", rule.rule.description),
        severity: rule.rule.severity,
        opened_by: Origin::Rule { id: rule.rule.id.clone(), version: rule.rule.version, key: key.to_owned() },
        dedup_key: Some(&dedup_key(rule, key)),
        items,
    };
    let incident = service::open(tx, opening).await?;
    if let Some(taken) = taken {
        observe_lag(repo::give(tx, incident.id, taken).await?);
    }
    told(tx, incident.id, what).await?;
    Ok(usize::from(incident.new))
}

/// What made the incident, as its first line of what was seen.
async fn told(tx: &mut TenantTx, incident: IncidentId, what: &str) -> Result<()> {
    let line = format!("Correlated: {what}");
    service::note(
        tx,
        incident,
        Entry { kind: EntryKind::Runtime, text: &line, evidence: None, key: Some("correlated") },
    )
    .await
}
