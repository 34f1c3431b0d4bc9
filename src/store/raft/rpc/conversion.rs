//! Converts the messages of openraft and of `handler` to and from
//! `proto/peer.proto`. A required field that is missing is an error, and never gets
//! a default. A function `encode_x` makes the message, `decode_x` reads it.

use openraft::alias::{SnapshotMetaOf, StoredMembershipOf};
use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use thiserror::Error;
use tonic::Status;

use super::handler::{PeerRefusal, PeerRefusalCode, ReadIndex};
use crate::proto::{peer, record};
use crate::store::raft::consensus::entry::{
    EntryError, LogId, Membership, Vote, decode_entry, decode_member, encode_member,
};
use crate::store::raft::consensus::types::{NodeId, Peer, TypeConfig};

/// Why a message from a peer is invalid.
#[derive(Debug, Error)]
pub enum MessageError {
    /// A required field is missing.
    #[error("the message lacks {0}")]
    Lacks(&'static str),
    /// An entry in it is invalid.
    #[error("the message carries an invalid entry")]
    Entry(#[from] EntryError),
    /// A membership in it contradicts itself.
    #[error("the message carries an invalid membership: {0}")]
    Membership(String),
}

impl From<MessageError> for Status {
    fn from(error: MessageError) -> Self {
        Status::invalid_argument(error.to_string())
    }
}

type Append = AppendEntriesRequest<TypeConfig>;
pub(super) type AppendResult = StreamAppendResult<TypeConfig>;
type TransferResult = TransferLeaderResponse<TypeConfig>;

pub(super) fn encode_log_id(id: &Option<LogId>) -> Option<record::LogId> {
    id.as_ref().map(record::LogId::from)
}

pub(super) fn decode_log_id(id: &Option<record::LogId>) -> Option<LogId> {
    id.as_ref().map(LogId::from)
}

pub(super) fn decode_vote(vote: Option<record::Vote>) -> Result<Vote, MessageError> {
    vote.as_ref().map(Vote::from).ok_or(MessageError::Lacks("a vote"))
}

pub(super) fn encode_append(request: &Append) -> peer::AppendRequest {
    peer::AppendRequest {
        vote: Some((&request.vote).into()),
        previous: encode_log_id(&request.prev_log_id),
        entries: request.entries.iter().map(Into::into).collect(),
        committed: encode_log_id(&request.leader_commit),
    }
}

pub(super) fn decode_append(request: peer::AppendRequest) -> Result<Append, MessageError> {
    let entries = request.entries.into_iter().map(decode_entry);
    Ok(Append {
        vote: decode_vote(request.vote)?,
        prev_log_id: decode_log_id(&request.previous),
        entries: entries.collect::<Result<_, _>>()?,
        leader_commit: decode_log_id(&request.committed),
    })
}

pub(super) fn encode_append_result(result: &AppendResult) -> peer::AppendReply {
    use peer::append_reply::Outcome;
    let outcome = match result {
        Ok(upto) => Outcome::Matched(peer::Matched { upto: encode_log_id(upto) }),
        Err(StreamAppendError::Conflict(at)) => Outcome::Conflict(at.into()),
        Err(StreamAppendError::HigherVote(vote)) => Outcome::HigherVote(vote.into()),
    };
    peer::AppendReply { outcome: Some(outcome) }
}

pub(super) fn decode_append_result(reply: peer::AppendReply) -> Result<AppendResult, MessageError> {
    use peer::append_reply::Outcome;
    Ok(match reply.outcome {
        None => return Err(MessageError::Lacks("an outcome")),
        Some(Outcome::Matched(matched)) => Ok(decode_log_id(&matched.upto)),
        Some(Outcome::Conflict(at)) => Err(StreamAppendError::Conflict((&at).into())),
        Some(Outcome::HigherVote(vote)) => Err(StreamAppendError::HigherVote((&vote).into())),
    })
}

pub(super) fn encode_vote_request(request: &VoteRequest<TypeConfig>) -> peer::VoteRequest {
    peer::VoteRequest {
        vote: Some((&request.vote).into()),
        last: encode_log_id(&request.last_log_id),
        leadership_transfer: request.leadership_transfer,
    }
}

pub(super) fn decode_vote_request(
    request: peer::VoteRequest,
) -> Result<VoteRequest<TypeConfig>, MessageError> {
    let mut ask = VoteRequest::new(decode_vote(request.vote)?, decode_log_id(&request.last));
    ask.leadership_transfer = request.leadership_transfer;
    Ok(ask)
}

pub(super) fn encode_vote_reply(reply: &VoteResponse<TypeConfig>) -> peer::VoteReply {
    peer::VoteReply {
        vote: Some((&reply.vote).into()),
        granted: reply.vote_granted,
        last: encode_log_id(&reply.last_log_id),
    }
}

pub(super) fn decode_vote_reply(
    reply: peer::VoteReply,
) -> Result<VoteResponse<TypeConfig>, MessageError> {
    let vote = decode_vote(reply.vote)?;
    Ok(VoteResponse::new(vote, decode_log_id(&reply.last), reply.granted))
}

pub(super) fn encode_transfer(
    request: &TransferLeaderRequest<TypeConfig>,
) -> peer::TransferLeaderRequest {
    peer::TransferLeaderRequest {
        from: Some(request.from_leader().into()),
        to: *request.to_node_id(),
        last: request.last_log_id().map(Into::into),
    }
}

pub(super) fn decode_transfer(
    request: peer::TransferLeaderRequest,
) -> Result<TransferLeaderRequest<TypeConfig>, MessageError> {
    let from = decode_vote(request.from)?;
    Ok(TransferLeaderRequest::new(from, request.to, decode_log_id(&request.last)))
}

pub(super) fn encode_transfer_result(result: &TransferResult) -> peer::TransferLeaderReply {
    use peer::transfer_leader_reply::{Accepted, LogNotFlushed, Outcome, VoteChanged};
    let outcome = match result {
        Ok(()) => Outcome::Accepted(Accepted {}),
        Err(TransferLeaderError::VoteChanged { expected, actual }) => {
            Outcome::VoteChanged(VoteChanged {
                expected: Some(expected.into()),
                actual: Some(actual.into()),
            })
        }
        Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
            Outcome::LogNotFlushed(LogNotFlushed {
                expected: encode_log_id(expected),
                actual: encode_log_id(actual),
            })
        }
    };
    peer::TransferLeaderReply { outcome: Some(outcome) }
}

pub(super) fn decode_transfer_result(
    reply: peer::TransferLeaderReply,
) -> Result<TransferResult, MessageError> {
    use peer::transfer_leader_reply::Outcome;
    Ok(match reply.outcome {
        None => return Err(MessageError::Lacks("an outcome")),
        Some(Outcome::Accepted(_)) => Ok(()),
        Some(Outcome::VoteChanged(changed)) => Err(TransferLeaderError::VoteChanged {
            expected: decode_vote(changed.expected)?,
            actual: decode_vote(changed.actual)?,
        }),
        Some(Outcome::LogNotFlushed(ids)) => Err(TransferLeaderError::LogNotFlushed {
            expected: decode_log_id(&ids.expected),
            actual: decode_log_id(&ids.actual),
        }),
    })
}

pub(super) fn encode_snapshot_head(
    vote: &Vote,
    meta: &SnapshotMetaOf<TypeConfig>,
    bytes: u64,
    sha256: [u8; 32],
) -> peer::SnapshotHead {
    peer::SnapshotHead {
        vote: Some(vote.into()),
        last: encode_log_id(&meta.last_log_id),
        membership: Some(meta.last_membership.membership().into()),
        membership_at: encode_log_id(meta.last_membership.log_id()),
        bytes,
        sha256: sha256.to_vec().into(),
    }
}

pub(super) fn decode_snapshot_meta(
    head: &peer::SnapshotHead,
) -> Result<SnapshotMetaOf<TypeConfig>, MessageError> {
    let membership = head.membership.clone().ok_or(MessageError::Lacks("a membership"))?;
    let membership = Membership::try_from(membership).map_err(MessageError::Membership)?;
    Ok(SnapshotMetaOf::<TypeConfig> {
        last_log_id: decode_log_id(&head.last),
        last_membership: StoredMembershipOf::<TypeConfig>::new(
            decode_log_id(&head.membership_at),
            membership,
        ),
    })
}

fn encode_not_leader(leader: Option<(NodeId, Peer)>) -> peer::NotLeader {
    let leader = leader.map(|(id, peer)| encode_member(id, &peer));
    peer::NotLeader { leader }
}

fn decode_not_leader(not_leader: peer::NotLeader) -> PeerRefusal {
    PeerRefusal::NotLeader { leader: not_leader.leader.map(decode_member) }
}

fn encode_refused(code: PeerRefusalCode, message: String) -> peer::Refused {
    use peer::refused::Code;
    let code = match code {
        PeerRefusalCode::Busy => Code::Busy,
        PeerRefusalCode::Closing => Code::Closing,
        PeerRefusalCode::Invalid => Code::Invalid,
        PeerRefusalCode::Fault => Code::Fault,
    };
    peer::Refused { code: code.into(), message }
}

fn decode_refused(refused: peer::Refused) -> PeerRefusal {
    use peer::refused::Code;
    let code = match refused.code() {
        Code::Busy => PeerRefusalCode::Busy,
        Code::Closing => PeerRefusalCode::Closing,
        Code::Invalid => PeerRefusalCode::Invalid,
        Code::Fault | Code::Unspecified => PeerRefusalCode::Fault,
    };
    PeerRefusal::refused(code, refused.message)
}

pub(super) fn encode_forwarded(
    id: u64,
    result: Result<bytes::Bytes, PeerRefusal>,
) -> peer::ForwardReply {
    use peer::forward_reply::Outcome;
    let outcome = match result {
        Ok(reply) => Outcome::Reply(reply),
        Err(PeerRefusal::NotLeader { leader }) => Outcome::NotLeader(encode_not_leader(leader)),
        Err(PeerRefusal::Refused { code, message }) => {
            Outcome::Refused(encode_refused(code, message))
        }
        Err(PeerRefusal::Unknown(message)) => Outcome::Unknown(message),
    };
    peer::ForwardReply { id, outcome: Some(outcome) }
}

/// Decodes the outcome of a forwarded proposal. If this version does not know the
/// kind of outcome, it is unknown whether the proposal was applied.
pub(super) fn decode_forwarded(
    outcome: Option<peer::forward_reply::Outcome>,
) -> Result<bytes::Bytes, PeerRefusal> {
    use peer::forward_reply::Outcome;
    match outcome {
        Some(Outcome::Reply(reply)) => Ok(reply),
        Some(Outcome::NotLeader(not_leader)) => Err(decode_not_leader(not_leader)),
        Some(Outcome::Refused(refused)) => Err(decode_refused(refused)),
        Some(Outcome::Unknown(message)) => Err(PeerRefusal::Unknown(message)),
        None => Err(PeerRefusal::Unknown("the reply has no outcome".into())),
    }
}

pub(super) fn encode_read_index(result: Result<ReadIndex, PeerRefusal>) -> peer::ReadIndexReply {
    use peer::read_index_reply::Outcome;
    let outcome = match result {
        Ok(index) => Outcome::Index(peer::ReadIndex {
            node: index.node,
            read: Some((&index.read).into()),
            applied: encode_log_id(&index.applied),
            cluster_ms: index.cluster_ms,
        }),
        Err(PeerRefusal::NotLeader { leader }) => Outcome::NotLeader(encode_not_leader(leader)),
        Err(PeerRefusal::Refused { code, message }) => {
            Outcome::Refused(encode_refused(code, message))
        }
        // A read changes nothing, so an unknown outcome is no more than a failure.
        Err(PeerRefusal::Unknown(message)) => {
            Outcome::Refused(encode_refused(PeerRefusalCode::Busy, message))
        }
    };
    peer::ReadIndexReply { outcome: Some(outcome) }
}

pub(super) fn decode_read_index(
    reply: peer::ReadIndexReply,
) -> Result<Result<ReadIndex, PeerRefusal>, MessageError> {
    use peer::read_index_reply::Outcome;
    Ok(match reply.outcome {
        None => return Err(MessageError::Lacks("an outcome")),
        Some(Outcome::Index(index)) => Ok(ReadIndex {
            node: index.node,
            read: decode_log_id(&index.read).ok_or(MessageError::Lacks("a log id"))?,
            applied: decode_log_id(&index.applied),
            cluster_ms: index.cluster_ms,
        }),
        Some(Outcome::NotLeader(not_leader)) => Err(decode_not_leader(not_leader)),
        Some(Outcome::Refused(refused)) => Err(decode_refused(refused)),
    })
}
