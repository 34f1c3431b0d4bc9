//! Trying failed runs again: they go back to be claimed at once, with all their
//! attempts before them and every step kept.

use super::cancel;
use super::dependencies::{self, Prerequisites};
use super::outcome::{moved, no_such_run};
use super::present;
use crate::machine::command::{RetriedRuns, Retry};
use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::filter::RunFilter;
use crate::machine::lookup;
use crate::machine::page::Page;
use crate::machine::reply::{Reply, Retried};
use crate::machine::row::RunRow;
use crate::machine::status::Status;
use crate::machine::value::{Revision, Text};
use crate::machine::view::View;

/// The most runs that one command lets be tried again.
const AT_ONCE: usize = 100;

pub fn retry<V: View>(draft: &mut Draft<'_, V>, command: &Retry) -> Result<Reply, V::Error> {
    match &command.runs {
        RetriedRuns::One(run_id) => one(draft, run_id, command.agent_id.as_ref()),
        RetriedRuns::Many { name, tags, before } => {
            let failed = RunFilter {
                name: name.clone(),
                tags: tags.clone(),
                status: Some(Status::Failed),
                ..RunFilter::default()
            };
            many(draft, &failed, *before, command.agent_id.as_ref())
        }
    }
}

fn one<V: View>(
    draft: &mut Draft<'_, V>,
    run_id: &Text,
    agent_id: Option<&Text>,
) -> Result<Reply, V::Error> {
    let Some(run) = present::run(draft, run_id)? else { return Ok(no_such_run(run_id)) };
    if run.status != Status::Failed {
        return Ok(moved(&run, Some(describe::taken(&run))));
    }
    if is_below_cancelled(draft, &run)? {
        return Ok(moved(&run, Some("a run above it is cancelled".into())));
    }
    Ok(match again(draft, &run, agent_id)? {
        Ok(after) => moved(&after, None),
        Err(reason) => moved(&run, Some(reason)),
    })
}

fn is_below_cancelled<V: View>(draft: &Draft<'_, V>, run: &RunRow) -> Result<bool, V::Error> {
    // Also a parent whose time is over and whose row is still there.
    let parent = run.parent_run_id.as_ref();
    let parent = parent.map(|run_id| lookup::stored_run(draft, run_id)).transpose()?;
    parent.flatten().map_or(Ok(false), |parent| cancel::is_cancelled(draft, &parent))
}

fn many<V: View>(
    draft: &mut Draft<'_, V>,
    failed: &RunFilter,
    before: Option<Revision>,
    agent_id: Option<&Text>,
) -> Result<Reply, V::Error> {
    let page = Page::of_rows(AT_ONCE);
    let (runs, next) = lookup::runs(draft, failed, before, draft.now(), page)?;
    let mut run_ids = Vec::new();
    // Oldest first, so that a run waits for its prerequisites that are tried again too.
    for run in runs.into_iter().rev() {
        if !is_below_cancelled(draft, &run)?
            && let Ok(run) = again(draft, &run, agent_id)?
        {
            run_ids.push(run.run_id);
        }
    }
    run_ids.reverse();
    Ok(Reply::Retried(Retried { run_ids, next }))
}

/// The run as it goes back, or the reason why it cannot.
fn again<V: View>(
    draft: &mut Draft<'_, V>,
    run: &RunRow,
    agent_id: Option<&Text>,
) -> Result<Result<RunRow, Text>, V::Error> {
    let mut constraints = run.constraints.clone();
    if let Some(constraints) = &mut constraints {
        let prerequisites = Prerequisites::of(draft, constraints)?;
        if let Some(failed) = prerequisites.failed {
            return Ok(Err(describe::dependency_failed(&failed)));
        }
        constraints.blocked_by = prerequisites.pending;
        dependencies::mark(draft, &constraints.blocked_by)?;
    }
    let is_blocked = constraints.as_ref().is_some_and(|it| !it.blocked_by.is_empty());
    let after = RunRow {
        status: if is_blocked { Status::Blocked } else { Status::Created },
        constraints,
        attempts: 0,
        ready_at: None,
        // The time that the run may take begins anew.
        deadline_at: None,
        start_by: None,
        expires_at: None,
        agent_id: None,
        claim: None,
        ..run.clone()
    };
    Ok(Ok(draft.move_run(Action::WorkflowRetry, run, after, agent_id)))
}
