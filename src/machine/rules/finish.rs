//! How an agent ends its work on a run: the run is done, has failed, or goes back
//! for another attempt.

use super::claimant;
use super::outcome::{moved, no_such_run};
use crate::machine::command::{Complete, Fail};
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::reply::Reply;
use crate::machine::row::RunRow;
use crate::machine::status::Status;
use crate::machine::view::View;

/// The pause after a first failed attempt; it doubles with each further one.
const BACKOFF_MS: u64 = 1_000;

/// The longest pause. With a longer one a run would look stuck.
const BACKOFF_MS_MAX: u64 = 300_000;

pub fn complete<V: View>(draft: &mut Draft<'_, V>, command: &Complete) -> Result<Reply, V::Error> {
    let Some(run) = draft.run(&command.run_id)? else {
        return Ok(no_such_run(&command.run_id));
    };
    // The agent may ask again because it has not seen the reply.
    if run.status == Status::Done && claimant::mismatch(&run, &command.claimant).is_none() {
        return Ok(moved(&run, None));
    }
    if let Some(reason) = claimant::objection(&run, &command.claimant) {
        return Ok(moved(&run, Some(reason)));
    }
    let after = RunRow {
        status: Status::Done,
        ready_at: None,
        result: command.result.clone(),
        error: None,
        ..run.clone()
    };
    let agent_id = command.claimant.agent_id.as_ref();
    let after = draft.move_run(Action::WorkflowComplete, &run, after, agent_id);
    Ok(moved(&after, None))
}

pub fn fail<V: View>(draft: &mut Draft<'_, V>, command: &Fail) -> Result<Reply, V::Error> {
    let Some(run) = draft.run(&command.run_id)? else {
        return Ok(no_such_run(&command.run_id));
    };
    if let Some(reason) = claimant::objection(&run, &command.claimant) {
        return Ok(moved(&run, Some(reason)));
    }
    // Work that nobody claimed counts as an attempt too. Otherwise such a run
    // could fail and be retried for ever.
    let unclaimed = u32::from(run.claim.is_none());
    let failed = RunRow {
        attempts: run.attempts.saturating_add(unclaimed),
        error: Some(command.error.clone()),
        ..run.clone()
    };
    let (action, after) = if command.retry && failed.attempts < failed.max_attempts {
        let ready_at = Some(draft.now().plus(backoff_ms(failed.attempts)));
        let status = Status::Created;
        let after = RunRow { status, ready_at, agent_id: None, claim: None, ..failed };
        (Action::WorkflowRetry, after)
    } else {
        (Action::WorkflowFail, RunRow { status: Status::Failed, ready_at: None, ..failed })
    };
    let after = draft.move_run(action, &run, after, command.claimant.agent_id.as_ref());
    Ok(moved(&after, None))
}

/// How long a run waits after the failure of its attempt number `attempts`.
fn backoff_ms(attempts: u32) -> u64 {
    let doublings = attempts.saturating_sub(1);
    let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
    BACKOFF_MS.saturating_mul(factor).min(BACKOFF_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_five_minutes() {
        let pauses = [0, 1, 2, 3, 9, 10, 64, u32::MAX].map(backoff_ms);
        assert_eq!(pauses, [1_000, 1_000, 2_000, 4_000, 256_000, 300_000, 300_000, 300_000]);
    }
}
