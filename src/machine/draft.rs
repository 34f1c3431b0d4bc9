//! The draft: what one command has decided so far, laid over the view that it
//! started from. Rules read and write through it; a store sees only the
//! [`Decision`] that it ends as.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::change::{Change, Decision};
use super::command::{Envelope, Rules};
use super::describe;
use super::event::{Action, Chain, Event};
use super::index::{self, Entry, Search, Searched};
use super::lookup;
use super::reply::Reply;
use super::row::{KeyRow, LeaseRow, Meta, Row, RowId, RunRow, SessionRow};
use super::value::{ClusterMs, Json, Revision, Text, WallMs};
use super::view::{Page, Range, View};

/// The state as one command sees and changes it. It is a view itself: rows read
/// back what the command wrote. Searches find what was there before it.
pub struct Draft<'a, V: View> {
    view: &'a V,
    envelope: &'a Envelope,
    meta: Meta,
    /// Rows as the view has them: each is read from it once.
    known: RefCell<BTreeMap<RowId, Option<Arc<Row>>>>,
    written: BTreeMap<RowId, Option<Arc<Row>>>,
    cleared: bool,
    dropped_answers: Vec<(u64, u64)>,
    events: Vec<Event>,
}

impl<'a, V: View> Draft<'a, V> {
    /// A draft in which nothing has happened yet. `meta` has the clocks of the
    /// command already.
    pub fn new(view: &'a V, envelope: &'a Envelope, meta: Meta) -> Self {
        Draft {
            view,
            envelope,
            meta,
            known: RefCell::default(),
            written: BTreeMap::new(),
            cleared: false,
            dropped_answers: Vec::new(),
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

    /// Whether the command leaves to the sweep what it cannot do in one step.
    pub fn is_stepwise(&self) -> bool {
        self.envelope.rules >= Rules::Stepwise
    }

    /// The key as it is now, unless its time is over.
    pub fn key(&self, key: &Text) -> Result<Option<KeyRow>, V::Error> {
        let row = lookup::key(self, key)?;
        Ok(row.filter(|row| row.lives_at(self.now())))
    }

    /// The lease, unless its time is over.
    pub fn lease(&self, resource_id: &Text) -> Result<Option<LeaseRow>, V::Error> {
        let row = lookup::lease(self, resource_id)?;
        Ok(row.filter(|row| row.lives_at(self.now())))
    }

    /// The run as everybody sees it; see [`lookup::run`].
    pub fn run(&self, run_id: &Text) -> Result<Option<RunRow>, V::Error> {
        lookup::run(self, run_id)
    }

    pub fn session(&self, session_id: &Text) -> Result<Option<SessionRow>, V::Error> {
        lookup::session(self, session_id)
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
        let actor = agent_id.or(self.envelope.actor.as_ref()).cloned();
        let event = append_event(&mut self.meta, action, subject, new, previous, actor);
        self.events.push(event);
        self.meta.revision
    }

    /// Who the events of this command name where it names no agent itself.
    pub fn actor(&self) -> Option<&Text> {
        self.envelope.actor.as_ref()
    }

    pub fn put(&mut self, row: Row) {
        self.written.insert(row.id(), Some(Arc::new(row)));
    }

    pub fn remove(&mut self, id: RowId) {
        self.written.insert(id, None);
    }

    /// Drops the answers of a node's session below `lowest`.
    pub fn drop_answers_below(&mut self, session: u64, lowest: u64) {
        self.dropped_answers.push((session, lowest));
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

    /// Puts a run, stamped with the newest event. What it waits for lies ahead
    /// then, or it waits for nothing.
    pub fn put_run(&mut self, run: RunRow) -> RunRow {
        let run = RunRow {
            revision: self.meta.revision,
            updated_at: self.meta.wall,
            promoted: false,
            ..run
        };
        self.put(Row::Run(Box::new(run.clone())));
        run
    }

    /// Lists a run whose time has come among those that can be claimed at once.
    pub fn promote(&mut self, run: RunRow) {
        self.put(Row::Run(Box::new(RunRow { promoted: true, ..run })));
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
        self.meta.uncount_state();
        self.cleared = true;
        self.written.clear();
    }

    /// Everything that the command did is undone; the clocks stay.
    pub fn undo(&mut self, meta: Meta) {
        self.meta = meta;
        self.written.clear();
        self.cleared = false;
        self.dropped_answers.clear();
        self.events.clear();
    }

    /// The state's position if the command ended here.
    pub fn position(&self) -> Result<Meta, V::Error> {
        let mut meta = self.meta.clone();
        for (id, row) in &self.written {
            if let Some(old) = self.before(id)? {
                meta.uncount(&old);
            }
            if let Some(new) = row {
                meta.count(new);
            }
        }
        Ok(meta)
    }

    /// What came of it.
    pub fn end(self, reply: Reply) -> Result<Decision, V::Error> {
        let mut meta = self.position()?;
        meta.rules = meta.rules.max(self.envelope.rules);
        let mut changes = Vec::new();
        changes.extend(self.cleared.then_some(Change::Clear));
        let dropped = self.dropped_answers.iter();
        changes
            .extend(dropped.map(|(session, lowest)| Change::DropAnswersBelow(*session, *lowest)));
        for (id, new) in &self.written {
            let old = self.before(id)?;
            relist(&mut changes, old.as_deref(), new.as_deref());
            match new {
                Some(row) => changes.push(Change::Put(row.clone())),
                None if old.is_some() => changes.push(Change::Drop(id.clone())),
                None => {}
            }
        }
        Ok(Decision { reply, changes, events: self.events, meta })
    }

    /// The row as it was before the command, or after it cleared the state.
    pub fn before(&self, id: &RowId) -> Result<Option<Arc<Row>>, V::Error> {
        if self.cleared && !id.outlives_reset() {
            return Ok(None);
        }
        if let Some(row) = self.known.borrow().get(id) {
            return Ok(row.clone());
        }
        let row = self.view.row(id)?;
        self.known.borrow_mut().insert(id.clone(), row.clone());
        Ok(row)
    }
}

impl<V: View> View for Draft<'_, V> {
    type Error = V::Error;

    fn meta(&self) -> Result<Meta, V::Error> {
        Ok(self.meta.clone())
    }

    fn row(&self, id: &RowId) -> Result<Option<Arc<Row>>, V::Error> {
        match self.written.get(id) {
            Some(row) => Ok(row.clone()),
            None => self.before(id),
        }
    }

    fn rows(&self, range: &Range, page: Page) -> Result<Vec<Arc<Row>>, V::Error> {
        self.view.rows(range, page)
    }

    fn search(&self, search: &Search) -> Result<Searched, V::Error> {
        self.view.search(search)
    }
}

/// Moves the entries of a row from what it was to what it is.
fn relist(changes: &mut Vec<Change>, old: Option<&Row>, new: Option<&Row>) {
    let entries = |row: Option<&Row>| row.map(index::entries).unwrap_or_default();
    let (old, new) = (entries(old), entries(new));
    if old == new {
        return;
    }
    let (old, new): (BTreeSet<Entry>, BTreeSet<Entry>) =
        (old.into_iter().collect(), new.into_iter().collect());
    changes.extend(old.difference(&new).cloned().map(Change::Unlist));
    changes.extend(new.difference(&old).cloned().map(Change::List));
}

/// The event that follows the state at `meta`, whose position moves on to it.
pub fn append_event(
    meta: &mut Meta,
    action: Action,
    subject: Text,
    new: Option<Json>,
    previous: Option<Json>,
    actor: Option<Text>,
) -> Event {
    let revision = meta.revision.next();
    let chain = Chain::default();
    let event = Event { revision, at: meta.wall, actor, action, subject, new, previous, chain }
        .seal(meta.chain);
    meta.revision = revision;
    meta.chain = event.chain;
    event
}

/// How events name a run.
pub fn run_subject(run_id: &str) -> Text {
    format!("workflow:{run_id}").into()
}

/// How events name a lease.
pub fn lease_subject(resource_id: &str) -> Text {
    format!("lease:{resource_id}").into()
}

/// The run or the lease that an event is about, by how it names it.
pub fn run_or_lease(subject: &str) -> Option<Text> {
    let id = subject.strip_prefix("workflow:").or_else(|| subject.strip_prefix("lease:"));
    id.map(Into::into)
}

/// How events name a session.
pub fn session_subject(session_id: &str) -> Text {
    format!("session:{session_id}").into()
}
