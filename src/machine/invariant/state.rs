//! Invariants of every state.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::Rows;
use super::violation::ensure;
use crate::machine::group_counts::GroupCounts;
use crate::machine::index;
use crate::machine::lookup::PAUSES_MAX;
use crate::machine::meta::Meta;
use crate::machine::remembered::REQUESTS_MAX;
use crate::machine::row::{Concurrency, LeaseHolder, RunRow};
use crate::machine::status::Status;
use crate::machine::stored_steps::StoredSteps;
use crate::machine::value::Revision;

type StateCheck = fn(&Rows) -> Result<(), String>;

/// Every invariant of a state, by name.
pub const ALL: &[(&str, StateCheck)] = &[
    ("no row is ahead of the state's revision", no_row_is_ahead),
    ("a token is the revision of a grant", tokens_are_revisions),
    ("a claim has an agent, and a claimed run has a claim", claims_have_agents),
    ("the last step is the highest one stored", last_step_is_the_highest),
    ("steps have their run", steps_have_their_run),
    ("no child of a cancelled run goes on", children_of_cancelled_runs_are_over),
    ("remembered answers are outstanding", answers_are_outstanding),
    ("what is remembered is bounded and past", remembered_is_bounded),
    ("the history's anchor lies behind", anchor_lies_behind),
    ("the state is as large as its rows, and counts them", counts_match_rows),
    ("entries list the rows, and nothing else", entries_follow_from_rows),
    ("groups count their runs", groups_count_their_runs),
    ("no concurrency limit is exceeded", limits_hold),
    ("no run has a place behind its creation", places_are_early),
    ("a lease has no more holders than permits", permits_hold),
    ("few names are paused", few_names_are_paused),
    ("a blocked run is blocked by runs that will tell it", blocked_runs_are_told),
];

/// Every row was last changed by an event that has happened, and no two runs were
/// created by the same event.
fn no_row_is_ahead(rows: &Rows) -> Result<(), String> {
    let newest = rows.meta.revision;
    let keys = rows.keys.iter().map(|(key, row)| (key, row.revision));
    let leases = rows.leases.iter().map(|(id, row)| (id, row.revision));
    let runs = rows.runs.iter().map(|(id, row)| (id, row.revision));
    let steps = rows.steps.iter().map(|((id, _), row)| (id, row.revision));
    let sessions = rows.sessions.iter().map(|(id, row)| (id, row.revision));
    let schedules = rows.schedules.iter().map(|(name, row)| (name, row.revision));
    let pauses = rows.pauses.iter().map(|(name, row)| (name, row.revision));
    let state = keys.chain(leases).chain(runs).chain(steps).chain(sessions).chain(schedules);
    for (name, revision) in state.chain(pauses) {
        ensure(Revision::ZERO < revision && revision <= newest, || {
            format!("'{name}' is at {revision}, the state at {newest}")
        })?;
        // A reset removes every row.
        ensure(revision > rows.meta.anchor.revision, || {
            format!("'{name}' at {revision} outlived the reset at {}", rows.meta.anchor.revision)
        })?;
    }
    let mut created: Vec<_> = rows.runs.values().map(|run| run.created_revision).collect();
    created.sort();
    created.dedup();
    ensure(created.len() == rows.runs.len(), || "two runs were created at once".into())
}

/// The token is the revision of a grant, and the grant made or changed the row.
fn tokens_are_revisions(rows: &Rows) -> Result<(), String> {
    for (id, lease) in &rows.leases {
        for LeaseHolder { token, revision, .. } in &lease.holders {
            let rises = Revision::ZERO < *token && token <= revision && *revision <= lease.revision;
            ensure(rises, || format!("lease '{id}': {lease:?}"))?;
        }
    }
    for run in rows.runs.values() {
        let Some(claim) = &run.claim else { continue };
        ensure(run.created_revision < claim.token && claim.token <= run.revision, || {
            format!("run '{}' at {} has token {}", run.run_id, run.revision, claim.token)
        })?;
    }
    Ok(())
}

/// `created` runs have neither agent nor claim; `claimed` ones have both; any
/// other run that has a claim has the agent too.
fn claims_have_agents(rows: &Rows) -> Result<(), String> {
    let holds = |run: &RunRow| match run.status {
        Status::Created | Status::Blocked => run.agent_id.is_none() && run.claim.is_none(),
        Status::Claimed | Status::AwaitingApproval => run.agent_id.is_some() && run.claim.is_some(),
        Status::Running | Status::Done | Status::Failed | Status::Cancelled => {
            run.agent_id.is_some() == run.claim.is_some()
        }
    };
    rows.runs.values().try_for_each(|run| {
        let is_free = !run.is_over() && run.claim.is_none();
        let waits = run.ready_at.is_none() || is_free;
        ensure(holds(run) && waits, || format!("{run:?}"))
    })
}

