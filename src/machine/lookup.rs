//! Look-ups: what rules and questions find, as code over rows and searches. Each
//! is written once, for all stores, and looks at a bounded number of rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::command::Rank;
use super::index::{self, Index, Search};
use super::row::{
    CancellationRow, Counts, KeyRow, LeaseRow, Row, RowId, RunRow, SessionRow, Status, StepRow,
};
use super::size;
use super::value::{ClusterMs, Revision, Text};
use super::view::{Candidate, ClaimFilter, Page, Range, RunFilter, Scan, View};

/// Runs whose time has come that one look-up weighs against those that are
/// ready. The sweep promotes the others, some thousands a second.
pub const DUE_MAX: usize = 100;

/// How deep runs may be nested. Whether a run was cancelled with one above it is
/// looked up along that way.
pub const DEPTH_MAX: u32 = 100;

/// Rows of older versions may be nested deeper than [`DEPTH_MAX`]; no look-up
/// climbs farther than this. The sweep reaches what lies below.
const CLIMB_MAX: usize = 1_000;

/// Rows that a list looks at beyond those that it gives.
const PASSED_MAX: usize = 1_000;

/// Rows whose time is over that counts leave out; more of them count until the
/// sweep has removed them.
pub const UNCOUNTED_MAX: usize = 1_000;

/// Rows by what orders them, and after which of them the next page begins, if
/// there may be more.
type Listed<K, T> = (Vec<(K, T)>, Option<K>);

pub fn key<V: View>(view: &V, key: &Text) -> Result<Option<KeyRow>, V::Error> {
    Ok(view.row(&RowId::Key(key.clone()))?.and_then(|row| match &*row {
        Row::Key(_, row) => Some(row.clone()),
        _ => None,
    }))
}

pub fn lease<V: View>(view: &V, resource_id: &Text) -> Result<Option<LeaseRow>, V::Error> {
    Ok(view.row(&RowId::Lease(resource_id.clone()))?.and_then(|row| match &*row {
        Row::Lease(_, row) => Some(row.clone()),
        _ => None,
    }))
}

pub fn session<V: View>(view: &V, session_id: &Text) -> Result<Option<SessionRow>, V::Error> {
    Ok(view.row(&RowId::Session(session_id.clone()))?.and_then(|row| match &*row {
        Row::Session(_, row) => Some(row.clone()),
        _ => None,
    }))
}

/// The run as it is stored.
pub fn stored_run<V: View>(view: &V, run_id: &Text) -> Result<Option<RunRow>, V::Error> {
    Ok(view.row(&RowId::Run(run_id.clone()))?.and_then(|row| as_run(&row).cloned()))
}

/// The run as everybody sees it: cancelled where one above it was, whether or
/// not the sweep has reached it.
pub fn run<V: View>(view: &V, run_id: &Text) -> Result<Option<RunRow>, V::Error> {
    let Some(run) = stored_run(view, run_id)? else { return Ok(None) };
    Ok(Some(Trees::of(view)?.seen(run)?))
}

fn as_run(row: &Row) -> Option<&RunRow> {
    match row {
        Row::Run(run) => Some(run),
        _ => None,
    }
}

/// The rows that a search found, each with the rank under which it was.
fn found<V: View>(view: &V, search: &Search) -> Result<Found, V::Error> {
    let searched = view.search(search)?;
    let mut rows = Vec::with_capacity(searched.found.len());
    for place in searched.found {
        // An entry without its row would be damage, which a store tells.
        if let Some(row) = search.id(&place).map(|id| view.row(&id)).transpose()?.flatten() {
            rows.push((place, row));
        }
    }
    Ok(Found { rows, stopped: searched.stopped })
}

struct Found {
    rows: Vec<(Vec<u8>, Arc<Row>)>,
    stopped: Option<Vec<u8>>,
}

impl Found {
    fn runs(self) -> impl Iterator<Item = RunRow> {
        self.rows.into_iter().filter_map(|(_, row)| as_run(&row).cloned())
    }
}

/// Runs that fit and whose time has come without their having been promoted yet,
/// `limit` at most, the earliest first.
pub fn due_runs<V: View>(
    view: &V,
    filter: &ClaimFilter,
    now: ClusterMs,
    limit: usize,
) -> Result<Vec<RunRow>, V::Error> {
    Ok(found(view, &index::waiting(filter, None, Some(now), limit))?.runs().collect())
}

