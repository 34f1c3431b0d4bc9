//! Checkpoints: a step's output is stored, the run becomes `running`, and its
//! claim is renewed.

use super::approval;
use super::claimant;
use super::outcome::no_such_run;
use super::present;
use crate::machine::command::{CLAIM_TTL_MS_DEFAULT, Checkpoint};
use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::passing;
use crate::machine::reply::{Checkpointed, Reply};
use crate::machine::row::{Row, RunRow, StepRow};
use crate::machine::row_id::RowId;
use crate::machine::status::Status;
use crate::machine::stored_steps::StoredSteps;
use crate::machine::subject::Noun;
use crate::machine::value::{Json, Text};
use crate::machine::view::View;

/// How many steps a checkpoint looks at to find the first one that is missing. If more
/// were stored ahead of their turn, later checkpoints look further.
const LOOKS_MAX: usize = 100;

pub fn checkpoint<V: View>(
    draft: &mut Draft<'_, V>,
    command: &Checkpoint,
) -> Result<Reply, V::Error> {
    let Some(run) = present::run(draft, &command.run_id)? else {
        return Ok(no_such_run(&command.run_id));
    };
    if let Some(reason) = claimant::objection(draft, &run, &command.claimant) {
        return Ok(checkpointed(&run, command.step, Some(reason)));
    }
    let unclaimed = command.ask.is_some() && run.claim.is_none();
    let unclaimed = unclaimed.then(|| "await_approval: only a claimed run can wait".into());
    if let Some(reason) = approval::objection(&run).or(unclaimed) {
        return Ok(checkpointed(&run, command.step, Some(reason)));
    }
    let agent_id = command.claimant.agent_id.as_ref();
    let run = store(draft, run, command.step, &command.output, agent_id)?;
    let run = match &command.ask {
        Some(ask) => approval::ask(draft, &run, ask, agent_id),
        None => run,
    };
    Ok(checkpointed(&run, command.step, None))
}

/// Stores the output of a step of a run that the caller may change.
pub fn store<V: View>(
    draft: &mut Draft<'_, V>,
    run: RunRow,
    step: u64,
    output: &Json,
    agent_id: Option<&Text>,
) -> Result<RunRow, V::Error> {
    let stored = draft.row(&RowId::Step(run.run_id.clone(), step))?;
    let previous = match stored.as_deref() {
        Some(Row::Step(_, step, row)) => Some(describe::step(*step, &row.output)),
        Some(_) | None => None,
    };
    let new = Some(describe::step(step, output));
    let subject = Noun::Run.subject(&run.run_id);
    let revision = draft.record(Action::WorkflowCheckpoint, subject, new, previous, agent_id);
    let row = StepRow { output: output.clone(), revision };
    draft.put(Row::Step(run.run_id.clone(), step, row));
    let claim = passing::renewed(&run, draft.now());
    // Whoever works without a claim is replaced after the same silence.
    let is_unclaimed = claim.is_none() && draft.counts_lapses();
    let silent_from = is_unclaimed.then(|| draft.now().plus(CLAIM_TTL_MS_DEFAULT));
    let steps = match draft.counts_lapses() {
        true => with_step(draft, &run, step, stored.is_none())?,
        false => run.steps,
    };
    Ok(draft.put_run(RunRow {
        status: Status::Running,
        last_step: run.last_step.max(step),
        steps,
        ready_at: silent_from,
        claim,
        ..run
    }))
}

/// Which steps are stored once `step` is. With `fresh` it was not stored before.
fn with_step<V: View>(
    draft: &Draft<'_, V>,
    run: &RunRow,
    step: u64,
    fresh: bool,
) -> Result<StoredSteps, V::Error> {
    let StoredSteps { count, first, next } = run.steps;
    let count = count + u64::from(fresh);
    let (first, mut next) =
        if next == 0 || step < first { (step, step.saturating_add(1)) } else { (first, next) };
    for _ in 0..LOOKS_MAX {
        if draft.row(&RowId::Step(run.run_id.clone(), next))?.is_none() {
            break;
        }
        next = next.saturating_add(1);
    }
    Ok(StoredSteps { count, first, next })
}

fn checkpointed(run: &RunRow, step: u64, reason: Option<Text>) -> Reply {
    Reply::Checkpointed(Checkpointed {
        ok: reason.is_none(),
        run_id: run.run_id.clone(),
        step,
        last_step: run.last_step,
        steps: run.steps,
        reason,
    })
}
