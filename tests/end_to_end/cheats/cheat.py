"""One program that cheats, and how that may end."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent, indent

FAILED = "failed"  # it fails, whatever the status
REFUSED = "refused"  # what it hands in is refused
HONEST = "honest"  # it succeeds, and is given what its solution is worth
CLAIMED = "claimed"  # the same, and its claim of over a million is kept as a claim
EITHER = "either"  # failed or honest


@dataclass(frozen=True)
class Cheat:
    """A program for one of the shipped specifications."""

    name: str
    specification: str
    source: str
    end: str


class Subject:
    """Collects the cheats of one subject."""

    def __init__(self, specification: str = "cap_set", top: str = "") -> None:
        self.cheats: list[Cheat] = []
        self._specification, self._top = specification, dedent(top).strip("\n")

    def add(
        self, name: str, body: str, end: str, *, top: str = "", specification: str = ""
    ) -> None:
        """`body` is that of `priority(*args)`, which returns 0.0 at its end; `top` comes before."""
        inside = indent(dedent(body).strip("\n"), "    ")
        source = (
            f"import os, sys\n{self._top}\n{dedent(top).strip()}\n"
            f"def priority(*args):\n    # {name}\n{inside}\n    return 0.0\n"
        )
        chosen = specification or self._specification
        self.cheats.append(Cheat(name, chosen, source, end))
