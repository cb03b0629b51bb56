"""Candidates in portions: what is sent when, and what they come to together."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elm.dispatch.portions import Portions, concludes
from environments.artifact import BadArtifact
from environments.base import Axis, Environment, Objective, Outcome, Program, Seed
from sandbox.protocol import Bundle, Evaluation, Status, Task


class Sums(Environment):
    """A program is a list of outcomes, one for each portion; fitness is their sum."""

    name = "sums"
    axes = (Axis("size", 0.0, 100.0, 10),)
    objective = Objective("sum", f_min=0.0)
    producer_modules = ("none",)

    def __init__(self, portions: int = 3, *, tolerant: bool = False) -> None:
        self.portions, self.tolerant = portions, tolerant

    def seeds(self) -> list[Seed]:
        return []

    def conclude(self, program: Program, outcomes: Sequence[Outcome]) -> Outcome:
        good = [o for o in outcomes if o.status == "ok"]
        if any(o.fitness == 13 for o in good):
            raise BadArtifact("thirteen is refused")
        if any(o.fitness == 14 for o in good):
            raise KeyError("fourteen")
        if not good:
            return Outcome(fitness=None, descriptor=None, status="runtime_error", detail="none")
        total = sum(o.fitness or 0.0 for o in good)
        size = float(len(program.files["main"]))
        return Outcome(fitness=total, descriptor=(size,), scores={"n": float(len(good))})


class Fleet:
    """Answers in an order of its own; remembers in which order it was asked."""

    level = "L3"

    def __init__(self, slots: int = 1, order: int | None = None) -> None:
        self.slots, self.sent, self.acknowledged = slots, [], []
        self._waiting: list[Task] = []
        self._rng = None if order is None else random.Random(order)

    def start(self, bundle: Bundle) -> None: ...

    def submit(self, tasks: Sequence[Task]) -> None:
        self.sent += [(task.candidate, task.portion) for task in tasks]
        self._waiting += tasks

    def results(self, timeout: float) -> list[Evaluation]:
        if self._rng is None:
            taken = [self._waiting.pop(0)] if self._waiting else []
        else:
            self._rng.shuffle(self._waiting)
            count = self._rng.randint(0, 3)
            taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return [self._answer(task) for task in taken]

    def _answer(self, task: Task) -> Evaluation:
        word = task.files["main"].split()[task.portion or 0]
        known: dict[str, Any] = {"candidate": task.candidate, "cpu_seconds": 1.0, "level": "L3"}
        if word.isdigit():
            return Evaluation(**known, status=Status.OK, fitness=float(word), descriptor=())
        return Evaluation(**known, status=Status(word), detail=f"in {task.portion}")

    def acknowledge(self, candidates: Iterable[int]) -> None:
        self.acknowledged += candidates

    def notices(self) -> list[str]:
        return []

    def close(self) -> None: ...


def tasks(*programs: str) -> list[Task]:
    return [Task(n, "digest", {"main": text}, seed=0) for n, text in enumerate(programs)]


def run(fleet: Fleet, environment: Environment, *programs: str) -> dict[int, Evaluation]:
    dispatcher = Portions(fleet, environment)
    dispatcher.submit(tasks(*programs))
    found: dict[int, Evaluation] = {}
    for _ in range(1000):
        for evaluation in dispatcher.results(0.0):
            assert evaluation.candidate not in found
            found[evaluation.candidate] = evaluation
            dispatcher.acknowledge([evaluation.candidate])
    return found


def test_portions_are_joined_by_the_environment():
    found = run(Fleet(), Sums(), "1 2 3", "4 5 6")
    assert [found[n].fitness for n in (0, 1)] == [6.0, 15.0]
    assert found[0].status is Status.OK
    assert found[0].descriptor == (5.0,)
    assert found[0].scores == {"n": 3.0}
    assert found[0].cpu_seconds == 3.0


def test_the_first_portion_of_all_candidates_goes_before_what_costs_more():
    fleet = Fleet(slots=1)
    run(fleet, Sums(), "timeout 2 3", "4 5 6")
    assert fleet.sent[:2] == [(0, 0), (3, 0)]
    assert fleet.sent[2:] == [(4, 1), (5, 2)], "what failed in its first portion costs no more"


def test_idle_slots_take_portions_at_once():
    fleet = Fleet(slots=6)
    Portions(fleet, Sums()).submit(tasks("1 2 3"))
    assert fleet.sent == [(0, 0), (1, 1), (2, 2)]


def test_every_answer_is_acknowledged_once():
    fleet = Fleet(slots=9, order=1)
    run(fleet, Sums(), "1 2 3", "timeout memory 3", "1 timeout 2")
    assert sorted(fleet.acknowledged) == list(range(9))


words = st.sampled_from(["1", "2", "7", "13", "14", "timeout", "memory", "violation"])
programs = st.lists(st.lists(words, min_size=3, max_size=3).map(" ".join), min_size=1, max_size=6)


@given(programs, st.integers(1, 9), st.integers(0, 10**6), st.booleans())
@settings(deadline=None)
def test_the_verdict_depends_on_neither_slots_nor_order(texts, slots, order, tolerant):
    environment = Sums(tolerant=tolerant)

    def verdicts(fleet):
        found = run(fleet, environment, *texts)
        return {n: (e.status, e.detail, e.fitness, e.descriptor) for n, e in found.items()}

    expected = verdicts(Fleet())
    assert len(expected) == len(texts)
    assert verdicts(Fleet(slots, order)) == expected


def test_the_first_failure_by_number_counts():
    found = run(Fleet(slots=9, order=3), Sums(), "1 timeout memory")
    assert (found[0].status, found[0].detail) == (Status.TIMEOUT, "in 1")


def test_a_tolerant_environment_sees_failures():
    found = run(Fleet(), Sums(tolerant=True), "timeout 2 3", "timeout timeout memory")
    assert (found[0].status, found[0].fitness, found[0].scores) == (Status.OK, 5.0, {"n": 2.0})
    assert (found[1].status, found[1].fitness) == (Status.RUNTIME_ERROR, None)


def test_what_the_environment_refuses_and_where_it_breaks():
    found = run(Fleet(), Sums(), "13 2 3", "14 2 3")
    assert (found[0].status, found[0].detail) == (Status.BAD_RESULT, "thirteen is refused")
    assert found[1].status is Status.JUDGE_ERROR
    assert found[1].detail == "conclude: KeyError: 'fourteen'"
    assert found[0].fitness is found[1].fitness is None


@pytest.mark.parametrize("portions", [1, 2])
def test_a_candidate_of_one_portion_tries_all_inputs(portions):
    fleet = Fleet()
    run(fleet, Sums(portions), "1 2")
    assert fleet.sent[0] == (0, None if portions == 1 else 0)


def test_only_environments_with_a_say_are_asked():
    class Plain(Sums):
        conclude = Environment.conclude

    assert concludes(Sums(1)) and concludes(Plain(2)) and not concludes(Plain(1))
