//! What tells Stance of events: whether it is alive, and registering another one.

use leptos::prelude::*;
use stance_shared::AssetKind;

use super::{may, opens, part, question, table};
use crate::{
    components::{self as c, none},
    format,
    gql::{
        self, AssetChoices, RegisterSensor, RetireSensor, SensorList, SensorState, asset_choices, register_sensor,
        retire_sensor, sensor_list as data,
    },
    icons::{self, icon},
    load::load,
    url::Params,
};

const PATH: &str = "/runtime/sensors";

type Sensor = data::SensorListSensors;

/// `/runtime/sensors`
pub fn sensors(params: Params) -> AnyView {
    let page = load::<SensorList>(
        "The sensors",
        c::table_skeleton,
        || data::Variables {},
        move |data| content(&data.sensors, &params),
    );
    let button = may("sensor:write")
        .then(|| view! { <a class="btn sm" href="#h-register" data-noscroll="">{icon(icons::PLUS)}"Register"</a> });
    part("sensors", button.into_any(), view! { <div class="page stack">{page}</div> }.into_any())
}

fn content(sensors: &[Sensor], params: &Params) -> AnyView {
    let retire = params
        .get("retire")
        .and_then(|id| sensors.iter().find(|sensor| sensor.id == id))
        .filter(|_| may("sensor:write"));
    let body = if sensors.is_empty() {
        c::empty(
            "No sensor yet",
            "A sensor is a gateway, a collector or a library beside an agent, with a token of its own. When it goes silent, that is a finding.",
            none(),
        )
    } else {
        list(sensors)
    };
    let register = may("sensor:write").then(register);
    view! { <p class="answer">{answer(sensors)}</p>{retire.map(confirm)}{body}{register} }.into_any()
}

fn answer(sensors: &[Sensor]) -> AnyView {
    let all = format::counted(i64::try_from(sensors.len()).unwrap_or_default(), "sensor", "sensors");
    let silent: Vec<_> = sensors.iter().filter(|sensor| sensor.state == SensorState::Silent).collect();
    let never = sensors.iter().filter(|sensor| sensor.state == SensorState::NeverSeen).count();
    let events = sensors.iter().map(|sensor| sensor.event_count).sum::<i64>();
    let told = format!(" {} in all.", format::counted(events, "event", "events"));
    match (sensors.len(), silent.as_slice(), never) {
        (0, ..) => view! { <b>"No sensor is registered."</b>" Events still come by the inspect API and by OTLP." }.into_any(),
        (_, [], 0) => view! { <b>{all}", all alive."</b>{told} }.into_any(),
        (_, [], n) => view! { <b>{format!("{n} of {all} never gave a sign of life.")}</b>{told} }.into_any(),
        (_, [one], _) => view! { <b>{c::text(&one.name)}" is silent"</b>", so "<a href=c::asset_url(&one.asset.id)>{c::text(&one.asset.name)}</a>" goes unseen."{told} }.into_any(),
        (_, many, _) => view! { <b>{format!("{} of {all} are silent:", many.len())}</b>" what they watch goes unseen."{told} }.into_any(),
    }
}

/// How a state looks: the class of its mark, and its kind.
pub const fn state_mark(state: SensorState) -> (&'static str, Option<&'static str>) {
    match state {
        SensorState::Alive => ("hx", Some("ok")),
        SensorState::Silent | SensorState::NeverSeen => ("hx unknown", None),
    }
}

/// Since when, in words.
pub fn since(state: SensorState, last: Option<&str>) -> String {
    let ago = last.and_then(format::seconds).map(|t| format::span(c::now() - t)).unwrap_or_default();
    match state {
        SensorState::Alive => ago,
        SensorState::Silent => format!("silent {ago}"),
        SensorState::NeverSeen => "never seen".to_owned(),
    }
}