/// The best run that can be claimed at `now` (highest priority, then oldest), of
/// those behind the rank `after`, or when there will be one by the passing of
/// time. `due` are those of [`due_runs`], or as many as are to be looked at.
pub fn candidate<V: View>(
    view: &V,
    filter: &ClaimFilter,
    after: Option<Rank>,
    due: &[RunRow],
    now: ClusterMs,
) -> Result<Candidate, V::Error> {
    let mut trees = Trees::of(view)?;
    let mut best: Option<RunRow> = None;
    for run in due {
        let better = best.as_ref().is_none_or(|best| precedes(run, best));
        if better && !trees.is_cancelled(run)? {
            best = Some(run.clone());
        }
    }
    let mut after = after;
    let mut passed = 0;
    loop {
        // One is enough but where cancelled ones stand in front.
        let limit = if passed == 0 { 1 } else { DUE_MAX };
        let Found { rows, stopped } = found(view, &index::ready(filter, after, limit))?;
        let is_last = rows.len() < limit;
        for (_, row) in rows {
            let Some(run) = as_run(&row) else { continue };
            if !trees.is_cancelled(run)? {
                let best = best.filter(|best| precedes(best, run)).unwrap_or_else(|| run.clone());
                return Ok(Candidate::Ready(Box::new(best)));
            }
            (after, passed) = (Some(index::rank(run)), passed + 1);
        }
        if let Some(best) = best {
            return Ok(Candidate::Ready(Box::new(best)));
        }
        if let Some(stopped) = stopped.and_then(|place| index::rank_of(&place)) {
            return Ok(Candidate::Further(before(stopped)));
        }
        match after {
            _ if is_last => break,
            Some(after) if passed >= PASSED_MAX => return Ok(Candidate::Further(after)),
            Some(_) | None => {}
        }
    }
    next_candidate(view, filter, now)
}

/// When the first run that fits becomes claimable, though none is yet.
fn next_candidate<V: View>(
    view: &V,
    filter: &ClaimFilter,
    now: ClusterMs,
) -> Result<Candidate, V::Error> {
    let search = index::waiting(filter, Some(now), None, 1);
    let searched = view.search(&search)?;
    // Where the search stopped there was none before.
    let place = searched.found.first().or(searched.stopped.as_ref());
    Ok(place.and_then(|place| index::time_of(place)).map_or(Candidate::None, Candidate::At))
}

fn precedes(run: &RunRow, other: &RunRow) -> bool {
    let merit = |run: &RunRow| (std::cmp::Reverse(run.priority), run.created_revision);
    merit(run) < merit(other)
}

/// The rank in front of this one, so that a search behind it begins with it.
fn before(rank: Rank) -> Rank {
    let created_revision = Revision(rank.created_revision.0.saturating_sub(1));
    Rank { created_revision, ..rank }
}

/// One page of runs, newest first, and the revision from before which on the
/// next one goes, if there may be more.
pub fn runs<V: View>(
    view: &V,
    filter: &RunFilter,
    before: Option<Revision>,
    now: ClusterMs,
    page: Page,
) -> Result<(Vec<RunRow>, Option<Revision>), V::Error> {
    let mut trees = Trees::of(view)?;
    let ready = filter.claimable == Some(true);
    let mut due = if ready { due_for_list(view, filter, before, now)? } else { Vec::new() };
    let chunk = CHUNK.min(page.rows.saturating_add(1));
    let (mut listed, mut bytes, mut passed, mut before) = (Vec::new(), 0, 0, before);
    loop {
        let search = index::runs(filter, ready, before, chunk);
        let searched = view.search(&search)?;
        let is_last = searched.found.len() < chunk && searched.stopped.is_none();
        let mut places = searched.found.iter().peekable();
        loop {
            let next = places.peek().and_then(|place| index::revision_of(place));
            let run = match due.pop_if(|due| next.map_or(is_last, |at| due.created_revision > at)) {
                Some(run) => run,
                None => match places.next().and_then(|place| search.id(place)) {
                    Some(RowId::Run(run_id)) => match stored_run(view, &run_id)? {
                        Some(run) => run,
                        None => continue,
                    },
                    Some(_) | None => break,
                },
            };
            let created_revision = run.created_revision;
            let run = trees.seen(run)?;
            if filter.admits(&run, now) {
                let more = size::run_bytes(&run);
                let full = listed.len() == page.rows || bytes + more > page.bytes;
                if full && !listed.is_empty() {
                    return Ok((listed, before));
                }
                bytes += more;
                listed.push(run);
            } else {
                passed += 1;
            }
            before = Some(created_revision);
        }
        let stopped = searched.stopped.and_then(|place| index::revision_of(&place));
        match stopped {
            Some(stopped) => return Ok((listed, Some(stopped))),
            None if is_last => return Ok((listed, None)),
            None if passed >= PASSED_MAX => return Ok((listed, before)),
            None => {}
        }
    }
}

