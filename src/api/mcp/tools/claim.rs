//! Work on runs: claiming them, sending heartbeats, storing steps, ending.

use serde_json::json;

use super::approval::{self, ask_field};
use super::arguments::Arguments;
use super::call::ToolCall;
use super::field::{self, Field};
use super::json_object::JsonObject;
use super::page::{VALUES_BYTES, Values};
use super::run::{
    prerequisites_field, run_field, status_field, successors, successors_field, with_prerequisites,
};
use super::tool::{Tool, ToolAccess};
use crate::machine::command::{
    CLAIM_TTL_MS_DEFAULT, CLAIMS_MAX, Cancel, Checkpoint, Claim, ClaimNext, Claimant, Complete,
    Decide, Fail, HeldClaim, LastStep, Pause,
};
use crate::machine::reply::{Claimed, FurtherClaim};
use crate::machine::{Command, Reply, Text};
use crate::service::ServiceError;

/// The tool that answers what a run asks a person.
pub(in crate::api::mcp) const DECIDE: &str = "workflow_decide";

pub(super) fn tools() -> Vec<Tool> {
    vec![
        claim_tool(),
        claim_next_tool(),
        heartbeat_tool(),
        checkpoint_tool(),
        complete_tool(),
        fail_tool(),
        release_tool(),
        cancel_tool(),
        decide_tool(),
        pause_tool(),
    ]
}

pub(super) fn agent_field() -> Field {
    field::text("agent_id", "Your name.")
}

fn token_field() -> Field {
    field::integer("claim_token", "From claiming.").least(0)
}

fn ttl_field() -> Field {
    field::integer("claim_ttl_seconds", "How long after your last call on it others may take over.")
        .least(1)
        .default(json!(CLAIM_TTL_MS_DEFAULT / 1000))
}

fn claimant(args: &mut Arguments<'_>) -> Result<Claimant, ServiceError> {
    Ok(Claimant {
        agent_id: args.text_if("agent_id")?,
        claim_token: args.revision_if("claim_token")?,
    })
}

fn claimed_fields(run: Field) -> Vec<Field> {
    vec![
        field::boolean("claimed", "Whether the run is yours now.").required(),
        run.required(),
        field::text("agent_id", "You, where claimed.").nullable().required(),
        field::text("reason", "Why not, where refused.").nullable().required(),
        field::integer("claim_token", "Show it in every later call on this run.").nullable(),
        field::seconds("claim_expires_at", "When others may take over, in Unix seconds.")
            .nullable(),
        prerequisites_field(),
    ]
}

/// The reply to a claim, with the results of the runs that the claimed one depends on.
async fn claimed(
    call: &mut ToolCall<'_>,
    reply: &Claimed,
    run_id: Option<&Text>,
) -> Result<JsonObject, ServiceError> {
    let object = claimed_object(reply, run_id);
    match &reply.run_id {
        Some(run_id) if reply.has_prerequisites => with_prerequisites(call, object, run_id).await,
        _ => Ok(object),
    }
}

fn claimed_object(reply: &Claimed, run_id: Option<&Text>) -> JsonObject {
    JsonObject::new()
        .bool("claimed", reply.claimed)
        .text_or_null("run_id", reply.run_id.as_ref().or(run_id).map(|run_id| &**run_id))
        .text_or_null("agent_id", reply.agent_id.as_deref())
        .text_or_null("reason", reply.reason.as_deref())
        .revision_or_null("claim_token", reply.claim_token)
        .deadline_or_null("claim_expires_at", reply.claim_expires_at)
}

fn claim_tool() -> Tool {
    Tool {
        name: "workflow_claim",
        title: "Claim a workflow",
        description: "Take one given run for yourself; exactly one agent wins. Keep claim_token for \
            later calls. The claim lapses claim_ttl_seconds after your last call on the \
            run.",
        takes: vec![
            run_field().required(),
            agent_field().required(),
            ttl_field(),
            field::idempotency_key(),
        ],
        gives: claimed_fields(run_field()),
        access: ToolAccess::Write { destructive: false, idempotent: false },
        run: |call| Box::pin(claim(call)),
    }
}

async fn claim(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let run_id = call.args.text("run_id")?;
    let command = Command::Claim(Claim {
        run_id: run_id.clone(),
        agent_id: call.args.text("agent_id")?,
        claim_ttl_ms: claim_ttl_ms(&mut call)?,
    });
    match call.submit(command).await? {
        Reply::Claimed(reply) => claimed(&mut call, &reply, Some(&run_id)).await,
        _ => Err(ServiceError::unexpected_answer()),
    }
}

