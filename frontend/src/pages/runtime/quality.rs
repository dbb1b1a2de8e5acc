//! How good policies and detectors are, by what analysts and red teams said; and the stored verdicts at other thresholds.

use leptos::prelude::*;
use stance_shared::Channel;

use super::{before_after, interval, part, policy_url, reason_of, table, title, window, window_name};
use crate::{
    components::{self as c, none},
    format,
    gql::{QualityReport, ReplayThresholds, quality_report as data, replay_thresholds as replay},
    load::load,
    url::Params,
};

const PATH: &str = "/runtime/quality";
/// Spans that can be looked at, in days.
const DAYS: [i64; 3] = [7, 30, 90];

/// The rule of the lines that are about a policy as a whole.
const WHOLE: &str = "*";

type Line = data::QualityReportGuardrailQuality;

/// `/runtime/quality`
pub fn quality(params: Params) -> AnyView {
    let days = params.get("days").and_then(|days| days.parse().ok()).filter(|days| DAYS.contains(days)).unwrap_or(30);
    let links = DAYS.map(|n| {
        view! { <a href=params.with("days", &n.to_string()).on(PATH) aria-current=(n == days).then_some("true") data-noscroll="">{n}" d"</a> }
    });
    let switch = view! { <nav class="seg sm" aria-label="Window">{links.into_iter().collect_view()}</nav> };
    let report = load::<QualityReport>(
        "Guardrail quality",
        c::table_skeleton,
        move || data::Variables { days: Some(days) },
        move |data| content(&data.guardrail_quality, days),
    );
    part("quality", switch.into_any(), view! { <div class="page stack">{report}{thresholds(params)}</div> }.into_any())
}

fn answer(lines: &[Line], days: i64) -> AnyView {
    // An event counts once for its policy, and again for each detector.
    let whole = || lines.iter().filter(|line| line.rule == WHOLE);
    let labels = whole().map(|line| line.right + line.wrong + line.missed).sum::<i64>();
    if labels == 0 {
        return view! { <b>"Nobody has said yet which verdicts were right,"</b>" so precision and recall are unknown. "<a href="/runtime/events?verdict=BLOCK">"Label blocked events"</a>"." }.into_any();
    }
    let wrong = whole().map(|line| line.wrong).sum::<i64>();
    let missed = whole().map(|line| line.missed).sum::<i64>();
    let worst = lines.iter().filter(|line| line.wrong > 0 && line.rule != WHOLE).max_by_key(|line| line.wrong);
    let worst = worst.map(|line| view! { " Most wrong: "<a href=Params::default().with("rule", &line.rule).with("labelled", "true").on("/runtime/events")>{c::text(reason_of(&line.reason, &line.rule))}</a>"." });
    view! { <b>{format!("Of {} in {days} days, {wrong} were wrong and {missed} attacks passed.", format::counted(labels, "labeled event", "labeled events"))}</b>{worst} }.into_any()
}

fn content(lines: &[Line], days: i64) -> AnyView {
    if lines.is_empty() {
        let next = view! { <div class="actions"><a class="btn primary" href="/runtime/events">"Events"</a></div> };
        return view! { <p class="answer">{answer(lines, days)}</p>{c::empty("Nothing was detected in this time", "Each detector that fires stands here with how often it blocks and how often that was right.", next.into_any())} }.into_any();
    }
    let rows = lines.iter().map(|line| {
        let policy = match &line.policy {
            Some(policy) => view! { <a href=policy_url(&policy.id)>{c::text(&policy.name)}</a> }.into_any(),
            None => view! { <span class="muted">"built-in"</span> }.into_any(),
        };
        let detector = if line.rule == WHOLE {
            view! { <b>"All that it decided"</b> }.into_any()
        } else {
            let events = Params::default().with("rule", &line.rule).on("/runtime/events");
            view! { <a href=events>{c::text(&title(reason_of(&line.reason, &line.rule)))}</a> }.into_any()
        };
        let precision = line.precision.as_ref().map(|rate| (rate.value, rate.low, rate.high, rate.of));
        let recall = line.recall.as_ref().map(|rate| (rate.value, rate.low, rate.high, rate.of));
        let said = format!("{} right, {} wrong, {} missed", line.right, line.wrong, line.missed);
        view! {
            <tr class="row"><td title=c::clean(reason_of(&line.reason, &line.rule))>{detector}</td><td class="p3"><span class="id">{if line.rule == WHOLE { String::new() } else { c::clean(&line.rule) }}</span></td><td class="p2">{policy}</td>
                <td class="num">{format::count(line.events)}</td><td class="num p1">{format::percent(line.block_rate)}</td><td>{interval(precision, "labeled hits")}</td><td class="p1">{interval(recall, "confirmed attacks")}</td><td class="num p2 muted" title=said.clone()>{line.right + line.wrong + line.missed}</td></tr>
        }
    });
    let heads = view! {
        {c::head("Detector", "", "")}{c::head("Rule", "p3 w", "176px")}{c::head("Policy", "p2 w", "136px")}{c::head("Events", "num w", "76px")}{c::head("Blocked", "num p1 w", "76px")}
        {c::head("Precision", "w", "168px")}{c::head("Recall", "p1 w", "168px")}{c::head("Labels", "num p2 w", "64px")}
    };
    view! {
        <p class="answer">{answer(lines, days)}</p>
        {table("Detectors with precision and recall", heads.into_any(), rows.collect_view().into_any())}
        <p class="hint muted">"Precision: of what it stopped and somebody labeled, how much was an attack. Recall: of the attacks that somebody confirmed, how many it stopped. Bars are 95 % intervals (Wilson)."</p>
    }
    .into_any()
}

