"""The conversion of LangChain: MCP tools to its own, and these to what models take."""

import json
import sys

from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_mcp_adapters.tools import convert_mcp_tool_to_langchain_tool
from mcp.types import Tool

converted = {}
for tool in [Tool.model_validate(tool) for tool in json.load(sys.stdin)]:
    connection = {"transport": "stdio", "command": "true", "args": []}
    mine = convert_mcp_tool_to_langchain_tool(None, tool, connection=connection)
    function = convert_to_openai_tool(mine)["function"]
    converted[function["name"]] = function.get("parameters", {"type": "object"})
print(json.dumps({"tools": converted}))
