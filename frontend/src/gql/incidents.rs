//! The documents of incidents. Only the server renders their pages, so the browser has none of this.

use graphql_client::GraphQLQuery;
use serde::{Deserialize, Serialize};
use stance_shared::{
    AssetKind, ClockKind, ClockState, EntryKind, EventKind, FindingStatus, IncidentStatus, PlaybookRunStatus,
    SeriousKind, Severity, Verdict,
};

use super::operations::{DateTime, JSON, words};

words! {
    /// By what a rule groups facts.
    CorrelationGroup { Agent = "AGENT", Session = "SESSION", Model = "MODEL", Asset = "ASSET", Campaign = "CAMPAIGN" }
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident in $path:tt;)+) => {$(
        $(#[$doc])*
        #[derive(GraphQLQuery)]
        #[graphql(
            schema_path = "../backend/server/schema.graphql",
            query_path = $path,
            response_derives = "Clone, Debug",
            variables_derives = "Clone, Debug",
            skip_serializing_none,
            extern_enums(
                "AssetKind", "ClockKind", "ClockState", "CorrelationGroup", "EntryKind", "EventKind", "FindingStatus", "IncidentStatus",
                "PlaybookRunStatus", "SeriousKind", "Severity", "Verdict"
            )
        )]
        pub struct $name;
    )+};
}

operations! {
    /// A page of incidents, with how the organization does.
    IncidentList in "src/gql/incident_list.graphql";
    /// One incident with its timeline.
    IncidentDetail in "src/gql/incident_detail.graphql";
    /// What the report on an incident tells.
    IncidentReport in "src/gql/incident_report.graphql";
    /// Runs of playbooks for an incident.
    IncidentRuns in "src/gql/incident_runs.graphql";
    /// Incidents to choose from.
    IncidentChoices in "src/gql/incident_choices.graphql";
    /// Opens an incident.
    OpenIncident in "src/gql/open_incident.graphql";
    /// Takes an incident a step along its path.
    TransitionIncident in "src/gql/transition_incident.graphql";
    /// Takes the last step back.
    UndoIncidentTransition in "src/gql/undo_incident_transition.graphql";
    /// Writes into the timeline.
    CommentIncident in "src/gql/comment_incident.graphql";
    /// Changes an incident.
    UpdateIncident in "src/gql/update_incident.graphql";
    /// Gives an incident to somebody, or to nobody.
    AssignIncident in "src/gql/assign_incident.graphql";
    /// Makes an incident part of another one.
    MergeIncidents in "src/gql/merge_incidents.graphql";
    /// Takes a part of an incident out into a new one.
    SplitIncident in "src/gql/split_incident.graphql";
    /// Hears of an incident, or no longer.
    WatchIncident in "src/gql/watch_incident.graphql";
    /// Links a ticket elsewhere.
    LinkIncident in "src/gql/link_incident.graphql";
    /// Stops a clock for the time being.
    PauseIncidentClock in "src/gql/pause_incident_clock.graphql";
    /// Lets a clock go on.
    ResumeIncidentClock in "src/gql/resume_incident_clock.graphql";
    /// Marks an incident as serious, or goes on with its report.
    MarkIncidentSerious in "src/gql/mark_incident_serious.graphql";
    /// What opens incidents by itself.
    CorrelationRuleList in "src/gql/correlation_rule_list.graphql";
    /// Turns a rule on or off.
    SetCorrelationRule in "src/gql/set_correlation_rule.graphql";
}

impl CorrelationGroup {
    /// The word that a person reads.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Session => "session",
            Self::Model => "model",
            Self::Asset => "asset",
            Self::Campaign => "campaign",
        }
    }
}
