//! How an agent ends its work on a run: the run is done, has failed, or goes back
//! for another attempt.

use super::approval;
use super::outcome::{moved, moved_run, no_such_run};
use super::{checkpoint, claimant, create, present};
use crate::machine::command::{Complete, Create, Fail, LastStep};
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::passing;
use crate::machine::random::splitmix64;
use crate::machine::reply::{Moved, Refusal, Reply};
use crate::machine::row::RunRow;
use crate::machine::status::Status;
use crate::machine::value::Text;
use crate::machine::view::View;

pub fn complete<V: View>(
    draft: &mut Draft<'_, V>,
    command: &Complete,
    random: u64,
) -> Result<Reply, V::Error> {
    let Some(run) = present::run(draft, &command.run_id)? else {
        return Ok(no_such_run(&command.run_id));
    };
    if run.status == Status::Done {
        // The agent may ask again because it has not seen the reply.
        let is_repeated = match draft.counts_lapses() {
            true => {
                run.result == command.result
                    && claimant::stranger(&run, &command.claimant).is_none()
            }
            false => claimant::mismatch(&run, &command.claimant).is_none(),
        };
        if is_repeated {
            return Ok(moved(&run, None));
        }
    }
    let objection = claimant::objection(draft, &run, &command.claimant);
    if let Some(reason) = objection.or_else(|| approval::objection(&run)) {
        return Ok(refused(draft, &run, reason));
    }
    let agent_id = command.claimant.agent_id.as_ref();
    let run = match &command.last_step {
        Some(LastStep { step, output }) => checkpoint::store(draft, run, *step, output, agent_id)?,
        None => run,
    };
    let after = RunRow {
        status: Status::Done,
        ready_at: None,
        result: command.result.clone(),
        error: None,
        ..run.clone()
    };
    let after = draft.move_run(Action::WorkflowComplete, &run, after, agent_id);
    Ok(match create_all(draft, &command.successors, random)? {
        Ok(successors) => Reply::Moved(Moved { successors, ..moved_run(&after, None) }),
        Err(refusal) => Reply::Refused(refusal),
    })
}

/// The ids of the new runs, or why the first one that is refused cannot be created. Each
/// run gets its id from a random number of its own.
fn create_all<V: View>(
    draft: &mut Draft<'_, V>,
    creates: &[Create],
    random: u64,
) -> Result<Result<Vec<Text>, Refusal>, V::Error> {
    let mut run_ids = Vec::with_capacity(creates.len());
    let mut random = random;
    for (number, command) in creates.iter().enumerate() {
        match create::create(draft, command, random)? {
            Reply::Created { run_id, .. } => run_ids.push(run_id),
            Reply::Refused(Refusal { code, message }) => {
                let message = format!("successors[{number}].{message}").into();
                return Ok(Err(Refusal { code, message }));
            }
            other => unreachable!("a creation is answered by {other:?}"),
        }
        random = splitmix64(random);
    }
    Ok(Ok(run_ids))
}

pub fn fail<V: View>(draft: &mut Draft<'_, V>, command: &Fail) -> Result<Reply, V::Error> {
    let Some(run) = present::run(draft, &command.run_id)? else {
        return Ok(no_such_run(&command.run_id));
    };
    if let Some(reason) = claimant::objection(draft, &run, &command.claimant) {
        return Ok(refused(draft, &run, reason));
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
        let pause_ms = match (command.retry_after_ms, draft.counts_lapses()) {
            (Some(pause_ms), _) => pause_ms,
            (None, true) => passing::backoff_ms(&run.retry, &run.run_id, failed.attempts),
            (None, false) => passing::exponential_ms(&run.retry, failed.attempts),
        };
        let ready_at = Some(draft.now().plus(pause_ms));
        let status = Status::Created;
        let after = RunRow { status, ready_at, agent_id: None, claim: None, ..failed };
        (Action::WorkflowRetry, after)
    } else {
        (Action::WorkflowFail, RunRow { status: Status::Failed, ready_at: None, ..failed })
    };
    let after = draft.move_run(action, &run, after, command.claimant.agent_id.as_ref());
    Ok(moved(&after, None))
}

/// The reply to a caller that may not end the run. If somebody else has ended it, the
/// caller learns with what, since its own outcome is lost.
fn refused<V: View>(draft: &Draft<'_, V>, run: &RunRow, reason: Text) -> Reply {
    let result = run.result.clone().filter(|_| draft.counts_lapses() && run.is_over());
    Reply::Moved(Moved { result, ..moved_run(run, Some(reason)) })
}
