//! Rows as they are stored, whether or not their time is over.

use std::sync::Arc;

use crate::machine::row::{KeyRow, LeaseRow, Row, RunRow, ScheduleRow, SessionRow};
use crate::machine::row_id::RowId;
use crate::machine::search::Search;
use crate::machine::value::Text;
use crate::machine::view::View;

/// The most runs whose time has come that one look-up compares with those that
/// are ready. The sweep promotes the others, some thousands a second. Where a claim
/// gives several names, they share these.
pub const DUE_MAX: usize = 100;

/// The most rows that a list or a claim passes over before it stops and says how
/// far it has got.
pub(super) const SKIPPED_MAX: usize = 1_000;

pub fn key<V: View>(view: &V, key: &Text) -> Result<Option<KeyRow>, V::Error> {
    Ok(view.row(&RowId::Key(key.clone()))?.and_then(|row| match &*row {
        Row::Key(_, row) => Some(row.clone()),
        _ => None,
    }))
}

pub fn lease<V: View>(view: &V, resource_id: &Text) -> Result<Option<LeaseRow>, V::Error> {
    Ok(view.row(&RowId::Lease(resource_id.clone()))?.and_then(|row| match &*row {
        Row::Lease(_, row) => Some(row.clone()),
        _ => None,
    }))
}

pub fn session<V: View>(view: &V, session_id: &Text) -> Result<Option<SessionRow>, V::Error> {
    Ok(view.row(&RowId::Session(session_id.clone()))?.and_then(|row| match &*row {
        Row::Session(_, row) => Some(row.clone()),
        _ => None,
    }))
}

pub fn schedule<V: View>(view: &V, name: &Text) -> Result<Option<ScheduleRow>, V::Error> {
    Ok(view.row(&RowId::Schedule(name.clone()))?.and_then(|row| match &*row {
        Row::Schedule(_, row) => Some(ScheduleRow::clone(row)),
        _ => None,
    }))
}

/// The run, which may count as cancelled although its row does not say so; see
/// [`super::run`].
pub fn stored_run<V: View>(view: &V, run_id: &Text) -> Result<Option<RunRow>, V::Error> {
    Ok(view.row(&RowId::Run(run_id.clone()))?.and_then(|row| row.run().cloned()))
}

/// The rows that a search found.
pub(super) struct RowsFound {
    /// Each row with the rank and id under which it is listed.
    pub rows: Vec<(Vec<u8>, Arc<Row>)>,
    /// The point at which the search stopped; see
    /// [`Searched::stopped`](crate::machine::search::Searched::stopped).
    pub stopped: Option<Vec<u8>>,
}

impl RowsFound {
    pub fn runs(self) -> impl Iterator<Item = RunRow> {
        self.rows.into_iter().filter_map(|(_, row)| row.run().cloned())
    }
}

/// Searches, and reads the rows that are found.
pub(super) fn search_rows<V: View>(view: &V, search: &Search) -> Result<RowsFound, V::Error> {
    let searched = view.search(search)?;
    let mut rows = Vec::with_capacity(searched.found.len());
    for place in searched.found {
        // An entry without its row is damage, which the store reports.
        if let Some(row) = search.id(&place).map(|id| view.row(&id)).transpose()?.flatten() {
            rows.push((place, row));
        }
    }
    Ok(RowsFound { rows, stopped: searched.stopped })
}
