//! Tables: a whole state in memory, in persistent maps. A clone costs nothing
//! and never changes, so readers and snapshots keep one while commands go on.
//!
//! Invariant: the indexes hold what the rows give and nothing else, so that
//! equal rows make equal tables; [`Tables::check_indexes`] compares.

mod runs;
mod view;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::machine::row::{KeyRow, LeaseRow, OriginRow, RequestRow, SessionRow, StepRow};
use crate::machine::{Change, ClusterMs, Decision, Meta, Reply, Text, size};
use runs::Runs;

/// Names by the time from which on they are due.
type Deadlines<Name> = OrdSet<(ClusterMs, Name)>;

/// Every row, and what is needed to find rows by other things than their name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    meta: Meta,
    keys: OrdMap<Text, KeyRow>,
    key_deadlines: Deadlines<Text>,
    leases: OrdMap<Text, LeaseRow>,
    lease_deadlines: Deadlines<Text>,
    runs: Runs,
    steps: OrdMap<Text, OrdMap<u64, StepRow>>,
    steps_count: u64,
    sessions: OrdMap<Text, SessionRow>,
    requests: OrdMap<Text, Arc<RequestRow>>,
    request_deadlines: Deadlines<Text>,
    origins: OrdMap<u64, OriginRow>,
    origin_deadlines: Deadlines<u64>,
    answers: OrdMap<(u64, u64), Arc<Reply>>,
}

impl Tables {
    /// The state's position.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Commits a decision that was made over this very state.
    pub fn apply(&mut self, decision: &Decision) {
        for change in &decision.changes {
            self.change(change.clone());
        }
        self.meta = decision.meta.clone();
    }

