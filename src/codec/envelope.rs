//! Commands in the log and between nodes, to and from `proto/record.proto`.

use super::error::CodecError;
use super::value::*;
use crate::machine::command::{Command, Envelope, Idempotency, Origin, Rules, StateLimits};
use crate::machine::{ClusterMs, Text, WallMs};
use crate::proto::record as proto;

/// A command that a node forwards to the leader: an [`Envelope`] without clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedRequest {
    /// As in an [`Envelope`].
    pub origin: Option<Origin>,
    /// As in an [`Envelope`].
    pub idempotency: Option<Idempotency>,
    /// As in an [`Envelope`].
    pub actor: Option<Text>,
    /// As in an [`Envelope`].
    pub random: u64,
    /// Whether the leader may reply without ordering the command where it knows that
    /// the command would achieve nothing.
    pub attempt: bool,
    /// The command itself.
    pub command: Command,
}

impl ForwardedRequest {
    /// The command as it is ordered, with the clocks, the limits and the rules of the
    /// node that orders it.
    pub fn stamp(
        self,
        wall: WallMs,
        clock: ClusterMs,
        limits: StateLimits,
        rules: Rules,
    ) -> Envelope {
        let ForwardedRequest { origin, idempotency, actor, random, attempt: _, command } = self;
        // Nodes that do not know these rules could not read it.
        let retention_ms = limits.run_retention_ms.filter(|_| rules >= Rules::Attempts);
        let limits = StateLimits { run_retention_ms: retention_ms, ..limits };
        Envelope { origin, idempotency, actor, random, wall, clock, limits, rules, command }
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
            state_bytes_max: envelope.limits.bytes_max,
            rules: rules(envelope.rules),
            run_retention_ms: envelope.limits.run_retention_ms,
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
            limits: StateLimits {
                bytes_max: envelope.state_bytes_max,
                run_retention_ms: envelope.run_retention_ms,
            },
            rules: to_rules("Envelope", envelope.rules)?,
            command: required("Envelope", "command", envelope.command)?.try_into()?,
        })
    }
}

impl From<&ForwardedRequest> for proto::Request {
    fn from(request: &ForwardedRequest) -> Self {
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

impl TryFrom<proto::Request> for ForwardedRequest {
    type Error = CodecError;

    fn try_from(request: proto::Request) -> Result<Self, CodecError> {
        Ok(ForwardedRequest {
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
