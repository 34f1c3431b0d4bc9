//! Waiting for runs: `workflow_wait`. What a node does meanwhile is in `service::waiting`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::call::ToolCall;
use super::field;
use super::json_object::JsonObject;
use super::page::{VALUES_BYTES, Values};
use super::run::{run_field, status_field};
use super::stats::{counts_field, counts_object};
use super::tool::{Tool, ToolAccess};
use crate::machine::Text;
use crate::machine::row::RunRow;
use crate::service::ServiceError;

/// The tool's name.
pub(in crate::api::mcp) const WAIT: &str = "workflow_wait";

/// How long `workflow_wait` waits if the caller does not say.
const WAIT_DEFAULT: Duration = Duration::from_secs(30);

pub(super) fn tools() -> Vec<Tool> {
    vec![Tool {
        name: WAIT,
        title: "Wait for workflows",
        description: "Wait until a run, or every child of one, is over. changed: false: time ran out.",
        takes: vec![
            run_field(),
            field::text("parent_run_id", "Waits for its children."),
            field::integer("step", "Or until this step is stored."),
            field::integer("wait_seconds", "Up to 55.").default(json!(WAIT_DEFAULT.as_secs())),
        ],
        gives: vec![
            field::boolean("changed", "Whether it has come to what was waited for.").required(),
            run_field(),
            status_field(),
            field::integer("last_step", "The highest step stored; 0 where there is none."),
            field::integer("next_step", "The first step that is missing."),
            field::any("result", "As given to workflow_complete, if any."),
            field::text("error", "Why it failed last, or was cancelled."),
            counts_field("children", "How many there are of each status."),
        ],
        access: ToolAccess::Read,
        run: |call| Box::pin(wait(call)),
    }]
}

async fn wait(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let awaited = AwaitedRuns::of(&mut call.args)?;
    let timeout = call.args.wait_if("wait_seconds")?.unwrap_or(WAIT_DEFAULT);
    match awaited {
        AwaitedRuns::One { run_id, step } => {
            let waited = call.service.wait_for_run(run_id, step, timeout).await?;
            Ok(run_object(JsonObject::new().bool("changed", waited.reached), &waited.run))
        }
        AwaitedRuns::Children { parent_run_id } => {
            let waited = call.service.wait_for_children(parent_run_id, timeout).await?;
            let reply = JsonObject::new().bool("changed", waited.reached);
            Ok(reply.object("children", counts_object(&waited.counts)))
        }
    }
}

/// What a call waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api::mcp) enum AwaitedRuns {
    One { run_id: Text, step: Option<u64> },
    Children { parent_run_id: Text },
}

impl AwaitedRuns {
    /// What a call of `tool` with these arguments waits for. `None` if it is another tool
    /// than [`WAIT`], or if the arguments are wrong or ask how it is now.
    pub(in crate::api::mcp) fn of_call(
        tool: &Tool,
        arguments: &Map<String, Value>,
    ) -> Option<AwaitedRuns> {
        if tool.name != WAIT {
            return None;
        }
        let mut args = Arguments::new(tool.name, &tool.takes, arguments.clone()).ok()?;
        let awaited = AwaitedRuns::of(&mut args).ok()?;
        let waits = args.wait_if("wait_seconds").ok()?.is_none_or(|wait| !wait.is_zero());
        waits.then_some(awaited)
    }

    /// The arguments of a call that asks how it is now.
    pub(in crate::api::mcp) fn arguments(&self) -> Map<String, Value> {
        let arguments = match self {
            AwaitedRuns::One { run_id, step } => {
                json!({"run_id": &**run_id, "step": step, "wait_seconds": 0})
            }
            AwaitedRuns::Children { parent_run_id } => {
                json!({"parent_run_id": &**parent_run_id, "wait_seconds": 0})
            }
        };
        match arguments {
            Value::Object(arguments) => arguments,
            _ => Map::new(),
        }
    }

    /// The run that must exist.
    pub(in crate::api::mcp) fn run_id(&self) -> &Text {
        match self {
            AwaitedRuns::One { run_id, .. } => run_id,
            AwaitedRuns::Children { parent_run_id } => parent_run_id,
        }
    }

    fn of(args: &mut Arguments<'_>) -> Result<AwaitedRuns, ServiceError> {
        let (run_id, parent_run_id) = (args.text_if("run_id")?, args.text_if("parent_run_id")?);
        match (run_id, parent_run_id, args.unsigned_if("step")?) {
            (Some(run_id), None, step) => Ok(AwaitedRuns::One { run_id, step }),
            (None, Some(parent_run_id), None) => Ok(AwaitedRuns::Children { parent_run_id }),
            (None, Some(_), Some(_)) => Err(ServiceError::invalid("step needs run_id")),
            (Some(_), Some(_), _) | (None, None, _) => {
                let why = "workflow_wait needs exactly one of run_id and parent_run_id";
                Err(ServiceError::invalid(why))
            }
        }
    }
}

/// What a caller needs to know that has waited for a run.
fn run_object(reply: JsonObject, run: &RunRow) -> JsonObject {
    let values = Values::UpTo(VALUES_BYTES);
    let mut reply = reply
        .text("run_id", &run.run_id)
        .text("status", run.status.as_str())
        .number("last_step", run.last_step)
        .number("next_step", run.steps.next_after(run.last_step));
    if let Some(result) = &run.result {
        reply = values.show(reply, "result", result);
    }
    match &run.error {
        Some(error) => values.for_texts().show_text(reply, "error", error),
        None => reply,
    }
}
