"""Parity: repair a program that is to tell whether four bits hold an odd number of ones.

The 4-parity test of Lehman et al. ("Evolution through Large Models", 2022), as an environment.
"""

from __future__ import annotations

import random
from typing import ClassVar

from environments import settings
from environments.base import Axis, Environment, Objective, Program, Prompt, Seed
from environments.parity.bugs import MOST, with_bugs

FILE = "parity.py"
OPERATORS = ("+", "-", "*", "^", "&", "|")


class Parity(Environment):
    """Programs `parity(b1, b2, b3, b4)` that return 0 or 1.

    Args:
        bugs: how many of the five bugs of `environments.parity.bugs` the first program has.

    Raises:
        ValueError: for a wrong value, naming the key.
    """

    name = "parity"
    version = 1
    axes = (
        Axis("ones answered", -0.5, 16.5, 17),
        Axis("bits that matter", -0.5, 4.5, 5),
    )
    objective = Objective("right answers", f_min=0.0, f_max=1.0)
    prompt = Prompt(
        instruction=(
            "parity(b1, b2, b3, b4) returns 0 if the number of ones among four bits is even, "
            "and 1 if it is odd. Bugs are to be fixed."
        ),
        file=FILE,
        entry="parity",
        opening="def parity(b1, b2, b3, b4):",
        preamble="# A buggy implementation of parity, and the same one with its bugs fixed.\n",
        commit_messages=(("Fixed bugs.", 1.0),),
    )
    producer_modules: ClassVar[tuple[str, ...]] = ("environments.parity.producer",)
    judge_modules: ClassVar[tuple[str, ...]] = (
        "environments.parity.judge",
        "environments.artifact",
    )

    def __init__(self, bugs: int = 5) -> None:
        self._bugs = settings.integer("bugs", bugs, low=0, high=MOST)

    def seeds(self) -> list[Seed]:
        return [Seed(f"{self._bugs} bugs", Program({FILE: with_bugs(self._bugs)}))]

    def random_program(self, rng: random.Random) -> Program:
        """A random expression of four to eight bits, and its remainder."""
        names = [rng.choice(("b1", "b2", "b3", "b4")) for _ in range(rng.randint(4, 8))]
        text = names[0]
        for name in names[1:]:
            text = f"({text} {rng.choice(OPERATORS)} {name})"
        return Program(
            {FILE: f"def parity(b1, b2, b3, b4):\n    total = {text}\n    return total % 2\n"}
        )