/// `last_step` is the highest step of a run, or zero where it has none; and what the run
/// says of the others holds, unless it is being removed.
fn last_step_is_the_highest(rows: &Rows) -> Result<(), String> {
    rows.runs.values().try_for_each(|run| {
        if run.removed {
            return Ok(());
        }
        let steps = rows.steps.range((run.run_id.clone(), 0)..=(run.run_id.clone(), u64::MAX));
        let steps: BTreeSet<u64> = steps.map(|((_, step), _)| *step).collect();
        let highest = steps.last().copied().unwrap_or(0);
        ensure(run.last_step == highest, || {
            format!("run '{}' says {}, has {highest}", run.run_id, run.last_step)
        })?;
        let StoredSteps { count, first, next } = run.steps;
        let holds = count == steps.len() as u64
            && steps.first() == Some(&first)
            && (first..next).all(|step| steps.contains(&step));
        ensure(next == 0 || holds, || {
            format!("run '{}' says {:?}, has {steps:?}", run.run_id, run.steps)
        })
    })
}

/// There is no step without its run. A child outlives a parent that was removed.
fn steps_have_their_run(rows: &Rows) -> Result<(), String> {
    rows.steps.keys().try_for_each(|(run_id, _)| {
        ensure(rows.runs.contains_key(run_id), || format!("there is no run '{run_id}'"))
    })
}

/// A cancellation reaches every child, at once or through the sweep, and no new
/// child can be created.
fn children_of_cancelled_runs_are_over(rows: &Rows) -> Result<(), String> {
    rows.runs.values().filter(|run| !run.is_over()).try_for_each(|run| {
        let parent = run.parent_run_id.as_ref().and_then(|id| rows.runs.get(id));
        let cancelled = parent.is_some_and(|parent| parent.status == Status::Cancelled);
        ensure(!cancelled || is_below_cancellation(rows, run), || {
            format!("run '{}' is {} under a cancelled one", run.run_id, run.status)
        })
    })
}

/// Whether the sweep has yet to reach the run.
fn is_below_cancellation(rows: &Rows, run: &RunRow) -> bool {
    let parent = |run: &&RunRow| run.parent_run_id.as_ref().and_then(|id| rows.runs.get(id));
    let mut above = std::iter::successors(Some(run), parent).skip(1);
    above.any(|run| rows.cancellations.contains_key(&run.run_id))
}

/// An answer to a node belongs to a known session, and the node may still ask for
/// it. So the calls in flight bound the memory that answers take.
fn answers_are_outstanding(rows: &Rows) -> Result<(), String> {
    rows.answers.keys().try_for_each(|(session, sequence)| {
        let origin = rows.origins.get(session);
        ensure(origin.is_some_and(|origin| *sequence >= origin.lowest), || {
            format!("answer {sequence} of session {session}: {origin:?}")
        })
    })
}

/// The number of remembered requests is bounded, and nothing was remembered in
/// the future.
fn remembered_is_bounded(rows: &Rows) -> Result<(), String> {
    let count = rows.requests.len() as u64;
    ensure(count <= REQUESTS_MAX, || format!("{count} requests are remembered"))?;
    let requests = rows.requests.values().map(|row| row.at);
    let origins = rows.origins.values().map(|row| row.seen_at);
    requests.chain(origins).try_for_each(|at| {
        ensure(at <= rows.meta.clock, || format!("{at:?} is after {:?}", rows.meta.clock))
    })
}

/// The removed history is older than the state, and the counted `state_set`
/// events are part of the history that is kept.
fn anchor_lies_behind(rows: &Rows) -> Result<(), String> {
    let (meta, anchor) = (&rows.meta, &rows.meta.anchor);
    ensure(anchor.revision <= meta.revision, || {
        format!("anchor at {}, state at {}", anchor.revision, meta.revision)
    })?;
    ensure(anchor.revision < meta.revision || anchor.chain == meta.chain, || {
        format!("the chain at {} is {} and {}", meta.revision, anchor.chain, meta.chain)
    })?;
    let events = meta.revision.0 - anchor.revision.0;
    ensure(meta.sets <= events, || format!("{} sets in {events} events", meta.sets))
}

