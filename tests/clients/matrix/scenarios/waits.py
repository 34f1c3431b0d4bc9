"""Calls that wait, that are cancelled, and whose client has gone."""

from ..adapter import Failed
from ..servers import Balancer, ServerError, until
from .registry import scenario

# Longer than a scenario takes, so that a call that still waits is seen.
WAIT_SECONDS = 25


@scenario("wait", "waits for a key, for work and for a lease, and gets them when they come")
def wait(stage):
    name = stage.name("name")
    # Changes after this revision count, even if they come before the call does.
    revision = stage.server.ask("sidecar_health")["revision"]
    change = {"key": name, "timeout_seconds": WAIT_SECONDS, "after_revision": revision}
    pending = stage.session.start("state_wait", **change)
    stage.await_waiting(pending)
    stage.server.ask("state_set", key=name, value="come")
    changed = stage.session.reply("state_wait", pending).expect(changed=True)
    if "come" not in changed.seen:
        raise Failed(f"state_wait does not show the new value: {changed.seen}")

    claim = {"agent_id": "a", "name": name, "wait_seconds": WAIT_SECONDS}
    pending = stage.session.start("workflow_claim_next", **claim)
    stage.await_waiting(pending)
    run_id = stage.server.ask("workflow_create", name=name)["run_id"]
    claimed = stage.session.reply("workflow_claim_next", pending)
    claimed.expect(claimed=True, run_id=run_id)

    held = {"resource_id": name, "holder_id": "other"}
    stage.server.ask("lease_acquire", ttl_seconds=60, **held)
    acquire = {"resource_id": name, "holder_id": "a", "ttl_seconds": 60}
    pending = stage.session.start("lease_acquire", wait_seconds=WAIT_SECONDS, **acquire)
    stage.await_waiting(pending)
    stage.server.ask("lease_release", **held)
    stage.session.reply("lease_acquire", pending).expect(acquired=True, holder="a")


@scenario("wait-in-vain", "is told when there is nothing after the time that it would wait")
def wait_in_vain(stage):
    name = stage.name("name")
    change = stage.session.start("state_wait", key=name, timeout_seconds=1)
    claim = {"agent_id": "a", "name": name, "wait_seconds": 1}
    run = stage.session.start("workflow_claim_next", **claim)
    stage.session.reply("state_wait", change).expect(changed=False)
    stage.session.reply("workflow_claim_next", run).expect(claimed=False)


def nothing_is_granted(stage, connection, give_up):
    """Lets a client wait for a run and for a lease, makes it give up, and checks that the
    next one gets both."""
    name = stage.name("name")
    held = {"resource_id": name, "holder_id": "other"}
    stage.server.ask("lease_acquire", ttl_seconds=60, **held)
    claim = {"agent_id": "gone", "name": name, "wait_seconds": WAIT_SECONDS}
    acquire = {"resource_id": name, "holder_id": "gone", "ttl_seconds": 60}
    run = connection.start("workflow_claim_next", **claim)
    stage.await_waiting(run, 1)
    lease = connection.start("lease_acquire", wait_seconds=WAIT_SECONDS, **acquire)
    stage.await_waiting(lease, stage.client.get("calls_at_once", 2))
    give_up(run)
    give_up(lease)
    stage.await_nobody()
    run_id = stage.server.ask("workflow_create", name=name)["run_id"]
    claimed = stage.server.ask("workflow_claim_next", agent_id="next", name=name)
    if not claimed["claimed"] or claimed["run_id"] != run_id:
        status = stage.server.ask("workflow_status", run_id=run_id)
        raise Failed(f"the run was granted to a caller that had gone: {status['agent_id']!r}")
    stage.server.ask("lease_release", **held)
    acquired = stage.server.ask("lease_acquire", resource_id=name, holder_id="next", ttl_seconds=60)
    if not acquired["acquired"]:
        raise Failed(f"the lease was granted to a caller that had gone: {acquired['holder']!r}")


@scenario("cancel", "cancels a call that waits, and is granted nothing")
def cancel(stage):
    with stage.connected() as connection:
        nothing_is_granted(stage, connection, connection.cancel)
        connection.call("state_set", key=stage.name("key"), value=1).expect(ok=True)


@scenario(
    "cancel-balanced",
    "cancels through a load balancer, where the cancellation comes to another node",
    ("http",),
)
def cancel_balanced(stage):
    with stage.lent_cluster() as cluster:
        balancer = Balancer([cluster.port + node for node in range(3)])
        try:
            with stage.connected(stage.target([balancer.url])) as connection:
                # Every node gets its turn as the one that the cancellation comes to.
                for _ in range(3):
                    cancelled_in_cluster(stage, cluster, connection)
        finally:
            balancer.close()


def cancelled_in_cluster(stage, cluster, connection):
    name = stage.name("name")
    claim = {"agent_id": "gone", "name": name, "wait_seconds": WAIT_SECONDS}
    pending = connection.start("workflow_claim_next", **claim)
    try:
        until(lambda: pending.event.is_set() or cluster.waiting() > 0, 15, "")
    except ServerError:
        raise Failed("the call does not wait at any node") from None
    connection.cancel(pending)
    # The notice is on its way; a grant that comes before it is another matter.
    try:
        until(lambda: cluster.waiting() == 0, 5, "")
    except ServerError:
        raise Failed("the call still waits at a node 5 s after it was cancelled") from None
    run_id = cluster.ask(1, "workflow_create", name=name)["run_id"]
    claimed = cluster.ask(2, "workflow_claim_next", agent_id="next", name=name)
    if not claimed["claimed"]:
        status = cluster.ask(1, "workflow_status", run_id=run_id)
        raise Failed(f"the run was granted to a caller that had gone: {status['agent_id']!r}")


@scenario("gone", "is granted nothing after it was killed")
def gone(stage):
    adapter = stage.new_adapter()
    try:
        connection = stage.connect(adapter=adapter)
        connection.call("sidecar_health").expect()
        # It is killed once; what it waits for is given up with it.
        nothing_is_granted(stage, connection, lambda pending: kill_once(adapter))
    finally:
        adapter.kill()


def kill_once(adapter):
    if adapter.process.poll() is None:
        adapter.kill()


@scenario("together", "makes many calls at once, and each gets its own answer")
def together(stage):
    key = stage.name("key")
    calls = range(4 if stage.client.get("one_shot") else 20)
    started = [stage.session.start("state_set", key=f"{key}-{n}", value=n) for n in calls]
    for pending in started:
        stage.session.reply("state_set", pending).expect(ok=True)
    started = [stage.session.start("state_get", key=f"{key}-{n}") for n in calls]
    for n, pending in zip(calls, started):
        reply = stage.session.reply("state_get", pending).expect(found=True)
        if str(reply.field("value")) != str(n):
            raise Failed(f"{key}-{n} is {reply.field('value')!r}")
