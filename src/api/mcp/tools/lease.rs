//! Leases: exclusive or with permits, for a time, with a fencing token.

use serde_json::json;

use super::call::ToolCall;
use super::field::{self, Field};
use super::json_object::JsonObject;
use super::page::{rest_fields, row_bytes, shorten, whole_rows};
use super::tool::{Tool, ToolAccess};
use crate::machine::command::{Acquire, PERMITS_MAX, ReleaseLease, Renew};
use crate::machine::query::Answer;
use crate::machine::row::{LeaseHolder, LeaseRow};
use crate::machine::{Command, Question, Reply, Text};
use crate::service::ServiceError;

pub(super) fn tools() -> Vec<Tool> {
    vec![acquire_tool(), renew_tool(), release_tool(), list_tool()]
}

fn resource_field() -> Field {
    field::text("resource_id", "Any name that all agents agree on.")
}

fn holder_field() -> Field {
    field::text("holder_id", "Your name, the same in every call.")
}

fn ttl_field() -> Field {
    field::integer("ttl_seconds", "").least(1)
}

fn token_field() -> Field {
    field::integer("fencing_token", "As lease_acquire gave it.").least(0)
}

fn expires_field() -> Field {
    field::seconds("expires_at", "When it ends by itself, in Unix seconds.")
}

fn acquire_tool() -> Tool {
    Tool {
        name: "lease_acquire",
        title: "Acquire a lease",
        description: "Take an exclusive lease before touching something that only one agent may \
            touch. Renew it while you work; give its fencing_token as fence to writes. \
            acquired: false names the holder.",
        takes: vec![
            resource_field().required(),
            holder_field().required(),
            ttl_field().required(),
            field::integer("wait_seconds", "Wait so long for it, up to 55.")
                .least(0)
                .default(json!(0)),
            field::integer("permits", "So many may hold it at once, up to 100; all say the same.")
                .least(1),
            field::boolean("exclusive", "Refuse it also if holder_id has it already.")
                .default(json!(false)),
            field::idempotency_key(),
        ],
        gives: vec![
            field::boolean("acquired", "Whether you hold it now.").required(),
            resource_field().required(),
            field::text("holder", "Who holds it now.").nullable().required(),
            expires_field().nullable().required(),
            field::text("reason", "Why not, where refused.").nullable().required(),
            field::integer("fencing_token", "Grows with each grant of this resource.").nullable(),
            field::seconds("held_until", "Until when the holder has it, where refused."),
        ],
        access: ToolAccess::Write { destructive: false, idempotent: false },
        run: |call| Box::pin(acquire(call)),
    }
}

async fn acquire(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let acquire = Acquire {
        resource_id: call.args.text("resource_id")?,
        holder_id: call.args.text("holder_id")?,
        ttl_ms: call.args.seconds_as_ms("ttl_seconds")?,
        exclusive: call.args.bool_if("exclusive")?.unwrap_or(false),
        permits: call.args.count_if("permits", PERMITS_MAX)?.unwrap_or(0),
    };
    let wait = call.args.wait_if("wait_seconds")?.unwrap_or_default();
    let context = call.context()?;
    let reply = call.service.acquire(acquire, context, wait).await?;
    Ok(JsonObject::new()
        .bool("acquired", reply.acquired)
        .text("resource_id", &reply.resource_id)
        .text_or_null("holder", reply.holder.as_deref())
        .deadline_or_null("expires_at", reply.expires_at)
        .text_or_null("reason", reply.reason.as_deref())
        .revision_or_null("fencing_token", reply.fencing_token)
        .deadline_if("held_until", reply.retry_at))
}

fn renew_tool() -> Tool {
    Tool {
        name: "lease_renew",
        title: "Renew a lease",
        description: "Keep a lease for ttl_seconds from now. renewed: false: you lost it, stop.",
        takes: vec![
            resource_field().required(),
            holder_field().required(),
            ttl_field().required(),
            token_field(),
            field::idempotency_key(),
        ],
        gives: vec![
            field::boolean("renewed", "Whether you still hold it.").required(),
            resource_field().required(),
            expires_field().nullable().required(),
            field::integer("fencing_token", "The token of your grant.").nullable(),
            field::text("reason", "Why not, where refused."),
        ],
        access: ToolAccess::Write { destructive: false, idempotent: true },
        run: |call| Box::pin(renew(call)),
    }
}

