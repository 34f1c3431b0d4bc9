//! The conversion: the same data at the same moment always give the same
//! state. What happened when is put in order first; then it is told once, each
//! change with its event. A run's story is `run`'s, the telling `book`'s.

mod events;
mod run;

use std::collections::BTreeMap;

use super::convert::events::ConvertedEvents;
use super::convert::run::Family;
use super::{Converted, Entry, Key, Lease, Reference, Session};
use crate::machine::draft::{lease_subject, session_subject};
use crate::machine::row::{KeyRow, LeaseRow, SessionRow};
use crate::machine::{Action, ClusterMs, Json, Revision, Row, Text, WallMs, describe};

/// Something that happened, or that must have, since its outcome is there.
enum Fact<'a> {
    /// A key was written; the row is there where it still holds this value.
    Written(&'a Entry, Option<&'a Key>),
    /// A key has a value that the history does not tell of; what it tells last.
    Found(&'a Key, Option<&'a Json>),
    /// A key is gone; what it was last.
    Gone(&'a Text, &'a Json),
    Held(&'a Lease),
    Created(&'a Family<'a>),
    /// What came of a run since.
    Moved(&'a Family<'a>),
    Saved(&'a Session),
}

/// When it happened: Unix seconds, at most the conversion's.
type At = f64;

/// `reference` as a state of ours at `now`.
///
/// What it kept no time of, and what it says to be of the future, happened at
/// `now`; or when it expired, if that was before.
pub fn convert(reference: &Reference, now: ClusterMs) -> Converted {
    let families = run::families(&reference.runs, &reference.steps);
    let mut facts = keys(reference);
    facts.extend(reference.leases.iter().map(|lease| (lease.expires_at, Fact::Held(lease))));
    for family in &families {
        facts.push((family.created_at(), Fact::Created(family)));
        facts.push((family.updated_at(), Fact::Moved(family)));
    }
    let saved = |session: &Session| session.updated_at.or(session.saved_at).unwrap_or(At::INFINITY);
    facts.extend(reference.sessions.iter().map(|session| (saved(session), Fact::Saved(session))));
    let latest = now.0 as At / 1000.0;
    for (at, _) in &mut facts {
        *at = at.min(latest);
    }
    // Stable: what happened at once stays as it was put down.
    facts.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut book = ConvertedEvents::new(now);
    let mut created = BTreeMap::new();
    for (at, fact) in facts {
        book.turn_to(at);
        tell(&mut book, fact, &mut created);
    }
    book.close()
}

/// What happened to keys: first all that the history tells, in its order, then
/// what it does not.
fn keys(reference: &Reference) -> Vec<(At, Fact<'_>)> {
    let rows: BTreeMap<&str, &Key> = reference.keys.iter().map(|row| (&*row.key, row)).collect();
    let history = &reference.history;
    let last: BTreeMap<&str, usize> =
        history.iter().enumerate().map(|(at, entry)| (&*entry.key, at)).collect();
    let mut facts = Vec::new();
    let mut written_at = At::NEG_INFINITY;
    for (at, entry) in history.iter().enumerate() {
        // A clock that was set back does not turn the order round.
        written_at = written_at.max(entry.written_at);
        let row = rows.get(&*entry.key).copied();
        let row = row.filter(|row| last[&*entry.key] == at && row.value == entry.new);
        facts.push((written_at, Fact::Written(entry, row)));
    }
    for row in &reference.keys {
        let before = last.get(&*row.key).map(|at| &history[*at].new);
        if before != Some(&row.value) {
            let at = row.expires_at.unwrap_or(At::INFINITY);
            facts.push((at.max(written_at), Fact::Found(row, before)));
        }
    }
    for (key, at) in last {
        if !rows.contains_key(key) {
            facts.push((At::INFINITY, Fact::Gone(&history[at].key, &history[at].new)));
        }
    }
    facts
}

/// Writes one fact down: its events, and the rows that it leaves.
fn tell<'a>(
    book: &mut ConvertedEvents,
    fact: Fact<'a>,
    created: &mut BTreeMap<&'a str, crate::machine::row::RunRow>,
) {
    match fact {
        Fact::Written(entry, row) => {
            let revision = set(book, &entry.key, &entry.new, entry.previous.as_ref(), {
                entry.agent_id.as_ref()
            });
            if let Some(row) = row {
                put_key(book, row, revision);
            }
        }
        Fact::Found(row, before) => {
            let revision = set(book, &row.key, &row.value, before, None);
            put_key(book, row, revision);
        }
        Fact::Gone(key, before) => {
            book.record(Action::StateDelete, key.clone(), None, Some(before.clone()), None);
        }
        Fact::Held(lease) => hold(book, lease),
        Fact::Created(family) => {
            let row = family.create(book);
            created.insert(family.run_id(), row);
        }
        Fact::Moved(family) => {
            let row = created.remove(family.run_id());
            family.go_on(book, row.expect("a run is created before anything else happens to it"));
        }
        Fact::Saved(session) => save(book, session),
    }
}

fn set(
    book: &mut ConvertedEvents,
    key: &Text,
    new: &Json,
    previous: Option<&Json>,
    agent_id: Option<&Text>,
) -> Revision {
    book.record(Action::StateSet, key.clone(), Some(new.clone()), previous.cloned(), agent_id)
}

fn put_key(book: &mut ConvertedEvents, row: &Key, revision: Revision) {
    let expires_at = row.expires_at.map(|at| ClusterMs(ms(at)));
    let put = KeyRow { value: row.value.clone(), revision, expires_at };
    book.put(Row::Key(row.key.clone(), put));
}

fn hold(book: &mut ConvertedEvents, lease: &Lease) {
    let token = book.revision().next();
    let row = LeaseRow {
        holder_id: lease.holder_id.clone(),
        token,
        revision: token,
        expires_at: ClusterMs(ms(lease.expires_at)),
    };
    let subject = lease_subject(&lease.resource_id);
    let new = Some(describe::lease(&row));
    book.record(Action::LeaseAcquire, subject, new, None, Some(&lease.holder_id));
    book.put(Row::Lease(lease.resource_id.clone(), row));
}

fn save(book: &mut ConvertedEvents, session: &Session) {
    let subject = session_subject(&session.session_id);
    let new = Some(session.context.clone());
    let revision = book.record(Action::SessionSave, subject, new, None, None);
    let or_now = |at: Option<f64>| at.map_or(book.wall(), |at| WallMs(ms(at)));
    let row = SessionRow {
        context: session.context.clone(),
        revision,
        saved_at: or_now(session.saved_at.or(session.updated_at)),
        updated_at: or_now(session.updated_at.or(session.saved_at)),
    };
    book.put(Row::Session(session.session_id.clone(), row));
}

/// Unix seconds as the nearest millisecond that every store can keep.
fn ms(seconds: f64) -> u64 {
    // The cast gives zero for what is below it, and the most for what is above.
    ((seconds * 1000.0).round() as u64).min(ClusterMs::LAST.0)
}
