//! Indexes: under which ordered entries each kind of row is listed, and how
//! entries are searched. This is the only place that says so: a store keeps
//! entries as bytes, in order, and knows nothing of what they mean.
//!
//! An entry is the index, the facet (what many rows have in common), the rank
//! (what orders the rows within it) and the row's id, each as bytes that sort as
//! the values do. So all rows of one facet stand together, in order of rank, and
//! one row has the same rank and id under all of its facets: rows with several
//! facets in common are found by walking those in step (a zig-zag or leapfrog
//! join: Veldhuizen, "Leapfrog Triejoin", 2014), at a cost that follows the
//! smallest of them. The encoding is that of FoundationDB's layers and of
//! CockroachDB's secondary indexes.

use std::sync::Arc;

use super::command::Rank;
use super::row::{Row, RowId, RunRow, Status};
use super::value::{ClusterMs, Revision, Text};
use super::view::{ClaimFilter, RunFilter};

/// One entry of an index.
pub type Entry = Arc<[u8]>;

/// Entries that a search of several facets looks at beyond those that it finds.
/// A memory or a file answers that many in some milliseconds.
pub const LOOKS_MAX: usize = 1_000;

/// What rows are listed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// Keys and leases by when they expire.
    Deadline = 1,
    /// Remembered requests by when they are forgotten.
    Request = 2,
    /// Runs by creation: all, by status, by tag, and those that are ready.
    Run = 3,
    /// Runs that can be claimed at once by merit: all, by name and by tag.
    Ready = 4,
    /// Runs that can be claimed from a time on by that time: likewise.
    Waiting = 5,
    /// Runs by creation, under their parent.
    Child = 6,
    /// Cancellations that are under way, the oldest first.
    Cancelling = 7,
    /// Nodes' sessions by when they are forgotten.
    Origin = 8,
}

/// What rows of one index have in common.
#[derive(Clone, Copy, Debug)]
enum Facet<'a> {
    All,
    Ready,
    Status(Status),
    Name(&'a str),
    Tag(&'a str, &'a str),
    Parent(&'a str),
}

/// A walk along the entries that list a row under all of some facets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Search {
    /// Index and facet: one at least, all of one index.
    pub prefixes: Vec<Vec<u8>>,
    /// Length of the rank, behind which an id stands.
    pub rank_bytes: usize,
    /// Rank and id from which on, itself included.
    pub from: Vec<u8>,
    /// Rank and id before which; nothing: to the end.
    pub until: Option<Vec<u8>>,
    /// From the end towards the beginning.
    pub reverse: bool,
    /// Most rows to be found.
    pub limit: usize,
}

/// What a [`Search`] gave: ranks and ids, in the order of the walk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Searched {
    pub found: Vec<Vec<u8>>,
    /// Where it stopped because it had looked at too much: to go on from there,
    /// or up to there where it walks backwards.
    pub stopped: Option<Vec<u8>>,
}

/// The index of an entry outlives a reset, as the rows that it lists do.
pub fn outlives_reset(entry: &[u8]) -> bool {
    [Some(&(Index::Request as u8)), Some(&(Index::Origin as u8))].contains(&entry.first())
}

/// Every entry that lists `row`, in no particular order.
pub fn entries(row: &Row) -> Vec<Entry> {
    let one = |index, rank: u64| vec![entry(&prefix(index, Facet::All), &rank.to_be_bytes(), row)];
    match row {
        Row::Key(_, key) => key.expires_at.map_or(Vec::new(), |at| one(Index::Deadline, at.0)),
        Row::Lease(_, lease) => one(Index::Deadline, lease.expires_at.0),
        Row::Run(run) => run_entries(run, row),
        Row::Cancellation(_, cancellation) => one(Index::Cancelling, cancellation.revision.0),
        Row::Request(_, request) => one(Index::Request, request.forgotten_at().0),
        Row::Origin(_, origin) => one(Index::Origin, origin.forgotten_at().0),
        Row::Step(..) | Row::Session(..) | Row::Answer(..) => Vec::new(),
    }
}