/// Thresholds that the address names, both in 0..=1.
fn wanted(params: &Params) -> Option<(f64, f64)> {
    let number = |key: &str| params.get(key)?.parse::<f64>().ok().filter(|n| (0.0..=1.0).contains(n));
    Some((number("flag")?, number("block")?))
}

fn thresholds(params: Params) -> AnyView {
    let any = std::iter::once((String::new(), "Every channel".to_owned()));
    let channels = Channel::ALL.iter().map(|channel| (channel.as_str().to_owned(), channel.label().to_owned()));
    let hours = window(&params);
    let hours_options = super::WINDOWS.map(|(hours, name)| (hours.to_string(), name.to_owned())).to_vec();
    let number = |name: &'static str, label: &'static str, default: &str| {
        let value = params.get(name).unwrap_or(default).to_owned();
        view! { <div class="field slim"><label for=format!("f-{name}")>{label}</label><input class="input" id=format!("f-{name}") name=name type="number" min="0" max="1" step="0.01" value=value required/></div> }
    };
    let form = view! {
        <form class="form-line" method="get" action=PATH data-nav="">
            {c::choice("channel", "Channel", any.chain(channels).collect(), &params.text("channel"))}
            {number("flag", "Flag from score", "0.5")}{number("block", "Block from score", "0.8")}
            {c::choice("hours", "Events of the last", hours_options, &hours.to_string())}
            <button class="btn primary">"Replay"</button>
        </form>
    };
    let result = wanted(&params).map(|(flag, block)| {
        let channel = params.get("channel").and_then(|channel| channel.parse().ok());
        let variables = move || replay::Variables { channel, flag, block, hours: Some(hours) };
        load::<ReplayThresholds>("The replay", none, variables, move |data| outcome(&data.threshold_replay, hours))
    });
    c::section(
        "h-replay",
        "Other thresholds",
        "stored scores judged anew; nothing is changed",
        none(),
        view! { {form}{result} }.into_any(),
    )
}

fn outcome(run: &replay::ReplayThresholdsThresholdReplay, hours: i64) -> AnyView {
    let (b, a) = (&run.before, &run.after);
    let precision = run.precision.as_ref().map(|rate| (rate.value, rate.low, rate.high, rate.of));
    let recall = run.recall.as_ref().map(|rate| (rate.value, rate.low, rate.high, rate.of));
    view! {
        <div class="grid spaced"><div class="c8">{before_after([b.allow, b.flag, b.redact, b.block], [a.allow, a.flag, a.redact, a.block])}</div>
            <div class="c4"><dl class="facts"><dt>"Events"</dt><dd>{format::count(run.events)}<span class="muted">{window_name(hours)}</span></dd><dt>"Precision"</dt><dd>{interval(precision, "labeled hits")}</dd><dt>"Recall"</dt><dd>{interval(recall, "confirmed attacks")}</dd></dl></div></div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_scores() {
        assert_eq!(wanted(&Params::parse("flag=0.4&block=0.9")), Some((0.4, 0.9)));
        for broken in ["flag=0.4", "flag=x&block=1", "flag=-1&block=1", "flag=0.1&block=7", "flag=NaN&block=1"] {
            assert_eq!(wanted(&Params::parse(broken)), None, "{broken}");
        }
    }
}
