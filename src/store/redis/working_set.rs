//! The working set: the part of a state that was read, with the changes of a
//! batch's commands. Each command is decided on what the commands before it have
//! changed, before anything is written.
//!
//! A row that was not read looks absent and is recorded as missing. While anything
//! is missing, no decision and no answer counts. The missing rows are read, and
//! everything is decided or answered again. So usually one round trip is enough,
//! and what could not be foreseen takes another.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::ops::Bound;
use std::sync::Arc;

use super::read_set::{ReadResult, ReadSet, SearchedRange, of_range};
use crate::machine::entry::IndexEntry;
use crate::machine::filter::{ChangeFilter, HistoryFilter};
use crate::machine::index;
use crate::machine::page::{Page, Range};
use crate::machine::search::{Search, Searched};
use crate::machine::view::HistoryView;
use crate::machine::{Change, Decision, Event, Meta, Revision, Row, RowId, View, size};

/// The known part of a state, and what was changed since it was read.
#[derive(Debug)]
pub struct WorkingSet<'a> {
    known: &'a ReadResult,
    pub meta: Meta,
    /// The rows that were changed. `None` means that the row was removed.
    pub rows: BTreeMap<RowId, Option<Arc<Row>>>,
    pub listed: BTreeSet<IndexEntry>,
    pub unlisted: BTreeSet<IndexEntry>,
    pub is_cleared: bool,
    pub events: Vec<Event>,
    missing: RefCell<ReadSet>,
    is_unclear: Cell<bool>,
}

/// What was needed and not known.
#[derive(Debug)]
pub enum Missing {
    Nothing,
    Rows(ReadSet),
    /// A lookup depends on what other commands of the batch have changed, in a way
    /// that cannot be determined. The batch must be made smaller.
    Unclear,
}

impl<'a> WorkingSet<'a> {
    pub fn new(known: &'a ReadResult) -> WorkingSet<'a> {
        WorkingSet {
            known,
            meta: known.state.meta.clone(),
            rows: BTreeMap::new(),
            listed: BTreeSet::new(),
            unlisted: BTreeSet::new(),
            is_cleared: false,
            events: Vec::new(),
            missing: RefCell::default(),
            is_unclear: Cell::new(false),
        }
    }

    /// Applies a decision that was made on this working set.
    pub fn apply(&mut self, decision: Decision) {
        for change in decision.changes {
            self.change(change);
        }
        self.events.extend(decision.events);
        self.meta = decision.meta;
    }

    /// Whether there is nothing to write.
    pub fn is_unchanged(&self) -> bool {
        !self.is_cleared && self.rows.is_empty() && self.events.is_empty()
    }

    /// Whether Redis has a row with this id, after the reset if there is one.
    pub fn is_stored(&self, id: &RowId) -> bool {
        let cleared = self.is_cleared && !id.outlives_reset();
        !cleared && matches!(self.known.row(id), Some(Some(_)))
    }

    /// What was missing since the last call.
    pub fn take_missing(&self) -> Missing {
        let missing = self.missing.take();
        match (self.is_unclear.take(), missing.is_empty()) {
            (true, _) => Missing::Unclear,
            (false, false) => Missing::Rows(missing),
            (false, true) => Missing::Nothing,
        }
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Clear => {
                self.is_cleared = true;
                self.rows.retain(|id, _| id.outlives_reset());
                self.listed.retain(|entry| index::outlives_reset(entry));
                self.unlisted.retain(|entry| index::outlives_reset(entry));
            }
            Change::Put(row) => drop(self.rows.insert(row.id(), Some(row))),
            Change::Drop(id) => drop(self.rows.insert(id, None)),
            Change::List(entry) => {
                if !self.unlisted.remove(&entry) {
                    self.listed.insert(entry);
                }
            }
            Change::Unlist(entry) => {
                if !self.listed.remove(&entry) {
                    self.unlisted.insert(entry);
                }
            }
            // Commands for this store have no origin, so there are no such answers.
            Change::DropAnswersBelow(..) => {}
        }
    }

    /// What a search finds in the known ranges. If these are not enough, `note` adds
    /// the search to what is missing.
    fn search_known(&self, search: &Search, note: impl FnOnce(&mut ReadSet)) -> Searched {
        if search.until.as_ref().is_some_and(|until| *until <= search.from) || search.limit == 0 {
            return Searched::default();
        }
        if self.is_cleared {
            self.is_unclear.set(true);
            return Searched::default();
        }
        let mut known = self.known.searches(search).iter().rev();
        known.find_map(|range| self.search_range(search, range)).unwrap_or_else(|| {
            note(&mut self.missing.borrow_mut());
            Searched::default()
        })
    }

