//! One event: in the drawer beside the feed, and as a page of its own.

use leptos::prelude::*;

use super::{
    call, category, done, event_url, may, micros, moment, policy_url, session_url, spans, table, title, verdict,
};
use crate::{
    components::{self as c, none},
    format,
    gql::{self, EventDetail, FeedbackLabel, LabelEvent, event_detail as data, label_event},
    icons::{self, icon},
    layout,
    load::load,
};

type Event = data::EventDetailEvent;

/// What a label is given with.
const LABEL: &str = "finding:triage";

/// `/runtime/events/:id`
pub fn event(id: String) -> AnyView {
    load::<EventDetail>(
        "The event",
        c::table_skeleton,
        move || data::Variables { id: id.clone() },
        |data| data.event.map_or_else(crate::pages::not_found, |event| page(&event)),
    )
}

/// The drawer; `close` is the address of the list.
pub fn drawer(id: String, close: String) -> AnyView {
    let page = event_url(&id);
    let content = load::<EventDetail>(
        "The event",
        none,
        move || data::Variables { id: id.clone() },
        |data| {
            let gone = || {
                view! { <div class="body"><section><p>"This event is gone, or not yours to see."</p></section></div> }
                    .into_any()
            };
            data.event.map_or_else(gone, |event| drawer_body(&event))
        },
    );
    view! {
        <aside class="drawer" aria-label="Event">
            <div class="tools">
                <button class="btn quiet icon sm" type="button" aria-label="Previous, k" data-step="-1">{icon(icons::ARROW_UP)}</button>
                <button class="btn quiet icon sm" type="button" aria-label="Next, j" data-step="1">{icon(icons::ARROW_DOWN)}</button>
                <a class="btn quiet sm end-auto" href=page>"Open page"</a>
                <a class="btn quiet icon sm" href=close data-close="" data-noscroll="" aria-label="Close">{icon(icons::X)}</a>
            </div>
            {content}
        </aside>
    }
    .into_any()
}

/// What happened, in a few words: `Blocked: instruction override`.
fn headline(event: &Event) -> String {
    let name = call(event.kind, event.tool_server.as_deref(), event.tool.as_deref(), event.model.as_deref());
    match event.detections.first() {
        Some(first) => format!("{}: {}", title(done(event.verdict)), first.reason),
        None => format!("{}: {name}", title(done(event.verdict))),
    }
}

fn drawer_body(event: &Event) -> AnyView {
    let footer = may(LABEL).then(|| view! { <footer>{feedback(event)}</footer> });
    let section = |title: &'static str, content: AnyView| view! { <section><h3>{title}</h3>{content}</section> };
    let found = (!event.detections.is_empty()).then(|| section("Detections", detections(event)));
    view! {
        <header><h2>{c::text(&headline(event))}</h2></header>
        <div class="body">
            <section aria-label="Facts">{facts(event)}</section>
            {found}
            {section("Text", text(event))}
            {detail(event).map(|content| section("Detail", content))}
        </div>
        {footer}
    }
    .into_any()
}

fn page(event: &Event) -> AnyView {
    let on =
        event.agent.as_ref().map(|agent| view! { " on "<a href=c::asset_url(&agent.id)>{c::text(&agent.name)}</a> });
    let first = event
        .detections
        .first()
        .map(|first| view! { ": "{c::text(&first.reason)}", score "{format!("{:.2}", event.score)} });
    let label = may(LABEL)
        .then(|| c::section("h-label", "Was it right?", "what you say counts for quality", none(), feedback(event)));
    let found = (!event.detections.is_empty()).then(|| {
        c::section(
            "h-detections",
            "Detections",
            format::counted(i64::try_from(event.detections.len()).unwrap_or_default(), "hit", "hits"),
            none(),
            detections(event),
        )
    });
    let what = call(event.kind, event.tool_server.as_deref(), event.tool.as_deref(), event.model.as_deref());
    let kind = event.kind.label();
    let name = if what == kind { what } else { format!("{kind}: {what}") };
    view! {
        {layout::top(Some(("Events", "/runtime/events")), &name, view! { <span class="muted wide">{c::ago(&event.at)}</span> }.into_any())}
        <div class="page stack">
            <p class="answer"><b>{event.kind.label()}" "{done(event.verdict)}</b>{on}" "{c::ago(&event.at)}{first}"."</p>
            <div class="grid">
                <div class="c7 stack">{found}{c::section("h-text", "Text", none(), none(), text(event))}{detail(event).map(|content| c::section("h-detail", "Detail", none(), none(), content))}</div>
                <div class="c5 stack">{c::section("h-facts", "Facts", none(), none(), facts(event))}{label}</div>
            </div>
        </div>
    }
    .into_any()
}

