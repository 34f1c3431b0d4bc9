//! Facts: what happened, or must have happened since its outcome is there. They
//! are put in the order of their times first, and then each is written down with
//! its event and the row that it leaves.

use std::collections::BTreeMap;

use super::builder::{StateBuilder, ms};
use super::run::{RunWithSteps, runs_with_steps};
use crate::machine::row::{KeyRow, LeaseHolder, LeaseRow, RunRow, SessionRow};
use crate::machine::subject::Noun;
use crate::machine::{Action, ClusterMs, Json, Revision, Row, Text, WallMs, describe};
use crate::store::migration::model::{
    Converted, Reference, ReferenceKey, ReferenceLease, ReferenceSession, ReferenceSet,
};

enum Fact<'a> {
    /// A key was written. The row is given if it still has this value.
    KeyWritten(&'a ReferenceSet, Option<&'a ReferenceKey>),
    /// A key has a value that is not in the history, whose last value for the key
    /// is given too.
    KeyFound(&'a ReferenceKey, Option<&'a Json>),
    /// A key is gone. Its last value is given.
    KeyGone(&'a Text, &'a Json),
    LeaseHeld(&'a ReferenceLease),
    RunCreated(&'a RunWithSteps<'a>),
    /// Everything that happened to a run after its creation.
    RunAdvanced(&'a RunWithSteps<'a>),
    SessionSaved(&'a ReferenceSession),
}

/// When a fact happened: Unix seconds, and never after the conversion.
type FactTime = f64;

/// `reference` as a state of ours at `now`.
///
/// Facts without a time, and facts in the future, happened at `now`, or when the
/// row expired if that was earlier.
pub fn convert(reference: &Reference, now: ClusterMs) -> Converted {
    let runs = runs_with_steps(&reference.runs, &reference.steps);
    let mut facts = key_facts(reference);
    facts.extend(reference.leases.iter().map(|lease| (lease.expires_at, Fact::LeaseHeld(lease))));
    for run in &runs {
        facts.push((run.created_at(), Fact::RunCreated(run)));
        facts.push((run.updated_at(), Fact::RunAdvanced(run)));
    }
    facts.extend(reference.sessions.iter().map(|session| {
        let saved_at = session.updated_at.or(session.saved_at).unwrap_or(FactTime::INFINITY);
        (saved_at, Fact::SessionSaved(session))
    }));
    let latest = now.0 as FactTime / 1000.0;
    for (at, _) in &mut facts {
        *at = at.min(latest);
    }
    // The sort is stable, so facts of the same time keep their order.
    facts.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut builder = StateBuilder::new(now);
    let mut created = BTreeMap::new();
    for (at, fact) in facts {
        builder.advance_to(at);
        write(&mut builder, fact, &mut created);
    }
    builder.finish()
}

/// What happened to keys: first what is in the history, in its order, then what
/// is not.
fn key_facts(reference: &Reference) -> Vec<(FactTime, Fact<'_>)> {
    let rows: BTreeMap<&str, &ReferenceKey> =
        reference.keys.iter().map(|row| (&*row.key, row)).collect();
    let history = &reference.history;
    let last: BTreeMap<&str, usize> =
        history.iter().enumerate().map(|(at, set)| (&*set.key, at)).collect();
    let mut facts = Vec::new();
    let mut written_at = FactTime::NEG_INFINITY;
    for (at, set) in history.iter().enumerate() {
        // If the clock was set back, the order of the history still counts.
        written_at = written_at.max(set.written_at);
        let row = rows.get(&*set.key).copied();
        let row = row.filter(|row| last[&*set.key] == at && row.value == set.new);
        facts.push((written_at, Fact::KeyWritten(set, row)));
    }
    for row in &reference.keys {
        let before = last.get(&*row.key).map(|at| &history[*at].new);
        if before != Some(&row.value) {
            let at = row.expires_at.unwrap_or(FactTime::INFINITY);
            facts.push((at.max(written_at), Fact::KeyFound(row, before)));
        }
    }
    for (key, at) in last {
        if !rows.contains_key(key) {
            facts.push((FactTime::INFINITY, Fact::KeyGone(&history[at].key, &history[at].new)));
        }
    }
    facts
}

/// Writes one fact down: its events and the rows that it leaves. `created` holds
/// the runs between their creation and the rest of their story.
fn write<'a>(builder: &mut StateBuilder, fact: Fact<'a>, created: &mut BTreeMap<&'a str, RunRow>) {
    match fact {
        Fact::KeyWritten(set, row) => {
            let (previous, agent_id) = (set.previous.as_ref(), set.agent_id.as_ref());
            let revision = record_set(builder, &set.key, &set.new, previous, agent_id);
            if let Some(row) = row {
                put_key(builder, row, revision);
            }
        }
        Fact::KeyFound(row, before) => {
            let revision = record_set(builder, &row.key, &row.value, before, None);
            put_key(builder, row, revision);
        }
        Fact::KeyGone(key, before) => {
            builder.record(Action::StateDelete, key.clone(), None, Some(before.clone()), None);
        }
        Fact::LeaseHeld(lease) => write_lease(builder, lease),
        Fact::RunCreated(run) => {
            let row = run.create(builder);
            created.insert(run.run_id(), row);
        }
        Fact::RunAdvanced(run) => {
            let row = created.remove(run.run_id());
            run.advance(builder, row.expect("a run is created before anything else happens to it"));
        }
        Fact::SessionSaved(session) => write_session(builder, session),
    }
}

fn record_set(
    builder: &mut StateBuilder,
    key: &Text,
    new: &Json,
    previous: Option<&Json>,
    agent_id: Option<&Text>,
) -> Revision {
    builder.record(Action::StateSet, key.clone(), Some(new.clone()), previous.cloned(), agent_id)
}

fn put_key(builder: &mut StateBuilder, row: &ReferenceKey, revision: Revision) {
    let expires_at = row.expires_at.map(|at| ClusterMs(ms(at)));
    let put = KeyRow { value: row.value.clone(), revision, expires_at };
    builder.put(Row::Key(row.key.clone(), put));
}

fn write_lease(builder: &mut StateBuilder, lease: &ReferenceLease) {
    let token = builder.revision().next();
    let row = LeaseHolder {
        holder_id: lease.holder_id.clone(),
        token,
        revision: token,
        expires_at: ClusterMs(ms(lease.expires_at)),
        permits: 0,
    };
    let subject = Noun::Lease.subject(&lease.resource_id);
    let new = Some(describe::lease(&row));
    builder.record(Action::LeaseAcquire, subject, new, None, Some(&lease.holder_id));
    builder.put(Row::Lease(lease.resource_id.clone(), LeaseRow::of(row)));
}

fn write_session(builder: &mut StateBuilder, session: &ReferenceSession) {
    let subject = Noun::Session.subject(&session.session_id);
    let new = Some(session.context.clone());
    let revision = builder.record(Action::SessionSave, subject, new, None, None);
    let or_now = |at: Option<f64>| at.map_or(builder.wall(), |at| WallMs(ms(at)));
    let row = SessionRow {
        context: session.context.clone(),
        revision,
        saved_at: or_now(session.saved_at.or(session.updated_at)),
        updated_at: or_now(session.updated_at.or(session.saved_at)),
        expires_at: None,
    };
    builder.put(Row::Session(session.session_id.clone(), row));
}
