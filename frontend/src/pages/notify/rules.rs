//! Rules, in plain words, and their form.

use leptos::prelude::*;
use stance_shared::{NotificationChannelKind as Kind, NotificationTopic as Topic, Severity};

use super::{PATH, Rule, alone, data, field, may, question};
use crate::{
    components as c,
    gql::{self, DeleteNotificationRule, Role, SaveNotificationRule, delete_notification_rule, save_notification_rule},
    icons::{self, icon},
    url::Params,
};

/// Time zones that are offered; others can be typed.
const ZONES: [&str; 12] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Paris",
    "Europe/Zurich",
    "America/New_York",
    "America/Chicago",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Asia/Tokyo",
    "Australia/Sydney",
];

pub fn section(rules: &[Rule], params: &Params) -> AnyView {
    let may_write = may("notification:write");
    let add = || view! { <a class="btn sm" href=Params::default().with("rule", "new").on(PATH) data-noscroll="">{icon(icons::PLUS)}"New rule"</a> };
    if rules.is_empty() {
        let next = if may_write { view! { <div class="actions">{add()}</div> }.into_any() } else { c::none() };
        let text = "A rule says what is told, how severe it must be, by which channel, and when not to disturb.";
        return c::section("h-rules", "Rules", "who hears of what", c::none(), c::empty("No rule yet", text, next));
    }
    let confirm =
        params.get("forget").and_then(|id| rules.iter().find(|rule| rule.id == id)).filter(|_| may_write).map(confirm);
    let items = rules.iter().map(|rule| {
        let actions = may_write.then(|| view! {
            <span class="cell">
                <a class="btn quiet sm" href=Params::default().with("rule", &rule.id).on(PATH) data-noscroll="" aria-label=format!("Change {}", c::clean(&rule.name))>"Change"</a>
                <a class="btn quiet icon sm" href=Params::default().with("forget", &rule.id).on(PATH) data-noscroll="" aria-label=format!("Delete {}", c::clean(&rule.name)) title="Delete">{icon(icons::TRASH_2)}</a>
            </span>
        });
        let off = (!rule.enabled).then(|| view! { <span class="tag">"off"</span> });
        view! { <li class="rule"><div><p><b>{c::text(&rule.name)}</b>" "{off}</p><p class="t2">{words(rule)}</p></div>{actions}</li> }
    });
    let end = if may_write { add().into_any() } else { c::none() };
    let list = view! { {confirm}<ul class="rules">{items.collect_view()}</ul> };
    c::section("h-rules", "Rules", "who hears of what", end, list.into_any())
}

/// The topics of a rule, in the middle of a sentence.
fn topics(topics: &[Topic]) -> String {
    if topics.len() == Topic::ALL.len() {
        return "anything happens".to_owned();
    }
    let words: Vec<String> = topics
        .iter()
        .map(|topic| {
            let mut chars = topic.label().chars();
            chars.next().into_iter().flat_map(char::to_lowercase).chain(chars).collect()
        })
        .collect();
    match words.as_slice() {
        [one] => one.clone(),
        [some @ .., last] => format!("{} or {last}", some.join(", ")),
        [] => "nothing".to_owned(),
    }
}

fn length(minutes: i64) -> String {
    match minutes {
        1 => "a minute".to_owned(),
        60 => "an hour".to_owned(),
        1440 => "a day".to_owned(),
        m if m % 1440 == 0 => format!("{} days", m / 1440),
        m if m % 60 == 0 => format!("{} hours", m / 60),
        m => format!("{m} minutes"),
    }
}

/// “When an incident opens, at High or above → #security. Not between 22:00 and 07:00 (Europe/Berlin), …”
fn sentence(rule: &Rule) -> (String, String) {
    let severe = match rule.min_severity {
        Severity::Info => String::new(),
        Severity::Critical => ", at Critical".to_owned(),
        other => format!(", at {} or above", other.label()),
    };
    let when = format!("When {}{severe}", topics(&rule.topics));
    let mut to: Vec<String> = rule.members.iter().map(|member| c::clean(&member.name)).collect();
    to.extend(rule.roles.iter().map(|role| format!("everybody with the role {}", role.label())));
    let mut rest = if to.is_empty() { ".".to_owned() } else { format!(" to {}.", to.join(", ")) };
    if let (Some(from), Some(until)) = (&rule.quiet_from, &rule.quiet_to) {
        let zone = rule.time_zone.as_deref().unwrap_or("UTC");
        rest.push_str(&format!(" Not between {from} and {until} ({zone}), unless it is critical."));
    }
    if rule.digest_minutes > 0 {
        rest.push_str(&format!(" Collected for {}.", length(rule.digest_minutes)));
    }
    rest.push_str(&format!(" The same again after {} at the earliest.", length(rule.dedup_minutes)));
    (when, rest)
}

