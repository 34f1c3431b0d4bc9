//! Read sets: the rows and searches that are to be read, and what is known once
//! they were read. The first read set is a guess ([`Footprint`]). What turns out to
//! be missing while commands are decided or a question is answered is read next. A
//! range of rows is read by a search too, among ids instead of index entries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use redis::Value;

use super::error::RedisFault;
use super::fetch::{Fetch, Fetched, fixed, list, row, unexpected};
use super::layout::RedisKey;
use crate::machine::entry::end_of;
use crate::machine::footprint::{Footprint, footprint, of_question};
use crate::machine::index;
use crate::machine::page::{Page, Range};
use crate::machine::query::{PAGE_BYTES_MAX, PAGE_MAX};
use crate::machine::run_group::RunGroup;
use crate::machine::search::Search;
use crate::machine::{ClusterMs, Command, Envelope, Question, Row, RowId};

/// The maximum number of round trips for one question or batch. Walking up from a
/// run to its parents may take one for each, and runs are nested a hundred deep, or
/// a thousand if older versions made them. Everything else takes a few.
pub const ROUNDS_MAX: usize = 1_100;

/// How many bytes of rows come along with the results of a search. Many searches
/// need only the entries.
const SEARCH_ROWS_BYTES: usize = 1 << 20;

/// What is to be read.
#[derive(Clone, Debug, Default)]
pub struct ReadSet {
    rows: BTreeSet<RowId>,
    /// The searches, all with the limit zero, and how much each is to find.
    searches: BTreeMap<Search, Page>,
}

/// What was read, all of it from one state.
#[derive(Debug)]
pub struct ReadResult {
    /// The first fetch, without its answers.
    pub state: Fetched,
    /// About how many bytes the rows take.
    pub bytes: usize,
    rows: BTreeMap<RowId, Option<Arc<Row>>>,
    /// By prefixes and direction.
    searches: BTreeMap<(Vec<Vec<u8>>, bool), Vec<SearchedRange>>,
}

/// What a search found: everything from one rank and id up to another, or to the
/// end, in the order of the search.
#[derive(Debug)]
pub struct SearchedRange {
    pub low: Vec<u8>,
    pub high: Option<Vec<u8>>,
    pub found: Vec<Vec<u8>>,
    /// It ended early because it had looked at too many entries.
    pub is_stopped: bool,
}

impl ReadSet {
    /// What the commands of a batch read first. A command may remove a row that
    /// another one would find, so each claim reads one more row for every other
    /// run that may be claimed.
    pub fn of_batch(envelopes: &[Envelope]) -> ReadSet {
        let mut needs = ReadSet::default();
        envelopes.iter().for_each(|envelope| needs.add(footprint(envelope)));
        let claims = |envelope: &Envelope| match &envelope.command {
            Command::ClaimNext(claim) => claim.most() as usize,
            _ => 0,
        };
        let others = envelopes.iter().map(claims).sum::<usize>().saturating_sub(1);
        needs.searches.values_mut().for_each(|page| page.rows += others);
        let remembered = envelopes.iter().filter(|envelope| envelope.idempotency.is_some()).count();
        if remembered > 0 {
            // Each new request may evict the oldest remembered one.
            needs.search(&index::remembered(remembered + 1), 0);
        }
        needs
    }

    /// What a question as of `now` reads first.
    pub fn of_question(question: &Question, now: ClusterMs) -> ReadSet {
        let mut needs = ReadSet::default();
        needs.add(of_question(question, now));
        needs
    }

    pub fn row(&mut self, id: &RowId) {
        self.rows.insert(id.clone());
    }

    /// Adds a search that is to find `more` than its own limit.
    pub fn search(&mut self, search: &Search, more: usize) {
        self.page(search, Page { rows: search.limit + more, bytes: SEARCH_ROWS_BYTES });
    }

    /// Adds a search, of which at most `page` is to be read.
    pub fn page(&mut self, search: &Search, page: Page) {
        let key = Search { limit: 0, ..search.clone() };
        let largest = self.searches.entry(key).or_insert(page);
        let (rows, bytes) = (largest.rows.max(page.rows), largest.bytes.max(page.bytes));
        *largest = Page { rows, bytes };
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.searches.is_empty()
    }

    /// Adds everything that another read set has.
    pub fn extend(&mut self, others: &ReadSet) {
        self.rows.extend(others.rows.iter().cloned());
        others.searches.iter().for_each(|(search, page)| self.page(search, *page));
    }

