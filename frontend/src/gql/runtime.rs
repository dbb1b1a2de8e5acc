//! The documents of the runtime layer. Only the server renders its pages, so the browser has none of this.

use graphql_client::GraphQLQuery;
use serde::{Deserialize, Serialize};
use stance_shared::{
    AssetKind, Channel, ContainmentStatus, Criticality, EnforcementPhase, EnforcementPointKind, EnforcementStatus,
    Environment, EventKind, Exposure, Grade, Lifecycle, Verdict,
};

use super::operations::{DateTime, JSON, operations, words};

words! {
    /// Whether a sensor gives signs of life.
    SensorState { Alive = "ALIVE", Silent = "SILENT", NeverSeen = "NEVER_SEEN" }
    /// What a person says of an event.
    FeedbackLabel { Attack = "ATTACK", Harmless = "HARMLESS" }
    /// A tool of an agent, declared against seen.
    ToolState { DeclaredUsed = "DECLARED_USED", Undeclared = "UNDECLARED", Unused = "UNUSED" }
    /// What a contained agent may not do.
    ContainmentGrade { BlockAll = "BLOCK_ALL", ToolsOnly = "TOOLS_ONLY", EgressOnly = "EGRESS_ONLY", HumanApproval = "HUMAN_APPROVAL" }
}

operations! {
    /// Traffic, verdicts, agents, detectors and sensors of a window.
    RuntimeOverview in "src/gql/runtime_overview.graphql";
    /// A page of events.
    EventList in "src/gql/event_list.graphql";
    /// One event with its text, where it is kept.
    EventDetail in "src/gql/event_detail.graphql";
    /// What a person says of an event, or that nothing is said.
    LabelEvent in "src/gql/label_event.graphql";
    /// A page of agents' sessions.
    AgentSessionList in "src/gql/agent_session_list.graphql";
    /// One session with its steps.
    AgentSessionDetail in "src/gql/agent_session_detail.graphql";
    /// All sensors.
    SensorList in "src/gql/sensor_list.graphql";
    /// Registers a sensor and gives its token.
    RegisterSensor in "src/gql/register_sensor.graphql";
    /// Ends a sensor and its token.
    RetireSensor in "src/gql/retire_sensor.graphql";
    /// All policies.
    PolicyList in "src/gql/policy_list.graphql";
    /// One policy with its versions.
    PolicyDetail in "src/gql/policy_detail.graphql";
    /// What a policy can start from.
    PolicyPresets in "src/gql/policy_presets.graphql";
    /// What a document would have changed.
    PolicyDryRun in "src/gql/policy_dry_run.graphql";
    /// Makes a policy or a new version of it.
    SavePolicy in "src/gql/save_policy.graphql";
    /// Puts a version in force, or none.
    ActivatePolicy in "src/gql/activate_policy.graphql";
    /// Takes a policy away.
    ArchivePolicy in "src/gql/archive_policy.graphql";
    /// How good policies and detectors are.
    QualityReport in "src/gql/quality_report.graphql";
    /// The stored verdicts at other thresholds.
    ReplayThresholds in "src/gql/replay_thresholds.graphql";
    /// Inspects a text without recording anything.
    TryInspect in "src/gql/try_inspect.graphql";
    /// An agent's traffic and tools.
    AgentRuntime in "src/gql/agent_runtime.graphql";
    /// What is kept of events.
    RuntimeSettings in "src/gql/runtime_settings.graphql";
    /// Changes what is kept of events.
    UpdateRuntimeSettings in "src/gql/update_runtime_settings.graphql";
    /// Containments with how far their points are.
    ContainmentList in "src/gql/containment_list.graphql";
    /// What enforces containment.
    EnforcementPoints in "src/gql/enforcement_points.graphql";
    /// What containing an agent would hold and stop.
    QuarantinePreview in "src/gql/quarantine_preview.graphql";
    /// Contains an agent.
    QuarantineAgent in "src/gql/quarantine_agent.graphql";
    /// Ends a containment.
    ReleaseAgent in "src/gql/release_agent.graphql";
    /// Registers something that enforces.
    RegisterEnforcementPoint in "src/gql/register_enforcement_point.graphql";
    /// Ends an enforcement point.
    RetireEnforcementPoint in "src/gql/retire_enforcement_point.graphql";
    /// Assets to choose from, by name.
    AssetChoices in "src/gql/asset_choices.graphql";
}

impl ContainmentGrade {
    /// The words that a person reads.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::BlockAll => "Block all",
            Self::ToolsOnly => "Tools only",
            Self::EgressOnly => "Egress only",
            Self::HumanApproval => "Human approval",
        }
    }

    /// What it keeps the agent from.
    #[must_use]
    pub const fn denies(self) -> &'static str {
        match self {
            Self::BlockAll => "nothing passes, and its tokens are refused",
            Self::ToolsOnly => "no tool calls",
            Self::EgressOnly => "nothing to an address outside",
            Self::HumanApproval => "no tool call that no person approved",
        }
    }
}

impl FeedbackLabel {
    /// The words that a person reads.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Attack => "Attack",
            Self::Harmless => "Harmless",
        }
    }
}
