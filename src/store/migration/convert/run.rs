//! A run's story: it is created and claimed, stores its steps, and ends. The
//! reference kept only the outcome; this is the shortest story that leads to it.

use std::collections::BTreeMap;

use super::builder::{StateBuilder, ms};
use crate::machine::command::CLAIM_TTL_MS_DEFAULT;
use crate::machine::row::{ClaimRow, OnLapse, RunRow, StepRow};
use crate::machine::status::Status;
use crate::machine::subject::Noun;
use crate::machine::{Action, Json, Row, WallMs, describe};
use crate::store::migration::model::{ReferenceRun, ReferenceStep};

/// How often a run is attempted if its creator does not say, as in
/// `workflow_create`.
const MAX_ATTEMPTS: u32 = 1;

/// A run and its steps.
pub(super) struct RunWithSteps<'a> {
    run_id: &'a str,
    /// `None` if the reference knew only steps of this run.
    run: Option<&'a ReferenceRun>,
    steps: BTreeMap<i64, Json>,
}

/// Every run with its steps, in the given order. Runs of which only steps are
/// known come last.
pub(super) fn runs_with_steps<'a>(
    runs: &'a [ReferenceRun],
    steps: &'a [ReferenceStep],
) -> Vec<RunWithSteps<'a>> {
    let mut by_run: BTreeMap<&str, BTreeMap<i64, Json>> = BTreeMap::new();
    for step in steps {
        by_run.entry(&step.run_id).or_default().insert(step.step, step.output.clone());
    }
    let mut all: Vec<RunWithSteps<'a>> = Vec::new();
    for run in runs {
        let mut steps = by_run.remove(&*run.run_id).unwrap_or_default();
        if run.last_step > 0 {
            // A run is resumed after its last step, so that step must be there.
            steps.entry(run.last_step).or_insert_with(Json::null);
        }
        all.push(RunWithSteps { run_id: &run.run_id, run: Some(run), steps });
    }
    let unknown = by_run.into_iter();
    all.extend(unknown.map(|(run_id, steps)| RunWithSteps { run_id, run: None, steps }));
    all
}

impl RunWithSteps<'_> {
    pub(super) fn run_id(&self) -> &str {
        self.run_id
    }

    /// In Unix seconds.
    pub(super) fn created_at(&self) -> f64 {
        // A time that is not a number counts as unknown.
        self.run.map(|run| run.created_at).filter(|at| !at.is_nan()).unwrap_or(f64::INFINITY)
    }

    /// In Unix seconds, and never before the creation.
    pub(super) fn updated_at(&self) -> f64 {
        self.run.map_or(f64::INFINITY, |run| run.updated_at.max(self.created_at()))
    }

    /// The status that the story ends with. A run that is claimed by nobody
    /// counts as not claimed.
    fn status(&self) -> Status {
        match self.run {
            None => Status::Running,
            Some(run) if run.status == Status::Claimed && run.agent_id.is_none() => Status::Created,
            Some(run) => run.status,
        }
    }

    pub(super) fn create(&self, builder: &mut StateBuilder) -> RunRow {
        let name = self.run.map_or(self.run_id.into(), |run| run.name.clone());
        let run = RunRow {
            run_id: self.run_id.into(),
            name,
            status: Status::Created,
            tags: self.run.map(|run| run.tags.clone()).unwrap_or_default(),
            created_at: self.run.map_or(builder.wall(), |run| WallMs(ms(run.created_at))),
            updated_at: self.run.map_or(builder.wall(), |run| WallMs(ms(run.updated_at))),
            max_attempts: MAX_ATTEMPTS,
            ..RunRow::default()
        };
        let new = Some(describe::created_run(&run));
        // A run that waits again shows in this event who had claimed it.
        let agent_id = self.run.and_then(|run| run.agent_id.as_ref());
        let agent_id = agent_id.filter(|_| self.status() == Status::Created);
        let subject = Noun::Run.subject(self.run_id);
        let revision = builder.record(Action::WorkflowCreate, subject, new, None, agent_id);
        RunRow { created_revision: revision, revision, ..run }
    }

    /// Writes everything that happened after the creation, and the rows that it
    /// leaves. If a claimed run has steps, a second agent has taken it over, so
    /// the claim follows the steps.
    pub(super) fn advance(&self, builder: &mut StateBuilder, run: RunRow) {
        let run = match self.status() {
            Status::Created | Status::Blocked => self.checkpoint(builder, run),
            Status::Claimed | Status::AwaitingApproval => {
                let run = self.checkpoint(builder, run);
                self.claim(builder, run)
            }
            Status::Running | Status::Done | Status::Failed | Status::Cancelled => {
                let run = self.claim(builder, run);
                self.checkpoint(builder, run)
            }
        };
        let run = self.end(builder, run);
        builder.put(Row::Run(Box::new(run)));
    }

    fn claim(&self, builder: &mut StateBuilder, run: RunRow) -> RunRow {
        let agent_id = self.run.and_then(|run| run.agent_id.clone());
        let Some(agent_id) = agent_id else { return run };
        let expires_at = builder.now().plus(CLAIM_TTL_MS_DEFAULT);
        let token = builder.revision().next();
        let after = RunRow {
            status: Status::Claimed,
            attempts: 1,
            agent_id: Some(agent_id),
            claim: Some(ClaimRow {
                token,
                ttl_ms: CLAIM_TTL_MS_DEFAULT,
                expires_at,
                on_lapse: OnLapse::TakeOver,
            }),
            ..run.clone()
        };
        record_change(builder, Action::WorkflowClaim, &run, after)
    }

    fn checkpoint(&self, builder: &mut StateBuilder, mut run: RunRow) -> RunRow {
        for (number, output) in &self.steps {
            let new = Some(describe::step(*number, output));
            let subject = Noun::Run.subject(self.run_id);
            let agent_id = run.agent_id.as_ref();
            let action = Action::WorkflowCheckpoint;
            run.revision = builder.record(action, subject, new, None, agent_id);
            run.status = Status::Running;
            // Our rows have no steps below zero.
            if let Ok(step) = u64::try_from(*number) {
                run.last_step = run.last_step.max(step);
                let row = StepRow { output: output.clone(), revision: run.revision };
                builder.put(Row::Step(run.run_id.clone(), step, row));
            }
        }
        run
    }

    /// The last change, if the run does not have its final status yet.
    fn end(&self, builder: &mut StateBuilder, run: RunRow) -> RunRow {
        let status = self.status();
        if run.status == status {
            return run;
        }
        let action = match status {
            Status::Created | Status::Blocked => Action::WorkflowRelease,
            // Only its first checkpoint would say so, and that was never stored.
            Status::Claimed | Status::Running | Status::AwaitingApproval => {
                Action::WorkflowHeartbeat
            }
            Status::Done => Action::WorkflowComplete,
            Status::Failed => Action::WorkflowFail,
            Status::Cancelled => Action::WorkflowCancel,
        };
        let after = RunRow { status, ..run.clone() };
        record_change(builder, action, &run, after)
    }
}

/// Records a change that the run's agent made to it.
fn record_change(
    builder: &mut StateBuilder,
    action: Action,
    before: &RunRow,
    after: RunRow,
) -> RunRow {
    let (new, previous) = (describe::run(&after), describe::run(before));
    let subject = Noun::Run.subject(&after.run_id);
    let agent_id = after.agent_id.as_ref();
    let revision = builder.record(action, subject, Some(new), Some(previous), agent_id);
    RunRow { revision, ..after }
}
