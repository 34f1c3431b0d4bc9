//! What holds of every step from one state to the next.

use super::{Rows, Step, ensure};
use crate::machine::change::Change;
use crate::machine::draft::{lease_subject, run_subject, session_subject};
use crate::machine::reply::Reply;
use crate::machine::row::{LeaseRow, Row, RowId, RunRow};
use crate::machine::value::{Revision, Text};

type Check = fn(&Step<'_>) -> Result<(), String>;

/// Every invariant of a step, by name.
pub const ALL: &[(&str, Check)] = &[
    ("the revision grows by the number of events", revision_counts_events),
    ("each event is chained to the one before", chain_links),
    ("clocks never fall", clocks_never_fall),
    ("a refused command changes nothing", refused_changes_nothing),
    ("every change of state has its event", changes_have_events),
    ("what was asked before changes nothing", repeated_changes_nothing),
    ("runs that are over stay as they are", over_stays_over),
    ("stored steps are kept", steps_are_kept),
    ("tokens of one resource only rise", tokens_rise),
    ("nobody loses what is still theirs", holders_are_safe),
];

fn revision_counts_events(step: &Step<'_>) -> Result<(), String> {
    let mut revision = step.before.meta.revision;
    for event in &step.decision.events {
        revision = revision.next();
        ensure(event.revision == revision, || {
            format!("event {} where {revision} was due", event.revision)
        })?;
    }
    let after = step.after.meta.revision;
    ensure(after == revision, || format!("{after} after events up to {revision}"))
}

fn chain_links(step: &Step<'_>) -> Result<(), String> {
    let mut chain = step.before.meta.chain;
    for event in &step.decision.events {
        ensure(event.follows(chain), || format!("{event:?} does not follow {chain}"))?;
        chain = event.chain;
    }
    let after = step.after.meta.chain;
    ensure(after == chain, || format!("head {after} after events up to {chain}"))
}

/// They are those of the command, where it is not behind.
fn clocks_never_fall(step: &Step<'_>) -> Result<(), String> {
    let (before, after) = (&step.before.meta, &step.after.meta);
    let clock = before.clock.max(step.envelope.clock);
    let wall = before.wall.max(step.envelope.wall);
    ensure((after.clock, after.wall) == (clock, wall), || {
        format!("{:?} {:?} where {clock:?} {wall:?} were due", after.clock, after.wall)
    })?;
    let odd = step.decision.events.iter().find(|event| event.at != wall);
    ensure(odd.is_none(), || format!("{odd:?} at another time than {wall:?}"))
}

/// But the clocks and the answers to nodes.
fn refused_changes_nothing(step: &Step<'_>) -> Result<(), String> {
    if !matches!(step.decision.reply, Reply::Refused(_)) {
        return Ok(());
    }
    unchanged(step)?;
    ensure(step.before.requests == step.after.requests, || "a refusal was remembered".into())
}

/// And a change of a row carries the revision of an event about it, unless it is
/// a promotion, of which nobody can tell.
fn changes_have_events(step: &Step<'_>) -> Result<(), String> {
    for change in &step.decision.changes {
        let Some((subject, revision)) = about(change) else { continue };
        if is_promotion(step, change) {
            continue;
        }
        let mut events = step.decision.events.iter().filter(|event| event.subject == subject);
        let found = match revision {
            Some(revision) => events.any(|event| event.revision == revision),
            None => events.any(|event| event.new.is_none()),
        };
        ensure(found, || format!("{change:?} without its event"))?;
    }
    Ok(())
}

fn repeated_changes_nothing(step: &Step<'_>) -> Result<(), String> {
    let Some(origin) = &step.envelope.origin else { return Ok(()) };
    let at = (origin.session, origin.sequence);
    match step.before.answers.get(&at) {
        Some(reply) => {
            ensure(step.decision.reply == *reply, || format!("{reply:?} became another"))?;
            unchanged(step)
        }
        None => {
            let lowest = step.before.origins.get(&origin.session).map_or(0, |row| row.lowest);
            let known = step.after.answers.get(&at) == Some(&step.decision.reply);
            // What is below was answered before and is refused; a rule that
            // panicked leaves no trace at all.
            let dropped = origin.sequence < lowest || step.decision.changes.is_empty();
            ensure(known || dropped, || format!("answer {at:?} was not remembered"))
        }
    }
}

fn over_stays_over(step: &Step<'_>) -> Result<(), String> {
    if was_reset(step) {
        return Ok(());
    }
    step.before.runs.iter().filter(|(_, run)| run.is_over()).try_for_each(|(run_id, before)| {
        let after = step.after.runs.get(run_id);
        ensure(after == Some(before), || format!("{before:?} became {after:?}"))
    })
}

fn steps_are_kept(step: &Step<'_>) -> Result<(), String> {
    if was_reset(step) {
        return Ok(());
    }
    step.before.steps.keys().try_for_each(|at| {
        ensure(step.after.steps.contains_key(at), || format!("step {at:?} is gone"))
    })
}

/// A token is that of before or newer than all that was: with tokens that are
/// revisions, this makes those of one resource rise for ever.
fn tokens_rise(step: &Step<'_>) -> Result<(), String> {
    let newest = step.before.meta.revision;
    let rises = |name: &Text, before: Option<Revision>, after: Revision| {
        ensure(before == Some(after) || after > newest, || {
            format!("'{name}': token {before:?}, then {after}, at revision {newest}")
        })
    };
    for (id, lease) in &step.after.leases {
        rises(id, step.before.leases.get(id).map(|lease| lease.token), lease.token)?;
    }
    for (id, run) in &step.after.runs {
        let Some(after) = claim_token(run) else { continue };
        rises(id, step.before.runs.get(id).and_then(claim_token), after)?;
    }
    Ok(())
}

/// A lease or claim goes to another only after its time, and always under a
/// new token.
fn holders_are_safe(step: &Step<'_>) -> Result<(), String> {
    let now = step.after.meta.clock;
    for (id, before) in &step.before.leases {
        let Some(after) = step.after.leases.get(id) else { continue };
        let safe =
            same_lease(before, after) || (!before.lives_at(now) && after.token > before.token);
        ensure(safe, || format!("lease '{id}' at {now:?}: {before:?}, then {after:?}"))?;
    }
    for (id, before) in &step.before.runs {
        let (Some(claim), Some(after)) = (&before.claim, step.after.runs.get(id)) else { continue };
        let same = before.agent_id == after.agent_id && claim_token(before) == claim_token(after);
        let given_back = after.claim.is_none();
        let lapsed = !claim.lives_at(now) && claim_token(after) > claim_token(before);
        ensure(same || given_back || lapsed, || {
            format!("run '{id}' at {now:?}: {before:?}, then {after:?}")
        })?;
    }
    Ok(())
}

fn same_lease(before: &LeaseRow, after: &LeaseRow) -> bool {
    before.holder_id == after.holder_id && before.token == after.token
}

fn claim_token(run: &RunRow) -> Option<Revision> {
    run.claim.as_ref().map(|claim| claim.token)
}

fn was_reset(step: &Step<'_>) -> bool {
    step.decision.changes.contains(&Change::Clear)
}

/// Nothing happened but the clocks and what is remembered.
fn unchanged(step: &Step<'_>) -> Result<(), String> {
    let state = |rows: &Rows| {
        let Rows { meta, keys, leases, mut runs, steps, sessions, cancellations, .. } =
            rows.clone();
        // A claim that is refused may have promoted some.
        runs.values_mut().for_each(|run| run.promoted = false);
        let position = (meta.revision, meta.chain, meta.anchor, meta.sets);
        (position, keys, leases, runs, steps, sessions, cancellations)
    };
    ensure(state(step.before) == state(step.after), || {
        format!("{:?} changed the state", step.envelope.command)
    })
}

/// Whether a run is the same but for where it is listed.
fn is_promotion(step: &Step<'_>, change: &Change) -> bool {
    let Change::Put(row) = change else { return false };
    let Row::Run(run) = &**row else { return false };
    let before = step.before.runs.get(&run.run_id);
    before.is_some_and(|before| RunRow { promoted: run.promoted, ..before.clone() } == **run)
        && run.promoted
        && run.is_claimable(step.after.meta.clock)
}

/// Which subject a change is about, and the revision of the row that it puts.
/// Nothing for what has no events of its own.
fn about(change: &Change) -> Option<(Text, Option<Revision>)> {
    let named = |id: &RowId| match id {
        RowId::Key(key) => Some(key.clone()),
        RowId::Lease(id) => Some(lease_subject(id)),
        RowId::Run(run_id) | RowId::Step(run_id, _) => Some(run_subject(run_id)),
        RowId::Session(id) => Some(session_subject(id)),
        RowId::Cancellation(_) | RowId::Request(_) | RowId::Origin(_) | RowId::Answer(..) => None,
    };
    match change {
        Change::Put(row) => {
            let revision = match &**row {
                Row::Key(_, row) => row.revision,
                Row::Lease(_, row) => row.revision,
                Row::Run(row) => row.revision,
                Row::Step(_, _, row) => row.revision,
                Row::Session(_, row) => row.revision,
                Row::Cancellation(..) | Row::Request(..) | Row::Origin(..) | Row::Answer(..) => {
                    return None;
                }
            };
            Some((named(&row.id())?, Some(revision)))
        }
        Change::Drop(id) => Some((named(id)?, None)),
        Change::List(_) | Change::Unlist(_) | Change::DropAnswersBelow(..) | Change::Clear => None,
    }
}
