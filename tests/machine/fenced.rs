//! A view that lets a decision see only the footprint that its command
//! declared, and writes down every look and every change outside of it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::convert::Infallible;

use mcp_state_sidecar::machine::footprint::Lookup;
use mcp_state_sidecar::machine::row::*;
use mcp_state_sidecar::machine::view::*;
use mcp_state_sidecar::machine::*;
use mcp_state_sidecar::store::tables::Tables;

pub struct Fenced<'a> {
    tables: &'a Tables,
    /// Grows by the rows that declared look-ups return.
    allowed: RefCell<Footprint>,
    requests: RefCell<BTreeSet<Text>>,
    origins: RefCell<BTreeSet<u64>>,
    outside: RefCell<Vec<String>>,
}

impl<'a> Fenced<'a> {
    pub fn new(tables: &'a Tables, footprint: Footprint) -> Self {
        Fenced {
            tables,
            requests: RefCell::new(footprint.request.iter().cloned().collect()),
            origins: RefCell::new(footprint.origin.iter().map(|(session, _)| *session).collect()),
            allowed: RefCell::new(footprint),
            outside: RefCell::default(),
        }
    }

    /// What was looked at or, by `decision`, changed outside the footprint.
    pub fn trespasses(self, decision: &Decision) -> Vec<String> {
        for change in &decision.changes {
            self.check_change(change);
        }
        self.outside.into_inner()
    }

    fn check(&self, inside: bool, what: impl FnOnce() -> String) {
        if !inside {
            self.outside.borrow_mut().push(what());
        }
    }

    fn check_change(&self, change: &Change) {
        let allowed = self.allowed.borrow();
        let inside = match change {
            Change::PutKey(key, _) | Change::DropKey(key) => allowed.keys.contains(key),
            Change::PutLease(id, _) | Change::DropLease(id) => allowed.leases.contains(id),
            Change::PutRun(row) => allowed.runs.contains(&row.run_id),
            Change::PutStep(run_id, step, _) => allowed.steps.contains(&(run_id.clone(), *step)),
            Change::PutSession(id, _) | Change::DropSession(id) => allowed.sessions.contains(id),
            Change::PutRequest(key, _) => allowed.request.as_ref() == Some(key),
            Change::DropRequest(key) => self.requests.borrow().contains(key),
            Change::PutOrigin(session, _) | Change::DropAnswersBelow(session, _) => {
                allowed.origin.is_some_and(|(of, _)| of == *session)
            }
            Change::DropOrigin(session) => self.origins.borrow().contains(session),
            Change::PutAnswer(session, sequence, _) => {
                allowed.origin == Some((*session, *sequence))
            }
            Change::Clear => allowed.lookup == Some(Lookup::Everything),
        };
        self.check(inside, || format!("changed {change:?}"));
    }
}

