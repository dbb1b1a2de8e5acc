//! The feed of events with its filters, and the drawer beside it.

use leptos::prelude::*;
use stance_shared::{AssetKind, Channel, EventKind, Verdict};

use super::{amount, call, event, kind_icon, moment, part, switch, title, verdict};
use crate::{
    components::{self as c, none},
    format,
    gql::{AssetChoices, EventList, asset_choices, event_list as data},
    icons::{self, icon},
    load::load,
    url::Params,
};

const PATH: &str = "/runtime/events";
const PAGE: i64 = 50;
/// Parameters that narrow the list.
const FILTERS: [&str; 11] =
    ["verdict", "kind", "channel", "agent", "rule", "tool", "model", "session", "sensor", "labelled", "from"];

/// `/runtime/events`
pub fn events(params: Params) -> AnyView {
    let open = params.get("event").map(str::to_owned);
    let list = params.without("event");
    let drawer = open.clone().map(|id| event::drawer(id, list.on(PATH)));
    let variables = {
        let list = list.clone();
        move || variables(&list)
    };
    let page = load::<EventList>("The events", c::table_skeleton, variables, move |data| {
        content(&data.events, &list, open.as_deref())
    });
    let pause = view! { <button class="btn quiet sm" type="button" data-pause="" aria-pressed="false" title="Do not announce new events">{icon(icons::PAUSE)}"Pause"</button> };
    let class = if drawer.is_some() { "split open" } else { "split" };
    part(
        "events",
        pause.into_any(),
        view! { <div class=class><div class="page flush">{page}</div>{drawer}</div> }.into_any(),
    )
}

fn variables(params: &Params) -> data::Variables {
    let text = |key: &str| params.get(key).map(str::to_owned);
    let agents: Vec<String> = params.all("agent").map(str::to_owned).collect();
    data::Variables {
        first: Some(PAGE),
        after: text("after"),
        filter: Some(data::EventFilter {
            agents: (!agents.is_empty()).then_some(agents),
            kinds: params.words("kind"),
            channels: params.words("channel"),
            verdicts: params.words("verdict"),
            rule: text("rule"),
            session: text("session"),
            sensor: text("sensor"),
            tool: text("tool"),
            model: text("model"),
            from: text("from"),
            to: text("to"),
            labelled: params.has("labelled", "true").then_some(true),
        }),
    }
}

fn is_filtered(params: &Params) -> bool {
    params.get("to").is_some() || FILTERS.iter().any(|key| params.get(key).is_some())
}

type Event = data::EventListEventsNodes;

fn content(events: &data::EventListEvents, params: &Params, open: Option<&str>) -> AnyView {
    let first_page = params.get("after").is_none();
    let body = if events.nodes.is_empty() {
        empty(params)
    } else {
        let next = events.page_info.end_cursor.clone().filter(|_| events.page_info.has_next_page);
        let pager = c::pager(PATH, params, events.nodes.len(), None, ("event", "events"), next);
        view! { {list(&events.nodes, params, open)}{pager} }.into_any()
    };
    // Only the newest page has something new to announce.
    let news = first_page.then(|| view! { <div aria-live="polite"><button class="live" type="button" data-news="" data-refresh="" hidden></button></div> });
    view! { <p class="answer">{answer(&events.nodes, params)}</p>{bar(params, &events.nodes)}{news}{body} }.into_any()
}

fn answer(events: &[Event], params: &Params) -> AnyView {
    let matching = if is_filtered(params) { " that match" } else { "" };
    let Some(newest) = events.first() else {
        return view! { <b>"No event"{if is_filtered(params) { " matches" } else { " yet" }}"."</b> }.into_any();
    };
    let stopped = events.iter().filter(|event| event.verdict != Verdict::Allow).count();
    let shown = format::count(i64::try_from(events.len()).unwrap_or_default());
    let head = match stopped {
        0 => format!("All {shown} newest events{matching} were allowed"),
        _ if stopped == events.len() => {
            format!("None of the {shown} newest events{matching} was let through unchanged")
        }
        _ => format!("{stopped} of the {shown} newest events{matching} were not let through unchanged"),
    };
    let head = if params.get("after").is_some() { head.replace("newest ", "") } else { head };
    view! { <b>{head}</b>"; the latest is "{c::age(&newest.at)}" old." }.into_any()
}

