//! Workflow runs: registering them, finding them, and reading where they are.

use serde_json::json;

use super::approval::{approval_field, with_approval};
use super::arguments::Arguments;
use super::call::ToolCall;
use super::field::{self, Field};
use super::json_object::JsonObject;
use super::page::{
    PAGE_BYTES, VALUES_BYTES, Values, remaining_fields, rest_fields, row_bytes, shorten, whole_rows,
};
use super::stats::{counts_field, counts_object};
use super::tool::{Tool, ToolAccess};
use crate::limits::DEPENDENCIES_MAX;
use crate::machine::command::{Concurrency, Create, RunDeadline, UniqueFor, UniqueRequest};
use crate::machine::dependency_failure::OnDependencyFailure;
use crate::machine::filter::RunFilter;
use crate::machine::page::Page;
use crate::machine::query::{Answer, Resumed};
use crate::machine::row::{RunRow, StepRow};
use crate::machine::run_group::StatusCounts;
use crate::machine::status::Status;
use crate::machine::{Command, Json, Question, Reply, Text};
use crate::service::ServiceError;
use crate::store::Consistency;

pub(super) const STATUSES: [&str; 8] = [
    "created",
    "claimed",
    "running",
    "done",
    "failed",
    "cancelled",
    "blocked",
    "awaiting_approval",
];

pub(super) fn tools() -> Vec<Tool> {
    vec![create_tool(), discover_tool(), list_tool(), status_tool(), resume_tool()]
}

pub(super) fn run_field() -> Field {
    field::text("run_id", "")
}

pub(super) fn status_field() -> Field {
    field::one_of("status", &STATUSES, "")
}

/// The fields of every description of a run. Those that the Python reference has
/// come first.
fn run_fields() -> Vec<Field> {
    vec![
        run_field().required(),
        field::text("name", "The workflow's name.").required(),
        status_field().required(),
        field::object("tags", "As given to workflow_create.").required(),
        field::text("agent_id", "Who works on it, or did when it ended.").nullable().required(),
        field::integer("last_step", "The highest step stored; 0 where there is none.").required(),
        field::integer("next_step", "The first step that is missing.").required(),
        field::integer("steps", "How many steps are stored."),
        field::seconds("created_at", "In Unix seconds.").required(),
        field::seconds("updated_at", "In Unix seconds.").required(),
        field::integer("priority", "Higher is claimed first.").required(),
        field::integer("attempts", "Attempts begun; a claim that lapsed counts.").required(),
        field::integer("max_attempts", "After how many a reported failure is final.").required(),
        field::integer(
            "max_lapses",
            "After how many a claim that lapses ends it, if that differs.",
        ),
        field::text("parent_run_id", "The run that this one belongs to."),
        field::seconds("ready_at", "Not claimable before this."),
        field::seconds("claim_expires_at", "When others may take it over."),
        field::seconds("deadline_at", "When it fails unless it has ended."),
        field::seconds("expires_at", "When it is removed."),
        field::text("error", "Why it failed last, or was cancelled."),
        field::texts("depends_on", "The runs that had to end first."),
        field::texts("blocked_by", "Those of them that it still waits for."),
        approval_field(),
    ]
}

fn run_object(run: &RunRow, values: Values) -> JsonObject {
    let tags =
        run.tags.iter().fold(JsonObject::new(), |tags, (name, value)| tags.text(name, value));
    let texts = values.for_texts();
    let object = JsonObject::new()
        .text("run_id", &run.run_id)
        .text("name", &run.name)
        .text("status", run.status.as_str());
    let object = texts
        .show_json(object, "tags", &tags.finish())
        .text_or_null("agent_id", run.agent_id.as_deref())
        .number("last_step", run.last_step)
        .number("next_step", run.steps.next_after(run.last_step))
        .number_if("steps", run.steps.known_count(run.last_step))
        .time("created_at", run.created_at)
        .time("updated_at", run.updated_at)
        .number("priority", run.priority)
        .number("attempts", run.attempts)
        .number("max_attempts", run.max_attempts)
        .number_if("max_lapses", most_lapses(run))
        .text_if("parent_run_id", run.parent_run_id.as_deref())
        .deadline_if("ready_at", run.ready_at.filter(|_| run.status == Status::Created))
        .deadline_if("claim_expires_at", claim_deadline(run))
        .deadline_if("deadline_at", run.deadline_at.filter(|_| !run.is_over()))
        .deadline_if("expires_at", run.expires_at);
    let object = match &run.error {
        Some(error) => texts.show_text(object, "error", error),
        None => object,
    };
    let object = object.texts_if("depends_on", run.depends_on());
    let object = object.texts_if("blocked_by", run.blocked_by());
    with_approval(object, run, texts)
}

