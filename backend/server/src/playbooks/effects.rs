//! What actions do: first what they would do, in a sentence, then doing it, then taking it back.
//!
//! [`prepare`] only reads, and a dry run ends there; so what a dry run says is what a run does. [`perform`] and [`undo`] make the effect
//! in the caller's transaction, which also stores the step's outcome.

use super::{
    domain::{Detail, Run, StepRecord},
    repo,
};
use crate::{
    identity::tokens,
    incidents::{self, Entry, Facts, Item, Opening, Origin, Transition},
    inventory::grants::{self, Grant},
    kernel::{Error, Permission, Result, TenantTx},
    notify::{self, Notice, Topic},
    runtime::{
        containment::{self, Order},
        policies::{self, Weaker},
    },
};
use chrono::Duration;
use serde_json::{Value, json};
use stance_engine::{
    playbook::{Action, Grade, Step},
    policy::name_fits,
};
use stance_shared::{
    AssetId, ContainmentGrade, ContainmentId, EntryKind, IncidentStatus, PlaybookStepState, Severity, TokenId,
    TypedId as _,
};
use uuid::Uuid;

/// What an action is about.
pub(super) struct Scene<'a> {
    pub run: &'a Run,
    pub step: &'a Step,
    /// None: the run has no incident.
    pub facts: Option<&'a Facts>,
    /// What is known of the run's other steps.
    pub records: &'a [StepRecord],
}

/// What an action will do.
pub(super) struct Prepared {
    /// A sentence.
    pub plan: String,
    what: What,
}

enum What {
    Quarantine(Vec<(AssetId, String)>),
    Release(Vec<Uuid>),
    Grants(Vec<Grant>),
    Tokens(Vec<(TokenId, String)>),
    Policies(Vec<Weaker>),
    Path(Vec<IncidentStatus>),
    Simple,
}

/// How an effect ended well.
pub(super) struct Effect {
    pub outcome: String,
    pub detail: Detail,
}

impl Scene<'_> {
    /// The same for each attempt of the step, and for no other step.
    pub fn key(&self) -> String {
        format!("playbook:{}:{}", self.run.id, self.step.id)
    }

    fn facts(&self) -> Result<&Facts> {
        self.facts.ok_or_else(|| Error::conflict("The run has no incident, which this step needs."))
    }

    fn agents(&self) -> Result<Vec<(AssetId, String)>> {
        let agents = self.facts()?.agents.iter().map(|agent| (agent.id, agent.name.clone())).collect::<Vec<_>>();
        if agents.is_empty() {
            return Err(Error::conflict("There is no agent among the incident's assets."));
        }
        Ok(agents)
    }

    fn link(&self) -> String {
        format!("/playbooks/runs/{}:{}", stance_shared::PlaybookRunId::NOUN, self.run.id)
    }
}

