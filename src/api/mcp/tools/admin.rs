//! Administration: the health of the service, and removing all state.

use std::time::Duration;

use super::call::ToolCall;
use super::field::{self, Field};
use super::json_object::JsonObject;
use super::tool::{Tool, ToolAccess};
use crate::machine::meta::Counts;
use crate::machine::query::Answer;
use crate::machine::{Command, Question, Reply};
use crate::service::ServiceError;
use crate::store::{ClusterHealth, Consistency, Member};

/// The version of the tools' contract. The Python reference reports it too.
const CONTRACT_VERSION: &str = "1.0.0";

pub(super) fn tools() -> Vec<Tool> {
    vec![health_tool(), reset_tool()]
}

/// How long the counts may take. A health check must be answered soon, above all
/// when nothing works.
const COUNTS_TIMEOUT: Duration = Duration::from_secs(1);

fn member_fields() -> Vec<Field> {
    vec![
        field::integer("id", "The node's number.").required(),
        field::text("addr", "Where its peers reach it.").required(),
        field::text("url", "Where clients reach it; may be empty.").required(),
        field::boolean("voter", "Whether it counts for a majority.").required(),
        field::integer("lag", "Entries it is behind; only the leader knows."),
        field::seconds("last_seen_s", "Seconds since it last answered the leader."),
        field::seconds("clock_skew_s", "Seconds that its clock is ahead of this node's."),
    ]
}

/// The fields that only a node of a cluster has.
fn cluster_fields() -> Vec<Field> {
    vec![
        field::text("cluster", "The cluster's name."),
        field::integer("node", "This node's number."),
        field::text("role", "leader, follower, candidate or learner."),
        field::integer("leader", "The leader's number, where known.").nullable(),
        field::integer("term", "The election that the leader won."),
        field::integer("last_log_index", "The newest entry in this node's log."),
        field::integer("committed_index", "The newest entry known to be committed."),
        field::integer("applied_index", "The newest entry that this node has applied."),
        field::integer("snapshot_index", "The newest entry in this node's snapshot."),
        field::boolean("quorum", "Whether a majority answers."),
        field::boolean("caught_up", "Whether this node has all that was committed."),
        field::objects("members", member_fields(), "All members, and how far each is behind."),
    ]
}

fn health_tool() -> Tool {
    let count = |name, help| field::integer(name, help).required();
    Tool {
        name: "sidecar_health",
        title: "Check the service",
        description: "See whether the service works, how much it stores, and how its nodes are.",
        takes: vec![],
        gives: vec![
            field::text(
                "status",
                "'ok'; 'degraded: …' where only this node's own copy can be \
                read; 'error: …'.",
            )
            .required(),
            field::text("backend", "sqlite, memory, redis or raft.").required(),
            field::seconds("uptime_s", "Seconds since the start.").required(),
            count("key_count", "Keys that exist."),
            count("workflow_count", "Workflow runs, whatever their status."),
            field::text("version", "Of the tools' contract.").required(),
            count("step_count", "Stored steps of all runs."),
            count("lease_count", "Leases that are held."),
            count("session_count", "Saved sessions."),
            count("revision", "How many changes of state there have been."),
            field::text("chain", "The hash over the whole history up to here.").required(),
            count("state_bytes", "How large the state is: names and values, and 64 bytes a row."),
            field::integer("state_bytes_max", "How large it may become, if there is a limit."),
            field::text("warning", "What an operator should see to although everything works."),
            field::text("release", "Of this program.").required(),
        ]
        .into_iter()
        .chain(cluster_fields())
        .collect(),
        access: ToolAccess::Read,
        run: |call| Box::pin(health(call)),
    }
}

