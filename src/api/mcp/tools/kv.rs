//! Keys: set, get, delete, list, transact, wait.

use std::time::Duration;

use serde_json::json;

use super::arguments::Arguments;
use super::call::ToolCall;
use super::field::{self, Field};
use super::history::event_object;
use super::json_object::{JsonObject, push_string};
use super::page::{
    VALUES_BYTES, Values, remaining_fields, rest_fields, row_bytes, sent_bytes, shorten, whole_rows,
};
use super::tool::{Tool, ToolAccess};
use crate::machine::command::{Compare, Condition, Delete, Operation, Set, Transact};
use crate::machine::filter::ChangeFilter;
use crate::machine::query::Answer;
use crate::machine::reply::{OperationResult, Transacted, Written};
use crate::machine::row::KeyRow;
use crate::machine::{Command, Event, Question, Reply, Text};
use crate::service::ServiceError;

/// How long `state_wait` waits if the caller does not say.
const WAIT_DEFAULT: Duration = Duration::from_secs(30);

pub(super) fn tools() -> Vec<Tool> {
    vec![set_tool(), get_tool(), delete_tool(), list_tool(), transact_tool(), wait_tool()]
}

fn key_field() -> Field {
    field::text("key", "Such as 'team:topic:item'.")
}

fn ttl_field() -> Field {
    field::integer("ttl_seconds", "The key disappears after this.").least(1)
}

fn agent_field() -> Field {
    field::text("agent_id", "Your name, for the history.")
}

fn if_revision_field() -> Field {
    field::integer("if_revision", "Only if the key has this revision; 0: if it does not exist.")
        .least(0)
}

fn revision_field(help: &str) -> Field {
    field::integer("revision", help)
}

fn reason_field() -> Field {
    field::text("reason", "Why not, where it was not done.").nullable()
}

fn set_tool() -> Tool {
    Tool {
        name: "state_set",
        title: "Set a key",
        description: "Store a JSON value under a key that all agents share. It overwrites; give \
            if_revision (from state_get) to change it only if nobody else has.",
        takes: vec![
            key_field().required(),
            field::any("value", "").required(),
            ttl_field(),
            agent_field(),
            if_revision_field(),
            field::fence(),
            field::idempotency_key(),
        ],
        gives: vec![
            field::boolean("ok", "Whether the value was stored.").required(),
            revision_field("The key's revision now; 0 where it does not exist.").required(),
            reason_field(),
        ],
        access: ToolAccess::Write { destructive: true, idempotent: true },
        run: |call| Box::pin(set(call)),
    }
}

async fn set(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let command = Command::Set(Set {
        key: call.args.text("key")?,
        value: call.args.json("value")?,
        ttl_ms: call.args.seconds_as_ms_if("ttl_seconds")?,
        agent_id: call.args.text_if("agent_id")?,
        if_revision: call.args.revision_if("if_revision")?,
        fence: call.args.fence()?,
    });
    match call.submit(command).await? {
        Reply::Set(written) => Ok(written_object(&written)),
        _ => Err(ServiceError::unexpected_answer()),
    }
}

fn written_object(written: &Written) -> JsonObject {
    JsonObject::new()
        .bool("ok", written.ok)
        .revision("revision", written.revision)
        .text_if("reason", written.reason.as_deref())
}

fn get_tool() -> Tool {
    Tool {
        name: "state_get",
        title: "Get a key",
        description: "Read the value of one key, and its revision.",
        takes: vec![key_field().required(), field::values(), field::consistency()],
        gives: vec![
            field::text("key", "The key that was asked for.").required(),
            field::any("value", "Its value; null where it was not found.").required(),
            field::boolean("found", "Whether the key exists.").required(),
            revision_field("The revision that last changed it."),
            field::seconds("expires_at", "When it disappears, in Unix seconds."),
        ],
        access: ToolAccess::Read,
        run: |call| Box::pin(get(call)),
    }
}