fn list(sensors: &[Sensor]) -> AnyView {
    let may_retire = may("sensor:write");
    let rows = sensors.iter().map(|sensor| {
        let (class, mark) = state_mark(sensor.state);
        let policy = match (&sensor.policy_hash, &sensor.expected_policy_hash) {
            (Some(own), Some(expected)) if own == expected => view! { <span class="state">{icon(icons::CHECK)}"as expected"</span> }.into_any(),
            (Some(own), Some(expected)) => view! { <span class="state bad" title=format!("enforces {own}, should be {expected}")>{icon(icons::TRIANGLE_ALERT)}"another one"</span> }.into_any(),
            (None, Some(_)) => view! { <span class="muted">"does not say"</span> }.into_any(),
            (own, None) => view! { <span class="muted">{if own.is_some() { "of its own" } else { "–" }}</span> }.into_any(),
        };
        let retire = may_retire.then(|| view! { <a class="btn quiet sm" href=Params::default().with("retire", &sensor.id).on(PATH) data-noscroll="">"Retire"</a> });
        let events = Params::default().with("sensor", &sensor.id).on("/runtime/events");
        view! {
            <tr class="row"><td><span class="cell"><span class=class data-k=mark aria-hidden="true"></span>{c::cut(&sensor.name)}</span></td><td class="muted">{since(sensor.state, sensor.last_seen_at.as_deref())}</td>
                <td class="p1">{c::asset(&sensor.asset.id, sensor.asset.kind, &sensor.asset.name)}</td><td class="p2">{policy}</td><td class="p2 muted">{c::cut(&sensor.version)}</td>
                <td class="num">{opens(sensor.event_count, events)}</td><td class="num p3 muted">{format::span(sensor.silent_after_seconds)}</td><td class="num p1">{retire}</td></tr>
        }
    });
    let heads = view! {
        {c::head("Sensor", "", "")}{c::head("Last sign", "w", "112px")}{c::head("Watches", "p1 w", "22%")}{c::head("Policy", "p2 w", "128px")}{c::head("Version", "p2 w", "88px")}{c::head("Events", "num w", "96px")}{c::head("Silent after", "num p3 w", "92px")}
        <th class="p1 w" style="--w:84px" scope="col"><span class="vh">"Actions"</span></th>
    };
    table("Sensors", heads.into_any(), rows.collect_view().into_any())
}

fn confirm(sensor: &Sensor) -> AnyView {
    let body = gql::body::<RetireSensor>(retire_sensor::Variables { id: sensor.id.clone() });
    let text = view! { <b>"Retire "{c::text(&sensor.name)}"?"</b>" Its token stops working at once; its events stay. This can not be taken back." };
    let button = view! { <button class="btn sm" type="button" data-act=body data-done="The sensor is retired" data-then=PATH>"Retire"</button> };
    question(text.into_any(), button.into_any(), PATH.to_owned())
}

fn register() -> AnyView {
    let variables = || asset_choices::Variables {
        filter: Some(asset_choices::AssetFilter {
            kind: Some(vec![AssetKind::Agent, AssetKind::Application, AssetKind::McpServer]),
            ..Default::default()
        }),
    };
    let assets = load::<AssetChoices>("The assets", none, variables, |data| {
        let options = data
            .assets
            .nodes
            .into_iter()
            .map(|asset| (asset.id, format!("{} ({})", c::clean(&asset.name), asset.kind.label().to_lowercase())));
        c::choice("asset", "Watches", options.collect(), "")
    });
    let body = gql::body::<RegisterSensor>(register_sensor::Variables {
        name: String::new(),
        asset: String::new(),
        silent_after_seconds: None,
    });
    let heartbeat = "curl http://127.0.0.1:8080/api/v1/inspect -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' -d '{\"channel\": \"USER_INPUT\", \"text\": \"Hello\"}'";
    let otlp = "export OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:8080/v1/traces OTEL_EXPORTER_OTLP_TRACES_HEADERS=\"Authorization=Bearer%20{}\"";
    let form = view! {
        <form class="form-line" method="post" data-act=body data-done="The sensor is registered" data-show="/registerSensor/token">
            <div class="field"><label for="f-name">"Name"</label><input class="input" id="f-name" name="name" placeholder="gateway-eu-1" required maxlength="100" autocomplete="off"/><p class="err" role="alert"></p></div>
            {assets}
            <div class="field slim"><label for="f-silent">"Silent after, in seconds"</label><input class="input" id="f-silent" name="silentAfterSeconds" data-as="number" type="number" min="30" max="86400" value="300"/><p class="err" role="alert"></p></div>
            <button class="btn primary">{icon(icons::PLUS)}"Register sensor"</button>
            <p class="err" role="alert"></p>
        </form>
        <div class="secret" role="status" hidden>
            <p>"Its token, shown only now. Stance keeps a hash of it."</p>{c::command("{}")}
            <p>"Ask before the agent acts:"</p>{c::command(heartbeat)}
            <p>"Or send OpenTelemetry traces:"</p>{c::command(otlp)}
            <div class="actions"><button class="btn sm" type="button" data-refresh="">"Done"</button></div>
        </div>
    };
    c::section("h-register", "Register a sensor", "each has a token of its own", none(), form.into_any())
}
