//! Lines: the JSON objects of the stream, and how rows and events are put into
//! them. How they are taken out again is `unline`'s.
//!
//! `S` is text: borrowed where it is written, owned where it is read. Kinds
//! and fields that are not known here do not read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{FORMAT, Header, VERSION};
use crate::codec;
use crate::machine::hex;
use crate::machine::row::RunRow;
use crate::machine::{Event, Json, Row};
use crate::store::export::Part;

/// Every line but the first.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line<S: Ord> {
    Key(Key<S>),
    Lease(Lease<S>),
    Run(Run<S>),
    Step(Step<S>),
    Session(Session<S>),
    Cancellation(Cancellation<S>),
    Request(Request<S>),
    Event(EventLine<S>),
    End(LastLine),
}

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FirstLine<S> {
    pub(super) format: S,
    pub(super) version: u32,
    pub(super) release: S,
    pub(super) backend: S,
    pub(super) revision: u64,
    pub(super) chain: String,
    pub(super) clock_ms: u64,
    pub(super) wall_ms: u64,
    pub(super) anchor_revision: u64,
    pub(super) anchor_chain: String,
    pub(super) sets: u64,
}

/// What of the first line every version has.
#[derive(Deserialize)]
pub(super) struct TitleLine {
    pub(super) format: String,
    pub(super) version: u32,
}

/// The last line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LastLine {
    pub(super) rows: u64,
    pub(super) events: u64,
    /// Of all bytes before this line.
    pub(super) sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Key<S> {
    pub(super) key: S,
    pub(super) value: S,
    pub(super) revision: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_at_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lease<S> {
    pub(super) resource_id: S,
    pub(super) holder_id: S,
    pub(super) token: u64,
    pub(super) revision: u64,
    pub(super) expires_at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Run<S: Ord> {
    pub(super) run_id: S,
    pub(super) name: S,
    pub(super) status: S,
    pub(super) tags: BTreeMap<S, S>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<S>,
    pub(super) priority: i64,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub(super) parent_run_id: Option<S>,
    pub(super) created_revision: u64,
    pub(super) revision: u64,
    pub(super) created_at_ms: u64,
    pub(super) updated_at_ms: u64,
    pub(super) last_step: u64,
    pub(super) attempts: u32,
    pub(super) max_attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ready_at_ms: Option<u64>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub(super) agent_id: Option<S>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) claim: Option<Claim>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<S>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<S>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) promoted: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) depth: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claim {
    pub(super) token: u64,
    pub(super) ttl_ms: u64,
    pub(super) expires_at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step<S> {
    pub(super) run_id: S,
    pub(super) step: u64,
    pub(super) output: S,
    pub(super) revision: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Session<S> {
    pub(super) session_id: S,
    pub(super) context: S,
    pub(super) revision: u64,
    pub(super) saved_at_ms: u64,
    pub(super) updated_at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cancellation<S> {
    pub(super) run_id: S,
    pub(super) revision: u64,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub(super) actor: Option<S>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<S>,
    /// Runs, and the revision after which their children were created.
    pub(super) frames: Vec<(S, u64)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request<S> {
    pub(super) key: S,
    pub(super) digest: String,
    pub(super) reply: String,
    pub(super) at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventLine<S> {
    pub(super) revision: u64,
    pub(super) at_ms: u64,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub(super) actor: Option<S>,
    pub(super) action: S,
    pub(super) subject: S,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub(super) new: Option<S>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<S>,
    pub(super) chain: String,
}

/// `Option::default` would ask for text that has a default.
fn none<S>() -> Option<S> {
    None
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl<'a> FirstLine<&'a str> {
    pub(super) fn of(header: &'a Header) -> FirstLine<&'a str> {
        let Header { origin, meta } = header;
        FirstLine {
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

impl<'a> Line<&'a str> {
    /// Nothing for what a node keeps for itself.
    pub(super) fn of(part: &'a Part) -> Option<Line<&'a str>> {
        Some(match part {
            Part::Row(Row::Key(key, row)) => Line::Key(Key {
                key,
                value: row.value.as_str(),
                revision: row.revision.0,
                expires_at_ms: row.expires_at.map(|at| at.0),
            }),
            Part::Row(Row::Lease(resource_id, row)) => Line::Lease(Lease {
                resource_id,
                holder_id: &row.holder_id,
                token: row.token.0,
                revision: row.revision.0,
                expires_at_ms: row.expires_at.0,
            }),
            Part::Row(Row::Run(row)) => Line::Run(Run::of(row)),
            Part::Row(Row::Step(run_id, step, row)) => Line::Step(Step {
                run_id,
                step: *step,
                output: row.output.as_str(),
                revision: row.revision.0,
            }),
            Part::Row(Row::Session(session_id, row)) => Line::Session(Session {
                session_id,
                context: row.context.as_str(),
                revision: row.revision.0,
                saved_at_ms: row.saved_at.0,
                updated_at_ms: row.updated_at.0,
            }),
            Part::Row(Row::Cancellation(run_id, row)) => Line::Cancellation(Cancellation {
                run_id,
                revision: row.revision.0,
                actor: row.actor.as_deref(),
                reason: row.reason.as_deref(),
                frames: row.frames.iter().map(|(run_id, after)| (&**run_id, after.0)).collect(),
            }),
            Part::Row(Row::Request(key, row)) => Line::Request(Request {
                key,
                digest: hex::encode(&row.digest),
                reply: hex::encode(&codec::encode_reply(&row.reply)),
                at_ms: row.at.0,
            }),
            Part::Event(event) => Line::Event(EventLine::of(event)),
            Part::Row(Row::Origin(..) | Row::Answer(..)) => {
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
            promoted: row.promoted,
            depth: row.depth,
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
