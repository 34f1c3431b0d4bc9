//! The best run to claim: the highest priority first, then the earliest place. A run
//! that has waited for long counts as one of a higher priority.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::cancelled::CancelledTrees;
use super::concurrency::Rooms;
use super::stored::{DUE_MAX, RowsFound, SKIPPED_MAX, search_rows};
use crate::machine::command::{Rank, Rules};
use crate::machine::filter::ClaimFilter;
use crate::machine::index::{self, Index};
use crate::machine::query::Candidate;
use crate::machine::row::RunRow;
use crate::machine::value::{ClusterMs, Revision, Text, WallMs};
use crate::machine::view::View;

/// For how long a run waits until it counts as one of the next higher priority.
pub const AGE_MS: u64 = 600_000;

/// How many lower priorities a claim looks at for a run that has waited for long.
const LEVELS_MAX: usize = 16;

/// Runs that fit and whose time has come, but that have not been promoted yet:
/// up to `limit`, earliest first.
pub fn due_runs<V: View>(
    view: &V,
    filter: &ClaimFilter,
    now: ClusterMs,
    limit: usize,
) -> Result<Vec<RunRow>, V::Error> {
    Ok(search_rows(view, &index::waiting(filter, None, Some(now), limit))?.runs().collect())
}

/// The best run after the rank `after` that can be claimed at `now`, or the time
/// at which one becomes claimable. `due` holds the runs of [`due_runs`] that are
/// to be considered as well.
pub fn candidate<V: View>(
    view: &V,
    filter: &ClaimFilter,
    after: Option<Rank>,
    due: &[RunRow],
    now: ClusterMs,
) -> Result<Candidate, V::Error> {
    let meta = view.meta()?;
    let is_patient = meta.rules >= Rules::Attempts;
    let (trees, rooms) = (CancelledTrees::of(view)?, Rooms::of(view, now));
    let mut walker = Walker { view, filter, now, is_patient, trees, rooms };
    let mut fitting = Vec::new();
    for run in due {
        if walker.fits(run)? {
            fitting.push(run.clone());
        }
    }
    let mut best = fitting.iter().min_by(|run, other| order(run).cmp(&order(other))).cloned();
    // Earlier rules did not look for a better one beyond those that were passed over.
    let looks = if is_patient || best.is_none() { SKIPPED_MAX } else { 0 };
    let ready = walker.walk(Index::Ready, after, looks)?;
    let limited = match is_patient {
        true => walker.walk(Index::Limited, after, SKIPPED_MAX)?,
        false => Walked::default(),
    };
    let further = [ready.further, limited.further].into_iter().flatten();
    let further = further.min_by_key(|rank| (Reverse(rank.priority), rank.place));
    for run in ready.found.into_iter().chain(limited.found) {
        best = best.filter(|best| precedes(best, &run)).or(Some(run));
    }
    match (best, further) {
        (Some(best), _) if is_patient && after.is_none() => {
            let run = walker.aged(best, fitting, meta.wall)?;
            Ok(Candidate::Ready(Box::new(run)))
        }
        (Some(best), _) => Ok(Candidate::Ready(Box::new(best))),
        (None, Some(rank)) => Ok(Candidate::Further(rank)),
        (None, None) => next_candidate(view, filter, now),
    }
}

/// Walks along the runs that are ready.
struct Walker<'v, V: View> {
    view: &'v V,
    filter: &'v ClaimFilter,
    now: ClusterMs,
    /// Whether the rules are not earlier ones.
    is_patient: bool,
    trees: CancelledTrees<'v, V>,
    rooms: Rooms<'v, V>,
}

/// Where a walk has ended.
#[derive(Default)]
struct Walked {
    /// The first run that can be claimed.
    found: Option<RunRow>,
    /// Where to go on if none was found and there may be more.
    further: Option<Rank>,
}