async fn health(call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    let asked = counts(&call, Consistency::Linearizable).await;
    // Read after the counts, so that the node has applied all that they count.
    let health = call.service.health().await;
    let (status, counts) = match asked {
        Ok(counts) => match &health.fault {
            Some(fault) => (format!("degraded: {fault}"), counts),
            None => ("ok".into(), counts),
        },
        Err(error) => match counts(&call, Consistency::Local).await {
            Ok(counts) => (format!("degraded: {error}"), counts),
            Err(error) => (format!("error: {error}"), Counts::default()),
        },
    };
    let uptime_s = call.service.uptime().as_millis() as u64 / 10 * 10;
    let reply = JsonObject::new()
        .text("status", &status)
        .text("backend", health.backend)
        .seconds("uptime_s", uptime_s)
        .number("key_count", counts.keys)
        .number("workflow_count", counts.runs)
        .text("version", CONTRACT_VERSION)
        .number("step_count", counts.steps)
        .number("lease_count", counts.leases)
        .number("session_count", counts.sessions)
        .revision("revision", health.revision)
        .text("chain", &health.chain.to_string())
        .number("state_bytes", health.state_bytes)
        .number_if("state_bytes_max", health.state_bytes_max)
        .text("release", env!("CARGO_PKG_VERSION"))
        .text_if("warning", health.warning.as_deref());
    Ok(match &health.cluster {
        Some(cluster) => with_cluster(reply, cluster),
        None => reply,
    })
}

async fn counts(call: &ToolCall<'_>, consistency: Consistency) -> Result<Counts, ServiceError> {
    let asked = call.service.ask_within(Question::Counts, consistency, COUNTS_TIMEOUT);
    match asked.await?.answer {
        Answer::Counts(counts) => Ok(counts),
        _ => Err(ServiceError::unexpected_answer()),
    }
}

fn with_cluster(reply: JsonObject, cluster: &ClusterHealth) -> JsonObject {
    let reply = reply
        .text("cluster", &cluster.cluster_name)
        .number("node", cluster.node_id)
        .text("role", cluster.role.as_str());
    let reply = match cluster.leader {
        Some(leader) => reply.number("leader", leader),
        None => reply.null("leader"),
    };
    reply
        .number("term", cluster.term)
        .number("last_log_index", cluster.last_log_index)
        .number("committed_index", cluster.committed_index)
        .number("applied_index", cluster.applied_index)
        .number("snapshot_index", cluster.snapshot_index)
        .bool("quorum", cluster.quorum)
        .bool("caught_up", cluster.caught_up)
        .objects("members", cluster.members.iter().map(member_object))
}

fn member_object(member: &Member) -> JsonObject {
    let mut reply = JsonObject::new()
        .number("id", member.id)
        .text("addr", &member.addr)
        .text("url", &member.url)
        .bool("voter", member.voter);
    if let Some(lag) = member.lag {
        reply = reply.number("lag", lag);
    }
    if let Some(seen) = member.last_seen {
        reply = reply.seconds("last_seen_s", seen.as_millis() as u64);
    }
    match member.clock_skew_ms {
        Some(ms) => reply.signed_seconds("clock_skew_s", ms),
        None => reply,
    }
}

fn reset_tool() -> Tool {
    Tool {
        name: "sidecar_reset",
        title: "Wipe all state",
        description: "Remove everything, for ever: all keys, workflows, leases, sessions and \
            history. For tests only.",
        takes: vec![
            field::boolean("confirm", "Must be true.").required(),
            field::idempotency_key(),
        ],
        gives: vec![
            field::boolean("ok", "Always true.").required(),
            field::integer("cleared", "How many things were removed.").required(),
        ],
        access: ToolAccess::Write { destructive: true, idempotent: true },
        run: |call| Box::pin(reset(call)),
    }
}

async fn reset(mut call: ToolCall<'_>) -> Result<JsonObject, ServiceError> {
    if !call.caller.admin {
        return Err(ServiceError::forbidden(
            "sidecar_reset needs the right to administer: the administrator's token, or a call \
             from the server's own machine where no token is configured",
        ));
    }
    if call.args.bool_if("confirm")? != Some(true) {
        let why =
            "confirm must be true: sidecar_reset removes everything, and nothing brings it back";
        return Err(ServiceError::invalid(why));
    }
    match call.submit(Command::Reset).await? {
        Reply::Reset { cleared } => {
            Ok(JsonObject::new().raw("ok", "true").number("cleared", cleared))
        }
        _ => Err(ServiceError::unexpected_answer()),
    }
}
