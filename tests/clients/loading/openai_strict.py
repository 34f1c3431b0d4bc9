"""The conversion of openai-agents to schemas that OpenAI's strict mode takes. Schemas that
cannot be strict, since they hold objects of any members, are used as they are."""

import json
import sys

from agents.mcp import MCPServerStdio
from agents.mcp.util import MCPUtil
from mcp.types import Tool

tools = [Tool.model_validate(tool) for tool in json.load(sys.stdin)]
server = MCPServerStdio(params={"command": "true"})
converted, strict = {}, []
for tool in tools:
    function = MCPUtil.to_function_tool(tool, server, True)
    converted[function.name] = function.params_json_schema
    if function.strict_json_schema:
        strict.append(function.name)
note = f"{len(strict)} of {len(tools)} tools in strict mode"
print(json.dumps({"tools": converted, "note": note}))
