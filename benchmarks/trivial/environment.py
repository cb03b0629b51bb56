"""An environment that costs next to nothing, so that what is measured is the machinery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from environments.base import Axis, Environment, Objective, Program, Prompt, Seed


class Trivial(Environment):
    """A program returns a number; its digits decide where it is filed and how good it is."""

    name = "trivial"
    axes = (Axis("units", 0.0, 100.0, 100), Axis("thousandths", 0.0, 1000.0, 100))
    objective = Objective("number", f_min=-1e6)
    prompt = Prompt(
        instruction="value() returns a number.",
        file="value.py",
        entry="value",
        opening="def value():",
        preamble="# value() returns a number.",
    )
    producer_modules: ClassVar[tuple[str, ...]] = ("benchmarks.trivial.producer",)
    judge_modules: ClassVar[tuple[str, ...]] = ("benchmarks.trivial.judge",)

    def seeds(self) -> Sequence[Seed]:
        return [Seed("fifty", Program({"value.py": "def value():\n    return 50.0\n"}))]