    /// What a search finds in one known range, if that is enough.
    fn search_range(&self, search: &Search, range: &SearchedRange) -> Option<Searched> {
        let (low, high) = (&range.low, range.high.as_ref());
        let until = search.until.as_ref();
        let from_low = *low <= search.from;
        let to_high = high.is_none_or(|high| until.is_some_and(|until| until <= high));
        let (begins, is_all) =
            if search.reverse { (to_high, from_low) } else { (from_low, to_high) };
        if !begins {
            return None;
        }
        let inside = |place: &Vec<u8>| {
            *place >= search.from
                && place >= low
                && [until, high].into_iter().flatten().all(|end| place < end)
        };
        let is_found = |place: &&Vec<u8>| inside(place) && !self.is_unlisted(search, place);
        let found = range.found.iter().filter(is_found).take(search.limit).cloned();
        let mut found: Vec<_> = found.collect();
        let listed = self.newly_listed(search).into_iter().filter(inside);
        found.extend(listed);
        found.sort();
        if search.reverse {
            found.reverse();
        }
        found.truncate(search.limit);
        let bound = if search.reverse { Some(low) } else { high };
        let next = bound.filter(|bound| match search.reverse {
            false => **bound > search.from,
            true => until.is_none_or(|until| *bound < until),
        });
        let stopped = next.filter(|_| range.is_stopped && !is_all);
        let stopped = stopped.filter(|_| found.len() < search.limit).cloned();
        let is_enough = is_all || found.len() == search.limit || stopped.is_some();
        is_enough.then_some(Searched { found, stopped })
    }

    fn is_unlisted(&self, search: &Search, place: &[u8]) -> bool {
        !self.unlisted.is_empty()
            && search
                .prefixes
                .iter()
                .any(|prefix| self.unlisted.contains(&[prefix, place].concat()[..]))
    }

    /// What the batch has listed under all of the search's prefixes.
    fn newly_listed(&self, search: &Search) -> Vec<Vec<u8>> {
        let mut places = BTreeSet::new();
        for prefix in &search.prefixes {
            let entries = with_prefix(&self.listed, prefix);
            places.extend(entries.map(|entry| entry[prefix.len()..].to_vec()));
        }
        let has = |entries: &BTreeSet<IndexEntry>, prefix: &[u8], place: &[u8]| {
            entries.contains(&[prefix, place].concat()[..])
        };
        let is_listed = |place: &Vec<u8>| {
            let others = search.prefixes.iter().filter(|p| !has(&self.listed, p, place));
            let others: Vec<_> = others.collect();
            if others.iter().any(|prefix| !has(&self.unlisted, prefix, place)) {
                self.is_unclear.set(true);
            }
            others.is_empty()
        };
        places.into_iter().filter(is_listed).collect()
    }
}

impl View for WorkingSet<'_> {
    type Error = Infallible;

    fn meta(&self) -> Result<Meta, Infallible> {
        Ok(self.meta.clone())
    }

    fn row(&self, id: &RowId) -> Result<Option<Arc<Row>>, Infallible> {
        if let Some(row) = self.rows.get(id) {
            return Ok(row.clone());
        }
        if self.is_cleared && !id.outlives_reset() {
            return Ok(None);
        }
        if let RowId::Origin(_) | RowId::Answer(..) = id {
            // Only the nodes of a cluster repeat requests on their own and need
            // these rows.
            return Ok(None);
        }
        let known = self.known.row(id);
        if known.is_none() {
            self.missing.borrow_mut().row(id);
        }
        Ok(known.cloned().flatten())
    }

    fn rows(&self, range: &Range, page: Page) -> Result<Vec<Arc<Row>>, Infallible> {
        if self.is_cleared || self.rows.keys().any(|id| range.contains(id)) {
            self.is_unclear.set(true);
            return Ok(Vec::new());
        }
        let search = of_range(range, page);
        let found = self.search_known(&search, |missing| missing.page(&search, page));
        let ids = found.found.iter().filter_map(|place| search.id(place));
        let rows = ids.filter_map(|id| self.row(&id).transpose());
        page.read(rows, |row| size::bytes(row) as usize)
    }

    fn search(&self, search: &Search) -> Result<Searched, Infallible> {
        // No rank is after the last number, and as a bound it would be mistaken for
        // the present.
        let until = search.until.clone().filter(|until| until[..] != [u8::MAX; 8]);
        let search = Search { until, ..search.clone() };
        // The search reads so many more entries, because the batch has removed so
        // many.
        let removed =
            search.prefixes.iter().map(|prefix| with_prefix(&self.unlisted, prefix).count());
        let removed = removed.sum();
        Ok(self.search_known(&search, |missing| missing.search(&search, removed)))
    }
}

/// The entries that begin with `prefix`.
fn with_prefix<'e>(
    entries: &'e BTreeSet<IndexEntry>,
    prefix: &'e [u8],
) -> impl Iterator<Item = &'e IndexEntry> {
    let from = entries.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
    from.take_while(move |entry| entry.starts_with(prefix))
}

/// Events that were fetched for one question about the history, in the order that
/// the question wants.
pub struct FetchedEvents(pub Vec<Event>);

impl FetchedEvents {
    fn page(&self, page: Page, admits: impl Fn(&Event) -> bool) -> Result<Vec<Event>, Infallible> {
        let events = self.0.iter().filter(|event| admits(event)).cloned().map(Ok);
        page.read(events, Event::bytes)
    }
}

impl HistoryView for FetchedEvents {
    type Error = Infallible;

    fn newest(
        &self,
        filter: &HistoryFilter,
        _before: Option<Revision>,
        page: Page,
    ) -> Result<Vec<Event>, Infallible> {
        self.page(page, |event| filter.admits(event))
    }

    fn since(
        &self,
        filter: &ChangeFilter,
        _after: Revision,
        page: Page,
    ) -> Result<Vec<Event>, Infallible> {
        self.page(page, |event| filter.admits(event))
    }
}
