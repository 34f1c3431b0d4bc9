"""The servers that the clients call: one node over a SQLite file, which processes on
standard input and output share, and a cluster of three nodes. All of it on this machine,
on ports that were free, in a folder that is removed afterwards."""

import http.client
import itertools
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

START_SECONDS = 30


class ServerError(Exception):
    pass


def free_ports(count=1):
    """The first of `count` ports in a row that are free now."""
    for _ in range(100):
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
        if port + count < 65536 and all(is_free(port + more) for more in range(count)):
            return port
    raise ServerError("no free ports")


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def clean_environment():
    """This process's environment without settings of the program."""
    prefixes = ("SIDECAR_", "STATE_BACKEND", "DB_PATH", "REDIS_URL")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}


def get(port, path):
    """The status and the body of a page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def ask(port, tool, arguments, token=None, connection=None):
    """The structured result of a call, made without any of the clients."""
    params = {"name": tool, "arguments": arguments}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    if token:
        headers["Authorization"] = f"Bearer {token}"
    once = connection is None
    connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=70)
    try:
        connection.request("POST", "/mcp", json.dumps(body), headers)
        answer = json.loads(connection.getresponse().read())
    finally:
        if once:
            connection.close()
    return answer["result"]["structuredContent"]


def waiting(port):
    """How many calls wait on a node."""
    lines = get(port, "/metrics")[1].splitlines()
    counts = [line.split()[1] for line in lines if line.startswith("sidecar_calls_waiting ")]
    return int(float(counts[0]))


# How long the system may take to stop a process.
STOP_SECONDS = 10


def until(condition, seconds, what):
    """Waits until the condition holds, or raises."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except (OSError, http.client.HTTPException):
            pass
        if time.monotonic() > deadline:
            raise ServerError(what)
        time.sleep(0.02)


class Server:
    """One node, which can be stopped and started again with the same state and port."""

    def __init__(self, binary, folder, settings=None, arguments=()):
        self.binary, self.folder = binary, Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_ports()
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self.database = str(self.folder / "state.db")
        self.settings, self.arguments = settings or {}, list(arguments)
        self.process = None

    def start(self):
        env = {
            **clean_environment(),
            "STATE_BACKEND": "sqlite",
            "DB_PATH": self.database,
            **self.settings,
        }
        flags = ["--host", "127.0.0.1", "--port", str(self.port), *self.arguments]
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", *flags],
                env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        is_ready = lambda: self.process.poll() is not None or get(self.port, "/readyz")[0] == 200  # noqa: E731
        until(is_ready, START_SECONDS, f"the server is not ready; see {self.folder}/server.log")
        if self.process.poll() is not None:
            log = (self.folder / "server.log").read_text().strip().splitlines()
            raise ServerError(f"the server does not start: {log[-1] if log else 'no output'}")
        return self

    def ask(self, tool, **arguments):
        return ask(self.port, tool, arguments, self.settings.get("SIDECAR_TOKEN"))

    def ask_often(self, tool, many):
        """Many calls of a tool, one after the other."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=70)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for arguments in many:
                ask(self.port, tool, arguments, connection=connection)
        finally:
            connection.close()

    def waiting(self):
        """How many calls wait on this node."""
        return waiting(self.port)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.kill()


class Balancer:
    """Passes each connection on to the next of several ports, as a load balancer does; with
    a certificate, it ends TLS as well."""

    def __init__(self, ports, certificate=None):
        self.ports = itertools.cycle(ports)
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate, f"{certificate}.key")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.port}/mcp"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            if self.tls:
                client = self.tls.wrap_socket(client, server_side=True)
            server = socket.create_connection(("127.0.0.1", next(self.ports)))
        except OSError:
            client.close()
            return
        threading.Thread(target=carry, args=(server, client), daemon=True).start()
        carry(client, server)

    def close(self):
        self.listener.close()


def carry(source, target):
    """Copies what comes from one side to the other, until either ends."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Cluster:
    """Three nodes, as `dev` runs them."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, Path(folder)
        self.port, self.grpc_port = free_ports(3), free_ports(3)
        self.process = None

    def start(self):
        flags = ["--dir", str(self.folder), "--base-port", str(self.port)]
        flags += ["--base-grpc-port", str(self.grpc_port)]
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "dev.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "dev", *flags], env=clean_environment(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        ready = self.folder / "ready"
        until(ready.exists, START_SECONDS, f"the cluster is not ready; see {self.folder}/dev.log")
        return self

    def ask(self, node, tool, **arguments):
        return ask(self.port + node - 1, tool, arguments)

    def waiting(self):
        """How many calls wait on all nodes."""
        return sum(waiting(self.port + node) for node in range(3))

    def url(self, node):
        return f"http://127.0.0.1:{self.port + node - 1}/mcp"

    def leader(self):
        for node in (1, 2, 3):
            try:
                health = ask(self.port + node - 1, "sidecar_health", {})
            except (OSError, http.client.HTTPException, KeyError, ValueError):
                continue
            if health.get("quorum") and health.get("leader"):
                return health["leader"]
        raise ServerError("no node knows a leader")

    def pid(self, node):
        return int((self.folder / f"node{node}.pid").read_text())

    def signal(self, node, number):
        os.kill(self.pid(node), number)

    def pause(self, node):
        """Stops a node without ending it. A busy machine takes a moment to do so."""
        self.signal(node, signal.SIGSTOP)
        stat = Path(f"/proc/{self.pid(node)}/stat")

        def stands_still():
            return stat.read_text().rsplit(")", 1)[1].split()[0] == "T"

        until(stands_still, STOP_SECONDS, f"node {node} does not stop")

    def kill(self, node):
        self.signal(node, signal.SIGKILL)

    def restore(self):
        """Continues what was stopped, starts what was killed, and waits until all is well."""
        for node in (1, 2, 3):
            try:
                self.signal(node, signal.SIGCONT)
            except (OSError, ValueError):
                pass
        self.process.send_signal(signal.SIGHUP)

        def is_whole():
            healths = [ask(self.port + node, "sidecar_health", {}) for node in range(3)]
            return all(health.get("quorum") and health.get("caught_up") for health in healths)

        until(is_whole, START_SECONDS, "the cluster did not recover")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
