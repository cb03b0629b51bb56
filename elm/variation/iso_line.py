"""The Iso+LineDD operator for vectors."""

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


class IsoLine(Operator):
    """A small step in every direction, and one along the line between two elites.

    `child = a + iso_sigma * N(0, I) + line_sigma * N(0, 1) * (b - a)`: elites of an archive often
    lie near a common surface, so the direction from one to another is a good one to search in.
    With a single parent only the first of the steps is left. The paper has 0.01 and 0.2 for its
    millions of evaluations; the defaults here take larger steps, for budgets of thousands.

    Args:
        environment: its `bounds`, if it has any, limit every coordinate and scale `iso_sigma`.
        model: not asked for anything.
        iso_sigma: of the step in every direction, as a share of the bounds' width (which counts
            as 1 where there are no bounds).
        line_sigma: of the step along the line, as a share of the distance.

    Raises:
        ValueError: for a wrong setting.

    Source: Vassiliades & Mouret, "Discovering the Elite Hypervolume by Leveraging Interspecies
    Correlation", 2018.
    """

    name = "iso_line"
    parents = 2

    def __init__(
        self,
        environment: Environment,
        model: LanguageModel | None = None,
        *,
        iso_sigma: Annotated[float, Meta(gt=0)] = 0.05,
        line_sigma: Annotated[float, Meta(ge=0)] = 0.5,
    ) -> None:
        if not iso_sigma > 0:
            raise ValueError(f"iso_sigma: expected a number above 0, got {iso_sigma}")
        if not line_sigma >= 0:
            raise ValueError(f"line_sigma: expected 0 or more, got {line_sigma}")
        self._bounds = vector.bounds_of(environment)
        self._iso = iso_sigma * (self._bounds[1] - self._bounds[0] if self._bounds else 1.0)
        self._line = line_sigma

    def propose(self, orders: Sequence[Order]) -> list[Proposal]:
        return [self._child(order) for order in orders]

    def _child(self, order: Order) -> Proposal:
        rng = random.Random(order.seed)

        def step(vectors: list[list[float]]) -> list[float]:
            start, end = vectors[0], vectors[min(1, len(vectors) - 1)]
            along = rng.gauss(0.0, self._line)
            return [
                a + rng.gauss(0.0, self._iso) + along * (b - a)
                for a, b in zip(start, end, strict=True)
            ]

        return vector.vary(order.parents, step, self._bounds)
