//! The documents of playbooks. Only the server renders their pages, so the browser has none of this.

use graphql_client::GraphQLQuery;
use stance_shared::{PlaybookRunStatus, PlaybookStepState};

use super::operations::{DateTime, JSON, operations};

operations! {
    /// All playbooks.
    PlaybookList in "src/gql/playbook_list.graphql";
    /// One playbook with its flow, versions and newest runs.
    PlaybookDetail in "src/gql/playbook_detail.graphql";
    /// A page of runs.
    PlaybookRunList in "src/gql/playbook_run_list.graphql";
    /// One run with its steps.
    PlaybookRunDetail in "src/gql/playbook_run_detail.graphql";
    /// Makes a playbook or a new version of it.
    SavePlaybook in "src/gql/save_playbook.graphql";
    /// The mistakes of a document.
    ValidatePlaybook in "src/gql/validate_playbook.graphql";
    /// Has its trigger start it, or not.
    SetPlaybookEnabled in "src/gql/set_playbook_enabled.graphql";
    /// Takes a playbook out of the list.
    ArchivePlaybook in "src/gql/archive_playbook.graphql";
    /// Starts a run, or a dry run.
    RunPlaybook in "src/gql/run_playbook.graphql";
    /// Answers a gate.
    ApprovePlaybookStep in "src/gql/approve_playbook_step.graphql";
    /// Says that a task is done.
    CompletePlaybookTask in "src/gql/complete_playbook_task.graphql";
    /// Holds a run.
    PausePlaybookRun in "src/gql/pause_playbook_run.graphql";
    /// Lets it go on.
    ResumePlaybookRun in "src/gql/resume_playbook_run.graphql";
    /// Ends it.
    CancelPlaybookRun in "src/gql/cancel_playbook_run.graphql";
    /// Tries a failed step again.
    RetryPlaybookStep in "src/gql/retry_playbook_step.graphql";
    /// Takes back what a step did.
    UndoPlaybookStep in "src/gql/undo_playbook_step.graphql";
}
