//! Footprints: the rows and searches that a command or a question begins with.
//! A store that keeps its rows on another machine fetches these in one round trip,
//! and anything else that is needed in further ones. So a footprint is a guess that
//! saves time; no rule depends on it.

use std::collections::BTreeMap;

use super::command::{Command, Create, Envelope, Fence, Operation, RetriedRuns};
use super::filter::{ClaimFilter, RunFilter, SearchFilter};
use super::index::{self, Index};
use super::lookup::{DUE_MAX, HOLDERS_MAX, PAUSES_MAX, UNCOUNTED_MAX};
use super::page::{Page, Range, Scan};
use super::query::Question;
use super::row_id::RowId;
use super::rules;
use super::run_group::RunGroup;
use super::search::Search;
use super::status::Status;
use super::value::{ClusterMs, Revision, Text};

/// What is read first, besides [`super::Meta`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    pub rows: Vec<RowId>,
    pub ranges: Vec<(Range, Page)>,
    /// Searches, whose rows are read as well.
    pub searches: Vec<Search>,
}

/// What the command of `envelope` reads first, at the time of the envelope.
pub fn footprint(envelope: &Envelope) -> Footprint {
    let mut footprint = Footprint::default();
    footprint
        .rows
        .extend(envelope.idempotency.iter().map(|request| RowId::Request(request.key.clone())));
    footprint.add(&envelope.command, envelope.random, envelope.clock);
    footprint
}

/// What `question` reads first at `now`.
pub fn of_question(question: &Question, now: ClusterMs) -> Footprint {
    let mut footprint = Footprint::default();
    let named = |range, page: &Page| vec![(range, page.and_one())];
    match question {
        Question::Key { key } => footprint.rows.push(RowId::Key(key.clone())),
        Question::Run { run_id } => {
            footprint.rows.push(RowId::Run(run_id.clone()));
            footprint.rows.push(RowId::Group(RunGroup::Parent(run_id.clone())));
        }
        Question::Lease { resource_id } => footprint.rows.push(RowId::Lease(resource_id.clone())),
        Question::Session { session_id } => {
            footprint.rows.push(RowId::Session(session_id.clone()));
        }
        Question::Request { key } => footprint.rows.push(RowId::Request(key.clone())),
        Question::Resume { run_id, from_step, page } => {
            footprint.rows.push(RowId::Run(run_id.clone()));
            footprint.ranges = named(Range::Steps(run_id.clone(), *from_step), page);
        }
        Question::Keys { scan, page } => {
            footprint.ranges = named(Range::Keys(scan.clone()), page);
        }
        Question::Leases { scan, page } => {
            footprint.ranges = named(Range::Leases(scan.clone()), page);
        }
        Question::Sessions { scan, page } => {
            footprint.ranges = named(Range::Sessions(scan.clone()), page);
        }
        Question::Stats { scan, page } => {
            footprint.ranges = named(Range::RunNames(scan.clone()), page);
        }
        Question::Schedules { scan, page } => {
            footprint.ranges = named(Range::Schedules(scan.clone()), page);
        }
        Question::Runs { filter, before, page } => {
            let ready = filter.claimable == Some(true);
            let limit = page.rows.saturating_add(1).min(DUE_MAX);
            footprint.searches.push(index::runs(filter, ready, *before, limit));
            if ready {
                let claim = SearchFilter::of_tags(&filter.tags);
                footprint.searches.push(index::waiting(claim, None, Some(now), DUE_MAX));
            } else if matches!(
                filter.status,
                Some(Status::Created | Status::Running | Status::Failed)
            ) {
                footprint.searches.push(index::expired(Index::Deadline, now, DUE_MAX));
            }
        }
        Question::Prerequisites { run_id, .. } => footprint.rows.push(RowId::Run(run_id.clone())),
        Question::Candidate { filter, .. } => footprint.candidate(filter, now),
        Question::Counts => {
            footprint.searches.push(index::expired(Index::Deadline, now, UNCOUNTED_MAX));
        }
        Question::History { .. } | Question::Changes { .. } => {}
    }
    footprint
}

