//! Containment: who is contained, how far every enforcement point is with it, containing and releasing.

use leptos::prelude::*;
use stance_shared::{AssetKind, ContainmentStatus, EnforcementPhase, EnforcementPointKind, EnforcementStatus};

use super::{may, part, table};
use crate::{
    components::{self as c, none},
    format,
    gql::{
        self, AssetChoices, ContainmentGrade, ContainmentList, EnforcementPoints, QuarantineAgent, QuarantinePreview,
        RegisterEnforcementPoint, ReleaseAgent, RetireEnforcementPoint, SensorList, asset_choices,
        containment_list as data, enforcement_points, quarantine_agent, quarantine_preview, register_enforcement_point,
        release_agent, retire_enforcement_point, sensor_list,
    },
    icons::{self, icon},
    load::load,
    url::Params,
};

const PATH: &str = "/runtime/containment";

type Containment = data::ContainmentListContainmentsNodes;
type Enforcement = data::ContainmentListContainmentsNodesPoints;

/// `/runtime/containment`
pub fn containment(params: Params) -> AnyView {
    let variables = {
        let after = params.get("after").map(str::to_owned);
        move || data::Variables { filter: None, first: Some(20), after: after.clone() }
    };
    let contain = params.get("contain").map(|agent| contain(agent.to_owned(), None, PATH.to_owned()));
    let page = load::<ContainmentList>("The containments", c::table_skeleton, variables, move |data| {
        content(&data.containments, &params)
    });
    let button = may("agent:quarantine").then(
        || view! { <a class="btn sm" href="#h-contain" data-noscroll="">{icon(icons::BAN)}"Contain an agent"</a> },
    );
    let page = view! { <div class="page stack" data-follow="">{contain}{page}{points()}</div> };
    part("containment", button.into_any(), page.into_any())
}

/// The containments that hold an agent and are not over, for its page; with the way to contain it.
pub fn of_agent(id: String) -> AnyView {
    if !may("incident:read") {
        return none();
    }
    let filter = data::ContainmentFilter { agent: Some(id.clone()), incident: None, open: Some(true) };
    let more = may("agent:quarantine").then(|| {
        let href = Params::default().with("contain", &id).on(PATH);
        view! { <a class="btn sm" href=href>{icon(icons::BAN)}"Contain it"</a> }
    });
    let list = panels(filter, "Nothing keeps it from acting.", PATH.to_owned(), None);
    c::section("h-containment", "Containment", "proven at every enforcement point", more.into_any(), list)
}

/// The panels of the containments that a filter names: by agent, or by incident for its page; `nothing` is said when there are none.
/// Releasing one leads to the page `here` with its id as `release`.
pub fn panels(
    filter: data::ContainmentFilter,
    nothing: &'static str,
    here: String,
    release: Option<String>,
) -> AnyView {
    let variables = move || data::Variables { filter: Some(filter.clone()), first: Some(10), after: None };
    load::<ContainmentList>("The containments", none, variables, move |data| {
        let nodes = &data.containments.nodes;
        if nodes.is_empty() {
            return view! { <p class="muted">{nothing}</p> }.into_any();
        }
        nodes.iter().map(|one| panel(one, release.as_deref(), &here)).collect_view().into_any()
    })
}

fn content(list: &data::ContainmentListContainments, params: &Params) -> AnyView {
    let (open, over): (Vec<_>, Vec<_>) = list.nodes.iter().partition(|one| one.released_at.is_none());
    let release = params.get("release").filter(|_| may("agent:release"));
    let panels = open.iter().map(|one| panel(one, release, PATH)).collect_view();
    let nobody = open.is_empty().then(|| {
        view! { <p class="muted">"An agent that was taken over, or does what it should not, is kept from acting here or on its own page. Every enforcement point then has to prove that it denies the agent's calls."</p> }
    });
    let over = (!over.is_empty()).then(|| past(&over));
    let next = list.page_info.has_next_page.then(|| {
        let after = list.page_info.end_cursor.clone().unwrap_or_default();
        view! { <p><a class="btn sm" href=params.with("after", &after).on(PATH)>"Older"</a></p> }
    });
    view! { <p class="answer">{answer(&open)}</p>{nobody}{panels}{over}{next} }.into_any()
}

