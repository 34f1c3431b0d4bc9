//! A view that counts the rows and entries that are read, which measures the cost
//! of a command or a question on any hardware, and that notes every read that the
//! footprint does not name.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::sync::Arc;

use mcp_state_sidecar::machine::page::{Page, Range};
use mcp_state_sidecar::machine::search::{Search, Searched};
use mcp_state_sidecar::machine::*;
use mcp_state_sidecar::store::tables::Tables;

/// The most rows and entries that any command or question may read, whatever the
/// state. A store reads that many in some tens of milliseconds.
pub const READS_MAX: usize = 10_000;

pub struct Counted<'a> {
    tables: &'a Tables,
    footprint: Footprint,
    reads: Cell<usize>,
    outside: RefCell<Vec<String>>,
}

impl<'a> Counted<'a> {
    pub fn new(tables: &'a Tables, footprint: Footprint) -> Self {
        Counted { tables, footprint, reads: Cell::new(0), outside: RefCell::default() }
    }

    pub fn reads(&self) -> usize {
        self.reads.get()
    }

    /// The reads that the footprint does not name.
    pub fn outside(&self) -> Vec<String> {
        self.outside.borrow().clone()
    }

    fn count(&self, read: usize) {
        self.reads.set(self.reads.get() + read);
    }

    fn finds(&self, id: &RowId) -> bool {
        self.footprint.rows.contains(id)
            || self.footprint.searches.iter().any(|search| {
                let Ok(searched) = self.tables.search(search);
                searched.found.iter().any(|place| search.id(place).as_ref() == Some(id))
            })
    }

    /// Whether a declared search over the same prefixes finds everything that this
    /// one finds.
    fn covers(&self, search: &Search) -> bool {
        self.footprint.searches.iter().any(|declared| {
            let (Ok(all), Ok(wanted)) = (self.tables.search(declared), self.tables.search(search));
            declared.prefixes == search.prefixes
                && declared.reverse == search.reverse
                && wanted.found.iter().all(|place| all.found.contains(place))
        })
    }
}

impl View for Counted<'_> {
    type Error = Infallible;

    fn meta(&self) -> Result<Meta, Infallible> {
        View::meta(self.tables)
    }

    fn row(&self, id: &RowId) -> Result<Option<Arc<Row>>, Infallible> {
        self.count(1);
        if !self.finds(id) {
            self.outside.borrow_mut().push(format!("{id:?}"));
        }
        self.tables.row(id)
    }

    fn rows(&self, range: &Range, page: Page) -> Result<Vec<Arc<Row>>, Infallible> {
        let rows = View::rows(self.tables, range, page)?;
        self.count(1 + rows.len());
        if !self.footprint.ranges.iter().any(|(declared, _)| declared == range) {
            self.outside.borrow_mut().push(format!("{range:?}"));
        }
        Ok(rows)
    }

    fn search(&self, search: &Search) -> Result<Searched, Infallible> {
        if !self.covers(search) {
            self.outside.borrow_mut().push(format!("{search:?}"));
        }
        search.walk(|start, end, reverse, limit| {
            let entries = self.tables.entries(start, end, reverse, limit);
            self.count(1 + entries.len());
            Ok(entries)
        })
    }
}
