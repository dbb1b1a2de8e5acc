//! One finding: in the drawer beside the list, and as a page of its own.

use leptos::prelude::*;
use serde_json::Value;
use stance_shared::{DecisionKind, FindingStatus};

use super::{decide, filter};
use crate::{
    browser,
    components::{self as c, none},
    format,
    gql::{FindingDetail, finding_detail as data},
    icons::{self, icon},
    layout,
    load::load,
    state,
    url::Params,
};

/// Characters of a piece of evidence that are shown; the API has all of it.
const EVIDENCE: usize = 4000;

/// `/findings/:id`
pub fn finding(id: String) -> AnyView {
    load::<FindingDetail>(
        "The finding",
        c::table_skeleton,
        move || data::Variables { id: id.clone() },
        |data| match data.finding {
            Some(finding) => page(&finding),
            None => crate::pages::not_found(),
        },
    )
}

/// The drawer for a finding of the list.
pub fn drawer(id: String, params: Memo<Params>) -> AnyView {
    let close = move || params.with(|p| p.on(filter::PATH));
    let step = move |by: i32| {
        if let Some(row) = browser::move_row(by) {
            browser::navigate_in_place(&params.with_untracked(|p| p.with("finding", &row).on(filter::PATH)));
        }
    };
    let page = c::finding_url(&id);
    let link = page.clone();
    let content = load::<FindingDetail>(
        "The finding",
        skeleton,
        move || data::Variables { id: id.clone() },
        |data| match data.finding {
            Some(finding) => drawer_body(&finding),
            None => {
                view! { <div class="body"><section><p>"This finding is gone, or not yours to see."</p></section></div> }
                    .into_any()
            }
        },
    );
    view! {
        <aside class="drawer" aria-label="Finding">
            <div class="tools">
                <button class="btn quiet icon sm" type="button" aria-label="Previous, k" on:click=move |_| step(-1)>{icon(icons::ARROW_UP)}</button>
                <button class="btn quiet icon sm" type="button" aria-label="Next, j" on:click=move |_| step(1)>{icon(icons::ARROW_DOWN)}</button>
                <a class="btn quiet sm end-auto" href=page>"Open page"</a>
                <button class="btn quiet icon sm" type="button" aria-label="Copy link" on:click=move |_| browser::copy_link(&link)>{icon(icons::LINK)}</button>
                <a class="btn quiet icon sm" href=close data-noscroll="" aria-label="Close">{icon(icons::X)}</a>
            </div>
            {content}
        </aside>
    }
    .into_any()
}

fn skeleton() -> AnyView {
    view! { <div class="body" aria-busy="true"><section><p><span class="sk" style="--w:80%"></span></p><p><span class="sk" style="--w:55%"></span></p></section></div> }.into_any()
}

fn drawer_body(finding: &data::FindingDetailFinding) -> AnyView {
    let footer = state::viewer().can("finding:triage").then(|| view! { <footer>{form(finding)}</footer> });
    view! {
        <header><h2>{c::text(&finding.title)}</h2></header>
        <div class="body">
            <section aria-label="Facts">{facts(finding)}</section>
            {section("Evidence", evidence(finding))}
            {section("Description", prose(&finding.description))}
            {section("Remediation", prose(&finding.remediation))}
            {section("Reported by", Some(occurrences(finding)))}
            {section("History", Some(history(finding)))}
        </div>
        {footer}
    }
    .into_any()
}

fn section(title: &'static str, content: Option<AnyView>) -> AnyView {
    content.map_or_else(none, |content| view! { <section><h3>{title}</h3>{content}</section> }.into_any())
}

fn form(finding: &data::FindingDetailFinding) -> AnyView {
    decide::form(Signal::stored(vec![finding.id.clone()]), finding.assignee.as_ref().map(|user| user.id.clone()))
}

