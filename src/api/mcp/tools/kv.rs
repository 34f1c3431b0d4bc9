//! Keys: set, get, delete, list, transact, wait.

use std::time::Duration;

use serde_json::json;

use super::arguments::Arguments;
use super::call::ToolCall;
use super::field::{self, Field};
use super::history::event_object;
use super::json_object::{JsonObject, push_string};
use super::page::whole_rows;
use super::tool::{Tool, ToolAccess};
use crate::machine::command::{Compare, Condition, Delete, Operation, Set, Transact};
use crate::machine::filter::ChangeFilter;
use crate::machine::query::Answer;
use crate::machine::reply::{OperationResult, Transacted, Written};
use crate::machine::row::KeyRow;
use crate::machine::{Command, Question, Reply, Text};
use crate::service::ServiceError;

/// How long `state_wait` waits if the caller does not say.
const WAIT_DEFAULT: Duration = Duration::from_secs(30);

pub(super) fn tools() -> Vec<Tool> {
    vec![set_tool(), get_tool(), delete_tool(), list_tool(), transact_tool(), wait_tool()]
}

fn key_field() -> Field {
    field::text(
        "key",
        "The key, up to 1024 bytes. Structured names such as 'team:topic:item' \
                        keep apart what belongs apart.",
    )
}

fn ttl_field() -> Field {
    field::integer("ttl_seconds", "The key disappears after this many seconds.").least(1)
}

fn agent_field() -> Field {
    field::text("agent_id", "Who does this; recorded in the history.")
}

