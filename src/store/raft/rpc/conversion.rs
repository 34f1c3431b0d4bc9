//! Openraft's messages and `handler`'s, to and from `proto/peer.proto`.
//! A message that lacks what it must have is an error, never a default.

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
    EntryError, LogId, Membership, Vote, decode_entry, member_in, member_out,
};
use crate::store::raft::consensus::types::{NodeId, Peer, TypeConfig};

/// Why a message from a peer is not one.
#[derive(Debug, Error)]
pub enum MessageError {
    /// A field that must be there is not.
    #[error("the message lacks {0}")]
    Lacks(&'static str),
    /// An entry within is broken.
    #[error("the message carries a broken entry")]
    Entry(#[from] EntryError),
    /// A membership within contradicts itself.
    #[error("the message carries an invalid membership: {0}")]
    Membership(String),
}

impl From<MessageError> for Status {
    fn from(error: MessageError) -> Self {
        Status::invalid_argument(error.to_string())
    }
}

type Append = AppendEntriesRequest<TypeConfig>;
type AppendResult = StreamAppendResult<TypeConfig>;
type TransferResult = TransferLeaderResponse<TypeConfig>;

pub(super) fn id_out(id: &Option<LogId>) -> Option<record::LogId> {
    id.as_ref().map(record::LogId::from)
}

pub(super) fn id_in(id: &Option<record::LogId>) -> Option<LogId> {
    id.as_ref().map(LogId::from)
}

pub(super) fn vote_in(vote: Option<record::Vote>) -> Result<Vote, MessageError> {
    vote.as_ref().map(Vote::from).ok_or(MessageError::Lacks("a vote"))
}

pub(super) fn append_out(request: &Append) -> peer::AppendRequest {
    peer::AppendRequest {
        vote: Some((&request.vote).into()),
        previous: id_out(&request.prev_log_id),
        entries: request.entries.iter().map(Into::into).collect(),
        committed: id_out(&request.leader_commit),
    }
}

pub(super) fn append_in(request: peer::AppendRequest) -> Result<Append, MessageError> {
    let entries = request.entries.into_iter().map(decode_entry);
    Ok(Append {
        vote: vote_in(request.vote)?,
        prev_log_id: id_in(&request.previous),
        entries: entries.collect::<Result<_, _>>()?,
        leader_commit: id_in(&request.committed),
    })
}

pub(super) fn append_result_out(result: &AppendResult) -> peer::AppendReply {
    use peer::append_reply::Outcome;
    let outcome = match result {
        Ok(upto) => Outcome::Matched(peer::Matched { upto: id_out(upto) }),
        Err(StreamAppendError::Conflict(at)) => Outcome::Conflict(at.into()),
        Err(StreamAppendError::HigherVote(vote)) => Outcome::HigherVote(vote.into()),
    };
    peer::AppendReply { outcome: Some(outcome) }
}

pub(super) fn append_result_in(reply: peer::AppendReply) -> Result<AppendResult, MessageError> {
    use peer::append_reply::Outcome;
    Ok(match reply.outcome {
        None => return Err(MessageError::Lacks("an outcome")),
        Some(Outcome::Matched(matched)) => Ok(id_in(&matched.upto)),
        Some(Outcome::Conflict(at)) => Err(StreamAppendError::Conflict((&at).into())),
        Some(Outcome::HigherVote(vote)) => Err(StreamAppendError::HigherVote((&vote).into())),
    })
}

pub(super) fn vote_request_out(request: &VoteRequest<TypeConfig>) -> peer::VoteRequest {
    peer::VoteRequest {
        vote: Some((&request.vote).into()),
        last: id_out(&request.last_log_id),
        leadership_transfer: request.leadership_transfer,
    }
}

pub(super) fn vote_request_in(
    request: peer::VoteRequest,
) -> Result<VoteRequest<TypeConfig>, MessageError> {
    let mut ask = VoteRequest::new(vote_in(request.vote)?, id_in(&request.last));
    ask.leadership_transfer = request.leadership_transfer;
    Ok(ask)
}

pub(super) fn vote_reply_out(reply: &VoteResponse<TypeConfig>) -> peer::VoteReply {
    peer::VoteReply {
        vote: Some((&reply.vote).into()),
        granted: reply.vote_granted,
        last: id_out(&reply.last_log_id),
    }
}

pub(super) fn vote_reply_in(
    reply: peer::VoteReply,
) -> Result<VoteResponse<TypeConfig>, MessageError> {
    let vote = vote_in(reply.vote)?;
    Ok(VoteResponse::new(vote, id_in(&reply.last), reply.granted))
}

pub(super) fn transfer_out(
    request: &TransferLeaderRequest<TypeConfig>,
) -> peer::TransferLeaderRequest {
    peer::TransferLeaderRequest {
        from: Some(request.from_leader().into()),
        to: *request.to_node_id(),
        last: request.last_log_id().map(Into::into),
    }
}

pub(super) fn transfer_in(
    request: peer::TransferLeaderRequest,
) -> Result<TransferLeaderRequest<TypeConfig>, MessageError> {
    let from = vote_in(request.from)?;
    Ok(TransferLeaderRequest::new(from, request.to, id_in(&request.last)))
}

pub(super) fn transfer_result_out(result: &TransferResult) -> peer::TransferLeaderReply {
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
                expected: id_out(expected),
                actual: id_out(actual),
            })
        }
    };
    peer::TransferLeaderReply { outcome: Some(outcome) }
}

