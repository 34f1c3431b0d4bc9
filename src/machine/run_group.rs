//! Groups of runs that have something in common, and how many there are in each status.

use super::status::Status;
use super::value::{ClusterMs, Text};

/// What some runs have in common. They are counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunGroup {
    /// Runs of one name.
    Name(Text),
    /// The children of a run.
    Parent(Text),
    /// Runs with one concurrency key.
    Concurrency(Text),
}

/// Its number of runs in each status, which follows from the rows of the runs, and what has
/// happened to them lately. Exports leave it out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupRow {
    pub counts: StatusCounts,
    /// Kept for names alone.
    pub recent: Option<Box<RecentCounts>>,
}

/// How many runs there are in each status, in the order of [`Status::ALL`].
pub type StatusCounts = [u64; Status::ALL.len()];

/// The statuses that occur, and how often.
pub fn occurring(counts: &StatusCounts) -> impl Iterator<Item = (Status, u64)> {
    Status::ALL.into_iter().zip(*counts).filter(|(_, runs)| *runs > 0)
}

/// For how long what happens to runs is counted together.
pub const WINDOW_MS: u64 = 300_000;

/// What has happened to the runs of a name in this window of [`WINDOW_MS`] and in the one
/// before it: the two buckets of a sliding window counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecentCounts {
    /// The number of the window, counted from the beginning of the clock.
    pub window: u64,
    pub current: RunChanges,
    pub previous: RunChanges,
}

/// How many runs were created, claimed, and ended well or badly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunChanges {
    pub created: u64,
    pub claimed: u64,
    pub completed: u64,
    pub failed: u64,
}

impl RecentCounts {
    fn note(&mut self, changes: RunChanges, now: ClusterMs) {
        *self = self.moved_to(now);
        let RunChanges { created, claimed, completed, failed } = &mut self.current;
        *created += changes.created;
        *claimed += changes.claimed;
        *completed += changes.completed;
        *failed += changes.failed;
    }

    /// The counts of the last [`WINDOW_MS`], as though what happened in the window before
    /// this one had happened evenly.
    pub fn at(&self, now: ClusterMs) -> RunChanges {
        let RecentCounts { current, previous, .. } = self.moved_to(now);
        let left_ms = WINDOW_MS - now.0 % WINDOW_MS;
        let sum = |of: fn(&RunChanges) -> u64| {
            let before = of(&previous).saturating_mul(left_ms).saturating_add(WINDOW_MS / 2);
            of(&current) + before / WINDOW_MS
        };
        RunChanges {
            created: sum(|it| it.created),
            claimed: sum(|it| it.claimed),
            completed: sum(|it| it.completed),
            failed: sum(|it| it.failed),
        }
    }

    fn moved_to(&self, now: ClusterMs) -> RecentCounts {
        let window = now.0 / WINDOW_MS;
        let none = RunChanges::default();
        match window.saturating_sub(self.window) {
            0 => *self,
            1 => RecentCounts { window, current: none, previous: self.current },
            _ => RecentCounts { window, current: none, previous: none },
        }
    }
}

impl GroupRow {
    /// Whether there is no run of the group, so that the row need not be kept.
    pub fn is_empty(&self) -> bool {
        self.counts == StatusCounts::default()
    }

    pub fn of(&self, status: Status) -> u64 {
        self.counts[status as usize]
    }

    /// Counts what has happened to runs of this name.
    pub fn note(&mut self, changes: RunChanges, now: ClusterMs) {
        self.recent.get_or_insert_default().note(changes, now);
    }

    /// Runs that somebody has a claim on.
    pub fn claimed(&self) -> u64 {
        self.of(Status::Claimed) + self.of(Status::Running) + self.of(Status::AwaitingApproval)
    }

    pub fn add(&mut self, status: Status) {
        self.counts[status as usize] += 1;
    }

    pub fn subtract(&mut self, status: Status) {
        let count = &mut self.counts[status as usize];
        *count = count.saturating_sub(1);
    }
}

impl GroupRow {
    /// All of it as numbers: the counts and, where they are kept, the number of the window
    /// with what has happened in it and before it.
    pub fn numbers(&self) -> Vec<u64> {
        let recent = self.recent.as_deref().map(|recent| {
            let RecentCounts { window, current, previous } = recent;
            let changes = [current, previous].into_iter().flat_map(RunChanges::numbers);
            [*window].into_iter().chain(changes)
        });
        self.counts.into_iter().chain(recent.into_iter().flatten()).collect()
    }

    /// The row with these [`GroupRow::numbers`].
    pub fn of_numbers(numbers: &[u64]) -> Option<GroupRow> {
        let (counts, rest) = numbers.split_first_chunk()?;
        let recent = match rest {
            [] => None,
            [window, a, b, c, d, e, f, g, h] => Some(Box::new(RecentCounts {
                window: *window,
                current: RunChanges { created: *a, claimed: *b, completed: *c, failed: *d },
                previous: RunChanges { created: *e, claimed: *f, completed: *g, failed: *h },
            })),
            _ => return None,
        };
        Some(GroupRow { counts: *counts, recent })
    }
}

impl RunChanges {
    fn numbers(&self) -> [u64; 4] {
        [self.created, self.claimed, self.completed, self.failed]
    }
}

impl RunGroup {
    /// The kind of the group, and what its runs have in common.
    pub fn parts(&self) -> (u8, &Text) {
        match self {
            RunGroup::Name(name) => (1, name),
            RunGroup::Parent(run_id) => (2, run_id),
            RunGroup::Concurrency(key) => (3, key),
        }
    }

    /// The group with these [`RunGroup::parts`].
    pub fn of_parts(kind: u8, common: Text) -> Option<RunGroup> {
        Some(match kind {
            1 => RunGroup::Name(common),
            2 => RunGroup::Parent(common),
            3 => RunGroup::Concurrency(common),
            _ => return None,
        })
    }
}
