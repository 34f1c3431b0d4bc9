"""The tools as the server lists them, for each toolset, without any client."""

import argparse
import http.client
import json
import tempfile
from contextlib import contextmanager
from pathlib import Path

from matrix.installed import Installed
from matrix.servers import Server

TOOLSETS = ("default", "worker", "orchestrator", "reference", "all")


def options(name):
    parser = argparse.ArgumentParser(prog=name)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--cache", required=True)
    asked = parser.parse_args()
    return Installed(asked.cache, asked.binary)


@contextmanager
def serving(binary):
    with tempfile.TemporaryDirectory(prefix="sidecar-clients-") as folder:
        server = Server(binary, Path(folder)).start()
        try:
            yield server
        finally:
            server.stop()


def listed(port, toolset):
    """The result of `tools/list` as it is sent."""
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    if toolset != "default":
        headers["X-MCP-Toolsets"] = toolset
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/mcp", json.dumps(body), headers)
        answer = connection.getresponse().read().decode()
    finally:
        connection.close()
    return answer, json.loads(answer)["result"]["tools"]
