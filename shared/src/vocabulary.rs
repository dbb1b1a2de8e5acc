//! The closed vocabularies: enums whose members are part of the API's contract.
//!
//! Every enum has one textual form, its API name in SCREAMING_SNAKE_CASE, used in GraphQL, REST, the database and files.

use serde::{Deserialize, Serialize};

/// A word that is not a member of the vocabulary it was read as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownWord {
    /// The vocabulary's name, for example `Severity`.
    pub vocabulary: &'static str,
    /// The words that are allowed, in their order.
    pub allowed: &'static [&'static str],
}

impl std::fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} must be one of {}", self.vocabulary, self.allowed.join(", "))
    }
}

impl std::error::Error for UnknownWord {}

/// In the database a word is text, never a PostgreSQL enum: those can not be index conditions under row level security.
#[cfg(feature = "sqlx")]
macro_rules! as_text {
    ($name:ident) => {
        impl sqlx::Type<sqlx::Postgres> for $name {
            fn type_info() -> sqlx::postgres::PgTypeInfo {
                <str as sqlx::Type<sqlx::Postgres>>::type_info()
            }
            fn compatible(ty: &sqlx::postgres::PgTypeInfo) -> bool {
                <str as sqlx::Type<sqlx::Postgres>>::compatible(ty)
            }
        }
        impl sqlx::postgres::PgHasArrayType for $name {
            fn array_type_info() -> sqlx::postgres::PgTypeInfo {
                <String as sqlx::postgres::PgHasArrayType>::array_type_info()
            }
        }
        impl<'r> sqlx::Decode<'r, sqlx::Postgres> for $name {
            fn decode(value: sqlx::postgres::PgValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
                Ok(<&str as sqlx::Decode<sqlx::Postgres>>::decode(value)?.parse()?)
            }
        }
        impl sqlx::Encode<'_, sqlx::Postgres> for $name {
            fn encode_by_ref(
                &self,
                buffer: &mut sqlx::postgres::PgArgumentBuffer,
            ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
                <&str as sqlx::Encode<sqlx::Postgres>>::encode(self.as_str(), buffer)
            }
        }
    };
}

