//! The draft: what one command has decided so far, laid over the view that it
//! started from. Rules read and write through it; a store sees only the
//! [`Decision`] that it ends as.

use std::collections::BTreeMap;

use super::change::{Change, Decision};
use super::command::Envelope;
use super::describe;
use super::event::{Action, Chain, Event};
use super::reply::Reply;
use super::row::{KeyRow, LeaseRow, Meta, RunRow, SessionRow, StepRow};
use super::size;
use super::value::{ClusterMs, Json, Revision, Text, WallMs};
use super::view::View;

/// The state as one command sees and changes it.
///
/// Keys read back what the command wrote, since a transaction may name one
/// twice. Every other row is written at most once in a command, after it was
/// read, so its lookups go straight to the view.
pub struct Draft<'a, V: View> {
    pub view: &'a V,
    actor: Option<&'a Text>,
    meta: Meta,
    keys: BTreeMap<Text, Option<KeyRow>>,
    changes: Vec<Change>,
    events: Vec<Event>,
}

impl<'a, V: View> Draft<'a, V> {
    /// A draft in which nothing has happened yet. `meta` has the clocks of the
    /// command already.
    pub fn new(view: &'a V, envelope: &'a Envelope, meta: Meta) -> Self {
        Draft {
            view,
            actor: envelope.actor.as_ref(),
            meta,
            keys: BTreeMap::new(),
            changes: Vec::new(),
            events: Vec::new(),
        }
    }

    /// The time by which deadlines are judged.
    pub fn now(&self) -> ClusterMs {
        self.meta.clock
    }

    /// The time that records show.
    pub fn wall(&self) -> WallMs {
        self.meta.wall
    }

    /// The newest revision, this command's own changes included.
    pub fn revision(&self) -> Revision {
        self.meta.revision
    }

    /// The key as it is now, unless its time is over.
    pub fn key(&self, key: &str) -> Result<Option<KeyRow>, V::Error> {
        let row = match self.keys.get(key) {
            Some(row) => row.clone(),
            None => self.view.key(key)?,
        };
        Ok(row.filter(|row| row.lives_at(self.now())))
    }

    /// The lease, unless its time is over.
    pub fn lease(&self, resource_id: &str) -> Result<Option<LeaseRow>, V::Error> {
        Ok(self.view.lease(resource_id)?.filter(|row| row.lives_at(self.now())))
    }

    /// Writes down one change of state and gives the revision that it made.
    ///
    /// `agent_id` is who the command says to act; where it names nobody, the
    /// one who sent it.
    pub fn record(
        &mut self,
        action: Action,
        subject: Text,
        new: Option<Json>,
        previous: Option<Json>,
        agent_id: Option<&Text>,
    ) -> Revision {
        let revision = self.meta.revision.next();
        let event = Event {
            revision,
            at: self.meta.wall,
            actor: agent_id.or(self.actor).cloned(),
            action,
            subject,
            new,
            previous,
            chain: Chain::default(),
        }
        .seal(self.meta.chain);
        self.meta.revision = revision;
        self.meta.chain = event.chain;
        self.events.push(event);
        revision
    }

    pub fn put_key(&mut self, key: Text, row: KeyRow) {
        self.keys.insert(key.clone(), Some(row.clone()));
        self.change(Change::PutKey(key, row));
    }

    pub fn drop_key(&mut self, key: Text) {
        self.keys.insert(key.clone(), None);
        self.change(Change::DropKey(key));
    }

    pub fn put_lease(&mut self, resource_id: Text, row: LeaseRow) {
        self.change(Change::PutLease(resource_id, row));
    }

    pub fn drop_lease(&mut self, resource_id: Text) {
        self.change(Change::DropLease(resource_id));
    }

    pub fn put_step(&mut self, run_id: Text, step: u64, row: StepRow) {
        self.change(Change::PutStep(run_id, step, row));
    }

    pub fn put_session(&mut self, session_id: Text, row: SessionRow) {
        self.change(Change::PutSession(session_id, row));
    }

    pub fn drop_session(&mut self, session_id: Text) {
        self.change(Change::DropSession(session_id));
    }

    /// Any other change.
    pub fn change(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Moves a run from `before` to `after`: writes the event down, stamps the
    /// row with it and puts it.
    pub fn move_run(
        &mut self,
        action: Action,
        before: &RunRow,
        after: RunRow,
        agent_id: Option<&Text>,
    ) -> RunRow {
        let (new, previous) = (describe::run(&after), describe::run(before));
        self.record(action, run_subject(&after.run_id), Some(new), Some(previous), agent_id);
        self.put_run(after)
    }

    /// Puts a run, stamped with the newest event.
    pub fn put_run(&mut self, run: RunRow) -> RunRow {
        let run = RunRow { revision: self.meta.revision, updated_at: self.meta.wall, ..run };
        self.change(Change::PutRun(run.clone()));
        run
    }

    /// One more `state_set` since the last reset.
    pub fn count_set(&mut self) {
        self.meta.sets += 1;
    }

    /// Everything but the remembered requests is gone, and the history up to
    /// the newest event with it.
    pub fn clear(&mut self) {
        self.meta.anchor.revision = self.meta.revision;
        self.meta.anchor.chain = self.meta.chain;
        self.meta.sets = 0;
        self.keys.clear();
        self.change(Change::Clear);
    }

    /// What came of it.
    pub fn end(self, reply: Reply) -> Result<Decision, V::Error> {
        let state_bytes = size::after(self.view, self.meta.state_bytes, &self.changes)?;
        let meta = Meta { state_bytes, ..self.meta };
        Ok(Decision { reply, changes: self.changes, events: self.events, meta })
    }
}

/// How events name a run.
pub fn run_subject(run_id: &str) -> Text {
    format!("workflow:{run_id}").into()
}

/// How events name a lease.
pub fn lease_subject(resource_id: &str) -> Text {
    format!("lease:{resource_id}").into()
}

/// How events name a session.
pub fn session_subject(session_id: &str) -> Text {
    format!("session:{session_id}").into()
}
