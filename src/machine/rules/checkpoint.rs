//! Checkpoints: a step's output is stored, the run becomes `running`, and its
//! claim is renewed.

use super::claimant;
use super::outcome::no_such_run;
use crate::machine::command::Checkpoint;
use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::reply::{Checkpointed, Reply};
use crate::machine::row::{Row, RunRow, StepRow};
use crate::machine::row_id::RowId;
use crate::machine::status::Status;
use crate::machine::subject::run_subject;
use crate::machine::value::Text;
use crate::machine::view::View;

pub fn checkpoint<V: View>(
    draft: &mut Draft<'_, V>,
    command: &Checkpoint,
) -> Result<Reply, V::Error> {
    let Some(run) = draft.run(&command.run_id)? else {
        return Ok(no_such_run(&command.run_id));
    };
    if let Some(reason) = claimant::objection(&run, &command.claimant) {
        return Ok(checkpointed(&run, command.step, Some(reason)));
    }
    let stored = draft.row(&RowId::Step(command.run_id.clone(), command.step))?;
    let previous = match stored.as_deref() {
        Some(Row::Step(_, step, row)) => Some(describe::step(*step, &row.output)),
        Some(_) | None => None,
    };
    let new = Some(describe::step(command.step, &command.output));
    let agent_id = command.claimant.agent_id.as_ref();
    let subject = run_subject(&run.run_id);
    let revision = draft.record(Action::WorkflowCheckpoint, subject, new, previous, agent_id);
    let output = command.output.clone();
    draft.put(Row::Step(run.run_id.clone(), command.step, StepRow { output, revision }));
    let run = draft.put_run(RunRow {
        status: Status::Running,
        last_step: run.last_step.max(command.step),
        ready_at: None,
        claim: run.claim.as_ref().map(|claim| claim.renewed(draft.now())),
        ..run
    });
    Ok(checkpointed(&run, command.step, None))
}

fn checkpointed(run: &RunRow, step: u64, reason: Option<Text>) -> Reply {
    Reply::Checkpointed(Checkpointed {
        ok: reason.is_none(),
        run_id: run.run_id.clone(),
        step,
        last_step: run.last_step,
        reason,
    })
}
