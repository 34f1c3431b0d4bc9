"""What the client's user sees of an error."""

from ..adapter import Failed
from ..stage import stopped
from .registry import NETWORK, scenario


@scenario("error", "sees the code and the message of an error, and that repeating is no use")
def error(stage):
    # Some clients refuse a call without a required argument themselves.
    unknown = stage.call("state_set", key=stage.name("key"), value=1, ttl=5)
    unknown.expect_error("invalid_argument", "ttl", "ttl_seconds", retryable=False)
    bounds = stage.call("state_set", key="k" * 2000, value=1)
    bounds.expect_error(("invalid_argument", "too_large"), "1024", retryable=False)


@scenario("not-found", "sees that a run does not exist")
def not_found(stage):
    reply = stage.call("workflow_status", run_id="wf-none")
    reply.expect_error("not_found", "wf-none", retryable=False)


@scenario("too-large", "sees that a value is too large")
def too_large(stage):
    reply = stage.call("state_set", key=stage.name("key"), value="x" * 1_200_000)
    reply.expect_error("too_large", "value", retryable=False)


@scenario("unknown-tool", "sees that a tool does not exist, and which one may be meant")
def unknown_tool(stage):
    reply = stage.call("state_put", key="k", value=1)
    if not reply.failed and reply.is_error is not None:
        raise Failed(f"the call should fail, and gave {reply.seen}")
    if "state_put" not in reply.seen:
        raise Failed(f"the error does not name the tool: {reply.seen}")


@scenario("operation", "may say `put` in a transaction, or sees which operations there are")
def operation(stage):
    key = stage.name("key")
    reply = stage.call("state_transact", then=[{"op": "put", "key": key, "value": 1}])
    if not reply.failed and reply.has("succeeded"):
        reply.expect(succeeded=True)
        return
    reply.expect_error("invalid_argument", "put", "set", "get", "delete", retryable=False)


@scenario("no-majority", "sees that a write may be repeated, or that its outcome is unknown", NETWORK)
def no_majority(stage):
    with stage.lent_cluster() as cluster:
        leader = cluster.leader()
        with stage.connected(stage.target([cluster.url(leader)])) as connection:
            key = stage.name("key")
            stage.list_tools(connection)
            connection.call("state_set", key=key, value=1).expect(ok=True)
            stopped(cluster, [node for node in (1, 2, 3) if node != leader])
            reply = connection.call("state_set", key=key, value=2)
            reply.expect_error(("unavailable", "outcome_unknown"), retryable=True)
