//! Dependencies: a run is blocked until those that it depends on are over. When one of
//! them ends, by whatever way, its dependents are told in bounded steps: some by the
//! command that ends it, and the others by the sweep.
//!
//! A run can only depend on older ones, so there are no cycles.

use super::{cancel, present};
use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::lookup;
use crate::machine::row::{Constraints, OnDependencyFailure, Row, RunRow};
use crate::machine::status::Status;
use crate::machine::value::Text;
use crate::machine::view::View;

/// The most dependents that a command tells. The sweep tells the others.
pub const AT_ONCE: usize = 100;

/// The runs that another one depends on, as they are now.
#[derive(Default)]
pub struct Prerequisites {
    /// Those that are not over.
    pub pending: Vec<Text>,
    /// The first one by whose failure the other run may not go on.
    pub failed: Option<RunRow>,
    /// The first one that does not exist.
    pub missing: Option<Text>,
}

impl Prerequisites {
    /// Looks at the prerequisites of a run. One that was removed is over, and nobody
    /// knows any more how it ended.
    pub fn of<V: View>(
        draft: &mut Draft<'_, V>,
        constraints: &Constraints,
    ) -> Result<Self, V::Error> {
        let mut prerequisites = Prerequisites::default();
        for run_id in &constraints.depends_on {
            match present::run(draft, run_id)? {
                Some(run) if !run.is_over() => prerequisites.pending.push(run.run_id),
                Some(run) if forbids(&run, constraints) => {
                    prerequisites.failed.get_or_insert(run);
                }
                Some(_) => {}
                None => drop(prerequisites.missing.get_or_insert_with(|| run_id.clone())),
            }
        }
        Ok(prerequisites)
    }
}

/// Whether a run with these constraints may not go on because this one has ended badly.
fn forbids(run: &RunRow, constraints: &Constraints) -> bool {
    run.status != Status::Done && constraints.on_dependency_failure != OnDependencyFailure::Continue
}

/// Notes on each of these runs that others depend on it.
pub fn mark<V: View>(draft: &mut Draft<'_, V>, run_ids: &[Text]) -> Result<(), V::Error> {
    for run_id in run_ids {
        if let Some(run) = lookup::stored_run(draft, run_id)?.filter(|run| !run.has_dependents) {
            draft.put(Row::Run(Box::new(RunRow { has_dependents: true, ..run })));
        }
    }
    Ok(())
}

/// Tells the dependents of the runs that this command has ended, which may end further
/// ones. Returns the number of rows that it looked at, up to `looks`.
pub fn release<V: View>(draft: &mut Draft<'_, V>, looks: usize) -> Result<usize, V::Error> {
    let mut looked = 0;
    while looked < looks
        && let Some(run_id) = draft.next_ended()
    {
        looked += release_of(draft, &run_id, looks - looked)?.max(1);
    }
    Ok(looked)
}

/// Tells up to `looks` dependents of a run that is over, and notes whether there are
/// others. Returns how many it looked at.
pub fn release_of<V: View>(
    draft: &mut Draft<'_, V>,
    run_id: &Text,
    looks: usize,
) -> Result<usize, V::Error> {
    let ended = lookup::stored_run(draft, run_id)?.filter(|run| run.is_over());
    let Some(ended) = ended.filter(|run| run.has_dependents) else { return Ok(0) };
    let mut dependents = lookup::dependents(draft, run_id, looks.saturating_add(1))?;
    let is_last = dependents.len() <= looks;
    dependents.truncate(looks);
    let looked = dependents.len();
    for dependent in dependents {
        tell(draft, dependent, &ended)?;
    }
    match is_last {
        true => draft.put(Row::Run(Box::new(RunRow { has_dependents: false, ..ended }))),
        false => draft.note_ended(ended.run_id),
    }
    Ok(looked)
}

/// Lets a blocked run go on without `ended`, or ends it too.
fn tell<V: View>(draft: &mut Draft<'_, V>, run: RunRow, ended: &RunRow) -> Result<(), V::Error> {
    let run = present::settled(draft, run)?;
    if !run.blocked_by().contains(&ended.run_id) {
        return Ok(());
    }
    let Some(constraints) = &run.constraints else { return Ok(()) };
    if forbids(ended, constraints) {
        return end_with(draft, &run, ended);
    }
    let mut constraints = constraints.clone();
    constraints.blocked_by.retain(|run_id| *run_id != ended.run_id);
    let (status, ready_at) = match constraints.blocked_by.is_empty() {
        true => (Status::Created, run.ready_at.filter(|at| *at > draft.now())),
        false => (Status::Blocked, run.ready_at),
    };
    let after = RunRow { status, ready_at, constraints: Some(constraints), ..run.clone() };
    draft.move_run_as(Action::WorkflowUnblock, &run, after, None);
    Ok(())
}

/// Ends a run because one that it depends on has failed or was cancelled.
pub fn end_with<V: View>(
    draft: &mut Draft<'_, V>,
    run: &RunRow,
    ended: &RunRow,
) -> Result<(), V::Error> {
    let reason = describe::dependency_failed(ended);
    let policy = run.constraints.as_ref().map(|it| it.on_dependency_failure);
    if policy == Some(OnDependencyFailure::Cancel) {
        return cancel::cancel_unasked(draft, run, reason);
    }
    let (status, error) = (Status::Failed, Some(reason));
    let after = RunRow { status, ready_at: None, error, ..run.clone() };
    draft.move_run_as(Action::WorkflowFail, run, after, None);
    Ok(())
}
