//! Sessions: a JSON object that an agent finds again after a restart.

use super::call::ToolCall;
use super::field::{self, Field};
use super::json_object::JsonObject;
use super::page::{VALUES_BYTES, Values, rest_fields, row_bytes, shorten, whole_rows};
use super::tool::{Tool, ToolAccess};
use crate::machine::command::{DeleteSession, SaveSession};
use crate::machine::query::Answer;
use crate::machine::row::SessionRow;
use crate::machine::{Command, Question, Reply, Text};
use crate::service::ServiceError;

pub(super) fn tools() -> Vec<Tool> {
    vec![save_tool(), restore_tool(), list_tool(), delete_tool()]
}

fn session_field() -> Field {
    field::text("session_id", "Any name that you will know again.")
}

fn agent_field() -> Field {
    field::text("agent_id", "Your name, for the history.")
}

fn save_tool() -> Tool {
    Tool {
        name: "session_save",
        title: "Save a session",
        description: "Save your working context, to go on after a restart or with a full context \
            window. Replaces what was saved.",
        takes: vec![
            session_field().required(),
            field::object("context", "What you need to go on.").required(),
            field::integer("ttl_seconds", "Forget it after this long.").least(1),
            agent_field(),
            field::fence(),
            field::idempotency_key(),
        ],
        gives: vec![
            field::boolean("ok", "Whether it was saved.").required(),
            session_field().required(),
            field::integer("revision", "The revision that last changed the session.").required(),
            field::text("reason", "Why not, where refused.").nullable(),
        ],
        access: ToolAccess::Write { destructive: true, idempotent: true },
        run: |call| Box::pin(save(call)),
    }
}

async fn save(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let command = Command::SaveSession(SaveSession {
        session_id: call.args.text("session_id")?,
        context: call.args.object("context")?,
        agent_id: call.args.text_if("agent_id")?,
        fence: call.args.fence()?,
        ttl_ms: call.args.seconds_as_ms_if("ttl_seconds")?,
    });
    match call.submit(command).await? {
        Reply::SessionSaved { ok, session_id, revision, reason } => Ok(JsonObject::new()
            .bool("ok", ok)
            .text("session_id", &session_id)
            .revision("revision", revision)
            .text_if("reason", reason.as_deref())),
        _ => Err(ServiceError::unexpected_answer()),
    }
}

fn restore_tool() -> Tool {
    Tool {
        name: "session_restore",
        title: "Restore a session",
        description: "Get the context saved under a session id. Call it when you start.",
        takes: vec![session_field().required(), field::values(), field::consistency()],
        gives: vec![
            field::boolean("found", "Whether there is such a session.").required(),
            session_field().required(),
            field::object("context", "What was saved.").nullable().required(),
            field::integer("revision", "The revision that last changed the session."),
            field::seconds("saved_at", "When it was first saved, in Unix seconds."),
            field::seconds("updated_at", "When it was last saved, in Unix seconds."),
        ],
        access: ToolAccess::Read,
        run: |call| Box::pin(restore(call)),
    }
}

async fn restore(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let session_id = call.args.text("session_id")?;
    let values = call.args.values(Values::UpTo(VALUES_BYTES))?;
    let consistency = call.args.consistency()?;
    let question = Question::Session { session_id: session_id.clone() };
    let Answer::Session(row) = call.ask(question, consistency).await? else {
        return Err(ServiceError::unexpected_answer());
    };
    let reply = JsonObject::new().bool("found", row.is_some()).text("session_id", &session_id);
    Ok(match row {
        Some(row) => values
            .show(reply, "context", &row.context)
            .revision("revision", row.revision)
            .time("saved_at", row.saved_at)
            .time("updated_at", row.updated_at),
        None => reply.null("context"),
    })
}

fn list_tool() -> Tool {
    let session = vec![
        session_field().required(),
        field::integer("revision", "The revision that last changed it.").required(),
        field::seconds("saved_at", "When it was first saved, in Unix seconds.").required(),
        field::seconds("updated_at", "When it was last saved, in Unix seconds.").required(),
    ];
    Tool {
        name: "session_list",
        title: "List sessions",
        description: "List saved sessions, without their contexts.",
        takes: vec![
            field::text("prefix", ""),
            field::limit(),
            field::cursor(),
            field::consistency(),
        ],
        gives: [field::objects("sessions", session, "The sessions.").required()]
            .into_iter()
            .chain(rest_fields())
            .collect(),
        access: ToolAccess::Read,
        run: |call| Box::pin(list(call)),
    }
}

async fn list(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let (scan, page, consistency) = call.args.scan()?;
    let question = Question::Sessions { scan, page: whole_rows(page) };
    let Answer::Sessions { mut rows, mut next } = call.ask(question, consistency).await? else {
        return Err(ServiceError::unexpected_answer());
    };
    let session = |(session_id, row): &(Text, SessionRow)| {
        JsonObject::new()
            .text("session_id", session_id)
            .revision("revision", row.revision)
            .time("saved_at", row.saved_at)
            .time("updated_at", row.updated_at)
    };
    let sent = |row: &(Text, SessionRow)| row_bytes(session(row));
    let rest = shorten(page, &mut rows, &mut next, sent, |(session_id, _)| session_id.clone());
    let reply = JsonObject::new().objects("sessions", rows.iter().map(session));
    Ok(rest.tell_cursor(reply, next.as_deref()))
}

fn delete_tool() -> Tool {
    Tool {
        name: "session_delete",
        title: "Delete a session",
        description: "Remove a saved session.",
        takes: vec![session_field().required(), agent_field(), field::idempotency_key()],
        gives: vec![
            field::boolean("ok", "Whether it was there and is gone now.").required(),
            session_field().required(),
        ],
        access: ToolAccess::Write { destructive: true, idempotent: true },
        run: |call| Box::pin(delete(call)),
    }
}

async fn delete(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let command = Command::DeleteSession(DeleteSession {
        session_id: call.args.text("session_id")?,
        agent_id: call.args.text_if("agent_id")?,
    });
    match call.submit(command).await? {
        Reply::SessionDeleted { ok, session_id } => {
            Ok(JsonObject::new().bool("ok", ok).text("session_id", &session_id))
        }
        _ => Err(ServiceError::unexpected_answer()),
    }
}
