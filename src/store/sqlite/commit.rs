//! Writing a decision, within the transaction in which it was made.

use rusqlite::{Result, params_from_iter};

use super::view::TransactionView;
use super::write::no_origins;
use super::{table, write};
use crate::machine::{Change, Decision, Event, Row, index};

/// Adds an entry to the state's table or to that of entries that outlive a reset.
const LIST: [&str; 2] =
    ["INSERT INTO entry VALUES (?1)", "INSERT INTO entry_remembered VALUES (?1)"];

/// Removes an entry from one of the two tables.
const UNLIST: [&str; 2] =
    ["DELETE FROM entry WHERE entry = ?1", "DELETE FROM entry_remembered WHERE entry = ?1"];

impl TransactionView<'_> {
    /// Writes a decision's changes and events and moves the position on.
    ///
    /// Returns the size of the events. They contain every value that was written,
    /// so this bounds a batch.
    ///
    /// # Errors
    /// The file cannot be written, or a number is too large for a column. Some of
    /// the changes may have been written, so the caller must roll back.
    pub(super) fn apply(&mut self, decision: &Decision) -> Result<usize> {
        for change in &decision.changes {
            self.change(change)?;
        }
        // After a reset, the history begins after the anchor.
        let anchor = decision.meta.anchor.revision;
        for event in decision.events.iter().filter(|event| event.revision > anchor) {
            write::event(self.conn, event)?;
        }
        self.meta = decision.meta.clone();
        Ok(decision.events.iter().map(Event::bytes).sum())
    }

    fn change(&self, change: &Change) -> Result<()> {
        match change {
            Change::Clear => self.clear(),
            Change::Put(row) => write::row(self.conn, row, |table| &table.put),
            Change::Drop(id) => {
                let (table, id) = table::place(id).ok_or_else(no_origins)?;
                self.conn.prepare_cached(&table.drop)?.execute(params_from_iter(id)).map(drop)
            }
            Change::List(entry) => self.list(entry),
            Change::Unlist(entry) => self.execute_on_entry(entry, UNLIST),
            Change::DropAnswersBelow(..) => Err(no_origins()),
        }
    }

    fn list(&self, entry: &[u8]) -> Result<()> {
        self.execute_on_entry(entry, LIST)
    }

    /// Executes the first statement on an entry of the state, or the second on one
    /// that outlives a reset.
    fn execute_on_entry(&self, entry: &[u8], [state, remembered]: [&str; 2]) -> Result<()> {
        let sql = if index::outlives_reset(entry) { remembered } else { state };
        self.conn.prepare_cached(sql)?.execute([entry]).map(drop)
    }

    /// Adds a row of an import. Its id must not exist yet.
    pub(in crate::store) fn add(&mut self, row: &Row) -> Result<()> {
        write::row(self.conn, row, |table| &table.insert)?;
        self.index(row)
    }

    /// Counts a row that exists, and adds its index entries.
    pub(super) fn index(&mut self, row: &Row) -> Result<()> {
        self.meta.count(row);
        index::entries(row).iter().try_for_each(|entry| self.list(entry))
    }
}
