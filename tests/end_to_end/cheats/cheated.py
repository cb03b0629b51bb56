"""A shipped specification whose first programs are the cheats, and honest ones between them."""

from __future__ import annotations

from typing import Any

from cheats import CHEATS
from environments.base import Program, Seed
from environments.specification.environment import Specification

HONEST = "def priority(*args):\n    return {number}.0\n"
HONEST_BINS = "def priority(*args):\n    return {number}.0 - args[1]\n"


class Cheated(Specification):
    """Every second program cheats; each honest one ranks like all the others.

    Args:
        of: the shipped specification whose cheats these are.
        path, inputs, split, apart: those of a specification.
    """

    name = "cheated"

    def __init__(
        self,
        of: str,
        path: str,
        inputs: list[Any],
        split: int | str = 1,
        apart: bool = False,
    ) -> None:
        super().__init__(path=path, inputs=inputs, split=split, apart=apart, f_min=-1000.0)
        self._of = of

    def seeds(self) -> list[Seed]:
        honest = HONEST_BINS if self._of == "bin_packing" else HONEST
        seeds = [Seed("honest", Program({self._file: honest.format(number=0)}))]
        for number, cheat in enumerate((c for c in CHEATS if c.specification == self._of), 1):
            seeds.append(Seed(cheat.name, Program({self._file: cheat.source})))
            seeds.append(Seed("honest", Program({self._file: honest.format(number=number)})))
        return seeds
