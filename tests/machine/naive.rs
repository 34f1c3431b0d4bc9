//! What a view must answer, worked out from all rows by plain scans, and
//! compared with what the tables find by their indexes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use mcp_state_sidecar::machine::filter::*;
use mcp_state_sidecar::machine::invariant::Rows;
use mcp_state_sidecar::machine::meta::Counts;
use mcp_state_sidecar::machine::page::*;
use mcp_state_sidecar::machine::query::*;
use mcp_state_sidecar::machine::row::{CancellationRow, RunRow};
use mcp_state_sidecar::machine::run_group::StatusCounts;
use mcp_state_sidecar::machine::status::Status;
use mcp_state_sidecar::machine::*;

use crate::fleet::tags;
use crate::rng::RandomSource;
use crate::world::World;

/// Compares every look-up, with arguments drawn by chance.
pub fn compare(world: &World, rng: &mut RandomSource) {
    let (rows, tables) = (world.rows(), &world.tables);
    // Also after the present: readers may be ahead of the log's clock.
    let now = world.clock().plus(*rng.one_of(&[0, 0, 300, 5_000]));
    let limit = 1 + rng.below(5) as usize;
    compare_runs(world, rng, now, limit);
    compare_stats(world, rng, now, limit);
    assert_eq!(lookup::due_rows(tables, now, limit), Ok(due(rows, now, limit)));
    assert_eq!(lookup::next_deadline(tables, now), Ok(next_deadline(rows, now)));
    assert_eq!(lookup::counts(tables, now, usize::MAX), Ok(counts(rows, now)));
    let oldest = rows.requests.iter().min_by_key(|(key, row)| (row.at, (*key).clone()));
    assert_eq!(lookup::oldest_request(tables), Ok(oldest.map(|(key, _)| key.clone())));
    let after = rng.maybe(50, |rng| rng.text(&["", "a", "ab", "b", "zz"]));
    let scan = Scan { prefix: rng.text(&["", "a", "ab", "b", "é", "x"]), after };
    let admits = |name: &Text| {
        name.starts_with(&*scan.prefix) && scan.after.as_ref().is_none_or(|after| name > after)
    };
    let page = Page::of_rows(limit);
    let keys = rows.keys.iter().filter(|(key, row)| admits(key) && row.lives_at(now));
    let keys: Vec<_> = keys.map(|(key, row)| (key.clone(), row.clone())).collect();
    let asked = answer(&Question::Keys { scan: scan.clone(), page }, tables, now);
    let Ok(Answer::Keys { rows: found, next }) = asked else { panic!("{asked:?}") };
    assert_eq!((&found[..], next.is_some()), (first(&keys, limit), keys.len() > limit));
    let leases = rows.leases.iter().filter(|(id, _)| admits(id));
    let leases = leases.filter_map(|(id, row)| Some((id.clone(), row.clone().at(now)?)));
    let leases: Vec<_> = leases.collect();
    let asked = answer(&Question::Leases { scan, page }, tables, now);
    let Ok(Answer::Leases { rows: found, next }) = asked else { panic!("{asked:?}") };
    assert_eq!((&found[..], next.is_some()), (first(&leases, limit), leases.len() > limit));
}

fn compare_runs(world: &World, rng: &mut RandomSource, now: ClusterMs, limit: usize) {
    let (rows, tables) = (world.rows(), &world.tables);
    let filter = claim_filter(rng);
    let asked = answer(&Question::Candidate { filter: filter.clone(), after: None }, tables, now);
    assert_eq!(asked, Ok(Answer::Candidate(candidate(rows, &filter, now))), "{filter:?}");
    let filter = run_filter(rng, rows);
    let before = rng.maybe(30, |rng| Revision(1 + rng.below(world.revision() + 1)));
    let page = Page::of_rows(limit);
    let asked = answer(&Question::Runs { filter: filter.clone(), before, page }, tables, now);
    let Ok(Answer::Runs { rows: found, next }) = asked else { panic!("{asked:?}") };
    let all = runs(rows, &filter, before, now);
    assert_eq!(&found[..], first(&all, limit), "{filter:?} {before:?}");
    assert!(next.is_some() || all.len() <= limit, "{filter:?} {before:?}: {} of all", all.len());
    for run_id in rows.runs.keys().take(limit) {
        let Ok(found) = lookup::children(tables, run_id, Revision::ZERO, usize::MAX);
        let found: Vec<_> = found.into_iter().map(|run| run.run_id).collect();
        assert_eq!(found, children(rows, run_id));
    }
}

/// A run that waits, and since when.
type Waiting = (Text, WallMs);