fn empty(params: &Params) -> AnyView {
    if is_filtered(params) {
        let clear = view! { <div class="actions"><a class="btn" href=PATH>"Clear all filters"</a></div> };
        return c::empty("No event matches", "Take a filter away, or look at a longer time.", clear.into_any());
    }
    let next = view! { <div class="actions"><a class="btn primary" href="/runtime">"How to send events"</a></div> };
    c::empty(
        "No events yet",
        "Prompts, answers and tool calls appear here as soon as an agent or a sensor tells of them.",
        next.into_any(),
    )
}

/// The switch of views, chips, and the menu of the filters.
fn bar(params: &Params, events: &[Event]) -> AnyView {
    let base = params.without("after").without("verdict").without("labelled");
    let stopped = base.with("verdict", "BLOCK");
    let mut stopped_pairs: Vec<(String, String)> = stopped.pairs().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    stopped_pairs.extend(["REDACT", "FLAG"].map(|word| ("verdict".to_owned(), word.to_owned())));
    let verdicts: Vec<&str> = params.all("verdict").collect();
    let labelled = params.has("labelled", "true");
    let views = switch(
        "Views",
        PATH,
        [
            (base.clone(), "All", verdicts.is_empty() && !labelled),
            (
                Params::from_pairs(stopped_pairs),
                "Not let through",
                verdicts.len() == 3 && !params.has("verdict", "ALLOW"),
            ),
            (stopped, "Blocked", verdicts == ["BLOCK"]),
            (base.with("labelled", "true"), "Labeled", labelled),
        ],
    );
    let words = |key: &'static str, words: Vec<(&'static str, &'static str)>| {
        words.into_iter().map(|(word, label)| c::check(key, word, label, params.has(key, word))).collect_view()
    };
    let kept = params
        .only(&["from", "to", "session", "sensor", "labelled"])
        .pairs()
        .map(|(key, value)| view! { <input type="hidden" name=key.to_owned() value=value.to_owned()/> })
        .collect_view();
    let text = |name: &'static str, label: &'static str, hint: &'static str| {
        view! { <div class="field"><label for=format!("f-{name}")>{label}</label><input class="input" id=format!("f-{name}") name=name value=params.text(name) placeholder=hint maxlength="300" autocomplete="off"/></div> }
    };
    view! {
        <div class="bar-tools chips" role="search">
            {views}{chips(params, events)}
            <details class="menu to-end">
                <summary class="btn quiet sm">{icon(icons::LIST_FILTER)}"Filter "<kbd>"f"</kbd></summary>
                <form class="pop filters" method="get" action=PATH data-nav="">
                    {kept}
                    <div class="filters-grid">
                        <fieldset><legend>"Verdict"</legend>{words("verdict", Verdict::ALL.iter().map(|w| (w.as_str(), w.label())).collect())}</fieldset>
                        <fieldset><legend>"Kind"</legend>{words("kind", EventKind::ALL.iter().map(|w| (w.as_str(), w.label())).collect())}</fieldset>
                        <fieldset><legend>"Channel"</legend>{words("channel", Channel::ALL.iter().map(|w| (w.as_str(), w.label())).collect())}</fieldset>
                    </div>
                    <div class="form-line spaced">{agents("Any agent", &params.text("agent"))}{text("rule", "Detector", "secret.*")}{text("tool", "Tool", "crm.get_ticket")}</div>
                    <div class="filters-foot"><a class="btn quiet sm" href=PATH>"Clear all"</a><button class="btn primary sm">"Apply"</button></div>
                </form>
            </details>
        </div>
    }
    .into_any()
}

/// A choice of one agent, or none of them in particular.
pub fn agents(any: &'static str, selected: &str) -> AnyView {
    let selected = selected.to_owned();
    let variables = || asset_choices::Variables {
        filter: Some(asset_choices::AssetFilter { kind: Some(vec![AssetKind::Agent]), ..Default::default() }),
    };
    load::<AssetChoices>("The agents", none, variables, move |data| {
        let any = std::iter::once((String::new(), any.to_owned()));
        let agents = data.assets.nodes.into_iter().map(|agent| (agent.id, c::clean(&agent.name)));
        c::choice("agent", "Agent", any.chain(agents).collect(), &selected)
    })
}

