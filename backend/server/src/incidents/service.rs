//! What other slices do with incidents, in their own transaction: effect, record and audit stand or fall together.

use super::{
    domain::{
        Entry, Facts, IncidentClock, Item, MAX_ITEMS, MAX_TEXT, Manner, Opened, Opening, Origin, Transition,
        no_such_step, step,
    },
    repo,
};
use crate::{
    audit,
    jobs::{Job, Queue},
    kernel::{Error, Permission, Result, TenantTx, text},
    live,
    notify::{self, Topic},
};
use chrono::Duration;
use serde_json::{Value, json};
use stance_engine::sla;
use stance_shared::{ClockKind, EntryKind, IncidentId, IncidentStatus, Severity, TypedId as _};
use uuid::Uuid;

/// Opens an incident, or gives the open one that holds the key; that one gets the items.
///
/// # Errors
/// `FORBIDDEN` without `incident:write`; `BAD_INPUT` naming the field; or when the database fails.
pub async fn open(tx: &mut TenantTx, opening: Opening<'_>) -> Result<Opened> {
    tx.also_require(Permission::IncidentWrite)?;
    let title = text::line("title", opening.title, 300)?;
    let summary = text::lines("summary", opening.summary, MAX_TEXT)?;
    let key = opening.dedup_key.map(|key| text::line("dedupKey", key, 800)).transpose()?;
    check_items(&opening.items)?;
    let id = IncidentId(tx.ctx().new_id());
    if let Some(key) = &key
        && let Some(holder) = take_key(tx, id, key).await?
    {
        attach(tx, holder, &opening.items).await?;
        return Ok(Opened { id: holder, new: false });
    }
    let number = repo::next_number(tx).await?;
    repo::insert(tx, id, number, &title, &summary, opening.severity, &opening.opened_by).await?;
    start_clocks(tx, id, opening.severity).await?;
    let by = tx.ctx().actor.label().to_owned();
    let (line, evidence) = match &opening.opened_by {
        Origin::Rule { id, version, key } => (
            format!("Opened by the correlation rule {id}"),
            Some(json!({ "rule": id, "version": version, "group": key })),
        ),
        Origin::Playbook { run } => ("Opened by a playbook".to_owned(), Some(json!({ "run": run }))),
        Origin::Api => (format!("Opened by {by} through the API"), None),
        Origin::Person => (format!("Opened by {by}"), None),
    };
    note(tx, id, Entry { kind: EntryKind::Status, text: &line, evidence, key: Some("opened") }).await?;
    let rule = match &opening.opened_by {
        Origin::Rule { id, .. } => Some(id.as_str()),
        _ => None,
    };
    add(tx, id, &opening.items, rule).await?;
    changed(tx, id).await?;
    let text = if summary.is_empty() { &line } else { &summary };
    tell(tx, Topic::IncidentOpened, opening.severity, id, &format!("INC-{number}: {title}"), text, "opened").await?;
    let detail =
        json!({ "number": number, "title": title, "severity": opening.severity, "origin": opening.opened_by.as_str() });
    record(tx, "incident.opened", id, detail).await?;
    Ok(Opened { id, new: true })
}

/// Takes the key for an incident about to be made; gives the incident that holds it already.
async fn take_key(tx: &mut TenantTx, id: IncidentId, key: &str) -> Result<Option<IncidentId>> {
    // Between being refused the key and looking who holds it, that one may be closed.
    for _ in 0..5 {
        if repo::take_key(tx, id, key).await? {
            return Ok(None);
        }
        if let Some(holder) = repo::key_holder(tx, key).await? {
            return Ok(Some(holder));
        }
    }
    Err(Error::conflict("dedupKey: its incident was closed and opened again just now. Try again."))
}

async fn start_clocks(tx: &mut TenantTx, id: IncidentId, severity: Severity) -> Result<()> {
    let now = tx.ctx().now();
    let kinds = [ClockKind::Triage, ClockKind::Contain, ClockKind::Resolve];
    let clocks: Vec<IncidentClock> = kinds
        .into_iter()
        .filter_map(|kind| {
            Some(IncidentClock {
                incident: id,
                kind,
                target: sla::version().to_owned(),
                started_at: now,
                due_at: now + Duration::minutes(sla::minutes(severity, kind)?),
                paused_at: None,
                done_at: None,
                breached_at: None,
            })
        })
        .collect();
    repo::insert_clocks(tx, &clocks).await
}

