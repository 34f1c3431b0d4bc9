//! Where everything lies in Redis: a fixed number of keys under one prefix,
//! and in them fields and members whose bytes order them. No rule is in here.
//!
//! Rows are hash fields that hold the codec's bytes. Beside them stand the
//! indexes by which rows are found: sorted sets, either of texts that sort as
//! the rules want to read them (all scores zero), or of times. The keys are
//! few and fixed, so that a reset, an import and whoever cleans up by hand
//! deal with all of them, and a common hash tag (`{…}`) keeps them together
//! wherever keys are spread by their names.

/// Every key, in the order in which the scripts receive them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The position of the state, the commits' count, and whose turn it is.
    Meta,
    Kv,
    /// Names in byte order.
    KvName,
    /// Names by deadline.
    KvDue,
    Lease,
    LeaseName,
    LeaseDue,
    Run,
    /// Facet, creation, priority, id: see [`listed`].
    RunListed,
    /// Facet, priority, creation, id, of those that may be had at once.
    RunReady,
    /// Priority, creation, id, by when the run may be had; zero is at once.
    RunFree,
    /// Facet, time, priority, creation, id, of those that may be had from that
    /// time on.
    RunWaiting,
    /// Parent, creation, id.
    RunChild,
    Step,
    StepName,
    Session,
    SessionName,
    Request,
    /// Idempotency keys by when they were answered.
    RequestAge,
    /// A stream: entries are numbered by revision.
    Event,
    /// Subject, actor or action, and revision.
    EventBy,
    /// Who made the newest commits, to know one's own again.
    Commits,
    /// The sidecars that wait for their turn.
    Queue,
}

/// What [`Place`]s are called behind the prefix, and what Redis keeps there.
const NAMES: [(Place, &str, Kind); 23] = [
    (Place::Meta, "meta", Kind::Hash),
    (Place::Kv, "kv", Kind::Hash),
    (Place::KvName, "kv:name", Kind::Zset),
    (Place::KvDue, "kv:due", Kind::Zset),
    (Place::Lease, "lease", Kind::Hash),
    (Place::LeaseName, "lease:name", Kind::Zset),
    (Place::LeaseDue, "lease:due", Kind::Zset),
    (Place::Run, "run", Kind::Hash),
    (Place::RunListed, "run:listed", Kind::Zset),
    (Place::RunReady, "run:ready", Kind::Zset),
    (Place::RunFree, "run:free", Kind::Zset),
    (Place::RunWaiting, "run:waiting", Kind::Zset),
    (Place::RunChild, "run:child", Kind::Zset),
    (Place::Step, "step", Kind::Hash),
    (Place::StepName, "step:name", Kind::Zset),
    (Place::Session, "session", Kind::Hash),
    (Place::SessionName, "session:name", Kind::Zset),
    (Place::Request, "request", Kind::Hash),
    (Place::RequestAge, "request:age", Kind::Zset),
    (Place::Event, "event", Kind::Stream),
    (Place::EventBy, "event:by", Kind::Zset),
    (Place::Commits, "commits", Kind::Hash),
    (Place::Queue, "queue", Kind::Zset),
];

/// A type of value, as Redis names it.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Hash,
    Zset,
    Stream,
}

/// What a reset empties.
pub const CLEARED: [Place; 18] = [
    Place::Kv,
    Place::KvName,
    Place::KvDue,
    Place::Lease,
    Place::LeaseName,
    Place::LeaseDue,
    Place::Run,
    Place::RunListed,
    Place::RunReady,
    Place::RunFree,
    Place::RunWaiting,
    Place::RunChild,
    Place::Step,
    Place::StepName,
    Place::Session,
    Place::SessionName,
    Place::Event,
    Place::EventBy,
];

impl Place {
    /// The number by which scripts know it, from 1.
    pub fn number(self) -> usize {
        self as usize + 1
    }

    /// Every place, in order.
    pub fn all() -> impl Iterator<Item = Place> {
        NAMES.iter().map(|(place, ..)| *place)
    }
}

/// The names of all keys and of the channel, under one prefix.
#[derive(Clone, Debug)]
pub struct Keys {
    keys: Vec<String>,
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
            channel: format!("{base}:changes"),
        }
    }

    pub fn of(&self, place: Place) -> &str {
        &self.keys[place as usize]
    }

    pub fn all(&self) -> &[String] {
        &self.keys
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
        assert_eq!(keys.of(Place::EventBy), "{p}:event:by");
        assert!(keys.all().iter().all(|key| key.starts_with("{p}:")));
    }
}
