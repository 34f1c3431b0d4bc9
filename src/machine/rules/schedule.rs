//! Schedules: each firing creates one run from the schedule's template. Whoever proposes
//! a firing names the moment at which it is due, and only the first such proposal finds
//! the schedule there; so a firing that is proposed twice, by two nodes or after a change
//! of leader, still creates one run.

use super::outcome::refuse;
use super::{cancel, create};
use crate::machine::command::{Cancel, DeleteSchedule, FireSchedule, SetSchedule};
use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::lookup;
use crate::machine::reply::{RefusalCode, Reply, ScheduleFired};
use crate::machine::row::{Row, ScheduleRow};
use crate::machine::row_id::RowId;
use crate::machine::subject::Noun;
use crate::machine::timetable::{FiringMs, Overlap, Timetable};
use crate::machine::value::{Revision, Text};
use crate::machine::view::View;

/// The most schedules. Each may fire every second, and a node carries out some
/// thousands of commands in that time.
const SCHEDULES_MAX: u64 = 10_000;

pub fn set<V: View>(draft: &mut Draft<'_, V>, command: &SetSchedule) -> Result<Reply, V::Error> {
    let SetSchedule { name, timetable, template, overlap, first_at, agent_id } = command;
    let before = lookup::schedule(draft, name)?;
    if before.is_none() && draft.meta()?.counts.schedules >= SCHEDULES_MAX {
        let message = format!("name: there are {SCHEDULES_MAX} schedules, which is the most");
        return Ok(refuse(RefusalCode::QuotaExceeded, message));
    }
    let first_at = match timetable {
        Timetable::Cron { .. } => *first_at,
        Timetable::Every { ms } => Some(FiringMs(draft.now().0).plus(*ms)),
    };
    let old = before.clone();
    // A program that sets its schedules whenever it starts must not put them off.
    let kept = old.as_ref().filter(|old| old.timetable == *timetable).and_then(|old| old.next_at);
    let row = ScheduleRow {
        timetable: timetable.clone(),
        template: template.clone(),
        overlap: *overlap,
        next_at: kept.or(first_at),
        revision: Revision::ZERO,
        set_at: draft.wall(),
        agent_id: agent_id.clone().or_else(|| draft.actor().cloned()),
        fired: old.as_ref().map_or(0, |old| old.fired),
        missed: old.as_ref().map_or(0, |old| old.missed),
        skipped: old.as_ref().map_or(0, |old| old.skipped),
        last_run_id: old.as_ref().and_then(|old| old.last_run_id.clone()),
        last_fired_at: old.as_ref().and_then(|old| old.last_fired_at),
        last_error: None,
    };
    let (new, previous) = (describe::schedule(&row), before.as_ref().map(describe::schedule));
    let subject = Noun::Schedule.subject(name);
    let revision =
        draft.record(Action::ScheduleSet, subject, Some(new), previous, agent_id.as_ref());
    let next_at = row.next_at;
    put(draft, name, ScheduleRow { revision, ..row });
    Ok(Reply::ScheduleSet { name: name.clone(), revision, next_at })
}

pub fn delete<V: View>(
    draft: &mut Draft<'_, V>,
    command: &DeleteSchedule,
) -> Result<Reply, V::Error> {
    let DeleteSchedule { name, agent_id } = command;
    let before = lookup::schedule(draft, name)?;
    let ok = before.is_some();
    if let Some(row) = before {
        let (id, subject) = (RowId::Schedule(name.clone()), Noun::Schedule.subject(name));
        let (previous, agent_id) = (Some(describe::schedule(&row)), agent_id.as_ref());
        draft.remove_recorded(Action::ScheduleDelete, id, subject, previous, agent_id);
    }
    Ok(Reply::ScheduleDeleted { ok, name: name.clone() })
}

pub fn fire<V: View>(
    draft: &mut Draft<'_, V>,
    command: &FireSchedule,
    random: u64,
) -> Result<Reply, V::Error> {
    let FireSchedule { name, due_at, next_at, missed, error } = command;
    let row = lookup::schedule(draft, name)?;
    // The schedule stands at this firing only until the first proposal of it.
    let row = row.filter(|row| row.next_at == Some(*due_at));
    let Some(row) = row.filter(|row| row.is_due(draft.now(), draft.wall())) else {
        return Ok(Reply::ScheduleFired(ScheduleFired { fired: false, run_id: None, error: None }));
    };
    let outcome = carry_out(draft, name, &row, random)?;
    let mut after = ScheduleRow {
        // Never back, or a firing would come twice.
        next_at: next_at.filter(|next_at| next_at > due_at),
        missed: row.missed.saturating_add(*missed),
        last_error: error.clone(),
        ..row
    };
    let mut run_id = None;
    match &outcome {
        FiringOutcome::Created(created) => {
            run_id = Some(created.clone());
            after.fired = after.fired.saturating_add(1);
            after.last_run_id = run_id.clone();
            after.last_fired_at = Some(draft.wall());
        }
        FiringOutcome::Skipped => after.skipped = after.skipped.saturating_add(1),
        FiringOutcome::Refused(why) => {
            after.missed = after.missed.saturating_add(1);
            after.last_error = Some(why.clone());
        }
    }
    let is_skipped = matches!(outcome, FiringOutcome::Skipped);
    let new = describe::firing(command, run_id.as_deref(), is_skipped, &after);
    let subject = Noun::Schedule.subject(name);
    let revision = draft.record(Action::ScheduleFire, subject, Some(new), None, None);
    let error = after.last_error.clone();
    put(draft, name, ScheduleRow { revision, ..after });
    Ok(Reply::ScheduleFired(ScheduleFired { fired: true, run_id, error }))
}

/// What a firing has come to.
enum FiringOutcome {
    Created(Text),
    Skipped,
    Refused(Text),
}

/// Creates the run, and cancels the one before it where the schedule says so. If the
/// run is refused, nothing has happened.
fn carry_out<V: View>(
    draft: &mut Draft<'_, V>,
    name: &str,
    row: &ScheduleRow,
    random: u64,
) -> Result<FiringOutcome, V::Error> {
    let before = draft.meta()?;
    let last = row.last_run_id.as_ref().filter(|_| row.overlap != Overlap::Queue);
    let last = last.map(|run_id| draft.run(run_id)).transpose()?.flatten();
    if let Some(run) = last.filter(|run| !run.is_over()) {
        if row.overlap == Overlap::Skip {
            return Ok(FiringOutcome::Skipped);
        }
        let reason = Some(format!("schedule '{name}' has fired again").into());
        cancel::cancel(draft, &Cancel { run_id: run.run_id, reason, agent_id: None })?;
    }
    let refused = match create::create(draft, &row.template, random)? {
        Reply::Created { existing: true, .. } => {
            draft.undo(before);
            return Ok(FiringOutcome::Skipped);
        }
        Reply::Created { run_id, .. } => match draft.over_quota(&before)? {
            None => return Ok(FiringOutcome::Created(run_id)),
            Some(message) => message,
        },
        Reply::Refused(refusal) => refusal.message,
        other => format!("a run was not created: {other:?}").into(),
    };
    draft.undo(before);
    Ok(FiringOutcome::Refused(refused))
}

fn put<V: View>(draft: &mut Draft<'_, V>, name: &Text, row: ScheduleRow) {
    draft.put(Row::Schedule(name.clone(), Box::new(row)));
}
