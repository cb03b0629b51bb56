"""The dispatcher's state machine, message by message."""

from __future__ import annotations

from typing import TypeVar

import pytest

from elm.dispatch.broker import NO_SANDBOX_AFTER, Broker
from sandbox.protocol import (
    Ack,
    Assign,
    Beat,
    Bundle,
    Bye,
    Code,
    Drain,
    Evaluation,
    Hello,
    Introduce,
    Notice,
    Parcel,
    Result,
    Status,
    Task,
    Want,
    Welcome,
    WorkerState,
)

BUNDLE = Bundle(environment="none", producer=Code("p", {"p": ""}), judge=Code("j", {"j": ""}))
M = TypeVar("M")


def task(candidate: int) -> Task:
    return Task(candidate, BUNDLE.digest, {"main.py": ""}, seed=0)


def evaluation(candidate: int, status: Status = Status.OK, fitness: float = 1.0) -> Evaluation:
    return Evaluation(candidate=candidate, status=status, fitness=fitness, detail="why")


class Fleet:
    """A broker, with workers whose messages the test writes."""

    def __init__(self, max_tries: int = 3) -> None:
        self.broker = Broker("run", BUNDLE, max_tries=max_tries, heartbeat=1.0, patience=5.0)
        self.now = 0.0
        self.seqs: dict[str, int] = {}
        self.sent: list[tuple[bytes, object]] = []

    def step(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.sent += self.broker.step(self.now)

    def say(self, worker: str, message: object) -> None:
        self.broker.receive(worker.encode(), message, self.now)  # type: ignore[arg-type]

    def join(self, worker: str, slots: int = 1, credit: int = 1, level: str = "L3") -> None:
        self.say(worker, Hello(worker, 1, worker, slots, 4))
        self.beat(worker, slots=slots, credit=credit, level=level)
        self.step()

    def beat(
        self,
        worker: str,
        *,
        slots: int = 1,
        credit: int = 1,
        level: str = "L3",
        state: WorkerState = WorkerState.READY,
        holding: tuple[int, ...] = (),
        run: str = "run",
    ) -> None:
        self.seqs[worker] = self.seqs.get(worker, 0) + 1
        seq = self.seqs[worker]
        beat = Beat(run, seq, state, "", level, slots, credit, holding, {}, slots, 8, 0, 2)
        self.say(worker, beat)

    def take(self, kind: type[M], worker: str | None = None) -> list[M]:
        """Messages of one kind that were sent since the last call, and are now forgotten."""
        chosen = [
            (peer, message)
            for peer, message in self.sent
            if isinstance(message, kind) and worker in (None, peer.decode())
        ]
        self.sent = [pair for pair in self.sent if pair not in chosen]
        return [message for _, message in chosen]

    def answer(self, worker: str, assign: Assign, status: Status = Status.OK, **more: bool) -> None:
        result = evaluation(assign.task.candidate, status)
        self.say(worker, Result.pack("run", assign.lease, result, more.get("blame", True)))
        self.step()

    def finished(self) -> list[tuple[int, Status]]:
        return [(each.candidate, each.status) for each in self.broker.collect()]


def test_a_worker_is_welcomed_and_gets_the_bundle_when_it_asks() -> None:
    fleet = Fleet()
    fleet.say("a", Hello("a", 1, "node", 2, 4))
    fleet.step()
    assert fleet.take(Welcome) == [Welcome("run", BUNDLE.digest, 1.0, 5.0)]
    assert not fleet.take(Parcel)
    fleet.say("a", Want(BUNDLE.digest))
    fleet.say("a", Want("0" * 64))
    fleet.step()
    assert fleet.take(Parcel) == [Parcel(BUNDLE)]


def test_tasks_go_out_up_to_the_credit_and_lowest_candidate_first() -> None:
    fleet = Fleet()
    fleet.broker.submit([task(5), task(9)])
    fleet.broker.submit([task(3)])
    fleet.join("a", credit=2)
    first = fleet.take(Assign)
    assert [each.task.candidate for each in first] == [3, 5]
    fleet.answer("a", first[0])
    assert [each.task.candidate for each in fleet.take(Assign)] == [9]


def test_tasks_are_spread_by_slots() -> None:
    fleet = Fleet()
    fleet.join("a", slots=1, credit=9)
    fleet.join("b", slots=3, credit=9)
    fleet.broker.submit([task(number) for number in range(4)])
    fleet.step()
    assert len(fleet.take(Assign, "a")) == 1
    assert len(fleet.take(Assign, "b")) == 3


def test_a_result_is_acknowledged_only_when_the_pipeline_says_so() -> None:
    fleet = Fleet()
    fleet.join("a")
    fleet.broker.submit([task(1)])
    fleet.step()
    (assign,) = fleet.take(Assign)
    fleet.answer("a", assign)
    fleet.answer("a", assign)  # sent again, since no acknowledgement came
    assert fleet.finished() == [(1, Status.OK)]
    assert not fleet.take(Ack)
    fleet.broker.acknowledge([1])
    fleet.step()
    assert fleet.take(Ack) == [Ack("run", (assign.lease,))]
    assert fleet.broker.open == 0
    fleet.answer("a", assign)  # the acknowledgement was lost
    assert fleet.take(Ack) == [Ack("run", (assign.lease,))]
    assert fleet.finished() == []


def test_a_silent_worker_loses_its_tasks_and_its_late_results_are_dropped() -> None:
    fleet = Fleet()
    fleet.join("a", credit=2)
    fleet.broker.submit([task(1), task(2)])
    fleet.step()
    (first, _) = fleet.take(Assign)
    fleet.step(4)
    fleet.join("b", credit=3)
    assert not fleet.take(Assign)
    fleet.step(1.5)
    assert [each.task.candidate for each in fleet.take(Assign, "b")] == [1, 2]
    fleet.answer("a", first)
    assert fleet.take(Introduce, "a")
    fleet.join("a")
    fleet.answer("a", first)
    assert fleet.take(Ack, "a") == [Ack("run", (first.lease,))]
    assert fleet.finished() == []
    assert fleet.broker.counts["stale"] == 1
    assert any("lost (silent for 5 s); 2 tasks queued again" in n for n in fleet.broker.notices)


def test_a_result_of_another_run_is_dropped() -> None:
    fleet = Fleet()
    fleet.join("a")
    fleet.broker.submit([task(1)])
    fleet.step()
    (assign,) = fleet.take(Assign)
    fleet.say("a", Result.pack("older", assign.lease, evaluation(1, fitness=99.0)))
    fleet.step()
    assert fleet.take(Ack) == [Ack("older", (assign.lease,))]
    assert fleet.finished() == []


def test_a_result_of_somebody_elses_lease_is_dropped() -> None:
    fleet = Fleet()
    fleet.join("a")
    fleet.broker.submit([task(1)])
    fleet.step()
    (assign,) = fleet.take(Assign)
    fleet.join("b")
    fleet.answer("b", assign)
    assert fleet.finished() == []
    fleet.answer("a", assign)
    assert fleet.finished() == [(1, Status.OK)]


def test_an_assignment_that_never_arrived_is_noticed() -> None:
    fleet = Fleet()
    fleet.join("a")
    fleet.broker.submit([task(1)])
    fleet.step()
    (assign,) = fleet.take(Assign)
    for _ in range(7):
        fleet.beat("a")
        fleet.step(1)
    (again,) = fleet.take(Assign)
    assert again.task == assign.task
    assert again.lease != assign.lease


def test_a_lease_is_kept_as_long_as_the_worker_holds_it() -> None:
    fleet = Fleet()
    fleet.join("a")
    fleet.broker.submit([task(1)])
    fleet.step()
    (assign,) = fleet.take(Assign)
    for _ in range(60):
        fleet.beat("a", holding=(assign.lease,))
        fleet.step(1)
    assert not fleet.take(Assign)


def test_a_lease_that_has_ended_is_taken_back_from_who_holds_it() -> None:
    fleet = Fleet()
    fleet.join("a")
    fleet.beat("a", holding=(77,))
    fleet.step()
    assert fleet.take(Ack) == [Ack("run", (77,))]


def test_a_beat_that_comes_late_changes_nothing() -> None:
    fleet = Fleet()
    fleet.join("a", slots=2)
    fleet.say("a", Beat("run", 0, WorkerState.FAILED, "", "", 0, 0, (), {}, 1, 1, 0, 2))
    assert fleet.broker.slots == 2


def test_a_task_that_takes_its_slot_down_is_poison_after_three_tries() -> None:
    fleet = Fleet(max_tries=3)
    fleet.join("a")
    fleet.broker.submit([task(1)])
    fleet.step()
    for _ in range(3):
        assert fleet.finished() == []
        (assign,) = fleet.take(Assign)
        fleet.answer("a", assign, Status.LOST)
        assert fleet.take(Ack) == [Ack("run", (assign.lease,))]
    assert not fleet.take(Assign)
    assert fleet.finished() == [(1, Status.POISON)]
    fleet.broker.acknowledge([1])
    assert fleet.broker.open == 0


def test_a_task_that_comes_back_untried_is_not_suspected() -> None:
    fleet = Fleet(max_tries=1)
    fleet.join("a")
    fleet.broker.submit([task(1)])
    fleet.step()
    for _ in range(10):
        (assign,) = fleet.take(Assign)
        fleet.answer("a", assign, Status.LOST, blame=False)
    assert fleet.finished() == []


def test_lost_workers_convict_only_who_was_alone() -> None:
    fleet = Fleet(max_tries=3)
    fleet.broker.submit([task(number) for number in range(4)])
    deaths = 0
    while (number := len(fleet.broker.status(0)["workers"])) == 0 and deaths < 20:
        name = f"w{deaths}"
        fleet.join(name, slots=2, credit=4)
        # Candidate 1 takes its worker down as soon as it is executed.
        while True:
            running = sorted(fleet.take(Assign, name), key=lambda each: each.lease)
            if not running:
                break
            if 1 in [each.task.candidate for each in running[:2]]:
                fleet.broker.vanished(name, "exit status 3")
                fleet.step()
                deaths += 1
                break
            for assign in running:
                fleet.answer(name, assign)
    assert number == 1
    assert deaths == 5  # twice among others, three times alone
    assert sorted(fleet.finished()) == [
        (0, Status.OK),
        (1, Status.POISON),
        (2, Status.OK),
        (3, Status.OK),
    ]


def test_a_dead_link_convicts_nobody() -> None:
    fleet = Fleet(max_tries=1)
    fleet.broker.submit([task(1)])
    for number in range(9):
        fleet.join(f"w{number}")
        assert len(fleet.take(Assign)) == 1
        fleet.step(6)
    assert fleet.finished() == []
    assert fleet.broker.counts["workers_lost"] == 9


def test_a_worker_that_is_reached_anew_keeps_its_leases() -> None:
    fleet = Fleet()
    fleet.join("a")
    fleet.broker.submit([task(1)])
    fleet.step()
    (assign,) = fleet.take(Assign)
    fleet.broker.receive(b"a.2", Hello("a", 2, "a", 1, 4), fleet.now)
    fleet.broker.receive(b"a.1", Hello("a", 1, "a", 1, 4), fleet.now)  # late, of the first
    fleet.broker.receive(b"a.2", Result.pack("run", assign.lease, evaluation(1)), fleet.now)
    fleet.broker.acknowledge([1])
    fleet.step()
    assert fleet.finished() == [(1, Status.OK)]
    assert [message for peer, message in fleet.sent if peer == b"a.2"] == [
        Welcome("run", BUNDLE.digest, 1.0, 5.0),
        Ack("run", (assign.lease,)),
    ]


def test_a_stranger_is_asked_who_it_is() -> None:
    fleet = Fleet()
    fleet.beat("nobody")
    fleet.step()
    assert fleet.take(Introduce) == [Introduce()]


def test_another_version_is_sent_away_with_a_reason() -> None:
    fleet = Fleet()
    fleet.say("a", Hello("a", 1, "node7", 1, 4, protocol=99))
    fleet.step()
    (bye,) = fleet.take(Bye)
    assert "node7" in bye.reason
    assert "99" in bye.reason
    assert fleet.broker.status(0)["workers"] == []


def test_level_is_the_weakest_and_slots_are_counted() -> None:
    fleet = Fleet()
    assert (fleet.broker.level, fleet.broker.slots) == ("", 0)
    fleet.join("a", slots=2, level="L3")
    fleet.join("b", slots=1, level="L2")
    assert (fleet.broker.level, fleet.broker.slots) == ("L2", 3)


def test_without_a_sandbox_a_person_is_told_once_and_told_when_it_is_over() -> None:
    fleet = Fleet()
    fleet.step()
    fleet.step(60)
    assert fleet.broker.notices == []  # there is nothing to do
    fleet.broker.submit([task(1)])
    fleet.step()
    for _ in range(5):
        fleet.step(NO_SANDBOX_AFTER)
    (notice,) = fleet.broker.notices
    assert notice.startswith("no sandbox is up: ")
    fleet.join("a")
    assert fleet.broker.notices[1:] == ["a sandbox is up again"]
    assert fleet.take(Assign)


def test_a_drained_worker_leaves_without_being_blamed() -> None:
    fleet = Fleet()
    fleet.join("a", credit=2)
    fleet.broker.submit([task(1)])
    fleet.step()
    fleet.take(Assign)
    fleet.broker.drain("a")
    fleet.step()
    assert fleet.take(Drain) == [Drain()]
    fleet.say("a", Bye("drained"))
    fleet.join("b")
    assert [each.task.candidate for each in fleet.take(Assign)] == [1]
    assert fleet.broker.counts["workers_lost"] == 0


def test_a_result_that_cannot_be_read_counts_as_lost() -> None:
    fleet = Fleet()
    fleet.join("a")
    fleet.broker.submit([task(1)])
    fleet.step()
    (assign,) = fleet.take(Assign)
    fleet.say("a", Result("run", assign.lease, evaluation(1), b"{not json", True))
    fleet.step()
    assert fleet.broker.counts["malformed"] == 1
    (again,) = fleet.take(Assign)
    fleet.say("a", Result.pack("run", again.lease, evaluation(2)))
    fleet.step()
    assert fleet.finished() == []
    assert len(fleet.take(Assign)) == 1


def test_notices_of_workers_are_passed_on() -> None:
    fleet = Fleet()
    fleet.join("a")
    fleet.say("a", Notice("slot 1 restarted"))
    assert fleet.broker.notices == ["sandbox a: slot 1 restarted"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (task(1), "candidate 1 is submitted already"),
        (Task(2, "f" * 64, {}, 0), "candidate 2 is for bundle ffffffffffff"),
    ],
)
def test_tasks_that_cannot_be_are_refused(wrong: Task, message: str) -> None:
    fleet = Fleet()
    fleet.broker.submit([task(1)])
    with pytest.raises(ValueError, match=message):
        fleet.broker.submit([wrong])
