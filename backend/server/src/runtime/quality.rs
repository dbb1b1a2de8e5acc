//! How good the guardrail is, as far as people said so.

use super::policies::Verdicts;
use crate::kernel::{Ctx, Db, Error, Permission, Result};
use chrono::Duration;
use stance_engine::rate::{Rate, wilson};
use stance_shared::{Channel, PolicyId, Verdict};

/// A policy's whole, in the place of a rule.
pub const ALL: &str = "*";

/// How often a policy's detector spoke, and how often it was right.
#[derive(Clone, Debug)]
pub struct Quality {
    /// `None`: the built-in preset.
    pub policy: Option<PolicyId>,
    /// [`ALL`]: the policy as a whole.
    pub rule: String,
    pub reason: String,
    /// Events of the policy, or with a hit of the rule.
    pub events: i64,
    pub blocked: i64,
    /// Labelled attacks that were not simply allowed.
    pub right: i64,
    /// Labelled harmless and not simply allowed.
    pub wrong: i64,
    /// Labelled attacks that were allowed: bypasses. Of the policy as a whole only, since no rule spoke.
    pub missed: i64,
    /// Of what was not simply allowed, the share that was an attack.
    pub precision: Option<Rate>,
    /// Of labelled attacks, the share that was not simply allowed.
    pub recall: Option<Rate>,
}

/// The detectors of the last `days`, 1 to 400: policies as a whole first, then the busiest detectors, at most 200.
///
/// # Errors
/// `FORBIDDEN`; `BAD_INPUT` naming `days`; or when the database fails.
pub async fn quality(db: &Db, ctx: &Ctx, days: i32) -> Result<Vec<Quality>> {
    if !(1..=400).contains(&days) {
        return Err(Error::field("days", "must be 1 to 400"));
    }
    let since = ctx.now() - Duration::days(i64::from(days));
    let mut tx = db.begin(ctx, Permission::EventRead).await?;
    let rows = sqlx::query!(
        r#"with counted as (
               select policy_id, '*' as rule, sum(count)::bigint as events, coalesce(sum(count) filter (where verdict = 'BLOCK'), 0)::bigint as blocked
               from event_count where bucket >= $1 group by 1
               union all
               select policy_id, rule, sum(count)::bigint, coalesce(sum(count) filter (where verdict = 'BLOCK'), 0)::bigint
               from detection_count where bucket >= $1 group by 1, 2
           ), said as (
               select coalesce(f.policy_id, '00000000-0000-0000-0000-000000000000') as policy_id, r.rule,
                   count(*) filter (where f.label = 'ATTACK' and f.verdict <> 'ALLOW') as hits,
                   count(*) filter (where f.label = 'HARMLESS' and f.verdict <> 'ALLOW') as wrong,
                   count(*) filter (where f.label = 'ATTACK' and f.verdict = 'ALLOW') as missed
               from event_feedback f cross join lateral (select '*' union select unnest(f.rules)) r(rule)
               where f.event_at >= $1 group by 1, 2
           )
           select c.policy_id as "policy!: PolicyId", c.rule as "rule!", c.events as "events!", c.blocked as "blocked!",
               coalesce(s.hits, 0) as "hits!", coalesce(s.wrong, 0) as "wrong!", coalesce(s.missed, 0) as "missed!",
               (select p.reason from runtime_pattern p where p.rule = c.rule limit 1) as reason
           from counted c left join said s on s.policy_id = c.policy_id and s.rule = c.rule
           order by c.rule <> '*', c.events desc, c.rule limit 200"#,
        since
    )
    .fetch_all(tx.conn())
    .await?;
    let count = |n: i64| u64::try_from(n).unwrap_or_default();
    Ok(rows
        .into_iter()
        .map(|row| Quality {
            policy: Some(row.policy).filter(|id| !id.0.is_nil()),
            reason: row.reason.unwrap_or_default(),
            events: row.events,
            blocked: row.blocked,
            right: row.hits,
            wrong: row.wrong,
            missed: row.missed,
            precision: wilson(count(row.hits), count(row.hits + row.wrong)),
            recall: (row.rule == ALL).then(|| wilson(count(row.hits), count(row.hits + row.missed))).flatten(),
            rule: row.rule,
        })
        .collect())
}

/// What other thresholds would have said of stored scores.
#[derive(Clone, Debug)]
pub struct Replay {
    pub events: i64,
    pub before: Verdicts,
    pub after: Verdicts,
    /// Of labelled events under the other thresholds.
    pub precision: Option<Rate>,
    pub recall: Option<Rate>,
}

/// Judges the scores of the last `hours` (1 to 720) by other thresholds. What was redacted or judged by rules of the policy keeps its
/// verdict: that is no matter of a threshold.
///
/// # Errors
/// `FORBIDDEN`; `BAD_INPUT` naming the field; or when the database fails.
pub async fn replay(db: &Db, ctx: &Ctx, channel: Option<Channel>, flag: f64, block: f64, hours: i32) -> Result<Replay> {
    if !(0.0..=1.0).contains(&flag) || !(0.0..=1.0).contains(&block) || flag > block {
        return Err(Error::field("flag", "flag and block must be 0 to 1, flag at most block"));
    }
    if !(1..=720).contains(&hours) {
        return Err(Error::field("hours", "must be 1 to 720"));
    }
    let since = ctx.now() - Duration::hours(i64::from(hours));
    let mut tx = db.begin(ctx, Permission::EventRead).await?;
    let rows = sqlx::query!(
        r#"with judged as (
               select e.verdict, f.label,
                   case when e.verdict = 'REDACT' or e.detections @> '[{"version": "stance-policy/1"}]' then e.verdict
                        when e.score >= $3 then 'BLOCK' when e.score >= $2 then 'FLAG' else 'ALLOW' end as later
               from event e left join event_feedback f on f.event_id = e.id
               where e.at >= $1 and ($4::text is null or e.channel = $4)
           )
           select verdict as "verdict!: Verdict", later as "later!: Verdict", label as "label?", count(*) as "count!" from judged group by 1, 2, 3"#,
        since,
        flag as f32,
        block as f32,
        channel.map(Channel::as_str)
    )
    .fetch_all(tx.conn())
    .await?;
    let mut replay = Replay { events: 0, before: [0; 4], after: [0; 4], precision: None, recall: None };
    let (mut right, mut wrong, mut missed) = (0, 0, 0);
    for row in rows {
        replay.events += row.count;
        replay.before[row.verdict as usize] += row.count;
        replay.after[row.later as usize] += row.count;
        let count = u64::try_from(row.count).unwrap_or_default();
        match (row.label.as_deref(), row.later) {
            (Some("ATTACK"), Verdict::Allow) => missed += count,
            (Some("ATTACK"), _) => right += count,
            (Some(_), Verdict::Flag | Verdict::Redact | Verdict::Block) => wrong += count,
            _ => {}
        }
    }
    replay.precision = wilson(right, right + wrong);
    replay.recall = wilson(right, right + missed);
    Ok(replay)
}
