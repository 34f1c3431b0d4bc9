//! Where everything lies in Redis: a fixed number of keys under one prefix,
//! and in them fields and members whose bytes order them. No rule is in here.
//!
//! Rows are hash fields, named by the bytes of their ids, that hold the codec's
//! bytes. Beside them stand sorted sets whose scores are all zero, so that their
//! members stand in byte order: the ids of rows that are listed by name, and the
//! entries of the machine's indexes. What outlives a reset lies apart. The keys
//! are few and fixed, so that a reset, an import and whoever cleans up by hand
//! deal with all of them, and a common hash tag (`{…}`) keeps them together
//! wherever keys are spread by their names.

use crate::machine::{RowId, index};

/// Every key, in the order in which the scripts receive them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyPlace {
    /// The position of the state, the commits' count, and whose turn it is.
    Meta,
    /// Rows by id.
    Row,
    /// Ids of keys, leases, steps and sessions.
    Name,
    /// Entries that list rows.
    Entry,
    /// Rows that outlive a reset.
    Kept,
    /// Entries that list those.
    KeptEntry,
    /// A stream: entries are numbered by revision.
    Event,
    /// Subject, actor or action, and revision.
    EventBy,
    /// Who made the newest commits, to know one's own again.
    Commits,
    /// The sidecars that wait for their turn.
    Queue,
}

/// What [`KeyPlace`]s are called behind the prefix, and what Redis keeps there.
const NAMES: [(KeyPlace, &str, Kind); 10] = [
    (KeyPlace::Meta, "meta", Kind::Hash),
    (KeyPlace::Row, "row", Kind::Hash),
    (KeyPlace::Name, "name", Kind::Zset),
    (KeyPlace::Entry, "entry", Kind::Zset),
    (KeyPlace::Kept, "kept", Kind::Hash),
    (KeyPlace::KeptEntry, "kept:entry", Kind::Zset),
    (KeyPlace::Event, "event", Kind::Stream),
    (KeyPlace::EventBy, "event:by", Kind::Zset),
    (KeyPlace::Commits, "commits", Kind::Hash),
    (KeyPlace::Queue, "queue", Kind::Zset),
];

/// What a reset empties.
pub const CLEARED: [KeyPlace; 5] =
    [KeyPlace::Row, KeyPlace::Name, KeyPlace::Entry, KeyPlace::Event, KeyPlace::EventBy];

/// The hashes in which the first format kept rows, one for each kind.
pub const OLD_ROWS: [&str; 6] = ["kv", "lease", "run", "step", "session", "request"];

/// The indexes that it kept beside them.
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

/// A type of value, as Redis names it.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Hash,
    Zset,
    Stream,
}

impl KeyPlace {
    /// Where a row with this id lies.
    pub fn of_row(id: &RowId) -> KeyPlace {
        if id.outlives_reset() { KeyPlace::Kept } else { KeyPlace::Row }
    }

    /// Where entries lie that begin so. What begins with nothing is no entry, but
    /// the id of a row.
    pub fn of_entry(entry: &[u8]) -> KeyPlace {
        match (entry, index::outlives_reset(entry)) {
            ([], _) => KeyPlace::Name,
            (_, true) => KeyPlace::KeptEntry,
            (_, false) => KeyPlace::Entry,
        }
    }

    /// The number by which scripts know it, from 1.
    pub fn number(self) -> usize {
        self as usize + 1
    }

    /// Every place, in order.
    pub fn all() -> impl Iterator<Item = KeyPlace> {
        NAMES.iter().map(|(place, ..)| *place)
    }
}

/// The names of all keys and of the channel, under one prefix.
#[derive(Clone, Debug)]
pub struct Keys {
    keys: Vec<String>,
    base: String,
    /// Where changes are told.
    pub channel: String,
}

impl Keys {
    /// The keys under `prefix`, which becomes their hash tag.
    pub fn new(prefix: &str) -> Keys {
        Keys::below(&format!("{{{prefix}}}"))
    }

    /// The same for a state that is on its way in and not to be seen yet.
    pub fn coming(prefix: &str, id: &str) -> Keys {
        Keys::below(&format!("{{{prefix}}}:import:{id}"))
    }

    fn below(base: &str) -> Keys {
        Keys {
            keys: NAMES.iter().map(|(_, name, _)| format!("{base}:{name}")).collect(),
            base: base.to_owned(),
            channel: format!("{base}:changes"),
        }
    }

    pub fn of(&self, place: KeyPlace) -> &str {
        &self.keys[place as usize]
    }

    pub fn all(&self) -> &[String] {
        &self.keys
    }

    /// The keys of the first format that are no longer used.
    pub fn old(&self) -> impl Iterator<Item = String> {
        OLD_ROWS.iter().chain(&OLD_INDEXES).map(|name| self.old_place(name))
    }

    /// One of them.
    pub fn old_place(&self, name: &str) -> String {
        format!("{}:{name}", self.base)
    }
}

/// What every script begins with: the keys under the names of their places,
/// and the type and the number of each.
pub fn script_header() -> String {
    let names = NAMES.map(|(_, name, _)| name.to_uppercase().replace(':', "_"));
    let kinds = NAMES.map(|(.., kind)| match kind {
        Kind::Hash => "'hash'",
        Kind::Zset => "'zset'",
        Kind::Stream => "'stream'",
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
    fn scripts_get_the_keys_in_the_order_of_places() {
        for (at, (place, ..)) in NAMES.iter().enumerate() {
            assert_eq!(*place as usize, at, "{place:?}");
        }
        let keys = Keys::new("p");
        assert_eq!(keys.of(KeyPlace::EventBy), "{p}:event:by");
        assert!(keys.all().iter().all(|key| key.starts_with("{p}:")));
    }
}
