"""Bandits: arms that earn more get more children.

Both count the children that one call of `ask` has already given away, since a block is asked for
at once and all of it before anything of it is told.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import msgspec

from elm.allocation.base import Outcome
from elm.allocation.reward import entered

PRIOR_MEAN, PRIOR_PULLS = 0.5, 1.0
# A free arm would be worth any number of others, and never let them try again.
CHEAPEST = 0.05  # the least that a child counts as, as a share of what the dearest arm's costs


class _Record(msgspec.Struct):
    """What is known of one arm."""

    pulls: int = 0
    reward: float = 0.0  # sums
    cost: float = 0.0


Rule = Callable[[float, int, int, random.Random], float]
"""What an arm is worth, given its scaled mean reward, its pulls (at least one; those not told yet
included), the pulls of all arms, and where to draw from."""


def ucb(exploration: float = math.sqrt(2)) -> Rule:
    """UCB1 (Auer, Cesa-Bianchi and Fischer, 2002): the mean, and a bonus for what is little known.

    Args:
        exploration: factor of the bonus sqrt(ln t / n); sqrt(2) is the textbook's.
    """

    def worth(mean: float, pulls: int, total: int, rng: random.Random) -> float:
        return mean + exploration * math.sqrt(math.log(total) / pulls)

    return worth


def thompson(sigma: float = 0.1) -> Rule:
    """Gaussian Thompson sampling: a draw from what the arm's mean may be, a prior pull included.

    Args:
        sigma: standard deviation of one reward.
    """

    def worth(mean: float, pulls: int, total: int, rng: random.Random) -> float:
        weight = PRIOR_PULLS + pulls
        centre = (PRIOR_MEAN * PRIOR_PULLS + mean * pulls) / weight
        return rng.gauss(centre, sigma / math.sqrt(weight))

    return worth


class Bandit:
    """Chooses the arm with the highest index. Implements `Allocation`.

    Rewards are divided by the greatest seen so far, so they lie between 0 and 1 whatever their
    unit; where children cost differently, by what the arm's children cost on average, too.

    Args:
        arms: their names, no two alike.
        rule: what an arm is worth.
        floor: the least share of all children that each arm gets, however bad it is.
        reward: what a child earns, 0 or more.
        cost: what a child costs, 0 or more; None: all the same.

    Raises:
        ValueError: for an impossible floor.
    """

    def __init__(
        self,
        arms: Sequence[str],
        rule: Rule,
        *,
        floor: float = 0.0,
        reward: Callable[[Outcome], float] = entered,
        cost: Callable[[Outcome], float] | None = None,
    ) -> None:
        if not 0 <= floor * len(arms) <= 1:
            raise ValueError(
                f"floor: expected 0 to {1 / len(arms):.3g} for {len(arms)} arms, got {floor:g}"
            )
        self.arms = tuple(arms)
        self._rule, self._floor = rule, floor
        self._reward, self._cost = reward, cost
        self._records = {arm: _Record() for arm in arms}
        self._best = 0.0  # reward of one child

    def ask(self, count: int, rng: random.Random) -> list[str]:
        pulls = [self._records[arm].pulls for arm in self.arms]
        values = self._values()
        chosen = []
        for _ in range(count):
            place = self._choice(pulls, values, rng)
            pulls[place] += 1
            chosen.append(self.arms[place])
        return chosen

    def tell(self, outcome: Outcome) -> None:
        record = self._records.get(outcome.arm)
        if record is None:
            raise ValueError(f"no arm {outcome.arm!r}, known: {', '.join(self.arms)}")
        reward = self._reward(outcome)
        record.pulls += 1
        record.reward += reward
        record.cost += self._cost(outcome) if self._cost else 1.0
        self._best = max(self._best, reward)

    def _choice(self, pulls: list[int], values: list[float], rng: random.Random) -> int:
        places = range(len(pulls))
        rarest = min(places, key=lambda i: pulls[i])
        # The first that was never tried, or whoever lacks most of its due.
        if not pulls[rarest] or pulls[rarest] < self._floor * (sum(pulls) + 1):
            return rarest
        total = sum(pulls)
        return max(places, key=lambda i: self._rule(values[i], pulls[i], total, rng))

    def _values(self) -> list[float]:
        """The mean reward of each arm, scaled to lie between 0 and 1."""
        records = [self._records[arm] for arm in self.arms]
        means = [
            r.reward / r.pulls / self._best if r.pulls and self._best else 0.0 for r in records
        ]
        costs = [r.cost / r.pulls if r.pulls else 0.0 for r in records]
        if self._cost is None or not max(costs) > 0:
            return means
        # An arm that was not tried yet has no cost: its mean is 0 anyway.
        costs = [max(cost, CHEAPEST * max(costs)) for cost in costs]
        cheapest = min(costs)
        return [mean * cheapest / cost for mean, cost in zip(means, costs, strict=True)]
