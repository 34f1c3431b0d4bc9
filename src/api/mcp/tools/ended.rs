//! Runs that are over: letting failed ones be tried again, and removing them.

use serde_json::json;

use super::call::ToolCall;
use super::claim::{agent_field, moved, moved_fields};
use super::field::{self, Field};
use super::json_object::{JsonObject, push_string};
use super::run::run_field;
use super::tool::{Tool, ToolAccess};
use crate::machine::command::{DeleteRun, RetriedRuns, Retry};
use crate::machine::{Command, Reply, Text};
use crate::service::ServiceError;

pub(super) fn tools() -> Vec<Tool> {
    vec![retry_tool(), delete_tool()]
}

fn retry_tool() -> Tool {
    Tool {
        name: "workflow_retry",
        title: "Retry failed workflows",
        description: "Let failed runs be claimed again, steps kept: one by run_id, or all that fit name \
            and tags, up to 100 a call.",
        takes: vec![
            run_field(),
            field::text("name", "The kind of work."),
            field::tags("All must match."),
            agent_field(),
            field::cursor(),
            field::idempotency_key(),
        ],
        gives: vec![
            field::boolean("ok", "Whether it was done.").required(),
            field::list_of(
                "run_ids",
                json!({"type": "string"}),
                "The runs that can be claimed again.",
            )
            .required(),
            field::text("reason", "Why not, where refused."),
            field::text("next_cursor", "Given when there may be more: pass it as cursor."),
        ],
        access: ToolAccess::Write { destructive: false, idempotent: false },
        run: |call| Box::pin(retry(call)),
    }
}

async fn retry(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let run_id = call.args.text_if("run_id")?;
    let (name, tags) = (call.args.text_if("name")?, call.args.tags()?);
    let before = call.args.revision_cursor()?;
    let runs = match run_id {
        None => RetriedRuns::Many { name, tags, before },
        Some(run_id) if name.is_none() && tags.is_empty() && before.is_none() => {
            RetriedRuns::One(run_id)
        }
        Some(_) => {
            let why = "give run_id alone, or name, tags and cursor";
            return Err(ServiceError::invalid(why));
        }
    };
    let command = Command::Retry(Retry { runs, agent_id: call.args.text_if("agent_id")? });
    Ok(match call.submit(command).await? {
        Reply::Retried(reply) => retried(true, &reply.run_ids, None)
            .text_if("next_cursor", reply.next.map(|next| next.to_string()).as_deref()),
        Reply::Moved(reply) => {
            let run_ids: &[Text] = if reply.ok { &[reply.run_id] } else { &[] };
            retried(reply.ok, run_ids, reply.reason.as_deref())
        }
        _ => return Err(ServiceError::unexpected_answer()),
    })
}

fn retried(ok: bool, run_ids: &[Text], reason: Option<&str>) -> JsonObject {
    JsonObject::new()
        .bool("ok", ok)
        .list("run_ids", run_ids, |text, run_id| push_string(text, run_id))
        .text_if("reason", reason)
}

fn delete_tool() -> Tool {
    let takes: Vec<Field> = vec![run_field().required(), agent_field(), field::idempotency_key()];
    Tool {
        name: "workflow_delete",
        title: "Remove a workflow",
        description: "Remove a run that is over, with its steps and result.",
        takes,
        gives: moved_fields(),
        access: ToolAccess::Write { destructive: true, idempotent: false },
        run: |mut call| {
            Box::pin(async move {
                let command = Command::DeleteRun(DeleteRun {
                    run_id: call.args.text("run_id")?,
                    agent_id: call.args.text_if("agent_id")?,
                });
                moved(&mut call, command).await
            })
        },
    }
}
