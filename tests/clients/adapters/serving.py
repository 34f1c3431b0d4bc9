"""The side of a Python adapter that talks to the matrix: it reads one request a line
from standard input, carries each out in a task of its own, and writes one answer a line.
An adapter supplies only what its client does differently.

An adapter process may hold several connections, each under a name that the matrix gives.
"""

import asyncio
import json
import sys
import traceback


class Connection:
    """One connection of the client. Adapters implement `opened` and what the client can
    do; what they leave out is reported as not supported."""

    def opened(self, target):
        """An asynchronous context manager that connects to `target`, and gives the
        server's name and the revision of the protocol."""
        raise NotImplementedError

    async def list_tools(self):
        raise NotImplementedError

    async def call(self, tool, arguments, meta=None):
        raise NotImplementedError

    async def list_prompts(self):
        raise NotImplementedError

    async def get_prompt(self, name, arguments):
        raise NotImplementedError

    async def list_resources(self):
        raise NotImplementedError

    async def list_templates(self):
        raise NotImplementedError

    async def read_resource(self, uri):
        raise NotImplementedError

    async def watch(self, uri):
        """Subscribes to a resource, and collects what is told of it for `updates`."""
        raise NotImplementedError

    async def updates(self):
        raise NotImplementedError

    async def send(self, method, headers, body):
        """Any HTTP request."""
        raise NotImplementedError

    async def cancel(self, task):
        """Abandons a call in the way that users of this client do."""
        task.cancel()


def content_result(content, structured, is_error):
    """What a client gives its user for a call: all texts, the structured content, and
    whether it says that this is an error."""
    texts = [item.text for item in content if getattr(item, "type", None) == "text"]
    return {"text": "\n".join(texts), "structured": structured, "is_error": is_error}


async def all_pages(fetch, items):
    """All items of a list that comes in pages; `items` takes them out of a page, and
    `fetch` takes the cursor."""
    found, cursor = [], None
    while True:
        page = await fetch(cursor)
        found.extend(items(page))
        cursor = getattr(page, "nextCursor", None) or getattr(page, "next_cursor", None)
        if not cursor:
            return found


def plain_tools(tools):
    """Tools as the client gives them, without the differences in case between SDKs."""

    def plain(tool):
        schema = getattr(tool, "inputSchema", None) or getattr(tool, "input_schema", None)
        return {"name": tool.name, "description": tool.description, "schema": schema}

    return [plain(tool) for tool in tools]


def plain(models):
    return [model.model_dump(mode="json", exclude_none=True) for model in models]


class _Held:
    """A connection that is open until it is closed, within one task, since the clients'
    context managers must be left by the task that entered them."""

    def __init__(self, connection):
        self.connection = connection
        self.closing = asyncio.Event()
        self.calls = {}
        self.task = None

    async def open(self, target):
        ready = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._hold(target, ready))
        return await ready

    async def _hold(self, target, ready):
        try:
            async with self.connection.opened(target) as introduction:
                if not ready.done():
                    ready.set_result(introduction)
                await self.closing.wait()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the matrix shows it
            if not ready.done():
                ready.set_exception(RuntimeError(_innermost(error)))

    async def close(self):
        self.closing.set()
        if self.task:
            await asyncio.wait([self.task], timeout=10)


def _innermost(error):
    """The text of an error without the groups that task groups wrap around it."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def _raised(error):
    """What the client's user sees of an error that is raised."""
    details = getattr(error, "error", None)
    return {
        "raised": _innermost(error),
        "rpc_code": getattr(details, "code", None),
        "data": getattr(details, "data", None),
    }


class _Server:
    def __init__(self, connection_class):
        self.connection_class = connection_class
        self.held = {}

    async def answer(self, request):
        try:
            result = await self._carry_out(request)
        except asyncio.CancelledError:
            result = {"raised": "CancelledError"}
        except NotImplementedError:
            result = {"unsupported": request["op"]}
        except BaseException as error:  # noqa: BLE001
            result = _raised(error)
        print(json.dumps({"id": request["id"], **result}), flush=True)

    async def _carry_out(self, request):
        op, name = request["op"], request.get("connection", "main")
        if op == "connect":
            held = self.held[name] = _Held(self.connection_class())
            return {"value": await held.open(request["target"])}
        held = self.held[name]
        connection = held.connection
        if op == "close":
            await self.held.pop(name).close()
            return {"value": None}
        if op == "cancel":
            await connection.cancel(held.calls[request["call"]])
            return {"value": None}
        if op == "call":
            call = connection.call(request["tool"], request["arguments"], request.get("meta"))
            task = asyncio.ensure_future(call)
            held.calls[request["id"]] = task
            try:
                return {"value": await task}
            finally:
                held.calls.pop(request["id"], None)
        method = getattr(connection, op)
        return {"value": await method(*request.get("parameters", []))}


async def _serve(connection_class):
    server = _Server(connection_class)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks = set()
    while line := await reader.readline():
        task = asyncio.create_task(server.answer(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    for held in list(server.held.values()):
        await held.close()


def serve(connection_class):
    """Serves the matrix until it closes standard input."""
    try:
        asyncio.run(_serve(connection_class))
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        raise
