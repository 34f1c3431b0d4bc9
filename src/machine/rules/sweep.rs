//! The sweep: does what the passing of time calls for and what commands have left
//! to do, a bounded amount at a time. It removes expired rows, records what has become
//! of runs, promotes those whose time has come, and cancels the descendants of
//! cancelled runs. Nobody can see
//! the difference, except that look-ups stay short.

use super::{cancel, dependencies, present, remove};
use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::filter::ClaimFilter;
use crate::machine::lookup;
use crate::machine::reply::Reply;
use crate::machine::row::{LeaseRow, Row};
use crate::machine::row_id::RowId;
use crate::machine::subject::Noun;
use crate::machine::value::Text;
use crate::machine::view::View;

/// The most rows that one sweep changes, whatever limit it asks for. A replica
/// applies that many in a few milliseconds.
const SWEEP_MAX: u32 = 1_000;

/// The most rows that a sweep changes by the first rules.
const SWEEP_WHOLE_MAX: u32 = 10_000;

pub fn sweep<V: View>(draft: &mut Draft<'_, V>, limit: u32) -> Result<Reply, V::Error> {
    let most = if draft.is_stepwise() { SWEEP_MAX } else { SWEEP_WHOLE_MAX };
    let limit = limit.min(most) as usize;
    let mut due = lookup::due_rows(draft, draft.now(), limit + 1)?;
    let mut more = due.len() > limit;
    due.truncate(limit);
    let mut swept = 0;
    for id in due {
        // Runs with steps, and those that others depend on, take more than one row. What is
        // not reached now comes first the next time.
        if swept >= limit {
            more = true;
            break;
        }
        swept += 1;
        match id {
            RowId::Key(key) => expire_key(draft, key)?,
            RowId::Lease(resource_id) => expire_lease(draft, resource_id)?,
            RowId::Session(session_id) => expire_session(draft, session_id)?,
            RowId::Run(run_id) => {
                let looks = limit.saturating_sub(swept).max(1);
                swept += pass(draft, run_id, looks)?;
            }
            RowId::Origin(session) => {
                // The node that proposed this very sweep may begin the session
                // anew, and must not find its old answers.
                draft.drop_answers_below(session, u64::MAX);
                draft.remove(RowId::Origin(session));
            }
            id => draft.remove(id),
        }
    }
    if draft.is_stepwise() && limit > swept {
        swept += dependencies::release(draft, limit - swept)?;
    }
    while draft.next_ended().is_some() {
        more = true;
    }
    if draft.is_stepwise() && !more {
        let any = ClaimFilter::default();
        let left = limit.saturating_sub(swept);
        let mut due = lookup::due_runs(draft, &any, draft.now(), left + 1)?;
        more |= due.len() > left;
        due.truncate(left);
        swept += due.len();
        for run in due {
            present::promote(draft, run)?;
        }
    }
    if draft.is_stepwise() && !more {
        if limit > swept {
            swept += cancel::carry_on(draft, limit - swept)?;
        }
        more |= draft.position()?.counts.cancellations > 0;
    }
    Ok(Reply::Swept { removed: swept as u32, more })
}

/// Records what the passing of time has done to a run, or removes it. Returns the
/// number of rows beyond one that it looked at.
fn pass<V: View>(draft: &mut Draft<'_, V>, run_id: Text, looks: usize) -> Result<usize, V::Error> {
    let Some(run) = lookup::stored_run(draft, &run_id)? else { return Ok(0) };
    if run.is_over() && run.has_dependents {
        return dependencies::release_of(draft, &run_id, looks);
    }
    if run.lives_at(draft.now()) {
        present::settled(draft, run)?;
        return Ok(0);
    }
    let removed = remove::remove(draft, run, Action::WorkflowExpire, None, looks)?;
    Ok(removed - 1)
}

fn expire_session<V: View>(draft: &mut Draft<'_, V>, session_id: Text) -> Result<(), V::Error> {
    let previous = lookup::session(draft, &session_id)?.map(|session| session.context);
    let subject = Noun::Session.subject(&session_id);
    draft.remove_recorded(
        Action::SessionExpire,
        RowId::Session(session_id),
        subject,
        previous,
        None,
    );
    Ok(())
}

fn expire_key<V: View>(draft: &mut Draft<'_, V>, key: Text) -> Result<(), V::Error> {
    let previous = lookup::key(draft, &key)?.map(|row| row.value);
    draft.remove_recorded(Action::StateExpire, RowId::Key(key.clone()), key, previous, None);
    Ok(())
}

/// Takes those from a lease who do not hold it any more.
fn expire_lease<V: View>(draft: &mut Draft<'_, V>, resource_id: Text) -> Result<(), V::Error> {
    // It is due once for each of them, and the first time is the last.
    let Some(lease) = lookup::lease(draft, &resource_id)? else { return Ok(()) };
    let now = draft.now();
    let mut revision = lease.revision;
    for holder in lease.holders.iter().filter(|holder| !holder.lives_at(now)) {
        let (subject, previous) = (Noun::Lease.subject(&resource_id), describe::lease(holder));
        revision = draft.record(Action::LeaseExpire, subject, None, Some(previous), None);
    }
    match lease.at(now) {
        Some(rest) => draft.put(Row::Lease(resource_id, LeaseRow { revision, ..rest })),
        None => draft.remove(RowId::Lease(resource_id)),
    }
    Ok(())
}
