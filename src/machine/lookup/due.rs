//! What the passing of time calls for: rows to remove, the next deadline, and
//! counts without the rows that nobody can see any more.

use std::collections::{BTreeMap, BTreeSet};

use super::stored::{lease, search_rows, stored_run};
use crate::machine::filter::SearchFilter;
use crate::machine::index::{self, Index};
use crate::machine::meta::Counts;
use crate::machine::row::Row;
use crate::machine::row_id::RowId;
use crate::machine::timetable::{FiringMs, Timetable};
use crate::machine::value::{ClusterMs, Text, WallMs};
use crate::machine::view::View;

/// The most expired rows that counts leave out. Others count until the sweep has
/// removed them.
pub const UNCOUNTED_MAX: usize = 1_000;

/// Rows that have expired at `now` or have been remembered for long enough, and runs
/// that the passing of time has changed, earliest first.
pub fn due_rows<V: View>(view: &V, now: ClusterMs, limit: usize) -> Result<Vec<RowId>, V::Error> {
    let mut due = Vec::new();
    for index in [Index::Deadline, Index::Request, Index::Origin] {
        let search = index::expired(index, now, limit);
        for place in view.search(&search)?.found {
            due.extend(index::time_of(&place).zip(search.id(&place)));
        }
    }
    due.sort();
    due.truncate(limit);
    Ok(due.into_iter().map(|(_, id)| id).collect())
}

/// What the passing of time calls for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Whether a sweep would have something to do.
    pub sweep: bool,
    /// Schedules whose next firing has come, earliest first.
    pub schedules: Vec<DueSchedule>,
}

/// A schedule whose next firing has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueSchedule {
    pub name: Text,
    pub timetable: Timetable,
    pub due_at: FiringMs,
    /// The present on the clock by which the schedule goes.
    pub present: FiringMs,
}

/// The most schedules that are fired before the next look.
const FIRED_MAX: usize = 100;

/// What the passing of time calls for at these times.
pub fn due<V: View>(view: &V, clock: ClusterMs, wall: WallMs) -> Result<Due, V::Error> {
    let mut due = Due { sweep: is_due(view, clock)?, schedules: Vec::new() };
    if view.meta()?.counts.schedules == 0 {
        return Ok(due);
    }
    for search in index::firing(clock, wall, FIRED_MAX) {
        for (_, row) in search_rows(view, &search)?.rows {
            if let Row::Schedule(name, row) = &*row
                && let Some(due_at) = row.next_at
            {
                let (name, timetable) = (name.clone(), row.timetable.clone());
                let present = row.present(clock, wall);
                due.schedules.push(DueSchedule { name, timetable, due_at, present });
            }
        }
    }
    Ok(due)
}

/// Whether a sweep would have something to do at `now`.
fn is_due<V: View>(view: &V, now: ClusterMs) -> Result<bool, V::Error> {
    let no_tags = BTreeMap::new();
    let any = SearchFilter::of_tags(&no_tags);
    Ok(view.meta()?.counts.cancellations > 0
        || !due_rows(view, now, 1)?.is_empty()
        || !view.search(&index::waiting(any, None, Some(now), 1))?.found.is_empty())
}

/// The earliest time after `after` at which the passing of time alone would
/// change an answer: the deadline of a key, a lease, a session or a claim, the end
/// of a run, or the end of its delay.
pub fn next_deadline<V: View>(view: &V, after: ClusterMs) -> Result<Option<ClusterMs>, V::Error> {
    let mut next = None;
    for search in index::deadlines(after) {
        let searched = view.search(&search)?;
        let at = searched.found.first().and_then(|place| index::time_of(place));
        // A search after the last time of all begins with that time itself.
        next = next.into_iter().chain(at).filter(|at| *at > after).min();
    }
    Ok(next)
}

/// The idempotency key of the oldest remembered request.
pub fn oldest_request<V: View>(view: &V) -> Result<Option<Text>, V::Error> {
    let search = index::remembered(1);
    let found = view.search(&search)?.found;
    Ok(found.first().and_then(|place| match search.id(place)? {
        RowId::Request(key) => Some(key),
        _ => None,
    }))
}

/// The number of rows of each kind at `now`, without the expired ones as far as
/// `uncounted_max` of them.
pub fn counts<V: View>(view: &V, now: ClusterMs, uncounted_max: usize) -> Result<Counts, V::Error> {
    let mut counts = view.meta()?.counts;
    let search = index::expired(Index::Deadline, now, uncounted_max);
    // A lease is listed once for each of its holders.
    let mut over = BTreeSet::new();
    for place in view.search(&search)?.found {
        match search.id(&place) {
            Some(RowId::Key(_)) => counts.keys -= 1,
            Some(RowId::Lease(resource_id)) if over.insert(resource_id.clone()) => {
                let row = lease(view, &resource_id)?;
                counts.leases -= u64::from(row.is_some_and(|row| !row.lives_at(now)));
            }
            Some(RowId::Session(_)) => counts.sessions -= 1,
            Some(RowId::Run(run_id)) => {
                let run = stored_run(view, &run_id)?;
                counts.runs -= u64::from(run.is_some_and(|run| !run.lives_at(now)));
            }
            _ => {}
        }
    }
    Ok(counts)
}
