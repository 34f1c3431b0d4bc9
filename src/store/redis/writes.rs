//! Writes: what a batch of decisions changes, as Redis commands for
//! `commit.lua`. Each row that was touched is compared before and after, so it
//! is written once, whatever the batch did to it, and its index members move
//! only where they differ.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::entry;
use super::layout::{self, CLEARED, Place};
use crate::codec::{self, StateRecord};
use crate::machine::row::{LeaseRow, RunRow};
use crate::machine::{Change, ClusterMs, Decision, Event, Text, View};
use crate::store::tables::Tables;

/// Words of one command at most: Lua unpacks no more than some thousands.
const WORDS_MAX: usize = 1_000;

/// Bytes of one command, unless a single row has more: some milliseconds on
/// the way and in Redis.
pub const BYTES_MAX: usize = 4 << 20;

/// A script's arguments that carry out a batch.
#[derive(Debug, Default)]
pub struct Writes {
    /// By command and key, so that many rows go in one.
    grouped: BTreeMap<(Place, &'static str), Vec<Vec<Vec<u8>>>>,
    cleared: bool,
    /// By how much there are more steps; they are not counted by any index.
    pub steps: i64,
}

/// The rows that some decisions have touched, and what they recorded.
#[derive(Debug, Default)]
pub struct Touched {
    keys: BTreeSet<Text>,
    leases: BTreeSet<Text>,
    runs: BTreeSet<Text>,
    steps: BTreeSet<(Text, u64)>,
    sessions: BTreeSet<Text>,
    requests: BTreeSet<Text>,
    events: Vec<Event>,
    cleared: bool,
}

impl Touched {
    /// Notes what `decision` touches.
    pub fn note(&mut self, decision: &Decision) {
        for change in &decision.changes {
            self.note_change(change);
        }
        self.events.extend(decision.events.iter().cloned());
    }

    /// Whether nothing is to be written.
    pub fn is_nothing(&self) -> bool {
        !self.cleared
            && self.keys.is_empty()
            && self.leases.is_empty()
            && self.runs.is_empty()
            && self.steps.is_empty()
            && self.sessions.is_empty()
            && self.requests.is_empty()
            && self.events.is_empty()
    }

    fn note_change(&mut self, change: &Change) {
        match change {
            Change::PutKey(key, _) | Change::DropKey(key) => {
                self.keys.insert(key.clone());
            }
            Change::PutLease(id, _) | Change::DropLease(id) => {
                self.leases.insert(id.clone());
            }
            Change::PutRun(run) => {
                self.runs.insert(run.run_id.clone());
            }
            Change::PutStep(run_id, step, _) => {
                self.steps.insert((run_id.clone(), *step));
            }
            Change::PutSession(id, _) | Change::DropSession(id) => {
                self.sessions.insert(id.clone());
            }
            Change::PutRequest(key, _) | Change::DropRequest(key) => {
                self.requests.insert(key.clone());
            }
            // Commands that reach this store have no origin.
            Change::PutOrigin(..)
            | Change::DropOrigin(..)
            | Change::PutAnswer(..)
            | Change::DropAnswersBelow(..) => {}
            Change::Clear => self.cleared = true,
        }
    }
}

impl Writes {
    /// What turns the rows `before` into those `after`. `steps_before` is how
    /// many steps there were, where all of them go.
    pub fn of(touched: &Touched, before: &Tables, after: &Tables, steps_before: u64) -> Writes {
        let mut writes = Writes { cleared: touched.cleared, ..Writes::default() };
        let nothing = Tables::default();
        let rows_before = if touched.cleared {
            writes.steps = -i64::try_from(steps_before).unwrap_or(i64::MAX);
            &nothing
        } else {
            before
        };
        writes.names(touched, rows_before, after);
        for run_id in &touched.runs {
            let (Ok(old), Ok(new)) = (rows_before.run(run_id), after.run(run_id));
            writes.run(old.as_ref(), new.as_ref());
        }
        for (run_id, step) in &touched.steps {
            let (Ok(old), Ok(new)) = (rows_before.step(run_id, *step), after.step(run_id, *step));
            let Some(row) = new else { continue };
            let field = layout::step(run_id, *step);
            if old.is_none() {
                writes.add(Place::StepName, "0", field.clone());
                writes.steps += 1;
            }
            writes.put(Place::Step, field, &StateRecord::Step(run_id.clone(), *step, row));
        }
        // A reset leaves these.
        for key in &touched.requests {
            let (Ok(old), Ok(new)) = (before.request(key), after.request(key));
            let age = |at: Option<u64>| at.map(|at| at.to_string());
            let ages = (age(old.map(|row| row.at.0)), age(new.as_ref().map(|row| row.at.0)));
            writes.row(Place::Request, key, new.map(|row| StateRecord::Request(key.clone(), row)));
            writes.moved(Place::RequestAge, key, ages);
        }
        let anchor = after.meta().anchor.revision;
        for event in touched.events.iter().filter(|event| event.revision > anchor) {
            writes.event(event);
        }
        writes
    }

