//! How a command reaches the log: proposed here where this node leads, else
//! forwarded to the one that does, and asked again under the same number until
//! its deadline. The caller hears of a change of leader only as a delay.

use std::sync::Arc;

use bytes::Bytes;
use openraft::errors::{ClientWriteError, RaftError};
use tokio::time::{Instant, timeout_at};

use super::applied::LatestState;
use super::health;
use super::leadership::{Leader, Leadership, RaftHandle};
use super::precheck::Prechecks;
use super::session::Session;
use super::types::Proposal;
use crate::codec;
use crate::machine::{Command, Reply, Rules};
use crate::store::raft::clock::cluster_clock::ClusterClock;
use crate::store::raft::clock::skew::ClockSkews;
use crate::store::raft::rpc::{ForwardError, Forwarder, SPEAKS, SPEAKS_STEPWISE};
use crate::store::{Request, StoreError};

/// A node's way into the log.
pub struct Proposer {
    pub(crate) raft: RaftHandle,
    pub(crate) leadership: Leadership,
    pub(crate) cluster_clock: ClusterClock,
    pub(crate) state: Arc<LatestState>,
    pub(crate) session: Session,
    pub(crate) forwarder: Forwarder,
    /// How large the state may become by what this node orders.
    pub(crate) state_bytes_max: Option<u64>,
    /// Which versions the members speak.
    pub(crate) skews: ClockSkews,
    /// Whether this node knows of bounded steps.
    pub(crate) knows_steps: bool,
    pub(crate) prechecks: Prechecks,
}

/// How one attempt ended.
enum Attempt {
    Done(Reply),
    /// It is in no log and never will be.
    Never(String),
    /// It may be in a log; asking again under its number is safe.
    Doubt(String),
    /// This node cannot go on at all, and it may be in a log.
    Lost(String),
}

impl Proposer {
    /// Commits `request`, by `deadline`.
    pub async fn submit(&self, request: Request, deadline: Instant) -> Result<Reply, StoreError> {
        let ticket = self.session.ticket();
        let Request { command, idempotency, actor, random, attempt } = request;
        let origin = Some(ticket.origin);
        // A leader of the version before would not understand the word.
        let attempt = attempt && self.rules() >= Rules::Stepwise;
        let request = codec::Request { origin, idempotency, actor, random, attempt, command };
        let mut leadership = self.leadership.clone();
        let mut in_doubt = None;
        let mut encoded: Option<Bytes> = None;
        loop {
            let leader = leadership.now();
            let attempt = match &leader {
                Leader::Me { term } => self.propose(&request, *term, deadline).await,
                Leader::Peer { id, peer } => {
                    let bytes = encoded.get_or_insert_with(|| codec::encode_request(&request));
                    let forwarded = self.forwarder.submit(*id, peer, bytes.clone(), deadline);
                    tokio::select! {
                        answered = forwarded => outcome(answered),
                        // It may hold the command for as long as it is frozen or cut off.
                        () = leadership.left_by(&leader) => {
                            Attempt::Doubt("the leader changed before it answered".to_owned())
                        }
                    }
                }
                Leader::Nobody => Attempt::Never("no leader is known".to_owned()),
            };
            let why_never = match attempt {
                Attempt::Done(reply) => return Ok(reply),
                Attempt::Never(why) => why,
                Attempt::Doubt(why) => in_doubt.insert(why).clone(),
                Attempt::Lost(why) => return Err(StoreError::Unknown(why)),
            };
            let end = health::end(&self.raft);
            if let (Some(end), None) = (&end, &in_doubt) {
                return Err(end.clone());
            }
            if end.is_some() || !leadership.settle(deadline).await {
                return Err(match in_doubt {
                    Some(why) => StoreError::Unknown(why),
                    None => StoreError::Unavailable(why_never),
                });
            }
        }
    }

    /// Serves a command that a follower forwarded: one attempt, here.
    pub async fn forwarded(
        &self,
        request: codec::Request,
        deadline: Instant,
    ) -> Result<Reply, ForwardedError> {
        let term = match self.leadership.now() {
            Leader::Me { term } => term,
            other @ (Leader::Peer { .. } | Leader::Nobody) => {
                return Err(ForwardedError::NotLeader(other));
            }
        };
        match self.propose(&request, term, deadline).await {
            Attempt::Done(reply) => Ok(reply),
            Attempt::Never(_) => Err(ForwardedError::NotLeader(self.leadership.now())),
            Attempt::Doubt(why) | Attempt::Lost(why) => Err(ForwardedError::Unknown(why)),
        }
    }

