"""Function: evolve vectors of numbers that minimise a test function, one in every direction.

The linear-projection benchmark of Fontaine et al. (CMA-ME, 2020). No language model takes part.
"""

from __future__ import annotations

import json
import random
from typing import Any, ClassVar

from environments import settings
from environments.base import Axis, Environment, Objective, Program, Seed
from environments.function.genome import MAX_DIMENSIONS, MIN_DIMENSIONS

FILE = "vector.json"
FUNCTIONS = ("sphere", "rastrigin", "rosenbrock", "ackley", "griewank", "schwefel")


class Function(Environment):
    """JSON vectors whose coordinates, in [-1, 1], are scaled to the function's usual domain.

    Args:
        function: "sphere", "rastrigin", "rosenbrock", "ackley", "griewank" or "schwefel".
        dimensions: numbers in a vector.
        cells: of each of the two axes.

    Raises:
        ValueError: for a wrong value, naming the key.
    """

    name = "function"
    version = 1
    objective = Objective("normalised value", f_min=0.0, f_max=100.0, unit="%")
    bounds = (-1.0, 1.0)  # of every coordinate, for the operators that vary vectors
    producer_modules: ClassVar[tuple[str, ...]] = (
        "environments.function.producer",
        "environments.function.genome",
    )
    judge_modules: ClassVar[tuple[str, ...]] = (
        "environments.function.judge",
        "environments.function.functions",
        "environments.function.genome",
        "environments.artifact",
    )

    def __init__(self, function: str = "rastrigin", dimensions: int = 10, cells: int = 32) -> None:
        self._function = settings.choice("function", function, FUNCTIONS)
        self._dimensions = settings.integer(
            "dimensions", dimensions, low=MIN_DIMENSIONS, high=MAX_DIMENSIONS
        )
        count = settings.integer("cells", cells, low=1, high=1000)
        self.axes = (
            Axis("mean of first half", -1.0, 1.0, count),
            Axis("mean of second half", -1.0, 1.0, count),
        )

    def seeds(self) -> list[Seed]:
        """Three vectors that are near no optimum, so that operators that join parents have two."""
        n = self._dimensions
        return [
            Seed("middle", _program([-0.1] * n)),
            Seed("low", _program([-0.5] * n)),
            Seed("alternating", _program([0.3 if i % 2 else -0.3 for i in range(n)])),
        ]

    def producer_settings(self) -> dict[str, Any]:
        return {"dimensions": self._dimensions}

    def judge_settings(self) -> dict[str, Any]:
        return {"dimensions": self._dimensions, "function": self._function}

    def random_program(self, rng: random.Random) -> Program:
        """A vector drawn uniformly from the domain."""
        return _program([rng.uniform(-1.0, 1.0) for _ in range(self._dimensions)])


def _program(vector: list[float]) -> Program:
    return Program({FILE: json.dumps(vector)})
