//! The slice's words and pure rules.

use super::Grade;
use crate::kernel::{Error, Result, text};
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stance_shared::{AssetId, ContainmentId, ContainmentStatus, EnforcementPhase, TenantId};
use uuid::Uuid;

/// What a [`Document`] says that it is.
pub const FORMAT: &str = "stance-containment/1";
/// Containments that an organization can have in force or not yet released.
pub(super) const MAX_OPEN: i64 = 500;
/// Agents that one containment can hold.
pub(super) const MAX_AGENTS: usize = 1_000;
/// The longest that a containment can be set to last, in days.
const MAX_DAYS: i64 = 366;

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Order {
    pub agent: AssetId,
    pub grade: Grade,
    /// Why, 1 to 2,000 characters.
    pub reason: String,
    /// It ends by itself then; `None`: when it is released.
    pub expires_at: Option<DateTime<Utc>>,
    /// The incident that it is part of.
    pub incident: Option<Uuid>,
    /// Who asks again with the same key means the same containment. At most 200 characters.
    pub key: Option<String>,
}

impl Order {
    /// Its reason and key as they are kept.
    ///
    /// # Errors
    /// `BAD_INPUT` naming the field.
    pub(super) fn check(&self, now: DateTime<Utc>) -> Result<(String, Option<String>)> {
        if self.expires_at.is_some_and(|at| at <= now || at > now + Duration::days(MAX_DAYS)) {
            return Err(Error::field("expiresAt", "must be in the future, at most a year"));
        }
        Ok((reason(&self.reason)?, key(self.key.as_deref())?))
    }
}

/// Why something is done: 1 to 2,000 characters.
pub(super) fn reason(given: &str) -> Result<String> {
    match text::lines("reason", given, 2000)? {
        reason if reason.is_empty() => Err(Error::field("reason", "must say why, in 1 to 2000 characters")),
        reason => Ok(reason),
    }
}

pub(super) fn key(given: Option<&str>) -> Result<Option<String>> {
    given.map(|key| text::line("key", key, 200)).transpose()
}

/// A containment, as far as it is enforced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contained {
    pub containment: ContainmentId,
    pub grade: Grade,
    /// The keys of the agents, in order.
    pub agents: Vec<String>,
}

/// All that an organization's enforcement points have to enforce. What they are given, and name the hash of, is its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    pub format: String,
    pub organization: TenantId,
    /// Grows by one with each change; 0 before the first.
    pub revision: i64,
    /// In the order of their ids.
    pub contained: Vec<Contained>,
}

impl Document {
    #[must_use]
    pub fn new(organization: TenantId, revision: i64, mut contained: Vec<Contained>) -> Self {
        contained.sort_by_key(|one| one.containment);
        for one in &mut contained {
            one.agents.sort();
            one.agents.dedup();
        }
        Self { format: FORMAT.to_owned(), organization, revision, contained }
    }

    /// Its text and that text's SHA-256, 64 hexadecimal digits.
    ///
    /// # Errors
    /// Never, in fact: all of it can be written as JSON.
    pub fn seal(&self) -> Result<(String, String)> {
        let text = serde_json::to_string(self).map_err(Error::internal)?;
        let hash = hex::encode(Sha256::digest(&text));
        Ok((text, hash))
    }
}

/// How far a point has come in one go.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Step {
    /// `None`: it was told before.
    pub dispatched_at: Option<DateTime<Utc>>,
    /// When it named which hash.
    pub acknowledged: Option<(DateTime<Utc>, String)>,
    pub canary_at: Option<DateTime<Utc>>,
    pub proven_at: Option<DateTime<Utc>>,
    /// What went wrong, as a sentence of at most 1,000 characters.
    pub failure: Option<String>,
}

/// How the points of a containment stand, those that count.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub status: ContainmentStatus,
    /// `RELEASE` or `EXPIRY`, once it ends.
    pub ending: Option<String>,
    /// Since when the points are asked.
    pub since: DateTime<Utc>,
    pub requested: i64,
    pub dispatched: i64,
    pub acknowledged: i64,
    pub proven: i64,
    /// Those that failed and have not proven it since.
    pub failed: i64,
}

impl Standing {
    /// The status that the containment has by its points. One without any point has failed when `deadline` has passed: nothing enforces it.
    pub fn now(&self, now: DateTime<Utc>, deadline: Duration) -> ContainmentStatus {
        let open = self.requested + self.dispatched + self.acknowledged + self.failed;
        let proven = open == 0 && self.proven > 0;
        match self.ending.as_deref() {
            Some("EXPIRY") if proven => ContainmentStatus::Expired,
            Some(_) if proven => ContainmentStatus::Released,
            Some(_) => ContainmentStatus::Releasing,
            None if proven => ContainmentStatus::Proven,
            None if self.failed > 0 => ContainmentStatus::Failed,
            None if open == 0 && now > self.since + deadline => ContainmentStatus::Failed,
            None if self.requested > 0 || open == 0 => ContainmentStatus::Requested,
            None if self.dispatched > 0 => ContainmentStatus::Dispatched,
            None => ContainmentStatus::Acknowledged,
        }
    }
}

