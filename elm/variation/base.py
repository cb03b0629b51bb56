"""What the search asks of a variation operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

import msgspec

from elm.candidate import Elite, Proposal


class Order(msgspec.Struct, frozen=True):
    """One child to be made. All randomness of an operator comes from `seed`."""

    parents: tuple[Elite, ...]  # the first is the one to be varied
    seed: int


class Operator(Protocol):
    """Makes children. Holds no state that an order's result could depend on.

    `propose` returns one proposal for each order, in their order. What goes wrong with one child
    is a proposal with a status; an operator raises only for its own defects.
    """

    name: ClassVar[str]
    parents: int  # how many it wants for each child; 0 for none
    siblings: int  # how many consecutive children should share their parents; 1 for most
    model_name: str  # "" where no language model is asked

    def propose(self, orders: Sequence[Order]) -> list[Proposal]: ...
