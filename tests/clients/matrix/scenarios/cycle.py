"""Connecting, the list of tools, and the whole cycle of work."""

from ..adapter import Failed
from .registry import scenario

REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")

TOOLS = """
state_set state_get state_delete state_list state_transact state_wait
workflow_create workflow_discover workflow_list workflow_status workflow_resume workflow_claim
workflow_claim_next workflow_heartbeat workflow_checkpoint workflow_complete workflow_fail
workflow_release workflow_cancel
lease_acquire lease_renew lease_release lease_list
session_save session_restore session_list session_delete
history_log sidecar_health
""".split()


@scenario("connect", "connects, and learns the server's name and the revision of the protocol")
def connect(stage):
    with stage.connected() as connection:
        found = connection.introduction
        if found["name"] not in (None, "mcp-state-sidecar"):
            raise Failed(f"the server calls itself {found['name']!r}")
        if found["version"] not in (None, *REVISIONS):
            raise Failed(f"the revision is {found['version']!r}")
        wanted = stage.client.get("revision")
        if wanted and found["version"] not in (None, wanted):
            raise Failed(f"the revision is {found['version']!r}, and it could be {wanted!r}")


@scenario("tools", "lists every tool an agent needs and not `sidecar_reset`, each input typed")
def tools(stage):
    listed = {tool["name"]: tool for tool in stage.session.list_tools()}
    missing = [name for name in TOOLS if name not in listed]
    if missing:
        raise Failed(f"not listed: {', '.join(missing)}")
    for tool in listed.values():
        if not tool["description"]:
            raise Failed(f"{tool['name']} has no description")
        untyped = list(untyped_inputs(tool["schema"], tool["name"]))
        if untyped:
            raise Failed(f"without a type: {', '.join(untyped)}")
    if "sidecar_reset" in listed:
        raise Failed("sidecar_reset is listed")


def untyped_inputs(schema, path):
    """The inputs of a tool that say nothing about their type."""
    for name, inner in (schema or {}).get("properties", {}).items():
        where = f"{path}.{name}"
        if not any(word in inner for word in ("type", "enum", "anyOf", "oneOf", "$ref")):
            yield where
        yield from untyped_inputs(inner, where)
        if isinstance(inner.get("items"), dict):
            yield from untyped_inputs(inner["items"], f"{where}[]")


@scenario("keys", "sets, reads, lists, deletes and transacts keys, also conditionally")
def keys(stage):
    key = stage.name("key")
    first = stage.call("state_set", key=key, value="one", agent_id="a").expect(ok=True)
    revision = first.field("revision")
    read = stage.call("state_get", key=key).expect(found=True, revision=revision)
    if read.field("value") != "one":
        raise Failed(f"the value is {read.field('value')!r}")
    stage.call("state_set", key=key, value="two", if_revision=revision + 1000000).expect(ok=False)
    stage.call("state_set", key=key, value="two", if_revision=revision).expect(ok=True)
    if key not in stage.call("state_list", prefix=key).expect().seen:
        raise Failed("the key is not listed")
    then = [{"op": "set", "key": f"{key}-2", "value": "moved"}, {"op": "delete", "key": key}]
    compare = [{"key": key, "value": "two"}]
    done = stage.call("state_transact", compare=compare, then=then).expect(succeeded=True)
    if not done.has("results"):
        raise Failed(f"no results in {done.seen}")
    stage.call("state_get", key=key).expect(found=False)
    stage.call("state_delete", key=f"{key}-2").expect(ok=True)


@scenario("work", "creates, discovers, claims, checkpoints, resumes and completes a run")
def work(stage):
    name = stage.name("run")
    tags = {"team": name}
    created = stage.call("workflow_create", name=name, tags=tags, input={"day": "Monday"})
    run_id = created.expect(status="created").field("run_id")
    found = stage.call("workflow_discover", tags=tags, claimable=True).expect()
    if run_id not in found.seen:
        raise Failed(f"workflow_discover does not show {run_id}: {found.seen}")
    claimed = stage.call("workflow_claim", run_id=run_id, agent_id="a").expect(claimed=True)
    token = claimed.field("claim_token")
    other = stage.call("workflow_claim", run_id=run_id, agent_id="b").expect(claimed=False)
    if not other.has("reason"):
        raise Failed(f"no reason in {other.seen}")
    for step in (1, 2):
        stored = {"run_id": run_id, "step": step, "output": {"rows": step}}
        stage.call("workflow_checkpoint", claim_token=token, **stored).expect(ok=True)
    mine = {"run_id": run_id, "agent_id": "a", "claim_token": token}
    stage.call("workflow_heartbeat", **mine).expect(ok=True)
    resumed = stage.call("workflow_resume", run_id=run_id).expect(last_step=2)
    for wanted in ("rows", "Monday"):
        if wanted not in resumed.seen:
            raise Failed(f"workflow_resume does not show {wanted}: {resumed.seen}")
    lost = {"run_id": run_id, "step": 3, "output": {}, "claim_token": token + 1000000}
    stage.call("workflow_checkpoint", **lost).expect(ok=False)
    done = {"run_id": run_id, "claim_token": token, "result": {"total": 3}}
    stage.call("workflow_complete", **done).expect(ok=True)
    ended = stage.call("workflow_status", run_id=run_id).expect(status="done")
    if "total" not in ended.seen:
        raise Failed(f"workflow_status does not show the result: {ended.seen}")


