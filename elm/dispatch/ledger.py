"""Which task is where: queued, leased to a worker, delivered, acknowledged. Knows no messages.

Whatever ends a lease early queues its task again, lowest candidate first.

Poison: a task that comes back `lost` from its slot `max_tries` times. A worker that vanishes takes
innocent tasks with it, so that its loss convicts nobody: the tasks that it had become suspects
when that happens to them twice, a suspect is executed alone on a worker, and only workers that
vanish while they have nothing else count.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.protocol import Evaluation, Status, Task

SUSPECT_AFTER = 2  # losses of a worker that had it, before a task is tried alone


@dataclass
class Item:
    """One open task, and what has happened to it."""

    task: Task
    lease: int | None = None
    delivered: bool = False
    slot_losses: int = 0
    worker_losses: int = 0  # that had it beside others
    kills: int = 0  # of workers that executed nothing else

    @property
    def suspect(self) -> bool:
        """Whether it must be executed alone."""
        return self.worker_losses >= SUSPECT_AFTER


@dataclass
class Lease:
    """The right of one worker to give the result of one task."""

    number: int
    item: Item
    worker: str
    since: float
    held: bool = False  # a beat has shown that it arrived
    begun: float | None = None  # since when a slot must be executing it


class Ledger:
    """All open tasks of one life of the dispatcher.

    Args:
        max_tries: losses after which a task counts as poison.
    """

    def __init__(self, max_tries: int) -> None:
        self.max_tries = max_tries
        self.finished: list[Evaluation] = []  # for the pipeline to collect
        self.counts: Counter[str] = Counter()
        self._items: dict[int, Item] = {}
        self._leases: dict[int, Lease] = {}
        self._unfinished: dict[str, set[int]] = {}  # by worker: leases without a result
        self._queue: list[int] = []
        self._suspects: list[int] = []
        self._last = 0

    def __len__(self) -> int:
        """Tasks that are not acknowledged."""
        return len(self._items)

    @property
    def queued(self) -> bool:
        """Whether a task waits that may be executed beside others."""
        return bool(self._queue)

    @property
    def suspected(self) -> bool:
        """Whether a task waits that must be executed alone."""
        return bool(self._suspects)

    @property
    def all_delivered(self) -> bool:
        """Whether the fleet has nothing to do."""
        return all(item.delivered for item in self._items.values())

    def census(self) -> dict[str, int]:
        """How many tasks are where."""
        delivered = sum(item.delivered for item in self._items.values())
        leased = sum(map(len, self._unfinished.values()))
        queued = len(self._items) - delivered - leased
        return {"queued": queued, "leased": leased, "delivered": delivered}

    def unfinished(self, worker: str) -> frozenset[int]:
        """Leases of a worker that have no result yet."""
        return frozenset(self._unfinished.get(worker, ()))

    def load(self, worker: str) -> int:
        """How many leases of a worker have no result yet."""
        return len(self._unfinished.get(worker, ()))

    def find(self, number: int, worker: str) -> Lease | None:
        """A lease that is in force and belongs to this worker."""
        lease = self._leases.get(number)
        return lease if lease is not None and lease.worker == worker else None

    def overdue(self, worker: str, slots: int, now: float, longest: float) -> Lease | None:
        """A lease that a worker has been executing for too long, if there is one.

        Workers take the oldest lease first, so that as many of the oldest as there are slots are
        being executed, whatever the worker says.
        """
        for number in heapq.nsmallest(slots, self._unfinished.get(worker, ())):
            lease = self._leases[number]
            if lease.begun is None:
                lease.begun = now
            elif now - lease.begun > longest:
                return lease
        return None

    def restart_clocks(self, now: float) -> None:
        """Lets all that is being executed begin now."""
        for lease in self._leases.values():
            if lease.begun is not None:
                lease.begun = now

    def add(self, task: Task) -> None:
        """Queues a task.

        Raises:
            ValueError: if its candidate is open already.
        """
        if task.candidate in self._items:
            raise ValueError(f"candidate {task.candidate} is submitted already")
        self._items[task.candidate] = Item(task)
        heapq.heappush(self._queue, task.candidate)

    def lease(self, worker: str, now: float, *, suspect: bool = False) -> Lease:
        """Gives the first task in the queue, or the first suspect, to a worker."""
        item = self._items[heapq.heappop(self._suspects if suspect else self._queue)]
        self._last += 1
        item.lease = self._last
        lease = self._leases[self._last] = Lease(self._last, item, worker, now)
        self._unfinished.setdefault(worker, set()).add(self._last)
        self.counts["assigned"] += 1
        return lease

    def deliver(self, lease: Lease, evaluation: Evaluation) -> None:
        """Takes a final result. The lease stays in force until it is acknowledged."""
        self._unfinished[lease.worker].discard(lease.number)
        self._finish(lease.item, evaluation)

    def acknowledge(self, candidate: int) -> Lease | None:
        """Forgets a delivered task; its lease, if a worker still holds its result."""
        item = self._items.get(candidate)
        if item is None or not item.delivered:
            return None
        del self._items[candidate]
        return self._leases.pop(item.lease) if item.lease is not None else None

    def end(self, lease: Lease) -> None:
        """Voids a lease; its task, if it is still open, is queued again."""
        del self._leases[lease.number]
        self._unfinished[lease.worker].discard(lease.number)
        item = lease.item
        item.lease = None
        if not item.delivered:
            self.counts["requeued"] += 1
            heapq.heappush(self._suspects if item.suspect else self._queue, item.task.candidate)

    def slot_lost(self, lease: Lease, reason: str, *, blame: bool) -> None:
        """The slot that executed it broke; or it comes back untried, for which nobody blames it."""
        item = lease.item
        if blame:
            item.slot_losses += 1
            if item.slot_losses >= self.max_tries:
                self._poison(item, f"took its slot down {item.slot_losses} times: {reason}")
        self.end(lease)

    def worker_lost(self, worker: str, reason: str, *, certain: bool) -> None:
        """A worker has vanished, certainly or as far as its silence tells."""
        # Any of them may have been executing: results that were under way are lost with it.
        leases = self._in_order(self._unfinished.get(worker, ()))
        for lease in leases:
            item = lease.item
            if not (certain or lease.held):
                continue  # a dead link: perhaps it never arrived
            if len(leases) == 1 and item.suspect:
                item.kills += 1
                if item.kills >= self.max_tries:
                    self._poison(item, f"took its sandbox down {item.kills} times: {reason}")
            else:
                item.worker_losses += 1
        self.release(worker)

    def release(self, worker: str) -> None:
        """Ends what a worker has not finished; nobody is to blame."""
        for lease in self._in_order(self._unfinished.get(worker, ())):
            self.end(lease)
        self._unfinished.pop(worker, None)

    def _in_order(self, numbers: Iterable[int]) -> list[Lease]:
        return [self._leases[number] for number in sorted(numbers)]

    def _finish(self, item: Item, evaluation: Evaluation) -> None:
        item.delivered = True
        self.finished.append(evaluation)

    def _poison(self, item: Item, detail: str) -> None:
        self.counts["poison"] += 1
        candidate = item.task.candidate
        poison = Evaluation(candidate=candidate, status=Status.POISON, detail=detail[:300])
        self._finish(item, poison)
