//! Creating runs. Their ids follow from the command's random number, so that every
//! replica gives a run the same id.

use super::cancel;
use super::dependencies::{self, Prerequisites};
use super::outcome::{no_such_run, refuse};
use super::present;
use crate::machine::command::{Create, UniqueFor, UniqueRequest};
use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::lookup::{self, DEPTH_MAX};
use crate::machine::random::splitmix64;
use crate::machine::reply::{RefusalCode, Reply};
use crate::machine::row::{
    Constraints, OnDependencyFailure, RetryPolicy, RunRow, Unique, UniqueWhile,
};
use crate::machine::row_id::RowId;
use crate::machine::status::Status;
use crate::machine::subject::Noun;
use crate::machine::value::{Revision, Text};
use crate::machine::view::View;

/// The ids to try before giving up. With a million runs one id in 300 million is
/// in use, so three in a row never are.
const ID_TRIES: usize = 3;

pub fn create<V: View>(
    draft: &mut Draft<'_, V>,
    command: &Create,
    random: u64,
) -> Result<Reply, V::Error> {
    if let Some(existing) = holder(draft, command)? {
        let RunRow { run_id, name, status, .. } = existing;
        return Ok(Reply::Created { run_id, name, status, existing: true });
    }
    let constraints = constraints(draft, command);
    let prerequisites = match &constraints {
        Some(constraints) => Prerequisites::of(draft, constraints)?,
        None => Prerequisites::default(),
    };
    if let Some(run_id) = &prerequisites.missing {
        let message = format!("depends_on: {}", describe::no_such_run(run_id));
        return Ok(refuse(RefusalCode::NotFound, message));
    }
    // A run that ends with one of them takes no child any more.
    dependencies::release(draft, dependencies::AT_ONCE)?;
    if let Some(refusal) = objection(draft, command)? {
        return Ok(refusal);
    }
    let Some(run_id) = free_id(draft, random)? else {
        return Ok(refuse(RefusalCode::Internal, "no free run_id was found; ask again"));
    };
    let depth = depth(draft, command)?;
    let mut run = RunRow { depth, constraints, ..new_run(draft, command, run_id.clone()) };
    if let Some(constraints) = &mut run.constraints {
        constraints.blocked_by = prerequisites.pending;
        let failed = prerequisites.failed.as_ref().map(|failed| failed.run_id.clone());
        constraints.blocked_by.extend(failed);
        if !constraints.blocked_by.is_empty() {
            run.status = Status::Blocked;
        }
    }
    let new = Some(describe::created_run(&run));
    let revision =
        draft.record(Action::WorkflowCreate, Noun::Run.subject(&run_id), new, None, None);
    let place = fair_place(draft, command)?;
    let run = draft.put_run(RunRow { created_revision: revision, place, ..run });
    match prerequisites.failed {
        Some(failed) => dependencies::end_with(draft, &run, &failed)?,
        None => dependencies::mark(draft, run.blocked_by())?,
    }
    let run = draft.run(&run_id)?.unwrap_or(run);
    Ok(Reply::Created { run_id, name: run.name, status: run.status, existing: false })
}

