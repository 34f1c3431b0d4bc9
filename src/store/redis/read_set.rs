//! ReadSet: rows and searches that are to be read, and what is known once they
//! were. At first they are a guess ([`Footprint`]); what turns out to be missing
//! while commands are decided and questions answered is read next. Rows whose ids
//! stand together are searched for, too, among ids instead of entries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use redis::Value;

use super::error::RedisFault;
use super::fetch::{Fetch, Fetched, fixed, list, row, strange};
use super::layout::KeyPlace;
use crate::machine::footprint::{Footprint, footprint, of_question};
use crate::machine::index::{self, Search, end_of};
use crate::machine::query::{PAGE_BYTES_MAX, PAGE_MAX};
use crate::machine::view::{Page, Range};
use crate::machine::{ClusterMs, Command, Envelope, Question, Row, RowId};

/// What is to be read.
#[derive(Clone, Debug, Default)]
pub struct ReadSet {
    rows: BTreeSet<RowId>,
    /// How much each is to find. Its own limit is zero.
    searches: BTreeMap<Search, Page>,
}

/// Bytes of rows that go along with what is found. Many searches are for the
/// entries alone.
const ALONG_BYTES: usize = 1 << 20;

/// What was read, all of one state, beginning with its position.
#[derive(Debug)]
pub struct ReadResult {
    pub state: Fetched,
    /// About how many bytes the rows take.
    pub bytes: usize,
    rows: BTreeMap<RowId, Option<Arc<Row>>>,
    /// By prefixes, and whether they go backwards.
    searches: BTreeMap<(Vec<Vec<u8>>, bool), Vec<Walked>>,
}

/// What a search found: all that there is from one rank and id up to another, or
/// to the end, in the order of the walk.
#[derive(Debug)]
pub struct Walked {
    pub low: Vec<u8>,
    pub high: Option<Vec<u8>>,
    pub found: Vec<Vec<u8>>,
    /// It ended because it had looked at too much.
    pub is_stopped: bool,
}

impl ReadSet {
    /// What the commands of a batch look at first. Each may take away what
    /// another one looks for.
    pub fn of_batch(envelopes: &[Envelope]) -> ReadSet {
        let mut needs = ReadSet::default();
        envelopes.iter().for_each(|envelope| needs.add(footprint(envelope)));
        let claims = |envelope: &&Envelope| matches!(envelope.command, Command::ClaimNext(_));
        let others = envelopes.iter().filter(claims).count().saturating_sub(1);
        needs.searches.values_mut().for_each(|page| page.rows += others);
        let remembered = envelopes.iter().filter(|envelope| envelope.idempotency.is_some()).count();
        if remembered > 0 {
            // Each new one may make the oldest go, and then the next.
            needs.search(&index::remembered(remembered + 1), 0);
        }
        needs
    }

    /// What a question looks at first; its present is `now`.
    pub fn of_question(question: &Question, now: ClusterMs) -> ReadSet {
        let mut needs = ReadSet::default();
        needs.add(of_question(question, now));
        needs
    }

    pub fn row(&mut self, id: &RowId) {
        self.rows.insert(id.clone());
    }

    /// A search that is to find so many more than its limit.
    pub fn search(&mut self, search: &Search, more: usize) {
        self.page(search, Page { rows: search.limit + more, bytes: ALONG_BYTES });
    }

    /// A search, and how many rows and bytes of them are to be read.
    pub fn page(&mut self, search: &Search, page: Page) {
        let key = Search { limit: 0, ..search.clone() };
        let most = self.searches.entry(key).or_insert(page);
        let (rows, bytes) = (most.rows.max(page.rows), most.bytes.max(page.bytes));
        *most = Page { rows, bytes };
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.searches.is_empty()
    }

    /// These and others.
    pub fn extend(&mut self, others: &ReadSet) {
        self.rows.extend(others.rows.iter().cloned());
        others.searches.iter().for_each(|(search, page)| self.page(search, *page));
    }

    /// The requests for them, in the order in which [`ReadResult::add`] reads.
    pub fn fetch(&self) -> Fetch {
        let mut fetch = Fetch::default();
        for (place, ids) in self.rows_by_place() {
            fetch.rows(place, &ids);
        }
        for (search, page) in &self.searches {
            fetch.search(search, *page);
        }
        fetch
    }

    fn add(&mut self, footprint: Footprint) {
        self.rows.extend(footprint.rows);
        for (range, page) in &footprint.ranges {
            let (rows, bytes) = (page.rows.min(PAGE_MAX + 1), page.bytes.min(PAGE_BYTES_MAX));
            let page = Page { rows, bytes };
            self.page(&of_range(range, page), page);
        }
        footprint.searches.iter().for_each(|search| self.search(search, 0));
    }

