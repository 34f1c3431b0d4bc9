//! The tables as the rules see them; the history is in `history`. A
//! [`TransactionView`] lives as long as one transaction, so everything that it
//! returns belongs to one state.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Result, params, params_from_iter};

use super::table::{self, bound};
use crate::machine::entry::IndexEntry;
use crate::machine::index;
use crate::machine::page::{Page, Range};
use crate::machine::search::{Search, Searched};
use crate::machine::{Meta, Row, RowId, View, size};

/// Selects entries of the state, entries that outlive a reset, and the same two in
/// descending order.
pub(super) const ENTRIES: [&str; 4] = [
    "SELECT entry FROM entry WHERE entry >= ?1 AND entry < ?2 ORDER BY entry LIMIT ?3",
    "SELECT entry FROM entry_remembered WHERE entry >= ?1 AND entry < ?2 ORDER BY entry LIMIT ?3",
    "SELECT entry FROM entry WHERE entry >= ?1 AND entry < ?2 ORDER BY entry DESC LIMIT ?3",
    "SELECT entry FROM entry_remembered WHERE entry >= ?1 AND entry < ?2 \
     ORDER BY entry DESC LIMIT ?3",
];

/// The state within one transaction.
pub(in crate::store) struct TransactionView<'c> {
    pub(in crate::store) conn: &'c Connection,
    /// The position as it was stored when the transaction began. Each command
    /// moves it on, and it is written back once at the end.
    pub(in crate::store) meta: Meta,
}

impl<'c> TransactionView<'c> {
    /// The state that the open transaction of `conn` sees.
    pub(super) fn load(conn: &'c Connection) -> Result<TransactionView<'c>> {
        let meta = conn.prepare_cached(&table::META.one)?.query_row([1], table::META.read)?;
        Ok(TransactionView { conn, meta })
    }
}

impl View for TransactionView<'_> {
    type Error = rusqlite::Error;

    fn meta(&self) -> Result<Meta> {
        Ok(self.meta.clone())
    }

    fn row(&self, id: &RowId) -> Result<Option<Arc<Row>>> {
        let Some((table, id)) = table::place(id) else { return Ok(None) };
        let mut statement = self.conn.prepare_cached(&table.one)?;
        Ok(statement.query_row(params_from_iter(id), table.read).optional()?.map(Arc::new))
    }

    fn rows(&self, range: &Range, page: Page) -> Result<Vec<Arc<Row>>> {
        let start = range.start();
        let Some((table, start)) = table::place(&start) else { return Ok(Vec::new()) };
        let mut statement = self.conn.prepare_cached(&table.from)?;
        let found = statement.query_map(params_from_iter(start), table.read)?;
        // The start of a range is the row that it continues after.
        let found = found
            .skip_while(|row| row.as_ref().is_ok_and(|row| range.begins_after(&row.id())))
            .take_while(|row| row.as_ref().map_or(true, |row| range.contains(&row.id())))
            .map(|row| row.map(Arc::new));
        page.read(found, |row| size::bytes(row) as usize)
    }

    fn search(&self, search: &Search) -> Result<Searched> {
        search.walk(|start, end, reverse, limit| {
            let kept = usize::from(index::outlives_reset(start));
            let sql = ENTRIES[2 * usize::from(reverse) + kept];
            let mut statement = self.conn.prepare_cached(sql)?;
            let found = statement.query_map(params![start, end, bound(limit as u64)], |row| {
                Ok(IndexEntry::from(row.get_ref(0)?.as_blob()?))
            })?;
            found.collect()
        })
    }
}
