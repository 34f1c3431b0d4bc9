//! Removing runs that are over, with their steps: those whose time has passed, and
//! those that a caller deletes. A run reads as absent at once; a long one loses its
//! steps little by little.

use super::outcome::{moved, no_such_run};
use super::{dependencies, present};
use crate::machine::command::DeleteRun;
use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::lookup;
use crate::machine::page::{Page, Range};
use crate::machine::reply::Reply;
use crate::machine::row::{Row, RunRow};
use crate::machine::row_id::RowId;
use crate::machine::subject::Noun;
use crate::machine::value::Text;
use crate::machine::view::View;

/// The most steps that the command itself removes. The sweep removes the others.
const AT_ONCE: usize = 100;

pub fn delete<V: View>(draft: &mut Draft<'_, V>, command: &DeleteRun) -> Result<Reply, V::Error> {
    let Some(run) = present::run(draft, &command.run_id)? else {
        return Ok(no_such_run(&command.run_id));
    };
    if !run.is_over() {
        return Ok(moved(&run, Some(describe::not_over(&run))));
    }
    if run.has_dependents {
        dependencies::release_of(draft, &run.run_id, AT_ONCE)?;
    }
    let run = lookup::stored_run(draft, &run.run_id)?.unwrap_or(run);
    if run.has_dependents {
        let reason = "the sweep is still releasing runs that depend on it; ask again later";
        return Ok(moved(&run, Some(reason.into())));
    }
    let reply = moved(&run, None);
    remove(draft, run, Action::WorkflowDelete, command.agent_id.as_ref(), AT_ONCE)?;
    Ok(reply)
}

/// Removes the run and up to `steps_max` of its steps, and records it unless that has
/// been done. Returns the number of rows that it removed.
pub fn remove<V: View>(
    draft: &mut Draft<'_, V>,
    run: RunRow,
    action: Action,
    agent_id: Option<&Text>,
    steps_max: usize,
) -> Result<usize, V::Error> {
    let range = Range::Steps(run.run_id.clone(), 0);
    let mut steps = draft.rows(&range, Page::of_rows(steps_max.saturating_add(1)))?;
    let is_last = steps.len() <= steps_max;
    steps.truncate(steps_max);
    if !run.removed {
        let subject = Noun::Run.subject(&run.run_id);
        draft.record(action, subject, None, Some(describe::run(&run)), agent_id);
    }
    steps.iter().for_each(|step| draft.remove(step.id()));
    match is_last {
        true => draft.remove(RowId::Run(run.run_id)),
        false => draft.put(Row::Run(Box::new(RunRow { removed: true, ..run }))),
    }
    Ok(steps.len() + 1)
}
