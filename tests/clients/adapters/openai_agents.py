"""openai-agents: MCP tools as function tools of an agent. Unless it is asked otherwise, it
gives the model the text of a result alone."""

import json
from contextlib import asynccontextmanager
from contextvars import ContextVar

from agents import Agent
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
from agents.mcp.util import MCPUtil
from agents.run_context import RunContextWrapper
from agents.tool_context import ToolContext
from serving import Connection, all_pages, plain, serve

# Longer than any call of the matrix; the default is five seconds.
TIMEOUT_SECONDS = 60


def server(target, meta):
    if "url" in target:
        params = {"url": target["url"], "timeout": TIMEOUT_SECONDS}
        if target.get("headers"):
            params["headers"] = target["headers"]
        kind = MCPServerStreamableHttp
    else:
        params = {name: target[name] for name in ("command", "args", "env")}
        kind = MCPServerStdio
    return kind(
        params=params,
        client_session_timeout_seconds=TIMEOUT_SECONDS,
        tool_meta_resolver=lambda context: meta.get(),
    )


class OpenAiAgents(Connection):
    @asynccontextmanager
    async def opened(self, target):
        # What the next call of a task carries along.
        self.meta = ContextVar("meta", default=None)
        async with server(target, self.meta) as connected:
            self.server, self.tools = connected, {}
            result = connected.server_initialize_result
            info = getattr(result, "serverInfo", None) or getattr(result, "server_info", None)
            version = getattr(result, "protocolVersion", None)
            version = version or getattr(result, "protocol_version", None)
            yield {"name": info and info.name, "version": version}

    async def list_tools(self):
        agent = Agent(name="worker", mcp_servers=[self.server])
        context = RunContextWrapper(context=None)
        tools = await MCPUtil.get_function_tools(self.server, False, context, agent)
        self.tools = {tool.name: tool for tool in tools}
        return [
            {
                "name": tool.name,
                "description": tool.description,
                "schema": tool.params_json_schema,
            }
            for tool in tools
        ]

    async def call(self, tool, arguments, meta=None):
        if not self.tools:
            await self.list_tools()
        if tool not in self.tools:
            raise KeyError(f"the agent has no tool {tool}")
        self.meta.set(meta)
        text = json.dumps(arguments)
        context = ToolContext(None, tool_name=tool, tool_call_id="1", tool_arguments=text)
        output = await self.tools[tool].on_invoke_tool(context, text)
        if isinstance(output, dict):
            output = output.get("text", json.dumps(output))
        # Nothing but the text tells the model whether it is an error.
        return {"text": output, "structured": None, "is_error": None}

    async def list_prompts(self):
        return plain((await self.server.list_prompts()).prompts)

    async def get_prompt(self, name, arguments):
        return (await self.server.get_prompt(name, arguments)).model_dump(mode="json")

    async def list_resources(self):
        items = lambda page: page.resources  # noqa: E731
        return plain(await all_pages(self.server.list_resources, items))

    async def list_templates(self):
        page = await self.server.list_resource_templates()
        return plain(getattr(page, "resourceTemplates", None) or page.resource_templates)

    async def read_resource(self, uri):
        result = await self.server.read_resource(uri)
        return "\n".join(content.text for content in result.contents)


if __name__ == "__main__":
    serve(OpenAiAgents)