    /// Every row as the change that puts it, in a defined order.
    /// [`Tables::restore`] makes an equal state of them.
    pub fn rows(&self) -> impl Iterator<Item = Change> + '_ {
        let keys = self.keys.iter().map(|(key, row)| Change::PutKey(key.clone(), row.clone()));
        let leases = self.leases.iter().map(|(id, row)| Change::PutLease(id.clone(), row.clone()));
        let runs = self.runs.iter().map(|run| Change::PutRun(run.clone()));
        let steps = self.steps.iter().flat_map(|(run_id, steps)| {
            steps.iter().map(|(step, row)| Change::PutStep(run_id.clone(), *step, row.clone()))
        });
        let sessions =
            self.sessions.iter().map(|(id, row)| Change::PutSession(id.clone(), row.clone()));
        let requests = self
            .requests
            .iter()
            .map(|(key, row)| Change::PutRequest(key.clone(), RequestRow::clone(row)));
        let origins = self.origins.iter().map(|(id, row)| Change::PutOrigin(*id, row.clone()));
        let answers = self.answers.iter().map(|((session, sequence), reply)| {
            Change::PutAnswer(*session, *sequence, Reply::clone(reply))
        });
        keys.chain(leases)
            .chain(runs)
            .chain(steps)
            .chain(sessions)
            .chain(requests)
            .chain(origins)
            .chain(answers)
    }

    /// A state out of its position and its rows.
    pub fn restore(meta: Meta, rows: impl IntoIterator<Item = Change>) -> Tables {
        let mut tables = Tables { meta, ..Tables::default() };
        for row in rows {
            tables.change(row);
        }
        tables
    }

    /// The same state, of which the position says how large its rows are: for
    /// rows that come from somewhere else.
    pub fn counted(mut self) -> Tables {
        self.meta.state_bytes = self.rows().map(|row| size::of_put(&row)).sum();
        self
    }

    /// Puts a row that [`Tables::rows`] gave, without moving the position.
    pub(in crate::store) fn put(&mut self, row: Change) {
        self.change(row);
    }

    /// Compares the indexes, and the size, with those that the rows alone would
    /// give.
    ///
    /// # Errors
    ///
    /// Says that they differ. It reads every row; for tests and debugging.
    pub fn check_indexes(&self) -> Result<(), String> {
        let derived = Tables::restore(self.meta.clone(), self.rows()).counted();
        if *self == derived {
            return Ok(());
        }
        Err(format!("indexes do not follow from the rows: {self:?} against {derived:?}"))
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::PutKey(key, row) => self.put_key(key, Some(row)),
            Change::DropKey(key) => self.put_key(key, None),
            Change::PutLease(id, row) => self.put_lease(id, Some(row)),
            Change::DropLease(id) => self.put_lease(id, None),
            Change::PutRun(row) => self.runs.put(row),
            Change::PutStep(run_id, step, row) => {
                let replaced = self.steps.entry(run_id).or_default().insert(step, row);
                self.steps_count += u64::from(replaced.is_none());
            }
            Change::PutSession(id, row) => {
                self.sessions.insert(id, row);
            }
            Change::DropSession(id) => {
                self.sessions.remove(&id);
            }
            Change::PutRequest(key, row) => self.put_request(key, Some(row)),
            Change::DropRequest(key) => self.put_request(key, None),
            Change::PutOrigin(session, row) => self.put_origin(session, Some(row)),
            Change::DropOrigin(session) => {
                self.put_origin(session, None);
                self.drop_answers(session, u64::MAX);
                self.answers.remove(&(session, u64::MAX));
            }
            Change::PutAnswer(session, sequence, reply) => {
                self.answers.insert((session, sequence), Arc::new(reply));
            }
            Change::DropAnswersBelow(session, lowest) => self.drop_answers(session, lowest),
            Change::Clear => self.clear(),
        }
    }

    fn put_key(&mut self, key: Text, row: Option<KeyRow>) {
        let new = row.as_ref().and_then(|row| row.expires_at);
        let old = replace(&mut self.keys, &key, row).and_then(|row| row.expires_at);
        move_deadline(&mut self.key_deadlines, key, old, new);
    }

    fn put_lease(&mut self, resource_id: Text, row: Option<LeaseRow>) {
        let new = row.as_ref().map(|row| row.expires_at);
        let old = replace(&mut self.leases, &resource_id, row).map(|row| row.expires_at);
        move_deadline(&mut self.lease_deadlines, resource_id, old, new);
    }

    fn put_request(&mut self, key: Text, row: Option<RequestRow>) {
        let new = row.as_ref().map(RequestRow::forgotten_at);
        let old = replace(&mut self.requests, &key, row.map(Arc::new));
        let old = old.map(|row| row.forgotten_at());
        move_deadline(&mut self.request_deadlines, key, old, new);
    }

    fn put_origin(&mut self, session: u64, row: Option<OriginRow>) {
        let new = row.as_ref().map(OriginRow::forgotten_at);
        let old = replace(&mut self.origins, &session, row).map(|row| row.forgotten_at());
        move_deadline(&mut self.origin_deadlines, session, old, new);
    }

    fn drop_answers(&mut self, session: u64, lowest: u64) {
        let range = (session, 0)..(session, lowest);
        let dropped: Vec<_> = self.answers.range(range).map(|(at, _)| *at).collect();
        for at in dropped {
            self.answers.remove(&at);
        }
    }

    /// Remembered requests stay, so that asking again across a reset does not
    /// do a thing twice.
    fn clear(&mut self) {
        *self = Tables {
            meta: std::mem::take(&mut self.meta),
            requests: std::mem::take(&mut self.requests),
            request_deadlines: std::mem::take(&mut self.request_deadlines),
            origins: std::mem::take(&mut self.origins),
            origin_deadlines: std::mem::take(&mut self.origin_deadlines),
            answers: std::mem::take(&mut self.answers),
            ..Tables::default()
        };
    }
}

/// Puts or, without a row, removes; gives what was there.
fn replace<K: Ord + Clone, R: Clone>(
    rows: &mut OrdMap<K, R>,
    name: &K,
    row: Option<R>,
) -> Option<R> {
    match row {
        Some(row) => rows.insert(name.clone(), row),
        None => rows.remove(name),
    }
}

fn move_deadline<Name: Ord + Clone>(
    deadlines: &mut Deadlines<Name>,
    name: Name,
    old: Option<ClusterMs>,
    new: Option<ClusterMs>,
) {
    if old == new {
        return;
    }
    if let Some(old) = old {
        deadlines.remove(&(old, name.clone()));
    }
    if let Some(new) = new {
        deadlines.insert((new, name));
    }
}
