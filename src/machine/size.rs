//! How large the state is, in bytes and in rows. The bytes are what a quota is
//! held against: a rule that anyone can check by hand, and not what a store
//! happens to use: each row counts its names and values, and [`ROW_BYTES`] for
//! all the rest. Both are counted on with every command, never anew.
//!
//! Remembered answers are bounded by themselves and count no bytes; nor does the
//! history.

use super::row::{Counts, Meta, Row, RunRow};

/// What a row counts beside its names and values.
pub const ROW_BYTES: u64 = 64;

/// What the row counts to the size of the state.
pub fn counted_bytes(row: &Row) -> u64 {
    match row {
        Row::Cancellation(..) | Row::Request(..) | Row::Origin(..) | Row::Answer(..) => 0,
        Row::Key(..) | Row::Lease(..) | Row::Run(_) | Row::Step(..) | Row::Session(..) => {
            bytes(row)
        }
    }
}

/// About how much the row holds, by which reading many is bounded.
pub fn bytes(row: &Row) -> u64 {
    match row {
        Row::Key(key, row) => of_texts([key, row.value.as_str()]),
        Row::Lease(resource_id, row) => of_texts([resource_id, &*row.holder_id]),
        Row::Run(run) => of_run(run),
        Row::Step(run_id, _, row) => of_texts([run_id, row.output.as_str()]),
        Row::Session(session_id, row) => of_texts([session_id, row.context.as_str()]),
        Row::Cancellation(..) | Row::Request(..) | Row::Origin(..) | Row::Answer(..) => ROW_BYTES,
    }
}

impl Meta {
    /// Counts a row that was there and is no more.
    pub fn uncount(&mut self, row: &Row) {
        self.state_bytes = self.state_bytes.saturating_sub(counted_bytes(row));
        if let Some(count) = self.counts.of(row) {
            *count = count.saturating_sub(1);
        }
    }

    /// Counts a row that is there now.
    pub fn count(&mut self, row: &Row) {
        self.state_bytes = self.state_bytes.saturating_add(counted_bytes(row));
        if let Some(count) = self.counts.of(row) {
            *count += 1;
        }
    }

    /// Counts nothing but what outlives a reset.
    pub fn uncount_state(&mut self) {
        let requests = self.counts.requests;
        self.state_bytes = 0;
        self.counts = Counts { requests, ..Counts::default() };
    }

    /// Counts no row at all, before all of them are counted anew.
    pub fn uncount_all(&mut self) {
        (self.state_bytes, self.counts) = (0, Counts::default());
    }
}

impl Counts {
    fn of(&mut self, row: &Row) -> Option<&mut u64> {
        match row {
            Row::Key(..) => Some(&mut self.keys),
            Row::Lease(..) => Some(&mut self.leases),
            Row::Run(_) => Some(&mut self.runs),
            Row::Step(..) => Some(&mut self.steps),
            Row::Session(..) => Some(&mut self.sessions),
            Row::Cancellation(..) => Some(&mut self.cancellations),
            Row::Request(..) => Some(&mut self.requests),
            Row::Origin(..) | Row::Answer(..) => None,
        }
    }
}

/// The same of a run.
pub fn run_bytes(run: &RunRow) -> usize {
    of_run(run) as usize
}

fn of_run(run: &RunRow) -> u64 {
    let texts = [&run.parent_run_id, &run.agent_id, &run.error];
    let values = [&run.input, &run.result];
    let tags = run.tags.iter().flat_map(|(name, value)| [&**name, &**value]);
    let optional = texts.into_iter().flatten().map(|text| &**text);
    let values = values.into_iter().flatten().map(|value| value.as_str());
    of_texts([&*run.run_id, &*run.name].into_iter().chain(tags).chain(optional).chain(values))
}

fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    texts.into_iter().map(|text| text.len() as u64).fold(ROW_BYTES, u64::saturating_add)
}