fn fact(label: &'static str, content: impl IntoView + 'static) -> AnyView {
    let content = content.into_any();
    view! { <dt>{label}</dt><dd>{content}</dd> }.into_any()
}

fn facts(event: &Event) -> AnyView {
    let mut rows = vec![fact(
        "Verdict",
        view! { {verdict(event.verdict)}<span class="muted">"score "{format!("{:.2}", event.score)}</span> },
    )];
    if let Some(agent) = &event.agent {
        rows.push(fact("Agent", c::asset(&agent.id, agent.kind, &agent.name)));
    }
    let channel = event.channel.map(|channel| view! { <span class="muted">{channel.label()}</span> });
    rows.push(fact("Kind", view! { {event.kind.label()}{channel} }));
    if event.tool.is_some() || event.model.is_some() {
        let name = call(event.kind, event.tool_server.as_deref(), event.tool.as_deref(), event.model.as_deref());
        let label = if event.tool.is_some() { "Tool" } else { "Model" };
        rows.push(fact(label, view! { <span class="id">{c::clean(&name)}</span> }));
    }
    rows.push(fact(
        "At",
        view! { {moment(&event.at)}<span class="muted">"received "{c::ago(&event.received_at)}</span> },
    ));
    if let Some(session) = &event.session {
        let href = format!("{}#step-{}", session_url(&session.id), event.id);
        rows.push(fact("Session", view! { <a class="link" href=href>{c::text(&session.name)}</a> }));
    }
    let by = match &event.sensor {
        Some(sensor) => c::text(&sensor.name),
        None => "inspect API".into_any(),
    };
    rows.push(fact("Told by", by));
    if let Some(policy) = &event.policy {
        let version = event.policy_version.map(|version| view! { <span class="muted">"version "{version}</span> });
        rows.push(fact(
            "Policy",
            view! { <a class="link" href=policy_url(&policy.id)>{c::text(&policy.name)}</a>{version} },
        ));
    }
    let tokens = super::amount(event.input_tokens, event.output_tokens, None, None);
    if !tokens.is_empty() {
        let cost = event.cost_usd.map(|cost| view! { <span class="muted">{format::dollars(cost)}</span> });
        rows.push(fact("Amount", view! { {tokens}{cost} }));
    }
    if let Some(ms) = event.duration_ms {
        rows.push(fact("Took", format::duration(ms)));
    }
    if let Some(us) = event.inspect_micros {
        rows.push(fact("Inspected in", micros(us)));
    }
    if let Some(trace) = &event.trace {
        let span = event.span.as_ref().map(|span| view! { <span class="id muted">{c::clean(span)}</span> });
        rows.push(fact("Trace", view! { {c::mid(trace)}{span} }));
    }
    if let Some(hash) = &event.text_hash {
        rows.push(fact("SHA-256", c::mid(hash)));
    }
    view! { <dl class="facts">{rows}</dl> }.into_any()
}

