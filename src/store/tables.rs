//! Tables: a whole state in memory, in persistent maps. A clone costs nothing
//! and never changes, so readers and snapshots keep one while commands go on.
//!
//! Invariant: the entries are those of the rows and nothing else, so that equal
//! rows make equal tables; [`Tables::check_entries`] compares.

use std::convert::Infallible;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use imbl::{OrdMap, OrdSet};

use crate::machine::index::{self, Entry, Search, Searched};
use crate::machine::view::{Page, Range};
use crate::machine::{Change, Decision, Meta, Row, RowId, View, size};

/// Rows that are freed in less than a millisecond, entries and all.
const FREED_AT_ONCE: usize = 1_000;

/// Between two looks at whether anybody still reads what is to be freed, and how
/// many there are; the last reader frees it after that.
const READ_PAUSE: Duration = Duration::from_millis(10);
const READ_LOOKS: usize = 1_000;

/// Every row, and the entries by which rows are found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    meta: Meta,
    state: Space,
    /// What outlives a reset.
    remembered: Space,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Space {
    rows: OrdMap<RowId, Arc<Row>>,
    entries: OrdSet<Entry>,
}

impl Tables {
    /// The state's position.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Commits a decision that was made over this very state.
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

    /// Every row, in the order of their ids. [`Tables::restore`] makes an equal
    /// state of them.
    pub fn rows(&self) -> impl Iterator<Item = &Arc<Row>> {
        self.state.rows.values().chain(self.remembered.rows.values())
    }

    /// A state out of its position and its rows, which are counted.
    pub fn restore(meta: Meta, rows: impl IntoIterator<Item = Row>) -> Tables {
        let mut tables = Tables { meta, ..Tables::default() };
        tables.meta.uncount_all();
        for row in rows {
            tables.put(row);
        }
        tables
    }

    /// Puts one more row, without moving the position.
    pub fn put(&mut self, row: Row) {
        let space = self.space_mut(row.id().outlives_reset());
        space.entries.extend(index::entries(&row));
        if let Some(old) = space.rows.insert(row.id(), Arc::new(row.clone())) {
            self.meta.uncount(&old);
        }
        self.meta.count(&row);
    }

    /// Entries from `start` on and before `end`, so many at most; the last ones
    /// first with `reverse`.
    pub fn entries(&self, start: &[u8], end: &[u8], reverse: bool, limit: usize) -> Vec<Entry> {
        let entries = &self.space(index::outlives_reset(start)).entries;
        let range = entries.range::<_, [u8]>((Bound::Included(start), Bound::Excluded(end)));
        match reverse {
            false => range.take(limit).cloned().collect(),
            true => range.rev().take(limit).cloned().collect(),
        }
    }

    /// Compares the entries, the size and the counts with those that the rows
    /// alone would give.
    ///
    /// # Errors
    ///
    /// Says that they differ. It reads every row; for tests and debugging.
    pub fn check_entries(&self) -> Result<(), String> {
        let derived = Tables::restore(self.meta.clone(), self.rows().map(|row| Row::clone(row)));
        if *self == derived {
            return Ok(());
        }
        Err(format!("entries do not follow from the rows: {self:?} against {derived:?}"))
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Clear => self.state = Space::default(),
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

    fn space(&self, outlives_reset: bool) -> &Space {
        if outlives_reset { &self.remembered } else { &self.state }
    }

    fn space_mut(&mut self, outlives_reset: bool) -> &mut Space {
        if outlives_reset { &mut self.remembered } else { &mut self.state }
    }
}

/// Lets go of a state that one with `gone` rows fewer has replaced. To free many
/// takes long, as after a reset: a thread of its own does it then, when nobody
/// reads them any more, so that neither who writes nor who reads waits for it.
pub(super) fn let_go<T: Send + Sync + 'static>(replaced: Arc<T>, gone: usize) {
    if gone <= FREED_AT_ONCE {
        return;
    }
    let free = move || {
        for _ in 0..READ_LOOKS {
            if Arc::strong_count(&replaced) == 1 {
                break;
            }
            thread::sleep(READ_PAUSE);
        }
    };
    // Without a thread it is freed here.
    let _ = thread::Builder::new().name("free".to_owned()).spawn(free);
}

/// How the rules see tables. Nothing here can fail.
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
        // A range may begin with the row after which it is to begin.
        let rows = from.map(|(_, row)| row).skip_while(|row| range.begins_behind(&row.id()));
        let rows = rows.take_while(|row| range.holds(&row.id())).cloned().map(Ok);
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

    /// Says which thread frees it.
    struct Told(Sender<ThreadId>);

    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
        }
    }

    #[test]
    fn much_is_freed_by_nobody_who_reads_or_writes() {
        let (tell, told) = channel();
        let here = thread::current().id();
        let_go(Arc::new(Told(tell.clone())), FREED_AT_ONCE);
        assert_eq!(told.recv().unwrap(), here);
        let replaced = Arc::new(Told(tell));
        let read = replaced.clone();
        let_go(replaced, FREED_AT_ONCE + 1);
        assert!(told.try_recv().is_err(), "it was freed under a reader");
        drop(read);
        assert_ne!(told.recv().unwrap(), here);
    }
}
