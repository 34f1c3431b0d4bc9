//! What one holder has at a time, under a token, until a deadline: a lease on a
//! resource, a claim on a run.
//!
//! Nobody may get it while another's time cannot be over. When that is, by a
//! clock of its own, the cluster decides; the search only knows that it is not
//! before the holder's last sign of life and its time to live have passed, less
//! what clocks may differ by.

use super::search::{Model, Operation};

/// What is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is free as soon as its time is over.
    Lease,
    /// When its time is over the attempt has failed, and the next one may have to wait.
    Claim,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Acquire, or claim.
    Take { by: String, ttl_us: u64, of: Kind },
    /// Renew, or a sign of life.
    Keep { by: String, token: u64, ttl_us: u64 },
    /// Release.
    Give { by: String, token: u64 },
    /// Complete: nobody holds it again.
    Finish { by: String, token: u64 },
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Taken { token: u64 },
    Done,
    Refused,
}

/// Who has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    by: String,
    /// None where the holder never heard it.
    token: Option<u64>,
    /// Its time cannot be over before.
    until: u64,
}

/// The holder, and the highest token that is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    held: Option<Held>,
    highest: u64,
    finished: bool,
}

#[derive(Clone, Debug)]
pub struct Hold;

impl Model for Hold {
    type State = State;
    type Call = Call;
    type Outcome = Outcome;

    fn start() -> State {
        State { held: None, highest: 0, finished: false }
    }

    fn step(state: &State, operation: &Operation<Hold>) -> Option<State> {
        match &operation.call {
            Call::Take { by, ttl_us, of } => take(state, operation, by, *ttl_us, *of),
            Call::Keep { by, token, ttl_us } => {
                let kept = |held: &Held| {
                    let until = operation.began.saturating_add(*ttl_us);
                    Some(Held { token: Some(*token), until, ..held.clone() })
                };
                with_token(state, operation, by, *token, kept, false)
            }
            Call::Give { by, token } => with_token(state, operation, by, *token, |_| None, false),
            Call::Finish { by, token } => with_token(state, operation, by, *token, |_| None, true),
        }
    }
}

/// Whether its time may be over when `operation` takes effect.
fn may_be_over(held: &Held, operation: &Operation<Hold>) -> bool {
    operation.latest() >= held.until
}

fn take(
    state: &State,
    operation: &Operation<Hold>,
    by: &str,
    ttl_us: u64,
    of: Kind,
) -> Option<State> {
    let until = operation.began.saturating_add(ttl_us);
    let mine = state.held.as_ref().filter(|held| held.by == by);
    let free = state.held.as_ref().is_none_or(|held| may_be_over(held, operation));
    let granted = |token: Option<u64>| {
        let held = Some(Held { by: by.to_owned(), token, until });
        let highest = token.map_or(state.highest, |token| token.max(state.highest));
        Some(State { held, highest, finished: false })
    };
    match operation.outcome() {
        Some(Outcome::Refused) if state.finished => Some(state.clone()),
        // Refused because another has it, or had it until just now; or because its own
        // attempt at a run has failed.
        Some(Outcome::Refused) => {
            let has_lapsed = |held: &Held| of == Kind::Claim && may_be_over(held, operation);
            let is_explained = state.held.is_some() && mine.is_none_or(has_lapsed);
            is_explained.then(|| state.clone())
        }
        Some(Outcome::Done) => None,
        Some(Outcome::Taken { .. }) | None if state.finished => None,
        Some(Outcome::Taken { token }) => {
            let again = mine.is_some_and(|held| held.token.is_none_or(|known| known == *token));
            let anew = (free || mine.is_some_and(|held| may_be_over(held, operation)))
                && *token > state.highest;
            // Whose token nobody knew may turn out to be below none that is known.
            let again = again && *token >= state.highest;
            (again || anew).then(|| granted(Some(*token)))?
        }
        None => match mine {
            Some(held) => granted(held.token),
            None => free.then(|| granted(None))?,
        },
    }
}

/// What needs the present token: done where it is that, else refused.
fn with_token(
    state: &State,
    operation: &Operation<Hold>,
    by: &str,
    token: u64,
    after: impl Fn(&Held) -> Option<Held>,
    finishes: bool,
) -> Option<State> {
    let holds = |held: &&Held| held.by == by && held.token.is_none_or(|known| known == token);
    let held = state.held.as_ref().filter(holds);
    let done = held.map(|held| State {
        held: after(held),
        highest: state.highest.max(token),
        finished: finishes || state.finished,
    });
    match operation.outcome() {
        Some(Outcome::Done) | None => done,
        Some(Outcome::Refused) => match held {
            // It may have run out, or the token that nobody heard is another.
            Some(held) if !may_be_over(held, operation) && held.token.is_some() => None,
            Some(_) | None => Some(state.clone()),
        },
        Some(Outcome::Taken { .. }) => None,
    }
}