/// Runs that a list of claimable ones holds although they are not promoted yet,
/// the newest last. Of very many some are left out until the sweep has come.
fn due_for_list<V: View>(
    view: &V,
    filter: &RunFilter,
    before: Option<Revision>,
    now: ClusterMs,
) -> Result<Vec<RunRow>, V::Error> {
    let claim = ClaimFilter { name: None, tags: filter.tags.clone() };
    let mut due = due_runs(view, &claim, now, PASSED_MAX)?;
    due.retain(|run| before.is_none_or(|before| run.created_revision < before));
    due.sort_by_key(|run| run.created_revision);
    Ok(due)
}

/// One page of rows with a name, in byte order, of those that live, and the name
/// after which the next one begins, if there may be more.
pub fn names<V: View, T>(
    view: &V,
    scan: &Scan,
    range: fn(Scan) -> Range,
    page: Page,
    live: impl Fn(&Row) -> Option<(Text, T)>,
) -> Result<Listed<Text, T>, V::Error> {
    let (mut listed, mut passed, mut bytes) = (Vec::new(), 0, 0);
    let mut scan = scan.clone();
    loop {
        let rows = CHUNK.min((page.rows - listed.len()).saturating_add(1));
        let wanted = Page { rows, bytes: page.bytes.saturating_sub(bytes) };
        let rows = view.rows(&range(scan.clone()), wanted)?;
        if rows.is_empty() {
            return Ok((listed, None));
        }
        for row in rows {
            if let Some(live) = live(&row) {
                let more = size::bytes(&row) as usize;
                let full = listed.len() == page.rows || bytes + more > page.bytes;
                if let Some((last, _)) = listed.last().filter(|_| full) {
                    let last = last.clone();
                    return Ok((listed, Some(last)));
                }
                bytes += more;
                listed.push(live);
            } else {
                passed += 1;
            }
            scan.after = row.id().name().cloned();
        }
        if passed >= PASSED_MAX {
            return Ok((listed, scan.after));
        }
    }
}

/// One page of a run's steps from `from` on, in order, and the step with which
/// the next one begins, if there are more.
pub fn steps<V: View>(
    view: &V,
    run_id: &Text,
    from: u64,
    page: Page,
) -> Result<Listed<u64, StepRow>, V::Error> {
    let mut rows = view.rows(&Range::Steps(run_id.clone(), from), page.and_one())?;
    let step = |row: &Arc<Row>| match &**row {
        Row::Step(_, step, row) => Some((*step, row.clone())),
        _ => None,
    };
    let last = rows.last().and_then(step);
    let is_cut = page.cut(&mut rows, |row| size::bytes(row) as usize);
    let next = last.filter(|_| is_cut).map(|(step, _)| step);
    Ok((rows.iter().filter_map(step).collect(), next))
}

/// Runs read at once for a list.
const CHUNK: usize = 100;

/// Rows whose time is over at `now`, or which are remembered for too long:
/// earliest first.
pub fn due_rows<V: View>(view: &V, now: ClusterMs, limit: usize) -> Result<Vec<RowId>, V::Error> {
    let mut due = Vec::new();
    for index in [Index::Deadline, Index::Request, Index::Origin] {
        let search = index::over(index, now, limit);
        for place in view.search(&search)?.found {
            due.extend(index::time_of(&place).zip(search.id(&place)));
        }
    }
    due.sort();
    due.truncate(limit);
    Ok(due.into_iter().map(|(_, id)| id).collect())
}

/// Whether a sweep would have something to do at `now`.
pub fn is_due<V: View>(view: &V, now: ClusterMs) -> Result<bool, V::Error> {
    let any = ClaimFilter::default();
    Ok(view.meta()?.counts.cancellations > 0
        || !due_rows(view, now, 1)?.is_empty()
        || !view.search(&index::waiting(&any, None, Some(now), 1))?.found.is_empty())
}

