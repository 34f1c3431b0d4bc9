//! A view that counts: how many rows and entries were looked at, which says what
//! a command or a question costs whatever the machine, and whether it looked at
//! anything that its footprint does not name.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::sync::Arc;

use mcp_state_sidecar::machine::index::{Search, Searched};
use mcp_state_sidecar::machine::view::{Page, Range};
use mcp_state_sidecar::machine::*;
use mcp_state_sidecar::store::tables::Tables;

/// Rows and entries that no command or question looks at more of, whatever the
/// state: some thousands, which a store answers in some tens of milliseconds.
pub const LOOKS_MAX: usize = 10_000;

pub struct Counted<'a> {
    tables: &'a Tables,
    footprint: Footprint,
    looks: Cell<usize>,
    outside: RefCell<Vec<String>>,
}

impl<'a> Counted<'a> {
    pub fn new(tables: &'a Tables, footprint: Footprint) -> Self {
        Counted { tables, footprint, looks: Cell::new(0), outside: RefCell::default() }
    }

    pub fn looks(&self) -> usize {
        self.looks.get()
    }

    /// What was looked at beside the footprint and what that finds.
    pub fn outside(&self) -> Vec<String> {
        self.outside.borrow().clone()
    }

    fn look(&self, at: usize) {
        self.looks.set(self.looks.get() + at);
    }

    fn finds(&self, id: &RowId) -> bool {
        self.footprint.rows.contains(id)
            || self.footprint.searches.iter().any(|search| {
                let Ok(searched) = self.tables.search(search);
                searched.found.iter().any(|place| search.id(place).as_ref() == Some(id))
            })
    }

    /// A search from the same beginning in the same direction tells all of it.
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
        self.look(1);
        if !self.finds(id) {
            self.outside.borrow_mut().push(format!("{id:?}"));
        }
        self.tables.row(id)
    }

    fn rows(&self, range: &Range, page: Page) -> Result<Vec<Arc<Row>>, Infallible> {
        let rows = View::rows(self.tables, range, page)?;
        self.look(1 + rows.len());
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
            self.look(1 + entries.len());
            Ok(entries)
        })
    }
}