pub(super) fn transfer_result_in(
    reply: peer::TransferLeaderReply,
) -> Result<TransferResult, MessageError> {
    use peer::transfer_leader_reply::Outcome;
    Ok(match reply.outcome {
        None => return Err(MessageError::Lacks("an outcome")),
        Some(Outcome::Accepted(_)) => Ok(()),
        Some(Outcome::VoteChanged(changed)) => Err(TransferLeaderError::VoteChanged {
            expected: vote_in(changed.expected)?,
            actual: vote_in(changed.actual)?,
        }),
        Some(Outcome::LogNotFlushed(ids)) => Err(TransferLeaderError::LogNotFlushed {
            expected: id_in(&ids.expected),
            actual: id_in(&ids.actual),
        }),
    })
}

pub(super) fn head_out(
    vote: &Vote,
    meta: &SnapshotMetaOf<TypeConfig>,
    bytes: u64,
    sha256: [u8; 32],
) -> peer::SnapshotHead {
    peer::SnapshotHead {
        vote: Some(vote.into()),
        last: id_out(&meta.last_log_id),
        membership: Some(meta.last_membership.membership().into()),
        membership_at: id_out(meta.last_membership.log_id()),
        bytes,
        sha256: sha256.to_vec().into(),
    }
}

pub(super) fn meta_in(
    head: &peer::SnapshotHead,
) -> Result<SnapshotMetaOf<TypeConfig>, MessageError> {
    let membership = head.membership.clone().ok_or(MessageError::Lacks("a membership"))?;
    let membership = Membership::try_from(membership).map_err(MessageError::Membership)?;
    Ok(SnapshotMetaOf::<TypeConfig> {
        last_log_id: id_in(&head.last),
        last_membership: StoredMembershipOf::<TypeConfig>::new(
            id_in(&head.membership_at),
            membership,
        ),
    })
}

fn not_leader_out(leader: Option<(NodeId, Peer)>) -> peer::NotLeader {
    let leader = leader.map(|(id, peer)| member_out(id, &peer));
    peer::NotLeader { leader }
}

fn not_leader_in(not_leader: peer::NotLeader) -> PeerRefusal {
    PeerRefusal::NotLeader { leader: not_leader.leader.map(member_in) }
}