/// The size and the counts are carried from command to command without counting
/// the rows anew, so they must be checked against the rows. A quota depends on
/// them.
fn counts_match_rows(rows: &Rows) -> Result<(), String> {
    let mut meta = Meta::default();
    rows.rows().iter().for_each(|row| meta.count(row));
    let (counted, stated) =
        ((meta.state_bytes, meta.counts), (rows.meta.state_bytes, rows.meta.counts));
    ensure(counted == stated, || format!("the rows are {counted:?}, the state says {stated:?}"))
}

/// The index entries are exactly those that the rows call for. An entry too many or
/// too few would make a search miss rows on one store only.
fn entries_follow_from_rows(rows: &Rows) -> Result<(), String> {
    let derived = rows.rows().iter().flat_map(index::entries).collect();
    ensure(rows.entries == derived, || {
        let differ: Vec<_> = rows.entries.symmetric_difference(&derived).collect();
        format!("these entries are superfluous or missing: {differ:?}")
    })
}

/// Claims and statistics rely on the counts, which are carried from command to command.
fn groups_count_their_runs(rows: &Rows) -> Result<(), String> {
    let counted = GroupCounts::of(rows.runs.values()).0.into_iter();
    let counted: Vec<_> = counted.map(|(group, row)| (group, row.counts)).collect();
    let said: Vec<_> = rows.groups.iter().map(|(group, row)| (group.clone(), row.counts)).collect();
    ensure(said == counted, || format!("the runs are {counted:?}, the groups say {said:?}"))
}

/// The run of a key that was claimed last was claimed within its own limit, and since
/// then others can only have ended.
fn limits_hold(rows: &Rows) -> Result<(), String> {
    let mut keys: BTreeMap<&str, (u64, u32)> = BTreeMap::new();
    for run in rows.runs.values().filter(|run| !run.is_over()) {
        let lives = run.claim.as_ref().is_some_and(|claim| claim.lives_at(rows.meta.clock));
        if let Some(Concurrency { key, limit }) = run.concurrency().filter(|_| lives) {
            let (claimed, most) = keys.entry(key).or_default();
            (*claimed, *most) = (*claimed + 1, (*most).max(*limit));
        }
    }
    keys.into_iter().try_for_each(|(key, (claimed, limit))| {
        ensure(claimed <= u64::from(limit), || format!("{claimed} of '{key}', at most {limit}"))
    })
}

/// A fair key brings a run forward, and never puts it behind runs without one that came
/// later.
fn places_are_early(rows: &Rows) -> Result<(), String> {
    rows.runs.values().try_for_each(|run| {
        let is_early = run.place.is_none_or(|place| place <= run.created_revision);
        ensure(is_early, || format!("{run:?}"))
    })
}

/// Whoever holds a lease with others has said how many may, and so has each of them. No two
/// have one name or one token.
fn permits_hold(rows: &Rows) -> Result<(), String> {
    rows.leases.iter().try_for_each(|(id, lease)| {
        let holders = lease.holders.iter().filter(|holder| holder.lives_at(rows.meta.clock));
        let most = holders.clone().map(|holder| holder.permits.max(1)).min();
        let fit = most.is_none_or(|most| holders.count() <= most as usize);
        let names: BTreeSet<_> = lease.holders.iter().map(|holder| &holder.holder_id).collect();
        let rise = lease.holders.windows(2).all(|pair| pair[0].token < pair[1].token);
        let distinct = names.len() == lease.holders.len() && !names.is_empty();
        ensure(fit && distinct && rise, || format!("lease '{id}': {lease:?}"))
    })
}

/// Every claim of any name reads the names that are paused.
fn few_names_are_paused(rows: &Rows) -> Result<(), String> {
    ensure(rows.pauses.len() <= PAUSES_MAX, || format!("{} names are paused", rows.pauses.len()))
}

/// A run is blocked if something blocks it: runs that it depends on, and that are not over
/// or have yet to tell it. Otherwise it would be blocked for ever.
fn blocked_runs_are_told(rows: &Rows) -> Result<(), String> {
    rows.runs.values().try_for_each(|run| {
        let listed = run.constraints.as_ref().map_or(&[][..], |it| &it.blocked_by);
        let tells = |run_id| rows.runs.get(run_id).is_some_and(|blocker| blocker.has_dependents);
        let holds = (run.status == Status::Blocked) != listed.is_empty()
            && listed.iter().all(|run_id| run.depends_on().contains(run_id) && tells(run_id));
        ensure(holds, || format!("{run:?}"))
    })
}
