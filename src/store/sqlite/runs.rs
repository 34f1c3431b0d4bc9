//! Finding runs: the best one to claim, and lists of them.

use rusqlite::types::ToSqlOutput;
use rusqlite::{Result, Row, params_from_iter};

use super::rows::{self, bound};
use super::view::Tables;
use crate::machine::row::RunRow;
use crate::machine::view::{Candidate, ClaimFilter, RunFilter};
use crate::machine::{ClusterMs, Revision};

impl Tables<'_> {
    /// See [`crate::machine::View::candidate`].
    ///
    /// Two walks, each along an index of its own: those that wait, in order of
    /// merit up to the first that is ready, and those whose claim has lapsed,
    /// which are few.
    pub(super) fn best_run(&self, filter: &ClaimFilter, now: ClusterMs) -> Result<Candidate> {
        let waiting = match filter.name {
            Some(_) => "run_waiting_by_name",
            None => "run_waiting",
        };
        let merit = "ORDER BY priority DESC, created_revision LIMIT 1";
        let place = |row: &Row<'_>| Ok((-i128::from(row.get::<_, i64>(0)?), row.get::<_, i64>(1)?));
        let select = format!(
            "SELECT priority, created_revision FROM run INDEXED BY {waiting} \
             WHERE status = 'created' AND (ready_at_ms IS NULL OR ready_at_ms <= ?1)"
        );
        let ready = self.first_run(&select, merit, filter, now, place)?;
        let select = "SELECT priority, created_revision FROM run INDEXED BY run_by_claim_end \
             WHERE status IN ('claimed', 'running') AND claim_expires_at_ms <= ?1";
        let lapsed = self.first_run(select, merit, filter, now, place)?;
        match ready.into_iter().chain(lapsed).min() {
            Some((_, created_revision)) => {
                let sql = format!("SELECT {} FROM run WHERE created_revision = ?1", rows::RUN);
                let run =
                    self.conn.prepare_cached(&sql)?.query_row([created_revision], rows::run)?;
                Ok(Candidate::Ready(Box::new(run)))
            }
            None => self.next_run_at(filter, now),
        }
    }

    /// When the first run that fits becomes claimable, though none is yet.
    fn next_run_at(&self, filter: &ClaimFilter, now: ClusterMs) -> Result<Candidate> {
        let time = |row: &Row<'_>| Ok(ClusterMs(row.get(0)?));
        let select = "SELECT ready_at_ms FROM run INDEXED BY run_by_ready \
             WHERE status = 'created' AND ready_at_ms > ?1";
        let ready = self.first_run(select, "ORDER BY ready_at_ms LIMIT 1", filter, now, time)?;
        let select = "SELECT claim_expires_at_ms FROM run INDEXED BY run_by_claim_end \
             WHERE status IN ('claimed', 'running') AND claim_expires_at_ms > ?1";
        let order = "ORDER BY claim_expires_at_ms LIMIT 1";
        let lapses = self.first_run(select, order, filter, now, time)?;
        Ok(ready.into_iter().chain(lapses).min().map_or(Candidate::None, Candidate::At))
    }

    /// The first run in some order, among those that `filter` admits.
    fn first_run<T>(
        &self,
        select: &str,
        order: &str,
        filter: &ClaimFilter,
        now: ClusterMs,
        read: fn(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut sql = select.to_owned();
        let mut params = vec![bound(now.0)];
        if let Some(name) = &filter.name {
            params.push(ToSqlOutput::from(&**name));
            sql += &format!(" AND name = ?{}", params.len());
        }
        for (name, value) in &filter.tags {
            params.push(ToSqlOutput::from(&**name));
            params.push(ToSqlOutput::from(&**value));
            sql += &format!(
                " AND EXISTS (SELECT 1 FROM run_tag AS t WHERE \
                 t.created_revision = run.created_revision AND t.name = ?{} AND t.value = ?{})",
                params.len() - 1,
                params.len()
            );
        }
        sql += " ";
        sql += order;
        self.one(&sql, params_from_iter(params), read)
    }

    /// See [`crate::machine::View::runs`]. SQL narrows by what has an index,
    /// in order; the filter itself decides.
    pub(super) fn list_runs(
        &self,
        filter: &RunFilter,
        before: Option<Revision>,
        now: ClusterMs,
        limit: usize,
    ) -> Result<Vec<RunRow>> {
        let mut params = vec![bound(before.map_or(u64::MAX, |revision| revision.0))];
        let from = match (filter.tags.first_key_value(), filter.status) {
            (Some((name, value)), _) => {
                params.push(ToSqlOutput::from(&**name));
                params.push(ToSqlOutput::from(&**value));
                "run_tag AS t CROSS JOIN run ON run.created_revision = t.created_revision \
                 WHERE t.name = ?2 AND t.value = ?3 AND t.created_revision < ?1 \
                 ORDER BY t.created_revision DESC"
            }
            (None, Some(status)) => {
                params.push(ToSqlOutput::from(status.as_str()));
                "run INDEXED BY run_by_status WHERE status = ?2 AND created_revision < ?1 \
                 ORDER BY created_revision DESC"
            }
            // Sorted by SQLite: the runs that are not over are few beside all.
            (None, None) if filter.claimable == Some(true) => {
                "run INDEXED BY run_by_status WHERE status IN ('created', 'claimed', 'running') \
                 AND created_revision < ?1 ORDER BY created_revision DESC"
            }
            (None, None) => {
                "run NOT INDEXED WHERE created_revision < ?1 ORDER BY created_revision DESC"
            }
        };
        let sql = format!("SELECT {} FROM {from}", rows::RUN);
        let mut statement = self.conn.prepare_cached(&sql)?;
        let mut found = statement.query(params_from_iter(params))?;
        let mut runs = Vec::new();
        while runs.len() < limit
            && let Some(row) = found.next()?
        {
            let run = rows::run(row)?;
            if filter.admits(&run, now) {
                runs.push(run);
            }
        }
        Ok(runs)
    }
}
