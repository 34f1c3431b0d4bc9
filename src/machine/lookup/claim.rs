//! The best run to claim: the highest priority first, then the oldest.

use super::cancelled::CancelledTrees;
use super::stored::{RowsFound, SKIPPED_MAX, search_rows};
use crate::machine::command::{Rank, Rules};
use crate::machine::filter::ClaimFilter;
use crate::machine::index;
use crate::machine::query::Candidate;
use crate::machine::row::RunRow;
use crate::machine::value::{ClusterMs, Revision};
use crate::machine::view::View;

/// The most runs whose time has come that one look-up compares with those that
/// are ready. The sweep promotes the others, some thousands a second.
pub const DUE_MAX: usize = 100;

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
    let mut trees = CancelledTrees::of(view)?;
    let mut best: Option<RunRow> = None;
    for run in due {
        let better = best.as_ref().is_none_or(|best| precedes(run, best));
        if better && run.is_claimable(now) && !trees.is_cancelled(run)? {
            best = Some(run.clone());
        }
    }
    let is_patient = view.meta()?.rules >= Rules::Attempts;
    let mut after = after;
    let mut skipped = 0;
    loop {
        // One run is enough, unless some come before it that are over although
        // their rows do not say so.
        let limit = if skipped == 0 { 1 } else { DUE_MAX };
        let found = search_rows(view, &index::ready(filter, after, limit))?;
        let RowsFound { rows, stopped } = found;
        let is_last = rows.len() < limit;
        for (_, row) in rows {
            let Some(run) = row.run() else { continue };
            if run.is_claimable(now) && !trees.is_cancelled(run)? {
                let best = best.filter(|best| precedes(best, run)).unwrap_or_else(|| run.clone());
                return Ok(Candidate::Ready(Box::new(best)));
            }
            (after, skipped) = (Some(index::rank(run)), skipped + 1);
        }
        // There may be a better one beyond those that were passed over. Earlier rules did
        // not look.
        let looks_on = !is_last && stopped.is_none() && skipped < SKIPPED_MAX && is_patient;
        if let Some(best) = best.take_if(|_| !looks_on) {
            return Ok(Candidate::Ready(Box::new(best)));
        }
        if let Some(stopped) = stopped.and_then(|place| index::rank_of(&place)) {
            return Ok(Candidate::Further(before(stopped)));
        }
        match after {
            _ if is_last => break,
            Some(after) if skipped >= SKIPPED_MAX => return Ok(Candidate::Further(after)),
            Some(_) | None => {}
        }
    }
    next_candidate(view, filter, now)
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
    let order = |run: &RunRow| (std::cmp::Reverse(run.priority), run.created_revision);
    order(run) < order(other)
}

/// The rank right before this one, so that a search that starts after it begins
/// with this one.
fn before(rank: Rank) -> Rank {
    let created_revision = Revision(rank.created_revision.0.saturating_sub(1));
    Rank { created_revision, ..rank }
}
