"""The conversion of openai-agents to schemas that OpenAI's strict mode takes. Schemas that
cannot be strict are used as they are; which those are, and why, is listed here."""

import json
import sys

from agents.mcp import MCPServerStdio
from agents.mcp.util import MCPUtil
from mcp.types import Tool

ANY_VALUE = "it takes any JSON value, which strict mode has no type for"
ANY_NAMES = "it takes tags, an object of any names, which strict mode does not know"
NOT_STRICT = {
    "state_set": ANY_VALUE,
    "state_transact": ANY_VALUE,
    "workflow_create": ANY_VALUE,
    "workflow_checkpoint": ANY_VALUE,
    "workflow_complete": ANY_VALUE,
    "session_save": ANY_VALUE,
    "workflow_discover": ANY_NAMES,
    "workflow_claim_next": ANY_NAMES,
    "workflow_retry": ANY_NAMES,
    "sidecar_health": "it takes nothing, and the conversion leaves such schemas as they are",
}

tools = [Tool.model_validate(tool) for tool in json.load(sys.stdin)]
server = MCPServerStdio(params={"command": "true"})
converted, strict = {}, []
for tool in tools:
    function = MCPUtil.to_function_tool(tool, server, True)
    converted[function.name] = function.params_json_schema
    if function.strict_json_schema:
        strict.append(function.name)
    elif function.name not in NOT_STRICT:
        sys.exit(f"{function.name} is not strict any more")
note = f"{len(strict)} of {len(tools)} tools in strict mode"
print(json.dumps({"tools": converted, "note": note}))
