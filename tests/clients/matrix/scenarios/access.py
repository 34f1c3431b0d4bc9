"""How a client gets in: addresses, tokens, toolsets and settings of the environment."""

from ..adapter import Failed
from ..servers import Balancer
from .registry import NETWORK, PROCESS, scenario

TOKEN = "token-of-the-matrix"

# What Kubernetes sets in every container of a namespace that has a Service `sidecar`.
KUBERNETES = {
    "SIDECAR_SERVICE_HOST": "10.0.0.1",
    "SIDECAR_SERVICE_PORT": "8000",
    "SIDECAR_PORT": "tcp://10.0.0.1:8000",
    "SIDECAR_PORT_8000_TCP": "tcp://10.0.0.1:8000",
    "SIDECAR_PORT_8000_TCP_PROTO": "tcp",
    "SIDECAR_PORT_8000_TCP_PORT": "8000",
    "SIDECAR_PORT_8000_TCP_ADDR": "10.0.0.1",
}

WORKER = ["workflow_claim_next", "workflow_checkpoint", "workflow_complete"]


@scenario("slash", "may write the address as `/mcp/`", NETWORK)
def slash(stage):
    with stage.connected(stage.target([stage.server.url + "/"])) as connection:
        connection.call("sidecar_health").expect(status="ok")


@scenario(
    "address",
    "may name a node by its address alone",
    ("http",),
    only=("call",),
    why_only="the client takes URLs",
)
def address(stage):
    with stage.connected(stage.target([f"127.0.0.1:{stage.server.port}"])) as connection:
        connection.call("sidecar_health").expect(status="ok")


@scenario("https", "reaches the server through a proxy that ends TLS", NETWORK)
def https(stage):
    proxy = Balancer([stage.server.port], stage.installed.certificate)
    try:
        with stage.connected(stage.target([proxy.url])) as connection:
            connection.call("sidecar_health").expect(status="ok")
    finally:
        proxy.close()


@scenario("token", "shows a token", NETWORK)
def token(stage):
    # The file names another token: the environment wins over it.
    folder = stage.folder / stage.name("settings")
    folder.mkdir()
    (folder / "token").write_text("another-token\n")
    (folder / "sidecar.toml").write_text(f'token_file = "{folder}/token"\n')
    arguments = ["--config", str(folder / "sidecar.toml")]
    with stage.other_server({"SIDECAR_TOKEN": TOKEN}, arguments) as server:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with stage.connected(stage.target([server.url], headers)) as connection:
            connection.call("sidecar_health").expect(status="ok")


@scenario("no-token", "sees that a token is missing", NETWORK)
def no_token(stage):
    with stage.other_server({"SIDECAR_TOKEN": TOKEN}, []) as server:
        refusal = seen_without_token(stage, server)
        if not any(word in refusal.lower() for word in ("token", "401", "unauthorized", "auth")):
            raise Failed(f"the client says nothing about a token: {refusal}")


def seen_without_token(stage, server):
    """What the client's user sees of the refusal, at whichever step it comes."""
    try:
        with stage.connected(stage.target([server.url])) as connection:
            reply = connection.call("sidecar_health")
            if not reply.failed:
                raise AssertionError
            return reply.seen
    except Failed as refused:
        return str(refused)
    except AssertionError:
        raise Failed("the call succeeded without a token") from None


@scenario("worker", "gets a worker's tools alone where it asks for them")
def worker(stage):
    if stage.transport == "http":
        target = stage.target(headers={"X-MCP-Toolsets": "worker"})
    elif stage.transport == "connect":
        target = stage.target(arguments=["--tools", "worker"])
    else:
        target = stage.target(settings={"SIDECAR_TOOLS": "worker"})
    with stage.connected(target) as connection:
        listed = [tool["name"] for tool in connection.list_tools()]
    missing = [name for name in WORKER if name not in listed]
    if missing or "sidecar_reset" in listed or len(listed) > 22:
        raise Failed(f"{len(listed)} tools are listed: {', '.join(listed)}")


@scenario("reference", "gets `sidecar_reset` with the reference's tools, which asks to confirm")
def reference(stage):
    arguments = ["--tools", "reference"] if stage.transport == "connect" else []
    headers = {"X-MCP-Toolsets": "reference"} if stage.transport == "http" else None
    settings = {"SIDECAR_TOOLS": "reference"} if stage.transport == "stdio" else None
    with stage.connected(stage.target(None, headers, settings, arguments)) as connection:
        if "sidecar_reset" not in [tool["name"] for tool in connection.list_tools()]:
            raise Failed("sidecar_reset is not listed")
        key = stage.name("key")
        connection.call("state_set", key=key, value=1).expect(ok=True)
        connection.call("sidecar_reset", confirm=False).expect_error("invalid_argument", "confirm", retryable=False)
        connection.call("state_get", key=key).expect(found=True)


@scenario("environment", "starts the program where Kubernetes has set variables of a Service", PROCESS)
def environment(stage):
    with stage.connected(stage.target(settings=KUBERNETES)) as connection:
        connection.call("sidecar_health").expect(status="ok")


@scenario("typo", "starts the program although a variable of its name is not known", PROCESS)
def typo(stage):
    with stage.connected(stage.target(settings={"SIDECAR_PROT": "8001"})) as connection:
        connection.call("sidecar_health").expect(status="ok")
