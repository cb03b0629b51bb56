"""What the archive answers: the outcome of an insertion, and an elite's offspring counters."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    """What became of an elite that was offered."""

    NEW = "new"  # the first of its cell
    IMPROVED = "improved"  # entered a cell that others hold
    REJECTED = "rejected"  # not better than those who hold the cell
    SAME_BEHAVIOUR = "same_behaviour"  # does what an elite before it did, where that counts once
    OUT_OF_RANGE = "out_of_range"  # its descriptor lies outside of the limits


class Insertion(msgspec.Struct, frozen=True, gc=False):
    """The archive's answer to one elite."""

    outcome: Outcome
    cell: int | None = None  # None: out of range
    rank: int | None = None  # 0 is the best of its cell; None: did not enter
    replaced: int | None = None  # id of the candidate that fell out of the archive, if one did

    @property
    def entered(self) -> bool:
        return self.rank is not None


class Counters(msgspec.Struct, frozen=True, gc=False):
    """How the children of a living elite fared."""

    tried: int = 0  # children that were proposed and finished, whatever their status
    entered: int = 0  # those of them that entered the archive
