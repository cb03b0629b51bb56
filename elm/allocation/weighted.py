"""Fixed shares."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate

from elm.allocation.base import Outcome


class Weighted:
    """Gives each arm its share of every block. Implements `Allocation`.

    Of `count` children an arm gets its share rounded up or down, never more or less, and its
    exact share on average (systematic sampling); which children these are is drawn.

    Args:
        arms: their names, no two alike.
        weights: as many, none below 0, in any unit.

    Raises:
        ValueError: where there is nothing to choose from.
    """

    def __init__(self, arms: Sequence[str], weights: Sequence[float]) -> None:
        if len(arms) != len(weights) or not arms:
            raise ValueError(f"weights: expected one for each of {len(arms)} arms")
        if not all(0 <= weight < float("inf") for weight in weights) or not sum(weights) > 0:
            raise ValueError("weights: expected numbers of 0 or more, and one above 0")
        self.arms = tuple(arms)
        self._limits = [limit / sum(weights) for limit in accumulate(weights)]
        # Rounding must never give the last draw to an arm that has no weight.
        last = max(i for i, weight in enumerate(weights) if weight > 0)
        self._limits[last:] = [1.0] * (len(arms) - last)

    def ask(self, count: int, rng: random.Random) -> list[str]:
        offset = rng.random()
        chosen, arm = [], 0
        for number in range(count):
            while (number + offset) / count >= self._limits[arm] and arm < len(self.arms) - 1:
                arm += 1
            chosen.append(self.arms[arm])
        rng.shuffle(chosen)
        return chosen

    def tell(self, outcome: Outcome) -> None:
        """Shares are fixed: nothing is learned from it."""
