"""All scenarios, in the order in which they are played.

| file | what it plays |
|---|---|
| `cycle` | connecting, the list of tools, and the whole cycle of work |
| `values` | values of every kind, and JSON that is passed as a string |
| `errors` | what the client's user sees of an error |
| `waits` | calls that wait, that are cancelled, and whose client has gone |
| `large` | large answers and pages |
| `protocol` | prompts, resources, subscriptions, `_meta` |
| `access` | addresses, tokens, toolsets, settings |
| `http` | requests as programs without an SDK send them |
| `failures` | servers that restart and nodes that are killed |
"""

from . import cycle, values, errors, waits, large, protocol, access, http, failures  # noqa: F401
from .registry import EVERYWHERE, SCENARIOS

__all__ = ["EVERYWHERE", "SCENARIOS"]
