//! Rows of the tables as records that rest or travel, and back.

use crate::codec::StateRecord;
use crate::machine::{Change, size};

/// The record of a row that [`crate::store::tables::Tables::rows`] gave;
/// nothing for changes that put no row, which it never gives.
pub fn record(row: Change) -> Option<StateRecord> {
    Some(match row {
        Change::PutKey(key, row) => StateRecord::Key(key, row),
        Change::PutLease(resource_id, row) => StateRecord::Lease(resource_id, row),
        Change::PutRun(row) => StateRecord::Run(row),
        Change::PutStep(run_id, step, row) => StateRecord::Step(run_id, step, row),
        Change::PutSession(session_id, row) => StateRecord::Session(session_id, row),
        Change::PutRequest(key, row) => StateRecord::Request(key, row),
        Change::PutOrigin(session, row) => StateRecord::Origin(session, row),
        Change::PutAnswer(session, sequence, reply) => {
            StateRecord::Answer(session, sequence, reply)
        }
        Change::DropKey(_)
        | Change::DropLease(_)
        | Change::DropSession(_)
        | Change::DropRequest(_)
        | Change::DropOrigin(_)
        | Change::DropAnswersBelow(..)
        | Change::Clear => return None,
    })
}

/// What the record's row counts to the size of the state.
pub fn bytes(record: &StateRecord) -> u64 {
    row(record.clone()).map_or(0, |row| size::of_put(&row))
}

/// The row of a record; nothing for the record of the state's position.
pub fn row(record: StateRecord) -> Option<Change> {
    Some(match record {
        StateRecord::Key(key, row) => Change::PutKey(key, row),
        StateRecord::Lease(resource_id, row) => Change::PutLease(resource_id, row),
        StateRecord::Run(row) => Change::PutRun(row),
        StateRecord::Step(run_id, step, row) => Change::PutStep(run_id, step, row),
        StateRecord::Session(session_id, row) => Change::PutSession(session_id, row),
        StateRecord::Request(key, row) => Change::PutRequest(key, row),
        StateRecord::Origin(session, row) => Change::PutOrigin(session, row),
        StateRecord::Answer(session, sequence, reply) => {
            Change::PutAnswer(session, sequence, reply)
        }
        StateRecord::Meta(_) => return None,
    })
}
