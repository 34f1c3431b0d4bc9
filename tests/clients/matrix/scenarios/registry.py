"""The table of scenarios. A scenario is a function of a stage; it raises what is wrong."""

from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Scenario:
    name: str
    # What holds if it passes, as docs/clients.md says it.
    promise: str
    play: Callable
    # The transports on which it means something.
    transports: tuple
    # The clients that can play it, where most cannot, and why those cannot.
    only: tuple
    why_only: str


SCENARIOS = []

EVERYWHERE = ("http", "stdio", "connect")
NETWORK = ("http", "connect")
PROCESS = ("stdio", "connect")


def scenario(name, promise, transports=EVERYWHERE, only=(), why_only=""):
    def add(play):
        SCENARIOS.append(Scenario(name, promise, play, transports, only, why_only))
        return play

    return add
