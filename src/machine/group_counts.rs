//! Counting runs in groups, from row to row. A command changes the counts by the runs that
//! it changes, and an import counts the runs that it takes.

use std::collections::BTreeMap;

use super::row::{Row, RunRow};
use super::run_group::{GroupRow, RunGroup};

/// The counts of some groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupCounts(pub BTreeMap<RunGroup, GroupRow>);

impl GroupCounts {
    /// The counts of these runs.
    pub fn of<'r>(runs: impl IntoIterator<Item = &'r RunRow>) -> GroupCounts {
        let mut counts = GroupCounts::default();
        runs.into_iter().for_each(|run| counts.add(run));
        counts
    }

    /// Counts the row if it is a run.
    pub fn count(&mut self, row: &Row) {
        if let Row::Run(run) = row {
            self.add(run);
        }
    }

    /// The rows that keep the counts.
    pub fn into_rows(self) -> impl Iterator<Item = Row> {
        self.0.into_iter().map(|(group, row)| Row::Group(group, row))
    }

    fn add(&mut self, run: &RunRow) {
        for group in run.groups() {
            self.0.entry(group).or_default().add(run.status);
        }
    }
}
