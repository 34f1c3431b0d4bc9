//! Schedules: commands about them, their replies and their rows, to and from
//! `proto/state.proto`.

use super::error::CodecError;
use super::value::*;
use crate::machine::command::{DeleteSchedule, FireSchedule, SetSchedule};
use crate::machine::reply::ScheduleFired;
use crate::machine::row::ScheduleRow;
use crate::machine::timetable::{FiringMs, Overlap, Timetable};
use crate::machine::{Revision, Text, WallMs};
use crate::proto::state as proto;
use proto::timetable::Timetable as TimetableForm;

impl From<&SetSchedule> for proto::SetSchedule {
    fn from(set: &SetSchedule) -> Self {
        proto::SetSchedule {
            name: text(&set.name),
            timetable: Some((&set.timetable).into()),
            template: Some((&set.template).into()),
            overlap: overlap(set.overlap).into(),
            first_at_ms: firing_opt(set.first_at),
            agent_id: text_opt(&set.agent_id),
        }
    }
}

impl TryFrom<proto::SetSchedule> for SetSchedule {
    type Error = CodecError;

    fn try_from(set: proto::SetSchedule) -> Result<Self, CodecError> {
        Ok(SetSchedule {
            name: set.name.into(),
            timetable: required("SetSchedule", "timetable", set.timetable)?.try_into()?,
            template: required("SetSchedule", "template", set.template)?.try_into()?,
            overlap: to_overlap("SetSchedule", set.overlap)?,
            first_at: to_firing_opt(set.first_at_ms),
            agent_id: to_text_opt(set.agent_id),
        })
    }
}

impl From<&DeleteSchedule> for proto::DeleteSchedule {
    fn from(delete: &DeleteSchedule) -> Self {
        proto::DeleteSchedule { name: text(&delete.name), agent_id: text_opt(&delete.agent_id) }
    }
}

impl From<proto::DeleteSchedule> for DeleteSchedule {
    fn from(delete: proto::DeleteSchedule) -> Self {
        DeleteSchedule { name: delete.name.into(), agent_id: to_text_opt(delete.agent_id) }
    }
}

impl From<&FireSchedule> for proto::FireSchedule {
    fn from(fire: &FireSchedule) -> Self {
        proto::FireSchedule {
            name: text(&fire.name),
            due_at_ms: fire.due_at.0,
            next_at_ms: firing_opt(fire.next_at),
            missed: fire.missed,
            error: text_opt(&fire.error),
        }
    }
}

impl From<proto::FireSchedule> for FireSchedule {
    fn from(fire: proto::FireSchedule) -> Self {
        FireSchedule {
            name: fire.name.into(),
            due_at: FiringMs(fire.due_at_ms),
            next_at: to_firing_opt(fire.next_at_ms),
            missed: fire.missed,
            error: to_text_opt(fire.error),
        }
    }
}

impl From<&ScheduleFired> for proto::ScheduleFired {
    fn from(fired: &ScheduleFired) -> Self {
        proto::ScheduleFired {
            fired: fired.fired,
            run_id: text_opt(&fired.run_id),
            error: text_opt(&fired.error),
        }
    }
}

impl From<proto::ScheduleFired> for ScheduleFired {
    fn from(fired: proto::ScheduleFired) -> Self {
        ScheduleFired {
            fired: fired.fired,
            run_id: to_text_opt(fired.run_id),
            error: to_text_opt(fired.error),
        }
    }
}

impl From<&ScheduleRow> for proto::ScheduleRow {
    fn from(row: &ScheduleRow) -> Self {
        proto::ScheduleRow {
            timetable: Some((&row.timetable).into()),
            template: Some((&row.template).into()),
            overlap: overlap(row.overlap).into(),
            next_at_ms: firing_opt(row.next_at),
            revision: row.revision.0,
            set_at_ms: row.set_at.0,
            agent_id: text_opt(&row.agent_id),
            fired: row.fired,
            missed: row.missed,
            skipped: row.skipped,
            last_run_id: text_opt(&row.last_run_id),
            last_fired_at_ms: row.last_fired_at.map(|at| at.0),
            last_error: text_opt(&row.last_error),
        }
    }
}

impl TryFrom<proto::ScheduleRow> for ScheduleRow {
    type Error = CodecError;

    fn try_from(row: proto::ScheduleRow) -> Result<Self, CodecError> {
        Ok(ScheduleRow {
            timetable: required("ScheduleRow", "timetable", row.timetable)?.try_into()?,
            template: required("ScheduleRow", "template", row.template)?.try_into()?,
            overlap: to_overlap("ScheduleRow", row.overlap)?,
            next_at: to_firing_opt(row.next_at_ms),
            revision: Revision(row.revision),
            set_at: WallMs(row.set_at_ms),
            agent_id: to_text_opt(row.agent_id),
            fired: row.fired,
            missed: row.missed,
            skipped: row.skipped,
            last_run_id: to_text_opt(row.last_run_id),
            last_fired_at: row.last_fired_at_ms.map(WallMs),
            last_error: to_text_opt(row.last_error),
        })
    }
}

pub(super) fn schedule_entry(name: &Text, row: &ScheduleRow) -> proto::ScheduleEntry {
    proto::ScheduleEntry { name: text(name), row: Some(row.into()) }
}

pub(super) fn to_schedule_entry(
    entry: proto::ScheduleEntry,
) -> Result<(Text, ScheduleRow), CodecError> {
    Ok((entry.name.into(), required("ScheduleEntry", "row", entry.row)?.try_into()?))
}

impl From<&Timetable> for proto::Timetable {
    fn from(timetable: &Timetable) -> Self {
        let form = match timetable {
            Timetable::Cron { expression, time_zone } => TimetableForm::Cron(proto::Cron {
                expression: text(expression),
                time_zone: text(time_zone),
            }),
            Timetable::Every { ms } => TimetableForm::EveryMs(*ms),
        };
        proto::Timetable { timetable: Some(form) }
    }
}

impl TryFrom<proto::Timetable> for Timetable {
    type Error = CodecError;

    fn try_from(timetable: proto::Timetable) -> Result<Self, CodecError> {
        Ok(match required("Timetable", "timetable", timetable.timetable)? {
            TimetableForm::Cron(proto::Cron { expression, time_zone }) => {
                Timetable::Cron { expression: expression.into(), time_zone: time_zone.into() }
            }
            TimetableForm::EveryMs(ms) => Timetable::Every { ms },
        })
    }
}

fn overlap(overlap: Overlap) -> proto::Overlap {
    match overlap {
        Overlap::Skip => proto::Overlap::Skip,
        Overlap::Queue => proto::Overlap::Queue,
        Overlap::Replace => proto::Overlap::Replace,
    }
}

fn to_overlap(message: &'static str, overlap: i32) -> Result<Overlap, CodecError> {
    match proto::Overlap::try_from(overlap) {
        Ok(proto::Overlap::Skip) => Ok(Overlap::Skip),
        Ok(proto::Overlap::Queue) => Ok(Overlap::Queue),
        Ok(proto::Overlap::Replace) => Ok(Overlap::Replace),
        Err(_) => Err(CodecError::unknown(message, "overlap", overlap)),
    }
}

pub(super) fn firing_opt(opt: Option<FiringMs>) -> Option<u64> {
    opt.map(|at| at.0)
}

pub(super) fn to_firing_opt(opt: Option<u64>) -> Option<FiringMs> {
    opt.map(FiringMs)
}