fn claim_ttl_ms(call: &mut ToolCall<'_>) -> Result<u64, ServiceError> {
    let given = call.args.seconds_as_ms_if("claim_ttl_seconds")?;
    Ok(given.unwrap_or(CLAIM_TTL_MS_DEFAULT))
}

fn claim_next_tool() -> Tool {
    Tool {
        name: "workflow_claim_next",
        title: "Claim the next workflow",
        description: "Find and claim the best run in one step (highest priority, then oldest; runs \
            of crashed agents too). How a worker gets work: call it in a loop with \
            wait_seconds.",
        takes: vec![
            agent_field().required(),
            field::text("name", ""),
            field::list_of("names", json!({"type": "string"}), "Any of them, up to 32."),
            field::tags("All must match."),
            field::integer("limit", "Up to so many runs at once, up to 100, in runs.").least(1),
            ttl_field(),
            field::integer("wait_seconds", "Wait so long for work, up to 55.")
                .least(0)
                .default(json!(0)),
            field::idempotency_key(),
        ],
        gives: claimed_fields(run_field().nullable())
            .into_iter()
            .chain([field::objects("runs", claimed_run_fields(), "With limit: the runs.")])
            .collect(),
        access: ToolAccess::Write { destructive: false, idempotent: false },
        run: |call| Box::pin(claim_next(call)),
    }
}

async fn claim_next(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let name = call.args.text_if("name")?;
    let limit = call.args.count_if("limit", CLAIMS_MAX)?;
    let claim = ClaimNext {
        agent_id: call.args.text("agent_id")?,
        names: name.into_iter().chain(call.args.texts("names")?).collect(),
        tags: call.args.tags()?,
        claim_ttl_ms: claim_ttl_ms(&mut call)?,
        after: None,
        limit,
    };
    let wait = call.args.wait_if("wait_seconds")?.unwrap_or_default();
    let context = call.context()?;
    let reply = call.service.claim_next(claim, context, wait).await?;
    match limit {
        Some(_) => Ok(claimed_runs(reply)),
        None => claimed(&mut call, &reply, None).await,
    }
}

fn claimed_run_fields() -> Vec<Field> {
    vec![
        run_field().required(),
        field::integer("claim_token", "").required(),
        field::seconds("claim_expires_at", "").required(),
    ]
}

/// The answer to a claim of several runs. It names none outside of the list, so that it
/// is clear that each of them has a token of its own.
fn claimed_runs(mut reply: Claimed) -> JsonObject {
    let further = std::mem::take(&mut reply.further);
    let object = JsonObject::new()
        .bool("claimed", reply.claimed)
        .null("run_id")
        .text_or_null("agent_id", reply.agent_id.as_deref())
        .text_or_null("reason", reply.reason.as_deref());
    let runs = FurtherClaim::of(reply).into_iter().chain(further).map(|claim| {
        JsonObject::new()
            .text("run_id", &claim.run_id)
            .revision("claim_token", claim.claim_token)
            .deadline_or_null("claim_expires_at", Some(claim.claim_expires_at))
    });
    object.objects("runs", runs)
}

pub(super) fn moved_fields() -> Vec<Field> {
    vec![
        field::boolean("ok", "Whether it was done.").required(),
        run_field().required(),
        status_field().required(),
        field::text("reason", "Why not, where refused.").nullable(),
        field::seconds("claim_expires_at", "When others may take over, in Unix seconds."),
        field::any("result", "With what it had ended already, where yours is refused."),
        field::texts("successors", "The run_ids of the runs created."),
    ]
}

pub(super) async fn moved(
    call: &mut ToolCall<'_>,
    command: Command,
) -> Result<JsonObject, ServiceError> {
    match call.submit(command).await? {
        Reply::Moved(reply) => {
            let object = JsonObject::new()
                .bool("ok", reply.ok)
                .text("run_id", &reply.run_id)
                .text("status", reply.status.as_str())
                .text_if("reason", reply.reason.as_deref())
                .deadline_if("claim_expires_at", reply.claim_expires_at);
            let object = object.texts_if("successors", &reply.successors);
            Ok(match &reply.result {
                Some(result) => Values::UpTo(VALUES_BYTES).show(object, "result", result),
                None => object,
            })
        }
        _ => Err(ServiceError::unexpected_answer()),
    }
}