@scenario("attempts", "claims the next run, releases it, fails it, and cancels it")
def attempts(stage):
    name = stage.name("run")
    created = stage.call("workflow_create", name=name, max_attempts=9).expect()
    run_id = created.field("run_id")

    def claim():
        claimed = stage.call("workflow_claim_next", name=name, agent_id="a")
        claimed.expect(claimed=True, run_id=run_id)
        return {"run_id": run_id, "claim_token": claimed.field("claim_token")}

    stage.call("workflow_release", agent_id="a", **claim()).expect(ok=True)
    stage.call("workflow_fail", error="no disk", retry=True, **claim()).expect(ok=True)
    status = stage.call("workflow_status", run_id=run_id).expect()
    if "no disk" not in status.seen:
        raise Failed(f"workflow_status does not show the error: {status.seen}")
    stage.call("workflow_cancel", run_id=run_id, reason="enough").expect(ok=True)
    stage.call("workflow_status", run_id=run_id).expect(status="cancelled")
    nothing = stage.call("workflow_claim_next", name=name, agent_id="a").expect(claimed=False)
    if not nothing.has("reason"):
        raise Failed(f"no reason in {nothing.seen}")


@scenario("leases", "acquires, renews and releases leases, and fences writes with them")
def leases(stage):
    resource, key = stage.name("resource"), stage.name("key")
    acquire = {"resource_id": resource, "ttl_seconds": 60}
    got = stage.call("lease_acquire", holder_id="a", **acquire).expect(acquired=True)
    token = got.field("fencing_token")
    stage.call("lease_acquire", holder_id="b", **acquire).expect(acquired=False, holder="a")
    stage.call("lease_renew", holder_id="a", **acquire).expect(renewed=True)
    if resource not in stage.call("lease_list", prefix=resource).expect().seen:
        raise Failed("the lease is not listed")
    fence = {"resource_id": resource, "token": token}
    stage.call("state_set", key=key, value=1, fence=fence).expect(ok=True)
    released = {"resource_id": resource, "holder_id": "a", "fencing_token": token}
    stage.call("lease_release", **released).expect(released=True)
    refused = stage.call("state_set", key=key, value=2, fence=fence).expect(ok=False)
    if "fence" not in refused.seen:
        raise Failed(f"the refusal does not name the fence: {refused.seen}")


@scenario("sessions", "saves, restores, lists and deletes a session")
def sessions(stage):
    session = stage.name("session")
    context = {"goal": "report", "open": ["charts", "tables"]}
    stage.call("session_save", session_id=session, context=context).expect(ok=True)
    restored = stage.call("session_restore", session_id=session).expect(found=True)
    if restored.field("context") != context:
        raise Failed(f"the context is {restored.field('context')!r}")
    if session not in stage.call("session_list", prefix=session).expect().seen:
        raise Failed("the session is not listed")
    stage.call("session_delete", session_id=session).expect(ok=True)
    stage.call("session_restore", session_id=session).expect(found=False)


@scenario("history", "reads who changed what, before and after")
def history(stage):
    key = stage.name("key")
    stage.call("state_set", key=key, value="before", agent_id="first").expect(ok=True)
    stage.call("state_set", key=key, value="after", agent_id="second").expect(ok=True)
    entries = stage.call("history_log", key=key, n=5).expect()
    for wanted in ("before", "after", "first", "second"):
        if wanted not in entries.seen:
            raise Failed(f"history_log does not show {wanted}: {entries.seen}")


@scenario("lists", "reads every list, which its validator compares with the tool's output schema")
def lists(stage):
    name = stage.name("list")
    parent = stage.server.ask("workflow_create", name=name)["run_id"]
    details = {"tags": {"a": "b"}, "input": None, "priority": -1, "delay_seconds": 60}
    stage.server.ask("workflow_create", name=name, parent_run_id=parent, max_attempts=3, **details)
    claimed = stage.server.ask("workflow_claim", run_id=parent, agent_id="a")
    mine = {"run_id": parent, "claim_token": claimed["claim_token"]}
    stage.server.ask("workflow_checkpoint", step=0, output=None, **mine)
    stage.server.ask("lease_acquire", resource_id=name, holder_id="a", ttl_seconds=60)
    stage.server.ask("session_save", session_id=name, context={})
    stage.server.ask("state_set", key=name, value=None, ttl_seconds=60)
    for local in ({}, {"consistency": "local"}):
        for tool, arguments, wanted in (
            ("workflow_list", {}, parent),
            ("workflow_discover", {"status": "created"}, name),
            ("workflow_discover", {"tags": {"a": "b"}}, name),
            ("workflow_status", {"run_id": parent}, parent),
            ("workflow_resume", {"run_id": parent}, parent),
            ("state_list", {"prefix": name, "include_values": True}, name),
            ("lease_list", {"prefix": name}, name),
            ("session_list", {"prefix": name}, name),
            ("session_restore", {"session_id": name}, name),
            ("history_log", {"n": 20}, name),
        ):
            reply = stage.call(tool, **arguments, **local).expect()
            if wanted not in reply.seen:
                raise Failed(f"{tool} {arguments} {local} does not show {wanted}: {reply.seen[:300]}")


@scenario("health", "sees that the service works")
def health(stage):
    stage.call("sidecar_health").expect(status="ok")
