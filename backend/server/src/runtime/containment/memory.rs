//! What the guard of a process knows of containment: what it enforces, and names the hash of.

use super::{
    Grade,
    domain::{Document, FORMAT},
    repo::{self, Held},
};
use crate::{
    kernel::{Result, TenantTx, crypto::sha256},
    runtime::AgentRef,
};
use chrono::{DateTime, Utc};
use stance_engine::{
    guardrail::Detection,
    policy::{Call, ToolCall, contain},
};
use stance_importers::events::Event as Told;
use stance_shared::{AssetId, Channel, ContainmentId, EventKind};
use std::{collections::HashMap, sync::Arc};
use uuid::Uuid;

/// The rule that a refusal is told by.
pub const RULE: &str = "containment";
/// Rogue Agents.
const CATEGORY: &str = "owasp-agentic@2026:ASI10";

/// A containment as the guard holds it.
struct Hold {
    containment: ContainmentId,
    grade: Grade,
    reason: String,
}

/// The containments of an organization, in memory.
#[derive(Default)]
pub struct Memory {
    /// Of the policy that was loaded; 0: there never was one.
    pub revision: i64,
    /// The hash of what is held, made of what is held.
    pub hash: String,
    by_agent: HashMap<AssetId, Vec<Arc<Hold>>>,
    by_key: HashMap<String, Vec<Arc<Hold>>>,
    by_token: HashMap<Uuid, Vec<Arc<Hold>>>,
    /// Until when which calls were let pass.
    approvals: HashMap<(ContainmentId, String), DateTime<Utc>>,
}

/// Who takes a step, as far as that is known.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    pub agent: Option<&'a AgentRef>,
    /// As the asker named it.
    pub key: Option<&'a str>,
    /// The token that asks.
    pub token: Option<Uuid>,
}

impl Memory {
    /// # Errors
    /// When the database fails.
    pub(in crate::runtime) async fn load(tx: &mut TenantTx) -> Result<Self> {
        let (revision, held) = repo::in_force(tx).await?;
        let (_, hash) = Document::new(tx.ctx().tenant, revision, repo::contained(&held)).seal()?;
        let mut memory = Self { revision, hash, ..Self::default() };
        if held.is_empty() {
            return Ok(memory);
        }
        let mut holds: HashMap<ContainmentId, Arc<Hold>> = HashMap::new();
        for Held { containment, grade, reason, agent, key } in held {
            let hold = holds.entry(containment).or_insert_with(|| Arc::new(Hold { containment, grade, reason }));
            let of_agent = memory.by_agent.entry(agent).or_default();
            if !of_agent.iter().any(|there| Arc::ptr_eq(there, hold)) {
                of_agent.push(hold.clone());
            }
            memory.by_key.entry(normal(&key)).or_default().push(hold.clone());
        }
        for (token, agent) in repo::tokens(tx).await? {
            memory.by_token.insert(token, memory.by_agent.get(&agent).cloned().unwrap_or_default());
        }
        memory.approvals = repo::approvals(tx).await?;
        Ok(memory)
    }

    fn of(&self, who: Who<'_>) -> Vec<&Hold> {
        let by_agent = match who.agent {
            Some(AgentRef::Known(id)) => self.by_agent.get(id),
            _ => None,
        };
        let by_key = who.key.and_then(|key| self.by_key.get(&normal(key)));
        let by_token = who.token.and_then(|token| self.by_token.get(&token));
        let mut holds: Vec<&Hold> =
            [by_agent, by_key, by_token].into_iter().flatten().flatten().map(|hold| &**hold).collect();
        holds.sort_by_key(|hold| hold.containment);
        holds.dedup_by_key(|hold| hold.containment);
        holds
    }

    /// What keeps a step from being taken: for each containment that does, its id and what is told of it.
    pub(in crate::runtime) fn judge(
        &self,
        who: Who<'_>,
        told: &Told,
        now: DateTime<Utc>,
    ) -> Vec<(ContainmentId, Detection)> {
        if self.by_agent.is_empty() {
            return Vec::new();
        }
        let tool = told.tool.as_ref().filter(|_| told.kind == EventKind::ToolCall);
        let arguments = tool.map(|tool| tool.arguments.to_string());
        let text = told.text.as_deref().or(arguments.as_deref()).unwrap_or_default();
        let tool =
            tool.map(|tool| ToolCall { server: tool.server.as_deref(), name: &tool.name, arguments: &tool.arguments });
        let channel = told.channel.or(told.kind.channel()).unwrap_or(Channel::UserInput);
        let call = Call { channel, text, tool };
        let deny = |hold: &Hold| {
            let Hold { containment, grade, reason } = hold;
            let digest = if *grade == Grade::HumanApproval { digest(*containment, &call) } else { Default::default() };
            let approved = self.approvals.get(&(*containment, digest.clone())).is_some_and(|until| *until > now);
            let what = contain(*grade, &call, approved)?;
            let ask = if digest.is_empty() { String::new() } else { format!(" (call {digest})") };
            let told =
                format!("the agent is contained, {grade}: {what}{ask}; containment {containment}, because: {reason}");
            Some((*containment, Detection::of(RULE, FORMAT, CATEGORY, 1.0, &told)))
        };
        self.of(who).into_iter().filter_map(deny).collect()
    }
}

/// Names a tool call for approval: its containment, tool and arguments.
fn digest(containment: ContainmentId, call: &Call<'_>) -> String {
    let tool = call.tool.map(|tool| format!("{}\n{}", tool.full_name(), tool.arguments)).unwrap_or_default();
    hex::encode(sha256(format!("{containment}\n{tool}")))
}

/// Keys as they are compared: whatever the case, spaces around and slashes at the end.
fn normal(key: &str) -> String {
    key.trim().to_lowercase().trim_end_matches('/').to_owned()
}