fn answer(open: &[&Containment]) -> AnyView {
    let count = |status: ContainmentStatus| open.iter().filter(|one| one.status == status).count();
    let held = open.iter().filter(|one| one.ended_at.is_none()).count();
    let (failed, proven) = (count(ContainmentStatus::Failed), count(ContainmentStatus::Proven));
    let agents = format::counted(i64::try_from(held).unwrap_or_default(), "containment is", "containments are");
    match (held, failed) {
        (0, _) if open.is_empty() => view! { <b>"No agent is contained."</b> }.into_any(),
        (0, _) => view! { <b>"No agent is contained."</b>" A release is not proven everywhere yet." }.into_any(),
        (_, 0) if proven == held => view! { <b>{agents}" in force, and proven"</b>" at every enforcement point." }.into_any(),
        (_, 0) => view! { <b>{agents}" in force."</b>" Not every enforcement point has proven it yet." }.into_any(),
        (_, n) => view! { <b>{agents}" in force, and "{n}" not proven:"</b>" an enforcement point does not deny the agent's calls, or does not answer." }.into_any(),
    }
}

fn status(status: ContainmentStatus) -> AnyView {
    let (class, mark) = match status {
        ContainmentStatus::Proven => ("state on", icons::SHIELD_CHECK),
        ContainmentStatus::Failed => ("state bad", icons::TRIANGLE_ALERT),
        ContainmentStatus::Released | ContainmentStatus::Expired => ("state muted", icons::CHECK),
        _ => ("state", icons::CIRCLE_DASHED),
    };
    view! { <span class=class>{icon(mark)}{status.label()}</span> }.into_any()
}

fn panel(one: &Containment, release: Option<&str>, here: &str) -> AnyView {
    let children = one.agents.len().saturating_sub(1);
    let more = (children > 0).then(|| {
        format!(
            " and {} that it delegates to",
            format::counted(i64::try_from(children).unwrap_or_default(), "agent", "agents")
        )
    });
    let proven = one.milliseconds_to_proven.map(|ms| format!("proven {} after the request", milliseconds(ms)));
    let expires = one
        .expires_at
        .as_deref()
        .filter(|_| one.ended_at.is_none())
        .map(|at| view! { <span>"ends "{c::stamp(at)}</span> });
    let ended = one.ended_at.as_deref().map(|at| {
        let (by, why) = (one.ended_by.as_deref().unwrap_or_default(), one.ending_reason.as_deref().unwrap_or_default());
        view! { <span>"ended "{c::stamp(at)}" by "{c::text(by)}": "{c::text(why)}</span> }
    });
    let end = (one.ended_at.is_none() && may("agent:release"))
        .then(|| view! { <a class="btn sm" href=Params::default().with("release", &one.id).on(here) data-noscroll="">"Release"</a> });
    let form = release.filter(|id| *id == one.id && one.ended_at.is_none()).map(|_| release_form(one, here));
    let phase = if one.ended_at.is_some() { EnforcementPhase::Release } else { EnforcementPhase::Contain };
    let rows: Vec<&Enforcement> = one.points.iter().filter(|row| row.phase == phase).collect();
    let heading = view! { {c::asset(&one.agent.id, one.agent.kind, &one.agent.name)}{more} };
    view! {
        <section class="sec" aria-label=format!("Containment of {}", c::clean(&one.agent.name))>
            <header class="sec-head"><h2>{heading}</h2><span class="aside">{one.grade.label()}": "{one.grade.denies()}</span><span class="end">{status(one.status)}{end}</span></header>
            {form}
            <p>{c::text(&one.reason)}</p>
            <p class="meta"><span>"asked by "{c::text(&one.requested_by)}" "{c::stamp(&one.requested_at)}</span>{proven.map(|text| view! { <span>{text}</span> })}{expires}{ended}<span title=one.policy_hash.clone()>"policy "<span class="mono">{one.policy_hash.chars().take(12).collect::<String>()}</span></span></p>
            {funnel(&rows, phase)}
        </section>
    }
    .into_any()
}

