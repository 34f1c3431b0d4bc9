//! Invariants of every transition from one state to the next.

use super::rows::Rows;
use super::violation::ensure;
use crate::machine::change::{Change, Decision};
use crate::machine::command::{Command, Envelope, Rules};
use crate::machine::reply::Reply;
use crate::machine::row::{LeaseHolder, Row, RunRow};
use crate::machine::row_id::RowId;
use crate::machine::status::Status;
use crate::machine::subject::Noun;
use crate::machine::value::{Revision, Text};

type TransitionCheck = fn(&Transition<'_>) -> Result<(), String>;

/// One command and what it did.
pub struct Transition<'a> {
    pub before: &'a Rows,
    pub envelope: &'a Envelope,
    pub decision: &'a Decision,
    pub after: &'a Rows,
}

/// Every invariant of a transition, by name.
pub const ALL: &[(&str, TransitionCheck)] = &[
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
    ("a run that is not over can be reached", runs_are_reachable),
    ("attempts are counted", attempts_are_counted),
    ("a firing is carried out once", firings_happen_once),
    ("nothing is claimed before its prerequisites are over", prerequisites_come_first),
    ("nobody who asks for any run gets a paused one", pauses_hold),
];

fn revision_counts_events(transition: &Transition<'_>) -> Result<(), String> {
    let mut revision = transition.before.meta.revision;
    for event in &transition.decision.events {
        revision = revision.next();
        ensure(event.revision == revision, || {
            format!("event {} where {revision} was due", event.revision)
        })?;
    }
    let after = transition.after.meta.revision;
    ensure(after == revision, || format!("{after} after events up to {revision}"))
}

fn chain_links(transition: &Transition<'_>) -> Result<(), String> {
    let mut chain = transition.before.meta.chain;
    for event in &transition.decision.events {
        ensure(event.follows(chain), || format!("{event:?} does not follow {chain}"))?;
        chain = event.chain;
    }
    let after = transition.after.meta.chain;
    ensure(after == chain, || format!("head {after} after events up to {chain}"))
}

/// They are those of the command, unless the state is ahead of it.
fn clocks_never_fall(transition: &Transition<'_>) -> Result<(), String> {
    let (before, after) = (&transition.before.meta, &transition.after.meta);
    let clock = before.clock.max(transition.envelope.clock);
    let wall = before.wall.max(transition.envelope.wall);
    ensure((after.clock, after.wall) == (clock, wall), || {
        format!("{:?} {:?} where {clock:?} {wall:?} were due", after.clock, after.wall)
    })?;
    let stray = transition.decision.events.iter().find(|event| event.at != wall);
    ensure(stray.is_none(), || format!("{stray:?} at another time than {wall:?}"))
}

/// The clocks may advance, and the answer to a node is remembered; nothing else
/// changes.
fn refused_changes_nothing(transition: &Transition<'_>) -> Result<(), String> {
    if !matches!(transition.decision.reply, Reply::Refused(_)) {
        return Ok(());
    }
    unchanged(transition)?;
    ensure(transition.before.requests == transition.after.requests, || {
        "a refusal was remembered".into()
    })
}

/// A changed row carries the revision of an event about it. Promotions have no
/// event, because nobody can see them.
fn changes_have_events(transition: &Transition<'_>) -> Result<(), String> {
    for change in &transition.decision.changes {
        let Some((subject, revision)) = about(change) else { continue };
        if is_promotion(transition, change)
            || is_of_removed(transition, change)
            || is_mark(transition, change)
        {
            continue;
        }
        let mut events = transition.decision.events.iter().filter(|event| event.subject == subject);
        let found = match revision {
            Some(revision) => events.any(|event| event.revision == revision),
            None => events.any(|event| event.new.is_none()),
        };
        ensure(found, || format!("{change:?} without its event"))?;
    }
    Ok(())
}

fn repeated_changes_nothing(transition: &Transition<'_>) -> Result<(), String> {
    let Some(origin) = &transition.envelope.origin else { return Ok(()) };
    let at = (origin.session, origin.sequence);
    match transition.before.answers.get(&at) {
        Some(reply) => {
            ensure(transition.decision.reply == *reply, || format!("{reply:?} became another"))?;
            unchanged(transition)
        }
        None => {
            let lowest = transition.before.origins.get(&origin.session).map_or(0, |row| row.lowest);
            let known = transition.after.answers.get(&at) == Some(&transition.decision.reply);
            // A sequence below the lowest was answered before and is refused. A
            // rule that panicked changes nothing, so its reply is not remembered.
            let dropped = origin.sequence < lowest || transition.decision.changes.is_empty();
            ensure(known || dropped, || format!("answer {at:?} was not remembered"))
        }
    }
}

