"""Programs that owe nothing to any parent: random search."""

from __future__ import annotations

import random
from collections.abc import Sequence

from elm.candidate import Proposal
from elm.models.base import LanguageModel
from elm.variation.base import Operator, Order
from environments.base import Environment


class RandomProgram(Operator):
    """Asks the environment for a new program each time: the baseline that a search has to beat.

    Args:
        environment: must have `random_program`.
        model: not asked for anything.

    Raises:
        ValueError: if the environment generates no random programs.
    """

    name = "random"
    parents = 0

    def __init__(self, environment: Environment, model: LanguageModel | None = None) -> None:
        try:
            environment.random_program(random.Random(0))
        except LookupError as error:
            raise ValueError(f"{error}; choose another operator") from None
        self._environment = environment

    def propose(self, orders: Sequence[Order]) -> list[Proposal]:
        return [
            Proposal(program=self._environment.random_program(random.Random(order.seed)))
            for order in orders
        ]