/// A row for each point: when it was told, acknowledged, proven; or why not.
fn funnel(rows: &[&Enforcement], phase: EnforcementPhase) -> AnyView {
    if rows.is_empty() {
        return view! { <p class="state bad">{icon(icons::TRIANGLE_ALERT)}"No enforcement point is alive, so nothing keeps the agent from acting."</p> }.into_any();
    }
    let step = |ms: Option<i64>| match ms {
        Some(ms) => view! { <td class="num">{milliseconds(ms)}</td> }.into_any(),
        None => view! { <td class="num muted">"–"</td> }.into_any(),
    };
    let lines = rows.iter().map(|row| {
        let failed = row.failure.as_deref().filter(|_| !matches!(row.status, EnforcementStatus::Proven | EnforcementStatus::Gone));
        let state = match (row.status, failed) {
            (EnforcementStatus::Proven, _) => view! { <span class="state on">{icon(icons::SHIELD_CHECK)}"Proven"</span> }.into_any(),
            (EnforcementStatus::Gone, _) => view! { <span class="state muted">{icon(icons::CIRCLE_X)}"Ended before it had proven it"</span> }.into_any(),
            (_, Some(failure)) => view! { <span class="state bad">{icon(icons::TRIANGLE_ALERT)}"Failed"</span><br/><span>{c::text(failure)}</span> }.into_any(),
            (status, None) => view! { <span class="state">{icon(icons::CIRCLE_DASHED)}{status.label()}</span> }.into_any(),
        };
        let before = row.failure.as_deref().filter(|_| row.status == EnforcementStatus::Proven).map(|failure| {
            view! { <br/><span class="muted">"failed before: "{c::text(failure)}</span> }
        });
        view! {
            <tr class="row"><td><span class="cell">{c::cut(&row.point.name)}</span></td><td class="p1 muted">{row.point.kind.label()}</td>
                {step(row.milliseconds_to_dispatched)}{step(row.milliseconds_to_acknowledged)}{step(row.milliseconds_to_proven)}<td>{state}{before}</td></tr>
        }
    });
    let last = if phase == EnforcementPhase::Contain { "Canary denied" } else { "Canary passed" };
    let heads = view! {
        {c::head("Enforcement point", "w", "24%")}{c::head("Kind", "p1 w", "104px")}{c::head("Told", "num w", "80px")}{c::head("Acknowledged", "num w", "112px")}{c::head(last, "num w", "112px")}{c::head("State", "", "")}
    };
    table("How far each enforcement point is", heads.into_any(), lines.collect_view().into_any())
}

fn milliseconds(ms: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let ms = ms as f64;
    format::duration(ms)
}

fn past(over: &[&Containment]) -> AnyView {
    let rows = over.iter().map(|one| {
        let proven = one.milliseconds_to_proven.map_or_else(|| "never".to_owned(), milliseconds);
        view! { <tr class="row"><td>{c::asset(&one.agent.id, one.agent.kind, &one.agent.name)}</td><td class="p1">{one.grade.label()}</td><td>{status(one.status)}</td><td class="num p1">{proven}</td><td class="p2">{c::cut(&one.reason)}</td><td class="num p1 muted">{c::age(&one.requested_at)}</td></tr> }
    });
    let heads = view! { {c::head("Agent", "", "")}{c::head("Grade", "p1 w", "136px")}{c::head("State", "w", "120px")}{c::head("Proven after", "num p1 w", "112px")}{c::head("Reason", "p2", "")}{c::head("Asked", "num p1 w", "84px")} };
    let body = table("Containments that are over", heads.into_any(), rows.collect_view().into_any());
    c::section("h-over", "Over", "released or expired, and proven", none(), body)
}

fn release_form(one: &Containment, here: &str) -> AnyView {
    let body = gql::body::<ReleaseAgent>(release_agent::Variables { id: one.id.clone(), reason: String::new() });
    view! {
        <form class="form-line" method="post" data-act=body data-done="The release is under way" data-then=here.to_owned()>
            <div class="field"><label for="f-reason">"Why it may act again"</label><input class="input" id="f-reason" name="reason" required maxlength="2000" autocomplete="off" autofocus=""/><p class="err" role="alert"></p></div>
            <button class="btn primary">"Release the agent"</button><a class="btn" href=here.to_owned() data-noscroll="">"Keep"</a>
            <p class="err" role="alert"></p>
        </form>
    }
    .into_any()
}