/// The earliest time after `after` at which the passing of time alone would
/// change an answer: the deadline of a key, a lease or a claim, or the end of a
/// run's delay.
pub fn next_deadline<V: View>(view: &V, after: ClusterMs) -> Result<Option<ClusterMs>, V::Error> {
    let mut next = None;
    for search in index::deadlines(after) {
        let searched = view.search(&search)?;
        let at = searched.found.first().and_then(|place| index::time_of(place));
        // The last representable time has no successor, hence the filter.
        next = next.into_iter().chain(at).filter(|at| *at > after).min();
    }
    Ok(next)
}

/// The first cancellation that is under way.
pub fn cancellation<V: View>(view: &V) -> Result<Option<(Text, CancellationRow)>, V::Error> {
    let found = found(view, &index::cancelling(1))?;
    Ok(found.rows.into_iter().find_map(|(_, row)| match &*row {
        Row::Cancellation(run_id, row) => Some((run_id.clone(), CancellationRow::clone(row))),
        _ => None,
    }))
}

/// The children of a run created after `after`, oldest first, as they are
/// stored.
pub fn children<V: View>(
    view: &V,
    run_id: &str,
    after: Revision,
    limit: usize,
) -> Result<Vec<RunRow>, V::Error> {
    Ok(found(view, &index::children(run_id, after, limit))?.runs().collect())
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

/// How much there is at `now`. Rows whose time is over are left out, so many of
/// them at most as are looked at.
pub fn counts<V: View>(view: &V, now: ClusterMs, looks: usize) -> Result<Counts, V::Error> {
    let mut counts = view.meta()?.counts;
    let search = index::over(Index::Deadline, now, looks);
    for place in view.search(&search)?.found {
        match search.id(&place) {
            Some(RowId::Key(_)) => counts.keys -= 1,
            Some(RowId::Lease(_)) => counts.leases -= 1,
            _ => {}
        }
    }
    Ok(counts)
}

/// Which runs were cancelled with one above them, although the sweep has not
/// reached them. Asks for each run above once.
pub struct Trees<'v, V: View> {
    view: &'v V,
    any: bool,
    known: BTreeMap<Text, Above>,
}

/// What is known of one run that has others below it.
#[derive(Clone)]
struct Above {
    parent: Option<Text>,
    cancelled: Option<Arc<Row>>,
}

impl<'v, V: View> Trees<'v, V> {
    pub fn of(view: &'v V) -> Result<Self, V::Error> {
        let any = view.meta()?.counts.cancellations > 0;
        Ok(Trees { view, any, known: BTreeMap::new() })
    }

    fn is_cancelled(&mut self, run: &RunRow) -> Result<bool, V::Error> {
        Ok(!run.is_over() && self.is_below_cancelled(run)?)
    }

    /// Whether a run above this one was cancelled and the sweep is still at it.
    pub fn is_below_cancelled(&mut self, run: &RunRow) -> Result<bool, V::Error> {
        Ok(self.cancellation(run)?.is_some())
    }

    /// The run as everybody sees it.
    pub fn seen(&mut self, run: RunRow) -> Result<RunRow, V::Error> {
        if run.is_over() {
            return Ok(run);
        }
        let Some(row) = self.cancellation(&run)? else { return Ok(run) };
        let Row::Cancellation(_, cancellation) = &*row else { return Ok(run) };
        let error = cancellation.reason.clone();
        let status = Status::Cancelled;
        Ok(RunRow { status, error, ready_at: None, promoted: false, ..run })
    }

    /// The cancellation of the nearest run above that is under way.
    fn cancellation(&mut self, run: &RunRow) -> Result<Option<Arc<Row>>, V::Error> {
        let mut next = run.parent_run_id.clone().filter(|_| self.any);
        for _ in 0..CLIMB_MAX {
            let Some(run_id) = next else { break };
            let above = self.above(&run_id)?;
            if above.cancelled.is_some() {
                return Ok(above.cancelled);
            }
            next = above.parent;
        }
        Ok(None)
    }

    fn above(&mut self, run_id: &Text) -> Result<Above, V::Error> {
        if let Some(above) = self.known.get(run_id) {
            return Ok(above.clone());
        }
        let cancelled = self.view.row(&RowId::Cancellation(run_id.clone()))?;
        let parent = match &cancelled {
            Some(_) => None,
            None => stored_run(self.view, run_id)?.and_then(|run| run.parent_run_id),
        };
        let above = Above { parent, cancelled };
        self.known.insert(run_id.clone(), above.clone());
        Ok(above)
    }
}
