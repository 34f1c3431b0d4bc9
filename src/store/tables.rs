//! Tables: a whole state in memory, in persistent maps. A clone is almost free
//! and never changes, so readers and snapshots keep one while commands continue.
//!
//! Invariant: the index entries are exactly those that the rows require, so that
//! equal rows make equal tables. [`Tables::check_entries`] checks it.

use std::convert::Infallible;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use imbl::{OrdMap, OrdSet};

use crate::machine::entry::IndexEntry;
use crate::machine::index;
use crate::machine::page::{Page, Range};
use crate::machine::search::{Search, Searched};
use crate::machine::{Change, Decision, Meta, Row, RowId, View, size};

/// So many rows, with their entries, are freed in less than a millisecond.
const FREED_INLINE_MAX: usize = 1_000;

/// How often and how many times [`release`] checks whether somebody still reads
/// the old state. After that, its last reader frees it.
const READER_POLL: Duration = Duration::from_millis(10);
const READER_POLLS_MAX: usize = 1_000;

/// Every row, and the index entries by which rows are found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    meta: Meta,
    state: RowSpace,
    /// The rows and entries that outlive a reset.
    remembered: RowSpace,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct RowSpace {
    rows: OrdMap<RowId, Arc<Row>>,
    entries: OrdSet<IndexEntry>,
}

impl Tables {
    /// The state's position.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Commits a decision that was made on exactly this state.
    pub fn apply(&mut self, decision: &Decision) {
        for change in &decision.changes {
            self.change(change);
        }
        self.meta = decision.meta.clone();
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.state.rows.len() + self.remembered.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every row, in the order of the ids. [`Tables::restore`] makes an equal
    /// state from them.
    pub fn rows(&self) -> impl Iterator<Item = &Arc<Row>> {
        self.state.rows.values().chain(self.remembered.rows.values())
    }

    /// A state from its position and its rows. The rows are counted anew.
    pub fn restore(meta: Meta, rows: impl IntoIterator<Item = Row>) -> Tables {
        let mut tables = Tables { meta, ..Tables::default() };
        tables.meta.uncount_all();
        for row in rows {
            tables.put(row);
        }
        tables
    }

    /// Adds one row without changing the position.
    pub fn put(&mut self, row: Row) {
        let space = self.space_mut(row.id().outlives_reset());
        space.entries.extend(index::entries(&row));
        if let Some(old) = space.rows.insert(row.id(), Arc::new(row.clone())) {
            self.meta.uncount(&old);
        }
        self.meta.count(&row);
    }

    /// At most `limit` entries from `start` up to but not including `end`, in
    /// descending order if `reverse` is set.
    pub fn entries(
        &self,
        start: &[u8],
        end: &[u8],
        reverse: bool,
        limit: usize,
    ) -> Vec<IndexEntry> {
        let entries = &self.space(index::outlives_reset(start)).entries;
        let range = entries.range::<_, [u8]>((Bound::Included(start), Bound::Excluded(end)));
        match reverse {
            false => range.take(limit).cloned().collect(),
            true => range.rev().take(limit).cloned().collect(),
        }
    }

    /// Compares the entries, the size and the counts with those that follow from
    /// the rows. It reads every row and is meant for tests and debugging.
    ///
    /// # Errors
    ///
    /// They differ.
    pub fn check_entries(&self) -> Result<(), String> {
        let derived = Tables::restore(self.meta.clone(), self.rows().map(|row| Row::clone(row)));
        if *self == derived {
            return Ok(());
        }
        Err(format!("entries do not follow from the rows: {self:?} against {derived:?}"))
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Clear => self.state = RowSpace::default(),
            Change::Put(row) => {
                let id = row.id();
                self.space_mut(id.outlives_reset()).rows.insert(id, row.clone());
            }
            Change::Drop(id) => {
                self.space_mut(id.outlives_reset()).rows.remove(id);
                if let RowId::Origin(session) = id {
                    self.drop_answers(
                        RowId::Answer(*session, 0)..=RowId::Answer(*session, u64::MAX),
                    );
                }
            }
            Change::List(entry) => {
                self.space_mut(index::outlives_reset(entry)).entries.insert(entry.clone());
            }
            Change::Unlist(entry) => {
                self.space_mut(index::outlives_reset(entry)).entries.remove(entry);
            }
            Change::DropAnswersBelow(session, lowest) => {
                self.drop_answers(RowId::Answer(*session, 0)..RowId::Answer(*session, *lowest));
            }
        }
    }

    fn drop_answers(&mut self, range: impl RangeBounds<RowId>) {
        let rows = &mut self.remembered.rows;
        let dropped: Vec<_> = rows.range(range).map(|(id, _)| id.clone()).collect();
        for id in dropped {
            rows.remove(&id);
        }
    }

    fn space(&self, outlives_reset: bool) -> &RowSpace {
        if outlives_reset { &self.remembered } else { &self.state }
    }

    fn space_mut(&mut self, outlives_reset: bool) -> &mut RowSpace {
        if outlives_reset { &mut self.remembered } else { &mut self.state }
    }
}

/// Releases a state that was replaced by one with `removed` fewer rows. Freeing
/// many rows, as after a reset, takes long. Then a thread of its own does it when
/// nobody reads the old state any more, so that no writer or reader waits for it.
pub(super) fn release<T: Send + Sync + 'static>(replaced: Arc<T>, removed: usize) {
    if removed <= FREED_INLINE_MAX {
        return;
    }
    let free = move || {
        for _ in 0..READER_POLLS_MAX {
            if Arc::strong_count(&replaced) == 1 {
                break;
            }
            thread::sleep(READER_POLL);
        }
    };
    // If no thread can be started, the state is freed here.
    let _ = thread::Builder::new().name("free".to_owned()).spawn(free);
}

/// How the rules see the tables. Reading memory cannot fail.
impl View for Tables {
    type Error = Infallible;

    fn meta(&self) -> Result<Meta, Infallible> {
        Ok(self.meta.clone())
    }

    fn row(&self, id: &RowId) -> Result<Option<Arc<Row>>, Infallible> {
        Ok(self.space(id.outlives_reset()).rows.get(id).cloned())
    }

    fn rows(&self, range: &Range, page: Page) -> Result<Vec<Arc<Row>>, Infallible> {
        let from = self.state.rows.range(range.start()..);
        // The start of a range is the row that it continues after.
        let rows = from.map(|(_, row)| row).skip_while(|row| range.begins_after(&row.id()));
        let rows = rows.take_while(|row| range.contains(&row.id())).cloned().map(Ok);
        page.read(rows, |row| size::bytes(row) as usize)
    }

    fn search(&self, search: &Search) -> Result<Searched, Infallible> {
        search.walk(|start, end, reverse, limit| Ok(self.entries(start, end, reverse, limit)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::thread::ThreadId;

    use super::*;

    /// Reports which thread frees it.
    struct FreedBy(Sender<ThreadId>);

    impl Drop for FreedBy {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
        }
    }

    #[test]
    fn neither_readers_nor_writers_free_many_rows() {
        let (sender, freed_by) = channel();
        let here = thread::current().id();
        release(Arc::new(FreedBy(sender.clone())), FREED_INLINE_MAX);
        assert_eq!(freed_by.recv().unwrap(), here);
        let replaced = Arc::new(FreedBy(sender));
        let reader = replaced.clone();
        release(replaced, FREED_INLINE_MAX + 1);
        assert!(freed_by.try_recv().is_err(), "it was freed under a reader");
        drop(reader);
        assert_ne!(freed_by.recv().unwrap(), here);
    }
}