fn check_items(items: &[Item]) -> Result<()> {
    if items.len() > MAX_ITEMS {
        return Err(Error::field("items", format!("must be at most {MAX_ITEMS}")));
    }
    Ok(())
}

/// Adds what the incident is about; returns how much of it is new. What does not exist in this organization is passed over. The agents of
/// events and runs and the assets of findings come with them.
///
/// # Errors
/// `NOT_FOUND` without such an incident; `BAD_INPUT` for more than [`MAX_ITEMS`]; or when the database fails.
pub async fn attach(tx: &mut TenantTx, incident: IncidentId, items: &[Item]) -> Result<usize> {
    check_items(items)?;
    if items.is_empty() {
        return Ok(0);
    }
    repo::lock(tx, incident).await?;
    let added = add(tx, incident, items, None).await?;
    if added > 0 {
        // Its own containments and runs are what playbooks made of it, and nothing new to them.
        if items.iter().any(|item| !matches!(item, Item::Containment(_) | Item::PlaybookRun(_))) {
            changed(tx, incident).await?;
        } else {
            live::notify(tx, live::Topic::Incident, incident.0).await?;
        }
        record(tx, "incident.attached", incident, json!({ "items": added })).await?;
    }
    Ok(added)
}

/// [`attach`] without its announcements. `rule`: the correlation rule that takes the items, which it takes once only.
pub(super) async fn add(tx: &mut TenantTx, incident: IncidentId, items: &[Item], rule: Option<&str>) -> Result<usize> {
    if items.is_empty() {
        return Ok(0);
    }
    let new = repo::add_items(tx, incident, items, rule).await?;
    repo::tell_items(tx, incident, &new).await?;
    if rule.is_none() && new.iter().any(|item| item.kind == "EVENT") {
        // What a rule takes it counts itself, beyond the sample.
        repo::count_events(tx, incident, &new).await?;
    }
    Ok(new.len())
}

/// Adds a line to the timeline, once for each key.
///
/// # Errors
/// `BAD_INPUT` for a text that is empty or too long, or for evidence that is too large; or when the database fails.
pub async fn note(tx: &mut TenantTx, incident: IncidentId, entry: Entry<'_>) -> Result<()> {
    let line = text::lines("text", entry.text, MAX_TEXT)?;
    if line.is_empty() {
        return Err(Error::field("text", format!("must be 1 to {MAX_TEXT} characters")));
    }
    if entry.evidence.as_ref().is_some_and(|value| !value.is_object() || value.to_string().len() > 20_000) {
        return Err(Error::field("evidence", "must be a JSON object of at most 20,000 bytes"));
    }
    if repo::note(tx, incident, entry.kind, &line, entry.evidence.as_ref(), entry.key).await? {
        live::notify(tx, live::Topic::Incident, incident.0).await?;
    }
    Ok(())
}