fn held_claim(call: &mut ToolCall<'_>) -> Result<HeldClaim, ServiceError> {
    Ok(HeldClaim {
        run_id: call.args.text("run_id")?,
        agent_id: call.args.text("agent_id")?,
        claim_token: call.args.revision("claim_token")?,
    })
}

fn held_claim_fields() -> Vec<Field> {
    vec![
        run_field().required(),
        agent_field().required(),
        token_field().required(),
        field::idempotency_key(),
    ]
}

fn pause_tool() -> Tool {
    Tool {
        name: "workflow_pause",
        title: "Pause a name of workflows",
        description: "Let workflow_claim_next give out no runs of a name until you resume it. Runs \
            that are claimed go on.",
        takes: vec![
            field::text("name", "").required(),
            field::boolean("resume", "").default(json!(false)),
            agent_field(),
            field::idempotency_key(),
        ],
        gives: vec![
            field::text("name", "").required(),
            field::boolean("paused", "Whether it is now.").required(),
            field::boolean("changed", "Whether it was not before.").required(),
        ],
        access: ToolAccess::Write { destructive: false, idempotent: true },
        run: |call| Box::pin(pause(call)),
    }
}

async fn pause(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let command = Command::Pause(Pause {
        name: call.args.text("name")?,
        resume: call.args.bool_if("resume")?.unwrap_or(false),
        agent_id: call.args.text_if("agent_id")?,
    });
    match call.submit(command).await? {
        Reply::Paused { name, paused, changed } => Ok(JsonObject::new()
            .text("name", &name)
            .bool("paused", paused)
            .bool("changed", changed)),
        _ => Err(ServiceError::unexpected_answer()),
    }
}

fn heartbeat_tool() -> Tool {
    Tool {
        name: "workflow_heartbeat",
        title: "Keep a claim alive",
        description: "Keep a claim during a long step. ok: false: the run is no longer yours, stop.",
        takes: held_claim_fields(),
        gives: moved_fields(),
        access: ToolAccess::Write { destructive: false, idempotent: true },
        run: |mut call| {
            Box::pin(async move {
                let command = Command::Heartbeat(held_claim(&mut call)?);
                moved(&mut call, command).await
            })
        },
    }
}

fn release_tool() -> Tool {
    Tool {
        name: "workflow_release",
        title: "Give a workflow back",
        description: "Give a claimed run back unfinished, for others to claim at once; its steps are \
            kept.",
        takes: held_claim_fields(),
        gives: moved_fields(),
        access: ToolAccess::Write { destructive: false, idempotent: false },
        run: |mut call| {
            Box::pin(async move {
                let command = Command::Release(held_claim(&mut call)?);
                moved(&mut call, command).await
            })
        },
    }
}

fn checkpoint_tool() -> Tool {
    Tool {
        name: "workflow_checkpoint",
        title: "Store a step's output",
        description: "Store the output of a finished step before the next one begins; a successor \
            finds it. ok: false: another agent has taken over, stop.",
        takes: vec![
            run_field().required(),
            field::integer("step", "").least(0).required(),
            field::any("output", "").required(),
            ask_field(),
            agent_field(),
            token_field(),
            field::idempotency_key(),
        ],
        gives: vec![
            field::boolean("ok", "Whether it was stored.").required(),
            run_field().required(),
            field::integer("step", "The step's number.").required(),
            field::integer("last_step", "The highest step stored.").required(),
            field::integer("next_step", "The first step that is missing.").required(),
            field::integer("steps", "How many steps are stored."),
            field::text("reason", "Why not, where refused.").nullable(),
        ],
        access: ToolAccess::Write { destructive: true, idempotent: true },
        run: |call| Box::pin(checkpoint(call)),
    }
}

async fn checkpoint(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let command = Command::Checkpoint(Checkpoint {
        run_id: call.args.text("run_id")?,
        step: call.args.unsigned("step")?,
        output: call.args.json("output")?,
        claimant: claimant(&mut call.args)?,
        ask: approval::ask(&mut call.args)?,
    });
    match call.submit(command).await? {
        Reply::Checkpointed(reply) => Ok(JsonObject::new()
            .bool("ok", reply.ok)
            .text("run_id", &reply.run_id)
            .number("step", reply.step)
            .number("last_step", reply.last_step)
            .number("next_step", reply.steps.next_after(reply.last_step))
            .number_if("steps", reply.steps.known_count(reply.last_step))
            .text_if("reason", reply.reason.as_deref())),
        _ => Err(ServiceError::unexpected_answer()),
    }
}

