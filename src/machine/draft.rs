//! The draft: what one command has decided so far, on top of the view that it
//! started from. Rules read and write through it; a store sees only the resulting
//! [`Decision`].

use std::cell::RefCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::change::{Change, Decision};
use super::command::{Envelope, Rules};
use super::describe;
use super::entry::IndexEntry;
use super::event::{Action, Chain, Event};
use super::index;
use super::lookup;
use super::meta::Meta;
use super::page::{Page, Range};
use super::reply::Reply;
use super::row::{KeyRow, LeaseRow, Row, RunRow, SessionRow};
use super::row_id::RowId;
use super::run_group::{GroupRow, RunGroup};
use super::search::{Search, Searched};
use super::status::Status;
use super::subject::Noun;
use super::value::{ClusterMs, Json, Revision, Text, WallMs};
use super::view::View;

/// The state as one command sees and changes it. It is a view itself: reading a
/// row gives what the command wrote. Searches find only what was there before.
pub struct Draft<'a, V: View> {
    view: &'a V,
    envelope: &'a Envelope,
    meta: Meta,
    /// Rows as the view has them, so that each is read from it only once.
    known: RefCell<BTreeMap<RowId, Option<Arc<Row>>>>,
    /// What was found, if the command looks for the same again and again.
    kept: Option<KeptReads>,
    written: BTreeMap<RowId, Option<Arc<Row>>>,
    cleared: bool,
    dropped_answers: Vec<(u64, u64)>,
    events: Vec<Event>,
    /// Runs that the command has ended and whose dependents have not been told.
    ended: VecDeque<Text>,
}

type RangeKey = (Range, usize, usize);

/// What searches and ranges have found in the view, which stays the same.
#[derive(Default)]
struct KeptReads {
    searches: RefCell<BTreeMap<Search, Searched>>,
    /// By the range, and the rows and bytes of the page.
    ranges: RefCell<BTreeMap<RangeKey, Vec<Arc<Row>>>>,
}

impl<'a, V: View> Draft<'a, V> {
    /// A draft in which nothing has happened yet. `meta` must already have the
    /// clocks of the command.
    pub fn new(view: &'a V, envelope: &'a Envelope, meta: Meta) -> Self {
        Draft {
            view,
            envelope,
            meta,
            known: RefCell::default(),
            kept: None,
            written: BTreeMap::new(),
            cleared: false,
            dropped_answers: Vec::new(),
            events: Vec::new(),
            ended: VecDeque::new(),
        }
    }

    /// The time by which deadlines are judged.
    pub fn now(&self) -> ClusterMs {
        self.meta.clock
    }

    /// The time that people read in records.
    pub fn wall(&self) -> WallMs {
        self.meta.wall
    }

    /// The newest revision, including this command's own changes.
    pub fn revision(&self) -> Revision {
        self.meta.revision
    }

    /// Whether the command leaves to the sweep what it cannot do in one step; see
    /// [`Rules::Stepwise`].
    pub fn is_stepwise(&self) -> bool {
        self.envelope.rules >= Rules::Stepwise
    }

    /// Whether a claim that lapses counts as an attempt; see [`Rules::Attempts`].
    pub fn counts_lapses(&self) -> bool {
        self.envelope.rules >= Rules::Attempts
    }

    /// The key, unless it has expired.
    pub fn key(&self, key: &Text) -> Result<Option<KeyRow>, V::Error> {
        let row = lookup::key(self, key)?;
        Ok(row.filter(|row| row.lives_at(self.now())))
    }

    /// The lease with those who hold it now, if anybody does.
    pub fn lease(&self, resource_id: &Text) -> Result<Option<LeaseRow>, V::Error> {
        Ok(lookup::lease(self, resource_id)?.and_then(|row| row.at(self.now())))
    }

    /// The run as everybody sees it; see [`lookup::run`].
    pub fn run(&self, run_id: &Text) -> Result<Option<RunRow>, V::Error> {
        lookup::run(self, run_id, self.now())
    }

    /// The session, unless it has expired.
    pub fn session(&self, session_id: &Text) -> Result<Option<SessionRow>, V::Error> {
        let row = lookup::session(self, session_id)?;
        Ok(row.filter(|row| row.lives_at(self.now())))
    }

    /// Records the event of one change of state and returns its revision.
    ///
    /// The event names the agent `agent_id`, or the sender of the command where
    /// the command names no agent.
    pub fn record(
        &mut self,
        action: Action,
        subject: Text,
        new: Option<Json>,
        previous: Option<Json>,
        agent_id: Option<&Text>,
    ) -> Revision {
        let actor = agent_id.or(self.envelope.actor.as_ref()).cloned();
        self.append(action, subject, new, previous, actor)
    }

