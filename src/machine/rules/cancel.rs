//! Cancelling: a run is ended from outside with all that it started. Those below
//! it count as cancelled from then on ([`lookup::Trees`]); their rows follow in
//! bounded steps, small trees at once and large ones by the sweep.

use std::collections::VecDeque;

use super::heartbeat::moved;
use super::no_such_run;
use crate::machine::command::Cancel;
use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::lookup;
use crate::machine::reply::Reply;
use crate::machine::row::{CancellationRow, Row, RowId, RunRow, Status};
use crate::machine::value::{Revision, Text};
use crate::machine::view::View;

/// Runs below it that a command looks at; the sweep has the rest.
const AT_ONCE: usize = 100;

/// Children read at once.
const CHUNK: usize = 100;

pub fn cancel<V: View>(draft: &mut Draft<'_, V>, command: &Cancel) -> Result<Reply, V::Error> {
    let Some(run) = draft.run(&command.run_id)? else {
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
        actor,
        reason,
        frames: VecDeque::from([(run.run_id.clone(), Revision::ZERO)]),
    };
    let looks = if draft.is_stepwise() { AT_ONCE } else { usize::MAX };
    go_on(draft, &mut cancellation, looks)?;
    keep(draft, run.run_id, cancellation);
    Ok(moved(&cancelled, None))
}

/// Carries on the oldest cancellation that is under way. Gives how many runs
/// were looked at; none where there is none.
pub fn carry_on<V: View>(draft: &mut Draft<'_, V>, looks: usize) -> Result<usize, V::Error> {
    let Some((run_id, mut cancellation)) = lookup::cancellation(draft)? else { return Ok(0) };
    let looked = go_on(draft, &mut cancellation, looks)?;
    keep(draft, run_id, cancellation);
    Ok(looked)
}

fn keep<V: View>(draft: &mut Draft<'_, V>, run_id: Text, cancellation: CancellationRow) {
    match cancellation.frames.is_empty() {
        true => draft.remove(RowId::Cancellation(run_id)),
        false => draft.put(Row::Cancellation(run_id, Box::new(cancellation))),
    }
}

/// Cancels below the runs of the frames, also below runs that are over: what
/// those started may still go on.
fn go_on<V: View>(
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
            if !child.is_over() {
                let CancellationRow { reason, actor, .. } = &*cancellation;
                cancel_one(draft, &child, reason, actor.as_ref());
            }
            if !lookup::children(draft, &child.run_id, Revision::ZERO, 1)?.is_empty() {
                below.push((child.run_id, Revision::ZERO));
            }
        }
        if draft.is_stepwise() {
            // Depth first keeps the frames few.
            below.into_iter().rev().for_each(|frame| cancellation.frames.push_front(frame));
        } else {
            cancellation.frames.extend(below);
        }
    }
    Ok(looked)
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