async fn get(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let key = call.args.text("key")?;
    let values = call.args.values(Values::UpTo(VALUES_BYTES))?;
    let consistency = call.args.consistency()?;
    let question = Question::Key { key: key.clone() };
    let Answer::Key(row) = call.ask(question, consistency).await? else {
        return Err(ServiceError::unexpected_answer());
    };
    Ok(match row {
        Some(row) => values
            .show(JsonObject::new().text("key", &key), "value", &row.value)
            .bool("found", true)
            .revision("revision", row.revision)
            .deadline_if("expires_at", row.expires_at),
        None => JsonObject::new().text("key", &key).null("value").bool("found", false),
    })
}

fn delete_tool() -> Tool {
    Tool {
        name: "state_delete",
        title: "Delete a key",
        description: "Remove a key.",
        takes: vec![
            key_field().required(),
            agent_field(),
            if_revision_field(),
            field::fence(),
            field::idempotency_key(),
        ],
        gives: vec![
            field::boolean("ok", "Whether the key was there and is gone now.").required(),
            revision_field("Of the removal; where refused, of the key (0 if absent).").required(),
            reason_field(),
        ],
        access: ToolAccess::Write { destructive: true, idempotent: true },
        run: |call| Box::pin(delete(call)),
    }
}

async fn delete(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let command = Command::Delete(Delete {
        key: call.args.text("key")?,
        agent_id: call.args.text_if("agent_id")?,
        if_revision: call.args.revision_if("if_revision")?,
        fence: call.args.fence()?,
    });
    match call.submit(command).await? {
        Reply::Deleted(written) => Ok(written_object(&written)),
        _ => Err(ServiceError::unexpected_answer()),
    }
}

fn list_tool() -> Tool {
    let entry = vec![
        field::text("key", "The key.").required(),
        field::any("value", "Its value, or as much of it as was asked for.").required(),
        revision_field("The revision that last changed it.").required(),
        field::seconds("expires_at", "When it disappears, in Unix seconds."),
    ];
    Tool {
        name: "state_list",
        title: "List keys",
        description: "List keys in byte order, all or those with a prefix; with values if asked.",
        takes: vec![
            field::text("prefix", "Such as 'team:'."),
            field::limit(),
            field::cursor(),
            field::values(),
            field::boolean("include_values", "The same as values: 'full'.").hidden(),
            field::consistency(),
        ],
        gives: vec![
            field::texts("keys", "The keys.").required(),
            field::objects("entries", entry, "The same keys with their values, if asked for."),
        ]
        .into_iter()
        .chain(rest_fields())
        .collect(),
        access: ToolAccess::Read,
        run: |call| Box::pin(list(call)),
    }
}

async fn list(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let (scan, page, consistency) = call.args.scan()?;
    let with_values = call.args.bool_if("include_values")?.unwrap_or(false);
    let default = if with_values { Values::Full } else { Values::None };
    let values = call.args.values(default)?;
    let question = Question::Keys { scan, page: whole_rows(page) };
    let Answer::Keys { mut rows, mut next } = call.ask(question, consistency).await? else {
        return Err(ServiceError::unexpected_answer());
    };
    let with_entries = values != Values::None;
    let sent = |row: &(Text, KeyRow)| {
        let mut name = String::new();
        push_string(&mut name, &row.0);
        let entry = if with_entries { row_bytes(entry_object(row, values)) } else { 0 };
        sent_bytes(&name) + 2 + entry
    };
    let rest = shorten(page, &mut rows, &mut next, sent, |(key, _)| key.clone());
    let mut reply = JsonObject::new().list("keys", &rows, |text, (key, _)| {
        push_string(text, key);
    });
    if with_entries {
        reply = reply.objects("entries", rows.iter().map(|row| entry_object(row, values)));
    }
    Ok(rest.tell_cursor(reply, next.as_deref()))
}

fn entry_object((key, row): &(Text, KeyRow), values: Values) -> JsonObject {
    values
        .show(JsonObject::new().text("key", key), "value", &row.value)
        .revision("revision", row.revision)
        .deadline_if("expires_at", row.expires_at)
}