fn complete_tool() -> Tool {
    Tool {
        name: "workflow_complete",
        title: "Complete a workflow",
        description: "End a run well, with a result. Its last step's output and the runs that \
            follow it can be given too: all happens at once, or nothing.",
        takes: vec![
            run_field().required(),
            field::any("result", ""),
            field::integer("step", "").least(0),
            field::any("output", "Of that step."),
            successors_field(),
            agent_field(),
            token_field(),
            field::idempotency_key(),
        ],
        gives: moved_fields(),
        access: ToolAccess::Write { destructive: false, idempotent: true },
        run: |mut call| {
            Box::pin(async move {
                let command = Command::Complete(Complete {
                    run_id: call.args.text("run_id")?,
                    result: call.args.json_if("result"),
                    claimant: claimant(&mut call.args)?,
                    last_step: last_step(&mut call.args)?,
                    successors: successors(&mut call.args)?,
                });
                moved(&mut call, command).await
            })
        },
    }
}

fn last_step(args: &mut Arguments<'_>) -> Result<Option<LastStep>, ServiceError> {
    match (args.unsigned_if("step")?, args.json_if("output")) {
        (None, None) => Ok(None),
        (Some(step), Some(output)) => Ok(Some(LastStep { step, output })),
        (Some(_), None) => Err(args.invalid("output", "is missing: step needs it")),
        (None, Some(_)) => Err(args.invalid("step", "is missing: output needs it")),
    }
}

fn fail_tool() -> Tool {
    Tool {
        name: "workflow_fail",
        title: "Report a failure",
        description: "Report that your attempt failed. While attempts are left the run can be \
            claimed again after a pause.",
        takes: vec![
            run_field().required(),
            field::text("error", "What went wrong.").required(),
            field::boolean("retry", "false: do not try again.").default(json!(true)),
            field::integer("retry_after_seconds", "Instead of the usual pause.").least(0),
            agent_field(),
            token_field(),
            field::idempotency_key(),
        ],
        gives: moved_fields(),
        access: ToolAccess::Write { destructive: false, idempotent: false },
        run: |mut call| {
            Box::pin(async move {
                let command = Command::Fail(Fail {
                    run_id: call.args.text("run_id")?,
                    error: call.args.text_if("error")?.unwrap_or_default(),
                    retry: call.args.bool_if("retry")?.unwrap_or(true),
                    retry_after_ms: call.args.seconds_as_ms_if("retry_after_seconds")?,
                    claimant: claimant(&mut call.args)?,
                });
                moved(&mut call, command).await
            })
        },
    }
}

fn cancel_tool() -> Tool {
    Tool {
        name: "workflow_cancel",
        title: "Cancel a workflow",
        description: "Stop a run, whoever works on it, and all runs below it.",
        takes: vec![
            run_field().required(),
            field::text("reason", ""),
            agent_field(),
            field::idempotency_key(),
        ],
        gives: moved_fields(),
        access: ToolAccess::Write { destructive: true, idempotent: true },
        run: |mut call| {
            Box::pin(async move {
                let command = Command::Cancel(Cancel {
                    run_id: call.args.text("run_id")?,
                    reason: call.args.text_if("reason")?,
                    agent_id: call.args.text_if("agent_id")?,
                });
                moved(&mut call, command).await
            })
        },
    }
}

fn decide_tool() -> Tool {
    Tool {
        name: DECIDE,
        title: "Decide for a workflow",
        description: "Answer, for a person, what a run with status awaiting_approval asks.",
        takes: vec![
            run_field().required(),
            field::text("answer", "").required(),
            field::text("comment", ""),
            field::text("digest", "Of the question that was read; refuses another one."),
            agent_field(),
            field::idempotency_key(),
        ],
        gives: moved_fields(),
        access: ToolAccess::Write { destructive: false, idempotent: true },
        run: |mut call| {
            Box::pin(async move {
                let command = Command::Decide(Decide {
                    run_id: call.args.text("run_id")?,
                    answer: call.args.text("answer")?,
                    comment: call.args.text_if("comment")?,
                    digest: call.args.text_if("digest")?,
                    agent_id: call.args.text_if("agent_id")?,
                });
                moved(&mut call, command).await
            })
        },
    }
}
