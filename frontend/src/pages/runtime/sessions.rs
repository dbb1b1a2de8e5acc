//! Runs of agents, newest first.

use leptos::prelude::*;

use super::{events::agents, part, session_url, switch, title, took, verdict};
use crate::{
    components as c, format,
    gql::{AgentSessionList, agent_session_list as data},
    icons::{self, icon},
    load::load,
    url::Params,
};

const PATH: &str = "/runtime/sessions";

/// `/runtime/sessions`
pub fn sessions(params: Params) -> AnyView {
    let variables = {
        let params = params.clone();
        move || variables(&params)
    };
    let page = load::<AgentSessionList>("The sessions", c::table_skeleton, variables, move |data| {
        content(&data.agent_sessions, &params)
    });
    part("sessions", c::none(), view! { <div class="page flush">{page}</div> }.into_any())
}

fn variables(params: &Params) -> data::Variables {
    let agents: Vec<String> = params.all("agent").map(str::to_owned).collect();
    data::Variables {
        first: Some(50),
        after: params.get("after").map(str::to_owned),
        filter: Some(data::AgentSessionFilter {
            agents: (!agents.is_empty()).then_some(agents),
            verdicts: params.words("verdict"),
            suspicious: params.has("suspicious", "true").then_some(true),
            search: params.get("search").map(str::to_owned),
        }),
    }
}

type Session = data::AgentSessionListAgentSessionsNodes;

fn content(sessions: &data::AgentSessionListAgentSessions, params: &Params) -> AnyView {
    let filtered = ["agent", "verdict", "suspicious", "search"].iter().any(|key| params.get(key).is_some());
    let body = if sessions.nodes.is_empty() {
        let next = view! { <div class="actions"><a class="btn" href=if filtered { PATH } else { "/runtime" }>{if filtered { "Clear all filters" } else { "How to send events" }}</a></div> };
        let (title, text) = if filtered {
            ("No session matches", "Take a filter away.")
        } else {
            ("No sessions yet", "Events that name their session are put together here, step by step.")
        };
        c::empty(title, text, next.into_any())
    } else {
        let next = sessions.page_info.end_cursor.clone().filter(|_| sessions.page_info.has_next_page);
        let pager = c::pager(PATH, params, sessions.nodes.len(), None, ("session", "sessions"), next);
        view! { {list(&sessions.nodes)}{pager} }.into_any()
    };
    view! { <p class="answer">{answer(&sessions.nodes, filtered)}</p>{bar(params)}{body} }.into_any()
}

fn answer(sessions: &[Session], filtered: bool) -> AnyView {
    let Some(newest) = sessions.first() else {
        return view! { <b>{if filtered { "No session matches." } else { "No session yet." }}</b> }.into_any();
    };
    let suspicious = sessions.iter().filter(|session| !session.sequences.is_empty()).count();
    let matching = if filtered { " that match" } else { "" };
    let shown = format::counted(i64::try_from(sessions.len()).unwrap_or_default(), "session", "sessions");
    let head = match suspicious {
        1 if sessions.len() == 1 => format!("The session shown{matching} has a suspicious sequence of steps"),
        0 => format!("No suspicious sequence in the {shown} shown{matching}"),
        1 => format!("1 of the {shown} shown{matching} has a suspicious sequence of steps"),
        n => format!("{n} of the {shown} shown{matching} have suspicious sequences of steps"),
    };
    view! { <b>{head}</b>"; the latest step is "{c::age(&newest.last_at)}" old." }.into_any()
}

fn bar(params: &Params) -> AnyView {
    let base = params.without("after").without("suspicious").without("verdict");
    let suspicious = params.has("suspicious", "true");
    let blocked = params.has("verdict", "BLOCK");
    let views = switch(
        "Views",
        PATH,
        [
            (base.clone(), "All", !suspicious && !blocked),
            (base.with("suspicious", "true"), "Suspicious", suspicious),
            (base.with("verdict", "BLOCK"), "With a block", blocked),
        ],
    );
    let kept = |except: &'static [&'static str]| {
        params
            .without("after")
            .pairs()
            .filter(|(key, _)| !except.contains(key))
            .map(|(key, value)| view! { <input type="hidden" name=key.to_owned() value=value.to_owned()/> })
            .collect_view()
    };
    view! {
        <div class="bar-tools chips" role="search">
            <form class="searchbox" method="get" action=PATH data-nav="">
                {icon(icons::SEARCH)}{kept(&["search"])}
                <input class="input" type="search" name="search" value=params.text("search") placeholder="Search sessions" aria-label="Search sessions by name" maxlength="200"/>
            </form>
            {views}
            <details class="menu to-end">
                <summary class="btn quiet sm">{icon(icons::LIST_FILTER)}"Agent "<kbd>"f"</kbd></summary>
                <form class="pop padded" method="get" action=PATH data-nav="">{kept(&["agent"])}
                    <div class="form">{agents("Any agent", &params.text("agent"))}<button class="btn primary">"Apply"</button></div></form>
            </details>
        </div>
    }
    .into_any()
}

fn list(sessions: &[Session]) -> AnyView {
    let rows = sessions.iter().map(|session| {
        let took = took(&session.first_at, &session.last_at);
        let flagged = match session.sequences.first() {
            Some(first) => {
                let more = (session.sequences.len() > 1).then(|| format!(" +{}", session.sequences.len() - 1));
                view! { <span class="cell"><span class="kind">{icon(icons::TRIANGLE_ALERT)}</span><span class="cut" title=c::clean(&first.rule)>{c::text(&title(&first.reason))}</span><span class="muted">{more}</span></span> }.into_any()
            }
            None => view! { <span class="muted">"–"</span> }.into_any(),
        };
        view! {
            <tr class="row" data-id=session.id.clone()>
                <td title=c::clean(&session.name)><a class="mono" href=session_url(&session.id) data-open="">{c::text(&session.name)}</a></td>
                <td class="p1">{c::asset(&session.agent.id, session.agent.kind, &session.agent.name)}</td>
                <td>{verdict(session.worst_verdict)}</td>
                <td class="p2">{flagged}</td>
                <td class="num">{format::count(session.event_count)}</td><td class="num p2">{format::count(session.tool_calls)}</td><td class="num p3 muted">{format::count(session.tokens)}</td>
                <td class="num p25 muted">{took}</td><td class="num muted">{c::age(&session.last_at)}</td>
            </tr>
        }
    });
    view! {
        <div class="tbl"><table>
            <caption class="vh">"Sessions, newest first"</caption>
            <thead class="sticky"><tr>{c::head("Session", "", "")}{c::head("Agent", "p1 w", "168px")}{c::head("Worst", "w", "92px")}{c::head("Suspicious", "p2 w", "24%")}{c::head("Steps", "num w", "60px")}{c::head("Tools", "num p2 w", "60px")}{c::head("Tokens", "num p3 w", "84px")}{c::head("Took", "num p25 w", "68px")}{c::head("Age", "num w", "64px")}</tr></thead>
            <tbody>{rows.collect_view()}</tbody>
        </table></div>
    }
    .into_any()
}
