"""What any `elm.dispatch.base.Dispatcher` has to do: a suite to be inherited from.

A subclass of `DispatcherConformance` (named `Test...`, so that pytest finds it) says how its
dispatcher is made, with slots that execute nothing and do what a task says; see `AccidentSlot`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fake_worker import FakeSlot
from waiting import is_alive, wait_until

from elm.dispatch.base import Dispatcher, FleetError
from sandbox.protocol import Bundle, Code, Evaluation, Status, Task

PATIENCE = 240.0  # seconds for what takes one or two
BUNDLE = Bundle(environment="fine", producer=Code("p", {"p": ""}), judge=Code("j", {"j": ""}))
BROKEN = Bundle(environment="broken", producer=Code("p", {"p": ""}), judge=Code("j", {"j": ""}))


class AccidentSlot(FakeSlot):
    """The slot of `fake_worker`, for dispatchers that make slots themselves.

    The file of a task is a number, which becomes its fitness, `sleep SECONDS NUMBER`, or an
    accident: `kill` ends the process, `lost` the zygote, `raise` is a defect of the slot.
    """

    def __init__(self, bundle: Bundle, *, level: str, node: str, index: int) -> None:
        super().__init__(bundle, index)


def tasks(programs: list[str], first: int = 0, bundle: Bundle = BUNDLE) -> list[Task]:
    """One task for each, numbered from `first`."""
    return [
        Task(first + number, bundle.digest, {"main.py": text}, seed=0)
        for number, text in enumerate(programs)
    ]


def numbers(count: int) -> list[Task]:
    return tasks([str(number) for number in range(count)])


def collect(dispatcher: Dispatcher, count: int) -> dict[int, Evaluation]:
    """Waits for that many evaluations, and a moment longer: none may come twice."""
    found: dict[int, Evaluation] = {}
    end = time.monotonic() + PATIENCE
    while len(found) < count:
        assert time.monotonic() < end, f"{len(found)} of {count}; {dispatcher.notices()}"
        for evaluation in dispatcher.results(0.5):
            assert evaluation.candidate not in found
            found[evaluation.candidate] = evaluation
            dispatcher.acknowledge([evaluation.candidate])
    assert dispatcher.results(0.2) == []
    return found


def fitnesses(found: dict[int, Evaluation]) -> dict[int, float | None]:
    return {number: found[number].fitness for number in sorted(found)}


class DispatcherConformance:
    """The suite. Subclasses give the methods that raise here."""

    def make(self, **settings: Any) -> Any:
        """A dispatcher with two slots that execute nothing; `settings` are its own."""
        raise NotImplementedError

    def worker_pids(self, dispatcher: Any) -> list[int]:
        """Of the processes in which slots are, at present."""
        raise NotImplementedError

    @pytest.fixture
    def fleet(self) -> Iterator[Any]:
        dispatcher = self.make()
        yield dispatcher
        dispatcher.close()

    def test_every_task_comes_home_once(self, fleet: Any) -> None:
        fleet.start(BUNDLE)
        fleet.submit(numbers(40))
        fleet.submit(tasks(["7", "8"], first=100))
        found = collect(fleet, 42)
        assert fitnesses(found) == {n: float(n) for n in range(40)} | {100: 7.0, 101: 8.0}

    def test_a_backlog_is_worked_off(self, fleet: Any) -> None:
        fleet.start(BUNDLE)
        begun = time.monotonic()
        fleet.submit(numbers(500))
        assert time.monotonic() - begun < 30  # it does not wait for them
        assert fitnesses(collect(fleet, 500)) == {n: float(n) for n in range(500)}

    def test_level_and_slots(self, fleet: Any) -> None:
        assert (fleet.slots, fleet.level) == (0, "")
        fleet.start(BUNDLE)
        assert fleet.slots >= 1
        assert fleet.level == FakeSlot.level
        wait_until(lambda: fleet.slots == 2)

    def test_both_slots_work_at_one_time(self, fleet: Any) -> None:
        fleet.start(BUNDLE)
        wait_until(lambda: fleet.slots == 2)
        fleet.submit(tasks(["sleep 3 1", "2", "3", "4"]))
        found = []
        while len(found) < 3:
            found += fleet.results(PATIENCE)
        assert {each.candidate for each in found} == {1, 2, 3}
        assert [each.candidate for each in fleet.results(PATIENCE)] == [0]

    def test_results_waits_as_long_as_it_says(self, fleet: Any) -> None:
        fleet.start(BUNDLE)
        begun = time.monotonic()
        assert fleet.results(0.0) == []
        assert fleet.results(0.4) == []
        assert time.monotonic() - begun >= 0.4
        fleet.submit(tasks(["sleep 0.3 5"]))
        assert [each.fitness for each in fleet.results(PATIENCE)] == [5.0]

    def test_an_acknowledged_candidate_may_be_submitted_again(self, fleet: Any) -> None:
        fleet.start(BUNDLE)
        fleet.submit(tasks(["1"]))
        with pytest.raises(ValueError, match="candidate 0 is submitted already"):
            fleet.submit(tasks(["2"]))
        assert collect(fleet, 1)[0].fitness == 1.0
        fleet.submit(tasks(["2"]))
        assert collect(fleet, 1)[0].fitness == 2.0
        fleet.acknowledge([0, 77])  # no longer known, never known

    def test_a_task_of_another_bundle_is_refused(self, fleet: Any) -> None:
        fleet.start(BUNDLE)
        with pytest.raises(ValueError, match="bundle"):
            fleet.submit(tasks(["1"], bundle=BROKEN))

    def test_a_lost_slot_is_tried_again_until_it_is_poison(self, fleet: Any) -> None:
        fleet.start(BUNDLE)
        fleet.submit(tasks(["0", "lost", "2"]))
        found = collect(fleet, 3)
        assert [found[n].status for n in range(3)] == [Status.OK, Status.POISON, Status.OK]
        assert "took its slot down 3 times: no zygote" in found[1].detail
        assert any("lost a program: no zygote" in notice for notice in fleet.notices())

    def test_as_many_tries_as_the_setting_says(self) -> None:
        fleet = self.make(max_tries=1)
        try:
            fleet.start(BUNDLE)
            fleet.submit(tasks(["lost"]))
            assert "took its slot down 1 times" in collect(fleet, 1)[0].detail
        finally:
            fleet.close()

    def test_a_program_that_kills_its_worker_is_poison_and_nobody_else_is(self, fleet: Any) -> None:
        fleet.start(BUNDLE)
        programs = [str(number) for number in range(30)]
        programs[10] = "kill"
        fleet.submit(tasks(programs))
        found = collect(fleet, 30)
        assert found.pop(10).status is Status.POISON
        assert fitnesses(found) == {n: float(n) for n in range(30) if n != 10}

    def test_a_killed_worker_loses_nothing(self, fleet: Any) -> None:
        fleet.start(BUNDLE)
        wait_until(lambda: fleet.slots == 2)
        fleet.submit(tasks([f"sleep 0.05 {number}" for number in range(40)]))
        time.sleep(0.3)  # in the middle of it
        pids = self.worker_pids(fleet)
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        assert fitnesses(collect(fleet, 40)) == {n: float(n) for n in range(40)}
        assert not set(pids) & set(self.worker_pids(fleet))
        assert any("ended" in notice or "down" in notice for notice in fleet.notices())
        assert fleet.notices() == []  # each is told once

    def test_an_environment_that_does_not_load_is_one_clear_line(self, fleet: Any) -> None:
        with pytest.raises(FleetError) as caught:
            fleet.start(BROKEN)
        message = str(caught.value)
        assert "no sandbox can be started: " in message
        assert "Box2D' is not installed" in message
        assert "\n" not in message
        assert self.worker_pids(fleet) == []

    def test_close_leaves_nothing_even_while_programs_run(self, fleet: Any) -> None:
        fleet.start(BUNDLE)
        wait_until(lambda: fleet.slots == 2)
        fleet.submit(tasks(["sleep 300 1", "sleep 300 2", "3"]))
        time.sleep(0.3)
        pids = self.worker_pids(fleet)
        assert all(map(is_alive, pids))
        fleet.close()
        wait_until(lambda: not any(map(is_alive, pids)))
        fleet.close()  # a second time

    def test_a_fleet_is_started_once_and_used_after_that(self, fleet: Any) -> None:
        with pytest.raises(FleetError, match="was not started"):
            fleet.submit([])
        with pytest.raises(FleetError, match="was not started"):
            fleet.results(0.0)
        fleet.start(BUNDLE)
        with pytest.raises(FleetError, match="was started already"):
            fleet.start(BUNDLE)

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"slots": -1}, "dispatch.slots must be"),
            ({"slots": 1.5}, "dispatch.slots must be"),
            ({"slots": "many"}, "dispatch.slots must be"),
            ({"level": "L9"}, "dispatch.level must be one of auto, L3, L2, L1, got 'L9'"),
            ({"max_tries": 0}, "dispatch.max_tries must be a whole number above 0, got 0"),
            ({"start_seconds": 0}, "dispatch.start_seconds must be above 0 seconds, got 0"),
        ],
    )
    def test_wrong_settings_are_named(self, wrong: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError) as caught:
            self.make(**wrong)
        assert str(caught.value).startswith(message)
        assert "\n" not in str(caught.value)