fn run_entries(run: &RunRow, row: &Row) -> Vec<Entry> {
    let created = run.created_revision.0.to_be_bytes();
    let tags = || run.tags.iter().map(|(name, value)| Facet::Tag(name, value));
    let listed = [Some(Facet::All), Some(Facet::Status(run.status))].into_iter();
    let listed = listed.chain([run.is_ready().then_some(Facet::Ready)]).flatten().chain(tags());
    let mut entries: Vec<Entry> =
        listed.map(|facet| entry(&prefix(Index::Run, facet), &created, row)).collect();
    let claimable = || [Facet::All, Facet::Name(&run.name)].into_iter().chain(tags());
    if run.is_ready() {
        let rank = rank_bytes(rank(run));
        entries.extend(claimable().map(|facet| entry(&prefix(Index::Ready, facet), &rank, row)));
    } else if let Some(from) = run.claimable_from() {
        let rank = [from.0.to_be_bytes(), created].concat();
        entries.extend(claimable().map(|facet| entry(&prefix(Index::Waiting, facet), &rank, row)));
    }
    if let Some(parent) = &run.parent_run_id {
        entries.push(entry(&prefix(Index::Child, Facet::Parent(parent)), &created, row));
    }
    entries
}

/// A run's place among those that can be claimed at once.
pub fn rank(run: &RunRow) -> Rank {
    Rank { priority: run.priority, created_revision: run.created_revision }
}

/// Rows of an index by time whose time is over at `now`, the earliest first.
pub fn over(index: Index, now: ClusterMs, limit: usize) -> Search {
    let until = Some(after_time(now));
    Search { until, ..all(index, TIME_BYTES, limit) }
}

/// The first key or lease that expires, or run that becomes claimable, later
/// than `after`.
pub fn deadlines(after: ClusterMs) -> [Search; 2] {
    let search = |index, rank| Search { from: after_time(after), ..all(index, rank, 1) };
    [search(Index::Deadline, TIME_BYTES), search(Index::Waiting, 2 * TIME_BYTES)]
}

/// Runs that fit `filter` and can be claimed at once, the best first, behind
/// one of this rank.
pub fn ready(filter: &ClaimFilter, after: Option<Rank>, limit: usize) -> Search {
    let prefixes = claim_prefixes(Index::Ready, filter);
    let from = after.map(|rank| end_of(&rank_bytes(rank))).unwrap_or_default();
    Search { prefixes, rank_bytes: 16, from, until: None, reverse: false, limit }
}

/// Runs that fit `filter` and become claimable at `times`, the earliest first.
pub fn waiting(
    filter: &ClaimFilter,
    after: Option<ClusterMs>,
    until: Option<ClusterMs>,
    limit: usize,
) -> Search {
    Search {
        prefixes: claim_prefixes(Index::Waiting, filter),
        rank_bytes: 2 * TIME_BYTES,
        from: after.map(after_time).unwrap_or_default(),
        until: until.map(after_time),
        reverse: false,
        limit,
    }
}

/// Runs that fit `filter`, as far as that can be looked up, newest first and
/// before the one created at `before`. With `ready` those alone that can be
/// claimed without waiting for a time.
pub fn runs(filter: &RunFilter, ready: bool, before: Option<Revision>, limit: usize) -> Search {
    let tags = filter.tags.iter().map(|(name, value)| Facet::Tag(name, value));
    let status = filter.status.map(Facet::Status);
    let ready = ready.then_some(Facet::Ready);
    let prefixes = or_all(Index::Run, ready.into_iter().chain(status).chain(tags));
    let until = before.map(|before| before.0.to_be_bytes().to_vec());
    Search { prefixes, rank_bytes: 8, from: Vec::new(), until, reverse: true, limit }
}

/// The children of a run that were created after `after`, oldest first.
pub fn children(run_id: &str, after: Revision, limit: usize) -> Search {
    Search {
        prefixes: vec![prefix(Index::Child, Facet::Parent(run_id))],
        rank_bytes: 8,
        from: after.0.saturating_add(1).to_be_bytes().to_vec(),
        until: None,
        reverse: false,
        limit,
    }
}

/// Cancellations under way, the oldest first.
pub fn cancelling(limit: usize) -> Search {
    all(Index::Cancelling, 8, limit)
}

/// Remembered requests, the oldest first.
pub fn remembered(limit: usize) -> Search {
    all(Index::Request, TIME_BYTES, limit)
}

