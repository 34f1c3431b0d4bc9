//! What rests in logs and snapshots and travels between nodes, to and from
//! `proto/record.proto`.

use super::CodecError;
use super::row::*;
use super::value::*;
use crate::machine::command::{Envelope, Idempotency, Origin};
use crate::machine::row::*;
use crate::machine::{ClusterMs, Reply, Revision, Text, WallMs};
use crate::proto::record as proto;
use proto::state_record::Record as Form;

/// A command on its way to whoever orders it: an [`Envelope`] without clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// As in an [`Envelope`].
    pub origin: Option<Origin>,
    /// As in an [`Envelope`].
    pub idempotency: Option<Idempotency>,
    /// As in an [`Envelope`].
    pub actor: Option<Text>,
    /// As in an [`Envelope`].
    pub chance: u64,
    /// What is to be done.
    pub command: crate::machine::Command,
}

/// One row of the state with its name: the unit of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateRecord {
    Meta(Meta),
    Key(Text, KeyRow),
    Lease(Text, LeaseRow),
    Run(RunRow),
    /// By run and step.
    Step(Text, u64, StepRow),
    Session(Text, SessionRow),
    /// By idempotency key.
    Request(Text, RequestRow),
    /// By a node's session.
    Origin(u64, OriginRow),
    /// By a node's session and sequence.
    Answer(u64, u64, Reply),
}

impl Request {
    /// The command as it is ordered, with the clocks and the limit of whoever
    /// orders it.
    pub fn stamp(self, wall: WallMs, clock: ClusterMs, state_bytes_max: Option<u64>) -> Envelope {
        let Request { origin, idempotency, actor, chance, command } = self;
        Envelope { origin, idempotency, actor, chance, wall, clock, state_bytes_max, command }
    }
}

impl From<&Envelope> for proto::Envelope {
    fn from(envelope: &Envelope) -> Self {
        proto::Envelope {
            origin: envelope.origin.as_ref().map(Into::into),
            idempotency: envelope.idempotency.as_ref().map(Into::into),
            actor: text_opt(&envelope.actor),
            chance: envelope.chance,
            wall_ms: envelope.wall.0,
            clock_ms: envelope.clock.0,
            command: Some((&envelope.command).into()),
            state_bytes_max: envelope.state_bytes_max,
        }
    }
}

impl TryFrom<proto::Envelope> for Envelope {
    type Error = CodecError;

    fn try_from(envelope: proto::Envelope) -> Result<Self, CodecError> {
        Ok(Envelope {
            origin: envelope.origin.map(Into::into),
            idempotency: envelope.idempotency.map(TryInto::try_into).transpose()?,
            actor: to_text_opt(envelope.actor),
            chance: envelope.chance,
            wall: WallMs(envelope.wall_ms),
            clock: ClusterMs(envelope.clock_ms),
            state_bytes_max: envelope.state_bytes_max,
            command: required("Envelope", "command", envelope.command)?.try_into()?,
        })
    }
}

impl From<&Request> for proto::Request {
    fn from(request: &Request) -> Self {
        proto::Request {
            origin: request.origin.as_ref().map(Into::into),
            idempotency: request.idempotency.as_ref().map(Into::into),
            actor: text_opt(&request.actor),
            chance: request.chance,
            command: Some((&request.command).into()),
        }
    }
}

impl TryFrom<proto::Request> for Request {
    type Error = CodecError;

    fn try_from(request: proto::Request) -> Result<Self, CodecError> {
        Ok(Request {
            origin: request.origin.map(Into::into),
            idempotency: request.idempotency.map(TryInto::try_into).transpose()?,
            actor: to_text_opt(request.actor),
            chance: request.chance,
            command: required("Request", "command", request.command)?.try_into()?,
        })
    }
}

impl From<&Origin> for proto::Origin {
    fn from(origin: &Origin) -> Self {
        let Origin { session, sequence, lowest } = *origin;
        proto::Origin { session, sequence, lowest }
    }
}

impl From<proto::Origin> for Origin {
    fn from(origin: proto::Origin) -> Self {
        let proto::Origin { session, sequence, lowest } = origin;
        Origin { session, sequence, lowest }
    }
}

impl From<&Idempotency> for proto::Idempotency {
    fn from(idempotency: &Idempotency) -> Self {
        proto::Idempotency { key: text(&idempotency.key), digest: hash(&idempotency.digest) }
    }
}

impl TryFrom<proto::Idempotency> for Idempotency {
    type Error = CodecError;