/// After how many attempts a claim that lapses ends the run, where that is not as many as
/// for a failure that an agent reports.
fn most_lapses(run: &RunRow) -> Option<u64> {
    let most = run.retry.most_lapses();
    (most != run.max_attempts).then(|| most.into())
}

/// When others may take the run over. A run that has ended keeps its claim, whose
/// deadline means nothing any more.
fn claim_deadline(run: &RunRow) -> Option<crate::machine::ClusterMs> {
    let can_lapse = !run.is_over() && run.status != Status::AwaitingApproval;
    run.claim.as_ref().filter(|_| can_lapse).map(|claim| claim.expires_at)
}

/// The fields that lists leave out, since they may be large.
fn value_fields() -> [Field; 2] {
    [
        field::any("input", "As given to workflow_create, if any."),
        field::any("result", "As given to workflow_complete, if any."),
    ]
}

fn with_values(reply: JsonObject, run: &RunRow, values: Values) -> JsonObject {
    let value = |reply: JsonObject, name, value: &Option<Json>| match value {
        Some(value) => values.show(reply, name, value),
        None => reply,
    };
    value(value(reply, "input", &run.input), "result", &run.result)
}

fn create_tool() -> Tool {
    Tool {
        name: "workflow_create",
        title: "Create a workflow",
        description: "Register work for any agent to claim. Workers find it by name and tags.",
        takes: create_fields().into_iter().chain([field::idempotency_key()]).collect(),
        gives: vec![
            run_field().required(),
            field::text("name", "The workflow's name.").required(),
            status_field().required(),
            field::boolean("existing", "It was there before."),
        ],
        access: ToolAccess::Write { destructive: false, idempotent: false },
        run: |call| Box::pin(create(call)),
    }
}

/// What a run is made of.
fn create_fields() -> Vec<Field> {
    vec![
        field::text("name", "The kind of work, such as 'etl'.").required(),
        field::tags("What workers choose by, such as {\"team\": \"data\"}."),
        field::any("input", "What the worker needs to know."),
        field::integer("priority", "Higher is claimed first."),
        field::integer("delay_seconds", "").least(0),
        field::integer("max_attempts", "How often it is tried, crashes included.").least(1),
        field::object_of("retry", retry_fields(), "How it is tried again."),
        field::integer("deadline_seconds", "Fails if it has not ended by then.").least(1),
        field::one_of("deadline_from", &DEADLINE_FROM, "When that time begins."),
        field::integer("start_within_seconds", "Fails if unclaimed by then.").least(1),
        field::integer("keep_seconds", "How long it is kept after its end.").least(0),
        field::text("parent_run_id", "Cancelling the parent cancels this run."),
        field::object_of("concurrency", concurrency_fields(), "Runs of a key claimed at once."),
        field::text("fair_key", "Keys take turns, such as tenants."),
        field::object_of("unique", unique_fields(), "Returns the run that has the key."),
        field::texts("depends_on", "run_ids that must end first."),
        field::one_of("on_dependency_failure", &ON_DEPENDENCY_FAILURE, "If one fails."),
    ]
}

const ON_DEPENDENCY_FAILURE: [&str; 3] = ["fail", "cancel", "continue"];

/// What the runs of a schedule are made of. Its members are not told again.
pub(super) fn template_field() -> Field {
    let field = field::object("template", "Arguments of workflow_create.");
    Field { members: create_fields(), ..field }
}

/// The runs that the end of a run creates. Their members are not told again.
pub(super) fn successors_field() -> Field {
    let items = json!({"type": "object"});
    let field = field::list_of("successors", items, "Each as for workflow_create.");
    Field { members: create_fields(), ..field }
}

pub(super) fn successors(args: &mut Arguments<'_>) -> Result<Vec<Create>, ServiceError> {
    let mut given = args.objects("successors")?;
    given.iter_mut().map(create_of).collect()
}

