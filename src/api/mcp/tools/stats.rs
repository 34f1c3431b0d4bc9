//! Statistics: how many runs of each name there are, and how long they wait.

use super::call::ToolCall;
use super::field::{self, Field};
use super::json_object::JsonObject;
use super::page::{rest_fields, row_bytes, shorten, whole_rows};
use super::tool::{Tool, ToolAccess};
use crate::machine::Question;
use crate::machine::page::{Page, Scan};
use crate::machine::query::{Answer, NameStats};
use crate::machine::run_group::{RunChanges, StatusCounts, occurring};
use crate::machine::status::Status;
use crate::service::ServiceError;

pub(super) fn tools() -> Vec<Tool> {
    vec![stats_tool()]
}

/// How many runs there are of each status that occurs.
pub(super) fn counts_field(name: &'static str, help: &str) -> Field {
    let counts = Status::ALL.iter().map(|status| field::integer(status.as_str(), "")).collect();
    field::object_of(name, counts, help)
}

pub(super) fn counts_object(counts: &StatusCounts) -> JsonObject {
    occurring(counts)
        .fold(JsonObject::new(), |object, (status, runs)| object.number(status.as_str(), runs))
}

fn stats_tool() -> Tool {
    let oldest = vec![
        field::text("run_id", "").required(),
        field::seconds("waiting_since", "In Unix seconds.").required(),
    ];
    let recent = ["created", "claimed", "completed", "failed"];
    let recent = recent.into_iter().map(|name| field::integer(name, "").required()).collect();
    let entry = vec![
        field::text("name", "The name of the runs.").required(),
        counts_field("counts", "How many there are of each status.").required(),
        field::object_of("oldest_waiting", oldest, "Of those that can be claimed."),
        field::boolean("paused", "Whether workflow_pause has paused it."),
        field::object_of("last_5_minutes", recent, "What has happened to them.").required(),
    ];
    Tool {
        name: "workflow_stats",
        title: "Count workflows",
        description: "Count workflow runs by name and status; shows how long they wait.",
        takes: vec![field::text("name", ""), field::limit(), field::cursor(), field::consistency()],
        gives: [field::objects("stats", entry, "By name.").required()]
            .into_iter()
            .chain(rest_fields())
            .collect(),
        access: ToolAccess::Read,
        run: |call| Box::pin(stats(call)),
    }
}

async fn stats(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let name = call.args.text_if("name")?;
    let (scan, page, consistency) = call.args.scan()?;
    let (scan, read) = match &name {
        // The name itself is the first one that begins with it.
        Some(name) => (Scan { prefix: name.clone(), after: None }, Page { rows: 1, ..page }),
        None => (scan, whole_rows(page)),
    };
    let question = Question::Stats { scan, page: read };
    let Answer::Stats { mut rows, mut next } = call.ask(question, consistency).await? else {
        return Err(ServiceError::unexpected_answer());
    };
    if let Some(name) = &name {
        rows.retain(|row| row.name == *name);
        next = None;
    }
    let sent = |row: &NameStats| row_bytes(stats_object(row));
    let rest = shorten(page, &mut rows, &mut next, sent, |row: &NameStats| row.name.clone());
    let reply = JsonObject::new().objects("stats", rows.iter().map(stats_object));
    Ok(rest.tell_cursor(reply, next.as_deref()))
}

fn stats_object(stats: &NameStats) -> JsonObject {
    let RunChanges { created, claimed, completed, failed } = stats.recent;
    let object =
        JsonObject::new().text("name", &stats.name).object("counts", counts_object(&stats.counts));
    let object = match &stats.oldest {
        Some((run_id, since)) => object.object(
            "oldest_waiting",
            JsonObject::new().text("run_id", run_id).time("waiting_since", *since),
        ),
        None => object,
    };
    let object = if stats.paused { object.bool("paused", true) } else { object };
    let recent = JsonObject::new()
        .number("created", created)
        .number("claimed", claimed)
        .number("completed", completed)
        .number("failed", failed);
    object.object("last_5_minutes", recent)
}