fn compare_stats(world: &World, rng: &mut RandomSource, now: ClusterMs, limit: usize) {
    let rows = world.rows();
    let after = rng.maybe(50, |rng| rng.text(&["a", "etl", "train"]));
    let names: BTreeSet<&Text> = rows.runs.values().flat_map(counted_name).collect();
    let names = names.into_iter().filter(|name| after.as_ref().is_none_or(|after| *name > after));
    let all: Vec<_> = names.map(|name| stats(rows, name, now)).collect();
    let scan = Scan { after, ..Scan::default() };
    let question = Question::Stats { scan, page: Page::of_rows(limit) };
    let asked = answer(&question, &world.tables, now);
    let Ok(Answer::Stats { rows: found, next }) = asked else { panic!("{asked:?}") };
    let found: Vec<_> = found
        .into_iter()
        .map(|NameStats { name, counts, oldest, .. }| (name, counts, oldest))
        .collect();
    assert_eq!((&found[..], next.is_some()), (first(&all, limit), all.len() > limit));
}

fn counted_name(run: &RunRow) -> Option<&Text> {
    Some(&run.name).filter(|_| run.groups().next().is_some())
}

fn stats(rows: &Rows, name: &Text, now: ClusterMs) -> (Text, StatusCounts, Option<Waiting>) {
    let mut counts = StatusCounts::default();
    let runs = || rows.runs.values().filter(|run| run.name == *name);
    for run in runs().filter(|run| counted_name(run).is_some()) {
        counts[run.status as usize] += 1;
    }
    // As the rows say: the counts know no more about what the sweep has still to do.
    let is_waiting = |run: &&RunRow| {
        run.is_ready() || run.claimable_from().is_some_and(|claimable_from| claimable_from <= now)
    };
    let since = |run: &RunRow| {
        let claimable_from = run.claimable_from().filter(|at| *at > ClusterMs(0));
        claimable_from.map_or(run.updated_at, |at| WallMs(at.0))
    };
    let oldest = runs().filter(is_waiting).min_by_key(|run| (since(run), run.created_revision));
    (name.clone(), counts, oldest.map(|run| (run.run_id.clone(), since(run))))
}

fn first<T>(all: &[T], limit: usize) -> &[T] {
    &all[..all.len().min(limit)]
}

fn claim_filter(rng: &mut RandomSource) -> ClaimFilter {
    let names = ["etl", "train", "other"];
    let names = names.into_iter().filter(|_| rng.percent(25)).map(Text::from).collect();
    ClaimFilter { names, tags: tags(rng) }
}

fn run_filter(rng: &mut RandomSource, rows: &Rows) -> RunFilter {
    let parents = rows.runs.values().filter_map(|run| run.parent_run_id.clone());
    let parents: Vec<Text> = parents.chain(["".into()]).collect();
    RunFilter {
        tags: if rng.percent(50) { tags(rng) } else { Default::default() },
        status: rng.maybe(40, |rng| *rng.one_of(&Status::ALL)),
        claimable: rng.maybe(40, |rng| rng.percent(70)),
        parent_run_id: rng
            .maybe(20, |rng| rng.one_of(&parents).clone())
            .filter(|id| !id.is_empty()),
        agent_id: rng.maybe(10, |rng| rng.text(&["a", "b", "x"])),
        ..Default::default()
    }
}

fn candidate(rows: &Rows, filter: &ClaimFilter, now: ClusterMs) -> Candidate {
    let is_paused = |run: &RunRow| rows.pauses.contains_key(&run.name);
    let fits = || rows.runs.values().filter(|run| filter.admits(run) && run.lives_at(now));
    let place = |run: &RunRow| (run.place.unwrap_or(run.created_revision), run.run_id.clone());
    let mut heads: BTreeMap<i64, &RunRow> = BTreeMap::new();
    for run in fits().filter(|run| {
        run.is_claimable(now)
            && has_room(rows, run, now)
            && !is_paused(run)
            && cancellation(rows, run).is_none()
    }) {
        let head = heads.entry(run.priority).or_insert(run);
        if place(run) < place(head) {
            *head = run;
        }
    }
    // Ten minutes of waiting make up for one priority.
    let weight = |run: &RunRow| {
        i128::from(run.priority) * 600_000
            + i128::from(rows.meta.wall.0.saturating_sub(run.created_at.0))
    };
    if let Some(best) = heads.into_values().max_by_key(|run| (weight(run), run.priority)) {
        return Candidate::Ready(Box::new(best.clone()));
    }
    // A claim of any name may be told of the time of a paused run; it is harmless.
    let is_told = |run: &&RunRow| filter.names.is_empty() || !is_paused(run);
    let next =
        fits().filter(is_told).filter_map(RunRow::claimable_from).filter(|at| *at > now).min();
    next.map_or(Candidate::None, Candidate::At)
}

/// Whether fewer runs of its concurrency key than its limit are claimed besides it.
fn has_room(rows: &Rows, run: &RunRow, now: ClusterMs) -> bool {
    let Some(concurrency) = run.concurrency() else { return true };
    let same = |other: &&RunRow| {
        other.run_id != run.run_id
            && other.concurrency().is_some_and(|its| its.key == concurrency.key)
            && other.takes_room()
            && passing::at(other, now).is_none_or(|after| after.takes_room())
    };
    (rows.runs.values().filter(same).count() as u64) < u64::from(concurrency.limit)
}

