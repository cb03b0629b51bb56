"""The protocol under random schedules, and proof that the simulator catches a broken one."""

from __future__ import annotations

from typing import Any

import pytest
from fleet_simulator import Broken, Simulation

from elm.dispatch.broker import Broker
from sandbox.agent import Agent
from sandbox.protocol import Evaluation

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


@pytest.mark.parametrize("start", range(0, SCHEDULES, 100))
def test_every_task_ends_exactly_once_in_every_schedule(start: int) -> None:
    lost = requeued = stale = duplicates = poison = 0
    for seed in range(start, start + 100):
        simulation = Simulation(seed)
        try:
            simulation.run()
        except Broken as error:
            pytest.fail(f"schedule {seed}: {error}")
        counts = simulation.broker.counts
        lost += counts["workers_lost"]
        requeued += counts["requeued"]
        stale += counts["stale"]
        duplicates += counts["duplicates"]
        poison += counts["poison"]
    # The schedules are worth something only while they make all of this happen.
    assert min(lost, requeued, stale, duplicates, poison) > 10


@pytest.mark.parametrize(
    "defect",
    [
        {"broker": AcknowledgesBeforeCommit},
        {"broker": ForgetsLeasesOfLostWorkers},
        {"broker": NoticesNoLostAssignment},
        {"broker": DeliversDuplicates},
        {"broker": ConvictsByLostWorkers},
        {"agent": NeverSendsAgain},
    ],
    ids=lambda defect: next(iter(defect.values())).__name__,
)
def test_a_broken_protocol_is_caught(defect: dict[str, Any]) -> None:
    with pytest.raises(Broken):
        for seed in range(60):
            Simulation(seed, **defect).run()


def test_a_schedule_is_a_function_of_its_seed() -> None:
    first, second = Simulation(11), Simulation(11)
    first.run()
    second.run()
    assert first.journal == second.journal
    assert first.broker.counts == second.broker.counts
    assert first.now == second.now