/// A call in the name of a contained agent that shows what a point does with it. It is recorded as such, never as something that the agent did.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// What its outcome is told by.
    pub nonce: String,
    /// The agent's key.
    pub agent: String,
    /// Absent for a tool call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// `{"server", "name", "arguments"}`
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub tool: Option<Value>,
}

impl Canary {
    /// The canary calls of a containment: of a kind that its grade denies.
    pub(super) fn all(nonce: Uuid, grade: Grade, agents: &[String]) -> Vec<Self> {
        let tool = |arguments: Value| Some(json!({ "server": "stance", "name": "canary", "arguments": arguments }));
        let of = |(at, agent): (usize, &String)| {
            let nonce = format!("{nonce}.{at}");
            let (channel, text, tool) = match grade {
                Grade::BlockAll => (Some("USER_INPUT"), Some(format!("Stance canary {nonce}")), None),
                Grade::ToolsOnly | Grade::HumanApproval => (None, None, tool(json!({ "nonce": nonce }))),
                Grade::EgressOnly => {
                    (None, None, tool(json!({ "url": format!("https://canary.stance.invalid/{nonce}") })))
                }
            };
            Self { nonce, agent: agent.clone(), channel, text, tool }
        };
        agents.iter().enumerate().map(of).collect()
    }
}

/// What became of a canary call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
pub struct Outcome {
    /// The canary's.
    pub nonce: String,
    /// Whether it was denied.
    pub denied: bool,
    /// Which containment denied it.
    #[serde(default)]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub containment: Option<ContainmentId>,
}

/// Whether the outcomes prove what was to be brought about.
///
/// # Errors
/// What they prove instead, as a sentence.
pub(super) fn proof(
    phase: EnforcementPhase,
    containment: ContainmentId,
    canaries: &[Canary],
    outcomes: &[Outcome],
) -> Result<(), String> {
    for Canary { nonce, agent, .. } in canaries {
        let Some(outcome) = outcomes.iter().find(|outcome| outcome.nonce == *nonce) else {
            return Err(format!("It did not say what became of the canary call in the name of {agent}."));
        };
        match phase {
            EnforcementPhase::Contain if !outcome.denied => {
                return Err(format!("It let the canary call in the name of {agent} pass."));
            }
            // Another containment may still hold the agent.
            EnforcementPhase::Release if outcome.denied && outcome.containment.is_none_or(|id| id == containment) => {
                return Err(format!("It still denies the canary call in the name of {agent}."));
            }
            _ => {}
        }
    }
    match canaries.is_empty() {
        true => Err("There was no agent left to make a canary call for.".to_owned()),
        false => Ok(()),
    }
}