/// The time that a rank begins with.
pub fn time_of(found: &[u8]) -> Option<ClusterMs> {
    Some(ClusterMs(u64::from_be_bytes(found.get(..TIME_BYTES)?.try_into().ok()?)))
}

/// The revision that a rank begins with.
pub fn revision_of(found: &[u8]) -> Option<Revision> {
    time_of(found).map(|ClusterMs(number)| Revision(number))
}

/// The rank that a search of [`ready`] stopped at.
pub fn rank_of(found: &[u8]) -> Option<Rank> {
    let half = |at: usize| Some(u64::from_be_bytes(found.get(at..at + 8)?.try_into().ok()?));
    let (priority, created_revision) = (half(0)?, Revision(half(8)?));
    Some(Rank { priority: (!priority ^ SIGN) as i64, created_revision })
}

impl Search {
    /// The id of a row that the search found.
    pub fn id(&self, found: &[u8]) -> Option<RowId> {
        RowId::from_bytes(found.get(self.rank_bytes..)?)
    }

    /// The entries under one of the prefixes that the search may find: from this
    /// one on, and before that one.
    pub fn range(&self, prefix: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let end = match &self.until {
            Some(until) => [prefix, until].concat(),
            None => end_of(prefix),
        };
        ([prefix, &*self.from].concat(), end)
    }

    /// Walks, where `range` gives the entries from one point up to another, so
    /// many at most, from the end where it is told so.
    ///
    /// # Errors
    /// Those of `range`.
    pub fn walk<E>(
        &self,
        mut range: impl FnMut(&[u8], &[u8], bool, usize) -> Result<Vec<Entry>, E>,
    ) -> Result<Searched, E> {
        let mut searched = Searched::default();
        if self.until.as_ref().is_some_and(|until| *until <= self.from) || self.limit == 0 {
            return Ok(searched);
        }
        if let [prefix] = &self.prefixes[..] {
            let (start, end) = self.range(prefix);
            let entries = range(&start, &end, self.reverse, self.limit)?;
            searched.found = entries.iter().map(|entry| entry[prefix.len()..].to_vec()).collect();
            return Ok(searched);
        }
        // What is still ahead: from `low` on, and before `high`.
        let (mut low, mut high) = (self.from.clone(), self.until.clone());
        let (mut agreed, mut looks) = (0, 0);
        for prefix in self.prefixes.iter().cycle() {
            if looks >= self.limit.saturating_mul(self.prefixes.len()).saturating_add(LOOKS_MAX) {
                searched.stopped = if self.reverse { high } else { Some(low) };
                break;
            }
            looks += 1;
            let end =
                high.as_ref().map_or_else(|| end_of(prefix), |high| [&**prefix, high].concat());
            let next = range(&[&**prefix, &*low].concat(), &end, self.reverse, 1)?;
            let Some(next) = next.first().map(|entry| entry[prefix.len()..].to_vec()) else {
                break;
            };
            // The farthest place that may still list a row under all.
            let (place, bound) = match self.reverse {
                false => (next.clone(), &mut low),
                true => (successor(&next), high.get_or_insert_default()),
            };
            agreed = if agreed > 0 && *bound == place { agreed + 1 } else { 1 };
            *bound = place;
            if agreed == self.prefixes.len() {
                match self.reverse {
                    false => low = successor(&next),
                    true => high = Some(next.clone()),
                }
                searched.found.push(next);
                agreed = 0;
                if searched.found.len() == self.limit {
                    break;
                }
            }
        }
        Ok(searched)
    }
}

const TIME_BYTES: usize = 8;

/// Flips signed numbers into unsigned ones of the same order.
const SIGN: u64 = 1 << 63;

fn all(index: Index, rank_bytes: usize, limit: usize) -> Search {
    let prefixes = vec![prefix(index, Facet::All)];
    Search { prefixes, rank_bytes, from: Vec::new(), until: None, reverse: false, limit }
}

fn claim_prefixes(index: Index, filter: &ClaimFilter) -> Vec<Vec<u8>> {
    let tags = filter.tags.iter().map(|(name, value)| Facet::Tag(name, value));
    or_all(index, filter.name.as_deref().map(Facet::Name).into_iter().chain(tags))
}

