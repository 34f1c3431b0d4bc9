//! A key: set, compared and set, deleted, read.

use super::search::{Model, Operation};

/// What is asked of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// With the revision that it must have, 0 for "must not exist".
    Set {
        value: String,
        if_revision: Option<u64>,
    },
    Delete,
    Get,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Written {
        revision: u64,
    },
    /// The condition did not hold; the key's own revision, 0 where there is none.
    Mismatch {
        revision: u64,
    },
    Deleted {
        existed: bool,
    },
    Read(Option<(String, u64)>),
}

/// The value and its revision, where that is known.
pub type State = Option<(String, Option<u64>)>;

#[derive(Clone, Debug)]
pub struct Key;

impl Model for Key {
    type State = State;
    type Call = Call;
    type Outcome = Outcome;

    fn start() -> State {
        None
    }

    fn step(state: &State, operation: &Operation<Key>) -> Option<State> {
        match (&operation.call, operation.outcome()) {
            (Call::Set { value, if_revision }, outcome) => set(state, value, *if_revision, outcome),
            (Call::Delete, None) => Some(None),
            (Call::Delete, Some(Outcome::Deleted { existed })) => {
                (state.is_some() == *existed).then_some(None)
            }
            (Call::Get, Some(Outcome::Read(read))) => reads(state, read.as_ref()),
            (Call::Get, None) => Some(state.clone()),
            (Call::Delete | Call::Get, Some(_)) => None,
        }
    }
}

fn set(
    state: &State,
    value: &str,
    if_revision: Option<u64>,
    outcome: Option<&Outcome>,
) -> Option<State> {
    let agrees = match (if_revision, state) {
        (None, _) | (Some(0), None) => true,
        (Some(0), Some(_)) | (Some(_), None) => false,
        // A write without an answer may have any revision.
        (Some(wanted), Some((_, revision))) => revision.is_none_or(|revision| revision == wanted),
    };
    let written = |revision| Some(Some((value.to_owned(), revision)));
    match outcome {
        None if agrees => written(None),
        Some(Outcome::Written { revision }) if agrees => {
            let before = state.as_ref().and_then(|(_, revision)| *revision);
            (before.is_none_or(|before| before < *revision)).then(|| written(Some(*revision)))?
        }
        Some(Outcome::Mismatch { revision }) => match state {
            None => (*revision == 0).then_some(None),
            Some((value, known)) => {
                let fits = known.is_none_or(|known| known == *revision) && *revision != 0;
                (fits && if_revision != Some(*revision))
                    .then(|| Some((value.clone(), Some(*revision))))
            }
        },
        None | Some(Outcome::Written { .. } | Outcome::Deleted { .. } | Outcome::Read(_)) => None,
    }
}

fn reads(state: &State, read: Option<&(String, u64)>) -> Option<State> {
    match (state, read) {
        (None, None) => Some(None),
        (Some((value, known)), Some((seen, revision))) => {
            let fits = value == seen && known.is_none_or(|known| known == *revision);
            fits.then(|| Some((value.clone(), Some(*revision))))
        }
        (None, Some(_)) | (Some(_), None) => None,
    }
}
