//! Indexes: under which ordered entries each kind of row is listed, and which
//! searches there are. Only this file knows: a store keeps entries as bytes, in
//! order, and does not know what they mean.
//!
//! An entry is the index, the facet (what many rows have in common), the rank
//! (what orders the rows within a facet) and the row's id, each as bytes that
//! sort as the values do. All rows of one facet are therefore neighbours, in the
//! order of their ranks, and a row has the same rank and id under all of its
//! facets, so that [`super::search`] can intersect them. The encoding is that of
//! FoundationDB's layers and of CockroachDB's secondary indexes.

use std::collections::BTreeSet;

use super::command::Rank;
use super::entry::{IndexEntry, end_of, push_text, successor};
use super::filter::{RunFilter, SearchFilter};
use super::row::{Row, RunRow};
use super::search::Search;
use super::status::Status;
use super::timetable::Timetable;
use super::value::{ClusterMs, Revision, WallMs};

const TIME_BYTES: usize = 8;

/// Maps signed numbers to unsigned ones of the same order, and back.
const SIGN: u64 = 1 << 63;

/// What rows are listed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// Keys, holders of leases and sessions by the time at which they expire, and runs by the
    /// time at which the sweep has something to do about them.
    Deadline = 1,
    /// Remembered requests by the time at which they are forgotten.
    Request = 2,
    /// Runs in the order of creation: all of them, by status, by tag, and those
    /// that are ready.
    Run = 3,
    /// Runs that can be claimed at once, best first: all of them, by name and by
    /// tag.
    Ready = 4,
    /// Runs that can be claimed from some time on, in the order of that time:
    /// all of them, by name and by tag.
    Waiting = 5,
    /// The children of a run in the order of creation.
    Child = 6,
    /// Cancellations that the sweep still carries on, oldest first.
    Cancelling = 7,
    /// The sessions of nodes by the time at which they are forgotten.
    Origin = 8,
    /// Schedules with a cron expression by their next firing.
    Cron = 9,
    /// Schedules with an interval by their next firing, which another clock counts.
    Interval = 10,
    /// Runs that hold a unique key, by the time until which they hold it.
    Unique = 12,
    /// The same as `Ready` for runs of which only some may be claimed at a time, so that
    /// others never wait behind them.
    Limited = 13,
    /// Blocked runs in the order of creation, under each run that blocks them.
    Dependent = 11,
    /// Runs that can be claimed at once, by name, the one that has waited longest first.
    Queued = 14,
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
    /// A unique key.
    Unique(&'a str),
    /// The name and the fair key.
    Fair(&'a str, &'a str),
    Prerequisite(&'a str),
}

/// Whether a reset keeps an entry. It does where it keeps the row that the entry
/// lists.
pub fn outlives_reset(entry: &[u8]) -> bool {
    [Some(&(Index::Request as u8)), Some(&(Index::Origin as u8))].contains(&entry.first())
}

/// Every entry that lists `row`, in no particular order.
pub fn entries(row: &Row) -> Vec<IndexEntry> {
    let one = |index, rank: u64| vec![entry(&prefix(index, Facet::All), &rank.to_be_bytes(), row)];
    match row {
        Row::Key(_, key) => key.expires_at.map_or(Vec::new(), |at| one(Index::Deadline, at.0)),
        Row::Lease(_, lease) => {
            let times: BTreeSet<_> = lease.holders.iter().map(|it| it.expires_at.0).collect();
            times.into_iter().flat_map(|at| one(Index::Deadline, at)).collect()
        }
        Row::Run(run) => run_entries(run, row),
        Row::Cancellation(_, cancellation) => one(Index::Cancelling, cancellation.revision.0),
        Row::Request(_, request) => one(Index::Request, request.forgotten_at().0),
        Row::Origin(_, origin) => one(Index::Origin, origin.forgotten_at().0),
        Row::Session(_, session) => {
            session.expires_at.map_or(Vec::new(), |at| one(Index::Deadline, at.0))
        }
        Row::Schedule(_, schedule) => match (schedule.next_at, &schedule.timetable) {
            (None, _) => Vec::new(),
            (Some(at), Timetable::Cron { .. }) => one(Index::Cron, at.0),
            (Some(at), Timetable::Every { .. }) => one(Index::Interval, at.0),
        },
        Row::Step(..) | Row::Group(..) | Row::Pause(..) | Row::Answer(..) => Vec::new(),
    }
}

fn run_entries(run: &RunRow, row: &Row) -> Vec<IndexEntry> {
    let created = run.created_revision.0.to_be_bytes();
    let tags = || run.tags.iter().map(|(name, value)| Facet::Tag(name, value));
    let listed = [Some(Facet::All), Some(Facet::Status(run.status))].into_iter();
    let ready = run.is_ready().then_some(Facet::Ready);
    let listed = listed.chain([ready]).flatten().chain(tags());
    let mut entries: Vec<IndexEntry> =
        listed.map(|facet| entry(&prefix(Index::Run, facet), &created, row)).collect();
    let claimable = || [Facet::All, Facet::Name(&run.name)].into_iter().chain(tags());
    if run.is_ready() {
        let rank = rank_bytes(rank(run));
        let index = if run.concurrency().is_some() { Index::Limited } else { Index::Ready };
        entries.extend(claimable().map(|facet| entry(&prefix(index, facet), &rank, row)));
        let rank = [run.waiting_since().0.to_be_bytes(), created].concat();
        entries.push(entry(&prefix(Index::Queued, Facet::Name(&run.name)), &rank, row));
    } else if let Some(from) = run.claimable_from() {
        let rank = [from.0.to_be_bytes(), created].concat();
        entries.extend(claimable().map(|facet| entry(&prefix(Index::Waiting, facet), &rank, row)));
    }
    if let Some(due) = run.due_at() {
        entries.push(entry(&prefix(Index::Deadline, Facet::All), &due.0.to_be_bytes(), row));
    }
    if let Some(parent) = &run.parent_run_id {
        entries.push(entry(&prefix(Index::Child, Facet::Parent(parent)), &created, row));
    }
    if let Some((key, until)) = run.unique_hold() {
        entries.push(entry(
            &prefix(Index::Unique, Facet::Unique(key)),
            &until.0.to_be_bytes(),
            row,
        ));
    }
    if let Some(key) = run.fair_key().filter(|_| run.status == Status::Created) {
        let prefix = prefix(Index::Ready, Facet::Fair(&run.name, key));
        entries.push(entry(&prefix, &rank_bytes(rank(run)), row));
    }
    for run_id in run.blocked_by() {
        let prefix = prefix(Index::Dependent, Facet::Prerequisite(run_id));
        entries.push(entry(&prefix, &created, row));
    }
    entries
}

/// A run's place among those that can be claimed at once.
pub fn rank(run: &RunRow) -> Rank {
    Rank { priority: run.priority, place: run.place.unwrap_or(run.created_revision) }
}

/// Rows of an index by time whose time has come at `now`, earliest first.
pub fn expired(index: Index, now: ClusterMs, limit: usize) -> Search {
    let until = Some(after_time(now));
    Search { until, ..whole(index, TIME_BYTES, limit) }
}

/// Schedules whose next firing has come, earliest first: those that go by the wall
/// clock, and those that go by the cluster clock.
pub fn firing(clock: ClusterMs, wall: WallMs, limit: usize) -> [Search; 2] {
    [expired(Index::Cron, ClusterMs(wall.0), limit), expired(Index::Interval, clock, limit)]
}

/// The first row that expires or is due later than `after`, and the first run that
/// becomes claimable later than that.
pub fn deadlines(after: ClusterMs) -> [Search; 2] {
    let search = |index, rank| Search { from: after_time(after), ..whole(index, rank, 1) };
    [search(Index::Deadline, TIME_BYTES), search(Index::Waiting, 2 * TIME_BYTES)]
}

/// Runs of `index`, which is `Ready` or `Limited`, that fit `filter` and can be claimed
/// at once, best first, starting after the rank `after`.
pub fn ready(index: Index, filter: SearchFilter<'_>, after: Option<Rank>, limit: usize) -> Search {
    let prefixes = claim_prefixes(index, filter);
    let from = after.map(|rank| end_of(&rank_bytes(rank))).unwrap_or_default();
    Search { prefixes, rank_bytes: 16, from, until: None, reverse: false, limit }
}

/// The same search, going on right after the place that it found last.
pub fn beyond(search: Search, place: &[u8]) -> Search {
    Search { from: successor(place), ..search }
}

/// The run of `index` that fits `filter` and has the lowest priority of those that can be
/// claimed at once.
pub fn last_ready(index: Index, filter: SearchFilter<'_>) -> Search {
    Search { reverse: true, ..ready(index, filter, None, 1) }
}

/// The first run of `index` with this name and priority that can be claimed at once.
pub fn head(index: Index, name: &str, priority: i64) -> Search {
    let (from, until) = level(priority);
    let prefixes = vec![prefix(index, Facet::Name(name))];
    Search { prefixes, rank_bytes: 16, from, until, reverse: false, limit: 1 }
}

/// The last run with this name, fair key and priority that waits to be claimed.
pub fn last_of_fair_key(name: &str, fair_key: &str, priority: i64) -> Search {
    let prefixes = vec![prefix(Index::Ready, Facet::Fair(name, fair_key))];
    Search { prefixes, reverse: true, ..head(Index::Ready, name, priority) }
}

/// The runs that hold a unique key at `now`.
pub fn unique(key: &str, now: ClusterMs, limit: usize) -> Search {
    let prefixes = vec![prefix(Index::Unique, Facet::Unique(key))];
    Search { prefixes, from: after_time(now), ..whole(Index::Unique, TIME_BYTES, limit) }
}

/// The ranks of one priority.
fn level(priority: i64) -> (Vec<u8>, Option<Vec<u8>>) {
    let first = rank_bytes(Rank { priority, place: Revision::ZERO });
    let end = end_of(&first[..8]);
    (first, Some(end))
}

/// Runs that fit `filter` and become claimable later than `after` and not later
/// than `until`, earliest first.
pub fn waiting(
    filter: SearchFilter<'_>,
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

/// Runs created before the revision `before`, newest first, that fit `filter` as
/// far as its facets go. With `ready` only those that can be claimed at once.
pub fn runs(filter: &RunFilter, ready: bool, before: Option<Revision>, limit: usize) -> Search {
    let tags = filter.tags.iter().map(|(name, value)| Facet::Tag(name, value));
    let status = filter.status.map(Facet::Status);
    let ready = ready.then_some(Facet::Ready);
    // Both indexes list runs in the order of creation, under the same ranks.
    let children =
        filter.parent_run_id.as_deref().map(|id| prefix(Index::Child, Facet::Parent(id)));
    let facets = ready.into_iter().chain(status).chain(tags);
    let prefixes =
        or_all(Index::Run, facets.map(|facet| prefix(Index::Run, facet)).chain(children));
    let until = before.map(|before| before.0.to_be_bytes().to_vec());
    Search { prefixes, rank_bytes: 8, from: Vec::new(), until, reverse: true, limit }
}

/// The run of this name that has waited longest among those that can be claimed at once.
pub fn longest_queued(name: &str) -> Search {
    let prefixes = vec![prefix(Index::Queued, Facet::Name(name))];
    Search { prefixes, ..whole(Index::Queued, 2 * TIME_BYTES, 1) }
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

/// The runs that this one blocks, oldest first.
pub fn dependents(run_id: &str, limit: usize) -> Search {
    Search {
        prefixes: vec![prefix(Index::Dependent, Facet::Prerequisite(run_id))],
        rank_bytes: 8,
        from: Vec::new(),
        until: None,
        reverse: false,
        limit,
    }
}

/// Cancellations that the sweep still carries on, oldest first.
pub fn cancelling(limit: usize) -> Search {
    whole(Index::Cancelling, 8, limit)
}

/// Remembered requests, oldest first.
pub fn remembered(limit: usize) -> Search {
    whole(Index::Request, TIME_BYTES, limit)
}

/// The time that a rank begins with.
pub fn time_of(found: &[u8]) -> Option<ClusterMs> {
    Some(ClusterMs(u64::from_be_bytes(found.get(..TIME_BYTES)?.try_into().ok()?)))
}

/// The revision that a rank begins with.
pub fn revision_of(found: &[u8]) -> Option<Revision> {
    time_of(found).map(|ClusterMs(number)| Revision(number))
}

/// The rank at which a search of [`ready`] runs stopped.
pub fn rank_of(found: &[u8]) -> Option<Rank> {
    let half = |at: usize| Some(u64::from_be_bytes(found.get(at..at + 8)?.try_into().ok()?));
    let (priority, place) = (half(0)?, Revision(half(8)?));
    Some(Rank { priority: (!priority ^ SIGN) as i64, place })
}

/// A search of all rows of an index.
fn whole(index: Index, rank_bytes: usize, limit: usize) -> Search {
    let prefixes = vec![prefix(index, Facet::All)];
    Search { prefixes, rank_bytes, from: Vec::new(), until: None, reverse: false, limit }
}

fn claim_prefixes(index: Index, filter: SearchFilter<'_>) -> Vec<Vec<u8>> {
    let tags = filter.tags.iter().map(|(name, value)| Facet::Tag(name, value));
    let facets = filter.name.map(|name| Facet::Name(name)).into_iter().chain(tags);
    or_all(index, facets.map(|facet| prefix(index, facet)))
}

/// These prefixes or, where there are none, that of all rows of the index.
fn or_all(index: Index, prefixes: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let prefixes: Vec<_> = prefixes.collect();
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
        Facet::Unique(key) => {
            bytes.push(7);
            push_text(&mut bytes, key);
        }
        Facet::Fair(name, key) => {
            bytes.push(8);
            push_text(&mut bytes, name);
            push_text(&mut bytes, key);
        }
        Facet::Prerequisite(run_id) => {
            bytes.push(6);
            push_text(&mut bytes, run_id);
        }
    }
    bytes
}

/// Higher priorities sort first, so they are stored inverted.
fn rank_bytes(rank: Rank) -> Vec<u8> {
    let priority = !(rank.priority as u64 ^ SIGN);
    [priority.to_be_bytes(), rank.place.0.to_be_bytes()].concat()
}

fn entry(prefix: &[u8], rank: &[u8], row: &Row) -> IndexEntry {
    let mut bytes = Vec::with_capacity(prefix.len() + rank.len() + 32);
    bytes.extend(prefix);
    bytes.extend(rank);
    row.id().push_bytes(&mut bytes);
    bytes.into()
}

/// The first rank after all that begin with this time.
fn after_time(at: ClusterMs) -> Vec<u8> {
    at.0.saturating_add(1).to_be_bytes().to_vec()
}