/// What containing an agent would stop, and the order; for an incident where one is given. Then it goes on at `here`.
pub fn contain(agent: String, incident: Option<String>, here: String) -> AnyView {
    if !may("agent:quarantine") {
        return none();
    }
    let variables = move || quarantine_preview::Variables { agent: agent.clone() };
    load::<QuarantinePreview>("What would be contained", none, variables, move |data| {
        let (Some(asset), radius) = (data.asset, data.quarantine_preview) else {
            return view! { <p class="note" role="alert">"There is no such agent."</p> }.into_any();
        };
        let body = gql::body::<QuarantineAgent>(quarantine_agent::Variables {
            agent: asset.id.clone(),
            grade: ContainmentGrade::BlockAll,
            reason: String::new(),
            expires_at: None,
            incident: incident.clone(),
        });
        let grades = ContainmentGrade::ALL
            .iter()
            .map(|grade| (grade.as_str().to_owned(), format!("{}: {}", grade.label(), grade.denies())));
        let number =
            |label: &'static str, count: i64| view! { <div><dt>{label}</dt><dd>{format::count(count)}</dd></div> };
        macro_rules! names {
            ($label:literal, $list:expr) => {
                (!$list.is_empty()).then(|| {
                    let names = $list
                        .iter()
                        .map(|one| view! { <span>{c::asset(&one.id, one.kind, &one.name)}</span> })
                        .collect_view();
                    view! { <p class="meta"><b>{$label}</b>{names}</p> }
                })
            };
        }
        let radius_view = view! {
            <dl class="figures">{number("Agents held", radius.agent_count)}{number("Open runs", radius.open_sessions)}{number("Tokens that act as them", radius.tokens)}{number("Enforcement points", radius.points)}</dl>
            {names!("Held", radius.agents)}{names!("Depends on it", radius.dependents)}{names!("Its tools", radius.tools)}{names!("Its models", radius.models)}
        };
        let nobody = (radius.points == 0)
            .then(|| view! { <p class="state bad">{icon(icons::TRIANGLE_ALERT)}"No enforcement point is alive."</p> });
        let form = view! {
            <form class="form-line" method="post" data-act=body data-done="The agent is being contained" data-then=here.clone()>
                {c::choice("grade", "Grade", grades.collect(), "BLOCK_ALL")}
                <div class="field"><label for="f-reason">"Reason"</label><input class="input" id="f-reason" name="reason" required maxlength="2000" autocomplete="off" placeholder="What it did, and who saw it" autofocus=""/><p class="err" role="alert"></p></div>
                <div class="field slim"><label for="f-expires">"Ends by itself"</label><select class="input" id="f-expires" name="expiresAt">{ends()}</select><p class="err" role="alert"></p></div>
                <button class="btn primary">{icon(icons::BAN)}"Contain"</button><a class="btn" href=here.clone() data-noscroll="">"Cancel"</a>
                <p class="err" role="alert"></p>
            </form>
        };
        let title = format!("Contain {}?", c::clean(&asset.name));
        let content = view! { {radius_view}{nobody}{form} };
        c::section("h-blast", title, "what it would hold and stop", none(), content.into_any())
    })
}

/// When a containment may end by itself.
fn ends() -> AnyView {
    let hours = [(0, "when it is released"), (1, "in 1 hour"), (4, "in 4 hours"), (24, "in 1 day"), (168, "in 7 days")];
    let option = |(hours, label): (i64, &'static str)| {
        let value = if hours == 0 { String::new() } else { format::iso(c::now() + hours * 3600) };
        view! { <option value=value>{label}</option> }
    };
    hours.map(option).into_iter().collect_view().into_any()
}

/// The points that count, and registering another one.
fn points() -> AnyView {
    let choose = may("agent:quarantine").then(choose);
    let list = may("sensor:read").then(|| {
        load::<EnforcementPoints>("The enforcement points", none, || enforcement_points::Variables {}, |data| {
            if data.enforcement_points.is_empty() {
                let text = "Running servers enforce by their inspect API, and are listed with the first containment. Register the gateways and sensors that enforce elsewhere.";
                let body = view! { <p class="muted">{text}</p> };
                return c::section("h-points", "Enforcement points", "what keeps contained agents from acting", none(), body.into_any());
            }
            let may_retire = may("sensor:write");
            let rows = data.enforcement_points.iter().map(|point| {
                let state = if point.alive { view! { <span class="state on">{icon(icons::CHECK)}"counts"</span> } .into_any() } else { view! { <span class="state muted">{icon(icons::CIRCLE_DASHED)}"ended"</span> }.into_any() };
                let way = match (&point.url, &point.sensor) {
                    (Some(url), _) => c::cut(url),
                    (None, Some(sensor)) => view! { "sensor "{c::cut(&sensor.name)} }.into_any(),
                    (None, None) => view! { <span class="muted">"this and every other running server"</span> }.into_any(),
                };
                let retire = (may_retire && point.kind != EnforcementPointKind::InspectApi).then(|| {
                    let body = gql::body::<RetireEnforcementPoint>(retire_enforcement_point::Variables { id: point.id.clone() });
                    view! { <button class="btn quiet sm" type="button" data-act=body data-done="The enforcement point is retired">"Retire"</button> }
                });
                view! { <tr class="row"><td>{c::cut(&point.name)}</td><td class="muted">{point.kind.label()}</td><td class="p1">{way}</td><td class="p1">{state}</td><td class="num p2 muted">{format::span(point.deadline_seconds)}</td><td class="num p1">{retire}</td></tr> }
            });
            let heads = view! { {c::head("Enforcement point", "", "")}{c::head("Kind", "w", "112px")}{c::head("Reached by", "p1 w", "32%")}{c::head("State", "p1 w", "96px")}{c::head("Deadline", "num p2 w", "96px")}<th class="p1 w" style="--w:84px" scope="col"><span class="vh">"Actions"</span></th> };
            let body = table("Enforcement points", heads.into_any(), rows.collect_view().into_any());
            c::section("h-points", "Enforcement points", "what keeps contained agents from acting", none(), body)
        })
    });
    let register = may("sensor:write").then(register);
    view! { {choose}{list}{register} }.into_any()
}

