//! What a view must answer, worked out from all rows by plain scans, and
//! compared with what the tables find by their indexes.

use std::cmp::Reverse;

use mcp_state_sidecar::machine::invariant::Rows;
use mcp_state_sidecar::machine::row::{RunRow, Status};
use mcp_state_sidecar::machine::view::*;
use mcp_state_sidecar::machine::*;

use crate::chance::Chance;
use crate::fleet::tags;
use crate::world::World;

/// Compares every look-up of a view, with arguments drawn by chance.
pub fn compare(world: &World, chance: &mut Chance) {
    let (rows, tables) = (world.rows(), &world.tables);
    // Also before and after the present: readers may be late or ahead.
    let shift_ms = *chance.one_of(&[0, 0, 300, 5_000]);
    let now = match chance.percent(50) {
        true => world.clock().plus(shift_ms),
        false => ClusterMs(world.clock().0.saturating_sub(shift_ms)),
    };
    let limit = 1 + chance.below(5) as usize;
    let filter = claim_filter(chance);
    assert_eq!(tables.candidate(&filter, now), Ok(candidate(rows, &filter, now)), "{filter:?}");
    let filter = run_filter(chance);
    let before = chance.maybe(30, |chance| Revision(1 + chance.below(world.revision() + 1)));
    let listed = tables.runs(&filter, before, now, limit);
    assert_eq!(listed, Ok(runs(rows, &filter, before, now, limit)), "{filter:?} {before:?}");
    assert_eq!(tables.due(now, limit), Ok(due(rows, now, limit)));
    assert_eq!(tables.next_deadline(now), Ok(next_deadline(rows, now)));
    assert_eq!(tables.counts(now), Ok(counts(rows, now)));
    let oldest = rows.requests.iter().min_by_key(|(key, row)| (row.at, (*key).clone()));
    let count = rows.requests.len() as u64;
    assert_eq!(tables.oldest_request(), Ok((count, oldest.map(|(key, _)| key.clone()))));
    for run_id in rows.runs.keys().take(limit) {
        assert_eq!(tables.children(run_id), Ok(children(rows, run_id)));
    }
    let after = chance.maybe(50, |chance| chance.text(&["", "a", "ab", "b", "zz"]));
    let scan = Scan { prefix: chance.text(&["", "a", "ab", "b", "é", "x"]), after };
    let admits = |name: &Text| {
        name.starts_with(&*scan.prefix) && scan.after.as_ref().is_none_or(|after| name > after)
    };
    let keys = rows.keys.iter().filter(|(key, row)| admits(key) && row.lives_at(now));
    let keys: Vec<_> = keys.take(limit).map(|(key, row)| (key.clone(), row.clone())).collect();
    assert_eq!(tables.keys(&scan, now, limit), Ok(keys), "{scan:?}");
    let leases = rows.leases.iter().filter(|(id, row)| admits(id) && row.lives_at(now));
    let leases: Vec<_> = leases.take(limit).map(|(id, row)| (id.clone(), row.clone())).collect();
    assert_eq!(tables.leases(&scan, now, limit), Ok(leases), "{scan:?}");
}

fn claim_filter(chance: &mut Chance) -> ClaimFilter {
    let name = chance.maybe(40, |chance| chance.text(&["etl", "train", "other"]));
    ClaimFilter { name, tags: tags(chance) }
}

fn run_filter(chance: &mut Chance) -> RunFilter {
    const ALL: [Status; 6] = [
        Status::Created,
        Status::Claimed,
        Status::Running,
        Status::Done,
        Status::Failed,
        Status::Cancelled,
    ];
    RunFilter {
        tags: if chance.percent(50) { tags(chance) } else { Default::default() },
        status: chance.maybe(40, |chance| *chance.one_of(&ALL)),
        claimable: chance.maybe(40, |chance| chance.percent(70)),
    }
}

fn candidate(rows: &Rows, filter: &ClaimFilter, now: ClusterMs) -> Candidate {
    let fits = || rows.runs.values().filter(|run| filter.admits(run));
    let best = fits()
        .filter(|run| run.is_claimable(now))
        .min_by_key(|run| (Reverse(run.priority), run.created_revision));
    if let Some(best) = best {
        return Candidate::Ready(Box::new(best.clone()));
    }
    let next = fits().filter_map(RunRow::claimable_from).filter(|at| *at > now).min();
    next.map_or(Candidate::None, Candidate::At)
}

fn runs(
    rows: &Rows,
    filter: &RunFilter,
    before: Option<Revision>,
    now: ClusterMs,
    limit: usize,
) -> Vec<RunRow> {
    let mut runs: Vec<RunRow> = rows
        .runs
        .values()
        .filter(|run| before.is_none_or(|before| run.created_revision < before))
        .filter(|run| filter.admits(run, now))
        .cloned()
        .collect();
    runs.sort_by_key(|run| Reverse(run.created_revision));
    runs.truncate(limit);
    runs
}

fn due(rows: &Rows, now: ClusterMs, limit: usize) -> Vec<Due> {
    let keys =
        rows.keys.iter().filter_map(|(key, row)| Some((row.expires_at?, Due::Key(key.clone()))));
    let leases = rows.leases.iter().map(|(id, row)| (row.expires_at, Due::Lease(id.clone())));
    let requests =
        rows.requests.iter().map(|(key, row)| (row.forgotten_at(), Due::Request(key.clone())));
    let origins =
        rows.origins.iter().map(|(session, row)| (row.forgotten_at(), Due::Origin(*session)));
    let all = keys.chain(leases).chain(requests).chain(origins);
    let mut due: Vec<_> = all.filter(|(at, _)| *at <= now).collect();
    due.sort();
    due.into_iter().take(limit).map(|(_, row)| row).collect()
}

fn next_deadline(rows: &Rows, after: ClusterMs) -> Option<ClusterMs> {
    let keys = rows.keys.values().filter_map(|row| row.expires_at);
    let leases = rows.leases.values().map(|row| row.expires_at);
    let runs = rows.runs.values().filter_map(RunRow::claimable_from);
    keys.chain(leases).chain(runs).filter(|at| *at > after).min()
}

fn counts(rows: &Rows, now: ClusterMs) -> Counts {
    Counts {
        keys: rows.keys.values().filter(|row| row.lives_at(now)).count() as u64,
        runs: rows.runs.len() as u64,
        steps: rows.steps.len() as u64,
        leases: rows.leases.values().filter(|row| row.lives_at(now)).count() as u64,
        sessions: rows.sessions.len() as u64,
    }
}

fn children(rows: &Rows, run_id: &Text) -> Vec<Text> {
    let mut children: Vec<_> =
        rows.runs.values().filter(|run| run.parent_run_id.as_ref() == Some(run_id)).collect();
    children.sort_by_key(|run| run.created_revision);
    children.into_iter().map(|run| run.run_id.clone()).collect()
}
