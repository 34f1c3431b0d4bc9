//! Claims: which agent works on a run, and until when. Exactly one of several
//! agents wins. The attempt of an agent that lets its claim lapse has failed, and
//! another agent may begin the next one, under a higher token.

use super::{concurrency, present};
use crate::machine::command::{CLAIMS_MAX, Claim, ClaimNext, Rank};
use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::filter::ClaimFilter;
use crate::machine::lookup;
use crate::machine::passing;
use crate::machine::query::Candidate;
use crate::machine::reply::{Claimed, FurtherClaim, Reply};
use crate::machine::row::{ClaimRow, OnLapse, RunRow};
use crate::machine::status::Status;
use crate::machine::value::{ClusterMs, Text};
use crate::machine::view::View;

pub fn claim<V: View>(draft: &mut Draft<'_, V>, claim: &Claim) -> Result<Reply, V::Error> {
    let Some(run) = present::run(draft, &claim.run_id)? else {
        let reason = describe::no_such_run(&claim.run_id);
        return Ok(refused(Some(claim.run_id.clone()), reason, None));
    };
    let live = run.claim.as_ref().filter(|claim| !run.is_over() && claim.lives_at(draft.now()));
    if let Some(live) = live
        && run.agent_id.as_ref() == Some(&claim.agent_id)
        && run.status != Status::AwaitingApproval
    {
        let live = live.clone();
        return Ok(renew(draft, &run, &claim.agent_id, live, claim.claim_ttl_ms));
    }
    // Earlier rules left runs behind that somebody worked on without a claim.
    let is_stray = draft.counts_lapses() && !run.is_over() && run.claimable_from().is_none();
    let is_stray = is_stray && run.status != Status::Blocked;
    if run.is_claimable(draft.now()) || (is_stray && run.claim.is_none()) {
        if let Some(reason) = concurrency::objection(draft, &run)? {
            return Ok(refused(Some(run.run_id.clone()), reason, None));
        }
        return Ok(Reply::Claimed(grant(draft, &run, &claim.agent_id, claim.claim_ttl_ms)));
    }
    let reason = match (run.status, run.ready_at) {
        (Status::Created, Some(at)) => {
            format!("Workflow is not ready before {}", describe::seconds(at)).into()
        }
        _ => describe::taken(&run),
    };
    let retry_at = run.claimable_from().or(run.due_at());
    Ok(refused(Some(run.run_id.clone()), reason, retry_at))
}

pub fn claim_next<V: View>(draft: &mut Draft<'_, V>, claim: &ClaimNext) -> Result<Reply, V::Error> {
    let filter = ClaimFilter::of(claim);
    // A claim that lapses at once would be claimed again by the same command.
    let most = if claim.claim_ttl_ms > 0 { claim.most().min(CLAIMS_MAX) } else { 1 };
    if most > 1 {
        draft.keep_reads();
    }
    let stepwise = draft.is_stepwise();
    let due = match claim.after {
        None => {
            let limit = if stepwise { lookup::DUE_MAX } else { usize::MAX };
            lookup::due_runs(draft, &filter, draft.now(), limit)?
        }
        // The attempt before this one has promoted the runs that were due.
        Some(_) => Vec::new(),
    };
    let first = best(draft, &filter, claim.after, &due)?;
    // Promoting them spares every later claim looking at them again.
    for run in due.iter().filter(|_| stepwise) {
        present::promote(draft, run.clone())?;
    }
    let mut claimed = match first {
        Candidate::Ready(run) => match take(draft, *run, claim)? {
            Some(claimed) => claimed,
            None => return Ok(Reply::Claimed(Claimed::nothing(None))),
        },
        Candidate::At(at) => return Ok(Reply::Claimed(Claimed::nothing(Some(at)))),
        Candidate::None => return Ok(Reply::Claimed(Claimed::nothing(None))),
        Candidate::Further(rank) => {
            let nothing = Claimed::nothing(None);
            return Ok(Reply::Claimed(Claimed { searched: Some(rank), ..nothing }));
        }
    };
    while claimed.further.len() + 1 < most as usize {
        let due = stored(draft, &due)?;
        let Candidate::Ready(run) = best(draft, &filter, claim.after, &due)? else { break };
        let Some(next) = take(draft, *run, claim)? else { break };
        claimed.further.extend(FurtherClaim::of(next));
    }
    Ok(Reply::Claimed(claimed))
}