macro_rules! vocabulary {
    ($($(#[$doc:meta])* $name:ident { $($(#[$mdoc:meta])* $member:ident = $word:literal, $label:literal);+ $(;)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "graphql", derive(async_graphql::Enum))]
        pub enum $name {
            $($(#[$mdoc])* #[serde(rename = $word)] #[cfg_attr(feature = "graphql", graphql(name = $word))] $member),+
        }

        impl $name {
            /// All members, in their natural order.
            pub const ALL: &'static [Self] = &[$(Self::$member),+];
            /// All words, in the order of [`Self::ALL`].
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The API name, for example `MCP_SERVER`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$member => $word),+ }
            }

            /// The words a person reads, for example `MCP server`.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$member => $label),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownWord;
            /// Reads the API name exactly; fails with the list of allowed words.
            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(Self::$member),)+
                    _ => Err(UnknownWord { vocabulary: stringify!($name), allowed: Self::WORDS }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        #[cfg(feature = "sqlx")]
        as_text!($name);
    )+};
}

vocabulary! {
    /// The four layers over which risk is scored.
    Layer {
        Data = "DATA", "Data";
        Model = "MODEL", "Model";
        Application = "APPLICATION", "Application";
        Runtime = "RUNTIME", "Runtime";
    }

    /// Where a text stands in a conversation with a model or its tools.
    Channel {
        UserInput = "USER_INPUT", "User input";
        /// Trusted: nothing is looked for in it but secrets.
        SystemPrompt = "SYSTEM_PROMPT", "System prompt";
        ModelOutput = "MODEL_OUTPUT", "Model output";
        ToolDescription = "TOOL_DESCRIPTION", "Tool description";
        /// The arguments of a tool call.
        ToolInput = "TOOL_INPUT", "Tool input";
        ToolOutput = "TOOL_OUTPUT", "Tool output";
        Document = "DOCUMENT", "Document";
        Memory = "MEMORY", "Memory";
    }

    /// What happened in an agent's run.
    EventKind {
        /// A text for the model: a user's turn, or a system prompt.
        Prompt = "PROMPT", "Prompt";
        /// What the model answered.
        Response = "RESPONSE", "Response";
        /// The model or agent called a tool.
        ToolCall = "TOOL_CALL", "Tool call";
        /// What the tool gave back.
        ToolResult = "TOOL_RESULT", "Tool result";
        /// What a tool says of itself, as a server lists it.
        ToolDescription = "TOOL_DESCRIPTION", "Tool description";
        /// A document was retrieved for the model.
        Retrieval = "RETRIEVAL", "Retrieval";
        MemoryRead = "MEMORY_READ", "Memory read";
        MemoryWrite = "MEMORY_WRITE", "Memory write";
        /// One agent handed work to another.
        Delegation = "DELEGATION", "Delegation";
        /// A person allowed or refused a step.
        Approval = "APPROVAL", "Approval";
        /// What a guardrail that is not Stance's said.
        Guardrail = "GUARDRAIL", "Guardrail";
    }

    /// What is done about a text, mildest first.
    Verdict {
        Allow = "ALLOW", "Allow";
        Flag = "FLAG", "Flag";
        /// It passes without the marked parts.
        Redact = "REDACT", "Redact";
        Block = "BLOCK", "Block";
    }

    /// Severity of a finding, worst first.
    Severity {
        Critical = "CRITICAL", "Critical";
        High = "HIGH", "High";
        Medium = "MEDIUM", "Medium";
        Low = "LOW", "Low";
        Info = "INFO", "Info";
    }

    /// How a playbook's run stands.
    PlaybookRunStatus {
        Running = "RUNNING", "Running";
        Paused = "PAUSED", "Paused";
        Done = "DONE", "Done";
        Failed = "FAILED", "Failed";
        Cancelled = "CANCELLED", "Cancelled";
        /// Its trigger would have started it, but too many runs were started in the last hour.
        Refused = "REFUSED", "Refused";
    }

    /// How a step of a playbook's run stands.
    PlaybookStepState {
        /// Not begun.
        Pending = "PENDING", "Pending";
        /// Under way, or waiting for a person, the time or an answer.
        Started = "STARTED", "Under way";
        Done = "DONE", "Done";
        Failed = "FAILED", "Failed";
        TimedOut = "TIMED_OUT", "Timed out";
        /// A person said no.
        Declined = "DECLINED", "Declined";
        /// Its run ended before it did.
        Cancelled = "CANCELLED", "Cancelled";
        /// Done, and taken back.
        Undone = "UNDONE", "Undone";
    }

    /// Where an incident stands, in the order of its path.
    IncidentStatus {
        Open = "OPEN", "Open";
        /// Somebody looked at it: it is real, and how bad it is stands.
        Triaged = "TRIAGED", "Triaged";
        /// It does no more harm.
        Contained = "CONTAINED", "Contained";
        /// Its cause is gone.
        Eradicated = "ERADICATED", "Eradicated";
        /// What it hit works again as it should.
        Recovered = "RECOVERED", "Recovered";
        Closed = "CLOSED", "Closed";
    }

    /// What an incident's clocks run for.
    ClockKind {
        Triage = "TRIAGE", "Triage";
        Contain = "CONTAIN", "Contain";
        Resolve = "RESOLVE", "Resolve";
        /// The report of a serious incident (EU AI Act, Article 73).
        Article73 = "ARTICLE_73", "Article 73 report";
    }

    /// How a clock stands.
    ClockState {
        Running = "RUNNING", "Running";
        Paused = "PAUSED", "Paused";
        Met = "MET", "Met";
        Breached = "BREACHED", "Breached";
    }

    /// What makes an incident serious, and so how soon it must be reported (EU AI Act, Article 73).
    SeriousKind {
        /// Any other serious incident: 15 days (paragraph 2).
        General = "GENERAL", "Serious incident";
        /// A person died, or may have: 10 days (paragraph 4).
        Death = "DEATH", "Death of a person";
        /// Widespread infringement, or critical infrastructure disrupted: 2 days (paragraph 3).
        Widespread = "WIDESPREAD", "Widespread, or critical infrastructure";
    }

    /// What a line of an incident's timeline tells.
    EntryKind {
        /// Known before anything ran: a scanner's finding.
        BuildTime = "BUILD_TIME", "Build time";
        /// Seen while agents ran.
        Runtime = "RUNTIME", "Runtime";
        Status = "STATUS", "Status";
        Decision = "DECISION", "Decision";
        Action = "ACTION", "Action";
        Clock = "CLOCK", "Clock";
        Comment = "COMMENT", "Comment";
    }

    /// What an asset is.
    AssetKind {
        Application = "APPLICATION", "Application";
        Agent = "AGENT", "Agent";
        Model = "MODEL", "Model";
        Dataset = "DATASET", "Dataset";
        Tool = "TOOL", "Tool";
        McpServer = "MCP_SERVER", "MCP server";
        KnowledgeBase = "KNOWLEDGE_BASE", "Knowledge base";
        Prompt = "PROMPT", "Prompt";
    }

    /// Where a finding stands.
    FindingStatus {
        Open = "OPEN", "Open";
        InProgress = "IN_PROGRESS", "In progress";
        Resolved = "RESOLVED", "Resolved";
        FalsePositive = "FALSE_POSITIVE", "False positive";
        RiskAccepted = "RISK_ACCEPTED", "Risk accepted";
    }

    /// Where an uploaded report stands.
    ReportStatus {
        Accepted = "ACCEPTED", "Accepted";
        Staging = "STAGING", "Staging";
        Merging = "MERGING", "Merging";
        Done = "DONE", "Done";
        Failed = "FAILED", "Failed";
    }

    /// Who can reach an asset. Multiplies risk (`stance-risk/1`).
    Exposure {
        Internet = "INTERNET", "Internet-facing";
        Internal = "INTERNAL", "Internal";
        Isolated = "ISOLATED", "Isolated";
    }

    /// How much the organization depends on an asset. Multiplies risk (`stance-risk/1`).
    Criticality {
        Low = "LOW", "Low";
        Medium = "MEDIUM", "Medium";
        High = "HIGH", "High";
        Critical = "CRITICAL", "Critical";
    }

    /// Where an asset is in its life: seen by a tool or trace, declared by a person, or withdrawn.
    Lifecycle {
        Discovered = "DISCOVERED", "Discovered";
        Approved = "APPROVED", "Approved";
        Retired = "RETIRED", "Retired";
    }

    /// Which environment an asset runs in.
    Environment {
        Production = "PRODUCTION", "Production";
        Staging = "STAGING", "Staging";
        Development = "DEVELOPMENT", "Development";
        Unknown = "UNKNOWN", "Unknown";
    }

    /// How one asset depends on another; read "from … to".
    RelationKind {
        /// Agent or application uses a model.
        UsesModel = "USES_MODEL", "uses model";
        /// Agent may call a tool.
        MayCall = "MAY_CALL", "may call";
        /// Tool is provided by an MCP server.
        ProvidedBy = "PROVIDED_BY", "provided by";
        /// Model was trained on a dataset.
        TrainedOn = "TRAINED_ON", "trained on";
        /// Model was derived from (fine-tuned, quantized, merged from) another model.
        DerivedFrom = "DERIVED_FROM", "derived from";
        /// Application exposes an agent to its users.
        Exposes = "EXPOSES", "exposes";
        /// Agent or application reads a knowledge base.
        ReadsFrom = "READS_FROM", "reads from";
        /// Agent, application or model is steered by a prompt.
        PromptedBy = "PROMPTED_BY", "prompted by";
        /// Agent delegates to another agent.
        DelegatesTo = "DELEGATES_TO", "delegates to";
        /// Anything that depends on anything else.
        DependsOn = "DEPENDS_ON", "depends on";
    }

    /// What people can be told of.
    NotificationTopic {
        IncidentOpened = "INCIDENT_OPENED", "An incident opens";
        IncidentChanged = "INCIDENT_CHANGED", "An incident changes";
        /// A deadline of an incident passed.
        SlaBreached = "SLA_BREACHED", "A deadline is missed";
        ContainmentProven = "CONTAINMENT_PROVEN", "A containment is proven";
        ContainmentFailed = "CONTAINMENT_FAILED", "A containment fails";
        /// A run of a playbook waits for somebody to allow its next step.
        PlaybookApproval = "PLAYBOOK_APPROVAL", "A playbook needs approval";
        /// A run of a playbook waits for somebody to do something.
        PlaybookTask = "PLAYBOOK_TASK", "A playbook has a task for somebody";
        PlaybookFailed = "PLAYBOOK_FAILED", "A playbook fails";
        /// A step of a playbook whose work is to tell something.
        PlaybookMessage = "PLAYBOOK_MESSAGE", "A playbook sends a message";
        FindingCritical = "FINDING_CRITICAL", "A critical finding is new";
        SensorSilent = "SENSOR_SILENT", "A sensor falls silent";
    }

    /// By which way messages go.
    NotificationChannelKind {
        /// A mail server, by SMTP.
        Email = "EMAIL", "E-mail";
        /// A webhook that takes Slack's format.
        Slack = "SLACK", "Slack-compatible webhook";
        /// A webhook that takes signed JSON.
        Webhook = "WEBHOOK", "Webhook";
    }

    /// Where a message stands.
    NotificationStatus {
        /// Waits for the end of quiet hours, or collects for a digest.
        Held = "HELD", "Held back";
        /// Is being sent, or will be tried again.
        Waiting = "WAITING", "Being sent";
        Delivered = "DELIVERED", "Delivered";
        /// Given up after the last attempt.
        Dead = "DEAD", "Failed";
        /// Not sent, for nobody may receive it any more.
        Dropped = "DROPPED", "Dropped";
    }

    /// What a person decided on a finding.
    DecisionKind {
        /// Work on it; the finding is IN_PROGRESS.
        InProgress = "IN_PROGRESS", "In progress";
        /// Not a problem; the finding is FALSE_POSITIVE.
        FalsePositive = "FALSE_POSITIVE", "False positive";
        /// A known problem kept until a date; the finding is RISK_ACCEPTED.
        RiskAccepted = "RISK_ACCEPTED", "Risk accepted";
        /// Back to OPEN.
        Reopened = "REOPENED", "Reopened";
    }

    /// Letter for a risk figure (`stance-risk/1`): A below 10, B below 30, C below 50, D below 75, F from 75.
    Grade {
        A = "A", "A";
        B = "B", "B";
        C = "C", "C";
        D = "D", "D";
        F = "F", "F";
    }

    /// What a contained agent may not do, the strictest first.
    ContainmentGrade {
        /// Nothing: neither texts nor tool calls pass, and its tokens are refused.
        BlockAll = "BLOCK_ALL", "Block all";
        /// Call tools.
        ToolsOnly = "TOOLS_ONLY", "Tools only";
        /// Send anything to an address outside.
        EgressOnly = "EGRESS_ONLY", "Egress only";
        /// Call a tool that no person approved.
        HumanApproval = "HUMAN_APPROVAL", "Human approval";
    }

    /// How far a containment has come. The first five are in force.
    ContainmentStatus {
        Requested = "REQUESTED", "Requested";
        /// Every enforcement point was told.
        Dispatched = "DISPATCHED", "Dispatched";
        /// Every point named the policy that has it.
        Acknowledged = "ACKNOWLEDGED", "Acknowledged";
        /// Every point denied a canary call.
        Proven = "PROVEN", "Proven";
        /// In force, and at least one point has not proven it.
        Failed = "FAILED", "Failed";
        /// Released or expired, and not every point has proven that the agent may act again.
        Releasing = "RELEASING", "Releasing";
        Released = "RELEASED", "Released";
        Expired = "EXPIRED", "Expired";
    }

    /// How far an enforcement point has come with a containment, or with its end.
    EnforcementStatus {
        Requested = "REQUESTED", "Requested";
        Dispatched = "DISPATCHED", "Dispatched";
        Acknowledged = "ACKNOWLEDGED", "Acknowledged";
        Proven = "PROVEN", "Proven";
        Failed = "FAILED", "Failed";
        /// The point ended before it had proven it, and counts no more.
        Gone = "GONE", "Gone";
    }

    /// What an enforcement has to bring about.
    EnforcementPhase {
        Contain = "CONTAIN", "Contain";
        Release = "RELEASE", "Release";
    }

    /// How an enforcement point learns what to enforce.
    EnforcementPointKind {
        /// A running Stance server: the inspect API.
        InspectApi = "INSPECT_API", "Inspect API";
        /// Takes signed orders over HTTP: a gateway.
        Http = "HTTP", "HTTP";
        /// Asks for them: a sensor.
        Sensor = "SENSOR", "Sensor";
    }
}

impl Channel {
    /// What a text on the channel is, unless it says so itself.
    #[must_use]
    pub const fn event_kind(self) -> EventKind {
        match self {
            Self::UserInput | Self::SystemPrompt => EventKind::Prompt,
            Self::ModelOutput => EventKind::Response,
            Self::ToolDescription => EventKind::ToolDescription,
            Self::ToolInput => EventKind::ToolCall,
            Self::ToolOutput => EventKind::ToolResult,
            Self::Document => EventKind::Retrieval,
            Self::Memory => EventKind::MemoryRead,
        }
    }
}

impl EventKind {
    /// The channel of the event's text, unless it names one; `None` for what is no text of a conversation.
    #[must_use]
    pub const fn channel(self) -> Option<Channel> {
        match self {
            Self::Prompt => Some(Channel::UserInput),
            Self::Response => Some(Channel::ModelOutput),
            Self::ToolCall => Some(Channel::ToolInput),
            Self::ToolResult => Some(Channel::ToolOutput),
            Self::ToolDescription => Some(Channel::ToolDescription),
            Self::Retrieval => Some(Channel::Document),
            Self::MemoryRead | Self::MemoryWrite => Some(Channel::Memory),
            Self::Delegation | Self::Approval | Self::Guardrail => None,
        }
    }
}

impl Severity {
    /// 0 (critical) to 4 (info): the order in the database, worst first.
    #[must_use]
    pub const fn rank(self) -> i16 {
        self as i16
    }

    /// The inverse of [`Self::rank`]; `None` outside 0..=4.
    #[must_use]
    pub fn from_rank(rank: i16) -> Option<Self> {
        usize::try_from(rank).ok().and_then(|i| Self::ALL.get(i).copied())
    }
}

impl Grade {
    /// The grade of a risk figure in 0..=100.
    #[must_use]
    pub fn of(risk: f64) -> Self {
        match risk {
            r if r < 10.0 => Self::A,
            r if r < 30.0 => Self::B,
            r if r < 50.0 => Self::C,
            r if r < 75.0 => Self::D,
            _ => Self::F,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_as_its_member() {
        for severity in Severity::ALL {
            assert_eq!(severity.as_str().parse(), Ok(*severity));
            assert_eq!(Severity::from_rank(severity.rank()), Some(*severity));
        }
        for kind in AssetKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert_eq!(Severity::from_rank(5), None);
        assert_eq!(Severity::from_rank(-1), None);
    }

    #[test]
    fn an_unknown_word_names_the_allowed_ones() {
        let error = "SEVERE".parse::<Severity>().unwrap_err();
        assert_eq!(error.to_string(), "Severity must be one of CRITICAL, HIGH, MEDIUM, LOW, INFO");
    }

    #[test]
    fn grades_change_at_their_bounds() {
        let grades = [0.0, 9.99, 10.0, 29.99, 30.0, 49.99, 50.0, 74.99, 75.0, 100.0].map(Grade::of);
        use Grade::{A, B, C, D, F};
        assert_eq!(grades, [A, A, B, B, C, C, D, D, F, F]);
    }
}