    /// One row, for a state that is filled from outside.
    pub fn put_row(&mut self, record: &StateRecord) {
        match record {
            StateRecord::Key(key, row) => {
                self.add(Place::KvName, "0", key.as_bytes().to_vec());
                let due = row.expires_at.map(|at| at.0.to_string());
                self.moved(Place::KvDue, key, (None, due));
                self.put(Place::Kv, key.as_bytes().to_vec(), record);
            }
            StateRecord::Lease(id, row) => {
                self.add(Place::LeaseName, "0", id.as_bytes().to_vec());
                self.moved(Place::LeaseDue, id, (None, Some(row.expires_at.0.to_string())));
                self.put(Place::Lease, id.as_bytes().to_vec(), record);
            }
            StateRecord::Run(run) => self.run(None, Some(run)),
            StateRecord::Step(run_id, step, _) => {
                let field = layout::step(run_id, *step);
                self.add(Place::StepName, "0", field.clone());
                self.steps += 1;
                self.put(Place::Step, field, record);
            }
            StateRecord::Session(id, _) => {
                self.add(Place::SessionName, "0", id.as_bytes().to_vec());
                self.put(Place::Session, id.as_bytes().to_vec(), record);
            }
            StateRecord::Request(key, row) => {
                self.moved(Place::RequestAge, key, (None, Some(row.at.0.to_string())));
                self.put(Place::Request, key.as_bytes().to_vec(), record);
            }
            // Of the state as a whole, or of a node of a cluster.
            StateRecord::Meta(_) | StateRecord::Origin(..) | StateRecord::Answer(..) => {}
        }
    }

    /// One event, as an entry of the stream and members of its index.
    pub fn event(&mut self, event: &Event) {
        self.command(Place::Event, "XADD", entry(event));
        for member in layout::event_members(event) {
            self.add(Place::EventBy, "0", member);
        }
    }

    /// The commands, each as the number of its words, its name, its key and
    /// its arguments.
    pub fn commands(self) -> Vec<(&'static str, Place, Vec<Vec<u8>>)> {
        let clear = CLEARED.iter().filter(|_| self.cleared);
        let mut commands: Vec<_> = clear.map(|place| ("UNLINK", *place, Vec::new())).collect();
        for ((place, command), args) in self.grouped {
            // An entry of a stream is a command of its own.
            let alone = command == "XADD";
            let (mut words, mut bytes): (Vec<Vec<u8>>, _) = (Vec::new(), 0);
            for mut arg in args {
                let more = bytes_of(&arg);
                let full = words.len() + arg.len() > WORDS_MAX || bytes + more > BYTES_MAX;
                if !words.is_empty() && (alone || full) {
                    commands.push((command, place, std::mem::take(&mut words)));
                    bytes = 0;
                }
                words.append(&mut arg);
                bytes += more;
            }
            commands.push((command, place, words));
        }
        commands
    }

    fn names(&mut self, touched: &Touched, before: &Tables, after: &Tables) {
        for key in &touched.keys {
            let (Ok(old), Ok(new)) = (before.key(key), after.key(key));
            let due = |at: Option<ClusterMs>| at.map(|at| at.0.to_string());
            self.named(Place::KvName, key, old.is_some(), new.is_some());
            let dues = (
                due(old.and_then(|row| row.expires_at)),
                due(new.as_ref().and_then(|row| row.expires_at)),
            );
            self.moved(Place::KvDue, key, dues);
            self.row(Place::Kv, key, new.map(|row| StateRecord::Key(key.clone(), row)));
        }
        for id in &touched.leases {
            let (Ok(old), Ok(new)) = (before.lease(id), after.lease(id));
            self.named(Place::LeaseName, id, old.is_some(), new.is_some());
            let due = |row: &LeaseRow| row.expires_at.0.to_string();
            self.moved(Place::LeaseDue, id, (old.as_ref().map(due), new.as_ref().map(due)));
            self.row(Place::Lease, id, new.map(|row| StateRecord::Lease(id.clone(), row)));
        }
        for id in &touched.sessions {
            let (Ok(old), Ok(new)) = (before.session(id), after.session(id));
            self.named(Place::SessionName, id, old.is_some(), new.is_some());
            self.row(Place::Session, id, new.map(|row| StateRecord::Session(id.clone(), row)));
        }
    }

