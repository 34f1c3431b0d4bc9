"""The conversion of google-genai to the subset of JSON Schema that Gemini takes."""

import json
import sys

from google.genai._mcp_utils import mcp_to_gemini_tools
from mcp.types import Tool

tools = [Tool.model_validate(tool) for tool in json.load(sys.stdin)]


def without_items(schema, path):
    """Arrays that do not say what they hold, which Gemini refuses."""
    if schema.get("type") == "ARRAY" and not schema.get("items"):
        yield f"{path} is an array without items"
    for name, inner in (schema.get("properties") or {}).items():
        yield from without_items(inner, f"{path}.{name}")
    for inner in [schema.get("items"), *(schema.get("any_of") or [])]:
        if inner:
            yield from without_items(inner, path)


converted, refused = {}, []
for tool in tools:
    for declaration in mcp_to_gemini_tools([tool])[0].function_declarations:
        parameters = declaration.parameters.model_dump(mode="json", exclude_none=True)
        converted[declaration.name] = parameters
        refused += without_items(parameters, declaration.name)
print(json.dumps({"tools": converted, "refused": refused}))