impl View for Fenced<'_> {
    type Error = Infallible;

    fn meta(&self) -> Result<Meta, Infallible> {
        View::meta(self.tables)
    }

    fn key(&self, key: &str) -> Result<Option<KeyRow>, Infallible> {
        self.check(self.allowed.borrow().keys.contains(key), || format!("read key '{key}'"));
        self.tables.key(key)
    }

    fn lease(&self, id: &str) -> Result<Option<LeaseRow>, Infallible> {
        self.check(self.allowed.borrow().leases.contains(id), || format!("read lease '{id}'"));
        self.tables.lease(id)
    }

    fn run(&self, id: &str) -> Result<Option<RunRow>, Infallible> {
        self.check(self.allowed.borrow().runs.contains(id), || format!("read run '{id}'"));
        self.tables.run(id)
    }

    fn session(&self, id: &str) -> Result<Option<SessionRow>, Infallible> {
        self.check(self.allowed.borrow().sessions.contains(id), || format!("read session '{id}'"));
        self.tables.session(id)
    }

    fn request(&self, key: &str) -> Result<Option<RequestRow>, Infallible> {
        self.check(self.allowed.borrow().request.as_deref() == Some(key), || {
            format!("read request '{key}'")
        });
        self.tables.request(key)
    }

    fn origin(&self, session: u64) -> Result<Option<OriginRow>, Infallible> {
        let declared = self.allowed.borrow().origin.is_some_and(|(of, _)| of == session);
        self.check(declared, || format!("read origin {session}"));
        self.tables.origin(session)
    }

    fn answer(&self, session: u64, sequence: u64) -> Result<Option<Reply>, Infallible> {
        self.check(self.allowed.borrow().origin == Some((session, sequence)), || {
            format!("read answer {sequence} of {session}")
        });
        self.tables.answer(session, sequence)
    }

    fn step(&self, run_id: &str, step: u64) -> Result<Option<StepRow>, Infallible> {
        let declared = self.allowed.borrow().steps.contains(&(run_id.into(), step));
        self.check(declared, || format!("read step {step} of '{run_id}'"));
        self.tables.step(run_id, step)
    }

    fn steps(&self, run_id: &str) -> Result<Vec<(u64, StepRow)>, Infallible> {
        self.check(false, || format!("read all steps of '{run_id}'"));
        self.tables.steps(run_id)
    }

    fn children(&self, run_id: &str) -> Result<Vec<Text>, Infallible> {
        let children = self.tables.children(run_id)?;
        let mut allowed = self.allowed.borrow_mut();
        // Below the declared run, at any depth: one level at a time.
        let below =
            matches!(allowed.lookup, Some(Lookup::Descendants(_))) && allowed.runs.contains(run_id);
        self.check(below, || format!("read children of '{run_id}'"));
        allowed.runs.extend(children.iter().cloned());
        Ok(children)
    }

    fn candidate(&self, filter: &ClaimFilter, now: ClusterMs) -> Result<Candidate, Infallible> {
        let candidate = self.tables.candidate(filter, now)?;
        let mut allowed = self.allowed.borrow_mut();
        let declared = allowed.lookup == Some(Lookup::Candidate(filter.clone()));
        self.check(declared, || format!("looked for a candidate by {filter:?}"));
        if let Candidate::Ready(run) = &candidate {
            allowed.runs.insert(run.run_id.clone());
        }
        Ok(candidate)
    }

    fn keys(
        &self,
        scan: &Scan,
        now: ClusterMs,
        limit: usize,
    ) -> Result<Vec<(Text, KeyRow)>, Infallible> {
        self.check(false, || "listed keys".into());
        self.tables.keys(scan, now, limit)
    }

    fn leases(
        &self,
        scan: &Scan,
        now: ClusterMs,
        limit: usize,
    ) -> Result<Vec<(Text, LeaseRow)>, Infallible> {
        self.check(false, || "listed leases".into());
        self.tables.leases(scan, now, limit)
    }

    fn sessions(&self, scan: &Scan, limit: usize) -> Result<Vec<(Text, SessionRow)>, Infallible> {
        self.check(false, || "listed sessions".into());
        self.tables.sessions(scan, limit)
    }

    fn runs(
        &self,
        filter: &RunFilter,
        before: Option<Revision>,
        now: ClusterMs,
        limit: usize,
    ) -> Result<Vec<RunRow>, Infallible> {
        self.check(false, || "listed runs".into());
        self.tables.runs(filter, before, now, limit)
    }

    fn due(&self, now: ClusterMs, limit: usize) -> Result<Vec<Due>, Infallible> {
        let due = self.tables.due(now, limit)?;
        let mut allowed = self.allowed.borrow_mut();
        let declared = matches!(allowed.lookup, Some(Lookup::Due(most)) if limit <= most);
        self.check(declared, || format!("looked for {limit} due rows"));
        for row in &due {
            match row {
                Due::Key(key) => drop(allowed.keys.insert(key.clone())),
                Due::Lease(id) => drop(allowed.leases.insert(id.clone())),
                Due::Request(key) => drop(self.requests.borrow_mut().insert(key.clone())),
                Due::Origin(session) => drop(self.origins.borrow_mut().insert(*session)),
            }
        }
        Ok(due)
    }

    fn next_deadline(&self, after: ClusterMs) -> Result<Option<ClusterMs>, Infallible> {
        self.check(false, || "looked for a deadline".into());
        self.tables.next_deadline(after)
    }

    fn oldest_request(&self) -> Result<(u64, Option<Text>), Infallible> {
        let declared = self.allowed.borrow().request.is_some();
        self.check(declared, || "looked for the oldest request".into());
        let (count, oldest) = self.tables.oldest_request()?;
        self.requests.borrow_mut().extend(oldest.clone());
        Ok((count, oldest))
    }

    fn counts(&self, now: ClusterMs) -> Result<Counts, Infallible> {
        let declared = self.allowed.borrow().lookup == Some(Lookup::Everything);
        self.check(declared, || "counted everything".into());
        self.tables.counts(now)
    }
}
