//! Views: how the rules see a state and its history. Each store implements
//! them, and the rules cannot tell which store they run on.

use std::sync::Arc;

use super::event::Event;
use super::filter::{ChangeFilter, HistoryFilter};
use super::meta::Meta;
use super::page::{Page, Range};
use super::row::Row;
use super::row_id::RowId;
use super::run_group::{GroupRow, RunGroup};
use super::search::{Search, Searched};
use super::value::Revision;

/// Read access to one consistent state: its position, a row by its id, and
/// ordered scans. [`super::index`] declares what can be looked up by what, and
/// [`super::lookup`] turns it into look-ups; a store knows neither.
///
/// Rows come as they are stored: whether a deadline has passed is for the rules
/// to judge.
pub trait View {
    /// What can go wrong while reading; [`std::convert::Infallible`] in memory.
    type Error;

    fn meta(&self) -> Result<Meta, Self::Error>;

    /// The row with this id.
    fn row(&self, id: &RowId) -> Result<Option<Arc<Row>>, Self::Error>;

    /// The rows of one [`Range`] in the order of their ids, read as
    /// [`Page::read`] reads.
    fn rows(&self, range: &Range, page: Page) -> Result<Vec<Arc<Row>>, Self::Error>;

    /// The result of a search of the index entries; see [`Search::walk`].
    fn search(&self, search: &Search) -> Result<Searched, Self::Error>;

    /// The counts of a group of runs.
    fn group(&self, group: &RunGroup) -> Result<GroupRow, Self::Error> {
        Ok(match self.row(&RowId::Group(group.clone()))?.as_deref() {
            Some(Row::Group(_, row)) => row.clone(),
            _ => GroupRow::default(),
        })
    }
}

/// Read access to the history that is kept. Events are read as [`Page::read`]
/// reads.
pub trait HistoryView {
    type Error;

    /// Events before the revision `before` (all events where none is given),
    /// newest first.
    fn newest(
        &self,
        filter: &HistoryFilter,
        before: Option<Revision>,
        page: Page,
    ) -> Result<Vec<Event>, Self::Error>;

    /// Events after the revision `after`, oldest first.
    fn since(
        &self,
        filter: &ChangeFilter,
        after: Revision,
        page: Page,
    ) -> Result<Vec<Event>, Self::Error>;
}
