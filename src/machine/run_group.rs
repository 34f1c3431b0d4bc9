//! Groups of runs that have something in common, and how many there are in each status.

use super::status::Status;
use super::value::Text;

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

/// Its number of runs in each status. It follows from the rows of the runs, so exports
/// leave it out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupRow(pub [u64; Status::ALL.len()]);

impl GroupRow {
    /// Whether there is no run of the group, so that the row need not be kept.
    pub fn is_empty(&self) -> bool {
        *self == GroupRow::default()
    }

    pub fn of(&self, status: Status) -> u64 {
        self.0[status as usize]
    }

    /// Runs that somebody has a claim on.
    pub fn claimed(&self) -> u64 {
        self.of(Status::Claimed) + self.of(Status::Running) + self.of(Status::AwaitingApproval)
    }

    pub fn add(&mut self, status: Status) {
        self.0[status as usize] += 1;
    }

    pub fn subtract(&mut self, status: Status) {
        self.0[status as usize] = self.0[status as usize].saturating_sub(1);
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
