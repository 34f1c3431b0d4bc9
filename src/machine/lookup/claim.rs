//! The best run to claim: the highest priority first, then the earliest place. A run
//! that has waited for long counts as one of a higher priority.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::cancelled::CancelledTrees;
use super::concurrency::Rooms;
use super::pauses::{OpenSearch, open_parts};
use super::stored::{DUE_MAX, RowsFound, SKIPPED_MAX, search_rows};
use crate::machine::command::{Rank, Rules};
use crate::machine::filter::{ClaimFilter, SearchFilter};
use crate::machine::index::{self, Index};
use crate::machine::query::Candidate;
use crate::machine::row::RunRow;
use crate::machine::value::{ClusterMs, Revision, Text, WallMs};
use crate::machine::view::View;

/// For how long a run waits until it counts as one of the next higher priority.
pub const AGE_MS: u64 = 600_000;

/// How many lower priorities a claim looks at for a run that has waited for long.
const LEVELS_MAX: usize = 16;

/// The fewest runs that a search passes over where several share [`SKIPPED_MAX`]: more
/// than one command claims.
const SKIPPED_LEAST: usize = 2 * DUE_MAX;

/// Runs that fit and whose time has come, but that have not been promoted yet:
/// up to `limit`, earliest first.
pub fn due_runs<V: View>(
    view: &V,
    filter: &ClaimFilter,
    now: ClusterMs,
    limit: usize,
) -> Result<Vec<RunRow>, V::Error> {
    let searches = open_parts(view, filter)?;
    let each = limit.div_ceil(searches.len().max(1));
    let mut due = Vec::new();
    for search in &searches {
        due.extend(search_rows(view, &index::waiting(*search, None, Some(now), each))?.runs());
    }
    if searches.len() > 1 {
        due.sort_by_key(|run| (run.claimable_from(), run.created_revision));
    }
    Ok(due)
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
    let open = OpenSearch::of(view, filter)?;
    let mut walker = Walker { view, open, now, is_patient, trees, rooms };
    let mut fitting = Vec::new();
    for run in due {
        if walker.fits(run)? {
            fitting.push(run.clone());
        }
    }
    let mut best = fitting.iter().min_by(|run, other| order(run).cmp(&order(other))).cloned();
    // Earlier rules did not look for a better one beyond those that were passed over.
    let looks = if is_patient || best.is_none() { SKIPPED_MAX } else { 0 };
    let ready = walker.walk_all(Index::Ready, after, looks)?;
    let limited = match is_patient {
        true => walker.walk_all(Index::Limited, after, SKIPPED_MAX)?,
        false => Walked::default(),
    };
    let walked = ready.and(limited);
    if let Some(run) = walked.found {
        best = best.filter(|best| precedes(best, &run)).or(Some(run));
    }
    match (best, walked.further) {
        (Some(best), _) if is_patient && after.is_none() => {
            let run = walker.aged(best, fitting, meta.wall)?;
            Ok(Candidate::Ready(Box::new(run)))
        }
        (Some(best), _) => Ok(Candidate::Ready(Box::new(best))),
        (None, Some(rank)) => Ok(Candidate::Further(rank)),
        (None, None) => walker.next(),
    }
}

/// Walks along the runs that are ready.
struct Walker<'v, V: View> {
    view: &'v V,
    open: OpenSearch<'v>,
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

impl Walked {
    /// Where this walk and another one have ended together.
    fn and(self, other: Walked) -> Walked {
        let found = self.found.into_iter().chain(other.found);
        let further = self.further.into_iter().chain(other.further);
        Walked {
            found: found.min_by(|run, other| order(run).cmp(&order(other))),
            further: further.min_by_key(|rank| (Reverse(rank.priority), rank.place)),
        }
    }
}

impl<V: View> Walker<'_, V> {
    fn fits(&mut self, run: &RunRow) -> Result<bool, V::Error> {
        Ok(self.open.admits(run)
            && run.is_claimable(self.now)
            && !self.trees.is_cancelled(run)?
            && self.rooms.has_room(run)?)
    }

    /// Looks for the first run after the rank `after` that can be claimed, and passes
    /// over not many more than `looks` others. All searches share these.
    fn walk_all(
        &mut self,
        index: Index,
        after: Option<Rank>,
        looks: usize,
    ) -> Result<Walked, V::Error> {
        let searches = self.open.parts.clone();
        let looks = match searches.len() {
            0 | 1 => looks,
            several => looks.div_ceil(several).max(SKIPPED_LEAST),
        };
        let mut walked = Walked::default();
        for search in searches {
            walked = walked.and(self.walk(index, search, after, looks)?);
        }
        Ok(walked)
    }

    fn walk(
        &mut self,
        index: Index,
        filter: SearchFilter<'_>,
        after: Option<Rank>,
        looks: usize,
    ) -> Result<Walked, V::Error> {
        let mut last: Option<Vec<u8>> = None;
        let mut skipped = 0;
        loop {
            // One run is enough, unless some come before it that are over although
            // their rows do not say so.
            let limit = if skipped == 0 { 1 } else { DUE_MAX };
            let mut search = index::ready(index, filter, after, limit);
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
            let Some(lowest) = self.lowest_priority(index)? else { continue };
            let mut priority = best.priority;
            for _ in 0..LEVELS_MAX {
                if lowest >= priority {
                    break;
                }
                let after = Some(Rank { priority, place: Revision(u64::MAX) });
                let Some(run) = self.walk_all(index, after, DUE_MAX)?.found else { break };
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

    /// The time at which the first run that fits becomes claimable, where none is yet.
    fn next(&self) -> Result<Candidate, V::Error> {
        let mut next = None;
        for filter in &self.open.parts {
            let searched = self.view.search(&index::waiting(*filter, Some(self.now), None, 1))?;
            // A search that stopped has found none before that point, so no run becomes
            // claimable earlier than that.
            let place = searched.found.first().or(searched.stopped.as_ref());
            let at = place.and_then(|place| index::time_of(place));
            next = next.into_iter().chain(at).min();
        }
        Ok(next.map_or(Candidate::None, Candidate::At))
    }

    /// The lowest priority of the runs of an index that can be claimed at once.
    fn lowest_priority(&self, index: Index) -> Result<Option<i64>, V::Error> {
        let mut lowest = None;
        for filter in &self.open.parts {
            let last = self.view.search(&index::last_ready(index, *filter))?.found;
            let rank = last.first().and_then(|place| index::rank_of(place));
            lowest = lowest.into_iter().chain(rank.map(|rank| rank.priority)).min();
        }
        Ok(lowest)
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

fn precedes(run: &RunRow, other: &RunRow) -> bool {
    order(run) < order(other)
}

fn order(run: &RunRow) -> (Reverse<i64>, Revision, &Text) {
    let Rank { priority, place } = index::rank(run);
    (Reverse(priority), place, &run.run_id)
}
