//! Calls at once, on all copies of one store: there is an order in which the
//! model gives every reply that was given and every event that the store has,
//! chain and all. (What linearizability asks of calls that all overlap, after
//! Herlihy and Wing, 1990.)

use std::sync::Arc;

use futures::future::join_all;
use mcp_state_sidecar::machine::filter::{ClaimFilter, HistoryFilter};
use mcp_state_sidecar::machine::page::Page;
use mcp_state_sidecar::machine::{
    Answer, ClusterMs, Command, Envelope, Event, Question, Reply, Revision, Rules, WallMs, lookup,
};
use mcp_state_sidecar::store::clock::{ManualClock, TimeSource};
use mcp_state_sidecar::store::memory::MemoryState;
use mcp_state_sidecar::store::{Consistency, Request, StoreError};

use crate::Fault;
use crate::choices::Choices;
use crate::play::{last, tick};
use crate::stage::{BEGIN_MS, LIMITS, Opener, Stage, soon};
use crate::whole::{Whole, events_of};
use support::draw::Draw;

/// Calls of one round: a few more than there are copies and names, so that
/// they share batches and get in one another's way.
const TOGETHER: usize = 12;

pub async fn play(steps: &[Choices], opener: &Opener) -> Result<(), Fault> {
    let clock = ManualClock::at(BEGIN_MS);
    let stage = opener.open(&clock, LIMITS).await;
    let outcome = rounds(steps, &stage, &clock).await;
    stage.end().await;
    outcome
}

async fn rounds(steps: &[Choices], stage: &Stage, clock: &Arc<ManualClock>) -> Result<(), Fault> {
    let mut model = MemoryState::default();
    for round in steps.chunks(TOGETHER) {
        clock.advance_ms(round[0].draw().pause_ms());
        // The passing of time is no part of the race.
        stage.tell_time().await?;
        model.step(&stamped(&tick(), clock));
        promote(stage, &mut model, clock).await?;
        let requests: Vec<Request> =
            round.iter().enumerate().map(|(at, choices)| drawn(choices, at, &model)).collect();
        let calls = (0..).zip(&requests).map(|(at, request)| {
            let request = request.clone();
            async move { stage.copy(at).submit(request, soon()).await }
        });
        let replies = join_all(calls).await;
        let events = since(stage, model.tables.meta().revision).await?;
        let found = explain(&model, &requests, &replies, &events, clock);
        model = found.map_err(|what| Fault { store: stage.name, what })?;
    }
    let replied = stage.copy(0).submit(last(), soon()).await;
    let expected = model.step(&stamped(&last(), clock));
    let same = replied.as_ref().is_ok_and(|replied| *replied == expected);
    stage.ensure(same, || format!("replied {replied:?}, not {expected:?}"))?;
    stage.is_whole(1, &Whole::of(&model)).await
}

/// Has the runs promoted whose time has come: a sweep that does so among the
/// others would change the state and leave no event that tells when.
async fn promote(stage: &Stage, model: &mut MemoryState, clock: &ManualClock) -> Result<(), Fault> {
    let sweep = Request { command: Command::Sweep { limit: 1_000 }, ..tick() };
    let any = ClaimFilter::default();
    let Ok(due) = lookup::due_runs(&model.tables, &any, ClusterMs(clock.wall_ms()), 1);
    if !due.is_empty() {
        let replied = stage.copy(1).submit(sweep.clone(), soon()).await;
        let expected = model.step(&stamped(&sweep, clock));
        let same = replied.as_ref().is_ok_and(|replied| *replied == expected);
        stage.ensure(same, || format!("replied {replied:?}, not {expected:?}"))?;
    }
    Ok(())
}

/// A request that can be told from the others by what it writes. None is
/// remembered: a refusal that is would change the state and leave no event.
fn drawn(choices: &Choices, at: usize, model: &MemoryState) -> Request {
    let mut draw: Draw<'_> = choices.draw();
    let command = match draw.command(&model.tables).0 {
        // It would take the events along that tell what the others did.
        Command::Reset => Command::Sweep { limit: 100 },
        command => command,
    };
    let actor = Some(format!("caller {at}").into());
    Request { command, idempotency: None, actor, random: draw.chance(), attempt: false }
}

fn stamped(request: &Request, clock: &ManualClock) -> Envelope {
    let Request { command, idempotency, actor, random, attempt: _ } = request.clone();
    let now_ms = clock.wall_ms();
    let (wall, clock) = (WallMs(now_ms), ClusterMs(now_ms));
    let (origin, limits) = (None, LIMITS);
    let rules = Rules::Attempts;
    Envelope { origin, idempotency, actor, random, wall, clock, limits, rules, command }
}

/// What happened after `revision`, oldest first.
async fn since(stage: &Stage, revision: Revision) -> Result<Vec<Event>, Fault> {
    let question = Question::History {
        filter: HistoryFilter::default(),
        before: None,
        page: Page::of_rows(10_000),
    };
    let asked = stage.copy(2).ask(question, Consistency::Linearizable, soon()).await;
    match asked.map(|answered| answered.answer) {
        Ok(Answer::History { mut events, .. }) => {
            events.retain(|event| event.revision > revision);
            events.reverse();
            Ok(events)
        }
        other => Err(Fault { store: stage.name, what: format!("no history: {other:?}") }),
    }
}

/// The state after an order that gives these replies and these events.
///
/// Calls that change something are put in the order of their events. The others
/// fit anywhere: each must have met one of the states in between.
fn explain(
    model: &MemoryState,
    requests: &[Request],
    replies: &[Result<Reply, StoreError>],
    events: &[Event],
    clock: &ManualClock,
) -> Result<MemoryState, String> {
    let mut calls: Vec<(&Request, &Reply)> = Vec::new();
    for (request, reply) in requests.iter().zip(replies) {
        calls.push((request, reply.as_ref().map_err(|error| format!("{request:?}: {error}"))?));
    }
    let mut states = vec![model.clone()];
    let newest = events.last().map_or(model.tables.meta().revision, |event| event.revision);
    loop {
        let state = states.last().expect("there is the first");
        if state.tables.meta().revision >= newest {
            break;
        }
        let next = calls.iter().position(|(request, reply)| {
            let (after, replied) = stepped(state, request, clock);
            replied == **reply && has_come(state, &after, events)
        });
        let Some(next) = next else {
            let (at, last) = (state.tables.meta().revision, events.last());
            return Err(format!("no call explains the event after {at}: {calls:#?} {last:?}"));
        };
        let (request, _) = calls.remove(next);
        let (after, _) = stepped(state, request, clock);
        states.push(after);
    }
    for (request, reply) in calls {
        let meets = |state: &MemoryState| {
            let (after, replied) = stepped(state, request, clock);
            replied == *reply && after.tables.meta().revision == state.tables.meta().revision
        };
        if !states.iter().any(meets) {
            return Err(format!("{request:?} was never to be answered with {reply:?}"));
        }
    }
    Ok(states.pop().expect("there is the first"))
}

fn stepped(state: &MemoryState, request: &Request, clock: &ManualClock) -> (MemoryState, Reply) {
    let mut after = state.clone();
    let reply = after.step(&stamped(request, clock));
    (after, reply)
}

/// Whether what happened between two states is what the store has next.
fn has_come(before: &MemoryState, after: &MemoryState, events: &[Event]) -> bool {
    let (from, to) = (before.tables.meta().revision, after.tables.meta().revision);
    let new = |event: &&Event| event.revision > from && event.revision <= to;
    let came: Vec<&Event> = events.iter().filter(new).collect();
    from < to && events_of(after, from).iter().eq(came)
}
