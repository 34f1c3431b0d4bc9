//! The tables as the rules see them; what takes more than a look-up to find
//! among the runs is in `runs`, the history in `history`. One value of [`Tables`] lives as long as
//! one transaction, so all that it tells is of one state.

use rusqlite::{Connection, OptionalExtension, Params, Result, Row, params, params_from_iter};

use super::range::Range;
use super::rows::{self, Position, bound};
use crate::machine::row::{
    KeyRow, LeaseRow, Meta, OriginRow, REMEMBERED_MS, RequestRow, RunRow, SessionRow, StepRow,
};
use crate::machine::view::{Candidate, ClaimFilter, Counts, Due, RunFilter, Scan, View};
use crate::machine::{ClusterMs, Reply, Revision, Text};

/// Asked at each linearizable question, so each part names the index whose
/// first entry it is: the planner would rather look through a status.
pub(super) const NEXT_DEADLINE: &str = "SELECT MIN(at) FROM ( \
     SELECT MIN(expires_at_ms) AS at FROM kv INDEXED BY kv_by_expiry \
         WHERE expires_at_ms > ?1 \
     UNION ALL SELECT MIN(expires_at_ms) FROM lease INDEXED BY lease_by_expiry \
         WHERE expires_at_ms > ?1 \
     UNION ALL SELECT MIN(ready_at_ms) FROM run INDEXED BY run_by_ready \
         WHERE status = 'created' AND ready_at_ms > ?1 \
     UNION ALL SELECT MIN(claim_expires_at_ms) FROM run INDEXED BY run_by_claim_end \
         WHERE status IN ('claimed', 'running') AND claim_expires_at_ms > ?1)";

/// The state within one transaction.
pub(super) struct Tables<'c> {
    pub(super) conn: &'c Connection,
    /// As stored when the transaction began, then moved on by each command;
    /// written back once, at its end.
    pub(super) position: Position,
}

