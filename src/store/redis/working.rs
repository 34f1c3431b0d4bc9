//! The working set: the part of the state that was fetched, as the rules see
//! it. A batch is decided over it command by command, each over what those
//! before it changed, before anything is written.
//!
//! Invariant: a working set holds every row that the commands or questions it
//! was fetched for may look at, and those look at no other; what is told of
//! the rest (how much there is) comes along as numbers.

use std::convert::Infallible;

use crate::codec::StateRecord;
use crate::machine::row::{
    KeyRow, LeaseRow, Meta, OriginRow, RequestRow, RunRow, SessionRow, StepRow,
};
use crate::machine::view::{
    Candidate, ChangeFilter, ClaimFilter, Counts, Due, HistoryFilter, HistoryView, RunFilter, Scan,
};
use crate::machine::{ClusterMs, Decision, Event, Reply, Revision, Text, View};
use crate::store::row_record;
use crate::store::tables::Tables;

/// Some rows of a state.
#[derive(Clone, Debug)]
pub struct Working {
    tables: Tables,
    /// Remembered requests that were not fetched.
    other_requests: u64,
    counts: Option<Counts>,
}

impl Working {
    /// The rows fetched from a state at `meta`, which remembers `requests`
    /// requests in all.
    pub fn new(
        meta: Meta,
        rows: impl IntoIterator<Item = StateRecord>,
        requests: u64,
        counts: Option<Counts>,
    ) -> Working {
        let tables = Tables::restore(meta, rows.into_iter().filter_map(row_record::row));
        let Ok((fetched, _)) = tables.oldest_request();
        Working { tables, other_requests: requests.saturating_sub(fetched), counts }
    }

    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// How many steps there are, where everything was counted.
    pub fn counted_steps(&self) -> u64 {
        self.counts.map_or(0, |counts| counts.steps)
    }

    /// Commits a decision that was made over this working set.
    pub fn apply(&mut self, decision: &Decision) {
        self.tables.apply(decision);
    }
}

impl View for Working {
    type Error = Infallible;

    fn meta(&self) -> Result<Meta, Infallible> {
        Ok(self.tables.meta().clone())
    }

    fn key(&self, key: &str) -> Result<Option<KeyRow>, Infallible> {
        self.tables.key(key)
    }

    fn lease(&self, resource_id: &str) -> Result<Option<LeaseRow>, Infallible> {
        self.tables.lease(resource_id)
    }

    fn run(&self, run_id: &str) -> Result<Option<RunRow>, Infallible> {
        self.tables.run(run_id)
    }

    fn session(&self, session_id: &str) -> Result<Option<SessionRow>, Infallible> {
        self.tables.session(session_id)
    }

    fn request(&self, key: &str) -> Result<Option<RequestRow>, Infallible> {
        self.tables.request(key)
    }

    /// None: nothing between a caller and this store asks again by itself.
    fn origin(&self, _session: u64) -> Result<Option<OriginRow>, Infallible> {
        Ok(None)
    }

    /// See [`View::origin`] of this type.
    fn answer(&self, _session: u64, _sequence: u64) -> Result<Option<Reply>, Infallible> {
        Ok(None)
    }

    fn step(&self, run_id: &str, step: u64) -> Result<Option<StepRow>, Infallible> {
        self.tables.step(run_id, step)
    }

    fn steps(&self, run_id: &str) -> Result<Vec<(u64, StepRow)>, Infallible> {
        self.tables.steps(run_id)
    }

    fn children(&self, run_id: &str) -> Result<Vec<Text>, Infallible> {
        self.tables.children(run_id)
    }

    fn candidate(&self, filter: &ClaimFilter, now: ClusterMs) -> Result<Candidate, Infallible> {
        self.tables.candidate(filter, now)
    }

    fn keys(
        &self,
        scan: &Scan,
        now: ClusterMs,
        limit: usize,
    ) -> Result<Vec<(Text, KeyRow)>, Infallible> {
        self.tables.keys(scan, now, limit)
    }

    fn leases(
        &self,
        scan: &Scan,
        now: ClusterMs,
        limit: usize,
    ) -> Result<Vec<(Text, LeaseRow)>, Infallible> {
        self.tables.leases(scan, now, limit)
    }

    fn sessions(&self, scan: &Scan, limit: usize) -> Result<Vec<(Text, SessionRow)>, Infallible> {
        self.tables.sessions(scan, limit)
    }

    fn runs(
        &self,
        filter: &RunFilter,
        before: Option<Revision>,
        now: ClusterMs,
        limit: usize,
    ) -> Result<Vec<RunRow>, Infallible> {
        self.tables.runs(filter, before, now, limit)
    }

    fn due(&self, now: ClusterMs, limit: usize) -> Result<Vec<Due>, Infallible> {
        self.tables.due(now, limit)
    }

    fn next_deadline(&self, after: ClusterMs) -> Result<Option<ClusterMs>, Infallible> {
        self.tables.next_deadline(after)
    }

    fn oldest_request(&self) -> Result<(u64, Option<Text>), Infallible> {
        let (fetched, oldest) = self.tables.oldest_request()?;
        Ok((self.other_requests + fetched, oldest))
    }

    fn counts(&self, now: ClusterMs) -> Result<Counts, Infallible> {
        self.counts.map_or_else(|| self.tables.counts(now), Ok)
    }
}

/// Events that were fetched for one question about the history, in the order
/// that it asks for.
pub struct FetchedEvents(pub Vec<Event>);

impl HistoryView for FetchedEvents {
    type Error = Infallible;

    fn newest(
        &self,
        filter: &HistoryFilter,
        _before: Option<Revision>,
        limit: usize,
    ) -> Result<Vec<Event>, Infallible> {
        Ok(self.0.iter().filter(|event| filter.admits(event)).take(limit).cloned().collect())
    }

    fn since(
        &self,
        filter: &ChangeFilter,
        _after: Revision,
        limit: usize,
    ) -> Result<Vec<Event>, Infallible> {
        Ok(self.0.iter().filter(|event| filter.admits(event)).take(limit).cloned().collect())
    }
}
