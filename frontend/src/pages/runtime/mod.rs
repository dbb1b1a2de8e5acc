//! What agents do while they run: traffic, events, sessions, sensors, policies. Only the server renders these pages.

mod agent;
pub mod containment;
pub(super) mod diff;
mod event;
mod events;
mod overview;
mod playground;
mod policies;
mod policy;
mod quality;
mod sensors;
mod session;
mod sessions;
mod settings;
mod spans;
mod tree;

use leptos::prelude::*;
use leptos_router::hooks::use_location;
use stance_shared::{EventKind, Verdict};

use crate::{
    components::{self as c, none},
    format,
    icons::{self, icon},
    layout,
    load::set_title,
    state,
    url::{self, Params, encode},
};

/// The parts of the section, by the last word of their address.
const PARTS: [(&str, &str); 8] = [
    ("", "Overview"),
    ("events", "Events"),
    ("sessions", "Sessions"),
    ("sensors", "Sensors"),
    ("containment", "Containment"),
    ("policies", "Policies"),
    ("quality", "Quality"),
    ("playground", "Playground"),
];

/// Windows that can be looked at, in hours.
const WINDOWS: [(i64, &str); 4] = [(1, "1 h"), (24, "24 h"), (168, "7 d"), (720, "30 d")];

/// The page at the request's address.
pub fn served() -> AnyView {
    let location = use_location();
    let path = location.pathname.get_untracked();
    let params = Params::parse(&location.search.get_untracked());
    let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(url::decode).collect();
    match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["incidents", rest @ ..] => super::incidents::served(rest, params),
        ["runtime"] => overview::overview(params),
        ["runtime", "events"] => events::events(params),
        ["runtime", "events", id] => event::event((*id).to_owned()),
        ["runtime", "sessions"] => sessions::sessions(params),
        ["runtime", "sessions", id] => session::session((*id).to_owned()),
        ["runtime", "containment"] => containment::containment(params),
        ["runtime", "sensors"] => sensors::sensors(params),
        ["runtime", "policies"] => policies::policies(),
        ["runtime", "policies", "new"] => policies::new(params),
        ["runtime", "policies", id] => policy::policy((*id).to_owned(), params),
        ["runtime", "quality"] => quality::quality(params),
        ["runtime", "playground"] => playground::playground(params),
        ["playbooks", parts @ ..] => super::playbooks::served(parts, params),
        ["inventory", id, "runtime"] => agent::agent((*id).to_owned()),
        ["settings", "runtime"] => settings::settings(),
        ["settings", "notifications"] => super::notify::settings(params),
        _ => super::not_found(),
    }
}

/// Whether the viewer has a permission.
pub(super) fn may(permission: &str) -> bool {
    state::viewer().can(permission)
}

/// A part of the section: the bar with the parts, then the page.
fn part(current: &'static str, end: AnyView, content: AnyView) -> AnyView {
    let label = PARTS.iter().find(|(path, _)| *path == current).map_or("", |(_, label)| label);
    set_title(&format!("{label} · Runtime"));
    let links = PARTS.map(|(path, label)| {
        let href = if path.is_empty() { "/runtime".to_owned() } else { format!("/runtime/{path}") };
        view! { <a href=href aria-current=(path == current).then_some("page")>{label}</a> }
    });
    let nav = view! {
        <nav class="subnav" aria-label="Runtime">{links.into_iter().collect_view()}</nav>
        <div class="end">{end}</div>
    };
    view! { {layout::bar(none(), "Runtime", nav.into_any())}{content} }.into_any()
}

/// The window that the address names as `hours`, 24 without.
fn window(params: &Params) -> i64 {
    let hours = params.get("hours").and_then(|hours| hours.parse().ok());
    hours.filter(|hours| WINDOWS.iter().any(|(known, _)| known == hours)).unwrap_or(24)
}

/// The words of a window: `24 h`.
fn window_name(hours: i64) -> &'static str {
    WINDOWS.iter().find(|(known, _)| *known == hours).map_or("window", |(_, name)| name)
}

/// Links to the other windows.
fn window_switch(path: &str, params: &Params) -> AnyView {
    let current = window(params);
    let links = WINDOWS.map(|(hours, name)| {
        let href = params.with("hours", &hours.to_string()).on(path);
        view! { <a href=href aria-current=(hours == current).then_some("true") data-noscroll="">{name}</a> }
    });
    view! { <nav class="seg sm" aria-label="Window">{links.into_iter().collect_view()}</nav> }.into_any()
}

