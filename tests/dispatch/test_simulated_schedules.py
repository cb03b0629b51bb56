"""The protocol under random schedules, and proof that the simulator catches a broken one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from fleet_simulator import Broken, Simulation, play

from elm.dispatch.broker import Broker
from sandbox.agent import Agent
from sandbox.protocol import Beat, Evaluation, Resize

SCHEDULES = 500


class AcknowledgesBeforeCommit(Broker):
    def collect(self) -> list[Evaluation]:
        finished = super().collect()
        self.acknowledge(evaluation.candidate for evaluation in finished)
        return finished


class ForgetsLeasesOfLostWorkers(Broker):
    def _lose(self, worker: Any, reason: str, *, certain: bool) -> None:
        self._forget(worker)


class NoticesNoLostAssignment(Broker):
    def _compare(self, worker: Any, holding: Any, now: float) -> None:
        super()._compare(worker, holding, now=-1e9)


class DeliversDuplicates(Broker):
    def _result(self, worker: Any, result: Any) -> None:
        lease = self.ledger.find(result.lease, worker.name)
        if lease is not None and result.run == self.run:
            lease.item.delivered = False
        super()._result(worker, result)


class ConvictsByLostWorkers(Broker):
    """Counts the loss of a worker against everything that it had."""

    def _lose(self, worker: Any, reason: str, *, certain: bool) -> None:
        for number in self.ledger.unfinished(worker.name):
            lease = self.ledger.find(number, worker.name)
            assert lease is not None
            lease.item.slot_losses += 1
            if lease.item.slot_losses == self.ledger.max_tries:
                lease.item.slot_losses -= 1
                self.ledger.slot_lost(lease, reason, blame=True)
        super()._lose(worker, reason, certain=certain)


class NeverSendsAgain(Agent):
    def _resend(self, now: float) -> None:
        pass


class TakesResultsOfOlderLives(Broker):
    """Believes a lease number of any life of the dispatcher."""

    def _result(self, worker: Any, result: Any) -> None:
        super()._result(worker, msgspec.structs.replace(result, run=self.run))


class SaysResizeOnce(Broker):
    def _update(self, worker: Any, beat: Beat, now: float) -> None:
        before = len(self._outbox)
        super()._update(worker, beat, now)
        self._outbox[before:] = [
            letter for letter in self._outbox[before:] if not isinstance(letter[1], Resize)
        ]


class LosesWaitingTasksInAResize(Agent):
    def resize(self, slots: int) -> None:
        if slots < self.wanted:
            self._waiting.clear()
        super().resize(slots)


class LosesWaitingTasksInADrain(Agent):
    def drain(self) -> None:
        self._waiting.clear()
        super().drain()


class KeepsTasksInClosedSlots(Agent):
    """A slot that is no longer wanted takes one more task, and nobody executes it."""

    def resize(self, slots: int) -> None:
        if slots < self.wanted and self._waiting:
            lease, job = self._waiting.popitem()
            self._running[lease] = job
        super().resize(slots)


@pytest.mark.parametrize("first", range(0, SCHEDULES, 100))
def test_every_task_ends_exactly_once_in_every_schedule(first: int) -> None:
    """More of them: `python -m tests.dispatch.fleet_simulator 10000`."""
    print(f"schedules {first} to {first + 99}")
    counts, failures = play(first, 100)
    assert not failures
    # The schedules are worth something only while they make all of this happen.
    for name in ("workers_lost", "requeued", "stale", "duplicates", "poison", "undelivered"):
        assert counts[name] > 10, name
    for name in ("dispatchers killed", "workers killed", "workers drained", "workers resized"):
        assert counts[name] > 10, name


@pytest.mark.parametrize(
    "defect",
    [
        {"broker": AcknowledgesBeforeCommit},
        {"broker": ForgetsLeasesOfLostWorkers},
        {"broker": NoticesNoLostAssignment},
        {"broker": DeliversDuplicates},
        {"broker": ConvictsByLostWorkers},
        {"broker": TakesResultsOfOlderLives},
        {"broker": SaysResizeOnce},
        {"agent": NeverSendsAgain},
        {"agent": LosesWaitingTasksInAResize},
        {"agent": LosesWaitingTasksInADrain},
        {"agent": KeepsTasksInClosedSlots},
    ],
    ids=lambda defect: next(iter(defect.values())).__name__,
)
def test_a_broken_protocol_is_caught(defect: dict[str, Any]) -> None:
    with pytest.raises(Broken):
        for seed in range(500):
            Simulation(seed, **defect).run()


def test_a_schedule_is_a_function_of_its_seed() -> None:
    first, second = Simulation(11), Simulation(11)
    first.run()
    second.run()
    assert [each.journal for each in first.searches] == [each.journal for each in second.searches]
    assert [each.broker.counts for each in first.searches] == [
        each.broker.counts for each in second.searches
    ]
    assert first.now == second.now
