"""Plays every scenario with every client over every transport that the client has, prints
the table, and ends with 0 only if every cell passes or is listed as not applicable.

scripts/clients installs the clients and starts this.
"""

import argparse
import json
import os
import queue
import shutil
import sys
import tempfile
import time
import traceback
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from . import report
from .adapter import Failed, Unsupported
from .installed import Installed, clients
from .scenarios import EVERYWHERE, SCENARIOS
from .servers import Cluster, Server
from .stage import Stage

# A result of one cell: "pass", "fail" or "none", with the reason and the seconds it took.
Result = namedtuple("Result", "outcome detail seconds")


# Scenarios that kill nodes each have a cluster for themselves; two are enough for them not
# to wait for one another all the time.
CLUSTERS = 2


class Clusters:
    """The clusters, started when scenarios first need them, and lent to one at a time."""

    def __init__(self, binary, folder):
        self.free = queue.Queue()
        for number in range(CLUSTERS):
            self.free.put(Cluster(binary, folder / f"cluster-{number}"))
        self.started = []

    @contextmanager
    def lent(self):
        """A cluster for one scenario alone; it is whole again afterwards."""
        cluster = self.free.get()
        try:
            if cluster.process is None:
                self.started.append(cluster)
                cluster.start()
            try:
                yield cluster
            finally:
                cluster.restore()
        finally:
            self.free.put(cluster)

    def stop(self):
        for cluster in self.started:
            cluster.stop()


def why_not(client, transport, scenario):
    """Why a scenario means nothing for a client on a transport; None if it does."""
    if scenario.only and client["name"] not in scenario.only:
        return scenario.why_only
    reasons = client.get("not_applicable", {})
    return reasons.get(f"{scenario.name}@{transport}") or reasons.get(scenario.name)


def play(stage, scenario):
    started = time.monotonic()
    try:
        scenario.play(stage)
        outcome, detail = "pass", ""
    except Failed as failed:
        outcome, detail = "fail", str(failed)
    except Unsupported as unsupported:
        outcome, detail = "fail", f"the client has no {unsupported}, which clients.json must say"
    except Exception as error:  # noqa: BLE001 - a fault of the matrix is a failed cell too
        traceback.print_exc()
        outcome, detail = "fail", f"{type(error).__name__}: {error}"
    return Result(outcome, detail, time.monotonic() - started)


def left_out_of_brief(client, transport):
    """What a short run leaves out: command lines start a process for each call, and differ
    little between the transports; a majority takes seconds to be missed."""
    if transport == "http":
        return set()
    if "brief" not in client:
        return {"no-majority"}
    return {scenario.name for scenario in SCENARIOS} - set(client["brief"])


def play_all(client, transport, installed, clusters, folder, wanted, left_out, results):
    """All scenarios of one client on one transport, with a server of their own."""
    folder = folder / f"{client['name']}-{transport}"
    server = Server(installed.binary, folder)
    server.start()
    stage = Stage(client, transport, installed, server, clusters, folder)
    try:
        for scenario in wanted:
            if transport not in scenario.transports or scenario.name in left_out:
                continue
            key = (client["name"], transport, scenario.name)
            reason = why_not(client, transport, scenario)
            if reason:
                results[key] = Result("none", reason, 0)
                continue
            results[key] = play(stage, scenario)
            if results[key].outcome == "fail":
                print(f"✗ {' '.join(key)}: {results[key].detail}", flush=True)
            if server.process.poll() is not None:
                server.start()
    finally:
        stage.close()
        server.stop()


def options():
    parser = argparse.ArgumentParser(prog="scripts/clients")
    parser.add_argument("--binary")
    parser.add_argument("--cache", required=True)
    parser.add_argument("--only", action="append", default=[], metavar="CLIENT")
    parser.add_argument("--transport", action="append", choices=EVERYWHERE, default=[])
    parser.add_argument("--scenario", action="append", default=[])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--page", help="write the table into this page")
    parser.add_argument("--json", help="write every result into this file")
    parser.add_argument("--brief", action="store_true", help="leave out what takes longest")
    parser.add_argument("--keep", action="store_true", help="keep the logs of all processes")
    return parser.parse_args()


def main():
    asked = options()
    if asked.list:
        for client in clients():
            print(f"{client['name']:20} {client['title'].replace('`', '')}")
        return 0
    names = [client["name"] for client in clients()]
    unknown = [name for name in asked.only if name not in names]
    if unknown:
        raise SystemExit(f"no such client: {', '.join(unknown)} (see --list)")
    chosen = [c for c in clients() if not asked.only or c["name"] in asked.only]
    wanted = [s for s in SCENARIOS if not asked.scenario or s.name in asked.scenario]
    installed = Installed(asked.cache, asked.binary)
    folder = Path(tempfile.mkdtemp(prefix="sidecar-clients-"))
    installed.make_certificate(folder)
    clusters = Clusters(installed.binary, folder)
    results, started = {}, time.monotonic()
    try:
        with ThreadPoolExecutor(asked.jobs) as pool:
            played = {}
            for client in chosen:
                for transport in client.get("transports", EVERYWHERE):
                    if asked.transport and transport not in asked.transport:
                        continue
                    left_out = left_out_of_brief(client, transport) if asked.brief else set()
                    arguments = (installed, clusters, folder, wanted, left_out, results)
                    submitted = pool.submit(play_all, client, transport, *arguments)
                    played[client["name"], transport] = submitted
            for (client, transport), future in played.items():
                error = future.exception()
                if error:
                    print(f"✗ {client} {transport}: {type(error).__name__}: {error}", flush=True)
                    results[client, transport, wanted[0].name] = Result("fail", str(error), 0)
    finally:
        clusters.stop()
        if asked.keep:
            print(f"logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return show(asked, results, chosen, time.monotonic() - started)


def show(asked, results, chosen, seconds):
    print(report.plain_table(results, chosen))
    if asked.page:
        report.update_page(asked.page, report.page_table(results, chosen))
    if asked.json:
        rows = [[*key, *result] for key, result in results.items()]
        Path(asked.json).write_text(json.dumps(rows, ensure_ascii=False, indent=0))
    count = {kind: sum(r.outcome == kind for r in results.values()) for kind in report.MARKS}
    print(f"\n{seconds:.0f} s; not applicable: {count['none']}")
    print(f"{count['pass']} passed, {count['fail']} failed")
    return 1 if count["fail"] or not count["pass"] else 0


if __name__ == "__main__":
    sys.exit(main())
