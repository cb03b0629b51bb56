"""What the run asks of those who make its blocks: operators with their language models.

A block is made in parts: as many orders as the model takes together. Parts are cut in the same
way whoever makes them, and a part's proposals depend on its orders alone. So it makes no difference
to a run which process, on which machine, makes which part, or how often one is made again because
whoever had it is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from elm.candidate import Proposal
from elm.variation.base import Order


class Part(msgspec.Struct, frozen=True):
    """Consecutive orders of one block, to be made together."""

    block: int
    index: int  # of the part within its block
    orders: tuple[Order, ...]


class MadePart(msgspec.Struct, frozen=True):
    """What came of a part; `error` where the operator itself broke."""

    block: int
    index: int
    proposals: tuple[Proposal, ...]
    started: float  # seconds on the run's clock
    ended: float
    sampler: str = "local"  # who made it
    error: BaseException | None = None


class Samplers(Protocol):
    """Makes parts. Owned by the run's thread; `made` and `notices` never wait."""

    def submit(self, parts: Sequence[Part]) -> None:
        """Queues parts. They are begun in this order."""

    def made(self) -> list[MadePart]:
        """What is ready, in any order; each part exactly once."""

    def withdraw(self) -> list[Part]:
        """Takes back parts that nobody has begun, in their order."""

    def notices(self) -> list[str]:
        """What happened since the last call, one line each."""

    def close(self) -> None:
        """Lets everybody go. Parts that are not ready are forgotten."""