/// A switch between views of a list: `(parameters, label, whether it is the current one)`.
pub(super) fn switch<const N: usize>(
    name: &'static str,
    path: &str,
    views: [(Params, &'static str, bool); N],
) -> AnyView {
    let links = views.map(|(params, label, current)| {
        view! { <a href=params.on(path) aria-current=current.then_some("true") data-noscroll="">{label}</a> }
    });
    view! { <nav class="seg" aria-label=name>{links.into_iter().collect_view()}</nav> }.into_any()
}

/// A verdict: its icon and word; only a block stands out.
pub(super) fn verdict(verdict: Verdict) -> AnyView {
    let markup = match verdict {
        Verdict::Allow => icons::CHECK,
        Verdict::Flag => icons::FLAG,
        Verdict::Redact => icons::ERASER,
        Verdict::Block => icons::BAN,
    };
    view! { <span class="verdict" data-v=verdict.as_str().to_ascii_lowercase()>{icon(markup)}{verdict.label()}</span> }
        .into_any()
}

/// What was done about something, in the middle of a sentence.
const fn done(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allowed",
        Verdict::Flag => "flagged",
        Verdict::Redact => "redacted",
        Verdict::Block => "blocked",
    }
}

/// The id of a category's key: `LLM01` of `owasp-llm@2025:LLM01`.
pub(super) fn category(key: &str) -> AnyView {
    let id = c::clean(key.rsplit(':').next().unwrap_or(key));
    view! { <span class="id" title=c::clean(key)>{id}</span> }.into_any()
}

/// Why a rule fired, in words; the rule where nobody knows them any more.
fn reason_of<'a>(reason: &'a str, rule: &'a str) -> &'a str {
    if reason.is_empty() { rule } else { reason }
}

/// With a capital at the beginning, as a sentence has.
pub(super) fn title(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
}

const fn kind_icon(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Prompt => icons::MESSAGE_SQUARE,
        EventKind::Response => icons::BRAIN,
        EventKind::ToolCall => icons::WRENCH,
        EventKind::ToolResult => icons::ARROW_DOWN,
        EventKind::ToolDescription => icons::BOOK_OPEN,
        EventKind::Retrieval => icons::DATABASE,
        EventKind::MemoryRead | EventKind::MemoryWrite => icons::BOOKMARK,
        EventKind::Delegation => icons::BOT,
        EventKind::Approval => icons::USER,
        EventKind::Guardrail => icons::SHIELD_CHECK,
    }
}

/// What an event was about: the tool with its server, the model, or the kind itself.
pub(super) fn call(kind: EventKind, server: Option<&str>, tool: Option<&str>, model: Option<&str>) -> String {
    match (server, tool, model) {
        (Some(server), Some(tool), _) => format!("{server}.{tool}"),
        (None, Some(tool), _) => tool.to_owned(),
        (_, None, Some(model)) => model.to_owned(),
        _ => kind.label().to_owned(),
    }
}

/// How much an event was: tokens, else the time it took, else bytes.
fn amount(input: Option<i64>, output: Option<i64>, ms: Option<f64>, bytes: Option<i64>) -> String {
    match (input, output, ms, bytes) {
        (Some(input), Some(output), ..) => format!("{} → {} tokens", format::count(input), format::count(output)),
        (Some(tokens), None, ..) | (None, Some(tokens), ..) => format::counted(tokens, "token", "tokens"),
        (_, _, Some(ms), _) => format::duration(ms),
        (_, _, _, Some(bytes)) => format::bytes(bytes),
        _ => String::new(),
    }
}

/// A time with its seconds; of another day with the day.
pub(super) fn moment(time: &str) -> AnyView {
    let Some(t) = format::seconds(time) else { return c::text(time) };
    let clock = format!("{}:{:02}", format::clock(t), t.rem_euclid(60));
    let today = format::iso_day(t) == format::iso_day(c::now());
    let shown = if today { clock } else { format!("{} {clock}", format::day_month(t)) };
    view! { <time class="mono" datetime=time.to_owned() title=format::date_time(t)>{shown}</time> }.into_any()
}

/// From one time to another.
fn took(from: &str, to: &str) -> String {
    let ms = |time: &str| format::millis(time).unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let took = (ms(to) - ms(from)) as f64;
    format::duration(took)
}

