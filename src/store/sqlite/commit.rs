//! Writing what was decided, within the transaction that it was decided in.

use rusqlite::{Error, Result, params};

use super::rows::{self, chain_text};
use super::view::Tables;
use crate::codec;
use crate::machine::row::{KeyRow, LeaseRow, RequestRow, RunRow, SessionRow, StepRow};
use crate::machine::{Change, Decision, Event, Revision};

impl Tables<'_> {
    /// Writes a decision's changes and events and moves the position on.
    ///
    /// Gives the bytes of the events written, which hold every value that was
    /// written, so that a batch can be bounded.
    ///
    /// # Errors
    /// Where the file cannot be written, or a number is beyond what a column
    /// holds. Some of the changes may have been written then: roll back.
    pub(super) fn apply(&mut self, decision: &Decision) -> Result<usize> {
        let anchor = decision.meta.anchor.revision;
        for change in &decision.changes {
            self.change(change)?;
        }
        for event in decision.events.iter().filter(|event| event.revision > anchor) {
            self.append(event)?;
        }
        if anchor > self.position.meta.anchor.revision {
            self.forget(anchor)?;
        }
        self.position.meta = decision.meta.clone();
        Ok(decision.events.iter().map(event_bytes).sum())
    }

    /// Writes the position. Once, at the end of the transaction.
    pub(super) fn save_position(&self) -> Result<()> {
        let meta = &self.position.meta;
        let sql = "UPDATE meta SET revision = ?1, chain = ?2, clock_ms = ?3, wall_ms = ?4, \
             anchor_revision = ?5, anchor_chain = ?6, sets = ?7, requests = ?8, \
             state_bytes = ?9 WHERE id = 1";
        self.conn.prepare_cached(sql)?.execute(params![
            meta.revision.0,
            chain_text(meta.chain),
            meta.clock.0,
            meta.wall.0,
            meta.anchor.revision.0,
            chain_text(meta.anchor.chain),
            meta.sets,
            self.position.requests,
            meta.state_bytes,
        ])?;
        Ok(())
    }

    /// Writes one change alone.
    pub(super) fn change(&mut self, change: &Change) -> Result<()> {
        match change {
            Change::PutKey(key, row) => self.put_key(key, row),
            Change::DropKey(key) => self.drop("DELETE FROM kv WHERE key = ?1", key).map(drop),
            Change::PutLease(resource_id, row) => self.put_lease(resource_id, row),
            Change::DropLease(resource_id) => {
                self.drop("DELETE FROM lease WHERE resource_id = ?1", resource_id).map(drop)
            }
            Change::PutRun(row) => self.put_run(row),
            Change::PutStep(run_id, step, row) => self.put_step(run_id, *step, row),
            Change::PutSession(session_id, row) => self.put_session(session_id, row),
            Change::DropSession(session_id) => {
                self.drop("DELETE FROM session WHERE session_id = ?1", session_id).map(drop)
            }
            Change::PutRequest(key, row) => self.put_request(key, row),
            Change::DropRequest(key) => {
                let gone = self.drop("DELETE FROM request WHERE key = ?1", key)?;
                self.position.requests -= gone;
                Ok(())
            }
            Change::PutOrigin(..)
            | Change::DropOrigin(..)
            | Change::PutAnswer(..)
            | Change::DropAnswersBelow(..) => {
                Err(Error::ToSqlConversionFailure("this store keeps no origins".into()))
            }
            Change::Clear => self.clear(),
        }
    }

    fn put_key(&self, key: &str, row: &KeyRow) -> Result<()> {
        let sql = "INSERT INTO kv (key, value, revision, expires_at_ms) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, \
             revision = excluded.revision, expires_at_ms = excluded.expires_at_ms";
        let expires_at_ms = row.expires_at.map(|at| at.0);
        let params = params![key, row.value.as_str(), row.revision.0, expires_at_ms];
        self.conn.prepare_cached(sql)?.execute(params).map(drop)
    }

    fn put_lease(&self, resource_id: &str, row: &LeaseRow) -> Result<()> {
        let sql = "INSERT INTO lease (resource_id, holder_id, token, revision, expires_at_ms) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (resource_id) DO UPDATE SET \
             holder_id = excluded.holder_id, token = excluded.token, \
             revision = excluded.revision, expires_at_ms = excluded.expires_at_ms";
        let params =
            params![resource_id, row.holder_id, row.token.0, row.revision.0, row.expires_at.0];
        self.conn.prepare_cached(sql)?.execute(params).map(drop)
    }

    /// What a run was created with never changes, so an update leaves it and
    /// its indexes alone.
    fn put_run(&self, run: &RunRow) -> Result<()> {
        let sql = "UPDATE run SET status = ?2, revision = ?3, updated_at_ms = ?4, \
             last_step = ?5, attempts = ?6, ready_at_ms = ?7, agent_id = ?8, claim_token = ?9, \
             claim_ttl_ms = ?10, claim_expires_at_ms = ?11, result = ?12, error = ?13 \
             WHERE created_revision = ?1";
        let claim = run.claim.as_ref();
        let updated = self.conn.prepare_cached(sql)?.execute(params![
            run.created_revision.0,
            run.status.as_str(),
            run.revision.0,
            run.updated_at.0,
            run.last_step,
            run.attempts,
            run.ready_at.map(|at| at.0),
            run.agent_id,
            claim.map(|claim| claim.token.0),
            claim.map(|claim| claim.ttl_ms),
            claim.map(|claim| claim.expires_at.0),
            run.result.as_ref().map(|result| result.as_str()),
            run.error,
        ])?;
        if updated == 0 { self.insert_run(run) } else { Ok(()) }
    }

    pub(super) fn insert_run(&self, run: &RunRow) -> Result<()> {
        let sql = "INSERT INTO run (created_revision, run_id, name, status, tags, input, \
             priority, parent_run_id, revision, created_at_ms, updated_at_ms, last_step, \
             attempts, max_attempts, ready_at_ms, agent_id, claim_token, claim_ttl_ms, \
             claim_expires_at_ms, result, error) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, \
             ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)";
        let claim = run.claim.as_ref();
        self.conn.prepare_cached(sql)?.execute(params![
            run.created_revision.0,
            run.run_id,
            run.name,
            run.status.as_str(),
            rows::tags_text(&run.tags)?,
            run.input.as_ref().map(|input| input.as_str()),
            run.priority,
            run.parent_run_id,
            run.revision.0,
            run.created_at.0,
            run.updated_at.0,
            run.last_step,
            run.attempts,
            run.max_attempts,
            run.ready_at.map(|at| at.0),
            run.agent_id,
            claim.map(|claim| claim.token.0),
            claim.map(|claim| claim.ttl_ms),
            claim.map(|claim| claim.expires_at.0),
            run.result.as_ref().map(|result| result.as_str()),
            run.error,
        ])?;
        let sql = "INSERT INTO run_tag (created_revision, name, value) VALUES (?1, ?2, ?3)";
        let mut insert = self.conn.prepare_cached(sql)?;
        for (name, value) in &run.tags {
            insert.execute(params![run.created_revision.0, name, value])?;
        }
        Ok(())
    }

    fn put_step(&self, run_id: &str, step: u64, row: &StepRow) -> Result<()> {
        let sql = "INSERT INTO step (run_id, step, output, revision) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (run_id, step) DO UPDATE SET output = excluded.output, \
             revision = excluded.revision";
        let params = params![run_id, step, row.output.as_str(), row.revision.0];
        self.conn.prepare_cached(sql)?.execute(params).map(drop)
    }

    fn put_session(&self, session_id: &str, row: &SessionRow) -> Result<()> {
        let sql = "INSERT INTO session (session_id, context, revision, saved_at_ms, \
             updated_at_ms) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (session_id) DO UPDATE SET \
             context = excluded.context, revision = excluded.revision, \
             saved_at_ms = excluded.saved_at_ms, updated_at_ms = excluded.updated_at_ms";
        let params = params![
            session_id,
            row.context.as_str(),
            row.revision.0,
            row.saved_at.0,
            row.updated_at.0
        ];
        self.conn.prepare_cached(sql)?.execute(params).map(drop)
    }

    fn put_request(&mut self, key: &str, row: &RequestRow) -> Result<()> {
        let replaced = self.drop("DELETE FROM request WHERE key = ?1", key)?;
        let sql = "INSERT INTO request (key, digest, reply, at_ms) VALUES (?1, ?2, ?3, ?4)";
        let params = params![key, row.digest, &*codec::encode_reply(&row.reply), row.at.0];
        self.conn.prepare_cached(sql)?.execute(params)?;
        self.position.requests = self.position.requests - replaced + 1;
        Ok(())
    }

    pub(super) fn append(&self, event: &Event) -> Result<()> {
        let sql = "INSERT INTO event (revision, at_ms, actor, action, subject, new_value, \
             previous_value, chain) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let params = params![
            event.revision.0,
            event.at.0,
            event.actor,
            event.action.as_str(),
            event.subject,
            event.new.as_ref().map(|value| value.as_str()),
            event.previous.as_ref().map(|value| value.as_str()),
            chain_text(event.chain),
        ];
        self.conn.prepare_cached(sql)?.execute(params).map(drop)
    }

    /// Without a condition SQLite empties a table without reading its rows.
    fn clear(&self) -> Result<()> {
        for table in ["kv", "lease", "run", "run_tag", "step", "session"] {
            self.conn.prepare_cached(&format!("DELETE FROM {table}"))?.execute([])?;
        }
        Ok(())
    }

    /// Removes the history up to the anchor.
    fn forget(&self, anchor: Revision) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM event WHERE revision <= ?1")?.execute([anchor.0])?;
        Ok(())
    }

    /// Deletes by name; gives how many rows there were.
    fn drop(&self, sql: &str, name: &str) -> Result<u64> {
        Ok(self.conn.prepare_cached(sql)?.execute([name])? as u64)
    }
}

fn event_bytes(event: &Event) -> usize {
    let value = |json: &Option<crate::machine::Json>| json.as_ref().map_or(0, |v| v.as_str().len());
    event.subject.len() + value(&event.new) + value(&event.previous)
}
