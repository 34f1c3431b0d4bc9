//! The names under which calls are counted. They are those of the tools that do
//! the same, so that a metric covers an operation whichever protocol asks for it.

use crate::proto::state as proto;
use proto::command::Command as Write;
use proto::question::Question as Read;

/// Counts requests that hold no command or question, or one that only nodes use.
const UNKNOWN: &str = "unknown";

pub(super) fn of_command(command: Option<&proto::Command>) -> &'static str {
    let Some(command) = command.and_then(|command| command.command.as_ref()) else {
        return UNKNOWN;
    };
    match command {
        Write::Set(_) => "state_set",
        Write::Delete(_) => "state_delete",
        Write::Transact(_) => "state_transact",
        Write::Create(_) => "workflow_create",
        Write::Claim(_) => "workflow_claim",
        Write::ClaimNext(_) => "workflow_claim_next",
        Write::Heartbeat(_) => "workflow_heartbeat",
        Write::Release(_) => "workflow_release",
        Write::Checkpoint(_) => "workflow_checkpoint",
        Write::Complete(_) => "workflow_complete",
        Write::Fail(_) => "workflow_fail",
        Write::Cancel(_) => "workflow_cancel",
        Write::Retry(_) => "workflow_retry",
        Write::DeleteRun(_) => "workflow_delete",
        Write::Decide(_) => "workflow_decide",
        Write::Acquire(_) => "lease_acquire",
        Write::Renew(_) => "lease_renew",
        Write::ReleaseLease(_) => "lease_release",
        Write::SaveSession(_) => "session_save",
        Write::DeleteSession(_) => "session_delete",
        Write::Pause(_) => "workflow_pause",
        Write::SetSchedule(_) | Write::DeleteSchedule(_) => "schedule_set",
        Write::Reset(_) => "sidecar_reset",
        Write::Sweep(_) | Write::FireSchedule(_) => UNKNOWN,
    }
}

pub(super) fn of_question(question: Option<&proto::Question>) -> &'static str {
    let Some(question) = question.and_then(|question| question.question.as_ref()) else {
        return UNKNOWN;
    };
    match question {
        Read::Key(_) => "state_get",
        Read::Keys(_) => "state_list",
        Read::Runs(_) => "workflow_discover",
        Read::Run(_) => "workflow_status",
        Read::Resume(_) | Read::Prerequisites(_) => "workflow_resume",
        Read::Leases(_) => "lease_list",
        Read::Session(_) => "session_restore",
        Read::Sessions(_) => "session_list",
        Read::Schedules(_) => "schedule_list",
        Read::Stats(_) => "workflow_stats",
        Read::Counts(_) => "sidecar_health",
        Read::History(_) => "history_log",
        Read::Changes(_) => "state_wait",
        Read::Lease(_) => "lease_list",
        Read::Candidate(_) | Read::Request(_) => UNKNOWN,
    }
}
