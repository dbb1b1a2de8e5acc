//! What people do with incidents.

use super::{
    domain::{Entry, Incident, Item, MAX_TEXT, Opened, Opening, Transition},
    more_repo as rows, repo, service,
    service::{note, record},
};
use crate::{
    identity,
    kernel::{Ctx, Db, Error, Kind, Permission, Result, TenantTx, text},
    live::{self, Topic},
};
use chrono::{DateTime, Duration, Utc};
use serde_json::{Map, Value, json};
use stance_engine::sla;
use stance_shared::{ClockKind, EntryKind, IncidentId, IncidentStatus, SeriousKind, Severity, UserId};

/// Incidents that one call merges.
pub const MAX_MERGE: usize = 20;
const MAX_LINKS: i64 = 50;

/// Opens an incident, see [`service::open`].
///
/// # Errors
/// As [`service::open`].
pub async fn open(db: &Db, ctx: &Ctx, opening: Opening<'_>) -> Result<Opened> {
    let mut tx = db.begin(ctx, Permission::IncidentWrite).await?;
    let opened = service::open(&mut tx, opening).await?;
    tx.commit().await?;
    Ok(opened)
}

/// Takes an incident a step along its path, see [`service::transition`].
///
/// # Errors
/// As [`service::transition`].
pub async fn transition(db: &Db, ctx: &Ctx, id: IncidentId, to: IncidentStatus, with: Transition<'_>) -> Result<()> {
    let mut tx = db.begin(ctx, Permission::IncidentWrite).await?;
    service::transition(&mut tx, id, to, with).await?;
    tx.commit().await
}

/// Takes the last change of status back. Clocks that it had stopped run on from where they began.
///
/// # Errors
/// `CONFLICT` when there is nothing to take back: what was closed is reopened, with a reason.
pub async fn undo(db: &Db, ctx: &Ctx, id: IncidentId) -> Result<()> {
    let mut tx = db.begin(ctx, Permission::IncidentWrite).await?;
    let now = repo::lock(&mut tx, id).await?;
    let Some(back) = now.undo else {
        return Err(Error::conflict(
            "There is no change of status that could be taken back. A closed incident is reopened.",
        ));
    };
    repo::set_status(&mut tx, id, back, None, None, None).await?;
    service::settle(&mut tx, id, back).await?;
    let line = format!("{} took back “{}”", ctx.actor.label(), now.status.label());
    let evidence = Some(json!({ "from": now.status, "to": back }));
    note(&mut tx, id, Entry { kind: EntryKind::Status, text: &line, evidence, key: None }).await?;
    done(&mut tx, id, "incident.undone", json!({ "from": now.status, "to": back })).await?;
    tx.commit().await
}

/// Ends an act: tells who watches, and writes it down.
async fn done(tx: &mut TenantTx, id: IncidentId, action: &str, detail: Value) -> Result<()> {
    service::changed(tx, id).await?;
    record(tx, action, id, detail).await
}

/// What of an incident is to be another. `None` leaves as it is.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub title: Option<String>,
    pub summary: Option<String>,
    pub severity: Option<Severity>,
    /// `Some(None)` takes the assignee away.
    pub assignee: Option<Option<UserId>>,
    pub root_cause: Option<String>,
    pub lessons: Option<String>,
}

