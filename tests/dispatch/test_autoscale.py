"""Slots of this machine that come and go with the work: a real broker tells its worker."""

from __future__ import annotations

from elm.dispatch.autoscale import Autoscale
from elm.dispatch.broker import Broker
from elm.dispatch.scaling import SlotRule
from sandbox.protocol import (
    Beat,
    Bundle,
    Code,
    Evaluation,
    Hello,
    Resize,
    Result,
    Status,
    Task,
    WorkerState,
)

BUNDLE = Bundle(environment="none", producer=Code("p", {"p": ""}), judge=Code("j", {"j": ""}))
PEER = b"w.1"


class Machine:
    """A broker, and a worker that has as many slots as it was last told."""

    def __init__(self, rule: SlotRule, slots: int) -> None:
        self.now, self.seq, self.slots, self.load = 100.0, 0, slots, 0.5
        self.broker = Broker("run", BUNDLE, heartbeat=1.0, patience=10.0)
        self.scale = Autoscale(rule)
        self.given: list[int] = []
        self.submitted = 0
        self.told: list[str] = []
        self.broker.receive(PEER, Hello("w", 1, "here", slots, 1), self.now)
        self.beat()

    def beat(self) -> None:
        self.seq += 1
        credit = self.slots + 4
        self.broker.receive(
            PEER,
            Beat(
                "run", self.seq, WorkerState.READY, "", "L3", self.slots, credit,
                tuple(self.given), {}, self.slots, 8, self.load, 8,
            ),
            self.now,
        )  # fmt: skip

    def second(self, finish: int, submit: int) -> None:
        """One second in which some tasks arrive and some are finished."""
        self.now += 1.0
        fresh = range(self.submitted, self.submitted + submit)
        self.broker.submit([Task(n, BUNDLE.digest, {"main.py": ""}, 0) for n in fresh])
        self.submitted += submit
        for lease in self.given[:finish]:
            task = self.broker.ledger.find(lease, "w").item.task
            found = Evaluation(candidate=task.candidate, status=Status.OK, fitness=1.0, level="L3")
            self.broker.receive(PEER, Result.pack("run", lease, found), self.now)
        self.given = self.given[finish:]
        self.broker.acknowledge([each.candidate for each in self.broker.collect()])
        self.scale.tend(self.broker, "w", self.now)
        for _, message in self.broker.step(self.now):
            if isinstance(message, Resize):
                self.slots = message.slots
            elif hasattr(message, "lease"):
                self.given.append(message.lease)
        self.told += self.broker.notices
        self.broker.notices = []
        self.beat()


def test_slots_follow_the_work_and_every_decision_is_told():
    machine = Machine(SlotRule(low=1, high=4, start=1, period=5.0), slots=1)
    for _ in range(60):
        machine.second(finish=machine.slots, submit=6)
    assert machine.slots == 4
    grown = [line for line in machine.told if line.startswith("slots ")]
    assert [line.split(":")[0] for line in grown] == [
        "slots 1 -> 2",
        "slots 2 -> 3",
        "slots 3 -> 4",
    ]
    assert all("queued" in line and "load 0.50" in line for line in grown)
    for _ in range(400):
        machine.second(finish=8, submit=0)
    assert machine.slots == 1
    assert machine.told[-1].startswith("slots 2 -> 1")


def test_a_machine_that_is_asked_for_too_much_gives_slots_back():
    machine = Machine(SlotRule(low=1, high=4, start=4, period=5.0), slots=4)
    machine.load = 3.0
    for _ in range(30):
        machine.second(finish=machine.slots, submit=6)
    assert machine.slots == 1
    assert "load 3.00 above 1.5" in machine.told[-1]


def test_a_worker_that_is_started_again_is_told_again():
    machine = Machine(SlotRule(low=1, high=4, start=2, period=1000.0), slots=4)
    machine.second(finish=0, submit=0)
    assert machine.slots == 2
