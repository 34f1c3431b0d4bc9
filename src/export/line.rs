//! Lines: rows and events as the JSON objects of the stream, and back.
//!
//! `S` is text: borrowed where it is written, owned where it is read. Kinds
//! and fields that are not known here do not read.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::{FORMAT, Header, Origin, VERSION, hex};
use crate::codec::{self, StateRecord};
use crate::machine::row::{
    Anchor, ClaimRow, KeyRow, LeaseRow, RequestRow, RunRow, SessionRow, StepRow,
};
use crate::machine::{Chain, ClusterMs, Event, Json, Meta, Revision, Text, WallMs};
use crate::store::transfer::Part;

/// Every line but the first.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line<S: Ord> {
    Key(Key<S>),
    Lease(Lease<S>),
    Run(Run<S>),
    Step(Step<S>),
    Session(Session<S>),
    Request(Request<S>),
    Event(EventLine<S>),
    End(End),
}

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct First<S> {
    format: S,
    version: u32,
    release: S,
    backend: S,
    revision: u64,
    chain: String,
    clock_ms: u64,
    wall_ms: u64,
    anchor_revision: u64,
    anchor_chain: String,
    sets: u64,
}

/// What of the first line every version has.
#[derive(Deserialize)]
pub(super) struct Title {
    pub(super) format: String,
    pub(super) version: u32,
}