fn words(rule: &Rule) -> AnyView {
    let (when, rest) = sentence(rule);
    let channel = rule.channel.as_ref().map(|channel| c::text(&channel.name));
    view! { {when}" → "<b>{channel}</b>{rest} }.into_any()
}

fn confirm(rule: &Rule) -> AnyView {
    let body = gql::body::<DeleteNotificationRule>(delete_notification_rule::Variables { id: rule.id.clone() });
    let text = view! { <b>"Delete "{c::text(&rule.name)}"?"</b>" What it had still to send is dropped. This can not be taken back." };
    let button = view! { <button class="btn sm" type="button" data-act=body data-done="The rule is deleted" data-then=PATH>"Delete"</button> };
    question(text.into_any(), button.into_any(), PATH.to_owned())
}

/// The form that the address asks for, if it asks for one.
pub fn form(data: &data::ResponseData, params: &Params) -> Option<AnyView> {
    let wanted = params.get("rule")?;
    let rule = data.notification_rules.iter().find(|rule| rule.id == wanted);
    if rule.is_none() && wanted != "new" {
        return None;
    }
    let title = rule.map_or_else(|| "New rule".to_owned(), |rule| c::clean(&rule.name));
    Some(alone("h-form", title, "who hears of what", editor(data, rule)))
}

fn editor(data: &data::ResponseData, rule: Option<&Rule>) -> AnyView {
    let body = gql::body::<SaveNotificationRule>(save_notification_rule::Variables {
        id: rule.map(|rule| rule.id.clone()),
        name: String::new(),
        channel: String::new(),
        topics: Vec::new(),
        min_severity: Severity::High,
        members: None,
        roles: None,
        quiet_from: None,
        quiet_to: None,
        time_zone: None,
        digest_minutes: 0,
        dedup_minutes: 60,
        enabled: true,
    });
    let told = |topic: Topic| rule.map_or(topic == Topic::IncidentOpened, |rule| rule.topics.contains(&topic));
    let topics = Topic::ALL.iter().map(|topic| {
        view! { <label class="check"><input type="checkbox" name="topics" data-as="list" value=topic.as_str() checked=told(*topic)/>{topic.label()}</label> }
    });
    let least = rule.map_or(Severity::High, |rule| rule.min_severity);
    let severities = Severity::ALL.iter().map(|severity| {
        let label = match severity {
            Severity::Critical => "Critical only".to_owned(),
            Severity::Info => "Any severity".to_owned(),
            other => format!("{} or above", other.label()),
        };
        view! { <option value=severity.as_str() selected=*severity == least>{label}</option> }
    });
    let current = rule.and_then(|rule| rule.channel.as_ref()).map(|channel| channel.id.clone());
    let channels = data.notification_channels.iter().map(|channel| {
        let selected = current.as_ref() == Some(&channel.id);
        view! { <option value=channel.id.clone() selected=selected>{format!("{} ({})", c::clean(&channel.name), channel.kind.label())}</option> }
    });
    let by_mail = data.notification_channels.iter().any(|channel| channel.kind == Kind::Email);
    let name = view! { <input class="input" id="f-name" name="name" value=rule.map(|rule| rule.name.clone()) placeholder="Incidents for the team on call" required maxlength="100" autocomplete="off"/> };
    let from = view! { <input class="input" id="f-quiet-from" name="quietFrom" type="time" value=rule.and_then(|rule| rule.quiet_from.clone())/> };
    let to = view! { <input class="input" id="f-quiet-to" name="quietTo" type="time" value=rule.and_then(|rule| rule.quiet_to.clone())/> };
    let zone = rule.and_then(|rule| rule.time_zone.clone()).unwrap_or_else(|| "UTC".to_owned());
    let zones = ZONES.map(|zone| view! { <option value=zone></option> }).into_iter().collect_view();
    let zone = view! { <input class="input" id="f-zone" name="timeZone" value=zone list="zones" maxlength="50" autocomplete="off" spellcheck="false"/><datalist id="zones">{zones}</datalist> };
    let digest = view! { <input class="input" id="f-digest" name="digestMinutes" data-as="number" type="number" min="0" max="1440" value=rule.map_or(0, |rule| rule.digest_minutes).to_string() required/> };
    let dedup = view! { <input class="input" id="f-dedup" name="dedupMinutes" data-as="number" type="number" min="1" max="10080" value=rule.map_or(60, |rule| rule.dedup_minutes).to_string() required/> };
    let button = if rule.is_some() { "Save" } else { "Create rule" };
    view! {
        <form class="form" method="post" data-act=body data-done="Saved" data-then=PATH>
            {field("Name", "f-name", name.into_any(), "")}
            <fieldset class="field"><legend>"When"</legend><div class="boxes two">{topics.collect_view()}</div><p class="err" role="alert"></p></fieldset>
            <div class="row2">
                <div class="field"><label for="f-severity">"How severe"</label><select class="input" id="f-severity" name="minSeverity">{severities.collect_view()}</select><p class="err" role="alert"></p></div>
                <div class="field"><label for="f-channel">"Send to"</label><select class="input" id="f-channel" name="channel">{channels.collect_view()}</select><p class="err" role="alert"></p></div>
            </div>
            {by_mail.then(|| whom(data, rule))}
            <div class="row3">{field("Quiet from", "f-quiet-from", from.into_any(), "")}{field("until", "f-quiet-to", to.into_any(), "")}{field("Time zone", "f-zone", zone.into_any(), "")}</div>
            <p class="hint muted">"In quiet hours only what is critical is sent; the rest comes as one message when they end. Leave both times empty for none."</p>
            <div class="row2">
                {field("Collect for, in minutes", "f-digest", digest.into_any(), "0: at once. Critical things never wait.")}
                {field("Same thing not again within, in minutes", "f-dedup", dedup.into_any(), "")}
            </div>
            <label class="check"><input type="checkbox" name="enabled" data-as="bool" checked=rule.is_none_or(|rule| rule.enabled)/>"In force"</label>
            <p class="err" role="alert"></p>
            <div class="actions"><button class="btn primary">{button}</button></div>
        </form>
    }
    .into_any()
}

