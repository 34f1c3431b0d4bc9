//! Cancelling: a run is ended from outside together with its descendants. They
//! count as cancelled from then on ([`lookup::CancelledTrees`]); their rows follow
//! in bounded steps, those of small trees at once and the others by the sweep.

use std::collections::VecDeque;

use super::outcome::{moved, no_such_run};
use super::present;
use crate::machine::command::Cancel;
use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::lookup;
use crate::machine::passing;
use crate::machine::reply::Reply;
use crate::machine::row::{CancellationRow, Row, RunRow};
use crate::machine::row_id::RowId;
use crate::machine::status::Status;
use crate::machine::value::{ClusterMs, Revision, Text};
use crate::machine::view::View;

/// The most descendants that the command itself looks at. The sweep looks at the
/// others.
const AT_ONCE: usize = 100;

/// The most children that are read at once.
const CHUNK: usize = 100;

pub fn cancel<V: View>(draft: &mut Draft<'_, V>, command: &Cancel) -> Result<Reply, V::Error> {
    let Some(run) = present::run(draft, &command.run_id)? else {
        return Ok(no_such_run(&command.run_id));
    };
    if run.is_over() {
        return Ok(moved(&run, Some(describe::taken(&run))));
    }
    let (reason, actor) = (command.reason.clone(), command.agent_id.clone());
    let actor = actor.or_else(|| draft.actor().cloned());
    let cancelled = cancel_one(draft, &run, &reason, actor.as_ref());
    let mut cancellation = CancellationRow {
        revision: draft.revision(),
        at: if draft.counts_lapses() { draft.now() } else { ClusterMs::default() },
        actor,
        reason,
        frames: VecDeque::from([(run.run_id.clone(), Revision::ZERO)]),
    };
    let looks = if draft.is_stepwise() { AT_ONCE } else { usize::MAX };
    cancel_below(draft, &mut cancellation, looks)?;
    store_progress(draft, run.run_id, cancellation);
    Ok(moved(&cancelled, None))
}

/// Ends a run that nobody has asked to cancel, and leaves its descendants to the sweep.
pub fn cancel_unasked<V: View>(
    draft: &mut Draft<'_, V>,
    run: &RunRow,
    reason: Text,
) -> Result<(), V::Error> {
    let reason = Some(reason);
    let after =
        RunRow { status: Status::Cancelled, ready_at: None, error: reason.clone(), ..run.clone() };
    draft.move_run_as(Action::WorkflowCancel, run, after, None);
    if !lookup::children(draft, &run.run_id, Revision::ZERO, 1)?.is_empty() {
        let frames = VecDeque::from([(run.run_id.clone(), Revision::ZERO)]);
        let (revision, at) = (draft.revision(), draft.now());
        let cancellation = CancellationRow { revision, at, actor: None, reason, frames };
        store_progress(draft, run.run_id.clone(), cancellation);
    }
    Ok(())
}

/// Whether `parent` was cancelled, alone or with its tree, so that no child of it may go
/// on: the sweep may have passed it already and would miss the child.
pub fn is_cancelled<V: View>(draft: &Draft<'_, V>, parent: &RunRow) -> Result<bool, V::Error> {
    Ok(parent.status == Status::Cancelled
        || lookup::CancelledTrees::of(draft)?.is_below_cancelled(parent)?)
}

/// Carries on the oldest unfinished cancellation. Returns the number of runs that
/// it looked at, which is zero where there is no such cancellation.
pub fn carry_on<V: View>(draft: &mut Draft<'_, V>, looks: usize) -> Result<usize, V::Error> {
    let Some((run_id, mut cancellation)) = lookup::cancellation(draft)? else { return Ok(0) };
    let looked = cancel_below(draft, &mut cancellation, looks)?;
    store_progress(draft, run_id, cancellation);
    Ok(looked)
}

fn store_progress<V: View>(draft: &mut Draft<'_, V>, run_id: Text, cancellation: CancellationRow) {
    match cancellation.frames.is_empty() {
        true => draft.remove(RowId::Cancellation(run_id)),
        false => draft.put(Row::Cancellation(run_id, Box::new(cancellation))),
    }
}

/// Cancels the descendants of the runs on the stack. Runs that are over are
/// descended into as well, because their children may still go on.
fn cancel_below<V: View>(
    draft: &mut Draft<'_, V>,
    cancellation: &mut CancellationRow,
    looks: usize,
) -> Result<usize, V::Error> {
    let mut looked = 0;
    while looked < looks
        && let Some((parent, after)) = cancellation.frames.front().cloned()
    {
        let children = lookup::children(draft, &parent, after, CHUNK.min(looks - looked))?;
        looked += children.len().max(1);
        match (children.last(), cancellation.frames.front_mut()) {
            (Some(last), Some((_, after))) => *after = last.created_revision,
            (_, _) => drop(cancellation.frames.pop_front()),
        }
        let mut below = Vec::new();
        for child in children {
            let child = ended_by(draft, child, cancellation.at);
            if !child.is_over() {
                let CancellationRow { reason, actor, .. } = &*cancellation;
                cancel_one(draft, &child, reason, actor.as_ref());
            }
            if !lookup::children(draft, &child.run_id, Revision::ZERO, 1)?.is_empty() {
                below.push((child.run_id, Revision::ZERO));
            }
        }
        if draft.is_stepwise() {
            // Depth first keeps the stack small, which is stored with the row.
            below.into_iter().rev().for_each(|frame| cancellation.frames.push_front(frame));
        } else {
            cancellation.frames.extend(below);
        }
    }
    Ok(looked)
}

/// The run, with its end recorded if it had ended by itself before its tree was
/// cancelled.
fn ended_by<V: View>(draft: &mut Draft<'_, V>, run: RunRow, at: ClusterMs) -> RunRow {
    match passing::at(&run, at).filter(|ended| ended.is_over() && draft.counts_lapses()) {
        Some(ended) => draft.move_run_as(Action::WorkflowFail, &run, ended, None),
        None => run,
    }
}

fn cancel_one<V: View>(
    draft: &mut Draft<'_, V>,
    run: &RunRow,
    reason: &Option<Text>,
    actor: Option<&Text>,
) -> RunRow {
    let after =
        RunRow { status: Status::Cancelled, ready_at: None, error: reason.clone(), ..run.clone() };
    draft.move_run(Action::WorkflowCancel, run, after, actor)
}
