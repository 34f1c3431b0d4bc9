"""What a scenario plays on: one client, one way to reach the server, and the server. The
main connection is shared by the scenarios, which keep apart by the names that they use."""

import itertools
import os
import time
from contextlib import contextmanager

from .adapter import Adapter, Failed, Reply, Unsupported
from .servers import Server, ServerError, clean_environment, until

# How long a client may take until its call waits at the server. Over HTTP the server says
# when it does; over standard input and output nothing does.
BEGIN_SECONDS = 15


class Connection:
    """One connection of the client."""

    def __init__(self, adapter, name, introduction):
        self.adapter, self.name, self.introduction = adapter, name, introduction

    def start(self, tool, meta=None, **arguments):
        request = {"connection": self.name, "tool": tool, "arguments": arguments}
        if meta is not None:
            request["meta"] = meta
        return self.adapter.start("call", **request)

    def call(self, tool, meta=None, **arguments):
        return self.reply(tool, self.start(tool, meta, **arguments))

    def reply(self, tool, pending):
        return Reply(tool, pending.wait())

    def cancel(self, pending):
        self.adapter.start("cancel", connection=self.name, call=pending.id).value()

    def ask(self, op, *parameters):
        """A request other than a call; its answer, or what the client raised."""
        return self.adapter.start(op, connection=self.name, parameters=parameters)

    def list_tools(self):
        return self.ask("list_tools").value()

    def close(self):
        self.adapter.start("close", connection=self.name).value()


class Stage:
    """See the top of this file."""

    def __init__(self, client, transport, installed, server, clusters, folder):
        self.client, self.transport, self.installed = client, transport, installed
        self.server, self.clusters, self.folder = server, clusters, folder
        self.numbers = itertools.count(1)
        self.log = open(folder / "client.log", "ab")
        self.adapter = None
        self.main = None

    # Connections

    def new_adapter(self):
        command, env = self.installed.adapter(self.client)
        return Adapter(command, {**clean_environment(), **env}, self.log)

    def connect(self, target=None, adapter=None):
        if adapter is None:
            if self.adapter is None or self.adapter.process.poll() is not None:
                self.adapter = self.new_adapter()
            adapter = self.adapter
        name = f"c{next(self.numbers)}"
        target = target or self.target()
        answer = adapter.start("connect", connection=name, target=target)
        return Connection(adapter, name, answer.value())

    @contextmanager
    def connected(self, target=None):
        connection = self.connect(target)
        try:
            yield connection
        finally:
            connection.close()

    @property
    def session(self):
        """The main connection. Its tools have been listed, as agents do first."""
        if self.main is None or self.main.adapter.process.poll() is not None:
            self.main = self.connect()
            self.list_tools(self.main)
        return self.main

    def list_tools(self, connection):
        """Lists the tools, as agents do first; some clients check results from then on."""
        try:
            connection.list_tools()
        except Unsupported:
            pass

    def target(self, urls=None, headers=None, settings=None, arguments=()):
        """Where the client connects to: the server, or these URLs. `settings` are variables
        of the program that the client starts, and `arguments` are its arguments."""
        urls = urls or [self.server.url]
        if self.transport == "http":
            return self.installed.http_target(self.client, urls[0], headers or {}, self.folder)
        env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        if self.transport == "connect":
            env["SIDECAR_CA_FILE"] = self.installed.certificate
            token = (headers or {}).get("Authorization")
            if token:
                env["SIDECAR_TOKEN"] = token.removeprefix("Bearer ")
            arguments = ["connect", *urls, *arguments]
        else:
            env["DB_PATH"] = self.server.database
            arguments = list(arguments)
        command = self.installed.binary
        return {"command": command, "args": arguments, "env": {**env, **(settings or {})}}

    # What scenarios need again and again

    def name(self, kind):
        """A name that no other scenario uses."""
        return f"{kind}-{self.client['name']}-{self.transport}-{next(self.numbers)}"

    def call(self, tool, **arguments):
        """A call on the main connection."""
        return self.session.call(tool, **arguments)

    def await_waiting(self, pending, count=1):
        """Waits until the call of the client waits at the server."""
        if self.transport == "stdio":
            # Nothing outside sees it: the process has no port. A second is longer than a
            # client takes to send a line, and command lines take a second to start.
            time.sleep(2.5 if self.client.get("one_shot") else 1)
        else:
            what = "the call does not wait at the server"
            reached = lambda: pending.event.is_set() or self.server.waiting() >= count  # noqa: E731
            try:
                until(reached, BEGIN_SECONDS, what)
            except ServerError as error:
                raise Failed(str(error)) from None
        if pending.event.is_set():
            reply = Reply("the call", pending.wait())
            raise Failed(f"the call does not wait: {reply.seen[:300]}")

    def await_nobody(self):
        """Waits until no call waits at the server any more."""
        if self.transport == "stdio":
            time.sleep(0.5)
            return
        try:
            until(lambda: self.server.waiting() == 0, 5, "a call still waits")
        except ServerError:
            raise Failed("the call still waits at the server 5 s after it was given up") from None

    @contextmanager
    def other_server(self, settings=None, arguments=()):
        """A server of this scenario's own, with these settings."""
        folder = self.folder / self.name("server")
        server = Server(self.installed.binary, folder, settings, arguments)
        try:
            try:
                yield server.start()
            except ServerError as error:
                raise Failed(str(error)) from None
        finally:
            server.stop()

    def lent_cluster(self):
        """A cluster for this scenario alone; it is whole again afterwards."""
        return self.clusters.lent()

    def close(self):
        if self.adapter:
            self.adapter.close()
        self.log.close()


def stopped(cluster, nodes):
    """Stops nodes without ending them, as a machine that hangs."""
    for node in nodes:
        cluster.pause(node)
