//! One type for each document in this folder.

use graphql_client::GraphQLQuery;
use serde::{Deserialize, Serialize};
use stance_shared::{
    AssetKind, Criticality, DecisionKind, Environment, Exposure, FindingStatus, Grade, Layer, Lifecycle, RelationKind,
    ReportStatus, Severity,
};

pub(super) type DateTime = String;
#[expect(clippy::upper_case_acronyms, reason = "the name of the schema's scalar")]
pub(super) type JSON = serde_json::Value;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($member:ident = $word:literal),+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name { $(#[serde(rename = $word)] $member),+ }

        impl $name {
            /// All members, in the schema's order.
            pub const ALL: &'static [Self] = &[$(Self::$member),+];

            /// The word of the schema.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$member => $word),+ }
            }
        }

        impl Default for $name {
            /// The first word; variables need a default for their required members.
            fn default() -> Self {
                let [first, ..] = [$(Self::$member),+];
                first
            }
        }

        impl std::str::FromStr for $name {
            type Err = ();
            fn from_str(word: &str) -> Result<Self, ()> {
                match word { $($word => Ok(Self::$member),)+ _ => Err(()) }
            }
        }
    )+};
}

words! {
    /// What a member or token may do, as a bundle of permissions.
    Role { Owner = "OWNER", Admin = "ADMIN", Analyst = "ANALYST", Responder = "RESPONDER", Auditor = "AUDITOR", Viewer = "VIEWER", Sensor = "SENSOR" }
    /// What triage does to each finding.
    TriageAction { Start = "START", AcceptRisk = "ACCEPT_RISK", FalsePositive = "FALSE_POSITIVE", Reopen = "REOPEN", Assign = "ASSIGN", Comment = "COMMENT" }
    /// Who says something of an asset.
    SourceKind { User = "USER", Token = "TOKEN", System = "SYSTEM", Tool = "TOOL" }
    /// How current a check is.
    CheckState { Fresh = "FRESH", Stale = "STALE", Unknown = "UNKNOWN" }
    /// Orders of the findings.
    FindingSortKey { Risk = "RISK", Severity = "SEVERITY", FirstSeen = "FIRST_SEEN" }
    /// Orders of the assets.
    AssetSortKey { Risk = "RISK", Name = "NAME", LastSeen = "LAST_SEEN" }
    /// Up or down.
    SortDirection { Asc = "ASC", Desc = "DESC" }
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident in $path:tt;)+) => {$(
        $(#[$doc])*
        #[derive(GraphQLQuery)]
        #[graphql(
            schema_path = "../backend/server/schema.graphql",
            query_path = $path,
            response_derives = "Clone, Debug",
            variables_derives = "Clone, Debug, Default",
            skip_serializing_none,
            extern_enums(
                "AssetKind", "Criticality", "DecisionKind", "Environment", "Exposure", "FindingStatus", "Grade", "Layer", "Lifecycle",
                "RelationKind", "SourceKind", "ReportStatus", "Severity", "Role", "TriageAction", "CheckState", "FindingSortKey", "AssetSortKey", "SortDirection",
                "Channel", "EventKind", "Verdict", "SensorState", "FeedbackLabel", "ToolState",
                "ContainmentGrade", "ContainmentStatus", "EnforcementPhase", "EnforcementStatus", "EnforcementPointKind",
                "PlaybookRunStatus", "PlaybookStepState"
            )
        )]
        pub struct $name;
    )+};
}

#[cfg(not(feature = "hydrate"))]
pub(super) use {operations, words};

operations! {
    /// Who is signed in, for the frame of every page.
    Frame in "src/gql/frame.graphql";
    /// The server's present, for the page that it renders.
    Clock in "src/gql/clock.graphql";
    /// The counts beside the navigation.
    Navigation in "src/gql/navigation.graphql";
    /// Everything of the first page.
    Overview in "src/gql/overview.graphql";
    /// How the organization does with its incidents.
    IncidentFigures in "src/gql/incident_figures.graphql";
    /// A page of findings with the counts of the saved views.
    FindingList in "src/gql/finding_list.graphql";
    /// One finding with evidence, occurrences and history.
    FindingDetail in "src/gql/finding_detail.graphql";
    /// A decision, an assignment or a comment on findings.
    Triage in "src/gql/triage.graphql";
    /// Takes a triage back.
    UndoTriage in "src/gql/undo_triage.graphql";
    /// A page of assets with the counts of the kinds.
    AssetList in "src/gql/asset_list.graphql";
    /// One asset with its risk, checks, relations and history.
    AssetDetail in "src/gql/asset_detail.graphql";
    /// Changes what a person may change of an asset.
    UpdateAsset in "src/gql/update_asset.graphql";
    /// Assets of a kind, by name or key.
    AssetSearch in "src/gql/asset_search.graphql";
    /// Makes assets part of another one.
    MergeAssets in "src/gql/merge_assets.graphql";
    /// Makes an alias an asset of its own again.
    SplitAsset in "src/gql/split_asset.graphql";
    /// A page of reports.
    ReportList in "src/gql/report_list.graphql";
    /// One report with its findings.
    ReportDetail in "src/gql/report_detail.graphql";
    /// How far a report is.
    ReportProgress in "src/gql/report_progress.graphql";
    /// What can be imported.
    FormatList in "src/gql/format_list.graphql";
    /// How to make a report of one format, and what is taken over.
    FormatDetail in "src/gql/format_detail.graphql";
    /// Members that work can be given to.
    People in "src/gql/people.graphql";
    /// Invitations that wait.
    Invitations in "src/gql/invitations.graphql";
    /// Members and roles.
    Members in "src/gql/members.graphql";
    /// Invites a person.
    InviteMember in "src/gql/invite_member.graphql";
    /// Takes an invitation back.
    RevokeInvitation in "src/gql/revoke_invitation.graphql";
    /// Gives a member another role.
    ChangeRole in "src/gql/change_role.graphql";
    /// Removes a member.
    RemoveMember in "src/gql/remove_member.graphql";
    /// Renames the organization.
    UpdateOrganization in "src/gql/update_organization.graphql";
    /// API tokens and roles.
    Tokens in "src/gql/tokens.graphql";
    /// Makes an API token.
    CreateApiToken in "src/gql/create_api_token.graphql";
    /// Revokes an API token.
    RevokeApiToken in "src/gql/revoke_api_token.graphql";
    /// The viewer's sessions.
    Sessions in "src/gql/sessions.graphql";
    /// Changes the viewer's password.
    ChangePassword in "src/gql/change_password.graphql";
    /// Ends one session.
    RevokeSession in "src/gql/revoke_session.graphql";
    /// Ends all other sessions.
    SignOutEverywhere in "src/gql/sign_out_everywhere.graphql";
    /// Jobs that failed for good.
    DeadLetters in "src/gql/dead_letters.graphql";
    /// Runs a failed job again.
    RedriveDeadLetter in "src/gql/redrive_dead_letter.graphql";
    /// A page of the audit log.
    AuditLog in "src/gql/audit_log.graphql";
    /// Whether the audit log's chain holds.
    AuditVerification in "src/gql/audit_verification.graphql";
    /// Pages, assets and findings for the command palette.
    Search in "src/gql/search.graphql";
}

impl Role {
    /// The words that a person reads.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Owner => "Owner",
            Self::Admin => "Admin",
            Self::Analyst => "Analyst",
            Self::Responder => "Responder",
            Self::Auditor => "Auditor",
            Self::Viewer => "Viewer",
            Self::Sensor => "Sensor",
        }
    }
}
