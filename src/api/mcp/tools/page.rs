//! How much of a list a tool gives.

use crate::machine::page::Page;
use crate::machine::query::PAGE_BYTES_MAX;

/// What a page holds if an agent does not ask for more: as much as fits into
/// its context beside its other work. The cursor leads on to the rest.
pub(super) const PAGE_ROWS: usize = 100;
pub(super) const PAGE_BYTES: usize = 64 * 1024;

/// What a page holds if an agent asks for a number of rows.
pub(super) const PAGE_BYTES_ASKED: usize = 1024 * 1024;

/// The page to read for a tool that shows less of each row than it reads. Such
/// a tool cuts what was read with [`Page::cut`], by what it shows.
pub(super) fn whole_rows(page: Page) -> Page {
    Page { bytes: PAGE_BYTES_MAX, ..page }
}