/// Unless it is tried again or removed.
fn over_stays_over(transition: &Transition<'_>) -> Result<(), String> {
    let may_change = matches!(transition.envelope.command, Command::Retry(_));
    if was_reset(transition) || may_change {
        return Ok(());
    }
    transition.before.runs.iter().filter(|(_, run)| run.is_over()).try_for_each(
        |(run_id, before)| {
            let after = transition.after.runs.get(run_id);
            let removed = after.is_none_or(|after| after.removed);
            let may_be_removed =
                is_deletion(transition, run_id) || !before.lives_at(transition.after.meta.clock);
            let told = after.is_some_and(|after| is_same_but_for_dependents(before, after));
            let holds = told || (removed && may_be_removed);
            ensure(holds, || format!("{before:?} became {after:?}"))
        },
    )
}

fn is_deletion(transition: &Transition<'_>, run_id: &Text) -> bool {
    matches!(&transition.envelope.command, Command::DeleteRun(delete) if delete.run_id == *run_id)
}

fn steps_are_kept(transition: &Transition<'_>) -> Result<(), String> {
    if was_reset(transition) {
        return Ok(());
    }
    transition.before.steps.keys().try_for_each(|at| {
        let run = transition.after.runs.get(&at.0);
        let is_removed = run.is_none_or(|run| run.removed);
        ensure(is_removed || transition.after.steps.contains_key(at), || {
            format!("step {at:?} is gone")
        })
    })
}

/// A token is either unchanged or newer than every revision before the command.
/// Since tokens are revisions, those of one resource therefore never fall.
fn tokens_rise(transition: &Transition<'_>) -> Result<(), String> {
    let newest = transition.before.meta.revision;
    let rises = |name: &Text, before: Option<Revision>, after: Revision| {
        ensure(before == Some(after) || after > newest, || {
            format!("'{name}': token {before:?}, then {after}, at revision {newest}")
        })
    };
    for (id, lease) in &transition.after.leases {
        let before = transition.before.leases.get(id);
        let had = |token| before.filter(|it| it.holders.iter().any(|it| it.token == token));
        for LeaseHolder { token, .. } in &lease.holders {
            rises(id, had(*token).map(|_| *token), *token)?;
        }
    }
    for (id, run) in &transition.after.runs {
        let Some(after) = claim_token(run) else { continue };
        rises(id, transition.before.runs.get(id).and_then(claim_token), after)?;
    }
    Ok(())
}

/// A lease or a claim passes to another holder only after it has expired, and
/// always under a new token.
fn holders_are_safe(transition: &Transition<'_>) -> Result<(), String> {
    let now = transition.after.meta.clock;
    for (id, before) in &transition.before.leases {
        let Some(after) = transition.after.leases.get(id) else { continue };
        let was_released = matches!(transition.envelope.command, Command::ReleaseLease(_));
        let keeps = |holder: &LeaseHolder| {
            let same = after.holders.iter().find(|after| after.token == holder.token);
            same.map_or(was_released || !holder.lives_at(now), |after| {
                after.holder_id == holder.holder_id
            })
        };
        let is_safe = before.holders.iter().all(keeps);
        ensure(is_safe, || format!("lease '{id}' at {now:?}: {before:?}, then {after:?}"))?;
    }
    for (id, before) in &transition.before.runs {
        let (Some(claim), Some(after)) = (&before.claim, transition.after.runs.get(id)) else {
            continue;
        };
        let same = before.agent_id == after.agent_id && claim_token(before) == claim_token(after);
        let given_back = after.claim.is_none();
        let lapsed = !claim.lives_at(now) && claim_token(after) > claim_token(before);
        ensure(same || given_back || lapsed, || {
            format!("run '{id}' at {now:?}: {before:?}, then {after:?}")
        })?;
    }
    Ok(())
}

/// A run that was changed is over, waits for other runs or a person, can be claimed from
/// some time on, or ends at some time. Earlier rules let runs be `running` that nobody could ever claim.
fn runs_are_reachable(transition: &Transition<'_>) -> Result<(), String> {
    if transition.envelope.rules < Rules::Attempts {
        return Ok(());
    }
    transition.after.runs.iter().try_for_each(|(run_id, after)| {
        let waits = matches!(after.status, Status::AwaitingApproval | Status::Blocked);
        let goes_on = after.claimable_from().or(after.ends_at()).is_some();
        let is_reachable = after.is_over() || waits || goes_on;
        let unchanged = transition.before.runs.get(run_id) == Some(after);
        ensure(is_reachable || unchanged, || format!("nobody can ever claim {after:?}"))
    })
}