const DEADLINE_FROM: [&str; 2] = ["creation", "claim"];

fn retry_fields() -> Vec<Field> {
    vec![
        field::integer("max_attempts", "A claim that lapses is one too.").least(1),
        field::integer("backoff_seconds", "The first pause; it doubles.").least(1),
        field::integer("backoff_max_seconds", "").least(1),
    ]
}

const UNIQUE_WHILE: [&str; 2] = ["active", "queued"];

fn concurrency_fields() -> Vec<Field> {
    vec![field::text("key", "").required(), field::integer("limit", "").least(1).required()]
}

fn unique_fields() -> Vec<Field> {
    vec![
        field::text("key", "").required(),
        field::one_of("while", &UNIQUE_WHILE, ""),
        field::integer("seconds", "Instead of while.").least(1),
    ]
}

fn concurrency(mut given: Arguments<'_>) -> Result<Option<Concurrency>, ServiceError> {
    let Some(key) = given.text_if("key")? else { return Ok(None) };
    let limit = given.attempts_if("limit")?.unwrap_or(1);
    Ok(Some(Concurrency { key, limit }))
}

fn unique(mut given: Arguments<'_>) -> Result<Option<UniqueRequest>, ServiceError> {
    let Some(key) = given.text_if("key")? else { return Ok(None) };
    let held = match (given.choice("while")?, given.seconds_as_ms_if("seconds")?) {
        (None, Some(ms)) => UniqueFor::Ms(ms),
        (Some(_), Some(_)) => return Err(given.invalid("seconds", "cannot be given with while")),
        (Some("queued"), None) => UniqueFor::Queued,
        (_, None) => UniqueFor::Active,
    };
    Ok(Some(UniqueRequest { key, held }))
}

/// The run that the arguments describe.
pub(super) fn create_of(args: &mut Arguments<'_>) -> Result<Create, ServiceError> {
    let max_attempts = args.attempts_if("max_attempts")?;
    let mut retry = args.members_of("retry")?;
    let deadline_ms = args.seconds_as_ms_if("deadline_seconds")?;
    let from_claim = args.choice("deadline_from")? == Some("claim");
    Ok(Create {
        name: args.text("name")?,
        tags: args.tags()?,
        input: args.json_if("input"),
        priority: args.integer_if("priority")?.unwrap_or(0),
        delay_ms: args.seconds_as_ms_if("delay_seconds")?,
        max_attempts: retry.attempts_if("max_attempts")?.or(max_attempts).unwrap_or(0),
        parent_run_id: args.text_if("parent_run_id")?,
        backoff_ms: retry.seconds_as_ms_if("backoff_seconds")?,
        backoff_max_ms: retry.seconds_as_ms_if("backoff_max_seconds")?,
        deadline: deadline_ms.map(|ms| RunDeadline { ms, from_claim }),
        start_within_ms: args.seconds_as_ms_if("start_within_seconds")?,
        keep_ms: args.seconds_as_ms_if("keep_seconds")?,
        concurrency: concurrency(args.members_of("concurrency")?)?,
        fair_key: args.text_if("fair_key")?,
        unique: unique(args.members_of("unique")?)?,
        depends_on: args.texts("depends_on")?,
        on_dependency_failure: match args.choice("on_dependency_failure")? {
            Some("cancel") => OnDependencyFailure::Cancel,
            Some("continue") => OnDependencyFailure::Continue,
            _ => OnDependencyFailure::Fail,
        },
    })
}

async fn create(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let command = Command::Create(create_of(&mut call.args)?);
    match call.submit(command).await? {
        Reply::Created { run_id, name, status, existing } => {
            let created = JsonObject::new()
                .text("run_id", &run_id)
                .text("name", &name)
                .text("status", status.as_str());
            Ok(if existing { created.bool("existing", true) } else { created })
        }
        _ => Err(ServiceError::unexpected_answer()),
    }
}

/// The results of a list of runs.
fn runs_fields() -> Vec<Field> {
    let runs = field::objects("runs", run_fields(), "The runs, newest first.").required();
    [runs].into_iter().chain(rest_fields()).collect()
}