impl Footprint {
    fn add(&mut self, command: &Command, random: u64, now: ClusterMs) {
        match command {
            Command::Set(set) => self.key(&set.key).fence(set.fence.as_ref()),
            Command::Delete(delete) => self.key(&delete.key).fence(delete.fence.as_ref()),
            Command::Transact(transact) => {
                let operations = transact.then.iter().chain(&transact.otherwise);
                let keys = transact.compare.iter().map(|compare| &compare.key);
                for key in keys.chain(operations.map(operation_key)) {
                    self.key(key);
                }
                self.fence(transact.fence.as_ref());
            }
            Command::Create(create) => self.create(create, random, now),
            Command::Claim(claim) => self.run(&claim.run_id),
            Command::ClaimNext(claim) => {
                self.candidate(&ClaimFilter::of(claim), now);
            }
            Command::Heartbeat(claim) | Command::Release(claim) => self.run(&claim.run_id),
            Command::Checkpoint(checkpoint) => {
                self.steps_from(&checkpoint.run_id, checkpoint.step);
                self.run(&checkpoint.run_id);
            }
            Command::Complete(complete) => {
                self.run(&complete.run_id);
                if let Some(last) = &complete.last_step {
                    self.steps_from(&complete.run_id, last.step);
                }
                // The ids of the others are drawn later.
                if let Some(first) = complete.successors.first() {
                    self.create(first, random, now);
                }
            }
            Command::Decide(decide) => self.run(&decide.run_id),
            Command::Fail(fail) => self.run(&fail.run_id),
            Command::Cancel(cancel) => {
                self.run(&cancel.run_id);
                self.rows.push(RowId::Cancellation(cancel.run_id.clone()));
                self.searches.push(index::children(&cancel.run_id, Revision::ZERO, DUE_MAX));
            }
            Command::Retry(retry) => match &retry.runs {
                RetriedRuns::One(run_id) => self.run(run_id),
                RetriedRuns::Many { tags, before, .. } => {
                    let (tags, status) = (tags.clone(), Some(Status::Failed));
                    let failed = RunFilter { tags, status, ..RunFilter::default() };
                    self.searches.push(index::runs(&failed, false, *before, DUE_MAX));
                }
            },
            Command::DeleteRun(delete) => {
                self.run(&delete.run_id);
                self.ranges.push((Range::Steps(delete.run_id.clone(), 0), Page::of_rows(DUE_MAX)));
            }
            Command::Acquire(acquire) => self.lease(&acquire.resource_id),
            Command::Renew(renew) => self.lease(&renew.resource_id),
            Command::ReleaseLease(release) => self.lease(&release.resource_id),
            Command::SaveSession(save) => {
                self.rows.push(RowId::Session(save.session_id.clone()));
                self.fence(save.fence.as_ref());
            }
            Command::DeleteSession(delete) => {
                self.rows.push(RowId::Session(delete.session_id.clone()));
            }
            Command::Pause(pause) => {
                self.rows.push(RowId::Pause(pause.name.clone()));
                self.pauses();
            }
            Command::SetSchedule(set) => self.rows.push(RowId::Schedule(set.name.clone())),
            Command::DeleteSchedule(delete) => {
                self.rows.push(RowId::Schedule(delete.name.clone()));
            }
            Command::FireSchedule(fire) => {
                self.rows.push(RowId::Schedule(fire.name.clone()));
                self.rows.extend(rules::run_ids(random).into_iter().map(RowId::Run));
            }
            Command::Reset => {
                self.searches.push(index::expired(Index::Deadline, now, UNCOUNTED_MAX))
            }
            Command::Sweep { limit } => {
                let limit = *limit as usize + 1;
                let indexes = [Index::Deadline, Index::Request, Index::Origin];
                self.searches.extend(indexes.map(|index| index::expired(index, now, limit)));
                let no_tags = BTreeMap::new();
                let any = SearchFilter::of_tags(&no_tags);
                self.searches.push(index::waiting(any, None, Some(now), limit));
                self.searches.push(index::cancelling(1));
            }
        }
    }

    fn create(&mut self, create: &Create, random: u64, now: ClusterMs) {
        let ids = rules::run_ids(random).into_iter().chain(create.parent_run_id.clone());
        let ids = ids.chain(create.depends_on.iter().cloned());
        self.rows.extend(ids.map(RowId::Run));
        let parent = create.parent_run_id.clone().map(RunGroup::Parent);
        let groups = [RunGroup::Name(create.name.clone())].into_iter().chain(parent);
        let key = create.concurrency.iter().map(|it| RunGroup::Concurrency(it.key.clone()));
        self.rows.extend(groups.chain(key).map(RowId::Group));
        self.searches
            .extend(create.unique.iter().map(|it| index::unique(&it.key, now, HOLDERS_MAX)));
        if let Some(key) = &create.fair_key {
            let (name, priority) = (&create.name, create.priority);
            for index in [Index::Ready, Index::Limited] {
                self.searches.push(index::head(index, name, priority));
            }
            self.searches.push(index::last_of_fair_key(name, key, priority));
        }
    }

    /// The step and the one after it.
    fn steps_from(&mut self, run_id: &Text, step: u64) {
        let steps = [step, step.saturating_add(1)];
        self.rows.extend(steps.map(|step| RowId::Step(run_id.clone(), step)));
    }

    fn key(&mut self, key: &Text) -> &mut Self {
        self.rows.push(RowId::Key(key.clone()));
        self
    }

    fn run(&mut self, run_id: &Text) {
        self.rows.push(RowId::Run(run_id.clone()));
    }

    fn lease(&mut self, resource_id: &Text) {
        self.rows.push(RowId::Lease(resource_id.clone()));
    }

    fn fence(&mut self, fence: Option<&Fence>) {
        self.rows.extend(fence.map(|fence| RowId::Lease(fence.resource_id.clone())));
    }

    fn pauses(&mut self) {
        self.ranges.push((Range::Pauses(Scan::default()), Page::of_rows(PAUSES_MAX)));
    }

    fn candidate(&mut self, filter: &ClaimFilter, now: ClusterMs) {
        match filter.names.is_empty() {
            true => self.pauses(),
            false => self.rows.extend(filter.names.iter().cloned().map(RowId::Pause)),
        }
        let searches = filter.searches();
        let due = DUE_MAX.div_ceil(searches.len());
        for filter in searches {
            for index in [Index::Ready, Index::Limited] {
                self.searches.push(index::ready(index, filter, None, 1));
                self.searches.push(index::last_ready(index, filter));
            }
            self.searches.push(index::waiting(filter, None, Some(now), due));
            self.searches.push(index::waiting(filter, Some(now), None, 1));
        }
    }
}

fn operation_key(operation: &Operation) -> &Text {
    match operation {
        Operation::Set { key, .. } | Operation::Delete { key } | Operation::Get { key } => key,
    }
}