fn if_revision_field() -> Field {
    field::integer(
        "if_revision",
        "Only if the key's revision is still this one; 0 means only if the key does not exist.",
    )
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
        description: "Store a JSON value under a key that all agents share. Use it for facts, \
            results and flags that other agents or later runs need. An existing value is \
            overwritten; pass if_revision (from state_get) to change it only if nobody else has, \
            and ttl_seconds to let it disappear by itself. Durable once it returns ok: true; ok: \
            false means that a condition did not hold and nothing was changed.",
        takes: vec![
            key_field().required(),
            field::any("value", "Any JSON value, up to 1 MiB, null included.").required(),
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
        description: "Read the value of one key. found: false means that the key does not exist \
            or has expired. The revision can be given to state_set, state_delete or \
            state_transact to change the key only if it is still the same.",
        takes: vec![key_field().required(), field::consistency()],
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
    let consistency = call.args.consistency()?;
    let question = Question::Key { key: key.clone() };
    let Answer::Key(row) = call.ask(question, consistency).await? else {
        return Err(ServiceError::unexpected_answer());
    };
    Ok(match row {
        Some(row) => JsonObject::new()
            .text("key", &key)
            .json("value", &row.value)
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
        description: "Remove a key. ok: false means that there was no such key, or that a \
            condition did not hold (then reason says which); calling it again is harmless.",
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
        field::any("value", "Its value.").required(),
        revision_field("The revision that last changed it.").required(),
        field::seconds("expires_at", "When it disappears, in Unix seconds."),
    ];
    Tool {
        name: "state_list",
        title: "List keys",
        description: "List the keys that exist, in byte order, optionally only those that start \
            with a prefix (literal and case-sensitive). With include_values their values come \
            along, which saves a state_get for each.",
        takes: vec![
            field::text("prefix", "Only keys that start with this, for example 'team:'."),
            field::limit(),
            field::cursor(),
            field::boolean("include_values", "Return entries with values too.")
                .default(json!(false)),
            field::consistency(),
        ],
        gives: vec![
            field::list_of("keys", json!({"type": "string"}), "The keys.").required(),
            field::objects("entries", entry, "The keys with their values, if asked for."),
            field::next_cursor(),
        ],
        access: ToolAccess::Read,
        run: |call| Box::pin(list(call)),
    }
}

async fn list(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let (scan, page, consistency) = call.args.scan()?;
    let with_values = call.args.bool_if("include_values")?.unwrap_or(false);
    let read = if with_values { page } else { whole_rows(page) };
    let question = Question::Keys { scan, page: read };
    let Answer::Keys { mut rows, mut next } = call.ask(question, consistency).await? else {
        return Err(ServiceError::unexpected_answer());
    };
    let value_bytes = |row: &KeyRow| if with_values { row.value.as_str().len() } else { 0 };
    if page.cut(&mut rows, |(key, row)| key.len() + value_bytes(row)) {
        next = rows.last().map(|(key, _)| key.clone());
    }
    let mut reply = JsonObject::new().list("keys", &rows, |text, (key, _)| {
        push_string(text, key);
    });
    if with_values {
        reply = reply.objects("entries", rows.iter().map(entry_object));
    }
    Ok(reply.text_if("next_cursor", next.as_deref()))
}

fn entry_object((key, row): &(Text, KeyRow)) -> JsonObject {
    JsonObject::new()
        .text("key", key)
        .json("value", &row.value)
        .revision("revision", row.revision)
        .deadline_if("expires_at", row.expires_at)
}

fn transact_tool() -> Tool {
    let compare = vec![
        key_field().required(),
        revision_field("Its revision is this one; 0 means that it does not exist.").least(0),
        field::any("value", "Its value is this one."),
        field::boolean("exists", "It exists (true), or it does not (false)."),
    ];
    let operation = vec![
        field::one_of("op", &["set", "delete", "get"], "What to do.").required(),
        key_field().required(),
        field::any("value", "For set: the value."),
        ttl_field(),
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
        description: "Change several keys all or nothing, depending on what they are now: if \
            every comparison holds, all operations of 'then' are carried out, else all of \
            'otherwise'. Nothing comes in between. Use it to move a value from one key to \
            another, to keep an index in step, or to read several keys at one moment (empty \
            compare, 'get' operations).",
        takes: vec![
            field::objects(
                "compare",
                compare,
                "Conditions, each on one key: give exactly one \
                of revision, value and exists.",
            ),
            field::objects("then", operation.clone(), "Done if all conditions hold."),
            field::objects("otherwise", operation, "Done if one does not."),
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
    let (then, otherwise) = (command.then.clone(), command.otherwise.clone());
    match call.submit(Command::Transact(command)).await? {
        Reply::Transacted(reply) => Ok(transacted_object(&reply, &then, &otherwise)),
        _ => Err(ServiceError::unexpected_answer()),
    }
}

fn compares(call: &mut ToolCall<'_>) -> Result<Vec<Compare>, ServiceError> {
    let list = call.args.objects("compare")?;
    let compare = |mut args: Arguments<'_>| {
        let key = args.text("key")?;
        let value = if args.has("value") { Some(args.json("value")?) } else { None };
        let revision = args.revision_if("revision")?;
        let exists = args.bool_if("exists")?;
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
        let op = args.string_if("op")?.unwrap_or_default();
        if op != "set" && (args.has("value") || args.has("ttl_seconds")) {
            return Err(args.invalid("op", "must be 'set' where there is a value or ttl_seconds"));
        }
        match op.as_str() {
            "set" => Ok(Operation::Set {
                key,
                value: args.json("value")?,
                ttl_ms: args.seconds_as_ms_if("ttl_seconds")?,
            }),
            "delete" => Ok(Operation::Delete { key }),
            "get" => Ok(Operation::Get { key }),
            _ => Err(args.invalid("op", "must be 'set', 'delete' or 'get'")),
        }
    };
    list.into_iter().map(operation).collect()
}

fn transacted_object(
    reply: &Transacted,
    then: &[Operation],
    otherwise: &[Operation],
) -> JsonObject {
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
            OperationResult::Got { found, value, revision } => named("get")
                .bool("found", *found)
                .json_or_null("value", value.as_ref())
                .revision("revision", *revision),
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
        description: "Wait until a key, or any key with a prefix, changes. Cheaper and faster \
            than asking state_get again and again. Pass the revision that the answer gives as \
            after_revision of the next call, and no change is ever missed. changed: false means \
            that time ran out: call again. missed: true means that changes before the oldest one \
            kept are gone: read the keys again, then go on from revision.",
        takes: vec![
            field::text("key", "Wait for this key."),
            field::text("prefix", "Wait for any key that starts with this; '' for every key."),
            field::integer(
                "after_revision",
                "Changes after this revision count; now, if left \
                out.",
            )
            .least(0),
            field::integer("timeout_seconds", "How long to wait, up to 55.")
                .least(0)
                .default(json!(WAIT_DEFAULT.as_secs())),
            field::limit(),
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
        ],
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
    let mut found = call.service.wait_for_change(filter, after, timeout, page.rows).await?;
    if page.cut(&mut found.events, super::history::event_bytes)
        && let Some(last) = found.events.last()
    {
        found.revision = last.revision;
    }
    let reply = JsonObject::new()
        .bool("changed", !found.events.is_empty())
        .objects("events", found.events.iter().map(event_object))
        .revision("revision", found.revision);
    Ok(if found.missed { reply.bool("missed", true) } else { reply })
}
