//! The records of snapshots, to and from `proto/record.proto`.

use super::error::CodecError;
use super::row::*;
use super::run_counts::{changes, counts, to_changes, to_counts};
use super::schedule::{schedule_entry, to_schedule_entry};
use super::value::*;
use crate::machine::meta::{Anchor, Counts, Meta};
use crate::machine::row::*;
use crate::machine::run_group::{GroupRow, RecentCounts, RunGroup};
use crate::machine::{ClusterMs, Reply, Revision, Text, WallMs};
use crate::proto::record as proto;
use proto::run_group::Common as CommonForm;
use proto::state_record::Record as Form;

/// The position of a state, or one of its rows: the unit of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateRecord {
    Meta(Meta),
    Row(Row),
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

fn group_form(group: &RunGroup, row: &GroupRow) -> proto::RunGroup {
    let common = match group {
        RunGroup::Name(name) => CommonForm::Name(text(name)),
        RunGroup::Parent(run_id) => CommonForm::ParentRunId(text(run_id)),
        RunGroup::Concurrency(key) => CommonForm::ConcurrencyKey(text(key)),
    };
    let recent = row.recent.as_deref().map(|recent| proto::RecentCounts {
        window: recent.window,
        current: Some(changes(&recent.current)),
        previous: Some(changes(&recent.previous)),
    });
    proto::RunGroup { common: Some(common), counts: counts(&row.counts), recent }
}

fn to_group(form: proto::RunGroup) -> Result<Row, CodecError> {
    let group = match required("RunGroup", "common", form.common)? {
        CommonForm::Name(name) => RunGroup::Name(name.into()),
        CommonForm::ParentRunId(run_id) => RunGroup::Parent(run_id.into()),
        CommonForm::ConcurrencyKey(key) => RunGroup::Concurrency(key.into()),
    };
    let recent = form.recent.map(|recent| RecentCounts {
        window: recent.window,
        current: to_changes(recent.current),
        previous: to_changes(recent.previous),
    });
    let counts = to_counts("RunGroup", "counts", &form.counts)?;
    Ok(Row::Group(group, GroupRow { counts, recent: recent.map(Box::new) }))
}

fn row_form(row: &Row) -> Form {
    match row {
        Row::Key(key, row) => Form::Key(key_entry(key, row)),
        Row::Lease(resource_id, row) => Form::Lease(lease_entry(resource_id, row)),
        Row::Run(row) => Form::Run((&**row).into()),
        Row::Step(run_id, step, row) => {
            Form::Step(proto::RunStep { run_id: text(run_id), step: Some(step_entry(*step, row)) })
        }
        Row::Session(session_id, row) => Form::Session(session_entry(session_id, row)),
        Row::Group(group, row) => Form::Group(group_form(group, row)),
        Row::Schedule(name, row) => Form::Schedule(schedule_entry(name, row)),
        Row::Pause(name, row) => Form::Pause(proto::PausedName {
            name: text(name),
            revision: row.revision.0,
            at_ms: row.at.0,
            agent_id: text_opt(&row.agent_id),
        }),
        Row::Cancellation(run_id, row) => Form::Cancellation(proto::Cancellation {
            run_id: text(run_id),
            revision: row.revision.0,
            actor: text_opt(&row.actor),
            reason: text_opt(&row.reason),
            frames: row.frames.iter().map(frame).collect(),
            at_ms: row.at.0,
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
            Form::Group(group) => to_group(group)?,
            Form::Schedule(entry) => {
                to_schedule_entry(entry).map(|(name, row)| Row::Schedule(name, Box::new(row)))?
            }
            Form::Pause(proto::PausedName { name, revision, at_ms, agent_id }) => {
                let (revision, at) = (Revision(revision), WallMs(at_ms));
                let row = PauseRow { revision, at, agent_id: to_text_opt(agent_id) };
                Row::Pause(name.into(), row)
            }
            Form::Cancellation(row) => {
                let proto::Cancellation { run_id, revision, actor, reason, frames, at_ms } = row;
                let row = CancellationRow {
                    revision: Revision(revision),
                    at: ClusterMs(at_ms),
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
        let Counts { keys, runs, steps, leases, sessions, requests, cancellations, schedules } =
            *counts;
        proto::Counts { keys, runs, steps, leases, sessions, requests, cancellations, schedules }
    }
}

impl From<proto::Counts> for Counts {
    fn from(counts: proto::Counts) -> Self {
        let proto::Counts {
            keys,
            runs,
            steps,
            leases,
            sessions,
            requests,
            cancellations,
            schedules,
        } = counts;
        Counts { keys, runs, steps, leases, sessions, requests, cancellations, schedules }
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

fn frame((run_id, after): &(Text, Revision)) -> proto::Frame {
    proto::Frame { run_id: text(run_id), after: after.0 }
}

fn to_frame(frame: proto::Frame) -> (Text, Revision) {
    (frame.run_id.into(), Revision(frame.after))
}
