"""Example: evolve programs that place eight points in the unit square, far from one another."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, ClassVar

from environments.base import Axis, Environment, Objective, Program, Prompt, Seed

FILE = "example.py"  # the file of a program that holds the function

GRID = """\
def place(number, count):
    x = 0.3 * (number % 3) + 0.1
    y = 0.3 * (number // 3) + 0.1
    return x, y
"""

LINE = """\
def place(number, count):
    x = number / count
    return x, 0.5
"""


class Example(Environment):
    """Programs `place(number, count)` that return a point (x, y) for each number below count.

    Args:
        count: how many points are asked for, 2 to 100.

    Raises:
        ValueError: for a wrong value, naming the key.
    """

    name = "example"
    version = 1  # raise it whenever the same program would get another score
    # Where a program's behaviour is measured: name, least, most, cells.
    axes = (
        Axis("mean of x", 0.0, 1.0, 10),
        Axis("mean of y", 0.0, 1.0, 10),
    )
    # Fitness is always maximised; f_min is the worst there is.
    objective = Objective("least distance", f_min=0.0, f_max=1.5)
    # What a language model is told; operators without a model do not look at it.
    prompt = Prompt(
        instruction="place(number, count) places points in the unit square, far from one another.",
        file=FILE,
        entry="place",
        opening="def place(number, count):",
    )
    # Dotted names: the module with produce() or judge() first, then what of yours it imports.
    producer_modules: ClassVar[tuple[str, ...]] = ("elm.skeleton.example.producer",)
    judge_modules: ClassVar[tuple[str, ...]] = (
        "elm.skeleton.example.judge",
        "environments.artifact",
    )

    def __init__(self, count: int = 8) -> None:
        if not 2 <= count <= 100:
            raise ValueError(f"count: expected 2 to 100, got {count}")
        self._count = count

    def seeds(self) -> Sequence[Seed]:
        """Programs to start from."""
        return [Seed("grid", Program({FILE: GRID})), Seed("line", Program({FILE: LINE}))]

    def producer_settings(self) -> dict[str, Any]:
        """What the jail of a program is told: plain JSON, never an expected answer."""
        return {"count": self._count}

    def judge_settings(self) -> dict[str, Any]:
        """What the judge is told."""
        return {"count": self._count}

    def random_program(self, rng: random.Random) -> Program:
        """A program without parents, the baseline of every search. May be left out."""
        placed = [(round(rng.random(), 2), round(rng.random(), 2)) for _ in range(self._count)]
        return Program({FILE: f"def place(number, count):\n    return {placed!r}[number]\n"})