fn discover_tool() -> Tool {
    Tool {
        name: "workflow_discover",
        title: "Find workflows",
        description: "Find workflow runs by name, tags and status, newest first, such as those that can be \
            claimed now.",
        takes: vec![
            field::text("name", "The kind of work."),
            field::tags("All must match."),
            status_field(),
            field::boolean("claimable", "Whether it can be claimed now."),
            field::text("parent_run_id", ""),
            field::text("agent_id", ""),
            field::limit(),
            field::cursor(),
            field::values(),
            field::consistency(),
        ],
        gives: runs_fields(),
        access: ToolAccess::Read,
        run: |call| Box::pin(discover(call)),
    }
}

async fn discover(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let filter = RunFilter {
        name: call.args.text_if("name")?,
        tags: call.args.tags()?,
        status: call.args.choice("status")?.and_then(|name| name.parse().ok()),
        claimable: call.args.bool_if("claimable")?,
        parent_run_id: call.args.text_if("parent_run_id")?,
        agent_id: call.args.text_if("agent_id")?,
    };
    page_of_runs(call, filter).await
}

async fn page_of_runs(
    mut call: ToolCall<'_>,
    filter: RunFilter,
) -> Result<JsonObject, ServiceError> {
    let page = call.args.page()?;
    let before = call.args.revision_cursor()?;
    let values = call.args.values(Values::Head)?;
    let consistency = call.args.consistency()?;
    let question = Question::Runs { filter, before, page: whole_rows(page) };
    let Answer::Runs { mut rows, mut next } = call.ask(question, consistency).await? else {
        return Err(ServiceError::unexpected_answer());
    };
    let sent = |run: &RunRow| row_bytes(run_object(run, values));
    let rest = shorten(page, &mut rows, &mut next, sent, |last| last.created_revision);
    let cursor = next.map(|revision| revision.to_string());
    let runs = rows.iter().map(|run| run_object(run, values));
    Ok(rest.tell_cursor(JsonObject::new().objects("runs", runs), cursor.as_deref()))
}

fn list_tool() -> Tool {
    Tool {
        name: "workflow_list",
        title: "List workflows",
        description: "List all workflow runs, newest first. To search, use workflow_discover.",
        takes: vec![field::limit(), field::cursor(), field::values(), field::consistency()],
        gives: runs_fields(),
        access: ToolAccess::Read,
        run: |call| Box::pin(page_of_runs(call, RunFilter::default())),
    }
}

fn status_tool() -> Tool {
    let mut gives = run_fields();
    gives.push(counts_field("children", "How many there are of each status."));
    gives.extend(value_fields());
    Tool {
        name: "workflow_status",
        title: "Check a workflow",
        description: "See where one run is: status, agent, last step, result or error. For its \
            steps' outputs use workflow_resume.",
        takes: vec![run_field().required(), field::values(), field::consistency()],
        gives,
        access: ToolAccess::Read,
        run: |call| Box::pin(run_status(call)),
    }
}

fn with_children(object: JsonObject, children: &StatusCounts) -> JsonObject {
    match children.iter().any(|runs| *runs > 0) {
        true => object.object("children", counts_object(children)),
        false => object,
    }
}

async fn run_status(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let run_id = call.args.text("run_id")?;
    // A run has two values.
    let values = call.args.values(Values::UpTo(VALUES_BYTES / 2))?;
    let consistency = call.args.consistency()?;
    let question = Question::Run { run_id: run_id.clone() };
    match call.ask(question, consistency).await? {
        Answer::Run { run: Some(run), children } => {
            let object = with_children(run_object(&run, values), &children);
            Ok(with_values(object, &run, values))
        }
        Answer::Run { run: None, .. } => Err(not_found(&run_id)),
        _ => Err(ServiceError::unexpected_answer()),
    }
}

fn resume_tool() -> Tool {
    let mut meta = run_fields();
    meta.extend(value_fields());
    meta.push(prerequisites_field());
    Tool {
        name: "workflow_resume",
        title: "Resume a workflow",
        description: "Call right after claiming: gives last_step, each step's output and the run's \
            input, so that you go on where a predecessor stopped. If next_from_step is \
            given, ask again from there.",
        takes: vec![
            run_field().required(),
            field::integer("from_step", "").least(0),
            field::limit(),
            field::values(),
            field::consistency(),
        ],
        gives: vec![
            run_field().required(),
            field::integer("last_step", "The highest step stored; 0 where there is none.")
                .required(),
            field::object("step_outputs", "Each step's output under its number.").required(),
            field::integer("next_from_step", "Given when there are more: pass it as from_step."),
            field::object_of("meta", meta, "The run itself.").required(),
        ]
        .into_iter()
        .chain(remaining_fields())
        .collect(),
        access: ToolAccess::Read,
        run: |call| Box::pin(resume(call)),
    }
}