/// A chip for each filter; the switch shows the verdicts that it chooses.
fn chips(params: &Params, events: &[Event]) -> AnyView {
    // The names of what the events are of; without an event of it there is only its id.
    let agent = |id: &str| events.iter().filter_map(|event| event.agent.as_ref()).find(|agent| agent.id == id);
    let chips = params.pairs().filter_map(|(key, value)| {
        let (name, shown) = match key {
            "kind" => ("Kind", value.parse::<EventKind>().ok()?.label().to_owned()),
            "channel" => ("Channel", value.parse::<Channel>().ok()?.label().to_owned()),
            "rule" => ("Detector", c::clean(value)),
            "tool" => ("Tool", c::clean(value)),
            "model" => ("Model", c::clean(value)),
            "agent" => ("Agent", agent(value).map_or_else(|| "one".to_owned(), |agent| c::clean(&agent.name))),
            "session" => ("Session", "one".to_owned()),
            "sensor" => ("Sensor", "one".to_owned()),
            "from" => ("From", format::seconds(value).map(format::date_time)?),
            "to" => ("Before", format::seconds(value).map(format::date_time)?),
            _ => return None,
        };
        let href = params.without_value(key, value).without("after").on(PATH);
        let label = format!("Remove filter {} {shown}", name.to_lowercase());
        Some(view! { <span class="chip"><span>{name}</span><b>{shown}</b><a href=href aria-label=label data-noscroll="">{icon(icons::X)}</a></span> })
    });
    chips.collect_view().into_any()
}

fn list(events: &[Event], params: &Params, open: Option<&str>) -> AnyView {
    let rows = events.iter().map(|event| row(event, params, open == Some(&event.id))).collect_view();
    view! {
        <div class="tbl"><table>
            <caption class="vh">"Events, newest first"</caption>
            <thead class="sticky"><tr>{c::head("Time", "w", "112px")}{c::head("Verdict", "w", "92px")}{c::head("Event", "", "")}{c::head("What", "p1 w", "36%")}{c::head("Agent", "p3 w", "168px")}{c::head("Score", "num p3 w", "60px")}</tr></thead>
            <tbody>{rows}</tbody>
        </table></div>
    }
    .into_any()
}

fn row(event: &Event, params: &Params, current: bool) -> AnyView {
    let name = call(event.kind, event.tool_server.as_deref(), event.tool.as_deref(), event.model.as_deref());
    let whole = format!("{}: {}", event.kind.label(), c::clean(&name));
    let href = params.with("event", &event.id).on(PATH);
    let what = match event.detections.first() {
        Some(first) => {
            let more = (event.detections.len() > 1).then(|| format!(" +{}", event.detections.len() - 1));
            view! { <span class="cell"><span class="cut" title=c::clean(&first.rule)>{c::text(&title(&first.reason))}</span><span class="muted">{more}</span></span> }.into_any()
        }
        None => {
            let amount = amount(event.input_tokens, event.output_tokens, event.duration_ms, event.text_bytes);
            view! { <span class="muted">{amount}</span> }.into_any()
        }
    };
    // Where there is no room for its column.
    let under =
        event.detections.first().map(|first| view! { <small class="under cut">{c::text(&first.reason)}</small> });
    let label = event.feedback.as_ref().map(|feedback| view! { <span class="tag p1">{feedback.label.label()}</span> });
    let agent = event.agent.as_ref().map(|agent| c::asset(&agent.id, agent.kind, &agent.name));
    view! {
        <tr class="row" data-id=event.id.clone() data-current=current.then_some("")>
            <td class="muted">{moment(&event.at)}</td>
            <td>{verdict(event.verdict)}</td>
            <td title=whole><span class="cell"><span class="kind">{icon(kind_icon(event.kind))}</span><a class="cut mono" href=href data-open="" data-noscroll="" aria-current=current.then_some("true")>{c::text(&name)}</a>{label}</span>{under}</td>
            <td class="p1">{what}</td>
            <td class="p3">{agent}</td>
            <td class="num p3 muted">{format!("{:.2}", event.score)}</td>
        </tr>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_becomes_the_filter() {
        let v = variables(&Params::parse(
            "verdict=BLOCK&verdict=NONSENSE&kind=TOOL_CALL&agent=a1&rule=secret.*&from=2026-11-23T09:00:00Z&after=x",
        ));
        let filter = v.filter.unwrap();
        assert_eq!(filter.verdicts, Some(vec![Verdict::Block]));
        assert_eq!(filter.kinds, Some(vec![EventKind::ToolCall]));
        assert_eq!((filter.agents, filter.rule.as_deref()), (Some(vec!["a1".to_owned()]), Some("secret.*")));
        assert_eq!((filter.channels, filter.labelled, v.after.as_deref()), (None, None, Some("x")));
        assert!(!is_filtered(&Params::parse("event=e1&after=x")) && is_filtered(&Params::parse("to=x")));
    }
}
