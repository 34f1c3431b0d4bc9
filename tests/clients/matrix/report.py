"""The table of results: scenarios by clients, and in each cell a mark for each transport."""

import re
from pathlib import Path

from .scenarios import EVERYWHERE, SCENARIOS

MARKS = {"pass": "✓", "fail": "✗", "none": "–"}
BEGIN, END = "<!-- generated: clients -->", "<!-- end -->"


def cell(results, client, scenario):
    """The marks of a client for HTTP, standard input and output, and `connect`."""
    found = [results.get((client["name"], transport, scenario.name)) for transport in EVERYWHERE]
    return "".join(MARKS["none" if one is None else one.outcome] for one in found)


def plain_table(results, clients):
    """The table for a terminal, with a letter for each client."""
    letters = {c["name"]: chr(ord("A") + n) for n, c in enumerate(clients)}
    lines = [f"  {letters[c['name']]}  {c['title'].replace('`', '')}" for c in clients]
    lines += ["", "Marks: HTTP, stdio, connect. ✓ passes, ✗ fails, – not applicable.", ""]
    width = max(len(scenario.name) for scenario in SCENARIOS)
    lines.append(" " * width + "  " + "  ".join(f"{letters[c['name']]:3}" for c in clients))
    played = {name for _, _, name in results}
    for scenario in SCENARIOS:
        if scenario.name not in played:
            continue
        marks = "  ".join(cell(results, client, scenario) for client in clients)
        lines.append(f"{scenario.name:{width}}  {marks}")
    return "\n".join(lines)


def page_table(results, clients):
    """The table for docs/clients.md, and the reasons of what is not applicable."""
    letters = [chr(ord("A") + n) for n in range(len(clients))]
    named = [f"**{letter}** {c['title']}" for letter, c in zip(letters, clients)]
    lines = [", ".join(named) + ".", ""]
    lines.append("| The client … | " + " | ".join(letters) + " |")
    lines.append("|---|" + "---|" * len(clients))
    for scenario in SCENARIOS:
        marks = " | ".join(cell(results, client, scenario) for client in clients)
        lines.append(f"| {scenario.promise} | {marks} |")
    reasons = {}
    for (client, _, name), result in results.items():
        if result.outcome == "none":
            letter = letters[[c["name"] for c in clients].index(client)]
            reasons.setdefault(result.detail, set()).add((letter, name))
    if reasons:
        promise = {scenario.name: scenario.promise for scenario in SCENARIOS}
        order = list(promise)
        lines += ["", "Not applicable, beyond transports that a client does not have:", ""]
        for reason, cells in sorted(reasons.items(), key=lambda item: sorted(item[1])):
            who = ", ".join(sorted({letter for letter, _ in cells}))
            what = sorted({name for _, name in cells}, key=order.index)
            lines.append(f"- {who}: {reason} ({'; '.join(promise[name] for name in what)}).")
    return "\n".join(lines)


def update_page(page, text):
    """Replaces what is between the markers of a page."""
    page = Path(page)
    pattern = re.compile(re.escape(BEGIN) + r".*?" + re.escape(END), re.S)
    old = page.read_text()
    if not pattern.search(old):
        raise SystemExit(f"{page} has no {BEGIN} … {END}")
    page.write_text(pattern.sub(lambda _: f"{BEGIN}\n\n{text}\n{END}", old, count=1))
