//! Runs every invariant and collects the broken ones.

use super::rows::Rows;
use super::transition::Transition;
use super::violation::Violation;
use super::{state, transition};

/// Every broken invariant of a state.
pub fn check_state(rows: &Rows) -> Vec<Violation> {
    broken(state::ALL.iter().map(|(name, check)| (*name, check(rows))))
}

/// Every broken invariant of a transition.
pub fn check_transition(transition: &Transition<'_>) -> Vec<Violation> {
    broken(transition::ALL.iter().map(|(name, check)| (*name, check(transition))))
}

fn broken(checks: impl Iterator<Item = (&'static str, Result<(), String>)>) -> Vec<Violation> {
    checks
        .filter_map(|(invariant, result)| result.err().map(|what| Violation { invariant, what }))
        .collect()
}