    /// The requests, in the order in which [`ReadResult::add`] reads the answers.
    pub fn fetch(&self) -> Fetch {
        let mut fetch = Fetch::default();
        for (key, ids) in self.rows_by_key() {
            fetch.rows(key, &ids);
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

    fn rows_by_key(&self) -> impl Iterator<Item = (RedisKey, Vec<&RowId>)> {
        let mut keys: BTreeMap<RedisKey, Vec<&RowId>> = BTreeMap::new();
        for id in &self.rows {
            keys.entry(RedisKey::of_row(id)).or_default().push(id);
        }
        keys.into_iter()
    }
}

impl ReadResult {
    /// What the first fetch for `needs` found.
    pub fn new(needs: &ReadSet, mut state: Fetched) -> Result<ReadResult, RedisFault> {
        let found = std::mem::take(&mut state.found);
        let (rows, searches) = (BTreeMap::new(), BTreeMap::new());
        let mut known = ReadResult { state, bytes: 0, rows, searches };
        known.note(needs, found)?;
        Ok(known)
    }

    /// Adds what a further fetch for `needs` found. Returns false, and adds nothing,
    /// if the state has changed since the first fetch.
    pub fn add(&mut self, needs: &ReadSet, more: Fetched) -> Result<bool, RedisFault> {
        let is_same =
            (more.version, &more.last_commit) == (self.state.version, &self.state.last_commit);
        if is_same {
            self.note(needs, more.found)?;
        }
        Ok(is_same)
    }

    /// The row with this id. The outer `None` means that the row was not read, and the
    /// inner one that there is no such row.
    pub fn row(&self, id: &RowId) -> Option<&Option<Arc<Row>>> {
        self.rows.get(id)
    }

    /// What searches with the same prefixes and direction found.
    pub fn searches(&self, search: &Search) -> &[SearchedRange] {
        let key = (search.prefixes.clone(), search.reverse);
        self.searches.get(&key).map_or(&[], Vec::as_slice)
    }

    fn note(&mut self, needs: &ReadSet, found: Vec<Value>) -> Result<(), RedisFault> {
        let mut found = found.into_iter();
        let mut next = || found.next().ok_or_else(|| unexpected("an answer is missing"));
        for (_, ids) in needs.rows_by_key() {
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
                let why = format!("{:?} is stored under the id {id:?}", row.id());
                return Err(unexpected(why));
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
        let found: Vec<Vec<u8>> = redis::from_redis_value(found).map_err(unexpected)?;
        let stopped: Option<Vec<u8>> = redis::from_redis_value(stopped).map_err(unexpected)?;
        for (entry, value) in found.iter().zip(list(rows)?) {
            let id = search.id(entry);
            let id = id.ok_or_else(|| unexpected(format!("{entry:?} names no row")))?;
            if self.note_row(id, value)?.is_none() {
                return Err(unexpected("there is no row for a name or an index entry"));
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
        let key = (search.prefixes.clone(), search.reverse);
        let range = SearchedRange { low, high, found, is_stopped };
        self.searches.entry(key).or_default().push(range);
        Ok(())
    }
}

/// The search for the ids of a range, among the ids of all rows.
pub fn of_range(range: &Range, page: Page) -> Search {
    let start = range.start().to_bytes();
    let beginning = match range {
        Range::Keys(scan) => RowId::Key(scan.prefix.clone()).to_bytes(),
        Range::Leases(scan) => RowId::Lease(scan.prefix.clone()).to_bytes(),
        Range::Sessions(scan) => RowId::Session(scan.prefix.clone()).to_bytes(),
        Range::RunNames(scan) => RowId::Group(RunGroup::Name(scan.prefix.clone())).to_bytes(),
        Range::Schedules(scan) => RowId::Schedule(scan.prefix.clone()).to_bytes(),
        Range::Pauses(scan) => RowId::Pause(scan.prefix.clone()).to_bytes(),
        Range::Steps(..) => start[..start.len() - STEP_BYTES].to_vec(),
    };
    let is_behind = range.begins_after(&range.start());
    let from = if is_behind { successor(&start) } else { start };
    let (prefixes, until) = (vec![Vec::new()], Some(end_of(&beginning)));
    Search { prefixes, rank_bytes: 0, from, until, reverse: false, limit: page.rows }
}

/// The size of the number with which a step's id ends.
const STEP_BYTES: usize = 8;

/// The bytes that follow exactly these in byte order.
fn successor(bytes: &[u8]) -> Vec<u8> {
    [bytes, &[0]].concat()
}
