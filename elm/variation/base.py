"""What the search asks of a variation operator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import msgspec

from elm.allocation.base import Allocation
from elm.candidate import Elite, Program, Proposal

Sketch = frozenset[int]
"""What a novelty check keeps of a program."""


class Order(msgspec.Struct, frozen=True):
    """One child to be made. All randomness of an operator comes from `seed`."""

    parents: tuple[Elite, ...]  # the first is the one to be varied
    seed: int
    operator: str = ""  # which part of a mixture is to make it
    model: str = ""  # which member of an ensemble is to write it
    crowd: tuple[Sketch, ...] = ()  # the elites of the archive, where novelty is asked for


class Novelty(Protocol):
    """Tells near copies from new programs before anything is paid for their evaluation."""

    def sketch(self, program: Program) -> Sketch:
        """What is kept of a program, to hold others against it."""


class Operator(ABC):
    """Makes children. Holds no state that an order's result could depend on.

    `propose` returns one proposal for each order, in their order. What goes wrong with one child
    is a proposal with a status; an operator raises only for its own defects. It may be called by
    as many threads at one time as its model has lanes.
    """

    name: str
    parents: int  # how many it wants for each child; 0 for none
    siblings: int = 1  # how many consecutive children should share their parents
    model_name: str = ""  # "" where no language model is asked
    calls: int = 0  # most completions that one child can take
    allocation: Allocation | None = None  # of a mixture: how its parts are chosen
    novelty: Novelty | None = None  # where orders are to say who is in the archive

    @abstractmethod
    def propose(self, orders: Sequence[Order]) -> list[Proposal]: ...
