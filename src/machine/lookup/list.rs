//! Lists: pages of runs, of rows with a name, and of a run's steps. A page that
//! passes over too many rows ends early and says where the next one begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cancelled::{self, CancelledTrees};
use super::claim::due_runs;
use super::concurrency::Rooms;
use super::pauses::pause;
use super::stored::{SKIPPED_MAX, search_rows, stored_run};
use crate::machine::filter::{ClaimFilter, RunFilter, SearchFilter};
use crate::machine::index::{self, Index};
use crate::machine::page::{Page, Range, Scan};
use crate::machine::query::NameStats;
use crate::machine::row::{Row, RunRow, StepRow};
use crate::machine::row_id::RowId;
use crate::machine::run_group::{GroupRow, RunGroup};
use crate::machine::size;
use crate::machine::status::Status;
use crate::machine::value::{ClusterMs, Revision, Text, WallMs};
use crate::machine::view::View;

/// The most rows that a list reads at once.
const CHUNK: usize = 100;

/// The most names of one page of statistics, each of which costs searches of its own.
const NAMES_MAX: usize = 200;

/// Rows with the key that orders them, and where the next page begins if there
/// may be more.
type Listed<K, T> = (Vec<(K, T)>, Option<K>);

/// One page of runs, newest first, and the revision before which the next page
/// begins, if there may be more.
pub fn runs<V: View>(
    view: &V,
    filter: &RunFilter,
    before: Option<Revision>,
    now: ClusterMs,
    page: Page,
) -> Result<(Vec<RunRow>, Option<Revision>), V::Error> {
    let mut trees = CancelledTrees::of(view)?;
    let mut rooms = Rooms::of(view, now);
    let ready = filter.claimable == Some(true);
    let mut due = due_for_list(view, filter, before, now)?;
    let chunk = CHUNK.min(page.rows.saturating_add(1));
    let (mut listed, mut bytes, mut skipped, mut before) = (Vec::new(), 0, 0, before);
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
            let run = trees.effective(run, now)?;
            if run.lives_at(now) && admits(&mut rooms, filter, &run, now)? {
                let more = size::run_bytes(&run);
                let full = listed.len() == page.rows || bytes + more > page.bytes;
                if full && !listed.is_empty() {
                    return Ok((listed, before));
                }
                bytes += more;
                listed.push(run);
            } else {
                skipped += 1;
            }
            before = Some(created_revision);
        }
        let stopped = searched.stopped.and_then(|place| index::revision_of(&place));
        match stopped {
            Some(stopped) => return Ok((listed, Some(stopped))),
            None if is_last => return Ok((listed, None)),
            None if skipped >= SKIPPED_MAX => return Ok((listed, before)),
            None => {}
        }
    }
}

/// The runs that a run depends on, as far as they still exist and fit on the page.
pub fn prerequisites<V: View>(
    view: &V,
    run_id: &Text,
    now: ClusterMs,
    page: Page,
) -> Result<Vec<RunRow>, V::Error> {
    let Some(run) = cancelled::run(view, run_id, now)? else { return Ok(Vec::new()) };
    let rows = run.depends_on().iter();
    let rows = rows.filter_map(|run_id| cancelled::run(view, run_id, now).transpose());
    let mut rows = page.and_one().read(rows, size::run_bytes)?;
    page.cut(&mut rows, size::run_bytes);
    Ok(rows)
}

/// Whether the run belongs in the list. One that could be claimed if its concurrency key
/// had room cannot be claimed.
fn admits<V: View>(
    rooms: &mut Rooms<'_, V>,
    filter: &RunFilter,
    run: &RunRow,
    now: ClusterMs,
) -> Result<bool, V::Error> {
    if filter.claimable.is_none() || !run.is_claimable(now) || rooms.has_room(run)? {
        return Ok(filter.admits(run, now));
    }
    let others = RunFilter { claimable: None, ..filter.clone() };
    Ok(filter.claimable == Some(false) && others.admits(run, now))
}

