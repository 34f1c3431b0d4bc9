"""FastMCP's client. A tool error is raised as an exception, which has only a text."""

from contextlib import asynccontextmanager

from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from serving import Connection, content_result, plain, plain_tools, serve


def transport(target):
    if "url" in target:
        return StreamableHttpTransport(target["url"], headers=target.get("headers"))
    return StdioTransport(
        target["command"], target["args"], env=target["env"], keep_alive=False
    )


class FastMcpClient(Connection):
    @asynccontextmanager
    async def opened(self, target):
        async with Client(transport(target)) as client:
            self.client = client
            session = client.session
            info = session.server_info
            yield {"name": info and info.name, "version": session.protocol_version}

    async def list_tools(self):
        return plain_tools(await self.client.list_tools())

    async def call(self, tool, arguments, meta=None):
        result = await self.client.call_tool(tool, arguments, meta=meta)
        # FastMCP makes objects of results by the output schema, and gives none if it cannot.
        if result.structured_content is not None and result.data is None:
            raise ValueError(f"{tool}: no object of {result.structured_content}")
        return content_result(result.content, result.structured_content, result.is_error)

    async def list_prompts(self):
        return plain(await self.client.list_prompts())

    async def get_prompt(self, name, arguments):
        return (await self.client.get_prompt(name, arguments)).model_dump(mode="json")

    async def list_resources(self):
        return plain(await self.client.list_resources())

    async def list_templates(self):
        return plain(await self.client.list_resource_templates())

    async def read_resource(self, uri):
        return "\n".join(content.text for content in await self.client.read_resource(uri))


if __name__ == "__main__":
    serve(FastMcpClient)