fn refused_out(code: PeerRefusalCode, message: String) -> peer::Refused {
    use peer::refused::Code;
    let code = match code {
        PeerRefusalCode::Busy => Code::Busy,
        PeerRefusalCode::Closing => Code::Closing,
        PeerRefusalCode::Invalid => Code::Invalid,
        PeerRefusalCode::Fault => Code::Fault,
    };
    peer::Refused { code: code.into(), message }
}

fn refused_in(refused: peer::Refused) -> PeerRefusal {
    use peer::refused::Code;
    let code = match refused.code() {
        Code::Busy => PeerRefusalCode::Busy,
        Code::Closing => PeerRefusalCode::Closing,
        Code::Invalid => PeerRefusalCode::Invalid,
        Code::Fault | Code::Unspecified => PeerRefusalCode::Fault,
    };
    PeerRefusal::refused(code, refused.message)
}

pub(super) fn forwarded_out(
    id: u64,
    result: Result<bytes::Bytes, PeerRefusal>,
) -> peer::ForwardReply {
    use peer::forward_reply::Outcome;
    let outcome = match result {
        Ok(reply) => Outcome::Reply(reply),
        Err(PeerRefusal::NotLeader { leader }) => Outcome::NotLeader(not_leader_out(leader)),
        Err(PeerRefusal::Refused { code, message }) => Outcome::Refused(refused_out(code, message)),
        Err(PeerRefusal::Unknown(message)) => Outcome::Unknown(message),
    };
    peer::ForwardReply { id, outcome: Some(outcome) }
}

/// An outcome of a kind that this version does not know counts as unknown.
pub(super) fn forwarded_in(
    outcome: Option<peer::forward_reply::Outcome>,
) -> Result<bytes::Bytes, PeerRefusal> {
    use peer::forward_reply::Outcome;
    match outcome {
        Some(Outcome::Reply(reply)) => Ok(reply),
        Some(Outcome::NotLeader(not_leader)) => Err(not_leader_in(not_leader)),
        Some(Outcome::Refused(refused)) => Err(refused_in(refused)),
        Some(Outcome::Unknown(message)) => Err(PeerRefusal::Unknown(message)),
        None => Err(PeerRefusal::Unknown("the reply has no outcome".into())),
    }
}

pub(super) fn read_index_out(result: Result<ReadIndex, PeerRefusal>) -> peer::ReadIndexReply {
    use peer::read_index_reply::Outcome;
    let outcome = match result {
        Ok(index) => Outcome::Index(peer::ReadIndex {
            node: index.node,
            read: Some((&index.read).into()),
            applied: id_out(&index.applied),
            cluster_ms: index.cluster_ms,
        }),
        Err(PeerRefusal::NotLeader { leader }) => Outcome::NotLeader(not_leader_out(leader)),
        Err(PeerRefusal::Refused { code, message }) => Outcome::Refused(refused_out(code, message)),
        // A read changes nothing: what is not known is merely not done.
        Err(PeerRefusal::Unknown(message)) => {
            Outcome::Refused(refused_out(PeerRefusalCode::Busy, message))
        }
    };
    peer::ReadIndexReply { outcome: Some(outcome) }
}

pub(super) fn read_index_in(
    reply: peer::ReadIndexReply,
) -> Result<Result<ReadIndex, PeerRefusal>, MessageError> {
    use peer::read_index_reply::Outcome;
    Ok(match reply.outcome {
        None => return Err(MessageError::Lacks("an outcome")),
        Some(Outcome::Index(index)) => Ok(ReadIndex {
            node: index.node,
            read: id_in(&index.read).ok_or(MessageError::Lacks("a log id"))?,
            applied: id_in(&index.applied),
            cluster_ms: index.cluster_ms,
        }),
        Some(Outcome::NotLeader(not_leader)) => Err(not_leader_in(not_leader)),
        Some(Outcome::Refused(refused)) => Err(refused_in(refused)),
    })
}