/// Takes an incident a step along its path. A step to where it is already does nothing, so that a repeated call is harmless.
///
/// # Errors
/// `NOT_FOUND`; `CONFLICT` when the path has no such step, or when it was merged; `BAD_INPUT` when it is closed without root cause and
/// lessons, or reopened without a reason.
pub async fn transition(
    tx: &mut TenantTx,
    incident: IncidentId,
    to: IncidentStatus,
    transition: Transition<'_>,
) -> Result<()> {
    tx.also_require(Permission::IncidentWrite)?;
    let (reason, root_cause, lessons) = transition.check()?;
    let now = repo::lock(tx, incident).await?;
    if now.merged_into.is_some() {
        return Err(Error::conflict("The incident was merged into another one; it goes on there."));
    }
    if now.status == to {
        return Ok(());
    }
    let manner = step(now.status, to).filter(|manner| *manner != Manner::Back);
    let Some(manner) = manner else { return Err(no_such_step(now.status, to)) };
    if to == IncidentStatus::Closed {
        let missing = |field: &str, given: &Option<String>, there: &str| {
            let what = if field == "rootCause" { "the root cause" } else { "what was learned" };
            (given.is_none() && there.is_empty())
                .then(|| Error::field(field, format!("must say {what} before an incident is closed")))
        };
        if let Some(error) =
            missing("rootCause", &root_cause, &now.root_cause).or_else(|| missing("lessons", &lessons, &now.lessons))
        {
            return Err(error);
        }
    }
    if manner == Manner::Reopen && reason.is_empty() {
        return Err(Error::field("reason", "must say why the incident is reopened"));
    }
    let undo = (manner == Manner::Forward && to != IncidentStatus::Closed).then_some(now.status);
    repo::set_status(tx, incident, to, undo, root_cause.as_deref(), lessons.as_deref()).await?;
    settle(tx, incident, to).await?;
    let verb = if manner == Manner::Reopen { "Reopened".to_owned() } else { to.label().to_owned() };
    let by = tx.ctx().actor.label();
    let line = if reason.is_empty() { format!("{verb} by {by}") } else { format!("{verb} by {by}: {reason}") };
    let evidence = Some(json!({ "from": now.status, "to": to }));
    let line = line.chars().take(MAX_TEXT).collect::<String>();
    note(tx, incident, Entry { kind: EntryKind::Status, text: &line, evidence, key: None }).await?;
    changed(tx, incident).await?;
    let title = format!("INC-{} is {}: {}", now.number, to.label().to_lowercase(), now.title);
    tell(tx, Topic::IncidentChanged, now.severity, incident, &title, &line, to.as_str()).await?;
    record(tx, "incident.transitioned", incident, json!({ "from": now.status, "to": to, "reason": reason })).await
}

/// Stops the clocks that the status satisfies, lets the others run on from where they began, and frees or takes its keys.
pub(super) async fn settle(tx: &mut TenantTx, incident: IncidentId, status: IncidentStatus) -> Result<()> {
    let done: &[ClockKind] = match status {
        IncidentStatus::Open => &[],
        IncidentStatus::Triaged => &[ClockKind::Triage],
        IncidentStatus::Contained | IncidentStatus::Eradicated | IncidentStatus::Recovered => {
            &[ClockKind::Triage, ClockKind::Contain]
        }
        IncidentStatus::Closed => &[ClockKind::Triage, ClockKind::Contain, ClockKind::Resolve],
    };
    repo::settle_clocks(tx, incident, done).await?;
    if status == IncidentStatus::Closed {
        repo::release_keys(tx, incident).await
    } else {
        repo::retake_keys(tx, incident).await
    }
}

/// What conditions of playbooks read.
///
/// # Errors
/// `NOT_FOUND`, or when the database fails.
pub async fn facts(tx: &mut TenantTx, incident: IncidentId) -> Result<Facts> {
    let found = repo::by_ids(tx, &[incident]).await?.pop().ok_or_else(|| Error::not_found("incident"))?;
    repo::facts(tx, found).await
}

/// Tells who watches, and who starts playbooks.
pub(super) async fn changed(tx: &mut TenantTx, incident: IncidentId) -> Result<()> {
    live::notify(tx, live::Topic::Incident, incident.0).await?;
    Queue::enqueue(tx, Job::IncidentChanged { incident }).await
}

/// Puts something about an incident into the outbox; `what` tells it from what else there is to tell of this incident.
pub(super) async fn tell(
    tx: &mut TenantTx,
    topic: Topic,
    severity: Severity,
    incident: IncidentId,
    title: &str,
    text: &str,
    what: &str,
) -> Result<()> {
    let notice = notify::Notice {
        topic,
        severity,
        title,
        text,
        link: &format!("/incidents/{}:{incident}", IncidentId::NOUN),
        permission: Permission::IncidentRead,
        subject: incident.0,
        key: &format!("incident:{incident}:{what}"),
    };
    notify::emit(tx, notice).await
}

pub(super) async fn record(tx: &mut TenantTx, action: &str, incident: IncidentId, detail: Value) -> Result<()> {
    let entry = audit::Entry { action, target_kind: IncidentId::NOUN, target_id: incident.to_string(), detail };
    audit::record(tx, entry).await
}

/// Ids as the database takes them.
pub(super) fn uuids(ids: &[IncidentId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.0).collect()
}