/// The last line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    pub(super) rows: u64,
    pub(super) events: u64,
    /// Of all bytes before this line.
    pub(super) sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Key<S> {
    key: S,
    value: S,
    revision: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lease<S> {
    resource_id: S,
    holder_id: S,
    token: u64,
    revision: u64,
    expires_at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Run<S: Ord> {
    run_id: S,
    name: S,
    status: S,
    tags: BTreeMap<S, S>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    input: Option<S>,
    priority: i64,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    parent_run_id: Option<S>,
    created_revision: u64,
    revision: u64,
    created_at_ms: u64,
    updated_at_ms: u64,
    last_step: u64,
    attempts: u32,
    max_attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ready_at_ms: Option<u64>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    agent_id: Option<S>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim: Option<Claim>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    result: Option<S>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    error: Option<S>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claim {
    token: u64,
    ttl_ms: u64,
    expires_at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step<S> {
    run_id: S,
    step: u64,
    output: S,
    revision: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Session<S> {
    session_id: S,
    context: S,
    revision: u64,
    saved_at_ms: u64,
    updated_at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request<S> {
    key: S,
    digest: String,
    reply: String,
    at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventLine<S> {
    revision: u64,
    at_ms: u64,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    actor: Option<S>,
    action: S,
    subject: S,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    new: Option<S>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    previous: Option<S>,
    chain: String,
}

/// `Option::default` would ask for text that has a default.
fn none<S>() -> Option<S> {
    None
}

impl<'a> First<&'a str> {
    pub(super) fn of(header: &'a Header) -> First<&'a str> {
        let Header { origin, meta } = header;
        First {
            format: FORMAT,
            version: VERSION,
            release: &origin.release,
            backend: &origin.backend,
            revision: meta.revision.0,
            chain: hex::encode(&meta.chain.0),
            clock_ms: meta.clock.0,
            wall_ms: meta.wall.0,
            anchor_revision: meta.anchor.revision.0,
            anchor_chain: hex::encode(&meta.anchor.chain.0),
            sets: meta.sets,
        }
    }
}

impl First<Text> {
    pub(super) fn into_header(self) -> Result<Header, String> {
        Ok(Header {
            origin: Origin { backend: self.backend, release: self.release },
            meta: Meta {
                revision: Revision(self.revision),
                chain: chain("chain", &self.chain)?,
                clock: ClusterMs(self.clock_ms),
                wall: WallMs(self.wall_ms),
                anchor: Anchor {
                    revision: Revision(self.anchor_revision),
                    chain: chain("anchor_chain", &self.anchor_chain)?,
                },
                sets: self.sets,
            },
        })
    }
}

impl<'a> Line<&'a str> {
    /// Nothing for what a node keeps for itself.
    pub(super) fn of(part: &'a Part) -> Option<Line<&'a str>> {
        Some(match part {
            Part::Row(StateRecord::Key(key, row)) => Line::Key(Key {
                key,
                value: row.value.as_str(),
                revision: row.revision.0,
                expires_at_ms: row.expires_at.map(|at| at.0),
            }),
            Part::Row(StateRecord::Lease(resource_id, row)) => Line::Lease(Lease {
                resource_id,
                holder_id: &row.holder_id,
                token: row.token.0,
                revision: row.revision.0,
                expires_at_ms: row.expires_at.0,
            }),
            Part::Row(StateRecord::Run(row)) => Line::Run(Run::of(row)),
            Part::Row(StateRecord::Step(run_id, step, row)) => Line::Step(Step {
                run_id,
                step: *step,
                output: row.output.as_str(),
                revision: row.revision.0,
            }),
            Part::Row(StateRecord::Session(session_id, row)) => Line::Session(Session {
                session_id,
                context: row.context.as_str(),
                revision: row.revision.0,
                saved_at_ms: row.saved_at.0,
                updated_at_ms: row.updated_at.0,
            }),
            Part::Row(StateRecord::Request(key, row)) => Line::Request(Request {
                key,
                digest: hex::encode(&row.digest),
                reply: hex::encode(&codec::encode_reply(&row.reply)),
                at_ms: row.at.0,
            }),
            Part::Event(event) => Line::Event(EventLine::of(event)),
            Part::Row(StateRecord::Meta(_) | StateRecord::Origin(..) | StateRecord::Answer(..)) => {
                return None;
            }
        })
    }
}

impl<'a> Run<&'a str> {
    fn of(row: &'a RunRow) -> Run<&'a str> {
        Run {
            run_id: &row.run_id,
            name: &row.name,
            status: row.status.as_str(),
            tags: row.tags.iter().map(|(name, value)| (&**name, &**value)).collect(),
            input: row.input.as_ref().map(Json::as_str),
            priority: row.priority,
            parent_run_id: row.parent_run_id.as_deref(),
            created_revision: row.created_revision.0,
            revision: row.revision.0,
            created_at_ms: row.created_at.0,
            updated_at_ms: row.updated_at.0,
            last_step: row.last_step,
            attempts: row.attempts,
            max_attempts: row.max_attempts,
            ready_at_ms: row.ready_at.map(|at| at.0),
            agent_id: row.agent_id.as_deref(),
            claim: row.claim.as_ref().map(|claim| Claim {
                token: claim.token.0,
                ttl_ms: claim.ttl_ms,
                expires_at_ms: claim.expires_at.0,
            }),
            result: row.result.as_ref().map(Json::as_str),
            error: row.error.as_deref(),
        }
    }
}

impl<'a> EventLine<&'a str> {
    fn of(event: &'a Event) -> EventLine<&'a str> {
        EventLine {
            revision: event.revision.0,
            at_ms: event.at.0,
            actor: event.actor.as_deref(),
            action: event.action.as_str(),
            subject: &event.subject,
            new: event.new.as_ref().map(Json::as_str),
            previous: event.previous.as_ref().map(Json::as_str),
            chain: hex::encode(&event.chain.0),
        }
    }
}

impl Key<Text> {
    pub(super) fn into_row(self) -> Result<StateRecord, String> {
        let row = KeyRow {
            value: json("value", self.value)?,
            revision: Revision(self.revision),
            expires_at: self.expires_at_ms.map(ClusterMs),
        };
        Ok(StateRecord::Key(self.key, row))
    }
}

impl Lease<Text> {
    pub(super) fn into_row(self) -> StateRecord {
        let row = LeaseRow {
            holder_id: self.holder_id,
            token: Revision(self.token),
            revision: Revision(self.revision),
            expires_at: ClusterMs(self.expires_at_ms),
        };
        StateRecord::Lease(self.resource_id, row)
    }
}

impl Run<Text> {
    pub(super) fn into_row(self) -> Result<StateRecord, String> {
        let status = self.status.parse();
        Ok(StateRecord::Run(RunRow {
            status: status.map_err(|()| format!("status: got {:?}, which is none", self.status))?,
            run_id: self.run_id,
            name: self.name,
            tags: self.tags,
            input: self.input.map(|text| json("input", text)).transpose()?,
            priority: self.priority,
            parent_run_id: self.parent_run_id,
            created_revision: Revision(self.created_revision),
            revision: Revision(self.revision),
            created_at: WallMs(self.created_at_ms),
            updated_at: WallMs(self.updated_at_ms),
            last_step: self.last_step,
            attempts: self.attempts,
            max_attempts: self.max_attempts,
            ready_at: self.ready_at_ms.map(ClusterMs),
            agent_id: self.agent_id,
            claim: self.claim.map(|claim| ClaimRow {
                token: Revision(claim.token),
                ttl_ms: claim.ttl_ms,
                expires_at: ClusterMs(claim.expires_at_ms),
            }),
            result: self.result.map(|text| json("result", text)).transpose()?,
            error: self.error,
        }))
    }
}

impl Step<Text> {
    pub(super) fn into_row(self) -> Result<StateRecord, String> {
        let output = json("output", self.output)?;
        let row = StepRow { output, revision: Revision(self.revision) };
        Ok(StateRecord::Step(self.run_id, self.step, row))
    }
}

impl Session<Text> {
    pub(super) fn into_row(self) -> Result<StateRecord, String> {
        let row = SessionRow {
            context: json("context", self.context)?,
            revision: Revision(self.revision),
            saved_at: WallMs(self.saved_at_ms),
            updated_at: WallMs(self.updated_at_ms),
        };
        Ok(StateRecord::Session(self.session_id, row))
    }
}

impl Request<Text> {
    pub(super) fn into_row(self) -> Result<StateRecord, String> {
        let digest = hex::decode_hash(&self.digest);
        let digest = digest.ok_or("digest: takes 64 hexadecimal digits")?;
        let reply = hex::decode(&self.reply).ok_or("reply: takes hexadecimal digits")?;
        let reply =
            codec::decode_reply(&reply.into()).map_err(|error| format!("reply: {error}"))?;
        let row = RequestRow { digest, reply, at: ClusterMs(self.at_ms) };
        Ok(StateRecord::Request(self.key, row))
    }
}

impl EventLine<Text> {
    pub(super) fn into_event(self) -> Result<Event, String> {
        let action = self.action.parse();
        Ok(Event {
            revision: Revision(self.revision),
            at: WallMs(self.at_ms),
            actor: self.actor,
            action: action.map_err(|()| format!("action: got {:?}, which is none", self.action))?,
            subject: self.subject,
            new: self.new.map(|text| json("new", text)).transpose()?,
            previous: self.previous.map(|text| json("previous", text)).transpose()?,
            chain: chain("chain", &self.chain)?,
        })
    }
}

/// The rules never parse JSON, so here is where it must be some.
fn json(field: &str, text: Text) -> Result<Json, String> {
    match serde_json::from_str::<IgnoredAny>(&text) {
        Ok(IgnoredAny) => Ok(Json::new(text)),
        Err(_) => Err(format!("{field}: the text is not one JSON value")),
    }
}

fn chain(field: &str, text: &str) -> Result<Chain, String> {
    let hash = hex::decode_hash(text);
    hash.map(Chain).ok_or_else(|| format!("{field}: takes 64 hexadecimal digits"))
}
