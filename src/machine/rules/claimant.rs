//! Claimants: who may change a run. Every command of a claimant checks this.

use crate::machine::command::Claimant;
use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::row::RunRow;
use crate::machine::status::Status;
use crate::machine::value::Text;
use crate::machine::view::View;

/// The reason why `claimant` may not change `run`, if there is one.
pub fn objection<V: View>(draft: &Draft<'_, V>, run: &RunRow, claimant: &Claimant) -> Option<Text> {
    if run.is_over() || run.status == Status::Blocked {
        return Some(describe::taken(run));
    }
    match draft.counts_lapses() {
        true => stranger(run, claimant),
        false => mismatch(run, claimant),
    }
}

/// The reason why `claimant` is not the one who holds or has ended `run`, if there is
/// one.
///
/// A call that names an agent or a token is judged by that. One that names neither may
/// act as with the Python reference while there has been no more than one claim, and
/// that one lives: then it cannot be a late call of an earlier attempt.
pub fn stranger(run: &RunRow, claimant: &Claimant) -> Option<Text> {
    let current = run.claim.as_ref().map(|claim| claim.token);
    match (&claimant.agent_id, claimant.claim_token) {
        (None, None) if run.claims == 0 || (run.claims == 1 && current.is_some()) => None,
        (None, None) => Some(describe::unnamed(run)),
        (_, Some(token)) if current != Some(token) => {
            Some(format!("claim_token {token} is no longer current").into())
        }
        (Some(agent), _) if current.is_none() => Some(describe::unclaimed(run, agent)),
        (Some(agent), _) if run.agent_id.as_ref() != Some(agent) => Some(describe::taken(run)),
        (_, _) => None,
    }
}

/// What [`stranger`] was by earlier rules: a claim that has lapsed still counts until
/// another agent takes over, and a call that names nobody may do anything.
pub fn mismatch(run: &RunRow, claimant: &Claimant) -> Option<Text> {
    let current = run.claim.as_ref().map(|claim| claim.token);
    if let Some(token) = claimant.claim_token
        && current != Some(token)
    {
        return Some(format!("claim_token {token} is no longer current").into());
    }
    match (&claimant.agent_id, &run.agent_id) {
        (Some(agent), Some(holder)) if agent != holder => Some(describe::taken(run)),
        _ => None,
    }
}