fn choose() -> AnyView {
    let variables = || asset_choices::Variables {
        filter: Some(asset_choices::AssetFilter { kind: Some(vec![AssetKind::Agent]), ..Default::default() }),
    };
    let agents = load::<AssetChoices>("The agents", none, variables, |data| {
        let options: Vec<_> = data.assets.nodes.into_iter().map(|asset| (asset.id, c::clean(&asset.name))).collect();
        if options.is_empty() {
            return view! { <p class="muted">"No agent is known yet."</p> }.into_any();
        }
        view! {
            <form class="form-line" method="get" action=PATH>{c::choice("contain", "Agent", options, "")}<button class="btn">"Show what it would stop"</button></form>
        }
        .into_any()
    });
    c::section("h-contain", "Contain an agent", "first you see what depends on it", none(), agents)
}

fn register() -> AnyView {
    let body = || {
        gql::body::<RegisterEnforcementPoint>(register_enforcement_point::Variables {
            name: String::new(),
            url: None,
            sensor: None,
            deadline_seconds: None,
        })
    };
    let sensors = load::<SensorList>(
        "The sensors",
        none,
        || sensor_list::Variables {},
        move |data| {
            let options: Vec<_> = data.sensors.into_iter().map(|sensor| (sensor.id, c::clean(&sensor.name))).collect();
            if options.is_empty() {
                return none();
            }
            view! {
            <form class="form-line" method="post" data-act=body() data-done="The sensor is an enforcement point">
                <div class="field"><label for="f-sensor-name">"Name"</label><input class="input" id="f-sensor-name" name="name" required maxlength="100" autocomplete="off"/><p class="err" role="alert"></p></div>
                {c::choice("sensor", "Sensor that asks for its orders", options, "")}
                <button class="btn">"Register the sensor"</button>
                <p class="err" role="alert"></p>
            </form>
        }
        .into_any()
        },
    );
    let form = view! {
        <form class="form-line" method="post" data-act=body() data-done="The enforcement point is registered" data-show="/registerEnforcementPoint/secret">
            <div class="field"><label for="f-name">"Name"</label><input class="input" id="f-name" name="name" placeholder="gateway-eu-1" required maxlength="100" autocomplete="off"/><p class="err" role="alert"></p></div>
            <div class="field"><label for="f-url">"Address that takes orders"</label><input class="input" id="f-url" name="url" type="url" placeholder="https://gateway.example.com/stance" required maxlength="2000" autocomplete="off"/><p class="err" role="alert"></p></div>
            <button class="btn primary">{icon(icons::PLUS)}"Register"</button>
            <p class="err" role="alert"></p>
        </form>
        <div class="secret" role="status" hidden>
            <p>"Its orders are signed with this secret, shown only now:"</p>{c::command("{}")}
            <div class="actions"><button class="btn sm" type="button" data-refresh="">"Done"</button></div>
        </div>
        {sensors}
        <p class="muted hint">"A point is told what to enforce, answers the hash of it, and has to deny a canary call. What it has to answer, and how it knows that an order is from Stance, stands in docs/enforcement-points.md."</p>
    };
    c::section(
        "h-register",
        "Register an enforcement point",
        "a gateway, or a sensor that asks",
        none(),
        form.into_any(),
    )
}