fn page(finding: &data::FindingDetailFinding) -> AnyView {
    let triage = state::viewer()
        .can("finding:triage")
        .then(|| c::section("h-decide", "Decision", none(), none(), form(finding)));
    let block = |id, title, content: Option<AnyView>| {
        content.map_or_else(none, |content| c::section(id, title, none(), none(), content))
    };
    let status = c::status(finding.status);
    let incident = state::viewer().can("incident:write").then(|| {
        let about = Params::default().with("finding", &finding.id).with("asset", &finding.asset.id);
        view! { <a class="btn sm" href=about.with("about", &finding.title).on("/incidents/new")>{icon(icons::SIREN)}"Open incident"</a> }
    });
    view! {
        {layout::top(Some(("Findings", "/findings")), &finding.title, view! { <span class="muted wide">"Seen "{c::ago(&finding.last_seen)}</span>{incident} }.into_any())}
        <div class="page stack">
            <div>
                <p class="answer"><b>{finding.severity.label()}" on "</b><a href=c::asset_url(&finding.asset.id)>{c::text(&finding.asset.name)}</a>": "{c::text(&finding.title)}</p>
                <p class="meta">{status}<span>"reported by "<b>{c::clean(&finding.tools.join(", "))}</b></span><span>"first seen "{c::ago(&finding.first_seen)}</span></p>
            </div>
            <div class="grid">
                <div class="c7 stack">
                    {block("h-evidence", "Evidence", evidence(finding))}
                    {block("h-description", "Description", prose(&finding.description))}
                    {block("h-remediation", "Remediation", prose(&finding.remediation))}
                    {block("h-reported", "Reported by", Some(occurrences(finding)))}
                </div>
                <div class="c5 stack">
                    {block("h-facts", "Facts", Some(facts(finding)))}
                    {triage}
                    {block("h-history", "History", Some(history(finding)))}
                </div>
            </div>
        </div>
    }
    .into_any()
}

fn facts(finding: &data::FindingDetailFinding) -> AnyView {
    let because = match (finding.attack_success_rate, finding.score) {
        (Some(rate), _) => format!("attack success rate {}", format::percent(rate)),
        (None, Some(score)) => format!("score {score:.1} of 10"),
        (None, None) => String::new(),
    };
    let asset = &finding.asset;
    let categories = finding.categories.iter().map(|category| {
        let title = format!("{} {} {}", category.framework, category.version, category.name.as_deref().unwrap_or_default());
        let id = c::clean(&category.id);
        match Some(&category.url).filter(|url| url.starts_with("https://")) {
            Some(url) => view! { <a class="id" href=url.clone() rel="noopener noreferrer external" target="_blank" title=c::clean(&title)>{id}</a> }.into_any(),
            None => view! { <span class="id" title=c::clean(&title)>{id}</span> }.into_any(),
        }
    });
    let fixed = finding.asset_risk_without.map(|after| {
        let before = asset.risk.risk.map_or_else(|| "–".into(), format::risk);
        view! { <dt>"If fixed"</dt><dd>{before}" → "{format::risk(after)}<span class="muted">"risk of the asset"</span></dd> }
    });
    let locations = (!finding.locations.is_empty()).then(|| {
        let items = finding.locations.iter().take(5).map(|location| {
            let line = location.line.map(|line| format!(":{line}")).unwrap_or_default();
            view! { <span class="location">{c::mid(&format!("{}{line}", location.uri))}</span> }
        });
        view! { <dt>"Where"</dt><dd>{items.collect_view()}{more(finding.locations.len(), 5)}</dd> }
    });
    let assignee = finding.assignee.as_ref().map_or_else(
        || view! { <span class="muted">"nobody"</span> }.into_any(),
        |user| {
            view! { <span class="avatar" aria-hidden="true">{format::initials(&user.name)}</span>{c::text(&user.name)} }
                .into_any()
        },
    );
    view! {
        <dl class="facts">
            <dt>"Severity"</dt><dd>{c::severity(finding.severity)}<span class="muted">{because}</span></dd>
            <dt>"Status"</dt><dd>{c::status(finding.status)}{decision(finding)}</dd>
            <dt>"Asset"</dt><dd>{c::asset(&asset.id, asset.kind, &asset.name)}<span class="muted">{asset.exposure.label()}</span></dd>
            <dt>"Layer"</dt><dd>{finding.layer.label()}</dd>
            <dt>"Category"</dt><dd>{categories.collect_view()}{finding.categories.is_empty().then_some("none given")}</dd>
            <dt>"Rule"</dt><dd>{c::mid(&finding.rule)}</dd>
            {locations}
            <dt>"Risk"</dt><dd>{format::risk(finding.risk * 100.0)}<span class="muted">{format!("{} of the asset's points", format::points(finding.asset_points))}</span></dd>
            {fixed}
            <dt>"Assignee"</dt><dd>{assignee}</dd>
            <dt>"Seen"</dt><dd>{c::day(&finding.first_seen)}<span class="muted">"to "{c::day(&finding.last_seen)}{(finding.count > 1).then(|| format!(", {} times in the last report", format::count(finding.count)))}</span></dd>
        </dl>
    }
    .into_any()
}