    fn append(
        &mut self,
        action: Action,
        subject: Text,
        new: Option<Json>,
        previous: Option<Json>,
        actor: Option<Text>,
    ) -> Revision {
        let event = append_event(&mut self.meta, action, subject, new, previous, actor);
        self.events.push(event);
        self.meta.revision
    }

    /// The sender of the command, whom events name where it names no agent.
    pub fn actor(&self) -> Option<&Text> {
        self.envelope.actor.as_ref()
    }

    pub fn put(&mut self, row: Row) {
        self.written.insert(row.id(), Some(Arc::new(row)));
    }

    pub fn remove(&mut self, id: RowId) {
        self.written.insert(id, None);
    }

    /// Removes a row and records the event about it; see [`Draft::record`].
    pub fn remove_recorded(
        &mut self,
        action: Action,
        id: RowId,
        subject: Text,
        previous: Option<Json>,
        agent_id: Option<&Text>,
    ) -> Revision {
        self.remove(id);
        self.record(action, subject, None, previous, agent_id)
    }

    /// Drops the answers of a node's session below `lowest`.
    pub fn drop_answers_below(&mut self, session: u64, lowest: u64) {
        self.dropped_answers.push((session, lowest));
    }

    /// Changes a run from `before` to `after`: records the event, and puts the row
    /// with its revision.
    pub fn move_run(
        &mut self,
        action: Action,
        before: &RunRow,
        after: RunRow,
        agent_id: Option<&Text>,
    ) -> RunRow {
        let actor = agent_id.or(self.envelope.actor.as_ref()).cloned();
        self.move_run_as(action, before, after, actor)
    }

    /// The same for a change that the sender of the command did not ask for.
    pub fn move_run_as(
        &mut self,
        action: Action,
        before: &RunRow,
        after: RunRow,
        actor: Option<Text>,
    ) -> RunRow {
        let (new, previous) = (describe::run(&after), describe::run(before));
        let subject = Noun::Run.subject(&after.run_id);
        self.append(action, subject, Some(new), Some(previous), actor);
        self.put_run(after)
    }

    /// Puts a run with the revision of the newest event. A run that changes waits
    /// for a new time or for none, so it is no longer promoted. One that has ended
    /// is kept for a while, and its dependents are to be told.
    pub fn put_run(&mut self, mut run: RunRow) -> RunRow {
        if let Some(constraints) =
            run.constraints.as_mut().filter(|_| run.status != Status::Blocked)
        {
            constraints.blocked_by.clear();
        }
        if run.is_over() && run.has_dependents {
            self.note_ended(run.run_id.clone());
        }
        let kept_ms = run.keep_ms.or(self.envelope.limits.run_retention_ms);
        let kept_ms = kept_ms.filter(|_| run.is_over() && self.counts_lapses());
        let run = RunRow {
            revision: self.meta.revision,
            updated_at: self.meta.wall,
            promoted: false,
            is_counted: run.is_counted || self.counts_lapses(),
            expires_at: run.expires_at.or(kept_ms.map(|kept_ms| self.now().plus(kept_ms))),
            ..run
        };
        self.put(Row::Run(Box::new(run.clone())));
        run
    }

    /// Notes that a run is over and that some of its dependents have not been told.
    pub fn note_ended(&mut self, run_id: Text) {
        self.ended.push_back(run_id);
    }

    /// The next of the runs that [`Draft::note_ended`] was told of.
    pub fn next_ended(&mut self) -> Option<Text> {
        self.ended.pop_front()
    }

    /// Lists a run whose time has come among those that can be claimed at once.
    pub fn promote(&mut self, run: RunRow) {
        self.put(Row::Run(Box::new(RunRow { promoted: true, ..run })));
    }

    /// The new counts of every group that has runs which the command changed.
    fn regrouped(&self) -> Result<BTreeMap<RunGroup, GroupRow>, V::Error> {
        let mut groups = BTreeMap::new();
        for (id, new) in self.written.iter().filter(|(id, _)| matches!(id, RowId::Run(_))) {
            let old = self.before(id)?;
            let (old, new) = (old.as_deref().and_then(Row::run), new.as_deref().and_then(Row::run));
            for run in old.into_iter().chain(new) {
                for group in run.groups() {
                    if let Entry::Vacant(entry) = groups.entry(group) {
                        let row = self.stored_group(entry.key())?;
                        entry.insert(row);
                    }
                }
            }
            let mut change = |run: &RunRow, by: fn(&mut GroupRow, Status)| {
                for group in run.groups() {
                    by(groups.entry(group).or_default(), run.status);
                }
            };
            old.into_iter().for_each(|run| change(run, GroupRow::subtract));
            new.into_iter().for_each(|run| change(run, GroupRow::add));
            let name = new.map(|run| RunGroup::Name(run.name.clone()));
            if let (Some(new), Some(row)) = (new, name.and_then(|name| groups.get_mut(&name))) {
                row.note(new.changes_since(old), self.now());
            }
        }
        Ok(groups)
    }