    fn rows_by_place(&self) -> impl Iterator<Item = (KeyPlace, Vec<&RowId>)> {
        let (kept, others) =
            self.rows.iter().partition(|id| KeyPlace::of_row(id) == KeyPlace::Kept);
        let places = [(KeyPlace::Row, others), (KeyPlace::Kept, kept)];
        places.into_iter().filter(|(_, ids): &(KeyPlace, Vec<&RowId>)| !ids.is_empty())
    }
}

impl ReadResult {
    /// What was read first, for these needs.
    pub fn new(needs: &ReadSet, mut state: Fetched) -> Result<ReadResult, RedisFault> {
        let found = std::mem::take(&mut state.found);
        let (rows, searches) = (BTreeMap::new(), BTreeMap::new());
        let mut known = ReadResult { state, bytes: 0, rows, searches };
        known.note(needs, found)?;
        Ok(known)
    }

    /// Adds what was read next, of the same state; says whether it was.
    pub fn add(&mut self, needs: &ReadSet, more: Fetched) -> Result<bool, RedisFault> {
        let is_same = (more.version, &more.last) == (self.state.version, &self.state.last);
        if is_same {
            self.note(needs, more.found)?;
        }
        Ok(is_same)
    }

    /// The row with this id, where it is known whether there is one.
    pub fn row(&self, id: &RowId) -> Option<&Option<Arc<Row>>> {
        self.rows.get(id)
    }

    /// What is known of searches that walk the same way.
    pub fn searches(&self, search: &Search) -> &[Walked] {
        let way = (search.prefixes.clone(), search.reverse);
        self.searches.get(&way).map_or(&[], Vec::as_slice)
    }

    fn note(&mut self, needs: &ReadSet, found: Vec<Value>) -> Result<(), RedisFault> {
        let mut found = found.into_iter();
        let mut next = || found.next().ok_or_else(|| strange("an answer is missing"));
        for (_, ids) in needs.rows_by_place() {
            let values = list(next()?)?;
            for (id, value) in ids.into_iter().zip(values) {
                self.note_row(id.clone(), value)?;
            }
        }
        for (search, page) in &needs.searches {
            self.note_search(search, page.rows, next()?)?;
        }
        Ok(())
    }

    fn note_row(&mut self, id: RowId, value: Value) -> Result<Option<Arc<Row>>, RedisFault> {
        let row = match row(value)? {
            Some((row, _)) if row.id() != id => {
                return Err(strange(format!("{:?} lies where {id:?} belongs", row.id())));
            }
            Some((row, bytes)) => {
                self.bytes += bytes;
                Some(Arc::new(row))
            }
            None => None,
        };
        self.rows.insert(id, row.clone());
        Ok(row)
    }

    fn note_search(
        &mut self,
        search: &Search,
        limit: usize,
        value: Value,
    ) -> Result<(), RedisFault> {
        let [found, stopped, rows] = fixed(value)?;
        let found: Vec<Vec<u8>> = redis::from_redis_value(found).map_err(strange)?;
        let stopped: Option<Vec<u8>> = redis::from_redis_value(stopped).map_err(strange)?;
        for (place, value) in found.iter().zip(list(rows)?) {
            let id = search.id(place).ok_or_else(|| strange(format!("{place:?} names no row")))?;
            if self.note_row(id, value)?.is_none() {
                return Err(strange("a name or an entry without its row"));
            }
        }
        let (mut low, mut high) = self.state.bounds(search);
        let is_stopped = stopped.is_some();
        let last = found.last().filter(|_| found.len() == limit);
        match (search.reverse, stopped, last) {
            (false, Some(stopped), _) => high = Some(stopped),
            (true, Some(stopped), _) => low = stopped,
            (false, None, Some(last)) => high = Some(successor(last)),
            (true, None, Some(last)) => low = last.clone(),
            (_, None, None) => {}
        }
        let way = (search.prefixes.clone(), search.reverse);
        let walked = Walked { low, high, found, is_stopped };
        self.searches.entry(way).or_default().push(walked);
        Ok(())
    }
}

/// The search for the ids of a range: a walk among all ids.
pub fn of_range(range: &Range, page: Page) -> Search {
    let start = range.start().to_bytes();
    let beginning = match range {
        Range::Keys(scan) => RowId::Key(scan.prefix.clone()).to_bytes(),
        Range::Leases(scan) => RowId::Lease(scan.prefix.clone()).to_bytes(),
        Range::Sessions(scan) => RowId::Session(scan.prefix.clone()).to_bytes(),
        Range::Steps(..) => start[..start.len() - STEP_BYTES].to_vec(),
    };
    let is_behind = range.begins_behind(&range.start());
    let from = if is_behind { successor(&start) } else { start };
    let (prefixes, until) = (vec![Vec::new()], Some(end_of(&beginning)));
    Search { prefixes, rank_bytes: 0, from, until, reverse: false, limit: page.rows }
}

/// The number that a step's id ends with.
const STEP_BYTES: usize = 8;

/// The first bytes behind exactly these.
fn successor(bytes: &[u8]) -> Vec<u8> {
    [bytes, &[0]].concat()
}
