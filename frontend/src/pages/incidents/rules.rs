//! What opens incidents by itself.

use leptos::prelude::*;

use super::{PATH, may, parts};
use crate::{
    components as c, format,
    gql::{
        self, CorrelationGroup, CorrelationRuleList, SetCorrelationRule, correlation_rule_list as data,
        set_correlation_rule,
    },
    load::load,
    pages::runtime,
    url::Params,
};

type Rule = data::CorrelationRuleListCorrelationRules;

/// `/incidents/rules`
pub fn rules() -> AnyView {
    let page = load::<CorrelationRuleList>(
        "The rules",
        c::table_skeleton,
        || data::Variables {},
        |data| {
            let on = data.correlation_rules.iter().filter(|rule| rule.enabled).count();
            let rows = data.correlation_rules.iter().map(row);
            view! {
                <div><p class="answer"><b>{format!("{on} of {} rules are on.", data.correlation_rules.len())}</b></p>
                    <p class="sub">"What fits a rule within its window becomes one incident for each agent, run, model or asset, however much of it there is."</p></div>
                <div class="tbl"><table><caption class="vh">"Rules"</caption>
                    <thead><tr>{c::head("Rule", "", "")}{c::head("Severity", "w", "88px")}{c::head("One for each", "p1 w", "96px")}{c::head("Window", "num p1 w", "84px")}{c::head("From so many", "p2 w", "144px")}{c::head("State", "num w", "116px")}</tr></thead>
                    <tbody>{rows.collect_view()}</tbody></table></div>
            }
            .into_any()
        },
    );
    view! { {parts("rules", "Rules · Incidents")}<div class="page stack">{page}</div> }.into_any()
}

fn row(rule: &Rule) -> AnyView {
    let of = match rule.group {
        CorrelationGroup::Agent | CorrelationGroup::Asset => format!("an {}", rule.group.label()),
        group => format!("a {}", group.label()),
    };
    let title = runtime::title(&rule.title.replace("{name}", &of));
    let body = |enabled| {
        gql::body::<SetCorrelationRule>(set_correlation_rule::Variables {
            id: rule.id.clone(),
            enabled,
            threshold: Some(rule.threshold),
        })
    };
    let (threshold, toggle) = if may("policy:write") {
        let (label, done) = if rule.enabled { ("Turn off", "The rule is off") } else { ("Turn on", "The rule is on") };
        let named = format!("{label}: {title}");
        (
            view! { <form class="threshold" method="post" data-act=body(rule.enabled) data-done="The threshold is set"><input class="input num" name="threshold" type="number" min="1" max="1000000000" data-as="number" value=rule.threshold.to_string() aria-label=format!("Threshold: {title}")/><button class="btn quiet sm">"Set"</button></form> }.into_any(),
            view! { <button class="btn quiet sm" type="button" data-act=body(!rule.enabled) data-done=done aria-label=named>{label}</button> }.into_any(),
        )
    } else {
        let state = if rule.enabled { "on" } else { "off" };
        (format::count(rule.threshold).into_any(), view! { <span class="muted">{state}</span> }.into_any())
    };
    let incidents = Params::default().with("rule", &rule.id).with("view", "all").on(PATH);
    view! {
        <tr class="row tall" class:off=!rule.enabled><td class="u-wrap"><b>{title}</b><p class="muted">{rule.description.clone()}</p><p class="muted"><span class="id muted">{format!("{} v{}", rule.id, rule.version)}</span>" "<a class="link" href=incidents>"its incidents"</a></p></td>
            <td>{c::severity(rule.severity)}</td><td class="p1">{rule.group.label()}</td><td class="num p1">{format::span(rule.window_minutes * 60)}</td><td class="p2">{threshold}</td><td class="num">{toggle}</td></tr>
    }
    .into_any()
}