fn more(count: usize, shown: usize) -> Option<AnyView> {
    count
        .checked_sub(shown)
        .filter(|more| *more > 0)
        .map(|more| view! { <span class="muted">{format!("and {more} more")}</span> }.into_any())
}

fn decision(finding: &data::FindingDetailFinding) -> AnyView {
    let Some(decision) = &finding.decision else { return none() };
    if finding.status == FindingStatus::Resolved && decision.kind == DecisionKind::InProgress {
        return none();
    }
    let until = decision.expires_at.as_ref().map(|at| view! { " until "{c::day(at)} });
    let approver = decision.approver.as_ref().map(|user| view! { ", approved by "{c::text(&user.name)} });
    let origin = decision.origin.as_ref().map(|origin| view! { ", from "{c::text(origin)} });
    view! { <span class="muted">"by "{c::text(&decision.decided_by)}{until}{approver}{origin}": "{c::text(&decision.reason)}</span> }.into_any()
}

fn prose(text: &str) -> Option<AnyView> {
    (!text.trim().is_empty()).then(|| {
        // Tools set names between backticks; an odd one is a character like any other.
        let parts: Vec<&str> = text.split('`').collect();
        let parts = if parts.len() % 2 == 1 { parts } else { vec![text] };
        let parts = parts.into_iter().enumerate().map(|(i, part)| {
            if i % 2 == 1 { view! { <code>{c::text(part)}</code> }.into_any() } else { c::text(part) }
        });
        view! { <p class="prose">{parts.collect_view()}</p> }.into_any()
    })
}

/// Evidence as the tool gave it: names and values, one below the other.
fn evidence(finding: &data::FindingDetailFinding) -> Option<AnyView> {
    let mut lines: Vec<(String, String)> = match &finding.evidence {
        Value::Null => Vec::new(),
        Value::Object(map) => map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), plain(v))).collect(),
        other => vec![(String::new(), plain(other))],
    };
    lines.extend(finding.locations.iter().filter_map(|l| Some((String::new(), l.snippet.clone()?))).take(3));
    lines.retain(|(_, value)| !value.trim().is_empty());
    (!lines.is_empty()).then(|| {
        let lines = lines.into_iter().map(|(name, value)| {
            let name = (!name.is_empty()).then(|| view! { <span class="who">{c::clean(&name)}"  "</span> });
            view! { {name}{c::text(&cut(&value))}"\n" }
        });
        view! { <pre class="code" tabindex="0">{lines.collect_view()}</pre> }.into_any()
    })
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
        }
        other => other.to_string(),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(EVIDENCE) {
        Some((at, _)) => format!(
            "{}… ({} characters in all)",
            text.get(..at).unwrap_or_default(),
            format::count(i64::try_from(text.chars().count()).unwrap_or(i64::MAX))
        ),
        None => text.to_owned(),
    }
}

