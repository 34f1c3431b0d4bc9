//! Approvals: a checkpoint asks a person, and the run waits with its claim until
//! somebody decides or the question expires.

use super::outcome::{moved, no_such_run, refuse};
use super::present;
use crate::machine::command::{Ask, Decide};
use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::passing;
use crate::machine::reply::{RefusalCode, Reply};
use crate::machine::row::{ApprovalDecision, ApprovalRow, RunRow};
use crate::machine::status::Status;
use crate::machine::value::Text;
use crate::machine::view::View;

/// The reason why the holder of the run cannot go on with it, if it waits for a person.
pub fn objection(run: &RunRow) -> Option<Text> {
    let is_asking = run.status == Status::AwaitingApproval;
    is_asking.then(|| "Workflow is in status 'awaiting_approval'; workflow_decide answers".into())
}

/// Parks the run with a question. It keeps its claim, however long the answer takes.
pub fn ask<V: View>(
    draft: &mut Draft<'_, V>,
    run: &RunRow,
    ask: &Ask,
    agent_id: Option<&Text>,
) -> RunRow {
    let approval = ApprovalRow {
        question: ask.question.clone(),
        options: ask.options.clone(),
        asked_revision: draft.revision().next(),
        expires_at: ask.expires_ms.map(|expires_ms| draft.now().plus(expires_ms)),
        decision: None,
    };
    let after = RunRow {
        status: Status::AwaitingApproval,
        approval: Some(Box::new(approval)),
        ..run.clone()
    };
    draft.move_run(Action::WorkflowAsk, run, after, agent_id)
}

pub fn decide<V: View>(draft: &mut Draft<'_, V>, command: &Decide) -> Result<Reply, V::Error> {
    let Decide { run_id, answer, comment, digest, agent_id } = command;
    let Some(run) = present::run(draft, run_id)? else { return Ok(no_such_run(run_id)) };
    let by = agent_id.as_ref().or(draft.actor()).cloned();
    let Some(approval) = run.approval.as_deref().filter(|_| !run.is_over()) else {
        return Ok(moved(&run, Some(describe::not_asking(&run))));
    };
    let is_stale = |digest: &Text| **digest != *approval.digest(run_id);
    if digest.as_ref().is_some_and(is_stale) {
        return Ok(moved(&run, Some("digest: the question is another one; read it again".into())));
    }
    let decided = ApprovalDecision { answer: Some(answer.clone()), by, comment: comment.clone() };
    if run.status != Status::AwaitingApproval {
        // Whoever decided may ask again because it has not seen the reply.
        let is_repeated = approval.decision.as_ref() == Some(&decided);
        return Ok(moved(&run, (!is_repeated).then(|| describe::not_asking(&run))));
    }
    if !approval.options.is_empty() && !approval.options.contains(answer) {
        let options = approval.options.join("', '");
        let message = format!("answer must be one of '{options}', not '{answer}'");
        return Ok(refuse(RefusalCode::InvalidArgument, message));
    }
    let after = passing::decided(&run, decided, draft.now());
    let after = draft.move_run(Action::WorkflowDecide, &run, after, agent_id.as_ref());
    Ok(moved(&after, None))
}
