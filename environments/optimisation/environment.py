"""Optimisation: evolve programs that construct solutions of open mathematical problems.

The problems are those of AlphaEvolve (Novikov et al., 2025); `cp`, `mmd` and `ht` score as in the
public tasks that followed it (OpenEvolve, ThetaEvolve).
"""

from __future__ import annotations

import random
from typing import Any, ClassVar

from environments import settings
from environments.base import Axis, Environment, Objective, Program, Prompt, Seed
from environments.optimisation.tasks import TASKS

FILE = "solve.py"
SCORES = ("strict", "tolerant")

PREAMBLE = '''\
"""{statement}

Plain lists of numbers or numpy arrays. At most {seconds:g} seconds.
"""
import math
import random
import numpy as np
'''


class Optimisation(Environment):
    """Programs `solve()` that return a solution, which is scored as a share of the best known.

    Args:
        task: one of `environments.optimisation.tasks.TASKS`.
        score: what fitness is: "strict", the score of an exactly valid solution, or "tolerant",
            that of the solution as it stands, broken by up to 1e-6. Metrics hold both.
        seconds: CPU time that a program may take.

    Raises:
        ValueError: for a wrong value, naming the key.
    """

    name = "optimisation"
    version = 1
    preload = ("numpy",)
    producer_modules: ClassVar[tuple[str, ...]] = ("environments.optimisation.producer",)
    judge_modules: ClassVar[tuple[str, ...]] = (
        "environments.optimisation.judge",
        "environments.optimisation.tasks",
        "environments.optimisation.circles",
        "environments.optimisation.exact",
        "environments.optimisation.points",
        "environments.optimisation.reading",
        "environments.optimisation.problems.problem",
        "environments.optimisation.problems.autocorrelation",
        "environments.optimisation.problems.convex",
        "environments.optimisation.problems.distances",
        "environments.optimisation.problems.hexagons",
        "environments.optimisation.problems.kissing",
        "environments.optimisation.problems.rectangle",
        "environments.optimisation.problems.square",
        "environments.optimisation.problems.triangle",
        "environments.artifact",
    )

    def __init__(self, task: str = "cp", score: str = "strict", seconds: float = 10.0) -> None:
        self._task = settings.choice("task", task, TASKS)
        self._score = settings.choice("score", score, SCORES)
        self._seconds = settings.number("seconds", seconds, above=0.0, at_most=3600.0)
        self._problem = TASKS[task]
        self.axes = tuple(
            Axis(axis.name, axis.low, axis.high, axis.cells) for axis in self._problem.axes
        )
        self.objective = Objective(
            "share of the best known", f_min=0.0, f_max=1.0 if self._problem.proven else None
        )
        self.prompt = Prompt(
            instruction=self._problem.statement,
            file=FILE,
            entry="solve",
            opening="def solve():",
            preamble=PREAMBLE.format(statement=self._problem.statement, seconds=self._seconds),
            commit_messages=(
                ("Changed solve function.", 0.4),
                ("Changed parameters in solve function.", 0.3),
                ("Small change to solve function.", 0.3),
            ),
        )

    def seeds(self) -> list[Seed]:
        return [Seed(name, Program({FILE: text})) for name, text in self._problem.seeds.items()]

    def judge_settings(self) -> dict[str, Any]:
        return {"task": self._task, "score": self._score}

    def limits(self) -> dict[str, float]:
        return {"cpu_seconds": self._seconds, "wall_seconds": 5.0 * self._seconds + 20.0}

    def random_program(self, rng: random.Random) -> Program:
        """A program whose solution is valid, and random."""
        return Program({FILE: self._problem.random_program(rng)})

    def render(self, artifact: Any) -> str | None:
        """The solution, or None for vectors of many dimensions."""
        from environments.optimisation.picture import draw

        return draw(self._problem.shape, self._task, artifact)