/// At most five names, and how many more.
fn names<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let count = names.len();
    let shown: Vec<&str> = names.take(5).collect();
    let more = if count > 5 { format!(" and {} more", count - 5) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

fn span(seconds: u64) -> String {
    for (unit, name) in [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")] {
        if seconds >= unit && seconds.is_multiple_of(unit) {
            let count = seconds / unit;
            return format!("{count} {name}{}", if count == 1 { "" } else { "s" });
        }
    }
    "0 seconds".to_owned()
}

const fn grade(grade: Grade) -> ContainmentGrade {
    match grade {
        Grade::BlockAll => ContainmentGrade::BlockAll,
        Grade::ToolsOnly => ContainmentGrade::ToolsOnly,
        Grade::EgressOnly => ContainmentGrade::EgressOnly,
        Grade::HumanApproval => ContainmentGrade::HumanApproval,
    }
}

/// What the action would do now.
///
/// # Errors
/// `CONFLICT` with a sentence when it can not be done as things stand; or when the database fails.
pub(super) async fn prepare(tx: &mut TenantTx, scene: &Scene<'_>, action: &Action) -> Result<Prepared> {
    let simple = |plan: String| Ok(Prepared { plan, what: What::Simple });
    match action {
        Action::Quarantine { grade, expires_after, .. } => {
            let agents = scene.agents()?;
            let until = expires_after.map(|seconds| format!(" for {}", span(seconds))).unwrap_or_default();
            let who = names(agents.iter().map(|(_, name)| name.as_str()));
            let plan = format!("Contains with the grade {}{until}: {who}.", grade.as_str());
            Ok(Prepared { plan, what: What::Quarantine(agents) })
        }
        Action::Release { .. } => {
            let held: Vec<&(Uuid, String)> = (scene.records.iter())
                .filter(|record| record.state == PlaybookStepState::Done)
                .flat_map(|record| &record.detail.containments)
                .collect();
            if held.is_empty() {
                return simple("Nothing to release: this run has contained nothing.".to_owned());
            }
            let plan = format!("Releases: {}.", names(held.iter().map(|(_, name)| name.as_str())));
            Ok(Prepared { plan, what: What::Release(held.iter().map(|(id, _)| *id).collect()) })
        }
        Action::RevokeToolGrants { tools } => {
            let agents: Vec<AssetId> = scene.agents()?.into_iter().map(|(id, _)| id).collect();
            let mut grants = grants::of(tx, &agents).await?;
            grants.retain(|grant| tools.iter().any(|pattern| name_fits(pattern, &grant.tool_name)));
            if grants.is_empty() {
                return simple("Nothing to revoke: the agents may call no tool of these names.".to_owned());
            }
            let pairs: Vec<String> =
                grants.iter().map(|grant| format!("{} → {}", grant.agent_name, grant.tool_name)).collect();
            let plan = format!("Takes away what agents may call: {}.", names(pairs.iter().map(String::as_str)));
            Ok(Prepared { plan, what: What::Grants(grants) })
        }
        Action::RevokeTokens { names: patterns } => {
            let mut live = tokens::live_in(tx).await?;
            live.retain(|token| patterns.iter().any(|pattern| name_fits(pattern, &token.name)));
            if live.is_empty() {
                return simple("Nothing to revoke: there is no API token of these names.".to_owned());
            }
            let plan = format!("Revokes API tokens: {}.", names(live.iter().map(|token| token.name.as_str())));
            Ok(Prepared { plan, what: What::Tokens(live.into_iter().map(|token| (token.id, token.name)).collect()) })
        }
        Action::RaisePolicy { to } => {
            let agents: Vec<AssetId> = scene.agents()?.into_iter().map(|(id, _)| id).collect();
            let weaker = policies::weaker(tx, &agents, *to).await?;
            if weaker.is_empty() {
                return simple(format!("No policy that is in force for the agents is weaker than {}.", to.as_str()));
            }
            let each: Vec<String> = weaker
                .iter()
                .map(|policy| {
                    let whom = if policy.agents == 0 { ", for all agents" } else { "" };
                    format!("{} ({} to {}{whom})", policy.name, policy.document.preset.as_str(), to.as_str())
                })
                .collect();
            let plan = format!("Puts a stricter version in force: {}.", names(each.iter().map(String::as_str)));
            Ok(Prepared { plan, what: What::Policies(weaker) })
        }
        Action::Notify { title, .. } => simple(format!("Tells those whom the notification rules name: “{title}”.")),
        Action::Webhook { channel } => simple(format!("Posts the incident to the webhook channel “{channel}”.")),
        Action::CreateTicket { channel, title, .. } => {
            simple(format!("Creates a ticket “{title}” by the webhook channel “{channel}”."))
        }
        Action::OpenIncident { title, .. } if scene.run.incident.is_none() => {
            simple(format!("Opens an incident “{title}”, which the steps that follow are about."))
        }
        Action::OpenIncident { .. } => Err(Error::conflict("The run is about an incident already.")),
        Action::CollectEvidence => {
            let counts = &scene.facts()?.counts;
            simple(format!(
                "Keeps what is known in the timeline: {} findings, {} events, {} assets.",
                counts.findings, counts.events, counts.assets
            ))
        }
        Action::Transition { to, .. } => {
            let now = scene.facts()?.status;
            let to: IncidentStatus = to.parse()?;
            let path = path(now, to);
            if path.is_empty() {
                return simple(format!("Nothing to do: the incident is {} already.", now.as_str()));
            }
            let words: Vec<&str> = path.iter().map(|status| status.as_str()).collect();
            Ok(Prepared {
                plan: format!("Moves the incident from {now} to {}.", words.join(", ")),
                what: What::Path(path),
            })
        }
    }
}

/// The steps that lead an incident forward to a status; none when it stands there or further on. What lies between is recorded as
/// reached, but that it is contained is only said by who asks for that.
fn path(from: IncidentStatus, to: IncidentStatus) -> Vec<IncidentStatus> {
    use IncidentStatus::{Eradicated, Open, Recovered, Triaged};
    let (mut at, mut path) = (from, Vec::new());
    while at < to {
        at = match (at, to) {
            (_, to) if incidents::step(at, to) == Some(incidents::Manner::Forward) => to,
            (Open, _) => Triaged,
            (Eradicated, _) => Recovered,
            _ => Eradicated,
        };
        path.push(at);
    }
    path
}

/// Makes the effect.
///
/// # Errors
/// With a sentence when it can not be done; the caller's transaction is then rolled back.
pub(super) async fn perform(
    tx: &mut TenantTx,
    scene: &Scene<'_>,
    action: &Action,
    prepared: &Prepared,
) -> Result<Effect> {
    let mut detail = Detail::default();
    let mut outcome = String::from("Done.");
    let incident = scene.run.incident;
    match (action, &prepared.what) {
        (Action::Quarantine { grade: how, expires_after, reason }, What::Quarantine(agents)) => {
            let expires_at = expires_after
                .and_then(|seconds| i64::try_from(seconds).ok())
                .map(|seconds| tx.ctx().now() + Duration::seconds(seconds));
            for (agent, name) in agents {
                let order = Order {
                    agent: *agent,
                    grade: grade(*how),
                    reason: reason.clone(),
                    expires_at,
                    incident: incident.map(|id| id.0),
                    key: Some(format!("{}:{agent}", scene.key())),
                };
                let id = containment::quarantine(tx, &order).await?;
                detail.containments.push((id.0, name.clone()));
            }
            if let Some(incident) = incident {
                let items: Vec<Item> = detail.containments.iter().map(|(id, _)| Item::Containment(*id)).collect();
                incidents::attach(tx, incident, &items).await?;
            }
            outcome = "Requested; the enforcement points are asked to prove it.".to_owned();
        }
        (Action::Release { reason }, What::Release(held)) => release(tx, scene, held, reason).await?,
        (Action::RevokeToolGrants { .. }, What::Grants(grants)) => {
            grants::revoke(tx, grants).await?;
            detail.grants.clone_from(grants);
        }
        (Action::RevokeTokens { .. }, What::Tokens(found)) => {
            for (id, _) in found {
                tokens::revoke_in(tx, *id).await?;
            }
        }
        (Action::RaisePolicy { to }, What::Policies(weaker)) => {
            for policy in weaker {
                let note = format!("Raised by the playbook “{}”.", scene.run.title);
                detail.policies.push(policies::raise(tx, policy, *to, &note).await?);
            }
        }
        (Action::Notify { title, text }, _) => {
            let title = scene.facts.map_or_else(|| title.clone(), |facts| format!("INC-{}: {title}", facts.number));
            let notice = Notice {
                topic: Topic::PlaybookMessage,
                severity: scene.facts.map_or(Severity::Medium, |facts| facts.severity),
                title: &title,
                text,
                link: &scene.link(),
                permission: Permission::IncidentRead,
                subject: scene.run.id.0,
                key: &scene.key(),
            };
            notify::emit(tx, notice).await?;
            outcome = "Handed to the notifications.".to_owned();
        }
        (Action::OpenIncident { title, text, severity }, _) => {
            let run = scene.run.id;
            let opening = Opening {
                title,
                summary: text,
                severity: severity.parse()?,
                opened_by: Origin::Playbook { run: run.0 },
                dedup_key: Some(&scene.key()),
                items: vec![Item::PlaybookRun(run.0)],
            };
            let opened = incidents::open(tx, opening).await?;
            repo::set_incident(tx, run, opened.id).await?;
            outcome = "Opened; the steps that follow are about it.".to_owned();
        }
        (Action::CollectEvidence, _) => {
            let facts = scene.facts()?;
            let evidence = evidence(facts);
            let key = scene.key();
            let text = format!("Evidence kept by the playbook “{}”", scene.run.title);
            let entry = Entry { kind: EntryKind::Action, text: &text, evidence: Some(evidence), key: Some(&key) };
            incidents::note(tx, facts.id, entry).await?;
            outcome = "Kept in the incident's timeline.".to_owned();
        }
        (Action::Transition { reason, root_cause, lessons, .. }, What::Path(path)) => {
            let incident = scene.facts()?.id;
            for to in path {
                let transition = Transition { reason, root_cause: root_cause.as_deref(), lessons: lessons.as_deref() };
                incidents::transition(tx, incident, *to, transition).await?;
            }
        }
        _ => outcome.clone_from(&prepared.plan),
    }
    Ok(Effect { outcome, detail })
}

/// The facts, small enough for a line of the timeline.
fn evidence(facts: &Facts) -> Value {
    let mut value = serde_json::to_value(facts).unwrap_or(Value::Null);
    let lists = ["assets", "rules", "sessions", "models", "agents"];
    for list in lists {
        if value.to_string().len() <= 19_000 {
            break;
        }
        value[list] = json!("too many to keep here");
    }
    json!({ "facts": value })
}

async fn release(tx: &mut TenantTx, scene: &Scene<'_>, held: &[Uuid], reason: &str) -> Result<()> {
    for id in held {
        let key = format!("{}:{id}", scene.key());
        match containment::release(tx, ContainmentId(*id), reason, Some(&key)).await {
            // It expired, or a person was faster: it is over, which was the wish.
            Err(error) if error.kind == crate::kernel::Kind::Conflict => {}
            other => other?,
        }
    }
    Ok(())
}

/// Takes an effect back; returns what came of it.
///
/// # Errors
/// With a sentence when it can not be done.
pub(super) async fn undo(tx: &mut TenantTx, scene: &Scene<'_>, action: &Action, detail: &Detail) -> Result<String> {
    match action {
        Action::Quarantine { .. } => {
            let held: Vec<Uuid> = detail.containments.iter().map(|(id, _)| *id).collect();
            release(tx, scene, &held, "The playbook's step was undone.").await?;
            Ok("Released.".to_owned())
        }
        Action::RevokeToolGrants { .. } => {
            grants::restore(tx, &detail.grants).await?;
            Ok(format!("{} grants given back.", detail.grants.len()))
        }
        Action::RaisePolicy { .. } => {
            let mut stayed = Vec::new();
            for raised in &detail.policies {
                if !policies::lower(tx, raised).await? {
                    stayed.push(raised.name.as_str());
                }
            }
            Ok(if stayed.is_empty() {
                "The former versions are in force again.".to_owned()
            } else {
                format!("Changed by somebody since, so left as they are: {}.", names(stayed.into_iter()))
            })
        }
        _ => Err(Error::conflict("This step can not be undone.")),
    }
}

/// What a webhook is told. The same for each attempt, as far as the incident has not changed.
pub(super) fn message(scene: &Scene<'_>, action: &Action) -> Value {
    let incident = scene.facts.map(|facts| {
        json!({ "id": format!("incident:{}", facts.id), "number": facts.number, "title": facts.title,
                "severity": facts.severity, "status": facts.status, "categories": facts.categories })
    });
    let mut message = json!({
        "event": "playbook.step", "run": format!("playbook_run:{}", scene.run.id), "playbook": scene.run.title,
        "version": scene.run.version, "step": scene.step.id, "title": scene.step.title, "incident": incident,
    });
    if let Action::CreateTicket { title, text, .. } = action {
        message["ticket"] = json!({ "title": title, "text": text });
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_goes_forward_by_steps_that_there_are() {
        for from in IncidentStatus::ALL {
            for to in IncidentStatus::ALL {
                let path = path(*from, *to);
                assert_eq!(path.is_empty(), from >= to);
                let mut at = *from;
                for next in path {
                    assert_eq!(incidents::step(at, next), Some(incidents::Manner::Forward), "{at} to {next}");
                    at = next;
                }
                assert!(at >= *to);
            }
        }
    }

    #[test]
    fn times_are_said_in_their_largest_whole_unit() {
        assert_eq!([span(1), span(90), span(7200), span(86_400)], ["1 second", "90 seconds", "2 hours", "1 day"]);
        assert_eq!(names(["a", "b"].into_iter()), "a, b");
        assert_eq!(names(["a", "b", "c", "d", "e", "f"].into_iter()), "a, b, c, d, e and 1 more");
    }
}
