"""Counts the tokens of `tools/list`, for each toolset: the answer as it is sent, and what
agents' frameworks put before a model, which leaves out the output schemas.

Ends with 0 if all tools take fewer than 7,000 tokens, and a worker's fewer than 3,500.
"""

import json
import subprocess
import sys
from pathlib import Path

from .listed import TOOLSETS, listed, options, serving

LIMITS = {"all": 7000, "default": 7000, "worker": 3500}
# The tokenizer that the limits are meant for.
MEANT = "o200k_base"


def shown(tools):
    """What frameworks give the model of each tool."""
    parts = [
        {"name": t["name"], "description": t.get("description"), "parameters": t["inputSchema"]}
        for t in tools
    ]
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


def count(installed, texts):
    script = Path(__file__).with_name("tokens.mjs")
    env = {"CLIENTS_CACHE": str(installed.cache)}
    command = [installed.node, str(script)]
    done = subprocess.run(
        command, input=json.dumps(texts), env=env, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def main():
    installed = options("scripts/clients --tokens")
    texts, numbers = {}, {}
    with serving(installed.binary) as server:
        for toolset in TOOLSETS:
            answer, tools = listed(server.port, toolset)
            texts[f"{toolset}, as sent"] = answer
            texts[f"{toolset}, as shown"] = shown(tools)
            numbers[toolset] = len(tools)
    counts = count(installed, texts)
    names = list(next(iter(counts.values())))
    print(f"{'tools/list':26} {'tools':>5} {'bytes':>7} " + " ".join(f"{n:>12}" for n in names))
    for name, text in texts.items():
        row = " ".join(f"{counts[name][n]:>12}" for n in names)
        tools = numbers[name.split(",")[0]]
        print(f"{name:26} {tools:>5} {len(text.encode()):>7} {row}")
    over = [
        f"{toolset}: {counts[f'{toolset}, as sent'][MEANT]} tokens, not under {most}"
        for toolset, most in LIMITS.items()
        if counts[f"{toolset}, as sent"][MEANT] >= most
    ]
    for line in over:
        print(f"✗ {line}")
    print(f"{len(LIMITS) - len(over)} passed, {len(over)} failed")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
