//! The layout of a state in Redis: a fixed number of keys under one prefix, and
//! how their fields and members are named and ordered.
//!
//! Rows are hash fields. The field's name is the row's id as bytes, and its value
//! is the row as the codec encodes it. Sorted sets hold the ids of rows that are
//! listed by name and the entries of the machine's indexes; all their scores are
//! zero, so that the members are in byte order. Rows and entries that outlive a
//! reset have keys of their own.
//!
//! The keys are few and fixed, so that a reset, an import and somebody who cleans
//! up by hand can deal with all of them. Their common hash tag (`{…}`) keeps them
//! together where keys are distributed by name.

use crate::machine::{RowId, index};

/// The format of the state in Redis. A program refuses a format that is newer than
/// the one it knows.
pub const FORMAT: u64 = 2;

/// The first format, which is upgraded.
pub const OLD_FORMAT: u64 = 1;

/// Every key of a state, in the order in which the scripts receive them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RedisKey {
    /// The state's position, the number of commits, and whose turn it is.
    Meta,
    /// Rows by id.
    Row,
    /// The ids of keys, leases, steps, sessions, schedules and pauses.
    Name,
    /// Index entries of these rows.
    Entry,
    /// Rows that outlive a reset.
    Kept,
    /// Index entries of these.
    KeptEntry,
    /// The history: a stream whose entries are numbered by revision.
    Event,
    /// The index of the history: a subject, actor or action, and a revision.
    EventBy,
    /// The ids of the newest commits, by which a sidecar recognises its own.
    Commits,
    /// The sidecars that wait for their turn.
    Queue,
    /// How many runs of each group there are.
    Group,
}

/// The name of each key after the prefix, and the type of its value.
const NAMES: [(RedisKey, &str, ValueType); 11] = [
    (RedisKey::Meta, "meta", ValueType::Hash),
    (RedisKey::Row, "row", ValueType::Hash),
    (RedisKey::Name, "name", ValueType::Zset),
    (RedisKey::Entry, "entry", ValueType::Zset),
    (RedisKey::Kept, "kept", ValueType::Hash),
    (RedisKey::KeptEntry, "kept:entry", ValueType::Zset),
    (RedisKey::Event, "event", ValueType::Stream),
    (RedisKey::EventBy, "event:by", ValueType::Zset),
    (RedisKey::Commits, "commits", ValueType::Hash),
    (RedisKey::Queue, "queue", ValueType::Zset),
    (RedisKey::Group, "group", ValueType::Hash),
];

/// The keys that a reset empties.
pub const CLEARED: [RedisKey; 6] = [
    RedisKey::Row,
    RedisKey::Name,
    RedisKey::Entry,
    RedisKey::Event,
    RedisKey::EventBy,
    RedisKey::Group,
];

/// The hashes of the first format, which had one for each kind of row.
pub const OLD_ROWS: [&str; 6] = ["kv", "lease", "run", "step", "session", "request"];

/// The indexes of the first format.
const OLD_INDEXES: [&str; 12] = [
    "kv:name",
    "kv:due",
    "lease:name",
    "lease:due",
    "run:listed",
    "run:ready",
    "run:free",
    "run:waiting",
    "run:child",
    "step:name",
    "session:name",
    "request:age",
];

/// The type of a key's value.
#[derive(Clone, Copy, Debug)]
enum ValueType {
    Hash,
    Zset,
    Stream,
}

impl RedisKey {
    /// The key that holds the row with this id.
    pub fn of_row(id: &RowId) -> RedisKey {
        match id {
            RowId::Group(_) => RedisKey::Group,
            id if id.outlives_reset() => RedisKey::Kept,
            _ => RedisKey::Row,
        }
    }

    /// The key that holds entries with this beginning. An empty beginning stands for
    /// the ids of rows.
    pub fn of_entry(entry: &[u8]) -> RedisKey {
        match (entry, index::outlives_reset(entry)) {
            ([], _) => RedisKey::Name,
            (_, true) => RedisKey::KeptEntry,
            (_, false) => RedisKey::Entry,
        }
    }

    /// The key's number in the scripts, from 1.
    pub fn number(self) -> usize {
        self as usize + 1
    }

    /// Every key, in order.
    pub fn all() -> impl Iterator<Item = RedisKey> {
        NAMES.iter().map(|(key, ..)| *key)
    }
}

/// The full names of all keys of one state, and of its channel.
#[derive(Clone, Debug)]
pub struct RedisKeys {
    keys: Vec<String>,
    base: String,
    /// The channel on which commits and turns are announced.
    pub channel: String,
}

impl RedisKeys {
    /// The keys under `prefix`, which is their hash tag.
    pub fn new(prefix: &str) -> RedisKeys {
        RedisKeys::below(&format!("{{{prefix}}}"))
    }

    /// The keys of a state that is being imported and not visible yet.
    pub fn staged(prefix: &str, id: &str) -> RedisKeys {
        RedisKeys::below(&format!("{{{prefix}}}:import:{id}"))
    }

    fn below(base: &str) -> RedisKeys {
        RedisKeys {
            keys: NAMES.iter().map(|(_, name, _)| format!("{base}:{name}")).collect(),
            base: base.to_owned(),
            channel: format!("{base}:changes"),
        }
    }

    /// The full name of a key.
    pub fn of(&self, key: RedisKey) -> &str {
        &self.keys[key as usize]
    }

    /// The full names of all keys, in order.
    pub fn all(&self) -> &[String] {
        &self.keys
    }

    /// The full names of the first format's keys that are no longer used.
    pub fn old(&self) -> impl Iterator<Item = String> {
        OLD_ROWS.iter().chain(&OLD_INDEXES).map(|name| self.old_key(name))
    }

    /// The full name of one key of the first format.
    pub fn old_key(&self, name: &str) -> String {
        format!("{}:{name}", self.base)
    }
}

/// The header of every script. It defines each key, its type and its number by
/// name.
pub fn script_header() -> String {
    let names = NAMES.map(|(_, name, _)| name.to_uppercase().replace(':', "_"));
    let kinds = NAMES.map(|(.., kind)| match kind {
        ValueType::Hash => "'hash'",
        ValueType::Zset => "'zset'",
        ValueType::Stream => "'stream'",
    });
    let numbers = names.iter().zip(1..).map(|(name, number)| format!("{name} = {number}"));
    let numbers = numbers.collect::<Vec<_>>().join(", ");
    let (names, kinds) = (names.join(", "), kinds.join(", "));
    format!(
        "local {names} = unpack(KEYS)\nlocal KINDS = {{ {kinds} }}\nlocal NUMBER = {{ {numbers} }}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_in_the_order_of_the_keys() {
        for (at, (key, ..)) in NAMES.iter().enumerate() {
            assert_eq!(*key as usize, at, "{key:?}");
        }
        let keys = RedisKeys::new("p");
        assert_eq!(keys.of(RedisKey::EventBy), "{p}:event:by");
        assert!(keys.all().iter().all(|key| key.starts_with("{p}:")));
    }
}
