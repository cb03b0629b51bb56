"""Threads of the run's own process that own the operator and its language model.

The model generates while sandboxes execute and the archive moves on.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence

from elm.candidate import Proposal
from elm.sampler.base import MadePart, Part
from elm.variation.base import Operator


def make(operator: Operator, part: Part, clock: Callable[[], float], sampler: str) -> MadePart:
    """Makes one part. What the operator raises is handed on in the answer."""
    started = clock()
    proposals: Sequence[Proposal] = ()
    error: BaseException | None = None
    try:
        proposals = operator.propose(part.orders)
        if len(proposals) != len(part.orders):
            raise RuntimeError(
                f"operator {operator.name!r} made {len(proposals)} proposals "
                f"for {len(part.orders)} orders"
            )
    except BaseException as raised:  # handed to the run, which raises it
        error = raised
    return MadePart(part.block, part.index, tuple(proposals), started, clock(), sampler, error)


class LocalSampler:
    """Makes parts in the order in which they were submitted. Implements `Samplers`.

    Args:
        operator: only these threads touch it.
        clock: the run's, in seconds.
        lanes: parts that are made at one time.
    """

    def __init__(self, operator: Operator, clock: Callable[[], float], lanes: int = 1) -> None:
        self._operator = operator
        self._clock = clock
        self._parts: deque[Part] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._made: queue.SimpleQueue[MadePart] = queue.SimpleQueue()
        # Daemons: a second Ctrl-C must not wait for a generation that takes a minute.
        for lane in range(lanes):
            threading.Thread(target=self._work, name=f"sampler-{lane}", daemon=True).start()

    def submit(self, parts: Sequence[Part]) -> None:
        with self._changed:
            self._parts.extend(parts)
            self._changed.notify(len(parts))

    def made(self) -> list[MadePart]:
        ready: list[MadePart] = []
        while True:
            try:
                ready.append(self._made.get_nowait())
            except queue.Empty:
                return ready

    def withdraw(self) -> list[Part]:
        with self._changed:
            taken = list(self._parts)
            self._parts.clear()
        return taken

    def notices(self) -> list[str]:
        return []

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._parts.clear()
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._parts or self._closed)
                if self._closed:
                    return
                part = self._parts.popleft()
            self._made.put(make(self._operator, part, self._clock, "local"))