/// The run that holds the unique key which the new run is to have.
fn holder<V: View>(draft: &mut Draft<'_, V>, command: &Create) -> Result<Option<RunRow>, V::Error> {
    let Some(unique) = &command.unique else { return Ok(None) };
    for run in lookup::unique_holders(draft, &unique.key, draft.now())? {
        let run = present::settled(draft, run)?;
        if run.unique_hold().is_some() && run.lives_at(draft.now()) {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

fn fair_place<V: View>(
    draft: &Draft<'_, V>,
    command: &Create,
) -> Result<Option<Revision>, V::Error> {
    let Some(fair_key) = &command.fair_key else { return Ok(None) };
    lookup::fair_place(draft, &command.name, fair_key, command.priority)
}

/// What decides, besides its own state, when the run can be claimed.
fn constraints<V: View>(draft: &Draft<'_, V>, command: &Create) -> Option<Box<Constraints>> {
    let unique = command.unique.as_ref().map(|UniqueRequest { key, held }| Unique {
        key: key.clone(),
        held: match held {
            UniqueFor::Queued => UniqueWhile::Queued,
            UniqueFor::Active => UniqueWhile::Active,
            UniqueFor::Ms(ms) => UniqueWhile::Until(draft.now().plus(*ms)),
        },
    });
    let mut depends_on = Vec::new();
    for run_id in &command.depends_on {
        if !depends_on.contains(run_id) {
            depends_on.push(run_id.clone());
        }
    }
    let constraints = Constraints {
        on_dependency_failure: match depends_on.is_empty() {
            true => OnDependencyFailure::default(),
            false => command.on_dependency_failure,
        },
        depends_on,
        concurrency: command.concurrency.clone(),
        fair_key: command.fair_key.clone(),
        unique,
        ..Constraints::default()
    };
    (constraints != Constraints::default()).then(|| Box::new(constraints))
}

/// The ids that a run created with this random number may get, in order of
/// preference: `wf-` and 12 hexadecimal digits.
pub fn run_ids(random: u64) -> Vec<Text> {
    let draws = std::iter::successors(Some(random), |draw| Some(splitmix64(*draw)));
    draws.take(ID_TRIES).map(|draw| format!("wf-{:012x}", draw & 0xffff_ffff_ffff).into()).collect()
}

fn objection<V: View>(draft: &Draft<'_, V>, command: &Create) -> Result<Option<Reply>, V::Error> {
    let Some(parent_run_id) = &command.parent_run_id else { return Ok(None) };
    let Some(parent) = draft.run(parent_run_id)? else {
        return Ok(Some(no_such_run(parent_run_id)));
    };
    let why = if cancel::is_cancelled(draft, &parent)? {
        "is cancelled".to_owned()
    } else if draft.is_stepwise() && parent.depth >= DEPTH_MAX {
        format!("is nested {DEPTH_MAX} deep already")
    } else {
        return Ok(None);
    };
    let message = format!("parent_run_id: workflow '{parent_run_id}' {why}");
    Ok(Some(refuse(RefusalCode::InvalidArgument, message)))
}

/// The number of ancestors of the new run. The first rules did not count them.
fn depth<V: View>(draft: &Draft<'_, V>, command: &Create) -> Result<u32, V::Error> {
    let parent = command.parent_run_id.as_ref().filter(|_| draft.is_stepwise());
    let parent = parent.map(|run_id| draft.run(run_id)).transpose()?.flatten();
    Ok(parent.map_or(0, |parent| parent.depth + 1))
}

fn free_id<V: View>(draft: &Draft<'_, V>, random: u64) -> Result<Option<Text>, V::Error> {
    for run_id in run_ids(random) {
        if draft.row(&RowId::Run(run_id.clone()))?.is_none() {
            return Ok(Some(run_id));
        }
    }
    Ok(None)
}

fn new_run<V: View>(draft: &Draft<'_, V>, command: &Create, run_id: Text) -> RunRow {
    let (counts_lapses, deadline) = (draft.counts_lapses(), command.deadline);
    // A creator who gives no number gets one attempt; see `RetryPolicy`.
    let max_attempts = command.max_attempts.max(u32::from(counts_lapses));
    RunRow {
        run_id,
        name: command.name.clone(),
        status: Status::Created,
        tags: command.tags.clone(),
        input: command.input.clone(),
        priority: command.priority,
        parent_run_id: command.parent_run_id.clone(),
        created_at: draft.wall(),
        updated_at: draft.wall(),
        max_attempts,
        retry: RetryPolicy {
            lapses_max: if counts_lapses { command.max_attempts } else { 0 },
            backoff_ms: command.backoff_ms.unwrap_or_default(),
            backoff_max_ms: command.backoff_max_ms.unwrap_or_default(),
        },
        ready_at: command.delay_ms.map(|delay_ms| draft.now().plus(delay_ms)),
        deadline_at: deadline.filter(|it| !it.from_claim).map(|it| draft.now().plus(it.ms)),
        deadline_ms: deadline.filter(|it| it.from_claim).map(|it| it.ms),
        start_by: command.start_within_ms.map(|ms| draft.now().plus(ms)),
        keep_ms: command.keep_ms,
        ..RunRow::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_distinct_and_twelve_digits_long() {
        for random in [0, 1, u64::MAX] {
            let ids = run_ids(random);
            assert!(ids.iter().all(|id| id.len() == 15 && id.starts_with("wf-")), "{ids:?}");
            assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
        }
        assert_eq!(&*run_ids(0xab)[0], "wf-0000000000ab");
    }
}