/// Runs that belong in a list although their rows do not say so yet, newest last: of
/// runs that can be claimed, or of a status that the passing of time gives them. Where
/// there are very many, some are missing until the sweep has reached them.
fn due_for_list<V: View>(
    view: &V,
    filter: &RunFilter,
    before: Option<Revision>,
    now: ClusterMs,
) -> Result<Vec<RunRow>, V::Error> {
    let mut due = if filter.claimable == Some(true) {
        let claim = ClaimFilter { tags: filter.tags.clone(), ..ClaimFilter::default() };
        due_runs(view, &claim, now, SKIPPED_MAX)?
    } else if let Some(status @ (Status::Created | Status::Running | Status::Failed)) =
        filter.status
    {
        let mut due = search_rows(view, &index::expired(Index::Deadline, now, SKIPPED_MAX))?;
        due.rows.retain(|(_, row)| row.run().is_some_and(|run| run.status != status));
        due.runs().collect()
    } else {
        Vec::new()
    };
    due.retain(|run| before.is_none_or(|before| run.created_revision < before));
    due.sort_by_key(|run| run.created_revision);
    Ok(due)
}

/// One page of rows with a name for which `live` gives a value, in byte order,
/// and the name after which the next page begins, if there may be more.
pub fn names<V: View, T>(
    view: &V,
    scan: &Scan,
    range: fn(Scan) -> Range,
    page: Page,
    live: impl Fn(&Row) -> Option<(Text, T)>,
) -> Result<Listed<Text, T>, V::Error> {
    let (mut listed, mut skipped, mut bytes) = (Vec::new(), 0, 0);
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
                skipped += 1;
            }
            scan.after = row.id().name().cloned();
        }
        if skipped >= SKIPPED_MAX {
            return Ok((listed, scan.after));
        }
    }
}

/// One page of the names of runs, each with how its runs are. A page costs two searches for
/// each of its rows.
pub fn stats<V: View>(
    view: &V,
    scan: &Scan,
    page: Page,
    now: ClusterMs,
) -> Result<(Vec<NameStats>, Option<Text>), V::Error> {
    let page = Page { rows: page.rows.min(NAMES_MAX), ..page };
    let group = |row: &Row| match row {
        Row::Group(RunGroup::Name(name), row) => Some((name.clone(), row.clone())),
        _ => None,
    };
    let (rows, next) = names(view, scan, Range::RunNames, page, group)?;
    let mut stats = Vec::with_capacity(rows.len());
    for (name, GroupRow { counts, recent }) in rows {
        let oldest = longest_waiting(view, &name, now)?;
        let recent = recent.map(|recent| recent.at(now)).unwrap_or_default();
        let paused = pause(view, &name)?.is_some();
        stats.push(NameStats { name, counts, oldest, paused, recent });
    }
    Ok((stats, next))
}

/// The run of this name that has waited longest to be claimed, and since when. One whose
/// time has come waits, whether or not the sweep has promoted it. Like the counts, it is
/// taken from the rows as they are stored.
fn longest_waiting<V: View>(
    view: &V,
    name: &Text,
    now: ClusterMs,
) -> Result<Option<(Text, WallMs)>, V::Error> {
    let any_tags = BTreeMap::new();
    let of_name = SearchFilter { name: Some(name), tags: &any_tags };
    let mut first = Vec::new();
    for search in [index::longest_queued(name), index::waiting(of_name, None, Some(now), 1)] {
        first.extend(search_rows(view, &search)?.runs());
    }
    let longest = first.iter().min_by_key(|run| (run.waiting_since(), run.created_revision));
    Ok(longest.map(|run| (run.run_id.clone(), run.waiting_since())))
}

/// One page of a run's steps from the step `from` on, in order, and the step
/// with which the next page begins, if there are more.
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
