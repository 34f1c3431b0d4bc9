//! The size of a state, in bytes and in rows. A quota limits the bytes. They follow
//! a rule that anyone can check by hand, instead of what a store happens to use:
//! each row counts its names and values, and [`ROW_BYTES`] for everything else.
//! Every command updates both numbers, so that nobody has to count all rows.
//!
//! Remembered answers, whose number is bounded, counts of runs and the history count no
//! bytes.

use super::command::Create;
use super::meta::{Counts, Meta};
use super::row::{Row, RunRow, ScheduleRow};
use super::timetable::Timetable;

/// The bytes that a row counts besides its names and values.
pub const ROW_BYTES: u64 = 64;

/// The bytes that the row adds to the size of the state.
pub fn counted_bytes(row: &Row) -> u64 {
    match row {
        Row::Group(..)
        | Row::Cancellation(..)
        | Row::Request(..)
        | Row::Origin(..)
        | Row::Answer(..) => 0,
        Row::Key(..)
        | Row::Lease(..)
        | Row::Run(_)
        | Row::Step(..)
        | Row::Session(..)
        | Row::Schedule(..)
        | Row::Pause(..) => bytes(row),
    }
}

/// The approximate size of the row, by which pages of rows are bounded.
pub fn bytes(row: &Row) -> u64 {
    match row {
        Row::Key(key, row) => texts_bytes([key, row.value.as_str()]),
        Row::Lease(resource_id, row) => {
            let further = row.holders.len().saturating_sub(1) as u64 * ROW_BYTES;
            let holders = row.holders.iter().map(|holder| &*holder.holder_id);
            texts_bytes([&**resource_id].into_iter().chain(holders)) + further
        }
        Row::Run(run) => run_row_bytes(run),
        Row::Step(run_id, _, row) => texts_bytes([run_id, row.output.as_str()]),
        Row::Session(session_id, row) => texts_bytes([session_id, row.context.as_str()]),
        Row::Schedule(name, row) => schedule_bytes(name, row),
        Row::Pause(name, row) => texts_bytes([&**name].into_iter().chain(row.agent_id.as_deref())),
        Row::Group(..)
        | Row::Cancellation(..)
        | Row::Request(..)
        | Row::Origin(..)
        | Row::Answer(..) => ROW_BYTES,
    }
}

impl Meta {
    /// Subtracts a row that was removed.
    pub fn uncount(&mut self, row: &Row) {
        self.state_bytes = self.state_bytes.saturating_sub(counted_bytes(row));
        if let Some(count) = self.counts.of_kind(row) {
            *count = count.saturating_sub(1);
        }
    }

    /// Adds a row.
    pub fn count(&mut self, row: &Row) {
        self.state_bytes = self.state_bytes.saturating_add(counted_bytes(row));
        if let Some(count) = self.counts.of_kind(row) {
            *count += 1;
        }
    }

    /// Subtracts every row that does not outlive a reset.
    pub fn uncount_state(&mut self) {
        let requests = self.counts.requests;
        self.state_bytes = 0;
        self.counts = Counts { requests, ..Counts::default() };
    }

    /// Sets both numbers to zero, before all rows are counted anew.
    pub fn uncount_all(&mut self) {
        (self.state_bytes, self.counts) = (0, Counts::default());
    }
}

impl Counts {
    fn of_kind(&mut self, row: &Row) -> Option<&mut u64> {
        match row {
            Row::Key(..) => Some(&mut self.keys),
            Row::Lease(..) => Some(&mut self.leases),
            Row::Run(_) => Some(&mut self.runs),
            Row::Step(..) => Some(&mut self.steps),
            Row::Session(..) => Some(&mut self.sessions),
            Row::Schedule(..) => Some(&mut self.schedules),
            Row::Cancellation(..) => Some(&mut self.cancellations),
            Row::Request(..) => Some(&mut self.requests),
            Row::Group(..) | Row::Pause(..) | Row::Origin(..) | Row::Answer(..) => None,
        }
    }
}

/// The approximate size of a run; see [`bytes()`].
pub fn run_bytes(run: &RunRow) -> usize {
    run_row_bytes(run) as usize
}

fn run_row_bytes(run: &RunRow) -> u64 {
    let shared = run.constraints.iter().flat_map(|it| it.texts());
    let asked = run.approval.iter().flat_map(|it| it.texts());
    let texts = [&run.parent_run_id, &run.agent_id, &run.error];
    let values = [&run.input, &run.result];
    let tags = run.tags.iter().flat_map(|(name, value)| [&**name, &**value]);
    let optional = texts.into_iter().flatten().map(|text| &**text);
    let values = values.into_iter().flatten().map(|value| value.as_str());
    let named = [&*run.run_id, &*run.name].into_iter().chain(tags).chain(optional).chain(values);
    texts_bytes(named.chain(shared).chain(asked))
}

fn schedule_bytes(name: &str, row: &ScheduleRow) -> u64 {
    let timetable = match &row.timetable {
        Timetable::Cron { expression, time_zone } => [&**expression, &**time_zone],
        Timetable::Every { .. } => [""; 2],
    };
    let Create { name: run_name, tags, input, parent_run_id, .. } = &row.template;
    let tags = tags.iter().flat_map(|(name, value)| [&**name, &**value]);
    let optional = [&row.agent_id, &row.last_run_id, &row.last_error, parent_run_id];
    let optional = optional.into_iter().flatten().map(|text| &**text);
    let input = input.iter().map(|value| value.as_str());
    texts_bytes(
        [name, &**run_name].into_iter().chain(timetable).chain(tags).chain(optional).chain(input),
    )
}

fn texts_bytes<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    texts.into_iter().map(|text| text.len() as u64).fold(ROW_BYTES, u64::saturating_add)
}