    fn try_from(idempotency: proto::Idempotency) -> Result<Self, CodecError> {
        Ok(Idempotency {
            key: idempotency.key.into(),
            digest: to_hash("Idempotency", "digest", &idempotency.digest)?,
        })
    }
}

impl From<&StateRecord> for proto::StateRecord {
    fn from(record: &StateRecord) -> Self {
        let form = match record {
            StateRecord::Meta(meta) => Form::Meta(meta.into()),
            StateRecord::Key(key, row) => Form::Key(key_entry(key, row)),
            StateRecord::Lease(resource_id, row) => Form::Lease(lease_entry(resource_id, row)),
            StateRecord::Run(row) => Form::Run(row.into()),
            StateRecord::Step(run_id, step, row) => Form::Step(proto::RunStep {
                run_id: text(run_id),
                step: Some(step_entry(*step, row)),
            }),
            StateRecord::Session(session_id, row) => Form::Session(session_entry(session_id, row)),
            StateRecord::Request(key, row) => Form::Request(proto::RememberedRequest {
                key: text(key),
                digest: hash(&row.digest),
                reply: Some((&row.reply).into()),
                at_ms: row.at.0,
            }),
            StateRecord::Origin(session, row) => Form::Origin(proto::NodeSession {
                session: *session,
                lowest: row.lowest,
                seen_at_ms: row.seen_at.0,
            }),
            StateRecord::Answer(session, sequence, reply) => Form::Answer(proto::NodeAnswer {
                session: *session,
                sequence: *sequence,
                reply: Some(reply.into()),
            }),
        };
        proto::StateRecord { record: Some(form) }
    }
}

impl TryFrom<proto::StateRecord> for StateRecord {
    type Error = CodecError;

    fn try_from(record: proto::StateRecord) -> Result<Self, CodecError> {
        Ok(match required("StateRecord", "record", record.record)? {
            Form::Meta(meta) => StateRecord::Meta(meta.try_into()?),
            Form::Key(entry) => to_key_entry(entry).map(|(key, row)| StateRecord::Key(key, row))?,
            Form::Lease(entry) => {
                to_lease_entry(entry).map(|(id, row)| StateRecord::Lease(id, row))?
            }
            Form::Run(row) => StateRecord::Run(row.try_into()?),
            Form::Step(proto::RunStep { run_id, step }) => {
                let (step, row) = to_step_entry(required("RunStep", "step", step)?)?;
                StateRecord::Step(run_id.into(), step, row)
            }
            Form::Session(entry) => {
                to_session_entry(entry).map(|(id, row)| StateRecord::Session(id, row))?
            }
            Form::Request(request) => {
                let reply = required("RememberedRequest", "reply", request.reply)?.try_into()?;
                let digest = to_hash("RememberedRequest", "digest", &request.digest)?;
                let row = RequestRow { digest, reply, at: ClusterMs(request.at_ms) };
                StateRecord::Request(request.key.into(), row)
            }
            Form::Origin(proto::NodeSession { session, lowest, seen_at_ms }) => {
                let row = OriginRow { lowest, seen_at: ClusterMs(seen_at_ms) };
                StateRecord::Origin(session, row)
            }
            Form::Answer(proto::NodeAnswer { session, sequence, reply }) => {
                let reply = required("NodeAnswer", "reply", reply)?.try_into()?;
                StateRecord::Answer(session, sequence, reply)
            }
        })
    }
}

impl From<&Meta> for proto::Meta {
    fn from(meta: &Meta) -> Self {
        proto::Meta {
            revision: meta.revision.0,
            chain: hash(&meta.chain.0),
            clock_ms: meta.clock.0,
            wall_ms: meta.wall.0,
            anchor_revision: meta.anchor.revision.0,
            anchor_chain: hash(&meta.anchor.chain.0),
            sets: meta.sets,
            state_bytes: meta.state_bytes,
        }
    }
}

impl TryFrom<proto::Meta> for Meta {
    type Error = CodecError;

    fn try_from(meta: proto::Meta) -> Result<Self, CodecError> {
        Ok(Meta {
            revision: Revision(meta.revision),
            chain: to_chain("Meta", "chain", &meta.chain)?,
            clock: ClusterMs(meta.clock_ms),
            wall: WallMs(meta.wall_ms),
            anchor: Anchor {
                revision: Revision(meta.anchor_revision),
                chain: to_chain("Meta", "anchor_chain", &meta.anchor_chain)?,
            },
            sets: meta.sets,
            state_bytes: meta.state_bytes,
        })
    }
}
