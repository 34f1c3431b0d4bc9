"""Large answers: default pages suit an agent's context, and nothing is lost between them."""

import json

from ..adapter import Failed
from .registry import scenario

ROWS_MAX = 120
# A page of 64 KiB, and what is around it.
# A client may show a model the text and the structured content of an answer.
ANSWER_MAX = 66_000
PAGES_MAX = 60


def fill_keys(stage, prefix, count, value):
    """Sets many keys, without the client."""
    for start in range(0, count, 100):
        then = [
            {"op": "set", "key": f"{prefix}{n:04}", "value": value}
            for n in range(start, min(count, start + 100))
        ]
        stage.server.ask("state_transact", then=then)


def fill_steps(stage, count):
    """A run with many steps, made without the client."""
    run_id = stage.server.ask("workflow_create", name=stage.name("run"))["run_id"]
    claimed = stage.server.ask("workflow_claim", run_id=run_id, agent_id="a")
    stored = {"run_id": run_id, "claim_token": claimed["claim_token"]}
    steps = (
        {**stored, "step": step, "output": {"step": step, "rows": "r" * 950}}
        for step in range(1, count + 1)
    )
    stage.server.ask_often("workflow_checkpoint", steps)
    return run_id


def check_size(reply):
    size = len(reply.text)
    if reply.structured is not None:
        size += len(json.dumps(reply.structured, ensure_ascii=False, separators=(",", ":")))
    if size > ANSWER_MAX:
        raise Failed(f"{reply.call} gave {size} characters")


@scenario("large-steps", "gets 300 steps of a run in pages that suit an agent, and all of them")
def large_steps(stage):
    run_id = fill_steps(stage, 300)
    steps, from_step = set(), 0
    for _ in range(PAGES_MAX):
        reply = stage.call("workflow_resume", run_id=run_id, from_step=from_step)
        reply.expect(last_step=300)
        check_size(reply)
        outputs = reply.field("step_outputs")
        found = {int(step) for step in outputs}
        if len(found) > ROWS_MAX:
            raise Failed(f"{len(found)} steps in one answer")
        steps |= found
        if not reply.has("next_from_step"):
            break
        from_step = reply.field("next_from_step")
    if steps != set(range(1, 301)):
        raise Failed(f"{len(steps)} of 300 steps came")


@scenario("large-values", "gets 400 values in pages that suit an agent, and all of them")
def large_values(stage):
    prefix = stage.name("key") + "-"
    fill_keys(stage, prefix, 400, {"text": "v" * 990})
    walk(stage, "state_list", prefix, 400, include_values=True)


@scenario("large-list", "gets 400 keys in pages that suit an agent, and all of them")
def large_list(stage):
    prefix = stage.name("key") + "-"
    fill_keys(stage, prefix, 400, 1)
    walk(stage, "state_list", prefix, 400)


def walk(stage, tool, prefix, count, **arguments):
    keys, cursor = set(), {}
    for _ in range(PAGES_MAX):
        reply = stage.call(tool, prefix=prefix, **arguments, **cursor).expect()
        check_size(reply)
        if reply.has("entries") and reply.field("entries"):
            found = {entry["key"] for entry in reply.field("entries")}
        else:
            found = set(reply.field("keys"))
        if len(found) > ROWS_MAX:
            raise Failed(f"{len(found)} rows in one answer")
        keys |= found
        if not reply.has("next_cursor"):
            break
        cursor = {"cursor": reply.field("next_cursor")}
    if len(keys) != count:
        raise Failed(f"{len(keys)} of {count} keys came")
