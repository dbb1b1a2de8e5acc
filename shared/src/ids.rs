//! Typed ids: a finding's id can not be passed where an asset's is wanted.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An id that says of what it is.
pub trait TypedId: Copy + Eq + std::hash::Hash + From<Uuid> + Into<Uuid> {
    /// The noun that stands before the id in a Relay global id (`finding:0192…`).
    const NOUN: &'static str;
}

macro_rules! typed_ids {
    ($($(#[$doc:meta])* $name:ident => $noun:literal),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
        pub struct $name(pub Uuid);

        impl TypedId for $name {
            const NOUN: &'static str = $noun;
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )+};
}

typed_ids! {
    /// An organization: the unit of isolation.
    TenantId => "organization",
    /// A person who can sign in; may be a member of several organizations.
    UserId => "user",
    /// An API token of an organization.
    TokenId => "token",
    /// A browser session, by its public id.
    SessionId => "session",
    /// An invitation to an organization.
    InvitationId => "invitation",
    /// An asset: application, agent, model, dataset, tool, MCP server, knowledge base or prompt.
    AssetId => "asset",
    /// A relation between two assets.
    RelationId => "relation",
    /// A finding's identity, which outlives the reports that mention it.
    FindingId => "finding",
    /// One act of triage on one or many findings; what an undo takes back.
    BatchId => "batch",
    /// A person's decision on a finding.
    DecisionId => "decision",
    /// An uploaded report.
    ReportId => "report",
    /// An event of an agent's run.
    EventId => "event",
    /// A run of an agent, as its events name it.
    AgentSessionId => "agent_session",
    /// A guardrail policy.
    PolicyId => "policy",
    /// Something that tells Stance of events.
    SensorId => "sensor",
    /// A containment of an agent.
    ContainmentId => "containment",
    /// Something that can keep an agent from acting.
    EnforcementPointId => "enforcement_point",
    /// A scan: the scope (tool, asset, scan identity) within which absence means "resolved".
    ScanId => "scan",
    /// Where notices go.
    ChannelId => "notification_channel",
    /// Who hears of what.
    RuleId => "notification_rule",
    /// A message to one channel or person.
    DeliveryId => "notification_delivery",
    /// A playbook.
    PlaybookId => "playbook",
    /// A run of a playbook.
    PlaybookRunId => "playbook_run",
    /// An incident.
    IncidentId => "incident",
    /// A job that failed for good.
    DeadLetterId => "dead_letter",
}
