//! Signs of life of a claim's holder, and giving the run back.

use super::{claimant, no_such_run};
use crate::machine::command::{Claimant, Held};
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::reply::{Moved, Reply};
use crate::machine::row::{ClaimRow, RunRow, Status};
use crate::machine::value::{ClusterMs, Text};
use crate::machine::view::View;

pub fn heartbeat<V: View>(draft: &mut Draft<'_, V>, held: &Held) -> Result<Reply, V::Error> {
    move_held(draft, held, Action::WorkflowHeartbeat, |run, now| RunRow {
        claim: prolonged(run, now),
        ..run.clone()
    })
}

pub fn release<V: View>(draft: &mut Draft<'_, V>, held: &Held) -> Result<Reply, V::Error> {
    move_held(draft, held, Action::WorkflowRelease, |run, _| RunRow {
        status: Status::Created,
        ready_at: None,
        agent_id: None,
        claim: None,
        ..run.clone()
    })
}

/// The run's claim after a sign of life at `now`.
pub fn prolonged(run: &RunRow, now: ClusterMs) -> Option<ClaimRow> {
    run.claim.as_ref().map(|claim| ClaimRow { expires_at: now.plus(claim.ttl_ms), ..claim.clone() })
}

/// The answer to a move that was made or, with a reason, was not.
pub fn moved(run: &RunRow, reason: Option<Text>) -> Reply {
    let claim = run.claim.as_ref().filter(|_| !run.is_over() && reason.is_none());
    Reply::Moved(Moved {
        ok: reason.is_none(),
        run_id: run.run_id.clone(),
        status: run.status,
        reason,
        claim_expires_at: claim.map(|claim| claim.expires_at),
    })
}

fn move_held<V: View>(
    draft: &mut Draft<'_, V>,
    held: &Held,
    action: Action,
    change: impl FnOnce(&RunRow, ClusterMs) -> RunRow,
) -> Result<Reply, V::Error> {
    let Some(run) = draft.run(&held.run_id)? else { return Ok(no_such_run(&held.run_id)) };
    let claimant =
        Claimant { agent_id: Some(held.agent_id.clone()), claim_token: Some(held.claim_token) };
    if let Some(reason) = claimant::objection(&run, &claimant) {
        return Ok(moved(&run, Some(reason)));
    }
    let after = change(&run, draft.now());
    let after = draft.move_run(action, &run, after, Some(&held.agent_id));
    Ok(moved(&after, None))
}