fn transact_tool() -> Tool {
    let compare = vec![
        field::text("key", "").required(),
        revision_field("0: the key does not exist.").least(0),
        field::any("value", ""),
        field::boolean("exists", ""),
    ];
    let operation = vec![
        field::one_of("op", &["set", "delete", "get"], "").required(),
        field::text("key", "").required(),
        field::any("value", "For set."),
        field::integer("ttl_seconds", "For set.").least(1),
    ];
    let result = vec![
        field::text("op", "What was done.").required(),
        key_field().required(),
        field::boolean("ok", "For set and delete: whether the key changed."),
        field::boolean("found", "For get: whether the key exists."),
        field::any("value", "For get: its value."),
        revision_field("Of the key: for set the new one, for get the present one."),
    ];
    Tool {
        name: "state_transact",
        title: "Change several keys at once",
        description: "Change several keys at once, all or nothing: if every condition in compare \
            holds, do 'then', else 'otherwise'. For moving a value between keys, or \
            reading several at one moment.",
        takes: vec![
            field::objects(
                "compare",
                compare,
                "Each on one key: exactly one of revision, value, exists.",
            ),
            field::objects("then", operation.clone(), ""),
            field::objects("otherwise", operation, ""),
            field::values(),
            agent_field(),
            field::fence(),
            field::idempotency_key(),
        ],
        gives: vec![
            field::boolean("succeeded", "Whether 'then' was carried out.").required(),
            field::objects("results", result, "One for each operation, in order.").required(),
            revision_field("The state's revision afterwards.").required(),
            field::text("reason", "Why nothing was carried out at all (the fence).").nullable(),
        ],
        access: ToolAccess::Write { destructive: true, idempotent: false },
        run: |call| Box::pin(transact(call)),
    }
}

async fn transact(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let command = Transact {
        compare: compares(&mut call)?,
        then: operations(&mut call, "then")?,
        otherwise: operations(&mut call, "otherwise")?,
        agent_id: call.args.text_if("agent_id")?,
        fence: call.args.fence()?,
    };
    let values = call.args.values(Values::UpTo(VALUES_BYTES))?;
    let (then, otherwise) = (command.then.clone(), command.otherwise.clone());
    match call.submit(Command::Transact(command)).await? {
        Reply::Transacted(reply) => Ok(transacted_object(&reply, &then, &otherwise, values)),
        _ => Err(ServiceError::unexpected_answer()),
    }
}

fn compares(call: &mut ToolCall<'_>) -> Result<Vec<Compare>, ServiceError> {
    let list = call.args.objects("compare")?;
    let compare = |mut args: Arguments<'_>| {
        let key = args.text("key")?;
        let revision = args.revision_if("revision")?;
        let exists = args.bool_if("exists")?;
        // Clients that fill in every member give null for what they leave out. Alone it
        // is a value to compare with.
        let value = match (revision, exists) {
            (None, None) => args.json_or_absent("value"),
            _ => args.json_if("value"),
        };
        let condition = match (revision, value, exists) {
            (Some(revision), None, None) => Condition::Revision(revision),
            (None, Some(value), None) => Condition::Value(value),
            (None, None, Some(exists)) => Condition::Exists(exists),
            _ => return Err(args.refuse("needs exactly one of revision, value, exists")),
        };
        Ok(Compare { key, condition })
    };
    list.into_iter().map(compare).collect()
}

fn operations(call: &mut ToolCall<'_>, name: &str) -> Result<Vec<Operation>, ServiceError> {
    let list = call.args.objects(name)?;
    let operation = |mut args: Arguments<'_>| {
        let key = args.text("key")?;
        let op = args.choice("op")?.unwrap_or_default();
        let ttl_ms = args.seconds_as_ms_if("ttl_seconds")?;
        if op == "set" {
            return Ok(Operation::Set { key, value: args.json("value")?, ttl_ms });
        }
        if ttl_ms.is_some() || args.json_if("value").is_some() {
            return Err(args.invalid("op", "must be 'set' where there is a value or ttl_seconds"));
        }
        match op {
            "delete" => Ok(Operation::Delete { key }),
            "get" => Ok(Operation::Get { key }),
            _ => Err(args.invalid("op", "is required")),
        }
    };
    list.into_iter().map(operation).collect()
}

/// What the values take that one transaction gets, where they are asked for in full.
/// There may be more than a hundred of the largest values.
const TRANSACTION_BYTES_MAX: usize = 4 * 1024 * 1024;

