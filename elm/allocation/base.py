"""What shares out the children of a run among arms: operators of a mixture, models of an ensemble.

The contract is that of a search strategy: `ask` changes nothing and is a function of what was told
and of `rng` alone; `tell` is called exactly once for each committed child, in the order of ids. So
an allocation is the fold of a run's children, and a resumed run goes on as if nothing had happened.
"""

from __future__ import annotations

import random
from typing import Protocol

import msgspec


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one child, as its arm is to be judged by it."""

    arm: str
    entered: bool  # whether the archive took it
    fitness: float | None = None  # None: it has none
    parent: float | None = None  # fitness of the parent that was varied; None: it had none
    tokens: int = 0  # prompt and completion, of all attempts
    cost: float = 0.0


class Allocation(Protocol):
    """Chooses an arm for each child of a block. See the module for the contract."""

    arms: tuple[str, ...]

    def ask(self, count: int, rng: random.Random) -> list[str]:
        """The arm of each of `count` children; draws within one call take each other into account,
        so that a block is not given to one arm alone where several are still unknown."""

    def tell(self, outcome: Outcome) -> None:
        """Notes what became of one child."""
