//! A run's story: created, claimed, its steps, how it ended. The reference kept
//! the outcome alone; this is the shortest story that leads to it.

use std::collections::BTreeMap;

use super::events::ConvertedEvents;
use super::ms;
use crate::machine::command::CLAIM_TTL_MS_DEFAULT;
use crate::machine::draft::run_subject;
use crate::machine::row::{ClaimRow, RunRow, Status, StepRow};
use crate::machine::{Action, Json, Revision, Row, WallMs, describe};
use crate::store::migration::{Run, Step};

/// How often a run is tried, where its creator says nothing: as
/// `workflow_create` has it.
const MAX_ATTEMPTS: u32 = 1;

/// A run and its steps.
pub(super) struct Family<'a> {
    run_id: &'a str,
    /// Nothing where the reference knew steps alone.
    run: Option<&'a Run>,
    steps: BTreeMap<i64, Json>,
}

/// Every run with its steps, in the order given; those that are known by their
/// steps alone come last.
pub(super) fn families<'a>(runs: &'a [Run], steps: &'a [Step]) -> Vec<Family<'a>> {
    let mut by_run: BTreeMap<&str, BTreeMap<i64, Json>> = BTreeMap::new();
    for step in steps {
        by_run.entry(&step.run_id).or_default().insert(step.step, step.output.clone());
    }
    let mut families: Vec<Family<'a>> = Vec::new();
    for run in runs {
        let mut steps = by_run.remove(&*run.run_id).unwrap_or_default();
        if run.last_step > 0 {
            // What is resumed after must be there.
            steps.entry(run.last_step).or_insert_with(Json::null);
        }
        families.push(Family { run_id: &run.run_id, run: Some(run), steps });
    }
    let unknown = by_run.into_iter();
    families.extend(unknown.map(|(run_id, steps)| Family { run_id, run: None, steps }));
    families
}

impl Family<'_> {
    pub(super) fn run_id(&self) -> &str {
        self.run_id
    }

    /// In Unix seconds.
    pub(super) fn created_at(&self) -> f64 {
        // What is no number is no time that is known.
        self.run.map(|run| run.created_at).filter(|at| !at.is_nan()).unwrap_or(f64::INFINITY)
    }

    /// In Unix seconds; never before it was created.
    pub(super) fn updated_at(&self) -> f64 {
        self.run.map_or(f64::INFINITY, |run| run.updated_at.max(self.created_at()))
    }

    /// Where the run is to end. Claimed by nobody is not claimed.
    fn status(&self) -> Status {
        match self.run {
            None => Status::Running,
            Some(run) if run.status == Status::Claimed && run.agent_id.is_none() => Status::Created,
            Some(run) => run.status,
        }
    }

    pub(super) fn create(&self, book: &mut ConvertedEvents) -> RunRow {
        let name = self.run.map_or(self.run_id.into(), |run| run.name.clone());
        let run = RunRow {
            run_id: self.run_id.into(),
            name,
            status: Status::Created,
            tags: self.run.map(|run| run.tags.clone()).unwrap_or_default(),
            input: None,
            priority: 0,
            parent_run_id: None,
            created_revision: Revision::ZERO,
            revision: Revision::ZERO,
            created_at: self.run.map_or(book.wall(), |run| WallMs(ms(run.created_at))),
            updated_at: self.run.map_or(book.wall(), |run| WallMs(ms(run.updated_at))),
            last_step: 0,
            attempts: 0,
            max_attempts: MAX_ATTEMPTS,
            ready_at: None,
            agent_id: None,
            claim: None,
            result: None,
            error: None,
            promoted: false,
            depth: 0,
        };
        let new = Some(describe::created_run(&run));
        // A run that waits again keeps the name of who had it here.
        let agent_id = self.run.and_then(|run| run.agent_id.as_ref());
        let agent_id = agent_id.filter(|_| self.status() == Status::Created);
        let subject = run_subject(self.run_id);
        let revision = book.record(Action::WorkflowCreate, subject, new, None, agent_id);
        RunRow { created_revision: revision, revision, ..run }
    }

    /// All that came after, and the rows that it leaves. A claim that follows
    /// steps is a second agent's, who took the run over.
    pub(super) fn go_on(&self, book: &mut ConvertedEvents, run: RunRow) {
        let run = match self.status() {
            Status::Created => self.checkpoint(book, run),
            Status::Claimed => {
                let run = self.checkpoint(book, run);
                self.claim(book, run)
            }
            Status::Running | Status::Done | Status::Failed | Status::Cancelled => {
                let run = self.claim(book, run);
                self.checkpoint(book, run)
            }
        };
        let run = self.end(book, run);
        book.put(Row::Run(Box::new(run)));
    }

    fn claim(&self, book: &mut ConvertedEvents, run: RunRow) -> RunRow {
        let agent_id = self.run.and_then(|run| run.agent_id.clone());
        let Some(agent_id) = agent_id else { return run };
        let expires_at = book.now().plus(CLAIM_TTL_MS_DEFAULT);
        let token = book.revision().next();
        let after = RunRow {
            status: Status::Claimed,
            attempts: 1,
            agent_id: Some(agent_id),
            claim: Some(ClaimRow { token, ttl_ms: CLAIM_TTL_MS_DEFAULT, expires_at }),
            ..run.clone()
        };
        moved(book, Action::WorkflowClaim, &run, after)
    }

    fn checkpoint(&self, book: &mut ConvertedEvents, mut run: RunRow) -> RunRow {
        for (number, output) in &self.steps {
            let new = Some(describe::step(*number, output));
            let subject = run_subject(self.run_id);
            let agent_id = run.agent_id.as_ref();
            let action = Action::WorkflowCheckpoint;
            run.revision = book.record(action, subject, new, None, agent_id);
            run.status = Status::Running;
            // Below zero there is no row to put.
            if let Ok(step) = u64::try_from(*number) {
                run.last_step = run.last_step.max(step);
                let row = StepRow { output: output.clone(), revision: run.revision };
                book.put(Row::Step(run.run_id.clone(), step, row));
            }
        }
        run
    }

    /// The last move, where the run is not yet where it is to end.
    fn end(&self, book: &mut ConvertedEvents, run: RunRow) -> RunRow {
        let status = self.status();
        if run.status == status {
            return run;
        }
        let action = match status {
            Status::Created => Action::WorkflowRelease,
            // Its first step was never stored.
            Status::Claimed | Status::Running => Action::WorkflowHeartbeat,
            Status::Done => Action::WorkflowComplete,
            Status::Failed => Action::WorkflowFail,
            Status::Cancelled => Action::WorkflowCancel,
        };
        let after = RunRow { status, ..run.clone() };
        moved(book, action, &run, after)
    }
}

/// A move of the run by its agent.
fn moved(book: &mut ConvertedEvents, action: Action, before: &RunRow, after: RunRow) -> RunRow {
    let (new, previous) = (describe::run(&after), describe::run(before));
    let subject = run_subject(&after.run_id);
    let agent_id = after.agent_id.as_ref();
    let revision = book.record(action, subject, Some(new), Some(previous), agent_id);
    RunRow { revision, ..after }
}
