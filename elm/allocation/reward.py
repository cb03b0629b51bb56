"""What an arm earned with one child, and what the child cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from elm.allocation.base import Outcome

RewardName = Literal["entered", "gain"]
CostName = Literal["none", "tokens", "money"]

MAX_GAIN = 1e200  # so that the sum of many is still finite


def entered(outcome: Outcome) -> float:
    """1 where the archive took the child, else 0."""
    return float(outcome.entered)


def gain(outcome: Outcome) -> float:
    """How much better than its parent a child is, in units of fitness; 0 where it is worse.

    The asymmetric reward of ShinkaEvolve's bandit: a child that fails badly costs no more than one
    that is as good as its parent, so that daring arms are not punished. Fitness has no natural
    unit, so bandits divide by the best that they have seen.
    """
    if outcome.fitness is None or outcome.parent is None:
        return 0.0
    return min(max(0.0, outcome.fitness - outcome.parent), MAX_GAIN)


REWARDS: dict[RewardName, Callable[[Outcome], float]] = {"entered": entered, "gain": gain}

COSTS: dict[CostName, Callable[[Outcome], float]] = {
    "none": lambda outcome: 1.0,
    "tokens": lambda outcome: float(outcome.tokens),
    "money": lambda outcome: outcome.cost,
}