/// Microseconds as a length of time.
fn micros(micros: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let ms = micros as f64 / 1000.0;
    if micros < 1000 { format!("{micros} µs") } else { format::duration(ms) }
}

pub(super) fn event_url(id: &str) -> String {
    format!("/runtime/events/{}", encode(id))
}

pub(super) fn session_url(id: &str) -> String {
    format!("/runtime/sessions/{}", encode(id))
}

fn policy_url(id: &str) -> String {
    format!("/runtime/policies/{}", encode(id))
}

/// A number that opens its list; zero opens nothing.
fn opens(count: i64, href: String) -> AnyView {
    if count == 0 {
        return view! { <span class="z">"0"</span> }.into_any();
    }
    view! { <a class="n" href=href>{format::count(count)}</a> }.into_any()
}

/// A table with its caption for screen readers.
pub(super) fn table(caption: &'static str, heads: AnyView, rows: AnyView) -> AnyView {
    view! {
        <div class="tbl"><table><caption class="vh">{caption}</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>
    }
    .into_any()
}

/// A question before something that can not be taken back: what it does, the button that does it, the way back.
pub(super) fn question(text: AnyView, button: AnyView, back: String) -> AnyView {
    view! {
        <div class="note" role="alert">{icon(icons::TRIANGLE_ALERT)}<div>{text}</div>
            <div class="end">{button}<a class="btn sm" href=back data-noscroll="">"Keep"</a></div></div>
    }
    .into_any()
}

/// Rates in 0..=1 with their interval, drawn; unknown is hatched.
fn interval(rate: Option<(f64, f64, f64, i64)>, of: &str) -> AnyView {
    let Some((value, low, high, count)) = rate else {
        let label = format!("unknown: no {of} yet");
        return view! { <span class="ci"><span class="unknown" role="img" aria-label=label.clone() title=label></span><span class="muted">"–"</span></span> }.into_any();
    };
    let label = format!(
        "{}, between {} and {} with 95 % confidence, of {}",
        format::percent(value),
        format::percent(low),
        format::percent(high),
        format::count(count)
    );
    let style = format!("--low:{:.1};--high:{:.1};--v:{:.1}", low * 100.0, high * 100.0, value * 100.0);
    view! { <span class="ci" title=label.clone()><span style=style role="img" aria-label=label.clone()></span><span>{format::percent(value)}</span></span> }.into_any()
}

/// Counts by verdict before and after, as a table.
fn before_after(before: [i64; 4], after: [i64; 4]) -> AnyView {
    let rows = Verdict::ALL.iter().zip(before.into_iter().zip(after)).map(|(which, (before, after))| {
        let change = after - before;
        let sign = if change > 0 { "+" } else { "" };
        let change = if change == 0 { "–".to_owned() } else { format!("{sign}{}", format::count(change)) };
        view! { <tr class="row"><td>{verdict(*which)}</td><td class="num">{format::count(before)}</td><td class="num strong">{format::count(after)}</td><td class="num muted">{change}</td></tr> }
    });
    let heads = view! { {c::head("Verdict", "", "")}{c::head("As it was", "num w", "104px")}{c::head("With this", "num w", "104px")}{c::head("Change", "num w", "88px")} };
    table("Events by verdict, before and after", heads.into_any(), rows.collect_view().into_any())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_called_by_what_it_was_about() {
        assert_eq!(call(EventKind::ToolCall, Some("crm"), Some("get_ticket"), None), "crm.get_ticket");
        assert_eq!(call(EventKind::ToolResult, None, Some("shell"), Some("m")), "shell");
        assert_eq!(call(EventKind::Response, None, None, Some("llama")), "llama");
        assert_eq!(call(EventKind::Approval, None, None, None), "Approval");
        assert_eq!(amount(Some(1204), Some(96), Some(3.0), None), "1\u{202f}204 → 96 tokens");
        assert_eq!(amount(None, None, None, Some(2048)), "2.0\u{202f}kB");
        assert_eq!([340, 1800, 12_400].map(micros), ["340 µs", "1.8\u{202f}ms", "12\u{202f}ms"]);
    }

    #[test]
    fn only_known_windows_are_taken() {
        assert_eq!(
            ["hours=1", "hours=168", "hours=5", "hours=x", ""].map(|q| window(&Params::parse(q))),
            [1, 168, 24, 24, 24]
        );
    }
}