/// What a value of the run may take in each page after the first.
const REPEATED_BYTES: usize = 512;

async fn resume(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let run_id = call.args.text("run_id")?;
    let consistency = call.args.consistency()?;
    let from_step = call.args.unsigned_if("from_step")?.unwrap_or(0);
    let page = call.args.page()?;
    // A step's output, the run's input and its result.
    let values = call.args.values(Values::UpTo(VALUES_BYTES / 3))?;
    let read = whole_rows(page);
    let question = Question::Resume { run_id: run_id.clone(), from_step, page: read };
    let resumed = match call.ask(question, consistency).await? {
        Answer::Resume(Some(resumed)) => *resumed,
        Answer::Resume(None) => return Err(not_found(&run_id)),
        _ => return Err(ServiceError::unexpected_answer()),
    };
    let Resumed { run, mut steps, next_step: mut next } = resumed;
    // What comes with every page is repeated only where it is short.
    let meta_values = if from_step == 0 { values } else { values.within(REPEATED_BYTES) };
    let meta = with_values(run_object(&run, meta_values), &run, meta_values);
    let page = Page { bytes: PAGE_BYTES.saturating_sub(row_bytes(meta.clone())), ..page };
    let output = |steps: JsonObject, (step, row): &(u64, StepRow)| {
        values.show(steps, &step.to_string(), &row.output)
    };
    let sent = |step: &(u64, StepRow)| row_bytes(output(JsonObject::new(), step));
    let numbers: Vec<u64> = steps.iter().map(|(step, _)| *step).collect();
    let after = |(last, _): &(u64, StepRow)| {
        numbers.iter().copied().find(|step| step > last).unwrap_or(*last)
    };
    let rest = shorten(page, &mut steps, &mut next, sent, after);
    let meta = match from_step == 0 && !run.depends_on().is_empty() {
        true => with_prerequisites(&mut call, meta, &run_id).await?,
        false => meta,
    };
    let reply = JsonObject::new()
        .text("run_id", &run_id)
        .number("last_step", run.last_step)
        .object("step_outputs", steps.iter().fold(JsonObject::new(), output))
        .number_if("next_from_step", next);
    Ok(rest.tell(reply).object("meta", meta))
}

/// The results that a run builds on may take so much of an answer.
const PREREQUISITES_BYTES: usize = VALUES_BYTES / 3;

/// Adds how the runs ended that this one depends on, each with its result. Those that
/// take too much space are left out; `workflow_status` tells them.
pub(super) async fn with_prerequisites(
    call: &mut ToolCall<'_>,
    reply: JsonObject,
    run_id: &Text,
) -> Result<JsonObject, ServiceError> {
    let page = Page { rows: DEPENDENCIES_MAX, bytes: PREREQUISITES_BYTES };
    let question = Question::Prerequisites { run_id: run_id.clone(), page };
    let Answer::Runs { rows, .. } = call.ask(question, Consistency::default()).await? else {
        return Err(ServiceError::unexpected_answer());
    };
    let values = Values::UpTo(PREREQUISITES_BYTES);
    let prerequisites = rows.iter().fold(JsonObject::new(), |all, run| {
        let one = JsonObject::new().text("name", &run.name).text("status", run.status.as_str());
        let one = match (&run.result, &run.error) {
            (Some(result), _) => values.show(one, "result", result),
            (None, Some(error)) => values.for_texts().show_text(one, "error", error),
            (None, None) => one,
        };
        all.object(&run.run_id, one)
    });
    Ok(reply.object("prerequisites", prerequisites))
}

/// The results of [`with_prerequisites`].
pub(super) fn prerequisites_field() -> Field {
    field::object("prerequisites", "How each run ended that this one depends on.")
}

fn not_found(run_id: &str) -> ServiceError {
    ServiceError::not_found(format!("Workflow '{run_id}' not found"))
}
