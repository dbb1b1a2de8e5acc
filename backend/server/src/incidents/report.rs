//! The post-incident report as Markdown.

use super::{
    domain::Incident,
    reading::{self, LineKey},
};
use crate::{
    findings, inventory,
    kernel::{
        Ctx, Db, Permission, Result,
        page::{MAX_PAGE, Page},
    },
    runtime::containment::views,
};
use chrono::{DateTime, Duration, Utc};
use stance_shared::{AssetId, FindingId, SeriousKind};
use std::{collections::HashMap, fmt::Write as _};
use uuid::Uuid;

/// Lines of the timeline that a report tells, the newest.
const LINES: usize = 1_000;

/// The report: what happened, how it went on, how long it took, why, and what was learned.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn markdown(db: &Db, ctx: &Ctx, incident: &Incident) -> Result<String> {
    let mut lines = Vec::new();
    let mut page = Page { first: MAX_PAGE, after: None };
    while lines.len() < LINES {
        let slice = reading::timeline(db, ctx, incident.id, &page).await?;
        page.after = slice.items.last().map(|line| LineKey(line.at, line.id));
        lines.extend(slice.items);
        if !slice.has_next {
            break;
        }
    }
    lines.reverse();
    let clocks = reading::clocks(db, ctx, &[incident.id]).await?.remove(&incident.id).unwrap_or_default();
    let items = async |kind| -> Result<Vec<Uuid>> {
        Ok(reading::items(db, ctx, &[incident.id], kind, 100).await?.remove(&incident.id).unwrap_or_default())
    };
    let held = views::of_incidents(db, ctx, &[incident.id]).await?;
    let mut names = HashMap::new();
    let mut assets = Vec::new();
    if ctx.may(Permission::AssetRead) {
        let touched: Vec<AssetId> = items("ASSET").await?.into_iter().map(AssetId).collect();
        let agents = held.iter().map(|containment| containment.agent);
        let ids: Vec<AssetId> = touched.iter().copied().chain(agents).collect();
        let found = inventory::service::by_ids(db, ctx, &ids).await?;
        names.extend(found.values().map(|asset| (asset.id, asset.name.clone())));
        assets.extend(found.into_values().filter(|asset| touched.contains(&asset.id)));
        assets.sort_by(|a, b| a.name.cmp(&b.name));
    }
    let mut findings = Vec::new();
    if ctx.may(Permission::FindingRead) {
        let ids: Vec<FindingId> = items("FINDING").await?.into_iter().map(FindingId).collect();
        findings.extend(findings::service::by_ids(db, ctx, &ids).await?.into_values());
        findings.sort_by(|a, b| b.severity.0.rank().cmp(&a.severity.0.rank()).then_with(|| a.title.cmp(&b.title)));
    }
    let mut text = format!("# INC-{}: {}\n\n", incident.number, plain(&incident.title));
    let _ = write!(
        text,
        "| | |\n| --- | --- |\n| Severity | {} |\n| Status | {} |\n",
        incident.severity.label(),
        incident.status.label()
    );
    let _ = writeln!(text, "| Opened | {} by {} |", moment(incident.opened_at), plain(&incident.opened_by));
    for (name, at) in
        [("Triaged", incident.triaged_at), ("Contained", incident.contained_at), ("Closed", incident.closed_at)]
    {
        if let Some(at) = at {
            let _ = writeln!(text, "| {name} | {}, after {} |", moment(at), took(at - incident.opened_at));
        }
    }
    if incident.events > 0 {
        let _ = writeln!(text, "| Events | {} |", incident.events);
    }
    if let Some(kind) = incident.serious {
        let _ = writeln!(text, "| Serious incident (EU AI Act, Article 73) | {} |", SeriousKind::label(kind));
    }
    section(&mut text, "What happened", &incident.summary);
    section(&mut text, "Root cause", &incident.root_cause);
    section(&mut text, "Lessons", &incident.lessons);
    if !assets.is_empty() {
        text.push_str("\n## What it touched\n\n");
        for asset in &assets {
            let _ = writeln!(text, "- {} ({})", plain(&asset.name), asset.kind.label());
        }
    }
    if !findings.is_empty() {
        text.push_str("\n## Findings\n\n| Severity | Finding | Status |\n| --- | --- | --- |\n");
        for finding in &findings {
            let (severity, status) = (finding.severity.0.label(), finding.status.label());
            let _ = writeln!(text, "| {severity} | {} | {status} |", plain(&finding.title));
        }
    }
    if !held.is_empty() {
        text.push_str("\n## Containment\n\n| Agent | Grade | Requested | Proven | Released | State |\n| --- | --- | --- | --- | --- | --- |\n");
        for containment in &held {
            let agent = names.get(&containment.agent).map_or("an agent", String::as_str);
            let since = containment.requested_at;
            let proven = containment.proven_at.map_or("–".to_owned(), |at| format!("after {}", exactly(at - since)));
            let released = containment.released_at.map_or("–".to_owned(), moment);
            let (grade, requested, status) = (containment.grade.label(), moment(since), containment.status.label());
            let _ = writeln!(text, "| {} | {grade} | {requested} | {proven} | {released} | {status} |", plain(agent));
        }
    }
    text.push_str("\n## Clocks\n\n| Clock | Due | Stopped | State |\n| --- | --- | --- | --- |\n");
    for clock in &clocks {
        let done = clock.done_at.map_or("–".to_owned(), moment);
        let state = clock.state(ctx.now()).label();
        let _ = writeln!(text, "| {} | {} | {done} | {state} |", clock.kind.label(), moment(clock.due_at));
    }
    text.push_str("\n## Timeline\n\n| Time | What | By |\n| --- | --- | --- |\n");
    for line in &lines {
        let _ = writeln!(text, "| {} | {} | {} |", moment(line.at), plain(&line.text), plain(&line.actor));
    }
    if lines.len() >= LINES {
        let _ = writeln!(text, "\nThe newest {LINES} lines; all are in the API.");
    }
    Ok(text)
}

fn section(text: &mut String, title: &str, body: &str) {
    if !body.is_empty() {
        let _ = write!(text, "\n## {title}\n\n");
        for line in body.lines() {
            let _ = writeln!(text, "{}  ", plain(line));
        }
    }
}

fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A length of time in its two largest units.
fn took(length: Duration) -> String {
    let seconds = length.num_seconds().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Text from outside as text of a cell: no mark-up, no link, no line break.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '(' | ')' | '#' | '|' | '!' | '~' => {
                plain.extend(['\\', c])
            }
            ':' => plain.push_str("&#58;"),
            c if c.is_control() => plain.push(' '),
            c => plain.push(c),
        }
    }
    plain
}

/// Of what is over in a moment, that moment.
fn exactly(span: Duration) -> String {
    if span < Duration::seconds(10) { format!("{} ms", span.num_milliseconds()) } else { took(span) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_no_mark_up() {
        assert_eq!(plain("[x](http://a)|\n<b>"), "\\[x\\]\\(http&#58;//a\\)\\| \\<b\\>");
        assert_eq!(
            [5, 65, 3700, 90_000].map(|s| took(Duration::seconds(s))),
            ["5 s", "1 min 5 s", "1 h 1 min", "1 d 1 h"]
        );
    }
}
