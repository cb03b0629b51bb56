"""A mixture of operators: each child is made by one of them."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from elm.allocation import build as build_allocation
from elm.allocation.reward import CostName, RewardName
from elm.candidate import Proposal
from elm.models.base import LanguageModel
from elm.seeding import derive
from elm.variation import OPERATORS
from elm.variation.base import Operator, Order
from environments.base import Environment
from environments.construct import construct

_Part = Mapping[str, Any]


class Mixed(Operator):
    """Hands each order to the part that it names.

    Args:
        environment, model: for the parts.
        operators: the parts by name; each value holds the part's own settings, `weight` (1 where
            it is absent, 0 leaves the part out), and `name` where the part is called otherwise
            than its operator.
        adapt: "none" keeps the weights' shares in every block; "ucb" and "thompson" start with
            every part alike and prefer those whose children earn more.
        reward: what a child earns: "entered" is 1 where the archive takes it, "gain" how much
            better than its parent it is.
        cost: what rewards are divided by: "none", "tokens" or "money" of a child.
        floor: least share of each part, where shares adapt.

    Raises:
        ValueError: for a wrong setting of the mixture or of a part, with its key.
    """

    name = "mixed"

    def __init__(
        self,
        environment: Environment,
        model: LanguageModel | None = None,
        *,
        operators: Mapping[str, _Part],
        adapt: Literal["none", "ucb", "thompson"] = "none",
        reward: RewardName = "entered",
        cost: CostName = "none",
        floor: Annotated[float, Meta(ge=0, le=1)] = 0.05,
    ) -> None:
        weights = {key: _weight(key, settings) for key, settings in operators.items()}
        self._weights = {key: weight for key, weight in weights.items() if weight > 0}
        if not self._weights:
            raise ValueError("operators: expected at least one with a weight above 0, got none")
        self._parts = {key: _part(key, operators[key], environment, model) for key in self._weights}
        parts = self._parts.values()
        self.parents = max(part.parents for part in parts)
        self.siblings = max(part.siblings for part in parts)
        self.calls = max(part.calls for part in parts)
        self.model_name = next((part.model_name for part in parts if part.model_name), "")
        self.novelty = next((part.novelty for part in parts if part.novelty), None)
        policy = {"policy": "weights" if adapt == "none" else adapt}
        self.allocation = build_allocation(
            {**policy, "reward": reward, "cost": cost, "floor": floor},
            tuple(self._parts),
            tuple(self._weights.values()),
            section="variation",
        )

    def propose(self, orders: Sequence[Order]) -> list[Proposal]:
        """One proposal for each order, in their order; the orders of a part are made together."""
        keys = [self._key(order) for order in orders]
        made: dict[int, Proposal] = {}
        for key, part in self._parts.items():
            places = [place for place, chosen in enumerate(keys) if chosen == key]
            if not places:
                continue
            own = [_trimmed(orders[place], part.parents) for place in places]
            for place, proposal in zip(places, part.propose(own), strict=True):
                made[place] = msgspec.structs.replace(proposal, operator=key)
        return [made[place] for place in range(len(orders))]

    def _key(self, order: Order) -> str:
        if order.operator in self._parts:
            return order.operator
        if order.operator:
            known = ", ".join(self._parts)
            raise ValueError(f"mixed has no part {order.operator!r}, known: {known}")
        # Apart from the seed's own stream, which the part draws its child from.
        rng = random.Random(derive(order.seed, "operator"))
        return rng.choices(list(self._weights), list(self._weights.values()))[0]


def _trimmed(order: Order, parents: int) -> Order:
    """The order as the part would have been given it: with as many parents as it wants."""
    return msgspec.structs.replace(order, parents=order.parents[:parents])


def _weight(key: str, settings: Any) -> float:
    if not isinstance(settings, Mapping):
        raise ValueError(f"operators.{key}: expected settings, got {settings!r}")
    weight = settings.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
        raise ValueError(f"operators.{key}.weight: expected a number, got {weight!r}")
    if weight < 0:
        raise ValueError(f"operators.{key}.weight: expected 0 or more, got {weight:g}")
    return float(weight)


def _part(
    key: str, settings: _Part, environment: Environment, model: LanguageModel | None
) -> Operator:
    own = {"name": key, **settings}
    own.pop("weight", None)
    known = {name: where for name, where in OPERATORS.items() if name != Mixed.name}
    operator: Operator = construct(f"variation.operators.{key}", own, known, environment, model)
    return operator
