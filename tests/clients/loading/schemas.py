"""Loads the inputs of all tools through the conversions of the strictest clients, and
checks that no tool, no property and no value of an enum is lost, and that each property
has a type.

Ends with 0 only if every conversion keeps everything.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from matrix.servers import clean_environment

from .listed import listed, options, serving

HERE = Path(__file__).resolve().parent

# Cursor joins the names of the server and the tool, and refuses longer ones; it offers a
# model 40 tools at most.
NAME_MAX, TOOLS_MAX, SERVER = 60, 40, "state-sidecar"

# Each conversion, the program that runs it, and its script.
CONVERSIONS = [
    ("openai-agents", "python-2", "openai_strict.py"),
    ("google-genai", "python-1", "gemini.py"),
    ("langchain", "python-1", "langchain_tools.py"),
    ("Vercel AI SDK", "node", "ai_sdk.mjs"),
    ("Zod", "node", "zod.mjs"),
]


def lost(path, before, after):
    """What `after` lacks of the schema `before`, as sentences."""
    if not isinstance(after, dict):
        yield f"{path} is {after!r}"
        return
    after = without_null(after)
    for name, inner in (before.get("properties") or {}).items():
        kept = (after.get("properties") or {}).get(name)
        if kept is None:
            yield f"{path}.{name} is lost"
            continue
        yield from lost(f"{path}.{name}", inner, kept)
    if before.get("items"):
        yield from lost(f"{path}[]", before["items"], items_of(after))
    missing = [value for value in before.get("enum") or [] if value not in enum_of(after)]
    if missing:
        yield f"{path}: of its values {missing} are lost"
    if not any(after.get(word) for word in ("type", "enum", "anyOf", "any_of", "oneOf", "$ref")):
        yield f"{path} has no type"


def without_null(schema):
    """A schema of one kind or null, as some conversions write it, without the null."""
    choices = schema.get("anyOf") or schema.get("any_of") or []
    others = [choice for choice in choices if str(choice.get("type", "")).lower() != "null"]
    return {**schema, **others[0]} if len(choices) == 2 and len(others) == 1 else schema


def items_of(schema):
    """The schema of the items, also where an array is one choice of several."""
    choices = schema.get("anyOf") or schema.get("any_of") or []
    found = [choice["items"] for choice in choices if choice.get("items")]
    return schema.get("items") or (found[0] if found else None)


def enum_of(schema):
    if schema.get("enum"):
        return schema["enum"]
    choices = schema.get("anyOf") or schema.get("any_of") or []
    values = [choice["const"] for choice in choices if "const" in choice]
    return values + [value for choice in choices for value in choice.get("enum") or []]


def convert(installed, program, script, tools):
    programs = {
        "python-1": str(installed.cache / "python-1/bin/python"),
        "python-2": str(installed.cache / "python-2/bin/python"),
        "node": installed.node,
    }
    env = {**clean_environment(), "CLIENTS_CACHE": str(installed.cache)}
    env["OPENAI_AGENTS_DISABLE_TRACING"] = "1"
    done = subprocess.run(
        [programs[program], str(HERE / script)],
        input=json.dumps(tools), env=env, capture_output=True, text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr else "no output")
    return json.loads(done.stdout.strip().splitlines()[-1])


def complaints(installed, program, script, tools):
    """What a conversion loses, and what it says of itself."""
    answer = convert(installed, program, script, tools)
    found = list(answer.get("refused", []))
    for tool in tools:
        converted = answer["tools"].get(tool["name"])
        if converted is None:
            found.append(f"{tool['name']} is lost")
            continue
        found += lost(tool["name"], tool["inputSchema"], converted)
    return found, answer.get("note", "")


def cursor(tools):
    found = [
        f"{tool['name']}: {len(SERVER) + 1 + len(tool['name'])} characters with the server's name"
        for tool in tools
        if len(SERVER) + 1 + len(tool["name"]) > NAME_MAX
    ]
    found += [
        f"{tool['name']}: a character that is not taken"
        for tool in tools
        if not re.fullmatch(r"[a-zA-Z0-9_-]+", tool["name"])
    ]
    if len(tools) > TOOLS_MAX:
        found.append(f"{len(tools)} tools")
    return found, f"{len(tools)} tools"


def inspector(installed, url):
    """The check of Inspector's command line for schemas that some clients do not take."""
    program = "npm-2/node_modules/@modelcontextprotocol/inspector/clients/cli/build/index.js"
    command = [installed.node, str(installed.cache / program), "--strict", "--format", "json"]
    command += ["--method", "tools/list", "--transport", "http", "--server-url", url]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True)
    lines = done.stderr.strip().splitlines()
    return ([] if done.returncode == 0 else lines[:40]), "; ".join(lines[:1])


def main():
    installed = options("scripts/clients --schemas")
    failed = passed = 0
    with serving(installed.binary) as server:
        tools = listed(server.port, "all")[1]
        checks = [
            (name, lambda p=program, s=script: complaints(installed, p, s, tools))
            for name, program, script in CONVERSIONS
        ]
        checks.append(("Cursor", lambda: cursor(tools)))
        checks.append(("Inspector --strict", lambda: inspector(installed, server.url)))
        for name, check in checks:
            try:
                found, note = check()
            except Exception as error:  # noqa: BLE001 - a conversion that fails loses all
                found, note = [f"fails: {error}"], ""
            print(f"{'✗' if found else '✓'} {name}{': ' + note if note else ''}")
            for complaint in found:
                print(f"    {complaint}")
            failed, passed = failed + bool(found), passed + (not found)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