    async fn propose(&self, request: &codec::Request, term: u64, deadline: Instant) -> Attempt {
        // The only place of a cluster where time enters a command, and the
        // leader's limit: what others are set to does not count.
        let Some(logged) = self.state.logged_by(term, deadline).await else {
            return Attempt::Never(self.why_not(term));
        };
        let clock = self.cluster_clock.now(term, logged);
        let mut hope = None;
        if request.attempt {
            match self.prechecks.hope(&request.command, &self.state.load().tables, clock) {
                Ok(held) => hope = held,
                Err(reply) => return Attempt::Done(*reply),
            }
        }
        let (wall, max) = (self.cluster_clock.wall(), self.state_bytes_max);
        let envelope = request.clone().stamp(wall, clock, max, self.rules());
        let proposal = Proposal(codec::encode_envelope(&envelope));
        let written = timeout_at(deadline, self.raft.client_write(proposal)).await;
        drop(hope);
        match written {
            Err(_elapsed) => Attempt::Doubt("no majority took the command in time".to_owned()),
            Ok(Ok(response)) => match response.data.0 {
                Some(reply) => Attempt::Done(reply),
                None => Attempt::Lost("the log gave another entry for the command".to_owned()),
            },
            Ok(Err(RaftError::APIError(error))) => match error {
                ClientWriteError::ForwardToLeader(_) => Attempt::Never(self.why_not(term)),
                ClientWriteError::LogEntryDiscarded(_) => Attempt::Doubt(error.to_string()),
                ClientWriteError::ChangeMembershipError(_)
                | ClientWriteError::PreconditionFailed(_) => Attempt::Never(error.to_string()),
            },
            Ok(Err(RaftError::Fatal(fatal))) => Attempt::Lost(fatal.to_string()),
        }
    }

    /// Why openraft would not take a command where this node led in `term`.
    fn why_not(&self, term: u64) -> String {
        match self.leadership.now() == (Leader::Me { term }) {
            true => "no majority of the nodes answers; nothing was written".to_owned(),
            false => "this node leads no more; nothing was written".to_owned(),
        }
    }

    /// Moves the log's clock on and removes nothing.
    pub async fn tick(&self, deadline: Instant) -> Result<(), StoreError> {
        self.submit(Request::own(Command::Sweep { limit: 0 }), deadline).await.map(drop)
    }

    /// The version of the protocol in which the members work together.
    pub fn protocol(&self) -> u32 {
        match self.rules() {
            Rules::Whole => *SPEAKS.start(),
            Rules::Stepwise => SPEAKS_STEPWISE,
        }
    }

    /// By which rules this node orders commands: the newest that all members
    /// know. Once a command was decided by them they stay, since no member of
    /// before could have read the log from there on.
    fn rules(&self) -> Rules {
        let in_force = self.state.load().tables.meta().rules;
        let peers = || self.leadership.peers().into_iter().map(|(id, _)| id);
        match self.knows_steps && self.skews.all_speak(peers(), SPEAKS_STEPWISE) {
            true => in_force.max(Rules::Stepwise),
            false => in_force,
        }
    }
}

/// Why a forwarded command has no reply.
pub enum ForwardedError {
    /// It is in no log; ask the one that leads now.
    NotLeader(Leader),
    /// It may be in a log.
    Unknown(String),
}

fn outcome(answered: Result<Bytes, ForwardError>) -> Attempt {
    match answered {
        Ok(bytes) => match codec::decode_reply(&bytes) {
            Ok(reply) => Attempt::Done(reply),
            Err(error) => Attempt::Lost(format!("the leader's reply makes no sense: {error}")),
        },
        Err(
            error @ (ForwardError::NotLeader { .. }
            | ForwardError::Unsent
            | ForwardError::Refused { .. }),
        ) => Attempt::Never(error.to_string()),
        Err(error @ ForwardError::Unknown(_)) => Attempt::Doubt(error.to_string()),
    }
}