/// Changes an incident. With the severity its targets change, counted from when it was opened.
///
/// # Errors
/// `BAD_INPUT` naming the field; `NOT_FOUND`; `FORBIDDEN`.
pub async fn update(db: &Db, ctx: &Ctx, id: IncidentId, change: Change) -> Result<()> {
    let title = change.title.map(|title| text::line("title", &title, 300)).transpose()?;
    let lines = |field, value: Option<String>| value.map(|value| text::lines(field, &value, MAX_TEXT)).transpose();
    let summary = lines("summary", change.summary)?;
    let root_cause = lines("rootCause", change.root_cause)?;
    let lessons = lines("lessons", change.lessons)?;
    if let Some(Some(user)) = change.assignee
        && identity::members::people(db, ctx, &[user]).await?.is_empty()
    {
        return Err(Error::field("assignee", "must be a member of this organization"));
    }
    let mut tx = db.begin(ctx, Permission::IncidentWrite).await?;
    let before = repo::lock(&mut tx, id).await?;
    let after = Incident {
        title: title.unwrap_or_else(|| before.title.clone()),
        summary: summary.unwrap_or_else(|| before.summary.clone()),
        severity: change.severity.unwrap_or(before.severity),
        assignee_id: change.assignee.unwrap_or(before.assignee_id),
        root_cause: root_cause.unwrap_or_else(|| before.root_cause.clone()),
        lessons: lessons.unwrap_or_else(|| before.lessons.clone()),
        ..before.clone()
    };
    if before.status == IncidentStatus::Closed && before.merged_into.is_none() {
        for (field, text) in [("rootCause", &after.root_cause), ("lessons", &after.lessons)] {
            if text.is_empty() {
                return Err(Error::field(field, "must stay: the incident is closed"));
            }
        }
    }
    rows::update(&mut tx, &after).await?;
    let by = ctx.actor.label();
    let mut told = Map::new();
    let mut lines = Vec::new();
    if before.title != after.title {
        lines.push(format!("{by} changed the title from “{}”", before.title));
        told.insert("title".to_owned(), json!(after.title));
    }
    if before.severity != after.severity {
        lines.push(format!("{by} changed the severity from {} to {}", before.severity.label(), after.severity.label()));
        told.insert("severity".to_owned(), json!(after.severity));
        let targets: Vec<(ClockKind, i64)> = [ClockKind::Triage, ClockKind::Contain, ClockKind::Resolve]
            .into_iter()
            .filter_map(|kind| Some((kind, sla::minutes(after.severity, kind)?)))
            .collect();
        rows::retarget_clocks(&mut tx, id, sla::version(), &targets).await?;
    }
    if before.assignee_id != after.assignee_id {
        let people = match after.assignee_id {
            Some(user) => identity::members::people(db, ctx, &[user]).await?,
            None => Vec::new(),
        };
        let name = people.first().map(|person| person.name.clone());
        lines.push(match (name, after.assignee_id) {
            (Some(name), _) => format!("{by} gave it to {name}"),
            (None, Some(_)) => format!("{by} gave it to somebody else"),
            (None, None) => format!("{by} took the assignee away"),
        });
        told.insert("assignee".to_owned(), json!(after.assignee_id));
    }
    for (what, was, is) in [
        ("summary", &before.summary, &after.summary),
        ("root cause", &before.root_cause, &after.root_cause),
        ("lessons", &before.lessons, &after.lessons),
    ] {
        if was != is {
            lines.push(format!("{by} wrote the {what}"));
            told.insert(what.to_owned(), json!(true));
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    for line in &lines {
        note(&mut tx, id, Entry { kind: EntryKind::Decision, text: line, evidence: None, key: None }).await?;
    }
    done(&mut tx, id, "incident.updated", Value::Object(told)).await?;
    tx.commit().await
}

/// Writes a comment into the timeline.
///
/// # Errors
/// `BAD_INPUT` for an empty or too long text; `NOT_FOUND`; `FORBIDDEN`.
pub async fn comment(db: &Db, ctx: &Ctx, id: IncidentId, text: &str) -> Result<()> {
    let mut tx = db.begin(ctx, Permission::IncidentWrite).await?;
    note(&mut tx, id, Entry { kind: EntryKind::Comment, text, evidence: None, key: None }).await?;
    record(&mut tx, "incident.commented", id, json!({})).await?;
    tx.commit().await
}

/// Adds what the incident is about, see [`service::attach`].
///
/// # Errors
/// As [`service::attach`]; `NOT_FOUND` when nothing of it exists.
pub async fn attach(db: &Db, ctx: &Ctx, id: IncidentId, items: &[Item]) -> Result<usize> {
    let mut tx = db.begin(ctx, Permission::IncidentWrite).await?;
    let added = service::attach(&mut tx, id, items).await?;
    tx.commit().await?;
    Ok(added)
}

/// Makes several incidents one: the others are closed and lead to `into`, which takes their items, events, watchers, links and keys, and the
/// clock that runs out first. Their timelines are read together.
///
/// # Errors
/// `BAD_INPUT` for none or too many, or an incident with itself; `CONFLICT` when one was merged before or `into` is closed.
pub async fn merge(db: &Db, ctx: &Ctx, into: IncidentId, others: &[IncidentId]) -> Result<()> {
    if others.is_empty() || others.len() > MAX_MERGE || others.contains(&into) {
        return Err(Error::field(
            "ids",
            format!("must be 1 to {MAX_MERGE} incidents other than the one they become part of"),
        ));
    }
    let mut tx = db.begin(ctx, Permission::IncidentWrite).await?;
    // Always in the same order, so that two merges never wait for each other in a circle.
    let mut all: Vec<IncidentId> = others.iter().copied().chain([into]).collect();
    all.sort();
    all.dedup();
    let mut locked = Vec::new();
    for id in &all {
        locked.push(repo::lock(&mut tx, *id).await?);
    }
    if locked.iter().any(|incident| incident.merged_into.is_some()) {
        return Err(Error::conflict("One of the incidents was merged into another one before."));
    }
    let target = locked.iter().find(|incident| incident.id == into).ok_or_else(|| Error::not_found("incident"))?;
    if target.status == IncidentStatus::Closed {
        return Err(Error::conflict("The incident that is to take the others is closed. Reopen it first."));
    }
    let others: Vec<&Incident> = locked.iter().filter(|incident| incident.id != into).collect();
    let ids: Vec<IncidentId> = others.iter().map(|incident| incident.id).collect();
    rows::merge(&mut tx, into, &ids).await?;
    let by = ctx.actor.label();
    for other in &others {
        let line = format!("{by} merged it into INC-{}", target.number);
        let evidence = Some(json!({ "incident": into }));
        note(&mut tx, other.id, Entry { kind: EntryKind::Decision, text: &line, evidence, key: None }).await?;
        let line = format!("{by} merged INC-{} into it: {}", other.number, other.title);
        let evidence = Some(json!({ "incident": other.id }));
        note(&mut tx, into, Entry { kind: EntryKind::Decision, text: &line, evidence, key: None }).await?;
        live::notify(&mut tx, Topic::Incident, other.id.0).await?;
    }
    done(&mut tx, into, "incident.merged", json!({ "merged": ids })).await?;
    tx.commit().await
}

/// Takes items out of an incident into a new one of the same severity. Its clocks are those of the old one: what was late stays late.
///
/// # Errors
/// `BAD_INPUT` for no items or none that are the incident's; `CONFLICT` when it is closed.
pub async fn split(db: &Db, ctx: &Ctx, from: IncidentId, items: &[Item], title: &str) -> Result<IncidentId> {
    let mut tx = db.begin(ctx, Permission::IncidentWrite).await?;
    let source = repo::lock(&mut tx, from).await?;
    if source.status == IncidentStatus::Closed {
        return Err(Error::conflict("The incident is closed. Reopen it first."));
    }
    let opening = Opening {
        title,
        summary: "",
        severity: source.severity,
        opened_by: super::domain::Origin::Person,
        dedup_key: None,
        items: Vec::new(),
    };
    let new = service::open(&mut tx, opening).await?.id;
    if rows::move_items(&mut tx, from, new, items).await? == 0 {
        return Err(Error::field("items", "must be items of the incident"));
    }
    rows::inherit_clocks(&mut tx, from, new).await?;
    let number = repo::lock(&mut tx, new).await?.number;
    let by = ctx.actor.label();
    let line = format!("{by} split INC-{number} off: {title}");
    note(
        &mut tx,
        from,
        Entry { kind: EntryKind::Decision, text: &line, evidence: Some(json!({ "incident": new })), key: None },
    )
    .await?;
    let line = format!("{by} split it off INC-{}", source.number);
    note(
        &mut tx,
        new,
        Entry { kind: EntryKind::Decision, text: &line, evidence: Some(json!({ "incident": from })), key: None },
    )
    .await?;
    done(&mut tx, from, "incident.split", json!({ "new": new })).await?;
    tx.commit().await?;
    Ok(new)
}

/// Lets the asker hear of the incident, or no longer.
///
/// # Errors
/// `FORBIDDEN`; `NOT_FOUND`; `CONFLICT` for who is no person.
pub async fn watch(db: &Db, ctx: &Ctx, id: IncidentId, watch: bool) -> Result<()> {
    let mut tx = db.begin(ctx, Permission::IncidentWrite).await?;
    let user = ctx
        .user()
        .ok_or_else(|| Error::new(Kind::Forbidden, "Only people can watch an incident, no API token can."))?;
    repo::lock(&mut tx, id).await?;
    rows::watch(&mut tx, id, user, watch).await?;
    live::notify(&mut tx, Topic::Incident, id.0).await?;
    record(&mut tx, "incident.watched", id, json!({ "watch": watch })).await?;
    tx.commit().await
}

/// Links a ticket elsewhere; the same address twice is one link.
///
/// # Errors
/// `BAD_INPUT` naming the field; `CONFLICT` for too many; `NOT_FOUND`.
pub async fn link(db: &Db, ctx: &Ctx, id: IncidentId, title: &str, url: &str) -> Result<()> {
    let title = text::line("title", title, 300)?;
    let url = text::line("url", url, 2000)?;
    if !["https://", "http://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(Error::field("url", "must begin with https:// or http://"));
    }
    let mut tx = db.begin(ctx, Permission::IncidentWrite).await?;
    repo::lock(&mut tx, id).await?;
    if !rows::link(&mut tx, id, &title, &url, MAX_LINKS).await? {
        return Err(Error::conflict(format!("An incident has at most {MAX_LINKS} links.")));
    }
    let line = format!("{} linked {title}", ctx.actor.label());
    let evidence = Some(json!({ "url": url }));
    note(
        &mut tx,
        id,
        Entry {
            kind: EntryKind::Action,
            text: &line,
            evidence,
            key: Some(&format!("link:{}", url.chars().take(250).collect::<String>())),
        },
    )
    .await?;
    record(&mut tx, "incident.linked", id, json!({ "url": url })).await?;
    tx.commit().await
}

/// The parts of a report on a serious incident that are not in the incident itself, and what they are.
pub const REPORT_PARTS: [(&str, &str); 6] = [
    ("provider", "who provides the AI system, with a contact"),
    ("system", "which AI system it is, with version and how it is registered"),
    ("memberState", "the Member State where it happened, and its market surveillance authority"),
    ("harm", "who was harmed, and how"),
    ("causalLink", "how the AI system led to it, or why that is likely"),
    ("correctiveAction", "what was done, and what is planned"),
];

/// What marks an incident as serious, or changes its report.
#[derive(Clone, Debug, Default)]
pub struct Serious {
    /// `None` takes the mark away.
    pub kind: Option<SeriousKind>,
    /// When one became aware of it; without, now.
    pub aware_at: Option<DateTime<Utc>>,
    /// Parts of the report by their names ([`REPORT_PARTS`]); others stay.
    pub report: Vec<(String, String)>,
    /// Whether the report went to the authority: that stops the clock.
    pub reported: bool,
}

/// Marks an incident as serious in the sense of the EU AI Act, which starts the deadline of Article 73, or goes on with its report.
///
/// # Errors
/// `BAD_INPUT` naming the field; `NOT_FOUND`; `CONFLICT` when something is missing that a report must have.
pub async fn serious(db: &Db, ctx: &Ctx, id: IncidentId, serious: Serious) -> Result<()> {
    let now = ctx.now();
    let mut tx = db.begin(ctx, Permission::IncidentWrite).await?;
    let before = repo::lock(&mut tx, id).await?;
    let by = ctx.actor.label();
    let Some(kind) = serious.kind else {
        rows::set_serious(&mut tx, id, None, None, &json!({})).await?;
        let line = format!("{by} took the mark “serious incident” away");
        note(&mut tx, id, Entry { kind: EntryKind::Decision, text: &line, evidence: None, key: None }).await?;
        done(&mut tx, id, "incident.serious", json!({ "kind": null })).await?;
        return tx.commit().await;
    };
    let aware = serious.aware_at.or(before.serious_aware_at).unwrap_or(now);
    if aware > now || aware < now - Duration::days(366) {
        return Err(Error::field("awareAt", "must be in the past, at most a year ago"));
    }
    let mut report = before.serious_report.as_object().cloned().unwrap_or_default();
    for (part, text) in serious.report {
        if !REPORT_PARTS.iter().any(|(known, _)| *known == part) {
            let allowed: Vec<&str> = REPORT_PARTS.iter().map(|(known, _)| *known).collect();
            return Err(Error::field("report", format!("has the parts {}", allowed.join(", "))));
        }
        let text = text::lines(&format!("report.{part}"), &text, MAX_TEXT)?;
        report.insert(part, Value::String(text));
    }
    let report = Value::Object(report);
    let after = Incident { serious: Some(kind), serious_report: report.clone(), ..before.clone() };
    let missing = missing(&after);
    if serious.reported && !missing.is_empty() {
        return Err(Error::conflict(format!("The report is not complete: {} is missing.", missing.join("; "))));
    }
    rows::set_serious(&mut tx, id, Some(kind), Some(aware), &report).await?;
    let days = sla::report_days(kind);
    rows::serious_clock(&mut tx, id, sla::article_73_version(), aware, aware + Duration::days(days), serious.reported)
        .await?;
    if before.serious != Some(kind) {
        let line = format!(
            "{by} marked it as serious ({}): to be reported within {days} days of {}",
            kind.label(),
            aware.format("%Y-%m-%d")
        );
        let evidence = Some(json!({ "kind": kind, "article": "EU AI Act, Article 73" }));
        note(&mut tx, id, Entry { kind: EntryKind::Decision, text: &line, evidence, key: None }).await?;
    }
    if serious.reported {
        let line = format!("{by} reported it to the market surveillance authority");
        note(
            &mut tx,
            id,
            Entry { kind: EntryKind::Action, text: &line, evidence: None, key: Some("article-73-reported") },
        )
        .await?;
    }
    done(&mut tx, id, "incident.serious", json!({ "kind": kind, "reported": serious.reported })).await?;
    tx.commit().await
}

/// What a report on a serious incident still lacks, each as a phrase.
#[must_use]
pub fn missing(incident: &Incident) -> Vec<String> {
    if incident.serious.is_none() {
        return Vec::new();
    }
    let filled = |part: &str| {
        incident.serious_report.get(part).and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty())
    };
    let mut missing: Vec<String> =
        REPORT_PARTS.iter().filter(|(part, _)| !filled(part)).map(|(_, what)| (*what).to_owned()).collect();
    if incident.summary.is_empty() {
        missing.push("what happened (the summary)".to_owned());
    }
    if incident.root_cause.is_empty() {
        missing.push("the root cause, as far as it is known".to_owned());
    }
    missing
}
