"""Executes a candidate in portions, and lets its environment say what they come to together.

A wrapper around any dispatcher. What becomes of a candidate does not depend on how many slots were
idle: each portion has limits of its own, and of several that fail it is the first by number that
counts, whichever ended first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from elm.dispatch.base import Dispatcher
from environments.artifact import BadArtifact
from environments.base import Environment, Outcome, Program
from sandbox.protocol import Bundle, Evaluation, Status, Task

_LOG_CHARACTERS = 10_000


def concludes(environment: Environment) -> bool:
    """Whether an environment has a say in what its judge found, or candidates in portions."""
    return environment.portions > 1 or type(environment).conclude is not Environment.conclude


class _Pieces:
    """A candidate under way."""

    def __init__(self, task: Task, count: int) -> None:
        self.task = task
        self.found: list[Evaluation | None] = [None] * count

    def verdict(self, tolerant: bool) -> list[Evaluation] | None:
        """Evaluations that decide about it: of all portions, or up to the first that failed."""
        known = []
        for evaluation in self.found:
            if evaluation is None:
                return None
            known.append(evaluation)
            if evaluation.status is not Status.OK and not tolerant:
                break
        return known


class Portions:
    """Divides tasks and puts their evaluations together. A `Dispatcher`.

    Portions are sent in the order of their numbers, the first of every candidate at once. Those
    behind it follow when it has succeeded, or earlier where slots would be idle without them: an
    environment that numbers cheap inputs first has most failures for little.
    """

    def __init__(self, dispatcher: Dispatcher, environment: Environment) -> None:
        self._inner, self._environment = dispatcher, environment
        self._count = environment.portions
        self._pieces: dict[int, _Pieces] = {}  # by candidate, until it is decided
        self._held: deque[tuple[int, int]] = deque()  # candidate and portion, not sent yet
        self._under_way: set[int] = set()  # numbers of portions that were sent
        self._arrived: dict[int, list[int]] = {}  # by candidate: portions to be acknowledged

    @property
    def level(self) -> str:
        """The weakest jail among the slots; "" before the first is up."""
        return self._inner.level

    @property
    def slots(self) -> int:
        """How many portions can run at one time right now."""
        return self._inner.slots

    def start(self, bundle: Bundle) -> None:
        """Brings the fleet up; see `Dispatcher`."""
        self._inner.start(bundle)

    def submit(self, tasks: Sequence[Task]) -> None:
        """Queues candidates. Returns at once."""
        for task in tasks:
            self._pieces[task.candidate] = _Pieces(task, self._count)
        self._send([(task.candidate, 0) for task in tasks])
        self._held.extend((t.candidate, n) for t in tasks for n in range(1, self._count))
        self._release()

    def results(self, timeout: float) -> list[Evaluation]:
        """Candidates that were decided since the last call."""
        decided = []
        for evaluation in self._inner.results(timeout):
            candidate, portion = divmod(evaluation.candidate, self._count)
            self._under_way.discard(evaluation.candidate)
            pieces = self._pieces.get(candidate)
            if pieces is None:  # it failed in another portion
                self._inner.acknowledge([evaluation.candidate])
                continue
            pieces.found[portion] = evaluation
            self._arrived.setdefault(candidate, []).append(evaluation.candidate)
            known = pieces.verdict(self._environment.tolerant)
            if known is not None:
                del self._pieces[candidate]
                decided.append(self._joined(pieces.task, known))
        self._release()
        return decided

    def acknowledge(self, candidates: Iterable[int]) -> None:
        """Says that these evaluations are safe on disk."""
        self._inner.acknowledge(
            number for candidate in candidates for number in self._arrived.pop(candidate, ())
        )

    def notices(self) -> list[str]:
        """What happened to the fleet since the last call."""
        return self._inner.notices()

    def close(self) -> None:
        """Stops what it started. Tasks without a result are forgotten."""
        self._inner.close()

    def _send(self, portions: Sequence[tuple[int, int]]) -> None:
        tasks = []
        for candidate, portion in portions:
            number = candidate * self._count + portion
            chosen = portion if self._count > 1 else None
            task = self._pieces[candidate].task
            tasks.append(msgspec.structs.replace(task, candidate=number, portion=chosen))
            self._under_way.add(number)
        if tasks:
            self._inner.submit(tasks)

    def _release(self) -> None:
        """Sends what need not wait any longer, and forgets what nobody needs."""
        idle = self._inner.slots - len(self._under_way)
        ready: list[tuple[int, int]] = []
        waiting: deque[tuple[int, int]] = deque()
        for candidate, portion in self._held:
            pieces = self._pieces.get(candidate)
            if pieces is None:
                continue
            first = pieces.found[0]
            goes_on = self._environment.tolerant or (first and first.status is Status.OK)
            if (first is not None and goes_on) or len(ready) < idle:
                ready.append((candidate, portion))
            else:
                waiting.append((candidate, portion))
        self._held = waiting
        self._send(ready)

    def _joined(self, task: Task, known: Sequence[Evaluation]) -> Evaluation:
        last = known[-1]
        whole = msgspec.structs.replace(
            last,
            candidate=task.candidate,
            logs="".join(e.logs for e in known)[:_LOG_CHARACTERS],
            cpu_seconds=sum(e.cpu_seconds for e in known),
            wall_seconds=sum(e.wall_seconds for e in known),
            peak_memory_mb=max(e.peak_memory_mb for e in known),
            verified=all(e.verified for e in known),
            level=min(e.level for e in known),
        )
        if last.status is not Status.OK and not self._environment.tolerant:
            return whole
        failed: dict[str, Any] = {"fitness": None, "descriptor": None, "metrics": {}, "scores": {}}
        try:
            outcome = self._environment.conclude(
                Program(task.files), [outcome_of(e) for e in known]
            )
        except BadArtifact as error:
            return msgspec.structs.replace(
                whole, status=Status.BAD_RESULT, detail=_line(error), **failed
            )
        except Exception as error:  # a defect of the environment must not end the run
            return msgspec.structs.replace(
                whole,
                status=Status.JUDGE_ERROR,
                detail=f"conclude: {type(error).__name__}: {_line(error)}",
                **failed,
            )
        return msgspec.structs.replace(
            whole,
            status=Status(outcome.status),
            detail=outcome.detail,
            fitness=outcome.fitness,
            descriptor=outcome.descriptor,
            metrics=outcome.metrics,
            scores=outcome.scores,
            behaviour=outcome.behaviour,
            artifact=outcome.artifact,
        )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def outcome_of(evaluation: Evaluation) -> Outcome:
    """What `Environment.conclude` is told of one portion."""
    return Outcome(
        fitness=evaluation.fitness,
        descriptor=evaluation.descriptor,
        metrics=evaluation.metrics,
        scores=evaluation.scores,
        behaviour=evaluation.behaviour,
        artifact=evaluation.artifact,
        status=evaluation.status.value,
        detail=evaluation.detail,
        cpu_seconds=evaluation.cpu_seconds,
        peak_memory_mb=evaluation.peak_memory_mb,
    )
