"""The Python SDK `mcp` 2.x, which negotiates the newest revision of the protocol."""

import asyncio
from contextlib import asynccontextmanager

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from serving import Connection, all_pages, content_result, plain, plain_tools, serve


@asynccontextmanager
async def transport(target):
    if "url" in target:
        timeout = httpx2.Timeout(30.0, read=120.0)
        async with httpx2.AsyncClient(headers=target.get("headers"), timeout=timeout) as http:
            yield streamable_http_client(target["url"], http_client=http)
        return
    yield StdioServerParameters(
        command=target["command"], args=target["args"], env=target["env"]
    )


class PythonSdk2(Connection):
    @asynccontextmanager
    async def opened(self, target):
        async with transport(target) as server, Client(server) as client:
            self.client, self.seen, self.watching = client, [], []
            info = client.server_info
            yield {"name": info and info.name, "version": client.protocol_version}
            for task in self.watching:
                task.cancel()

    async def list_tools(self):
        fetch = lambda cursor: self.client.list_tools(cursor=cursor)  # noqa: E731
        return plain_tools(await all_pages(fetch, lambda page: page.tools))

    async def call(self, tool, arguments, meta=None):
        result = await self.client.call_tool(tool, arguments, meta=meta)
        return content_result(result.content, result.structured_content, result.is_error)

    async def list_prompts(self):
        fetch = lambda cursor: self.client.list_prompts(cursor=cursor)  # noqa: E731
        return plain(await all_pages(fetch, lambda page: page.prompts))

    async def get_prompt(self, name, arguments):
        return (await self.client.get_prompt(name, arguments)).model_dump(mode="json")

    async def list_resources(self):
        fetch = lambda cursor: self.client.list_resources(cursor=cursor)  # noqa: E731
        return plain(await all_pages(fetch, lambda page: page.resources))

    async def list_templates(self):
        fetch = lambda cursor: self.client.list_resource_templates(cursor=cursor)  # noqa: E731
        return plain(await all_pages(fetch, lambda page: page.resource_templates))

    async def read_resource(self, uri):
        result = await self.client.read_resource(uri)
        return "\n".join(content.text for content in result.contents)

    async def watch(self, uri):
        ready = asyncio.get_running_loop().create_future()

        async def listen():
            try:
                async with self.client.listen(resource_subscriptions=[uri]) as events:
                    ready.set_result(None)
                    async for event in events:
                        self.seen.append(event.uri)
            except Exception as error:  # noqa: BLE001
                if not ready.done():
                    ready.set_exception(error)

        self.watching.append(asyncio.create_task(listen()))
        await ready

    async def updates(self):
        return self.seen


if __name__ == "__main__":
    serve(PythonSdk2)