/// Each grant begins an attempt, a claim that has lapsed is not renewed, and no claim is
/// granted beyond the attempts that there are.
fn attempts_are_counted(transition: &Transition<'_>) -> Result<(), String> {
    if transition.envelope.rules < Rules::Attempts {
        return Ok(());
    }
    let now = transition.after.meta.clock;
    transition.after.runs.iter().try_for_each(|(run_id, after)| {
        let before = transition.before.runs.get(run_id);
        let Some(claim) = &after.claim else { return Ok(()) };
        let old = before.and_then(|before| before.claim.as_ref());
        if old.map(|old| old.token) == Some(claim.token) {
            // A claim does not lapse while its run waits for a person.
            let waited = before.is_some_and(|run| run.status == Status::AwaitingApproval);
            let lapsed = old.is_some_and(|old| old.is_counted() && !old.lives_at(now) && !waited);
            let renewed = claim.expires_at > now;
            return ensure(!lapsed || !renewed, || format!("a lapsed claim lives on: {after:?}"));
        }
        let attempts = before.map_or(0, |before| before.attempts);
        let waited = before
            .is_some_and(|run| run.is_left_waiting() || run.status == Status::AwaitingApproval);
        let counted = after.attempts == attempts + u32::from(!waited);
        let left =
            after.retry.lapses_max == 0 || waited || attempts < after.retry.lapses_max.max(1);
        ensure(counted && left, || format!("{before:?} was claimed and is {after:?}"))
    })
}

/// A proposal of a firing finds the schedule there, or does nothing. It creates at most
/// one run, and leaves the schedule at a later firing or at none.
fn firings_happen_once(transition: &Transition<'_>) -> Result<(), String> {
    let Command::FireSchedule(fire) = &transition.envelope.command else { return Ok(()) };
    let Some(before) = transition.before.schedules.get(&fire.name) else {
        return unchanged(transition);
    };
    let (clock, wall) = (transition.after.meta.clock, transition.after.meta.wall);
    if before.next_at != Some(fire.due_at) || !before.is_due(clock, wall) {
        return unchanged(transition);
    }
    let Some(after) = transition.after.schedules.get(&fire.name) else {
        return Err(format!("schedule '{}' is gone", fire.name));
    };
    // A command that is repeated gets its first reply and changes nothing.
    if after == before {
        return unchanged(transition);
    }
    let new = transition.after.runs.keys().filter(|id| !transition.before.runs.contains_key(*id));
    let (new, fired) = (new.count() as u64, after.fired - before.fired);
    let counted = fired + (after.skipped - before.skipped) + (after.missed - before.missed);
    let passed = after.next_at.is_none_or(|next_at| next_at > fire.due_at);
    ensure(new == fired && fired <= 1 && counted == 1 + fire.missed && passed, || {
        format!("{new} runs: {before:?}, then {after:?}")
    })
}

/// A run that depends on others goes on only when they are over, and is not touched
/// before. Those that did not block it may have been tried again meanwhile.
fn prerequisites_come_first(transition: &Transition<'_>) -> Result<(), String> {
    let runs = &transition.after.runs;
    let is_over = |run_id: &Text| runs.get(run_id).is_none_or(RunRow::is_over);
    runs.iter().try_for_each(|(run_id, after)| {
        let before = transition.before.runs.get(run_id);
        let blocked = before.filter(|before| before.status == Status::Blocked);
        let awaited = match (blocked, before) {
            (Some(blocked), _) => blocked.blocked_by(),
            (None, Some(before)) if !before.is_over() => return Ok(()),
            (None, _) => after.depends_on(),
        };
        let mut awaited = awaited.iter().filter(|run_id| !after.blocked_by().contains(run_id));
        let came_first = after.is_over() || awaited.all(is_over);
        let begun = |run: &RunRow| (run.claims, run.last_step, run.status == Status::Done);
        let untouched = blocked.is_none_or(|blocked| begun(blocked) == begun(after));
        ensure(came_first && untouched, || format!("{before:?} became {after:?}"))
    })
}

fn claim_token(run: &RunRow) -> Option<Revision> {
    run.claim.as_ref().map(|claim| claim.token)
}

