//! Requests: commands on their way to whoever stamps the time, and how fresh
//! the answer to a question must be.

use std::time::Duration;

use crate::codec::ForwardedRequest;
use crate::machine::command::{Idempotency, Origin, StateLimits};
use crate::machine::{Answer, ClusterMs, Command, Envelope, Revision, Rules, Text, WallMs};

/// A command that no store has stamped with its time yet.
#[derive(Clone, Debug)]
pub struct Request {
    pub command: Command,
    pub idempotency: Option<Idempotency>,
    pub actor: Option<Text>,
    /// See [`crate::machine::Envelope::random`].
    pub random: u64,
    /// Set by callers that wait and try again, which only claims and leases do.
    /// If the store that orders commands knows that the command would achieve
    /// nothing, it replies so and orders nothing.
    pub attempt: bool,
}

impl Request {
    /// A command that a node gives on its own behalf.
    pub(crate) fn own(command: Command) -> Request {
        Request { command, idempotency: None, actor: None, random: 0, attempt: false }
    }

    /// The command as a store with a single clock decides it at `now`.
    pub(super) fn stamped(self, now: ClusterMs, limits: StateLimits) -> Envelope {
        self.under(None).stamp(WallMs(now.0), now, limits, Rules::Attempts)
    }

    /// The command as a node forwards it to the leader, under the number by which
    /// the node can repeat it.
    pub(super) fn under(self, origin: Option<Origin>) -> ForwardedRequest {
        let Request { command, idempotency, actor, random, attempt } = self;
        ForwardedRequest { origin, idempotency, actor, random, attempt, command }
    }
}

/// How fresh an answer must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// As if there were only one copy of the state.
    #[default]
    Linearizable,
    /// From this node's own copy, which may be older. It works without a quorum.
    Local,
}

/// An answer and the state that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub answer: Answer,
    pub revision: Revision,
    /// How old the state may be if [`Consistency::Local`] was asked for: it
    /// contains everything that was committed longer ago than this. `None` if
    /// this copy has not heard from a majority since it was opened.
    pub age: Option<Duration>,
}