impl<V: View> Walker<'_, V> {
    fn fits(&mut self, run: &RunRow) -> Result<bool, V::Error> {
        Ok(run.is_claimable(self.now)
            && !self.trees.is_cancelled(run)?
            && self.rooms.has_room(run)?)
    }

    /// Looks for the first run after the rank `after` that can be claimed, and passes
    /// over not many more than `looks` others.
    fn walk(
        &mut self,
        index: Index,
        after: Option<Rank>,
        looks: usize,
    ) -> Result<Walked, V::Error> {
        let mut last: Option<Vec<u8>> = None;
        let mut skipped = 0;
        loop {
            // One run is enough, unless some come before it that are over although
            // their rows do not say so.
            let limit = if skipped == 0 { 1 } else { DUE_MAX };
            let mut search = index::ready(index, self.filter, after, limit);
            if let Some(last) = &last {
                search = index::beyond(search, last);
            }
            let RowsFound { rows, stopped } = search_rows(self.view, &search)?;
            let is_last = rows.len() < limit && stopped.is_none();
            for (place, row) in rows {
                let Some(run) = row.run() else { continue };
                if self.fits(run)? {
                    return Ok(Walked { found: Some(run.clone()), further: None });
                }
                (last, skipped) = (Some(place), skipped + 1);
            }
            let further = match &stopped {
                Some(stopped) => index::rank_of(stopped).map(|rank| self.going_on(after, rank)),
                None if is_last => return Ok(Walked::default()),
                None if skipped < looks => None,
                None => last
                    .as_ref()
                    .and_then(|last| index::rank_of(last))
                    .map(|rank| if self.is_patient { self.going_on(after, rank) } else { rank }),
            };
            if further.is_some() {
                return Ok(Walked { found: None, further });
            }
        }
    }

    /// The rank after which a search goes on that began after `after` and ended at `rank`.
    /// Others may have the same place, so it begins with that, unless it would never get
    /// beyond it.
    fn going_on(&self, after: Option<Rank>, rank: Rank) -> Rank {
        let before = Rank { place: Revision(rank.place.0.saturating_sub(1)), ..rank };
        if after == Some(before) && self.is_patient { rank } else { before }
    }

    /// The run to claim instead of `best`, if it has waited for so long that it counts
    /// more, and otherwise `best`. `due` holds others that can be claimed.
    fn aged(&mut self, best: RunRow, due: Vec<RunRow>, wall: WallMs) -> Result<RunRow, V::Error> {
        let mut heads = BTreeMap::new();
        for run in due.into_iter().filter(|run| run.priority < best.priority) {
            keep_first(&mut heads, run);
        }
        for index in [Index::Ready, Index::Limited] {
            let lowest = self.view.search(&index::last_ready(index, self.filter))?;
            let lowest = lowest.found.first().and_then(|place| index::rank_of(place));
            let Some(lowest) = lowest.map(|rank| rank.priority) else { continue };
            let mut priority = best.priority;
            for _ in 0..LEVELS_MAX {
                if lowest >= priority {
                    break;
                }
                let after = Some(Rank { priority, place: Revision(u64::MAX) });
                let Some(run) = self.walk(index, after, DUE_MAX)?.found else { break };
                priority = run.priority;
                keep_first(&mut heads, run);
            }
        }
        let mut aged = best;
        for run in heads.into_values() {
            if weight(&run, wall) > weight(&aged, wall) {
                aged = run;
            }
        }
        Ok(aged)
    }
}

/// Keeps the first run of each priority; the highest comes first.
fn keep_first(heads: &mut BTreeMap<Reverse<i64>, RunRow>, run: RunRow) {
    let head = heads.entry(Reverse(run.priority)).or_insert_with(|| run.clone());
    if precedes(&run, head) {
        *head = run;
    }
}

/// The priority of a run with the time for which it has waited, in units of a priority
/// divided by [`AGE_MS`].
fn weight(run: &RunRow, wall: WallMs) -> i128 {
    i128::from(run.priority) * i128::from(AGE_MS)
        + i128::from(wall.0.saturating_sub(run.created_at.0))
}

/// The time at which the first run that fits becomes claimable, where none is
/// yet.
fn next_candidate<V: View>(
    view: &V,
    filter: &ClaimFilter,
    now: ClusterMs,
) -> Result<Candidate, V::Error> {
    let search = index::waiting(filter, Some(now), None, 1);
    let searched = view.search(&search)?;
    // A search that stopped has found none before that point, so no run becomes
    // claimable earlier than that.
    let place = searched.found.first().or(searched.stopped.as_ref());
    Ok(place.and_then(|place| index::time_of(place)).map_or(Candidate::None, Candidate::At))
}

fn precedes(run: &RunRow, other: &RunRow) -> bool {
    order(run) < order(other)
}

fn order(run: &RunRow) -> (Reverse<i64>, Revision, &Text) {
    let Rank { priority, place } = index::rank(run);
    (Reverse(priority), place, &run.run_id)
}