fn pauses_hold(transition: &Transition<'_>) -> Result<(), String> {
    let Reply::Claimed(claimed) = &transition.decision.reply else { return Ok(()) };
    let Command::ClaimNext(_) = &transition.envelope.command else { return Ok(()) };
    // A repeated request gets its first reply again, which a pause may have followed.
    if transition.decision.events.is_empty() {
        return Ok(());
    }
    let further = claimed.further.iter().map(|claim| &claim.run_id);
    claimed.run_id.iter().chain(further).try_for_each(|run_id| {
        let name = transition.after.runs.get(run_id).map(|run| &run.name);
        let is_paused = name.is_some_and(|name| transition.before.pauses.contains_key(name));
        ensure(!is_paused, || format!("'{run_id}' was claimed, of {name:?}"))
    })
}

fn was_reset(transition: &Transition<'_>) -> bool {
    transition.decision.changes.contains(&Change::Clear)
}

/// Nothing has changed, except for clocks and remembered answers.
fn unchanged(transition: &Transition<'_>) -> Result<(), String> {
    let state = |rows: &Rows| {
        let Rows {
            meta, keys, leases, mut runs, steps, sessions, schedules, cancellations, ..
        } = rows.clone();
        // A refused claim may have promoted runs.
        runs.values_mut().for_each(|run| run.promoted = false);
        let position = (meta.revision, meta.chain, meta.anchor, meta.sets);
        (position, keys, leases, runs, steps, sessions, schedules, cancellations)
    };
    ensure(state(transition.before) == state(transition.after), || {
        format!("{:?} changed the state", transition.envelope.command)
    })
}

/// Whether the change only lists a run among those that can be claimed at once.
fn is_promotion(transition: &Transition<'_>, change: &Change) -> bool {
    let Change::Put(row) = change else { return false };
    let Row::Run(run) = &**row else { return false };
    let before = transition.before.runs.get(&run.run_id);
    before.is_some_and(|before| RunRow { promoted: run.promoted, ..before.clone() } == **run)
        && run.promoted
        && run.is_claimable(transition.after.meta.clock)
}

/// Whether the change only notes that runs depend on this one, or that none does any more.
fn is_mark(transition: &Transition<'_>, change: &Change) -> bool {
    let Change::Put(row) = change else { return false };
    let Row::Run(run) = &**row else { return false };
    let before = transition.before.runs.get(&run.run_id);
    before.is_some_and(|before| is_same_but_for_dependents(before, run))
}

fn is_same_but_for_dependents(before: &RunRow, after: &RunRow) -> bool {
    RunRow { has_dependents: after.has_dependents, ..before.clone() } == *after
}

/// Whether the change carries on the removal of a run, which has its event already; or
/// marks it as begun, which leaves the row as it was.
fn is_of_removed(transition: &Transition<'_>, change: &Change) -> bool {
    let run_id = match change {
        Change::Drop(RowId::Run(run_id) | RowId::Step(run_id, _)) => run_id.clone(),
        Change::Put(row) => match &**row {
            Row::Run(run) if run.removed => run.run_id.clone(),
            _ => return false,
        },
        _ => return false,
    };
    let removed = |run: Option<&RunRow>| run.is_some_and(|run| run.removed);
    removed(transition.before.runs.get(&run_id)) || removed(transition.after.runs.get(&run_id))
}

/// The subject of a change and the revision of the row that it puts, if rows of
/// that kind have events.
fn about(change: &Change) -> Option<(Text, Option<Revision>)> {
    let named = |id: &RowId| match id {
        RowId::Key(key) => Some(key.clone()),
        RowId::Lease(id) => Some(Noun::Lease.subject(id)),
        RowId::Run(run_id) | RowId::Step(run_id, _) => Some(Noun::Run.subject(run_id)),
        RowId::Session(id) => Some(Noun::Session.subject(id)),
        RowId::Schedule(name) => Some(Noun::Schedule.subject(name)),
        RowId::Pause(name) => Some(Noun::Pause.subject(name)),
        RowId::Group(_)
        | RowId::Cancellation(_)
        | RowId::Request(_)
        | RowId::Origin(_)
        | RowId::Answer(..) => None,
    };
    match change {
        Change::Put(row) => {
            let revision = match &**row {
                Row::Key(_, row) => row.revision,
                Row::Lease(_, row) => row.revision,
                Row::Run(row) => row.revision,
                Row::Step(_, _, row) => row.revision,
                Row::Session(_, row) => row.revision,
                Row::Schedule(_, row) => row.revision,
                Row::Pause(_, row) => row.revision,
                Row::Group(..)
                | Row::Cancellation(..)
                | Row::Request(..)
                | Row::Origin(..)
                | Row::Answer(..) => return None,
            };
            Some((named(&row.id())?, Some(revision)))
        }
        Change::Drop(id) => Some((named(id)?, None)),
        Change::List(_) | Change::Unlist(_) | Change::DropAnswersBelow(..) | Change::Clear => None,
    }
}