/// Whether a point names the hash that it should; hostile text is not repeated.
///
/// # Errors
/// What it names instead, as a sentence.
pub(super) fn same_hash(expected: &str, answered: Option<&str>) -> Result<(), String> {
    let is_hash = |hash: &str| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    match answered {
        Some(hash) if hash == expected => Ok(()),
        Some(hash) if is_hash(hash) => {
            Err(format!("It enforces another policy: it named the hash {}…, not {}….", &hash[..12], &expected[..12]))
        }
        _ => Err("It did not name the hash of the policy that it enforces.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_the_same_text_however_it_was_put_together() {
        let of = |id: u128, agents: &[&str]| Contained {
            containment: ContainmentId(Uuid::from_u128(id)),
            grade: Grade::BlockAll,
            agents: agents.iter().map(|key| (*key).to_owned()).collect(),
        };
        let tenant = TenantId(Uuid::from_u128(1));
        let one = Document::new(tenant, 3, vec![of(1, &["b", "a", "b"]), of(2, &["c"])]).seal().unwrap();
        let two = Document::new(tenant, 3, vec![of(2, &["c"]), of(1, &["a", "b"])]).seal().unwrap();
        assert_eq!(one, two);
        assert_eq!(one.1.len(), 64);
        let other = |revision, contained| Document::new(tenant, revision, contained).seal().unwrap().1;
        assert_ne!(one.1, other(4, vec![of(1, &["a", "b"]), of(2, &["c"])]), "another revision");
        assert_ne!(one.1, other(3, vec![of(1, &["a"]), of(2, &["c"])]), "an agent less");
        let back: Document = serde_json::from_str(&one.0).unwrap();
        assert_eq!(back.seal().unwrap(), one);
    }

    #[test]
    fn a_containment_is_proven_only_by_all_its_points() {
        let now: DateTime<Utc> = "2026-11-23T10:00:00Z".parse().unwrap();
        let none = Standing {
            status: ContainmentStatus::Requested,
            ending: None,
            since: now,
            requested: 0,
            dispatched: 0,
            acknowledged: 0,
            proven: 0,
            failed: 0,
        };
        let is = |standing: &Standing| standing.now(now, Duration::seconds(10));
        assert_eq!(is(&none), ContainmentStatus::Requested);
        assert_eq!(none.now(now + Duration::seconds(11), Duration::seconds(10)), ContainmentStatus::Failed);
        let proven = Standing { proven: 2, ..none.clone() };
        assert_eq!(is(&proven), ContainmentStatus::Proven);
        assert_eq!(is(&Standing { requested: 1, ..proven.clone() }), ContainmentStatus::Requested);
        assert_eq!(is(&Standing { dispatched: 1, ..proven.clone() }), ContainmentStatus::Dispatched);
        assert_eq!(is(&Standing { acknowledged: 1, ..proven.clone() }), ContainmentStatus::Acknowledged);
        assert_eq!(is(&Standing { failed: 1, ..proven.clone() }), ContainmentStatus::Failed);
        let ending = |how: &str, failed| Standing { ending: Some(how.to_owned()), failed, ..proven.clone() };
        assert_eq!(is(&ending("RELEASE", 0)), ContainmentStatus::Released);
        assert_eq!(is(&ending("EXPIRY", 0)), ContainmentStatus::Expired);
        assert_eq!(is(&ending("RELEASE", 1)), ContainmentStatus::Releasing);
    }

    #[test]
    fn canaries_prove_by_being_denied_and_the_end_by_passing() {
        let (id, other) = (ContainmentId(Uuid::from_u128(1)), ContainmentId(Uuid::from_u128(2)));
        let canaries = Canary::all(Uuid::from_u128(7), Grade::ToolsOnly, &["a".to_owned(), "b".to_owned()]);
        let outcomes = |denied: bool, containment| -> Vec<Outcome> {
            canaries.iter().map(|canary| Outcome { nonce: canary.nonce.clone(), denied, containment }).collect()
        };
        let contain = |outcomes: &[Outcome]| proof(EnforcementPhase::Contain, id, &canaries, outcomes);
        let release = |outcomes: &[Outcome]| proof(EnforcementPhase::Release, id, &canaries, outcomes);
        assert_eq!(contain(&outcomes(true, Some(id))), Ok(()));
        assert_eq!(contain(&outcomes(false, None)), Err("It let the canary call in the name of a pass.".to_owned()));
        assert!(contain(&outcomes(true, None)[..1]).unwrap_err().contains("in the name of b"));
        assert_eq!(release(&outcomes(false, None)), Ok(()));
        assert_eq!(release(&outcomes(true, Some(other))), Ok(()), "another one still holds it");
        assert!(release(&outcomes(true, Some(id))).is_err() && release(&outcomes(true, None)).is_err());
        assert!(proof(EnforcementPhase::Contain, id, &[], &[]).is_err(), "nothing proves nothing");
    }

    #[test]
    fn another_hash_is_told_and_hostile_text_is_not_repeated() {
        let (ours, other) = ("a".repeat(64), "b".repeat(64));
        assert_eq!(same_hash(&ours, Some(&ours)), Ok(()));
        assert!(same_hash(&ours, Some(&other)).unwrap_err().contains("bbbbbbbbbbbb…, not aaaaaaaaaaaa…"));
        for none in [None, Some("<script>")] {
            assert_eq!(same_hash(&ours, none).unwrap_err(), "It did not name the hash of the policy that it enforces.");
        }
    }

    #[test]
    fn an_order_has_a_reason_and_ends_in_the_future() {
        let now: DateTime<Utc> = "2026-11-23T10:00:00Z".parse().unwrap();
        let order = Order {
            agent: AssetId(Uuid::nil()),
            grade: Grade::BlockAll,
            reason: " why ".into(),
            expires_at: None,
            incident: None,
            key: None,
        };
        assert_eq!(order.check(now).unwrap(), ("why".to_owned(), None));
        let field = |order: Order| order.check(now).unwrap_err().fields[0].field.clone();
        assert_eq!(field(Order { reason: " ".into(), ..order.clone() }), "reason");
        assert_eq!(field(Order { reason: "x".repeat(2001), ..order.clone() }), "reason");
        assert_eq!(field(Order { expires_at: Some(now), ..order.clone() }), "expiresAt");
        assert_eq!(field(Order { expires_at: Some(now + Duration::days(400)), ..order.clone() }), "expiresAt");
        assert_eq!(field(Order { key: Some("x".repeat(201)), ..order }), "key");
    }
}
