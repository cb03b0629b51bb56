"""One hostile program, what it is after, and what stops it."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent, indent

from sandbox.protocol import Status

REFUSED = frozenset({Status.VIOLATION, Status.RUNTIME_ERROR})

# Layers of `sandbox.jail.LAYERS`, and what stops attacks besides them.
OTHER_LAYERS = ("judge", "parser", "fork")

CALL = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    result = libc.syscall(*map(ctypes.c_long, arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result
"""


@dataclass(frozen=True)
class Attack:
    """A program that returns 1, or prints THROUGH, where it got through.

    Attributes:
        layer: what stops it (fork: that each candidate gets a child of its own).
        expected: the statuses that it may end with.
        alone: the level at which that layer is its only obstacle, so that without the layer it
            gets through; empty where others stand behind it.
        machine: the only architecture whose system call numbers it knows.
        processes: children that the environment allows.
    """

    name: str
    subject: str
    layer: str
    source: str
    expected: frozenset[Status] = REFUSED
    alone: str = ""
    machine: str = ""
    processes: int = 0

    def reaches(self, level: str) -> bool:
        """Whether this level claims to stop it."""
        return self.layer != "namespaces" or level == "L3"


class Subject:
    """Collects the attacks of one subject."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.attacks: list[Attack] = []

    def add(
        self,
        name: str,
        layer: str,
        body: str,
        *expected: str,
        top: str = "",
        alone: str = "",
        machine: str = "",
        processes: int = 0,
    ) -> None:
        """`body` is that of `main`, which returns 1 at its end; `top` stands before it."""
        main = indent(dedent(body).strip("\n"), "    ")
        source = f"import os, sys, time\n{dedent(top)}\ndef main():\n{main}\n    return 1\n"
        wanted = frozenset(Status(status) for status in expected) or REFUSED
        self.attacks.append(
            Attack(name, self.name, layer, source, wanted, alone, machine, processes)
        )
