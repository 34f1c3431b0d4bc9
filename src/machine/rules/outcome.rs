//! Replies that several rules give.

use crate::machine::describe;
use crate::machine::reply::{Moved, Refusal, RefusalCode, Reply};
use crate::machine::row::RunRow;
use crate::machine::status::Status;
use crate::machine::value::Text;

pub fn refuse(code: RefusalCode, message: impl Into<Text>) -> Reply {
    Reply::Refused(Refusal { code, message: message.into() })
}

pub fn no_such_run(run_id: &str) -> Reply {
    refuse(RefusalCode::NotFound, describe::no_such_run(run_id))
}

/// The reply to a change of a run that was made or, with a reason, was not.
pub fn moved(run: &RunRow, reason: Option<Text>) -> Reply {
    Reply::Moved(moved_run(run, reason))
}

/// What [`moved`] says.
pub fn moved_run(run: &RunRow, reason: Option<Text>) -> Moved {
    let can_lapse = !run.is_over() && run.status != Status::AwaitingApproval;
    let claim = run.claim.as_ref().filter(|_| can_lapse && reason.is_none());
    Moved {
        ok: reason.is_none(),
        run_id: run.run_id.clone(),
        status: run.status,
        reason,
        claim_expires_at: claim.map(|claim| claim.expires_at),
        result: None,
        successors: Vec::new(),
    }
}