fn runs(rows: &Rows, filter: &RunFilter, before: Option<Revision>, now: ClusterMs) -> Vec<RunRow> {
    let mut runs: Vec<RunRow> = rows
        .runs
        .values()
        .filter(|run| before.is_none_or(|before| run.created_revision < before))
        .filter(|run| run.lives_at(now))
        // A list by status finds such a run when the sweep has reached it.
        .filter(|run| filter.status.is_none() || cancellation(rows, run).is_none())
        .map(|run| present(rows, run, now))
        .filter(|run| {
            let is_full =
                filter.claimable.is_some() && run.is_claimable(now) && !has_room(rows, run, now);
            let others = RunFilter { claimable: None, ..filter.clone() };
            match is_full {
                true => filter.claimable == Some(false) && others.admits(run, now),
                false => filter.admits(run, now),
            }
        })
        .collect();
    runs.sort_by_key(|run| Reverse(run.created_revision));
    runs
}

/// The cancellation above the run, where the sweep has not reached it yet.
fn cancellation<'r>(rows: &'r Rows, run: &RunRow) -> Option<&'r CancellationRow> {
    let parent = |id: &&'r Text| rows.runs.get(*id).and_then(|run| run.parent_run_id.as_ref());
    let above = rows.runs.get(&run.run_id).and_then(|run| run.parent_run_id.as_ref());
    let mut above = std::iter::successors(above, parent);
    let cancellation = above.find_map(|id| rows.cancellations.get(id))?;
    let goes_on = !run.is_over() && run.ends_at().is_none_or(|end| end > cancellation.at);
    goes_on.then_some(cancellation)
}

/// The run as time, and a cancellation above it, have left it.
fn present(rows: &Rows, run: &RunRow, now: ClusterMs) -> RunRow {
    if let Some(cancellation) = cancellation(rows, run) {
        let error = cancellation.reason.clone();
        let status = Status::Cancelled;
        return RunRow { status, error, ready_at: None, promoted: false, ..run.clone() };
    }
    passing::at(run, now).unwrap_or_else(|| run.clone())
}

fn due(rows: &Rows, now: ClusterMs, limit: usize) -> Vec<RowId> {
    let keys = rows.keys.iter();
    let keys = keys.filter_map(|(key, row)| Some((row.expires_at?, RowId::Key(key.clone()))));
    let leases = rows.leases.iter().flat_map(|(id, row)| {
        let times: BTreeSet<_> = row.holders.iter().map(|holder| holder.expires_at).collect();
        times.into_iter().map(|at| (at, RowId::Lease(id.clone())))
    });
    let requests = rows.requests.iter();
    let requests = requests.map(|(key, row)| (row.forgotten_at(), RowId::Request(key.clone())));
    let origins =
        rows.origins.iter().map(|(session, row)| (row.forgotten_at(), RowId::Origin(*session)));
    let sessions = rows.sessions.iter();
    let sessions =
        sessions.filter_map(|(id, row)| Some((row.expires_at?, RowId::Session(id.clone()))));
    let runs = rows.runs.iter();
    let runs = runs.filter_map(|(id, run)| Some((run.due_at()?, RowId::Run(id.clone()))));
    let all = keys.chain(leases).chain(requests).chain(origins).chain(sessions).chain(runs);
    let mut due: Vec<_> = all.filter(|(at, _)| *at <= now).collect();
    due.sort();
    due.into_iter().take(limit).map(|(_, row)| row).collect()
}

fn next_deadline(rows: &Rows, after: ClusterMs) -> Option<ClusterMs> {
    let keys = rows.keys.values().filter_map(|row| row.expires_at);
    let leases = rows.leases.values().flat_map(|row| &row.holders).map(|it| it.expires_at);
    // Those that were promoted are listed by merit: their time has come.
    let runs = rows.runs.values().filter(|run| !run.is_ready()).filter_map(RunRow::claimable_from);
    let sessions = rows.sessions.values().filter_map(|row| row.expires_at);
    let due = rows.runs.values().filter_map(RunRow::due_at);
    let all = keys.chain(leases).chain(runs).chain(sessions).chain(due);
    all.filter(|at| *at > after).min()
}

fn counts(rows: &Rows, now: ClusterMs) -> Counts {
    Counts {
        keys: rows.keys.values().filter(|row| row.lives_at(now)).count() as u64,
        runs: rows.runs.values().filter(|run| run.lives_at(now)).count() as u64,
        steps: rows.steps.len() as u64,
        leases: rows.leases.values().filter(|row| row.lives_at(now)).count() as u64,
        sessions: rows.sessions.values().filter(|row| row.lives_at(now)).count() as u64,
        requests: rows.requests.len() as u64,
        cancellations: rows.cancellations.len() as u64,
        schedules: rows.schedules.len() as u64,
    }
}

fn children(rows: &Rows, run_id: &Text) -> Vec<Text> {
    let mut children: Vec<_> =
        rows.runs.values().filter(|run| run.parent_run_id.as_ref() == Some(run_id)).collect();
    children.sort_by_key(|run| run.created_revision);
    children.into_iter().map(|run| run.run_id.clone()).collect()
}
