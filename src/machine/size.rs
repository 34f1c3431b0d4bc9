//! How large the state is: the number that a quota is held against. A rule
//! that anyone can check by hand, and not what a store happens to use: each row
//! counts its names and values in bytes, and [`ROW_BYTES`] for all the rest.
//!
//! Remembered answers are bounded by themselves and do not count; nor does the
//! history.

use std::collections::BTreeMap;

use super::change::Change;
use super::row::{KeyRow, LeaseRow, RunRow, SessionRow, StepRow};
use super::view::View;

/// What a row counts beside its names and values.
pub const ROW_BYTES: u64 = 64;

/// Which row a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place<'a> {
    Key(&'a str),
    Lease(&'a str),
    Run(&'a str),
    Step(&'a str, u64),
    Session(&'a str),
}

/// What the row counts that `change` puts; 0 where it puts none that counts.
pub fn of_put(change: &Change) -> u64 {
    match change {
        Change::PutKey(key, row) => of_key(key, row),
        Change::PutLease(resource_id, row) => of_lease(resource_id, row),
        Change::PutRun(row) => of_run(row),
        Change::PutStep(run_id, _, row) => of_step(run_id, row),
        Change::PutSession(session_id, row) => of_session(session_id, row),
        Change::DropKey(_)
        | Change::DropLease(_)
        | Change::DropSession(_)
        | Change::PutRequest(..)
        | Change::DropRequest(_)
        | Change::PutOrigin(..)
        | Change::DropOrigin(_)
        | Change::PutAnswer(..)
        | Change::DropAnswersBelow(..)
        | Change::Clear => 0,
    }
}

/// The size of a state after `changes`, which `view` shows at the size `before`.
///
/// # Errors
/// Only those of the view.
pub fn after<V: View>(view: &V, before: u64, changes: &[Change]) -> Result<u64, V::Error> {
    let mut size = before;
    // Rows that this very command has put or dropped already.
    let mut changed = BTreeMap::new();
    let mut cleared = false;
    for change in changes {
        if matches!(change, Change::Clear) {
            (size, cleared) = (0, true);
            changed.clear();
        }
        let Some(place) = place(change) else { continue };
        let new = of_put(change);
        let old = match changed.insert(place, new) {
            Some(old) => old,
            None if cleared => 0,
            None => of_row(view, place)?,
        };
        size = size.saturating_sub(old).saturating_add(new);
    }
    Ok(size)
}

fn place(change: &Change) -> Option<Place<'_>> {
    match change {
        Change::PutKey(key, _) | Change::DropKey(key) => Some(Place::Key(key)),
        Change::PutLease(id, _) | Change::DropLease(id) => Some(Place::Lease(id)),
        Change::PutRun(row) => Some(Place::Run(&row.run_id)),
        Change::PutStep(run_id, step, _) => Some(Place::Step(run_id, *step)),
        Change::PutSession(id, _) | Change::DropSession(id) => Some(Place::Session(id)),
        Change::PutRequest(..)
        | Change::DropRequest(_)
        | Change::PutOrigin(..)
        | Change::DropOrigin(_)
        | Change::PutAnswer(..)
        | Change::DropAnswersBelow(..)
        | Change::Clear => None,
    }
}

/// What a row counts that is there; 0 where there is none.
fn of_row<V: View>(view: &V, place: Place<'_>) -> Result<u64, V::Error> {
    let size = match place {
        Place::Key(key) => view.key(key)?.map(|row| of_key(key, &row)),
        Place::Lease(id) => view.lease(id)?.map(|row| of_lease(id, &row)),
        Place::Run(run_id) => view.run(run_id)?.map(|row| of_run(&row)),
        Place::Step(run_id, step) => view.step(run_id, step)?.map(|row| of_step(run_id, &row)),
        Place::Session(id) => view.session(id)?.map(|row| of_session(id, &row)),
    };
    Ok(size.unwrap_or(0))
}

fn of_key(key: &str, row: &KeyRow) -> u64 {
    of_texts([key, row.value.as_str()])
}

fn of_lease(resource_id: &str, row: &LeaseRow) -> u64 {
    of_texts([resource_id, &*row.holder_id])
}

fn of_step(run_id: &str, row: &StepRow) -> u64 {
    of_texts([run_id, row.output.as_str()])
}

fn of_session(session_id: &str, row: &SessionRow) -> u64 {
    of_texts([session_id, row.context.as_str()])
}

fn of_run(row: &RunRow) -> u64 {
    let texts = [&row.parent_run_id, &row.agent_id, &row.error];
    let values = [&row.input, &row.result];
    let tags = row.tags.iter().flat_map(|(name, value)| [&**name, &**value]);
    let optional = texts.into_iter().flatten().map(|text| &**text);
    let values = values.into_iter().flatten().map(|value| value.as_str());
    of_texts([&*row.run_id, &*row.name].into_iter().chain(tags).chain(optional).chain(values))
}

fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    texts.into_iter().map(|text| text.len() as u64).fold(ROW_BYTES, u64::saturating_add)
}
