"""Has planned blocks made in parts, by whoever makes them, and puts the blocks together again.

Parts come back in any order. What belongs to a block that cannot be written yet is kept in the
journal as a draft: a completion that was paid for is never asked for twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import msgspec

from elm.candidate import Proposal
from elm.journal import Draft, Journal
from elm.sampler.base import Part, Samplers
from elm.variation.base import Order


class Plan(msgspec.Struct, frozen=True):
    """A block to be made: its number, the blocks that were committed when its parents were drawn,
    the id of its first candidate, and one order for each candidate.
    """

    number: int
    seen: int
    first_id: int
    orders: tuple[Order, ...]


class Made(msgspec.Struct, frozen=True):
    """What came of a plan."""

    plan: Plan
    proposals: tuple[Proposal, ...]
    started: float  # seconds on the run's clock
    ended: float


def _key(part: Part) -> str:
    """The same for the same orders, so that a draft is only taken for what it was made for."""
    orders = [
        (order.seed, order.operator, order.model, [p.candidate.id for p in order.parents])
        for order in part.orders
    ]
    return hashlib.sha256(json.dumps(orders).encode()).hexdigest()


class _Begun:
    """A plan, and the parts of it that are there."""

    def __init__(self, plan: Plan, parts: Sequence[Part]) -> None:
        self.plan, self.parts = plan, parts
        self.made: dict[int, Draft] = {}

    @property
    def whole(self) -> bool:
        return len(self.made) == len(self.parts)

    def join(self) -> Made:
        made = [self.made[index] for index in range(len(self.parts))]
        proposals = tuple(proposal for part in made for proposal in part.proposals)
        started, ended = min(p.started for p in made), max(p.ended for p in made)
        return Made(self.plan, proposals, started, ended)


class Assembly:
    """Blocks between their plan and their candidates. Owned by the run's thread.

    Args:
        samplers: make the parts.
        journal: keeps drafts.
        unit: orders in a part; None: the whole block. Part of what decides the archive, since a
            model's micro-batch is a part.
        in_order: whether blocks leave in the order of their numbers, or as they become whole.
    """

    def __init__(
        self, samplers: Samplers, journal: Journal, unit: int | None, *, in_order: bool = True
    ) -> None:
        self._samplers, self._journal = samplers, journal
        self._unit, self._in_order = unit, in_order
        self._begun: dict[int, _Begun] = {}  # by number
        self.makers: dict[str, int] = {}  # parts by who made them

    def submit(self, plan: Plan) -> None:
        """Has a block made; parts that the journal holds as drafts are not made again."""
        unit = self._unit or len(plan.orders)
        parts = [
            Part(plan.number, index, plan.orders[start : start + unit])
            for index, start in enumerate(range(0, len(plan.orders), unit))
        ]
        begun = self._begun[plan.number] = _Begun(plan, parts)
        drafts = self._journal.drafts(plan.number)
        for part in parts:
            draft = drafts.get((part.index, _key(part)))
            if draft is not None:
                begun.made[part.index] = draft
        self._samplers.submit([part for part in parts if part.index not in begun.made])

    def made(self) -> list[Made]:
        """Blocks that are whole, in the order of their numbers where that is asked for.

        Raises:
            BaseException: what an operator raised, after everything else was kept.
        """
        arrived = self._samplers.made()
        for part in arrived:
            if part.error is None:
                draft = Draft(part.proposals, part.started, part.ended, part.sampler)
                self._begun[part.block].made[part.index] = draft
                self.makers[part.sampler] = self.makers.get(part.sampler, 0) + 1
        broken = next((part.error for part in arrived if part.error is not None), None)
        ready = [] if broken else self._ready()
        gone = {made.plan.number for made in ready}
        for part in arrived:
            if part.error is None and part.block not in gone:
                begun = self._begun[part.block]
                key = _key(begun.parts[part.index])
                self._journal.write_draft(part.block, part.index, key, begun.made[part.index])
        if broken is not None:
            raise broken
        for number in gone:
            del self._begun[number]
        return ready

    def _ready(self) -> list[Made]:
        ready = []
        for number in sorted(self._begun):
            if self._begun[number].whole:
                ready.append(self._begun[number].join())
            elif self._in_order:
                break
        return ready

    def withdraw(self) -> list[Plan]:
        """Forgets the last blocks, as far as nothing of them was begun."""
        taken: dict[int, list[Part]] = {}
        for part in self._samplers.withdraw():
            taken.setdefault(part.block, []).append(part)
        forgotten = []
        for number in sorted(self._begun, reverse=True):
            if len(taken.get(number, ())) < len(self._begun[number].parts):
                break
            forgotten.append(self._begun.pop(number).plan)
            del taken[number]
        self._samplers.submit([part for number in sorted(taken) for part in taken[number]])
        return forgotten
