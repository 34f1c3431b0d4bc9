//! What rests in logs and snapshots and travels between nodes, to and from
//! `proto/record.proto`.

use super::CodecError;
use super::row::*;
use super::value::*;
use crate::machine::command::{Envelope, Idempotency, Origin, Rules};
use crate::machine::meta::*;
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
    pub random: u64,
    /// Nothing is ordered where it would come to nothing; that is the reply then.
    pub attempt: bool,
    /// What is to be done.
    pub command: crate::machine::Command,
}

/// The position of a state, or one of its rows: the unit of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateRecord {
    Meta(Meta),
    Row(Row),
}

impl Request {
    /// The command as it is ordered, with the clocks, the limit and the rules of
    /// whoever orders it.
    pub fn stamp(
        self,
        wall: WallMs,
        clock: ClusterMs,
        state_bytes_max: Option<u64>,
        rules: Rules,
    ) -> Envelope {
        let Request { origin, idempotency, actor, random, attempt: _, command } = self;
        Envelope {
            origin,
            idempotency,
            actor,
            random,
            wall,
            clock,
            state_bytes_max,
            rules,
            command,
        }
    }
}

impl From<&Envelope> for proto::Envelope {
    fn from(envelope: &Envelope) -> Self {
        proto::Envelope {
            origin: envelope.origin.as_ref().map(Into::into),
            idempotency: envelope.idempotency.as_ref().map(Into::into),
            actor: text_opt(&envelope.actor),
            random: envelope.random,
            wall_ms: envelope.wall.0,
            clock_ms: envelope.clock.0,
            command: Some((&envelope.command).into()),
            state_bytes_max: envelope.state_bytes_max,
            rules: rules(envelope.rules),
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
            random: envelope.random,
            wall: WallMs(envelope.wall_ms),
            clock: ClusterMs(envelope.clock_ms),
            state_bytes_max: envelope.state_bytes_max,
            rules: to_rules("Envelope", envelope.rules)?,
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
            random: request.random,
            command: Some((&request.command).into()),
            attempt: request.attempt,
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
            random: request.random,
            attempt: request.attempt,
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
            StateRecord::Row(row) => row_form(row),
        };
        proto::StateRecord { record: Some(form) }
    }
}

pub(super) fn row_form(row: &Row) -> Form {
    match row {
        Row::Key(key, row) => Form::Key(key_entry(key, row)),
        Row::Lease(resource_id, row) => Form::Lease(lease_entry(resource_id, row)),
        Row::Run(row) => Form::Run((&**row).into()),
        Row::Step(run_id, step, row) => {
            Form::Step(proto::RunStep { run_id: text(run_id), step: Some(step_entry(*step, row)) })
        }
        Row::Session(session_id, row) => Form::Session(session_entry(session_id, row)),
        Row::Cancellation(run_id, row) => Form::Cancellation(proto::Cancellation {
            run_id: text(run_id),
            revision: row.revision.0,
            actor: text_opt(&row.actor),
            reason: text_opt(&row.reason),
            frames: row.frames.iter().map(frame).collect(),
        }),
        Row::Request(key, row) => Form::Request(proto::RememberedRequest {
            key: text(key),
            digest: hash(&row.digest),
            reply: Some((&row.reply).into()),
            at_ms: row.at.0,
        }),
        Row::Origin(session, row) => Form::Origin(proto::NodeSession {
            session: *session,
            lowest: row.lowest,
            seen_at_ms: row.seen_at.0,
        }),
        Row::Answer(session, sequence, reply) => Form::Answer(proto::NodeAnswer {
            session: *session,
            sequence: *sequence,
            reply: Some((&**reply).into()),
        }),
    }
}

impl TryFrom<proto::StateRecord> for StateRecord {
    type Error = CodecError;

    fn try_from(record: proto::StateRecord) -> Result<Self, CodecError> {
        let row = match required("StateRecord", "record", record.record)? {
            Form::Meta(meta) => return Ok(StateRecord::Meta(meta.try_into()?)),
            Form::Key(entry) => to_key_entry(entry).map(|(key, row)| Row::Key(key, row))?,
            Form::Lease(entry) => to_lease_entry(entry).map(|(id, row)| Row::Lease(id, row))?,
            Form::Run(row) => Row::Run(Box::new(row.try_into()?)),
            Form::Step(proto::RunStep { run_id, step }) => {
                let (step, row) = to_step_entry(required("RunStep", "step", step)?)?;
                Row::Step(run_id.into(), step, row)
            }
            Form::Session(entry) => {
                to_session_entry(entry).map(|(id, row)| Row::Session(id, row))?
            }
            Form::Cancellation(row) => {
                let proto::Cancellation { run_id, revision, actor, reason, frames } = row;
                let row = CancellationRow {
                    revision: Revision(revision),
                    actor: to_text_opt(actor),
                    reason: to_text_opt(reason),
                    frames: frames.into_iter().map(to_frame).collect(),
                };
                Row::Cancellation(run_id.into(), Box::new(row))
            }
            Form::Request(request) => {
                let reply = required("RememberedRequest", "reply", request.reply)?.try_into()?;
                let digest = to_hash("RememberedRequest", "digest", &request.digest)?;
                let row = RequestRow { digest, reply, at: ClusterMs(request.at_ms) };
                Row::Request(request.key.into(), Box::new(row))
            }
            Form::Origin(proto::NodeSession { session, lowest, seen_at_ms }) => {
                let row = OriginRow { lowest, seen_at: ClusterMs(seen_at_ms) };
                Row::Origin(session, row)
            }
            Form::Answer(proto::NodeAnswer { session, sequence, reply }) => {
                let reply: Reply = required("NodeAnswer", "reply", reply)?.try_into()?;
                Row::Answer(session, sequence, Box::new(reply))
            }
        };
        Ok(StateRecord::Row(row))
    }
}

fn frame((run_id, after): &(Text, Revision)) -> proto::Frame {
    proto::Frame { run_id: text(run_id), after: after.0 }
}

fn to_frame(frame: proto::Frame) -> (Text, Revision) {
    (frame.run_id.into(), Revision(frame.after))
}

fn rules(rules: Rules) -> u32 {
    match rules {
        Rules::Whole => 0,
        Rules::Stepwise => 1,
    }
}

fn to_rules(message: &'static str, rules: u32) -> Result<Rules, CodecError> {
    match rules {
        0 => Ok(Rules::Whole),
        1 => Ok(Rules::Stepwise),
        other => Err(CodecError::Range { message, field: "rules", found: other.into() }),
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
            counts: (meta.counts != Counts::default()).then(|| (&meta.counts).into()),
            rules: rules(meta.rules),
        }
    }
}

impl From<&Counts> for proto::Counts {
    fn from(counts: &Counts) -> Self {
        let Counts { keys, runs, steps, leases, sessions, requests, cancellations } = *counts;
        proto::Counts { keys, runs, steps, leases, sessions, requests, cancellations }
    }
}

impl From<proto::Counts> for Counts {
    fn from(counts: proto::Counts) -> Self {
        let proto::Counts { keys, runs, steps, leases, sessions, requests, cancellations } = counts;
        Counts { keys, runs, steps, leases, sessions, requests, cancellations }
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
            counts: meta.counts.map(Into::into).unwrap_or_default(),
            rules: to_rules("Meta", meta.rules)?,
        })
    }
}
