"""langchain-mcp-adapters: MCP tools as LangChain tools. The model reads the content of a
tool message; the structured content is an artifact that it does not see."""

from contextlib import asynccontextmanager

from langchain_mcp_adapters.prompts import load_mcp_prompt
from langchain_mcp_adapters.resources import get_mcp_resource
from langchain_mcp_adapters.sessions import create_session
from langchain_mcp_adapters.tools import load_mcp_tools
from serving import Connection, all_pages, plain, serve


def connection(target):
    if "url" in target:
        return {
            "transport": "streamable_http",
            "url": target["url"],
            "headers": target.get("headers"),
        }
    return {
        "transport": "stdio",
        "command": target["command"],
        "args": target["args"],
        "env": target["env"],
    }


class LangChain(Connection):
    @asynccontextmanager
    async def opened(self, target):
        async with create_session(connection(target)) as session:
            info = await session.initialize()
            self.session, self.tools = session, {}
            yield {"name": info.serverInfo.name, "version": info.protocolVersion}

    async def list_tools(self):
        tools = await load_mcp_tools(self.session)
        self.tools = {tool.name: tool for tool in tools}
        schema = lambda tool: tool.tool_call_schema  # noqa: E731
        plain_schema = lambda tool: (  # noqa: E731
            schema(tool) if isinstance(schema(tool), dict) else schema(tool).model_json_schema()
        )
        return [
            {"name": tool.name, "description": tool.description, "schema": plain_schema(tool)}
            for tool in tools
        ]

    async def call(self, tool, arguments, meta=None):
        if meta is not None:
            raise NotImplementedError
        if not self.tools:
            await self.list_tools()
        if tool not in self.tools:
            raise KeyError(f"LangChain has no tool {tool}")
        call = {"type": "tool_call", "id": "1", "name": tool, "args": arguments}
        message = await self.tools[tool].ainvoke(call)
        blocks = message.content if isinstance(message.content, list) else []
        texts = [block["text"] for block in blocks if block.get("type") == "text"]
        text = "\n".join(texts) if blocks else message.content
        return {"text": text, "structured": None, "is_error": message.status == "error"}

    async def list_prompts(self):
        return plain(await all_pages(self.session.list_prompts, lambda page: page.prompts))

    async def get_prompt(self, name, arguments):
        messages = await load_mcp_prompt(self.session, name, arguments=arguments)
        return {"messages": [{"content": message.content} for message in messages]}

    async def list_resources(self):
        return plain(await all_pages(self.session.list_resources, lambda page: page.resources))

    async def list_templates(self):
        fetch = self.session.list_resource_templates
        return plain(await all_pages(fetch, lambda page: page.resourceTemplates))

    async def read_resource(self, uri):
        return "\n".join(blob.as_string() for blob in await get_mcp_resource(self.session, uri))


if __name__ == "__main__":
    serve(LangChain)
