//! Checks that every conversion must pass.

use std::collections::BTreeMap;

use super::examples::NOW;
use crate::machine::invariant::{self, Rows};
use crate::machine::status::Status;
use crate::machine::subject::Noun;
use crate::machine::{Action, Chain, Event, Revision, Text, WallMs};
use crate::store::migration::{Converted, Reference, convert};
use crate::store::tables::Tables;

/// Converts `reference` and checks everything that must hold for any conversion.
pub(super) fn converted(reference: &Reference) -> (Rows, Vec<Event>) {
    let Converted { meta, rows, events } = convert(reference, NOW);
    assert_eq!(convert(reference, NOW).events, events, "two conversions of the same data differ");
    assert_eq!(Tables::restore(meta.clone(), rows.clone()).meta(), &meta);
    let count = rows.len();
    let rows = Rows::collect(meta, rows);
    assert_eq!(invariant::check_state(&rows), []);
    assert_eq!(
        count,
        rows.keys.len()
            + rows.leases.len()
            + rows.runs.len()
            + rows.steps.len()
            + rows.sessions.len(),
        "a row was added twice"
    );
    history_is_whole(&rows, &events);
    rows_are_explained(&rows, &events);
    nothing_is_lost(reference, &rows, &events);
    (rows, events)
}

fn history_is_whole(rows: &Rows, events: &[Event]) {
    let (mut chain, mut at, mut revision) = (Chain::default(), WallMs(0), Revision::ZERO);
    for event in events {
        revision = revision.next();
        assert_eq!(event.revision, revision);
        assert!(event.follows(chain), "{event:?}");
        assert!(event.at >= at, "time went back from {at:?}: {event:?}");
        (chain, at) = (event.chain, event.at);
    }
    assert!(at <= WallMs(NOW.0), "{at:?} is in the future");
    assert_eq!((rows.meta.revision, rows.meta.chain), (revision, chain));
    assert_eq!((rows.meta.clock, rows.meta.wall), (NOW, WallMs(NOW.0)));
    let sets = events.iter().filter(|event| event.action == Action::StateSet).count();
    assert_eq!(rows.meta.sets, sets as u64);
}

/// The revision of each row is that of the last event about it, and each token is
/// the revision of a grant.
fn rows_are_explained(rows: &Rows, events: &[Event]) {
    let last: BTreeMap<&Text, &Event> =
        events.iter().map(|event| (&event.subject, event)).collect();
    for (key, row) in &rows.keys {
        let event = last[key];
        assert_eq!((event.revision, event.new.as_ref()), (row.revision, Some(&row.value)));
    }
    for (id, row) in &rows.leases {
        let event = last[&Noun::Lease.subject(id)];
        assert_eq!((event.action, event.revision), (Action::LeaseAcquire, row.holders[0].token));
        assert_eq!(event.actor.as_ref(), Some(&row.holders[0].holder_id));
    }
    for (id, row) in &rows.sessions {
        let event = last[&Noun::Session.subject(id)];
        assert_eq!((event.revision, event.new.as_ref()), (row.revision, Some(&row.context)));
    }
    for row in rows.runs.values() {
        assert_eq!(last[&Noun::Run.subject(&row.run_id)].revision, row.revision, "{row:?}");
        let created = &events[row.created_revision.0 as usize - 1];
        assert_eq!(created.action, Action::WorkflowCreate);
        assert_eq!(created.subject, Noun::Run.subject(&row.run_id));
        if let Some(claim) = &row.claim {
            let granted = &events[claim.token.0 as usize - 1];
            assert_eq!(granted.action, Action::WorkflowClaim);
            assert_eq!(granted.actor, row.agent_id);
            assert_eq!(claim.expires_at, NOW.plus(claim.ttl_ms));
        }
    }
    for ((run_id, _), row) in &rows.steps {
        let stored = &events[row.revision.0 as usize - 1];
        assert_eq!(stored.action, Action::WorkflowCheckpoint);
        assert_eq!(stored.subject, Noun::Run.subject(run_id));
    }
    for (subject, event) in last {
        let gone = event.new.is_none();
        let of_key = matches!(event.action, Action::StateSet | Action::StateDelete);
        assert!(!of_key || gone != rows.keys.contains_key(subject), "{event:?}");
    }
}

fn nothing_is_lost(reference: &Reference, rows: &Rows, events: &[Event]) {
    assert_eq!(reference.keys.len(), rows.keys.len());
    for key in &reference.keys {
        let row = &rows.keys[&key.key];
        assert_eq!(row.value, key.value);
        assert_eq!(row.expires_at.is_some(), key.expires_at.is_some());
    }
    for lease in &reference.leases {
        assert_eq!(rows.leases[&lease.resource_id].holders[0].holder_id, lease.holder_id);
    }
    for run in &reference.runs {
        let row = &rows.runs[&run.run_id];
        assert_eq!((&row.name, &row.tags), (&run.name, &run.tags));
        assert!(row.last_step as i64 >= run.last_step);
        let nobodys = run.status == Status::Claimed && run.agent_id.is_none();
        assert_eq!(row.status, if nobodys { Status::Created } else { run.status });
    }
    for step in &reference.steps {
        let output = step.output.as_str();
        assert!(events.iter().any(|event| {
            event.subject == Noun::Run.subject(&step.run_id)
                && event.new.as_ref().is_some_and(|new| {
                    new.as_str() == format!("{{\"step\":{},\"output\":{output}}}", step.step)
                })
        }));
        if let Ok(number) = u64::try_from(step.step) {
            assert_eq!(rows.steps[&(step.run_id.clone(), number)].output, step.output);
        }
    }
    for session in &reference.sessions {
        assert_eq!(rows.sessions[&session.session_id].context, session.context);
    }
    // The reference's history, in its order, is a subsequence of ours.
    let mut sets = events.iter().filter(|event| event.action == Action::StateSet);
    for set in &reference.history {
        let wanted = (&set.key, Some(&set.new), &set.previous, &set.agent_id);
        assert!(
            sets.any(|event| {
                (&event.subject, event.new.as_ref(), &event.previous, &event.actor) == wanted
            }),
            "{set:?} is lost"
        );
    }
}