    /// The counts of a group before the command.
    fn stored_group(&self, group: &RunGroup) -> Result<GroupRow, V::Error> {
        Ok(match self.before(&RowId::Group(group.clone()))?.as_deref() {
            Some(Row::Group(_, row)) => row.clone(),
            _ => GroupRow::default(),
        })
    }

    /// Keeps what is found from now on, for a command that looks for it repeatedly.
    pub fn keep_reads(&mut self) {
        self.kept.get_or_insert_default();
    }

    /// Counts a `state_set` event.
    pub fn count_set(&mut self) {
        self.meta.sets += 1;
    }

    /// Removes everything except the remembered answers, and the history up to the
    /// newest event.
    pub fn clear(&mut self) {
        self.meta.anchor.revision = self.meta.revision;
        self.meta.anchor.chain = self.meta.chain;
        self.meta.sets = 0;
        self.meta.uncount_state();
        self.cleared = true;
        self.written.clear();
        self.ended.clear();
    }

    /// Undoes everything that the command did. `meta` is the position before it,
    /// with the clocks of the command.
    pub fn undo(&mut self, meta: Meta) {
        self.meta = meta;
        self.written.clear();
        self.cleared = false;
        self.dropped_answers.clear();
        self.events.clear();
        self.ended.clear();
    }

    /// The position of the state if the command ended here.
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

    /// Why the command may not store what it has stored, if it has made the state
    /// larger than the one `before` it and the state would be over its quota.
    pub fn over_quota(&self, before: &Meta) -> Result<Option<Text>, V::Error> {
        let Some(max) = self.envelope.limits.bytes_max else { return Ok(None) };
        let (before, after) = (before.state_bytes, self.position()?.state_bytes);
        if after <= max || after <= before {
            return Ok(None);
        }
        let message = format!("the state would be {after} bytes, and may be {max}; it is {before}");
        Ok(Some(message.into()))
    }

    /// The decision, with this reply.
    pub fn end(mut self, reply: Reply) -> Result<Decision, V::Error> {
        for (group, row) in self.regrouped()? {
            match row.is_empty() {
                true => self.remove(RowId::Group(group)),
                false => self.put(Row::Group(group, row)),
            }
        }
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

    /// The row as it was before the command or, where the command has cleared the
    /// state, after that.
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
        let Some(kept) = &self.kept else { return self.view.rows(range, page) };
        let key = (range.clone(), page.rows, page.bytes);
        if let Some(rows) = kept.ranges.borrow().get(&key) {
            return Ok(rows.clone());
        }
        let rows = self.view.rows(range, page)?;
        kept.ranges.borrow_mut().insert(key, rows.clone());
        Ok(rows)
    }

    fn search(&self, search: &Search) -> Result<Searched, V::Error> {
        let Some(kept) = &self.kept else { return self.view.search(search) };
        if let Some(searched) = kept.searches.borrow().get(search) {
            return Ok(searched.clone());
        }
        let searched = self.view.search(search)?;
        kept.searches.borrow_mut().insert(search.clone(), searched.clone());
        Ok(searched)
    }

    /// The counts of a group, including this command's own changes.
    fn group(&self, group: &RunGroup) -> Result<GroupRow, V::Error> {
        Ok(match self.regrouped()?.remove(group) {
            Some(row) => row,
            None => self.stored_group(group)?,
        })
    }
}

/// Adds the changes of the index entries that a change of a row calls for.
fn relist(changes: &mut Vec<Change>, old: Option<&Row>, new: Option<&Row>) {
    let entries = |row: Option<&Row>| row.map(index::entries).unwrap_or_default();
    let (old, new) = (entries(old), entries(new));
    if old == new {
        return;
    }
    let (old, new): (BTreeSet<IndexEntry>, BTreeSet<IndexEntry>) =
        (old.into_iter().collect(), new.into_iter().collect());
    changes.extend(old.difference(&new).cloned().map(Change::Unlist));
    changes.extend(new.difference(&old).cloned().map(Change::List));
}

/// Creates the next event after the state at `meta`, and advances `meta` to it.
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
