"""The rest of the protocol: prompts, resources, subscriptions and `_meta`."""

import time

from ..adapter import Failed
from .registry import scenario


@scenario("prompts", "lists the prompts, and gets one")
def prompts(stage):
    listed = stage.session.ask("list_prompts").value()
    if not listed:
        raise Failed("no prompts")
    prompt = listed[0]
    required = [a["name"] for a in prompt.get("arguments") or [] if a.get("required")]
    arguments = {name: "a" for name in required}
    got = stage.session.ask("get_prompt", prompt["name"], arguments).value()
    if not got.get("messages"):
        raise Failed(f"prompt {prompt['name']} has no messages: {got}")


@scenario("resources", "lists the resources and their templates, and reads a key as one")
def resources(stage):
    key = stage.name("key")
    stage.call("state_set", key=key, value={"a": "resource"}).expect(ok=True)
    stage.session.ask("list_resources").value()
    templates = stage.session.ask("list_templates").value()
    if not any("state://kv/" in str(template) for template in templates):
        raise Failed(f"no template for keys: {templates}")
    text = stage.session.ask("read_resource", f"state://kv/{key}").value()
    if "resource" not in text:
        raise Failed(f"state://kv/{key} is {text!r}")


@scenario("subscribe", "subscribes to a key as a resource, and learns that it changed")
def subscribe(stage):
    uri = f"state://kv/{stage.name('key')}"
    key = uri.removeprefix("state://kv/")
    stage.call("state_set", key=key, value=1).expect(ok=True)
    stage.session.ask("watch", uri).value()
    stage.server.ask("state_set", key=key, value=2)
    deadline = time.monotonic() + 10
    while uri not in stage.session.ask("updates").value():
        if time.monotonic() > deadline:
            raise Failed("no notice of the change within 10 s")
        time.sleep(0.05)


@scenario("meta", "may send `_meta` with a trace and a progress token")
def meta(stage):
    trace = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "progressToken": "p-1",
        "example.com/unknown": {"a": [1, 2]},
    }
    key = stage.name("key")
    stage.session.call("state_set", meta=trace, key=key, value=1).expect(ok=True)
    stage.session.call("state_get", meta=trace, key=key).expect(found=True)
