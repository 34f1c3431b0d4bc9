//! The working set: a state as it was read, as far as it was, with what the
//! commands of a batch change of it. A batch is decided over it command by
//! command, each over what those before it changed, before anything is written.
//!
//! What was not read reads as absent, and is noted: nothing that was decided or
//! answered counts while anything is missing. It is read then, and all is decided
//! or answered again. So one round trip brings all that could be foreseen.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::ops::Bound;
use std::sync::Arc;

use super::read_set::{ReadResult, ReadSet, Walked, of_range};
use crate::machine::index::{self, Entry, Search, Searched};
use crate::machine::view::{ChangeFilter, HistoryFilter, HistoryView, Page, Range};
use crate::machine::{Change, Decision, Event, Meta, Revision, Row, RowId, View, size};

/// A state, as far as it is known, and what was changed since.
#[derive(Debug)]
pub struct WorkingSet<'a> {
    known: &'a ReadResult,
    pub meta: Meta,
    /// What has been written in place of what is known.
    pub rows: BTreeMap<RowId, Option<Arc<Row>>>,
    pub listed: BTreeSet<Entry>,
    pub unlisted: BTreeSet<Entry>,
    pub is_cleared: bool,
    pub events: Vec<Event>,
    missing: RefCell<ReadSet>,
    is_unclear: Cell<bool>,
}

/// What of the state was not known when it was looked at.
#[derive(Debug)]
pub enum Missing {
    Nothing,
    Rows(ReadSet),
    /// What a command looks up depends on what others of its batch have changed,
    /// in a way that only the rows themselves tell: fewer go together.
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

    /// Commits a decision that was made over this working set.
    pub fn apply(&mut self, decision: Decision) {
        for change in decision.changes {
            self.change(change);
        }
        self.events.extend(decision.events);
        self.meta = decision.meta;
    }

    /// Whether nothing is to be written.
    pub fn is_unchanged(&self) -> bool {
        !self.is_cleared && self.rows.is_empty() && self.events.is_empty()
    }

    /// Whether there was a row with this id before anything was changed.
    pub fn was_there(&self, id: &RowId) -> bool {
        let gone = self.is_cleared && !id.outlives_reset();
        !gone && matches!(self.known.row(id), Some(Some(_)))
    }

    /// What was missing since this was last asked.
    pub fn lack(&self) -> Missing {
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
            // Commands that reach this store have no origin.
            Change::DropAnswersBelow(..) => {}
        }
    }

    /// What a search finds in what is known; notes it where that is not enough.
    fn searched(&self, search: &Search, note: impl FnOnce(&mut ReadSet)) -> Searched {
        if search.until.as_ref().is_some_and(|until| *until <= search.from) || search.limit == 0 {
            return Searched::default();
        }
        if self.is_cleared {
            self.is_unclear.set(true);
            return Searched::default();
        }
        let mut known = self.known.searches(search).iter().rev();
        known.find_map(|walked| self.found(search, walked)).unwrap_or_else(|| {
            note(&mut self.missing.borrow_mut());
            Searched::default()
        })
    }

    /// What a search finds in what one found, if that is enough.
    fn found(&self, search: &Search, walked: &Walked) -> Option<Searched> {
        let (low, high) = (&walked.low, walked.high.as_ref());
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
        let inside_and_there = |place: &&Vec<u8>| inside(place) && !self.is_unlisted(search, place);
        let found = walked.found.iter().filter(inside_and_there).take(search.limit).cloned();
        let mut found: Vec<_> = found.collect();
        let listed = self.newly_listed(search).into_iter().filter(inside);
        found.extend(listed);
        found.sort();
        if search.reverse {
            found.reverse();
        }
        found.truncate(search.limit);
        let bound = if search.reverse { Some(low) } else { high };
        let goes_on = bound.filter(|bound| match search.reverse {
            false => **bound > search.from,
            true => until.is_none_or(|until| *bound < until),
        });
        let stopped = goes_on.filter(|_| walked.is_stopped && !is_all);
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

    /// What the batch has listed under all prefixes.
    fn newly_listed(&self, search: &Search) -> Vec<Vec<u8>> {
        let mut places = BTreeSet::new();
        for prefix in &search.prefixes {
            let entries = under(&self.listed, prefix);
            places.extend(entries.map(|entry| entry[prefix.len()..].to_vec()));
        }
        let has = |entries: &BTreeSet<Entry>, prefix: &[u8], place: &[u8]| {
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
            // Nothing between a caller and this store asks again by itself.
            return Ok(None);
        }
        let known = self.known.row(id);
        if known.is_none() {
            self.missing.borrow_mut().row(id);
        }
        Ok(known.cloned().flatten())
    }

    fn rows(&self, range: &Range, page: Page) -> Result<Vec<Arc<Row>>, Infallible> {
        if self.is_cleared || self.rows.keys().any(|id| range.holds(id)) {
            self.is_unclear.set(true);
            return Ok(Vec::new());
        }
        let search = of_range(range, page);
        let found = self.searched(&search, |missing| missing.page(&search, page));
        let ids = found.found.iter().filter_map(|place| search.id(place));
        let rows = ids.filter_map(|id| self.row(&id).transpose());
        page.read(rows, |row| size::bytes(row) as usize)
    }

    fn search(&self, search: &Search) -> Result<Searched, Infallible> {
        // Nothing stands behind the last number; it would pass for the present.
        let until = search.until.clone().filter(|until| until[..] != [u8::MAX; 8]);
        let search = Search { until, ..search.clone() };
        // However many of them the batch has taken away, enough are left.
        let taken = search.prefixes.iter().map(|prefix| under(&self.unlisted, prefix).count());
        let taken = taken.sum();
        Ok(self.searched(&search, |missing| missing.search(&search, taken)))
    }
}

/// The entries that begin so.
fn under<'e>(entries: &'e BTreeSet<Entry>, prefix: &'e [u8]) -> impl Iterator<Item = &'e Entry> {
    let from = entries.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
    from.take_while(move |entry| entry.starts_with(prefix))
}

/// Events that were fetched for one question about the history, in the order
/// that it asks for.
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
