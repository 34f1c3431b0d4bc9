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

/// What the key is, as far as the answers tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State {
    /// The value and its revision, where that is known.
    present: Option<(String, Option<u64>)>,
    /// The highest revision that was told: later ones are above it, also where
    /// the key was deleted in between.
    told: u64,
}

#[derive(Clone, Debug)]
pub struct Key;

impl Model for Key {
    type State = State;
    type Call = Call;
    type Outcome = Outcome;

    fn start() -> State {
        State::default()
    }

    fn step(state: &State, operation: &Operation<Key>) -> Option<State> {
        let absent = || State { present: None, told: state.told };
        match (&operation.call, operation.outcome()) {
            (Call::Set { value, if_revision }, outcome) => state.set(value, *if_revision, outcome),
            (Call::Delete, None) => Some(absent()),
            (Call::Delete, Some(Outcome::Deleted { existed })) => {
                (state.present.is_some() == *existed).then(absent)
            }
            (Call::Get, Some(Outcome::Read(Some((value, revision))))) => {
                let (known, _) = state.present.as_ref()?;
                (known == value).then(|| state.learn(*revision))?
            }
            (Call::Get, Some(Outcome::Read(None))) => {
                state.present.is_none().then(|| state.clone())
            }
            (Call::Get, None) => Some(state.clone()),
            (Call::Delete | Call::Get, Some(_)) => None,
        }
    }
}

impl State {
    fn set(
        &self,
        value: &str,
        if_revision: Option<u64>,
        outcome: Option<&Outcome>,
    ) -> Option<State> {
        let agrees = match (if_revision, &self.present) {
            (None, _) | (Some(0), None) => true,
            (Some(0), Some(_)) | (Some(_), None) => false,
            // A write without an answer may have any revision above what was told.
            (Some(wanted), Some((_, None))) => wanted > self.told,
            (Some(wanted), Some((_, Some(revision)))) => *revision == wanted,
        };
        // A condition that held tells too.
        let told = self.told.max(if_revision.unwrap_or(0));
        match outcome {
            None if agrees => Some(State { present: Some((value.to_owned(), None)), told }),
            Some(Outcome::Written { revision }) if agrees => (told < *revision).then(|| State {
                present: Some((value.to_owned(), Some(*revision))),
                told: *revision,
            }),
            Some(Outcome::Mismatch { revision: 0 }) => {
                (self.present.is_none() && if_revision != Some(0)).then(|| self.clone())
            }
            Some(Outcome::Mismatch { revision }) => {
                (if_revision != Some(*revision)).then(|| self.learn(*revision))?
            }
            None | Some(Outcome::Written { .. } | Outcome::Deleted { .. } | Outcome::Read(_)) => {
                None
            }
        }
    }

    /// The state once an answer has told the revision of what is there.
    fn learn(&self, revision: u64) -> Option<State> {
        let (value, known) = self.present.as_ref()?;
        let fits = match known {
            Some(known) => *known == revision,
            None => revision > self.told,
        };
        let present = Some((value.clone(), Some(revision)));
        fits.then_some(State { present, told: revision })
    }
}