fn detections(event: &Event) -> AnyView {
    let rows = event.detections.iter().map(|found| {
        let place = match (found.start, found.end) {
            (Some(start), Some(end)) => format!("{start}–{end}"),
            _ => "–".to_owned(),
        };
        let redaction = found.redaction.as_ref().map(|redaction| view! { " "<span class="red">{c::clean(redaction)}</span> });
        view! {
            <tr class="row"><td title=c::clean(&found.reason)><span class="cut">{c::text(&title(&found.reason))}{redaction}</span></td><td class="p1"><a class="id" href=crate::url::Params::default().with("rule", &found.rule).on("/runtime/events")>{c::clean(&found.rule)}</a></td>
                <td class="p15">{category(&found.category)}</td><td class="num p2 muted">{place}</td><td class="num">{format!("{:.2}", found.score)}</td></tr>
        }
    });
    let heads = view! { {c::head("What", "", "")}{c::head("Detector", "p1 w", "160px")}{c::head("Category", "p15 w", "100px")}{c::head("Bytes", "num p2 w", "88px")}{c::head("Score", "num w", "60px")} };
    table("Detections, the surest first", heads.into_any(), rows.collect_view().into_any())
}

fn text(event: &Event) -> AnyView {
    let size = event.text_bytes.map(format::bytes).unwrap_or_default();
    let Some(text) = &event.text else {
        return view! { <p class="muted hint">{size}". The text is not kept, only its hash. "<a class="link" href="/settings/runtime">"What is kept"</a></p> }.into_any();
    };
    let redacted = event.detections.iter().any(|found| found.redaction.is_some());
    if spans::is_original(text, event.text_bytes, redacted) {
        let marks: Vec<(i64, i64, &str)> = event
            .detections
            .iter()
            .filter_map(|found| Some((found.start?, found.end?, found.reason.as_str())))
            .collect();
        return spans::highlighted(text, &marks);
    }
    view! { {spans::highlighted(text, &[])}<p class="muted hint">"Redacted or cut, of "{size}": the places of the detections are those of the original."</p> }.into_any()
}

fn detail(event: &Event) -> Option<AnyView> {
    let detail = event.detail.as_ref().filter(|detail| !detail.is_null())?;
    let text = serde_json::to_string_pretty(detail).unwrap_or_default();
    Some(view! { <pre class="code" tabindex="0">{c::text(&text)}</pre> }.into_any())
}

/// The request that labels an event, or takes its label back.
fn label_body(id: &str, label: Option<FeedbackLabel>) -> String {
    gql::body::<LabelEvent>(label_event::Variables { id: id.to_owned(), label, note: None })
}

fn feedback(event: &Event) -> AnyView {
    let current = event.feedback.as_ref().map(|feedback| feedback.label);
    let undo = label_body(&event.id, current);
    let buttons = FeedbackLabel::ALL.iter().map(|label| {
        let words = match label {
            FeedbackLabel::Attack => "It was an attack",
            FeedbackLabel::Harmless => "It was harmless",
        };
        let pressed = if current == Some(*label) { "true" } else { "false" };
        view! { <button class="btn" type="button" aria-pressed=pressed data-act=label_body(&event.id, Some(*label)) data-done=format!("Labeled: {}", label.label().to_lowercase()) data-undo=undo.clone()>{words}</button> }
    });
    let said = event.feedback.as_ref().map(|feedback| {
        let note = (!feedback.note.is_empty()).then(|| view! { ": "{c::text(&feedback.note)} });
        view! { <p class="hint muted">{feedback.label.label()}", said "{c::text(&feedback.by)}" "{c::ago(&feedback.at)}{note}" "<button class="link" type="button" data-act=label_body(&event.id, None) data-done="The label is taken back" data-undo=undo.clone()>"Take it back"</button></p> }
    });
    view! {
        <form class="decide" aria-label="Feedback" method="post">
            <div class="line"><input class="input" name="note" aria-label="Note" placeholder="Note, if it needs one" maxlength="1000" autocomplete="off"/></div>
            <div class="line">{buttons.collect_view()}</div>
            <p class="err" role="alert"></p>
            {said}
        </form>
    }
    .into_any()
}
