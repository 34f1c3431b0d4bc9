"""The Python SDK `mcp` 1.x."""

import asyncio
from contextlib import asynccontextmanager

import mcp.types as types
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from serving import Connection, all_pages, content_result, plain, plain_tools, serve


@asynccontextmanager
async def transport(target):
    if "url" in target:
        async with create_mcp_http_client(headers=target.get("headers")) as http:
            async with streamable_http_client(target["url"], http_client=http) as streams:
                yield streams[0], streams[1]
        return
    server = StdioServerParameters(
        command=target["command"], args=target["args"], env=target["env"]
    )
    async with stdio_client(server) as streams:
        yield streams


class PythonSdk1(Connection):
    @asynccontextmanager
    async def opened(self, target):
        self.seen, self.request_ids = [], {}
        async with transport(target) as (read, write):
            async with ClientSession(read, write, message_handler=self.note) as session:
                info = await session.initialize()
                self.session = session
                yield {"name": info.serverInfo.name, "version": info.protocolVersion}

    async def note(self, message):
        if isinstance(message, types.ServerNotification):
            if isinstance(message.root, types.ResourceUpdatedNotification):
                self.seen.append(str(message.root.params.uri))

    async def list_tools(self):
        return plain_tools(await all_pages(self.session.list_tools, lambda page: page.tools))

    async def call(self, tool, arguments, meta=None):
        # The session gives no other way to learn the id, which a cancellation names.
        self.request_ids[asyncio.current_task()] = self.session._request_id
        result = await self.session.call_tool(tool, arguments, meta=meta)
        return content_result(result.content, result.structuredContent, result.isError)

    async def cancel(self, task):
        # Abandoning the task alone tells the server nothing in this version, so its users
        # send the notification themselves.
        request_id = self.request_ids[task]
        params = types.CancelledNotificationParams(requestId=request_id, reason="abandoned")
        notification = types.CancelledNotification(
            method="notifications/cancelled", params=params
        )
        await self.session.send_notification(types.ClientNotification(notification))
        task.cancel()

    async def list_prompts(self):
        return plain(await all_pages(self.session.list_prompts, lambda page: page.prompts))

    async def get_prompt(self, name, arguments):
        return (await self.session.get_prompt(name, arguments)).model_dump(mode="json")

    async def list_resources(self):
        return plain(await all_pages(self.session.list_resources, lambda page: page.resources))

    async def list_templates(self):
        fetch = self.session.list_resource_templates
        return plain(await all_pages(fetch, lambda page: page.resourceTemplates))

    async def read_resource(self, uri):
        result = await self.session.read_resource(types.AnyUrl(uri))
        return "\n".join(content.text for content in result.contents)

    async def watch(self, uri):
        await self.session.subscribe_resource(types.AnyUrl(uri))

    async def updates(self):
        return self.seen


if __name__ == "__main__":
    serve(PythonSdk1)