    fn run(&mut self, old: Option<&RunRow>, new: Option<&RunRow>) {
        let (listed, ready) = (members(old, layout::listed), members(old, offered));
        self.replaced(Place::RunListed, listed, members(new, layout::listed));
        self.replaced(Place::RunReady, ready, members(new, offered));
        let waits = members(old, waiting);
        self.replaced(Place::RunWaiting, waits, members(new, waiting));
        let place = |run: Option<&RunRow>| {
            let run = run?;
            Some((layout::free(run), free_from(run)?.to_string()))
        };
        match (place(old), place(new)) {
            (Some((member, _)), None) => self.remove(Place::RunFree, member.into_bytes()),
            (old, Some((member, from)))
                if old.as_ref() != Some(&(member.clone(), from.clone())) =>
            {
                self.add(Place::RunFree, &from, member.into_bytes());
            }
            (_, Some(_)) | (None, None) => {}
        }
        let Some(run) = new else { return };
        if let (None, Some(parent)) = (old, &run.parent_run_id) {
            self.add(Place::RunChild, "0", layout::child(parent, run));
        }
        self.put(Place::Run, run.run_id.as_bytes().to_vec(), &StateRecord::Run(run.clone()));
    }

    fn row(&mut self, place: Place, name: &str, record: Option<StateRecord>) {
        let field = name.as_bytes().to_vec();
        match record {
            Some(record) => self.put(place, field, &record),
            None => self.command(place, "HDEL", vec![field]),
        }
    }

    fn named(&mut self, place: Place, name: &str, was: bool, is: bool) {
        let member = name.as_bytes().to_vec();
        match (was, is) {
            (false, true) => self.add(place, "0", member),
            (true, false) => self.remove(place, member),
            (true, true) | (false, false) => {}
        }
    }

    /// A name whose time has changed.
    fn moved(&mut self, place: Place, name: &str, (old, new): (Option<String>, Option<String>)) {
        let member = name.as_bytes().to_vec();
        match new {
            Some(at) if old.as_ref() != Some(&at) => self.add(place, &at, member),
            Some(_) => {}
            None if old.is_some() => self.remove(place, member),
            None => {}
        }
    }

    fn replaced(&mut self, place: Place, old: BTreeSet<Vec<u8>>, new: BTreeSet<Vec<u8>>) {
        for member in old.difference(&new) {
            self.remove(place, member.clone());
        }
        for member in new.difference(&old) {
            self.add(place, "0", member.clone());
        }
    }

    fn put(&mut self, place: Place, field: Vec<u8>, record: &StateRecord) {
        self.command(place, "HSET", vec![field, codec::encode_state_record(record).to_vec()]);
    }

    fn add(&mut self, place: Place, score: &str, member: Vec<u8>) {
        self.command(place, "ZADD", vec![score.as_bytes().to_vec(), member]);
    }

    fn remove(&mut self, place: Place, member: Vec<u8>) {
        self.command(place, "ZREM", vec![member]);
    }

    fn command(&mut self, place: Place, command: &'static str, args: Vec<Vec<u8>>) {
        self.grouped.entry((place, command)).or_default().push(args);
    }
}

/// What arguments weigh.
pub fn bytes_of(args: &[Vec<u8>]) -> usize {
    args.iter().map(Vec::len).sum()
}

/// From when on a run may be had, as the index of times has it.
fn free_from(run: &RunRow) -> Option<u64> {
    run.claimable_from().map(|at| at.0)
}

/// The members of a run that may be had later, or lapsed.
fn waiting(run: &RunRow) -> Vec<Vec<u8>> {
    let from = free_from(run).filter(|from| *from > 0);
    from.map(|from| layout::waiting(run, from)).unwrap_or_default()
}

/// The members of a run that may be had at once.
fn offered(run: &RunRow) -> Vec<Vec<u8>> {
    if free_from(run) == Some(0) { layout::ready(run) } else { Vec::new() }
}

fn members(run: Option<&RunRow>, of: fn(&RunRow) -> Vec<Vec<u8>>) -> BTreeSet<Vec<u8>> {
    run.map(of).unwrap_or_default().into_iter().collect()
}
