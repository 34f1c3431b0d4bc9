//! A whole state in memory, for tests and invariants.

use std::collections::{BTreeMap, BTreeSet};

use crate::machine::change::{Change, Decision};
use crate::machine::entry::IndexEntry;
use crate::machine::index;
use crate::machine::meta::Meta;
use crate::machine::reply::Reply;
use crate::machine::row::{
    CancellationRow, KeyRow, LeaseRow, OriginRow, PauseRow, RequestRow, Row, RunRow, ScheduleRow,
    SessionRow, StepRow,
};
use crate::machine::row_id::RowId;
use crate::machine::run_group::{GroupRow, RunGroup};
use crate::machine::value::Text;

/// A whole state in maps, so that tests can look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    pub meta: Meta,
    pub keys: BTreeMap<Text, KeyRow>,
    pub leases: BTreeMap<Text, LeaseRow>,
    pub runs: BTreeMap<Text, RunRow>,
    pub steps: BTreeMap<(Text, u64), StepRow>,
    pub sessions: BTreeMap<Text, SessionRow>,
    pub groups: BTreeMap<RunGroup, GroupRow>,
    pub schedules: BTreeMap<Text, ScheduleRow>,
    pub pauses: BTreeMap<Text, PauseRow>,
    pub cancellations: BTreeMap<Text, CancellationRow>,
    pub requests: BTreeMap<Text, RequestRow>,
    pub origins: BTreeMap<u64, OriginRow>,
    pub answers: BTreeMap<(u64, u64), Reply>,
    pub entries: BTreeSet<IndexEntry>,
}

impl Rows {
    /// Sorts the rows of a state into maps.
    pub fn collect(meta: Meta, rows: impl IntoIterator<Item = Row>) -> Rows {
        let mut all = Rows { meta, ..Rows::default() };
        for row in rows {
            all.entries.extend(index::entries(&row));
            all.put(row);
        }
        all
    }

    /// The state after a decision. This is the simplest store there can be, which
    /// tests compare the others with.
    pub fn after(&self, decision: &Decision) -> Rows {
        let mut after = self.clone();
        for change in &decision.changes {
            after.change(change);
        }
        after.meta = decision.meta.clone();
        after
    }

    /// Every row.
    pub fn rows(&self) -> Vec<Row> {
        let keys = self.keys.iter().map(|(key, row)| Row::Key(key.clone(), row.clone()));
        let leases = self.leases.iter().map(|(id, row)| Row::Lease(id.clone(), row.clone()));
        let runs = self.runs.values().map(|row| Row::Run(Box::new(row.clone())));
        let steps = self.steps.iter();
        let steps = steps.map(|((id, step), row)| Row::Step(id.clone(), *step, row.clone()));
        let sessions = self.sessions.iter().map(|(id, row)| Row::Session(id.clone(), row.clone()));
        let groups = self.groups.iter().map(|(group, row)| Row::Group(group.clone(), row.clone()));
        let schedules = self.schedules.iter();
        let schedules =
            schedules.map(|(name, row)| Row::Schedule(name.clone(), Box::new(row.clone())));
        let pauses = self.pauses.iter().map(|(name, row)| Row::Pause(name.clone(), row.clone()));
        let cancellations = self.cancellations.iter();
        let cancellations =
            cancellations.map(|(id, row)| Row::Cancellation(id.clone(), Box::new(row.clone())));
        let requests = self.requests.iter();
        let requests = requests.map(|(key, row)| Row::Request(key.clone(), Box::new(row.clone())));
        let origins = self.origins.iter().map(|(session, row)| Row::Origin(*session, row.clone()));
        let answers = self.answers.iter();
        let answers = answers.map(|((session, sequence), reply)| {
            Row::Answer(*session, *sequence, Box::new(reply.clone()))
        });
        let state = keys.chain(leases).chain(runs).chain(steps).chain(sessions);
        let state = state.chain(groups).chain(schedules).chain(pauses);
        state.chain(cancellations).chain(requests).chain(origins).chain(answers).collect()
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Put(row) => self.put(Row::clone(row)),
            Change::Drop(id) => self.remove(id),
            Change::List(entry) => drop(self.entries.insert(entry.clone())),
            Change::Unlist(entry) => drop(self.entries.remove(entry)),
            Change::DropAnswersBelow(session, lowest) => {
                self.answers.retain(|(of, sequence), _| of != session || sequence >= lowest);
            }
            Change::Clear => {
                self.keys.clear();
                self.leases.clear();
                self.runs.clear();
                self.steps.clear();
                self.sessions.clear();
                self.groups.clear();
                self.schedules.clear();
                self.pauses.clear();
                self.cancellations.clear();
                self.entries.retain(|entry| index::outlives_reset(entry));
            }
        }
    }

    fn put(&mut self, row: Row) {
        match row {
            Row::Key(key, row) => drop(self.keys.insert(key, row)),
            Row::Lease(id, row) => drop(self.leases.insert(id, row)),
            Row::Run(row) => drop(self.runs.insert(row.run_id.clone(), *row)),
            Row::Step(run_id, step, row) => drop(self.steps.insert((run_id, step), row)),
            Row::Session(id, row) => drop(self.sessions.insert(id, row)),
            Row::Group(group, row) => drop(self.groups.insert(group, row)),
            Row::Schedule(name, row) => drop(self.schedules.insert(name, *row)),
            Row::Pause(name, row) => drop(self.pauses.insert(name, row)),
            Row::Cancellation(id, row) => drop(self.cancellations.insert(id, *row)),
            Row::Request(key, row) => drop(self.requests.insert(key, *row)),
            Row::Origin(session, row) => drop(self.origins.insert(session, row)),
            Row::Answer(session, sequence, reply) => {
                self.answers.insert((session, sequence), *reply);
            }
        }
    }

    fn remove(&mut self, id: &RowId) {
        match id {
            RowId::Key(key) => drop(self.keys.remove(key)),
            RowId::Lease(id) => drop(self.leases.remove(id)),
            RowId::Run(id) => drop(self.runs.remove(id)),
            RowId::Step(run_id, step) => drop(self.steps.remove(&(run_id.clone(), *step))),
            RowId::Session(id) => drop(self.sessions.remove(id)),
            RowId::Group(group) => drop(self.groups.remove(group)),
            RowId::Schedule(name) => drop(self.schedules.remove(name)),
            RowId::Pause(name) => drop(self.pauses.remove(name)),
            RowId::Cancellation(id) => drop(self.cancellations.remove(id)),
            RowId::Request(key) => drop(self.requests.remove(key)),
            RowId::Origin(session) => {
                self.origins.remove(session);
                self.answers.retain(|(of, _), _| of != session);
            }
            RowId::Answer(session, sequence) => {
                self.answers.remove(&(*session, *sequence));
            }
        }
    }
}