/// The best run to claim. Searches find only what was there before the command, so those
/// that it has claimed already are passed over.
fn best<V: View>(
    draft: &Draft<'_, V>,
    filter: &ClaimFilter,
    mut after: Option<Rank>,
    due: &[RunRow],
) -> Result<Candidate, V::Error> {
    loop {
        match lookup::candidate(draft, filter, after, due, draft.now())? {
            Candidate::Further(rank) if !draft.is_stepwise() => after = Some(rank),
            candidate => return Ok(candidate),
        }
    }
}

/// The runs as the command has left them.
fn stored<V: View>(draft: &Draft<'_, V>, runs: &[RunRow]) -> Result<Vec<RunRow>, V::Error> {
    let stored = runs.iter().map(|run| lookup::stored_run(draft, &run.run_id));
    Ok(stored.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Grants a run that was found, unless its concurrency key has no room after all.
fn take<V: View>(
    draft: &mut Draft<'_, V>,
    run: RunRow,
    claim: &ClaimNext,
) -> Result<Option<Claimed>, V::Error> {
    // It may be one of those that have just been promoted.
    let run = lookup::stored_run(draft, &run.run_id)?.unwrap_or(run);
    let run = present::settled(draft, run)?;
    // There is room; only lapses that nobody has recorded are recorded now.
    if concurrency::objection(draft, &run)?.is_some() {
        return Ok(None);
    }
    Ok(Some(grant(draft, &run, &claim.agent_id, claim.claim_ttl_ms)))
}

/// Gives the run to the agent, whoever held it before.
fn grant<V: View>(draft: &mut Draft<'_, V>, run: &RunRow, agent_id: &Text, ttl_ms: u64) -> Claimed {
    // The token is the revision of the grant, so it rises with each grant.
    let token = draft.revision().next();
    // Whoever takes over a run that has waited for a person goes on with its attempt.
    let begins = u32::from(!run.is_left_waiting());
    let (now, attempts) = (draft.now(), run.attempts.saturating_add(begins));
    let (on_lapse, claims) = match draft.counts_lapses() {
        true => (passing::on_lapse(run, attempts), run.claims.saturating_add(1)),
        false => (OnLapse::TakeOver, run.claims),
    };
    let claim = ClaimRow { token, ttl_ms, expires_at: now.plus(ttl_ms), on_lapse };
    let after = RunRow {
        status: Status::Claimed,
        attempts,
        claims,
        ready_at: None,
        deadline_at: run.deadline_at.or(run.deadline_ms.map(|ms| now.plus(ms))),
        agent_id: Some(agent_id.clone()),
        claim: Some(claim),
        ..run.clone()
    };
    granted(draft.move_run(Action::WorkflowClaim, run, after, Some(agent_id)))
}

/// Renews the claim of a holder that claims again, perhaps because it never saw
/// the reply.
fn renew<V: View>(
    draft: &mut Draft<'_, V>,
    run: &RunRow,
    agent_id: &Text,
    live: ClaimRow,
    ttl_ms: u64,
) -> Reply {
    let after = RunRow { claim: Some(ClaimRow { ttl_ms, ..live }), ..run.clone() };
    let after = RunRow { claim: passing::renewed(&after, draft.now()), ..after };
    // This is no grant: the ids of `workflow_claim` events are tokens, and the
    // token stays.
    let renewed = draft.move_run(Action::WorkflowHeartbeat, run, after, Some(agent_id));
    Reply::Claimed(granted(renewed))
}

fn granted(run: RunRow) -> Claimed {
    let has_prerequisites = !run.depends_on().is_empty();
    Claimed {
        claimed: true,
        run_id: Some(run.run_id),
        agent_id: run.agent_id,
        reason: None,
        claim_token: run.claim.as_ref().map(|claim| claim.token),
        claim_expires_at: run.claim.as_ref().map(|claim| claim.expires_at),
        retry_at: None,
        searched: None,
        has_prerequisites,
        further: Vec::new(),
    }
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
        has_prerequisites: false,
        further: Vec::new(),
    })
}
