//! Writes: what a batch of decisions changes, as Redis commands for
//! `commit.lua`. Each row and entry is written once, whatever the batch did to it.

use std::collections::BTreeMap;

use super::entry;
use super::layout::{CLEARED, KeyPlace};
use super::working_set::WorkingSet;
use crate::codec::{self, StateRecord};
use crate::machine::{Event, Row, RowId, index};

/// Words of one command at most: Lua unpacks no more than some thousands.
const WORDS_MAX: usize = 1_000;

/// Bytes of one command, unless a single row has more: some milliseconds on
/// the way and in Redis.
pub const BYTES_MAX: usize = 4 << 20;

/// A Redis command: its name, the place of its key, and its other arguments.
pub type Write = (&'static str, KeyPlace, Vec<Vec<u8>>);

/// A script's arguments that carry out a batch.
#[derive(Debug, Default)]
pub struct Writes {
    /// By command and key, so that many rows go in one.
    grouped: BTreeMap<(KeyPlace, &'static str), Vec<Vec<Vec<u8>>>>,
    is_cleared: bool,
}

impl Writes {
    /// What the batch changed.
    pub fn of(working: &WorkingSet<'_>) -> Writes {
        let mut writes = Writes { is_cleared: working.is_cleared, ..Writes::default() };
        for (id, row) in &working.rows {
            let was_there = working.was_there(id);
            match row {
                Some(row) => writes.put(id, row, !was_there),
                None if was_there => writes.drop(id),
                None => {}
            }
        }
        for entry in &working.unlisted {
            writes.command(KeyPlace::of_entry(entry), "ZREM", vec![entry.to_vec()]);
        }
        for entry in &working.listed {
            writes.add(KeyPlace::of_entry(entry), entry.to_vec());
        }
        let anchor = working.meta.anchor.revision;
        for event in working.events.iter().filter(|event| event.revision > anchor) {
            writes.event(event);
        }
        writes
    }

    /// One row, for a state that is filled from outside.
    pub fn row(&mut self, row: &Row) {
        self.put(&row.id(), row, true);
        for entry in index::entries(row) {
            self.add(KeyPlace::of_entry(&entry), entry.to_vec());
        }
    }

    /// One event, as an entry of the stream and members of its index.
    pub fn event(&mut self, event: &Event) {
        self.command(KeyPlace::Event, "XADD", entry::entry(event));
        for member in entry::event_members(event) {
            self.add(KeyPlace::EventBy, member);
        }
    }

    /// The commands, in order.
    pub fn commands(self) -> Vec<Write> {
        let clear = CLEARED.iter().filter(|_| self.is_cleared);
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

    fn put(&mut self, id: &RowId, row: &Row, is_new: bool) {
        let value = codec::encode_state_record(&StateRecord::Row(row.clone()));
        self.command(KeyPlace::of_row(id), "HSET", vec![id.to_bytes(), value.to_vec()]);
        if is_new && is_named(id) {
            self.add(KeyPlace::Name, id.to_bytes());
        }
    }

    fn drop(&mut self, id: &RowId) {
        self.command(KeyPlace::of_row(id), "HDEL", vec![id.to_bytes()]);
        if is_named(id) {
            self.command(KeyPlace::Name, "ZREM", vec![id.to_bytes()]);
        }
    }

    fn add(&mut self, place: KeyPlace, member: Vec<u8>) {
        self.command(place, "ZADD", vec![b"0".to_vec(), member]);
    }

    fn command(&mut self, place: KeyPlace, command: &'static str, args: Vec<Vec<u8>>) {
        self.grouped.entry((place, command)).or_default().push(args);
    }
}

/// What arguments weigh.
pub fn bytes_of(args: &[Vec<u8>]) -> usize {
    args.iter().map(Vec::len).sum()
}

/// Whether ranges of such ids are read.
fn is_named(id: &RowId) -> bool {
    match id {
        RowId::Key(_) | RowId::Lease(_) | RowId::Step(..) | RowId::Session(_) => true,
        RowId::Run(_)
        | RowId::Cancellation(_)
        | RowId::Request(_)
        | RowId::Origin(_)
        | RowId::Answer(..) => false,
    }
}
