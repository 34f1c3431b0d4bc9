//! Claimants: who may change a run. Every command of a claimant checks this.

use crate::machine::command::Claimant;
use crate::machine::describe;
use crate::machine::row::RunRow;
use crate::machine::value::Text;

/// The reason why `claimant` may not change `run`, if there is one.
///
/// A claim that has lapsed still counts: until another agent takes over, its
/// holder may go on. Where neither agent nor token is given anyone may act, as
/// with the Python reference.
pub fn objection(run: &RunRow, claimant: &Claimant) -> Option<Text> {
    if run.is_over() {
        return Some(describe::taken(run));
    }
    mismatch(run, claimant)
}

/// The reason why `claimant` is not the one who holds or has ended `run`, if
/// there is one.
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
