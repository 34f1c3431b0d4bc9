"""Servers that restart and nodes that are killed, between the calls of one client."""

import os
import signal

from ..adapter import Failed
from .registry import NETWORK, scenario


@scenario("restart", "goes on after the server was restarted between two calls", NETWORK)
def restart(stage):
    key = stage.name("key")
    stage.call("state_set", key=key, value="kept").expect(ok=True)
    stage.server.stop()
    stage.server.start()
    found = again(stage, "state_get", key=key).expect(found=True)
    if found.field("value") != "kept":
        raise Failed(f"the value is {found.field('value')!r}")


@scenario("killed", "goes on after the server was killed between two calls", NETWORK)
def killed(stage):
    key = stage.name("key")
    stage.call("state_set", key=key, value="kept").expect(ok=True)
    stage.server.kill()
    stage.server.start()
    again(stage, "state_get", key=key).expect(found=True)


def again(stage, tool, **arguments):
    """A call on the same connection. A client may notice only now that its connection to
    the server has ended, so it may call once more."""
    first = stage.call(tool, **arguments)
    return first if not first.failed else stage.call(tool, **arguments)


@scenario("program-killed", "sees that the program it started has ended, and starts it again", ("stdio",))
def program_killed(stage):
    key = stage.name("key")
    adapter = stage.new_adapter()
    try:
        connection = stage.connect(adapter=adapter)
        connection.call("state_set", key=key, value="kept").expect(ok=True)
        for child in children(adapter.process.pid, os.path.basename(stage.installed.binary)):
            os.kill(child, signal.SIGKILL)
        if not connection.call("state_get", key=key).failed and not stage.client.get("one_shot"):
            # A client that starts the program again by itself has done what is asked for.
            return
        fresh = stage.connect(adapter=adapter)
        fresh.call("state_get", key=key).expect(found=True)
    finally:
        adapter.kill()


def children(pid, name):
    """The processes below `pid` that run the program `name`."""
    found, unseen = [], [pid]
    while unseen:
        parent = unseen.pop()
        try:
            with open(f"/proc/{parent}/task/{parent}/children") as listed:
                below = [int(child) for child in listed.read().split()]
        except OSError:
            continue
        unseen += below
        for child in below:
            try:
                if os.path.basename(os.readlink(f"/proc/{child}/exe")) == name:
                    found.append(child)
            except OSError:
                pass
    return found


@scenario("node-killed", "goes on after a node of the cluster was killed", NETWORK)
def node_killed(stage):
    with stage.lent_cluster() as cluster:
        leader = cluster.leader()
        other = leader % 3 + 1
        # `connect` is given all nodes, and talks to the one that is killed; a client over
        # HTTP has one address, so it talks to another node than the leader that is killed.
        if stage.transport == "connect":
            urls = [cluster.url(leader), *(cluster.url(n) for n in (1, 2, 3) if n != leader)]
        else:
            urls = [cluster.url(other)]
        with stage.connected(stage.target(urls)) as connection:
            key = stage.name("key")
            connection.call("state_set", key=key, value="kept").expect(ok=True)
            cluster.kill(leader)
            found = connection.call("state_get", key=key)
            if found.failed:
                found.expect_error(("unavailable", "outcome_unknown"), retryable=True)
                found = connection.call("state_get", key=key)
            found.expect(found=True)
            connection.call("state_set", key=key, value="more").expect(ok=True)
