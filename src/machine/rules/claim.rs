//! Claims: which agent works on a run, until when. Exactly one of many wins;
//! whoever is silent for the claim's time may be replaced, under a higher token.

use crate::machine::command::{Claim, ClaimNext};
use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::lookup;
use crate::machine::reply::{Claimed, Reply};
use crate::machine::row::{ClaimRow, RunRow, Status};
use crate::machine::value::{ClusterMs, Revision, Text};
use crate::machine::view::{Candidate, ClaimFilter, View};

pub fn claim<V: View>(draft: &mut Draft<'_, V>, claim: &Claim) -> Result<Reply, V::Error> {
    let Some(run) = draft.run(&claim.run_id)? else {
        let reason = describe::no_such_run(&claim.run_id);
        return Ok(refused(Some(claim.run_id.clone()), reason, None));
    };
    let held = run.claim.as_ref().filter(|held| !run.is_over() && held.lives_at(draft.now()));
    if let Some(held) = held
        && run.agent_id.as_ref() == Some(&claim.agent_id)
    {
        let token = held.token;
        return Ok(prolong(draft, &run, &claim.agent_id, token, claim.claim_ttl_ms));
    }
    if run.is_claimable(draft.now()) {
        return Ok(grant(draft, &run, &claim.agent_id, claim.claim_ttl_ms));
    }
    let reason = match (run.status, run.ready_at) {
        (Status::Created, Some(at)) => {
            format!("Workflow is not ready before {}", describe::seconds(at)).into()
        }
        _ => describe::taken(&run),
    };
    Ok(refused(Some(run.run_id.clone()), reason, run.claimable_from()))
}

pub fn claim_next<V: View>(draft: &mut Draft<'_, V>, claim: &ClaimNext) -> Result<Reply, V::Error> {
    let filter = ClaimFilter { name: claim.name.clone(), tags: claim.tags.clone() };
    let stepwise = draft.is_stepwise();
    let due = match claim.after {
        None => {
            let limit = if stepwise { lookup::DUE_MAX } else { usize::MAX };
            lookup::due_runs(draft, &filter, draft.now(), limit)?
        }
        // Those that were due have been promoted by the attempt before.
        Some(_) => Vec::new(),
    };
    let mut after = claim.after;
    let candidate = loop {
        match lookup::candidate(draft, &filter, after, &due, draft.now())? {
            Candidate::Further(rank) if !stepwise => after = Some(rank),
            candidate => break candidate,
        }
    };
    // What this claim has looked at no other one has to look at again.
    for run in due.into_iter().filter(|_| stepwise) {
        draft.promote(run);
    }
    Ok(match candidate {
        Candidate::Ready(run) => grant(draft, &run, &claim.agent_id, claim.claim_ttl_ms),
        Candidate::At(at) => Reply::Claimed(Claimed::nothing(Some(at))),
        Candidate::None => Reply::Claimed(Claimed::nothing(None)),
        Candidate::Further(rank) => {
            Reply::Claimed(Claimed { searched: Some(rank), ..Claimed::nothing(None) })
        }
    })
}

/// Gives the run to the agent, whoever had it before.
fn grant<V: View>(draft: &mut Draft<'_, V>, run: &RunRow, agent_id: &Text, ttl_ms: u64) -> Reply {
    // The token is the revision of the grant, so it rises with each.
    let token = draft.revision().next();
    let after = RunRow {
        status: Status::Claimed,
        attempts: run.attempts.saturating_add(1),
        ready_at: None,
        agent_id: Some(agent_id.clone()),
        claim: Some(ClaimRow { token, ttl_ms, expires_at: draft.now().plus(ttl_ms) }),
        ..run.clone()
    };
    granted(draft.move_run(Action::WorkflowClaim, run, after, Some(agent_id)))
}

/// The holder asked again, perhaps since it never saw the answer.
fn prolong<V: View>(
    draft: &mut Draft<'_, V>,
    run: &RunRow,
    agent_id: &Text,
    token: Revision,
    ttl_ms: u64,
) -> Reply {
    let claim = Some(ClaimRow { token, ttl_ms, expires_at: draft.now().plus(ttl_ms) });
    let after = RunRow { claim, ..run.clone() };
    // Not a grant: only those are `workflow_claim`, and their ids are tokens.
    granted(draft.move_run(Action::WorkflowHeartbeat, run, after, Some(agent_id)))
}

fn granted(run: RunRow) -> Reply {
    Reply::Claimed(Claimed {
        claimed: true,
        run_id: Some(run.run_id),
        agent_id: run.agent_id,
        reason: None,
        claim_token: run.claim.as_ref().map(|claim| claim.token),
        claim_expires_at: run.claim.as_ref().map(|claim| claim.expires_at),
        retry_at: None,
        searched: None,
    })
}

fn refused(run_id: Option<Text>, reason: Text, retry_at: Option<ClusterMs>) -> Reply {
    Reply::Claimed(Claimed {
        claimed: false,
        run_id,
        agent_id: None,
        reason: Some(reason),
        claim_token: None,
        claim_expires_at: None,
        retry_at,
        searched: None,
    })
}