fn or_all<'a>(index: Index, facets: impl Iterator<Item = Facet<'a>>) -> Vec<Vec<u8>> {
    let prefixes: Vec<_> = facets.map(|facet| prefix(index, facet)).collect();
    if prefixes.is_empty() { vec![prefix(index, Facet::All)] } else { prefixes }
}

fn prefix(index: Index, facet: Facet<'_>) -> Vec<u8> {
    let mut bytes = vec![index as u8];
    match facet {
        Facet::All => bytes.push(0),
        Facet::Ready => bytes.push(1),
        Facet::Status(status) => bytes.extend([2, status as u8]),
        Facet::Name(name) => {
            bytes.push(3);
            push_text(&mut bytes, name);
        }
        Facet::Tag(name, value) => {
            bytes.push(4);
            push_text(&mut bytes, name);
            push_text(&mut bytes, value);
        }
        Facet::Parent(run_id) => {
            bytes.push(5);
            push_text(&mut bytes, run_id);
        }
    }
    bytes
}

/// Behind its length, so that no facet begins another one.
fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u32).to_be_bytes());
    bytes.extend(text.bytes());
}

fn rank_bytes(rank: Rank) -> Vec<u8> {
    let priority = !(rank.priority as u64 ^ SIGN);
    [priority.to_be_bytes(), rank.created_revision.0.to_be_bytes()].concat()
}

fn entry(prefix: &[u8], rank: &[u8], row: &Row) -> Entry {
    let mut bytes = Vec::with_capacity(prefix.len() + rank.len() + 32);
    bytes.extend(prefix);
    bytes.extend(rank);
    row.id().push_bytes(&mut bytes);
    bytes.into()
}

/// The first rank behind all that begin with this time.
fn after_time(at: ClusterMs) -> Vec<u8> {
    at.0.saturating_add(1).to_be_bytes().to_vec()
}

/// The first bytes behind exactly these.
fn successor(bytes: &[u8]) -> Vec<u8> {
    [bytes, &[0]].concat()
}

/// The first bytes behind all that begin with these.
pub fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while end.last() == Some(&u8::MAX) {
        end.pop();
    }
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

impl RowId {
    /// The id as entries end with it.
    pub fn push_bytes(&self, bytes: &mut Vec<u8>) {
        let (kind, name) = match self {
            RowId::Key(key) => (1, &**key),
            RowId::Lease(resource_id) => (2, &**resource_id),
            RowId::Run(run_id) => (3, &**run_id),
            RowId::Step(run_id, _) => (4, &**run_id),
            RowId::Session(session_id) => (5, &**session_id),
            RowId::Cancellation(run_id) => (6, &**run_id),
            RowId::Request(key) => (7, &**key),
            RowId::Origin(_) => (8, ""),
            RowId::Answer(..) => (9, ""),
        };
        bytes.push(kind);
        match self {
            RowId::Step(run_id, step) => {
                push_text(bytes, run_id);
                bytes.extend(step.to_be_bytes());
            }
            RowId::Origin(session) => bytes.extend(session.to_be_bytes()),
            RowId::Answer(session, sequence) => {
                bytes.extend(session.to_be_bytes());
                bytes.extend(sequence.to_be_bytes());
            }
            _ => bytes.extend(name.bytes()),
        }
    }

    /// The same as bytes of their own.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.push_bytes(&mut bytes);
        bytes
    }

    /// The id that [`RowId::push_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<RowId> {
        let (kind, rest) = bytes.split_first()?;
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(Text::from);
        let number = |at: usize| Some(u64::from_be_bytes(rest.get(at..at + 8)?.try_into().ok()?));
        Some(match kind {
            1 => RowId::Key(text(rest)?),
            2 => RowId::Lease(text(rest)?),
            3 => RowId::Run(text(rest)?),
            4 => {
                let end = rest.len().checked_sub(8)?;
                RowId::Step(text(rest.get(4..end)?)?, number(end)?)
            }
            5 => RowId::Session(text(rest)?),
            6 => RowId::Cancellation(text(rest)?),
            7 => RowId::Request(text(rest)?),
            8 => RowId::Origin(number(0)?),
            9 => RowId::Answer(number(0)?, number(8)?),
            _ => return None,
        })
    }
}
