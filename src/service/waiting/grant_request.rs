//! What a waiting call asks to be granted, and what the state says about it.

use super::wanted::Wanted;
use crate::error::ServiceError;
use crate::machine::command::{Acquire, ClaimNext, Rank};
use crate::machine::filter::ClaimFilter;
use crate::machine::query::Answer;
use crate::machine::query::Candidate;
use crate::machine::reply::Claimed;
use crate::machine::row::RunRow;
use crate::machine::{Command, Question, Reply, Text};

/// What a call asks to be granted.
pub(super) enum GrantRequest {
    Work(ClaimNext, ClaimFilter),
    Lease(Acquire),
}

/// Whether a request could be granted, by the state that was read.
pub(super) enum GrantState {
    /// This run, or the lease, is free.
    Free(Option<Box<RunRow>>),
    /// The caller holds the lease already.
    AlreadyHeld,
    /// There is nothing to grant; the reply says so as the rules would.
    Nothing(Reply),
}

impl GrantRequest {
    pub(super) fn command(&self) -> Command {
        match self {
            GrantRequest::Work(claim, _) => Command::ClaimNext(claim.clone()),
            GrantRequest::Lease(acquire) => Command::Acquire(acquire.clone()),
        }
    }

    pub(super) fn wanted(&self) -> Wanted {
        match self {
            GrantRequest::Work(_, filter) => Wanted::Work(filter.clone()),
            GrantRequest::Lease(acquire) => {
                Wanted::Lease(acquire.resource_id.clone(), acquire.permits)
            }
        }
    }

    pub(super) fn holder(&self) -> Option<Text> {
        match self {
            GrantRequest::Work(..) => None,
            GrantRequest::Lease(acquire) => Some(acquire.holder_id.clone()),
        }
    }

    /// The question whose answer shows whether the request can be granted. A search for a
    /// run goes on behind `after`.
    pub(super) fn question(&self, after: Option<Rank>) -> Question {
        match self {
            GrantRequest::Work(_, filter) => Question::Candidate { filter: filter.clone(), after },
            GrantRequest::Lease(acquire) => {
                Question::Lease { resource_id: acquire.resource_id.clone() }
            }
        }
    }

    /// What `answer` shows, or the rank behind which the search has to go on.
    pub(super) fn grant_state(
        &self,
        answer: Answer,
    ) -> Result<Result<GrantState, Rank>, ServiceError> {
        let nothing = |at| GrantState::Nothing(Reply::Claimed(Claimed::nothing(at)));
        Ok(Ok(match (self, answer) {
            (GrantRequest::Work(..), Answer::Candidate(candidate)) => match candidate {
                Candidate::Ready(run) => GrantState::Free(Some(run)),
                Candidate::At(at) => nothing(Some(at)),
                Candidate::None => nothing(None),
                Candidate::Further(rank) => return Ok(Err(rank)),
            },
            (GrantRequest::Lease(acquire), Answer::Lease(lease)) => match lease {
                Some(lease) if lease.holder(&acquire.holder_id).is_some() => {
                    GrantState::AlreadyHeld
                }
                Some(lease) if !lease.has_room(acquire.permits) => {
                    GrantState::Nothing(Reply::Acquired(lease.refusal(&acquire.resource_id)))
                }
                Some(_) | None => GrantState::Free(None),
            },
            (GrantRequest::Work(..) | GrantRequest::Lease(_), _) => {
                return Err(ServiceError::unexpected_answer());
            }
        }))
    }
}
