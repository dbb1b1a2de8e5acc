//! Clocks: pausing them, and noticing that they ran out.

use super::{
    domain::{Entry, IncidentClock, MAX_TEXT},
    repo, service,
};
use crate::{
    kernel::{Ctx, Db, Error, Permission, Result, text},
    live,
    notify::Topic,
};
use serde_json::json;
use stance_shared::{ClockKind, EntryKind, IncidentId};

/// Clocks that one transaction notices.
const BATCH: i64 = 100;

/// Notices clocks that ran out: each once, in the timeline and to whoever wants to know.
///
/// # Errors
/// When the database fails; then nothing was noticed.
pub async fn watch(db: &Db, ctx: &Ctx) -> Result<usize> {
    let mut noticed = 0;
    loop {
        let mut tx = db.begin(ctx, Permission::IncidentWrite).await?;
        let due = repo::breach(&mut tx, BATCH).await?;
        if due.is_empty() {
            return Ok(noticed);
        }
        noticed += due.len();
        for clock in due {
            let missed = clock.kind.label().to_lowercase();
            let line = format!("The time to {missed} ran out at {}", clock.due_at.format("%Y-%m-%d %H:%M UTC"));
            let line = if clock.kind == ClockKind::Article73 {
                line.replace("time to article 73 report", "deadline of Article 73")
            } else {
                line
            };
            let evidence = Some(json!({ "clock": clock.kind, "due": clock.due_at, "target": clock.target }));
            let key = format!("breach:{}:{}", clock.kind, clock.due_at.timestamp());
            let entry = Entry { kind: EntryKind::Clock, text: &line, evidence, key: Some(&key) };
            service::note(&mut tx, clock.incident, entry).await?;
            let title = format!("INC-{}: {line}", clock.number);
            service::tell(&mut tx, Topic::SlaBreached, clock.severity, clock.incident, &title, &clock.title, &key)
                .await?;
        }
        tx.commit().await?;
    }
}

/// Stops a clock for the time being, with a reason: what is waited for is not in our hands.
///
/// # Errors
/// `FORBIDDEN`; `NOT_FOUND`; `CONFLICT` when it does not run; `BAD_INPUT` without a reason, or for the clock of Article 73, which no reason
/// stops.
pub async fn pause(
    db: &Db,
    ctx: &Ctx,
    incident: IncidentId,
    kind: ClockKind,
    reason: &str,
) -> Result<Vec<IncidentClock>> {
    let reason = text::lines("reason", reason, MAX_TEXT)?;
    if reason.is_empty() {
        return Err(Error::field("reason", "must say what is waited for"));
    }
    if kind == ClockKind::Article73 {
        return Err(Error::field(
            "kind",
            "must be TRIAGE, CONTAIN or RESOLVE; the deadline of Article 73 can not be paused",
        ));
    }
    change(db, ctx, incident, kind, true, &reason).await
}

/// Lets a paused clock go on; it is due as much later as it was paused.
///
/// # Errors
/// `FORBIDDEN`; `NOT_FOUND`; `CONFLICT` when it is not paused.
pub async fn resume(db: &Db, ctx: &Ctx, incident: IncidentId, kind: ClockKind) -> Result<Vec<IncidentClock>> {
    change(db, ctx, incident, kind, false, "").await
}

async fn change(
    db: &Db,
    ctx: &Ctx,
    incident: IncidentId,
    kind: ClockKind,
    pause: bool,
    reason: &str,
) -> Result<Vec<IncidentClock>> {
    let mut tx = db.begin(ctx, Permission::IncidentWrite).await?;
    repo::lock(&mut tx, incident).await?;
    if !repo::pause_clock(&mut tx, incident, kind, pause).await? {
        let state = if pause { "does not run" } else { "is not paused" };
        return Err(Error::conflict(format!("The clock {kind} {state}.")));
    }
    let (by, what) = (ctx.actor.label(), kind.label().to_lowercase());
    let line = if pause {
        format!("{by} paused the clock ({what}): {reason}")
    } else {
        format!("{by} let the clock go on ({what})")
    };
    let line = line.chars().take(MAX_TEXT).collect::<String>();
    let entry = Entry { kind: EntryKind::Clock, text: &line, evidence: Some(json!({ "clock": kind })), key: None };
    service::note(&mut tx, incident, entry).await?;
    live::notify(&mut tx, live::Topic::Incident, incident.0).await?;
    let clocks = repo::clocks(&mut tx, &[incident]).await?;
    let action = if pause { "incident.clock_paused" } else { "incident.clock_resumed" };
    service::record(&mut tx, action, incident, json!({ "clock": kind, "reason": reason })).await?;
    tx.commit().await?;
    Ok(clocks)
}
