"""Requests as programs without an SDK send them. The adapters of SDKs cannot."""

from ..adapter import Failed
from .registry import scenario

LIST = {"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {}}
JSON = {"content-type": "application/json"}

BY_HAND = {
    "transports": ("http",),
    "only": ("fetch",),
    "why_only": "the client writes its requests itself",
}


def send(stage, method, headers, body=None):
    return stage.session.ask("send", method, headers, body).value()


@scenario("accept", "may ask for JSON alone, for anything, or not say what it accepts", **BY_HAND)
def accept(stage):
    for accepted in ("application/json", "*/*", "application/*", "application/json;q=0.9"):
        answer = send(stage, "POST", {**JSON, "accept": accepted}, LIST)
        if answer["status"] != 200 or '"tools"' not in answer["body"]:
            raise Failed(f"Accept: {accepted} gives {answer['status']} {answer['body'][:200]}")


@scenario("unknown-method", "gets a readable error for a method that does not exist", **BY_HAND)
def unknown_method(stage):
    body = {"jsonrpc": "2.0", "id": 8, "method": "tools/lst", "params": {}}
    answer = send(stage, "POST", JSON, body)
    if "-32601" not in answer["body"] or "tools/lst" not in answer["body"]:
        raise Failed(f"{answer['status']} {answer['body'][:200]}")
    if '"message":"tools/lst"' in answer["body"].replace(" ", ""):
        raise Failed(f"the message is the method's name alone: {answer['body'][:200]}")


@scenario("no-version", "sees what `initialize` needs if it leaves out the revision", **BY_HAND)
def no_version(stage):
    params = {"capabilities": {}, "clientInfo": {"name": "m", "version": "1"}}
    body = {"jsonrpc": "2.0", "id": 9, "method": "initialize", "params": params}
    answer = send(stage, "POST", JSON, body)
    if '"serverInfo"' not in answer["body"] and "protocolVersion" not in answer["body"]:
        raise Failed(f"{answer['status']} {answer['body'][:200]}")


@scenario("preflight", "a page of an allowed origin may call, and one of another may not", **BY_HAND)
def preflight(stage):
    settings = {"SIDECAR_ALLOWED_ORIGINS": "https://agents.example.org"}
    with stage.other_server(settings) as server:
        for token in (None, "token-of-the-matrix"):
            server.stop()
            server.settings = {**settings, **({"SIDECAR_TOKEN": token} if token else {})}
            server.start()
            with stage.connected(stage.target([server.url])) as connection:
                check_preflight(connection, "https://agents.example.org", True)
                check_preflight(connection, "https://evil.example.org", False)
                check_readable(connection, "https://agents.example.org", token)


def check_readable(connection, origin, token):
    """A page may read the answer and its session id, and a refusal too."""
    params = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "m", "version": "1"},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    answer = connection.ask("send", "POST", {**JSON, "origin": origin}, body).value()
    if answer["headers"].get("access-control-allow-origin") not in (origin, "*"):
        raise Failed(f"a page cannot read an answer with status {answer['status']}")
    exposed = answer["headers"].get("access-control-expose-headers", "").lower()
    if not token and "mcp-session-id" not in exposed:
        raise Failed(f"a page cannot read the session id: exposed are {exposed!r}")


def check_preflight(connection, origin, allowed):
    headers = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,authorization,mcp-protocol-version",
    }
    answer = connection.ask("send", "OPTIONS", headers, None).value()
    shown = answer["headers"].get("access-control-allow-origin")
    if allowed:
        wanted = ("content-type", "authorization", "mcp-protocol-version")
        given = answer["headers"].get("access-control-allow-headers", "").lower()
        if answer["status"] not in (200, 204) or shown != origin:
            raise Failed(f"the preflight gives {answer['status']}, allowed origin {shown!r}")
        if given != "*" and not all(name in given for name in wanted):
            raise Failed(f"the preflight allows the headers {given!r}")
    elif shown in (origin, "*"):
        raise Failed(f"a page of {origin} is allowed")
