//! Invariants: what holds of every state and of every transition from one state
//! to the next. Tests run them under the names that they have here; the rules
//! never call them.
//!
//! Read `rows` (a state in memory), `state` and `transition` (the invariants);
//! `check` runs them all, and `violation` is what they report.

mod check;
mod rows;
mod state;
mod transition;
mod violation;

pub use check::{check_state, check_transition};
pub use rows::Rows;
pub use transition::Transition;
pub use violation::Violation;
