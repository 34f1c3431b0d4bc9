//! Tasks (the extension `io.modelcontextprotocol/tasks`): a client that knows them gets one
//! for a call that waits for runs, and asks from time to time how it is. Nothing is kept
//! for a task. Its id says what is waited for, so that any node answers for it, also after
//! a restart, and there is nothing to end when it is cancelled.
//!
//! If the run waits for a person, so does its task: a client that can ask its user is given
//! the question, under its digest, and what the user says answers it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat};
use rmcp::ErrorData;
use rmcp::model::{
    CallToolResponse, CallToolResult, CreateTaskResult, DetailedTask, InputRequest, InputResponses,
    Task, TaskPayload, TaskStatus,
};
use serde_json::{Map, Value, json};

use super::call_result::rmcp_result;
use super::tools::{self, AwaitedRuns, DECIDE, Tool, Toolset, WAIT, shortened};
use crate::access::Caller;
use crate::machine::row::{ApprovalRow, RunRow};
use crate::machine::status::Status;
use crate::machine::{Answer, Question, WallMs};
use crate::service::{Service, ServiceError};
use crate::store::Consistency;

/// How often a client is asked to look. A run mostly takes longer.
const POLL_INTERVAL_MS: u64 = 2_000;

/// What a task waits for, which is all that there is of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WaitTask(AwaitedRuns);

/// Whoever asks for a task, and for whom it is answered.
pub(super) struct TaskReader<'a> {
    pub(super) service: &'a Service,
    pub(super) caller: &'a Caller,
    pub(super) toolset: Toolset,
    /// Whether the client can put a question to its user.
    pub(super) asks_user: bool,
}

impl WaitTask {
    /// The task that a call of this tool may become.
    pub(super) fn of_call(tool: &Tool, arguments: &Map<String, Value>) -> Option<WaitTask> {
        AwaitedRuns::of_call(tool, arguments).map(WaitTask)
    }

    /// Begins the task. If there is nothing to wait for, the call is answered at once.
    pub(super) async fn begin(
        self,
        reader: &TaskReader<'_>,
    ) -> Result<CallToolResponse, ErrorData> {
        let result = self.result(reader).await?;
        if !is_waiting(&result) {
            return Ok(CallToolResponse::Complete(result));
        }
        let task = self.task(&self.run(reader).await?);
        Ok(CallToolResponse::Task(CreateTaskResult::new(task)))
    }

    /// How it is now.
    pub(super) async fn get(&self, reader: &TaskReader<'_>) -> Result<DetailedTask, ErrorData> {
        let run = self.run(reader).await?;
        let task = self.task(&run);
        let result = self.result(reader).await?;
        let question = self.question(&run).filter(|_| reader.asks_user);
        let payload = match serde_json::to_value(&result) {
            _ if is_waiting(&result) => match question {
                Some(approval) => asking(&run, approval)?,
                None => TaskPayload::Working,
            },
            Ok(Value::Object(result)) => TaskPayload::Completed { result },
            Ok(_) | Err(_) => return Err(ErrorData::internal_error("no result", None)),
        };
        Ok(DetailedTask::new(task, payload))
    }

    /// Answers what the task asks. Somebody who declines or puts it off answers nothing, and
    /// the run goes on waiting.
    pub(super) async fn update(
        &self,
        reader: &TaskReader<'_>,
        responses: InputResponses,
    ) -> Result<(), ErrorData> {
        let run = self.run(reader).await?;
        for (digest, response) in responses {
            if response["action"] != "accept" {
                continue;
            }
            let mut arguments = Map::new();
            arguments.insert("run_id".into(), (&*run.run_id).into());
            arguments.insert("digest".into(), digest.into());
            let said = response["content"].as_object().into_iter().flatten();
            let said = said.filter(|(name, _)| ["answer", "comment"].contains(&name.as_str()));
            arguments.extend(said.map(|(name, value)| (name.clone(), value.clone())));
            let result = self.call(reader, DECIDE, arguments).await?;
            let told = result.structured_content.unwrap_or_default();
            if told["ok"] != true {
                let why = told["reason"].as_str().or(told["error"]["message"].as_str());
                return Err(ErrorData::invalid_params(why.unwrap_or("refused").to_owned(), None));
            }
        }
        Ok(())
    }

    /// Whether what it waits for exists.
    pub(super) async fn check(&self, reader: &TaskReader<'_>) -> Result<(), ErrorData> {
        self.run(reader).await.map(|_| ())
    }

    async fn result(&self, reader: &TaskReader<'_>) -> Result<CallToolResult, ErrorData> {
        self.call(reader, WAIT, self.0.arguments()).await
    }

    async fn call(
        &self,
        reader: &TaskReader<'_>,
        name: &str,
        arguments: Map<String, Value>,
    ) -> Result<CallToolResult, ErrorData> {
        let tool = reader.toolset.find(name).ok_or_else(|| unknown(&self.to_string()))?;
        let TaskReader { service, caller, .. } = reader;
        rmcp_result(tools::call(service, caller, tool, arguments).await)
    }

