//! Writes: the changes of a batch as Redis commands for `commit.lua`. Each row and
//! entry is written once, however often the batch has changed it.

use std::collections::BTreeMap;

use super::event_entry::{event_entry, event_members};
use super::layout::{CLEARED, RedisKey};
use super::working_set::WorkingSet;
use crate::codec::{self, StateRecord};
use crate::machine::run_group::RunGroup;
use crate::machine::{Event, Row, RowId, index};

/// The maximum number of words in one command. Lua can unpack only some thousands.
const WORDS_MAX: usize = 1_000;

/// The maximum size of one command, unless a single row is larger. It takes some
/// milliseconds to send and to execute.
pub const BYTES_MAX: usize = 4 << 20;

/// A Redis command: its name, its key, and its other arguments.
pub type RedisCommand = (&'static str, RedisKey, Vec<Vec<u8>>);

/// The Redis commands that write a batch.
#[derive(Debug, Default)]
pub struct RedisWrites {
    /// By key and command, so that one command writes many rows.
    grouped: BTreeMap<(RedisKey, &'static str), Vec<Vec<Vec<u8>>>>,
    is_cleared: bool,
}

impl RedisWrites {
    /// Writes for what the batch has changed.
    pub fn of(working: &WorkingSet<'_>) -> RedisWrites {
        let is_cleared = working.is_cleared;
        let mut writes = RedisWrites { is_cleared, ..RedisWrites::default() };
        for (id, row) in &working.rows {
            let is_stored = working.is_stored(id);
            match row {
                Some(row) => writes.put(id, row, !is_stored),
                None if is_stored => writes.drop(id),
                None => {}
            }
        }
        for entry in &working.unlisted {
            writes.command(RedisKey::of_entry(entry), "ZREM", vec![entry.to_vec()]);
        }
        for entry in &working.listed {
            writes.add(RedisKey::of_entry(entry), entry.to_vec());
        }
        let anchor = working.meta.anchor.revision;
        for event in working.events.iter().filter(|event| event.revision > anchor) {
            writes.event(event);
        }
        writes
    }

    /// Adds one row of an import.
    pub fn row(&mut self, row: &Row) {
        self.put(&row.id(), row, true);
        for entry in index::entries(row) {
            self.add(RedisKey::of_entry(&entry), entry.to_vec());
        }
    }

    /// Adds one event, as an entry of the stream and members of its index.
    pub fn event(&mut self, event: &Event) {
        self.command(RedisKey::Event, "XADD", event_entry(event));
        for member in event_members(event) {
            self.add(RedisKey::EventBy, member);
        }
    }

    /// The commands, in order.
    pub fn commands(self) -> Vec<RedisCommand> {
        let clear = CLEARED.iter().filter(|_| self.is_cleared);
        let mut commands: Vec<_> = clear.map(|key| ("UNLINK", *key, Vec::new())).collect();
        for ((key, command), args) in self.grouped {
            // XADD can add only one entry.
            let alone = command == "XADD";
            let (mut words, mut bytes): (Vec<Vec<u8>>, _) = (Vec::new(), 0);
            for mut arg in args {
                let more = size_bytes(&arg);
                let full = words.len() + arg.len() > WORDS_MAX || bytes + more > BYTES_MAX;
                if !words.is_empty() && (alone || full) {
                    commands.push((command, key, std::mem::take(&mut words)));
                    bytes = 0;
                }
                words.append(&mut arg);
                bytes += more;
            }
            commands.push((command, key, words));
        }
        commands
    }

    fn put(&mut self, id: &RowId, row: &Row, is_new: bool) {
        let value = codec::encode_state_record(&StateRecord::Row(row.clone()));
        self.command(RedisKey::of_row(id), "HSET", vec![id.to_bytes(), value.to_vec()]);
        if is_new && is_named(id) {
            self.add(RedisKey::Name, id.to_bytes());
        }
    }

    fn drop(&mut self, id: &RowId) {
        self.command(RedisKey::of_row(id), "HDEL", vec![id.to_bytes()]);
        if is_named(id) {
            self.command(RedisKey::Name, "ZREM", vec![id.to_bytes()]);
        }
    }

    fn add(&mut self, key: RedisKey, member: Vec<u8>) {
        self.command(key, "ZADD", vec![b"0".to_vec(), member]);
    }

    fn command(&mut self, key: RedisKey, command: &'static str, args: Vec<Vec<u8>>) {
        self.grouped.entry((key, command)).or_default().push(args);
    }
}

/// The size of a command's arguments.
pub fn size_bytes(args: &[Vec<u8>]) -> usize {
    args.iter().map(Vec::len).sum()
}

/// Whether rows with such ids are read in ranges.
fn is_named(id: &RowId) -> bool {
    match id {
        RowId::Key(_)
        | RowId::Lease(_)
        | RowId::Step(..)
        | RowId::Session(_)
        | RowId::Schedule(_)
        | RowId::Pause(_)
        | RowId::Group(RunGroup::Name(_)) => true,
        RowId::Run(_)
        | RowId::Group(_)
        | RowId::Cancellation(_)
        | RowId::Request(_)
        | RowId::Origin(_)
        | RowId::Answer(..) => false,
    }
}
