//! Where everything lies in Redis: a fixed number of keys under one prefix,
//! and in them fields and members whose bytes order them. No rule is in here.
//!
//! Rows are hash fields that hold the codec's bytes. Beside them stand the
//! indexes by which rows are found: sorted sets, either of texts that sort as
//! the rules want to read them (all scores zero), or of times. The keys are
//! few and fixed, so that a reset, an import and whoever cleans up by hand
//! deal with all of them, and a common hash tag (`{…}`) keeps them together
//! wherever keys are spread by their names.

use sha2::{Digest, Sha256};

use crate::machine::row::RunRow;
use crate::machine::view::{ClaimFilter, RunFilter};
use crate::machine::{Action, Event, Revision};

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

/// What many runs have in common, as the beginning of index members. No facet
/// begins another one: its parts stand behind their lengths.
pub type Facet = Vec<u8>;

/// The facet that every run has.
pub fn facet_all() -> Facet {
    facet(b'*', &[])
}

/// Runs that are not over.
fn facet_open() -> Facet {
    facet(b'o', &[])
}

/// The facets under which a run is listed.
fn list_facets(run: &RunRow) -> Vec<Facet> {
    let mut facets = claim_facets(run);
    facets.push(facet(b's', &[run.status.as_str()]));
    if !run.is_over() {
        facets.push(facet_open());
    }
    facets
}

/// The facets by which `workflow_claim_next` chooses.
fn claim_facets(run: &RunRow) -> Vec<Facet> {
    let tags = run.tags.iter().map(|(name, value)| facet(b't', &[name, value]));
    [facet_all(), facet(b'n', &[&run.name])].into_iter().chain(tags).collect()
}

/// The facets that all runs of a list have, first one that few runs have, as
/// far as can be guessed.
pub fn facets_of_list(filter: &RunFilter) -> Vec<Facet> {
    let tags = filter.tags.iter().map(|(name, value)| facet(b't', &[name, value]));
    let status = filter.status.map(|status| facet(b's', &[status.as_str()]));
    let open = (filter.claimable == Some(true)).then(facet_open);
    or_all(tags.chain(status).chain(open).collect())
}

/// The same for a claim.
pub fn facets_of_claim(filter: &ClaimFilter) -> Vec<Facet> {
    let tags = filter.tags.iter().map(|(name, value)| facet(b't', &[name, value]));
    let name = filter.name.as_ref().map(|name| facet(b'n', &[name]));
    or_all(tags.chain(name).collect())
}

fn or_all(facets: Vec<Facet>) -> Vec<Facet> {
    if facets.is_empty() { vec![facet_all()] } else { facets }
}

/// The members under which a run is listed, oldest first within a facet.
pub fn listed(run: &RunRow) -> Vec<Vec<u8>> {
    let age = revision_hex(run.created_revision) + &merit_hex(run) + &run.run_id;
    list_facets(run).into_iter().map(|facet| joined(facet, &age)).collect()
}

/// The members under which a run that anybody may have is offered, best first.
pub fn ready(run: &RunRow) -> Vec<Vec<u8>> {
    let rank = free(run);
    claim_facets(run).into_iter().map(|facet| joined(facet, &rank)).collect()
}

/// The members under which a run is found that may be had from a time on,
/// earliest first within a facet.
pub fn waiting(run: &RunRow, from: u64) -> Vec<Vec<u8>> {
    let rank = format!("{from:016x}") + &free(run);
    claim_facets(run).into_iter().map(|facet| joined(facet, &rank)).collect()
}

/// A run's place among those that can be had at some time.
pub fn free(run: &RunRow) -> String {
    merit_hex(run) + &revision_hex(run.created_revision) + &run.run_id
}

/// The beginning of the members that name a run's children.
pub fn children_of(run_id: &str) -> Vec<u8> {
    facet(b'c', &[run_id])
}

/// The member that names a run to its parent.
pub fn child(parent_run_id: &str, run: &RunRow) -> Vec<u8> {
    joined(children_of(parent_run_id), &(revision_hex(run.created_revision) + &run.run_id))
}

/// The beginning of the fields that hold a run's steps.
pub fn steps_of(run_id: &str) -> Vec<u8> {
    facet(b'-', &[run_id])
}

/// The field of one step; steps sort by number.
pub fn step(run_id: &str, step: u64) -> Vec<u8> {
    joined(steps_of(run_id), &step_number(step))
}

/// A step's number as fields end with it.
pub fn step_number(step: u64) -> String {
    format!("{step:016x}")
}

/// By what an event is found: what it happened to, by whom, and its kind.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    Subject(&'a str),
    Actor(&'a str),
    Action(Action),
}

impl By<'_> {
    /// The beginning of the members of such events. A hash, because each event
    /// has one of these for each kind, and names are up to 1 KiB long.
    pub fn prefix(self) -> Vec<u8> {
        let (kind, text) = match self {
            By::Subject(text) => (b's', text),
            By::Actor(text) => (b'a', text),
            By::Action(action) => (b'k', action.as_str()),
        };
        let digest = Sha256::digest(text.as_bytes());
        // Half of it: 2^64 names for one collision.
        [&[kind], &digest[..16]].concat()
    }
}

/// The members under which an event is found.
pub fn event_members(event: &Event) -> Vec<Vec<u8>> {
    let by = [By::Subject(&event.subject), By::Action(event.action)];
    let actor = event.actor.as_deref().map(By::Actor);
    let revision = revision_decimal(event.revision);
    by.into_iter().chain(actor).map(|by| joined(by.prefix(), &revision)).collect()
}

/// A revision as event members end with it: digits that a script can read.
pub fn revision_decimal(revision: Revision) -> String {
    format!("{:020}", revision.0)
}

/// A revision as run members hold it.
pub fn revision_hex(revision: Revision) -> String {
    format!("{:016x}", revision.0)
}

/// A run's priority so that higher ones sort first.
fn merit_hex(run: &RunRow) -> String {
    let ascending = (run.priority as u64) ^ (1 << 63);
    format!("{:016x}", !ascending)
}

fn facet(kind: u8, parts: &[&str]) -> Facet {
    let mut bytes = vec![kind];
    for part in parts {
        bytes.extend(format!("{:08x}", part.len()).bytes());
        bytes.extend(part.bytes());
    }
    bytes
}

fn joined(mut beginning: Vec<u8>, end: &str) -> Vec<u8> {
    beginning.extend(end.bytes());
    beginning
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

    #[test]
    fn no_facet_begins_another() {
        let facets = [
            facet_all(),
            facet(b't', &["a", "bc"]),
            facet(b't', &["ab", "c"]),
            facet(b't', &["a", "b"]),
            facet(b't', &["", ""]),
            facet(b'n', &["a"]),
        ];
        for (at, one) in facets.iter().enumerate() {
            for (other_at, other) in facets.iter().enumerate() {
                assert!(at == other_at || !other.starts_with(one), "{at} begins {other_at}");
            }
        }
    }
}
