"""A thread that owns the operator and its language model, and makes one block after another.

The pipeline hands it plans and takes what it made, so that the model generates while sandboxes
execute and the archive moves on.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

import msgspec

from elm.candidate import Proposal
from elm.variation.base import Operator, Order


class Plan(msgspec.Struct, frozen=True):
    """A block to be made: its number, the blocks that were committed when its parents were drawn,
    the id of its first candidate, and one order for each candidate.
    """

    number: int
    seen: int
    first_id: int
    orders: tuple[Order, ...]


class Made(msgspec.Struct, frozen=True):
    """What came of a plan; `error` where the operator itself broke."""

    plan: Plan
    proposals: tuple[Proposal, ...]
    started: float  # seconds on the run's clock
    ended: float
    error: BaseException | None = None


class Sampler:
    """Makes blocks in the order in which they were planned."""

    def __init__(self, operator: Operator, clock: Callable[[], float]) -> None:
        self._operator = operator
        self._clock = clock
        self._plans: queue.SimpleQueue[Plan | None] = queue.SimpleQueue()
        self._made: queue.SimpleQueue[Made] = queue.SimpleQueue()
        # A daemon: a second Ctrl-C must not wait for a generation that takes a minute.
        self._thread = threading.Thread(target=self._work, name="sampler", daemon=True)
        self._thread.start()

    def submit(self, plan: Plan) -> None:
        self._plans.put(plan)

    def made(self) -> list[Made]:
        """Blocks that are ready, in order. Does not wait."""
        ready: list[Made] = []
        while True:
            try:
                ready.append(self._made.get_nowait())
            except queue.Empty:
                return ready

    def withdraw(self) -> list[Plan]:
        """Takes back plans that nobody has begun."""
        taken: list[Plan] = []
        while True:
            try:
                plan = self._plans.get_nowait()
            except queue.Empty:
                return taken
            if plan is not None:
                taken.append(plan)

    def close(self) -> None:
        self._plans.put(None)

    def _work(self) -> None:
        while (plan := self._plans.get()) is not None:
            started = self._clock()
            proposals: Sequence[Proposal] = ()
            error = None
            try:
                proposals = self._operator.propose(plan.orders)
                if len(proposals) != len(plan.orders):
                    raise RuntimeError(
                        f"operator {self._operator.name!r} made {len(proposals)} proposals "
                        f"for {len(plan.orders)} orders"
                    )
            except BaseException as raised:  # handed to the pipeline, which raises it
                error = raised
            self._made.put(Made(plan, tuple(proposals), started, self._clock(), error))
