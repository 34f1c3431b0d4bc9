//! The guard of a run: who may move it on. Shared by all that a claimant does.

use crate::machine::command::Claimant;
use crate::machine::describe;
use crate::machine::row::RunRow;
use crate::machine::value::Text;

/// Why `claimant` may not act on `run`, if so.
///
/// A claim that has lapsed still counts here: until another agent takes over,
/// its holder may go on. Where neither agent nor token is given anyone may
/// act, as in the reference.
pub fn objection(run: &RunRow, claimant: &Claimant) -> Option<Text> {
    if run.is_over() {
        return Some(describe::taken(run));
    }
    stranger(run, claimant)
}

/// Why `claimant` is not the one who holds `run` or ended it, if so.
pub fn stranger(run: &RunRow, claimant: &Claimant) -> Option<Text> {
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
