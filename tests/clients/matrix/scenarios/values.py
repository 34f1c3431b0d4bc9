"""Values of every kind, and JSON that clients pass as a string."""

import json

from ..adapter import Failed
from .registry import scenario

VALUES = [
    {"nested": [{"a": None, "b": True}], "text": "naïve 日本 🙂"},
    ["one", 2, 3.5],
    "line one\nline \"two\"",
    True,
    12345.678,
]


def read_back(stage, key):
    return stage.call("state_get", key=key).expect(found=True).field("value")


@scenario("values", "gets values of every kind back as they were given")
def values(stage):
    for value in VALUES:
        key = stage.name("key")
        stage.call("state_set", key=key, value=value).expect(ok=True)
        found = read_back(stage, key)
        if found != value:
            raise Failed(f"{value!r} came back as {found!r}")


@scenario("json-strings", "may pass objects, lists, numbers and booleans as JSON in a string")
def json_strings(stage):
    name = stage.name("name")
    context = {"goal": "report"}
    saved = stage.call("session_save", session_id=name, context=json.dumps(context))
    saved.expect(ok=True)
    restored = stage.call("session_restore", session_id=name).expect(found=True)
    if restored.field("context") != context:
        raise Failed(f"the context is {restored.field('context')!r}")
    tags = json.dumps({"team": name})
    run_id = stage.call("workflow_create", name=name, tags=tags).expect().field("run_id")
    found = stage.call("workflow_discover", tags=tags, claimable="true", limit="5").expect()
    if run_id not in found.seen:
        raise Failed("the run is not found by its tags")
    acquired = stage.call("lease_acquire", resource_id=name, holder_id="a", ttl_seconds="60")
    token = acquired.expect(acquired=True).field("fencing_token")
    fence = json.dumps({"resource_id": name, "token": token})
    then = json.dumps([{"op": "set", "key": name, "value": {"a": 1}}])
    stage.call("state_transact", then=then, fence=fence).expect(succeeded=True)
    listed = stage.call("state_list", prefix=name, include_values="true").expect()
    if '"a"' not in listed.seen and "a" not in listed.seen:
        raise Failed(f"include_values as a string is not taken: {listed.seen}")
    if read_back(stage, name) != {"a": 1}:
        raise Failed("the transaction stored something else")


@scenario("objects", "stores an object as an object, and not as a string that looks like one")
def objects(stage):
    key = stage.name("key")
    stage.call("state_set", key=key, value={"a": 1}).expect(ok=True)
    # What the server holds, seen without the client.
    held = stage.server.ask("state_get", key=key)["value"]
    if held != {"a": 1}:
        raise Failed(f"the server holds {held!r}")