fn transacted_object(
    reply: &Transacted,
    then: &[Operation],
    otherwise: &[Operation],
    values: Values,
) -> JsonObject {
    let mut room = match values {
        Values::Full => TRANSACTION_BYTES_MAX,
        Values::None | Values::Head | Values::UpTo(_) => VALUES_BYTES,
    };
    let operations = if reply.succeeded { then } else { otherwise };
    let results = operations.iter().zip(&reply.results).map(|(operation, result)| {
        let key = match operation {
            Operation::Set { key, .. } | Operation::Delete { key } | Operation::Get { key } => key,
        };
        let named = |op| JsonObject::new().text("op", op).text("key", key);
        match result {
            OperationResult::Set { revision } => {
                named("set").bool("ok", true).revision("revision", *revision)
            }
            OperationResult::Deleted { ok } => named("delete").bool("ok", *ok),
            OperationResult::Got { found, value, revision } => {
                let got = |values: Values| {
                    values
                        .show_or_null(named("get").bool("found", *found), "value", value.as_ref())
                        .revision("revision", *revision)
                };
                // Where the room is used up, less and less is shown of a value.
                let shown = [values.within(room), Values::Head, Values::None].map(got);
                let sizes = shown.clone().map(row_bytes);
                let at = sizes.iter().position(|bytes| *bytes <= room).unwrap_or(2);
                room = room.saturating_sub(sizes[at]);
                shown[at].clone()
            }
        }
    });
    JsonObject::new()
        .bool("succeeded", reply.succeeded)
        .objects("results", results)
        .revision("revision", reply.revision)
        .text_if("reason", reply.reason.as_deref())
}

fn wait_tool() -> Tool {
    Tool {
        name: "state_wait",
        title: "Wait for a change",
        description: "Wait until a key, or any key with a prefix, changes; use it instead of \
            polling. Pass the answer's revision as after_revision next time and no change \
            is missed. changed: false: time ran out. missed: true: read the keys again.",
        takes: vec![
            field::text("key", "Exactly one of key and prefix."),
            field::text("prefix", "'' waits for every key."),
            field::integer("after_revision", "Default: now.").least(0),
            field::integer("timeout_seconds", "Up to 55.")
                .least(0)
                .default(json!(WAIT_DEFAULT.as_secs())),
            field::limit(),
            field::values(),
        ],
        gives: vec![
            field::boolean("changed", "Whether there were changes.").required(),
            field::objects(
                "events",
                super::history::event_fields(),
                "The changes, oldest \
                first.",
            )
            .required(),
            revision_field("Everything up to here has been seen.").required(),
            field::boolean("missed", "Changes are missing, the history no longer holds them."),
            field::boolean("more", "There were more changes than fit: ask again at once."),
        ]
        .into_iter()
        .chain(remaining_fields())
        .collect(),
        access: ToolAccess::Read,
        run: |call| Box::pin(wait(call)),
    }
}

async fn wait(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let filter = match (call.args.text_if("key")?, call.args.text_if("prefix")?) {
        (Some(key), None) => ChangeFilter::Key(key),
        (None, Some(prefix)) => ChangeFilter::Prefix(prefix),
        _ => return Err(ServiceError::invalid("state_wait needs exactly one of key and prefix")),
    };
    let after = call.args.revision_if("after_revision")?;
    let timeout = call.args.wait_if("timeout_seconds")?.unwrap_or(WAIT_DEFAULT);
    let page = call.args.page()?;
    let values = call.args.values(Values::UpTo(VALUES_BYTES / 2))?;
    let rows = whole_rows(page).rows;
    let mut found = call.service.wait_for_change(filter, after, timeout, rows).await?;
    // What was read may have ended before the changes did.
    let end = found.revision;
    let mut next = Some(end);
    let sent = |event: &Event| row_bytes(event_object(event, values));
    let rest = shorten(page, &mut found.events, &mut next, sent, |last| last.revision);
    let is_cut = next != Some(end);
    found.revision = next.unwrap_or(end);
    let reply = JsonObject::new()
        .bool("changed", !found.events.is_empty())
        .objects("events", found.events.iter().map(|event| event_object(event, values)))
        .revision("revision", found.revision);
    let reply = if found.missed { reply.bool("missed", true) } else { reply };
    Ok(if is_cut { rest.tell(reply.bool("more", true)) } else { reply })
}
