//! Heartbeats, by which the holder of a claim shows that it is alive, and giving
//! the run back.

use super::approval;
use super::claimant;
use super::outcome::{moved, no_such_run};
use super::present;
use crate::machine::command::{Claimant, HeldClaim};
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::passing;
use crate::machine::reply::Reply;
use crate::machine::row::RunRow;
use crate::machine::status::Status;
use crate::machine::value::ClusterMs;
use crate::machine::view::View;

pub fn heartbeat<V: View>(draft: &mut Draft<'_, V>, held: &HeldClaim) -> Result<Reply, V::Error> {
    move_held(draft, held, Action::WorkflowHeartbeat, |run, now| match run.status {
        // Its claim cannot lapse meanwhile.
        Status::AwaitingApproval => run.clone(),
        _ => RunRow { claim: passing::renewed(run, now), ..run.clone() },
    })
}

pub fn release<V: View>(draft: &mut Draft<'_, V>, held: &HeldClaim) -> Result<Reply, V::Error> {
    let given_back = u32::from(draft.counts_lapses());
    move_held(draft, held, Action::WorkflowRelease, |run, _| RunRow {
        status: Status::Created,
        // An attempt that was given back is none.
        attempts: run.attempts.saturating_sub(given_back),
        ready_at: None,
        agent_id: None,
        claim: None,
        ..run.clone()
    })
}

/// Changes a run on behalf of the agent that holds the claim.
fn move_held<V: View>(
    draft: &mut Draft<'_, V>,
    held: &HeldClaim,
    action: Action,
    change: impl FnOnce(&RunRow, ClusterMs) -> RunRow,
) -> Result<Reply, V::Error> {
    let Some(run) = present::run(draft, &held.run_id)? else {
        return Ok(no_such_run(&held.run_id));
    };
    let claimant =
        Claimant { agent_id: Some(held.agent_id.clone()), claim_token: Some(held.claim_token) };
    if let Some(reason) = claimant::objection(draft, &run, &claimant) {
        return Ok(moved(&run, Some(reason)));
    }
    if action == Action::WorkflowRelease
        && let Some(reason) = approval::objection(&run)
    {
        return Ok(moved(&run, Some(reason)));
    }
    let after = change(&run, draft.now());
    if after == run {
        return Ok(moved(&run, None));
    }
    let after = draft.move_run(action, &run, after, Some(&held.agent_id));
    Ok(moved(&after, None))
}
