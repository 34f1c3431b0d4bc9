//! How a command reaches the log. If this node leads, it proposes the command; if
//! not, it forwards it to the leader. A command whose outcome is not known is
//! proposed again under the same sequence number until its deadline, so that the
//! caller notices a change of leader only as a delay.

use std::sync::Arc;

use bytes::Bytes;
use openraft::errors::{ClientWriteError, RaftError};
use tokio::time::{Instant, timeout_at};

use super::applied::LatestState;
use super::health;
use super::leadership::{Leader, Leadership, RaftHandle};
use super::precheck::Prechecks;
use super::session::ProposerSession;
use super::types::Proposal;
use crate::codec::{self, ForwardedRequest};
use crate::machine::command::StateLimits;
use crate::machine::{Command, Reply, Rules};
use crate::store::raft::clock::cluster_clock::ClusterClock;
use crate::store::raft::clock::peer_status::PeerStatuses;
use crate::store::raft::rpc::{ForwardError, Forwarder, protocol_of};
use crate::store::{Request, StoreError};

/// Brings commands into the log.
pub struct Proposer {
    pub(crate) raft: RaftHandle,
    pub(crate) leadership: Leadership,
    pub(crate) cluster_clock: ClusterClock,
    pub(crate) state: Arc<LatestState>,
    pub(crate) session: ProposerSession,
    pub(crate) forwarder: Forwarder,
    /// The size up to which commands that this node orders may let the state grow.
    pub(crate) limits: StateLimits,
    pub(crate) peer_statuses: PeerStatuses,
    /// The newest version of the peer protocol that this node itself speaks.
    pub(crate) speaks: u32,
    pub(crate) prechecks: Prechecks,
}

/// How one attempt to propose a command ended.
enum ProposalOutcome {
    Replied(Reply),
    /// The command is in no log and never will be.
    NotLogged(String),
    /// The command may be in a log. It is safe to propose it again under its
    /// sequence number.
    MaybeLogged(String),
    /// This node cannot go on, and the command may be in a log.
    Failed(String),
}

impl Proposer {
    /// Commits `request`, by `deadline`.
    pub async fn submit(&self, request: Request, deadline: Instant) -> Result<Reply, StoreError> {
        if request.command.kind().rules > self.rules() {
            let why = "not all nodes know this command yet; upgrade the others first";
            return Err(StoreError::Unavailable(why.to_owned()));
        }
        let ticket = self.session.ticket();
        // A leader of the previous version would not understand an attempt.
        let attempt = request.attempt && self.rules() >= Rules::Stepwise;
        let request = Request { attempt, ..request }.under(Some(ticket.origin));
        let mut leadership = self.leadership.clone();
        let mut maybe_logged = None;
        let mut encoded: Option<Bytes> = None;
        loop {
            let leader = leadership.current();
            let outcome = match &leader {
                Leader::Me { term } => self.propose(&request, *term, deadline).await,
                Leader::Peer { id, peer } => {
                    let bytes = encoded.get_or_insert_with(|| codec::encode_forwarded(&request));
                    let forwarded = self.forwarder.submit(*id, peer, bytes.clone(), deadline);
                    tokio::select! {
                        answered = forwarded => outcome_of(answered),
                        // A leader that is frozen or cut off may keep the command
                        // without an answer for as long as it stays so.
                        () = leadership.wait_until_left(&leader) => ProposalOutcome::MaybeLogged(
                            "the leader changed before it answered".to_owned()
                        ),
                    }
                }
                Leader::Unknown => ProposalOutcome::NotLogged("no leader is known".to_owned()),
            };
            let why_not_logged = match outcome {
                ProposalOutcome::Replied(reply) => return Ok(reply),
                ProposalOutcome::NotLogged(why) => why,
                ProposalOutcome::MaybeLogged(why) => maybe_logged.insert(why).clone(),
                ProposalOutcome::Failed(why) => return Err(StoreError::Unknown(why)),
            };
            let stopped = health::stop_error(&self.raft);
            if let (Some(stopped), None) = (&stopped, &maybe_logged) {
                return Err(stopped.clone());
            }
            if stopped.is_some() || !leadership.wait_to_retry(deadline).await {
                return Err(match maybe_logged {
                    Some(why) => StoreError::Unknown(why),
                    None => StoreError::Unavailable(why_not_logged),
                });
            }
        }
    }

    /// Proposes a command that a follower forwarded. The follower repeats it if
    /// necessary, so this is a single attempt.
    pub async fn propose_forwarded(
        &self,
        request: ForwardedRequest,
        deadline: Instant,
    ) -> Result<Reply, ProposeError> {
        let term = match self.leadership.current() {
            Leader::Me { term } => term,
            other @ (Leader::Peer { .. } | Leader::Unknown) => {
                return Err(ProposeError::NotLeader(other));
            }
        };
        match self.propose(&request, term, deadline).await {
            ProposalOutcome::Replied(reply) => Ok(reply),
            ProposalOutcome::NotLogged(_) => {
                Err(ProposeError::NotLeader(self.leadership.current()))
            }
            ProposalOutcome::MaybeLogged(why) | ProposalOutcome::Failed(why) => {
                Err(ProposeError::Unknown(why))
            }
        }
    }