/// Each scan that reports the finding, with the time over which it has: from the first report to the last.
fn occurrences(finding: &data::FindingDetailFinding) -> AnyView {
    let now = c::now();
    let times = |o: &data::FindingDetailFindingOccurrences| {
        let first = format::seconds(&o.first_seen).unwrap_or(now);
        (first, format::seconds(&o.last_seen).unwrap_or(first))
    };
    let start = finding.occurrences.iter().map(|o| times(o).0).min().unwrap_or(now).min(now - 86_400);
    #[expect(clippy::cast_precision_loss, reason = "a drawing needs three digits")]
    let place = |at: i64| (at - start) as f64 / (now - start) as f64 * 100.0;
    let rows = finding.occurrences.iter().map(|o| {
        let what = match (o.absent_since.as_ref(), o.attack_success_rate) {
            (Some(since), _) => format!("not since {}", format::seconds(since).map_or_else(String::new, format::day_month)),
            (None, Some(rate)) => format!("success rate {}", format::percent(rate)),
            (None, None) => format::counted(o.count, "time", "times"),
        };
        let (first, last) = times(o);
        let span = format!("--from:{:.1};--v:{:.1}", place(first), place(last) - place(first));
        let words = format!("reported from {} to {}", format::day(first), format::day(last));
        let tool = format!("{} {}", o.tool, o.tool_version);
        let report = o.report.as_ref().map(|report| {
            let name = report.filename.clone().unwrap_or_else(|| "report".into());
            view! { <a href=c::report_url(&report.id) title=c::clean(&name)>{c::text(&name)}</a> }
        });
        view! {
            <tr class="row"><td>{c::cut(&tool)}</td><td><div class="wf" style=span role="img" aria-label=words.clone() title=words></div></td><td class="muted">{what}</td><td class="p2">{report}</td></tr>
        }
    });
    let axis = view! { <span class="axis ends"><span>{format::day_month(start)}</span><span>"today"</span></span> };
    view! {
        <div class="tbl"><table>
            <thead><tr>{c::head("Tool", "w", "108px")}<th scope="col"><span class="vh">"Reported"</span>{axis}</th>{c::head("Result", "w", "132px")}{c::head("First report", "p2 w", "30%")}</tr></thead>
            <tbody>{rows.collect_view()}</tbody>
        </table></div>
    }
    .into_any()
}

fn history(finding: &data::FindingDetailFinding) -> AnyView {
    let items = finding.history.iter().map(|event| {
        let markup = match event.kind.as_str() {
            "RESOLVED" => icons::CHECK,
            "REOPENED" | "EXPIRED" => icons::ROTATE_CCW,
            "UNDONE" => icons::UNDO_2,
            "DECIDED" => icons::SHIELD_CHECK,
            "ASSIGNED" => icons::USER,
            "COMMENTED" => icons::MESSAGE_SQUARE,
            _ => icons::CIRCLE,
        };
        let comment = event.comment.as_ref().map(|comment| view! { <div class="ev prose">{c::text(comment)}</div> });
        let report = event.report.as_ref().map(|report| view! { " "<a class="link" href=c::report_url(&report.id)>"report"</a> });
        view! { <li class="nt">{icon(markup)}<div>{c::text(&event.summary)}{report}<span class="muted">" · "{c::text(&event.actor)}" · "{c::ago(&event.at)}</span>{comment}</div></li> }
    });
    view! { <ol class="tl">{items.collect_view()}</ol> }.into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_cut_at_characters() {
        assert_eq!(cut("ä"), "ä");
        let long = cut(&"ä".repeat(EVIDENCE + 1));
        assert!(long.starts_with('ä') && long.ends_with("4\u{202f}001 characters in all)"), "{}", long.len());
        assert_eq!(plain(&serde_json::json!(["a", "b"])), "a\nb");
        assert_eq!(plain(&serde_json::json!({"a": 1})), "{\"a\":1}");
    }
}
