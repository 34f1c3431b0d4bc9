//! Writing what was decided, within the transaction that it was decided in.

use rusqlite::{Result, params_from_iter};

use super::view::TransactionView;
use super::write::no_origins;
use super::{table, write};
use crate::machine::{Change, Decision, Event, Row, index};

impl TransactionView<'_> {
    /// Writes a decision's changes and events and moves the position on.
    ///
    /// Gives the bytes of the events written, which hold every value that was
    /// written, so that a batch can be bounded.
    ///
    /// # Errors
    /// Where the file cannot be written, or a number is beyond what a column
    /// holds. Some of the changes may have been written then: roll back.
    pub(super) fn apply(&mut self, decision: &Decision) -> Result<usize> {
        for change in &decision.changes {
            self.change(change)?;
        }
        // What a reset leaves of the history begins behind the anchor.
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
            Change::Unlist(entry) => {
                let sql = match index::outlives_reset(entry) {
                    false => "DELETE FROM entry WHERE entry = ?1",
                    true => "DELETE FROM entry_remembered WHERE entry = ?1",
                };
                self.conn.prepare_cached(sql)?.execute([&**entry]).map(drop)
            }
            Change::DropAnswersBelow(..) => Err(no_origins()),
        }
    }

    fn list(&self, entry: &[u8]) -> Result<()> {
        let sql = match index::outlives_reset(entry) {
            false => "INSERT INTO entry VALUES (?1)",
            true => "INSERT INTO entry_remembered VALUES (?1)",
        };
        self.conn.prepare_cached(sql)?.execute([entry]).map(drop)
    }

    /// Adds a row that comes from elsewhere, whose id must not be there yet.
    pub(crate) fn add(&mut self, row: &Row) -> Result<()> {
        write::row(self.conn, row, |table| &table.insert)?;
        self.count_in(row)
    }

    /// Counts a row that is there, and lists it.
    pub(super) fn count_in(&mut self, row: &Row) -> Result<()> {
        self.meta.count(row);
        index::entries(row).iter().try_for_each(|entry| self.list(entry))
    }
}