    async fn propose(
        &self,
        request: &ForwardedRequest,
        term: u64,
        deadline: Instant,
    ) -> ProposalOutcome {
        // This is the only place of a cluster where a command is given its time and
        // its size limit. Both are the leader's; other nodes' settings do not count.
        let Some(log_time) = self.state.wait_for_log_time(term, deadline).await else {
            return ProposalOutcome::NotLogged(self.why_rejected(term));
        };
        let clock = self.cluster_clock.now(term, log_time);
        let mut reservation = None;
        if request.attempt {
            match self.prechecks.reserve(&request.command, &self.state.load().tables, clock) {
                Ok(reserved) => reservation = reserved,
                Err(reply) => return ProposalOutcome::Replied(*reply),
            }
        }
        let (wall, limits) = (self.cluster_clock.wall(), self.limits);
        let envelope = request.clone().stamp(wall, clock, limits, self.rules());
        let proposal = Proposal(codec::encode_envelope(&envelope));
        let written = timeout_at(deadline, self.raft.client_write(proposal)).await;
        drop(reservation);
        match written {
            Err(_elapsed) => {
                ProposalOutcome::MaybeLogged("no majority took the command in time".to_owned())
            }
            Ok(Ok(response)) => match response.data.0 {
                Some(reply) => ProposalOutcome::Replied(reply),
                None => ProposalOutcome::Failed(
                    "the log returned another entry for the command".to_owned(),
                ),
            },
            Ok(Err(RaftError::APIError(error))) => match error {
                ClientWriteError::ForwardToLeader(_) => {
                    ProposalOutcome::NotLogged(self.why_rejected(term))
                }
                ClientWriteError::LogEntryDiscarded(_) => {
                    ProposalOutcome::MaybeLogged(error.to_string())
                }
                ClientWriteError::ChangeMembershipError(_)
                | ClientWriteError::PreconditionFailed(_) => {
                    ProposalOutcome::NotLogged(error.to_string())
                }
            },
            Ok(Err(RaftError::Fatal(fatal))) => ProposalOutcome::Failed(fatal.to_string()),
        }
    }

    /// Why openraft rejected a command, although this node led in `term`.
    fn why_rejected(&self, term: u64) -> String {
        match self.leadership.current() == (Leader::Me { term }) {
            true => "no majority of the nodes answers; nothing was written".to_owned(),
            false => "this node is no longer the leader; nothing was written".to_owned(),
        }
    }

    /// Advances the log's clock and removes nothing.
    pub async fn tick(&self, deadline: Instant) -> Result<(), StoreError> {
        self.submit(Request::own(Command::Sweep { limit: 0 }), deadline).await.map(drop)
    }

    /// The protocol version in which the members work together.
    pub fn protocol(&self) -> u32 {
        protocol_of(self.rules())
    }

    /// The rules by which this node orders commands: the newest that all members
    /// know. Once a command was decided by newer rules, they stay in force: a
    /// member that does not know them could not read the log from there on.
    fn rules(&self) -> Rules {
        const NEWEST_FIRST: [Rules; 2] = [Rules::Attempts, Rules::Stepwise];
        let in_force = self.state.load().tables.meta().rules;
        if in_force >= NEWEST_FIRST[0] {
            return in_force;
        }
        let peers = || self.leadership.peers().into_iter().map(|(id, _)| id);
        let known_to_all = |rules: &Rules| {
            let version = protocol_of(*rules);
            self.speaks >= version && self.peer_statuses.all_speak(peers(), version)
        };
        let newest = NEWEST_FIRST.into_iter().find(known_to_all);
        newest.map_or(in_force, |newest| newest.max(in_force))
    }
}

/// Why a forwarded command has no reply.
pub enum ProposeError {
    /// The command is in no log. The sender should ask the leader that is named.
    NotLeader(Leader),
    /// The command may be in a log.
    Unknown(String),
}

fn outcome_of(answered: Result<Bytes, ForwardError>) -> ProposalOutcome {
    match answered {
        Ok(bytes) => match codec::decode_reply(&bytes) {
            Ok(reply) => ProposalOutcome::Replied(reply),
            Err(error) => {
                ProposalOutcome::Failed(format!("the leader's reply makes no sense: {error}"))
            }
        },
        Err(
            error @ (ForwardError::NotLeader { .. }
            | ForwardError::Unsent
            | ForwardError::Refused { .. }),
        ) => ProposalOutcome::NotLogged(error.to_string()),
        Err(error @ ForwardError::Unknown(_)) => ProposalOutcome::MaybeLogged(error.to_string()),
    }
}