async fn renew(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let command = Command::Renew(Renew {
        resource_id: call.args.text("resource_id")?,
        holder_id: call.args.text("holder_id")?,
        ttl_ms: call.args.seconds_as_ms("ttl_seconds")?,
        fencing_token: call.args.revision_if("fencing_token")?,
    });
    match call.submit(command).await? {
        Reply::Renewed(reply) => Ok(JsonObject::new()
            .bool("renewed", reply.renewed)
            .text("resource_id", &reply.resource_id)
            .deadline_or_null("expires_at", reply.expires_at)
            .revision_or_null("fencing_token", reply.fencing_token)
            .text_if("reason", reply.reason.as_deref())),
        _ => Err(ServiceError::unexpected_answer()),
    }
}

fn release_tool() -> Tool {
    Tool {
        name: "lease_release",
        title: "Release a lease",
        description: "Give a lease back when you are done.",
        takes: vec![
            resource_field().required(),
            holder_field().required(),
            token_field(),
            field::idempotency_key(),
        ],
        gives: vec![
            field::boolean("released", "Whether you held it until now.").required(),
            resource_field().required(),
        ],
        access: ToolAccess::Write { destructive: true, idempotent: true },
        run: |call| Box::pin(release(call)),
    }
}

async fn release(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let command = Command::ReleaseLease(ReleaseLease {
        resource_id: call.args.text("resource_id")?,
        holder_id: call.args.text("holder_id")?,
        fencing_token: call.args.revision_if("fencing_token")?,
    });
    match call.submit(command).await? {
        Reply::LeaseReleased { released, resource_id } => {
            Ok(JsonObject::new().bool("released", released).text("resource_id", &resource_id))
        }
        _ => Err(ServiceError::unexpected_answer()),
    }
}

fn list_tool() -> Tool {
    let holder = vec![
        field::text("holder", "").required(),
        field::integer("fencing_token", "").required(),
        field::seconds("expires_at", "").required(),
    ];
    let lease = vec![
        resource_field().required(),
        field::text("holder", "Who holds it.").required(),
        field::integer("fencing_token", "The token of the present grant.").required(),
        expires_field().required(),
        field::integer("permits", "How many may hold it, where the holder said so."),
        field::objects("others", holder, "Who else holds it."),
    ];
    Tool {
        name: "lease_list",
        title: "List leases",
        description: "List the leases held now, and by whom.",
        takes: vec![
            field::text("prefix", ""),
            field::limit(),
            field::cursor(),
            field::consistency(),
        ],
        gives: [field::objects("leases", lease, "The leases.").required()]
            .into_iter()
            .chain(rest_fields())
            .collect(),
        access: ToolAccess::Read,
        run: |call| Box::pin(list(call)),
    }
}

async fn list(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let (scan, page, consistency) = call.args.scan()?;
    let question = Question::Leases { scan, page: whole_rows(page) };
    let Answer::Leases { mut rows, mut next } = call.ask(question, consistency).await? else {
        return Err(ServiceError::unexpected_answer());
    };
    let lease = |(resource_id, row): &(Text, LeaseRow)| lease_object(resource_id, row);
    let sent = |row: &(Text, LeaseRow)| row_bytes(lease(row));
    let rest = shorten(page, &mut rows, &mut next, sent, |(id, _)| id.clone());
    let reply = JsonObject::new().objects("leases", rows.iter().map(lease));
    Ok(rest.tell_cursor(reply, next.as_deref()))
}

fn lease_object(resource_id: &str, row: &LeaseRow) -> JsonObject {
    let holder = |object: JsonObject, holder: &LeaseHolder| {
        object
            .text("holder", &holder.holder_id)
            .revision("fencing_token", holder.token)
            .deadline_or_null("expires_at", Some(holder.expires_at))
    };
    let object = JsonObject::new().text("resource_id", resource_id);
    let Some((first, others)) = row.holders.split_first() else { return object };
    let permits = Some(first.permits.into()).filter(|permits| *permits > 0);
    let object = holder(object, first).number_if("permits", permits);
    match others.is_empty() {
        true => object,
        false => object.objects("others", others.iter().map(|it| holder(JsonObject::new(), it))),
    }
}