impl<'c> Tables<'c> {
    /// The state as the transaction that is open on `conn` finds it.
    pub(super) fn load(conn: &'c Connection) -> Result<Tables<'c>> {
        let sql = format!("SELECT {} FROM meta WHERE id = 1", rows::META);
        let position = conn.prepare_cached(&sql)?.query_row([], rows::position)?;
        Ok(Tables { conn, position })
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: fn(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.conn.prepare_cached(sql)?.query_row(params, read).optional()
    }

    pub(super) fn many<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: fn(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.conn.prepare_cached(sql)?.query_map(params, read)?.collect()
    }

    /// One page, in order of the column `name`. `select` ends in a condition
    /// whose parameter, where it has one, is `?2`: the time.
    fn page<T>(
        &self,
        select: &str,
        now: Option<ClusterMs>,
        (name, scan): (&str, &Scan),
        limit: usize,
        read: fn(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut params = vec![bound(limit as u64)];
        params.extend(now.map(|now| bound(now.0)));
        let range = Range::of(scan, name, params.len() + 1);
        let sql = format!("{select} AND {} ORDER BY {name} LIMIT ?1", range.condition());
        params.extend(range.bounds());
        self.many(&sql, params_from_iter(params), read)
    }
}

impl View for Tables<'_> {
    type Error = rusqlite::Error;

    fn meta(&self) -> Result<Meta> {
        Ok(self.position.meta.clone())
    }

    fn key(&self, key: &str) -> Result<Option<KeyRow>> {
        let sql = format!("SELECT {} FROM kv WHERE key = ?1", rows::KV);
        Ok(self.one(&sql, [key], rows::kv)?.map(|(_, row)| row))
    }

    fn lease(&self, resource_id: &str) -> Result<Option<LeaseRow>> {
        let sql = format!("SELECT {} FROM lease WHERE resource_id = ?1", rows::LEASE);
        Ok(self.one(&sql, [resource_id], rows::lease)?.map(|(_, row)| row))
    }

    fn run(&self, run_id: &str) -> Result<Option<RunRow>> {
        let sql = format!("SELECT {} FROM run WHERE run_id = ?1", rows::RUN);
        self.one(&sql, [run_id], rows::run)
    }

    fn session(&self, session_id: &str) -> Result<Option<SessionRow>> {
        let sql = format!("SELECT {} FROM session WHERE session_id = ?1", rows::SESSION);
        Ok(self.one(&sql, [session_id], rows::session)?.map(|(_, row)| row))
    }

    fn request(&self, key: &str) -> Result<Option<RequestRow>> {
        self.one("SELECT digest, reply, at_ms FROM request WHERE key = ?1", [key], rows::request)
    }

    /// This store has no origins; see [`super::schema`].
    fn origin(&self, _session: u64) -> Result<Option<OriginRow>> {
        Ok(None)
    }

    /// This store has no origins; see [`super::schema`].
    fn answer(&self, _session: u64, _sequence: u64) -> Result<Option<Reply>> {
        Ok(None)
    }

    fn step(&self, run_id: &str, step: u64) -> Result<Option<StepRow>> {
        let sql = format!("SELECT {} FROM step WHERE run_id = ?1 AND step = ?2", rows::STEP);
        Ok(self.one(&sql, params![run_id, step], rows::step)?.map(|(_, row)| row))
    }

    fn steps(&self, run_id: &str) -> Result<Vec<(u64, StepRow)>> {
        let sql = format!("SELECT {} FROM step WHERE run_id = ?1 ORDER BY step", rows::STEP);
        self.many(&sql, [run_id], rows::step)
    }

    fn children(&self, run_id: &str) -> Result<Vec<Text>> {
        let sql = "SELECT run_id FROM run WHERE parent_run_id = ?1 ORDER BY created_revision";
        self.many(sql, [run_id], |row| row.get(0))
    }

    fn candidate(&self, filter: &ClaimFilter, now: ClusterMs) -> Result<Candidate> {
        self.best_run(filter, now)
    }

    fn keys(&self, scan: &Scan, now: ClusterMs, limit: usize) -> Result<Vec<(Text, KeyRow)>> {
        let select = format!(
            "SELECT {} FROM kv WHERE (expires_at_ms IS NULL OR expires_at_ms > ?2)",
            rows::KV
        );
        self.page(&select, Some(now), ("key", scan), limit, rows::kv)
    }

    fn leases(&self, scan: &Scan, now: ClusterMs, limit: usize) -> Result<Vec<(Text, LeaseRow)>> {
        // The plus keeps the walk along the names, where a page can stop.
        let select = format!("SELECT {} FROM lease WHERE +expires_at_ms > ?2", rows::LEASE);
        self.page(&select, Some(now), ("resource_id", scan), limit, rows::lease)
    }

    fn sessions(&self, scan: &Scan, limit: usize) -> Result<Vec<(Text, SessionRow)>> {
        let select = format!("SELECT {} FROM session WHERE TRUE", rows::SESSION);
        self.page(&select, None, ("session_id", scan), limit, rows::session)
    }

    fn runs(
        &self,
        filter: &RunFilter,
        before: Option<Revision>,
        now: ClusterMs,
        limit: usize,
    ) -> Result<Vec<RunRow>> {
        self.list_runs(filter, before, now, limit)
    }

    fn due(&self, now: ClusterMs, limit: usize) -> Result<Vec<Due>> {
        let (until, at_most) = (bound(now.0), bound(limit as u64));
        let keys = "SELECT expires_at_ms, key FROM kv WHERE expires_at_ms <= ?1 \
             ORDER BY expires_at_ms, key LIMIT ?2";
        let leases = "SELECT expires_at_ms, resource_id FROM lease WHERE expires_at_ms <= ?1 \
             ORDER BY expires_at_ms, resource_id LIMIT ?2";
        let requests = "SELECT at_ms + ?3, key FROM request WHERE at_ms <= ?1 - ?3 \
             ORDER BY at_ms, key LIMIT ?2";
        let pair = |row: &Row<'_>| Ok((row.get::<_, u64>(0)?, row.get::<_, Text>(1)?));
        let mut due = Vec::new();
        let found = self.many(keys, params![until, at_most], pair)?;
        due.extend(found.into_iter().map(|(at, key)| (at, Due::Key(key))));
        let found = self.many(leases, params![until, at_most], pair)?;
        due.extend(found.into_iter().map(|(at, id)| (at, Due::Lease(id))));
        let found = self.many(requests, params![until, at_most, REMEMBERED_MS], pair)?;
        due.extend(found.into_iter().map(|(at, key)| (at, Due::Request(key))));
        due.sort();
        due.truncate(limit);
        Ok(due.into_iter().map(|(_, due)| due).collect())
    }

    fn next_deadline(&self, after: ClusterMs) -> Result<Option<ClusterMs>> {
        let at =
            self.one(NEXT_DEADLINE, params![bound(after.0)], |row| row.get::<_, Option<u64>>(0))?;
        Ok(at.flatten().map(ClusterMs))
    }

    fn oldest_request(&self) -> Result<(u64, Option<Text>)> {
        let sql = "SELECT key FROM request ORDER BY at_ms, key LIMIT 1";
        Ok((self.position.requests, self.one(sql, [], |row| row.get(0))?))
    }

    fn counts(&self, now: ClusterMs) -> Result<Counts> {
        let sql = "SELECT \
             (SELECT COUNT(*) FROM kv) - (SELECT COUNT(*) FROM kv WHERE expires_at_ms <= ?1), \
             (SELECT COUNT(*) FROM run), \
             (SELECT COUNT(*) FROM step), \
             (SELECT COUNT(*) FROM lease WHERE expires_at_ms > ?1), \
             (SELECT COUNT(*) FROM session)";
        self.conn.prepare_cached(sql)?.query_row(params![bound(now.0)], |row| {
            Ok(Counts {
                keys: row.get(0)?,
                runs: row.get(1)?,
                steps: row.get(2)?,
                leases: row.get(3)?,
                sessions: row.get(4)?,
            })
        })
    }
}
