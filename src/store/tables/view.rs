//! How the rules see tables. Nothing here can fail.

use std::convert::Infallible;
use std::ops::Bound;

use imbl::OrdMap;

use super::{Deadlines, Tables};
use crate::machine::row::{
    KeyRow, LeaseRow, Meta, OriginRow, RequestRow, RunRow, SessionRow, StepRow,
};
use crate::machine::view::{Candidate, ClaimFilter, Counts, Due, RunFilter, Scan};
use crate::machine::{ClusterMs, Reply, Revision, Text, View};

impl View for Tables {
    type Error = Infallible;

    fn meta(&self) -> Result<Meta, Infallible> {
        Ok(self.meta.clone())
    }

    fn key(&self, key: &str) -> Result<Option<KeyRow>, Infallible> {
        Ok(self.keys.get(key).cloned())
    }

    fn lease(&self, resource_id: &str) -> Result<Option<LeaseRow>, Infallible> {
        Ok(self.leases.get(resource_id).cloned())
    }

    fn run(&self, run_id: &str) -> Result<Option<RunRow>, Infallible> {
        Ok(self.runs.get(run_id).cloned())
    }

    fn session(&self, session_id: &str) -> Result<Option<SessionRow>, Infallible> {
        Ok(self.sessions.get(session_id).cloned())
    }

    fn request(&self, key: &str) -> Result<Option<RequestRow>, Infallible> {
        Ok(self.requests.get(key).map(|row| RequestRow::clone(row)))
    }

    fn origin(&self, session: u64) -> Result<Option<OriginRow>, Infallible> {
        Ok(self.origins.get(&session).cloned())
    }

    fn answer(&self, session: u64, sequence: u64) -> Result<Option<Reply>, Infallible> {
        Ok(self.answers.get(&(session, sequence)).map(|reply| Reply::clone(reply)))
    }

    fn step(&self, run_id: &str, step: u64) -> Result<Option<StepRow>, Infallible> {
        Ok(self.steps.get(run_id).and_then(|steps| steps.get(&step)).cloned())
    }

    fn steps(&self, run_id: &str) -> Result<Vec<(u64, StepRow)>, Infallible> {
        let steps = self.steps.get(run_id).into_iter().flatten();
        Ok(steps.map(|(step, row)| (*step, row.clone())).collect())
    }

    fn children(&self, run_id: &str) -> Result<Vec<Text>, Infallible> {
        Ok(self.runs.children(run_id))
    }

    fn candidate(&self, filter: &ClaimFilter, now: ClusterMs) -> Result<Candidate, Infallible> {
        Ok(self.runs.candidate(filter, now))
    }

    fn keys(
        &self,
        scan: &Scan,
        now: ClusterMs,
        limit: usize,
    ) -> Result<Vec<(Text, KeyRow)>, Infallible> {
        Ok(scan_rows(&self.keys, scan, |row| row.lives_at(now), limit))
    }

    fn leases(
        &self,
        scan: &Scan,
        now: ClusterMs,
        limit: usize,
    ) -> Result<Vec<(Text, LeaseRow)>, Infallible> {
        Ok(scan_rows(&self.leases, scan, |row| row.lives_at(now), limit))
    }

    fn sessions(&self, scan: &Scan, limit: usize) -> Result<Vec<(Text, SessionRow)>, Infallible> {
        Ok(scan_rows(&self.sessions, scan, |_| true, limit))
    }

    fn runs(
        &self,
        filter: &RunFilter,
        before: Option<Revision>,
        now: ClusterMs,
        limit: usize,
    ) -> Result<Vec<RunRow>, Infallible> {
        Ok(self.runs.list(filter, before, now, limit))
    }

    fn due(&self, now: ClusterMs, limit: usize) -> Result<Vec<Due>, Infallible> {
        // The first `limit` of each kind surely hold the first of all.
        let mut due: Vec<(ClusterMs, Due)> = Vec::new();
        due.extend(passed(&self.key_deadlines, now, limit, Due::Key));
        due.extend(passed(&self.lease_deadlines, now, limit, Due::Lease));
        due.extend(passed(&self.request_deadlines, now, limit, Due::Request));
        due.extend(passed(&self.origin_deadlines, now, limit, Due::Origin));
        due.sort();
        Ok(due.into_iter().take(limit).map(|(_, row)| row).collect())
    }

    fn next_deadline(&self, after: ClusterMs) -> Result<Option<ClusterMs>, Infallible> {
        let key = next(&self.key_deadlines, after);
        let lease = next(&self.lease_deadlines, after);
        let run = self.runs.next_deadline(after);
        Ok([key, lease, run].into_iter().flatten().min())
    }

    fn oldest_request(&self) -> Result<(u64, Option<Text>), Infallible> {
        let oldest = self.request_deadlines.get_min().map(|(_, key)| key.clone());
        Ok((self.requests.len() as u64, oldest))
    }

    fn counts(&self, now: ClusterMs) -> Result<Counts, Infallible> {
        let live = |rows: usize, deadlines: &Deadlines<Text>| {
            (rows - deadlines.iter().take_while(|(at, _)| *at <= now).count()) as u64
        };
        Ok(Counts {
            keys: live(self.keys.len(), &self.key_deadlines),
            runs: self.runs.len(),
            steps: self.steps_count,
            leases: live(self.leases.len(), &self.lease_deadlines),
            sessions: self.sessions.len() as u64,
        })
    }
}

fn scan_rows<R: Clone>(
    rows: &OrdMap<Text, R>,
    scan: &Scan,
    admits: impl Fn(&R) -> bool,
    limit: usize,
) -> Vec<(Text, R)> {
    let prefix = &*scan.prefix;
    let start = match scan.after.as_deref() {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let range = rows.range::<_, str>((start, Bound::Unbounded));
    range
        .take_while(|(name, _)| name.starts_with(prefix))
        .filter(|(_, row)| admits(row))
        .take(limit)
        .map(|(name, row)| (name.clone(), row.clone()))
        .collect()
}

fn passed<Name: Ord + Clone>(
    deadlines: &Deadlines<Name>,
    now: ClusterMs,
    limit: usize,
    due: impl Fn(Name) -> Due,
) -> impl Iterator<Item = (ClusterMs, Due)> {
    let passed = deadlines.iter().take_while(move |(at, _)| *at <= now).take(limit);
    passed.map(move |(at, name)| (*at, due(name.clone())))
}

fn next(deadlines: &Deadlines<Text>, after: ClusterMs) -> Option<ClusterMs> {
    let start = (after.plus(1), Text::default());
    // The last representable time has no successor, hence the filter.
    deadlines.range(start..).map(|(at, _)| *at).find(|at| *at > after)
}
