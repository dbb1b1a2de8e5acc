//! What opens incidents by itself.

use leptos::prelude::*;

use super::{may, parts};
use crate::{
    components as c, format,
    gql::{self, CorrelationRuleList, SetCorrelationRule, correlation_rule_list as data, set_correlation_rule},
    load::load,
};

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
            <p class="answer"><b>{format!("{on} of {} rules are on.", data.correlation_rules.len())}</b>" What fits a rule within its window becomes one incident, however much of it there is."</p>
            <div class="tbl"><table><caption class="vh">"Rules"</caption>
                <thead><tr>{c::head("Rule", "", "")}{c::head("Severity", "w", "88px")}{c::head("By", "p1 w", "88px")}{c::head("Window", "num p1 w", "76px")}{c::head("From", "num p1 w", "96px")}{c::head("", "w", "76px")}</tr></thead>
                <tbody>{rows.collect_view()}</tbody></table></div>
        }
        .into_any()
        },
    );
    view! { {parts("rules", "Rules · Incidents", c::none())}<div class="page stack">{page}</div> }.into_any()
}

fn row(rule: &data::CorrelationRuleListCorrelationRules) -> AnyView {
    let title = rule.title.replace("{name}", "an agent or asset");
    let toggle = if may("policy:write") {
        let body = gql::body::<SetCorrelationRule>(set_correlation_rule::Variables {
            id: rule.id.clone(),
            enabled: !rule.enabled,
        });
        let (label, done) = if rule.enabled { ("Turn off", "The rule is off") } else { ("Turn on", "The rule is on") };
        view! { <button class="btn quiet sm" type="button" data-act=body data-done=done aria-label=format!("{label}: {title}")>{label}</button> }.into_any()
    } else {
        view! { <span class="muted">{if rule.enabled { "on" } else { "off" }}</span> }.into_any()
    };
    view! {
        <tr class="row"><td class="u-wrap"><b>{title}</b><br/><span class="muted">{rule.description.clone()}</span><br/><span class="id muted">{format!("{} v{}", rule.id, rule.version)}</span></td>
            <td>{c::severity(rule.severity)}</td><td class="p1">{rule.group.label()}</td><td class="num p1">{format::span(rule.window_minutes * 60)}</td><td class="num p1">{format::count(rule.threshold)}</td><td>{toggle}</td></tr>
    }
    .into_any()
}