/// Members and roles, for e-mail.
fn whom(data: &data::ResponseData, rule: Option<&Rule>) -> AnyView {
    let roles = Role::ALL.iter().filter(|role| **role != Role::Sensor).map(|role| {
        let checked = rule.is_some_and(|rule| rule.roles.contains(role));
        view! { <label class="check"><input type="checkbox" name="roles" data-as="list" value=role.as_str() checked=checked/>{format!("Everybody with the role {}", role.label())}</label> }
    });
    let members = data.members.iter().map(|member| {
        let checked = rule.is_some_and(|rule| rule.members.iter().any(|chosen| chosen.id == member.user.id));
        view! { <label class="check"><input type="checkbox" name="members" data-as="list" value=member.user.id.clone() checked=checked/><span class="cut">{c::text(&member.user.name)}</span></label> }
    });
    view! {
        <details class="whom" open=rule.is_some_and(|rule| !rule.members.is_empty() || !rule.roles.is_empty())>
            <summary>"By e-mail: to whom"</summary>
            <fieldset class="field"><legend class="vh">"By e-mail: to whom"</legend><div class="boxes two">{members.collect_view()}{roles.collect_view()}</div><p class="err" role="alert"></p></fieldset>
            <p class="hint muted">"Nobody chosen: to the addresses of the channel. A member hears only of what their role may read, and only while they are a member."</p>
        </details>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Rule {
        Rule {
            id: "r".into(),
            name: "n".into(),
            topics: vec![Topic::IncidentOpened],
            min_severity: Severity::High,
            roles: Vec::new(),
            quiet_from: Some("22:00".into()),
            quiet_to: Some("07:00".into()),
            time_zone: Some("Europe/Berlin".into()),
            digest_minutes: 0,
            dedup_minutes: 60,
            enabled: true,
            channel: None,
            members: Vec::new(),
        }
    }

    #[test]
    fn a_rule_reads_as_a_sentence() {
        let (when, rest) = sentence(&rule());
        assert_eq!(when, "When an incident opens, at High or above");
        assert_eq!(
            rest,
            ". Not between 22:00 and 07:00 (Europe/Berlin), unless it is critical. The same again after an hour at the earliest."
        );
        let many = Rule {
            topics: vec![Topic::SlaBreached, Topic::SensorSilent, Topic::PlaybookFailed],
            min_severity: Severity::Info,
            roles: vec![Role::Responder],
            quiet_from: None,
            digest_minutes: 90,
            dedup_minutes: 2880,
            ..rule()
        };
        let (when, rest) = sentence(&many);
        assert_eq!(when, "When a deadline is missed, a sensor falls silent or a playbook fails");
        assert_eq!(
            rest,
            " to everybody with the role Responder. Collected for 90 minutes. The same again after 2 days at the earliest."
        );
        assert_eq!(topics(Topic::ALL), "anything happens");
    }
}
