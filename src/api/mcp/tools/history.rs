//! The history: every change of state, newest first.

use serde_json::json;

use super::call::ToolCall;
use super::field::{self, Field};
use super::json_object::JsonObject;
use super::page::{VALUES_BYTES, Values, remaining_fields, row_bytes, shorten, whole_rows};
use super::tool::{Tool, ToolAccess};
use crate::machine::filter::HistoryFilter;
use crate::machine::query::Answer;
use crate::machine::{Action, Event, Question};
use crate::nearest::nearest;
use crate::service::ServiceError;

/// How many entries a call gives if it does not say; the Python reference has the
/// same default.
const ENTRIES_DEFAULT: usize = 10;

pub(super) fn tools() -> Vec<Tool> {
    vec![log_tool()]
}

/// The fields of a change, here and in `state_wait`.
pub(super) fn event_fields() -> Vec<Field> {
    let actions: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
    vec![
        field::integer("id", "Counts the changes of state; the same number as revision.")
            .required(),
        field::text("key", "The key; or workflow:…, lease:… or session:… and an id.").required(),
        field::any("new_value", "What it is now; null where it is gone.").required(),
        field::any("previous_value", "What it was before; null where it was not there.").required(),
        field::text("agent_id", "Who did it, where known.").nullable().required(),
        field::seconds("written_at", "When, in Unix seconds.").required(),
        field::one_of("action", &actions, "What happened.").required(),
        field::integer("revision", "The revision that this change made.").required(),
        field::text("chain", "SHA-256 over the entry before and this one.").required(),
    ]
}

pub(super) fn event_object(event: &Event, values: Values) -> JsonObject {
    let object = JsonObject::new().revision("id", event.revision).text("key", &event.subject);
    let object = values.show_or_null(object, "new_value", event.new.as_ref());
    values
        .show_or_null(object, "previous_value", event.previous.as_ref())
        .text_or_null("agent_id", event.actor.as_deref())
        .time("written_at", event.at)
        .text("action", event.action.as_str())
        .revision("revision", event.revision)
        .text("chain", &event.chain.to_string())
}

fn log_tool() -> Tool {
    Tool {
        name: "history_log",
        title: "Read the history",
        description: "Read who changed what and when, newest first: every change of keys, workflows, \
            leases and sessions, with the values before and after.",
        takes: vec![
            field::text(
                "key",
                "A key, or 'workflow:<run_id>', 'lease:<resource_id>', 'session:<session_id>'.",
            )
            .fills("subject"),
            field::integer("n", "Entries at most.")
                .least(1)
                .default(json!(ENTRIES_DEFAULT))
                .fills("limit"),
            field::text("action", "Such as 'lease_acquire'."),
            field::text("agent_id", "").fills("actor"),
            field::integer("before_id", "next_before_id of the page before.").least(0),
            field::values(),
            field::consistency(),
        ],
        gives: vec![
            field::objects("entries", event_fields(), "The changes.").required(),
            field::integer("total", "How many entries are in this answer.").required(),
            field::integer(
                "next_before_id",
                "Given when there are older entries: pass it as \
                before_id.",
            ),
        ]
        .into_iter()
        .chain(remaining_fields())
        .collect(),
        access: ToolAccess::Read,
        run: |call| Box::pin(log(call)),
    }
}

async fn log(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let filter = HistoryFilter {
        subject: call.args.text_if("key")?,
        action: call.args.string_if("action")?.map(|name| action(&name)).transpose()?,
        actor: call.args.text_if("agent_id")?,
    };
    let page = call.args.page_of("n", ENTRIES_DEFAULT)?;
    // An entry has two values.
    let values = call.args.values(Values::UpTo(VALUES_BYTES / 2))?;
    let before = call.args.revision_if("before_id")?;
    let consistency = call.args.consistency()?;
    let question = Question::History { filter, before, page: whole_rows(page) };
    let Answer::History { mut events, more } = call.ask(question, consistency).await? else {
        return Err(ServiceError::unexpected_answer());
    };
    let mut next = events.last().filter(|_| more).map(|last| last.revision);
    let sent = |event: &Event| row_bytes(event_object(event, values));
    let rest = shorten(page, &mut events, &mut next, sent, |last| last.revision);
    let reply = JsonObject::new()
        .objects("entries", events.iter().map(|event| event_object(event, values)))
        .number("total", events.len() as u64)
        .number_if("next_before_id", next.map(|revision| revision.0));
    Ok(rest.tell(reply))
}

fn action(name: &str) -> Result<Action, ServiceError> {
    name.parse().map_err(|()| {
        let names: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        let hint = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("it takes {}", names.join(", ")),
        };
        ServiceError::invalid(format!("action must be the name of a change; {hint}"))
    })
}