    /// What the run that is waited for asks a person, if it does.
    fn question<'r>(&self, run: &'r RunRow) -> Option<&'r ApprovalRow> {
        let is_one = matches!(self.0, AwaitedRuns::One { .. });
        run.approval.as_deref().filter(|_| is_one && run.status == Status::AwaitingApproval)
    }

    async fn run(&self, reader: &TaskReader<'_>) -> Result<RunRow, ErrorData> {
        let question = Question::Run { run_id: self.0.run_id().clone() };
        let asked = reader.service.ask(question, Consistency::Linearizable).await;
        match asked.map_err(failed)?.answer {
            Answer::Run { run: Some(run), .. } => Ok(*run),
            _ => Err(unknown(&self.to_string())),
        }
    }

    fn task(&self, run: &RunRow) -> Task {
        let (created, updated) = (timestamp(run.created_at), timestamp(run.updated_at));
        let said = match &self.0 {
            AwaitedRuns::One { .. } => format!("{}, last step {}", run.status, run.last_step),
            AwaitedRuns::Children { .. } => "its children are not all over".to_owned(),
        };
        let mut task = Task::new(self.to_string(), TaskStatus::Working, created, updated)
            .with_status_message(said)
            .with_poll_interval_ms(POLL_INTERVAL_MS);
        // A run that is over is removed some time.
        task.ttl_ms = run.expires_at.map(|at| at.0.saturating_sub(run.created_at.0));
        task
    }
}

/// The question as a request to the client, to ask its user.
fn asking(run: &RunRow, approval: &ApprovalRow) -> Result<TaskPayload, ErrorData> {
    let answer = match &approval.options[..] {
        [] => json!({"type": "string"}),
        options => json!({"type": "string", "enum": options}),
    };
    let request = json!({
        "method": "elicitation/create",
        "params": {
            "mode": "form",
            "message": &*approval.question,
            "requestedSchema": {
                "type": "object",
                "properties": {"answer": answer, "comment": {"type": "string"}},
                "required": ["answer"],
            },
        },
    });
    let request = serde_json::from_value::<InputRequest>(request)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    let input_requests = [(approval.digest(&run.run_id), request)].into();
    Ok(TaskPayload::InputRequired { input_requests })
}

/// Whether it has not come to what is waited for.
fn is_waiting(result: &CallToolResult) -> bool {
    result.structured_content.as_ref().is_some_and(|result| result["changed"] == false)
}

/// The id of the task. The run comes last, since its id may be any text.
impl fmt::Display for WaitTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            AwaitedRuns::One { run_id, step: None } => write!(f, "end/{run_id}"),
            AwaitedRuns::One { run_id, step: Some(step) } => write!(f, "step/{step}/{run_id}"),
            AwaitedRuns::Children { parent_run_id } => write!(f, "children/{parent_run_id}"),
        }
    }
}

impl FromStr for WaitTask {
    type Err = ErrorData;

    fn from_str(id: &str) -> Result<WaitTask, ErrorData> {
        let awaited = match id.split_once('/') {
            Some(("end", run_id)) => Some(AwaitedRuns::One { run_id: run_id.into(), step: None }),
            Some(("children", run_id)) => {
                Some(AwaitedRuns::Children { parent_run_id: run_id.into() })
            }
            Some(("step", rest)) => rest.split_once('/').and_then(|(step, run_id)| {
                Some(AwaitedRuns::One { run_id: run_id.into(), step: Some(step.parse().ok()?) })
            }),
            Some(_) | None => None,
        };
        awaited.map(WaitTask).ok_or_else(|| unknown(id))
    }
}

fn unknown(id: &str) -> ErrorData {
    ErrorData::invalid_params(format!("there is no task '{}'", shortened(id)), None)
}

fn failed(error: ServiceError) -> ErrorData {
    let data = serde_json::json!({
        "code": error.code.as_str(), "retryable": error.is_retryable()});
    match error.is_retryable() {
        true => ErrorData::internal_error(error.message, Some(data)),
        false => ErrorData::invalid_params(error.message, Some(data)),
    }
}

/// As ISO 8601.
fn timestamp(at: WallMs) -> String {
    let at = i64::try_from(at.0).ok().and_then(DateTime::from_timestamp_millis);
    at.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_task_says_what_it_waits_for() {
        let one = |step| WaitTask(AwaitedRuns::One { run_id: "a/b c".into(), step });
        let children = WaitTask(AwaitedRuns::Children { parent_run_id: "wf-1".into() });
        for (task, id) in
            [(one(None), "end/a/b c"), (one(Some(7)), "step/7/a/b c"), (children, "children/wf-1")]
        {
            assert_eq!(task.to_string(), id);
            assert_eq!(id.parse::<WaitTask>(), Ok(task));
        }
        for other in ["", "end", "step/x/r", "step/1", "other/r"] {
            assert!(other.parse::<WaitTask>().is_err(), "{other}");
        }
        assert_eq!(timestamp(WallMs(1_700_000_000_042)), "2023-11-14T22:13:20.042Z");
    }
}
