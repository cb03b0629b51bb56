"""Gaussian mutation of vectors."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from elm.candidate import Proposal
from elm.models.base import LanguageModel
from elm.variation import vector
from elm.variation.base import Operator, Order
from environments.base import Environment


class Gaussian(Operator):
    """Adds independent normal steps to coordinates of the first parent.

    Args:
        environment: its `bounds`, if it has any, limit every coordinate.
        model: not asked for anything.
        sigma: standard deviation of a step.
        relative: whether `sigma` is a share of the bounds' width, which counts as 1 where there
            are no bounds; otherwise it is in the vector's own unit.
        rate: chance of each coordinate to take a step; one of them always does.

    Raises:
        ValueError: for a wrong setting.
    """

    name = "gaussian"
    parents = 1

    def __init__(
        self,
        environment: Environment,
        model: LanguageModel | None = None,
        *,
        sigma: Annotated[float, Meta(gt=0)] = 0.15,
        relative: bool = True,
        rate: Annotated[float, Meta(gt=0, le=1)] = 1.0,
    ) -> None:
        if not sigma > 0:
            raise ValueError(f"sigma: expected a number above 0, got {sigma}")
        if not 0 < rate <= 1:
            raise ValueError(f"rate: expected above 0 and at most 1, got {rate}")
        self._bounds = vector.bounds_of(environment)
        width = self._bounds[1] - self._bounds[0] if relative and self._bounds else 1.0
        self._sigma = sigma * width
        self._rate = rate

    def propose(self, orders: Sequence[Order]) -> list[Proposal]:
        return [self._child(order) for order in orders]

    def _child(self, order: Order) -> Proposal:
        rng = random.Random(order.seed)

        def step(vectors: list[list[float]]) -> list[float]:
            child = list(vectors[0])
            always = rng.randrange(len(child))
            for i in range(len(child)):
                if i == always or rng.random() < self._rate:
                    child[i] += rng.gauss(0.0, self._sigma)
            return child

        return vector.vary(order.parents, step, self._bounds)
