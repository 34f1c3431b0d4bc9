//! Schedules: runs that are created again and again.

use super::call::ToolCall;
use super::field::{self, Field};
use super::json_object::JsonObject;
use super::page::{Values, rest_fields, row_bytes, shorten, whole_rows};
use super::run::{create_of, template_field};
use super::tool::{Tool, ToolAccess};
use crate::cron::TIME_ZONE_DEFAULT;
use crate::machine::command::{DeleteSchedule, SetSchedule};
use crate::machine::query::Answer;
use crate::machine::row::ScheduleRow;
use crate::machine::timetable::{FiringMs, Timetable};
use crate::machine::{ClusterMs, Command, Question, Reply, Text};
use crate::service::ServiceError;

const OVERLAPS: [&str; 3] = ["skip", "queue", "replace"];

pub(super) fn tools() -> Vec<Tool> {
    vec![set_tool(), list_tool()]
}

fn name_field() -> Field {
    field::text("name", "")
}

fn set_tool() -> Tool {
    Tool {
        name: "schedule_set",
        title: "Set a schedule",
        description: "Create a workflow at each time of a cron expression or interval.",
        takes: vec![
            name_field().required(),
            field::text("cron", ""),
            field::integer("every_seconds", ""),
            field::text("timezone", ""),
            template_field(),
            field::one_of("overlap", &OVERLAPS, "If the last run is not over."),
            field::boolean("delete", ""),
            field::idempotency_key(),
        ],
        gives: vec![
            field::boolean("ok", "Whether it was set, or was there and is gone now.").required(),
            name_field().required(),
            field::integer("revision", "The revision of this change."),
            field::seconds("next_at", "The next firing, in Unix seconds."),
        ],
        access: ToolAccess::Write { destructive: true, idempotent: true },
        run: |call| Box::pin(set(call)),
    }
}

async fn set(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let name = call.args.text("name")?;
    let command = match call.args.bool_if("delete")? {
        Some(true) => Command::DeleteSchedule(DeleteSchedule { name, agent_id: None }),
        Some(false) | None => Command::SetSchedule(Box::new(schedule_of(name, &mut call)?)),
    };
    match call.submit(command).await? {
        Reply::ScheduleSet { name, revision, next_at } => Ok(JsonObject::new()
            .bool("ok", true)
            .text("name", &name)
            .revision("revision", revision)
            .deadline_if("next_at", next_at.map(shown))),
        Reply::ScheduleDeleted { ok, name } => {
            Ok(JsonObject::new().bool("ok", ok).text("name", &name))
        }
        _ => Err(ServiceError::unexpected_answer()),
    }
}

/// The schedule that the arguments describe.
fn schedule_of(name: Text, call: &mut ToolCall<'_>) -> Result<SetSchedule, ServiceError> {
    let time_zone = call.args.text_if("timezone")?;
    let every_ms = call.args.seconds_as_ms_if("every_seconds")?;
    let timetable = match (call.args.text_if("cron")?, every_ms, time_zone) {
        (Some(expression), None, time_zone) => {
            let time_zone = time_zone.unwrap_or_else(|| TIME_ZONE_DEFAULT.into());
            Timetable::Cron { expression, time_zone }
        }
        (None, Some(ms), None) => Timetable::Every { ms },
        (None, Some(_), Some(_)) => {
            return Err(call.args.invalid("timezone", "belongs to cron, not to every_seconds"));
        }
        _ => return Err(call.args.invalid("cron", "or every_seconds is required, and only one")),
    };
    let template = create_of(&mut call.args.members_of("template")?)?;
    let overlap = call.args.choice("overlap")?.and_then(|name| name.parse().ok());
    let (overlap, first_at, agent_id) = (overlap.unwrap_or_default(), None, None);
    Ok(SetSchedule { name, timetable, template, overlap, first_at, agent_id })
}

fn list_tool() -> Tool {
    let schedule = vec![
        name_field().required(),
        field::text("cron", "As given to schedule_set."),
        field::text("timezone", "As given to schedule_set."),
        field::seconds("every_seconds", "As given to schedule_set."),
        field::text("overlap", "As given to schedule_set.").required(),
        field::text("workflow", "The name of the runs that it creates.").required(),
        field::any("input", "Their input, if any."),
        field::seconds("next_at", "The next firing, in Unix seconds."),
        field::integer("fired", "The runs that it has created.").required(),
        field::integer("missed", "Firings that passed unnoticed or failed.").required(),
        field::integer("skipped", "Firings that found the last run not over.").required(),
        field::text("last_run_id", "The last run."),
        field::seconds("last_fired_at", "When that was created, in Unix seconds."),
        field::text("last_error", "What was wrong with the last firing."),
        field::text("agent_id", "Who set it."),
        field::seconds("set_at", "When it was set, in Unix seconds.").required(),
        field::integer("revision", "The revision that last changed it.").required(),
    ];
    Tool {
        name: "schedule_list",
        title: "List schedules",
        description: "List schedules.",
        takes: vec![field::limit(), field::cursor(), field::consistency()],
        gives: [field::objects("schedules", schedule, "The schedules.").required()]
            .into_iter()
            .chain(rest_fields())
            .collect(),
        access: ToolAccess::Read,
        run: |call| Box::pin(list(call)),
    }
}

async fn list(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let (scan, page, consistency) = call.args.scan()?;
    let question = Question::Schedules { scan, page: whole_rows(page) };
    let Answer::Schedules { mut rows, mut next } = call.ask(question, consistency).await? else {
        return Err(ServiceError::unexpected_answer());
    };
    let sent = |row: &(Text, ScheduleRow)| row_bytes(schedule_object(row));
    let rest = shorten(page, &mut rows, &mut next, sent, |(name, _)| name.clone());
    let reply = JsonObject::new().objects("schedules", rows.iter().map(schedule_object));
    Ok(rest.tell_cursor(reply, next.as_deref()))
}

fn schedule_object((name, row): &(Text, ScheduleRow)) -> JsonObject {
    let object = JsonObject::new().text("name", name);
    let object = match &row.timetable {
        Timetable::Cron { expression, time_zone } => {
            object.text("cron", expression).text("timezone", time_zone)
        }
        Timetable::Every { ms } => object.seconds("every_seconds", *ms),
    };
    let object = object.text("overlap", row.overlap.as_str()).text("workflow", &row.template.name);
    let object = match &row.template.input {
        Some(input) => Values::Head.show(object, "input", input),
        None => object,
    };
    let object = object
        .deadline_if("next_at", row.next_at.map(shown))
        .number("fired", row.fired)
        .number("missed", row.missed)
        .number("skipped", row.skipped)
        .text_if("last_run_id", row.last_run_id.as_deref());
    let object = match row.last_fired_at {
        Some(at) => object.time("last_fired_at", at),
        None => object,
    };
    let object = match &row.last_error {
        Some(error) => Values::Head.show_text(object, "last_error", error),
        None => object,
    };
    object
        .text_if("agent_id", row.agent_id.as_deref())
        .time("set_at", row.set_at)
        .revision("revision", row.revision)
}

/// Both clocks count from the same beginning.
fn shown(at: FiringMs) -> ClusterMs {
    ClusterMs(at.0)
}
