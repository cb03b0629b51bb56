"""A small world for the pipeline: vectors as programs, a fleet that answers in any order."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from elm.archive import Archive, GridSpace
from elm.budget import Budget
from elm.candidate import Attempt, Evaluation, Program, Proposal, Status
from elm.journal import Journal
from elm.pipeline import Pipeline
from elm.search.map_elites import MapElites
from elm.variation.base import Operator, Order
from environments.base import Axis
from sandbox.protocol import Bundle, Task

AXES = (Axis("x", -4.0, 4.0, 8), Axis("y", -4.0, 4.0, 8))
SEEDS = [Program({"vector.json": text}) for text in ("[0.5, 0.5]", "[-1.0, 2.0]")]


class Crash(Exception):
    """Stands for kill -9: nothing runs after it."""


def evaluate(task: Task) -> Evaluation:
    """Fitness and descriptor of a vector; one in seven fails, decided by its content."""
    x, y = json.loads(task.files["vector.json"])
    if task.seed % 7 == 0:
        return Evaluation(candidate=task.candidate, status=Status.RUNTIME_ERROR, detail="boom")
    return Evaluation(
        candidate=task.candidate,
        status=Status.OK,
        fitness=-(x * x + y * y),
        descriptor=(float(x), float(y)),
    )


class Fleet:
    """Answers a few tasks at a time in an order of its own, perhaps only until it dies."""

    def __init__(self, order: int = 0, slots: int = 2, crash_after: int | None = None) -> None:
        self.level, self.slots = "L0", slots
        self.tasks: list[Task] = []
        self.executed: list[int] = []
        self.unacknowledged: set[int] = set()
        self._rng = random.Random(order)
        self._crash_after = crash_after

    def start(self, bundle: Bundle) -> None: ...

    def submit(self, tasks: Sequence[Task]) -> None:
        self.tasks.extend(tasks)

    def results(self, timeout: float) -> list[Evaluation]:
        if self._crash_after is not None and len(self.executed) >= self._crash_after:
            raise Crash
        self._rng.shuffle(self.tasks)
        taken = [self.tasks.pop() for _ in range(min(self._rng.randint(0, 5), len(self.tasks)))]
        self.executed += [task.candidate for task in taken]
        self.unacknowledged |= {task.candidate for task in taken}
        return [evaluate(task) for task in taken]

    def acknowledge(self, candidates: Iterable[int]) -> None:
        self.unacknowledged -= set(candidates)

    def notices(self) -> list[str]:
        return []

    def close(self) -> None: ...


class Wobble(Operator):
    """Rounds a Gaussian step, so that duplicates occur; now and then says nothing at all."""

    name = "wobble"
    parents = 1

    def __init__(self, model_name: str = "", step: float = 1.0) -> None:
        self.model_name, self.calls = model_name, int(bool(model_name))
        self.step = step
        self.made = 0

    def propose(self, orders: Sequence[Order]) -> list[Proposal]:
        return [self._one(order) for order in orders]

    def _one(self, order: Order) -> Proposal:
        self.made += 1
        rng = random.Random(order.seed)
        vector = json.loads(order.parents[0].candidate.program.source)
        child = [round(v + self.step * rng.gauss(0, 1), 1) for v in vector]
        attempts: tuple[Attempt, ...] = ()
        if self.model_name:
            attempts = (
                Attempt(
                    model=self.model_name,
                    prompt="p",
                    completion=str(child),
                    prompt_tokens=10,
                    completion_tokens=5,
                    seed=order.seed,
                ),
            )
        if rng.random() < 0.1:
            return Proposal(program=None, status=Status.EMPTY_OUTPUT, attempts=attempts)
        return Proposal(program=Program({"vector.json": json.dumps(child)}), attempts=attempts)


def pipeline(journal: Journal, fleet: Fleet | None = None, **changes: Any) -> Pipeline:
    settings: dict[str, Any] = {
        "seeds": SEEDS,
        "archive": Archive(GridSpace(AXES), f_min=-32.0),
        "strategy": MapElites(1),
        "operator": Wobble(),
        "dispatcher": fleet or Fleet(),
        "journal": journal,
        "bundle": "b",
        "budget": Budget(evaluations=100),
        "seed": 1,
        "batch_size": 8,
        "lookahead": 1,
    }
    return Pipeline(**{**settings, **changes})


def new_journal(folder: Path) -> Journal:
    return Journal.create(folder / "journal.db", {"run_name": "test"})
